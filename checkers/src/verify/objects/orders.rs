//! All orders of a few calls.

use std::collections::{BTreeMap, HashSet};

use tribunal_results::Assumptions;

use super::effect::{Effect, State};

/// The most ways in which things may stand that are tried.
const VISITS_MAX: usize = 200_000;

/// A call with the parts of its effect, of which each comes after the one before.
struct Chosen<'a> {
    from: u64,
    due: Option<u64>,
    parts: Vec<Effect<'a>>,
}

/// Calls that have to fit, and effects that there may have been besides.
pub(super) struct Orders<'a> {
    assume: &'a Assumptions,
    chosen: Vec<Chosen<'a>>,
    /// Equal effects are interchangeable: from when on there is one more of each.
    optional: BTreeMap<Effect<'a>, Vec<u64>>,
}

/// How things stand: how much of each call is done, how often each optional effect was used, and
/// what is there.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Standing<'a> {
    done: Vec<usize>,
    used: Vec<usize>,
    state: State<'a>,
}

impl<'a> Orders<'a> {
    pub(super) const fn new(assume: &'a Assumptions) -> Self {
        Self {
            assume,
            chosen: Vec::new(),
            optional: BTreeMap::new(),
        }
    }

    /// Adds a call; without an end it need not take effect.
    pub(super) fn call(&mut self, from: u64, due: Option<u64>, parts: Vec<Effect<'a>>) {
        self.chosen.push(Chosen { from, due, parts });
    }

    /// Adds an effect that there may have been at any time from that event on.
    pub(super) fn optional(&mut self, from: u64, effect: Effect<'a>) {
        let known = self.optional.entry(effect).or_default();
        known.push(from);
        known.sort_unstable();
    }

    /// How many optional effects there are.
    pub(super) fn options(&self) -> usize {
        self.optional.values().map(Vec::len).sum()
    }

    /// Whether there is an order.
    pub(super) fn exists(&self) -> Result<bool, String> {
        let start = Standing {
            done: vec![0; self.chosen.len()],
            used: vec![0; self.optional.len()],
            state: State::default(),
        };
        let mut seen = HashSet::from([start.clone()]);
        let mut work = vec![start];
        while let Some(standing) = work.pop() {
            let Some(due) = self.due(&standing) else {
                return Ok(true);
            };
            for next in self.next(&standing, due) {
                if seen.insert(next.clone()) {
                    work.push(next);
                }
            }
            if seen.len() > VISITS_MAX {
                return Err("there are too many orders to try".to_owned());
            }
        }
        Ok(false)
    }

    /// By when something has to happen; `None` if nothing has to any more.
    fn due(&self, standing: &Standing<'a>) -> Option<u64> {
        let open = self.chosen.iter().zip(&standing.done);
        open.filter(|(call, done)| **done < call.parts.len())
            .filter_map(|(call, _)| call.due)
            .min()
    }

    /// What may happen next.
    fn next(&self, standing: &Standing<'a>, due: u64) -> Vec<Standing<'a>> {
        let mut all = Vec::new();
        for (at, call) in self.chosen.iter().enumerate() {
            let done = standing.done.get(at).copied().unwrap_or_default();
            if let Some(effect) = call.parts.get(done).filter(|_| call.from < due)
                && let Some(state) = standing.state.after(effect, self.assume)
            {
                let mut next = Standing {
                    state,
                    ..standing.clone()
                };
                next.done.iter_mut().skip(at).take(1).for_each(|n| *n += 1);
                all.push(next);
            }
        }
        for (at, (effect, from)) in self.optional.iter().enumerate() {
            let used = standing.used.get(at).copied().unwrap_or_default();
            let at_hand = from.get(used).is_some_and(|from| *from <= due);
            if at_hand
                && let Some(state) = standing.state.after(effect, self.assume)
                && state != standing.state
            {
                let mut next = Standing {
                    state,
                    ..standing.clone()
                };
                next.used.iter_mut().skip(at).take(1).for_each(|n| *n += 1);
                all.push(next);
            }
        }
        all
    }
}
