//! What suites may say of hosted nodes.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value as Json;
use tribunal_results::options::{OptionError, decode};

use super::dialect::Dialect;
use super::neighbours::Neighbours;
use crate::program;

/// The options.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// The program of a node.
    pub bin: String,
    /// Its arguments.
    #[serde(default)]
    pub args: Vec<String>,
    /// What it speaks: the name of one of Maelstrom's workloads.
    pub speaks: Dialect,
    /// Where every node runs; each in a directory of its own that survives restarts if absent.
    #[serde(default)]
    pub cwd: Option<PathBuf>,
    /// The number of the first node: 0 for n0, n1, …
    #[serde(default = "one")]
    pub first_node: usize,
    /// What nodes are told of their neighbours, where they speak `broadcast`.
    #[serde(default)]
    pub neighbours: Neighbours,
    /// Whether messages on a link keep their order whatever their latency.
    #[serde(default)]
    pub fifo: bool,
    /// Whether what a node does against the protocol is a violation.
    #[serde(default)]
    pub strict_protocol: bool,
}

const fn one() -> usize {
    1
}

impl Options {
    /// Reads them.
    ///
    /// # Errors
    /// The path and nature of the first wrong one.
    pub fn read(options: &Json) -> Result<Self, OptionError> {
        let options: Self = decode(options)?;
        if options.first_node > 1 {
            let text = "nodes are called n0, n1, … (0) or n1, n2, … (1)";
            return Err(OptionError::new("first_node", text));
        }
        Ok(options)
    }

    /// Whether they can be started here.
    ///
    /// # Errors
    /// The path and nature of the first thing that can't be.
    pub fn check(&self) -> Result<(), OptionError> {
        let found = program::find(&self.bin).map(drop);
        found.map_err(|why| OptionError::new("bin", why))?;
        match &self.cwd {
            Some(cwd) if !cwd.is_dir() => {
                let text = format!(
                    "{} is no folder; make it, or correct the path",
                    cwd.display()
                );
                Err(OptionError::new("cwd", text))
            }
            _ => Ok(()),
        }
    }

    /// The program, as every node finds it wherever it runs.
    pub(super) fn program(&self) -> PathBuf {
        let given = Path::new(&self.bin);
        match self.bin.contains('/') {
            true => std::path::absolute(given).unwrap_or_else(|_| given.to_owned()),
            false => given.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(options: Json) -> Result<(), OptionError> {
        Options::read(&options)?.check()
    }

    #[test]
    fn each_mistake_is_told_at_its_place() {
        assert_eq!(check(json!({ "bin": "sh", "speaks": "echo" })), Ok(()));
        for (options, path, words) in [
            (json!({ "speaks": "echo" }), "", "bin"),
            (json!({ "bin": "sh" }), "", "speaks"),
            (
                json!({ "bin": "sh", "speaks": "eko" }),
                "speaks",
                "txn-list-append",
            ),
            (
                json!({ "bin": "no-such-x", "speaks": "echo" }),
                "bin",
                "PATH",
            ),
            (
                json!({ "bin": "/etc/passwd", "speaks": "echo" }),
                "bin",
                "chmod +x",
            ),
            (json!({ "bin": "/", "speaks": "echo" }), "bin", "folder"),
            (
                json!({ "bin": "sh", "speaks": "echo", "cwd": "/no/such" }),
                "cwd",
                "no folder",
            ),
            (
                json!({ "bin": "sh", "speaks": "echo", "first_node": 7 }),
                "first_node",
                "n0",
            ),
            (
                json!({ "bin": "sh", "speaks": "echo", "neighbours": "x" }),
                "neighbours",
                "tree4",
            ),
        ] {
            let error = check(options.clone()).unwrap_err();
            assert_eq!(error.path, path, "{options}: {error}");
            assert!(error.message.contains(words), "{error}");
        }
    }
}
