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
//! been acknowledged to their sender's kernel. So an end that is left behind of a half-open
//! connection sees its bytes acknowledged, where a real one would retransmit them and give up in the
//! end, or be told by a keepalive; that only packets, and not streams, can show.
//!
//! | module | what it does |
//! |---|---|
//! | `kind` | proxies or a switch |
//! | `rule` | what may happen to a direction, as data |
//! | `spread` | how late bytes arrive: distributions |
//! | `lane` | one direction: rules in force, bandwidth, chance |
//! | `counters` | what a direction did |
//! | `door` | one listening address: accept, and tell who dialled |
//! | `link` | one dial: attempt, carry, reset |
//! | `part` | connections of which only one end is left |
//! | `pump` | the bytes of one connection in one direction |
//! | `splice` | the same inside the kernel, for bulk that nothing is done to |
//! | `queue` | what waits on it |
//! | `timer` | waits of less than a millisecond |
//! | `frames` | whole lines out of its bytes |
//! | `fate` | what becomes of one message |
//! | `lines` | the same for single lines that somebody else carries |
//! | `tap` | whole lines as they pass, for whoever listens |
//! | [`switch`] | the other way to do it: packets between network namespaces |

mod counters;
mod door;
mod fate;
mod frames;
mod kind;
mod lane;
mod lines;
mod link;
mod part;
mod pump;
mod queue;
mod rule;
#[cfg(target_os = "linux")]
mod splice;
mod spread;
#[cfg_attr(not(target_os = "linux"), path = "no_switch.rs")]
pub mod switch;
mod tap;
mod timer;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tribunal_results::NodeId;
use tribunal_targets::Router;

use crate::chance;
use door::Door;
use fate::Receivers;
use lane::{Lane, Origin};
use link::Link;
use tap::Tapped;
use timer::Timer;

pub use counters::Counters;
pub use door::SocketOwners;
pub use kind::Kind;
pub use rule::{Bandwidth, Lies, Messages, Packets, Rule, Stall};
pub use spread::{Delay, Distribution};
pub use tap::{Listener, Tap};

/// One directed dial to put a proxy into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkSpec {
    /// Who dials: a node, or `clients`.
    pub from: NodeId,
    /// Who is dialled.
    pub to: NodeId,
    /// Where the proxy listens; port 0 lets the kernel choose. Links to the same node may share an
    /// address, if [`Nature::owners`] tells who dials it.
    pub listen: SocketAddr,
    /// Where `to` itself listens.
    pub dial: SocketAddr,
}

/// In whose name rules are in which nobody is named.
const NOBODY: &str = "";

/// A directed pair.
type Pair = (NodeId, NodeId);

/// What a fabric is besides its links.
#[derive(Clone, Debug, Default)]
pub struct Nature {
    /// What directed pairs do while no other rule is in force; nothing unless said here.
    pub base: BTreeMap<(NodeId, NodeId), Rule>,
    /// Who listens to the lines between nodes, if anybody does.
    pub listener: Option<Listener>,
    /// Whether what nodes and clients send are lines of the wire protocol, so that rules can be
    /// about single messages.
    pub is_framed: bool,
    /// Tells apart who dials an address that several links share.
    pub owners: Option<Arc<dyn SocketOwners>>,
}

/// Makes lanes.
#[derive(Debug)]
struct Maker {
    nature: Nature,
    seed: u64,
    receivers: Arc<Receivers>,
    timer: Arc<Timer>,
}

impl Maker {
    fn new(nature: Nature, mut nodes: Vec<NodeId>, seed: u64) -> std::io::Result<Self> {
        nodes.sort();
        nodes.dedup();
        Ok(Self {
            nature,
            seed,
            receivers: Arc::new(Receivers { seed, nodes }),
            timer: Timer::start()?,
        })
    }

    /// One direction from a node to another.
    fn lane(&self, from: &NodeId, to: &NodeId) -> Lane {
        let pair = (Arc::clone(from), Arc::clone(to));
        let listener = self.nature.listener.as_ref();
        let tapped = listener.and_then(|Listener { tap, nodes }| {
            let both = nodes.contains(from) && nodes.contains(to);
            both.then(|| Tapped {
                tap: Arc::clone(tap),
                from: Arc::clone(from),
                to: Arc::clone(to),
            })
        });
        Lane::new(Origin {
            to: Arc::clone(to),
            base: self.nature.base.get(&pair).copied().unwrap_or_default(),
            tapped,
            is_framed: self.nature.is_framed,
            receivers: Arc::clone(&self.receivers),
            chance: chance::stream(self.seed, &["link", from, to]),
            timer: Arc::clone(&self.timer),
        })
    }
}

/// The links that share an address, in the order of the first of each.
fn by_address(links: Vec<LinkSpec>) -> Vec<Vec<LinkSpec>> {
    let mut all: Vec<Vec<LinkSpec>> = Vec::new();
    for link in links {
        let same = |shared: &&mut Vec<LinkSpec>| {
            let first = shared.first();
            link.listen.port() != 0 && first.is_some_and(|first| first.listen == link.listen)
        };
        match all.iter_mut().find(same) {
            Some(shared) => shared.push(link),
            None => all.push(vec![link]),
        }
    }
    all
}

