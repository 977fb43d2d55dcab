//! What can be said for certain about who held a lock.
//!
//! An answer arrives after the server gave it, and a release takes effect after it was asked for.
//! So a client holds the lock *for certain* only from the completion of the acquire that granted
//! it until it asks for the release that ends it, or until the end of a lease that is counted
//! from when it was asked for. Two certain holds that overlap are a contradiction; what clients
//! merely believe is not.

mod hold;

use std::collections::BTreeMap;

use tribunal_results::{Anomaly, Call, History, Scalar};

pub(crate) use hold::{Hold, holds};

use crate::explain;

/// The calls on locks, lock by lock, in the order of invocation. Guarded writes count as calls on
/// the lock of the resource's name.
pub(crate) fn by_lock(history: &History) -> BTreeMap<&Scalar, Vec<&Call>> {
    use tribunal_results::Kind::{Acquire, GuardedWrite, Release, Renew, Request, TryAcquire};
    let mut locks: BTreeMap<&Scalar, Vec<&Call>> = BTreeMap::new();
    for call in history.calls() {
        let kind = call.operation.kind();
        let on_lock = matches!(
            kind,
            Request | Acquire | TryAcquire | Renew | Release | GuardedWrite
        );
        if let Some(lock) = call.operation.key().filter(|_| on_lock) {
            locks.entry(lock).or_default().push(call);
        }
    }
    locks
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
