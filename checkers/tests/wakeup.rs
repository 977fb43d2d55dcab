//! Wake-ups, on simulated semaphores that are first in, first out, or are not; compared with every
//! run that could explain what the clients saw.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test that cannot go on panics, and says how much it compared"
)]

mod permit_model;
mod permit_oracle;
mod random;

use std::collections::BTreeMap;

use permit_model::{Fault, Setting, Tokens, key, simulate};
use permit_oracle::{Rules, possible};
use random::{Lcg, Timed, timeline};
use tribunal_checkers::{Budget, find, verify};
use tribunal_results::{
    Answer, Assumptions, Call, Grant, Operation, Outcome, Reason, Record, Validity, Verdict,
};

fn rounds(usual: u64) -> u64 {
    let wanted = std::env::var("TRIBUNAL_RANDOM_HISTORIES").ok();
    wanted.and_then(|n| n.parse().ok()).unwrap_or(usual)
}

const MS: u64 = 1_000_000;
/// The unit of the oracle: large against what the checker allows for clocks and rounding.
const UNIT: u64 = 10 * MS;
const FAULTS: [Fault; 4] = [Fault::None, Fault::LostSignal, Fault::Lifo, Fault::Dropped];

fn record(ops: &[Timed], setting: &Setting) -> Record {
    Record {
        history: timeline(ops),
        assume: Assumptions {
            permits: setting.permits as u32,
            wait_ms: Some(setting.wait / MS),
            ..Assumptions::default()
        },
        ..Record::default()
    }
}

fn check(record: &Record) -> Verdict {
    let checker = find("wakeup").expect("a checker");
    checker.check(record, Budget::default())
}

fn tokens(lcg: &mut Lcg) -> Tokens {
    match lcg.below(100) {
        0..70 => Tokens::Own,
        70..90 => Tokens::Shared,
        _ => Tokens::None,
    }
}

/// A few calls at whole multiples of the unit.
fn small(lcg: &mut Lcg, fault: Fault) -> Setting {
    // Who comes last passes nobody unless many wait for little.
    let scarce = fault == Fault::Lifo || lcg.percent(30);
    Setting {
        permits: if scarce { 1 } else { 1 + lcg.below(3) },
        wait: (3 + lcg.below(5)) * UNIT,
        hasty: 0,
        unit: UNIT,
        pace: 1 + lcg.below(2),
        tokens: tokens(lcg),
        lost: 5,
        lease: lcg.percent(20).then_some(8),
        clients: 2 + lcg.below(3) + u64::from(fault == Fault::Lifo),
        calls: 4 + lcg.below(5) as usize,
        fault,
    }
}

/// Many calls in fine time; waits end as early as clocks and whole milliseconds allow.
fn large(lcg: &mut Lcg, fault: Fault) -> Setting {
    let wait = (5 + lcg.below(40)) * MS;
    let drift = wait / MS * u64::from(Assumptions::default().clock_drift_ppm);
    Setting {
        permits: 1 + lcg.below(4),
        wait,
        hasty: drift + MS,
        unit: 1 + lcg.below(500_000),
        pace: 1 + lcg.below(30),
        tokens: tokens(lcg),
        lost: lcg.below(3),
        lease: lcg.percent(20).then_some(100),
        clients: 2 + lcg.below(8),
        calls: 20 + lcg.below(60) as usize,
        fault,
    }
}

/// Every anomaly is derived again; and without one of its calls it is not, where only one of them
/// was refused, so that no other can take its place.
fn confirm(record: &Record, verdict: &Verdict) {
    for anomaly in &verdict.anomalies {
        let context = || format!("{anomaly:#?} {record:#?}");
        assert_eq!(verify::witness(record, anomaly), Ok(()), "{}", context());
        let refused = |at: &&u64| record.history.call_at(**at).is_some_and(Call::is_fail);
        if anomaly.calls.iter().filter(refused).count() > 1 {
            continue;
        }
        for at in 0..anomaly.calls.len() {
            let mut less = anomaly.clone();
            less.calls.remove(at);
            assert!(verify::witness(record, &less).is_err(), "{}", context());
        }
    }
}

