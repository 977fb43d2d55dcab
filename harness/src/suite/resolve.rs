//! From a draft to a plan: each field read, and the parts checked against each other and against
//! the catalogue, so that nothing starts that could not mean anything.

use serde_json::Value as Json;
use tribunal_nemesis::fabric;
use tribunal_nemesis::schedule::NemesisPlan;
use tribunal_results::gates::Gates;
use tribunal_results::options::Time;
use tribunal_results::verdict::EvidenceFloor;
use tribunal_results::{Kind, NodeId};
use tribunal_workloads::Setting;

use super::Overrides;
use super::catalogue::{Catalogue, TargetEntry, WorkloadEntry};
use super::error::{Problem, Problems};
use super::expand::Draft;
use super::gates;
use super::locate::Path;
use super::raw::{self, Read};
use super::steps;
use crate::plan::Plan;
use crate::topology::Topology;

/// Nodes of a run that does not say.
const NODES: u64 = 5;
/// Clients of a run that does not say.
const CLIENTS: u64 = 10;
/// Operations per second of a run that does not say.
const RATE: f64 = 400.0;
/// How long operations are invoked in a run that does not say.
const TIME: Time = Time::millis(6_000);
/// The most that one operation may take in a run that does not say.
const TIMEOUT: Time = Time::millis(800);
/// How long nodes may take to become ready in a run that does not say.
const READY: Time = Time::millis(10_000);

/// Reads a draft. What is wrong with it goes to the problems; there is no plan at all without a
/// target and a workload that exist. The name is empty and the seed 0 if none is given.
pub(super) fn resolve(
    suite: &str,
    draft: &Draft<'_>,
    catalogue: &Catalogue,
    overrides: &Overrides,
    problems: &mut Problems,
) -> Option<Plan> {
    let mut resolver = Resolver {
        draft,
        catalogue,
        problems,
    };
    let mut plan = resolver.plan(suite)?;
    overrides.apply(&mut plan);
    resolver.check(&mut plan);
    Some(plan)
}

struct Resolver<'a> {
    draft: &'a Draft<'a>,
    catalogue: &'a Catalogue,
    problems: &'a mut Problems,
}

