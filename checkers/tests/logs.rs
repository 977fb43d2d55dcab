//! The checker of logs against an oracle that tries every content that a log can have had.
#![allow(clippy::panic, reason = "a test that cannot go on panics")]

mod random;

use std::collections::BTreeMap;

use random::{Lcg, Timed, failed, history, unknown};
use serde_json::{Value as Json, json};
use tribunal_checkers::{Budget, find, verify};
use tribunal_results::{Answer, Operation, Outcome, Record, Validity, Verdict};

/// Offsets and messages are smaller than this.
const SMALL: u64 = 5;

/// An operation on one log, and what came of it.
#[derive(Clone, Debug)]
enum Said {
    /// A message, and its offset if it was acknowledged.
    Send(u64, Option<u64>),
    /// From which offset, and what was there.
    Poll(u64, Vec<(u64, u64)>),
    Commit(u64),
    Committed(u64),
}

/// When it was said, by whom, and whether it was refused.
#[derive(Clone, Debug)]
struct Step {
    process: u64,
    call: u64,
    ret: u64,
    refused: bool,
    said: Said,
}

impl Step {
    fn timed(&self) -> Timed {
        let (name, asked, answer) = match &self.said {
            Said::Send(message, offset) => (
                "send",
                json!({ "key": "k", "msg": message }),
                offset.map(|offset| json!({ "offset": offset })),
            ),
            Said::Poll(from, messages) => (
                "poll",
                json!({ "offsets": { "k": from } }),
                Some(json!({ "msgs": { "k": messages } })),
            ),
            Said::Commit(offset) => (
                "commit-offsets",
                json!({ "offsets": { "k": offset } }),
                Some(Json::Null),
            ),
            Said::Committed(offset) => (
                "list-committed-offsets",
                json!({ "keys": ["k"] }),
                Some(json!({ "offsets": { "k": offset } })),
            ),
        };
        Timed {
            process: self.process,
            call: self.call,
            ret: self.ret,
            operation: Operation::Custom {
                name: name.into(),
                value: asked,
            },
            outcome: match answer {
                _ if self.refused => failed(),
                Some(answer) => Outcome::Ok(Answer::Custom(answer)),
                None => unknown(),
            },
        }
    }

    /// What was polled, unless the poll failed.
    fn polled(&self) -> Option<(u64, &[(u64, u64)])> {
        match &self.said {
            Said::Poll(from, messages) if !self.refused => Some((*from, messages)),
            _ => None,
        }
    }

    /// A message that may be in the log, and its offset if that is known.
    fn sent(&self) -> Option<(u64, Option<u64>)> {
        match &self.said {
            Said::Send(message, offset) if !self.refused => Some((*message, *offset)),
            _ => None,
        }
    }
}

/// Whether some content of the log explains all that was said.
fn possible(steps: &[Step]) -> bool {
    committed_is_possible(steps) && in_turn(steps) && some_log(steps, &mut Vec::new())
}

/// Nobody is told of an offset beyond all those that may have been committed by then.
fn committed_is_possible(steps: &[Step]) -> bool {
    steps.iter().all(|told| match told.said {
        Said::Committed(offset) if !told.refused => {
            let committed = |step: &Step| match step.said {
                Said::Commit(upto) => !step.refused && step.call < told.ret && upto >= offset,
                _ => false,
            };
            offset == 0 || steps.iter().any(committed)
        }
        _ => true,
    })
}

/// The offsets that a process is given rise.
fn in_turn(steps: &[Step]) -> bool {
    let mut last = BTreeMap::new();
    steps.iter().all(|step| {
        let offset = step.sent().and_then(|(_, offset)| offset);
        offset.is_none_or(|offset| last.insert(step.process, offset) <= Some(offset))
    })
}

/// Tries what is at the next offset: nothing, or any message that is nowhere yet.
fn some_log(steps: &[Step], log: &mut Vec<Option<u64>>) -> bool {
    if log.len() as u64 == 2 * SMALL {
        return explains(log, steps);
    }
    let told = |step: &Step| {
        let at = log.len() as u64;
        step.sent().is_some_and(|(_, offset)| offset == Some(at))
            || step
                .polled()
                .is_some_and(|(_, got)| got.iter().any(|(offset, _)| *offset == at))
    };
    // An offset that nobody speaks of may as well be empty.
    let messages = match steps.iter().any(told) {
        true => 0..SMALL,
        false => 0..0,
    };
    for content in messages.map(Some).chain([None]) {
        if content.is_some() && log.contains(&content) {
            continue;
        }
        log.push(content);
        if some_log(steps, log) {
            return true;
        }
        log.pop();
    }
    false
}

/// Whether the log, as it is at the end, explains all sends and polls.
fn explains(log: &[Option<u64>], steps: &[Step]) -> bool {
    let entries = || (0..).zip(log).filter_map(|(at, held)| Some((at, (*held)?)));
    let all_sent = entries().all(|(_, held)| {
        let mut sends = steps.iter().filter_map(Step::sent);
        sends.any(|(message, _)| message == held)
    });
    let acknowledged = |step: &Step| match step.sent() {
        Some((message, Some(offset))) => log.get(offset as usize) == Some(&Some(message)),
        _ => true,
    };
    let polled = |step: &Step| {
        let Some((from, got)) = step.polled() else {
            return true;
        };
        let Some((last, _)) = got.last() else {
            return true;
        };
        let there: Vec<_> = entries()
            .filter(|(at, _)| (from..=*last).contains(at))
            .collect();
        there == got
            && got
                .iter()
                .all(|(_, message)| sent_before(steps, *message, step.ret))
    };
    all_sent && steps.iter().all(|step| acknowledged(step) && polled(step))
}