/// Whether somebody who came later for certain was granted permits while another was queued for
/// certain, and refused in the end.
fn was_overtaken(record: &Record) -> bool {
    let wait = record.assume.wait_ms.expect("a wait") * MS;
    let acquires = || {
        let calls = record.history.calls().iter();
        calls.filter(|call| matches!(call.operation, Operation::AcquirePermits { .. }))
    };
    let ended = |call: &Call| call.completed.expect("an end").time;
    acquires().any(|waiter| {
        let (from, to) = (
            ended(waiter).saturating_sub(wait),
            waiter.invoked.time + wait,
        );
        let refused = matches!(&waiter.outcome, Outcome::Fail(_)) && waiter.invoked.time <= from;
        let later = |other: &Call| other.is_ok() && other.invoked.time > from && ended(other) < to;
        refused && acquires().any(later)
    })
}

#[derive(Debug, Default)]
struct Counts {
    runs: u64,
    /// No correct semaphore can have answered so.
    refuted: u64,
    caught: u64,
    /// Of those not caught, in how many somebody was granted permits out of turn.
    missed_overtaken: u64,
}

impl Counts {
    fn compare(&mut self, ops: &[Timed], setting: &Setting, context: &dyn Fn() -> String) {
        let rules = Rules {
            permits: setting.permits,
            wait: setting.wait / UNIT,
            leases: setting.lease.is_some(),
        };
        let record = record(ops, setting);
        let verdict = check(&record);
        confirm(&record, &verdict);
        let invalid = verdict.validity == Validity::Invalid;
        let explained = possible(ops, UNIT, rules);
        let context = || format!("{}: {setting:?} {verdict:#?} {ops:#?}", context());
        assert!(!(invalid && explained), "a false alarm: {}", context());
        let overtaken = was_overtaken(&record);
        assert!(!(overtaken && explained), "a wrong oracle: {}", context());
        self.runs += 1;
        self.refuted += u64::from(!explained);
        self.caught += u64::from(invalid);
        self.missed_overtaken += u64::from(!invalid && overtaken);
    }
}

#[test]
fn no_run_explains_what_is_called_invalid_and_spoilt_queues_are_caught() {
    let mut counts: BTreeMap<String, Counts> = BTreeMap::new();
    let rounds = rounds(3_000);
    for seed in 0..rounds {
        let rng = &mut Lcg::new(seed ^ 0x33_0000);
        let fault = FAULTS[seed as usize % FAULTS.len()];
        let setting = small(rng, fault);
        let ops = simulate(rng, &setting);
        let context = || format!("seed {seed}");
        let of = |name: &str| format!("{fault:?}{name}");
        let told = counts.entry(of("")).or_default();
        told.compare(&ops, &setting, &context);
        let mut wrong = setting;
        let name = match rng.below(3) {
            0 => {
                wrong.permits += 1;
                ", and a permit more than there is"
            }
            1 => {
                wrong.wait -= UNIT;
                ", and less of a wait than there is"
            }
            _ => {
                wrong.permits += 2;
                wrong.wait -= UNIT;
                ", and both"
            }
        };
        let told = counts.entry(of(name)).or_default();
        told.compare(&ops, &wrong, &context);
    }
    println!("{counts:#?}");
    assert_eq!(counts["None"].refuted, 0, "{counts:#?}");
    // Whom a queue of a few calls serves out of turn is rarely seen.
    for (fault, share) in FAULTS[1..].iter().zip([20, 200, 20]) {
        let Counts { runs, caught, .. } = counts[&format!("{fault:?}")];
        assert!(caught * share > runs, "{fault:?}: {counts:#?}");
    }
    let more = &counts["None, and a permit more than there is"];
    assert!(more.caught * 20 > more.runs, "{counts:#?}");
}

#[test]
fn queues_that_are_first_in_first_out_are_never_called_invalid_and_others_often() {
    let mut caught = [0_u64; FAULTS.len()];
    let mut judged = 0;
    let rounds = rounds(4_000);
    for seed in 0..rounds {
        let rng = &mut Lcg::new(seed ^ 0x44_0000);
        let at = seed as usize % FAULTS.len();
        let setting = large(rng, FAULTS[at]);
        let ops = simulate(rng, &setting);
        let record = record(&ops, &setting);
        let verdict = check(&record);
        confirm(&record, &verdict);
        let invalid = verdict.validity == Validity::Invalid;
        let context = || format!("seed {seed}: {setting:?} {verdict:#?} {ops:#?}");
        assert!(at > 0 || !invalid, "a false alarm: {}", context());
        caught[at] += u64::from(invalid);
        judged += u64::from(at == 0 && verdict.validity == Validity::Valid);
    }
    println!("{rounds} runs, a quarter each of {FAULTS:?}: caught {caught:?}, {judged} valid");
    assert!(judged * 10 > rounds / 4, "{judged}");
    for (caught, share) in caught[1..].iter().zip([4, 10, 4]) {
        assert!(caught * share > rounds / 4, "{caught}");
    }
}

