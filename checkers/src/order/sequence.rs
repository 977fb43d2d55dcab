//! Sequential consistency.
//!
//! Of registers whose writes have values of their own it is serializability of transactions of
//! one operation each that keeps the order of sessions, so [`polygraph`](crate::polygraph)
//! decides it. Causal convergence, which it implies, goes first: its violations are found fast and
//! told well. With compare-and-set, or values written more than once, all interleavings are
//! searched ([`interleave`](super::interleave)).

use std::borrow::Cow;

use tribunal_results::{
    Anomaly, Body, Call, Event, History, Operation, Process, Record, Stamp, Validity, Verdict,
};

use super::causality::convergent;
use super::interleave::{Program, ordered};
use super::verdict::{Exhausted, Found, Meter, invalid, refuse};
use super::{Sessions, Unfit, normalize};
use crate::Budget;
use crate::explain::{are, count, done, whose};
use crate::polygraph::Level;
use crate::register::Contradiction;

const CHECKER: &str = "sequential";
const NAME: &str = "not-sequential";
const LEVEL: Level = Level {
    name: CHECKER,
    ..crate::strong_session_serializable::CHECKER
};
/// The most steps that go into making a contradiction small.
const SHRINK_STEPS_MAX: u64 = 2_000_000;
/// How many operations are named one by one.
const LISTED_MAX: usize = 40;
/// The most entries of an order that a verdict lists.
const ORDER_LISTED_MAX: usize = 1_000;

/// Whether one order of all operations, which keeps that of each session, explains every answer.
pub(crate) fn sequential(record: &Record, budget: Budget) -> Verdict {
    match normalize(&record.history) {
        Ok(sessions) => of_versions(record, &sessions, budget),
        Err(Unfit::Cas(_) | Unfit::Ambiguous(_)) => of_values(&record.history, budget),
        Err(unfit) => refuse(CHECKER, unfit),
    }
}

/// What was judged, in words.
fn size(operations: usize, sessions: usize) -> String {
    let operations = count(operations, "operation");
    format!("{operations} in {}", count(sessions, "session"))
}

fn valid(operations: usize, sessions: usize) -> Verdict {
    let (size, are) = (size(operations, sessions), are(operations));
    let text = format!("{size} {are} sequentially consistent");
    Verdict::valid(CHECKER, text)
}

fn vacuous() -> Verdict {
    let text = "no session read what another had written, so there is nothing to judge";
    Verdict::unknown(CHECKER, "vacuous", text)
}

fn exhausted(operations: usize, sessions: usize) -> Verdict {
    let size = size(operations, sessions);
    let text = format!("the budget ran out before an order of {size} was found or excluded");
    Verdict::unknown(CHECKER, "budget", text)
}

/// Of a history in which each read names its write.
fn of_versions(record: &Record, sessions: &Sessions<'_>, budget: Budget) -> Verdict {
    let (operations, width) = (sessions.ops.len(), sessions.sessions.len());
    let cross = sessions.cross_reads();
    // A third is for the violations that are easy to see: it need not be enough.
    let mut meter = Meter::new(Budget {
        steps: budget.steps / 3,
        ..budget
    });
    let early = convergent(sessions, &mut meter).ok();
    let early = early.filter(|found| !found.is_empty());
    let (verdict, steps) = match early {
        Some(mut found) => {
            for (_, contradiction) in &mut found.told {
                contradiction.name = NAME;
            }
            (invalid(CHECKER, found), meter.spent())
        }
        None => {
            let rest = meter.rest(u64::MAX);
            let found = decide(record, rest);
            let spent = found.figures.get("steps").and_then(|steps| steps.as_u64());
            let steps = meter.spent() + spent.unwrap_or(0);
            let verdict = match found.validity {
                Validity::Invalid => found,
                Validity::Unknown if cross > 0 => exhausted(operations, width),
                _ if cross == 0 => vacuous(),
                _ => {
                    let of = |name: &str| found.figures.get(name).cloned();
                    let figures = ["found-by", "order"].map(|name| (name, of(name)));
                    let valid = valid(operations, width);
                    figures
                        .into_iter()
                        .fold(valid, |valid, (name, figure)| match figure {
                            Some(figure) => valid.figure(name, figure),
                            None => valid,
                        })
                }
            };
            (verdict, steps)
        }
    };
    verdict
        .figure("sessions", width)
        .figure("keys", sessions.lines.len())
        .figure("operations", operations)
        .figure("cross-observations", cross)
        .figure("steps", steps)
}

/// What is said of the operations as transactions.
fn decide(record: &Record, budget: Budget) -> Verdict {
    let (alone, was) = registers(record);
    let mut verdict = LEVEL.judge(&alone, budget);
    let was = |index: &u64| was.get(*index as usize).copied().unwrap_or(*index);
    for anomaly in &mut verdict.anomalies {
        anomaly.calls = anomaly.calls.iter().map(was).collect();
        retell(&record.history, anomaly);
    }
    if let Some(order) = verdict.figures.get_mut("order")
        && let Some(indexes) = order.as_array()
    {
        let indexes = indexes.iter().filter_map(|index| index.as_u64());
        *order = indexes.map(|index| was(&index)).collect::<Vec<_>>().into();
    }
    verdict
}

