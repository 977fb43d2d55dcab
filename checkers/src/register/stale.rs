//! The few calls behind a contradiction, where two values tell it all.
//!
//! Everything here looks at the history up to the operation `last`, the first to return without
//! an order that explains it; it needs the value *old*. Each rule is sound by itself:
//!
//! * **settled**: *old* cannot become current again after some event: it is absence, or all its
//!   writes had returned by then, or it has one writer and an operation that returned by then
//!   had it (a value that is written once occupies one stretch of time);
//! * **superseded**: an operation that lies wholly between that event and the call of `last` had
//!   another value. So *old* was gone when `last` began, for ever;
//! * **inversion**: *old* and *new* have one writer each. *new* still was to come after *old*
//!   was settled, so *old* came first; and *new* was there before `last` was called;
//! * **fork**: two compare-and-sets succeeded on one and the same version.
//!
//! The second and third are the 2-cycles of zones in Gibbons & Korach, *Testing shared
//! memories*, SIAM J. Comput. 26(4), 1997.

use rustc_hash::FxHashMap;
use tribunal_results::Call;

use super::{ABSENT, Contradiction, Entry, Key, Step, Value};
use crate::explain;

/// More calls than this are no explanation.
const CALLS_MAX: usize = 8;

/// Explains why `last` fits nowhere, given all that was called before it returned; `None` if no
/// rule does.
pub(crate) fn explain<'a>(
    key: &Key<'a>,
    prefix: &[Entry<'a>],
    last: &Entry<'a>,
) -> Option<Contradiction<'a>> {
    let old = last.op.step.needs()?;
    let scene = Scene {
        key,
        prefix,
        last,
        old,
        writers: prefix
            .iter()
            .filter(|e| e.op.step.sets() == Some(old) && !e.is(last))
            .collect(),
    };
    scene
        .fork()
        .or_else(|| scene.superseded())
        .or_else(|| scene.inversion())
        .filter(|found| found.calls.len() <= CALLS_MAX)
}

struct Scene<'s, 'a> {
    key: &'s Key<'a>,
    prefix: &'s [Entry<'a>],
    last: &'s Entry<'a>,
    old: Value,
    writers: Vec<&'s Entry<'a>>,
}

/// From when on a value cannot become current again.
struct Settled<'s, 'a> {
    /// The event; `None` is before all.
    after: Option<u64>,
    /// What shows it.
    shown_by: Option<&'s Entry<'a>>,
}

impl<'s, 'a> Scene<'s, 'a> {
    /// Whether the value was written at most once.
    fn once(&self) -> bool {
        self.old == ABSENT || self.writers.len() == 1
    }

