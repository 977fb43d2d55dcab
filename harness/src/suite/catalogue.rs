//! What suites may name: targets, workloads, faults and anomalies, as plain data. The built-in
//! catalogue is made from the registries; tests bring their own.

use serde_json::Value as Json;
use tribunal_nemesis::{Fault, fabric};
use tribunal_results::options::OptionError;
use tribunal_results::{Kind, NodeId};
use tribunal_targets::{PlantedBug, Shape, Target};
use tribunal_workloads::{Setting, Workload};

use crate::parts::Parts;

/// Checks the options of a fault.
pub type CheckOptions = Box<dyn Fn(&Json) -> Result<(), OptionError> + Send + Sync>;

/// Checks the options of a workload, in the setting of one run.
pub type CheckWorkload = Box<dyn Fn(&Json, &Setting) -> Result<(), OptionError> + Send + Sync>;

/// Checks the options of a target in a cluster of those nodes; the operations that it understands
/// with them.
pub type CheckTarget =
    Box<dyn Fn(&Json, &[NodeId]) -> Result<Vec<Kind>, OptionError> + Send + Sync>;

/// A system that can be tested.
pub struct TargetEntry {
    /// Its name.
    pub name: &'static str,
    /// The operations that it understands.
    pub operations: Vec<Kind>,
    /// The links between nodes without which it does not work.
    pub shape: Shape,
    /// Whether each of its nodes needs an address of its own, with those options.
    pub needs_own_address: Box<dyn Fn(&Json) -> bool + Send + Sync>,
    /// Its planted bugs.
    pub bugs: Vec<PlantedBug>,
    /// Checks its options.
    pub check: CheckTarget,
}

/// A kind of load.
pub struct WorkloadEntry {
    /// Its name.
    pub name: &'static str,
    /// The operations without which it makes no sense.
    pub needs: Vec<Kind>,
    /// The anomalies that its checkers, and those that judge every run, can find.
    pub anomalies: Vec<&'static str>,
    /// Checks its options.
    pub check: CheckWorkload,
}

/// A way to break something.
pub struct FaultEntry {
    /// Its name.
    pub name: &'static str,
    /// The only fabric that can do it, if not both can.
    pub only_on: Option<fabric::Kind>,
    /// Checks its options.
    pub check: CheckOptions,
}

/// What suites may name.
#[derive(Default)]
pub struct Catalogue {
    /// Systems that can be tested.
    pub targets: Vec<TargetEntry>,
    /// Kinds of load.
    pub workloads: Vec<WorkloadEntry>,
    /// Ways to break something.
    pub faults: Vec<FaultEntry>,
    /// What plans get of it, to find what they name.
    pub parts: Parts,
}

impl Catalogue {
    /// Everything that this program knows.
    pub fn built_in() -> Self {
        Self::with(Parts::default())
    }

    /// The same with parts of somebody's own, which hide their namesakes.
    pub fn with(parts: Parts) -> Self {
        let targets = parts.targets.iter().chain(tribunal_targets::ALL);
        let workloads = parts.workloads.iter().chain(tribunal_workloads::ALL);
        let faults = parts.faults.iter().chain(tribunal_nemesis::ALL);
        Self {
            targets: targets.map(|target| target_entry(*target)).collect(),
            workloads: workloads
                .map(|workload| workload_entry(*workload, &parts))
                .collect(),
            faults: faults.map(|fault| fault_entry(*fault)).collect(),
            parts,
        }
    }

    /// The target of that name.
    pub fn target(&self, name: &str) -> Option<&TargetEntry> {
        self.targets.iter().find(|target| target.name == name)
    }

    /// The workload of that name.
    pub fn workload(&self, name: &str) -> Option<&WorkloadEntry> {
        self.workloads.iter().find(|workload| workload.name == name)
    }

    /// The fault of that name.
    pub fn fault(&self, name: &str) -> Option<&FaultEntry> {
        self.faults.iter().find(|fault| fault.name == name)
    }
}

fn target_entry(target: &'static dyn Target) -> TargetEntry {
    TargetEntry {
        name: target.name(),
        operations: target.operations().to_vec(),
        shape: target.shape(),
        needs_own_address: Box::new(move |options| target.needs_own_address(options)),
        bugs: target.bugs().to_vec(),
        check: Box::new(|options, nodes| target.understands(options, nodes)),
    }
}

fn workload_entry(workload: &'static dyn Workload, parts: &Parts) -> WorkloadEntry {
    WorkloadEntry {
        name: workload.name(),
        needs: workload.needs().to_vec(),
        anomalies: anomalies(workload.checkers(), parts),
        check: Box::new(|options, setting| workload.program(options, setting).map(drop)),
    }
}

fn fault_entry(fault: &'static dyn Fault) -> FaultEntry {
    FaultEntry {
        name: fault.name(),
        only_on: only_on(fault),
        check: Box::new(|options| fault.check_options(options)),
    }
}

fn only_on(fault: &dyn Fault) -> Option<fabric::Kind> {
    let able = |kind: &fabric::Kind| fault.works_on(*kind);
    match [fabric::Kind::Proxy, fabric::Kind::Switch] {
        both if both.iter().all(able) => None,
        either => either.into_iter().find(able),
    }
}

impl TargetEntry {
    /// Its planted bug of that name.
    pub fn bug(&self, name: &str) -> Option<&PlantedBug> {
        self.bugs.iter().find(|bug| bug.name == name)
    }
}

/// The anomalies that the checkers of a workload and those that judge every run can find.
fn anomalies(own: &[&str], parts: &Parts) -> Vec<&'static str> {
    let always = crate::judge::ALWAYS.iter();
    let judges = own
        .iter()
        .chain(always)
        .filter_map(|name| parts.checker(name));
    let mut names: Vec<&str> = Vec::new();
    for name in judges.flat_map(|checker| checker.anomalies().iter().copied()) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}
