//! `set-full`: what became of each element of a set over all reads of it: stable, lost, stale or
//! never read, and after how long.
//!
//! An element is *known* as soon as its add was acknowledged or a read returned it. It is *stable*
//! if the last read with it was invoked after the last one without it; *lost* if the last read
//! without it was invoked after it was known and after the last read with it; else *never read*.
//! Where reads may be behind by `staleness_ms`, one that was missed no longer than that is undecided.

use serde_json::{Value as Json, json};
use tribunal_results::{Assumptions, Call, Nanos, Record, Scalar, Stamp, Verdict};

use crate::set::unexpected;
use crate::tally::{self, Added, Finding, Findings, Listing, Set};
use crate::{Budget, Checker, explain};

/// The checker.
pub struct SetFull;

const NAME: &str = "set-full";
const ANOMALIES: [&str; 4] = [
    "lost-element",
    "unexpected-element",
    "duplicate-element",
    "stale-element",
];
/// How many of the longest stale elements are listed.
const WORST_STALE_MAX: usize = 8;

impl Checker for SetFull {
    fn name(&self) -> &'static str {
        NAME
    }

    fn about(&self) -> &'static str {
        "elements of a set come to stay once they are known (Jepsen's `set-full`); none may be \
         missing longer than `staleness_ms` (0: linearizable)"
    }

    fn anomalies(&self) -> &'static [&'static str] {
        &ANOMALIES
    }

    fn blind_to(&self) -> &'static str {
        "elements that a client may have removed; what an element was missed by before its last \
         absence; stale elements where no `staleness_ms` is assumed"
    }

    fn check(&self, record: &Record, budget: Budget) -> Verdict {
        let mut account = Account::default();
        let mut findings = Findings::new(&ANOMALIES);
        let Some(objects) = tally::by_key(&record.history, &Set::KINDS, budget) else {
            return tally::exhausted(NAME, &record.history);
        };
        for (key, calls) in objects {
            account.take(&Set::of(key, &calls), &record.assume, &mut findings);
        }
        account.verdict(findings)
    }
}

/// What the reads of a set tell of one element. Reads are numbered in the order of invocation.
#[derive(Clone, Copy, Default)]
struct Seen {
    /// The read with it that was answered first.
    first: Option<u32>,
    /// The last read with it.
    present: Option<u32>,
    /// The last read without it.
    absent: Option<u32>,
    /// The read with it that was answered last.
    latest: Option<u32>,
}

/// Finds out who saw what, in time that grows with what the reads returned.
fn sightings<'a>(
    set: &Set<'a>,
    mut repeated: impl FnMut(&'a Scalar, &'a Call),
    mut strange: impl FnMut(&'a Scalar, &'a Call),
) -> Vec<Seen> {
    let mut seen = vec![Seen::default(); set.elements.len()];
    let mut returned: Vec<Vec<u32>> = Vec::with_capacity(set.reads.len());
    for (at, &(read, values)) in set.reads.iter().enumerate() {
        let at = at as u32;
        let mut numbers = Vec::with_capacity(values.len());
        let mut unknown: Vec<&Scalar> = Vec::new();
        for element in values {
            let Some(number) = set.number(element) else {
                unknown.push(element);
                continue;
            };
            let sight = &mut seen[number];
            if sight.present == Some(at) {
                repeated(element, read);
                continue;
            }
            sight.present = Some(at);
            let end_of = |number: u32| {
                set.reads
                    .get(number as usize)
                    .map(|(read, _)| tally::end(read))
            };
            if sight
                .first
                .is_none_or(|first| Some(tally::end(read)) < end_of(first))
            {
                sight.first = Some(at);
            }
            if sight
                .latest
                .is_none_or(|latest| Some(tally::end(read)) > end_of(latest))
            {
                sight.latest = Some(at);
            }
            if !set.elements[number].possible_until(tally::end(read)) {
                strange(element, read);
            }
            numbers.push(number as u32);
        }
        unknown.sort_unstable();
        for same in unknown.chunk_by(|a, b| a == b) {
            same.iter()
                .take(1)
                .for_each(|element| strange(element, read));
            same.iter()
                .skip(1)
                .for_each(|element| repeated(element, read));
        }
        returned.push(numbers);
    }
    absences(&returned, &mut seen);
    seen
}

/// From the last read to the first: what a read lacks and all later ones have is absent last
/// there. Each element is looked at once for each later read that has it.
fn absences(returned: &[Vec<u32>], seen: &mut [Seen]) {
    let mut left: Vec<u32> = (0..seen.len() as u32).collect();
    let mut marks = vec![u32::MAX; seen.len()];
    for (at, numbers) in returned.iter().enumerate().rev() {
        if left.is_empty() {
            break;
        }
        for &number in numbers {
            marks[number as usize] = at as u32;
        }
        left.retain(|&number| {
            let has = marks[number as usize] == at as u32;
            if !has {
                seen[number as usize].absent = Some(at as u32);
            }
            has
        });
    }
}

