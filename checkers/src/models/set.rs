//! Sets: each element by itself, or the whole set where somebody read all of it.

use rustc_hash::FxHashSet;
use tribunal_results::{Answer, Call, Operation, Outcome, Scalar};

use super::{Element, Group, Numbers, Object, entry};
use crate::model::{Model, Op};

/// What happens to a set.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Step {
    /// The element was put in; and whether it was not there before, if that was answered.
    Add(Element, Option<bool>),
    /// The element was taken out; and whether it was there before, if that was answered.
    Remove(Element, Option<bool>),
    /// Whether the element was there.
    Contains(Element, bool),
    /// These were there, and no others. One that lists an element twice fits no state: it has a
    /// zero at the end.
    Members(Bits),
}

/// Which elements, by number: a bit for each, without zeros at the end.
pub(crate) type Bits = Vec<u64>;

/// A set that is empty at first.
pub(crate) struct Set {
    /// Whether it has only one element, so that putting it in or taking it out leaves the same
    /// state behind always.
    single: bool,
}

impl Set {
    /// A set with any number of elements.
    pub(super) const fn whole() -> Self {
        Self { single: false }
    }
}

impl Model for Set {
    type State = Bits;
    type Step = Step;

    fn initial(&self) -> Bits {
        Bits::new()
    }

    fn apply(&self, state: &Bits, step: &Step) -> Option<Bits> {
        match step {
            Step::Add(element, new) => (new.is_none_or(|new| new != has(state, *element)))
                .then(|| with(state.clone(), *element)),
            Step::Remove(element, there) => {
                (there.is_none_or(|it| it == has(state, *element))).then(|| clear(state, *element))
            }
            Step::Contains(element, there) => {
                (*there == has(state, *element)).then(|| state.clone())
            }
            Step::Members(members) => (members == state).then(|| state.clone()),
        }
    }

    fn observes(&self, step: &Step) -> bool {
        matches!(
            step,
            Step::Contains(..)
                | Step::Members(_)
                | Step::Add(_, Some(false))
                | Step::Remove(_, Some(false))
        )
    }

    fn overwrites(&self, step: &Step) -> bool {
        self.single && matches!(step, Step::Add(_, None) | Step::Remove(_, None))
    }

    fn stronger(&self, step: &Step) -> Option<Step> {
        match *step {
            Step::Add(element, Some(true)) => Some(Step::Add(element, None)),
            Step::Remove(element, Some(true)) => Some(Step::Remove(element, None)),
            _ => None,
        }
    }

    /// What happens to an element of which nothing is certain can be left out, if no read of the
    /// whole set had it.
    fn relevant(&self, ops: &[Op<Step>]) -> Vec<bool> {
        let mut certain: FxHashSet<Element> = FxHashSet::default();
        for op in ops.iter().filter(|op| op.ret.is_some()) {
            match &op.step {
                Step::Members(members) => certain.extend(elements(members)),
                Step::Add(element, _) | Step::Remove(element, _) | Step::Contains(element, _) => {
                    certain.insert(*element);
                }
            }
        }
        let relevant = |op: &Op<Step>| match &op.step {
            Step::Add(element, _) | Step::Remove(element, _) => certain.contains(element),
            _ => true,
        };
        ops.iter()
            .map(|op| op.ret.is_some() || relevant(op))
            .collect()
    }

    fn weight(&self, state: &Bits) -> usize {
        size_of_val(state) + 8 * state.capacity()
    }
}

const fn place(element: Element) -> (usize, u64) {
    (element as usize / 64, 1 << (element % 64))
}

fn has(bits: &Bits, element: Element) -> bool {
    let (at, bit) = place(element);
    bits.get(at).is_some_and(|word| word & bit != 0)
}

fn with(mut bits: Bits, element: Element) -> Bits {
    let (at, bit) = place(element);
    if bits.len() <= at {
        bits.resize(at + 1, 0);
    }
    bits.iter_mut()
        .skip(at)
        .take(1)
        .for_each(|word| *word |= bit);
    bits
}

