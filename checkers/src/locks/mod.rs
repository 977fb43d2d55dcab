//! What can be said for certain about who held a lock.
//!
//! An answer arrives after the server gave it, and a release takes effect after it was asked for.
//! So a client holds the lock *for certain* only from the completion of the acquire that granted
//! it until it asks for the release that ends it, or until the end of a lease that is counted
//! from when it was asked for. Two certain holds that overlap are a contradiction; what clients
//! merely believe is not.
//!
//! All is learnt moment by moment ([`Book`]): what an operation asks when it was called, what it
//! was answered when it returned, never earlier. So what a fold says of a prefix is what it would
//! say if the record ended there. What is certain of a hold only ever grows: it may last longer
//! than was known, if the answer to a renewal comes late, but nothing takes back that it lasted.

mod book;
mod clocks;
mod hold;
mod past;

use tribunal_results::verdict::ANOMALIES_LISTED_MAX;
use tribunal_results::{Anomaly, Call, History, Nanos, Scalar};

pub(crate) use book::{Book, Change, Lapse, Lock, Release};
pub(crate) use clocks::Clocks;
pub(crate) use hold::Hold;
pub(crate) use past::Past;

use crate::{Moment, explain};

/// A point of the history: the time and index of an event. An end of a lease comes before all
/// events of its nanosecond.
pub(crate) type Point = (Nanos, u64);

/// When a call was invoked.
pub(crate) const fn invoked(call: &Call) -> Point {
    (call.invoked.time, call.invoked.index)
}

/// When a call ended; when it was invoked if the record ends first.
pub(crate) fn ended(call: &Call) -> Point {
    let stamp = call.completed.unwrap_or(call.invoked);
    (stamp.time, stamp.index)
}

/// When that moment of a call was.
pub(crate) fn now(call: &Call, moment: Moment) -> Point {
    match moment {
        Moment::Called(_) => invoked(call),
        Moment::Returned(_) => ended(call),
    }
}

/// The call of that place in the history.
pub(crate) fn call(history: &History, place: usize) -> Option<&Call> {
    history.calls().get(place)
}

/// The first anomalies of those found, told. `tell` gets them in the order in which they showed.
pub(crate) fn told<T>(
    found: impl Iterator<Item = T>,
    tell: impl Fn(T) -> Option<Anomaly>,
) -> Vec<Anomaly> {
    let mut anomalies: Vec<Anomaly> = found.take(ANOMALIES_LISTED_MAX).filter_map(tell).collect();
    anomalies.sort_by_key(|anomaly| (anomaly.span.1, anomaly.calls.clone()));
    anomalies
}

/// An anomaly about a lock.
pub(crate) fn anomaly(
    name: &str,
    lock: &Scalar,
    sentence: String,
    calls: &[&Call],
    facts: Vec<String>,
) -> Anomaly {
    let (calls, span) = explain::extent(calls);
    Anomaly {
        name: name.into(),
        sentence,
        key: Some(lock.clone()),
        calls,
        facts,
        span,
    }
}
