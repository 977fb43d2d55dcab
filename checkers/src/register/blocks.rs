//! Decides a register whose values are each written at most once, without search, event by event.
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
//! unknown end are additions.
//!
//! While a history grows, returns come in their order, so a block's first return never changes,
//! and its last call can only become the present. A block that grows after its first return is
//! certain to be current from then to now, so every other block that has returned must have had
//! its last call before: one comparison with the latest of the others. No sorting, no search:
//! constant time for each event but for the joining of blocks (Tarjan's sets).

use super::{ABSENT, Step, Value};

/// The end of time.
const NEVER: u32 = u32::MAX;

/// All about one value; what concerns its block counts at the block's first value.
#[derive(Clone, Copy, Debug)]
struct Cell {
    /// An earlier value of the block; itself at the block's first.
    parent: Value,
    /// How many values later than `parent` it comes.
    offset: u32,
    /// When the operation that writes it was called; 0 if it was not.
    written: u32,
    /// What the compare-and-set that writes it expects; [`ABSENT`] if a write does, or none.
    from: Value,
    /// Whether that one counts: it took effect, or is needed.
    linked: bool,
    /// Whether somebody observed it.
    needed: bool,
    /// Whether a compare-and-set took it away.
    taken: bool,
    /// Of the block: its first return.
    first_ret: u32,
    /// Of the block: its last call.
    last_call: u32,
    /// Of the block: the place of the latest operation in its order that has returned.
    furthest: u32,
}

/// A register whose values are each written at most once, on its way through its history. Times
/// are indexes of events plus one.
#[derive(Debug)]
pub(crate) struct Blocks {
    cells: Vec<Cell>,
    /// The two blocks with the latest last calls of those that have returned.
    latest: [(Value, u32); 2],
    unique: bool,
    contradicted: bool,
}

impl Default for Blocks {
    fn default() -> Self {
        Self::expecting(0)
    }
}

/// Where an operation stands in the order of its block.
#[derive(Clone, Copy)]
enum Part {
    Writer = 0,
    Reader = 1,
}

impl Blocks {
    /// What it takes to know of a value, in bytes.
    pub(crate) const VALUE_BYTES: usize = size_of::<Cell>();

    /// A register of which about so many values are expected.
    pub(crate) fn expecting(values: usize) -> Self {
        let mut blocks = Self {
            cells: Vec::with_capacity(values),
            latest: [(ABSENT, 0); 2],
            unique: true,
            contradicted: false,
        };
        blocks.reserve(ABSENT);
        if let Some(absent) = blocks.cells.get_mut(ABSENT as usize) {
            (absent.written, absent.first_ret) = (1, 0);
        }
        blocks
    }

    /// Whether every value was written at most once so far. If not, nothing else counts.
    pub(crate) const fn is_unique(&self) -> bool {
        self.unique
    }

    /// Whether what was seen so far has no order.
    pub(crate) const fn is_contradicted(&self) -> bool {
        self.contradicted
    }

    /// An operation is called. `certain` if it took effect; a read has to be.
    pub(crate) fn called(&mut self, step: Step, time: u64, certain: bool) {
        let time = time as u32;
        self.reserve(step.leaves().max(step.needs().unwrap_or_default()));
        match step {
            Step::Read(value) => {
                self.need(value);
                self.touch(value, Part::Reader, time);
            }
            Step::Write(value) => {
                self.write(value, ABSENT, time);
                if certain || self.cell(value).needed {
                    self.touch(value, Part::Writer, time);
                }
            }
            Step::Cas(from, to) => {
                self.unique &= from != to;
                self.write(to, from, time);
                if certain || self.cell(to).needed {
                    self.link(to);
                    self.touch(to, Part::Writer, time);
                }
            }
        }
    }

    /// An operation that took effect returns.
    pub(crate) fn returned(&mut self, step: Step, time: u64) {
        let time = time as u32;
        let part = match step {
            Step::Read(_) => Part::Reader,
            Step::Write(_) | Step::Cas(..) => Part::Writer,
        };
        let (block, place) = self.place(step.leaves(), part);
        let cell = self.cell_mut(block);
        // Its first value must have been written by now, and not in place of another.
        let whole = cell.written > 0 && cell.from == ABSENT;
        cell.furthest = cell.furthest.max(place);
        if cell.first_ret == NEVER {
            cell.first_ret = time;
            let last_call = cell.last_call;
            self.note(block, last_call);
        }
        self.contradicted |= !whole;
    }

