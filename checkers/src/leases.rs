//! `leases`: a lease lasts as long as was promised, and once it is over and the lock was granted
//! to another, nothing brings the hold back.
//!
//! A lease began no earlier than it was asked for and no later than the answer arrived; a clock
//! that counts it may run faster or slower by [`Assumptions::clock_drift_ppm`], and a millisecond
//! is allowed for rounding. So it has an earliest and a latest end. Where two leases were valid at
//! once for certain is told by `mutual-exclusion`, with the same ends; this checker tells what
//! that one cannot see: a lease that was withdrawn though nobody else took the lock, and a hold
//! that came to life after its latest end when another had begun meanwhile (for
//! `mutual-exclusion` a lapsed hold excludes nobody).

use rustc_hash::FxHashMap;
use tribunal_results::{Anomaly, Assumptions, Call, History, Operation, Outcome, Record, Verdict};

use crate::locks::{self, Book, Change, Clocks, Lapse, Lock};
use crate::{Budget, Checker, Fold, Moment, explain, stream};

/// The checker.
pub struct Leases;

const NAME: &str = "leases";
/// The code of a refusal that says: this client does not hold the lock with this token.
const NOT_HELD: &str = "precondition-failed";

impl Checker for Leases {
    fn name(&self) -> &'static str {
        NAME
    }

    fn about(&self) -> &'static str {
        "a lease is honoured until its end, and not after another was granted the lock (Gray & \
         Cheriton 1989)"
    }

    fn anomalies(&self) -> &'static [&'static str] {
        &["lease-cut-short", "expired-lease-honoured"]
    }

    fn blind_to(&self) -> &'static str {
        "leases cut short or prolonged by less than an answer travels and clocks may differ; \
         leases that outlast their time while nobody else is granted the lock"
    }

    fn check(&self, record: &Record, _: Budget) -> Verdict {
        stream::fold(Terms::new(&record.assume), &record.history)
    }

    fn fold(&self, assume: &Assumptions, _: Budget) -> Option<Box<dyn Fold>> {
        Some(Box::new(Terms::new(assume)))
    }
}

struct Terms {
    book: Book,
    /// Of the outstanding release of each client of a lock: whether the hold was certain.
    releasing: FxHashMap<(usize, u64), usize>,
    renewed: usize,
    refused: usize,
    /// Lapses of each lock that were looked at.
    lapses: Vec<usize>,
    found: Vec<Found>,
}

struct Found {
    lock: usize,
    why: Why,
}

#[derive(Clone, Copy)]
enum Why {
    /// A call was refused during a hold.
    Cut { hold: usize, refused: usize },
    /// Another hold began in a lapse.
    Honoured { lapse: usize, other: usize },
}

impl Terms {
    fn new(assume: &Assumptions) -> Self {
        Self {
            book: Book::new(assume),
            releasing: FxHashMap::default(),
            renewed: 0,
            refused: 0,
            lapses: Vec::new(),
            found: Vec::new(),
        }
    }

    /// A release or renewal that was refused because the lock is not held, although it is.
    fn cut(
        &mut self,
        id: usize,
        call: &Call,
        moment: Moment,
        change: Option<Change>,
    ) -> Option<Why> {
        let lock = self.book.locks.get(id)?;
        let (Operation::Release { token, .. } | Operation::Renew { token, .. }) = call.operation
        else {
            return None;
        };
        let hold = match (moment, change) {
            (Moment::Called(_), Some(Change::Left(at))) => {
                self.releasing.insert((id, call.process), at);
                return None;
            }
            (Moment::Called(_), _) => return None,
            (Moment::Returned(_), _) => self.releasing.remove(&(id, call.process)),
        };
        let Outcome::Fail(reason) = &call.outcome else {
            return None;
        };
        let at = hold.or_else(|| lock.held(call.process, token))?;
        let lease = lock.holds.get(at)?;
        self.refused += 1;
        let now = locks::ended(call);
        // A release that was asked for before may have ended it.
        let asked = lease.left.is_some_and(|left| left < locks::invoked(call));
        let live = !asked && now.0 < lease.leased_until;
        let Moment::Returned(refused) = moment else {
            return None;
        };
        (live && reason.code == NOT_HELD).then_some(Why::Cut { hold: at, refused })
    }

    /// Holds that began in a lapse: of a new lapse the first one; and one that turned out certain.
    fn honoured(&mut self, id: usize, change: Option<Change>) -> Vec<Why> {
        let (Some(lock), Some(seen)) = (self.book.locks.get(id), self.lapses.get_mut(id)) else {
            return Vec::new();
        };
        let certain = |at: &usize| lock.holds.get(*at).is_some_and(locks::Hold::is_certain);
        let mut found = Vec::new();
        if let Some(Change::Kept { hold, before }) = change
            && lock.holds.get(hold).is_some_and(|kept| before <= kept.from)
        {
            for (lapse, within) in lock.lapses.iter().enumerate().take(*seen) {
                let other = lock
                    .began(within.from, within.to)
                    .find(|other| *other == hold);
                let other = other.filter(|other| *other != within.hold && certain(other));
                found.extend(other.map(|other| Why::Honoured { lapse, other }));
            }
        }
        for (lapse, within) in lock.lapses.iter().enumerate().skip(*seen) {
            let mut others = lock.began(within.from, within.to);
            let other = others.find(|other| *other != within.hold && certain(other));
            found.extend(other.map(|other| Why::Honoured { lapse, other }));
        }
        *seen = lock.lapses.len();
        found
    }
}

