//! `reentrancy`: a client that enters a lock that it holds keeps its token, enters no deeper than
//! allowed, and leaves no more often than it entered.
//!
//! A client is in as deep as it was answered: entries acknowledged less releases acknowledged. An
//! entry of unknown end may not have happened; a release of unknown end is the client's last word.
//! That a hold lasts until it was left as often as entered is for `mutual-exclusion` to judge.

use rustc_hash::FxHashMap;
use tribunal_results::{
    Anomaly, Answer, Assumptions, Call, History, Operation, Outcome, Record, Verdict,
};

use crate::locks::{self, Book, Change, Clocks, Lock, Release};
use crate::{Budget, Checker, Fold, Moment, explain, stream};

/// The checker.
pub struct Reentrancy;

const NAME: &str = "reentrancy";

impl Checker for Reentrancy {
    fn name(&self) -> &'static str {
        NAME
    }

    fn about(&self) -> &'static str {
        "a held lock is entered again with the same token, at most as often as allowed, and left \
         as often as it was entered"
    }

    fn anomalies(&self) -> &'static [&'static str] {
        &["too-many-entries", "excess-release", "token-changed"]
    }

    fn blind_to(&self) -> &'static str {
        "entries that nobody was told of; an entry that is forgotten while nobody else wants the \
         lock"
    }

    fn check(&self, record: &Record, _: Budget) -> Verdict {
        stream::fold(Entries::new(&record.assume), &record.history)
    }

    fn fold(&self, assume: &Assumptions, _: Budget) -> Option<Box<dyn Fold>> {
        Some(Box::new(Entries::new(assume)))
    }
}

struct Entries {
    book: Book,
    allowed: u64,
    /// Times a held lock was entered.
    again: usize,
    deepest: u64,
    /// The hold that each client entered last, by lock.
    last: FxHashMap<(usize, u64), usize>,
    found: Vec<Found>,
}

struct Found {
    lock: usize,
    /// The call whose answer contradicts the others.
    call: usize,
    /// The grant that the client's hold began with.
    grant: usize,
    why: Why,
}

#[derive(Clone, Copy)]
enum Why {
    /// It was entered this often at once.
    Deep(u64),
    /// It was left once more than it was entered.
    Excess,
    /// It was held with this token.
    Changed(u64),
}

impl Entries {
    fn new(assume: &Assumptions) -> Self {
        Self {
            book: Book::new(assume),
            allowed: assume.entries.map_or(u64::MAX, u64::from),
            again: 0,
            deepest: 0,
            last: FxHashMap::default(),
            found: Vec::new(),
        }
    }

    /// What contradicts what was answered before, and the grant of the hold that it is about.
    fn judge(&mut self, id: usize, call: &Call, change: Change) -> Option<(usize, Why)> {
        let lock = self.book.locks.get(id)?;
        let at = match change {
            Change::Began(at) | Change::Kept { hold: at, .. } => at,
            Change::Answered(Release::Excess) => {
                let known = lock.latest(call)?;
                return Some((lock.holds.get(known)?.grant, Why::Excess));
            }
            _ => return None,
        };
        let hold = lock.holds.get(at)?;
        let (Operation::Acquire { .. } | Operation::TryAcquire { .. }) = call.operation else {
            return None;
        };
        let depth = lock.depth(hold.process, hold.token);
        self.again += usize::from(depth > 1);
        self.deepest = self.deepest.max(depth);
        let before = self.last.insert((id, call.process), at);
        if depth.checked_sub(1) == Some(self.allowed) {
            return Some((hold.grant, Why::Deep(depth)));
        }
        let held = lock.holds.get(before.filter(|before| *before != at)?)?;
        let again = matches!(call.operation, Operation::Acquire { ticket: None, .. });
        let changed = again && held.token != hold.token && locks::ended(call) < held.until();
        changed.then_some((held.grant, Why::Changed(held.token)))
    }
}

impl Fold for Entries {
    fn step(&mut self, history: &History, moment: Moment) {
        let Some((lock, Some(change))) = self.book.step(history, moment) else {
            return;
        };
        let (Moment::Called(place) | Moment::Returned(place)) = moment;
        let Some(call) = locks::call(history, place) else {
            return;
        };
        if let Some((grant, why)) = self.judge(lock, call, change) {
            self.found.push(Found {
                lock,
                call: place,
                grant,
                why,
            });
        }
    }

