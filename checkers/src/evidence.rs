//! `evidence`: enough happened for a green to mean something.

mod availability;
mod pace;
pub(crate) mod recovery;

use std::collections::BTreeSet;

use rustc_hash::FxHashMap;
use tribunal_results::verdict::Counts;
use tribunal_results::{
    Answer, Call, Evidence, FaultSpan, History, Micro, Nanos, Operation, Outcome, Record, Scalar,
    Seen, Verdict,
};

use crate::{Budget, Checker, explain, locks, stats};

/// The checker.
pub struct EvidenceCheck;

const NAME: &str = "evidence";
/// Without faults, what was invoked after this share of the time until the last answer counts as
/// final: how long nodes take to stop doesn't matter.
const FINAL_SHARE: (Nanos, Nanos) = (9, 10);

impl Checker for EvidenceCheck {
    fn name(&self) -> &'static str {
        NAME
    }

    fn about(&self) -> &'static str {
        "the run did, saw and suffered at least what the plan asks for"
    }

    fn anomalies(&self) -> &'static [&'static str] {
        &[]
    }

    fn blind_to(&self) -> &'static str {
        "whether the answers are right; what else a fault did than what its proof counts"
    }

    fn check(&self, record: &Record, _: Budget) -> Verdict {
        let evidence = gather(record);
        let missed = missed(&evidence, record);
        let verdict = if !record.is_run {
            let operations = explain::count(evidence.total.total() as usize, "operation");
            let text = format!("{operations}; no floors apply: only a history was given");
            Verdict::valid(NAME, text)
        } else if missed.is_empty() {
            Verdict::valid(NAME, summary(&evidence))
        } else {
            Verdict::unknown(
                NAME,
                "insufficient",
                format!("too little: {}", missed.join("; ")),
            )
        };
        verdict
            .figure("ok-operations", evidence.total.ok)
            .figure("cross-observations", evidence.cross_observations)
            .figure("concurrency-peak", evidence.concurrency_peak)
            .figure(
                "faults-bitten",
                evidence.faults_bitten.values().sum::<u64>(),
            )
            .figure("overlap", evidence.overlap)
            .figure("final-reads", evidence.final_reads)
    }
}

fn summary(evidence: &Evidence) -> String {
    format!(
        "{} took effect, {} saw what another client did, {} at once, {} bit",
        explain::count(evidence.total.ok as usize, "operation"),
        evidence.cross_observations,
        evidence.concurrency_peak,
        explain::count(
            evidence.faults_bitten.values().sum::<u64>() as usize,
            "fault"
        ),
    )
}

/// The floors that were missed, each with its figures.
fn missed(evidence: &Evidence, record: &Record) -> Vec<String> {
    let floor = &record.floor;
    let mut missed = Vec::new();
    let mut ask = |what: String, have: u64, least: u64| {
        if have < least {
            missed.push(format!("{what} {have} of at least {least}"));
        }
    };
    ask(
        "operations that took effect:".into(),
        evidence.total.ok,
        floor.ok_operations,
    );
    ask(
        "cross-observations:".into(),
        evidence.cross_observations,
        floor.cross_observations,
    );
    ask(
        "operations at once:".into(),
        evidence.concurrency_peak,
        floor.concurrency,
    );
    ask(
        "final operations answered:".into(),
        evidence.final_reads,
        floor.final_reads,
    );
    let bitten = &evidence.faults_bitten;
    // Those too that the run was too short to try.
    let faults: BTreeSet<&String> = bitten
        .keys()
        .chain(evidence.faults_idle.keys())
        .chain(evidence.faults_skipped.keys())
        .chain(&record.faults)
        .collect();
    for fault in faults {
        let bit = bitten.get(fault).copied().unwrap_or_default();
        ask(
            format!("{fault} faults that bit:"),
            bit,
            floor.faults_of_each,
        );
    }
    missed
}