/// What became of the elements of all sets.
#[derive(Default)]
struct Account<'a> {
    attempted: usize,
    stable: usize,
    /// Missed at last, but no longer than a read may be behind.
    undecided: Listing<'a>,
    lost: Listing<'a>,
    never_read: Listing<'a>,
    stale: Listing<'a>,
    duplicated: Listing<'a>,
    /// How long, with the set and the element.
    stale_for: Vec<(Nanos, &'a Scalar, &'a Scalar)>,
    stable_latencies: Vec<Nanos>,
    lost_latencies: Vec<Nanos>,
}

impl<'a> Account<'a> {
    fn take(&mut self, set: &Set<'a>, assume: &Assumptions, findings: &mut Findings) {
        let mut repeated: Vec<(&Scalar, &Call)> = Vec::new();
        let mut strange: Vec<(&Scalar, &Call)> = Vec::new();
        let seen = sightings(
            set,
            |element, read| repeated.push((element, read)),
            |element, read| strange.push((element, read)),
        );
        for (element, read) in strange {
            let added = set
                .number(element)
                .and_then(|number| set.elements.get(number));
            findings.add("unexpected-element", || {
                unexpected(set.key, element, read, added)
            });
        }
        let mut twice: Vec<&Scalar> = repeated.iter().map(|(element, _)| *element).collect();
        twice.sort_unstable();
        twice.dedup();
        for element in twice {
            self.duplicated.add(set.key, element);
        }
        for (element, read) in repeated {
            findings.add("duplicate-element", || duplicate(set.key, element, read));
        }
        for (added, seen) in set.elements.iter().zip(seen) {
            if added.attempt.is_some() && !added.removed {
                self.judge(set, added, seen, assume, findings);
            }
        }
    }

    fn judge(
        &mut self,
        set: &Set<'a>,
        added: &Added<'a>,
        seen: Seen,
        assume: &Assumptions,
        findings: &mut Findings,
    ) {
        self.attempted += 1;
        let bound = assume.staleness_ms.map(|ms| ms.saturating_mul(1_000_000));
        // Missing no longer than a read may be behind: it may be there all the same.
        let stale_by = |known: (&Call, Stamp), absent: &Call| {
            let latency = (absent.invoked.time + 1).saturating_sub(known.1.time);
            bound.is_some_and(|bound| latency <= bound)
        };
        let life = Life::of(set, added, seen);
        let element = added.element;
        match life.fate() {
            Fate::NeverRead => self.never_read.add(set.key, element),
            // A read that was answered later has it: that one may have come after.
            Fate::Lost { known, absent }
                if stale_by(known, absent)
                    || life
                        .latest
                        .is_some_and(|read| tally::end(read) > absent.invoked.index) =>
            {
                self.undecided.add(set.key, element);
            }
            Fate::Lost { known, absent } => {
                self.lost.add(set.key, element);
                let gone = life.present.map_or(0, |read| read.invoked.time + 1);
                let since = gone.saturating_sub(known.1.time);
                self.lost_latencies.push(since);
                findings.add("lost-element", || {
                    missing(set.key, element, known.0, absent, None)
                });
            }
            Fate::Stable { late } => {
                self.stable += 1;
                let Some((known, absent, present)) = late else {
                    self.stable_latencies.push(0);
                    return;
                };
                let latency = (absent.invoked.time + 1).saturating_sub(known.1.time);
                self.stable_latencies.push(latency);
                self.stale.add(set.key, element);
                self.stale_for.push((latency, set.key, element));
                if bound.is_some_and(|bound| latency > bound) {
                    findings.add("stale-element", || {
                        missing(set.key, element, known.0, absent, Some(present))
                    });
                }
            }
        }
    }

