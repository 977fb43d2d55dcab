//! The machine of every node: transactions of its clients on its own copy, and at the first node
//! the primary beside it.

use std::collections::{BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};
use serde_json::json;
use tribunal_results::{Answer, NodeId, Operation, Seen};

use super::front::Front;
use super::primary::{Primary, Request, Ruling};
use super::versions::Writes;
use super::{Bug, Options};
use crate::Status;
use crate::node::heartbeat::{HEARTBEAT_TIMER, Heartbeat};
use crate::node::{Input, MILLISECOND, Machine, Nanos, Outbox, receive};
use crate::transaction::to_json;
use crate::wire::{Body, Code, Message, WireError, operation};

/// How often a node asks the primary for commits that it may have missed.
const SYNC_EVERY: Nanos = 40 * MILLISECOND;
/// The timer for that; transactions' timers have their numbers.
const SYNC_TIMER: u64 = u64::MAX - 1;
/// After so many refusals in it, the primary's log is written anew.
const REFUSALS_MAX: usize = 20_000;

/// What the log holds: of the primary the whole database, of others only how often they started.
#[derive(Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "kebab-case")]
enum Record {
    /// The node has started so many times.
    Started { times: u64 },
    /// Primary: these nodes belong to the database.
    Members { nodes: BTreeSet<NodeId> },
    /// Primary: the transaction of that node made the next version.
    Committed {
        node: NodeId,
        txn: u64,
        writes: Writes,
    },
    /// Primary: the transaction of that node was refused for good.
    Refused { node: NodeId, txn: u64 },
}

/// A node.
#[derive(Debug)]
pub(super) struct Database {
    id: NodeId,
    nodes: Vec<NodeId>,
    /// The first node.
    leader: NodeId,
    primary: Option<Primary>,
    front: Front,
    heartbeat: Heartbeat,
    starts: u64,
    /// Whether this node belongs to the database, once the primary has said so.
    joined: Option<bool>,
    /// The version that the primary had when it first answered in this life. Until the copy has
    /// it, it may be older than what clients of this node have seen.
    catch_up: Option<u64>,
    refusals: usize,
    /// Messages to itself, which need no network.
    local: VecDeque<Body>,
}

impl Database {
    pub(super) fn new(id: NodeId, nodes: Vec<NodeId>, options: &Options, bug: Option<Bug>) -> Self {
        let leader = nodes.first().cloned().unwrap_or_else(|| id.clone());
        let is_primary = leader == id;
        let members = nodes.len().saturating_sub(options.spares).max(1);
        let primary = is_primary.then(|| Primary::new(nodes.iter().take(members).cloned()));
        Self {
            heartbeat: Heartbeat::new(match is_primary {
                true => Vec::new(),
                false => vec![leader.clone()],
            }),
            front: Front::new(options, bug),
            id,
            nodes,
            leader,
            primary,
            starts: 0,
            joined: is_primary.then_some(true),
            catch_up: is_primary.then_some(0),
            refusals: 0,
            local: VecDeque::new(),
        }
    }

    fn reaches_primary(&self, now: Nanos) -> bool {
        self.primary.is_some() || self.heartbeat.is_alive(&self.leader, now)
    }

    fn serves(&self) -> bool {
        let newest = self.front.versions.newest;
        self.joined == Some(true) && self.catch_up.is_some_and(|version| version <= newest)
    }

    fn send(&mut self, to: &NodeId, body: Body, out: &mut Outbox) {
        match *to == self.id {
            true => self.local.push_back(body),
            false => out.send(to, body),
        }
    }

    fn message(&mut self, message: &Message, now: Nanos, out: &mut Outbox) {
        let from_peer = self.nodes.contains(&message.src);
        let handlers = [Self::peer_message, Self::request];
        receive(self, message, from_peer, now, out, handlers);
    }

    fn request(
        &mut self,
        client: &NodeId,
        body: &Body,
        now: Nanos,
        out: &mut Outbox,
    ) -> Result<(), WireError> {
        match body.kind() {
            "custom" => self.administer(client, body, out),
            _ => self.begin(client, body, now, out),
        }
    }

    fn begin(
        &mut self,
        client: &NodeId,
        body: &Body,
        now: Nanos,
        out: &mut Outbox,
    ) -> Result<(), WireError> {
        if !self.serves() {
            let text = format!("{} does not belong to the database, or not yet", self.id);
            return Err(WireError::unavailable(text));
        }
        let number = self
            .front
            .begin(client, body, self.reaches_primary(now), now)?;
        self.go_on(number, now, out);
        Ok(())
    }