/// What the record can show for itself.
///
/// * *Cross-observations*: reads (also as steps of transactions, and compare-and-sets) that found
///   a value, or a list whose last element, only other clients had written, or a set with an
///   element that only others had added, or a counter that only others had incremented; holds of a
///   lock or permits of a semaphore that follow another client's; identifiers given to others than
///   the first client.
/// * *Overlap*: the share of operations outstanding at some instant between the injection and the
///   cure of a fault that was not skipped.
/// * *Final reads*: successful reads, or where there are none grants and identifiers, invoked after the last cure
///   of such a fault; without any, in the last tenth of the record.
pub fn gather(record: &Record) -> Evidence {
    let history = &record.history;
    let mut evidence = Evidence {
        cross_observations: cross_reads(history)
            + cross_counts(history)
            + cross_holds(history)
            + cross_permits(history)
            + cross_identifiers(history)
            + crate::log::cross_polls(history),
        concurrency_peak: concurrency_peak(history),
        ..Evidence::default()
    };
    for (kind, counts) in stats::counts(history) {
        evidence.operations.insert(kind.name().into(), counts);
        add(&mut evidence.total, counts);
    }
    let spans = history.fault_spans();
    for span in &spans {
        let tally = match (&span.skipped, span.bit) {
            (Some(_), _) => &mut evidence.faults_skipped,
            (None, Some(true)) => &mut evidence.faults_bitten,
            (None, _) => &mut evidence.faults_idle,
        };
        *tally.entry(span.fault.clone()).or_default() += 1;
    }
    let end = history.end().map_or(0, |end| end.time);
    let installed: Vec<&FaultSpan> = spans.iter().filter(|span| span.skipped.is_none()).collect();
    let faulty = merged(&installed, end);
    let overlaps = |call: &&Call| overlaps(call, &faulty, end);
    let overlapping = history.calls().iter().filter(overlaps).count();
    evidence.overlap = overlapping as f64 / history.calls().len().max(1) as f64;
    evidence.calm = pace::calm(history, overlaps);
    evidence.latency = pace::latency(history);
    evidence.final_reads = final_reads(history, &installed);
    evidence.availability = availability::gather(history, &spans);
    evidence.recoveries = recovery::gather(history, &spans);
    evidence.stood_still = history.stood_still(0, history.end().map_or(0, |end| end.time));
    evidence
}

fn add(total: &mut Counts, more: Counts) {
    total.ok += more.ok;
    total.fail += more.fail;
    total.info += more.info;
}

fn cross_reads<'h>(history: &'h History) -> u64 {
    let mut writers: FxHashMap<(&Scalar, &Scalar), Writers> = FxHashMap::default();
    for call in history.calls().iter().filter(|call| !call.is_fail()) {
        let mut wrote = |key: &'h Scalar, value: &'h Scalar| {
            let writers = writers
                .entry((key, value))
                .or_insert(Writers::One(call.process));
            writers.add(call.process);
        };
        match &call.operation {
            Operation::Write { key, value } | Operation::Cas { key, to: value, .. } => {
                wrote(key, value);
            }
            Operation::Append { key, value } | Operation::Add { key, value } => wrote(key, value),
            Operation::Txn { micros } => {
                for micro in micros {
                    if let Micro::Write { key, value } | Micro::Append { key, value } = micro {
                        wrote(key, value);
                    }
                }
            }
            _ => {}
        }
    }
    let crosses = |call: &Call, key: &Scalar, value: &Scalar| {
        let writers = writers.get(&(key, value));
        writers.is_some_and(|writers| writers.exclude(call.process))
    };
    let crossings = |call: &Call| match (&call.operation, &call.outcome) {
        (Operation::Read { key }, Outcome::Ok(Answer::Value(Some(value)))) => {
            u64::from(crosses(call, key, value))
        }
        (Operation::Members { key }, Outcome::Ok(Answer::Values(values))) => {
            u64::from(values.iter().any(|value| crosses(call, key, value)))
        }
        (Operation::Cas { key, from, .. }, Outcome::Ok(_)) => u64::from(crosses(call, key, from)),
        (Operation::Txn { .. }, Outcome::Ok(Answer::Txn(micros))) => {
            let steps = micros.iter().filter(|micro| match micro {
                Micro::Read { key, seen } => match seen {
                    Seen::Value(value) => crosses(call, key, value),
                    // The last element tells the version.
                    Seen::List(list) => list.last().is_some_and(|v| crosses(call, key, v)),
                    Seen::Nothing => false,
                },
                _ => false,
            });
            steps.count() as u64
        }
        _ => 0,
    };
    history.calls().iter().map(crossings).sum()
}

/// Who wrote a value.
enum Writers {
    One(u64),
    Many(BTreeSet<u64>),
}

impl Writers {
    fn add(&mut self, process: u64) {
        match self {
            Self::One(first) if *first == process => {}
            Self::One(first) => *self = Self::Many([*first, process].into()),
            Self::Many(all) => {
                all.insert(process);
            }
        }
    }

    fn exclude(&self, process: u64) -> bool {
        match self {
            Self::One(first) => *first != process,
            Self::Many(all) => !all.contains(&process),
        }
    }
}

