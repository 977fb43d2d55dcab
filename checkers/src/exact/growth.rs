//! Objects that only grow and are read as a whole: each read has a rank, how much was there, and
//! each element the rank of the first read that can show it. Elements of a rank, then the reads of
//! that rank, then the elements of the next, and at the end those that were never read: this order
//! is forced, so it is enough to hold it against real time ([`Preorder`]).

use tribunal_results::Kind;

use super::{Contradiction, Decision, Part, Preorder, found};
use crate::normal::{Columns, Row};

/// Not an operation.
pub(super) const NOBODY: u32 = u32::MAX;

/// The operations on an object that only grows, read and put together.
#[derive(Debug)]
pub(super) struct Growth<'a> {
    pub(super) object: &'a Columns,
    /// The operation that puts each value; [`NOBODY`] if none does.
    pub(super) puts: Vec<u32>,
    /// The reads, the shortest first.
    pub(super) reads: Vec<u32>,
    /// The values that were read with their ranks, in the order of these.
    pub(super) shown: Vec<(u32, u32)>,
}

impl<'a> Growth<'a> {
    /// `None` if a value is put twice.
    pub(super) fn new(object: &'a Columns) -> Option<Self> {
        let mut puts = vec![NOBODY; object.numbers()];
        let mut reads = Vec::new();
        for (at, row) in object.rows().enumerate() {
            match row.kind {
                Kind::Append | Kind::Add => {
                    let put = puts.get_mut(row.argument as usize)?;
                    if *put != NOBODY {
                        return None;
                    }
                    *put = at as u32;
                }
                _ => reads.push(at as u32),
            }
        }
        let mut growth = Self {
            object,
            puts,
            reads: Vec::new(),
            shown: Vec::new(),
        };
        reads.sort_by_key(|read| growth.read(*read).len());
        growth.reads = reads;
        Some(growth)
    }