    fn go_on(&mut self, number: u64, now: Nanos, out: &mut Outbox) {
        if let Some(request) = self.front.go_on(number, now, out) {
            let body = Body::new("certify")
                .with("txn", request.txn)
                .with("unchanged", to_json(&request.unchanged))
                .with("steps", to_json(&request.steps));
            let leader = self.leader.clone();
            self.send(&leader, body, out);
        }
    }

    fn peer_message(
        &mut self,
        src: &NodeId,
        body: &Body,
        now: Nanos,
        out: &mut Outbox,
    ) -> Result<(), WireError> {
        match body.kind() {
            "ping" => out.send(src, Body::new("pong")),
            "pong" => self.heartbeat.heard(src, now),
            "certify" if self.primary.is_some() => {
                let request = Request {
                    txn: body.field("txn")?,
                    unchanged: body.field("unchanged")?,
                    steps: body.field("steps")?,
                };
                self.certify(src, &request, out);
            }
            "fetch" => self.fetched(src, body.field("after")?, body.field("life")?, out),
            "certified" if *src == self.leader => {
                let (number, version) = (body.field("txn")?, body.field("version")?);
                self.front.committed(number, version, out);
            }
            "refused" if *src == self.leader => {
                let code = Code::from_number(body.field("code")?).unwrap_or(Code::Abort);
                let error = WireError::new(code, body.field::<String>("text")?);
                self.front.refused(body.field("txn")?, &error, out);
            }
            "commits" if *src == self.leader && self.primary.is_none() => {
                let newest = body.field("newest")?;
                if body.field::<Option<u64>>("life")? == Some(self.starts) {
                    self.joined = Some(true);
                    self.catch_up.get_or_insert(newest);
                }
                let commits: Vec<Writes> = body.field("commits")?;
                if self.front.take_up(body.field("after")?, &commits, out) < newest {
                    self.fetch(out);
                }
            }
            "outsider" if *src == self.leader => self.joined = Some(false),
            _ => {}
        }
        Ok(())
    }

    /// Asks the primary for what is new.
    fn fetch(&self, out: &mut Outbox) {
        let body = Body::new("fetch").with("after", self.front.versions.newest);
        out.send(&self.leader, body.with("life", self.starts));
    }

    /// Primary: tells a member what is new, and others that they are none.
    fn fetched(&self, node: &NodeId, after: u64, life: u64, out: &mut Outbox) {
        let Some(primary) = &self.primary else {
            return;
        };
        let body = match primary.members.contains(node) {
            false => Body::new("outsider"),
            true => self
                .commits(after, &primary.after(after))
                .with("life", life),
        };
        out.send(node, body);
    }

    fn commits(&self, after: u64, commits: &[Writes]) -> Body {
        Body::new("commits")
            .with("after", after)
            .with("commits", to_json(&commits))
            .with("newest", self.front.versions.newest)
    }

    /// Primary: commits a transaction, or refuses it.
    fn certify(&mut self, node: &NodeId, request: &Request, out: &mut Outbox) {
        let Some(primary) = &mut self.primary else {
            return;
        };
        let answer = match primary.rule(node, request, &self.front.versions) {
            Ruling::Forgotten => return,
            Ruling::Committed(version) => Body::new("certified").with("version", version),
            Ruling::Refused(error, record) => {
                let (node, txn) = (node.clone(), request.txn);
                if record {
                    out.persist(&Record::Refused {
                        node: node.clone(),
                        txn,
                    });
                    primary.refused(node, txn);
                    self.refusals += 1;
                }
                Body::new("refused")
                    .with("code", error.code.number())
                    .with("text", error.text)
            }
            Ruling::Commits(writes) => {
                let (node, txn) = (node.clone(), request.txn);
                let version = primary.committed(node.clone(), txn, writes.clone());
                out.persist(&Record::Committed {
                    node,
                    txn,
                    writes: writes.clone(),
                });
                self.publish(version, writes, out);
                Body::new("certified").with("version", version)
            }
        };
        self.send(node, answer.with("txn", request.txn), out);
    }

    /// Primary: a new version for its own copy and those of all members.
    fn publish(&mut self, version: u64, writes: Writes, out: &mut Outbox) {
        let (after, writes) = (version.saturating_sub(1), [writes]);
        self.front.take_up(after, &writes, out);
        let body = self.commits(after, &writes);
        let members = self.primary.iter().flat_map(|primary| &primary.members);
        for member in members.filter(|member| **member != self.id) {
            out.send(member, body.clone());
        }
    }

