//! `monotonic`: rows that each hold the largest value so far plus one have values that grow with
//! the timestamps of the database, and none is lost, doubled, skipped or revived.

use std::fmt;

use rustc_hash::FxHashMap;
use serde_json::json;
use tribunal_results::{
    Answer, Call, Kind, NodeId, Operation, Outcome, Record, Row, Scalar, Verdict,
};

use crate::tally::{self, Finding, Findings};
use crate::{Budget, Checker, explain};

/// The checker.
pub struct Monotonic;

const NAME: &str = "monotonic";
const ANOMALIES: [&str; 8] = [
    "lost-row",
    "duplicate-row",
    "revived-row",
    "skipped-value",
    "off-order-in-process",
    "off-order-on-node",
    "off-order",
    "unsorted-rows",
];

impl Checker for Monotonic {
    fn name(&self) -> &'static str {
        NAME
    }

    fn about(&self) -> &'static str {
        "values that each add one to the largest grow with their timestamps: in all, for each \
         process and for each node (Jepsen's `monotonic` for CockroachDB)"
    }

    fn anomalies(&self) -> &'static [&'static str] {
        &ANOMALIES
    }

    fn blind_to(&self) -> &'static str {
        "all reads but the last; rows of the smallest values that nobody was told of: they may \
         have been there before"
    }

    fn check(&self, record: &Record, budget: Budget) -> Verdict {
        let mut account = Account::default();
        let mut findings = Findings::new(&ANOMALIES);
        let kinds = [Kind::Advance, Kind::Rows];
        let Some(objects) = tally::by_key(&record.history, &kinds, budget) else {
            return tally::exhausted(NAME, &record.history);
        };
        for (key, calls) in objects {
            account.take(key, &Table::of(&calls), &mut findings);
        }
        account.verdict(findings)
    }
}

/// The calls on one table.
#[derive(Default)]
struct Table<'a> {
    /// Rows that were acknowledged, in the order of invocation.
    acknowledged: Vec<(Row, &'a Call)>,
    /// Inserts of unknown end, and all that were asked for.
    unknown: Vec<&'a Call>,
    attempted: usize,
    /// The last read that was answered.
    last: Option<(&'a Call, &'a [Row])>,
}

impl<'a> Table<'a> {
    fn of(calls: &[&'a Call]) -> Self {
        let mut table = Self::default();
        for call in calls {
            match (&call.operation, &call.outcome) {
                (Operation::Rows { .. }, Outcome::Ok(Answer::Rows(rows))) => {
                    let newer = |(last, _): &(&Call, _)| tally::end(last) < tally::end(call);
                    if table.last.as_ref().is_none_or(newer) {
                        table.last = Some((call, rows));
                    }
                }
                (Operation::Advance { .. }, outcome) => {
                    table.attempted += 1;
                    match outcome {
                        Outcome::Ok(Answer::Row(row)) => table.acknowledged.push((*row, call)),
                        Outcome::Info(_) => table.unknown.push(call),
                        _ => {}
                    }
                }
                _ => {}
            }
        }
        table
    }
}

#[derive(Default)]
struct Account {
    attempted: usize,
    acknowledged: usize,
    read: usize,
    recovered: usize,
    unread: Option<String>,
}

impl Account {
    fn take<'a>(&mut self, key: &'a Scalar, table: &Table<'a>, findings: &mut Findings) {
        self.attempted += table.attempted;
        self.acknowledged += table.acknowledged.len();
        let Some((read, rows)) = table.last else {
            if !table.acknowledged.is_empty() {
                self.unread.get_or_insert_with(|| key.to_string());
            }
            return;
        };
        self.read += rows.len();
        let mut inserts: FxHashMap<i64, &Call> = FxHashMap::default();
        for &(row, call) in &table.acknowledged {
            if let Some(first) = inserts.insert(row.value, call) {
                findings.add("duplicate-row", || given_twice(key, row.value, first, call));
            }
        }
        let mut values: Vec<i64> = rows.iter().map(|row| row.value).collect();
        values.sort();
        lost(key, table, read, &values, findings);
        gaps(key, read, &values, findings);
        self.recovered += strangers(key, table, read, &values, &inserts, findings);
        sorted(key, read, rows, findings);
        orders(key, read, rows, &inserts, findings);
    }

