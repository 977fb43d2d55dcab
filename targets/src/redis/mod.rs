//! `redis`: the store of others, as it is installed here: one, or replicas watched by Sentinel, or
//! independent instances for locks by Redlock; with clients of ours.
//!
//! Each node is unmodified processes with an address of its own; Sentinels are at port 26379.
//!
//! | mode | operations |
//! |---|---|
//! | `single` | registers (SET, GET, EVAL) and sets (SADD, SMEMBERS) of one Redis |
//! | `sentinel` | the same at the master that the Sentinel beside the client's node names |
//! | `redlock` | locks on a majority of instances |
//!
//! | module | what it does |
//! |---|---|
//! | [`options`] | what suites may say |
//! | `launch` | how nodes are started |
//! | `resp` | the protocol |
//! | `connection` | requests, and what their failures mean |
//! | `sentinel` | who the master is |
//! | `client` | registers and sets |
//! | `redlock` | locks |

mod client;
mod connection;
mod launch;
pub mod options;
mod redlock;
mod resp;
mod sentinel;

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value as Json;
use tribunal_results::options::OptionError;
use tribunal_results::{Kind, NodeId, Reason};

use crate::program::Program;
use crate::{Client, ClientSpec, Launch, NodeSpec, Pending, Status, Target};
use connection::{Connection, Failure};
use options::{Mode, Options};
use resp::Value;
use sentinel::View;

/// The target.
pub static TARGET: Redis = Redis {
    options: Options::DEFAULT,
    nodes: Mutex::new(BTreeMap::new()),
};

/// Redis, with what a suite says of it.
#[derive(Debug)]
pub struct Redis {
    options: Options,
    /// Those that were started, by their addresses.
    nodes: Mutex<BTreeMap<IpAddr, NodeId>>,
}

const PROGRAM: Program = Program {
    names: &["redis-server"],
    version: &["--version"],
    install: "apt-get install redis-server",
};

/// What stores understand.
const STORE: [Kind; 5] = [Kind::Read, Kind::Write, Kind::Cas, Kind::Add, Kind::Members];
/// What locks understand.
const LOCKS: [Kind; 4] = [Kind::Request, Kind::Acquire, Kind::Renew, Kind::Release];

impl Redis {
    fn with(options: Options) -> Self {
        Self {
            options,
            nodes: Mutex::default(),
        }
    }

    /// Asks a node, and in a cluster the Sentinel beside it: all must see each other.
    async fn how_is(&self, address: SocketAddr) -> io::Result<Status> {
        let failed = |failure: Failure| io::Error::other(failure.reason().to_string());
        let mut redis = Connection::open(address).await?;
        if self.options.mode != Mode::Sentinel {
            let said = redis.ask(&[b"PING"]).await.map_err(failed)?;
            return Ok(Status {
                ready: said.text() == Some("PONG"),
                role: "instance".into(),
                detail: format!("{said:?}"),
                ..Status::default()
            });
        }
        let said = redis.ask(&[b"ROLE"]).await.map_err(failed)?;
        let role = Role::of(&said).ok_or_else(|| io::Error::other(format!("{said:?}")))?;
        let beside = SocketAddr::new(address.ip(), sentinel::PORT);
        let mut sentinel = Connection::open(beside).await?;
        let words = [b"SENTINEL".as_slice(), b"MASTER", sentinel::NAME.as_bytes()];
        let said = sentinel.ask(&words).await.map_err(failed)?;
        let view = View::of(&said).ok_or_else(|| io::Error::other(format!("{said:?}")))?;
        let nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(status(&role, &view, &nodes))
    }
}

/// What a Redis is to others, as it says.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Role {
    /// With so many replicas that follow it.
    Master(usize),
    /// Of the master there, and whether it is connected to it.
    Replica(IpAddr, bool),
}

impl Role {
    fn of(said: &Value) -> Option<Self> {
        let items = said.items()?;
        let text = |place: usize| items.get(place)?.text();
        match text(0)? {
            "master" => Some(Self::Master(items.get(2)?.items()?.len())),
            "slave" => {
                let connected = text(3)? == "connected";
                Some(Self::Replica(text(1)?.parse().ok()?, connected))
            }
            _ => None,
        }
    }
}

/// How a node is: ready if it and its Sentinel see all others, and agree on who the master is.
fn status(role: &Role, view: &View, nodes: &BTreeMap<IpAddr, NodeId>) -> Status {
    let others = nodes.len().saturating_sub(1);
    let watched = view.flags == "master" && view.replicas == others && view.others == others;
    let leader = nodes.get(&view.master).cloned();
    let (name, agreed) = match role {
        Role::Master(replicas) => ("master", *replicas == others),
        Role::Replica(of, connected) => ("replica", *connected && *of == view.master),
    };
    Status {
        ready: watched && agreed && leader.is_some(),
        role: name.into(),
        leader,
        detail: format!("{role:?}; its Sentinel: {view:?}"),
        members: None,
    }
}

