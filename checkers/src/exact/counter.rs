//! A counter that is incremented by one.
//!
//! Forward, and as late as possible: an increment takes effect when it returns, or earlier if a
//! read that returns needs it; then that of the earliest return is taken first, those of unknown
//! end last. The count so far is then the least that it can be, and the smaller it is, the more
//! is still possible. A read must not return less than the count when it was called, and no more
//! than can be reached when it returns. Since the count goes up by one each time, that is enough.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use tribunal_results::Kind;

use super::{Contradiction, Decision, Forward, Part, forward, found};
use crate::normal::{Columns, OPEN, OUTSIDE, Row};

/// How many increments are listed that are too few all together.
const LISTED_MAX: usize = 24;

/// Decides a counter; `None` if it is incremented by anything but one.
pub(super) fn decide(object: &Columns) -> Option<Decision> {
    let unit = |row: &Row| row.kind == Kind::Count || row.argument == 1;
    if !object.rows().all(|row| unit(&row)) {
        return None;
    }
    let mut counter = Counter::default();
    forward::run(&mut counter, object);
    Some(found(counter.wrong.map(|at| explain(object, at))))
}

/// The counter so far.
#[derive(Clone, Debug, Default)]
pub struct Counter {
    /// The least count possible.
    count: u32,
    /// Increments that were called, by their return.
    pending: BinaryHeap<Reverse<(u32, u32)>>,
    /// Increments that took effect before they returned.
    early: Vec<u64>,
    /// Open reads that will return less than the count was when they were called.
    doomed: Vec<usize>,
    wrong: Option<usize>,
}

impl Counter {
    fn bit(at: usize) -> (usize, u64) {
        (at / 64, 1 << (at % 64))
    }

    /// Takes the pending increment that returns first; false if there is none.
    fn take(&mut self) -> bool {
        let Some(Reverse((_, at))) = self.pending.pop() else {
            return false;
        };
        let (word, bit) = Self::bit(at as usize);
        if self.early.len() <= word {
            self.early.resize(word + 1, 0);
        }
        if let Some(word) = self.early.get_mut(word) {
            *word |= bit;
        }
        self.count += 1;
        true
    }
}

impl Forward for Counter {
    #[inline]
    fn called(&mut self, _object: &Columns, at: usize, row: &Row) {
        if row.kind == Kind::Increment {
            self.pending.push(Reverse((row.ret, at as u32)));
        } else if row.answer == OUTSIDE || row.answer < self.count {
            self.doomed.push(at);
        }
    }

    #[inline]
    fn returned(&mut self, _object: &Columns, at: usize, row: &Row) {
        if row.kind == Kind::Increment {
            let (word, bit) = Self::bit(at);
            if self.early.get(word).is_none_or(|early| early & bit == 0) {
                // What returned before has left already, so it is the first of those pending.
                self.pending.pop();
                self.count += 1;
            }
            return;
        }
        if self.doomed.contains(&at) {
            self.wrong = Some(at);
            return;
        }
        while self.count < row.answer {
            if !self.take() {
                self.wrong = Some(at);
                return;
            }
        }
    }

    fn decided(&self) -> bool {
        self.wrong.is_some()
    }
}

/// What a read returned, and the increments between it and another that make it impossible.
struct Bound {
    /// The other read; none if it is the beginning.
    other: Option<Row>,
    /// How many count between both.
    between: usize,
    /// They, or the first of them where none of them is needed.
    increments: Vec<u32>,
}

/// Why the read at that place contradicts what was there before.
fn explain(object: &Columns, at: usize) -> Contradiction {
    let Some(read) = object.row(at) else {
        return Contradiction::new("not-linearizable", Vec::new(), Vec::new());
    };
    if read.answer == OUTSIDE {
        let sentence = vec![
            Part::Whose(read.place),
            Part::Words(": a counter that is only incremented never shows that"),
        ];
        return Contradiction::new("not-linearizable", vec![read.place], sentence)
            .fact(vec![Part::Returned(read.place)]);
    }
    if let Some(bound) = lower(object, &read) {
        return told(
            &read,
            bound,
            ": fewer than had been counted when it was called",
        );
    }
    if let Some(bound) = upper(object, &read) {
        return told(&read, bound, ": more than can have been counted until then");
    }
    // A chain of several reads: all that was called until then.
    let end = read.ret;
    let rows = object.rows().filter(|row| row.call < end);
    let calls = rows.map(|row| row.place).collect();
    let sentence = vec![
        Part::Whose(read.place),
        Part::Words(": no order of the increments explains it together with the reads before"),
    ];
    Contradiction::new("not-linearizable", calls, sentence).fact(vec![Part::Returned(read.place)])
}

