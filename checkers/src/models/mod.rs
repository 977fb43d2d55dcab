//! Objects of every data type: which calls belong together, and what they did.
//!
//! An object is recognised by what is done to its key. Keys that a transaction touches together
//! are one object (linearizability is local to objects: Herlihy & Wing 1990). A key to which
//! things of different types are done is *mixed*, and nothing is said of it.

mod cas;
mod cells;
mod counter;
mod custom;
mod groups;
mod kv;
mod live;
mod queue;
mod semaphore;
mod set;
mod shrink;
mod stack;

use rustc_hash::FxHashMap;
use tribunal_results::{Call, Scalar};

use crate::Budget;
use crate::engine::{Finding, Searched, search};
use crate::model::{Model, Op};

pub(crate) use cas::object as refusing;
pub(crate) use cells::Cells;
pub(crate) use counter::object as counter;
pub(crate) use custom::objects as custom;
pub(crate) use groups::{Group, Kind, claims, groups};
pub(crate) use kv::object as kv;
pub(crate) use live::{Search, live};
pub(crate) use queue::object as queue;
pub(crate) use semaphore::object as semaphore;
pub(crate) use set::objects as sets;
pub(crate) use shrink::contradiction;
pub(crate) use stack::object as stack;

/// An element or a value by its number within one object.
pub(crate) type Element = u32;

/// Stands for all elements that no answer has: which of them is which does not matter.
const UNSEEN: Element = Element::MAX;

/// A call with what it did to an object. A call that did several things has several entries.
#[derive(Clone, Debug)]
pub(crate) struct Entry<'a, S> {
    /// The call.
    pub(crate) call: &'a Call,
    /// The same for the search. Its interval may be wider than the call's.
    pub(crate) op: Op<S>,
}

/// All that happened to one object.
pub(crate) struct Object<'a, M: Model> {
    /// What people call it.
    pub(crate) name: String,
    /// Its key, or one of them.
    pub(crate) key: Option<Scalar>,
    /// What it does.
    pub(crate) model: M,
    /// What took effect, or may have, in the order of invocation.
    pub(crate) entries: Vec<Entry<'a, M::Step>>,
    /// How many positions of entries there are to an event.
    pub(crate) scale: u64,
    /// Whether an answer tells something of the state.
    pub(crate) tells: fn(&M::Step) -> bool,
}

impl<M: Model> Object<'_, M> {
    /// How many answers tell something: without one, nothing is checked.
    pub(crate) fn observations(&self) -> usize {
        let tells = |e: &&Entry<'_, M::Step>| e.op.ret.is_some() && (self.tells)(&e.op.step);
        self.entries.iter().filter(tells).count()
    }

    /// Decides by search whether there is an order of the entries.
    pub(crate) fn search(&self, budget: Budget) -> Searched {
        let ops: Vec<Op<M::Step>> = self.entries.iter().map(|e| e.op.clone()).collect();
        let mut searched = decide(&self.model, &ops, budget);
        match &mut searched.finding {
            Finding::Exhausted(event) | Finding::TooWide(event) => *event /= self.scale,
            Finding::Linearizable | Finding::Stuck(_) => {}
        }
        searched
    }
}

/// Decides whether there is an order of those operations that matter.
pub(crate) fn decide<M: Model>(model: &M, ops: &[Op<M::Step>], budget: Budget) -> Searched {
    let relevant = model.relevant(ops);
    let places: Vec<usize> = (0..ops.len())
        .filter(|&at| relevant.get(at).is_none_or(|it| *it))
        .collect();
    if places.len() == ops.len() {
        return search(model, ops, budget);
    }
    let kept: Vec<Op<M::Step>> = places
        .iter()
        .filter_map(|&at| ops.get(at).cloned())
        .collect();
    let mut searched = search(model, &kept, budget);
    let place = |at: usize| places.get(at).copied().unwrap_or_default();
    if let Finding::Stuck(at) = searched.finding {
        searched.finding = Finding::Stuck(place(at));
    }
    searched.order = searched
        .order
        .map(|order| order.into_iter().map(place).collect());
    searched
}

/// The entry of a call, at so many positions to an event.
fn entry<'a, S>(call: &'a Call, step: S, scale: u64) -> Entry<'a, S> {
    let place = |index: u64| index.saturating_mul(scale);
    Entry {
        call,
        op: Op::new(place(call.invoked.index), call.returned().map(place), step),
    }
}

/// Numbers values by their first appearance, from 0.
#[derive(Default)]
struct Numbers<'a> {
    ids: FxHashMap<&'a Scalar, Element>,
    values: Vec<&'a Scalar>,
}

impl<'a> Numbers<'a> {
    fn of(&mut self, value: &'a Scalar) -> Element {
        let next = self.values.len() as Element;
        let number = *self.ids.entry(value).or_insert(next);
        if number == next {
            self.values.push(value);
        }
        number
    }

    /// The number of a value that is put in: [`UNSEEN`] if it has none by now.
    fn put(&self, value: &Scalar) -> Element {
        self.ids.get(value).copied().unwrap_or(UNSEEN)
    }

    fn show(&self, element: Element) -> String {
        let value = self.values.get(element as usize);
        value.map(ToString::to_string).unwrap_or_default()
    }
}