/// The anomaly in the words of operations.
fn retell(history: &History, anomaly: &mut Anomaly) {
    let calls = anomaly
        .calls
        .iter()
        .filter_map(|index| history.call_at(*index));
    let calls: Vec<&Call> = calls.collect();
    anomaly.name = NAME.to_owned();
    anomaly.sentence = sentence(&calls);
    let keys = calls.iter().map(|call| call.operation.key());
    let first = calls.first().and_then(|call| call.operation.key());
    anomaly.key = first
        .filter(|_| keys.clone().all(|key| key == first))
        .cloned();
}

fn sentence(calls: &[&Call]) -> String {
    let answered = calls.iter().filter(|call| {
        let seen = matches!(
            call.operation,
            Operation::Read { .. } | Operation::Cas { .. }
        );
        call.is_ok() && seen
    });
    let last = answered.max_by_key(|call| call.completed.map(|stamp| stamp.index));
    let operations = count(calls.len(), "operation");
    let text = |read: &&Call| {
        let read = done(read);
        format!(
            "{read}, but no single order of {operations} that keeps each client's own explains that"
        )
    };
    last.map_or_else(String::new, text)
}

/// The record with reads and writes of registers alone; and, where something is left out, which
/// event each event was.
fn registers(record: &Record) -> (Cow<'_, Record>, Vec<u64>) {
    let is_plain = |call: &&Call| {
        matches!(
            call.operation,
            Operation::Read { .. } | Operation::Write { .. }
        )
    };
    let calls = record.history.calls();
    if calls.iter().all(|call| is_plain(&call)) {
        return (Cow::Borrowed(record), Vec::new());
    }
    let mut moments: Vec<(Stamp, &Call, bool)> = Vec::new();
    for call in calls.iter().filter(is_plain) {
        moments.push((call.invoked, call, false));
        moments.extend(call.completed.map(|stamp| (stamp, call, true)));
    }
    moments.sort_unstable_by_key(|(stamp, ..)| stamp.index);
    let event = |(index, (stamp, call, completes)): (usize, &(Stamp, &Call, bool))| Event {
        index: index as u64,
        time: stamp.time,
        process: Process::Client(call.process),
        node: call.node.clone(),
        body: match completes {
            true => Body::Complete(call.operation.clone(), call.outcome.clone()),
            false => Body::Invoke(call.operation.clone()),
        },
    };
    let events = moments.iter().enumerate().map(event);
    let alone = Record {
        history: History::from_events(events).unwrap_or_default(),
        ..Record::default()
    };
    let was = moments.iter().map(|(stamp, ..)| stamp.index).collect();
    (Cow::Owned(alone), was)
}

/// Of a history in which a value does not name its write.
fn of_values(history: &History, budget: Budget) -> Verdict {
    let program = Program::new(history.calls());
    let (operations, width) = (program.calls().len(), program.sessions().count());
    let cross = program.cross_reads();
    let mut meter = Meter::new(budget);
    let verdict = match ordered(&program, &mut meter) {
        Err(Exhausted) => exhausted(operations, width),
        Ok(None) => {
            let mut found = Found::default();
            let small = shrink(program, &meter);
            found.add(|| (None, tell(&small)));
            invalid(CHECKER, found)
        }
        Ok(Some(_)) if cross == 0 => vacuous(),
        Ok(Some(order)) => {
            let verdict = valid(operations, width).figure("found-by", "interleaving");
            let index = |at: &usize| program.calls().get(*at).map(|call| call.invoked.index);
            match order.len() > ORDER_LISTED_MAX {
                true => verdict,
                false => {
                    verdict.figure("order", order.iter().filter_map(index).collect::<Vec<_>>())
                }
            }
        }
    };
    verdict
        .figure("sessions", width)
        .figure("operations", operations)
        .figure("cross-observations", cross)
        .figure("steps", meter.spent())
}

/// Fewer operations that have no order either.
fn shrink<'a>(program: Program<'a>, meter: &Meter) -> Program<'a> {
    let mut meter = Meter::new(meter.rest(SHRINK_STEPS_MAX));
    let mut kept = program;
    let mut size = kept.calls().len().div_ceil(2);
    while size > 0 {
        let (mut from, before) = (0, kept.calls().len());
        while from < kept.calls().len() {
            let fewer = Program::new(kept.without(|op| (from..from + size).contains(&op)));
            if meter.spend(kept.calls().len()).is_err() {
                return kept;
            }
            match ordered(&fewer, &mut meter) {
                Ok(None) => kept = fewer,
                Ok(Some(_)) => from += size,
                Err(Exhausted) => return kept,
            }
        }
        // Single operations again as long as that helps.
        if size > 1 || kept.calls().len() == before {
            size /= 2;
        }
    }
    kept
}

fn tell<'a>(small: &Program<'a>) -> Contradiction<'a> {
    let mut facts: Vec<String> = small
        .sessions()
        .map(|calls| {
            let told: Vec<String> = calls.take(LISTED_MAX).map(whose).collect();
            format!("In this order: {}.", told.join("; "))
        })
        .collect();
    facts.push(
        "Every order of them all that keeps these orders was tried: in each, something else was \
         there than what was found."
            .to_owned(),
    );
    Contradiction {
        name: NAME,
        sentence: sentence(small.calls()),
        calls: small.calls().to_vec(),
        facts,
    }
}
