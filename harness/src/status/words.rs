//! The lines of the live view, from what was seen so far.

use std::collections::BTreeMap;

use tribunal_results::report::text::{count, duration};
use tribunal_results::{Nanos, NodeState};

use super::scene::Scene;
use crate::plan::Plan;

/// Active faults that are named; more are counted.
const ACTIVE_NAMED_MAX: usize = 4;

/// What a plan asks of a run, as far as the live view shows it.
#[derive(Clone, Debug, Default)]
pub(super) struct Asked {
    /// How long operations are invoked.
    pub(super) time: Nanos,
    /// The least that must be acknowledged.
    pub(super) ok: u64,
    /// The kinds of faults, and how many of each must bite.
    pub(super) faults: BTreeMap<String, u64>,
}

impl Asked {
    pub(super) fn of(plan: &Plan) -> Self {
        let floor = plan.evidence.faults_of_each;
        Self {
            time: crate::clock::nanos(plan.time.0),
            ok: plan.evidence.ok_operations,
            faults: plan
                .nemesis
                .kinds()
                .map(|kind| (kind.to_owned(), floor))
                .collect(),
        }
    }
}

/// How many operations have ended so far, and how fast they do.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pace {
    pub(super) ok: u64,
    pub(super) fail: u64,
    pub(super) info: u64,
    /// Operations a second that ended of late.
    pub(super) rate: u64,
}

/// How far the time is, and what is left of it.
pub(super) fn time(now: Nanos, begun: Option<Nanos>, asked: &Asked) -> String {
    let Some(begun) = begun else {
        return format!("{} s", now / 1_000_000_000);
    };
    let left = (begun + asked.time).saturating_sub(now);
    format!("{} s left", left.div_ceil(1_000_000_000))
}

/// `1,204 ok · 3 fail · 1 info · 412/s · 1,190 checked`, the last only where checkers follow the
/// run: what they have been told of.
pub(super) fn operations(pace: Pace, followed: Option<u64>) -> String {
    let checked = followed.map(|n| format!(" · {} checked", count(n)));
    format!(
        "{} ok · {} fail · {} info · {}/s{}",
        count(pace.ok),
        count(pace.fail),
        count(pace.info),
        count(pace.rate),
        checked.unwrap_or_default()
    )
}

/// `n1 ● ready  n2 ‖ paused`; a node that is not as it should be is never shown by colour alone.
pub(super) fn nodes(scene: &Scene) -> String {
    let each = scene.nodes.iter().map(|(node, state)| {
        let (sign, word) = match state {
            NodeState::Starting => ('○', "starting"),
            NodeState::Ready => ('●', "ready"),
            NodeState::Paused => ('‖', "paused"),
            NodeState::Killed => ('✗', "killed"),
            NodeState::Died => ('☠', "died"),
            NodeState::Unresponsive => ('?', "unresponsive"),
            NodeState::Stopped => ('■', "stopped"),
        };
        let leads = scene.leaders.contains(node);
        let rank = if leads { " ★ leader" } else { "" };
        format!("{node} {sign} {word}{rank}")
    });
    each.collect::<Vec<_>>().join("  ")
}

/// What is broken now, and since when.
pub(super) fn faults(scene: &Scene, now: Nanos) -> String {
    let named = scene.active.values().take(ACTIVE_NAMED_MAX).map(|active| {
        let since = duration(now.saturating_sub(active.since) / 1_000_000 * 1_000_000);
        format!("{} ({since})", active.what)
    });
    let mut parts: Vec<String> = named.collect();
    let more = scene.active.len().saturating_sub(ACTIVE_NAMED_MAX);
    parts.extend((more > 0).then(|| format!("and {more} more")));
    match parts.is_empty() {
        true => "none now".into(),
        false => parts.join(", "),
    }
}

/// What the run can show so far, against the least that it must.
pub(super) fn evidence(scene: &Scene, pace: Pace, asked: &Asked) -> String {
    let item = |name: &str, have: u64, least: u64| {
        let sign = if have >= least { '✓' } else { '–' };
        format!("{sign} {name} {} of {}", count(have), count(least))
    };
    let mut parts = vec![item("ok", pace.ok, asked.ok)];
    parts.extend(asked.faults.iter().map(|(kind, least)| {
        let bitten = scene.bitten.get(kind).copied().unwrap_or(0);
        item(kind, bitten, *least)
    }));
    parts.join("  ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::scene::Active;
    use std::collections::BTreeSet;

    fn scene() -> Scene {
        let active = |what: &str, since| Active {
            what: what.into(),
            since,
        };
        Scene {
            nodes: BTreeMap::from([
                ("n1".into(), NodeState::Ready),
                ("n2".into(), NodeState::Paused),
            ]),
            leaders: BTreeSet::from(["n1".into()]),
            active: (0..6)
                .map(|id| (id, active("pause n2", 1_000_000_000)))
                .collect(),
            bitten: BTreeMap::from([("pause".into(), 2)]),
        }
    }

    #[test]
    fn states_have_a_sign_and_a_word() {
        assert_eq!(nodes(&scene()), "n1 ● ready ★ leader  n2 ‖ paused");
    }

    #[test]
    fn what_is_checked_is_said_only_where_it_is_while_the_run_goes_on() {
        let pace = Pace {
            ok: 1_204,
            fail: 3,
            info: 1,
            rate: 412,
        };
        let words = "1,204 ok · 3 fail · 1 info · 412/s";
        assert_eq!(operations(pace, None), words);
        assert_eq!(
            operations(pace, Some(1_190)),
            format!("{words} · 1,190 checked")
        );
    }

    #[test]
    fn many_faults_are_counted_and_none_is_said_too() {
        let text = faults(&scene(), 1_500_000_000);
        assert!(text.starts_with("pause n2 (500 ms), "), "{text}");
        assert!(text.ends_with("and 2 more"), "{text}");
        assert_eq!(faults(&Scene::default(), 0), "none now");
    }

    #[test]
    fn evidence_is_ticked_when_it_reaches_the_floor() {
        let asked = Asked {
            time: 6_000_000_000,
            ok: 50,
            faults: BTreeMap::from([("kill".into(), 1), ("pause".into(), 1)]),
        };
        let pace = Pace {
            ok: 49,
            ..Pace::default()
        };
        let text = evidence(&scene(), pace, &asked);
        assert_eq!(text, "– ok 49 of 50  – kill 0 of 1  ✓ pause 2 of 1");
        assert_eq!(time(2_500_000_000, Some(1_000_000_000), &asked), "5 s left");
        assert_eq!(time(99_000_000_000, Some(0), &asked), "0 s left");
    }
}
