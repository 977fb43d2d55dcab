//! Several servers as one Galera cluster: what each is told, and how one says that it belongs.

use std::net::SocketAddr;
use std::path::Path;

use nix::unistd::geteuid;
use serde::Deserialize;
use tribunal_results::options::OptionError;

use crate::program::Program;
use crate::sql::Row;
use crate::{NodeSpec, Status};

/// Where servers talk to each other.
const GROUP_PORT: u16 = 4567;
/// Where packages put the library that servers load.
const LIBRARIES: &[&str] = &[
    "/usr/lib/galera/libgalera_smm.so",
    "/usr/lib64/galera-4/libgalera_smm.so",
    "/usr/lib64/galera/libgalera_smm.so",
    "/usr/lib/libgalera_smm.so",
];
/// The most that `wsrep_sync_wait` can be: all kinds of statements.
const SYNC_WAIT_MAX: u8 = 15;

/// What a server copies all data with to another one that joins.
static RSYNC: Program = Program {
    names: &["rsync"],
    version: &["--version"],
    install: "apt-get install rsync",
};

/// Gives a program another user's number. Every Debian has it.
static UNSHARE: Program = Program {
    names: &["unshare"],
    version: &["--version"],
    install: "apt-get install util-linux",
};

/// The number of the user that a server sees itself run as where the controller is root: an rsync
/// of root's gives up root's rights and may not write any more.
const NOT_ROOT: u32 = 1000;

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Galera {
    /// Before which statements a server waits until it has what the others had committed
    /// (`wsrep_sync_wait`, a sum: 1 reads, 2 updates and deletes, 4 inserts, 8 `show`).
    sync_wait: u8,
    /// The library; where packages put it if absent.
    provider: Option<String>,
}

impl Galera {
    pub(super) fn check(&self) -> Result<(), OptionError> {
        match self.sync_wait {
            0..=SYNC_WAIT_MAX => Ok(()),
            other => {
                let text = format!("{other} is none of 0 to {SYNC_WAIT_MAX}");
                Err(OptionError::new("galera.sync_wait", text))
            }
        }
    }

    /// The library's path.
    ///
    /// # Errors
    /// Where it was looked for, and how to install it.
    fn library(&self) -> Result<&str, String> {
        let given = self.provider.as_deref();
        let mut places = given
            .map_or(LIBRARIES.to_vec(), |path| vec![path])
            .into_iter();
        let found = places.clone().find(|path| Path::new(path).is_file());
        found.ok_or_else(|| {
            let searched = places.by_ref().collect::<Vec<_>>().join(", ");
            format!(
                "library not found: {searched}; install it (Debian: `apt-get install galera-4`), or \
                 give its path in the target's options (`galera: {{ provider: … }}`)"
            )
        })
    }

    /// Looks for all that a cluster needs besides the server.
    ///
    /// # Errors
    /// What is missing, and how to install it.
    pub(super) fn installed(&self) -> Result<(), String> {
        self.library()?;
        RSYNC.find(None)?;
        match geteuid().is_root() {
            true => UNSHARE.find(None).map(drop),
            false => Ok(()),
        }
    }

    /// What the server is told besides; the first of a new cluster that it is.
    pub(super) fn arguments(&self, spec: &NodeSpec, founds: bool) -> Vec<String> {
        let ip = spec.listen.ip();
        let others = spec.peers.iter().map(|(_, at)| at.ip());
        let all: Vec<String> = [ip]
            .into_iter()
            .chain(others)
            .map(|ip| ip.to_string())
            .collect();
        let mut said = vec![
            "--wsrep-on=ON".to_owned(),
            // The library was found before anything was started.
            format!("--wsrep-provider={}", self.library().unwrap_or_default()),
            format!("--wsrep-cluster-address=gcomm://{}", all.join(",")),
            "--wsrep-cluster-name=tribunal".to_owned(),
            format!("--wsrep-node-address={ip}"),
            format!("--wsrep-node-name={}", spec.id),
            format!("--wsrep-sync-wait={}", self.sync_wait),
            "--wsrep-sst-method=rsync".to_owned(),
            format!(
                "--wsrep-provider-options=gmcast.listen_addr=tcp://{ip}:{GROUP_PORT};gcache.size=32M"
            ),
            // Without these two it refuses to start.
            "--binlog-format=ROW".to_owned(),
            "--innodb-autoinc-lock-mode=2".to_owned(),
        ];
        said.extend(founds.then(|| "--wsrep-new-cluster".to_owned()));
        said
    }
}

