//! Several stretches of time in which together too many permits were taken, or given back.
//!
//! An operation takes effect at a return (just before it), one among those that it was pending at.
//! So the returns are the nodes of a flow network: permits flow from one to the next, never less
//! than none, never more than there are; an acquire brings one at a return of its choice, a
//! release takes one away. If no flow serves all operations, then (Gale 1957, Hoffman 1960) some
//! set of returns shows it: more is brought in it for certain than may be taken away in it and
//! can flow out of it. Those are the returns from which one permit too many, which is where the
//! schedule failed, can be moved to by changing the schedule.
//!
//! A release that was pending in two stretches counts in both, so neither alone needs to be
//! contradictory: their union is.

use std::collections::BTreeSet;

use tribunal_results::Kind;

use crate::normal::Row;

/// Which calls show that too many operations of a kind had returned.
pub(super) struct Stretches<'a> {
    rows: &'a [Row],
    /// The kind of which there are too many.
    kind: Kind,
    /// The returns, in order.
    returns: Vec<u32>,
    /// Where each row takes effect in the schedule that failed last: a place in `returns`.
    placed: Vec<Option<usize>>,
    /// How many permits are taken after each return (free, if too many were given back).
    level: Vec<u32>,
    permits: u32,
}

impl<'a> Stretches<'a> {
    /// The schedule of these rows that the forward pass followed until it failed at the return of
    /// `last`, before which no permit was taken.
    pub(super) fn new(rows: &'a [Row], last: &Row, permits: u32) -> Self {
        let ends = rows.iter().map(|row| row.ret);
        let mut returns: Vec<u32> = ends.filter(|ret| *ret <= last.ret).collect();
        returns.sort_unstable();
        let mut made = Self {
            rows,
            kind: last.kind,
            placed: vec![None; rows.len()],
            level: Vec::with_capacity(returns.len()),
            returns,
            permits,
        };
        made.schedule();
        made
    }

    /// The forward pass again, remembering where everything took effect.
    fn schedule(&mut self) {
        let mut order: Vec<(u32, usize)> = Vec::with_capacity(self.rows.len());
        order.extend(self.rows.iter().enumerate().map(|(at, row)| (row.ret, at)));
        order.sort_unstable();
        order.truncate(self.returns.len());
        let takes = self.kind == Kind::AcquirePermits;
        let mut level = if takes { 0 } else { self.permits };
        let (mut raising, mut lowering) = (BTreeSet::new(), BTreeSet::new());
        let mut calls = self.rows.iter().enumerate().peekable();
        for (moment, (ret, at)) in order.into_iter().enumerate() {
            while let Some((at, row)) = calls.next_if(|(_, row)| row.call < ret) {
                let raises = row.kind == self.kind;
                let pending = if raises { &mut raising } else { &mut lowering };
                pending.insert((row.ret, at));
            }
            if raising.remove(&(ret, at)) {
                self.set(at, moment);
                if level < self.permits {
                    level += 1;
                } else if let Some((_, early)) = lowering.pop_first() {
                    self.set(early, moment);
                }
            } else if lowering.remove(&(ret, at)) {
                self.set(at, moment);
                if level > 0 {
                    level -= 1;
                } else if let Some((_, early)) = raising.pop_first() {
                    self.set(early, moment);
                }
            }
            self.level.push(level);
        }
    }

    fn set(&mut self, at: usize, moment: usize) {
        if let Some(placed) = self.placed.get_mut(at) {
            *placed = Some(moment);
        }
    }

    /// The first return and the one behind the last at which a row may take effect.
    fn choice(&self, row: &Row) -> (usize, usize) {
        let from = self.returns.partition_point(|ret| *ret < row.call);
        let to = self.returns.partition_point(|ret| *ret <= row.ret);
        (from, to.max(from))
    }

    /// To which returns one permit too many can be moved from those of `last`.
    fn reachable(&self, last: &Row) -> Vec<bool> {
        let mut reached = vec![false; self.returns.len()];
        let (from, to) = self.choice(last);
        fill(&mut reached, from, to);
        loop {
            let before = reached.iter().filter(|it| **it).count();
            self.flow(&mut reached);
            self.exchange(&mut reached);
            if reached.iter().filter(|it| **it).count() == before {
                return reached;
            }
        }
    }

    /// Forward where there is room for one more, backward where one less may flow.
    fn flow(&self, reached: &mut [bool]) {
        for at in 1..reached.len() {
            let room = self.level.get(at - 1).is_some_and(|it| *it < self.permits);
            if room && reached.get(at - 1) == Some(&true) {
                fill(reached, at, at + 1);
            }
        }
        for at in (1..reached.len()).rev() {
            let some = self.level.get(at - 1).is_some_and(|it| *it > 0);
            if some && reached.get(at) == Some(&true) {
                fill(reached, at - 1, at);
            }
        }
    }

    /// By moving an operation that raises away from a return, or one that lowers to it.
    fn exchange(&self, reached: &mut [bool]) {
        let mut counts = vec![0_usize; reached.len() + 1];
        let mut total = 0;
        for (count, is_in) in counts.iter_mut().skip(1).zip(reached.iter()) {
            total += usize::from(*is_in);
            *count = total;
        }
        for (row, placed) in self.rows.iter().zip(&self.placed) {
            let Some(placed) = placed else { continue };
            let (from, to) = self.choice(row);
            if row.kind != self.kind {
                if counts.get(from) != counts.get(to) {
                    fill(reached, *placed, placed + 1);
                }
            } else if reached.get(*placed) == Some(&true) {
                fill(reached, from, to);
            }
        }
    }

    /// The rows that show it: of the kind of `last` those that must take effect in these
    /// stretches, of the other those that may.
    pub(super) fn within(&self, last: &Row) -> Vec<&'a Row> {
        let reached = self.reachable(last);
        let counts = |row: &&Row| {
            let (from, to) = self.choice(row);
            let here = reached.get(from..to).unwrap_or_default();
            if row.kind == self.kind {
                row.ret <= last.ret && here.iter().all(|it| *it)
            } else {
                here.iter().any(|it| *it)
            }
        };
        self.rows.iter().filter(counts).collect()
    }
}

fn fill(reached: &mut [bool], from: usize, to: usize) {
    if let Some(here) = reached.get_mut(from..to) {
        here.fill(true);
    }
}