/// Listens for links that share an address.
async fn listen(shared: &[LinkSpec], nature: &Nature) -> std::io::Result<TcpListener> {
    let Some(LinkSpec {
        from, to, listen, ..
    }) = shared.first()
    else {
        return Err(std::io::ErrorKind::InvalidInput.into());
    };
    let why = |e: std::io::Error| {
        std::io::Error::new(
            e.kind(),
            format!("the fabric can't listen on {listen} for the link {from}→{to}: {e}"),
        )
    };
    if shared.len() > 1 && nature.owners.is_none() {
        let several = "several links share it, and nobody tells who dials it";
        return Err(why(std::io::Error::new(
            std::io::ErrorKind::InvalidInput,
            several,
        )));
    }
    TcpListener::bind(listen).await.map_err(why)
}

/// What its links carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Carries {
    Connections,
    /// Single lines: nothing can be done to a connection.
    Lines,
}

/// Every link of a cluster. It closes when it is dropped, but only [`Fabric::close`] waits
/// for that.
#[derive(Debug)]
pub struct Fabric {
    addresses: BTreeMap<Pair, SocketAddr>,
    lanes: BTreeMap<Pair, Arc<Lane>>,
    is_framed: bool,
    carries: Carries,
    services: Vec<NodeId>,
    stop: watch::Sender<bool>,
    servers: Mutex<Vec<JoinHandle<()>>>,
    /// What carries the packets, if it is not proxies that carry bytes.
    switch: Option<switch::Switch>,
}

impl Fabric {
    /// Listens for every link. `seed` seeds the jitter, one stream per directed pair.
    ///
    /// # Errors
    /// If an address can't be listened on, or is shared although nobody tells who dials it; the error
    /// names link and address.
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
        let nodes = links.iter().map(|link| Arc::clone(&link.to)).collect();
        let maker = Maker::new(nature, nodes, seed)?;
        let mut addresses = BTreeMap::new();
        let mut lanes = BTreeMap::new();
        let mut servers = Vec::new();
        let stop = watch::Sender::new(false);
        for shared in by_address(links) {
            let listener = listen(&shared, &maker.nature).await?;
            let mut door = Door {
                links: Vec::new(),
                owners: maker.nature.owners.clone(),
            };
            for spec in shared {
                let mut lane = |from: &NodeId, to: &NodeId| {
                    let lane = lanes
                        .entry((Arc::clone(from), Arc::clone(to)))
                        .or_insert_with(|| Arc::new(maker.lane(from, to)));
                    Arc::clone(lane)
                };
                let link = Arc::new(Link {
                    dial: spec.dial,
                    forth: lane(&spec.from, &spec.to),
                    back: lane(&spec.to, &spec.from),
                });
                door.links.push((Arc::clone(&spec.from), link));
                let pair = (spec.from, spec.to);
                addresses.entry(pair).or_insert(listener.local_addr()?);
            }
            servers.push(tokio::spawn(
                Arc::new(door).serve(listener, stop.subscribe()),
            ));
        }
        Ok(Arc::new(Self {
            addresses,
            lanes,
            is_framed: maker.nature.is_framed,
            carries: Carries::Connections,
            services: Vec::new(),
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
        let maker = Maker::new(nature.clone(), nodes.to_vec(), seed)?;
        let ends = || nodes.iter().chain([clients]);
        let pairs = ends().flat_map(|from| ends().map(move |to| (from, to)));
        let lanes: BTreeMap<Pair, Arc<Lane>> = pairs
            .filter(|(from, to)| from != to)
            .map(|(from, to)| {
                let lane = Arc::new(maker.lane(from, to));
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
            // Packets are not read as lines.
            is_framed: false,
            carries: Carries::Connections,
            services: Vec::new(),
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
        self.impose(NOBODY, from, to, rule)
    }

    /// The same in the name of somebody: rules of several hold together. There is no such link for
    /// a rule of connections either, where single lines are carried.
    pub fn impose(&self, by: &str, from: &str, to: &str, rule: Rule) -> bool {
        if self.carries == Carries::Lines && rule.is_about_connections() {
            return false;
        }
        let is_link = self.lane(from, to).map(|lane| lane.set(by, rule)).is_some();
        self.changed();
        is_link
    }

    /// Lifts the rule: the link's own is in force again, and what was held back flows.
    pub fn clear(&self, from: &str, to: &str) {
        self.lift(NOBODY, from, to);
    }

    /// Lifts the rule of somebody; those of others stay.
    pub fn lift(&self, by: &str, from: &str, to: &str) {
        if let Some(lane) = self.lane(from, to) {
            lane.clear(by);
        }
        self.changed();
    }

    /// Lifts every rule.
    pub fn clear_all(&self) {
        for lane in self.lanes.values() {
            lane.clear_all();
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
        self.since_imposed(NOBODY, from, to)
    }

    /// What the link did since a rule of somebody was last set on it; the same after it was lifted.
    pub fn since_imposed(&self, by: &str, from: &str, to: &str) -> Counters {
        self.lane(from, to)
            .map(|lane| lane.since_set(by))
            .unwrap_or_default()
    }

    /// Who takes part besides nodes and clients.
    pub fn services(&self) -> &[NodeId] {
        &self.services
    }

    /// Whether rules can be about single messages.
    pub const fn is_framed(&self) -> bool {
        self.is_framed
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