    fn verdict(mut self, findings: Findings) -> Verdict {
        let (stable, lost) = (self.stable, self.lost.len());
        let never_read = self.never_read.len();
        let verdict = findings.verdict(NAME, || {
            if stable == 0 {
                let text = "no element was seen to stay, so there is nothing to judge";
                return Verdict::unknown(NAME, "vacuous", text);
            }
            let stay = explain::count(stable, "element");
            let stale = self.stale.len();
            Verdict::valid(
                NAME,
                format!("{stay} stable ({stale} stale at first), {never_read} never read"),
            )
        });
        verdict
            .figure("attempt-count", self.attempted)
            .figure("stable-count", stable)
            .figure("lost-count", lost)
            .figure("lost", self.lost.json())
            .figure("never-read-count", never_read)
            .figure("never-read", self.never_read.json())
            .figure("undecided-count", self.undecided.len())
            .figure("stale-count", self.stale.len())
            .figure("stale", self.stale.json())
            .figure("worst-stale", worst(&mut self.stale_for))
            .figure("duplicated-count", self.duplicated.len())
            .figure("duplicated", self.duplicated.json())
            .figure("stable-latencies", tally::quantiles(self.stable_latencies))
            .figure("lost-latencies", tally::quantiles(self.lost_latencies))
    }
}

/// The elements that were stale longest.
fn worst(stale: &mut [(Nanos, &Scalar, &Scalar)]) -> Json {
    stale.sort_by(|a, b| b.0.cmp(&a.0).then((a.1, a.2).cmp(&(b.1, b.2))));
    let entry = |(latency, key, element): &(Nanos, &Scalar, &Scalar)| json!({"key": key, "element": element, "latency-ms": latency / 1_000_000});
    stale.iter().take(WORST_STALE_MAX).map(entry).collect()
}

/// One element's life.
struct Life<'a> {
    /// The call after whose return it was known, and when that was.
    known: Option<(&'a Call, Stamp)>,
    present: Option<&'a Call>,
    absent: Option<&'a Call>,
    /// The read with it that was answered last.
    latest: Option<&'a Call>,
}

/// What became of an element.
enum Fate<'a> {
    /// The last reads have it. If one missed it although it was known: since when, which one
    /// missed it last, and which has it again.
    Stable {
        late: Option<((&'a Call, Stamp), &'a Call, &'a Call)>,
    },
    /// It was known, and the last reads miss it.
    Lost {
        known: (&'a Call, Stamp),
        absent: &'a Call,
    },
    /// Nobody can tell.
    NeverRead,
}

impl<'a> Life<'a> {
    fn of(set: &Set<'a>, added: &Added<'a>, seen: Seen) -> Self {
        let read = |at: Option<u32>| Some(set.reads.get(at? as usize)?.0);
        let known = [added.acknowledged, read(seen.first)]
            .into_iter()
            .flatten()
            .filter_map(|call| Some((call, call.completed?)))
            .min_by_key(|(_, stamp)| stamp.index);
        Self {
            known,
            present: read(seen.present),
            absent: read(seen.absent),
            latest: read(seen.latest),
        }
    }

    fn fate(&self) -> Fate<'a> {
        let missed = self
            .known
            .zip(self.absent)
            .filter(|(known, absent)| known.1.index < absent.invoked.index);
        let later = |present: &&Call| {
            self.absent
                .is_none_or(|absent| absent.invoked.index < present.invoked.index)
        };
        match (self.present.filter(later), missed) {
            (Some(present), missed) => Fate::Stable {
                late: missed.map(|(known, absent)| (known, absent, present)),
            },
            (None, Some((known, absent))) => Fate::Lost { known, absent },
            (None, None) => Fate::NeverRead,
        }
    }
}

/// An element that was known when a read was invoked that does not have it; seen again later if
/// it is only stale.
fn missing<'a>(
    key: &'a Scalar,
    element: &Scalar,
    known: &'a Call,
    absent: &'a Call,
    again: Option<&'a Call>,
) -> Finding<'a> {
    let since = if known.operation.kind() == tribunal_results::Kind::Members {
        format!("{} and got {element}", tally::read(known))
    } else {
        explain::acknowledged(known)
    };
    let what = if again.is_some() {
        "was missed"
    } else {
        "is lost"
    };
    let last = match again {
        Some(again) => format!("{} and got {element} again", tally::read(again)),
        None => format!("No read that was invoked later returned {element}"),
    };
    Finding {
        key: Some(key),
        sentence: format!(
            "element {element} of {key} {what}: {since}, and {} without it",
            tally::read(absent)
        ),
        facts: vec![
            tally::fact(since),
            tally::fact(format!("{}, after that", explain::invoked(absent))),
            tally::fact(format!("It did not return {element}")),
            tally::fact(last),
        ],
        calls: [known, absent].into_iter().chain(again).collect(),
    }
}

fn duplicate<'a>(key: &'a Scalar, element: &Scalar, read: &'a Call) -> Finding<'a> {
    Finding {
        key: Some(key),
        sentence: format!("{} and got {element} more than once", tally::read(read)),
        facts: vec![tally::fact(format!(
            "A set has each element once, but {} and got {element} more than once",
            tally::read(read)
        ))],
        calls: vec![read],
    }
}
