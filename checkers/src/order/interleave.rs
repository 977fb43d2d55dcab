//! Whether one order of all operations, which keeps that of each session, explains every answer:
//! of registers with compare-and-set, or with values written more than once.
//!
//! A search over *frontiers*: how far each session has got, and what the registers show. A read
//! takes effect as soon as it can, since it changes nothing. A value that is still to be seen and
//! that nobody can write again must not be overwritten. Of the registers only what is still looked
//! for matters, so no frontier is tried twice. Writes are tried in the order in which they
//! returned: most systems are not far from that.

use rustc_hash::{FxHashMap, FxHashSet};
use tribunal_results::{Answer, Call, Operation, Outcome, Scalar};

use super::verdict::{Exhausted, Meter};

/// A value of a register, by number; that of nothing is another for each register.
type Value = u32;
/// In place of a value that nobody looks for any more.
const ANY: Value = Value::MAX;

/// What an operation did.
#[derive(Clone, Copy, Debug)]
struct Step {
    key: u32,
    /// What it must find.
    looks: Option<Value>,
    /// What it leaves.
    makes: Option<Value>,
    /// Whether it may never have happened.
    optional: bool,
}

/// The operations of every session.
#[derive(Debug)]
pub(crate) struct Program<'a> {
    calls: Vec<&'a Call>,
    steps: Vec<Step>,
    sessions: Vec<Vec<usize>>,
    /// The session of each.
    session_of: Vec<usize>,
    /// The value of nothing of each register.
    nothing: Vec<Value>,
    values: usize,
}

/// A register, what must be there (of `None` nothing), and what is left there.
type Act<'a> = (&'a Scalar, Option<Option<&'a Scalar>>, Option<&'a Scalar>);

/// What a call on a register looks for and leaves, if it may have taken effect.
fn act(call: &Call) -> Option<Act<'_>> {
    match (&call.operation, &call.outcome) {
        (_, Outcome::Fail(_)) => None,
        (Operation::Read { key }, Outcome::Ok(Answer::Value(seen))) => {
            Some((key, Some(seen.as_ref()), None))
        }
        (Operation::Write { key, value }, _) => Some((key, None, Some(value))),
        (Operation::Cas { key, from, to }, _) => Some((key, Some(Some(from)), Some(to))),
        _ => None,
    }
}

impl<'a> Program<'a> {
    /// Of calls in the order of invocation.
    pub(crate) fn new(calls: impl IntoIterator<Item = &'a Call>) -> Self {
        let mut program = Self {
            calls: Vec::new(),
            steps: Vec::new(),
            sessions: Vec::new(),
            session_of: Vec::new(),
            nothing: Vec::new(),
            values: 0,
        };
        let mut keys: FxHashMap<&Scalar, u32> = FxHashMap::default();
        let mut values: FxHashMap<(u32, Option<&Scalar>), Value> = FxHashMap::default();
        let mut processes: FxHashMap<u64, usize> = FxHashMap::default();
        for call in calls {
            let Some((key, looks, makes)) = act(call) else {
                continue;
            };
            let next = keys.len() as u32;
            let key = *keys.entry(key).or_insert(next);
            let mut value = |value: Option<&'a Scalar>| {
                let next = values.len() as Value;
                *values.entry((key, value)).or_insert(next)
            };
            let nothing = value(None);
            if key as usize == program.nothing.len() {
                program.nothing.push(nothing);
            }
            let step = Step {
                key,
                looks: looks.map(&mut value),
                makes: makes.map(|made| value(Some(made))),
                optional: !call.is_ok(),
            };
            let next = processes.len();
            let session = *processes.entry(call.process).or_insert(next);
            if session == program.sessions.len() {
                program.sessions.push(Vec::new());
            }
            program.sessions[session].push(program.steps.len());
            program.session_of.push(session);
            program.steps.push(step);
            program.calls.push(call);
        }
        program.values = values.len();
        program
    }

    /// The calls, in the order of invocation.
    pub(crate) fn calls(&self) -> &[&'a Call] {
        &self.calls
    }

    /// The calls of each session.
    pub(crate) fn sessions(&self) -> impl Iterator<Item = impl Iterator<Item = &'a Call> + '_> {
        let calls = |session: &'_ Vec<usize>| session.clone().into_iter().map(|at| self.calls[at]);
        self.sessions.iter().map(calls)
    }

    /// How many answers show what only other sessions can have written.
    pub(crate) fn cross_reads(&self) -> usize {
        let made = |(place, step): (usize, &Step)| Some((self.session_of[place], step.makes?));
        let own: FxHashSet<(usize, Value)> =
            self.steps.iter().enumerate().filter_map(made).collect();
        let written: FxHashSet<Value> = own.iter().map(|(_, value)| *value).collect();
        let crosses = |(place, step): &(usize, &Step)| {
            let seen = step.looks.filter(|_| !step.optional);
            let by_others = |seen: Value| !own.contains(&(self.session_of[*place], seen));
            seen.is_some_and(|seen| written.contains(&seen) && by_others(seen))
        };
        self.steps.iter().enumerate().filter(crosses).count()
    }

    /// The calls without some of them. With a value goes everything that makes it or looks for
    /// it: any order of the rest is then still one.
    pub(crate) fn without(&self, gone: impl Fn(usize) -> bool) -> Vec<&'a Call> {
        let mut dropped: Vec<bool> = (0..self.steps.len()).map(gone).collect();
        let mut values = vec![false; self.values];
        loop {
            let mut grown = false;
            for (step, dropped) in self.steps.iter().zip(&mut dropped) {
                let of = |value: Option<Value>| value.is_some_and(|value| values[value as usize]);
                *dropped |= of(step.looks) || of(step.makes);
                if let Some(made) = step.makes.filter(|_| *dropped) {
                    grown |= !std::mem::replace(&mut values[made as usize], true);
                }
            }
            if !grown {
                break;
            }
        }
        let kept = self.calls.iter().zip(dropped).filter(|(_, gone)| !gone);
        kept.map(|(call, _)| *call).collect()
    }
}