/// Counters that are not at 0, read by clients that never incremented them.
fn cross_counts(history: &History) -> u64 {
    let calls = history.calls().iter();
    let own: BTreeSet<(&Scalar, u64)> = calls
        .filter_map(|call| match &call.operation {
            Operation::Increment { key, .. } => Some((key, call.process)),
            _ => None,
        })
        .collect();
    let crosses = |call: &&Call| match (&call.operation, &call.outcome) {
        (Operation::Count { key }, Outcome::Ok(Answer::Value(Some(count)))) => {
            *count != Scalar::Int(0) && !own.contains(&(key, call.process))
        }
        _ => false,
    };
    history.calls().iter().filter(crosses).count() as u64
}

fn cross_identifiers(history: &History) -> u64 {
    let given = |call: &&Call| call.is_ok() && matches!(call.operation, Operation::Generate { .. });
    let mut given = history.calls().iter().filter(given);
    let first = given.next().map(|call| call.process);
    given.filter(|call| Some(call.process) != first).count() as u64
}

fn cross_holds(history: &History) -> u64 {
    let mut crossings = 0;
    for lock in locks::Book::of(history).locks {
        let pairs = lock.holds.iter().zip(lock.holds.iter().skip(1));
        crossings += pairs
            .filter(|(one, next)| one.process != next.process)
            .count() as u64;
    }
    crossings
}

/// Grants of permits that follow another client's of the same semaphore.
fn cross_permits(history: &History) -> u64 {
    let mut last: FxHashMap<&Scalar, u64> = FxHashMap::default();
    let mut crossings = 0;
    for call in history.calls().iter().filter(|call| call.is_ok()) {
        if let Operation::AcquirePermits { key, .. } = &call.operation {
            let before = last.insert(key, call.process);
            crossings += u64::from(before.is_some_and(|before| before != call.process));
        }
    }
    crossings
}

fn concurrency_peak(history: &History) -> u64 {
    let mut changes: Vec<(u64, bool)> = Vec::new();
    for call in history.calls() {
        changes.push((call.invoked.index, true));
        changes.extend(call.completed.map(|stamp| (stamp.index, false)));
    }
    changes.sort_unstable();
    let (mut open, mut peak) = (0_u64, 0);
    for (_, begins) in changes {
        open = if begins {
            open + 1
        } else {
            open.saturating_sub(1)
        };
        peak = peak.max(open);
    }
    peak
}

fn overlaps(call: &Call, faulty: &[(Nanos, Nanos)], end: Nanos) -> bool {
    let until = call.completed.map_or(end, |stamp| stamp.time);
    // The first stretch that is not over when the call begins.
    let at = faulty.partition_point(|(_, to)| *to < call.invoked.time);
    faulty.get(at).is_some_and(|(from, _)| *from <= until)
}

/// The stretches of time under any of the faults, in order and apart.
fn merged(installed: &[&FaultSpan], end: Nanos) -> Vec<(Nanos, Nanos)> {
    let mut spans: Vec<(Nanos, Nanos)> = installed
        .iter()
        .map(|span| (span.from, span.to.unwrap_or(end)))
        .collect();
    spans.sort_unstable();
    let mut merged: Vec<(Nanos, Nanos)> = Vec::new();
    for (from, to) in spans {
        match merged.last_mut() {
            Some(last) if from <= last.1 => last.1 = last.1.max(to),
            _ => merged.push((from, to)),
        }
    }
    merged
}