    fn verdict(self, findings: Findings) -> Verdict {
        let counts = ANOMALIES.map(|name| (name, findings.count(name)));
        let verdict = findings.verdict(NAME, || match &self.unread {
            Some(key) => {
                let text = format!("table {key} was never read, so nobody knows what it kept");
                Verdict::unknown(NAME, "vacuous", text)
            }
            None if self.read == 0 || self.acknowledged == 0 => {
                let text = "no row was both inserted and read, so there is nothing to judge";
                Verdict::unknown(NAME, "vacuous", text)
            }
            None => {
                let rows = explain::count(self.read, "row");
                Verdict::valid(
                    NAME,
                    format!("{rows} in the order of their timestamps, none lost"),
                )
            }
        });
        let figure = |verdict: Verdict, (name, count): (&str, u64)| {
            let name = match name {
                "lost-row" => "lost-count",
                "duplicate-row" => "duplicates-count",
                "revived-row" => "revived-count",
                "skipped-value" => "skipped-count",
                "off-order-in-process" => "value-reorders-per-process-count",
                "off-order-on-node" => "value-reorders-per-node-count",
                "off-order" => "value-reorders-count",
                _ => "order-by-errors-count",
            };
            verdict.figure(name, count)
        };
        let lost = counts.iter().find(|(name, _)| *name == "lost-row");
        let lost = lost.map_or(0, |(_, count)| *count);
        counts
            .into_iter()
            .fold(verdict, figure)
            .figure("attempt-count", self.attempted)
            .figure("acknowledged-count", self.acknowledged)
            .figure("read-count", self.read)
            .figure("recovered-count", self.recovered)
            .figure(
                "lost-fraction",
                json!(lost as f64 / self.acknowledged.max(1) as f64),
            )
    }
}

/// Rows that were acknowledged before the read was invoked and are not there.
fn lost<'a>(
    key: &'a Scalar,
    table: &Table<'a>,
    read: &'a Call,
    values: &[i64],
    findings: &mut Findings,
) {
    for &(row, insert) in &table.acknowledged {
        let before = tally::end(insert) < read.invoked.index;
        if before && values.binary_search(&row.value).is_err() {
            findings.add("lost-row", || Finding {
                key: Some(key),
                sentence: format!(
                    "the row {} of {key} is lost: {}, and {} without it",
                    row.value,
                    explain::acknowledged(insert),
                    tally::read(read)
                ),
                facts: vec![
                    tally::fact(explain::returned(insert)),
                    tally::fact(format!("{}, after that", explain::invoked(read))),
                    tally::fact(format!("It returned no row {}", row.value)),
                ],
                calls: vec![insert, read],
            });
        }
    }
}

/// Values that are there twice, and values that are left out.
fn gaps<'a>(key: &'a Scalar, read: &'a Call, values: &[i64], findings: &mut Findings) {
    for pair in values.windows(2) {
        let &[one, next] = pair else { continue };
        let (name, what) = if one == next {
            (
                "duplicate-row",
                format!("found the value {one} in two rows"),
            )
        } else if one.checked_add(1) != Some(next) {
            let what = format!("found the values {one} and {next} and none between");
            ("skipped-value", what)
        } else {
            continue;
        };
        findings.add(name, || {
            in_read(key, read, &what, "Each row adds one to the largest value")
        });
    }
}

/// Rows that nobody was told of: no more than inserts of unknown end. Counts those.
fn strangers<'a>(
    key: &'a Scalar,
    table: &Table<'a>,
    read: &'a Call,
    values: &[i64],
    inserts: &FxHashMap<i64, &'a Call>,
    findings: &mut Findings,
) -> usize {
    let begun = |call: &&&Call| call.invoked.index < tally::end(read);
    let unknown = table.unknown.iter().filter(begun).count();
    // What was there before all that is known of may have been there from the start.
    let Some(smallest) = inserts.keys().min() else {
        return 0;
    };
    let told = |value: &&i64| *value > smallest && !inserts.contains_key(value);
    let strangers: Vec<i64> = values.iter().filter(told).copied().collect();
    if strangers.len() > unknown {
        findings.add("revived-row", || {
            let rows = explain::count(strangers.len(), "row");
            let ends = explain::count(unknown, "insert");
            let what = format!("found {rows} that nobody was told of, with {ends} of unknown end");
            in_read(key, read, &what, "An insert that failed leaves no row")
        });
    }
    strangers.len().min(unknown)
}

