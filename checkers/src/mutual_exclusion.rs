//! `mutual-exclusion`: at no instant do two clients hold the same lock for certain.
//!
//! Leases count by the clock of the history, less what clocks may differ by
//! ([`Assumptions::clock_drift_ppm`]). A hold whose lease had run out for certain, and that is
//! taken to be held still by a call that is acknowledged later, does not count for the time
//! between: whether it may come to life again is for `leases` to judge.

use rustc_hash::FxHashSet;
use tribunal_results::{Anomaly, Assumptions, Call, History, Operation, Record, Verdict};

use crate::locks::{self, Book, Change, Lock, Release};
use crate::{Budget, Checker, Fold, Moment, explain, stream};

/// The checker.
pub struct MutualExclusion;

const NAME: &str = "mutual-exclusion";

impl Checker for MutualExclusion {
    fn name(&self) -> &'static str {
        NAME
    }

    fn about(&self) -> &'static str {
        "no two certain holds of a lock overlap, and only who was granted it releases it (Dijkstra \
         1965; leases: Gray & Cheriton 1989)"
    }

    fn anomalies(&self) -> &'static [&'static str] {
        &["double-hold", "foreign-release"]
    }

    fn blind_to(&self) -> &'static str {
        "overlaps within the time that an answer travels or that clocks may differ by; holds that \
         nobody was told of"
    }

    fn check(&self, record: &Record, _: Budget) -> Verdict {
        stream::fold(Exclusion::new(&record.assume), &record.history)
    }

    fn fold(&self, assume: &Assumptions, _: Budget) -> Option<Box<dyn Fold>> {
        Some(Box::new(Exclusion::new(assume)))
    }
}

struct Exclusion {
    book: Book,
    /// Of each lock, the hold that was certain last.
    live: Vec<Option<usize>>,
    overlaps: bool,
    /// Releases that should have been refused: the lock, the call, whether the client had held it.
    foreign: Vec<(usize, usize, bool)>,
}

/// Two holds of one lock.
struct Pair<'b> {
    lock: &'b Lock,
    first: usize,
    second: usize,
}

impl Exclusion {
    fn new(assume: &Assumptions) -> Self {
        Self {
            book: Book::new(assume),
            live: Vec::new(),
            overlaps: false,
            foreign: Vec::new(),
        }
    }

    /// Whether a hold that grew overlaps with another. As long as none did, only the latest one
    /// can be held now, but a late answer to a renewal may tell of times before.
    fn overlaps(&self, lock: &Lock, live: Option<usize>, change: Change) -> bool {
        let others = match change {
            Change::Began(_) => 0..0,
            Change::Kept { hold, before } => match lock.holds.get(hold) {
                Some(kept) if before <= kept.from => 0..lock.holds.len(),
                Some(_) => lock.began(before, (u64::MAX, 0)),
                None => 0..0,
            },
            Change::Left(_) | Change::Answered(_) => return false,
        };
        let (Change::Began(at) | Change::Kept { hold: at, .. }) = change else {
            return false;
        };
        let overlap = |other: usize| other != at && lock.both(other, at).is_some();
        live.is_some_and(overlap) || others.into_iter().any(overlap)
    }

    fn tell_foreign(
        &self,
        history: &History,
        (lock, place, had): (usize, usize, bool),
    ) -> Option<Anomaly> {
        let lock = self.book.locks.get(lock)?;
        let release = locks::call(history, place)?;
        foreign_release(history, lock, release, had)
    }
}

impl Fold for Exclusion {
    fn step(&mut self, history: &History, moment: Moment) {
        let Some((id, change)) = self.book.step(history, moment) else {
            return;
        };
        self.live.resize(self.book.locks.len(), None);
        let (Moment::Called(place) | Moment::Returned(place)) = moment;
        match change {
            Some(Change::Answered(Release::Unknown)) => self.foreign.push((id, place, false)),
            Some(Change::Answered(Release::Excess)) => self.foreign.push((id, place, true)),
            Some(change @ (Change::Began(at) | Change::Kept { hold: at, .. })) => {
                let Some((lock, live)) = self.book.locks.get(id).zip(self.live.get(id)) else {
                    return;
                };
                let overlaps = self.overlaps || self.overlaps(lock, *live, change);
                let until = |at: usize| lock.holds.get(at).map(locks::Hold::until);
                let certain = lock.holds.get(at).is_some_and(locks::Hold::is_certain);
                let longer = live.and_then(until) < until(at);
                self.overlaps = overlaps;
                if let Some(live) = self.live.get_mut(id).filter(|_| certain && longer) {
                    *live = Some(at);
                }
            }
            _ => {}
        }
    }

    fn contradicted(&self) -> bool {
        self.overlaps || !self.foreign.is_empty()
    }

    fn verdict(&self, history: &History) -> Verdict {
        let locks = &self.book.locks;
        let pairs: Vec<Pair<'_>> = locks.iter().flat_map(double_holds).collect();
        let total = pairs.len() + self.foreign.len();
        let mut anomalies = locks::told(pairs.into_iter(), |pair| {
            double_hold(history, &self.book, &pair)
        });
        anomalies.extend(locks::told(self.foreign.iter(), |foreign| {
            self.tell_foreign(history, *foreign)
        }));
        anomalies.sort_by_key(|anomaly| (anomaly.span.1, anomaly.calls.clone()));
        // Whom a hold could exclude is who holds the same lock at another time.
        let (mut certain, mut holders) = (0_usize, 0);
        for lock in locks {
            let holds = || lock.holds.iter().filter(|hold| hold.is_certain());
            let clients: FxHashSet<u64> = holds().map(|hold| hold.process).collect();
            certain += holds().count();
            holders = holders.max(clients.len());
        }
        verdict(anomalies, total, locks.len(), certain, holders)
    }
}

