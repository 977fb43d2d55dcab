//! A seeded mix: which fault comes when, for how long. All of a turn is drawn from its own stream.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rand::RngExt;
use rand_pcg::Pcg64Mcg;
use serde_json::Value as Json;

use super::NemesisPlan;
use crate::Fault;
use crate::chance::stream;

/// One fault of the plan, under a label that is unique in it.
pub(super) struct Entry {
    pub(super) label: String,
    pub(super) fault: &'static dyn Fault,
    pub(super) options: Json,
}

/// What one entry does in one round.
pub(super) struct Turn {
    pub(super) entry: Arc<Entry>,
    place: u64,
    pub(super) quiet: Duration,
    pub(super) interval: Duration,
    pub(super) hold: Duration,
    /// Whether anything is broken at all.
    pub(super) happens: bool,
    pub(super) rng: Pcg64Mcg,
}

/// The plan's faults; a name that is there twice is told apart by its number. Unknown ones, which
/// [`check`](super::check) refuses, are left out.
pub(super) fn entries(plan: &NemesisPlan) -> Vec<Arc<Entry>> {
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    let mut entries = Vec::new();
    for wanted in &plan.faults {
        let Some(fault) = plan.fault(&wanted.fault) else {
            tracing::error!("unknown fault {:?} in the plan is left out", wanted.fault);
            continue;
        };
        let number = seen.entry(&wanted.fault).or_default();
        entries.push(Arc::new(Entry {
            label: format!("{}#{number}", wanted.fault),
            fault,
            options: wanted.options.clone(),
        }));
        *number += 1;
    }
    entries
}

/// The turns of one round, in order.
pub(super) fn turns(
    plan: &NemesisPlan,
    entries: &[Arc<Entry>],
    seed: u64,
    round: u64,
) -> Vec<Turn> {
    let round = round.to_string();
    let mut turns: Vec<Turn> = entries
        .iter()
        .map(|entry| {
            let mut rng = stream(seed, &["nemesis", &round, &entry.label]);
            // Apart, so that a plan without them draws as it always did.
            let mut more = stream(seed, &["nemesis", &round, &entry.label, "more"]);
            let interval = plan.interval.map(|range| range.at(more.random()));
            Turn {
                entry: Arc::clone(entry),
                // Sorting by a drawn number is a permutation of chance that keeps the order of
                // the others when an entry is added.
                place: rng.random(),
                quiet: plan.quiet.at(rng.random()),
                interval: interval.unwrap_or_default(),
                hold: plan.hold.at(rng.random()),
                happens: more.random::<f64>() < plan.probability,
                rng,
            }
        })
        .collect();
    turns.sort_by_key(|turn| turn.place);
    turns
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use tribunal_results::options::TimeRange;

    fn plan(faults: Json) -> NemesisPlan {
        NemesisPlan {
            faults: serde_json::from_value(faults).unwrap(),
            ..NemesisPlan::default()
        }
    }

    /// What is chosen in the first two rounds: order, whom, how long.
    fn choices(faults: Json, seed: u64) -> Vec<(String, Duration, Duration, u64)> {
        let plan = plan(faults);
        let entries = entries(&plan);
        (0..2)
            .flat_map(|round| turns(&plan, &entries, seed, round))
            .map(|mut t| (t.entry.label.clone(), t.quiet, t.hold, t.rng.random()))
            .collect()
    }

    #[test]
    fn adding_a_fault_does_not_change_the_others() {
        let two = json!([{"type": "kill"}, {"type": "delay"}]);
        let three = json!([{"type": "pause"}, {"type": "kill"}, {"type": "delay"}]);
        for seed in 0..20 {
            let mut of_three = choices(three.clone(), seed);
            of_three.retain(|(label, ..)| label != "pause#0");
            assert_eq!(choices(two.clone(), seed), of_three);
        }
        assert_ne!(choices(two.clone(), 1), choices(two, 2));
    }

    #[test]
    fn a_fault_that_is_there_twice_draws_twice() {
        let twice = choices(json!([{"type": "kill"}, {"type": "kill"}]), 1);
        assert_ne!(twice[0].0, twice[1].0);
        assert_ne!(twice[0].3, twice[1].3);
    }

    #[test]
    fn so_many_turns_happen_as_the_probability_says_and_the_rest_is_drawn_as_without_it() {
        let mut plan = plan(json!([{"type": "kill"}, {"type": "pause"}]));
        let happen = |plan: &NemesisPlan| {
            let entries = entries(plan);
            let turns = (0..500).flat_map(|round| turns(plan, &entries, 1, round));
            turns.map(|t| (t.happens, t.hold)).collect::<Vec<_>>()
        };
        let all = happen(&plan);
        assert!(all.iter().all(|(happens, _)| *happens));
        (plan.probability, plan.interval) = (0.3, Some(TimeRange::millis(1, 9)));
        let some = happen(&plan);
        let count = some.iter().filter(|(happens, _)| *happens).count();
        assert!((240..360).contains(&count), "{count} of 1000");
        assert!(all.iter().zip(&some).all(|(a, b)| a.1 == b.1));
    }
}