fn told(read: &Row, bound: Bound, words: &'static str) -> Contradiction {
    let mut calls = vec![read.place];
    calls.extend(bound.other.map(|other| other.place));
    calls.extend(&bound.increments);
    let sentence = vec![Part::Whose(read.place), Part::Words(words)];
    let told = Contradiction::new("not-linearizable", calls, sentence);
    let told = match bound.other {
        Some(other) => told.fact(vec![Part::Returned(other.place)]),
        None => told.fact(vec![Part::Words("the counter was 0 at first")]),
    };
    told.fact(vec![
        Part::Value(bound.between.to_string()),
        Part::Words(" increments count between them"),
    ])
    .fact(vec![Part::Returned(read.place)])
}

/// A read that returned before this one was called, with increments that came entirely between
/// and make this one's count too small: the fewest.
fn lower(object: &Columns, read: &Row) -> Option<Bound> {
    // Backward from the call of the read: how many increments lie entirely after an instant.
    let mut between: Vec<Row> = object
        .rows()
        .filter(|row| row.kind == Kind::Increment && row.ret < read.call)
        .collect();
    between.sort_unstable_by_key(|row| Reverse(row.call));
    let mut others: Vec<Row> = object
        .rows()
        .filter(|row| row.kind == Kind::Count && row.ret < read.call && row.answer != OUTSIDE)
        .collect();
    others.sort_unstable_by_key(|row| Reverse(row.ret));
    let mut best: Option<(usize, Option<Row>)> = None;
    let mut consider = |needed: usize, counted: usize, other| {
        if needed <= counted && best.is_none_or(|(least, _)| needed < least) {
            best = Some((needed, other));
        }
    };
    let mut counted = 0;
    for other in others {
        counted += between
            .get(counted..)
            .unwrap_or_default()
            .iter()
            .take_while(|row| row.call > other.ret)
            .count();
        let needed = (i64::from(read.answer) + 1 - i64::from(other.answer)).max(0);
        consider(needed as usize, counted, Some(other));
    }
    consider(read.answer as usize + 1, between.len(), None);
    let (needed, other) = best?;
    let increments = between.iter().take(needed).map(|row| row.place).collect();
    Some(Bound {
        other,
        between: needed,
        increments,
    })
}

/// A read that, with all increments that may lie between, does not reach this one's count.
fn upper(object: &Columns, read: &Row) -> Option<Bound> {
    let possible = |since: u32| {
        object
            .rows()
            .filter(move |row| row.kind == Kind::Increment && row.call < read.ret)
            .filter(move |row| row.ret > since)
    };
    // Between the other's call and this return: as many as were called until this return, less
    // those that had returned by the other's call.
    let called = possible(0).count();
    let mut rets: Vec<u32> = possible(0).map(|row| row.ret).collect();
    rets.sort_unstable();
    let others = object
        .rows()
        .filter(|row| row.kind == Kind::Count && row.ret != OPEN && row.call < read.ret);
    let mut best: Option<(usize, Option<Row>)> = None;
    let mut consider = |possible: usize, base: u32, other| {
        let short = base as usize + possible < read.answer as usize;
        if short && best.is_none_or(|(least, _)| possible < least) {
            best = Some((possible, other));
        }
    };
    for other in others.filter(|other| other.place != read.place) {
        let gone = rets.partition_point(|ret| *ret < other.call);
        consider(called - gone, other.answer, Some(other));
    }
    consider(called, 0, None);
    let (between, other) = best?;
    let increments = possible(other.map_or(0, |other| other.call));
    let increments = increments.map(|row| row.place).take(LISTED_MAX).collect();
    Some(Bound {
        other,
        between,
        increments,
    })
}
