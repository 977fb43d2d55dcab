//! What a suite says of a system that is none of ours, and whether it makes sense.

use std::collections::BTreeMap;
use std::path::{Component, Path};

use serde::Deserialize;
use serde_json::Value as Json;
use tribunal_results::options::{OptionError, decode};
use tribunal_results::{Kind, NodeId};

use super::template::{Variables, specimen};
use crate::http::Api;
use crate::program;

/// How a node is told that the run is over.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub enum StopBy {
    /// By SIGTERM, and by SIGKILL if it does not end within three seconds.
    #[default]
    Terminate,
    /// By another signal, such as `INT`.
    Signal(Signal),
    /// By a command.
    Command(Vec<String>),
}

/// The signals that systems understand as a request to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Signal {
    /// SIGHUP.
    Hup = 1,
    /// SIGINT.
    Int = 2,
    /// SIGQUIT.
    Quit = 3,
    /// SIGKILL.
    Kill = 9,
    /// SIGUSR1.
    Usr1 = 10,
    /// SIGUSR2.
    Usr2 = 12,
    /// SIGTERM.
    Term = 15,
}

/// When a node is ready.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ready {
    /// When it accepts a connection at this address.
    Tcp(String),
    /// When it answers a GET of this `http://` URL with a status from 200 to 299.
    Http(String),
    /// When a line that it has printed since its start contains this text.
    Log(String),
    /// When this command ends with exit code 0.
    Command(Vec<String>),
}

impl Default for Ready {
    fn default() -> Self {
        Self::Tcp("{{node.addr}}".into())
    }
}

/// What lines of its log mean.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Crash {
    /// A line with one of these is a crash, besides those that are always looked for.
    pub patterns: Vec<String>,
    /// A line with one of these is none.
    pub harmless: Vec<String>,
}

/// How members are added and removed: commands, in which `{{member.id}}` and `{{member.addr}}`
/// stand for the one, and `node` for the one that is asked.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Members {
    /// Adds one.
    pub add: Vec<String>,
    /// Removes one.
    pub remove: Vec<String>,
}

/// How clients talk to it: exactly one way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClientBy {
    /// A program that speaks JSON lines, with its arguments.
    pub adapter: Option<Vec<String>>,
    /// Variables added to its environment.
    pub env: BTreeMap<String, String>,
    /// The operations that it understands; all if absent.
    pub operations: Option<Vec<Kind>>,
    /// Requests over HTTP.
    pub http: Option<Api>,
}

/// What a suite says of a system.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// The program of a node, and its arguments.
    pub command: Vec<String>,
    /// Variables added to its environment.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Files that are written before each start, by their paths within the data directory.
    #[serde(default)]
    pub files: BTreeMap<String, String>,
    /// When it is ready.
    #[serde(default)]
    pub ready: Ready,
    /// How it is told that the run is over.
    #[serde(default)]
    pub stop: StopBy,
    /// What lines of its log mean.
    #[serde(default)]
    pub crash: Crash,
    /// A command that prints what the node says of itself: its role as one word, or a JSON object
    /// with `role`, `leader`, `detail`, `members`.
    #[serde(default)]
    pub status: Option<Vec<String>>,
    /// A command that prints the name of the node that leads.
    #[serde(default)]
    pub leader: Option<Vec<String>>,
    /// How members are added and removed.
    #[serde(default)]
    pub members: Option<Members>,
    /// Whether each node tells the others one address of itself, at which all dial it.
    #[serde(default)]
    pub advertises: bool,
    /// How clients talk to it.
    pub client: ClientBy,
}

impl Options {
    /// Reads them.
    ///
    /// # Errors
    /// The path and nature of the first wrong field.
    pub fn read(options: &Json) -> Result<Self, OptionError> {
        decode(options)
    }

    /// Whether they make sense in a cluster of those nodes, and every program can be started.
    ///
    /// # Errors
    /// The path and nature of the first that does not.
    pub fn check(&self, nodes: &[NodeId]) -> Result<(), OptionError> {
        let spec = specimen(nodes);
        let plain = Variables::of(&spec);
        let with_member = Variables {
            member: Some((&spec.id, spec.listen)),
            ..plain
        };
        words("command", &self.command, &plain)?;
        for (name, value) in &self.env {
            filled(&format!("env.{name}"), value, &plain)?;
        }
        for (path, content) in &self.files {
            check_path(path)?;
            // A file's name may have dots, which paths of options are divided by.
            filled("files", content, &plain)?;
        }
        match &self.ready {
            Ready::Tcp(address) => filled("ready.tcp", address, &plain)?,
            Ready::Http(url) => check_url(url, &plain)?,
            Ready::Log(text) => filled("ready.log", text, &plain)?,
            Ready::Command(command) => words("ready.command", command, &plain)?,
        }
        if let StopBy::Command(command) = &self.stop {
            words("stop.command", command, &plain)?;
        }
        for (path, command) in [("status", &self.status), ("leader", &self.leader)] {
            command.iter().try_for_each(|c| words(path, c, &plain))?;
        }
        if let Some(members) = &self.members {
            words("members.add", &members.add, &with_member)?;
            words("members.remove", &members.remove, &with_member)?;
        }
        self.client.check(&plain)
    }
}

