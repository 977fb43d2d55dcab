//! What is known of each log, and what contradicts it.

use std::collections::BTreeMap;

use rustc_hash::{FxHashMap, FxHashSet};
use serde_json::Value as Json;
use tribunal_results::{Call, History, Scalar};

use super::speech::{Placed, Speech};
use crate::tally::{Finding, Findings};
use crate::{Budget, explain};

/// Memory for a message each time that it is told, in bytes.
const BYTES_EACH: u64 = 240;

/// A message that was sent.
struct Sent<'a> {
    call: &'a Call,
    offset: Option<u64>,
}

/// What one poll saw of a log.
struct Seen<'a> {
    call: &'a Call,
    from: u64,
    messages: Vec<Placed>,
}

/// One log.
#[derive(Default)]
struct Topic<'a> {
    /// Messages as texts.
    sent: FxHashMap<String, Sent<'a>>,
    seen: Vec<Seen<'a>>,
    /// Which message is where, and who said so first.
    placed: BTreeMap<u64, (Json, &'a Call)>,
    commits: Vec<(u64, &'a Call)>,
    committed: Vec<(u64, &'a Call)>,
}

/// Every log.
pub(super) struct Account<'a> {
    topics: BTreeMap<Scalar, Topic<'a>>,
}

impl<'a> Account<'a> {
    /// Reads a history; `None` if the budget is too small.
    pub(super) fn of(history: &'a History, budget: Budget) -> Option<Self> {
        let mut left = budget.steps.min(budget.bytes / BYTES_EACH);
        let mut topics: BTreeMap<Scalar, Topic<'a>> = BTreeMap::new();
        for call in history.calls() {
            left = left.checked_sub(1)?;
            match Speech::of(call) {
                Some(Speech::Send {
                    key,
                    message,
                    offset,
                }) => {
                    let topic = topics.entry(key).or_default();
                    topic
                        .sent
                        .insert(message.to_string(), Sent { call, offset });
                    if let Some(offset) = offset {
                        topic.placed.entry(offset).or_insert((message, call));
                    }
                }
                Some(Speech::Poll(logs)) => {
                    for (key, from, messages) in logs {
                        left = left.checked_sub(messages.len() as u64)?;
                        let topic = topics.entry(key).or_default();
                        for (offset, message) in &messages {
                            let first = || (message.clone(), call);
                            topic.placed.entry(*offset).or_insert_with(first);
                        }
                        topic.seen.push(Seen {
                            call,
                            from,
                            messages,
                        });
                    }
                }
                Some(Speech::Commit(offsets)) => {
                    for (key, offset) in offsets {
                        topics.entry(key).or_default().commits.push((offset, call));
                    }
                }
                Some(Speech::Committed(offsets)) => {
                    for (key, offset) in offsets {
                        topics
                            .entry(key)
                            .or_default()
                            .committed
                            .push((offset, call));
                    }
                }
                None => {}
            }
        }
        Some(Self { topics })
    }

    /// Adds all that contradicts.
    pub(super) fn judge(&self, findings: &mut Findings) {
        for (key, topic) in &self.topics {
            for seen in &topic.seen {
                topic.passed_over(key, seen, findings);
                topic.strange(key, seen, findings);
                unordered(key, seen, findings);
            }
            topic.misplaced(key, findings);
            topic.went_back(key, findings);
            topic.uncommitted(key, findings);
        }
    }

    /// Messages acknowledged; messages polled, each time; acknowledged ones beyond all that was
    /// polled.
    pub(super) fn figures(&self) -> (usize, usize, usize) {
        let mut figures = (0, 0, 0);
        for topic in self.topics.values() {
            let offsets = || topic.sent.values().filter_map(|sent| sent.offset);
            let polled = || topic.seen.iter().flat_map(|seen| &seen.messages);
            let last = polled().map(|(offset, _)| *offset).max();
            figures.0 += offsets().count();
            figures.1 += polled().count();
            figures.2 += offsets().filter(|offset| Some(*offset) > last).count();
        }
        figures
    }
}

impl<'a> Topic<'a> {
    /// Messages that a poll should have had, for it had later ones.
    fn passed_over(&self, key: &'a Scalar, seen: &Seen<'a>, findings: &mut Findings) {
        let Some(last) = seen.messages.iter().map(|(offset, _)| *offset).max() else {
            return;
        };
        let there: FxHashSet<u64> = seen.messages.iter().map(|(offset, _)| *offset).collect();
        if seen.from > last {
            return;
        }
        for (offset, (message, teller)) in self.placed.range(seen.from..last) {
            if there.contains(offset) {
                continue;
            }
            let sent = self.sent.get(&message.to_string());
            let acknowledged = sent.filter(|sent| {
                sent.offset == Some(*offset)
                    && sent
                        .call
                        .returned()
                        .is_some_and(|end| end < seen.call.invoked.index)
            });
            let name = match acknowledged {
                Some(_) => "lost-message",
                None => "skipped-message",
            };
            let teller = acknowledged.map_or(*teller, |sent| sent.call);
            findings.add(name, || Finding {
                key: Some(key),
                sentence: format!(
                    "p{} polled log {key} from offset {} to {last} at {}{} without message \
                     {message} at offset {offset}",
                    seen.call.process,
                    seen.from,
                    explain::seconds(explain::ended(seen.call)),
                    explain::place(seen.call),
                ),
                calls: vec![teller, seen.call],
                facts: vec![match acknowledged {
                    Some(sent) => format!(
                        "{} before that poll began.",
                        explain::acknowledged(sent.call)
                    ),
                    None => format!("It is told by {}.", explain::whose(teller)),
                }],
            });
        }
    }

    /// Messages that nobody sent, or whose sending was refused.
    fn strange(&self, key: &'a Scalar, seen: &Seen<'a>, findings: &mut Findings) {
        for (offset, message) in &seen.messages {
            let sent = self.sent.get(&message.to_string());
            let why = match sent {
                None => "which nobody sent to it".to_owned(),
                Some(sent) if sent.call.is_fail() => {
                    format!("which was refused to p{}", sent.call.process)
                }
                Some(sent) if seen.call.returned() < Some(sent.call.invoked.index) => {
                    "which was sent only later".into()
                }
                Some(_) => continue,
            };
            let calls = sent.map(|sent| sent.call).into_iter().chain([seen.call]);
            findings.add("phantom-message", || Finding {
                key: Some(key),
                sentence: format!(
                    "p{} polled log {key} at {}{} and got message {message} at offset {offset}, {why}",
                    seen.call.process,
                    explain::seconds(explain::ended(seen.call)),
                    explain::place(seen.call),
                ),
                calls: calls.collect(),
                facts: vec![told_by(seen.call)],
            });
        }
    }

    /// Offsets that hold two messages, and messages that have two offsets.
    fn misplaced(&self, key: &'a Scalar, findings: &mut Findings) {
        let polled = self.seen.iter().flat_map(|seen| {
            let placed = seen.messages.iter();
            placed.map(|(offset, message)| (*offset, message.to_string(), seen.call))
        });
        let acknowledged = self.sent.iter();
        let acknowledged =
            acknowledged.filter_map(|(text, sent)| Some((sent.offset?, text.clone(), sent.call)));
        let mut all: Vec<_> = acknowledged.chain(polled).collect();
        all.sort_by_key(|(_, _, call)| call.invoked.index);
        let mut at: FxHashMap<u64, (String, &Call)> = FxHashMap::default();
        let mut of: FxHashMap<String, (u64, &Call)> = FxHashMap::default();
        let mut told = FxHashSet::default();
        for (offset, message, call) in all {
            let first = of.entry(message.clone()).or_insert((offset, call));
            if first.0 != offset && told.insert((offset, message.clone())) {
                let (other, teller) = *first;
                findings.add("duplicate-message", || Finding {
                    key: Some(key),
                    sentence: format!(
                        "message {message} is twice in log {key}: at offsets {other} and {offset}"
                    ),
                    calls: vec![teller, call],
                    facts: told_by_both(teller, call),
                });
            }
            let (other, teller) = at.entry(offset).or_insert_with(|| (message.clone(), call));
            if *other != message && told.insert((offset, message.clone())) {
                let (other, teller) = (&*other, *teller);
                findings.add("inconsistent-offset", || Finding {
                    key: Some(key),
                    sentence: format!(
                        "offset {offset} of log {key} holds two messages: {other} and {message}"
                    ),
                    calls: vec![teller, call],
                    facts: told_by_both(teller, call),
                });
            }
        }
    }

    /// Messages of one client whose offsets fall.
    fn went_back(&self, key: &'a Scalar, findings: &mut Findings) {
        let mut sent: Vec<(u64, &Call)> = self
            .sent
            .values()
            .filter_map(|sent| Some((sent.offset?, sent.call)))
            .collect();
        sent.sort_by_key(|(_, call)| call.invoked.index);
        let mut last: FxHashMap<u64, (u64, &Call)> = FxHashMap::default();
        for (offset, call) in sent {
            let before = last.insert(call.process, (offset, call));
            let Some((higher, first)) = before.filter(|(before, _)| *before > offset) else {
                continue;
            };
            findings.add("offset-went-back", || Finding {
                key: Some(key),
                sentence: format!(
                    "p{} sent to log {key} and was given offset {higher}, and then sent again and was given offset {offset}",
                    call.process
                ),
                calls: vec![first, call],
                facts: vec![told_by(first), told_by(call)],
            });
        }
    }

    /// Committed offsets beyond all that anybody committed: whoever goes on from there misses
    /// messages. Smaller ones only mean that some are read again.
    fn uncommitted(&self, key: &'a Scalar, findings: &mut Findings) {
        for (offset, call) in &self.committed {
            let is_so = |(asked, by): &(u64, &Call)| {
                asked >= offset && !by.is_fail() && Some(by.invoked.index) < call.returned()
            };
            if *offset == 0 || self.commits.iter().any(is_so) {
                continue;
            }
            findings.add("phantom-commit", || Finding {
                key: Some(key),
                sentence: format!(
                    "p{} was told at {}{} that offset {offset} of log {key} was committed, though nobody had come so far",
                    call.process,
                    explain::seconds(explain::ended(call)),
                    explain::place(call),
                ),
                calls: vec![call],
                facts: vec![told_by(call)],
            });
        }
    }
}

fn told_by(call: &Call) -> String {
    format!("{}.", explain::returned(call))
}

fn told_by_both(one: &Call, other: &Call) -> Vec<String> {
    let mut facts = vec![told_by(one), told_by(other)];
    facts.dedup();
    facts
}

/// Polls whose offsets do not rise, or begin too early.
fn unordered<'a>(key: &'a Scalar, seen: &Seen<'a>, findings: &mut Findings) {
    let offsets = || seen.messages.iter().map(|(offset, _)| *offset);
    let falls = offsets().zip(offsets().skip(1)).find(|(a, b)| a >= b);
    let early = offsets().find(|offset| *offset < seen.from);
    let what = match (falls, early) {
        (Some((a, b)), _) => format!("got offset {b} after offset {a}"),
        (None, Some(offset)) => format!("got offset {offset}"),
        (None, None) => return,
    };
    findings.add("unordered-poll", || Finding {
        key: Some(key),
        sentence: format!(
            "p{} polled log {key} from offset {} at {}{} and {what}",
            seen.call.process,
            seen.from,
            explain::seconds(explain::ended(seen.call)),
            explain::place(seen.call),
        ),
        calls: vec![seen.call],
        facts: vec![told_by(seen.call)],
    });
}
