//! A plan as YAML: itself a suite of one run, so that what was run can be run again.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value as Json};
use tribunal_nemesis::fabric::Kind;
use tribunal_nemesis::schedule::NemesisPlan;
use tribunal_results::gates::Gates;
use tribunal_results::options::Time;
use tribunal_results::verdict::EvidenceFloor;

use super::flow;
use crate::plan::{Finding, JudgePlan, Plan, TargetPlan};
use crate::topology::Topology;

#[derive(Serialize)]
struct Suite<'a> {
    suite: &'a str,
    runs: [Run<'a>; 1],
}

/// The fields of a run, in the order in which people read them.
#[derive(Serialize)]
struct Run<'a> {
    name: &'a str,
    target: &'a TargetPlan,
    workload: Map<String, Json>,
    topology: &'a Topology,
    fabric: Kind,
    messages: bool,
    nemesis: NemesisPlan,
    seed: u64,
    expect: Expect<'a>,
    nodes: usize,
    clients: usize,
    rate: f64,
    time: Time,
    timeout: Time,
    ready: Time,
    recovery: Time,
    evidence: &'a EvidenceFloor,
    judge: &'a JudgePlan,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    gates: &'a Gates,
    #[serde(skip_serializing_if = "Option::is_none")]
    finding: &'a Option<Finding>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Expect<'a> {
    Valid(&'static str),
    Anomalies(&'a [String]),
}

/// What `plan.yaml` holds: a suite whose only run is this plan, with every choice made.
///
/// # Errors
/// If the options hold something that YAML cannot.
pub fn plan_to_yaml(plan: &Plan) -> Result<String, serde_yaml::Error> {
    let mut workload = plan
        .workload
        .options
        .as_object()
        .cloned()
        .unwrap_or_default();
    workload.insert("type".into(), plan.workload.workload.clone().into());
    let run = Run {
        name: &plan.name,
        target: &plan.target,
        workload,
        topology: &plan.topology,
        fabric: plan.fabric,
        messages: plan.messages,
        nemesis: NemesisPlan {
            schedule: Vec::new(),
            ..plan.nemesis.clone()
        },
        seed: plan.seed,
        expect: match &plan.expect[..] {
            [] => Expect::Valid("valid"),
            anomalies => Expect::Anomalies(anomalies),
        },
        nodes: plan.nodes,
        clients: plan.clients,
        rate: plan.rate,
        time: plan.time,
        timeout: plan.timeout,
        ready: plan.ready,
        recovery: plan.recovery,
        evidence: &plan.evidence,
        judge: &plan.judge,
        gates: &plan.gates,
        finding: &plan.finding,
    };
    let suite = Suite {
        suite: &plan.suite,
        runs: [run],
    };
    let mut yaml = serde_yaml::to_string(&suite)?;
    if !plan.nemesis.schedule.is_empty() {
        let steps = flow::steps(&plan.nemesis.schedule, "    ");
        yaml = yaml.replacen("\n  nemesis:\n", &format!("\n  nemesis:\n{steps}"), 1);
    }
    Ok(format!(
        "# One run with every choice made: `tribunal run` with this file repeats it.\n{yaml}"
    ))
}
