//! A semaphore, or mutex, whose permits anybody may give back, one at a time.
//!
//! Forward, and as late as possible: an acquire or release takes effect when it returns. If all
//! permits are taken then, the pending release that returns first is taken before; if none is,
//! the pending acquire that does. Operations of one kind differ only in when they return, so the
//! one that must take effect soonest is the best choice, and those of unknown end are the last.
//!
//! A permit that is granted with a lease may fall back by itself: that is left to a search.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use tribunal_results::Kind;

use super::stretches::Stretches;
use super::{Contradiction, Decision, Forward, Part, forward, found};
use crate::normal::{Columns, DONE, OPEN, Row};

/// How many calls are listed.
const LISTED_MAX: usize = 40;

/// Decides a semaphore; `None` if somebody takes or gives back more than one permit at once, or
/// has a lease.
pub(super) fn decide(object: &Columns, permits: u32) -> Option<Decision> {
    let plain = |row: Row| row.argument == 1 && row.answer == DONE;
    if permits == 0 || !object.rows().all(plain) {
        return None;
    }
    let mut semaphore = Semaphore::new(permits);
    forward::run(&mut semaphore, object);
    let explained = semaphore.wrong.map(|at| explain(object, permits, at));
    Some(found(explained))
}

/// Pending operations of one kind, by their return.
type Pending = BinaryHeap<Reverse<(u32, u32)>>;

/// The semaphore so far.
#[derive(Clone, Debug)]
pub struct Semaphore {
    permits: u32,
    held: u32,
    acquires: Pending,
    releases: Pending,
    /// Operations that took effect before they returned.
    early: Vec<u64>,
    wrong: Option<usize>,
}

impl Semaphore {
    /// A semaphore with so many permits.
    pub const fn new(permits: u32) -> Self {
        Self {
            permits,
            held: 0,
            acquires: BinaryHeap::new(),
            releases: BinaryHeap::new(),
            early: Vec::new(),
            wrong: None,
        }
    }

    fn pending(&mut self, kind: Kind) -> &mut Pending {
        match kind {
            Kind::AcquirePermits => &mut self.acquires,
            _ => &mut self.releases,
        }
    }

    /// Takes the pending operation that returns first; false if there is none.
    fn take(&mut self, kind: Kind) -> bool {
        let Some(Reverse((_, at))) = self.pending(kind).pop() else {
            return false;
        };
        let word = at as usize / 64;
        if self.early.len() <= word {
            self.early.resize(word + 1, 0);
        }
        if let Some(word) = self.early.get_mut(word) {
            *word |= 1 << (at % 64);
        }
        true
    }
}

impl Forward for Semaphore {
    #[inline]
    fn called(&mut self, _object: &Columns, at: usize, row: &Row) {
        let entry = Reverse((row.ret, at as u32));
        self.pending(row.kind).push(entry);
    }

    #[inline]
    fn returned(&mut self, _object: &Columns, at: usize, row: &Row) {
        let early = self.early.get(at / 64).copied().unwrap_or_default();
        if early >> (at % 64) & 1 == 1 {
            return;
        }
        // What returned before has left already, so it is the first of those pending.
        self.pending(row.kind).pop();
        let fits = if row.kind == Kind::AcquirePermits {
            let full = self.held == self.permits;
            self.held += u32::from(!full);
            !full || self.take(Kind::ReleasePermits)
        } else {
            let free = self.held == 0;
            self.held -= u32::from(!free);
            !free || self.take(Kind::AcquirePermits)
        };
        if !fits {
            self.wrong = Some(at);
        }
    }

    fn decided(&self) -> bool {
        self.wrong.is_some()
    }
}

