//! MariaDB, unmodified: one server with InnoDB, or several as a Galera cluster.
//!
//! | module | what it does |
//! |---|---|
//! | `client` | the connection of one client |
//! | `galera` | several servers as one cluster |

mod client;
mod galera;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::Deserialize;
use serde_json::Value as Json;
use tribunal_results::options::{OptionError, decode};
use tribunal_results::{Assumptions, Kind, NodeId, Reason};

use self::galera::Galera;
use crate::program::Program;
use crate::sql::Dialect;
use crate::transaction::Bank;
use crate::{Client, ClientSpec, Launch, NodeSpec, Pending, Status, Target};

/// The target.
pub static TARGET: MariaDb = MariaDb {
    options: Options::DEFAULT,
    is_founded: AtomicBool::new(false),
};

/// MariaDB, with its options.
#[derive(Debug)]
pub struct MariaDb {
    options: Options,
    /// Whether there was a cluster: the first server then joins it when it starts again. A second
    /// one founded beside it would have other contents.
    is_founded: AtomicBool,
}

static SERVER: Program = Program {
    names: &["mariadbd", "/usr/sbin/mariadbd", "/usr/libexec/mariadbd"],
    version: &["--no-defaults", "--version"],
    install: "apt-get install mariadb-server",
};

static INSTALLER: Program = Program {
    names: &["mariadb-install-db", "/usr/bin/mariadb-install-db"],
    version: &["--help"],
    install: "apt-get install mariadb-server",
};

/// The isolation level of transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Isolation {
    ReadUncommitted,
    ReadCommitted,
    RepeatableRead,
    Serializable,
}

