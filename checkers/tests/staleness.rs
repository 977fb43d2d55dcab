//! Staleness, compared with every order of the updates that their times allow.
#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on panics"
)]

mod random;

use random::{Lcg, Timed, failed, timeline, unknown};
use tribunal_checkers::{Budget, find, verify};
use tribunal_results::{Answer, Call, Operation, Outcome, Record, Scalar, Validity, Verdict};

fn rounds(usual: u64) -> u64 {
    let wanted = std::env::var("TRIBUNAL_RANDOM_HISTORIES").ok();
    wanted.and_then(|n| n.parse().ok()).unwrap_or(usual)
}

fn check(record: &Record) -> Verdict {
    let checker = find("staleness").expect("a checker");
    checker.check(record, Budget::default())
}

const MS: u64 = 1_000_000;

/// A few updates with values of their own, and reads that show any of them.
fn history(lcg: &mut Lcg, is_set: bool) -> Record {
    let mut ops: Vec<Timed> = Vec::new();
    let updates = 1 + lcg.below(3);
    for (process, is_update) in (0..updates)
        .map(|n| (n, true))
        .chain((5..7).map(|n| (n, false)))
    {
        let key = Scalar::from("x");
        let value = Scalar::Int(process as i64);
        let (operation, answer) = match (is_update, is_set) {
            (true, true) => (Operation::Add { key, value }, Answer::Done),
            (true, false) => (Operation::Write { key, value }, Answer::Done),
            (false, true) => {
                let some = (0..updates as i64).filter(|_| lcg.percent(55));
                (
                    Operation::Members { key },
                    Answer::Values(some.map(Scalar::Int).collect()),
                )
            }
            (false, false) => {
                let value = lcg.below(updates + 1) as i64 - 1;
                let value = (value >= 0).then_some(Scalar::Int(value));
                (Operation::Read { key }, Answer::Value(value))
            }
        };
        let call = (lcg.below(25) * 20 + process) * MS;
        let ret = call + (1 + lcg.below(12)) * 20 * MS + 10 * MS;
        let outcome = match lcg.below(100) {
            0..20 if is_update => unknown(),
            20..24 if is_update => failed(),
            _ => Outcome::Ok(answer),
        };
        ops.push(Timed {
            process,
            call,
            ret,
            operation,
            outcome,
        });
    }
    Record {
        history: timeline(&ops),
        ..Record::default()
    }
}

/// All orders in which updates and reads may have taken effect: each between its events, a read
/// after what it shows.
struct Orders<'a> {
    calls: Vec<&'a Call>,
    times: Vec<u64>,
    /// Of each read, the least that it misses, and for how long, over all orders.
    least: Vec<Option<(usize, u64)>>,
    feasible: bool,
}

fn shown(call: &Call) -> Vec<&Scalar> {
    match &call.outcome {
        Outcome::Ok(Answer::Value(value)) => value.iter().collect(),
        Outcome::Ok(Answer::Values(values)) => values.iter().collect(),
        _ => Vec::new(),
    }
}

fn put(call: &Call) -> Option<&Scalar> {
    match &call.operation {
        Operation::Write { value, .. } | Operation::Add { value, .. } => Some(value),
        _ => None,
    }
}

impl<'a> Orders<'a> {
    fn of(record: &'a Record) -> Self {
        let calls: Vec<&Call> = record
            .history
            .calls()
            .iter()
            .filter(|c| !c.is_fail())
            .collect();
        let end = record.history.end().expect("an end").index as usize;
        let mut times = vec![0; end + 2];
        for call in record.history.calls() {
            times[call.invoked.index as usize] = call.invoked.time;
            let completed = call.completed.expect("an end");
            times[completed.index as usize] = completed.time;
        }
        times[end + 1] = times[end];
        let least = vec![None; calls.len()];
        let mut orders = Self {
            calls,
            times,
            least,
            feasible: false,
        };
        orders.extend(&mut Vec::new(), 0);
        orders
    }

    /// Extends an order of effects, each with the last event before it, by what happens from the
    /// event `at` on.
    fn extend(&mut self, order: &mut Vec<(usize, usize)>, at: usize) {
        if at + 1 == self.times.len() {
            return self.judge(order);
        }
        let taken: Vec<usize> = order.iter().map(|(call, _)| *call).collect();
        let done = |call: usize| taken.contains(&call);
        let due = |call: &&Call| call.is_ok() && call.returned() == Some(at as u64);
        let due = self.calls.iter().position(due);
        if due.is_none_or(done) {
            self.extend(order, at + 1);
        }
        let ready: Vec<usize> = (0..self.calls.len())
            .filter(|&which| {
                let call = self.calls[which];
                let open = (call.invoked.index as usize) < at;
                let seen = shown(call).into_iter().all(|value| {
                    let writer = self.calls.iter().position(|c| put(c) == Some(value));
                    writer.is_some_and(done)
                });
                open && !done(which) && seen
            })
            .collect();
        for which in ready {
            order.push((which, at - 1));
            self.extend(order, at);
            order.pop();
        }
    }

