//! The machine of every node: a replica, and the coordinator of its own clients' requests.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use tribunal_results::{NodeId, Scalar};

use super::Bug;
use super::replica::{Replica, Timestamp, Version};
use super::request::{Goal, Phase, Request};
use crate::Status;
use crate::node::heartbeat::{HEARTBEAT_TIMER, Heartbeat};
use crate::node::{Input, MILLISECOND, Machine, Nanos, Outbox, receive};
use crate::wire::{Body, Message, WireError};

/// How many requests may be in progress; further ones are refused.
const REQUESTS_MAX: usize = 10_000;
/// How many keys there may be.
const KEYS_MAX: usize = 1_000_000;
/// After so long without a majority, every replica that has not answered is asked (again).
const RETRANSMIT_AFTER: Nanos = 100 * MILLISECOND;
/// A request that has not found a majority by then is given up without an answer: its client has
/// gone, and its outcome is unknown to it anyway.
const PATIENCE: Nanos = 5_000 * MILLISECOND;

/// What the log holds.
#[derive(Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "kebab-case")]
enum Record {
    /// The node started once more.
    Started,
    /// The replica adopted a version.
    Adopted { key: Scalar, version: Version },
}

/// A node of the register.
#[derive(Debug)]
pub(super) struct Register {
    id: NodeId,
    peers: Vec<NodeId>,
    bug: Option<Bug>,
    replica: Replica,
    heartbeat: Heartbeat,
    /// How often the node has started before. Requests are numbered from it, so that the answer
    /// to a request of an earlier life can't count for one of this life.
    starts: u64,
    next: u64,
    requests: BTreeMap<u64, Request>,
}

impl Register {
    pub(super) fn new(id: NodeId, peers: Vec<NodeId>, bug: Option<Bug>) -> Self {
        Self {
            id,
            heartbeat: Heartbeat::new(peers.clone()),
            peers,
            bug,
            replica: Replica::default(),
            starts: 0,
            next: 0,
            requests: BTreeMap::new(),
        }
    }

    fn majority(&self) -> usize {
        self.peers.len().div_ceil(2) + 1
    }

    fn message(&mut self, message: &Message, now: Nanos, out: &mut Outbox) {
        let from_peer = self.peers.contains(&message.src);
        let handlers = [Self::peer_message, Self::request];
        receive(self, message, from_peer, now, out, handlers);
    }

