//! The columns.

use tribunal_results::{Kind, Scalar};

use super::Family;

/// The return of an operation of unknown end: the end of time.
pub const OPEN: u32 = u32::MAX;
/// No value: an absent register, an empty queue or stack.
pub const NONE: u32 = 0;
/// The answer of an operation that says nothing more.
pub const DONE: u32 = 0;
/// The answer *no*.
pub const NO: u32 = 1;
/// The answer *yes*.
pub const YES: u32 = 2;
/// An amount that is negative or too large for a column.
pub const OUTSIDE: u32 = u32::MAX;

/// One operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// What was asked.
    pub kind: Kind,
    /// The client.
    pub process: u32,
    /// The number of the value that it brings (or asks about), or an amount.
    pub argument: u32,
    /// The number of the value that it returned (of a compare-and-set: that it expected); an
    /// amount; [`DONE`], [`NO`] or [`YES`]; or the number of a list.
    pub answer: u32,
    /// Index of the event that invoked it.
    pub call: u32,
    /// Index of the event of its return, or [`OPEN`].
    pub ret: u32,
    /// Its place in [`tribunal_results::History::calls`].
    pub place: u32,
}

/// An operation that definitely failed, with the value that nobody may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// What was asked.
    pub kind: Kind,
    /// The number of its value; [`NONE`] if it would have put nothing there that was not.
    pub value: u32,
    /// The number of a value that was not there, which is why it was refused; [`NONE`] if nobody
    /// says so.
    pub other: u32,
    /// Its place in [`tribunal_results::History::calls`].
    pub place: u32,
}

/// All that happened to one object, in the order of invocation.
#[derive(Clone, Debug)]
pub struct Columns {
    /// What kind of object it is.
    pub family: Family,
    /// Its name.
    pub key: Option<Scalar>,
    kinds: Vec<Kind>,
    processes: Vec<u32>,
    arguments: Vec<u32>,
    answers: Vec<u32>,
    calls: Vec<u32>,
    rets: Vec<u32>,
    places: Vec<u32>,
    listed: Vec<u32>,
    list_ends: Vec<u32>,
    refused: Vec<Refused>,
    values: Vec<Scalar>,
    largest: u32,
}

impl Columns {
    /// An object to which nothing happened yet.
    pub const fn new(family: Family) -> Self {
        Self {
            family,
            key: None,
            kinds: Vec::new(),
            processes: Vec::new(),
            arguments: Vec::new(),
            answers: Vec::new(),
            calls: Vec::new(),
            rets: Vec::new(),
            places: Vec::new(),
            listed: Vec::new(),
            list_ends: Vec::new(),
            refused: Vec::new(),
            values: Vec::new(),
            largest: 0,
        }
    }

    /// An object with these operations, none of which has a list.
    pub(crate) fn from_rows(family: Family, rows: &[Row]) -> Self {
        let mut columns = Self::new(family);
        for row in rows {
            columns.push(*row);
        }
        columns
    }

    /// Makes room for more operations.
    pub(super) fn reserve(&mut self, more: usize) {
        self.kinds.reserve_exact(more);
        for column in self.numbers_of_rows() {
            column.reserve_exact(more);
        }
    }

    /// The columns of numbers, one item for each operation.
    const fn numbers_of_rows(&mut self) -> [&mut Vec<u32>; 6] {
        [
            &mut self.processes,
            &mut self.arguments,
            &mut self.answers,
            &mut self.calls,
            &mut self.rets,
            &mut self.places,
        ]
    }

    /// Adds an operation. It must have been called after all those before it.
    pub fn push(&mut self, row: Row) {
        self.kinds.push(row.kind);
        self.processes.push(row.process);
        self.arguments.push(row.argument);
        self.answers.push(row.answer);
        self.calls.push(row.call);
        self.rets.push(row.ret);
        self.places.push(row.place);
        if self.family.has_values() {
            self.largest = self.largest.max(row.argument);
            if !answers_a_list(row.kind) {
                self.largest = self.largest.max(row.answer);
            }
        }
    }

    /// Adds a list, which an operation added later can be answered with; its number.
    pub fn push_list(&mut self, values: impl IntoIterator<Item = u32>) -> u32 {
        let start = self.listed.len();
        self.listed.extend(values);
        let new = self.listed.get(start..).unwrap_or_default();
        self.largest = new.iter().copied().fold(self.largest, u32::max);
        self.list_ends.push(self.listed.len() as u32);
        self.list_ends.len() as u32 - 1
    }

