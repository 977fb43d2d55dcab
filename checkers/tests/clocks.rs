//! Clocks over the message journal, compared with reachability by definition.
#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on panics"
)]

mod random;

use random::Lcg;
use tribunal_checkers::{Budget, find, verify};
use tribunal_results::message::{Act, Clocks, Hybrid, MessageEvent, Messages};
use tribunal_results::{Record, Validity, Verdict};

fn rounds(usual: u64) -> u64 {
    let wanted = std::env::var("TRIBUNAL_RANDOM_HISTORIES").ok();
    wanted.and_then(|n| n.parse().ok()).unwrap_or(usual)
}

/// How the clocks of a simulation tick.
#[derive(Clone, Copy, PartialEq)]
enum Ticks {
    Always,
    AtSends,
}

/// A journal of nodes that keep all their clocks right. Some messages are lost, some arrive twice;
/// deliveries are
/// in any order, which may be wrong.
fn journal(lcg: &mut Lcg, nodes: u32, events: u64, ticks: Ticks) -> Messages {
    let mut state: Vec<(u64, Clocks)> = vec![
        (
            0,
            Clocks {
                lamport: Some(0),
                vector: Some(vec![0; nodes as usize].into()),
                hybrid: Some(Hybrid {
                    wall: 0,
                    logical: 0
                }),
                physical: Some(0),
            }
        );
        nodes as usize
    ];
    let mut on_the_way: Vec<(u64, u32, Clocks)> = Vec::new();
    let mut arrived: Vec<(u64, u32)> = Vec::new();
    let mut messages = Messages {
        nodes: (0..nodes)
            .map(|n| format!("n{}", n + 1).as_str().into())
            .collect(),
        ..Messages::default()
    };
    for at in 0..events {
        let node = lcg.below(u64::from(nodes)) as u32;
        let mut from = None;
        let act = match lcg.below(6) {
            0 | 1 => Act::Send {
                message: at,
                to: None,
            },
            2 | 3 if !on_the_way.is_empty() => {
                let which = lcg.below(on_the_way.len() as u64) as usize;
                let (message, sender, clocks) = on_the_way[which].clone();
                if sender == node {
                    Act::Local
                } else {
                    if lcg.percent(40) {
                        on_the_way.remove(which);
                    }
                    arrived.push((message, node));
                    from = Some(clocks);
                    Act::Receive { message }
                }
            }
            4 | 5 => {
                let here: Vec<usize> = (0..arrived.len())
                    .filter(|at| arrived[*at].1 == node)
                    .collect();
                match here.len() as u64 {
                    0 => Act::Local,
                    some => {
                        let (message, _) = arrived.remove(here[lcg.below(some) as usize]);
                        Act::Deliver { message }
                    }
                }
            }
            _ => Act::Local,
        };
        let (step, clocks) = &mut state[node as usize];
        *step += 1 + lcg.below(2);
        tick(clocks, node, from.as_ref(), at * 3 + lcg.below(9), {
            ticks == Ticks::Always || matches!(act, Act::Send { .. })
        });
        if let Act::Send { message, .. } = act {
            on_the_way.push((message, node, clocks.clone()));
        }
        messages.events.push(MessageEvent {
            node,
            step: *step,
            time: at,
            act,
            clocks: clocks.clone(),
        });
    }
    // Lines may be in any order.
    for at in (1..messages.events.len()).rev() {
        messages.events.swap(at, lcg.below(at as u64 + 1) as usize);
    }
    messages
}

fn tick(clocks: &mut Clocks, node: u32, from: Option<&Clocks>, now: u64, ticks: bool) {
    let sent = from.and_then(|from| from.lamport).unwrap_or(0);
    clocks.lamport = clocks.lamport.map(|time| time.max(sent) + 1);
    if let Some(vector) = &mut clocks.vector {
        if let Some(sent) = from.and_then(|from| from.vector.as_ref()) {
            vector
                .iter_mut()
                .zip(sent)
                .for_each(|(is, sent)| *is = (*is).max(*sent));
        }
        vector[node as usize] += u64::from(ticks);
    }
    let physical = clocks.physical.unwrap_or(0).max(now);
    clocks.physical = Some(physical);
    let own = clocks.hybrid.expect("a clock");
    let sent = from.and_then(|from| from.hybrid).unwrap_or(own);
    let latest = own.max(sent);
    clocks.hybrid = Some(if physical > latest.wall {
        Hybrid {
            wall: physical,
            logical: 0,
        }
    } else {
        Hybrid {
            wall: latest.wall,
            logical: latest.logical + 1,
        }
    });
}