    /// What a read returned.
    pub(super) fn read(&self, at: u32) -> &'a [u32] {
        let row = self.object.row(at as usize);
        row.map_or(&[], |row| self.object.list(row.answer))
    }

    /// The operation that puts a value, if one does.
    pub(super) fn put(&self, value: u32) -> Option<Row> {
        let at = *self.puts.get(value as usize)?;
        self.object.row(at as usize)
    }

    /// Places of the operations that put these values.
    fn places(&self, values: impl IntoIterator<Item = u32>) -> Vec<u32> {
        let put = |value| self.put(value).map(|row| row.place);
        values.into_iter().filter_map(put).collect()
    }

    /// Holds the order against real time.
    pub(super) fn decide(&self) -> Decision {
        let inverted = self.hold().err();
        found(inverted.and_then(|(late, early)| self.explain(late, early)))
    }

    /// # Errors
    /// An operation that returned before one that must come earlier was called: both.
    fn hold(&self) -> Result<(), (u32, u32)> {
        let mut order = Preorder::default();
        let mut unread = self.puts.clone();
        let mut reads = self.reads.iter().copied().peekable();
        let mut shown = self.shown.iter().copied().peekable();
        loop {
            let read = reads.peek().map(|read| self.read(*read).len() as u32);
            let element = shown.peek().map(|(rank, _)| *rank);
            let Some(rank) = read.into_iter().chain(element).min() else {
                break;
            };
            while let Some((_, value)) = shown.next_if(|(of, _)| *of == rank) {
                if let Some(put) = unread.get_mut(value as usize) {
                    self.add(&mut order, std::mem::replace(put, NOBODY))?;
                }
            }
            order.next_group();
            while let Some(read) = reads.next_if(|read| self.read(*read).len() as u32 == rank) {
                self.add(&mut order, read)?;
            }
            order.next_group();
        }
        for put in unread {
            self.add(&mut order, put)?;
        }
        Ok(())
    }

    fn add(&self, order: &mut Preorder, at: u32) -> Result<(), (u32, u32)> {
        let calls = self.object.calls().get(at as usize);
        let rets = self.object.rets().get(at as usize);
        match (calls, rets) {
            (Some(call), Some(ret)) => order
                .add(at as usize, *call, *ret)
                .map_err(|early| (at, early as u32)),
            _ => Ok(()),
        }
    }

    /// `late` returned before `early` was called, which must come before it: why it must.
    fn explain(&self, late: u32, early: u32) -> Option<Contradiction> {
        let (first, second) = (
            self.object.row(late as usize)?,
            self.object.row(early as usize)?,
        );
        let puts = |row: &Row| matches!(row.kind, Kind::Append | Kind::Add);
        Some(match (puts(&first), puts(&second)) {
            (false, true) => phantom(self.object, &first, &second),
            (true, false) => self.missing(&first, &second),
            (false, false) => self.shrunk(&first, late, &second, early)?,
            (true, true) => self.swapped(&first, &second)?,
        })
    }

    /// Whether any read shows the value.
    fn shows(&self, value: u32) -> bool {
        self.shown.iter().any(|(_, shown)| *shown == value)
    }

    /// A read that lacks what had been put before it was called.
    fn missing(&self, put: &Row, read: &Row) -> Contradiction {
        let lost = !self.shows(put.argument);
        let sentence = vec![
            Part::Whose(read.place),
            Part::Words(": the element "),
            Part::Value(self.object.show(put.argument)),
            Part::Words(match lost {
                true => " is missing, here and for ever, though it was acknowledged before",
                false => " is missing, though it was acknowledged before",
            }),
        ];
        let name = if lost {
            "lost-element"
        } else {
            "not-linearizable"
        };
        Contradiction::new(name, vec![put.place, read.place], sentence)
            .before(put.place, read.place)
    }

    /// A read that shows less than one before.
    fn shrunk(&self, long: &Row, at: u32, short: &Row, of: u32) -> Option<Contradiction> {
        let short_list = self.read(of);
        let shown = self.shown.iter().find(|(rank, value)| {
            *rank as usize > short_list.len() && self.read(at).contains(value)
        });
        let value = shown.map(|(_, value)| *value)?;
        let mut calls = vec![long.place, short.place];
        calls.extend(self.places([value]));
        let sentence = vec![
            Part::Whose(short.place),
            Part::Words(": the element "),
            Part::Value(self.object.show(value)),
            Part::Words(" is missing, though it had been read before"),
        ];
        Some(
            Contradiction::new("not-linearizable", calls, sentence).before(long.place, short.place),
        )
    }

    /// Two that were put one after the other, but show in the other order.
    fn swapped(&self, first: &Row, second: &Row) -> Option<Contradiction> {
        let (rank, _) = *self.shown.iter().find(|(_, v)| *v == second.argument)?;
        let listed = |at: &&u32| {
            let list = self.read(**at);
            list.len() >= rank as usize && list.contains(&second.argument)
        };
        let lacks = |at: &&u32| !self.read(**at).contains(&first.argument);
        // A read with the later one alone says most; of a list, the first with both does.
        let with = self.reads.iter().filter(listed);
        let alone = with.clone().find(lacks);
        let read = alone.or_else(|| with.clone().next_back())?;
        let read = self.object.row(*read as usize)?;
        let name = match (alone, self.shows(first.argument)) {
            (Some(_), false) => "lost-element",
            (Some(_), true) if first.kind == Kind::Add => "not-linearizable",
            _ => "out-of-order",
        };
        let sentence = vec![
            Part::Whose(read.place),
            Part::Words(": the element "),
            Part::Value(self.object.show(second.argument)),
            Part::Words(" is there before "),
            Part::Value(self.object.show(first.argument)),
            Part::Words(", which was acknowledged before it was put there"),
        ];
        let calls = vec![first.place, second.place, read.place];
        Some(
            Contradiction::new(name, calls, sentence)
                .before(first.place, second.place)
                .fact(vec![Part::Returned(read.place)]),
        )
    }

    /// Two reads that cannot both be: each shows what the other lacks, or they show it in another
    /// order.
    pub(super) fn diverging(
        &self,
        name: &'static str,
        reads: [u32; 2],
        values: [u32; 2],
        words: &'static str,
    ) -> Contradiction {
        let place = |at: u32| self.object.row(at as usize).map(|row| row.place);
        let places: Vec<u32> = reads.into_iter().filter_map(place).collect();
        let mut calls = places.clone();
        calls.extend(self.places(values));
        let sentence = vec![
            Part::Words("two reads cannot both be: "),
            Part::Words(words),
            Part::Value(self.object.show(values[0])),
            Part::Words(" and "),
            Part::Value(self.object.show(values[1])),
        ];
        let told = Contradiction::new(name, calls, sentence);
        places
            .into_iter()
            .fold(told, |told, read| told.fact(vec![Part::Returned(read)]))
    }

    /// A value that the read shows and that nobody put, or that it shows twice.
    pub(super) fn impossible(&self, at: u32) -> Option<Contradiction> {
        let read = self.object.row(at as usize)?;
        let mut seen = vec![false; self.puts.len()];
        for value in self.read(at) {
            let seen = seen.get_mut(*value as usize)?;
            if std::mem::replace(seen, true) {
                let mut calls = vec![read.place];
                calls.extend(self.places([*value]));
                let sentence = vec![
                    Part::Whose(read.place),
                    Part::Words(": the element "),
                    Part::Value(self.object.show(*value)),
                    Part::Words(" is there more than once, but was put there at most once"),
                ];
                let told = Contradiction::new("duplicate-element", calls, sentence);
                return Some(told.fact(vec![Part::Returned(read.place)]));
            }
            if self.put(*value).is_none() {
                let puts = match read.kind {
                    Kind::Elements => Kind::Append,
                    _ => Kind::Add,
                };
                return Some(super::queue::unput(self.object, read.place, *value, puts));
            }
        }
        None
    }
}

/// A read that shows what was put only after it.
fn phantom(object: &Columns, read: &Row, put: &Row) -> Contradiction {
    super::queue::unput(object, read.place, put.argument, put.kind)
}
