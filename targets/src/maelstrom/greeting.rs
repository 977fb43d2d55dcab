//! What a new process is told before it is ready: `init`, and its neighbours where it speaks
//! `broadcast`. Each by a client of ours that is then thrown away, and that nothing cuts off.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value as Json, json};
use tokio::time::timeout;
use tribunal_results::NodeId;

use super::board::At;
use super::host::Shared;
use super::hosted::locked;
use crate::wire::Body;

/// How long a node may take to answer each.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// How far it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum State {
    /// It was told nothing.
    #[default]
    New,
    /// It was told `init`.
    Greeted,
    /// It has answered, and was told `topology`.
    SetUp,
    /// It has answered all.
    Ready,
    /// It has not, and will not.
    Refused(String),
}

/// How far one process is.
#[derive(Clone, Debug, Default)]
pub(super) struct Greeting(Arc<Mutex<State>>);

impl Greeting {
    pub(super) fn state(&self) -> State {
        locked(&self.0).clone()
    }

    /// It is greeted by whoever says so.
    pub(super) fn begin(&self) {
        self.set(State::Greeted);
    }

    fn set(&self, state: State) {
        *locked(&self.0) = state;
    }
}

/// What a node is told.
#[derive(Debug)]
pub(super) struct Words {
    pub(super) node: NodeId,
    pub(super) nodes: Vec<NodeId>,
    pub(super) neighbours: Option<Json>,
}

/// Greets a node.
pub(super) async fn greet(shared: Arc<Shared>, at: At, words: Words, greeting: Greeting) {
    let nodes: Vec<&str> = words.nodes.iter().map(|id| &**id).collect();
    let init = Body::new("init")
        .with("node_id", &*words.node)
        .with("node_ids", json!(nodes));
    let ended = async {
        ask(&shared, at, &words.node, init).await?;
        if let Some(neighbours) = words.neighbours {
            greeting.set(State::SetUp);
            let topology = Body::new("topology").with("topology", neighbours);
            ask(&shared, at, &words.node, topology).await?;
        }
        Ok(())
    };
    let ended: Result<(), String> = ended.await;
    greeting.set(ended.map_or_else(State::Refused, |()| State::Ready));
}

/// Asks for something that must be answered.
async fn ask(shared: &Shared, at: At, node: &NodeId, body: Body) -> Result<(), String> {
    let kind = body.kind().to_owned();
    let text = Json::from(body.with("msg_id", 1)).to_string();
    let (client, mut answers) = shared.with(|board| {
        let (client, answers) = board.join(true);
        board.ask(client, at, node, &text);
        (client, answers)
    });
    let answer = timeout(ANSWER_WITHIN, async {
        loop {
            let text = answers.recv().await?;
            let body: Body = serde_json::from_str(&text).ok()?;
            if body.in_reply_to() == Some(1) {
                return Some(body);
            }
        }
    });
    let answer = answer.await;
    shared.with(|board| board.leave(client));
    let expected = format!("{kind}_ok");
    match answer {
        Ok(Some(body)) if body.kind() == expected => Ok(()),
        Ok(Some(body)) => Err(format!("it answered `{kind}` with {}", Json::from(body))),
        Ok(None) => Err(format!("its answer to `{kind}` is none")),
        Err(_) => Err(format!(
            "it did not answer `{kind}` within {} s: it must print a line with `{expected}` and \
             `in_reply_to` 1, and flush its output; see what it wrote to stderr",
            ANSWER_WITHIN.as_secs()
        )),
    }
}