impl Isolation {
    /// Its name in SQL, and in the literature (Adya 1999), by which it is judged.
    const fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::ReadUncommitted => ("read uncommitted", "read-uncommitted"),
            Self::ReadCommitted => ("read committed", "read-committed"),
            Self::RepeatableRead => ("repeatable read", "repeatable-read"),
            Self::Serializable => ("serializable", "serializable"),
        }
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Options {
    /// The isolation level of all transactions.
    isolation: Isolation,
    /// Whether a transaction that writes what was changed since its snapshot is refused
    /// (`innodb_snapshot_isolation`); as the server has it if absent.
    snapshot_isolation: Option<bool>,
    /// What is special of a Galera cluster, which the nodes then are.
    galera: Option<Galera>,
    /// The server; the one on `PATH` if absent.
    server: Option<String>,
    /// What makes its data; the one on `PATH` if absent.
    installer: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl Options {
    const DEFAULT: Self = Self {
        isolation: Isolation::RepeatableRead,
        snapshot_isolation: None,
        galera: None,
        server: None,
        installer: None,
    };

    fn read(options: &Json) -> Result<Self, OptionError> {
        let read: Self = decode(options)?;
        read.galera.iter().try_for_each(Galera::check)?;
        Ok(read)
    }

    fn dialect(&self) -> Dialect {
        Dialect {
            begin: "start transaction".into(),
            or_replace: "on duplicate key update v = values(v)",
            or_append: "on duplicate key update v = concat(v, ',', values(v))",
            or_nothing: "on duplicate key update v = v",
            doubles_backslashes: true,
            bank: Bank::default(),
        }
    }

    /// What a client says before anything else.
    fn preamble(&self) -> String {
        let (name, _) = self.isolation.names();
        format!("set session transaction isolation level {name}")
    }
}

impl Target for MariaDb {
    fn name(&self) -> &'static str {
        "mariadb"
    }

    fn about(&self) -> &'static str {
        "MariaDB, unmodified: one server or a Galera cluster, with transactions"
    }

    fn claims(&self) -> &'static str {
        "the isolation level of its option `isolation`"
    }

    fn operations(&self) -> &'static [Kind] {
        &[Kind::Txn, Kind::Transfer, Kind::Balances]
    }

    fn needs_own_address(&self, _: &Json) -> bool {
        true
    }

    fn installed(&self, options: &Json) -> Result<Option<String>, String> {
        let options = Options::read(options).map_err(|e| e.to_string())?;
        INSTALLER.find(options.installer.as_deref())?;
        options.galera.iter().try_for_each(Galera::installed)?;
        let server = SERVER.find(options.server.as_deref())?;
        let version = SERVER.version(&server)?;
        let number = version
            .split_whitespace()
            .find(|word| word.starts_with(|c: char| c.is_ascii_digit()))
            .and_then(|word| word.split('-').next())
            .unwrap_or(&version);
        Ok(Some(format!("MariaDB {number}")))
    }

    fn check_options(&self, options: &Json) -> Result<(), OptionError> {
        Options::read(options).map(drop)
    }

    fn understands(&self, options: &Json, nodes: &[NodeId]) -> Result<Vec<Kind>, OptionError> {
        let options = Options::read(options)?;
        if nodes.len() > 1 && options.galera.is_none() {
            let text = "several servers replicate only as a Galera cluster; take the option \
                        `galera: {}`, or `nodes: 1`";
            return Err(OptionError::new("", text));
        }
        Ok(self.operations().to_vec())
    }

    fn configured(&self, options: &Json) -> Option<Result<Arc<dyn Target>, OptionError>> {
        let made = |options| {
            let is_founded = AtomicBool::new(false);
            Arc::new(Self {
                options,
                is_founded,
            }) as Arc<_>
        };
        Some(Options::read(options).map(made))
    }

    fn assume(&self, options: &Json, assume: &mut Assumptions) {
        Bank::default().assume(assume);
        if let Ok(options) = Options::read(options) {
            let (_, in_theory) = options.isolation.names();
            assume.isolation = Some(in_theory.to_owned());
        }
    }

    fn launch(&self, spec: &NodeSpec) -> Launch {
        // The programs were found before anything was started.
        let path = |program: &Program, given: &Option<String>| {
            let found = program.find(given.as_deref()).unwrap_or_default();
            found.display().to_string()
        };
        let is_first = spec.nodes.first() == Some(&spec.id);
        let founds = is_first && !self.is_founded.load(Ordering::Relaxed);
        let how = match (&self.options.galera, founds) {
            (None, _) => "alone",
            (Some(_), true) => "founds",
            (Some(_), false) => "joins",
        };
        let mut args = vec![
            "-c".to_owned(),
            include_str!("start.sh").to_owned(),
            "start-mariadb".to_owned(),
            path(&INSTALLER, &self.options.installer),
            path(&SERVER, &self.options.server),
            spec.data.display().to_string(),
            spec.listen.port().to_string(),
            how.to_owned(),
        ];
        if let Some(on) = self.options.snapshot_isolation {
            let on = if on { "ON" } else { "OFF" };
            args.push(format!("--innodb-snapshot-isolation={on}"));
        }
        let mut program = "sh".to_owned();
        if let Some(galera) = &self.options.galera {
            args.extend(galera.arguments(spec, founds));
            (program, args) = galera::not_as_root(&program, args);
        }
        Launch {
            program: Some(PathBuf::from(program)),
            args,
            ..Launch::default()
        }
    }

    fn status(&self, address: SocketAddr) -> Pending<'_, io::Result<Status>> {
        if self.options.galera.is_none() {
            return Box::pin(client::status(address));
        }
        Box::pin(async move {
            let status = client::status_in_cluster(address).await?;
            // A server that is ready belongs to the cluster, whichever it is.
            self.is_founded.fetch_or(status.ready, Ordering::Relaxed);
            Ok(status)
        })
    }

    fn open<'a>(&'a self, spec: &'a ClientSpec) -> Pending<'a, Result<Box<dyn Client>, Reason>> {
        let (dialect, preamble) = (self.options.dialect(), self.options.preamble());
        Box::pin(client::open(spec, dialect, preamble))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn options_are_checked_before_anything_starts() {
        let one: [NodeId; 1] = ["n1".into()];
        let understands = |options: Json| TARGET.understands(&options, &one).map(drop);
        assert_eq!(understands(json!({ "snapshot_isolation": true })), Ok(()));
        assert!(understands(json!({ "isolation": "snapshot" })).is_err());
        let two: [NodeId; 2] = ["n1".into(), "n2".into()];
        let why = TARGET.understands(&json!({}), &two).unwrap_err();
        assert!(why.message.contains("nodes: 1"), "{why:?}");
        assert!(why.message.contains("galera: {}"), "{why:?}");
        let understands = |options: Json| TARGET.understands(&options, &two).map(drop);
        assert_eq!(understands(json!({ "galera": {} })), Ok(()));
        let why = understands(json!({ "galera": { "sync_wait": 16 } })).unwrap_err();
        assert_eq!(why.path, "galera.sync_wait");
    }

    fn spec() -> NodeSpec {
        NodeSpec {
            id: "n1".into(),
            listen: "10.0.0.1:21000".parse().unwrap(),
            peers: vec![("n2".into(), "10.0.0.2:21000".parse().unwrap())],
            advertised: None,
            nodes: ["n1", "n2"].map(Into::into).into(),
            data: "/run/n1".into(),
            bug: None,
            options: Json::Null,
        }
    }

    fn launched(target: &dyn Target, id: &str) -> Vec<String> {
        let id = id.into();
        target.launch(&NodeSpec { id, ..spec() }).args
    }

    #[test]
    fn a_level_is_asked_for_and_judged_by_the_same_name() {
        for name in [
            "read-uncommitted",
            "read-committed",
            "repeatable-read",
            "serializable",
        ] {
            let said = json!({ "isolation": name });
            let preamble = Options::read(&said).unwrap().preamble();
            assert!(preamble.ends_with(&name.replace('-', " ")), "{preamble}");
            let mut assume = Assumptions::default();
            TARGET.assume(&said, &mut assume);
            assert_eq!(assume.isolation.as_deref(), Some(name));
        }
    }

    #[test]
    fn a_server_is_told_whether_to_refuse_what_its_snapshot_does_not_hold() {
        for (on, said) in [(true, "ON"), (false, "OFF")] {
            let made = TARGET.configured(&json!({ "snapshot_isolation": on }));
            let args = launched(&*made.unwrap().unwrap(), "n1");
            let said = format!("--innodb-snapshot-isolation={said}");
            assert_eq!(args.last(), Some(&said));
        }
    }

    #[test]
    fn only_the_first_server_founds_a_cluster_and_only_while_there_was_none() {
        let options = Options::read(&json!({ "galera": {} })).unwrap();
        let cluster = MariaDb {
            options,
            is_founded: AtomicBool::new(false),
        };
        let founds = |id| launched(&cluster, id).contains(&"--wsrep-new-cluster".to_owned());
        assert_eq!([founds("n1"), founds("n2")], [true, false]);
        cluster.is_founded.store(true, Ordering::Relaxed);
        assert_eq!([founds("n1"), founds("n2")], [false, false]);
    }

    #[test]
    fn what_is_missing_is_told() {
        let why = TARGET
            .installed(&json!({ "installer": "/no/such" }))
            .unwrap_err();
        assert!(why.contains("/no/such"), "{why}");
    }
}
