//! `fencing`: tokens grow from hold to hold, and a guarded resource refuses the smaller ones.
//!
//! When must hold *B* have a larger token than hold *A*? Two rules, each sound by itself:
//!
//! * **asked later**: *A*'s grant was answered before *B* was asked for (its request, or its
//!   try-acquire, was invoked). *A* was granted before its answer and *B* after it was asked for,
//!   so *A* was granted first. Where *B*'s ticket is of unknown origin, the rule is silent.
//! * **held later**: *A*'s certain hold was over before *B*'s began. Suppose that *B* was granted
//!   first. A hold is one stretch, so *B* held the lock from its grant until its certain hold at
//!   least; by mutual exclusion *A* was granted after that, so *A*'s certain hold cannot have been
//!   over before.
//!
//! At the resource: a write with a smaller token must be refused if it was asked for after one with
//! a larger token was acknowledged.

use rustc_hash::FxHashMap;
use tribunal_results::{Anomaly, Assumptions, Call, History, Operation, Record, Verdict};

use crate::intern::ByToken;
use crate::locks::{self, Book, Change, Hold, Lock, Past, Point};
use crate::{Budget, Checker, Fold, Moment, explain, stream};

/// The checker.
pub struct Fencing;

const NAME: &str = "fencing";

impl Checker for Fencing {
    fn name(&self) -> &'static str {
        NAME
    }

    fn about(&self) -> &'static str {
        "fencing tokens grow, and a resource refuses those older than it has seen (Lampson; \
         Kleppmann 2016)"
    }

    fn anomalies(&self) -> &'static [&'static str] {
        &["token-not-monotonic", "stale-token-accepted"]
    }

    fn blind_to(&self) -> &'static str {
        "the order of grants and of writes that overlap; grants that nobody claimed"
    }

    fn check(&self, record: &Record, _: Budget) -> Verdict {
        stream::fold(Tokens::new(&record.assume), &record.history)
    }

    fn fold(&self, assume: &Assumptions, _: Budget) -> Option<Box<dyn Fold>> {
        Some(Box::new(Tokens::new(assume)))
    }
}

struct Tokens {
    book: Book,
    locks: Vec<Seen>,
    found: Vec<Found>,
    writes: usize,
}

/// What was seen of the tokens of one lock.
#[derive(Default)]
struct Seen {
    /// The first hold with each token, whoever's.
    first: ByToken<usize>,
    /// The hold with the largest token among those up to each.
    largest: Vec<usize>,
    past: Past,
    /// Of holds that may become certain: the one of the past with the largest token.
    doubtful: FxHashMap<usize, usize>,
    /// The acknowledged write with the largest token: that token and the call.
    written: Option<(u64, usize)>,
    /// The same when each client's write was invoked that is outstanding.
    open: FxHashMap<u64, (u64, usize)>,
}

/// A contradiction in the tokens of a lock.
struct Found {
    lock: usize,
    why: Why,
}

enum Why {
    /// Two holds have the same token.
    Reused { earlier: usize, later: usize },
    /// The later was asked for after the earlier was granted.
    Asked { earlier: usize, later: usize },
    /// The later was held after the earlier.
    Held { earlier: usize, later: usize },
    /// A write was accepted after one with a larger token.
    Accepted { newer: usize, stale: usize },
}

impl Seen {
    fn step(&mut self, lock: &Lock, change: Change, now: Point, found: &mut Vec<Why>) {
        let past = self
            .past
            .largest(lock, now, |hold| Some(hold.token))
            .map(|(_, hold)| hold);
        self.past.step(lock, change, now);
        match change {
            Change::Began(at) => self.began(lock, at, past, found),
            Change::Kept { hold: at, .. } => {
                let certain = lock.holds.get(at).is_some_and(Hold::is_certain);
                if let Some(earlier) = certain.then(|| self.doubtful.remove(&at)).flatten() {
                    found.push(Why::Held { earlier, later: at });
                }
            }
            _ => {}
        }
    }

