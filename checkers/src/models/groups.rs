//! Which calls belong to one object.

use rustc_hash::FxHashMap;
use smallvec::SmallVec;
use tribunal_results::Kind::AcquirePermits;
use tribunal_results::{Assumptions, Call, History, Micro, Operation, Scalar};

use crate::normal::{self, Columns, Family};

/// How many keys of an object are named.
const KEYS_NAMED_MAX: usize = 3;

/// A data type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A register, or several with transactions; also with lists among them.
    Keyed,
    /// An append-only list.
    List,
    /// A set.
    Set,
    /// A counter.
    Counter,
    /// A FIFO queue.
    Queue,
    /// A stack.
    Stack,
    /// A semaphore.
    Permits,
}

impl Kind {
    /// The type of the object that the operation works on by itself.
    const fn of(operation: &Operation) -> Option<(Self, &Scalar)> {
        Some(match operation {
            Operation::Read { key } | Operation::Write { key, .. } | Operation::Cas { key, .. } => {
                (Self::Keyed, key)
            }
            Operation::Append { key, .. } | Operation::Elements { key } => (Self::List, key),
            Operation::Add { key, .. }
            | Operation::Remove { key, .. }
            | Operation::Contains { key, .. }
            | Operation::Members { key } => (Self::Set, key),
            Operation::Increment { key, .. } | Operation::Count { key } => (Self::Counter, key),
            Operation::Enqueue { key, .. }
            | Operation::Dequeue { key }
            | Operation::Drain { key } => (Self::Queue, key),
            Operation::Push { key, .. } | Operation::Pop { key } => (Self::Stack, key),
            Operation::AcquirePermits { key, .. } | Operation::ReleasePermits { key, .. } => {
                (Self::Permits, key)
            }
            _ => return None,
        })
    }
}

/// The calls of one object.
#[derive(Debug)]
pub(crate) struct Group<'a> {
    /// Its keys, sorted.
    pub(crate) keys: Vec<&'a Scalar>,
    /// Its type; `None` if it is mixed.
    pub(crate) kind: Option<Kind>,
    /// Its calls, in the order of invocation.
    pub(crate) calls: Vec<&'a Call>,
}

impl Group<'_> {
    /// What people call it.
    pub(crate) fn name(&self) -> String {
        let keys = self.keys.iter().take(KEYS_NAMED_MAX);
        let mut name = keys.map(ToString::to_string).collect::<Vec<_>>().join(", ");
        if self.keys.len() > KEYS_NAMED_MAX {
            name.push_str(&format!(" and {} more", self.keys.len() - KEYS_NAMED_MAX));
        }
        name
    }

    /// Whether grants of permits could have been in each other's way: several clients had some,
    /// and more than there are in all. Of all else that it could.
    pub(crate) fn contended(&self, assume: &Assumptions) -> bool {
        if self.kind != Some(Kind::Permits) {
            return true;
        }
        let granted = |call: &&&Call| call.operation.kind() == AcquirePermits && call.is_ok();
        let grants = || self.calls.iter().filter(granted);
        let permits = grants().map(|call| match call.operation {
            Operation::AcquirePermits { permits, .. } => u64::from(permits),
            _ => 0,
        });
        let first = grants().next().map(|call| call.process);
        grants().any(|call| Some(call.process) != first)
            && permits.sum::<u64>() > u64::from(assume.permits)
    }

    /// Its calls in columns, if it has one key alone.
    pub(crate) fn columns(&self) -> Option<Columns> {
        let [key] = self.keys.as_slice() else {
            return None;
        };
        let family = match self.kind? {
            Kind::Keyed => return None,
            Kind::List => Family::List,
            Kind::Set => Family::Set,
            Kind::Counter => Family::Counter,
            Kind::Queue => Family::Queue,
            Kind::Stack => Family::Stack,
            Kind::Permits => Family::Semaphore,
        };
        normal::of_calls(family, key, &self.calls)
    }

    /// Its key, if it has one alone.
    pub(crate) fn key(&self) -> Option<Scalar> {
        match self.keys.as_slice() {
            [key] => Some((*key).clone()),
            _ => None,
        }
    }
}