fn sent_before(steps: &[Step], wanted: u64, end: u64) -> bool {
    let mut sends = steps.iter().filter(|step| step.call < end);
    sends.any(|step| step.sent().is_some_and(|(message, _)| message == wanted))
}

/// A log that is right, told of by a few clients, of whom some misremember.
fn generate(rng: &mut Lcg) -> Vec<Step> {
    let (spoilt, unknown) = ([0, 5, 20][rng.below(3) as usize], 15);
    let mut log: Vec<(u64, u64)> = Vec::new();
    let (mut free, mut names) = ([0; 3], [0, 1, 2]);
    let (mut sent, mut upto, mut end) = (0, 0, 0);
    let mut steps = Vec::new();
    for number in 1..=4 + rng.below(6) {
        let now = number * 1_000;
        let thread = rng.below(3);
        let process = names[thread as usize];
        if free[thread as usize] >= now {
            continue;
        }
        let call = (now - rng.below(100) * 10).max(free[thread as usize] + 1) + 1;
        let ret = now + 3 + rng.below(190) * 10;
        free[thread as usize] = ret;
        let mut refused = false;
        let said = match rng.below(5) {
            0 | 1 if sent < SMALL => {
                let offset = end + u64::from(rng.percent(15));
                refused = rng.percent(10);
                if !refused {
                    log.push((offset, sent));
                    end = offset + 1;
                }
                sent += 1;
                Said::Send(sent - 1, (!rng.percent(unknown)).then_some(offset))
            }
            0..=2 => {
                let from = rng.below(3);
                let there = log.iter().filter(|(offset, _)| *offset >= from);
                let most = there.clone().count() as u64;
                Said::Poll(
                    from,
                    there
                        .take(rng.below(most + 1) as usize + 1)
                        .copied()
                        .collect(),
                )
            }
            3 => {
                upto = upto.max(rng.below(SMALL));
                Said::Commit(upto)
            }
            _ => Said::Committed(rng.below(upto + 1)),
        };
        let mut step = Step {
            process,
            call: call * 3 + thread,
            ret: ret * 3 + thread,
            refused,
            said,
        };
        if rng.percent(spoilt) {
            misremember(rng, &mut step);
        }
        // Who never heard goes on by another name.
        if let (Said::Send(_, None), false) = (&step.said, step.refused) {
            names[thread as usize] += 3;
        }
        steps.push(step);
    }
    steps
}

fn misremember(rng: &mut Lcg, step: &mut Step) {
    match &mut step.said {
        Said::Send(_, Some(offset)) if rng.percent(70) => *offset = rng.below(SMALL),
        Said::Send(..) => step.refused = !step.refused,
        Said::Poll(_, got) if !got.is_empty() => {
            let at = rng.below(got.len() as u64) as usize;
            match rng.below(4) {
                0 => drop(got.remove(at)),
                1 => got[at].0 = rng.below(SMALL),
                2 => got[at].1 = rng.below(SMALL),
                _ => got.swap(0, at),
            }
        }
        Said::Poll(_, got) => got.push((rng.below(SMALL), rng.below(SMALL))),
        Said::Commit(_) => step.refused = true,
        Said::Committed(offset) => *offset += 1,
    }
}

fn judge(steps: &[Step]) -> (Record, Verdict) {
    let timed: Vec<Timed> = steps.iter().map(Step::timed).collect();
    let record = Record {
        history: history(&timed),
        ..Record::default()
    };
    let checker = find("log").unwrap_or_else(|| panic!("the checker"));
    let verdict = checker.check(&record, Budget::default());
    (record, verdict)
}

#[test]
fn the_checker_agrees_with_trying_every_log() {
    let rounds = 20_000;
    let (mut valid, mut invalid) = (0, BTreeMap::new());
    for seed in 0..rounds {
        let steps = generate(&mut Lcg::new(seed));
        let (record, verdict) = judge(&steps);
        let vacuous = verdict.unknown.as_ref().is_none_or(|u| u.code == "vacuous");
        assert!(vacuous, "{seed}: {verdict:#?}");
        let contradicted = verdict.validity == Validity::Invalid;
        assert_eq!(
            !contradicted,
            possible(&steps),
            "{seed}: {steps:#?} {verdict:#?}"
        );
        for anomaly in &verdict.anomalies {
            // The verifier does not derive that one poll tells two things of an offset or message.
            let derived = verify::witness(&record, anomaly);
            let alone = anomaly.calls.len() == 1
                && ["duplicate-message", "inconsistent-offset"].contains(&&*anomaly.name);
            assert!(
                derived.is_ok() || alone,
                "{seed}: {derived:?}: {steps:#?} {anomaly:#?}"
            );
            *invalid.entry(anomaly.name.clone()).or_insert(0) += 1;
        }
        valid += u64::from(!contradicted);
    }
    assert!(valid > rounds / 3, "{valid} valid");
    // Each kind of contradiction there is was met, and often.
    assert_eq!(invalid.len(), 8, "{invalid:?}");
    assert!(invalid.values().all(|met| *met > 50), "{invalid:?}");
}