    fn began(&mut self, lock: &Lock, at: usize, past: Option<usize>, found: &mut Vec<Why>) {
        let Some(hold) = lock.holds.get(at) else {
            return;
        };
        let token = |at: usize| lock.holds.get(at).map_or(0, |hold| hold.token);
        let smaller = |earlier: &usize| hold.token < token(*earlier);
        // All that were answered before this one was asked for come first among the holds.
        let answered = hold.asked.and_then(|asked| {
            let count = lock.holds.partition_point(|other| other.from.1 < asked);
            self.largest.get(count.checked_sub(1)?).copied()
        });
        let largest = self.largest.last().copied();
        let larger = largest.filter(|largest| token(*largest) >= hold.token);
        self.largest.push(larger.unwrap_or(at));
        let (earlier, is_first) = self.first.entry((0, hold.token));
        if is_first {
            *earlier = at;
        }
        let earlier = *earlier;
        let again = |earlier: &Hold| earlier.process != hold.process || earlier.released;
        if earlier != at && lock.holds.get(earlier).is_some_and(again) {
            found.push(Why::Reused { earlier, later: at });
        }
        if let Some(earlier) = answered.filter(smaller) {
            found.push(Why::Asked { earlier, later: at });
        } else if let Some(earlier) = past.filter(smaller) {
            if hold.is_certain() {
                found.push(Why::Held { earlier, later: at });
            } else {
                self.doubtful.insert(at, earlier);
            }
        }
    }

    fn write(&mut self, call: &Call, token: u64, moment: Moment) -> Option<Why> {
        match moment {
            Moment::Called(_) => {
                if let Some(written) = self.written.filter(|(larger, _)| token < *larger) {
                    self.open.insert(call.process, written);
                }
                None
            }
            Moment::Returned(stale) => {
                let newer = self.open.remove(&call.process);
                if !call.is_ok() {
                    return None;
                }
                if self.written.is_none_or(|(larger, _)| larger < token) {
                    self.written = Some((token, stale));
                }
                newer.map(|(_, newer)| Why::Accepted { newer, stale })
            }
        }
    }
}

impl Tokens {
    fn new(assume: &Assumptions) -> Self {
        Self {
            book: Book::new(assume),
            locks: Vec::new(),
            found: Vec::new(),
            writes: 0,
        }
    }
}

impl Fold for Tokens {
    fn step(&mut self, history: &History, moment: Moment) {
        let Some((id, change)) = self.book.step(history, moment) else {
            return;
        };
        self.locks.resize_with(self.book.locks.len(), Seen::default);
        let (Moment::Called(place) | Moment::Returned(place)) = moment;
        let (Some(lock), Some(seen), Some(call)) = (
            self.book.locks.get(id),
            self.locks.get_mut(id),
            locks::call(history, place),
        ) else {
            return;
        };
        let mut found = Vec::new();
        if let Some(change) = change {
            seen.step(lock, change, locks::now(call, moment), &mut found);
        } else if let Operation::GuardedWrite { token, .. } = call.operation {
            found.extend(seen.write(call, token, moment));
            let accepted = matches!(moment, Moment::Returned(_)) && call.is_ok();
            self.writes += usize::from(accepted);
        }
        let found = found.into_iter().map(|why| Found { lock: id, why });
        self.found.extend(found);
    }

    fn contradicted(&self) -> bool {
        !self.found.is_empty()
    }

    fn verdict(&self, history: &History) -> Verdict {
        let locks = &self.book.locks;
        let granted: usize = locks.iter().map(|lock| lock.holds.len()).sum();
        let followed = |lock: &Lock| lock.holds.len().saturating_sub(1);
        // How many holds followed another of the same lock.
        let compared: usize = locks.iter().map(followed).sum();
        let verdict = if !self.found.is_empty() {
            let tell = |found: &Found| tell(history, locks.get(found.lock)?, &found.why);
            let anomalies = locks::told(self.found.iter(), tell);
            Verdict::invalid(NAME, anomalies, self.found.len() as u64)
        } else if compared == 0 {
            let text = format!(
                "{}: no two tokens of one lock to compare",
                explain::count(granted, "hold")
            );
            Verdict::unknown(NAME, "vacuous", text)
        } else {
            let holds = explain::count(granted, "hold");
            let writes = explain::count(self.writes, "accepted guarded write");
            Verdict::valid(
                NAME,
                format!("the tokens of {holds} grow, and so do those of {writes}"),
            )
        };
        verdict
            .figure("holds", granted)
            .figure("guarded-writes", self.writes)
    }
}

