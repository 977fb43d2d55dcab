//! Tables whose rows each add one to the largest value.

use std::collections::BTreeMap;

use tribunal_results::{Answer, Call, History, Operation, Outcome, Row};

use super::{end, of_key};

fn inserted(call: &Call) -> Option<Row> {
    match (&call.operation, &call.outcome) {
        (Operation::Advance { .. }, Outcome::Ok(Answer::Row(row))) => Some(*row),
        _ => None,
    }
}

fn rows(call: &Call) -> Option<&[Row]> {
    match (&call.operation, &call.outcome) {
        (Operation::Rows { .. }, Outcome::Ok(Answer::Rows(rows))) => Some(rows),
        _ => None,
    }
}

fn claim(holds: bool, otherwise: &str) -> Result<(), String> {
    if holds {
        Ok(())
    } else {
        Err(otherwise.to_owned())
    }
}

/// Derives what is wrong with the rows of the named read and inserts.
pub(super) fn contradiction(history: &History, name: &str, calls: &[&Call]) -> Result<(), String> {
    let inserts: Vec<(Row, &Call)> = calls
        .iter()
        .filter_map(|call| Some((inserted(call)?, *call)))
        .collect();
    if name == "duplicate-row" && inserts.len() > 1 {
        let first = inserts.first().map(|(row, _)| row.value);
        let same = inserts.iter().all(|(row, _)| Some(row.value) == first);
        return claim(same, "the named inserts have different values");
    }
    let found = calls.iter().find_map(|call| Some((*call, rows(call)?)));
    let (read, rows) = found.ok_or("no read of rows is named")?;
    let mut values: Vec<i64> = rows.iter().map(|row| row.value).collect();
    values.sort_unstable();
    let step = |low: i128, high: i128| {
        let far = |pair: &[i64]| {
            let step = i128::from(pair[1]) - i128::from(pair[0]);
            low <= step && step <= high
        };
        values.windows(2).any(far)
    };
    match name {
        "lost-row" => {
            let lost = |(row, call): &(Row, &Call)| {
                end(call) < read.invoked.index && !values.contains(&row.value)
            };
            claim(inserts.iter().any(lost), "the read has the named rows")
        }
        "duplicate-row" => claim(step(0, 0), "the read has no value twice"),
        "skipped-value" => claim(step(2, i128::MAX), "the read has all values"),
        "unsorted-rows" => {
            let sorted = rows.is_sorted_by_key(|row| row.timestamp);
            claim(!sorted, "the rows are in the order of their timestamps")
        }
        "revived-row" => revived(history, read, &values),
        "off-order" => claim(falls(rows, |_| Some(())), "values rise with timestamps"),
        "off-order-in-process" => {
            let by: BTreeMap<i64, u64> =
                inserts.iter().map(|(r, c)| (r.value, c.process)).collect();
            let falls = falls(rows, |row| by.get(&row.value).copied());
            claim(falls, "values rise with timestamps in each process")
        }
        "off-order-on-node" => {
            let node = |(row, call): &(Row, &Call)| Some((row.value, call.node.clone()?));
            let by: BTreeMap<i64, _> = inserts.iter().filter_map(node).collect();
            let falls = falls(rows, |row| by.get(&row.value).cloned());
            claim(falls, "values rise with timestamps on each node")
        }
        _ => Err(format!("nothing is known here of {name}")),
    }
}

/// Whether of two rows of one group that with the later timestamp has the smaller value.
fn falls<G: PartialEq>(rows: &[Row], group: impl Fn(&Row) -> Option<G>) -> bool {
    let falls = |one: &Row, next: &Row| {
        one.timestamp < next.timestamp
            && one.value > next.value
            && group(one).is_some()
            && group(one) == group(next)
    };
    rows.iter()
        .any(|one| rows.iter().any(|next| falls(one, next)))
}

/// More rows above the smallest acknowledged one than inserts that may have left them.
fn revived(history: &History, read: &Call, values: &[i64]) -> Result<(), String> {
    let known: Vec<i64> = of_key(history, read)
        .filter_map(|c| Some(inserted(c)?.value))
        .collect();
    let smallest = known.iter().min().ok_or("no insert was acknowledged")?;
    let strange = |value: &&i64| *value > smallest && !known.contains(value);
    let unknown = |call: &&Call| {
        matches!(call.operation, Operation::Advance { .. })
            && call.is_info()
            && call.invoked.index < end(read)
    };
    let strangers = values.iter().filter(strange).count();
    let unknown = of_key(history, read).filter(unknown).count();
    claim(
        strangers > unknown,
        "inserts of unknown end may have left all rows",
    )
}
