//! Trials counted.

use std::collections::BTreeMap;

use tribunal_results::proof::{Control, Detection, Miss, Rate};

use crate::plan::{Finding, Plan};

use super::{Ask, Came, Proven, Subject, Trial};

/// What the trials of one subject came to together.
pub(super) fn count(subject: &Subject, ask: &Ask, trials: &[(u64, Trial, Came)]) -> Proven {
    match subject.control {
        true => Proven::Control(control(subject, trials)),
        false => Proven::Detection(detection(subject, ask, trials)),
    }
}

fn detection(subject: &Subject, ask: &Ask, trials: &[(u64, Trial, Came)]) -> Detection {
    let (mut times, mut operations) = (Vec::new(), Vec::new());
    let (mut missed, mut broken) = (Vec::new(), Vec::new());
    let mut anomalies: BTreeMap<String, u64> = BTreeMap::new();
    for (seed, trial, came) in trials {
        let miss = |why: String| miss(*seed, trial, why);
        match came {
            Came::Found {
                anomaly,
                at,
                operations: ended,
            } if u128::from(*at) <= ask.within.as_nanos() => {
                times.push(*at as f64 / 1e9);
                operations.push(*ended);
                *anomalies.entry(anomaly.clone()).or_default() += 1;
            }
            Came::Found { anomaly, at, .. } => {
                let seconds = *at as f64 / 1e9;
                missed.push(miss(format!("{anomaly} only after {seconds:.2} s")));
            }
            Came::Nothing => missed.push(miss("every checker is content".into())),
            Came::Other(why) | Came::Undecided(why) => missed.push(miss(why.clone())),
            Came::Broken(why) => broken.push(miss(why.clone())),
        }
    }
    times.sort_by(f64::total_cmp);
    operations.sort_unstable();
    let hits = times.len() as u64;
    Detection {
        target: subject.plan.target.target.clone(),
        bug: subject
            .plan
            .target
            .bug
            .clone()
            .unwrap_or_else(|| subject.plan.name.clone()),
        finding: subject
            .plan
            .finding
            .as_ref()
            .map(|finding| said(finding, &subject.plan)),
        source: subject
            .plan
            .finding
            .as_ref()
            .and_then(|finding| finding.source.clone()),
        run: subject.plan.name.clone(),
        rate: Rate::of(hits, hits + missed.len() as u64),
        median_s: times.get(times.len() / 2).copied(),
        slowest_s: times.last().copied(),
        median_operations: operations.get(operations.len() / 2).copied(),
        anomalies,
        missed,
        broken,
    }
}

/// What a report says, of the version that is here.
fn said(finding: &Finding, plan: &Plan) -> String {
    let target = plan.parts.target(&plan.target.target);
    let installed = target.and_then(|target| target.installed(&plan.target.options).ok()?);
    finding.says_of(&installed.unwrap_or_else(|| plan.target.target.clone()))
}

fn control(subject: &Subject, trials: &[(u64, Trial, Came)]) -> Control {
    let (mut false_alarms, mut broken, mut quiet) = (Vec::new(), Vec::new(), 0);
    for (seed, trial, came) in trials {
        match came {
            Came::Nothing => quiet += 1,
            Came::Found { anomaly, .. } => false_alarms.push(miss(*seed, trial, anomaly.clone())),
            Came::Other(claim) => false_alarms.push(miss(*seed, trial, claim.clone())),
            Came::Undecided(why) | Came::Broken(why) => {
                broken.push(miss(*seed, trial, why.clone()));
            }
        }
    }
    let alarms = false_alarms.len() as u64;
    Control {
        target: subject.plan.target.target.clone(),
        run: subject.plan.name.clone(),
        alarms: Rate::of(alarms, alarms + quiet),
        false_alarms,
        broken,
    }
}

fn miss(seed: u64, trial: &Trial, why: String) -> Miss {
    let words: Vec<String> = trial.arguments();
    let words = words.iter().map(|word| crate::cli::quoted(word));
    Miss {
        seed,
        why,
        reproduce: format!("tribunal {}", words.collect::<Vec<_>>().join(" ")),
    }
}