impl Resolver<'_> {
    /// Every field by itself; `None` without a target and a workload that exist.
    fn plan(&mut self, suite: &str) -> Option<Plan> {
        let catalogue = self.catalogue;
        let target = self.required("target", |value| raw::target(value, catalogue));
        let workload = self.required("workload", |value| raw::workload(value, catalogue));
        let nemesis = self.read("nemesis", NemesisPlan::default(), |value| {
            raw::nemesis(value, catalogue)
        });
        let nodes = self.read("nodes", NODES, |v| raw::count("nodes", &raw::NODES, v));
        let clients = self.read("clients", CLIENTS, |v| {
            raw::count("clients", &raw::CLIENTS, v)
        });
        let time = |field: &'static str| move |value: &Json| raw::time(field, value);
        let plan = Plan {
            suite: suite.to_owned(),
            name: self.name(),
            nodes: usize::try_from(nodes).unwrap_or(usize::MAX),
            clients: usize::try_from(clients).unwrap_or(usize::MAX),
            rate: self.read("rate", RATE, |value| raw::rate("rate", value)),
            time: self.read("time", TIME, time("time")),
            timeout: self.read("timeout", TIMEOUT, time("timeout")),
            ready: self.read("ready", READY, time("ready")),
            recovery: self.read("recovery", READY, raw::recovery),
            topology: self.read("topology", Topology::default(), raw::topology),
            fabric: self.read("fabric", fabric::Kind::default(), raw::fabric),
            messages: self.read("messages", false, |v| raw::yes_or_no("messages", v)),
            nemesis,
            seed: self.read("seed", 0, |v| raw::count("seed", &raw::ANY, v)),
            expect: self.read("expect", Vec::new(), raw::expect),
            evidence: self.read("evidence", EvidenceFloor::default(), raw::evidence),
            judge: self.read("judge", raw::JUDGE, raw::judge),
            gates: self.read("gates", Gates::new(), gates::read),
            finding: self.read("finding", None, |value| raw::finding(value).map(Some)),
            target: target?,
            workload: workload?,
            parts: catalogue.parts.clone(),
        };
        Some(plan)
    }

    fn name(&mut self) -> String {
        let Some(given) = &self.draft.name else {
            return String::new();
        };
        raw::name("the name", given.value).unwrap_or_else(|problem| {
            self.problems.push(problem.under(&given.path));
            String::new()
        })
    }

    fn read<T>(&mut self, field: &str, default: T, read: impl FnOnce(&Json) -> Read<T>) -> T {
        let Some(given) = self.draft.fields.get(field) else {
            return default;
        };
        read(given.value).unwrap_or_else(|problem| {
            self.problems.push(problem.under(&given.path));
            default
        })
    }

    fn required<T>(&mut self, field: &str, read: impl FnOnce(&Json) -> Read<T>) -> Option<T> {
        if !self.draft.fields.contains_key(field) {
            let problem = Problem::new(format!("a run needs a `{field}`"))
                .at(self.draft.path.clone())
                .help("give it in the run, in its matrix, or under `defaults`");
            self.problems.push(problem);
        }
        self.read(field, None, |value| read(value).map(Some))
    }

    /// Adds a problem with a field, at a path within its value.
    fn refuse(&mut self, field: &str, problem: Problem) {
        let given = self.draft.fields.get(field);
        let path = given.map_or(&self.draft.path, |given| &given.path);
        self.problems.push(problem.under(path));
    }

    /// The parts against each other.
    fn check(&mut self, plan: &mut Plan) {
        let catalogue = self.catalogue;
        let target = catalogue.target(&plan.target.target);
        let workload = catalogue.workload(&plan.workload.workload);
        let (Some(target), Some(workload)) = (target, workload) else {
            return;
        };
        let nodes: Vec<NodeId> = crate::run::node_names(plan)
            .iter()
            .map(|name| name.as_str().into())
            .collect();
        let understood = match (target.check)(&plan.target.options, &nodes) {
            Ok(understood) => understood,
            Err(error) => {
                let options = Path::default().key("options");
                self.refuse("target", Problem::from(error).under(&options));
                target.operations.clone()
            }
        };
        if let Some(mut problem) = lacking((target, &understood), workload, catalogue) {
            if let Some(given) = self.draft.fields.get("target") {
                problem = problem.related(given.path.clone(), "this target");
            }
            self.refuse("workload", problem);
            return;
        }
        self.check_options(plan, understood, workload);
        if let Err(title) = plan.topology.check(&nodes, target.shape) {
            self.refuse("topology", Problem::new(title));
        }
        self.check_fabric(plan, target);
        if self.draft.fields.contains_key("expect") {
            self.check_expected(plan, workload);
        } else {
            self.expect_planted_bug(plan, target);
        }
    }

    fn check_options(&mut self, plan: &Plan, understood: Vec<Kind>, workload: &WorkloadEntry) {
        if let Err(error) = (workload.check)(&plan.workload.options, &setting(plan, understood)) {
            self.refuse("workload", error.into());
        }
        let faults = self.faults_path();
        for (i, fault) in plan.nemesis.faults.iter().enumerate() {
            let entry = self.catalogue.fault(&fault.fault);
            if let Some(Err(error)) = entry.map(|entry| (entry.check)(&fault.options)) {
                let at = self.fault_path(&faults, i);
                self.refuse("nemesis", Problem::from(error).under(&at));
            }
        }
        let nodes = crate::run::node_names(plan);
        for (i, step) in plan.nemesis.schedule.iter().enumerate() {
            if let Err(problem) = steps::check(step, self.catalogue, &nodes) {
                let at = Path::default().key("schedule").item(i);
                self.refuse("nemesis", problem.under(&at));
            }
        }
    }

    /// What the fabric cannot do must not be asked of it.
    fn check_fabric(&mut self, plan: &mut Plan, target: &TargetEntry) {
        if (target.needs_own_address)(&plan.target.options) && plan.fabric != fabric::Kind::Switch {
            if self.draft.fields.contains_key("fabric") {
                let title = format!("each node of `{}` needs an address of its own", target.name);
                let problem = Problem::new(title).help("write `fabric: switch`, or leave it out");
                self.refuse("fabric", problem);
            }
            plan.fabric = fabric::Kind::Switch;
        }
        if plan.messages && plan.fabric == fabric::Kind::Switch {
            let title = "a switch carries packets, and cannot follow messages";
            let help = "write `fabric: proxy`, or leave `messages` out";
            self.refuse("messages", Problem::new(title).help(help));
        }
        let faults = self.faults_path();
        for (i, fault) in plan.nemesis.faults.iter().enumerate() {
            let entry = self.catalogue.fault(&fault.fault);
            let only_on = entry.and_then(|entry| entry.only_on);
            if let Some(needed) = only_on.filter(|needed| *needed != plan.fabric) {
                let (fault, given) = (&fault.fault, plan.fabric);
                let title = format!("the fault `{fault}` needs `fabric: {needed}`, not {given}");
                let problem = Problem::new(title).at(self.fault_path(&faults, i));
                self.refuse("nemesis", problem);
            }
        }
    }

    /// Where the faults were written, within the nemesis.
    fn faults_path(&self) -> Path {
        match self.draft.fields.get("nemesis").map(|given| given.value) {
            Some(Json::Object(map)) if map.contains_key("faults") => Path::default().key("faults"),
            _ => Path::default(),
        }
    }

    /// Where the `i`th fault was written: an item of a list, or the value itself if it is alone.
    fn fault_path(&self, faults: &Path, i: usize) -> Path {
        let nemesis = self.draft.fields.get("nemesis").map(|given| given.value);
        let listed = nemesis.map(|value| value.get("faults").unwrap_or(value));
        if listed.is_some_and(Json::is_array) {
            faults.item(i)
        } else {
            faults.clone()
        }
    }

    fn check_expected(&mut self, plan: &Plan, workload: &WorkloadEntry) {
        let listed = self
            .draft
            .fields
            .get("expect")
            .is_some_and(|given| given.value.is_array());
        for (i, anomaly) in plan.expect.iter().enumerate() {
            if workload.anomalies.contains(&anomaly.as_str()) {
                continue;
            }
            let title = format!(
                "no checker of workload {} finds an anomaly `{anomaly}`",
                workload.name
            );
            let at = if listed {
                Path::default().item(i)
            } else {
                Path::default()
            };
            let problem = Problem::unknown(title, anomaly, &workload.anomalies).at(at);
            self.refuse("expect", problem);
        }
    }

    /// A planted bug must be found, unless the suite says what else to expect.
    fn expect_planted_bug(&mut self, plan: &mut Plan, target: &TargetEntry) {
        let Some(bug) = plan.target.bug.as_deref().and_then(|name| target.bug(name)) else {
            return;
        };
        let otherwise = "or say with `expect` what else must be found (`valid`: nothing)";
        if bug.workload != plan.workload.workload {
            let (name, workload) = (bug.name, bug.workload);
            let title = format!("the bug `{name}` shows under workload {workload}");
            let help = format!("write `workload: {workload}`, {otherwise}");
            self.refuse("workload", Problem::new(title).help(help));
        }
        let asked = |fault: &&str| plan.nemesis.kinds().any(|kind| kind == *fault);
        if !bug.faults.is_empty() && !bug.faults.iter().any(asked) {
            let faults = bug.faults.join(", ");
            let title = format!("the bug `{}` shows only under {faults}", bug.name);
            let help = format!("add `nemesis: [{faults}]`, {otherwise}");
            let problem = Problem::new(title).help(help);
            self.refuse("nemesis", problem);
        }
        plan.expect = bug
            .anomalies
            .iter()
            .map(|&anomaly| anomaly.to_owned())
            .collect();
    }
}

