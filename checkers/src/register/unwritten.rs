//! Values that were seen but cannot have been there.

use rustc_hash::FxHashMap;
use tribunal_results::Call;

use super::{ABSENT, Contradiction, Key, Step, Value};
use crate::explain;
use crate::normal::{OPEN, Refused, Row};

/// The observations of values that nobody had written by then, each with its place in the
/// columns. A search would only say that they fit nowhere.
pub(crate) fn unwritten<'a>(key: &Key<'a>) -> Vec<(usize, Contradiction<'a>)> {
    let columns = &key.columns;
    let steps = || {
        columns
            .rows()
            .filter_map(|row| Some((Step::of(&row)?, row)))
    };
    // When each value was first about to be written.
    let mut written = vec![NEVER; columns.numbers()];
    for (step, row) in steps() {
        if let Some(first) = step.brings().and_then(|v| written.get_mut(v as usize)) {
            *first = (*first).min(row.call);
        }
    }
    let cannot = |(_, (step, row)): &(usize, (Step, Row))| {
        let value = step.needs().filter(|value| *value != ABSENT);
        let first = value.and_then(|value| written.get(value as usize));
        row.ret != OPEN && first.is_some_and(|first| *first >= row.ret)
    };
    let seen: Vec<_> = steps().enumerate().filter(cannot).collect();
    let mut failed: FxHashMap<Value, &Refused> = FxHashMap::default();
    if !seen.is_empty() {
        for refused in columns.refused() {
            failed.entry(refused.value).or_insert(refused);
        }
    }
    let told = |(at, (step, row)): (usize, (Step, Row))| {
        let value = step.needs()?;
        let later = written.get(value as usize).and_then(|at| key.called(*at));
        let failed = failed.get(&value).and_then(|it| key.call(it.place));
        let failed = failed.filter(|call| call.invoked.index < u64::from(row.ret));
        let told = contradiction(&key.show(value), key.call(row.place)?, failed, later);
        Some((at, told))
    };
    seen.into_iter().filter_map(told).collect()
}

/// When a value was first written if it never was.
const NEVER: u32 = u32::MAX;

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
