//! What suites may say of NATS.

use serde::Deserialize;
use serde_json::Value as Json;
use tribunal_results::NodeId;
use tribunal_results::options::{OptionError, decode};

/// The most replicas that JetStream keeps of a stream.
const REPLICAS_MAX: usize = 5;

/// The options.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Path of the server; searched in `PATH` if absent.
    pub binary: Option<String>,
    /// How many nodes keep each stream.
    pub replicas: usize,
}

impl Options {
    /// What holds unless a suite says otherwise.
    pub const DEFAULT: Self = Self {
        binary: None,
        replicas: 3,
    };

    /// Reads and checks them.
    ///
    /// # Errors
    /// The path and nature of the first that is wrong.
    pub fn read(options: &Json) -> Result<Self, OptionError> {
        let options: Self = decode(options)?;
        if !(1..=REPLICAS_MAX).contains(&options.replicas) {
            let text = format!("from 1 to {REPLICAS_MAX}");
            return Err(OptionError::new("replicas", text));
        }
        Ok(options)
    }

    /// Checks them for a cluster of those nodes.
    ///
    /// # Errors
    /// The path and nature of the first that is wrong.
    pub fn check(&self, nodes: &[NodeId]) -> Result<(), OptionError> {
        let count = nodes.len();
        if count == 2 {
            let text = "NATS needs 1 node, or at least 3: two have no majority without one";
            return Err(OptionError::new("", text));
        }
        if self.replicas > count {
            let text = format!("there are {count} nodes: write `replicas: {count}`, or more nodes");
            return Err(OptionError::new("replicas", text));
        }
        Ok(())
    }
}

impl Default for Options {
    fn default() -> Self {
        Self::DEFAULT
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_makes_no_sense_is_refused_at_its_place() {
        let nodes: Vec<NodeId> = ["n1", "n2", "n3"].map(NodeId::from).into();
        let check = |options: Json, count: usize| {
            Options::read(&options).and_then(|options| options.check(&nodes[..count]))
        };
        assert_eq!(check(Json::Null, 3), Ok(()));
        assert_eq!(check(json!({ "replicas": 1 }), 1), Ok(()));
        for (options, count, path) in [
            (json!({}), 1, "replicas"),
            (json!({ "replicas": 0 }), 3, "replicas"),
            (json!({ "replicas": 5 }), 3, "replicas"),
            (json!({ "replicas": 6 }), 3, "replicas"),
            (json!({ "replicas": 1 }), 2, ""),
        ] {
            let refused = check(options.clone(), count).unwrap_err();
            assert_eq!(refused.path, path, "{options}");
        }
    }
}
