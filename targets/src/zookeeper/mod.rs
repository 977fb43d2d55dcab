//! Apache ZooKeeper, unmodified: registers as znodes, written through the leader and read from
//! whichever server the client is at.
//!
//! | module | what it does |
//! |---|---|
//! | `client` | one session |
//! | `jute` | the wire format |
//! | `probe` | how a server is |

mod client;
mod jute;
mod probe;

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value as Json;
use tribunal_results::options::{OptionError, decode};
use tribunal_results::{Assumptions, Kind, NodeId, Reason};

use crate::program::Program;
use crate::{Client, ClientSpec, Launch, NodeSpec, Pending, Status, Target};

/// The target.
pub static TARGET: ZooKeeper = ZooKeeper {
    options: Options::DEFAULT,
};

/// Apache ZooKeeper, with its options.
#[derive(Debug)]
pub struct ZooKeeper {
    options: Options,
}

static JAVA: Program = Program {
    names: &["java"],
    version: &["-version"],
    install: "apt-get install default-jre-headless",
};

/// Where Debian has ZooKeeper; its manifest names all else but who writes the log.
const JARS: [&str; 2] = [
    "/usr/share/java/zookeeper.jar",
    "/usr/share/java/slf4j-simple.jar",
];
const INSTALL: &str = "apt-get install zookeeper libslf4j-java";