/// An order that explains all, as the places of calls in the program; `None` if there is none.
///
/// # Errors
/// If the budget runs out.
pub(crate) fn ordered(
    program: &Program<'_>,
    meter: &mut Meter,
) -> Result<Option<Vec<usize>>, Exhausted> {
    let mut walk = Walk::new(program);
    if walk.is_hopeless() {
        return Ok(None);
    }
    walk.settle();
    let mut seen: FxHashSet<Box<[u32]>> = FxHashSet::default();
    let width = (program.sessions.len() + program.nothing.len()) as u64;
    let frontier_bytes = 4 * width + 48;
    let choices = walk.choices();
    let mut stack = vec![Frame { mark: 0, choices }];
    while let Some(top) = stack.last_mut() {
        if walk.left == 0 {
            let done = walk.done.iter().filter(|(_, taken)| taken.is_some());
            return Ok(Some(done.map(|(at, _)| *at).collect()));
        }
        meter.spend(program.sessions.len() + 1)?;
        let Some((session, is_taken)) = top.choices.pop() else {
            let mark = top.mark;
            stack.pop();
            walk.back(mark);
            continue;
        };
        let mark = walk.done.len();
        walk.advance(session, is_taken);
        walk.settle();
        if seen.insert(walk.frontier()) {
            meter.hold((seen.len() + stack.len()) as u64 * frontier_bytes)?;
            let choices = walk.choices();
            stack.push(Frame { mark, choices });
        } else {
            walk.back(mark);
        }
    }
    Ok(None)
}

/// A frontier on the way, with what is left to try from it.
struct Frame {
    /// How many operations were behind the frontier before.
    mark: usize,
    /// Sessions whose next operation is taken, or else skipped; the best last.
    choices: Vec<(usize, bool)>,
}

/// A frontier with the registers.
struct Walk<'p, 'a> {
    program: &'p Program<'a>,
    /// How far each session has got.
    at: Vec<u32>,
    /// What each register shows.
    shows: Vec<Value>,
    /// How many operations look for each value and must yet happen.
    waiting: Vec<u32>,
    /// The same with those that need not happen.
    wanted: Vec<u32>,
    /// How many operations may still make each value.
    makers: Vec<u32>,
    /// How many operations must yet happen.
    left: usize,
    /// What is behind; of what was taken, with what the register showed before.
    done: Vec<(usize, Option<Value>)>,
}

