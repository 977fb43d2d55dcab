//! Decides a register whose values are each written at most once, without search.
//!
//! Such a value is current in one stretch of time. A write, the reads of its value, the
//! compare-and-set that took it away, the reads of that one's value and so on form a *block*, in
//! this order; nothing else can happen between its mutators. The register is linearizable exactly
//! if no operation of a block returned before an earlier one of the block was called, and the
//! blocks can be put in an order. A block must come before another if it has an operation that
//! returned before one of the other was called, so only two of its times matter: its first return
//! and its last call. If the first return comes earlier, the block is certain to be current from
//! the one to the other (a *forward* zone); otherwise it can be current at any one instant from
//! the last call to the first return (a *backward* zone). The blocks have an order exactly if no
//! two forward zones overlap and no backward zone lies inside a forward one: Gibbons & Korach,
//! *Testing shared memories*, SIAM J. Comput. 26(4), 1997; compare-and-sets and operations of
//! unknown end are additions. Linear in the operations but for sorting the blocks.

use super::{ABSENT, Entry, Step, Value};
use crate::Budget;
use crate::engine::{Finding, Searched};

/// The end of time. No event has this index.
const NEVER: u64 = u64::MAX;
/// Operations that cost as much as one step of a search.
const OPERATIONS_PER_STEP: usize = 16;

/// Decides the register, if every value is written at most once; `None` if one is not.
pub(super) fn decide(entries: &[Entry<'_>], budget: Budget) -> Option<Searched> {
    let mut values = Values::new(entries)?;
    let cost = (entries.len() / OPERATIONS_PER_STEP + 1) as u64;
    let bytes = (values.cells.len() * size_of::<Cell>()) as u64;
    let searched = |finding, steps| Searched {
        finding,
        steps,
        peak: 0,
        order: None,
    };
    if cost > budget.steps || bytes > budget.bytes {
        return Some(searched(Finding::Exhausted(0), 0));
    }
    if values.agree(NEVER) {
        return Some(searched(Finding::Linearizable, cost));
    }
    let mut rets: Vec<(u64, usize)> = entries
        .iter()
        .enumerate()
        .filter_map(|(at, entry)| entry.op.ret.map(|ret| (ret, at)))
        .collect();
    rets.sort_unstable();
    let stuck = rets.partition_point(|&(ret, _)| values.agree(ret));
    let (_, at) = *rets.get(stuck)?;
    let rounds = u64::from(rets.len().ilog2()) + 2;
    Some(searched(Finding::Stuck(at), cost * rounds))
}

/// All about one value.
#[derive(Clone, Copy)]
struct Cell {
    /// The entry that writes it.
    writer: Option<u32>,
    /// The compare-and-set that takes it away.
    taker: Option<u32>,
    /// Whether somebody observed it.
    needed: bool,
    /// The first return of a read of it.
    first_ret: u64,
    /// The last call of a read of it.
    last_call: u64,
}

impl Cell {
    const EMPTY: Self = Self {
        writer: None,
        taker: None,
        needed: false,
        first_ret: NEVER,
        last_call: 0,
    };
}

/// The values of one register, each with who wrote, saw and took it.
struct Values<'e, 'a> {
    entries: &'e [Entry<'a>],
    cells: Vec<Cell>,
}

/// When a block is certain to be current, or may be: see the module's description. Times are
/// indexes of events plus one; at 0, before all events, the register is absent.
#[derive(Clone, Copy, Debug)]
struct Zone {
    first_ret: u64,
    last_call: u64,
}

impl Zone {
    /// Adds what comes later in the block; false if it returned before something that comes
    /// earlier was called.
    fn extend(&mut self, call: u64, ret: u64) -> bool {
        let fits = ret >= self.last_call;
        self.first_ret = self.first_ret.min(ret);
        self.last_call = self.last_call.max(call);
        fits
    }
}