/// How a register is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Reads {
    /// As the server at hand has it.
    Plain,
    /// After a `sync`, which waits until the server has caught up with the leader.
    Sync,
}

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Options {
    /// How registers are read.
    reads: Reads,
    /// ZooKeeper's unit of time (`tickTime`), in milliseconds.
    tick_ms: u32,
    /// After how many ticks without word from the other a leader and a follower part
    /// (`syncLimit`).
    sync_limit: u32,
    /// The Java to run it with; the one on `PATH` if absent.
    java: Option<String>,
    /// Where its classes are, as for `java -cp`; Debian's if absent.
    classpath: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl Options {
    const DEFAULT: Self = Self {
        reads: Reads::Plain,
        tick_ms: 500,
        sync_limit: 4,
        java: None,
        classpath: None,
    };

    fn read(options: &Json) -> Result<Self, OptionError> {
        let options: Self = decode(options)?;
        if !(50..=10_000).contains(&options.tick_ms) {
            let text = "must be between 50 and 10000";
            return Err(OptionError::new("tick_ms", text));
        }
        if !(1..=100).contains(&options.sync_limit) {
            return Err(OptionError::new("sync_limit", "must be between 1 and 100"));
        }
        Ok(options)
    }

    fn classpath(&self) -> String {
        self.classpath.clone().unwrap_or_else(|| JARS.join(":"))
    }

    /// What the server is told.
    fn configuration(&self, spec: &NodeSpec) -> String {
        let mut text = format!(
            "tickTime={}\ninitLimit=10\nsyncLimit={}\ndataDir={}\nclientPort={}\n\
             maxClientCnxns=0\nmaxSessionTimeout=60000\nadmin.enableServer=false\n\
             4lw.commands.whitelist=*\n",
            self.tick_ms,
            self.sync_limit,
            spec.data.display(),
            spec.listen.port(),
        );
        for (number, node) in (1..).zip(&spec.nodes) {
            let peer = spec.peers.iter().find(|(peer, _)| peer == node);
            let ip = peer.map_or(spec.listen.ip(), |(_, address)| address.ip());
            text.push_str(&format!("server.{number}={ip}:2888:3888\n"));
        }
        text
    }
}

/// The version that the name of a jar tells, in one of the folders of the classpath.
fn version(classpath: &str) -> Option<String> {
    let folders = classpath
        .split(':')
        .filter_map(|jar| Path::new(jar).parent());
    let files = folders
        .filter_map(|folder| folder.read_dir().ok())
        .flatten();
    let mut names = files.filter_map(|file| {
        let name = file.ok()?.file_name().into_string().ok()?;
        let version = name.strip_prefix("zookeeper-")?.strip_suffix(".jar")?;
        let number = version.starts_with(|c: char| c.is_ascii_digit());
        number.then(|| version.to_owned())
    });
    names.next()
}

impl Target for ZooKeeper {
    fn name(&self) -> &'static str {
        "zookeeper"
    }

    fn about(&self) -> &'static str {
        "Apache ZooKeeper, unmodified: registers as znodes"
    }

    fn claims(&self) -> &'static str {
        "linearizable writes; plain reads that may be old, but never go backwards in a session"
    }

    fn operations(&self) -> &'static [Kind] {
        &[Kind::Read, Kind::Write, Kind::Cas]
    }

    fn survives(&self) -> &'static [&'static str] {
        &["kill", "restart", "partition"]
    }

    fn needs_own_address(&self, _: &Json) -> bool {
        true
    }

    fn installed(&self, options: &Json) -> Result<Option<String>, String> {
        let options = Options::read(options).map_err(|e| e.to_string())?;
        JAVA.find(options.java.as_deref())?;
        let classpath = options.classpath();
        if let Some(missing) = JARS.iter().find(|jar| !Path::new(jar).exists())
            && options.classpath.is_none()
        {
            return Err(format!(
                "ZooKeeper is not here: there is no {missing}; install it (Debian: `{INSTALL}`), \
                 or give its jars in the target's option `classpath`"
            ));
        }
        let version = version(&classpath).unwrap_or_else(|| "of unknown version".into());
        Ok(Some(format!("ZooKeeper {version}")))
    }

    fn check_options(&self, options: &Json) -> Result<(), OptionError> {
        Options::read(options).map(drop)
    }

    fn configured(&self, options: &Json) -> Option<Result<Arc<dyn Target>, OptionError>> {
        let made = Options::read(options).map(|options| Arc::new(Self { options }) as Arc<_>);
        Some(made)
    }

    fn assume(&self, _: &Json, assume: &mut Assumptions) {
        // What ends threads of a server that is told to stop, or to follow another.
        assume.harmless_patterns = vec!["shutdown Follower".into(), "shutdown Leader".into()];
    }

    fn launch(&self, spec: &NodeSpec) -> Launch {
        let options = &self.options;
        let number = spec.nodes.iter().position(|node| *node == spec.id);
        let number = number.map_or(1, |at| at + 1);
        let file = spec.data.join("zoo.cfg");
        let mut args: Vec<String> = [
            "-Xmx256m",
            "-XX:TieredStopAtLevel=1",
            "-XX:+UseSerialGC",
            "-Dorg.slf4j.simpleLogger.showDateTime=true",
            "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS",
            "-Dzookeeper.jmx.log4j.disable=true",
            // Else each question for its status is two lines.
            "-Dorg.slf4j.simpleLogger.log.org.apache.zookeeper.server.command=warn",
            "-Dorg.slf4j.simpleLogger.log.org.apache.zookeeper.server.NIOServerCnxn=warn",
            "-cp",
        ]
        .map(str::to_owned)
        .into();
        args.extend([
            options.classpath(),
            "org.apache.zookeeper.server.quorum.QuorumPeerMain".into(),
            file.display().to_string(),
        ]);
        Launch {
            program: Some(
                JAVA.find(options.java.as_deref())
                    .unwrap_or_else(|_| PathBuf::from("java")),
            ),
            args,
            files: vec![
                (file, options.configuration(spec)),
                (spec.data.join("myid"), number.to_string()),
            ],
            ..Launch::default()
        }
    }

    fn status(&self, address: SocketAddr) -> Pending<'_, io::Result<Status>> {
        Box::pin(probe::ask(address))
    }

    fn status_of<'a>(
        &'a self,
        node: &'a NodeId,
        address: SocketAddr,
    ) -> Pending<'a, io::Result<Status>> {
        Box::pin(async move {
            let mut status = probe::ask(address).await?;
            status.leader = (status.role == "leader").then(|| node.clone());
            Ok(status)
        })
    }

    fn open<'a>(&'a self, spec: &'a ClientSpec) -> Pending<'a, Result<Box<dyn Client>, Reason>> {
        Box::pin(client::open(spec, self.options.reads))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_version_is_told_by_the_name_of_a_jar() {
        let dir = tempfile::tempdir().unwrap();
        for name in [
            "zookeeper-jute-3.9.jar",
            "zookeeper-3.9.4.jar",
            "other-1.jar",
        ] {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        let classpath = format!("/no/such.jar:{}/*", dir.path().display());
        assert_eq!(version(&classpath).as_deref(), Some("3.9.4"));
        assert_eq!(version("/no/such.jar"), None);
    }

    #[test]
    fn servers_know_all_others_and_themselves_by_number() {
        let peer = |id: &str, ip| (id.into(), ([10, 0, 0, ip], 21000).into());
        let spec = NodeSpec {
            id: "n2".into(),
            listen: ([10, 0, 0, 2], 21000).into(),
            peers: vec![peer("n1", 1), peer("n3", 3)],
            advertised: None,
            nodes: ["n1", "n2", "n3"].map(NodeId::from).into(),
            data: "/data/n2".into(),
            bug: None,
            options: json!({}),
        };
        let launch = TARGET.launch(&spec);
        let text = |name: &str| {
            let mut files = launch.files.iter();
            let file = files.find(|(path, _)| path.ends_with(name));
            file.map(|(_, text)| text.as_str()).unwrap()
        };
        assert_eq!(text("myid"), "2");
        for line in [
            "server.1=10.0.0.1:2888:3888",
            "server.2=10.0.0.2:2888:3888",
            "server.3=10.0.0.3:2888:3888",
            "clientPort=21000",
            "tickTime=500",
        ] {
            assert!(text("zoo.cfg").lines().any(|l| l == line), "{line}");
        }
    }

    #[test]
    fn options_are_checked_before_anything_starts() {
        let path = |options| TARGET.check_options(&options).unwrap_err().path;
        assert_eq!(path(json!({ "reads": "quorum" })), "reads");
        assert_eq!(path(json!({ "tick_ms": 1 })), "tick_ms");
        assert_eq!(path(json!({ "sync_limit": 0 })), "sync_limit");
        assert_eq!(TARGET.check_options(&json!({ "reads": "sync" })), Ok(()));
        let why = TARGET
            .installed(&json!({ "java": "/no/such/java" }))
            .unwrap_err();
        assert!(why.contains("/no/such/java"), "{why}");
    }
}
