//! The network between nodes, and from clients to nodes, with rules by which it can be broken: as
//! proxies, or as a packet [`switch`]. Both have the same links, rules and counters.
//!
//! The proxy fabric is a TCP proxy for every directed dial, between nodes and from clients to nodes.
//!
//! Every node is told its own address of each peer ([`Router`]): the listening address of the
//! link's proxy. A [`Rule`] belongs to a *directed pair* and governs the bytes that flow from the
//! one to the other, whichever side dialled. Without rules the fabric is transparent to bytes,
//! half-closes and resets.
//!
//! Limits, which a proxy can't help: it accepts before it knows whether the node does (so a dial
//! that would be refused succeeds and is reset a moment later), and bytes that it holds back have
//! been acknowledged to their sender's kernel.
//!
//! | module | what it does |
//! |---|---|
//! | `kind` | proxies or a switch |
//! | `rule` | what may happen to a direction, as data |
//! | `lane` | one direction: rule in force, counters, chance |
//! | `link` | one listening address: accept, dial, reset |
//! | `pump` | the bytes of one connection in one direction |
//! | `tap` | whole lines as they pass |
//! | [`switch`] | the other way to do it: packets between network namespaces |

mod kind;
mod lane;
mod link;
mod pump;
mod rule;
#[cfg_attr(not(target_os = "linux"), path = "no_switch.rs")]
pub mod switch;
mod tap;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tribunal_results::NodeId;
use tribunal_targets::Router;

use crate::chance;
use lane::Lane;
use link::Link;
use tap::Tapped;

pub use kind::Kind;
pub use lane::Counters;
pub use rule::{Bandwidth, Delay, Packets, Rule};
pub use tap::{Listener, Tap};

/// One directed dial to put a proxy into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkSpec {
    /// Who dials: a node, or `clients`.
    pub from: NodeId,
    /// Who is dialled.
    pub to: NodeId,
    /// Where the proxy listens; port 0 lets the kernel choose.
    pub listen: SocketAddr,
    /// Where `to` itself listens.
    pub dial: SocketAddr,
}

/// A directed pair.
type Pair = (NodeId, NodeId);

/// What a fabric is besides its links.
#[derive(Clone, Debug, Default)]
pub struct Nature {
    /// What directed pairs do while no other rule is in force; nothing unless said here.
    pub base: BTreeMap<(NodeId, NodeId), Rule>,
    /// Who listens to the lines between nodes, if anybody does.
    pub listener: Option<Listener>,
}

impl Nature {
    /// One direction from a node to another.
    fn lane(&self, seed: u64, from: &NodeId, to: &NodeId) -> Lane {
        let pair = (Arc::clone(from), Arc::clone(to));
        let base = self.base.get(&pair).copied().unwrap_or_default();
        let tapped = self.listener.as_ref().and_then(|Listener { tap, nodes }| {
            let both = nodes.contains(from) && nodes.contains(to);
            both.then(|| Tapped {
                tap: Arc::clone(tap),
                from: Arc::clone(from),
                to: Arc::clone(to),
            })
        });
        Lane::new(chance::stream(seed, &["link", from, to]), base, tapped)
    }
}

/// Every link of a cluster. It closes when it is dropped, but only [`Fabric::close`] waits
/// for that.
#[derive(Debug)]
pub struct Fabric {
    addresses: BTreeMap<Pair, SocketAddr>,
    lanes: BTreeMap<Pair, Arc<Lane>>,
    stop: watch::Sender<bool>,
    servers: Mutex<Vec<JoinHandle<()>>>,
    /// What carries the packets, if it is not proxies that carry bytes.
    switch: Option<switch::Switch>,
}

impl Fabric {
    /// Listens for every link. `seed` seeds the jitter, one stream per directed pair.
    ///
    /// # Errors
    /// If an address can't be listened on; the error names link and address.
    pub async fn open(links: Vec<LinkSpec>, seed: u64) -> std::io::Result<Arc<Self>> {
        Self::open_as(Nature::default(), links, seed).await
    }