fn tell(history: &History, lock: &Lock, why: &Why) -> Option<Anomaly> {
    match *why {
        Why::Reused { earlier, later } => reused(history, lock, earlier, later),
        Why::Asked { earlier, later } => {
            let hold = lock.holds.get(later)?;
            let asked = locks::call(history, hold.asked_by())?;
            let fact = format!(
                "{}, after p{} had its answer: so this grant came later, and needs a larger token.",
                explain::invoked(asked),
                lock.holds.get(earlier)?.process,
            );
            regression(history, lock, earlier, later, fact)
        }
        Why::Held { earlier, later } => {
            let fact = format!(
                "p{}'s hold was over before p{}'s began: so this grant came later, and needs a \
                 larger token.",
                lock.holds.get(earlier)?.process,
                lock.holds.get(later)?.process,
            );
            regression(history, lock, earlier, later, fact)
        }
        Why::Accepted { newer, stale } => {
            let (newer, stale) = (locks::call(history, newer)?, locks::call(history, stale)?);
            stale_token(lock, newer, stale)
        }
    }
}

/// A token was granted to two holds: of two clients, or of one that had given it back.
fn reused(history: &History, lock: &Lock, earlier: usize, later: usize) -> Option<Anomaly> {
    let (first, again) = (lock.holds.get(earlier)?, lock.holds.get(later)?);
    let sentence = format!(
        "token {} of lock {} was granted twice: to p{} at {} and to p{} at {}",
        again.token,
        lock.name,
        first.process,
        explain::seconds(first.from.0),
        again.process,
        explain::seconds(again.from.0),
    );
    let fact = "Every grant needs a token larger than all before.".to_owned();
    not_monotonic(history, lock, sentence, [first, again], fact)
}

fn regression(
    history: &History,
    lock: &Lock,
    earlier: usize,
    later: usize,
    fact: String,
) -> Option<Anomaly> {
    let (earlier, later) = (lock.holds.get(earlier)?, lock.holds.get(later)?);
    let sentence = format!(
        "lock {} was granted to p{} with token {} at {}, after p{} had been granted token {} \
         at {}",
        lock.name,
        later.process,
        later.token,
        explain::seconds(later.from.0),
        earlier.process,
        earlier.token,
        explain::seconds(earlier.from.0),
    );
    not_monotonic(history, lock, sentence, [earlier, later], fact)
}

/// The later hold with its request, if it had one: that tells since when it can have been granted.
fn not_monotonic(
    history: &History,
    lock: &Lock,
    sentence: String,
    [earlier, later]: [&Hold; 2],
    fact: String,
) -> Option<Anomaly> {
    let first = locks::call(history, earlier.grant)?;
    let grant = locks::call(history, later.grant)?;
    let request = later.request.and_then(|at| locks::call(history, at));
    let calls: Vec<&Call> = [first, grant].into_iter().chain(request).collect();
    let facts = vec![
        format!("{}.", earlier.granted(first)),
        format!("{}.", later.granted(grant)),
        fact,
    ];
    Some(locks::anomaly(
        "token-not-monotonic",
        &lock.name,
        sentence,
        &calls,
        facts,
    ))
}

fn stale_token(lock: &Lock, newer: &Call, stale: &Call) -> Option<Anomaly> {
    let token = |call: &Call| match call.operation {
        Operation::GuardedWrite { token, .. } => Some(token),
        _ => None,
    };
    let sentence = format!(
        "{} accepted p{}'s guarded write with token {} at {}{}, although p{}'s with token {} \
         was accepted at {}",
        lock.name,
        stale.process,
        token(stale)?,
        explain::seconds(explain::ended(stale)),
        explain::place(stale),
        newer.process,
        token(newer)?,
        explain::seconds(explain::ended(newer)),
    );
    let facts = vec![
        format!("{}.", explain::acknowledged(newer)),
        format!(
            "{}, after that: from then on a token below {} must be refused.",
            explain::invoked(stale),
            token(newer)?,
        ),
        format!("Yet {}.", explain::acknowledged(stale)),
    ];
    Some(locks::anomaly(
        "stale-token-accepted",
        &lock.name,
        sentence,
        &[newer, stale],
        facts,
    ))
}