fn final_reads(history: &History, installed: &[&FaultSpan]) -> u64 {
    if installed.iter().any(|span| span.to.is_none()) {
        return 0;
    }
    let healed = installed.iter().filter_map(|span| span.to).max();
    let answers = history.calls().iter().filter_map(|call| call.completed);
    let last = answers.map(|stamp| stamp.time).max().unwrap_or(0);
    let since = healed.unwrap_or(last / FINAL_SHARE.1 * FINAL_SHARE.0);
    let answered = |wanted: fn(&Operation) -> bool| {
        let late = |call: &&Call| call.is_ok() && call.invoked.time >= since;
        history
            .calls()
            .iter()
            .filter(late)
            .filter(|call| wanted(&call.operation))
            .count() as u64
    };
    let read = |operation: &Operation| match operation {
        Operation::Txn { micros } => micros.iter().all(|m| matches!(m, Micro::Read { .. })),
        other => !other.kind().mutates(),
    };
    if history.calls().iter().any(|call| read(&call.operation)) {
        return answered(read);
    }
    answered(|operation| {
        matches!(
            operation,
            Operation::Acquire { .. }
                | Operation::TryAcquire { .. }
                | Operation::AcquirePermits { .. }
                | Operation::Generate { .. }
                | Operation::Custom { .. }
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mere_history_is_never_too_little() {
        let verdict = EvidenceCheck.check(&Record::default(), Budget::default());
        assert_eq!(verdict.validity, tribunal_results::Validity::Valid);
    }

    #[test]
    fn a_system_that_never_answers_again_is_missed() {
        let missing = missed(&gather(&Record::default()), &Record::default()).join("; ");
        assert!(
            missing.contains("final operations answered: 0 of at least 1"),
            "{missing}"
        );
    }

    #[test]
    fn a_fault_that_was_planned_and_never_tried_is_missed() {
        let mut record = Record {
            faults: vec!["kill".into()],
            ..Record::default()
        };
        record.floor.faults_of_each = 1;
        let missing = |record: &Record| missed(&gather(record), record).join("; ");
        assert!(missing(&record).contains("kill faults that bit: 0 of at least 1"));
        record.floor.faults_of_each = 0;
        assert!(!missing(&record).contains("kill"));
    }

    #[test]
    fn reads_within_transactions_are_cross_observations() {
        use tribunal_results::{Body, Event, Process};
        let read = |seen| Micro::Read {
            key: "x".into(),
            seen,
        };
        let write = Micro::Write {
            key: "x".into(),
            value: 1.into(),
        };
        let found = Micro::Read {
            key: "x".into(),
            seen: Seen::Value(1.into()),
        };
        let mut events = Vec::new();
        for (process, asked, done) in [
            (1, vec![write.clone()], vec![write]),
            (1, vec![read(Seen::Nothing)], vec![found.clone()]),
            (2, vec![read(Seen::Nothing); 2], vec![found.clone(), found]),
        ] {
            let operation = Operation::Txn { micros: asked };
            let outcome = Outcome::Ok(Answer::Txn(done));
            for body in [
                Body::Invoke(operation.clone()),
                Body::Complete(operation, outcome),
            ] {
                events.push(Event {
                    index: events.len() as u64,
                    time: 0,
                    process: Process::Client(process),
                    node: None,
                    body,
                });
            }
        }
        let history = History::from_events(events).unwrap_or_default();
        assert_eq!(history.calls().len(), 3);
        assert_eq!(cross_reads(&history), 2);
    }

    #[test]
    fn what_others_added_incremented_or_were_given_counts_too() {
        use tribunal_results::{Body, Event, Process};
        let key = || Scalar::from("x");
        let add = |value: i64| Operation::Add {
            key: key(),
            value: value.into(),
        };
        let (members, count) = (
            Operation::Members { key: key() },
            Operation::Count { key: key() },
        );
        let increment = Operation::Increment { key: key(), by: 2 };
        let generate = Operation::Generate { key: key() };
        let value = |value: i64| Answer::Value(Some(value.into()));
        let mut events = Vec::new();
        for (process, asked, answer) in [
            (1, add(1), Answer::Done),
            (1, members.clone(), Answer::Values(vec![1.into()])),
            (2, members, Answer::Values(vec![1.into()])),
            (2, count.clone(), value(0)),
            (1, increment, Answer::Done),
            (1, count.clone(), value(2)),
            (2, count, value(2)),
            (1, generate.clone(), value(7)),
            (1, generate.clone(), value(8)),
            (2, generate, value(9)),
        ] {
            for body in [
                Body::Invoke(asked.clone()),
                Body::Complete(asked, Outcome::Ok(answer)),
            ] {
                events.push(Event {
                    index: events.len() as u64,
                    time: 0,
                    process: Process::Client(process),
                    node: None,
                    body,
                });
            }
        }
        let history = History::from_events(events).unwrap_or_default();
        assert_eq!(history.calls().len(), 10);
        let crossed = [cross_reads, cross_counts, cross_identifiers].map(|of| of(&history));
        assert_eq!(crossed, [1, 1, 1]);
    }

    #[test]
    fn faults_that_touch_are_one_stretch() {
        let span = |from, to| FaultSpan {
            fault: "kill".into(),
            id: 0,
            from,
            to,
            nodes: Vec::new(),
            links: Vec::new(),
            what: String::new(),
            skipped: None,
            bit: None,
            proof: Vec::new(),
        };
        let spans = [
            span(5, Some(9)),
            span(0, Some(3)),
            span(2, Some(5)),
            span(20, None),
        ];
        let spans: Vec<&FaultSpan> = spans.iter().collect();
        assert_eq!(merged(&spans, 30), [(0, 9), (20, 30)]);
    }
}
