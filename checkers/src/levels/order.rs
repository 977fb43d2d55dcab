//! The commit order: the order of sessions, of reads from writes and what follows from them;
//! and cycles in it.

use super::rows::Rows;
use super::saturate::{Before, sources};
use super::sessions::{NONE, Sessions};
use crate::graph::components;

/// The most cycles shown.
const SHOWN_MAX: usize = 8;
/// How many cycles of one component are compared for the shortest.
const COMPARED_MAX: u32 = 16;

/// Why one transaction was committed before another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// Its session called it first.
    Session,
    /// The other read what it wrote.
    Read,
    /// This transaction saw that it was.
    Seen(u32),
}

/// A pair of the commit order.
pub(crate) type Step = (u32, u32, Why);

/// Of each transaction, which ones were committed after it.
pub(crate) struct Order {
    after: Rows<(u32, Why)>,
}

impl Order {
    /// The order with these pairs besides those of sessions and of reads from writes.
    pub(crate) fn new(sessions: &Sessions<'_, '_>, pairs: &[Before]) -> Self {
        let session = |txn| Some((sessions.before(txn)?, (txn, Why::Session)));
        let reads = |txn| sources(sessions, txn).map(move |from| (from, (txn, Why::Read)));
        let numbers = 0..sessions.len();
        let pairs = pairs.iter().filter(|pair| pair.to != NONE);
        let after = numbers
            .clone()
            .filter_map(session)
            .chain(numbers.flat_map(reads))
            .chain(pairs.map(|pair| (pair.from, (pair.to, Why::Seen(pair.by)))));
        Self {
            after: Rows::sorted(sessions.txns.len() as usize, after),
        }
    }

    /// How many pairs it has.
    pub(crate) fn size(&self) -> usize {
        self.after.items().len()
    }

    /// Short cycles in different components; with what the search cost.
    pub(crate) fn cycles(&self, steps_max: u64) -> (Vec<Vec<Step>>, u64) {
        let nodes = self.after.len();
        let component = components(nodes, |node| self.after.row(node), |_, (to, _)| Some(to));
        let count = component.iter().max().map_or(0, |max| *max as usize + 1);
        let mut search = Search {
            order: self,
            came: Vec::new(),
            touched: Vec::new(),
            steps: self.size() as u64,
        };
        if count == component.len() {
            return (Vec::new(), search.steps);
        }
        search.came = vec![(NONE, Why::Read); component.len()];
        let of = |node: u32| component.get(node as usize).copied();
        let mut best: Vec<(Option<u32>, u32, Vec<Step>)> = Vec::new();
        for from in 0..nodes {
            for &(to, why) in self.after.row(from) {
                let place = best.iter().position(|(inside, ..)| *inside == of(from));
                let full = match place.and_then(|at| best.get(at)) {
                    Some((_, tried, cycle)) => *tried >= COMPARED_MAX || cycle.len() <= 2,
                    None => best.len() >= SHOWN_MAX,
                };
                let spent = search.steps > steps_max && !best.is_empty();
                if full || spent || of(from) != of(to) {
                    continue;
                }
                let back = search.path(to, from, |node| of(node) == of(from));
                let Some(back) = back else {
                    continue;
                };
                let cycle = [vec![(from, to, why)], back].concat();
                match place.and_then(|at| best.get_mut(at)) {
                    None => best.push((of(from), 1, cycle)),
                    Some((_, tried, shortest)) => {
                        *tried += 1;
                        if cycle.len() < shortest.len() {
                            *shortest = cycle;
                        }
                    }
                }
            }
        }
        let cycles = best.into_iter().map(|(_, _, cycle)| cycle);
        (cycles.collect(), search.steps)
    }

    /// The shortest way from one transaction to another.
    pub(crate) fn path(&self, from: u32, to: u32) -> Option<Vec<Step>> {
        let mut search = Search {
            order: self,
            came: vec![(NONE, Why::Read); self.after.len() as usize],
            touched: Vec::new(),
            steps: 0,
        };
        search.path(from, to, |_| true)
    }
}

/// Searches for shortest paths, breadth first.
struct Search<'o> {
    order: &'o Order,
    /// From which transaction each was first reached, and why it comes after that.
    came: Vec<(u32, Why)>,
    touched: Vec<u32>,
    steps: u64,
}

impl Search<'_> {
    fn path(&mut self, from: u32, to: u32, may: impl Fn(u32) -> bool) -> Option<Vec<Step>> {
        for node in self.touched.drain(..) {
            if let Some(came) = self.came.get_mut(node as usize) {
                came.0 = NONE;
            }
        }
        self.touch(from, from, Why::Read);
        let mut at = 0;
        while let Some(&node) = self.touched.get(at) {
            at += 1;
            if node == to {
                return Some(self.back(from, to));
            }
            for &(next, why) in self.order.after.row(node) {
                self.steps += 1;
                let is_new = self.came.get(next as usize).is_some_and(|c| c.0 == NONE);
                if is_new && may(next) {
                    self.touch(next, node, why);
                }
            }
        }
        None
    }

    fn touch(&mut self, node: u32, from: u32, why: Why) {
        if let Some(came) = self.came.get_mut(node as usize) {
            *came = (from, why);
            self.touched.push(node);
        }
    }

    fn back(&self, start: u32, goal: u32) -> Vec<Step> {
        let mut steps = Vec::new();
        let mut node = goal;
        while node != start {
            let Some(&(from, why)) = self.came.get(node as usize) else {
                break;
            };
            steps.push((from, node, why));
            node = from;
        }
        steps.reverse();
        steps
    }
}

/// The transactions that took effect, each after those that it follows in its session and those
/// that it read from; `None` if there is no such order.
pub(crate) fn topological(sessions: &Sessions<'_, '_>) -> Option<Vec<u32>> {
    /// How far the search is with a transaction.
    #[derive(Clone, Copy, PartialEq)]
    enum Mark {
        New,
        Open,
        Done,
    }
    let mut marks = vec![Mark::New; sessions.txns.len() as usize];
    let mut order = Vec::with_capacity(sessions.txns.len() as usize);
    // Transactions with the number of the next one before it to look at.
    let mut path: Vec<(u32, usize)> = Vec::new();
    let before = |txn: u32, nth: usize| match nth {
        0 => Some(sessions.before(txn).unwrap_or(NONE)),
        nth => sessions.reads.row(txn).get(nth - 1).map(|read| read.from),
    };
    for &root in sessions.sessions.items() {
        if marks.get(root as usize) == Some(&Mark::New) {
            path.push((root, 0));
        }
        while let Some((txn, nth)) = path.last_mut() {
            let txn = *txn;
            let mark = marks.get_mut(txn as usize)?;
            if *nth == 0 {
                *mark = Mark::Open;
            }
            let Some(next) = before(txn, *nth) else {
                *mark = Mark::Done;
                order.push(txn);
                path.pop();
                continue;
            };
            *nth += 1;
            match marks.get(next as usize) {
                Some(Mark::New) => path.push((next, 0)),
                Some(Mark::Open) => return None,
                Some(Mark::Done) | None => {}
            }
        }
    }
    Some(order)
}