    fn settled(&self) -> Option<Settled<'s, 'a>> {
        if self.old == ABSENT {
            return Some(Settled {
                after: None,
                shown_by: None,
            });
        }
        let step_has = |step: Step| step.needs() == Some(self.old) || step.sets() == Some(self.old);
        let shown_by: &Entry<'a> = if self.once() {
            let has = self
                .prefix
                .iter()
                .filter(|e| step_has(e.op.step) && !e.is(self.last));
            has.filter(|e| e.op.ret.is_some())
                .min_by_key(|e| e.op.ret)?
        } else if self.writers.iter().all(|e| e.op.ret.is_some()) {
            self.writers.iter().max_by_key(|e| e.op.ret)?
        } else {
            return None;
        };
        Some(Settled {
            after: shown_by.op.ret,
            shown_by: Some(shown_by),
        })
    }

    fn fork(&self) -> Option<Contradiction<'a>> {
        let Step::Cas(from, to) = self.last.op.step else {
            return None;
        };
        if from == to || !self.once() {
            return None;
        }
        let same = |e: &&Entry<'a>| {
            matches!(e.op.step, Step::Cas(f, _) if f == from) && e.op.ret.is_some()
        };
        let other = self.prefix.iter().filter(same).find(|e| !e.is(self.last))?;
        let old = self.key.show(self.old);
        Some(self.contradiction(
            format!(
                "{} although {} too: both found {old}, which was written only once",
                explain::acknowledged(self.last.call),
                explain::acknowledged(other.call),
            ),
            &[other],
            vec![
                format!("{} and took {old} away.", explain::acknowledged(other.call)),
                format!(
                    "{} and took {old} away as well.",
                    explain::acknowledged(self.last.call)
                ),
            ],
        ))
    }

    fn superseded(&self) -> Option<Contradiction<'a>> {
        let settled = self.settled()?;
        let between = |e: &&Entry<'a>| {
            settled.after.is_none_or(|after| e.op.call > after)
                && e.op.ret.is_some_and(|ret| ret < self.last.op.call)
                && e.op.step.leaves() != self.old
        };
        // An acknowledged write says it best; else the latest that is known.
        let rank = |e: &&Entry<'a>| (e.op.step.sets().is_some(), e.op.ret);
        let newer = self.prefix.iter().filter(between).max_by_key(rank)?;
        let facts = self.superseded_facts(&settled, newer);
        let mut calls: Vec<&Entry<'a>> = vec![newer];
        calls.extend(settled.shown_by);
        if newer.op.step.sets().is_none() {
            calls.extend(self.only_writer(newer.op.step.leaves()));
        }
        Some(self.contradiction(self.after(newer), &calls, facts))
    }

    fn inversion(&self) -> Option<Contradiction<'a>> {
        let settled = self.settled().filter(|_| self.once())?;
        let shown = settled.shown_by?;
        let (after, called) = (settled.after?, self.last.op.call);
        let conflict = self
            .zones()
            .into_iter()
            .filter(|zone| zone.first.op.ret.is_some_and(|ret| ret < called))
            .filter(|zone| zone.latest.op.call > after)
            .max_by_key(|zone| (zone.first.op.ret, zone.value))?;
        let facts = self.inversion_facts(shown, &conflict);
        let calls = [shown, conflict.latest, conflict.first, conflict.writer];
        Some(self.contradiction(self.after(conflict.first), &calls, facts))
    }

    /// The values that have one writer, other than *old*, and were seen.
    fn zones(&self) -> Vec<Zone<'s, 'a>> {
        let mut zones: FxHashMap<Value, Option<Zone<'s, 'a>>> = FxHashMap::default();
        for writer in self.prefix {
            let Some(value) = writer.op.step.sets().filter(|value| *value != self.old) else {
                continue;
            };
            let zone = Zone {
                value,
                writer,
                first: writer,
                latest: writer,
            };
            // A second writer spoils the value.
            zones
                .entry(value)
                .and_modify(|zone| *zone = None)
                .or_insert(Some(zone));
        }
        for entry in self.prefix.iter().filter(|e| e.op.ret.is_some()) {
            let Some(Some(zone)) = entry.op.step.needs().and_then(|v| zones.get_mut(&v)) else {
                continue;
            };
            if zone.first.op.ret.is_none_or(|ret| entry.op.ret < Some(ret)) {
                zone.first = entry;
            }
            if entry.op.call > zone.latest.op.call {
                zone.latest = entry;
            }
        }
        zones.into_values().flatten().collect()
    }

    fn only_writer(&self, value: Value) -> Option<&'s Entry<'a>> {
        let mut writers = self
            .prefix
            .iter()
            .filter(|e| e.op.step.sets() == Some(value));
        writers.next().filter(|_| writers.next().is_none())
    }

    /// Why *old* was gone when `last` began, in order of time.
    fn superseded_facts(&self, settled: &Settled<'s, 'a>, newer: &Entry<'a>) -> Vec<String> {
        let old = self.key.show(self.old);
        let mut facts = Vec::new();
        if let Some(shown) = settled.shown_by {
            let why = if !self.once() {
                format!("no write of {old} was open any more")
            } else if shown.op.step.sets() == Some(self.old) {
                format!("nothing else ever wrote {old}")
            } else {
                format!("the only write of {old} had taken effect")
            };
            facts.push(format!("{}: {why}.", explain::returned(shown.call)));
        }
        let (after, gone, still) = match (settled.shown_by, self.old) {
            (Some(_), _) => (
                "began after that,",
                format!("{old} had been overwritten"),
                "later still,",
            ),
            (None, _) => (
                "began",
                format!("{} was not empty any more", self.key.key),
                "after that,",
            ),
        };
        facts.push(format!(
            "{} {after} at {}{}, and returned at {}: {gone}.",
            explain::whose(newer.call),
            explain::seconds(newer.call.invoked.time),
            explain::place(newer.call),
            explain::seconds(explain::ended(newer.call)),
        ));
        let seen = if self.old == ABSENT {
            "found it empty"
        } else if self.last.op.step.sets().is_some() {
            "succeeded with the overwritten value"
        } else {
            "returned the overwritten value"
        };
        facts.push(format!(
            "{} began {still} at {}{}, and {seen}.",
            explain::whose(self.last.call),
            explain::seconds(self.last.call.invoked.time),
            explain::place(self.last.call),
        ));
        facts
    }

    /// Each of two values must have come after the other; in order of time.
    fn inversion_facts(&self, shown: &Entry<'a>, conflict: &Zone<'s, 'a>) -> Vec<String> {
        let (old, new) = (self.key.show(self.old), self.key.show(conflict.value));
        let there = |entry: &Entry<'a>, value: &str| {
            let text = format!(
                "{}: {value}, which was written only once, was there by then.",
                explain::returned(entry.call)
            );
            (entry.op.ret.unwrap_or(u64::MAX), text)
        };
        let later = |entry: &Entry<'a>, value: &str, other: &str| {
            let text = format!(
                "{} began at {}{}, when {other} had been there: so {value} came after {other}.",
                explain::whose(entry.call),
                explain::seconds(entry.call.invoked.time),
                explain::place(entry.call),
            );
            (entry.op.call, text)
        };
        let mut facts = [
            there(shown, &old),
            there(conflict.first, &new),
            later(conflict.latest, &new, &old),
            later(self.last, &old, &new),
        ];
        facts.sort_by_key(|(at, _)| *at);
        facts.into_iter().map(|(_, text)| text).collect()
    }

    /// What `last` saw, after a newer value was certain.
    fn after(&self, newer: &Entry<'a>) -> String {
        let value = self.key.show(newer.op.step.leaves());
        let evidence = if newer.op.step.sets().is_some() {
            explain::acknowledged(newer.call)
        } else {
            format!(
                "p{} had read {value} at {}{}",
                newer.call.process,
                explain::seconds(explain::ended(newer.call)),
                explain::place(newer.call)
            )
        };
        match self.last.op.step {
            Step::Cas(from, _) => format!(
                "{}, so it found {}, after {evidence}",
                explain::acknowledged(self.last.call),
                self.key.show(from)
            ),
            _ if self.old == ABSENT => {
                format!("{}, after {evidence}", explain::done(self.last.call))
            }
            _ => format!(
                "p{} read the old value {} → {} at {}{}, after {evidence}",
                self.last.call.process,
                self.key.key,
                self.key.show(self.old),
                explain::seconds(explain::ended(self.last.call)),
                explain::place(self.last.call),
            ),
        }
    }

    fn contradiction(
        &self,
        sentence: String,
        others: &[&Entry<'a>],
        facts: Vec<String>,
    ) -> Contradiction<'a> {
        let all = self.writers.iter().chain(others).map(|e| e.call);
        let mut calls: Vec<&'a Call> = all.chain([self.last.call]).collect();
        calls.sort_by_key(|call| call.invoked.index);
        calls.dedup_by_key(|call| call.invoked.index);
        Contradiction {
            name: match self.last.op.step {
                Step::Read(_) => "stale-read",
                _ => "not-linearizable",
            },
            sentence,
            calls,
            facts,
        }
    }
}

/// Where in time a value that was written once must have been current.
struct Zone<'s, 'a> {
    value: Value,
    writer: &'s Entry<'a>,
    /// Of those that had it, the first to return: it was there by then.
    first: &'s Entry<'a>,
    /// Of those that had it, the last to be called: it was there, or still to come, at that time.
    latest: &'s Entry<'a>,
}
