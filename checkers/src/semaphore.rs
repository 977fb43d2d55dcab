//! `semaphore`: never more permits are held for certain than there are; a mutex has one.
//!
//! Every acquire is taken to happen as late as it can, at its completion, and every release as
//! early as it can, when it was asked for: that makes the permits held at each instant as few as
//! can be. So if more than there are are held even then, no order explains the answers; and if
//! not, this one does. Permits with a lease are certain until its earliest end.
//!
//! A release is taken to end what it can, whatever came of it: a refusal may tell that the permits
//! were lost. If anybody may give permits back ([`Assumptions::owned`] is false), all clients
//! count as one, and what was given back before it was known to be taken counts for later.

use std::collections::BTreeSet;

use rustc_hash::{FxHashMap, FxHashSet};
use tribunal_results::verdict::ANOMALIES_LISTED_MAX;
use tribunal_results::{
    Anomaly, Answer, Assumptions, Call, History, Nanos, Operation, Outcome, Record, Scalar, Verdict,
};

use crate::locks::{self, Clocks};
use crate::{Budget, Checker, Fold, Moment, explain, stream};

/// The checker.
pub struct Semaphore;

const NAME: &str = "semaphore";

impl Checker for Semaphore {
    fn name(&self) -> &'static str {
        NAME
    }

    fn about(&self) -> &'static str {
        "no more permits are held for certain than there are, and only who holds some gives them \
         back (Dijkstra 1965)"
    }

    fn anomalies(&self) -> &'static [&'static str] {
        &["over-grant", "foreign-release"]
    }

    fn blind_to(&self) -> &'static str {
        "permits that are lost: a refusal does not tell whether any was free; permits that a \
         refused release leaves with its client; permits that had to be free at some instant for a \
         grant whose lease was over when it was answered; that a release of more than its client \
         has takes nothing, if its end is unknown; if anybody may give them back, releases of \
         permits that nobody had"
    }

    fn check(&self, record: &Record, _: Budget) -> Verdict {
        stream::fold(Permits::new(&record.assume), &record.history)
    }

    fn fold(&self, assume: &Assumptions, _: Budget) -> Option<Box<dyn Fold>> {
        Some(Box::new(Permits::new(assume)))
    }
}

struct Permits {
    permits: u64,
    owned: bool,
    clocks: Clocks,
    ids: FxHashMap<Scalar, usize>,
    pools: Vec<Pool>,
    grants: usize,
    /// The most that were held at once for certain.
    depth_max: u64,
    found: Vec<Found>,
    total: usize,
}

/// The permits of one semaphore.
#[derive(Default)]
struct Pool {
    grants: Vec<Grant>,
    /// Of each owner, those grants that are not given back in full, by the end of their leases.
    open: FxHashMap<u64, Vec<usize>>,
    /// Those of which some permits are certain, by the end of their leases.
    live: BTreeSet<(Nanos, usize)>,
    /// How many permits are held for certain.
    depth: u64,
    /// Given back before they were known to be taken.
    credit: u64,
    /// Clients that were granted some, and how many permits they were in all.
    clients: FxHashSet<u64>,
    granted: u64,
}

struct Grant {
    call: usize,
    owner: u64,
    token: Option<u64>,
    /// How many are held for certain, and how many were not acknowledged to be given back.
    certain: u64,
    owed: u64,
    until: Nanos,
    /// The release that was asked for last of those that took some of them for certain.
    taken_by: Option<usize>,
}

struct Found {
    key: Scalar,
    why: Why,
}

enum Why {
    /// The acquires whose permits were held at once when the last of them was answered.
    Depth { depth: u64, acquires: Vec<usize> },
    /// Permits given back that were not held; the call.
    Foreign { release: usize, held: u64 },
}

impl Pool {
    /// Permits were granted.
    fn acquire(&mut self, grant: Grant) {
        let (at, owner) = (self.grants.len(), grant.owner);
        let ends = |other: &usize| self.grants.get(*other).map_or(0, |other| other.until);
        let open = self.open.entry(owner).or_default();
        let place = open.partition_point(|other| ends(other) <= grant.until);
        open.insert(place, at);
        let credit = grant.certain.min(self.credit);
        self.credit -= credit;
        let certain = grant.certain - credit;
        self.depth += certain;
        if certain > 0 {
            self.live.insert((grant.until, at));
        }
        self.grants.push(Grant { certain, ..grant });
    }

