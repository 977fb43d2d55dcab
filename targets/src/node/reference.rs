//! A reference target as plain data: each is one such row, with its own machine behind it.

use std::io;
use std::net::SocketAddr;

use serde_json::Value as Json;
use tribunal_results::options::OptionError;
use tribunal_results::{Assumptions, Kind, NodeId, Reason};

use super::{Machine, NodeError};
use crate::client::wire_client;
use crate::wire::Body;
use crate::{
    ALL, Client, ClientSpec, Launch, MemberChange, NodeSpec, Pending, PlantedBug, Shape, Status,
    Target, find,
};

/// A target whose nodes are this very binary.
pub struct Reference {
    /// See [`Target::name`].
    pub name: &'static str,
    /// See [`Target::about`].
    pub about: &'static str,
    /// See [`Target::claims`].
    pub claims: &'static str,
    /// See [`Target::operations`].
    pub operations: &'static [Kind],
    /// See [`Target::survives`].
    pub survives: &'static [&'static str],
    /// See [`Target::shape`].
    pub shape: Shape,
    /// See [`Target::bugs`].
    pub bugs: &'static [PlantedBug],
    /// See [`Target::check_options`].
    pub check_options: fn(&Json) -> Result<(), OptionError>,
    /// See [`Target::assume`].
    pub assume: fn(&Json, &mut Assumptions),
    /// Makes a node's machine. The bug, if any, is one of [`bugs`](Self::bugs).
    pub machine: fn(&NodeSpec) -> Result<Box<dyn Machine>, OptionError>,
    /// The request that changes who belongs to the system, if that can be changed: see
    /// [`Target::change_members`].
    pub change_members: Option<fn(&MemberChange) -> Body>,
}

/// The machine of a node, once everything that it is told has been checked.
///
/// # Errors
/// What is wrong with it.
pub fn machine(target: &str, spec: &NodeSpec) -> Result<Box<dyn Machine>, NodeError> {
    let reference = find(target)
        .and_then(Target::reference)
        .ok_or_else(|| unknown_target(target))?;
    check_names(spec)?;
    if let Some(bug) = &spec.bug
        && !reference.bugs.iter().any(|row| row.name == bug)
    {
        return Err(NodeError::UnknownBug {
            target: target.to_owned(),
            bug: bug.clone(),
            known: listed(reference.bugs.iter().map(|row| row.name)),
        });
    }
    (reference.machine)(spec).map_err(|error| NodeError::Option {
        target: target.to_owned(),
        error,
    })
}

fn unknown_target(name: &str) -> NodeError {
    let references = ALL.iter().filter(|target| target.reference().is_some());
    NodeError::UnknownTarget {
        name: name.to_owned(),
        known: listed(references.map(|target| target.name())),
    }
}

fn listed(names: impl Iterator<Item = &'static str>) -> String {
    names.collect::<Vec<_>>().join(", ")
}

/// The node must be in the list of nodes, and its peers must be all the others.
fn check_names(spec: &NodeSpec) -> Result<(), NodeError> {
    let others: Vec<&NodeId> = spec.nodes.iter().filter(|id| **id != spec.id).collect();
    let peers: Vec<&NodeId> = spec.peers.iter().map(|(id, _)| id).collect();
    if others.len() + 1 == spec.nodes.len() && others == peers {
        return Ok(());
    }
    Err(NodeError::Spec(format!(
        "node {} of {:?} needs the address of every other node once, in this order, but has {peers:?}",
        spec.id, spec.nodes
    )))
}

impl Target for Reference {
    fn name(&self) -> &'static str {
        self.name
    }

    fn about(&self) -> &'static str {
        self.about
    }

    fn claims(&self) -> &'static str {
        self.claims
    }

    fn operations(&self) -> &'static [Kind] {
        self.operations
    }

    fn survives(&self) -> &'static [&'static str] {
        self.survives
    }

    fn shape(&self) -> Shape {
        self.shape
    }

    fn bugs(&self) -> &'static [PlantedBug] {
        self.bugs
    }

    fn check_options(&self, options: &Json) -> Result<(), OptionError> {
        (self.check_options)(options)
    }

    fn assume(&self, options: &Json, assume: &mut Assumptions) {
        (self.assume)(options, assume);
    }

    fn launch(&self, spec: &NodeSpec) -> Launch {
        let mut args = vec!["node".to_owned(), self.name.to_owned()];
        let mut option = |name: &str, value: String| args.extend([name.to_owned(), value]);
        option("--id", spec.id.to_string());
        option("--listen", spec.listen.to_string());
        for (peer, address) in &spec.peers {
            option("--peer", format!("{peer}={address}"));
        }
        option("--nodes", spec.nodes.join(","));
        option("--data", spec.data.display().to_string());
        if let Some(bug) = &spec.bug {
            option("--bug", bug.clone());
        }
        if !spec.options.is_null() {
            option("--options", spec.options.to_string());
        }
        Launch {
            program: None,
            args,
            ..Launch::default()
        }
    }

    fn status(&self, address: SocketAddr) -> Pending<'_, io::Result<Status>> {
        Box::pin(wire_client::status(address))
    }

    fn open<'a>(&'a self, spec: &'a ClientSpec) -> Pending<'a, Result<Box<dyn Client>, Reason>> {
        Box::pin(wire_client::open(spec))
    }

    fn change_members<'a>(
        &'a self,
        (node, address): (&'a NodeId, SocketAddr),
        change: &'a MemberChange,
    ) -> Option<Pending<'a, Result<(), Reason>>> {
        let request = self.change_members?(change);
        Some(Box::pin(wire_client::demand(node, address, request)))
    }

    fn reference(&self) -> Option<&Self> {
        Some(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_launch_tells_the_node_all_that_its_spec_says() {
        let spec = NodeSpec {
            id: "n1".into(),
            listen: ([127, 0, 0, 1], 4000).into(),
            peers: vec![("n2".into(), ([127, 0, 0, 2], 4001).into())],
            advertised: None,
            nodes: vec!["n1".into(), "n2".into()],
            data: "/tmp/n1".into(),
            bug: Some("read-one".into()),
            options: serde_json::json!({ "a": 1 }),
        };
        let launch = crate::quorum_register::TARGET.launch(&spec);
        let expected = "node quorum-register --id n1 --listen 127.0.0.1:4000 \
            --peer n2=127.0.0.2:4001 --nodes n1,n2 --data /tmp/n1 --bug read-one \
            --options {\"a\":1}";
        assert_eq!(launch.args.join(" "), expected);
        assert_eq!(launch.program, None);
    }
}