    /// The same, of that nature.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub async fn open_as(
        nature: Nature,
        links: Vec<LinkSpec>,
        seed: u64,
    ) -> std::io::Result<Arc<Self>> {
        let mut addresses = BTreeMap::new();
        let mut lanes = BTreeMap::new();
        let mut servers = Vec::new();
        let stop = watch::Sender::new(false);
        for spec in links {
            let listener = TcpListener::bind(spec.listen).await.map_err(|e| {
                let LinkSpec {
                    from, to, listen, ..
                } = &spec;
                std::io::Error::new(
                    e.kind(),
                    format!("the fabric can't listen on {listen} for the link {from}→{to}: {e}"),
                )
            })?;
            let mut lane = |from: &NodeId, to: &NodeId| {
                let lane = lanes
                    .entry((Arc::clone(from), Arc::clone(to)))
                    .or_insert_with(|| Arc::new(nature.lane(seed, from, to)));
                Arc::clone(lane)
            };
            let link = Arc::new(Link {
                dial: spec.dial,
                forth: lane(&spec.from, &spec.to),
                back: lane(&spec.to, &spec.from),
            });
            addresses.insert((spec.from, spec.to), listener.local_addr()?);
            servers.push(tokio::spawn(link.serve(listener, stop.subscribe())));
        }
        Ok(Arc::new(Self {
            addresses,
            lanes,
            stop,
            servers: Mutex::new(servers),
            switch: None,
        }))
    }

    /// Puts a switch between nodes in network namespaces of their own. `clients` is the name of
    /// the controller's end of links. Nobody can listen to lines: a switch carries packets.
    ///
    /// # Errors
    /// If the machine does not allow it; the error says what to do.
    pub fn open_switch(
        private: switch::Private,
        nature: &Nature,
        nodes: &[NodeId],
        clients: &NodeId,
        seed: u64,
    ) -> std::io::Result<Arc<Self>> {
        let ends = || nodes.iter().chain([clients]);
        let pairs = ends().flat_map(|from| ends().map(move |to| (from, to)));
        let lanes: BTreeMap<Pair, Arc<Lane>> = pairs
            .filter(|(from, to)| from != to)
            .map(|(from, to)| {
                let lane = Arc::new(nature.lane(seed, from, to));
                ((Arc::clone(from), Arc::clone(to)), lane)
            })
            .collect();
        let switch = switch::Switch::start(private, nodes, |from, to| {
            let name = |end: Option<&NodeId>| Arc::clone(end.unwrap_or(clients));
            lanes.get(&(name(from), name(to))).cloned()
        })?;
        let address = |(from, to): &Pair| {
            let home = switch.homes.get(to)?;
            Some(((Arc::clone(from), Arc::clone(to)), home.listen))
        };
        Ok(Arc::new(Self {
            addresses: lanes.keys().filter_map(address).collect(),
            lanes,
            stop: watch::Sender::new(false),
            servers: Mutex::default(),
            switch: Some(switch),
        }))
    }

    /// Which of the two it is.
    pub const fn kind(&self) -> Kind {
        match self.switch {
            None => Kind::Proxy,
            Some(_) => Kind::Switch,
        }
    }

    /// Where a node lives, if it is behind a switch.
    pub fn home(&self, node: &str) -> Option<&switch::Home> {
        self.switch.as_ref()?.homes.get(node)
    }

    /// Tells a switch that rules have changed.
    fn changed(&self) {
        if let Some(switch) = &self.switch {
            switch.wake();
        }
    }

    /// Puts a rule in force at once, also on existing connections, in place of the one before.
    /// Returns whether there is such a link (dialled by either side).
    pub fn set(&self, from: &str, to: &str, rule: Rule) -> bool {
        let is_link = self.lane(from, to).map(|lane| lane.set(rule)).is_some();
        self.changed();
        is_link
    }

    /// Lifts the rule: the link's own is in force again, and what was held back flows.
    pub fn clear(&self, from: &str, to: &str) {
        if let Some(lane) = self.lane(from, to) {
            lane.clear();
        }
        self.changed();
    }

    /// Lifts every rule.
    pub fn clear_all(&self) {
        for lane in self.lanes.values() {
            lane.clear();
        }
        self.changed();
    }

    /// What the link did since the fabric was opened; zeros if there is no such link.
    pub fn counters(&self, from: &str, to: &str) -> Counters {
        self.lane(from, to)
            .map(|lane| lane.counters())
            .unwrap_or_default()
    }

    /// What the link did since a rule was last set on it; the same after it was lifted.
    pub fn since_set(&self, from: &str, to: &str) -> Counters {
        self.lane(from, to)
            .map(|lane| lane.since_set())
            .unwrap_or_default()
    }

    /// Stops listening and drops every connection; returns when that is done. Idempotent.
    pub async fn close(&self) {
        self.stop.send_replace(true);
        let servers = {
            let mut servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *servers)
        };
        for server in servers {
            if let Err(e) = server.await {
                tracing::error!("a link of the fabric ended badly: {e}");
            }
        }
        if let Some(switch) = &self.switch {
            switch.close().await;
        }
    }

    fn lane(&self, from: &str, to: &str) -> Option<&Arc<Lane>> {
        self.lanes.get(&(NodeId::from(from), NodeId::from(to)))
    }
}

impl Router for Fabric {
    fn address(&self, from: &str, to: &str) -> Option<SocketAddr> {
        let pair = (NodeId::from(from), NodeId::from(to));
        self.addresses.get(&pair).copied()
    }
}