    /// Leases end.
    fn expire(&mut self, now: Nanos) {
        while let Some((until, at)) = self.live.first().copied().filter(|live| live.0 <= now) {
            self.live.remove(&(until, at));
            if let Some(grant) = self.grants.get_mut(at) {
                self.depth -= grant.certain;
                grant.certain = 0;
            }
        }
    }

    /// Permits are asked to be taken back: those with the longest lease, which leaves the fewest
    /// certain at every instant. Gives how many of them were not found.
    fn asked(&mut self, owner: u64, release: usize, token: Option<u64>, mut permits: u64) -> u64 {
        let Some(open) = self.open.get(&owner) else {
            return permits;
        };
        for at in open.iter().rev() {
            let Some(grant) = self.grants.get_mut(*at).filter(|grant| grant.has(token)) else {
                continue;
            };
            if permits == 0 {
                break;
            }
            let taken = grant.certain.min(permits);
            permits -= taken;
            grant.certain -= taken;
            self.depth -= taken;
            if taken > 0 {
                grant.taken_by = Some(release);
            }
            if taken > 0 && grant.certain == 0 {
                self.live.remove(&(grant.until, *at));
            }
        }
        permits
    }

    /// Permits were taken back. Gives how many of them the owner did not have.
    fn released(&mut self, owner: u64, token: Option<u64>, mut permits: u64) -> u64 {
        let Some(open) = self.open.get_mut(&owner) else {
            return permits;
        };
        for at in open.iter().rev() {
            let Some(grant) = self.grants.get_mut(*at).filter(|grant| grant.has(token)) else {
                continue;
            };
            if permits == 0 {
                break;
            }
            let taken = grant.owed.min(permits);
            permits -= taken;
            grant.owed -= taken;
        }
        let given = |at: &usize| {
            let grant = self.grants.get(*at);
            grant.is_some_and(|grant| grant.owed == 0 && grant.certain == 0)
        };
        while open.last().is_some_and(given) {
            open.pop();
        }
        permits
    }

    /// The acquires of the clients that together hold more than the permits: the last one's, then
    /// those with most. Of each client all since the first of which some permits are certain, and
    /// those before it whose permits a release took that might else have taken these.
    fn witness(&self, history: &History, permits: u64, owned: bool) -> Vec<usize> {
        let mut held: FxHashMap<u64, (u64, usize)> = FxHashMap::default();
        let mut owners: Vec<u64> = Vec::new();
        for (_, at) in &self.live {
            let Some(grant) = self.grants.get(*at) else {
                continue;
            };
            let known = held.entry(grant.owner).or_insert_with(|| {
                owners.push(grant.owner);
                (0, *at)
            });
            *known = (known.0 + grant.certain, known.1.min(*at));
        }
        let last = self.grants.last().map(|grant| grant.owner);
        let of = |owner: &u64| held.get(owner).copied().unwrap_or_default();
        owners.sort_by_key(|owner| (Some(*owner) != last, u64::MAX - of(owner).0, *owner));
        let (mut sum, mut acquires) = (0, Vec::new());
        for owner in owners.into_iter().take_while(|owner| {
            let enough = sum > permits;
            sum += of(owner).0;
            !enough
        }) {
            // Who gives back what anybody took has to be set against all that was taken.
            let first = match owned {
                true => self.since(history, owner, of(&owner).1),
                false => 0,
            };
            let since = self.grants.get(first..).unwrap_or_default();
            let mine = since.iter().filter(|grant| grant.owner == owner);
            acquires.extend(mine.map(|grant| grant.call));
        }
        acquires
    }

    /// The first grant of a client that matters to those from `first` on: a release that was not
    /// answered when `first` was asked for took its permits, and would be set against these.
    fn since(&self, history: &History, owner: u64, mut first: usize) -> usize {
        let asked = |at: usize| {
            let call = self.grants.get(at).map(|grant| grant.call);
            call.and_then(|call| locks::call(history, call))
                .map(|call| call.invoked.index)
        };
        let late = |release: usize, asked: Option<u64>| {
            let release = locks::call(history, release);
            release.is_some_and(|call| call.returned().is_none_or(|end| Some(end) > asked))
        };
        let mut least = asked(first);
        for at in (0..first).rev() {
            let grant = self.grants.get(at).filter(|grant| grant.owner == owner);
            let taken_by = grant.and_then(|grant| grant.taken_by);
            if taken_by.is_some_and(|release| late(release, least)) {
                first = at;
                least = least.min(asked(at));
            }
        }
        first
    }
}

