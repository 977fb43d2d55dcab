//! The other nodes: each passes its clients' requests on to the coordinator, and the answers
//! back. It keeps nothing and repeats nothing, since none of the requests may be done twice.

use tribunal_results::NodeId;

use crate::Status;
use crate::node::heartbeat::{HEARTBEAT_TIMER, Heartbeat};
use crate::node::{Input, Machine, Nanos, Outbox};
use crate::wire::{Body, Code, Message, WireError};

/// The machine of every node but the first.
#[derive(Debug)]
pub(crate) struct Relay {
    nodes: Vec<NodeId>,
    coordinator: NodeId,
    heartbeat: Heartbeat,
}

impl Relay {
    pub(crate) fn new(nodes: Vec<NodeId>, coordinator: NodeId) -> Self {
        Self {
            nodes,
            heartbeat: Heartbeat::new(vec![coordinator.clone()]),
            coordinator,
        }
    }

    fn message(&mut self, message: Message, now: Nanos, out: &mut Outbox) {
        let Message { src, body, .. } = message;
        match body.kind() {
            "pong" if src == self.coordinator => self.heartbeat.heard(&src, now),
            "relay_ok" if src == self.coordinator => {
                if let (Ok(client), Ok(inner)) = (body.field("client"), body.field("body")) {
                    out.send(&client, inner);
                }
            }
            "error" => {}
            _ if self.nodes.contains(&src) => {}
            _ => self.relay(&src, body, now, out),
        }
    }

    /// Hands a request on, or refuses it for sure as long as nothing was sent.
    fn relay(&self, client: &NodeId, body: Body, now: Nanos, out: &mut Outbox) {
        if self.heartbeat.is_alive(&self.coordinator, now) {
            let relayed = Body::new("relay")
                .with("client", &**client)
                .with("body", body);
            return out.send(&self.coordinator, relayed);
        }
        // Not "temporarily unavailable", which is the coordinator's own word for a lock that is
        // taken: what was never asked tells nothing about it.
        let text = format!("no connection to {}", self.coordinator);
        let error = WireError::new(Code::Abort, text);
        out.send(client, error.body().in_reply(body.msg_id()));
    }
}

impl Machine for Relay {
    fn recover(&mut self, _record: &[u8]) -> serde_json::Result<()> {
        Ok(())
    }

    fn step(&mut self, input: Input, now: Nanos, out: &mut Outbox) {
        match input {
            Input::Start | Input::Timer(HEARTBEAT_TIMER) => self.heartbeat.beat(now, out),
            Input::Timer(_) => {}
            Input::Message(message) => self.message(message, now, out),
            Input::Link { peer, up } => self.heartbeat.link(&peer, up, out),
        }
    }

    fn status(&self, now: Nanos) -> Status {
        let ready = self.heartbeat.is_alive(&self.coordinator, now);
        Status {
            ready,
            role: "relay".to_owned(),
            leader: Some(self.coordinator.clone()),
            detail: match ready {
                true => String::new(),
                false => format!("{} does not answer", self.coordinator),
            },
            ..Status::default()
        }
    }
}
