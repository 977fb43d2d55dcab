//! Registers of which a compare-and-set was refused because something else was there.
//!
//! Such a refusal observes that its expected value was *not* there. So a write that nobody saw
//! may have been needed, to take a value away; but which of the values that nobody ever asks for
//! it wrote does not matter, so they count as one.

use rustc_hash::FxHashSet;
use tribunal_results::Call;

use super::{Entry, Object, entry};
use crate::model::{Model, Op};
use crate::register::{self, Key, Register, Value};

/// What happens to a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Step {
    /// What it is told to do.
    Plain(register::Step),
    /// Something else than this was there.
    Not(Value),
}

/// A register that is absent until it is written.
pub(crate) struct Refusing;

impl Model for Refusing {
    type State = Value;
    type Step = Step;

    fn initial(&self) -> Value {
        Register.initial()
    }

    fn apply(&self, state: &Value, step: &Step) -> Option<Value> {
        match step {
            Step::Plain(step) => Register.apply(state, step),
            Step::Not(value) => (state != value).then_some(*state),
        }
    }

    fn observes(&self, step: &Step) -> bool {
        match step {
            Step::Plain(step) => Register.observes(step),
            Step::Not(_) => true,
        }
    }

    fn overwrites(&self, step: &Step) -> bool {
        matches!(step, Step::Plain(step) if Register.overwrites(step))
    }

    fn stronger(&self, step: &Step) -> Option<Step> {
        match step {
            Step::Plain(step) => Register.stronger(step).map(Step::Plain),
            Step::Not(_) => None,
        }
    }
}

/// The register with its refusals; `None` if none of them says anything.
pub(crate) fn object<'a>(
    key: &Key<'a>,
    entries: &[register::Entry<'a>],
) -> Option<Object<'a, Refusing>> {
    let brought: FxHashSet<Value> = entries.iter().filter_map(|e| e.op.step.sets()).collect();
    let said: Vec<(Value, &'a Call)> = key
        .refused()
        .iter()
        .filter(|(value, _)| brought.contains(value))
        .copied()
        .collect();
    if said.is_empty() {
        return None;
    }
    let mut asked: FxHashSet<Value> = said.iter().map(|(value, _)| *value).collect();
    asked.extend(entries.iter().filter_map(|e| e.op.step.needs()));
    let unasked = key.columns.numbers() as Value;
    let merged = |value: Value| {
        if asked.contains(&value) {
            value
        } else {
            unasked
        }
    };
    let plain = entries.iter().map(|e| Entry {
        call: e.call,
        op: Op::new(
            e.op.call,
            e.op.ret,
            Step::Plain(match e.op.step {
                register::Step::Write(value) => register::Step::Write(merged(value)),
                register::Step::Cas(from, to) => register::Step::Cas(from, merged(to)),
                read @ register::Step::Read(_) => read,
            }),
        ),
    });
    let refusals = said
        .iter()
        .map(|&(value, call)| entry(call, Step::Not(value), 1));
    let mut all: Vec<Entry<'a, Step>> = plain.chain(refusals).collect();
    all.sort_by_key(|e| e.op.call);
    Some(Object {
        name: key.key.to_string(),
        key: Some(key.key.clone()),
        model: Refusing,
        entries: all,
        scale: 1,
        tells: |step| matches!(step, Step::Not(_)),
    })
}
