//! A client of one node: sets, each of which is a stream.

use std::collections::BTreeSet;

use tribunal_results::{Answer, Operation, Outcome, Reason, Scalar};

use super::connection::{Connection, Failure};
use super::stream::Stream;
use crate::{Client, ClientSpec, Pending};

/// A client with a connection.
pub(super) struct NatsClient {
    connection: Connection,
    replicas: usize,
    /// Streams that were there since it connected.
    known: BTreeSet<Stream>,
}

/// Connects to the node.
///
/// # Errors
/// Why there is no connection.
pub(super) async fn open(replicas: usize, spec: &ClientSpec) -> Result<Box<dyn Client>, Reason> {
    let lost = |e| Reason::new("no-connection", format!("{}: {e}", spec.address));
    Ok(Box::new(NatsClient {
        connection: Connection::open(spec.address).await.map_err(lost)?,
        replicas,
        known: BTreeSet::new(),
    }))
}

impl NatsClient {
    async fn perform(&mut self, operation: &Operation) -> Outcome {
        let ended = match operation {
            Operation::Add { key, value } => self.add(key, value).await,
            Operation::Members { key } => {
                let values = Stream::of(key).values(&mut self.connection).await;
                values.map(Answer::Values)
            }
            _ => {
                let text = format!("the target `nats` does not {operation}");
                Err(Failure::Refused(Reason::new("not-supported", text)))
            }
        };
        match ended {
            Ok(answer) => Outcome::Ok(answer),
            Err(failure) => failure.outcome(operation),
        }
    }

    /// Adds to a set, whose stream is made first unless it is known to be there: as programs do when
    /// they start.
    async fn add(&mut self, key: &Scalar, value: &Scalar) -> Result<Answer, Failure> {
        let stream = Stream::of(key);
        if !self.known.contains(&stream) {
            let created = stream.create(&mut self.connection, self.replicas).await;
            created.map_err(Failure::Refused)?;
            self.known.insert(stream.clone());
        }
        stream.publish(&mut self.connection, value).await?;
        Ok(Answer::Done)
    }
}

impl Client for NatsClient {
    fn invoke<'a>(&'a mut self, operation: &'a Operation) -> Pending<'a, Outcome> {
        Box::pin(self.perform(operation))
    }

    fn is_usable(&mut self) -> bool {
        self.connection.is_usable()
    }
}
