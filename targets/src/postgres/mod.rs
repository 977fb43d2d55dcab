//! PostgreSQL, unmodified: a primary, the first node, and hot standbys, all others.
//!
//! Transactions that write go to the primary, whichever node the client is at; those that only read
//! go to the client's own node, if suites say so. With `failover` the standby takes the primary's
//! place if it hears nothing of it. The server refuses to run as root; where the controller is root,
//! it is started in a user namespace in which it is not.
//!
//! | module | what it does |
//! |---|---|
//! | `options` | what suites may say |
//! | `client` | what one client asks, and of whom |
//! | `link` | one connection, and what its failures mean |
//! | `start.sh` | starts a server |
//! | `failover.sh` | and goes on with it beside the server, if there is failover |

mod client;
mod link;
mod options;

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::unistd::geteuid;
use serde_json::Value as Json;
use tribunal_results::options::OptionError;
use tribunal_results::{Assumptions, Kind, NodeId, Reason};

use crate::program::Program;
use crate::transaction::Bank;
use crate::{Client, ClientSpec, Launch, NodeSpec, Pending, Status, Stop, Target};
use options::Options;

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

/// Starts a server, and takes care of failover beside it.
const SCRIPT: &str = concat!(include_str!("start.sh"), include_str!("failover.sh"));

/// The number of the user that a server sees itself run as where the controller is root.
const NOT_ROOT: u32 = 1000;

impl Target for Postgres {
    fn name(&self) -> &'static str {
        "postgres"
    }

    fn about(&self) -> &'static str {
        "PostgreSQL, unmodified: a primary and hot standbys, with transactions"
    }

    fn claims(&self) -> &'static str {
        "the isolation level of its option `isolation`, of transactions at the primary; nothing about \
         acknowledged commits once an asynchronous standby is promoted"
    }

    fn operations(&self) -> &'static [Kind] {
        &[
            Kind::Txn,
            Kind::Transfer,
            Kind::Balances,
            Kind::Add,
            Kind::Members,
        ]
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
        Options::read(options)?.check(nodes)?;
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
        let script = [
            "-c".to_owned(),
            SCRIPT.to_owned(),
            "start-postgres".to_owned(),
            bin.display().to_string(),
            spec.data.display().to_string(),
            spec.listen.port().to_string(),
        ];
        let primary = spec.nodes.first().filter(|node| **node != spec.id);
        let primary = primary.and_then(|node| spec.peers.iter().find(|(peer, _)| peer == node));
        let ip = |peer: Option<&(NodeId, SocketAddr)>| {
            peer.map_or_else(String::new, |(_, address)| address.ip().to_string())
        };
        let [other, patience] = match &self.options.failover {
            Some(patience) => [ip(spec.peers.first()), patience.0.as_millis().to_string()],
            None => Default::default(),
        };
        let waits_for = &self.options.synchronous_standby_names;
        let setting = format!("synchronous_standby_names={waits_for}");
        let rest = [ip(primary), other, patience, "-c".to_owned(), setting];
        let (program, mut args) = match geteuid().is_root() {
            true => {
                let user = format!("--map-user={NOT_ROOT}");
                let group = format!("--map-group={NOT_ROOT}");
                let args = vec!["--user".to_owned(), user, group, "sh".to_owned()];
                ("unshare", args)
            }
            false => ("sh", Vec::new()),
        };
        args.extend(script.into_iter().chain(rest));
        Launch {
            program: Some(PathBuf::from(program)),
            args,
            // SIGTERM would wait until all clients have gone, SIGINT ends their transactions.
            stop: Stop::Signal(2),
            ..Launch::default()
        }
    }

    fn status(&self, address: SocketAddr) -> Pending<'_, io::Result<Status>> {
        Box::pin(client::status(None, address))
    }

    fn status_of<'a>(
        &'a self,
        node: &'a NodeId,
        address: SocketAddr,
    ) -> Pending<'a, io::Result<Status>> {
        Box::pin(client::status(Some(node), address))
    }

    fn open<'a>(&'a self, spec: &'a ClientSpec) -> Pending<'a, Result<Box<dyn Client>, Reason>> {
        Box::pin(client::open(spec, &self.options))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_missing_is_told_with_how_to_install_it() {
        let why = TARGET
            .installed(&json!({ "bin": "/no/such/bin" }))
            .unwrap_err();
        assert!(why.contains("/no/such/bin/postgres"), "{why}");
    }
}