impl<'p, 'a> Walk<'p, 'a> {
    fn new(program: &'p Program<'a>) -> Self {
        let mut walk = Self {
            program,
            at: vec![0; program.sessions.len()],
            shows: program.nothing.clone(),
            waiting: vec![0; program.values],
            wanted: vec![0; program.values],
            makers: vec![0; program.values],
            left: 0,
            done: Vec::new(),
        };
        for step in &program.steps {
            walk.count(step, true);
        }
        walk
    }

    /// Counts a step among those to come, or no longer.
    fn count(&mut self, step: &Step, is_to_come: bool) {
        let change = |count: &mut u32| match is_to_come {
            true => *count += 1,
            false => *count -= 1,
        };
        if let Some(seen) = step.looks {
            change(&mut self.wanted[seen as usize]);
            if !step.optional {
                change(&mut self.waiting[seen as usize]);
            }
        }
        if let Some(made) = step.makes {
            change(&mut self.makers[made as usize]);
        }
        if !step.optional {
            match is_to_come {
                true => self.left += 1,
                false => self.left -= 1,
            }
        }
    }

    /// Whether somebody waits for a value that nobody makes.
    fn is_hopeless(&self) -> bool {
        let counts = self.waiting.iter().zip(&self.makers).zip(0..);
        let mut missing = counts.filter(|((waiting, makers), _)| **waiting > 0 && **makers == 0);
        missing.any(|(_, value)| !self.shows.contains(&value))
    }

    fn next(&self, session: usize) -> Option<(usize, &'p Step)> {
        let program = self.program;
        let steps = program.sessions.get(session)?;
        let place = *steps.get(self.at[session] as usize)?;
        Some((place, &program.steps[place]))
    }

    fn finds(&self, step: &Step) -> bool {
        let shows = self.shows[step.key as usize];
        step.looks.is_none_or(|seen| seen == shows)
    }

    /// Lets every read take effect that can.
    fn settle(&mut self) {
        for session in 0..self.at.len() {
            while let Some((_, step)) = self.next(session) {
                if step.makes.is_some() || !self.finds(step) {
                    break;
                }
                self.advance(session, true);
            }
        }
    }

    /// What can be done next, the best last.
    fn choices(&self) -> Vec<(usize, bool)> {
        let mut choices = Vec::new();
        for session in 0..self.at.len() {
            let Some((place, step)) = self.next(session) else {
                continue;
            };
            let call = self.program.calls[place];
            let ret = call.returned().unwrap_or(u64::MAX);
            let rank = (step.optional, ret, call.invoked.index);
            if step.makes.is_some() && self.finds(step) && !self.is_held(step) {
                choices.push((rank, (session, true)));
            }
            let is_last = self.at[session] as usize + 1 == self.program.sessions[session].len();
            if step.optional && !is_last {
                choices.push(((true, u64::MAX, u64::MAX), (session, false)));
            }
        }
        choices.sort_unstable_by(|one, other| other.cmp(one));
        choices.into_iter().map(|(_, choice)| choice).collect()
    }

    /// Whether the step would overwrite what others have still to see and nobody writes again.
    fn is_held(&self, step: &Step) -> bool {
        let shows = self.shows[step.key as usize];
        let own = u32::from(step.looks.is_some() && !step.optional);
        step.makes != Some(shows)
            && self.makers[shows as usize] == 0
            && self.waiting[shows as usize] > own
    }

    fn advance(&mut self, session: usize, is_taken: bool) {
        let Some((place, step)) = self.next(session) else {
            return;
        };
        self.at[session] += 1;
        self.count(step, false);
        let shows = &mut self.shows[step.key as usize];
        let before = *shows;
        if let Some(made) = step.makes.filter(|_| is_taken) {
            *shows = made;
        }
        self.done.push((place, is_taken.then_some(before)));
    }

    fn back(&mut self, mark: usize) {
        while self.done.len() > mark {
            let Some((place, before)) = self.done.pop() else {
                return;
            };
            let step = &self.program.steps[place];
            if let Some(before) = before {
                self.shows[step.key as usize] = before;
            }
            self.count(step, true);
            self.at[self.program.session_of[place]] -= 1;
        }
    }

    /// What tells this frontier from others.
    fn frontier(&self) -> Box<[u32]> {
        let look = |shows: &Value| match self.wanted[*shows as usize] {
            0 => ANY,
            _ => *shows,
        };
        let shows = self.shows.iter().map(look);
        self.at.iter().copied().chain(shows).collect()
    }
}