/// Whether each event happened before each other, by Floyd and Warshall; `None` if the journal
/// cannot be.
fn reachability(messages: &Messages) -> Option<Vec<Vec<bool>>> {
    let events = &messages.events;
    let mut before = vec![vec![false; events.len()]; events.len()];
    for (a, left) in events.iter().enumerate() {
        for (b, right) in events.iter().enumerate() {
            let arrives = match (left.act, right.act) {
                (Act::Send { message, .. }, Act::Receive { message: other })
                | (Act::Send { message, .. }, Act::Deliver { message: other }) => message == other,
                _ => false,
            };
            before[a][b] = arrives || (left.node == right.node && left.step < right.step);
            if a != b && left.node == right.node && left.step == right.step {
                return None;
            }
        }
        let sendings = |wanted: u64| {
            let sends =
                |e: &&MessageEvent| matches!(e.act, Act::Send { message, .. } if message == wanted);
            events.iter().filter(sends).count()
        };
        match left.act {
            Act::Local => {}
            Act::Send { message, .. } | Act::Receive { message } | Act::Deliver { message } => {
                if sendings(message) != 1 {
                    return None;
                }
            }
        }
    }
    for via in 0..events.len() {
        for a in 0..events.len() {
            for b in 0..events.len() {
                before[a][b] |= before[a][via] && before[via][b];
            }
        }
    }
    let cyclic = (0..events.len()).any(|at| before[at][at]);
    (!cyclic).then_some(before)
}

fn at_most(left: &[u64], right: &[u64]) -> bool {
    left.iter().zip(right).all(|(left, right)| left <= right)
}

/// What the definitions say of each checker's property.
fn truth(record: &Record, before: &[Vec<bool>], checker: &str) -> bool {
    let events = &record.messages.events;
    let pairs = || {
        let each = 0..events.len();
        each.clone()
            .flat_map(move |a| each.clone().map(move |b| (a, b)))
    };
    let ordered = || pairs().filter(|(a, b)| before[*a][*b]);
    let vector = |at: usize| events[at].clocks.vector.as_deref().expect("a clock");
    let lamport = |at: usize| events[at].clocks.lamport.expect("a clock");
    let hybrid = |at: usize| events[at].clocks.hybrid.expect("a clock");
    let physical = |at: usize| events[at].clocks.physical.expect("a clock");
    match checker {
        "lamport-clocks" => {
            let exact = (0..events.len()).all(|at| {
                let causes = (0..events.len()).filter(|cause| before[*cause][at]);
                lamport(at) == causes.map(lamport).max().unwrap_or(0) + 1
            });
            ordered().all(|(a, b)| lamport(a) < lamport(b))
                && (exact || !record.assume.clocks_exact)
        }
        "hybrid-clocks" => {
            let bound = record
                .assume
                .hybrid_drift_ms
                .map_or(u64::MAX, |ms| ms * 1_000_000);
            ordered().all(|(a, b)| hybrid(a) < hybrid(b))
                && (0..events.len()).all(|at| {
                    hybrid(at).wall >= physical(at) && hybrid(at).wall - physical(at) <= bound
                })
        }
        "vector-clocks" if record.assume.clocks_exact => (0..events.len()).all(|at| {
            (0..record.messages.nodes.len()).all(|node| {
                let counted = |other: &usize| {
                    events[*other].node as usize == node && (before[*other][at] || *other == at)
                };
                vector(at)[node] == (0..events.len()).filter(counted).count() as u64
            })
        }),
        "vector-clocks" => {
            let ticked = |at: usize| {
                let mine = |other: &usize| {
                    events[*other].node == events[at].node && events[*other].step < events[at].step
                };
                let last = (0..events.len())
                    .filter(mine)
                    .max_by_key(|other| events[*other].step);
                let own = events[at].node as usize;
                vector(at)[own] > last.map_or(0, |last| vector(last)[own])
            };
            ordered().all(|(a, b)| at_most(vector(a), vector(b)))
                && pairs().all(|(a, b)| {
                    a == b || before[a][b] || !ticked(a) || !at_most(vector(a), vector(b))
                })
        }
        _ => {
            let delivery = |at: usize| match events[at].act {
                Act::Deliver { message } => Some(message),
                _ => None,
            };
            let sending = |wanted: u64| {
                let sends = |e: &MessageEvent| matches!(e.act, Act::Send { message, .. } if message == wanted);
                events.iter().position(sends).expect("a sending")
            };
            let first = |at: usize| {
                let again = |other: usize| {
                    delivery(other) == delivery(at)
                        && events[other].node == events[at].node
                        && events[other].step < events[at].step
                };
                !(0..events.len()).any(again)
            };
            pairs().all(|(a, b)| match (delivery(a), delivery(b)) {
                (Some(early), Some(late)) if first(a) && first(b) => {
                    let here = events[a].node == events[b].node && before[a][b];
                    !(here && before[sending(late)][sending(early)])
                }
                _ => true,
            })
        }
    }
}

