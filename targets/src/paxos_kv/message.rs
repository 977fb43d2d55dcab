//! What replicas say to each other.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::ballot::{Ballot, Slot};
use super::command::{Batch, Command};
use super::state::Row;
use crate::wire::Body;

/// What an acceptor accepted in one slot: where, in which ballot, and what.
pub(super) type Vote = (Slot, Ballot, Batch);

/// One message; its `type` on the wire is the name in snake case.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Say {
    /// Phase 1a: let me lead all slots from `from` on.
    Prepare { ballot: Ballot, from: Slot },
    /// Phase 1b: I accept nothing of lower ballots any more; this I have accepted so far.
    Promise { ballot: Ballot, votes: Vec<Vote> },
    /// Phase 2a: accept this. All below `chosen` is chosen.
    Accept {
        ballot: Ballot,
        slot: Slot,
        batch: Batch,
        chosen: Slot,
    },
    /// Phase 2b: I have accepted it.
    Accepted { ballot: Ballot, slot: Slot },
    /// What this ballot's leader proposed below `chosen` is chosen.
    Chosen { ballot: Ballot, chosen: Slot },
    /// The same from a leader that wants to know who follows; and whether a majority does.
    Heartbeat {
        ballot: Ballot,
        chosen: Slot,
        followed: bool,
    },
    /// I follow.
    HeartbeatOk { ballot: Ballot },
    /// I have promised this higher ballot.
    Reject { ballot: Ballot },
    /// You are late: all below `chosen` is chosen, and you can learn it from me.
    Behind { chosen: Slot },
    /// What was chosen from `from` on?
    Learn { from: Slot },
    /// This was chosen, slot by slot from `from` on.
    Learned { from: Slot, batches: Vec<Batch> },
    /// That part of that snapshot, or else what was chosen from `from` on.
    Fetch { slot: Slot, part: usize, from: Slot },
    /// Part of the state that all slots below `slot` make.
    Snapshot {
        slot: Slot,
        part: usize,
        last: bool,
        rows: Vec<Row>,
    },
    /// Propose these commands, if you lead.
    Propose { commands: Vec<Command> },
}

impl Say {
    /// It as a body.
    pub(super) fn body(&self) -> Body {
        serde_json::from_value(json!(self)).unwrap_or_default()
    }

    /// The message in a body; `None` if it is no such message.
    pub(super) fn parse(body: Body) -> Option<Self> {
        serde_json::from_value(body.into()).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_comes_back_from_its_body_and_nonsense_does_not() {
        let ballot = Ballot(3, "n1".into());
        let say = Say::Promise {
            ballot: ballot.clone(),
            votes: vec![(7, ballot, Batch::default())],
        };
        assert_eq!(say.body().kind(), "promise");
        assert_eq!(Say::parse(say.body()), Some(say));
        assert_eq!(Say::parse(Body::new("prepare").with("ballot", 3)), None);
        assert_eq!(Say::parse(Body::new("hello")), None);
    }
}
