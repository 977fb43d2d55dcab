//! Values that were seen but cannot have been there.

use tribunal_results::Call;

use super::{ABSENT, Contradiction, Key, Value};
use crate::explain;

/// The observations of values that nobody had written by then, each with the entry's index in
/// `key.entries`. A search would only say that they fit nowhere.
pub(crate) fn unwritten<'a>(key: &Key<'a>) -> Vec<(usize, Contradiction<'a>)> {
    // The first writer of each value, and the first that failed.
    let mut written: Vec<Option<&'a Call>> = vec![None; key.values.len()];
    for entry in &key.entries {
        note(&mut written, entry.op.step.brings(), entry.call);
    }
    let mut aborted: Vec<Option<&'a Call>> = vec![None; key.values.len()];
    for &(value, call) in &key.failed {
        note(&mut aborted, Some(value), call);
    }
    let of =
        |calls: &[Option<&'a Call>], value: Value| calls.get(value as usize).copied().flatten();
    let mut found = Vec::new();
    for (at, entry) in key.entries.iter().enumerate() {
        let Some(value) = entry.op.step.needs().filter(|value| *value != ABSENT) else {
            continue;
        };
        let Some(ret) = entry.op.ret else { continue };
        let by_then = |call: &&Call| call.invoked.index < ret;
        let writer = of(&written, value);
        if writer.filter(by_then).is_some() {
            continue;
        }
        let failed = of(&aborted, value).filter(by_then);
        let later = writer.filter(|call| call.invoked.index > ret);
        found.push((
            at,
            contradiction(&key.show(value), entry.call, failed, later),
        ));
    }
    found
}

/// Remembers the first call for a value.
fn note<'a>(calls: &mut [Option<&'a Call>], value: Option<Value>, call: &'a Call) {
    if let Some(place) = value.and_then(|value| calls.get_mut(value as usize)) {
        place.get_or_insert(call);
    }
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
