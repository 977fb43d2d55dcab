//! Registers and lists by key, also several at once: what a transaction does takes effect together.

use rustc_hash::{FxHashMap, FxHashSet};
use tribunal_results::{Answer, Call, Micro, Operation, Outcome, Scalar, micro::Seen};

use super::{Cells, Element, Group, Numbers, Object, UNSEEN, entry};
use crate::model::{Model, Op};
use crate::register;

/// A register's value by its number, or the number of a list; 0 is absence, and the empty list.
type Content = u32;

/// A part of a transaction. The first number is that of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Part {
    /// This was there.
    Read(u32, Content),
    /// This was put there.
    Write(u32, Content),
    /// The first was there, and then the second.
    Cas(u32, Content, Content),
    /// This was not there.
    Not(u32, Content),
    /// This was put at the end of the list.
    Append(u32, Element),
}

impl Part {
    /// Whether it may leave something else behind than there was.
    pub(super) const fn changes(&self) -> bool {
        !matches!(self, Self::Read(..) | Self::Not(..))
    }
}

/// What a transaction did, in order.
pub(crate) type Step = Box<[Part]>;

/// Keys that are absent until they are written.
pub(crate) struct Kv {
    keys: usize,
    /// Which keys are lists.
    lists: FxHashSet<u32>,
    cells: Cells,
}

impl Kv {
    /// So many keys, of which nobody knows yet whether they are lists.
    pub(super) fn of(keys: usize) -> Self {
        Self {
            keys,
            lists: FxHashSet::default(),
            cells: Cells::default(),
        }
    }

    /// Its lists.
    pub(super) const fn cells(&self) -> &Cells {
        &self.cells
    }
}

impl Model for Kv {
    /// What each key holds.
    type State = Box<[Content]>;
    type Step = Step;

    fn initial(&self) -> Self::State {
        vec![0; self.keys].into()
    }

    fn apply(&self, state: &Self::State, step: &Step) -> Option<Self::State> {
        let mut after = state.clone();
        for part in step {
            match *part {
                Part::Read(key, seen) if *after.get(key as usize)? == seen => {}
                Part::Not(key, value) if *after.get(key as usize)? != value => {}
                Part::Read(..) | Part::Not(..) => return None,
                Part::Write(key, value) => *after.get_mut(key as usize)? = value,
                Part::Cas(key, from, to) => {
                    let content = after.get_mut(key as usize).filter(|c| **c == from)?;
                    *content = to;
                }
                Part::Append(key, element) => {
                    let content = after.get_mut(key as usize)?;
                    *content = self.cells.and(*content, element);
                }
            }
        }
        Some(after)
    }

    fn observes(&self, step: &Step) -> bool {
        !step.iter().any(Part::changes)
    }

    fn overwrites(&self, step: &Step) -> bool {
        self.keys == 1
            && matches!(step.first(), Some(Part::Write(..)))
            && step.iter().all(|part| matches!(part, Part::Write(..)))
    }

    /// What brings nothing that anybody needs to see can be left out: whatever comes next does
    /// not look at it. Unless somebody says what was *not* there.
    fn relevant(&self, ops: &[Op<Step>]) -> Vec<bool> {
        let refused = |part: &Part| matches!(part, Part::Not(..));
        let mut relevant: Vec<bool> = ops.iter().map(|op| op.ret.is_some()).collect();
        if relevant.iter().all(|it| *it) || ops.iter().any(|op| op.step.iter().any(refused)) {
            return vec![true; ops.len()];
        }
        let mut needed = Needed::default();
        for op in ops.iter().filter(|op| op.ret.is_some()) {
            needed.by(self, &op.step);
        }
        loop {
            let before = needed.0.len();
            for (op, relevant) in ops.iter().zip(&mut relevant) {
                if !*relevant && op.step.iter().any(|part| needed.brings(part)) {
                    *relevant = true;
                    needed.by(self, &op.step);
                }
            }
            if needed.0.len() == before {
                return relevant;
            }
        }
    }

    fn weight(&self, state: &Self::State) -> usize {
        size_of_val(state) + 4 * state.len() + Cells::WEIGHT
    }
}

/// What has to be there at some time: of registers values, of lists elements; and which lists are
/// known already.
#[derive(Default)]
struct Needed(FxHashSet<(u32, bool, u32)>);

impl Needed {
    fn by(&mut self, model: &Kv, step: &Step) {
        for part in step {
            match *part {
                Part::Read(key, mut list) if model.lists.contains(&key) => {
                    while self.0.insert((key, true, list)) {
                        let Some((rest, element)) = model.cells.last(list) else {
                            break;
                        };
                        self.0.insert((key, false, element));
                        list = rest;
                    }
                }
                Part::Read(key, value) | Part::Cas(key, value, _) => {
                    self.0.insert((key, false, value));
                }
                Part::Write(..) | Part::Not(..) | Part::Append(..) => {}
            }
        }
    }

    fn brings(&self, part: &Part) -> bool {
        match *part {
            Part::Write(key, value) | Part::Cas(key, _, value) | Part::Append(key, value) => {
                self.0.contains(&(key, false, value))
            }
            Part::Read(..) | Part::Not(..) => false,
        }
    }
}

