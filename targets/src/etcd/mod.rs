//! `etcd`: the store of others, as it is installed here, with clients of ours at its JSON gateway.
//!
//! Each node is one unmodified process with an address of its own; peers are at port 2380. What the
//! operations are made of:
//!
//! | operation | requests |
//! |---|---|
//! | `read`, `write`, `cas` | range, put, and a transaction that compares the value |
//! | `acquire`, `renew`, `release` | a lease and the Lock RPC; keepalive; Unlock, and the lease revoked |
//! | `add` | lock, range, put (or a transaction that compares the lock's key), unlock |
//! | `members` | range |
//!
//! | module | what it does |
//! |---|---|
//! | [`options`] | what suites may say |
//! | `gateway` | requests, and what their failures mean |
//! | `lock` | the Lock RPC, and what may be believed of it |
//! | `client` | operations |

mod client;
mod gateway;
mod lock;
pub mod options;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use nix::sys::signal::Signal;
use serde_json::{Value as Json, json};
use tribunal_results::options::OptionError;
use tribunal_results::{Kind, Reason};

use crate::program::Program;
use crate::{Client, ClientSpec, Launch, NodeSpec, Pending, Status, Stop, Target};
use gateway::{Gateway, integer};
use options::Options;

/// The target.
pub static TARGET: Etcd = Etcd {
    options: Options::DEFAULT,
};

/// etcd, with what a suite says of it.
#[derive(Clone, Debug)]
pub struct Etcd {
    options: Options,
}

const PROGRAM: Program = Program {
    names: &["etcd"],
    version: &["--version"],
    install: "apt-get install etcd-server",
};

/// Where nodes talk to each other.
const PEER_PORT: u16 = 2380;

impl Target for Etcd {
    fn name(&self) -> &'static str {
        "etcd"
    }

    fn about(&self) -> &'static str {
        "etcd as it is installed here: registers, sets, and locks by its Lock RPC"
    }

    fn claims(&self) -> &'static str {
        "linearizable reads, writes and compare-and-sets; locks under leases, which protect nothing \
         unless they are compared in a transaction"
    }

    fn operations(&self) -> &'static [Kind] {
        &[
            Kind::Read,
            Kind::Write,
            Kind::Cas,
            Kind::Request,
            Kind::Acquire,
            Kind::Renew,
            Kind::Release,
            Kind::Add,
            Kind::Members,
        ]
    }

    fn survives(&self) -> &'static [&'static str] {
        &["kill", "pause", "partition", "delay"]
    }

    fn needs_own_address(&self, _: &Json) -> bool {
        true
    }

    fn installed(&self, options: &Json) -> Result<Option<String>, String> {
        let options = Options::read(options).map_err(|e| e.to_string())?;
        let path = PROGRAM.find(options.binary.as_deref())?;
        let version = PROGRAM.version(&path)?;
        let number = version.strip_prefix("etcd Version:").unwrap_or(&version);
        Ok(Some(format!("etcd {}", number.trim())))
    }

    fn check_options(&self, options: &Json) -> Result<(), OptionError> {
        Options::read(options).map(drop)
    }

    fn configured(&self, options: &Json) -> Option<Result<Arc<dyn Target>, OptionError>> {
        Some(Options::read(options).map(|options| Arc::new(Self { options }) as Arc<dyn Target>))
    }

    fn launch(&self, spec: &NodeSpec) -> Launch {
        let clients = spec.listen;
        let peer = |address: SocketAddr| format!("http://{}:{PEER_PORT}", address.ip());
        let others = spec.peers.iter().map(|(id, address)| (id, *address));
        let mut members: Vec<_> = others.chain([(&spec.id, clients)]).collect();
        members.sort();
        let members = members.iter().map(|(id, at)| format!("{id}={}", peer(*at)));
        let members = members.collect::<Vec<_>>().join(",");
        let said = [
            ("--name", spec.id.to_string()),
            ("--data-dir", spec.data.join("etcd").display().to_string()),
            (
                "--listen-client-urls",
                format!("http://0.0.0.0:{}", clients.port()),
            ),
            ("--advertise-client-urls", format!("http://{clients}")),
            ("--listen-peer-urls", format!("http://0.0.0.0:{PEER_PORT}")),
            ("--initial-advertise-peer-urls", peer(clients)),
            ("--initial-cluster", members),
            ("--initial-cluster-state", "new".into()),
            ("--heartbeat-interval", "100".into()),
            ("--election-timeout", "1000".into()),
            ("--logger", "zap".into()),
        ];
        // It may not be there: that was told when it was looked for before the run.
        let program = PROGRAM.find(self.options.binary.as_deref());
        Launch {
            program: Some(program.unwrap_or_else(|_| "etcd".into())),
            args: said.into_iter().flat_map(|(k, v)| [k.into(), v]).collect(),
            // By SIGTERM it would look for another leader first, for seconds.
            stop: Stop::Signal(Signal::SIGKILL as i32),
            ..Launch::default()
        }
    }

    fn status(&self, address: SocketAddr) -> Pending<'_, io::Result<Status>> {
        Box::pin(status(address))
    }

    fn open<'a>(&'a self, spec: &'a ClientSpec) -> Pending<'a, Result<Box<dyn Client>, Reason>> {
        Box::pin(client::open(self.options.clone(), spec))
    }
}

/// Asks a node for its role, which it knows by itself, and if there is a leader for its health: that
/// takes a quorum.
async fn status(address: SocketAddr) -> io::Result<Status> {
    let mut gateway = Gateway::open(address).await?;
    let failed = |failure: gateway::Failure| io::Error::other(failure.reason().to_string());
    let asked = gateway.call("/v3/maintenance/status", &json!({})).await;
    let said = asked.map_err(failed)?;
    let own = integer(said.pointer("/header/member_id"));
    let leader = integer(said.get("leader")).filter(|leader| *leader != 0);
    let term = integer(said.get("raftTerm")).unwrap_or_default();
    let Some(leader) = leader else {
        return Ok(Status {
            role: "candidate".into(),
            detail: format!("it knows of no leader in term {term}"),
            ..Status::default()
        });
    };
    let listed = gateway.call("/v3/cluster/member/list", &json!({})).await;
    let members = listed.map_err(failed)?;
    let members = members.get("members").and_then(Json::as_array);
    let named = members
        .into_iter()
        .flatten()
        .find(|member| integer(member.get("ID")) == Some(leader));
    let named = named.and_then(|member| Some(member.get("name")?.as_str()?.into()));
    let health = gateway.get("/health").await?;
    let healthy = health
        .get("health")
        .is_some_and(|it| *it == "true" || *it == true);
    Ok(Status {
        ready: healthy,
        role: match own == Some(leader) {
            true => "leader".into(),
            false => "follower".into(),
        },
        leader: named,
        detail: match healthy {
            true => format!("term {term}"),
            false => format!("it is not healthy: {health}"),
        },
        members: None,
    })
}