    /// Primary: takes a node into the database or out of it.
    fn administer(
        &mut self,
        client: &NodeId,
        body: &Body,
        out: &mut Outbox,
    ) -> Result<(), WireError> {
        let operation = operation::parse(body)?;
        let Operation::Custom { name, value } = &operation else {
            return Err(WireError::not_supported(body.kind()));
        };
        let Some(primary) = &mut self.primary else {
            let text = format!("ask {}, the primary", self.leader);
            return Err(WireError::unavailable(text));
        };
        let node = value.get("node").and_then(|node| node.as_str());
        let node = self.nodes.iter().find(|known| Some(&***known) == node);
        let node = node.ok_or_else(|| WireError::malformed("`node` is none of the nodes"))?;
        match name.as_str() {
            "add-node" => drop(primary.members.insert(node.clone())),
            "remove-node" if *node == self.id => {
                return Err(WireError::precondition("the primary can't be removed"));
            }
            "remove-node" => drop(primary.members.remove(node)),
            other => return Err(WireError::not_supported(other)),
        }
        let nodes = primary.members.clone();
        let answer = Answer::Custom(json!({ "members": nodes }));
        out.persist(&Record::Members { nodes });
        let reply = operation::reply(&operation, &answer);
        out.send(client, reply.in_reply(body.msg_id()));
        Ok(())
    }

    fn start(&mut self, now: Nanos, out: &mut Outbox) {
        self.starts += 1;
        out.persist(&Record::Started { times: self.starts });
        self.front.start(self.starts << 40);
        self.heartbeat.beat(now, out);
        self.sync(now, out);
    }

    fn sync(&self, now: Nanos, out: &mut Outbox) {
        if self.primary.is_none() {
            self.fetch(out);
            out.timer(now + SYNC_EVERY, SYNC_TIMER);
        }
    }

    /// Writes a log that has become long with refusals anew.
    fn shorten(&mut self, out: &mut Outbox) {
        let Some(primary) = self
            .primary
            .as_ref()
            .filter(|_| self.refusals >= REFUSALS_MAX)
        else {
            return;
        };
        let started = Record::Started { times: self.starts };
        let nodes = primary.members.clone();
        let ended = primary.log().map(|(node, txn, writes)| match writes {
            Some(writes) => Record::Committed { node, txn, writes },
            None => Record::Refused { node, txn },
        });
        let first = [started, Record::Members { nodes }];
        out.compact(first.into_iter().chain(ended));
        self.refusals = 0;
    }
}

impl Machine for Database {
    fn recover(&mut self, record: &[u8]) -> serde_json::Result<()> {
        let record = serde_json::from_slice(record)?;
        if let Record::Started { times } = record {
            self.starts = times;
        }
        let Some(primary) = &mut self.primary else {
            return Ok(());
        };
        match record {
            Record::Started { .. } => {}
            Record::Members { nodes } => primary.members = nodes,
            Record::Refused { node, txn } => {
                primary.refused(node, txn);
                self.refusals += 1;
            }
            Record::Committed { node, txn, writes } => {
                let version = primary.committed(node, txn, writes.clone());
                self.front.versions.apply(&writes, version);
            }
        }
        Ok(())
    }

    fn step(&mut self, input: Input, now: Nanos, out: &mut Outbox) {
        match input {
            Input::Start => self.start(now, out),
            Input::Message(message) => self.message(&message, now, out),
            Input::Timer(HEARTBEAT_TIMER) => self.heartbeat.beat(now, out),
            Input::Timer(SYNC_TIMER) => self.sync(now, out),
            Input::Timer(number) => self.go_on(number, now, out),
            Input::Link { peer, up } => self.heartbeat.link(&peer, up, out),
        }
        let id = self.id.clone();
        while let Some(body) = self.local.pop_front() {
            self.peer_message(&id, &body, now, out).unwrap_or_default();
        }
        self.shorten(out);
    }

    fn status(&self, now: Nanos) -> Status {
        let reached = self.reaches_primary(now);
        let version = self.front.versions.newest;
        Status {
            // A node that nobody has taken in yet has nothing to wait for.
            ready: reached && (self.serves() || self.joined == Some(false)),
            role: match (&self.primary, self.joined) {
                (Some(_), _) => "primary".to_owned(),
                (None, Some(true)) => "replica".to_owned(),
                (None, _) => "spare".to_owned(),
            },
            leader: Some(self.leader.clone()),
            detail: match reached {
                true => format!("version {version}"),
                false => format!("version {version}; {} does not answer", self.leader),
            },
            members: self
                .primary
                .as_ref()
                .map(|primary| primary.members.iter().cloned().collect()),
        }
    }
}

/// What a step finds: the value, and the version as of which.
pub(super) type Found = (Seen, u64);