    fn judge(&mut self, order: &[(usize, usize)]) {
        self.feasible = true;
        for (place, &(read, gap)) in order.iter().enumerate() {
            if put(self.calls[read]).is_some() {
                continue;
            }
            let is_set = matches!(self.calls[read].operation, Operation::Members { .. });
            let values = shown(self.calls[read]);
            let wrote = |(call, _): &&(usize, usize)| put(self.calls[*call]).is_some();
            let old = order.iter().position(|(call, _)| {
                !is_set && put(self.calls[*call]).is_some_and(|v| values.contains(&v))
            });
            let from = old.map_or(0, |old| old + 1);
            let before = order.get(from..place).unwrap_or_default();
            let missed: Vec<&(usize, usize)> = before
                .iter()
                .filter(wrote)
                .filter(|(call, _)| !put(self.calls[*call]).is_some_and(|v| values.contains(&v)))
                .collect();
            // It takes effect right after its last event, the first it misses right before its next.
            let age = missed.first().map_or(0, |(_, first)| {
                self.times[gap].saturating_sub(self.times[first + 1])
            });
            let (behind, least) = (
                missed.len(),
                self.least[read].unwrap_or((usize::MAX, u64::MAX)),
            );
            self.least[read] = Some((least.0.min(behind), least.1.min(age)));
        }
    }
}

#[test]
fn staleness_is_the_least_over_all_orders() {
    let (mut stale_reads, mut feasible) = (0, 0);
    let total = rounds(4_000);
    for seed in 0..total {
        let lcg = &mut Lcg::new(seed);
        let mut record = history(lcg, seed % 3 == 0);
        let orders = Orders::of(&record);
        if !orders.feasible {
            continue;
        }
        feasible += 1;
        let least: Vec<(usize, u64)> = orders.least.iter().flatten().copied().collect();
        let stale = least.iter().filter(|(behind, _)| *behind > 0).count();
        let behind = least.iter().map(|(behind, _)| *behind).max().unwrap_or(0);
        let age = least.iter().map(|(_, age)| *age).max().unwrap_or(0);
        record.assume.staleness_ms = Some(0);
        let verdict = check(&record);
        let text = || format!("seed {seed}: {verdict:#?} {:#?}", record.history.calls());
        assert_eq!(verdict.figures["stale-reads"], stale, "{}", text());
        assert_eq!(verdict.figures["versions-behind-max"], behind, "{}", text());
        assert_eq!(
            verdict.figures["staleness-ms-max"],
            (age / MS) as f64,
            "{}",
            text()
        );
        let older = least.iter().filter(|(_, age)| *age > 0).count() as u64;
        assert_eq!(verdict.anomalies_total, older, "{}", text());
        stale_reads += older;
        verified(&record, &verdict);
        record.assume.staleness_ms = Some(age / MS);
        assert_ne!(check(&record).validity, Validity::Invalid);
    }
    assert!(feasible > total / 4, "{feasible}");
    assert!(stale_reads > total / 20, "{stale_reads}");
}

fn verified(record: &Record, verdict: &Verdict) {
    let worst = verdict.figures["staleness-ms-max"]
        .as_f64()
        .expect("a number");
    for (place, anomaly) in verdict.anomalies.iter().enumerate() {
        assert_eq!(verify::witness(record, anomaly), Ok(()), "{anomaly:#?}");
        for at in 0..anomaly.calls.len() {
            let mut tampered = anomaly.clone();
            tampered.calls.remove(at);
            // Fewer calls do not show the whole age, or none at all.
            let mut strict = record.clone();
            strict.assume.staleness_ms = Some(worst as u64 - 1);
            let derived = verify::witness(&strict, &tampered);
            assert!(derived.is_err() || place > 0, "{anomaly:#?}");
        }
        let mut lenient = record.clone();
        lenient.assume.staleness_ms = Some(1_000_000);
        assert!(verify::witness(&lenient, anomaly).is_err());
    }
}

#[test]
fn how_long_until_writes_are_seen_is_told_by_node() {
    let op = |process, call, ret, operation, answer| Timed {
        process,
        call: call * MS,
        ret: ret * MS,
        operation,
        outcome: Outcome::Ok(answer),
    };
    let key = || Scalar::from("x");
    let seen = || Answer::Values(vec![1.into()]);
    let record = Record {
        history: timeline(&[
            op(
                0,
                10,
                20,
                Operation::Add {
                    key: key(),
                    value: 1.into(),
                },
                Answer::Done,
            ),
            op(1, 25, 30, Operation::Members { key: key() }, seen()),
            op(
                2,
                40,
                41,
                Operation::Members { key: key() },
                Answer::Values(Vec::new()),
            ),
            op(5, 60, 70, Operation::Members { key: key() }, seen()),
        ]),
        ..Record::default()
    };
    let visible = check(&record).figures["visible-ms"].clone();
    assert_eq!(visible["n2"]["max"], 10.0);
    assert_eq!(visible["n3"]["max"], 50.0);
    assert_eq!(visible["n3"]["seen"], 1);
}
