//! From a history to the columns of its objects.

use rustc_hash::FxHashMap;
use tribunal_results::{Answer, Call, History, Kind, Operation, Outcome, Reason, Scalar};

use super::{Columns, DONE, NO, NONE, OPEN, OUTSIDE, Refused, Row, YES};
use crate::intern::Numbers;

/// What kind of object operations work on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Family {
    /// Read, written, compared and set.
    Register,
    /// Appended to, read as a whole.
    List,
    /// A set, with elements added, removed, asked for, or read as a whole.
    Set,
    /// A counter.
    Counter,
    /// First in, first out.
    Queue,
    /// Last in, first out.
    Stack,
    /// Permits; of a mutex one.
    Semaphore,
}

impl Family {
    /// The family of the objects that have operations of this kind.
    pub const fn of(kind: Kind) -> Option<Self> {
        Some(match kind {
            Kind::Read | Kind::Write | Kind::Cas => Self::Register,
            Kind::Append | Kind::Elements => Self::List,
            Kind::Add | Kind::Remove | Kind::Contains | Kind::Members => Self::Set,
            Kind::Increment | Kind::Count => Self::Counter,
            Kind::Enqueue | Kind::Dequeue | Kind::Drain => Self::Queue,
            Kind::Push | Kind::Pop => Self::Stack,
            Kind::AcquirePermits | Kind::ReleasePermits => Self::Semaphore,
            _ => return None,
        })
    }

    /// Whether it holds values, not amounts.
    pub(super) const fn has_values(self) -> bool {
        !matches!(self, Self::Counter | Self::Semaphore)
    }
}

/// The calls of a history object by object, sorted by family and key (linearizability is local:
/// Herlihy & Wing 1990). Calls of other families are left out.
pub fn by_object(history: &History) -> Vec<Columns> {
    let objects = placed(history.calls(), 1, |_| true);
    let columns = objects.iter().map(|it| it.columns(history.calls()));
    columns.collect()
}

/// One object and where its calls are.
#[derive(Debug)]
pub(crate) struct Placed<'a> {
    /// What kind of object it is.
    family: Family,
    /// Its name.
    pub(crate) key: &'a Scalar,
    /// The places of its calls, in the order of invocation.
    pub(crate) places: Vec<u32>,
}

impl Placed<'_> {
    /// What happened to it.
    pub(crate) fn columns(&self, calls: &[Call]) -> Columns {
        let mut object = Object::new(self.family, self.key, self.places.len());
        for place in &self.places {
            if let Some(call) = calls.get(*place as usize) {
                object.push(*place as usize, call);
            }
        }
        object.finish()
    }
}

/// The objects of these calls that are of a wanted family, sorted by family and key; found on so
/// many threads.
pub(crate) fn placed(
    calls: &[Call],
    threads: usize,
    wanted: impl Fn(Family) -> bool + Sync,
) -> Vec<Placed<'_>> {
    if threads < 2 {
        return placed_from(0, calls, wanted);
    }
    let part = calls.len().div_ceil(threads).max(1);
    let wanted = &wanted;
    let mut objects: Vec<Placed<'_>> = std::thread::scope(|scope| {
        let find = |(at, calls)| scope.spawn(move || placed_from(at * part, calls, wanted));
        let finders: Vec<_> = calls.chunks(part).enumerate().map(find).collect();
        let found = finders.into_iter().map(|finder| finder.join());
        found
            .flat_map(|it| it.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    });
    // What was found of an object by several threads stays in the order of its parts.
    objects.sort_by_key(|it| (it.family, it.key));
    objects.dedup_by(|later, first| {
        let same = (later.family, later.key) == (first.family, first.key);
        if same {
            first.places.append(&mut later.places);
        }
        same
    });
    objects
}

/// The same of calls of which the first has that place, on this thread.
fn placed_from(first: usize, calls: &[Call], wanted: impl Fn(Family) -> bool) -> Vec<Placed<'_>> {
    let mut of_key: FxHashMap<(Family, &Scalar), usize> = FxHashMap::default();
    let mut objects: Vec<Placed<'_>> = Vec::new();
    let mut last = 0;
    for (place, call) in (first..).zip(calls) {
        let family = Family::of(call.operation.kind()).filter(|family| wanted(*family));
        let (Some(family), Some(key)) = (family, call.operation.key()) else {
            continue;
        };
        let same = |it: &Placed<'_>| it.family == family && it.key == key;
        if !objects.get(last).is_some_and(same) {
            last = *of_key.entry((family, key)).or_insert(objects.len());
        }
        if last == objects.len() {
            let places = Vec::new();
            objects.push(Placed {
                family,
                key,
                places,
            });
        }
        if let Some(object) = objects.get_mut(last) {
            object.places.push(place as u32);
        }
    }
    objects.sort_unstable_by_key(|it| (it.family, it.key));
    objects
}

/// Whether a compare-and-set that failed for this reason found something else than it expected.
/// (Of any other, such as one that nobody could serve, only its effect is known: none.)
pub(crate) fn says_other(reason: &Reason) -> bool {
    reason.code == "precondition-failed"
}

