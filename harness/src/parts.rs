//! What runs are made of: everything of the catalogues, and what a user's own test adds.
//!
//! A plan names its parts; [`Parts`] finds them. A part of a user's own hides a namesake of the
//! catalogue, for that plan alone, so that two tests of one process may each have a `store`.

use std::fmt;
use std::path::PathBuf;

use anyhow::Context as _;
use tribunal_checkers::Checker;
use tribunal_nemesis::Fault;
use tribunal_targets::Target;
use tribunal_workloads::Workload;

/// Parts besides those of the catalogues; none unless somebody adds them.
#[derive(Clone, Default)]
pub struct Parts {
    /// Systems that can be tested.
    pub targets: Vec<&'static dyn Target>,
    /// Kinds of load.
    pub workloads: Vec<&'static dyn Workload>,
    /// Judges.
    pub checkers: Vec<&'static dyn Checker>,
    /// Ways to break something.
    pub faults: Vec<&'static dyn Fault>,
    /// The program `tribunal`, if that is not the one that runs.
    pub program: Option<PathBuf>,
}

impl Parts {
    /// The target of that name.
    pub fn target(&self, name: &str) -> Option<&'static dyn Target> {
        let own = self.targets.iter().copied().find(|own| own.name() == name);
        own.or_else(|| tribunal_targets::find(name))
    }

    /// The workload of that name.
    pub fn workload(&self, name: &str) -> Option<&'static dyn Workload> {
        let mut own = self.workloads.iter().copied();
        let own = own.find(|own| own.name() == name);
        own.or_else(|| tribunal_workloads::find(name))
    }

    /// The checker of that name.
    pub fn checker(&self, name: &str) -> Option<&'static dyn Checker> {
        let own = self.checkers.iter().copied().find(|own| own.name() == name);
        own.or_else(|| tribunal_checkers::find(name))
    }

    /// The program that guards runs, judges them, and is the nodes of reference targets.
    ///
    /// # Errors
    /// If it cannot be found.
    pub fn program(&self) -> anyhow::Result<PathBuf> {
        match &self.program {
            Some(program) => Ok(program.clone()),
            None => std::env::current_exe().context("cannot find this program"),
        }
    }

    /// Whether only this process knows what judges: a workload says which checkers do.
    pub fn judge_here(&self) -> bool {
        !self.checkers.is_empty() || !self.workloads.is_empty()
    }

    fn names(&self) -> [Vec<&'static str>; 4] {
        [
            self.targets.iter().map(|part| part.name()).collect(),
            self.workloads.iter().map(|part| part.name()).collect(),
            self.checkers.iter().map(|part| part.name()).collect(),
            self.faults.iter().map(|part| part.name()).collect(),
        ]
    }
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Parts").field(&self.names()).finish()
    }
}

impl PartialEq for Parts {
    fn eq(&self, other: &Self) -> bool {
        self.names() == other.names() && self.program == other.program
    }
}
