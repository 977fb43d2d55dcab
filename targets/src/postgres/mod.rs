//! PostgreSQL, unmodified: a primary, the first node, and hot standbys, all others.
//!
//! Transactions that write go to the primary, whichever node the client is at; those that only read
//! go to the client's own node. The server refuses to run as root; where the controller is root, it
//! is started in a user namespace in which it is not.
//!
//! | module | what it does |
//! |---|---|
//! | `client` | the connections of one client |

mod client;

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::unistd::geteuid;
use serde::Deserialize;
use serde_json::Value as Json;
use tribunal_results::options::{OptionError, decode};
use tribunal_results::{Assumptions, Kind, NodeId, Reason};

use crate::program::Program;
use crate::sql::Dialect;
use crate::transaction::Bank;
use crate::{Client, ClientSpec, Launch, NodeSpec, Pending, Status, Stop, Target};

/// The target.
pub static TARGET: Postgres = Postgres {
    options: Options::DEFAULT,
};

/// PostgreSQL, with its options.
#[derive(Debug)]
pub struct Postgres {
    options: Options,
}

static SERVER: Program = Program {
    names: &[
        "/usr/lib/postgresql/18/bin/postgres",
        "/usr/lib/postgresql/17/bin/postgres",
        "/usr/lib/postgresql/16/bin/postgres",
        "/usr/lib/postgresql/15/bin/postgres",
        "/usr/lib/postgresql/14/bin/postgres",
        "postgres",
    ],
    version: &["--version"],
    install: "apt-get install postgresql",
};

/// Gives a program another user's number. Every Debian has it.
static UNSHARE: Program = Program {
    names: &["unshare"],
    version: &["--version"],
    install: "apt-get install util-linux",
};

/// The number of the user that a server sees itself run as where the controller is root.
const NOT_ROOT: u32 = 1000;

/// The isolation level of transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Isolation {
    ReadCommitted,
    RepeatableRead,
    Serializable,
}

impl Isolation {
    const fn in_sql(self) -> &'static str {
        match self {
            Self::ReadCommitted => "read committed",
            Self::RepeatableRead => "repeatable read",
            Self::Serializable => "serializable",
        }
    }

    /// The level of that name in the literature (Adya 1999), by which it is judged.
    const fn in_theory(self) -> &'static str {
        match self {
            Self::ReadCommitted => "read-committed",
            Self::RepeatableRead => "repeatable-read",
            Self::Serializable => "serializable",
        }
    }
}