/// The columns of one object that has these calls, in the order of invocation. Places are those
/// among them. `None` if one is answered in a form that its kind of operation does not have.
pub(crate) fn of_calls(family: Family, key: &Scalar, calls: &[&Call]) -> Option<Columns> {
    if !calls.iter().all(|call| has_form(call)) {
        return None;
    }
    let mut object = Object::new(family, key, calls.len());
    for (place, call) in calls.iter().enumerate() {
        object.push(place, call);
    }
    Some(object.finish())
}

/// Whether the answer, if there is one, has the form that columns know.
pub(crate) fn has_form(call: &Call) -> bool {
    let Outcome::Ok(answer) = &call.outcome else {
        return true;
    };
    match call.operation.kind() {
        Kind::Dequeue | Kind::Pop | Kind::Read => matches!(answer, Answer::Value(_)),
        Kind::Drain | Kind::Elements | Kind::Members => matches!(answer, Answer::Values(_)),
        Kind::Add | Kind::Remove => matches!(answer, Answer::Flag(_) | Answer::Done),
        Kind::Contains => matches!(answer, Answer::Flag(_)),
        Kind::Count => matches!(answer, Answer::Value(Some(Scalar::Int(_)))),
        _ => true,
    }
}

/// Columns to which calls are added.
#[derive(Debug)]
pub(crate) struct Object {
    columns: Columns,
    numbers: Numbers,
    values: Vec<Scalar>,
}

impl Object {
    /// An object to which nothing happened yet; so many calls are expected.
    pub(crate) fn new(family: Family, key: &Scalar, calls: usize) -> Self {
        let mut columns = Columns::new(family);
        columns.key = Some(key.clone());
        columns.reserve(calls);
        Self {
            columns,
            numbers: Numbers::expecting(calls),
            values: Vec::new(),
        }
    }

    /// The number of a value, in the order of first appearance, from 1.
    fn number(&mut self, value: &Scalar) -> u32 {
        let number = self.numbers.number(value);
        if number as usize == self.values.len() {
            self.values.push(value.clone());
        }
        number + 1
    }

    /// What happened until now.
    pub(crate) const fn columns(&self) -> &Columns {
        &self.columns
    }

    /// Adds a call; its place among all. It must have been called after all those before it.
    pub(crate) fn push(&mut self, place: usize, call: &Call) {
        let kind = call.operation.kind();
        let argument = self.argument(&call.operation);
        if let Outcome::Fail(reason) = &call.outcome {
            if kind.mutates() && self.columns.family.has_values() && argument != NONE {
                self.refuse(place, call, argument, reason);
            }
            return;
        }
        let Some(answer) = self.answer(call) else {
            return;
        };
        self.columns.push(Row {
            kind,
            process: call.process as u32,
            argument,
            answer,
            call: call.invoked.index as u32,
            ret: call.returned().map_or(OPEN, |ret| ret as u32),
            place: place as u32,
        });
    }

    fn refuse(&mut self, place: usize, call: &Call, argument: u32, reason: &Reason) {
        let mut refused = Refused {
            kind: call.operation.kind(),
            value: argument,
            other: NONE,
            place: place as u32,
        };
        if let Operation::Cas { from, to, .. } = &call.operation {
            if says_other(reason) {
                refused.other = self.number(from);
            }
            if from == to {
                refused.value = NONE;
            }
        }
        self.columns.push_refused(refused);
    }

    fn argument(&mut self, operation: &Operation) -> u32 {
        match operation {
            Operation::Write { value, .. }
            | Operation::Cas { to: value, .. }
            | Operation::Append { value, .. }
            | Operation::Add { value, .. }
            | Operation::Remove { value, .. }
            | Operation::Contains { value, .. }
            | Operation::Enqueue { value, .. }
            | Operation::Push { value, .. } => self.number(value),
            Operation::Increment { by, .. } => u32::try_from(*by).unwrap_or(OUTSIDE),
            Operation::AcquirePermits { permits, .. }
            | Operation::ReleasePermits { permits, .. } => *permits,
            _ => NONE,
        }
    }

    /// The answer; `None` if the call says nothing and is left out.
    fn answer(&mut self, call: &Call) -> Option<u32> {
        if let Operation::Cas { from, .. } = &call.operation {
            return Some(self.number(from));
        }
        let Outcome::Ok(answer) = &call.outcome else {
            return call.operation.kind().mutates().then_some(DONE);
        };
        Some(match answer {
            Answer::Value(count) if call.operation.kind() == Kind::Count => match count {
                Some(Scalar::Int(count)) => u32::try_from(*count).unwrap_or(OUTSIDE),
                _ => return None,
            },
            Answer::Grant(_) => YES,
            Answer::Value(Some(value)) => self.number(value),
            Answer::Values(values) => {
                let numbers: Vec<u32> = values.iter().map(|value| self.number(value)).collect();
                self.columns.push_list(numbers)
            }
            Answer::Flag(yes) => {
                if *yes {
                    YES
                } else {
                    NO
                }
            }
            Answer::Value(None) => NONE,
            _ if self.columns.family == Family::Register && !call.operation.kind().mutates() => {
                return None;
            }
            _ => DONE,
        })
    }

    fn finish(mut self) -> Columns {
        self.columns.name_values(self.values);
        self.columns.drop_unneeded();
        self.columns
    }
}
