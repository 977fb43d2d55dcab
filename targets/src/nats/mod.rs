//! `nats`: NATS with JetStream, as it is installed here, with a client of ours.
//!
//! Each node is one unmodified process with an address of its own; servers talk to each other at
//! port 6222, and tell how they are at port 8222. A set is a stream:
//!
//! | operation | requests |
//! |---|---|
//! | `add` | the stream is created if this connection has not seen it; a message is published, and acknowledged by the stream |
//! | `members` | what the stream holds, and each of its messages, by the stream's leader |
//!
//! | module | what it does |
//! |---|---|
//! | [`options`] | what suites may say |
//! | `launch` | how nodes are started |
//! | `protocol` | what servers send |
//! | `connection` | requests, and what their failures mean |
//! | `stream` | JetStream's requests |
//! | `client` | sets |

mod client;
mod connection;
mod launch;
pub mod options;
mod protocol;
mod stream;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use http_body_util::Full;
use serde_json::Value as Json;
use tribunal_results::options::OptionError;
use tribunal_results::{Kind, NodeId, Reason};

use crate::http::connection::{Connection, Lost};
use crate::program::Program;
use crate::{Client, ClientSpec, Launch, NodeSpec, Pending, Status, Target};
use options::Options;

/// The target.
pub static TARGET: Nats = Nats {
    options: Options::DEFAULT,
};

/// NATS, with what a suite says of it.
#[derive(Clone, Debug)]
pub struct Nats {
    options: Options,
}

const PROGRAM: Program = Program {
    names: &["nats-server", "/usr/sbin/nats-server"],
    version: &["--version"],
    install: "apt-get install nats-server",
};

impl Target for Nats {
    fn name(&self) -> &'static str {
        "nats"
    }

    fn about(&self) -> &'static str {
        "NATS JetStream as it is installed here: sets, each of which is a replicated stream"
    }

    fn claims(&self) -> &'static str {
        "acknowledged messages stay, unless the power fails at most nodes: they are not synced"
    }

    fn operations(&self) -> &'static [Kind] {
        &[Kind::Add, Kind::Members]
    }

    fn survives(&self) -> &'static [&'static str] {
        &["kill"]
    }

    fn needs_own_address(&self, _: &Json) -> bool {
        true
    }

    fn installed(&self, options: &Json) -> Result<Option<String>, String> {
        let options = Options::read(options).map_err(|e| e.to_string())?;
        let path = PROGRAM.find(options.binary.as_deref())?;
        let version = PROGRAM.version(&path)?;
        let number = version.strip_prefix("nats-server:").unwrap_or(&version);
        let number = number.trim().trim_start_matches('v');
        Ok(Some(format!("NATS {number}")))
    }

    fn check_options(&self, options: &Json) -> Result<(), OptionError> {
        Options::read(options).map(drop)
    }

    fn understands(&self, options: &Json, nodes: &[NodeId]) -> Result<Vec<Kind>, OptionError> {
        Options::read(options)?.check(nodes)?;
        Ok(self.operations().to_vec())
    }

    fn configured(&self, options: &Json) -> Option<Result<Arc<dyn Target>, OptionError>> {
        Some(Options::read(options).map(|options| Arc::new(Self { options }) as Arc<dyn Target>))
    }

    fn launch(&self, spec: &NodeSpec) -> Launch {
        // It may not be there: that was told when it was looked for before the run.
        let program = PROGRAM.find(self.options.binary.as_deref());
        launch::launch(program.unwrap_or_else(|_| "nats-server".into()), spec)
    }

    fn status(&self, address: SocketAddr) -> Pending<'_, io::Result<Status>> {
        Box::pin(async move {
            let monitor = SocketAddr::new(address.ip(), launch::MONITOR_PORT);
            let mut connection = Connection::open(monitor).await?;
            let (code, health) = get(&mut connection, "/healthz").await?;
            let (_, jetstream) = get(&mut connection, "/jsz?accounts=true&streams=true").await?;
            let mut status = status(code, &health, &jetstream);
            // Healthy servers may have streams that nobody leads.
            let mut clients = connection::Connection::open(address).await?;
            let asked = stream::leaderless(&mut clients, &streams(&jetstream)).await;
            let led = asked.map_err(|reason| io::Error::other(reason.to_string()))?;
            if let Some(name) = led {
                status.ready = false;
                status.detail = format!("nobody leads the stream {name}; {}", status.detail);
            }
            Ok(status)
        })
    }

    fn open<'a>(&'a self, spec: &'a ClientSpec) -> Pending<'a, Result<Box<dyn Client>, Reason>> {
        Box::pin(client::open(self.options.replicas, spec))
    }
}

