//! Smaller plans made of a plan. Whether they still show it is for trials to say.

use std::time::Duration;

use serde_json::Value as Json;
use tribunal_nemesis::schedule::{Act, Start, Step};
use tribunal_results::NodeId;
use tribunal_results::options::Time;

use crate::plan::Plan;

/// The shortest that a fault is made.
const HOLD_MIN: Duration = Duration::from_millis(20);
/// The least of clients that makes sense: two who may see each other.
const CLIENTS_MIN: usize = 2;
/// The fewest nodes that a smaller cluster is made of.
const NODES_MIN: usize = 3;
/// The lowest rate that is tried, in operations per second.
const RATE_MIN: f64 = 20.0;
/// How long a run goes on after its last fault, at the most.
const TAIL: Duration = Duration::from_millis(1500);

/// The plan with these steps alone, with no more than `gap` in which nothing is broken before each,
/// and an end soon after the last. Steps that wait for something keep their times.
pub(super) fn with_steps(plan: &Plan, steps: &[Step], gap: Duration) -> Plan {
    let mut plan = plan.clone();
    plan.nemesis.schedule = steps.to_vec();
    let all_timed = steps.iter().all(|s| matches!(s.start, Start::At(_)));
    if !all_timed || steps.is_empty() {
        return plan;
    }
    let steps = &mut plan.nemesis.schedule;
    steps.sort_by_key(begins);
    // When all before are healed, then and now.
    let (mut over, mut removed) = (Duration::ZERO, Duration::ZERO);
    for step in steps.iter_mut() {
        let at = begins(step);
        let quiet = at.saturating_sub(over);
        removed += quiet.saturating_sub(gap);
        over = over.max(at + step.hold.0);
        step.start = Start::At(whole_ms(at.saturating_sub(removed)));
        step.hold = whole_ms(step.hold.0);
    }
    let tail = plan.time.0.saturating_sub(over).min(TAIL);
    plan.time = whole_ms((over.saturating_sub(removed) + tail).min(plan.time.0));
    plan
}

/// At least one millisecond, so that people can read it.
fn whole_ms(time: Duration) -> Time {
    Time::millis(u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1))
}

fn begins(step: &Step) -> Duration {
    match step.start {
        Start::At(time) => time.0,
        Start::When(_) => Duration::ZERO,
    }
}

/// The steps that begin before that.
pub(super) fn before(steps: &[Step], end: Duration) -> Vec<Step> {
    let early = steps.iter().filter(|step| begins(step) < end);
    early.cloned().collect()
}

/// The last step of each kind of fault, those first that had begun last when it was found: what was
/// in force then is the first suspect.
pub(super) fn suspects(steps: &[Step], found: Duration) -> Vec<Step> {
    let (early, late): (Vec<&Step>, Vec<&Step>) = steps.iter().partition(|s| begins(s) < found);
    let mut suspects: Vec<Step> = Vec::new();
    for step in early.into_iter().rev().chain(late) {
        if suspects
            .iter()
            .all(|known| known.act.fault() != step.act.fault())
        {
            suspects.push(step.clone());
        }
    }
    suspects
}

/// The plan with half its time, if it breaks nothing: else its time follows from its steps.
pub(super) fn sooner(plan: &Plan) -> Option<Plan> {
    let time = whole_ms(plan.time.0 / 2);
    (plan.nemesis.schedule.is_empty() && time.0 >= TAIL).then(|| Plan {
        time,
        ..plan.clone()
    })
}

/// The plan with half the hold of one step.
pub(super) fn shorter(plan: &Plan, step: usize) -> Option<Plan> {
    let mut plan = plan.clone();
    let step = plan.nemesis.schedule.get_mut(step)?;
    // To whole milliseconds: people read it.
    let half = Duration::from_millis(u64::try_from(step.hold.0.as_millis() / 2).ok()?);
    (half >= HOLD_MIN).then(|| step.hold = Time(half))?;
    Some(plan)
}

/// The plan where one step leaves one of its nodes alone.
pub(super) fn without_node(plan: &Plan, step: usize, node: usize) -> Option<Plan> {
    let mut plan = plan.clone();
    let step = plan.nemesis.schedule.get_mut(step)?;
    let Act::Given { injection } = &mut step.act else {
        return None;
    };
    // The nodes of a fault on links are those that its links join.
    if injection.nodes.len() < 2 || !injection.links.is_empty() {
        return None;
    }
    let node = (node < injection.nodes.len()).then(|| injection.nodes.remove(node))?;
    if let Some(Json::Object(pids)) = injection.detail.get_mut("pids") {
        pids.remove(&*node);
    }
    injection.what = format!("{} {}", injection.fault, injection.nodes.join(","));
    Some(plan)
}

/// The plan on two nodes fewer; none if a fault would have nobody left.
pub(super) fn fewer_nodes(plan: &Plan) -> Option<Plan> {
    let nodes = plan.nodes.checked_sub(2).filter(|n| *n >= NODES_MIN)?;
    let mut plan = plan.clone();
    plan.nodes = nodes;
    let gone: Vec<NodeId> = [nodes + 1, nodes + 2]
        .map(|n| NodeId::from(format!("n{n}")))
        .into();
    for step in &mut plan.nemesis.schedule {
        let Act::Given { injection } = &mut step.act else {
            return None;
        };
        let had_links = !injection.links.is_empty();
        injection.nodes.retain(|node| !gone.contains(node));
        let stays = |(a, b): &(NodeId, NodeId)| !gone.contains(a) && !gone.contains(b);
        injection.links.retain(stays);
        if let Some(Json::Object(pids)) = injection.detail.get_mut("pids") {
            pids.retain(|node, _| !gone.iter().any(|gone| **gone == **node));
        }
        if injection.nodes.is_empty() || (had_links && injection.links.is_empty()) {
            return None;
        }
        injection.what = format!("{} (without {})", injection.what, gone.join(","));
    }
    Some(plan)
}