impl Target for Redis {
    fn name(&self) -> &'static str {
        "redis"
    }

    fn about(&self) -> &'static str {
        "Redis as it is installed here: one, with Sentinel, or instances for Redlock"
    }

    fn claims(&self) -> &'static str {
        "nothing about acknowledged writes once a master is replaced; locks as long as no clock jumps \
         and nothing is slow or forgets"
    }

    fn operations(&self) -> &'static [Kind] {
        &[
            Kind::Read,
            Kind::Write,
            Kind::Cas,
            Kind::Add,
            Kind::Members,
            Kind::Request,
            Kind::Acquire,
            Kind::Renew,
            Kind::Release,
        ]
    }

    fn needs_own_address(&self, _: &Json) -> bool {
        true
    }

    fn installed(&self, options: &Json) -> Result<Option<String>, String> {
        let options = Options::read(options).map_err(|e| e.to_string())?;
        let path = PROGRAM.find(options.binary.as_deref())?;
        let version = PROGRAM.version(&path)?;
        let mut words = version.split([' ', '=']).skip_while(|word| *word != "v");
        Ok(Some(match words.nth(1) {
            Some(number) => format!("Redis {number}"),
            None => version.clone(),
        }))
    }

    fn check_options(&self, options: &Json) -> Result<(), OptionError> {
        Options::read(options).map(drop)
    }

    fn understands(&self, options: &Json, nodes: &[NodeId]) -> Result<Vec<Kind>, OptionError> {
        let options = Options::read(options)?;
        options.check(nodes)?;
        Ok(match options.mode {
            Mode::Single | Mode::Sentinel => STORE.into(),
            Mode::Redlock => LOCKS.into(),
        })
    }

    fn configured(&self, options: &Json) -> Option<Result<Arc<dyn Target>, OptionError>> {
        let made = |options| Arc::new(Self::with(options)) as Arc<dyn Target>;
        Some(Options::read(options).map(made))
    }

    fn launch(&self, spec: &NodeSpec) -> Launch {
        let peers = spec.peers.iter().map(|(id, at)| (at.ip(), id.clone()));
        let all = peers.chain([(spec.listen.ip(), spec.id.clone())]);
        let mut nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        nodes.extend(all);
        // It may not be there: that was told when it was looked for before the run.
        let program = PROGRAM.find(self.options.binary.as_deref());
        let program = program.unwrap_or_else(|_| "redis-server".into());
        launch::launch(&self.options, program, spec)
    }

    fn status(&self, address: SocketAddr) -> Pending<'_, io::Result<Status>> {
        Box::pin(self.how_is(address))
    }

    fn open<'a>(&'a self, spec: &'a ClientSpec) -> Pending<'a, Result<Box<dyn Client>, Reason>> {
        Box::pin(async move {
            match self.options.mode {
                Mode::Redlock => {
                    let client = redlock::Redlock::new(spec, self.options.lock_ttl.0);
                    Ok(Box::new(client) as Box<dyn Client>)
                }
                Mode::Single | Mode::Sentinel => client::open(self.options.clone(), spec).await,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }

    fn view(master: u8) -> View {
        View {
            master: ip(master),
            flags: "master".into(),
            replicas: 2,
            others: 2,
        }
    }

    #[test]
    fn a_node_is_ready_only_if_all_see_each_other_and_agree_on_the_master() {
        let nodes: BTreeMap<IpAddr, NodeId> = [(1, "n1"), (2, "n2"), (3, "n3")]
            .map(|(last, id)| (ip(last), id.into()))
            .into();
        let ready = |role: Role, view: View| status(&role, &view, &nodes).ready;
        assert!(ready(Role::Master(2), view(1)));
        assert!(ready(Role::Replica(ip(1), true), view(1)));
        assert!(!ready(Role::Master(1), view(1)), "a replica is missing");
        assert!(!ready(Role::Replica(ip(2), true), view(1)), "they disagree");
        assert!(
            !ready(Role::Replica(ip(1), false), view(1)),
            "it is cut off"
        );
        assert!(!ready(Role::Master(2), view(9)), "nobody knows that master");
        for flags in ["s_down,master", "o_down,master,failover_in_progress"] {
            let flags = flags.into();
            assert!(!ready(Role::Master(2), View { flags, ..view(1) }));
        }
        assert!(!ready(
            Role::Master(2),
            View {
                others: 1,
                ..view(1)
            }
        ));
        assert!(!ready(
            Role::Master(2),
            View {
                replicas: 3,
                ..view(1)
            }
        ));
    }

    #[test]
    fn roles_are_read_as_redis_tells_them() {
        let text = |text: &str| Value::Text(Some(text.into()));
        let array = |items: Vec<Value>| Value::Array(Some(items));
        let replica = array(vec![text("10.0.0.2"), text("21000"), text("7")]);
        let master = array(vec![text("master"), Value::Int(7), array(vec![replica])]);
        assert_eq!(Role::of(&master), Some(Role::Master(1)));
        let slave = |state: &str| {
            let port = Value::Int(21_000);
            array(vec![
                text("slave"),
                text("10.0.0.1"),
                port,
                text(state),
                Value::Int(7),
            ])
        };
        assert_eq!(
            Role::of(&slave("connected")),
            Some(Role::Replica(ip(1), true))
        );
        assert_eq!(
            Role::of(&slave("connecting")),
            Some(Role::Replica(ip(1), false))
        );
        assert_eq!(Role::of(&array(vec![text("sentinel")])), None);
    }
}