impl Grant {
    fn has(&self, token: Option<u64>) -> bool {
        token.is_none() || token == self.token
    }
}

impl Permits {
    fn new(assume: &Assumptions) -> Self {
        Self {
            permits: assume.permits.into(),
            owned: assume.owned,
            clocks: Clocks::new(assume),
            ids: FxHashMap::default(),
            pools: Vec::new(),
            grants: 0,
            depth_max: 0,
            found: Vec::new(),
            total: 0,
        }
    }

    const fn owner(&self, call: &Call) -> u64 {
        if self.owned { call.process } else { 0 }
    }

    fn pool(&mut self, key: &Scalar) -> Option<&mut Pool> {
        let id = match self.ids.get(key) {
            Some(id) => *id,
            None => {
                self.ids.insert(key.clone(), self.pools.len());
                self.pools.push(Pool::default());
                self.pools.len() - 1
            }
        };
        self.pools.get_mut(id)
    }

    fn acquired(&mut self, history: &History, place: usize, answer: &Answer) -> Option<()> {
        let call = locks::call(history, place)?;
        let Operation::AcquirePermits { key, permits } = &call.operation else {
            return None;
        };
        let grant = match answer {
            Answer::Grant(grant) => Some(grant),
            _ => None,
        };
        let end = |ms: u64| self.clocks.earliest_end(call.invoked.time, ms);
        let until = grant.map_or(Nanos::MAX, |grant| end(grant.lease_ms));
        let now = explain::ended(call);
        let grant = Grant {
            call: place,
            owner: self.owner(call),
            token: grant.map(|grant| grant.token),
            certain: if until > now { u64::from(*permits) } else { 0 },
            owed: (*permits).into(),
            until,
            taken_by: None,
        };
        let listed = self.found.len() < ANOMALIES_LISTED_MAX;
        let (limit, owned) = (self.permits, self.owned);
        let pool = self.pool(key)?;
        pool.expire(now);
        pool.acquire(grant);
        pool.clients.insert(call.process);
        pool.granted += u64::from(*permits);
        let (depth, certain) = (pool.depth, pool.grants.last()?.certain);
        let over = depth > limit && certain > 0;
        let acquires = (over && listed).then(|| pool.witness(history, limit, owned));
        self.grants += 1;
        self.depth_max = self.depth_max.max(depth);
        if over {
            let acquires = acquires.unwrap_or_default();
            self.report(key, Why::Depth { depth, acquires });
        }
        Some(())
    }

    fn report(&mut self, key: &Scalar, why: Why) {
        self.total += 1;
        if self.found.len() < ANOMALIES_LISTED_MAX {
            let key = key.clone();
            self.found.push(Found { key, why });
        }
    }

    fn asked(&mut self, call: &Call, release: usize) -> Option<()> {
        let Operation::ReleasePermits {
            key,
            permits,
            token,
        } = &call.operation
        else {
            return None;
        };
        let (owner, owned) = (self.owner(call), self.owned);
        let pool = self.pool(key)?;
        let missing = pool.asked(owner, release, *token, (*permits).into());
        if !owned {
            pool.credit += missing;
        }
        Some(())
    }

    fn released(&mut self, call: &Call, release: usize) -> Option<()> {
        let Operation::ReleasePermits {
            key,
            permits,
            token,
        } = &call.operation
        else {
            return None;
        };
        let (owner, owned) = (self.owner(call), self.owned);
        let permits = u64::from(*permits);
        let missing = self.pool(key)?.released(owner, *token, permits);
        if owned && missing > 0 {
            let held = permits - missing;
            self.report(key, Why::Foreign { release, held });
        }
        Some(())
    }
}

