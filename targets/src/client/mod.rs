//! The client side: a [`Session`] carries one worker's operations to its node, over one
//! connection at a time.
//!
//! | module | what it does |
//! |---|---|
//! | [`translate`] | operations to messages, answers to outcomes |
//! | [`wire_client`] | one connection that speaks the wire protocol |

pub mod translate;
pub mod wire_client;

use serde_json::Value as Json;
use tokio::time::timeout;
use tribunal_results::{Operation, Outcome, Reason};

use crate::{Client, ClientSpec, System, Target};

/// One worker's access to its node: opens a connection when it needs one, bounds every wait, and
/// never lets a late answer meet a later operation.
pub struct Session {
    target: System,
    spec: ClientSpec,
    client: Option<Box<dyn Client>>,
    /// What its node told it last to bring along.
    context: Option<Json>,
}

impl Session {
    /// A session without a connection yet.
    pub fn new(target: impl Into<System>, spec: ClientSpec) -> Self {
        Self {
            target: target.into(),
            spec,
            client: None,
            context: None,
        }
    }

    /// The same session at another node: it brings along what it was told.
    #[must_use]
    pub fn moved(self, to: Self) -> Self {
        Self {
            context: self.context,
            ..to
        }
    }

    /// Asks, and decides how it ended. Takes at most the time that the target may take to open,
    /// if there is no connection, and the spec's timeout for the operation.
    pub async fn perform(&mut self, operation: &Operation) -> Outcome {
        // Out of `self` while it is in use: if this future is dropped, so is the connection.
        let mut client = match self.client.take().and_then(usable) {
            Some(client) => client,
            None => match open(&*self.target, &self.spec).await {
                Ok(mut client) => {
                    self.context.iter().cloned().for_each(|c| client.resume(c));
                    client
                }
                Err(reason) => return Outcome::Fail(reason),
            },
        };
        let Ok(outcome) = timeout(self.spec.timeout, client.invoke(operation)).await else {
            let text = format!(
                "no answer from {} within {:?}",
                self.spec.node, self.spec.timeout
            );
            return unknown(operation, Reason::new("timeout", text));
        };
        if let Some(context) = client.context() {
            self.context = Some(context.clone());
        }
        if !matches!(outcome, Outcome::Info(_)) {
            self.client = usable(client);
        }
        outcome
    }

    /// Goes on as another process, on a new connection: as a new session.
    pub fn renumber(&mut self, process: u64) {
        self.client = None;
        self.context = None;
        self.spec.process = process;
    }
}

/// Opens a connection within the spec's timeout.
async fn open(target: &dyn Target, spec: &ClientSpec) -> Result<Box<dyn Client>, Reason> {
    timeout(target.opens_within(spec.timeout), target.open(spec))
        .await
        .unwrap_or_else(|_| {
            let text = format!("{} did not say hello within {:?}", spec.node, spec.timeout);
            Err(Reason::new("no-connection", text))
        })
}

fn usable(mut client: Box<dyn Client>) -> Option<Box<dyn Client>> {
    client.is_usable().then_some(client)
}

/// The outcome when nobody knows whether the operation was carried out: a pure read changed
/// nothing either way.
pub fn unknown(operation: &Operation, reason: Reason) -> Outcome {
    if operation.kind().mutates() {
        Outcome::Info(reason)
    } else {
        Outcome::Fail(reason)
    }
}