/// An acquire or, if there are no permits to take, a release under a token.
fn call(process: u64, (call, ret): (u64, u64), operation: Operation, outcome: Outcome) -> Timed {
    Timed {
        process,
        call: call * MS,
        ret: ret * MS,
        operation,
        outcome,
    }
}

fn take(permits: u32) -> Operation {
    let key = key();
    Operation::AcquirePermits { key, permits }
}

fn give(permits: u32, token: u64) -> Operation {
    let (key, token) = (key(), Some(token));
    Operation::ReleasePermits {
        key,
        permits,
        token,
    }
}

fn granted(token: u64) -> Outcome {
    let lease_ms = 1_000_000;
    Outcome::Ok(Answer::Grant(Grant { token, lease_ms }))
}

fn in_vain() -> Outcome {
    Outcome::Fail(Reason::new("temporarily-unavailable", ""))
}

/// What is said of these calls to a semaphore of two permits, where requests wait 100 ms.
fn names(ops: &[Timed]) -> Vec<String> {
    let mut record = Record {
        history: timeline(ops),
        ..Record::default()
    };
    record.assume.permits = 2;
    record.assume.wait_ms = Some(100);
    let verdict = check(&record);
    confirm(&record, &verdict);
    verdict.anomalies.into_iter().map(|a| a.name).collect()
}

#[test]
fn a_release_gives_back_one_of_two_grants_under_the_same_token() {
    let done = Outcome::Ok(Answer::Done);
    let mut ops = vec![
        call(1, (0, 1), take(1), granted(7)),
        call(1, (2, 3), take(1), granted(7)),
        call(1, (4, 5), give(1, 7), done.clone()),
        call(2, (10, 111), take(2), in_vain()),
    ];
    assert_eq!(names(&ops), [""; 0]);
    // Once the other one is given back as well, it is the other's turn.
    ops.push(call(1, (50, 60), give(1, 7), done));
    assert_eq!(names(&ops), ["lost-signal"]);
}

#[test]
fn a_release_does_not_give_back_what_is_granted_later_under_the_same_token() {
    let ops = [
        call(1, (0, 1), take(2), granted(7)),
        call(1, (2, 3), give(2, 7), Outcome::Ok(Answer::Done)),
        call(1, (4, 5), take(2), granted(7)),
        call(2, (10, 111), take(1), in_vain()),
    ];
    assert_eq!(names(&ops), [""; 0]);
}

#[test]
fn who_is_refused_while_all_permits_are_free_was_not_woken_or_passed_over() {
    let refused = call(2, (10, 111), take(1), in_vain());
    let later = call(3, (20, 30), take(1), granted(1));
    let both = [refused, later];
    assert_eq!(names(&both[..1]), ["lost-signal"]);
    assert_eq!(names(&both), ["passed-over"]);
    // Who came at once with it may have come before.
    let refused = call(2, (10, 120), take(2), in_vain());
    let perhaps_before = call(3, (20, 30), take(1), granted(1));
    assert_eq!(names(&[refused, perhaps_before]), [""; 0]);
}

#[test]
fn refusals_for_another_reason_or_too_early_and_waits_of_unknown_length_tell_nothing() {
    let other = Outcome::Fail(Reason::new("abort", ""));
    assert_eq!(names(&[call(2, (10, 111), take(1), other)]), [""; 0]);
    assert_eq!(names(&[call(2, (10, 90), take(1), in_vain())]), [""; 0]);
    let mut record = Record {
        history: timeline(&[call(2, (10, 111), take(1), in_vain())]),
        ..Record::default()
    };
    assert_eq!(check(&record).validity, Validity::Unknown);
    // Clocks that may differ by anything, and waits without end.
    record.assume.wait_ms = Some(100);
    record.assume.clock_drift_ppm = u32::MAX;
    assert_eq!(check(&record).validity, Validity::Unknown);
    record.assume.wait_ms = Some(u64::MAX);
    assert_eq!(check(&record).validity, Validity::Unknown);
}