    fn request(
        &mut self,
        src: &NodeId,
        body: &Body,
        now: Nanos,
        out: &mut Outbox,
    ) -> Result<(), WireError> {
        let (key, goal) = Request::parse(body)?;
        self.begin(src.clone(), body.msg_id(), key, goal, now, out)
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
            "query" => {
                let answer = Body::new("query_ok").with("request", body.field::<u64>("request")?);
                let answer = match self.replica.newest(&body.field("key")?) {
                    Some(version) => version.put(answer),
                    None => answer,
                };
                out.send(src, answer);
            }
            "store" => {
                let number: u64 = body.field("request")?;
                if let Some(version) = Version::take(body)? {
                    self.adopt(&body.field("key")?, &version, out);
                    out.send(src, Body::new("store_ok").with("request", number));
                }
            }
            "query_ok" => {
                let version = Version::take(body)?;
                self.progress(body.field("request")?, now, out, |r| r.told(src, version));
            }
            "store_ok" => self.progress(body.field("request")?, now, out, |r| r.stored(src)),
            _ => {}
        }
        Ok(())
    }

    /// Takes a version up, durably before anything is sent that says so.
    fn adopt(&mut self, key: &Scalar, version: &Version, out: &mut Outbox) {
        if self.replica.adopt(key, version) {
            out.persist(&Record::Adopted {
                key: key.clone(),
                version: version.clone(),
            });
        }
    }

    /// Begins a client's request with a query.
    fn begin(
        &mut self,
        client: NodeId,
        msg_id: Option<u64>,
        key: Scalar,
        goal: Goal,
        now: Nanos,
        out: &mut Outbox,
    ) -> Result<(), WireError> {
        if self.requests.len() >= REQUESTS_MAX || self.replica.len() >= KEYS_MAX {
            return Err(WireError::unavailable("too many requests or keys"));
        }
        let request = Request {
            client,
            msg_id,
            key,
            goal,
            phase: Phase::Query(Vec::new()),
            answered: BTreeSet::from([self.id.clone()]),
            until: now + PATIENCE,
        };
        if self.bug == Some(Bug::ReadOne) && request.goal == Goal::Read {
            out.send(
                &request.client,
                request.answer(self.replica.newest(&request.key)),
            );
            return Ok(());
        }
        let number = self.next;
        self.next += 1;
        self.ask_some(number, &request, now, out);
        out.timer(now + RETRANSMIT_AFTER, number);
        self.requests.insert(number, request);
        self.progress(number, now, out, |_| {});
        Ok(())
    }

    /// Asks as many replicas as a majority needs, those first that seem to be alive, each in its
    /// turn. The others are spared the message unless one of these stays silent.
    fn ask_some(&self, number: u64, request: &Request, now: Nanos, out: &mut Outbox) {
        let turn = usize::try_from(number % self.peers.len().max(1) as u64).unwrap_or_default();
        let (later, first) = self.peers.split_at(turn);
        let mut peers: Vec<&NodeId> = first.iter().chain(later).collect();
        peers.sort_by_key(|peer| !self.heartbeat.is_alive(peer, now));
        for peer in peers.into_iter().take(self.majority() - 1) {
            out.send(peer, request.message(number));
        }
    }

    /// Asks every replica that has not answered yet.
    fn ask_all(&self, number: u64, request: &Request, out: &mut Outbox) {
        for peer in self.peers.iter().filter(|p| !request.answered.contains(*p)) {
            out.send(peer, request.message(number));
        }
    }

    /// Lets something happen to a request, and goes on with it as far as a majority allows.
    fn progress(
        &mut self,
        number: u64,
        now: Nanos,
        out: &mut Outbox,
        happen: impl FnOnce(&mut Request),
    ) {
        let Some(mut request) = self.requests.remove(&number) else {
            return;
        };
        happen(&mut request);
        while request.answered.len() >= self.majority() {
            match self.next_phase(&request) {
                Ok(version) => {
                    // Before anybody hears of the version, it is durable here. Were it not, this
                    // node could crash with the version at a minority, find a majority that knows
                    // nothing of it, and give its timestamp to another value.
                    self.adopt(&request.key, &version, out);
                    request.phase = Phase::Store(version);
                    request.answered = BTreeSet::from([self.id.clone()]);
                    self.ask_some(number, &request, now, out);
                }
                Err(answer) => return out.send(&request.client, answer),
            }
        }
        self.requests.insert(number, request);
    }

    /// What follows once a majority has answered: a version to store, or else the answer.
    fn next_phase(&self, request: &Request) -> Result<Version, Body> {
        let others = match &request.phase {
            Phase::Store(version) => return Err(request.answer(Some(version))),
            Phase::Query(others) => others,
        };
        // Its own replica answers last. So a write sees what other writes of this node chose
        // meanwhile, and takes a higher timestamp.
        let own = self.replica.newest(&request.key);
        let newest = others
            .iter()
            .map(Option::as_ref)
            .chain([own])
            .flatten()
            .max_by_key(|v| &v.at);
        let unanimous = others.iter().all(|version| version.as_ref() == own);
        match (&request.goal, newest) {
            (Goal::Write(value), newest) => Ok(self.new_version(newest, value)),
            (Goal::Read, None) => Err(request.answer(None)),
            (Goal::Read, newest) if self.bug == Some(Bug::NoWriteBack) => {
                Err(request.answer(newest))
            }
            // A majority has it already, so every later majority will meet it.
            (Goal::Read, newest) if unanimous => Err(request.answer(newest)),
            (Goal::Read, Some(newest)) => Ok(newest.clone()),
        }
    }

    /// A version newer than all that a majority knew.
    fn new_version(&self, newest: Option<&Version>, value: &Scalar) -> Version {
        Version {
            at: Timestamp {
                counter: newest.map_or(1, |version| version.at.counter.saturating_add(1)),
                node: self.id.clone(),
            },
            value: value.clone(),
        }
    }

    /// Asks silent replicas again, or gives the request up.
    fn retransmit(&mut self, number: u64, now: Nanos, out: &mut Outbox) {
        match self.requests.get(&number) {
            Some(request) if now < request.until => {
                self.ask_all(number, request, out);
                out.timer(now + RETRANSMIT_AFTER, number);
            }
            _ => drop(self.requests.remove(&number)),
        }
    }
}

impl Machine for Register {
    fn recover(&mut self, record: &[u8]) -> serde_json::Result<()> {
        match serde_json::from_slice(record)? {
            Record::Started => self.starts += 1,
            Record::Adopted { key, version } => drop(self.replica.adopt(&key, &version)),
        }
        Ok(())
    }

    fn step(&mut self, input: Input, now: Nanos, out: &mut Outbox) {
        match input {
            Input::Start => {
                out.persist(&Record::Started);
                self.next = self.starts << 40;
                self.heartbeat.beat(now, out);
            }
            Input::Message(message) => self.message(&message, now, out),
            Input::Timer(HEARTBEAT_TIMER) => self.heartbeat.beat(now, out),
            Input::Timer(number) => self.retransmit(number, now, out),
            Input::Link { peer, up } => self.heartbeat.link(&peer, up, out),
        }
    }

    fn status(&self, now: Nanos) -> Status {
        let alive = self.heartbeat.alive(now) + 1;
        Status {
            ready: alive >= self.majority(),
            role: "replica".to_owned(),
            leader: None,
            detail: format!("{alive} of {} replicas answer", self.peers.len() + 1),
            ..Status::default()
        }
    }
}