    fn contradicted(&self) -> bool {
        !self.found.is_empty()
    }

    fn verdict(&self, history: &History) -> Verdict {
        let verdict = if !self.found.is_empty() {
            let tell = |found: &Found| {
                let lock = self.book.locks.get(found.lock)?;
                tell(history, lock, self.book.clocks, found, self.allowed)
            };
            let anomalies = locks::told(self.found.iter(), tell);
            Verdict::invalid(NAME, anomalies, self.found.len() as u64)
        } else if self.again == 0 {
            let text = "no lock was entered by a client that held it";
            Verdict::unknown(NAME, "vacuous", text)
        } else {
            let text = format!(
                "a held lock was entered {} times, {} deep at most",
                self.again, self.deepest
            );
            Verdict::valid(NAME, text)
        };
        verdict
            .figure("entries-again", self.again)
            .figure("depth-max", self.deepest)
    }
}

fn tell(
    history: &History,
    lock: &Lock,
    clocks: Clocks,
    found: &Found,
    allowed: u64,
) -> Option<Anomaly> {
    let call = locks::call(history, found.call)?;
    let grant = locks::call(history, found.grant)?;
    let (who, name) = (call.process, &lock.name);
    let when = explain::seconds(explain::ended(call));
    let (anomaly, sentence, last) = match found.why {
        Why::Deep(depth) => (
            "too-many-entries",
            format!("p{who} was in lock {name} {depth} times at once at {when}"),
            format!(
                "A client may enter {} at once.",
                explain::count(usize::try_from(allowed).unwrap_or(usize::MAX), "time")
            ),
        ),
        Why::Excess => (
            "excess-release",
            format!("p{who} left lock {name} once more than it had entered, at {when}"),
            format!("p{who} had as many releases acknowledged as entries before."),
        ),
        Why::Changed(token) => (
            "token-changed",
            format!(
                "p{who} entered lock {name} again at {when} and got another token than its hold, \
                 {token}"
            ),
            "Who enters a lock that it holds keeps the token.".to_owned(),
        ),
    };
    let mut calls = vec![grant];
    calls.extend(match found.why {
        Why::Deep(_) => answered(history, grant, call, true).collect(),
        Why::Excess => answered(history, grant, call, false).collect::<Vec<_>>(),
        Why::Changed(_) => {
            let held = lock.holds.iter().find(|hold| hold.grant == found.grant)?;
            held.kept(history, clocks, locks::ended(call), locks::ended(call).0)
                .0
        }
    });
    calls.push(call);
    calls.sort_by_key(|call| call.invoked.index);
    calls.dedup_by_key(|call| call.invoked.index);
    let fact = |call: &&Call| format!("{}.", explain::returned(call));
    let mut facts: Vec<String> = calls.iter().map(fact).collect();
    facts.push(last);
    Some(locks::anomaly(anomaly, name, sentence, &calls, facts))
}

/// The client's acknowledged entries under a token before a call, or its acknowledged releases.
fn answered<'h>(
    history: &'h History,
    grant: &'h Call,
    last: &'h Call,
    entries: bool,
) -> impl Iterator<Item = &'h Call> {
    let token = match &grant.outcome {
        Outcome::Ok(Answer::Grant(grant)) => Some(grant.token),
        _ => None,
    };
    let counts = move |call: &&Call| match (&call.operation, &call.outcome) {
        (Operation::Release { token: given, .. }, Outcome::Ok(_)) => {
            !entries && Some(*given) == token
        }
        (
            Operation::Acquire { .. } | Operation::TryAcquire { .. },
            Outcome::Ok(Answer::Grant(grant)),
        ) => entries && Some(grant.token) == token,
        _ => false,
    };
    let until = move |call: &&Call| locks::invoked(call) < locks::invoked(last);
    let mine =
        |call: &&Call| call.process == last.process && call.operation.key() == last.operation.key();
    let calls = history.calls().iter().take_while(until);
    calls.filter(mine).filter(counts)
}