/// The plan with half the clients.
pub(super) fn fewer_clients(plan: &Plan) -> Option<Plan> {
    let clients = plan.clients / 2;
    (clients >= CLIENTS_MIN).then(|| Plan {
        clients,
        ..plan.clone()
    })
}

/// The plan with half the rate.
pub(super) fn slower(plan: &Plan) -> Option<Plan> {
    let rate = (plan.rate / 2.0).round();
    (rate >= RATE_MIN).then(|| Plan {
        rate,
        ..plan.clone()
    })
}

/// Kinds of operations that workloads can do without, as the shares of their options.
const SHARES: [&str; 9] = [
    "cas_share",
    "try_share",
    "renew_share",
    "reenter_share",
    "stranger_share",
    "long_share",
    "abandon_share",
    "split_share",
    "readers_share",
];

/// The plans in which clients ask one kind of operations less, as far as the workload allows.
pub(super) fn fewer_kinds(plan: &Plan, allows: impl Fn(&Plan) -> bool) -> Vec<(String, Plan)> {
    let without = |share: &&str| {
        let mut fewer = plan.clone();
        let options = &mut fewer.workload.options;
        if options.is_null() {
            *options = Json::Object(serde_json::Map::new());
        }
        let before = options
            .as_object_mut()?
            .insert((*share).into(), Json::from(0));
        let is_less = before.is_none_or(|before| before.as_f64() != Some(0.0));
        (is_less && allows(&fewer)).then(|| ((*share).to_owned(), fewer))
    };
    SHARES.iter().filter_map(without).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite::{self, Catalogue, Overrides, Source};
    use serde_json::json;

    fn plan(steps: Json) -> Plan {
        let overrides = Overrides {
            only: Some("all-faults".into()),
            ..Overrides::default()
        };
        let source = Source::BuiltIn("paxos");
        let plans = suite::load(&source, &Catalogue::built_in(), &overrides);
        let mut plan = plans.unwrap().remove(0);
        plan.nemesis.faults.clear();
        plan.nemesis.schedule = serde_json::from_value(steps).unwrap();
        plan
    }

    fn given(at: &str, nodes: &[&str], links: &[(&str, &str)]) -> Json {
        let pids: serde_json::Map<_, _> =
            nodes.iter().map(|n| ((*n).to_owned(), json!(1))).collect();
        json!({"at": at, "hold": "1s", "injection": {
            "fault": "kill", "nodes": nodes, "links": links, "what": "kill",
            "detail": {"pids": pids}}})
    }

    fn times(plan: &Plan) -> Vec<u128> {
        plan.nemesis
            .schedule
            .iter()
            .map(|s| begins(s).as_millis())
            .collect()
    }

    #[test]
    fn quiet_is_taken_out_and_overlap_stays() {
        let plan = plan(json!([
            given("5s", &["n1"], &[]),
            given("5500ms", &["n2"], &[]),
            given("9s", &["n3"], &[]),
            given("10100ms", &["n3"], &[]),
        ]));
        let all = plan.nemesis.schedule.clone();
        let short = with_steps(&plan, &all, Duration::from_millis(300));
        assert_eq!(times(&short), [300, 800, 2100, 3200]);
        assert_eq!(short.time, Time::millis(3200 + 1000 + 1500));
        let one = with_steps(&plan, &all[2..3], Duration::from_millis(300));
        assert_eq!(times(&one), [300]);
        let long = with_steps(&plan, &all, Duration::from_secs(60));
        assert_eq!(times(&long), times(&plan));
        assert_eq!(before(&all, Duration::from_secs(9)).len(), 2);
    }

    #[test]
    fn each_reduction_takes_one_thing_and_ends() {
        let plan = plan(json!([given("1s", &["n1", "n5"], &[])]));
        let fewer = without_node(&plan, 0, 1).unwrap();
        let left = json!(fewer.nemesis.schedule[0]);
        assert_eq!(left["injection"]["nodes"], json!(["n1"]));
        assert_eq!(left["injection"]["detail"]["pids"], json!({"n1": 1}));
        assert_eq!(without_node(&fewer, 0, 0), None);
        let small = fewer_nodes(&plan).unwrap();
        assert_eq!((small.nodes, fewer_nodes(&small)), (3, None));
        let mut halves = 0;
        let mut short = plan.clone();
        while let Some(half) = shorter(&short, 0) {
            (short, halves) = (half, halves + 1);
        }
        assert_eq!(
            (halves, short.nemesis.schedule[0].hold),
            (5, Time::millis(31))
        );
        let mut few = plan;
        while let Some(half) = fewer_clients(&few).or_else(|| slower(&few)) {
            few = half;
        }
        assert_eq!((few.clients, few.rate), (2, 25.0));
    }

    #[test]
    fn nobody_is_left_of_a_fault_on_a_node_that_is_gone() {
        assert_eq!(fewer_nodes(&plan(json!([given("1s", &["n4"], &[])]))), None);
        let cut = given("1s", &["n1", "n4"], &[("n1", "n4")]);
        assert_eq!(fewer_nodes(&plan(json!([cut]))), None);
    }

    #[test]
    fn only_what_the_workload_knows_is_left_out() {
        let plan = plan(json!([]));
        let kinds = fewer_kinds(&plan, |plan| {
            let options = plan.workload.options.as_object().unwrap();
            options.contains_key("cas_share")
        });
        assert_eq!(kinds.len(), 1);
        assert_eq!(kinds[0].1.workload.options["cas_share"], 0);
    }
}