/// The objects of a history in the order of their keys: all but registers with calls of their own
/// alone, which are the most frequent and have a form of their own.
pub(crate) fn groups(history: &History) -> Vec<Group<'_>> {
    let mut forest = Forest::default();
    for call in history.calls() {
        match (&call.operation, Kind::of(&call.operation)) {
            (Operation::Txn { micros }, _) => forest.join(micros),
            (_, Some((kind, key))) if kind != Kind::Keyed => drop(forest.place(key)),
            _ => {}
        }
    }
    if forest.keys.is_empty() {
        return Vec::new();
    }
    let mut groups: Vec<Group<'_>> = Vec::new();
    let mut of_root: FxHashMap<usize, usize> = FxHashMap::default();
    for at in forest.sorted() {
        let root = forest.root(at);
        let place = *of_root.entry(root).or_insert(groups.len());
        if place == groups.len() {
            groups.push(Group {
                keys: Vec::new(),
                kind: None,
                calls: Vec::new(),
            });
        }
        if let (Some(group), Some(key)) = (groups.get_mut(place), forest.keys.get(at)) {
            group.keys.push(key);
        }
    }
    let mut group_of = |key: &Scalar| {
        let at = *forest.places.get(key)?;
        of_root.get(&forest.root(at)).copied()
    };
    for call in history.calls() {
        let key = match &call.operation {
            Operation::Txn { micros } => micros.first().map(Micro::key),
            operation => Kind::of(operation).map(|(_, key)| key),
        };
        let group = key.and_then(&mut group_of);
        if let Some(group) = group.and_then(|at| groups.get_mut(at)) {
            group.calls.push(call);
        }
    }
    for group in &mut groups {
        group.kind = kind(&group.calls);
    }
    groups
}

/// The type of the object of these calls, if there is one that has them all. Transactions work on
/// registers and lists.
fn kind(calls: &[&Call]) -> Option<Kind> {
    let mut types: FxHashMap<&Scalar, Kind> = FxHashMap::default();
    let mut transactions = false;
    for call in calls {
        let claims: Vec<(Kind, &Scalar)> = match &call.operation {
            Operation::Txn { micros } => {
                transactions = true;
                micros.iter().filter_map(claim).collect()
            }
            operation => Kind::of(operation).into_iter().collect(),
        };
        for (kind, key) in claims {
            if *types.entry(key).or_insert(kind) != kind {
                return None;
            }
        }
    }
    let mut kinds = types.values();
    if transactions {
        let fits = kinds.all(|kind| matches!(kind, Kind::Keyed | Kind::List));
        return fits.then_some(Kind::Keyed);
    }
    kinds.next().copied()
}

/// What a step of a transaction takes its key for. A read tells nothing that matters.
const fn claim(micro: &Micro) -> Option<(Kind, &Scalar)> {
    match micro {
        Micro::Write { key, .. } => Some((Kind::Keyed, key)),
        Micro::Append { key, .. } => Some((Kind::List, key)),
        Micro::Read { .. } => None,
    }
}

/// The keys that an operation touches, and what it takes them for.
pub(crate) fn claims(operation: &Operation) -> SmallVec<[(&Scalar, Option<Kind>); 1]> {
    match operation {
        Operation::Txn { micros } => {
            let claims = micros.iter();
            claims
                .map(|micro| (micro.key(), claim(micro).map(|(kind, _)| kind)))
                .collect()
        }
        operation => Kind::of(operation)
            .into_iter()
            .map(|(kind, key)| (key, Some(kind)))
            .collect(),
    }
}

/// Keys that are touched together: disjoint sets as trees, halved on the way to their roots
/// (Tarjan & van Leeuwen 1984).
#[derive(Default)]
struct Forest<'a> {
    places: FxHashMap<&'a Scalar, usize>,
    keys: Vec<&'a Scalar>,
    parents: Vec<usize>,
}

impl<'a> Forest<'a> {
    fn place(&mut self, key: &'a Scalar) -> usize {
        let next = self.keys.len();
        let place = *self.places.entry(key).or_insert(next);
        if place == next {
            self.keys.push(key);
            self.parents.push(next);
        }
        place
    }

    fn join(&mut self, micros: &'a [Micro]) {
        let mut first = None;
        for micro in micros {
            let place = self.place(micro.key());
            let root = self.root(place);
            let first = *first.get_or_insert(root);
            let first = self.root(first);
            if let Some(parent) = self.parents.get_mut(root) {
                *parent = first;
            }
        }
    }

    fn root(&mut self, mut at: usize) -> usize {
        while let Some(&parent) = self.parents.get(at) {
            if parent == at {
                break;
            }
            let above = self.parents.get(parent).copied().unwrap_or(parent);
            if let Some(slot) = self.parents.get_mut(at) {
                *slot = above;
            }
            at = above;
        }
        at
    }

    /// The places of all keys, in the order of the keys.
    fn sorted(&self) -> Vec<usize> {
        let mut places: Vec<usize> = (0..self.keys.len()).collect();
        places.sort_by_key(|&at| self.keys.get(at));
        places
    }
}
