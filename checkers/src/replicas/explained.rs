//! Whether what an object came to is explained by its updates: all that were acknowledged, any of
//! those of unknown end, none that failed.
//!
//! Only what holds in every order of the updates is asked for, since replicas may order concurrent
//! updates by any clock: a register holds some value that was written, and nothing only if nothing
//! was; a set has what was added and never removed, and nothing that nobody added, and not what
//! was added once and then found and removed; a counter stands at the sum, with any part of the
//! increments of unknown end; a list has each element as often as it was appended.

use rustc_hash::FxHashMap;
use tribunal_results::{Anomaly, Answer, Call, Operation, Outcome, Scalar};

use super::{Object, State, anomaly, answer, put, taken};
use crate::explain;

/// The most different sums of increments that are kept.
const SUMS_MAX: usize = 1 << 20;

/// What was done about one value or element.
#[derive(Clone, Default)]
struct Updates<'a> {
    acknowledged: Vec<&'a Call>,
    unknown: Vec<&'a Call>,
    failed: Option<&'a Call>,
    /// Whether a removal may have taken effect.
    removed: bool,
    /// A removal that found it there.
    found: Option<&'a Call>,
}

/// What is known of an object, to explain any state of it.
pub(crate) struct Explanation<'o, 'a> {
    object: &'o Object<'a>,
    updates: FxHashMap<&'a Scalar, Updates<'a>>,
    /// The sum of acknowledged increments, and those of unknown end.
    sum: i128,
    perhaps: Vec<i64>,
}

/// Why a state is not explained.
pub(crate) enum Unexplained {
    /// This contradicts it.
    Contradiction(Box<Anomaly>),
    /// There are too many sums to tell.
    Budget,
}

impl<'o, 'a> Explanation<'o, 'a> {
    /// Gathers what was done to an object.
    pub(crate) fn new(object: &'o Object<'a>) -> Self {
        let mut explanation = Self {
            object,
            updates: FxHashMap::default(),
            sum: 0,
            perhaps: Vec::new(),
        };
        for call in &object.updates {
            explanation.learn(call);
        }
        explanation
    }

    fn learn(&mut self, call: &'a Call) {
        if let Operation::Increment { by, .. } = call.operation {
            match call.outcome {
                Outcome::Ok(_) => self.sum += i128::from(by),
                Outcome::Info(_) => self.perhaps.push(by),
                Outcome::Fail(_) => {}
            }
        }
        if let Some(value) = put(call) {
            let updates = self.updates.entry(value).or_default();
            match call.outcome {
                Outcome::Ok(_) => updates.acknowledged.push(call),
                Outcome::Info(_) => updates.unknown.push(call),
                Outcome::Fail(_) => updates.failed = updates.failed.or(Some(call)),
            }
        }
        if let Some(value) = taken(call)
            && !call.is_fail()
        {
            let updates = self.updates.entry(value).or_default();
            updates.removed = true;
            if matches!(call.outcome, Outcome::Ok(Answer::Flag(true))) {
                updates.found = updates.found.or(Some(call));
            }
        }
    }

    /// What contradicts the state that a read showed, the smallest element first.
    ///
    /// # Errors
    /// The contradiction, or that the budget of steps was too small to find out.
    pub(crate) fn of(
        &self,
        read: &'a Call,
        state: &State<'a>,
        steps: &mut u64,
    ) -> Result<(), Unexplained> {
        let found = match state {
            State::Value(None) => self.nothing(read),
            State::Value(Some(value)) => self.unexplained(read, value, 1),
            State::Set(elements) => self.set(read, elements),
            State::List(elements) => self.list(read, elements),
            State::Count(count) => return self.count(read, *count, steps),
        };
        found.map_or(Ok(()), |found| {
            Err(Unexplained::Contradiction(Box::new(found)))
        })
    }

    fn nothing(&self, read: &Call) -> Option<Anomaly> {
        let write = self.object.updates.iter().find(|update| update.is_ok())?;
        Some(self.lost(read, write, "nothing is there".into()))
    }

    /// Something that is there more often than it can have been put there.
    fn unexplained(&self, read: &Call, value: &Scalar, times: usize) -> Option<Anomaly> {
        let known = self.updates.get(value);
        let most = known.map_or(0, |known| known.acknowledged.len() + known.unknown.len());
        let refused = known.and_then(|known| known.failed);
        let is_register = matches!(read.operation, Operation::Read { .. });
        if times <= most || (is_register && most > 0) {
            return None;
        }
        let (noun, key) = (self.object.family.noun(), self.object.key);
        let often = match most {
            0 => "nobody put it there".to_owned(),
            most => format!("it was put there {most} times at most, and is there {times} times"),
        };
        let sentence = format!(
            "{noun} {key} came to have {value}, but {often} ({})",
            answer(read)
        );
        let mut facts = vec![
            format!("{} has {value}.", answer(read)),
            format!("Of all updates of {key}, {most} may have put {value} there."),
        ];
        facts.extend(
            refused
                .map(|call| format!("{} was refused: it had no effect.", explain::invoked(call))),
        );
        let calls: Vec<&Call> = refused.into_iter().chain([read]).collect();
        Some(anomaly(
            "unexplained-value",
            self.object,
            sentence,
            &calls,
            facts,
        ))
    }