/// A program and its arguments, run by a user who isn't root.
pub(super) fn not_as_root(program: &str, args: Vec<String>) -> (String, Vec<String>) {
    if !geteuid().is_root() {
        return (program.to_owned(), args);
    }
    let user = format!("--map-user={NOT_ROOT}");
    let group = format!("--map-group={NOT_ROOT}");
    let before = ["--user".to_owned(), user, group, program.to_owned()];
    ("unshare".to_owned(), [before.to_vec(), args].concat())
}

/// Asks a server how it is, also where it belongs to no cluster and refuses all else.
pub(super) const ASK: &str = "show global status where variable_name in \
     ('wsrep_cluster_status', 'wsrep_local_state_comment', 'wsrep_ready')";

/// What it means.
pub(super) fn status(rows: &[Row], address: SocketAddr) -> Status {
    let value = |name: &str| {
        let is_it = |row: &&Row| {
            let cell = row.first().and_then(Option::as_deref);
            cell.is_some_and(|cell| cell.eq_ignore_ascii_case(name))
        };
        let row = rows.iter().find(is_it)?;
        row.get(1)?.as_deref()
    };
    let [component, state, ready] = [
        "wsrep_cluster_status",
        "wsrep_local_state_comment",
        "wsrep_ready",
    ]
    .map(value);
    let is_ready = (component, state, ready) == (Some("Primary"), Some("Synced"), Some("ON"));
    let said = [component, state].map(|said| said.unwrap_or("unknown"));
    Status {
        ready: is_ready,
        role: "server".into(),
        detail: match is_ready {
            true => String::new(),
            false => format!(
                "{address} is {}, in a component that is {}",
                said[1], said[0]
            ),
        },
        ..Status::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value as Json;

    fn spec() -> NodeSpec {
        NodeSpec {
            id: "n2".into(),
            listen: "10.0.0.2:21000".parse().unwrap(),
            peers: ["1", "3"]
                .map(|n| {
                    let at = format!("10.0.0.{n}:21000").parse().unwrap();
                    (format!("n{n}").as_str().into(), at)
                })
                .into(),
            advertised: None,
            nodes: ["n1", "n2", "n3"].map(Into::into).into(),
            data: "/run/n2".into(),
            bug: None,
            options: Json::Null,
        }
    }

    #[test]
    fn a_server_knows_all_others_and_only_the_first_founds_the_cluster() {
        let galera = Galera {
            sync_wait: 7,
            provider: None,
        };
        let joins = galera.arguments(&spec(), false);
        let says = |said: &[String], text: &str| said.iter().any(|said| said == text);
        let all = "--wsrep-cluster-address=gcomm://10.0.0.2,10.0.0.1,10.0.0.3";
        assert!(says(&joins, all), "{joins:?}");
        assert!(says(&joins, "--wsrep-sync-wait=7"), "{joins:?}");
        assert!(!says(&joins, "--wsrep-new-cluster"), "{joins:?}");
        assert!(says(
            &galera.arguments(&spec(), true),
            "--wsrep-new-cluster"
        ));
    }

    #[test]
    fn a_server_is_ready_when_it_is_synced_in_the_primary_component_and_says_so() {
        let at = "10.0.0.2:21000".parse().unwrap();
        let rows = |said: [&str; 3]| {
            let names = [
                "wsrep_cluster_status",
                "wsrep_local_state_comment",
                "wsrep_ready",
            ];
            let row = |(name, said): (&str, &str)| vec![Some(name.into()), Some(said.into())];
            names.into_iter().zip(said).map(row).collect::<Vec<Row>>()
        };
        assert!(status(&rows(["Primary", "Synced", "ON"]), at).ready);
        for said in [
            ["non-Primary", "Synced", "ON"],
            ["Primary", "Donor/Desynced", "ON"],
            ["Primary", "Joined", "ON"],
            ["Primary", "Synced", "OFF"],
        ] {
            let told = status(&rows(said), at);
            assert!(!told.ready, "{said:?}");
            assert!(told.detail.contains(said[1]), "{told:?}");
        }
        assert!(!status(&[], at).ready);
    }

    #[test]
    fn what_is_missing_is_told_with_how_to_install_it() {
        let galera = Galera {
            provider: Some("/no/such.so".into()),
            ..Galera::default()
        };
        let why = galera.installed().unwrap_err();
        assert!(
            why.contains("/no/such.so") && why.contains("galera-4"),
            "{why}"
        );
    }
}