const CHECKERS: [&str; 4] = [
    "lamport-clocks",
    "hybrid-clocks",
    "vector-clocks",
    "causal-delivery",
];

fn judge(record: &Record, checker: &str) -> Verdict {
    let checker = find(checker).expect("a checker");
    checker.check(record, Budget::default())
}

/// Changes some clock a little.
fn spoil(lcg: &mut Lcg, messages: &mut Messages) {
    let at = lcg.below(messages.events.len() as u64) as usize;
    let clocks = &mut messages.events[at].clocks;
    let up = lcg.percent(50);
    let change = |n: u64| if up { n + 1 } else { n.saturating_sub(1) };
    match lcg.below(4) {
        0 => clocks.lamport = clocks.lamport.map(change),
        1 => {
            let vector = clocks.vector.as_mut().expect("a clock");
            let entry = lcg.below(vector.len() as u64) as usize;
            vector[entry] = change(vector[entry]);
        }
        2 => clocks.physical = clocks.physical.map(|n| n + lcg.below(4)),
        _ => {
            let hybrid = clocks.hybrid.as_mut().expect("a clock");
            hybrid.wall = change(hybrid.wall);
            hybrid.logical = lcg.below(3);
        }
    }
}

#[test]
fn clocks_are_judged_as_reachability_says() {
    let mut counts = [[0_u64; 2]; 4];
    let total = rounds(6_000);
    for seed in 0..total {
        let lcg = &mut Lcg::new(seed);
        let ticks = if lcg.percent(70) {
            Ticks::Always
        } else {
            Ticks::AtSends
        };
        let nodes = 2 + lcg.below(3) as u32;
        let events = 4 + lcg.below(20);
        let mut record = Record {
            messages: journal(lcg, nodes, events, ticks),
            ..Record::default()
        };
        record.assume.clocks_exact = ticks == Ticks::Always && lcg.percent(50);
        let spoilt = lcg.percent(60);
        for _ in 0..if spoilt { 1 + lcg.below(3) } else { 0 } {
            spoil(lcg, &mut record.messages);
        }
        let before = reachability(&record.messages).expect("a journal that can be");
        for (at, checker) in CHECKERS.into_iter().enumerate() {
            let verdict = judge(&record, checker);
            let holds = truth(&record, &before, checker);
            assert!(holds || spoilt || checker == "causal-delivery");
            let said = verdict.validity != Validity::Invalid;
            assert_eq!(said, holds, "{checker}, seed {seed}: {verdict:#?}");
            counts[at][usize::from(holds)] += 1;
            for anomaly in &verdict.anomalies {
                let derived = verify::witness(&record, anomaly);
                assert_eq!(derived, Ok(()), "{checker}, seed {seed}: {anomaly:#?}");
                let mut tampered = anomaly.clone();
                tampered.facts.clear();
                assert!(verify::witness(&record, &tampered).is_err());
            }
        }
    }
    for [violated, holds] in counts {
        assert!(violated > total / 200 && holds > total / 5, "{counts:?}");
    }
}

#[test]
fn a_journal_that_cannot_be_is_unknown() {
    let mut malformed = 0;
    for seed in 0..rounds(3_000) {
        let lcg = &mut Lcg::new(seed);
        let mut record = Record {
            messages: journal(lcg, 3, 12, Ticks::Always),
            ..Record::default()
        };
        let events = &mut record.messages.events;
        let (a, b) = (lcg.below(12) as usize, lcg.below(12) as usize);
        match lcg.below(4) {
            0 => {
                events.remove(a);
            }
            1 => events[a].step = lcg.below(12),
            2 => events[a].act = events[b].act,
            _ => {
                let step = events[a].step;
                events[a].step = events[b].step;
                events[b].step = step;
            }
        }
        let possible = reachability(&record.messages).is_some();
        for checker in CHECKERS {
            let code = judge(&record, checker).unknown.map(|reason| reason.code);
            let refused = code.as_deref() == Some("malformed-journal");
            assert_eq!(refused, !possible, "{checker}, seed {seed}");
        }
        malformed += u64::from(!possible);
    }
    assert!(malformed > rounds(3_000) / 10);
    assert!(malformed < rounds(3_000) * 9 / 10);
}

#[test]
fn witnesses_of_sound_clocks_are_refused() {
    let lcg = &mut Lcg::new(1);
    let mut record = Record {
        messages: journal(lcg, 3, 40, Ticks::Always),
        ..Record::default()
    };
    record.messages.events[7].clocks.lamport = Some(0);
    let verdict = judge(&record, "lamport-clocks");
    let anomaly = verdict.anomalies.first().expect("an anomaly");
    assert_eq!(verify::witness(&record, anomaly), Ok(()));
    record.messages = journal(&mut Lcg::new(1), 3, 40, Ticks::Always);
    assert!(verify::witness(&record, anomaly).is_err());
}