/// The shortest stretch up to that return in which too many were taken, or given back.
fn explain(object: &Columns, permits: u32, at: usize) -> Contradiction {
    let Some(last) = object.row(at) else {
        return Contradiction::new("not-linearizable", Vec::new(), Vec::new());
    };
    let called = object.rows().filter(|row| row.call < last.ret);
    let prefix = since_rest(called.collect());
    let forced = |row: &Row| row.kind == last.kind && row.ret <= last.ret;
    // Backward: at its call an operation of this kind comes to lie inside the stretch; at its
    // return one of the other kind may take effect in it.
    let mut moments: Vec<(u32, bool)> = Vec::new();
    for row in &prefix {
        if forced(row) {
            moments.push((row.call, true));
        } else if row.kind != last.kind {
            moments.push((row.ret.min(last.ret), false));
        }
    }
    moments.sort_unstable_by_key(|(at, inside)| (Reverse(*at), *inside));
    let room = |since: Option<u32>| match (last.kind, since) {
        // At first none is taken.
        (Kind::ReleasePermits, None) => 0,
        _ => i64::from(permits),
    };
    let mut balance = 0;
    let mut since = None;
    for (at, inside) in moments {
        balance += if inside { 1 } else { -1 };
        if balance > room(Some(at)) {
            since = Some(at);
            break;
        }
    }
    if since.is_none() && balance <= room(None) {
        let within = Stretches::new(&prefix, &last, permits).within(&last);
        return told(&last, permits, &within, " in these stretches", usize::MAX);
    }
    // What is of the same kind and still open does not count, and would prolong the stretch.
    let within = |row: &&Row| match since {
        None => forced(row) || row.kind != last.kind,
        Some(since) if forced(row) => row.call >= since,
        Some(since) => row.kind != last.kind && row.ret > since,
    };
    let mut within: Vec<&Row> = prefix.iter().filter(within).collect();
    // What began before the stretch comes last but for what began it.
    if let Some(since) = since {
        within.sort_by_key(|row| (row.call != since, row.call));
    }
    let stretch = if since.is_some() {
        " in this stretch"
    } else {
        ""
    };
    told(&last, permits, &within, stretch, LISTED_MAX)
}

/// What came after the last instant at which nothing was pending and no permit was taken.
fn since_rest(mut rows: Vec<Row>) -> Vec<Row> {
    let (mut latest, mut held, mut from) = (0, 0, 0);
    for (nth, row) in rows.iter().enumerate() {
        if held == 0 && latest < row.call {
            from = nth;
        }
        latest = latest.max(row.ret);
        held += match row.kind {
            Kind::AcquirePermits => 1,
            _ => -1,
        };
    }
    rows.split_off(from)
}

fn told(
    last: &Row,
    permits: u32,
    within: &[&Row],
    stretch: &'static str,
    listed_max: usize,
) -> Contradiction {
    let same = |row: &&&Row| row.kind == last.kind && row.ret != OPEN;
    let of_kind = within.iter().filter(same).count();
    let against = within.iter().filter(|row| row.kind != last.kind).count();
    let (done, undone) = match last.kind {
        Kind::AcquirePermits => (
            " acquires had returned by then, ",
            " releases had been called",
        ),
        _ => (
            " releases had returned by then, ",
            " acquires had been called",
        ),
    };
    let sentence = vec![
        Part::Whose(last.place),
        Part::Words(match last.kind {
            Kind::AcquirePermits => ": all permits were taken, and nobody was giving one back",
            _ => ": no permit was taken, and nobody was taking one",
        }),
    ];
    // The first begins the stretch; the rest counts, whether it is listed or not.
    let listed = within.len().saturating_sub(listed_max);
    let first = within.first().into_iter().take(listed);
    let calls = first.chain(within.iter().skip(listed));
    let mut calls: Vec<u32> = calls.map(|row| row.place).collect();
    if !calls.contains(&last.place) {
        calls.push(last.place);
    }
    Contradiction::new("not-linearizable", calls, sentence)
        .fact(vec![
            Part::Value(of_kind.to_string()),
            Part::Words(done),
            Part::Value(against.to_string()),
            Part::Words(undone),
            Part::Words(stretch),
        ])
        .fact(vec![
            Part::Words("permits: "),
            Part::Value(permits.to_string()),
        ])
        .fact(vec![Part::Returned(last.place)])
}