impl Fold for Terms {
    fn step(&mut self, history: &History, moment: Moment) {
        let Some((id, change)) = self.book.step(history, moment) else {
            return;
        };
        self.lapses.resize(self.book.locks.len(), 0);
        let (Moment::Called(place) | Moment::Returned(place)) = moment;
        let Some(call) = locks::call(history, place) else {
            return;
        };
        self.renewed += usize::from(matches!(change, Some(Change::Kept { .. })));
        let mut found = self.honoured(id, change);
        found.extend(self.cut(id, call, moment, change));
        let found = found.into_iter().map(|why| Found { lock: id, why });
        self.found.extend(found);
    }

    fn contradicted(&self) -> bool {
        !self.found.is_empty()
    }

    fn verdict(&self, history: &History) -> Verdict {
        let lapsed: usize = self.book.locks.iter().map(|lock| lock.lapses.len()).sum();
        let verdict = if !self.found.is_empty() {
            let tell = |found: &Found| {
                let lock = self.book.locks.get(found.lock)?;
                match found.why {
                    Why::Cut { hold, refused } => {
                        cut_short(history, lock, self.book.clocks, hold, refused)
                    }
                    Why::Honoured { lapse, other } => {
                        honoured(history, lock, self.book.clocks, lapse, other)
                    }
                }
            };
            let anomalies = locks::told(self.found.iter(), tell);
            Verdict::invalid(NAME, anomalies, self.found.len() as u64)
        } else if self.renewed + self.refused == 0 {
            let text = "no lease was prolonged, and none refused";
            Verdict::unknown(NAME, "vacuous", text)
        } else {
            let text = format!(
                "leases were prolonged {} times and refused {} times, never against a promise",
                self.renewed, self.refused
            );
            Verdict::valid(NAME, text)
        };
        verdict
            .figure("prolonged", self.renewed)
            .figure("refused", self.refused)
            .figure("lapsed", lapsed)
    }
}

fn cut_short(
    history: &History,
    lock: &Lock,
    clocks: Clocks,
    hold: usize,
    refused: usize,
) -> Option<Anomaly> {
    let hold = lock.holds.get(hold)?;
    let (grant, refused) = (
        locks::call(history, hold.grant)?,
        locks::call(history, refused)?,
    );
    let end = explain::seconds(hold.leased_until);
    let sentence = format!(
        "p{}'s lease of lock {} was cut short: its {} was refused at {}{}, but the lease lasted \
         until {end} at the earliest",
        hold.process,
        lock.name,
        refused.operation.kind(),
        explain::seconds(explain::ended(refused)),
        explain::place(refused),
    );
    let (at, until) = (locks::invoked(refused), explain::ended(refused));
    let (kept, why) = hold.kept(history, clocks, at, until);
    let mut facts = vec![format!("{}.", hold.granted(grant))];
    facts.extend(why);
    facts.push(format!(
        "{}: it says that p{} did not hold the lock.",
        explain::returned(refused),
        hold.process
    ));
    let calls: Vec<&Call> = [grant].into_iter().chain(kept).chain([refused]).collect();
    Some(locks::anomaly(
        "lease-cut-short",
        &lock.name,
        sentence,
        &calls,
        facts,
    ))
}

fn honoured(
    history: &History,
    lock: &Lock,
    clocks: Clocks,
    lapse: usize,
    other: usize,
) -> Option<Anomaly> {
    let Lapse { hold, from, by, .. } = *lock.lapses.get(lapse)?;
    let (hold, other) = (lock.holds.get(hold)?, lock.holds.get(other)?);
    let (grant, by) = (locks::call(history, hold.grant)?, locks::call(history, by)?);
    let taken = locks::call(history, other.grant)?;
    let sentence = format!(
        "p{}'s {} of lock {} was acknowledged at {}{}, although its lease was over by {} and p{} \
         held the lock from {}",
        by.process,
        by.operation.kind(),
        lock.name,
        explain::seconds(explain::ended(by)),
        explain::place(by),
        explain::seconds(from.0),
        other.process,
        explain::seconds(other.from.0),
    );
    let (kept, why) = other.kept(history, clocks, other.from, other.from.0);
    let mut facts = vec![
        format!("{}.", hold.granted(grant)),
        format!(
            "This lease, with all renewals until then, was over by {}.",
            explain::seconds(from.0)
        ),
        format!("{}.", other.sentence(taken)),
    ];
    facts.extend(why);
    facts.push(format!("Yet {}.", explain::acknowledged(by)));
    let calls: Vec<&Call> = [grant, taken, by].into_iter().chain(kept).collect();
    Some(locks::anomaly(
        "expired-lease-honoured",
        &lock.name,
        sentence,
        &calls,
        facts,
    ))
}