fn verdict(
    anomalies: Vec<Anomaly>,
    total: usize,
    locks: usize,
    holds: usize,
    holders: usize,
) -> Verdict {
    let verdict = if !anomalies.is_empty() {
        Verdict::invalid(NAME, anomalies, total as u64)
    } else if holders < 2 {
        let text = format!(
            "{}, and of no lock by more than {}: nobody whom a hold could exclude",
            explain::count(holds, "certain hold"),
            explain::count(holders, "client")
        );
        Verdict::unknown(NAME, "vacuous", text)
    } else {
        let holds = explain::count(holds, "certain hold");
        let locks = explain::count(locks, "lock");
        Verdict::valid(NAME, format!("{holds} of {locks}, and no two at once"))
    };
    verdict
        .figure("locks", locks)
        .figure("holds-certain", holds)
        .figure("holders", holders)
}

/// Each hold that began during an earlier one, with the earlier one that lasts longest. If any
/// two overlap, one of them is found so: the holds come in the order of their begin. Those with a
/// lapse are compared one by one.
fn double_holds(lock: &Lock) -> Vec<Pair<'_>> {
    let lapsed: FxHashSet<usize> = lock.lapses.iter().map(|lapse| lapse.hold).collect();
    let mut found = Vec::new();
    let mut longest: Option<usize> = None;
    let mut with_lapse: Vec<usize> = Vec::new();
    let until = |at: usize| lock.holds.get(at).map(locks::Hold::until);
    for (second, hold) in lock.holds.iter().enumerate() {
        if !hold.is_certain() {
            continue;
        }
        with_lapse.retain(|at| until(*at) > Some(hold.from));
        let mut others = longest.into_iter().chain(with_lapse.iter().copied());
        if let Some(first) = others.find(|first| lock.both(*first, second).is_some()) {
            found.push(Pair {
                lock,
                first,
                second,
            });
        }
        if lapsed.contains(&second) {
            with_lapse.push(second);
        } else if longest.and_then(until) < Some(hold.until()) {
            longest = Some(second);
        }
    }
    found
}

fn double_hold(history: &History, book: &Book, pair: &Pair<'_>) -> Option<Anomaly> {
    let lock = pair.lock;
    let (first, second) = (lock.holds.get(pair.first)?, lock.holds.get(pair.second)?);
    let at = lock.both(pair.first, pair.second)?;
    let until = first.until().min(second.until());
    let name = &lock.name;
    let who = if first.process == second.process {
        format!("p{} held lock {name} twice", first.process)
    } else {
        format!(
            "p{} and p{} both held lock {name}",
            first.process, second.process
        )
    };
    let sentence = format!(
        "{who} from {} to {}, with tokens {} and {}",
        explain::seconds(at.0),
        explain::seconds(until.0),
        first.token,
        second.token,
    );
    let (mut calls, mut facts) = (Vec::new(), Vec::new());
    for hold in [first, second] {
        let grant = locks::call(history, hold.grant)?;
        let (kept, why) = hold.kept(history, book.clocks, at, at.0);
        calls.push(grant);
        calls.extend(kept);
        facts.push(format!("{}.", hold.sentence(grant)));
        facts.extend(why);
    }
    Some(locks::anomaly("double-hold", name, sentence, &calls, facts))
}

/// A release that was acknowledged to a client that had nothing to release: it never was granted
/// the token, or had given it back as often as it got it. A client whose acquire ended unknown
/// asks nothing any more, so what it may have been granted needs no thought.
fn foreign_release(history: &History, lock: &Lock, release: &Call, had: bool) -> Option<Anomaly> {
    let Operation::Release { token, .. } = release.operation else {
        return None;
    };
    let granted = |hold: &&locks::Hold| {
        let before = hold.from < locks::ended(release);
        hold.token == token && before && (!had || hold.process == release.process)
    };
    let owner = lock.holds.iter().find(granted);
    let owner = owner.and_then(|hold| locks::call(history, hold.grant));
    let why = match owner {
        _ if had => "which it had given back before".to_owned(),
        Some(owner) => format!("which had been granted to p{}", owner.process),
        None => "which nobody is known to have been granted".to_owned(),
    };
    let sentence = format!(
        "p{} released lock {} with token {token} at {}{}, {why}",
        release.process,
        lock.name,
        explain::seconds(explain::ended(release)),
        explain::place(release),
    );
    let granted = owner.map(|owner| format!("{}.", explain::returned(owner)));
    let mut facts: Vec<String> = granted.into_iter().collect();
    facts.push(if had {
        format!(
            "p{} had as many releases acknowledged as acquires before.",
            release.process
        )
    } else {
        format!("p{} was never granted token {token}.", release.process)
    });
    facts.push(format!(
        "Yet {}, where a refusal is due.",
        explain::acknowledged(release)
    ));
    let calls: Vec<&Call> = owner.into_iter().chain([release]).collect();
    Some(locks::anomaly(
        "foreign-release",
        &lock.name,
        sentence,
        &calls,
        facts,
    ))
}
