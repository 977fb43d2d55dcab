//! Sequential consistency: weaker models first, whose violations are found fast and told well;
//! then the search, and the few operations that have no order.

use super::Sessions;
use super::causality::convergent;
use super::interleave::ordered;
use super::saturate::memory;
use super::verdict::{Exhausted, Found, Meter};
use super::witness::key_of;
use crate::explain::{count, done, whose};
use crate::register::Contradiction;

const NAME: &str = "not-sequential";
/// The most steps that go into making a contradiction small.
const SHRINK_STEPS_MAX: u64 = 2_000_000;
/// How many operations are named one by one.
const LISTED_MAX: usize = 40;

/// Why there is no order of all operations that explains every read.
///
/// # Errors
/// If the budget runs out.
pub(crate) fn sequential<'a>(
    sessions: &Sessions<'a>,
    meter: &mut Meter,
) -> Result<Found<'a>, Exhausted> {
    for weaker in [memory, convergent] {
        let mut found = weaker(sessions, meter)?;
        if !found.is_empty() {
            for (_, contradiction) in &mut found.told {
                contradiction.name = NAME;
            }
            return Ok(found);
        }
    }
    let mut found = Found::default();
    if !ordered(sessions, meter)? {
        let small = shrink(sessions, meter);
        found.add(|| {
            (
                key_of(&small, 0).filter(|_| small.lines.len() == 1),
                tell(&small),
            )
        });
    }
    Ok(found)
}

/// Fewer operations that have no order either. Without a read, or without a write and all its
/// readers, any order of the rest is still one; so what has none shows that the whole has none.
fn shrink<'a>(sessions: &Sessions<'a>, meter: &Meter) -> Sessions<'a> {
    let mut meter = Meter::new(meter.rest(SHRINK_STEPS_MAX));
    let mut kept = sessions.clone();
    let mut size = kept.ops.len().div_ceil(2);
    while size > 0 {
        let (mut from, before) = (0, kept.ops.len());
        while from < kept.ops.len() {
            let fewer = kept.without(|op| (from..from + size).contains(&op));
            if meter.spend(kept.ops.len()).is_err() {
                return kept;
            }
            match ordered(&fewer, &mut meter) {
                Ok(false) => kept = fewer,
                Ok(true) => from += size,
                Err(Exhausted) => return kept,
            }
        }
        // Single operations again as long as that helps.
        if size > 1 || kept.ops.len() == before {
            size /= 2;
        }
    }
    kept
}

fn tell<'a>(small: &Sessions<'a>) -> Contradiction<'a> {
    let mut facts = Vec::new();
    for session in small.sessions.iter().filter(|session| !session.is_empty()) {
        let ops: Vec<String> = session
            .iter()
            .take(LISTED_MAX)
            .map(|op| whose(small.ops[*op].call))
            .collect();
        facts.push(format!("In this order: {}.", ops.join("; ")));
    }
    facts.push(
        "Every order of them all that keeps these orders was tried: in each, a read returns \
         something else than the latest write before it."
            .to_owned(),
    );
    let last = small.reads().map(|(_, op, _)| op.call);
    let seen = last.max_by_key(|call| call.completed.map(|stamp| stamp.index));
    let operations = count(small.ops.len(), "operation");
    let sentence = seen.map_or_else(String::new, |read| {
        format!(
            "{}, but no single order of {operations} that keeps each client's own explains that",
            done(read)
        )
    });
    Contradiction {
        name: NAME,
        sentence,
        calls: small.ops.iter().map(|op| op.call).collect(),
        facts,
    }
}
