//! A set whose elements are added, removed and asked for one by one, each with an answer.
//!
//! Elements do not touch each other, so each is decided alone (Herlihy & Wing 1990). Its operations
//! either turn it (an add that was new, a remove that was there) or see it (all others). Forward,
//! and as late as possible: what sees it is done as soon as it is as seen; what turns it waits
//! until it returns. Whatever then needs the other state takes the pending turn that returns
//! first, and only if there is none one of unknown end, which may turn it at any time or never.

use smallvec::SmallVec;
use tribunal_results::Kind;

use super::queue::unput;
use super::{Contradiction, Decision, Forward, Part, forward, found};
use crate::normal::{Columns, DONE, OPEN, Row, YES};

/// More operations of a contradiction than this are not thinned out.
const THIN_MAX: usize = 64;
/// An element that was turned more often than this is only told about since it was last at rest.
const TURNS_MAX: usize = 32;

/// Decides a set; `None` if an add or remove was acknowledged without saying what it found.
pub(super) fn decide(object: &Columns) -> Option<Decision> {
    let mut elements = Elements::default();
    forward::run(&mut elements, object);
    if elements.unfit {
        return None;
    }
    Some(found(elements.wrong.map(|at| explain(object, at))))
}

/// What an operation is to its element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Role {
    /// Whether it changes it, or only sees it.
    turns: bool,
    /// Whether it is there: afterwards, or when seen.
    there: bool,
}

impl Role {
    /// `None` if the answer does not tell.
    const fn of(row: &Row) -> Option<Self> {
        let yes = row.answer == YES;
        let open = row.ret == OPEN;
        if row.answer == DONE && !open {
            return None;
        }
        Some(match row.kind {
            Kind::Add => Self {
                turns: yes || open,
                there: true,
            },
            Kind::Remove => Self {
                turns: yes || open,
                there: false,
            },
            _ => Self {
                turns: false,
                there: yes,
            },
        })
    }

    /// Whether it finds the element there.
    const fn finds(self) -> bool {
        self.turns != self.there
    }
}

/// A called operation that has not taken effect.
#[derive(Clone, Copy, Debug)]
struct Pending {
    ret: u32,
    at: u32,
    role: Role,
}

/// An element so far.
#[derive(Clone, Debug, Default)]
struct Element {
    there: bool,
    pending: SmallVec<[Pending; 2]>,
    /// Adds and removes of unknown end.
    lost_adds: u32,
    lost_removes: u32,
}

impl Element {
    /// What sees it as it is now has taken effect.
    fn absorb(&mut self) {
        let there = self.there;
        self.pending
            .retain(|pending| pending.role.turns || pending.role.there != there);
    }

    /// Turns it by the pending operation that returns first; false if there is none.
    fn turn(&mut self) -> bool {
        let there = !self.there;
        let turns = |pending: &Pending| pending.role == Role { turns: true, there };
        let candidates = self.pending.iter().enumerate();
        let first = candidates
            .filter(|(_, pending)| turns(pending))
            .min_by_key(|(_, pending)| pending.ret);
        if let Some((nth, _)) = first {
            self.pending.swap_remove(nth);
        } else {
            let lost = if there {
                &mut self.lost_adds
            } else {
                &mut self.lost_removes
            };
            if *lost == 0 {
                return false;
            }
            *lost -= 1;
        }
        self.there = there;
        self.absorb();
        true
    }

    /// Takes effect now, if it has not yet; false if it cannot.
    fn force(&mut self, at: u32) -> bool {
        let Some(nth) = self.pending.iter().position(|pending| pending.at == at) else {
            return true;
        };
        let role = self.pending.swap_remove(nth).role;
        if role.finds() != self.there && !self.turn() {
            return false;
        }
        if role.turns {
            self.there = role.there;
            self.absorb();
        }
        true
    }
}

/// The set so far.
#[derive(Clone, Debug, Default)]
pub struct Elements {
    elements: Vec<Element>,
    unfit: bool,
    wrong: Option<usize>,
}

impl Forward for Elements {
    #[inline]
    fn called(&mut self, _object: &Columns, at: usize, row: &Row) {
        let Some(role) = Role::of(row) else {
            self.unfit = true;
            return;
        };
        let value = row.argument as usize;
        if self.elements.len() <= value {
            self.elements.resize(value + 1, Element::default());
        }
        let Some(element) = self.elements.get_mut(value) else {
            return;
        };
        if row.ret == OPEN {
            element.lost_adds += u32::from(role.there);
            element.lost_removes += u32::from(!role.there);
        } else if role.turns || role.there != element.there {
            let (ret, at) = (row.ret, at as u32);
            element.pending.push(Pending { ret, at, role });
        }
    }