    /// Adds an operation that failed.
    pub fn push_refused(&mut self, refused: Refused) {
        self.largest = self.largest.max(refused.value).max(refused.other);
        self.refused.push(refused);
    }

    /// How many operations there are.
    pub const fn len(&self) -> usize {
        self.kinds.len()
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.kinds.is_empty()
    }

    /// The operation at that place.
    #[inline]
    pub fn row(&self, at: usize) -> Option<Row> {
        Some(Row {
            kind: *self.kinds.get(at)?,
            process: *self.processes.get(at)?,
            argument: *self.arguments.get(at)?,
            answer: *self.answers.get(at)?,
            call: *self.calls.get(at)?,
            ret: *self.rets.get(at)?,
            place: *self.places.get(at)?,
        })
    }

    /// All operations, in the order of invocation.
    pub fn rows(&self) -> impl Iterator<Item = Row> + '_ {
        (0..self.len()).filter_map(|at| self.row(at))
    }

    /// The indexes of the events of the calls.
    pub fn calls(&self) -> &[u32] {
        &self.calls
    }

    /// The indexes of the events of the returns.
    pub fn rets(&self) -> &[u32] {
        &self.rets
    }

    /// The list of that number; empty if there is none.
    #[inline]
    pub fn list(&self, number: u32) -> &[u32] {
        let at = number as usize;
        let end = self.list_ends.get(at).map_or(0, |end| *end as usize);
        let start = at.checked_sub(1).and_then(|at| self.list_ends.get(at));
        self.listed
            .get(start.map_or(0, |start| *start as usize)..end)
            .unwrap_or_default()
    }

    /// How many answers tell something of what was there: without one, nothing is checked.
    pub fn observations(&self) -> usize {
        let told = |row: Row| match row.kind {
            _ if row.ret == OPEN => 0,
            Kind::Dequeue | Kind::Pop | Kind::Read => usize::from(row.answer != NONE),
            Kind::Drain => self.list(row.answer).len(),
            Kind::Elements => usize::from(!self.list(row.answer).is_empty()),
            Kind::Add | Kind::Remove => usize::from(row.answer != DONE),
            Kind::Cas | Kind::Contains | Kind::Members | Kind::Count | Kind::AcquirePermits => 1,
            _ => 0,
        };
        self.rows().map(told).sum()
    }

    /// What failed.
    pub fn refused(&self) -> &[Refused] {
        &self.refused
    }

    /// The operation that failed to put that value there, if one did.
    pub fn refusal(&self, value: u32) -> Option<Refused> {
        self.refused.iter().find(|r| r.value == value).copied()
    }

    /// One more than the largest number of a value.
    pub const fn numbers(&self) -> usize {
        self.largest as usize + 1
    }

    /// The value of that number as people write it.
    pub fn show(&self, value: u32) -> String {
        let known = (value as usize).checked_sub(1);
        match known.and_then(|at| self.values.get(at)) {
            Some(value) => value.to_string(),
            None if value == NONE => "nothing".into(),
            None => value.to_string(),
        }
    }

    /// Sets the names of the values, that of number 1 first.
    pub(super) fn name_values(&mut self, values: Vec<Scalar>) {
        self.values = values;
    }

    /// Keeps the operations that are wanted.
    pub(super) fn retain(&mut self, mut wanted: impl FnMut(Row) -> bool) {
        let keep: Vec<bool> = self.rows().map(&mut wanted).collect();
        self.keep(&keep);
    }

    /// Leaves out the operations at these places among them.
    pub(crate) fn remove(&mut self, places: &[usize]) {
        let mut keep = vec![true; self.len()];
        for at in places {
            if let Some(keep) = keep.get_mut(*at) {
                *keep = false;
            }
        }
        self.keep(&keep);
    }

    fn keep(&mut self, keep: &[bool]) {
        if keep.iter().all(|keep| *keep) {
            return;
        }
        retain(&mut self.kinds, keep);
        for column in self.numbers_of_rows() {
            retain(column, keep);
        }
    }
}

/// Keeps the items of a column that are wanted.
fn retain<T>(column: &mut Vec<T>, keep: &[bool]) {
    let mut keep = keep.iter();
    column.retain(|_| keep.next().is_some_and(|keep| *keep));
}

/// Whether the answer of an operation of this kind is the number of a list.
pub(super) const fn answers_a_list(kind: Kind) -> bool {
    matches!(kind, Kind::Elements | Kind::Members | Kind::Drain)
}