fn clear(bits: &Bits, element: Element) -> Bits {
    let (at, bit) = place(element);
    let mut after = bits.clone();
    after
        .iter_mut()
        .skip(at)
        .take(1)
        .for_each(|word| *word &= !bit);
    while after.last() == Some(&0) {
        after.pop();
    }
    after
}

fn elements(bits: &Bits) -> impl Iterator<Item = Element> {
    let all = 0..bits.len() as Element * 64;
    all.filter(|element| has(bits, *element))
}

/// The sets of these calls: one for each element, or one of all if somebody read the whole.
pub(crate) fn objects<'a>(group: &Group<'a>) -> Vec<Object<'a, Set>> {
    let mut numbers = Numbers::default();
    let mut steps: Vec<(Element, &'a Call, Step)> = Vec::new();
    let mut whole = false;
    for &call in &group.calls {
        let Some(step) = step(call, &mut |value| numbers.of(value)) else {
            continue;
        };
        let element = match step {
            Step::Members(_) => 0,
            Step::Add(e, _) | Step::Remove(e, _) | Step::Contains(e, _) => e,
        };
        whole |= matches!(step, Step::Members(_));
        steps.push((element, call, step));
    }
    if whole {
        let named = (group.name(), false);
        return vec![object(group, named, steps)];
    }
    // Each element by itself; the sort keeps the order of calls.
    steps.sort_by_key(|(element, ..)| *element);
    let mut objects = Vec::new();
    while let Some(&(element, ..)) = steps.last() {
        let from = steps.partition_point(|(other, ..)| *other < element);
        let own: Vec<_> = steps.split_off(from);
        let own = own
            .into_iter()
            .map(|(_, call, step)| (0, call, single(step)));
        let shown = numbers.show(element);
        let named = (format!("{shown} in {}", group.name()), true);
        objects.push(object(group, named, own.collect()));
    }
    objects.reverse();
    objects
}

/// The same step of the only element.
fn single(step: Step) -> Step {
    match step {
        Step::Add(_, new) => Step::Add(0, new),
        Step::Remove(_, there) => Step::Remove(0, there),
        Step::Contains(_, there) => Step::Contains(0, there),
        members @ Step::Members(_) => members,
    }
}

fn object<'a>(
    group: &Group<'a>,
    (name, single): (String, bool),
    steps: Vec<(Element, &'a Call, Step)>,
) -> Object<'a, Set> {
    Object {
        name,
        key: group.key(),
        model: Set { single },
        entries: steps
            .into_iter()
            .map(|(_, call, step)| entry(call, step, 1))
            .collect(),
        scale: 1,
        tells: |step| !matches!(step, Step::Add(_, None) | Step::Remove(_, None)),
    }
}

/// What a call did, or may have done.
pub(super) fn step<'a>(
    call: &'a Call,
    number: &mut impl FnMut(&'a Scalar) -> Element,
) -> Option<Step> {
    if call.is_fail() {
        return None;
    }
    let flag = match call.outcome {
        Outcome::Ok(Answer::Flag(flag)) => Some(flag),
        _ => None,
    };
    match (&call.operation, &call.outcome) {
        (Operation::Add { value, .. }, _) => Some(Step::Add(number(value), flag)),
        (Operation::Remove { value, .. }, _) => Some(Step::Remove(number(value), flag)),
        (Operation::Contains { value, .. }, _) => {
            flag.map(|there| Step::Contains(number(value), there))
        }
        (Operation::Members { .. }, Outcome::Ok(Answer::Values(values))) => {
            Some(Step::Members(bits(values, number)))
        }
        _ => None,
    }
}

fn bits<'a>(values: &'a [Scalar], number: &mut impl FnMut(&'a Scalar) -> Element) -> Bits {
    let mut bits = Bits::new();
    let mut twice = false;
    for value in values {
        let element = number(value);
        twice |= has(&bits, element);
        bits = with(bits, element);
    }
    if twice {
        bits.push(0);
    }
    bits
}