impl Fold for Permits {
    fn step(&mut self, history: &History, moment: Moment) {
        let (Moment::Called(place) | Moment::Returned(place)) = moment;
        let Some(call) = locks::call(history, place) else {
            return;
        };
        match (&call.operation, moment, &call.outcome) {
            (Operation::ReleasePermits { .. }, Moment::Called(_), _) => self.asked(call, place),
            (Operation::ReleasePermits { .. }, _, Outcome::Ok(_)) => self.released(call, place),
            (Operation::AcquirePermits { .. }, Moment::Returned(_), Outcome::Ok(answer)) => {
                self.acquired(history, place, answer)
            }
            _ => None,
        };
    }

    fn contradicted(&self) -> bool {
        self.total > 0
    }

    fn verdict(&self, history: &History) -> Verdict {
        let clients = self.pools.iter().map(|pool| pool.clients.len()).max();
        let clients = clients.unwrap_or_default();
        // Fewer than there are could all have been held at once.
        let scarce = |pool: &Pool| pool.clients.len() > 1 && pool.granted > self.permits;
        let verdict = if self.total > 0 {
            let tell = |found: &Found| tell(history, found, self.permits);
            let anomalies = locks::told(self.found.iter(), tell);
            Verdict::invalid(NAME, anomalies, self.total as u64)
        } else if clients < 2 {
            let text = format!(
                "{}, and of no semaphore to more than {}: nobody to share permits with",
                explain::count(self.grants, "grant"),
                explain::count(clients, "client")
            );
            Verdict::unknown(NAME, "vacuous", text)
        } else if !self.pools.iter().any(scarce) {
            let text = "no semaphore granted more permits in all than it has: none had to wait";
            Verdict::unknown(NAME, "vacuous", text)
        } else if self.depth_max == 0 {
            let text = format!(
                "{}, but of none is certain that it was still held when it was answered",
                explain::count(self.grants, "grant")
            );
            Verdict::unknown(NAME, "vacuous", text)
        } else {
            let text = format!(
                "{}, and never more than {} of {} held at once for certain",
                explain::count(self.grants, "grant"),
                self.depth_max,
                explain::count(
                    usize::try_from(self.permits).unwrap_or(usize::MAX),
                    "permit"
                ),
            );
            Verdict::valid(NAME, text)
        };
        verdict
            .figure("semaphores", self.pools.len())
            .figure("grants", self.grants)
            .figure("depth-max", self.depth_max)
    }
}

fn tell(history: &History, found: &Found, permits: u64) -> Option<Anomaly> {
    match &found.why {
        Why::Depth { depth, acquires } => {
            over_grant(history, &found.key, permits, *depth, acquires)
        }
        Why::Foreign { release, held } => {
            let release = locks::call(history, *release)?;
            Some(foreign_release(&found.key, release, *held))
        }
    }
}

fn over_grant(
    history: &History,
    key: &Scalar,
    permits: u64,
    depth: u64,
    acquires: &[usize],
) -> Option<Anomaly> {
    let calls = acquires.iter().filter_map(|at| locks::call(history, *at));
    let mut calls: Vec<&Call> = calls.collect();
    calls.sort_by_key(|call| locks::ended(call));
    let last = calls.last()?;
    let permits = usize::try_from(permits).unwrap_or(usize::MAX);
    let sentence = format!(
        "{depth} permits of semaphore {key} were held at {}, when p{} was granted some more, but \
         there {} only {permits}",
        explain::seconds(explain::ended(last)),
        last.process,
        if permits == 1 { "is" } else { "are" },
    );
    let fact = |call: &&Call| format!("{}.", explain::returned(call));
    let mut facts: Vec<String> = calls.iter().map(fact).collect();
    facts.push("More was not asked to be taken back until then.".to_owned());
    Some(locks::anomaly("over-grant", key, sentence, &calls, facts))
}

fn foreign_release(key: &Scalar, release: &Call, held: u64) -> Anomaly {
    let who = release.process;
    let sentence = format!(
        "p{who} gave permits of semaphore {key} back at {}{} that it did not hold",
        explain::seconds(explain::ended(release)),
        explain::place(release),
    );
    let facts = vec![
        format!("p{who} held {held} of them, by all that it was answered."),
        format!(
            "Yet {}, where a refusal is due.",
            explain::acknowledged(release)
        ),
    ];
    locks::anomaly("foreign-release", key, sentence, &[release], facts)
}
