//! What calls do to an object, and what it holds.

use std::collections::{BTreeMap, BTreeSet};

use tribunal_results::{Answer, Assumptions, Call, Micro, Operation, Outcome, Scalar, Seen};

/// One thing that a call does at one instant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Effect<'a> {
    /// Puts at the end.
    Put(&'a Scalar),
    /// Takes this from the front; finds nothing there if absent.
    Front(Option<&'a Scalar>),
    /// Takes from the front what is there.
    AnyFront,
    /// Takes this from the end; finds nothing there if absent.
    Back(Option<&'a Scalar>),
    /// Takes from the end what is there.
    AnyBack,
    /// Puts in; and says whether it is new.
    Add(&'a Scalar, Option<bool>),
    /// Takes out; and says whether it was there.
    Remove(&'a Scalar, Option<bool>),
    /// Whether it is there.
    Has(&'a Scalar, bool),
    /// These are there, in their order; never one twice.
    All(Vec<&'a Scalar>),
    /// Adds so much.
    Sum(i64),
    /// It stands so.
    Stands(i64),
    /// This one takes so many permits.
    Hold(u64, u32),
    /// This one takes so many, and they fall back before it is told.
    Pass(u64, u32),
    /// This one gives so many back.
    Free(u64, u32),
    /// So many of this one fall back, or what it has left of them.
    Lapse(u64, u32),
    /// Does this together.
    Together(Vec<Part<'a>>),
}

/// A part of a transaction.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part<'a> {
    /// The register held this.
    Value(&'a Scalar, Option<&'a Scalar>),
    /// The register did not hold this.
    Other(&'a Scalar, &'a Scalar),
    /// The list was this.
    List(&'a Scalar, Vec<&'a Scalar>),
    /// The register is to hold this.
    Set(&'a Scalar, &'a Scalar),
    /// The list is to have one more element.
    Append(&'a Scalar, &'a Scalar),
}

/// What an object holds, whatever it is: only what its type needs is ever filled.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct State<'a> {
    line: Vec<&'a Scalar>,
    set: BTreeSet<&'a Scalar>,
    sum: i128,
    held: BTreeMap<u64, u32>,
    lapsed: BTreeMap<u64, u32>,
    registers: BTreeMap<&'a Scalar, &'a Scalar>,
    lists: BTreeMap<&'a Scalar, Vec<&'a Scalar>>,
}

impl<'a> State<'a> {
    /// What it holds after the effect, if that can happen.
    pub(super) fn after(&self, effect: &Effect<'a>, assume: &Assumptions) -> Option<Self> {
        let mut next = self.clone();
        let fits = match effect {
            Effect::Put(value) => {
                next.line.push(value);
                true
            }
            Effect::Front(None) | Effect::Back(None) => self.line.is_empty(),
            Effect::Front(Some(value)) => {
                self.line.first() == Some(value) && *value == next.line.remove(0)
            }
            Effect::Back(Some(value)) => next.line.pop() == Some(*value),
            Effect::AnyFront => {
                next.line.drain(..self.line.len().min(1));
                true
            }
            Effect::AnyBack => {
                next.line.pop();
                true
            }
            Effect::Add(value, new) => {
                let is_new = next.set.insert(value);
                new.is_none_or(|new| new == is_new)
            }
            Effect::Remove(value, was) => {
                let had = next.set.remove(value);
                was.is_none_or(|was| was == had)
            }
            Effect::Has(value, there) => self.set.contains(value) == *there,
            Effect::All(values) => self.set.iter().eq(values),
            Effect::Sum(by) => {
                next.sum += i128::from(*by);
                true
            }
            Effect::Stands(at) => self.sum == i128::from(*at),
            Effect::Hold(owner, permits) => {
                let held = self.held.values().map(|&n| u64::from(n)).sum::<u64>();
                *next.held.entry(*owner).or_default() += permits;
                held + u64::from(*permits) <= u64::from(assume.permits)
            }
            Effect::Pass(owner, permits) => {
                let held = self.held.values().map(|&n| u64::from(n)).sum::<u64>();
                *next.lapsed.entry(*owner).or_default() += permits;
                held + u64::from(*permits) <= u64::from(assume.permits)
            }
            Effect::Free(owner, permits) => {
                // What fell back its owner may still give back: that changes nothing.
                let held = next.held.remove(owner).unwrap_or_default();
                let lapsed = next.lapsed.remove(owner).unwrap_or_default();
                let missing = permits.saturating_sub(held);
                next.held
                    .extend((held > *permits).then(|| (*owner, held - permits)));
                next.lapsed
                    .extend((lapsed > missing).then(|| (*owner, lapsed - missing)));
                missing <= lapsed
            }
            Effect::Lapse(owner, permits) => {
                if let Some(held) = next.held.get_mut(owner) {
                    let fallen = (*held).min(*permits);
                    *held -= fallen;
                    *next.lapsed.entry(*owner).or_default() += fallen;
                }
                next.held.retain(|_, held| *held > 0);
                true
            }
            Effect::Together(parts) => parts.iter().all(|part| next.part(part)),
        };
        fits.then_some(next)
    }

    fn part(&mut self, part: &Part<'a>) -> bool {
        match part {
            Part::Value(key, seen) => self.registers.get(key) == seen.as_ref(),
            Part::Other(key, value) => self.registers.get(key) != Some(value),
            Part::List(key, seen) => self.lists.get(key).map_or(&[][..], Vec::as_slice) == seen,
            Part::Set(key, value) => {
                self.registers.insert(key, value);
                true
            }
            Part::Append(key, value) => {
                self.lists.entry(key).or_default().push(value);
                true
            }
        }
    }
}

/// What a call does, in order; nothing if it does nothing for certain and tells nothing.
pub(super) fn effects<'a>(call: &'a Call, assume: &Assumptions) -> Vec<Effect<'a>> {
    let owner = if assume.owned { call.process } else { 0 };
    let flag = match &call.outcome {
        Outcome::Ok(Answer::Flag(flag)) => Some(*flag),
        _ => None,
    };
    let effect = match (&call.operation, &call.outcome) {
        (Operation::Cas { key, from, .. }, Outcome::Fail(reason))
            if reason.code == "precondition-failed" =>
        {
            Effect::Together(vec![Part::Other(key, from)])
        }
        (_, Outcome::Fail(_)) => return Vec::new(),
        (Operation::Enqueue { value, .. } | Operation::Push { value, .. }, _) => Effect::Put(value),
        (Operation::Dequeue { .. }, Outcome::Ok(Answer::Value(seen))) => {
            Effect::Front(seen.as_ref())
        }
        (Operation::Drain { .. }, Outcome::Ok(Answer::Values(taken))) => {
            let taken = taken.iter().map(|value| Effect::Front(Some(value)));
            return taken.chain([Effect::Front(None)]).collect();
        }
        (Operation::Dequeue { .. } | Operation::Drain { .. }, _) => Effect::AnyFront,
        (Operation::Pop { .. }, Outcome::Ok(Answer::Value(seen))) => Effect::Back(seen.as_ref()),
        (Operation::Pop { .. }, _) => Effect::AnyBack,
        (Operation::Add { value, .. }, _) => Effect::Add(value, flag),
        (Operation::Remove { value, .. }, _) => Effect::Remove(value, flag),
        (Operation::Contains { value, .. }, Outcome::Ok(Answer::Flag(there))) => {
            Effect::Has(value, *there)
        }
        (Operation::Members { .. }, Outcome::Ok(Answer::Values(values))) => {
            let mut values: Vec<&Scalar> = values.iter().collect();
            values.sort_unstable();
            Effect::All(values)
        }
        (Operation::Increment { by, .. }, _) => Effect::Sum(*by),
        (Operation::Count { .. }, Outcome::Ok(Answer::Value(Some(Scalar::Int(at))))) => {
            Effect::Stands(*at)
        }
        (Operation::AcquirePermits { permits, .. }, _) if *permits > 0 => {
            let over = lease_over(call, assume);
            match over.zip(call.completed) {
                Some((over, told)) if told.time >= over => Effect::Pass(owner, *permits),
                _ => Effect::Hold(owner, *permits),
            }
        }
        (Operation::ReleasePermits { permits, .. }, _) if *permits > 0 => {
            Effect::Free(owner, *permits)
        }
        _ => match parts(call) {
            parts if parts.is_empty() => return Vec::new(),
            parts => Effect::Together(parts),
        },
    };
    vec![effect]
}

fn parts(call: &Call) -> Vec<Part<'_>> {
    match (&call.operation, &call.outcome) {
        (Operation::Read { key }, Outcome::Ok(Answer::Value(seen))) => {
            vec![Part::Value(key, seen.as_ref())]
        }
        (Operation::Write { key, value }, _) => vec![Part::Set(key, value)],
        (Operation::Cas { key, from, to }, _) => {
            vec![Part::Value(key, Some(from)), Part::Set(key, to)]
        }
        (Operation::Append { key, value }, _) => vec![Part::Append(key, value)],
        (Operation::Elements { key }, Outcome::Ok(Answer::Values(seen))) => {
            vec![Part::List(key, seen.iter().collect())]
        }
        (Operation::Txn { .. }, Outcome::Ok(Answer::Txn(micros))) => micros
            .iter()
            .flat_map(|micro| micro_parts(micro, true))
            .collect(),
        (Operation::Txn { micros }, _) => micros
            .iter()
            .flat_map(|micro| micro_parts(micro, false))
            .collect(),
        _ => Vec::new(),
    }
}

/// A read of nothing finds neither a value nor elements.
fn micro_parts(micro: &Micro, answered: bool) -> Vec<Part<'_>> {
    match micro {
        Micro::Write { key, value } => vec![Part::Set(key, value)],
        Micro::Append { key, value } => vec![Part::Append(key, value)],
        Micro::Read { .. } if !answered => Vec::new(),
        Micro::Read { key, seen } => match seen {
            Seen::Nothing => vec![Part::Value(key, None), Part::List(key, Vec::new())],
            Seen::Value(value) => vec![Part::Value(key, Some(value))],
            Seen::List(values) => vec![Part::List(key, values.iter().collect())],
        },
    }
}

/// The keys that a call touches.
pub(super) fn touched(call: &Call) -> Vec<&Scalar> {
    match &call.operation {
        Operation::Txn { micros } => micros.iter().map(Micro::key).collect(),
        operation => operation.key().into_iter().collect(),
    }
}

/// The values that a call is about.
pub(super) fn named(call: &Call) -> Vec<&Scalar> {
    // Whose permits they are does not matter for values.
    let values = effects(call, &Assumptions::default()).into_iter();
    values.flat_map(values_of).collect()
}

fn values_of(effect: Effect<'_>) -> Vec<&Scalar> {
    match effect {
        Effect::Put(value)
        | Effect::Front(Some(value))
        | Effect::Back(Some(value))
        | Effect::Add(value, _)
        | Effect::Remove(value, _)
        | Effect::Has(value, _) => vec![value],
        Effect::All(values) => values,
        Effect::Together(parts) => parts.into_iter().flat_map(needs).collect(),
        _ => Vec::new(),
    }
}

/// The values that must be there, or must not.
fn needs(part: Part<'_>) -> Vec<&Scalar> {
    match part {
        Part::Value(_, seen) => seen.into_iter().collect(),
        Part::Other(_, value) => vec![value],
        Part::List(_, values) => values,
        Part::Set(..) | Part::Append(..) => Vec::new(),
    }
}

/// What other calls may have done, with the event from which on: all but what concerns only
/// values that matter to nobody. Elements that nobody names can be thought away together with
/// all that happened to them; and so can what a transaction wrote, if nobody sees it.
pub(super) fn possible<'a>(
    others: &[&'a Call],
    mut values: BTreeSet<&'a Scalar>,
    assume: &Assumptions,
) -> Vec<(u64, Effect<'a>)> {
    let mut left: Vec<(u64, Effect<'a>)> = Vec::new();
    for call in others {
        let each = effects(call, assume);
        // One of unknown end may take any number of elements, but not more than there are.
        let times = match call.operation {
            Operation::Drain { .. } if call.is_info() => others.len(),
            _ => 1,
        };
        for _ in 0..times {
            left.extend(each.iter().map(|e| (call.invoked.index, e.clone())));
        }
    }
    let mut kept = Vec::new();
    loop {
        let before = kept.len();
        let matters = |(_, effect): &(u64, Effect<'a>)| match effect {
            Effect::Put(value)
            | Effect::Front(Some(value))
            | Effect::Back(Some(value))
            | Effect::Add(value, _)
            | Effect::Remove(value, _) => values.contains(value),
            Effect::Sum(_) | Effect::Hold(..) | Effect::Pass(..) => true,
            Effect::Free(..) | Effect::Lapse(..) => true,
            Effect::AnyFront | Effect::AnyBack => true,
            Effect::Together(parts) => parts.iter().any(|part| match part {
                Part::Set(_, value) | Part::Append(_, value) => values.contains(value),
                _ => false,
            }),
            Effect::Front(None) | Effect::Back(None) => false,
            Effect::Has(..) | Effect::All(_) | Effect::Stands(_) => false,
        };
        let (now, later): (Vec<_>, Vec<_>) = left.into_iter().partition(matters);
        for (_, effect) in &now {
            if let Effect::Together(_) = effect {
                values.extend(values_of(effect.clone()));
            }
        }
        kept.extend(now);
        left = later;
        if kept.len() == before {
            return kept;
        }
    }
}

/// That the permits of a grant fall back, and the event from which on: the first at which the
/// lease may be over by the clock of the record.
pub(super) fn lapse<'a>(
    call: &'a Call,
    all: &[&Call],
    assume: &Assumptions,
) -> Option<(u64, Effect<'a>)> {
    let Operation::AcquirePermits { permits, .. } = &call.operation else {
        return None;
    };
    // Of one that was told too late nothing is left that could fall back.
    let over = lease_over(call, assume)?;
    if call.completed.is_some_and(|told| told.time >= over) {
        return None;
    }
    let stamps = all
        .iter()
        .flat_map(|call| [Some(call.invoked), call.completed]);
    let late = stamps.flatten().filter(|stamp| stamp.time >= over);
    let from = late.map(|stamp| stamp.index).min()?;
    let owner = if assume.owned { call.process } else { 0 };
    Some((from, Effect::Lapse(owner, *permits)))
}

/// When the lease of a grant may be over at the earliest: a millisecond is for the clocks.
fn lease_over(call: &Call, assume: &Assumptions) -> Option<u64> {
    let Outcome::Ok(Answer::Grant(grant)) = &call.outcome else {
        return None;
    };
    let rate = u128::from(1_000_000_u32.saturating_sub(assume.clock_drift_ppm));
    let least = (u128::from(grant.lease_ms) * rate).saturating_sub(1_000_000);
    let over = u128::from(call.invoked.time) + least;
    Some(u64::try_from(over).unwrap_or(u64::MAX))
}