impl<'e, 'a> Values<'e, 'a> {
    /// `None` if a value has two writers, or one that expects what it writes.
    fn new(entries: &'e [Entry<'a>]) -> Option<Self> {
        let mut cells: Vec<Cell> = Vec::new();
        for (at, entry) in entries.iter().enumerate() {
            let step = entry.op.step;
            let largest = step.leaves().max(step.needs().unwrap_or_default()) as usize;
            if cells.len() <= largest {
                cells.resize(largest + 1, Cell::EMPTY);
            }
            let Some(value) = step.sets() else { continue };
            let cell = cells.get_mut(value as usize)?;
            if cell.writer.is_some() || value == ABSENT || step.needs() == Some(value) {
                return None;
            }
            cell.writer = Some(u32::try_from(at).ok()?);
        }
        Some(Self { entries, cells })
    }

    fn cell(&mut self, value: Value) -> Option<&mut Cell> {
        self.cells.get_mut(value as usize)
    }

    /// The mutator at that place, if it was called by then: what it expects, its call and return.
    fn mutator(&self, at: Option<u32>, end: u64) -> Option<(Step, u64, u64)> {
        let op = self.entries.get(at? as usize)?.op;
        (op.call < end).then_some((op.step, op.call + 1, returned(op.ret, end)))
    }

    /// Whether there is an order of what was called before `end`, given what had returned by then.
    fn agree(&mut self, end: u64) -> bool {
        self.observe(end);
        self.need(end) && self.take(end) && self.zones(end).is_some_and(in_order)
    }

    /// Notes who saw what.
    fn observe(&mut self, end: u64) {
        for cell in &mut self.cells {
            *cell = Cell {
                writer: cell.writer,
                ..Cell::EMPTY
            };
        }
        for entry in self.entries {
            let ret = returned(entry.op.ret, end);
            if ret == NEVER {
                continue;
            }
            let Some(value) = entry.op.step.needs() else {
                continue;
            };
            if let Some(cell) = self.cells.get_mut(value as usize) {
                cell.needed = true;
                if entry.op.step.sets().is_none() {
                    cell.first_ret = cell.first_ret.min(ret);
                    cell.last_call = cell.last_call.max(entry.op.call + 1);
                }
            }
        }
    }

    /// Follows the needs of compare-and-sets of unknown end whose value is needed itself; false
    /// if a needed value has no writer.
    fn need(&mut self, end: u64) -> bool {
        for at in 0..self.cells.len() as Value {
            let mut value = at;
            while let Some(&mut Cell {
                writer,
                needed: true,
                ..
            }) = self.cell(value)
            {
                match self.mutator(writer, end) {
                    Some((Step::Cas(from, _), _, NEVER)) => {
                        value = from;
                        match self.cell(value) {
                            Some(cell) if !cell.needed => cell.needed = true,
                            _ => break,
                        }
                    }
                    Some(_) => break,
                    None if value == ABSENT => break,
                    None => return false,
                }
            }
        }
        true
    }

    /// The mutator of a value if it counts: it took effect, or its value is needed.
    fn kept(&self, cell: &Cell, end: u64) -> Option<(Step, u64, u64)> {
        let mutator = self.mutator(cell.writer, end)?;
        (cell.needed || mutator.2 != NEVER).then_some(mutator)
    }

    /// Notes which compare-and-set took which value; false if two took the same.
    fn take(&mut self, end: u64) -> bool {
        for at in 0..self.cells.len() {
            let Some(&cell) = self.cells.get(at) else {
                continue;
            };
            if let Some((Step::Cas(from, _), ..)) = self.kept(&cell, end)
                && let Some(taken) = self.cell(from)
                && std::mem::replace(&mut taken.taker, cell.writer).is_some()
            {
                return false;
            }
        }
        true
    }

    /// The zones of all blocks; `None` if a block contradicts itself, or compare-and-sets expect
    /// each other in a circle.
    fn zones(&self, end: u64) -> Option<Vec<Zone>> {
        let mut zones = Vec::new();
        let mut left = self.cells.iter().filter(|c| c.taker.is_some()).count();
        for (value, cell) in self.cells.iter().enumerate() {
            let first = match self.kept(cell, end) {
                Some((Step::Write(_), call, ret)) => Zone {
                    first_ret: ret,
                    last_call: call,
                },
                None if value == ABSENT as usize => Zone {
                    first_ret: 0,
                    last_call: 0,
                },
                _ => continue,
            };
            zones.push(self.block(cell, first, end, &mut left)?);
        }
        (left == 0).then_some(zones)
    }

    /// The zone of the block that begins with the value, written in `zone`.
    fn block(&self, cell: &Cell, mut zone: Zone, end: u64, left: &mut usize) -> Option<Zone> {
        let mut cell = cell;
        loop {
            // A read may come before another that was called after it had returned, but not
            // before the write.
            if cell.first_ret != NEVER && !zone.extend(cell.last_call, cell.first_ret) {
                return None;
            }
            let Some((Step::Cas(_, to), call, ret)) = self.mutator(cell.taker, end) else {
                return Some(zone);
            };
            if !zone.extend(call, ret) {
                return None;
            }
            *left -= 1;
            cell = self.cells.get(to as usize)?;
        }
    }
}

/// The return plus one, if it had come by then.
fn returned(ret: Option<u64>, end: u64) -> u64 {
    ret.filter(|ret| *ret <= end).map_or(NEVER, |ret| ret + 1)
}

/// Whether blocks with these zones can be put in an order.
fn in_order(zones: Vec<Zone>) -> bool {
    let (mut forward, backward): (Vec<Zone>, Vec<Zone>) =
        zones.into_iter().partition(|z| z.first_ret < z.last_call);
    forward.sort_unstable_by_key(|zone| zone.first_ret);
    let overlap = forward
        .windows(2)
        .any(|pair| matches!(pair, [one, next] if next.first_ret < one.last_call));
    let inside = |zone: &Zone| {
        let before = forward.partition_point(|f| f.first_ret < zone.last_call);
        let around = before.checked_sub(1).and_then(|at| forward.get(at));
        around.is_some_and(|f| zone.first_ret < f.last_call)
    };
    !overlap && !backward.iter().any(inside)
}
