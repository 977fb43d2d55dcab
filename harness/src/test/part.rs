//! What a test is made of: names of the catalogue, and values of the user's own.

use tribunal_targets::Target;
use tribunal_workloads::Workload;

use crate::parts::Parts;

/// A part of the user's own; see [`own`].
#[derive(Clone, Copy, Debug)]
pub struct Own<T>(T);

/// A target or a workload that is not of the catalogue: `Test::new(own(MyStore), "register")`.
pub const fn own<T>(part: T) -> Own<T> {
    Own(part)
}

/// What can be a test's target: a name, or an [`own`] [`Target`].
pub trait TargetPart {
    /// Joins the parts if it is new to them; its name.
    fn join(self, parts: &mut Parts) -> String;
}

impl TargetPart for &str {
    fn join(self, _: &mut Parts) -> String {
        self.to_owned()
    }
}

impl<T: Target + 'static> TargetPart for Own<T> {
    fn join(self, parts: &mut Parts) -> String {
        let target: &'static dyn Target = Box::leak(Box::new(self.0));
        parts.targets.push(target);
        target.name().to_owned()
    }
}

/// What can be a test's workload: a name, or an [`own`] [`Workload`].
pub trait LoadPart {
    /// Joins the parts if it is new to them; its name.
    fn join(self, parts: &mut Parts) -> String;
}

impl LoadPart for &str {
    fn join(self, _: &mut Parts) -> String {
        self.to_owned()
    }
}

impl<W: Workload + 'static> LoadPart for Own<W> {
    fn join(self, parts: &mut Parts) -> String {
        let workload: &'static dyn Workload = Box::leak(Box::new(self.0));
        parts.workloads.push(workload);
        workload.name().to_owned()
    }
}
