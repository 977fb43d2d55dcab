//! Every reference target in virtual time: whatever the schedule, a correct one must never be
//! flagged, and each planted bug must be, with an anomaly that its row names.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "everything here is a test"
)]

use std::collections::{BTreeMap, BTreeSet};

use tribunal::explore::Case;
use tribunal_results::Validity;
use tribunal_targets::{PlantedBug, Target};

/// Schedules that a correct target goes through, unless `TRIBUNAL_SCHEDULES` says otherwise.
const SCHEDULES: u64 = 300;
/// Schedules within which a planted bug must have shown.
const SCHEDULES_FOR_BUG: u64 = 100;

fn schedules() -> u64 {
    let wanted = std::env::var("TRIBUNAL_SCHEDULES").ok();
    wanted.map_or(SCHEDULES, |n| n.parse().unwrap())
}

/// Every target, or the one that `TRIBUNAL_TARGET` names.
fn targets() -> impl Iterator<Item = &'static dyn Target> {
    let wanted = std::env::var("TRIBUNAL_TARGET").ok();
    let is_wanted = move |target: &&'static dyn Target| {
        wanted.as_deref().is_none_or(|name| name == target.name())
    };
    tribunal_targets::ALL.iter().copied().filter(is_wanted)
}

/// A correct target under one of its workloads.
fn is_never_flagged(target: &'static dyn Target, workload: &str) {
    let case = Case::new(target, tribunal_workloads::find(workload).unwrap());
    let name = target.name();
    let mut valid: BTreeMap<String, u64> = BTreeMap::new();
    for seed in 0..schedules() {
        for verdict in case.judge(&case.explore(seed).unwrap()) {
            assert_ne!(
                verdict.validity,
                Validity::Invalid,
                "{name} under {workload}, seed {seed}: {verdict:#?}"
            );
            *valid.entry(verdict.checker).or_default() +=
                u64::from(verdict.validity == Validity::Valid);
        }
    }
    // Nothing is shown by runs in which there was nothing to find.
    for (checker, valid) in valid {
        assert!(
            valid * 10 >= schedules() * 9,
            "{name} under {workload}: {checker} was valid in {valid} of {} schedules only",
            schedules()
        );
    }
}

/// The workloads that show its bugs are those that must find none in the target itself.
#[test]
fn no_correct_target_is_ever_flagged() {
    for target in targets() {
        let workloads = target.bugs().iter().map(|bug| bug.workload);
        for workload in workloads.collect::<BTreeSet<_>>() {
            is_never_flagged(target, workload);
        }
    }
}

/// The first schedule that shows the bug.
fn shows(target: &'static dyn Target, bug: &'static PlantedBug) -> Option<u64> {
    let case = Case::of_bug(target, bug)?;
    (0..SCHEDULES_FOR_BUG).find(|&seed| case.shown(&case.judge(&case.explore(seed).unwrap())))
}

#[test]
fn every_planted_bug_shows_in_some_schedule() {
    for target in targets() {
        for bug in target.bugs() {
            let (name, first) = (target.name(), shows(target, bug));
            assert!(first.is_some(), "{} of {name}", bug.name);
            println!("{} of {name} shows in schedule {first:?}", bug.name);
        }
    }
}

#[test]
fn a_seed_repeats_its_schedule() {
    for target in targets() {
        let workload = target.bugs().first().map(|bug| bug.workload);
        let workload = workload.and_then(tribunal_workloads::find);
        let Some(workload) = workload else { continue };
        let case = Case::new(target, workload);
        let [once, again] = [case.explore(7).unwrap(), case.explore(7).unwrap()];
        assert!(once.history == again.history, "{}", target.name());
        let other = case.explore(8).unwrap();
        assert!(once.history != other.history, "{}", target.name());
    }
}
