//! What suites may name: targets, workloads, faults and anomalies, as plain data. The built-in
//! catalogue is made from the registries; tests bring their own.

use serde_json::Value as Json;
use tribunal_nemesis::fabric;
use tribunal_results::options::OptionError;
use tribunal_results::{Kind, NodeId};
use tribunal_targets::{PlantedBug, Shape};
use tribunal_workloads::Setting;

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
}

impl Catalogue {
    /// Everything that this program knows.
    pub fn built_in() -> Self {
        let targets = tribunal_targets::ALL.iter().map(|target| TargetEntry {
            name: target.name(),
            operations: target.operations().to_vec(),
            shape: target.shape(),
            bugs: target.bugs().to_vec(),
            check: Box::new(|options, nodes| target.understands(options, nodes)),
        });
        let workloads = tribunal_workloads::ALL
            .iter()
            .map(|workload| WorkloadEntry {
                name: workload.name(),
                needs: workload.needs().to_vec(),
                anomalies: anomalies(workload.checkers()),
                check: Box::new(|options, setting| workload.program(options, setting).map(drop)),
            });
        let faults = tribunal_nemesis::ALL.iter().map(|fault| FaultEntry {
            name: fault.name(),
            only_on: only_on(*fault),
            check: Box::new(|options| fault.check_options(options)),
        });
        Self {
            targets: targets.collect(),
            workloads: workloads.collect(),
            faults: faults.collect(),
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

fn only_on(fault: &dyn tribunal_nemesis::Fault) -> Option<fabric::Kind> {
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
fn anomalies(own: &[&str]) -> Vec<&'static str> {
    let judges = tribunal_checkers::ALL.iter().filter(|checker| {
        own.contains(&checker.name()) || crate::judge::ALWAYS.contains(&checker.name())
    });
    let mut names: Vec<&str> = Vec::new();
    for name in judges.flat_map(|checker| checker.anomalies().iter().copied()) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}
