//! What is agreed upon: commands, and the batches of them that fill slots.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tribunal_results::{NodeId, Operation, Scalar};

use crate::wire::{Body, WireError, operation};

/// The most commands that one slot holds.
pub(super) const BATCH_MAX: usize = 128;
/// The most that the commands of one slot weigh; see [`Command::weight`].
pub(super) const BATCH_WEIGHT_MAX: usize = 32 << 10;
/// The longest text as a key or a value, in bytes.
const TEXT_MAX: usize = 1 << 10;
/// What a command weighs besides its texts.
const FRAME: usize = 160;

/// What a command does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Act {
    /// Reads a key: through the log like everything else, so that it sees all that was before it.
    #[serde(rename = "r")]
    Read(Scalar),
    /// Writes a value under a key.
    #[serde(rename = "w")]
    Write(Scalar, Scalar),
    /// Writes the last value if the first one is there.
    #[serde(rename = "c")]
    Cas(Scalar, Scalar, Scalar),
    /// Makes a node a member.
    #[serde(rename = "add")]
    Add(NodeId),
    /// Lets a member go.
    #[serde(rename = "remove")]
    Remove(NodeId),
}

impl Act {
    /// What a client asks for.
    ///
    /// # Errors
    /// It is none of these, or has not the right form.
    pub(super) fn parse(body: &Body) -> Result<Self, WireError> {
        let act = match body.kind() {
            "add_node" => Self::Add(body.field("node")?),
            "remove_node" => Self::Remove(body.field("node")?),
            kind => match operation::parse(body)? {
                Operation::Read { key } => Self::Read(key),
                Operation::Write { key, value } => Self::Write(key, value),
                Operation::Cas { key, from, to } => Self::Cas(key, from, to),
                _ => return Err(WireError::not_supported(kind)),
            },
        };
        match act.texts().iter().all(|bytes| *bytes <= TEXT_MAX) {
            true => Ok(act),
            false => Err(WireError::malformed(format!(
                "keys and values have at most {TEXT_MAX} bytes"
            ))),
        }
    }

    /// Whether it changes who the members are.
    pub(super) const fn reconfigures(&self) -> bool {
        matches!(self, Self::Add(_) | Self::Remove(_))
    }

    /// The bytes of each of its texts.
    fn texts(&self) -> [usize; 3] {
        let length = |scalar: &Scalar| match scalar {
            Scalar::Int(_) => 0,
            Scalar::Text(text) => text.len(),
        };
        match self {
            Self::Read(key) => [length(key), 0, 0],
            Self::Write(key, value) => [length(key), length(value), 0],
            Self::Cas(key, from, to) => [length(key), length(from), length(to)],
            Self::Add(node) | Self::Remove(node) => [node.len(), 0, 0],
        }
    }
}

/// One command. Origin and number name it: however often it gets into the log, it is carried out
/// once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Row", into = "Row")]
pub(super) struct Command {
    /// The replica whose client asks.
    pub(super) origin: NodeId,
    /// Numbers the origin's commands, over all its lives.
    pub(super) number: u64,
    /// Commands of the origin below this number will never be asked for again.
    pub(super) settled: u64,
    /// What it does.
    pub(super) act: Act,
}

/// A command as it is written: without the names of its fields.
type Row = (NodeId, u64, u64, Act);

impl From<Row> for Command {
    fn from((origin, number, settled, act): Row) -> Self {
        Self {
            origin,
            number,
            settled,
            act,
        }
    }
}

impl From<Command> for Row {
    fn from(command: Command) -> Self {
        let Command {
            origin,
            number,
            settled,
            act,
        } = command;
        (origin, number, settled, act)
    }
}

impl Command {
    /// No less than the bytes that it takes as JSON: of a text, each may have to be escaped.
    pub(super) fn weight(&self) -> usize {
        FRAME + 6 * self.act.texts().iter().sum::<usize>()
    }
}

/// What one slot holds. An empty one is a no-op; one that changes the members holds nothing else.
pub(super) type Batch = Arc<Vec<Command>>;

/// Whether it changes who the members are.
pub(super) fn reconfigures(batch: &Batch) -> bool {
    batch.iter().any(|command| command.act.reconfigures())
}

/// Whether a proposer may have made it.
pub(super) fn is_sound(batch: &Batch) -> bool {
    let weight: usize = batch.iter().map(Command::weight).sum();
    let alone = batch.len() == 1 || !reconfigures(batch);
    batch.len() <= BATCH_MAX && weight <= BATCH_WEIGHT_MAX && alone
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn requests_become_acts_and_others_are_refused() {
        let parse = |body: Body| Act::parse(&body);
        let read = Body::new("read").with("key", 1);
        assert_eq!(parse(read).unwrap(), Act::Read(1.into()));
        let cas = Body::new("cas")
            .with("key", "a")
            .with("from", 1)
            .with("to", 2);
        assert_eq!(
            parse(cas).unwrap(),
            Act::Cas("a".into(), 1.into(), 2.into())
        );
        let add = Body::new("add_node").with("node", "n4");
        assert_eq!(parse(add).unwrap(), Act::Add("n4".into()));
        assert!(parse(Body::new("add_node")).is_err());
        assert!(parse(Body::new("drain").with("key", 1)).is_err());
        let long = "x".repeat(TEXT_MAX + 1);
        assert!(parse(Body::new("read").with("key", long)).is_err());
    }

    #[test]
    fn a_command_weighs_no_less_than_its_json_and_fits_into_a_batch() {
        let text = "\u{1}".repeat(TEXT_MAX);
        let text = || Scalar::from(text.clone());
        let command = Command {
            origin: "n1".into(),
            number: u64::MAX,
            settled: u64::MAX,
            act: Act::Cas(text(), text(), text()),
        };
        let bytes = json!(command).to_string().len();
        assert!(bytes <= command.weight() && command.weight() <= BATCH_WEIGHT_MAX);
        let again: Command = serde_json::from_value(json!(command)).unwrap();
        assert_eq!(again, command);
    }
}