/// What a GET is answered with: a status and JSON.
async fn get(connection: &mut Connection, path: &str) -> io::Result<(u16, Json)> {
    let request = connection.request().uri(path).body(Full::default());
    let request = request.map_err(io::Error::other)?;
    match connection.send(request).await {
        Ok(reply) => Ok((reply.status, serde_json::from_slice(&reply.body)?)),
        Err(Lost::NotSent(why) | Lost::Unanswered(why)) => Err(io::Error::other(why)),
    }
}

/// The streams that a node keeps.
fn streams(jetstream: &Json) -> Vec<&str> {
    let accounts = jetstream.get("account_details").and_then(Json::as_array);
    let streams = (accounts.into_iter().flatten())
        .filter_map(|account| account.get("stream_detail")?.as_array());
    let names = streams.flatten().map(|stream| stream.get("name"));
    names.filter_map(|name| name?.as_str()).collect()
}

/// How a node is: ready if it says that it is healthy, which it is not before all streams that it
/// keeps have caught up, and in a cluster if somebody leads, and the leader sees all others.
fn status(code: u16, health: &Json, jetstream: &Json) -> Status {
    let meta = jetstream.get("meta_cluster");
    let leader = meta.and_then(|meta| meta.get("leader")?.as_str());
    let leader = leader.filter(|name| !name.is_empty());
    let size = meta.and_then(|meta| meta.get("cluster_size")?.as_u64());
    // Only the leader has others to tell of.
    let others = meta.and_then(|meta| meta.get("replicas")?.as_array());
    let is_current = |other: &&Json| other.get("current") == Some(&Json::Bool(true));
    let current = others.map(|others| others.iter().filter(is_current).count() as u64);
    let whole = match (current, size) {
        (Some(current), Some(size)) => current + 1 == size,
        _ => true,
    };
    let role = match (meta, others) {
        (None, _) => "alone",
        (Some(_), Some(_)) => "leader",
        (Some(_), None) => "follower",
    };
    Status {
        ready: code == 200 && (meta.is_none() || leader.is_some()) && whole,
        role: role.into(),
        leader: leader.map(NodeId::from),
        detail: match meta {
            Some(meta) => format!("{health}; {meta}"),
            None => health.to_string(),
        },
        members: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn streams_are_found_in_all_accounts() {
        let streams_of = |names: &[&str]| {
            let named = names.iter().map(|name| json!({ "name": name }));
            json!({ "stream_detail": named.collect::<Vec<_>>() })
        };
        let said = json!({ "account_details": [streams_of(&["a", "b"]), {}, streams_of(&["c"])] });
        assert_eq!(streams(&said), ["a", "b", "c"]);
        assert!(streams(&json!({})).is_empty());
    }

    #[test]
    fn a_node_is_ready_if_it_is_healthy_and_the_leader_sees_all() {
        let health = json!({ "status": "ok" });
        let ready =
            |code: u16, meta: Json| status(code, &health, &json!({ "meta_cluster": meta })).ready;
        let replica = |current: bool| json!({ "name": "n2", "current": current });
        let leader = |replicas: Vec<Json>| json!({ "leader": "n1", "cluster_size": 3, "replicas": replicas });
        let follower = || json!({ "leader": "n1", "cluster_size": 3 });
        assert!(ready(200, follower()));
        assert!(ready(200, leader(vec![replica(true), replica(true)])));
        assert!(!ready(503, follower()), "it is not healthy");
        assert!(!ready(200, json!({ "cluster_size": 3 })), "nobody leads");
        assert!(!ready(200, json!({ "leader": "", "cluster_size": 3 })));
        assert!(!ready(200, leader(vec![replica(true)])), "one is missing");
        assert!(!ready(200, leader(vec![replica(true), replica(false)])));
        let alone = status(200, &health, &json!({}));
        assert!(alone.ready && alone.leader.is_none());
    }
}