    #[inline]
    fn returned(&mut self, _object: &Columns, at: usize, row: &Row) {
        let element = self.elements.get_mut(row.argument as usize);
        if element.is_some_and(|element| !element.force(at as u32)) {
            self.wrong = Some(at);
        }
    }

    fn decided(&self) -> bool {
        self.unfit || self.wrong.is_some()
    }

    fn contradicted(&self) -> bool {
        self.wrong.is_some()
    }
}

/// The operations on the element since it was last at rest.
fn explain(object: &Columns, at: usize) -> Contradiction {
    let Some(last) = object.row(at) else {
        return Contradiction::new("not-linearizable", Vec::new(), Vec::new());
    };
    let value = last.argument;
    let of_element = |row: &Row| row.argument == value && row.call < last.ret;
    let rows: Vec<Row> = object.rows().filter(of_element).collect();
    let finds = Role::of(&last).is_some_and(Role::finds);
    if finds && !rows.iter().any(|row| row.kind == Kind::Add) {
        return unput(object, last.place, value, Kind::Add);
    }
    let rows = thinned(&last, since_rest(&rows));
    let sentence = vec![
        Part::Whose(last.place),
        Part::Words(": the element "),
        Part::Value(object.show(value)),
        Part::Words(match finds {
            true => " was not there, and nobody was adding it",
            false => " was there, and nobody was removing it",
        }),
    ];
    let mut calls: Vec<u32> = rows.iter().map(|row| row.place).collect();
    calls.extend(turns(object, &last));
    calls.sort_unstable();
    calls.dedup();
    let told = Contradiction::new("not-linearizable", calls, sentence);
    let others = rows.iter().filter(|row| row.place != last.place);
    others
        .fold(told, |told, row| told.fact(vec![Part::Returned(row.place)]))
        .fact(vec![Part::Returned(last.place)])
}

/// All that turned the element until then, if that is little: with those, nobody has to believe
/// when they took effect.
fn turns(object: &Columns, last: &Row) -> Vec<u32> {
    let turns = |row: &Row| Role::of(row).is_some_and(|role| role.turns);
    let of_element = |row: &Row| row.argument == last.argument && row.call < last.ret;
    let rows = object.rows().filter(|row| of_element(row) && turns(row));
    let places: Vec<u32> = rows.map(|row| row.place).take(TURNS_MAX + 1).collect();
    if places.len() > TURNS_MAX {
        return Vec::new();
    }
    places
}

/// What came after the last instant at which nothing was pending, with what put the element there
/// if it was.
fn since_rest(rows: &[Row]) -> Vec<Row> {
    let (mut latest, mut there) = (0, false);
    let mut adder: Option<Row> = None;
    let mut kept = (0, None);
    for (nth, row) in rows.iter().enumerate() {
        if latest < row.call {
            kept = (nth, adder.filter(|_| there));
        }
        latest = latest.max(row.ret);
        if let Some(role) = Role::of(row).filter(|role| role.turns && row.ret != OPEN) {
            // Turns alternate: after all of them, as many adds as removes, or one more.
            there = !there;
            if role.there && adder.is_none_or(|adder| adder.ret < row.ret) {
                adder = Some(*row);
            }
        }
    }
    let (from, adder) = kept;
    let rest = rows.get(from..).unwrap_or_default();
    adder.into_iter().chain(rest.iter().copied()).collect()
}

/// Without what sees the element and is not needed. (Leaving out a turn would not be sound.)
fn thinned(last: &Row, mut rows: Vec<Row>) -> Vec<Row> {
    let mut nth = 0;
    while rows.len() <= THIN_MAX && nth < rows.len() {
        let sees = |row: &Row| Role::of(row).is_some_and(|role| !role.turns);
        let candidate = rows.get(nth).filter(|row| sees(row));
        if candidate.is_some_and(|row| row.place != last.place) {
            let mut fewer = rows.clone();
            fewer.remove(nth);
            let object = Columns::from_rows(crate::normal::Family::Set, &fewer);
            let mut elements = Elements::default();
            forward::run(&mut elements, &object);
            // What comes later than the last is contradicted perhaps by what is not here.
            let wrong = elements.wrong.and_then(|at| object.row(at));
            if wrong.is_some_and(|wrong| wrong.ret <= last.ret) {
                rows = fewer;
                continue;
            }
        }
        nth += 1;
    }
    rows
}
