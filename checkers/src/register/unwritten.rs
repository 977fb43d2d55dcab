//! Values that were seen but cannot have been there.

use rustc_hash::FxHashMap;
use tribunal_results::Call;

use super::{ABSENT, Contradiction, Key, Value};
use crate::explain;

/// The observations of values that nobody had written by then, each with the entry's index in
/// `key.entries`. A search would only say that they fit nowhere.
pub(crate) fn unwritten<'a>(key: &Key<'a>) -> Vec<(usize, Contradiction<'a>)> {
    // The first writer of each value, and the first that failed.
    let mut written: FxHashMap<Value, &'a Call> = FxHashMap::default();
    for entry in &key.entries {
        if let Some(value) = entry.op.step.brings() {
            written.entry(value).or_insert(entry.call);
        }
    }
    let mut aborted: FxHashMap<Value, &'a Call> = FxHashMap::default();
    for &(value, call) in &key.failed {
        aborted.entry(value).or_insert(call);
    }
    let mut found = Vec::new();
    for (at, entry) in key.entries.iter().enumerate() {
        let Some(value) = entry.op.step.needs().filter(|value| *value != ABSENT) else {
            continue;
        };
        let Some(ret) = entry.op.ret else { continue };
        let by_then = |call: &&&Call| call.invoked.index < ret;
        if written.get(&value).filter(by_then).is_some() {
            continue;
        }
        let failed = aborted.get(&value).filter(by_then).copied();
        let later = written
            .get(&value)
            .copied()
            .filter(|call| call.invoked.index > ret);
        found.push((
            at,
            contradiction(&key.show(value), entry.call, failed, later),
        ));
    }
    found
}

fn contradiction<'a>(
    value: &str,
    observer: &'a Call,
    failed: Option<&'a Call>,
    later: Option<&'a Call>,
) -> Contradiction<'a> {
    let seen = explain::done(observer);
    let (name, why, facts) = match (failed, later) {
        (Some(failed), _) => (
            "aborted-read",
            format!(
                "although p{}'s {} had failed",
                failed.process, failed.operation
            ),
            vec![
                format!(
                    "{} and failed at {}: it definitely had no effect.",
                    explain::invoked(failed),
                    explain::seconds(explain::ended(failed))
                ),
                format!("Nobody else had written {value}."),
            ],
        ),
        (None, Some(later)) => (
            "phantom-read",
            format!("before anybody had written {value}"),
            vec![format!(
                "The first to write {value} came later: {}.",
                explain::invoked(later)
            )],
        ),
        (None, None) => (
            "phantom-read",
            format!("but nobody ever wrote {value}"),
            vec![format!(
                "No write of {value} to this key is in the history, not even a failed one."
            )],
        ),
    };
    let calls = [Some(observer), failed, later]
        .into_iter()
        .flatten()
        .collect();
    Contradiction {
        name,
        sentence: format!("{seen}, {why}"),
        calls,
        facts,
    }
}