impl ClientBy {
    fn check(&self, variables: &Variables<'_>) -> Result<(), OptionError> {
        let adapter = match (&self.adapter, &self.http) {
            (Some(adapter), None) => adapter,
            (None, Some(api)) => return api.check().map_err(|e| under("client.http", &e)),
            (None, None) => {
                let message = "a client needs an `adapter`, a program that speaks JSON lines such \
                               as [python3, \"{{suite.dir}}/client.py\"], or `http`";
                return Err(OptionError::new("client", message));
            }
            (Some(_), Some(_)) => {
                let message = "a client is either an `adapter` or `http`";
                return Err(OptionError::new("client", message));
            }
        };
        if let Some(at) = adapter.iter().position(|word| word.contains("{{")) {
            let message = "an adapter is told its node by `open`, so its command has no variables \
                           but suite.dir (in a suite's file)";
            return Err(OptionError::new(format!("client.adapter[{at}]"), message));
        }
        words("client.adapter", adapter, variables)
    }

    /// The operations that it understands.
    pub fn operations(&self) -> Vec<Kind> {
        match (&self.operations, &self.http) {
            (Some(operations), _) => operations.clone(),
            (None, Some(api)) => api.kinds(),
            (None, None) => Kind::ALL.to_vec(),
        }
    }
}

/// The same error, seen from further up.
fn under(above: &str, error: &OptionError) -> OptionError {
    let path = match error.path.as_str() {
        "" => above.to_owned(),
        path => format!("{above}.{path}"),
    };
    OptionError::new(path, &error.message)
}

/// A command: each word can be filled in, and the program be started.
fn words(path: &str, command: &[String], variables: &Variables<'_>) -> Result<(), OptionError> {
    let Some(first) = command.first() else {
        let message = "a command needs a program: [program, argument, ...]";
        return Err(OptionError::new(path, message));
    };
    for (i, word) in command.iter().enumerate() {
        filled(&format!("{path}[{i}]"), word, variables)?;
    }
    if first.contains("{{") {
        return Ok(());
    }
    let found = program::find(first).map(drop);
    found.map_err(|why| OptionError::new(format!("{path}[0]"), why))
}

fn filled(path: &str, text: &str, variables: &Variables<'_>) -> Result<(), OptionError> {
    let filled = variables.fill(text).map(drop);
    filled.map_err(|why| OptionError::new(path, why))
}

fn check_url(url: &str, variables: &Variables<'_>) -> Result<(), OptionError> {
    filled("ready.http", url, variables)?;
    match url.starts_with("http://") {
        true => Ok(()),
        false => Err(OptionError::new(
            "ready.http",
            "a URL that begins with http://",
        )),
    }
}

/// Files are written within the data directory.
fn check_path(path: &str) -> Result<(), OptionError> {
    let inside = |part| matches!(part, Component::Normal(_));
    match !path.is_empty() && Path::new(path).components().all(inside) {
        true => Ok(()),
        false => {
            let message = format!("`{path}` must be a path within the node's data directory");
            Err(OptionError::new("files", message))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(options: Json) -> Result<(), OptionError> {
        Options::read(&options)?.check(&["n1".into(), "n2".into()])
    }

    /// The options of a system that can be started, changed at one place.
    fn with(field: &str, value: Json) -> Json {
        let mut options = json!({ "command": ["sh", "-c", "{{node.addr}}"],
                                  "client": { "adapter": ["sh"] } });
        options[field] = value;
        options
    }

    #[test]
    fn what_can_be_started_is_accepted() {
        for (field, value) in [
            ("env", json!({ "PEERS": "{{peers}}" })),
            ("files", json!({ "etc/node.conf": "port {{node.port}}" })),
            ("ready", json!({ "http": "http://{{node.addr}}/health" })),
            ("ready", json!({ "log": "listening" })),
            ("stop", json!("terminate")),
            ("stop", json!({ "signal": "INT" })),
            ("stop", json!({ "command": ["true"] })),
            ("status", json!(["echo", "{{node.id}}"])),
            (
                "members",
                json!({ "add": ["echo", "{{member.addr}}"], "remove": ["true"] }),
            ),
            (
                "crash",
                json!({ "patterns": ["BUG"], "harmless": ["FATAL: role"] }),
            ),
        ] {
            assert_eq!(
                check(with(field, value.clone())),
                Ok(()),
                "{field}: {value}"
            );
        }
    }

    #[test]
    fn each_mistake_is_told_at_its_place() {
        for (field, value, path, words) in [
            ("command", json!([]), "command", "needs a program"),
            (
                "command",
                json!(["no-such-program-x"]),
                "command[0]",
                "PATH",
            ),
            (
                "command",
                json!(["sh", "{{node.adr}}"]),
                "command[1]",
                "node.addr",
            ),
            ("env", json!({ "A": "{{peer.n3.addr}}" }), "env.A", "n1, n2"),
            ("files", json!({ "../x": "" }), "files", "within"),
            ("files", json!({ "/x": "" }), "files", "within"),
            (
                "ready",
                json!({ "http": "https://x" }),
                "ready.http",
                "http://",
            ),
            ("ready", json!({ "udp": "x" }), "ready", "udp"),
            ("stop", json!({ "signal": "FOO" }), "stop.signal", "FOO"),
            (
                "status",
                json!(["sh", "{{member.id}}"]),
                "status[1]",
                "unknown variable",
            ),
            ("client", json!({}), "client", "adapter"),
            (
                "client",
                json!({ "adapter": ["sh", "{{node.addr}}"] }),
                "client.adapter[1]",
                "open",
            ),
            (
                "client",
                json!({ "adapter": ["sh"], "operations": ["reed"] }),
                "client.operations[0]",
                "reed",
            ),
            ("port", json!(1), "port", "port"),
        ] {
            let error = check(with(field, value.clone())).unwrap_err();
            assert_eq!(error.path, path, "{field}: {value}: {error}");
            assert!(error.message.contains(words), "{error}");
        }
    }
}