/// Where transactions that only read are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Reads {
    /// To the client's own node.
    Local,
    /// To the primary.
    Primary,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Options {
    /// The isolation level of all transactions.
    isolation: Isolation,
    /// Where transactions that only read are sent.
    reads: Reads,
    /// The folder of PostgreSQL's programs; Debian's newest if absent.
    bin: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl Options {
    const DEFAULT: Self = Self {
        isolation: Isolation::Serializable,
        reads: Reads::Primary,
        bin: None,
    };

    fn read(options: &Json) -> Result<Self, OptionError> {
        decode(options)
    }

    /// The server.
    fn server(&self) -> Result<PathBuf, String> {
        let given = self.bin.as_ref().map(|bin| Path::new(bin).join("postgres"));
        SERVER.find(given.as_deref().and_then(Path::to_str))
    }

    fn dialect(&self) -> Dialect {
        Dialect {
            begin: format!("begin isolation level {}", self.isolation.in_sql()),
            or_replace: "on conflict (k) do update set v = excluded.v",
            or_append: "on conflict (k) do update set v = lists.v || ',' || excluded.v",
            or_nothing: "on conflict do nothing",
            doubles_backslashes: false,
            bank: Bank::default(),
        }
    }
}

impl Target for Postgres {
    fn name(&self) -> &'static str {
        "postgres"
    }

    fn about(&self) -> &'static str {
        "PostgreSQL, unmodified: a primary and hot standbys, with transactions"
    }

    fn claims(&self) -> &'static str {
        "the isolation level of its option `isolation`, of transactions at the primary"
    }

    fn operations(&self) -> &'static [Kind] {
        &[Kind::Txn, Kind::Transfer, Kind::Balances]
    }

    fn needs_own_address(&self, _: &Json) -> bool {
        true
    }

    fn installed(&self, options: &Json) -> Result<Option<String>, String> {
        let options = Options::read(options).map_err(|e| e.to_string())?;
        if geteuid().is_root() {
            UNSHARE.find(None)?;
        }
        let version = SERVER.version(&options.server()?)?;
        let number = version
            .split_whitespace()
            .find(|word| word.starts_with(|c: char| c.is_ascii_digit()))
            .unwrap_or(&version);
        Ok(Some(format!("PostgreSQL {number}")))
    }

    fn check_options(&self, options: &Json) -> Result<(), OptionError> {
        Options::read(options).map(drop)
    }

    fn understands(&self, options: &Json, nodes: &[NodeId]) -> Result<Vec<Kind>, OptionError> {
        let options = Options::read(options)?;
        let serializable = options.isolation == Isolation::Serializable;
        if serializable && options.reads == Reads::Local && nodes.len() > 1 {
            let text = "PostgreSQL refuses serializable transactions on hot standbys; take \
                        `reads: primary`, or `isolation: repeatable-read`";
            return Err(OptionError::new("reads", text));
        }
        Ok(self.operations().to_vec())
    }

    fn configured(&self, options: &Json) -> Option<Result<Arc<dyn Target>, OptionError>> {
        let made = Options::read(options).map(|options| Arc::new(Self { options }) as Arc<_>);
        Some(made)
    }

    fn assume(&self, options: &Json, assume: &mut Assumptions) {
        Bank::default().assume(assume);
        if let Ok(options) = Options::read(options) {
            assume.isolation = Some(options.isolation.in_theory().to_owned());
        }
        // FATAL is the end of one session, such as that of a client that has gone; what ends the
        // server is a PANIC, or a signal.
        assume.harmless_patterns = vec!["FATAL:  ".into()];
        assume.crash_patterns = vec!["PANIC:  ".into(), "was terminated by signal".into()];
    }

    fn launch(&self, spec: &NodeSpec) -> Launch {
        // The program was found before anything was started.
        let server = self.options.server().unwrap_or_default();
        let bin = server.parent().unwrap_or(Path::new(""));
        let primary = spec.nodes.first().filter(|node| **node != spec.id);
        let primary = primary.and_then(|node| spec.peers.iter().find(|(peer, _)| peer == node));
        let script = [
            "-c".to_owned(),
            include_str!("start.sh").to_owned(),
            "start-postgres".to_owned(),
            bin.display().to_string(),
            spec.data.display().to_string(),
            spec.listen.port().to_string(),
            primary.map_or_else(String::new, |(_, address)| address.ip().to_string()),
        ];
        let (program, mut args) = match geteuid().is_root() {
            true => {
                let user = format!("--map-user={NOT_ROOT}");
                let group = format!("--map-group={NOT_ROOT}");
                let args = vec!["--user".to_owned(), user, group, "sh".to_owned()];
                ("unshare", args)
            }
            false => ("sh", Vec::new()),
        };
        args.extend(script);
        Launch {
            program: Some(PathBuf::from(program)),
            args,
            // SIGTERM would wait until all clients have gone, SIGINT ends their transactions.
            stop: Stop::Signal(2),
            ..Launch::default()
        }
    }

    fn status(&self, address: SocketAddr) -> Pending<'_, io::Result<Status>> {
        Box::pin(client::status(address))
    }

    fn open<'a>(&'a self, spec: &'a ClientSpec) -> Pending<'a, Result<Box<dyn Client>, Reason>> {
        let reads_here = self.options.reads == Reads::Local;
        Box::pin(client::open(spec, self.options.dialect(), reads_here))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn serializable_transactions_on_standbys_are_refused_before_anything_starts() {
        let nodes: [NodeId; 2] = ["n1".into(), "n2".into()];
        let understands = |options| TARGET.understands(&options, &nodes).map(drop);
        let wrong = json!({ "isolation": "serializable", "reads": "local" });
        assert_eq!(understands(wrong.clone()).unwrap_err().path, "reads");
        assert!(TARGET.understands(&wrong, &nodes[..1]).is_ok());
        assert_eq!(
            understands(json!({ "isolation": "repeatable-read", "reads": "local" })),
            Ok(())
        );
        assert!(understands(json!({ "isolation": "read-uncommitted" })).is_err());
    }

    #[test]
    fn what_is_missing_is_told_with_how_to_install_it() {
        let why = TARGET
            .installed(&json!({ "bin": "/no/such/bin" }))
            .unwrap_err();
        assert!(why.contains("/no/such/bin/postgres"), "{why}");
    }
}