    fn set(&self, read: &Call, elements: &[&'a Scalar]) -> Option<Anomaly> {
        let has = |element: &Scalar| elements.binary_search(&element).is_ok();
        let missing = self.updates.iter().filter(|(element, updates)| {
            !updates.removed && !updates.acknowledged.is_empty() && !has(element)
        });
        if let Some((element, updates)) = missing.min_by_key(|(element, _)| **element) {
            let add = updates.acknowledged.first()?;
            let text = format!("{element} is missing, and nobody removed it");
            return Some(self.lost(read, add, text));
        }
        elements.iter().find_map(|element| {
            self.unexplained(read, element, 1)
                .or_else(|| self.resurrected(read, element))
        })
    }

    /// An element that was added once, and found and removed, and is there.
    fn resurrected(&self, read: &Call, element: &Scalar) -> Option<Anomaly> {
        let updates = self.updates.get(element)?;
        let remove = updates.found?;
        let mut adds = updates.acknowledged.iter().chain(&updates.unknown);
        let (Some(add), None) = (adds.next(), adds.next()) else {
            return None;
        };
        let key = self.object.key;
        let sentence = format!(
            "set {key} came to have {element} again, which was added once and which p{} found \
             and removed ({})",
            remove.process,
            answer(read)
        );
        let facts = vec![
            format!(
                "{}, and no other add of {element} may have taken effect.",
                explain::invoked(add)
            ),
            format!("{}: it had found {element}.", explain::returned(remove)),
            format!("{} has {element}.", answer(read)),
        ];
        let calls = [*add, remove, read];
        Some(anomaly("resurrected", self.object, sentence, &calls, facts))
    }

    fn list(&self, read: &Call, elements: &[&'a Scalar]) -> Option<Anomaly> {
        let mut times: FxHashMap<&Scalar, usize> = FxHashMap::default();
        for element in elements {
            *times.entry(element).or_default() += 1;
        }
        let count = |element: &Scalar| times.get(element).copied().unwrap_or(0);
        let missing = self
            .updates
            .iter()
            .filter(|(element, updates)| count(element) < updates.acknowledged.len());
        if let Some((element, updates)) = missing.min_by_key(|(element, _)| **element) {
            let append = updates.acknowledged.first()?;
            let (is, due) = (count(element), updates.acknowledged.len());
            let text = format!("{element} is there {is} times, and was appended {due} times");
            return Some(self.lost(read, append, text));
        }
        let mut present: Vec<(&Scalar, usize)> = times.into_iter().collect();
        present.sort_unstable();
        present
            .into_iter()
            .find_map(|(element, times)| self.unexplained(read, element, times))
    }

    fn lost(&self, read: &Call, update: &Call, how: String) -> Anomaly {
        let (noun, key) = (self.object.family.noun(), self.object.key);
        let sentence = format!(
            "{noun} {key} lost p{}'s {}, acknowledged at {}: in {}, {how}",
            update.process,
            update.operation,
            explain::seconds(explain::ended(update)),
            answer(read)
        );
        let facts = vec![
            format!("{}.", explain::acknowledged(update)),
            format!("In {}, after all was settled, {how}.", answer(read)),
        ];
        anomaly(
            "lost-update-after-settling",
            self.object,
            sentence,
            &[update, read],
            facts,
        )
    }

    fn count(&self, read: &Call, count: i64, steps: &mut u64) -> Result<(), Unexplained> {
        let gap = i128::from(count) - self.sum;
        if sums_to(&self.perhaps, gap, steps).ok_or(Unexplained::Budget)? {
            return Ok(());
        }
        let grows = self.perhaps.iter().all(|by| *by >= 0);
        let name = match grows && gap < 0 {
            true => "lost-update-after-settling",
            false => "unexplained-value",
        };
        let (key, sum) = (self.object.key, self.sum);
        let unknown = explain::count(self.perhaps.len(), "increment");
        let sentence = format!(
            "counter {key} came to {count}, but its acknowledged increments sum to {sum}, and no \
             part of {unknown} of unknown end makes up for it ({})",
            answer(read)
        );
        let facts = vec![
            format!("{} is {count}.", answer(read)),
            format!("The acknowledged increments of {key} sum to {sum}."),
            format!("No part of the {unknown} of unknown end sums to {gap}."),
        ];
        let found = anomaly(name, self.object, sentence, &[read], facts);
        Err(Unexplained::Contradiction(Box::new(found)))
    }
}

/// Whether some of the numbers sum to `wanted`; `None` if that takes too long to find out.
fn sums_to(numbers: &[i64], wanted: i128, steps: &mut u64) -> Option<bool> {
    let of = |wanted: fn(i64) -> bool| {
        let some = numbers.iter().copied().filter(|n| wanted(*n));
        some.map(i128::from).sum::<i128>()
    };
    if wanted < of(|n| n < 0) || wanted > of(|n| n > 0) {
        return Some(false);
    }
    let mut sums: Vec<i128> = vec![0];
    for number in numbers {
        if sums.binary_search(&wanted).is_ok() {
            return Some(true);
        }
        *steps = steps.checked_sub(sums.len() as u64)?;
        let raised = sums.iter().map(|sum| sum + i128::from(*number));
        sums = merged(&sums, raised);
        if sums.len() > SUMS_MAX {
            return None;
        }
    }
    Some(sums.binary_search(&wanted).is_ok())
}

/// Two sorted sequences as one, each number once.
fn merged(left: &[i128], right: impl Iterator<Item = i128>) -> Vec<i128> {
    let mut both = Vec::with_capacity(left.len() * 2);
    let (mut left, mut right) = (left.iter().copied().peekable(), right.peekable());
    while let Some(next) = match (left.peek(), right.peek()) {
        (Some(l), Some(r)) if l <= r => left.next(),
        (Some(_), None) => left.next(),
        _ => right.next(),
    } {
        if both.last() != Some(&next) {
            both.push(next);
        }
    }
    both
}
