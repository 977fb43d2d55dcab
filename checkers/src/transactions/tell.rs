//! Transactions in words.

use tribunal_results::{Anomaly, Call, Scalar};

use crate::explain;
use crate::graph::Why;

/// A transaction by its client and its invocation: `p3's transaction at 0.120 s`.
pub(crate) fn name(call: &Call) -> String {
    let when = explain::seconds(call.invoked.time);
    format!("p{}'s {} of {when}", call.process, call.operation.kind())
}

/// Why one call comes before another, if it is the order of a process or of real time.
pub(crate) fn order(one: &Call, next: &Call, why: Why) -> Option<String> {
    if why.meets(Why::PROCESS) {
        return Some(format!("p{} called it first", one.process));
    }
    why.meets(Why::REALTIME).then(|| {
        format!(
            "it had returned at {} when the other was invoked at {}",
            explain::seconds(explain::ended(one)),
            explain::seconds(next.invoked.time)
        )
    })
}

/// The parts of an anomaly.
pub(crate) struct Told<'t, 'a> {
    pub(crate) name: &'t str,
    pub(crate) key: Option<&'t Scalar>,
    pub(crate) sentence: String,
    pub(crate) facts: Vec<String>,
    pub(crate) calls: &'t [&'a Call],
}

/// The anomaly; what each call asked and was answered precedes the facts.
pub(crate) fn anomaly(told: Told<'_, '_>) -> Anomaly {
    let (calls, span) = explain::extent(told.calls);
    let mut facts: Vec<String> = Vec::new();
    for call in told.calls {
        let fact = format!("{}.", explain::returned(call));
        if !facts.contains(&fact) {
            facts.push(fact);
        }
    }
    facts.extend(told.facts);
    Anomaly {
        name: told.name.to_owned(),
        sentence: told.sentence,
        key: told.key.cloned(),
        calls,
        facts,
        span,
    }
}