fn setting(plan: &Plan, available: Vec<Kind>) -> Setting {
    Setting {
        clients: plan.clients,
        nodes: plan.nodes,
        available,
        time_limit: u64::try_from(plan.time.0.as_nanos()).unwrap_or(u64::MAX),
        rate: plan.rate,
        seed: plan.seed,
    }
}

/// The operations that the workload needs and the target does not have, if any.
fn lacking(
    (target, understood): (&TargetEntry, &[Kind]),
    workload: &WorkloadEntry,
    catalogue: &Catalogue,
) -> Option<Problem> {
    let lacks = |understood: &[Kind]| -> Vec<&str> {
        let missing = workload
            .needs
            .iter()
            .filter(|kind| !understood.contains(kind));
        missing.map(|kind| kind.name()).collect()
    };
    let missing = lacks(understood);
    if missing.is_empty() {
        return None;
    }
    let able: Vec<&str> = catalogue
        .targets
        .iter()
        .filter(|target| lacks(&target.operations).is_empty())
        .map(|target| target.name)
        .collect();
    let able = match &able[..] {
        [] => "no target can".to_owned(),
        able => format!("targets that can: {}", able.join(", ")),
    };
    let title = format!(
        "workload {} needs {}, which target {} does not understand",
        workload.name,
        missing.join(", "),
        target.name
    );
    Some(Problem::new(title).help(able))
}