/// Rows that did not come in the order of their timestamps.
fn sorted<'a>(key: &'a Scalar, read: &'a Call, rows: &[Row], findings: &mut Findings) {
    for pair in rows.windows(2) {
        let &[one, next] = pair else { continue };
        if one.timestamp > next.timestamp {
            let what = format!("got the row {one} before the row {next}");
            let why = "Rows are read in the order of their timestamps";
            findings.add("unsorted-rows", || in_read(key, read, &what, why));
        }
    }
}

/// Values that fall while the timestamps rise: within a process, on a node, in all.
fn orders<'a>(
    key: &'a Scalar,
    read: &'a Call,
    rows: &[Row],
    inserts: &FxHashMap<i64, &'a Call>,
    findings: &mut Findings,
) {
    let mut rows = rows.to_vec();
    // Rows of one timestamp may have come in any order.
    rows.sort_by_key(|row| (row.timestamp, row.value));
    let mut of_process: FxHashMap<u64, Row> = FxHashMap::default();
    let mut on_node: FxHashMap<&NodeId, Row> = FxHashMap::default();
    let mut before: Option<Row> = None;
    for row in rows {
        let mut fell = |name, last: Option<Row>, whose: &dyn fmt::Display| {
            if let Some(last) = last.filter(|last| last.value > row.value) {
                findings.add(name, || {
                    let by = |row: Row| inserts.get(&row.value).copied();
                    off_order(key, read, whose, (last, by(last)), (row, by(row)))
                });
            }
        };
        if let Some(insert) = inserts.get(&row.value) {
            let last = of_process.insert(insert.process, row);
            fell(
                "off-order-in-process",
                last,
                &format_args!(" of p{}", insert.process),
            );
            if let Some(node) = &insert.node {
                let last = on_node.insert(node, row);
                fell(
                    "off-order-on-node",
                    last,
                    &format_args!(" inserted on {node}"),
                );
            }
        }
        fell("off-order", before.replace(row), &"");
    }
}

fn off_order<'a>(
    key: &'a Scalar,
    read: &'a Call,
    whose: &dyn fmt::Display,
    (one, first): (Row, Option<&'a Call>),
    (next, second): (Row, Option<&'a Call>),
) -> Finding<'a> {
    let inserts = first.into_iter().chain(second);
    let mut facts: Vec<String> = inserts
        .clone()
        .map(|call| tally::fact(explain::returned(call)))
        .collect();
    facts.push(tally::fact(format!(
        "{} and got the row {one} and the row {next}",
        tally::read(read)
    )));
    facts.push("The later row must have the larger value.".to_owned());
    Finding {
        key: Some(key),
        sentence: format!(
            "the rows{whose} in {key} are off order: {} at the timestamp {}, then {} at {}",
            one.value, one.timestamp, next.value, next.timestamp
        ),
        facts,
        calls: inserts.chain([read]).collect(),
    }
}

/// What contradicts itself within one read.
fn in_read<'a>(key: &'a Scalar, read: &'a Call, what: &str, why: &str) -> Finding<'a> {
    let what = format!("{} and {what}", tally::read(read));
    Finding {
        key: Some(key),
        sentence: what.clone(),
        facts: vec![tally::fact(what), tally::fact(why)],
        calls: vec![read],
    }
}

fn given_twice<'a>(key: &'a Scalar, value: i64, first: &'a Call, again: &'a Call) -> Finding<'a> {
    Finding {
        key: Some(key),
        sentence: format!(
            "p{} and p{} both inserted the value {value} into {key}",
            first.process, again.process
        ),
        facts: vec![
            tally::fact(explain::returned(first)),
            tally::fact(explain::returned(again)),
            "Each row adds one to the largest value.".to_owned(),
        ],
        calls: vec![first, again],
    }
}