    fn reserve(&mut self, value: Value) {
        while self.cells.len() <= value as usize {
            self.cells.push(Cell {
                parent: self.cells.len() as Value,
                offset: 0,
                written: 0,
                from: ABSENT,
                linked: false,
                needed: false,
                taken: false,
                first_ret: NEVER,
                last_call: 0,
                furthest: 0,
            });
        }
    }

    fn cell(&self, value: Value) -> &Cell {
        &self.cells[value as usize]
    }

    fn cell_mut(&mut self, value: Value) -> &mut Cell {
        &mut self.cells[value as usize]
    }

    /// Somebody is called who writes the value.
    fn write(&mut self, value: Value, from: Value, time: u32) {
        let cell = self.cell_mut(value);
        let again = cell.written > 0;
        (cell.written, cell.from) = (time, from);
        self.unique &= !again;
    }

    /// The value is observed: if a compare-and-set of unknown end writes it, that one took effect.
    fn need(&mut self, value: Value) {
        let cell = self.cell_mut(value);
        if !std::mem::replace(&mut cell.needed, true) {
            // If its writer's end is unknown, that call counts from now on; nothing of its block
            // has returned yet.
            cell.last_call = cell.last_call.max(cell.written);
            self.link(value);
        }
    }

    /// The compare-and-set that writes the value counts, if one does: its block goes on with this
    /// value. So do those on whose values it depends.
    fn link(&mut self, value: Value) {
        let mut value = value;
        while let &Cell {
            from,
            linked: false,
            ..
        } = self.cell(value)
            && from != ABSENT
        {
            self.cell_mut(value).linked = true;
            let (block, place) = self.place(from, Part::Writer);
            // Two took the same value, or each waits for the other.
            self.contradicted |= std::mem::replace(&mut self.cell_mut(from).taken, true);
            if block == value {
                self.contradicted = true;
                return;
            }
            let joined = *self.cell(value);
            let cell = self.cell_mut(value);
            (cell.parent, cell.offset) = (block, place / 2 + 1);
            let cell = self.cell_mut(block);
            // Nothing of the part that joins can have returned: it had no beginning.
            cell.last_call = cell.last_call.max(joined.last_call);
            self.cell_mut(from).needed = true;
            value = from;
        }
    }

    /// The first value of the block, and the place in the block's order.
    fn place(&mut self, value: Value, part: Part) -> (Value, u32) {
        let (mut first, mut distance) = (value, 0);
        while self.cell(first).parent != first {
            distance += self.cell(first).offset;
            first = self.cell(first).parent;
        }
        let (mut at, mut left) = (value, distance);
        while self.cell(at).parent != at {
            let cell = self.cell_mut(at);
            let (next, step) = (cell.parent, cell.offset);
            (cell.parent, cell.offset) = (first, left);
            left -= step;
            at = next;
        }
        (first, 2 * distance + part as u32)
    }

    /// An operation of the value's block that took effect is called now.
    fn touch(&mut self, value: Value, part: Part, now: u32) {
        let (block, place) = self.place(value, part);
        let cell = self.cell_mut(block);
        let late = cell.furthest > place;
        cell.last_call = now;
        let first_ret = cell.first_ret;
        self.contradicted |= late;
        if first_ret != NEVER {
            let [(latest, one), (_, other)] = self.latest;
            let others = if latest == block { other } else { one };
            self.contradicted |= others > first_ret;
            self.note(block, now);
        }
    }

    /// Keeps the two blocks with the latest last calls.
    fn note(&mut self, block: Value, last_call: u32) {
        let [one, other] = &mut self.latest;
        if one.0 == block {
            one.1 = one.1.max(last_call);
        } else if last_call > one.1 {
            *other = std::mem::replace(one, (block, last_call));
        } else if last_call > other.1 {
            *other = (block, last_call);
        }
    }
}
