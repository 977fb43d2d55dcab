//! One request of a client on its way through the two phases.

use std::collections::BTreeSet;

use serde_json::json;
use tribunal_results::{NodeId, Scalar};

use super::replica::Version;
use crate::node::Nanos;
use crate::wire::{Body, Code, WireError};

/// What the client asked for.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Goal {
    Read,
    Write(Scalar),
}

/// How far it has come.
#[derive(Clone, Debug)]
pub(super) enum Phase {
    /// Asking for the newest version: what each other replica told, or that it has none.
    Query(Vec<Option<Version>>),
    /// Storing a version.
    Store(Version),
}

/// A request in progress.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) client: NodeId,
    pub(super) msg_id: Option<u64>,
    pub(super) key: Scalar,
    pub(super) goal: Goal,
    pub(super) phase: Phase,
    /// The replicas, this node among them, that have done their part of the phase.
    pub(super) answered: BTreeSet<NodeId>,
    /// When it is given up.
    pub(super) until: Nanos,
}

impl Request {
    /// What a client asks, and of which key.
    pub(super) fn parse(body: &Body) -> Result<(Scalar, Goal), WireError> {
        let goal = match body.kind() {
            "read" => Goal::Read,
            "write" => Goal::Write(body.field("value")?),
            kind => return Err(WireError::not_supported(kind)),
        };
        Ok((body.field("key")?, goal))
    }

    /// The message that asks a replica for its part of the phase.
    pub(super) fn message(&self, number: u64) -> Body {
        let body = match &self.phase {
            Phase::Query(_) => Body::new("query"),
            Phase::Store(version) => version.put(Body::new("store")),
        };
        body.with("request", number).with("key", json!(self.key))
    }

    /// A replica told its newest version. What belongs to another phase comes too late.
    pub(super) fn told(&mut self, replica: &NodeId, version: Option<Version>) {
        if let Phase::Query(told) = &mut self.phase
            && self.answered.insert(replica.clone())
        {
            told.push(version);
        }
    }

    /// A replica has stored the version.
    pub(super) fn stored(&mut self, replica: &NodeId) {
        if matches!(self.phase, Phase::Store(_)) {
            self.answered.insert(replica.clone());
        }
    }

    /// The client's answer, once `version` is what it reads or wrote.
    pub(super) fn answer(&self, version: Option<&Version>) -> Body {
        let body = match (&self.goal, version) {
            (Goal::Write(_), _) => Body::new("write_ok"),
            (Goal::Read, Some(version)) => Body::new("read_ok").with("value", json!(version.value)),
            (Goal::Read, None) => {
                let text = format!("nothing was written to {} yet", self.key);
                WireError::new(Code::KeyDoesNotExist, text).body()
            }
        };
        body.in_reply(self.msg_id)
    }
}