/// The keys of these calls.
pub(crate) fn object<'a>(group: &Group<'a>) -> Object<'a, Kv> {
    let keys = group.keys.iter().zip(0..).map(|(key, at)| (*key, at));
    let mut reader = Reader {
        keys: keys.collect(),
        numbers: Numbers::default(),
        seen: FxHashSet::default(),
        lists: FxHashSet::default(),
        cells: Cells::default(),
    };
    let mut entries = Vec::new();
    for call in &group.calls {
        reader.see(call);
    }
    for &call in &group.calls {
        let step = parts(call, &mut reader);
        if !step.is_empty() && (call.returned().is_some() || step.iter().any(Part::changes)) {
            entries.push(entry(call, step.into(), 1));
        }
    }
    Object {
        name: group.name(),
        key: group.key(),
        model: Kv {
            keys: group.keys.len(),
            lists: reader.lists,
            cells: reader.cells,
        },
        entries,
        scale: 1,
        tells: |step| {
            step.iter()
                .any(|part| matches!(*part, Part::Read(_, 1..) | Part::Cas(..)))
        },
    }
}

/// The list that a step of a transaction saw.
fn list_of(micro: &Micro) -> Option<&[Scalar]> {
    match micro {
        Micro::Read {
            seen: Seen::List(values),
            ..
        } => Some(values),
        _ => None,
    }
}

/// How keys and values are numbered.
pub(super) trait Naming<'a> {
    /// The number of a key.
    fn key(&mut self, key: &'a Scalar) -> u32;

    /// The number of a value; not 0.
    fn value(&mut self, value: &'a Scalar) -> Content;

    /// The number of an element that is put at the end of a list; not 0.
    fn element(&mut self, value: &'a Scalar) -> Element;

    /// The number of a list that was seen at a key.
    fn list(&mut self, key: u32, values: &'a [Scalar]) -> Content;
}

/// What a call did; nothing if it did nothing for certain.
pub(super) fn parts<'a>(call: &'a Call, naming: &mut impl Naming<'a>) -> Vec<Part> {
    let part = match (&call.operation, &call.outcome) {
        (Operation::Cas { key, from, .. }, Outcome::Fail(reason))
            if register::says_other(reason) =>
        {
            Part::Not(naming.key(key), naming.value(from))
        }
        (_, Outcome::Fail(_)) => return Vec::new(),
        (Operation::Read { key }, Outcome::Ok(Answer::Value(seen))) => {
            let seen = seen.as_ref().map_or(0, |seen| naming.value(seen));
            Part::Read(naming.key(key), seen)
        }
        (Operation::Write { key, value }, _) => Part::Write(naming.key(key), naming.value(value)),
        (Operation::Cas { key, from, to }, _) => {
            Part::Cas(naming.key(key), naming.value(from), naming.value(to))
        }
        (Operation::Append { key, value }, _) => {
            Part::Append(naming.key(key), naming.element(value))
        }
        (Operation::Elements { key }, Outcome::Ok(Answer::Values(values))) => {
            let key = naming.key(key);
            Part::Read(key, naming.list(key, values))
        }
        (Operation::Txn { .. }, Outcome::Ok(Answer::Txn(micros))) => {
            return micros.iter().map(|m| part_of(m, naming)).collect();
        }
        (Operation::Txn { micros }, _) => {
            // What its reads saw is unknown.
            let changes = micros.iter().filter(|m| !matches!(m, Micro::Read { .. }));
            return changes.map(|micro| part_of(micro, naming)).collect();
        }
        _ => return Vec::new(),
    };
    vec![part]
}

/// What a step of a transaction did.
fn part_of<'a>(micro: &'a Micro, naming: &mut impl Naming<'a>) -> Part {
    let key = naming.key(micro.key());
    match micro {
        Micro::Write { value, .. } => Part::Write(key, naming.value(value)),
        Micro::Append { value, .. } => Part::Append(key, naming.element(value)),
        Micro::Read { seen, .. } => match seen {
            Seen::Nothing => Part::Read(key, 0),
            Seen::Value(value) => Part::Read(key, naming.value(value)),
            Seen::List(values) => Part::Read(key, naming.list(key, values)),
        },
    }
}

struct Reader<'a> {
    keys: FxHashMap<&'a Scalar, u32>,
    numbers: Numbers<'a>,
    /// The elements that were seen in any list.
    seen: FxHashSet<Element>,
    lists: FxHashSet<u32>,
    cells: Cells,
}

impl<'a> Reader<'a> {
    /// Notes the elements that a call saw.
    fn see(&mut self, call: &'a Call) {
        let lists: Vec<&'a [Scalar]> = match &call.outcome {
            Outcome::Ok(Answer::Values(values)) => vec![values],
            Outcome::Ok(Answer::Txn(micros)) => micros.iter().filter_map(list_of).collect(),
            _ => Vec::new(),
        };
        for value in lists.into_iter().flatten() {
            let element = self.value(value);
            self.seen.insert(element);
        }
    }
}

impl<'a> Naming<'a> for Reader<'a> {
    fn key(&mut self, key: &'a Scalar) -> u32 {
        self.keys.get(key).copied().unwrap_or_default()
    }

    fn value(&mut self, value: &'a Scalar) -> Content {
        self.numbers.of(value) + 1
    }

    /// All that nobody sees are as one.
    fn element(&mut self, value: &'a Scalar) -> Element {
        let element = self.numbers.put(value).saturating_add(1);
        if self.seen.contains(&element) {
            element
        } else {
            UNSEEN
        }
    }

    fn list(&mut self, key: u32, values: &'a [Scalar]) -> Content {
        self.lists.insert(key);
        let Self { numbers, cells, .. } = self;
        cells.of(values.iter().map(|value| numbers.of(value) + 1))
    }
}
