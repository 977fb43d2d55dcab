//! The machine of every node: a participant for its own keys, and a coordinator for its clients.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};
use tribunal_results::{NodeId, Scalar, Seen};

use super::Bug;
use super::coordinator::{Coordinator, Fate, Undecided};
use super::participant::{Committed, Participant, TxnId};
use crate::Status;
use crate::node::heartbeat::{HEARTBEAT_TIMER, Heartbeat};
use crate::node::{Input, MILLISECOND, Machine, Nanos, Outbox, receive};
use crate::transaction::{Bank, Statement, Step, to_json};
use crate::wire::{Body, Code, Message, WireError};

/// How many transactions one node coordinates at once.
const COORDINATED_MAX: usize = 1_000;
/// After so long, whoever has not answered is asked again.
const ASK_AGAIN: Nanos = 60 * MILLISECOND;
/// A transaction on which not all have voted by then is aborted.
const PATIENCE: Nanos = 300 * MILLISECOND;
/// After so long, a participant asks what became of a prepared transaction.
const DOUBT: Nanos = 100 * MILLISECOND;
/// The timer of doubt; transactions' timers have their numbers.
const DOUBT_TIMER: u64 = u64::MAX - 1;
/// After so many records the log is written anew.
const RECORDS_MAX: usize = 20_000;

/// What the log holds.
#[derive(Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "kebab-case")]
enum Record {
    /// The node has started so many times.
    Started { times: u64 },
    /// Participant: it will carry these steps out if it is told to.
    Prepared { id: TxnId, steps: Vec<Step> },
    /// Participant: it was told what becomes of them.
    Ended { id: TxnId, commit: bool },
    /// Coordinator: the transaction has committed; these have to be told.
    Decided {
        number: u64,
        parts: BTreeSet<NodeId>,
    },
    /// Coordinator: all have been told.
    Forgotten { number: u64 },
    /// In a log that was written anew: what a key holds.
    Held { key: Scalar, value: Seen },
    /// The same: what has committed.
    Committed {
        coordinator: NodeId,
        numbers: Committed,
    },
}

/// A node.
#[derive(Debug)]
pub(super) struct TwoPhase {
    id: NodeId,
    nodes: Vec<NodeId>,
    bank: Bank,
    bug: Option<Bug>,
    heartbeat: Heartbeat,
    starts: u64,
    next: u64,
    records: usize,
    coordinator: Coordinator,
    participant: Participant,
    /// Messages to itself, which need no network.
    local: VecDeque<Body>,
}

impl TwoPhase {
    pub(super) fn new(id: NodeId, nodes: Vec<NodeId>, bank: Bank, bug: Option<Bug>) -> Self {
        let peers = nodes.iter().filter(|node| **node != id).cloned().collect();
        Self {
            heartbeat: Heartbeat::new(peers),
            participant: Participant::new(bug == Some(Bug::DirtyRead)),
            id,
            nodes,
            bank,
            bug,
            starts: 0,
            next: 0,
            records: 0,
            coordinator: Coordinator::default(),
            local: VecDeque::new(),
        }
    }

    /// Who has a key: by the FNV-1a hash of its text.
    pub(super) fn owner(&self, key: &Scalar) -> Option<&NodeId> {
        let hash = key
            .to_string()
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325, |h: u64, byte| {
                (h ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
            });
        let nodes = self.nodes.len().max(1) as u64;
        self.nodes.get(usize::try_from((hash >> 32) % nodes).ok()?)
    }

    fn is_alive(&self, node: &NodeId, now: Nanos) -> bool {
        *node == self.id || self.heartbeat.is_alive(node, now)
    }

    fn persist(&mut self, record: &Record, out: &mut Outbox) {
        if self.bug == Some(Bug::NoWal) {
            return;
        }
        self.records += 1;
        out.persist(record);
    }

    fn send(&mut self, to: &NodeId, body: Body, out: &mut Outbox) {
        match *to == self.id {
            true => self.local.push_back(body),
            false => out.send(to, body),
        }
    }

    fn message(&mut self, message: &Message, now: Nanos, out: &mut Outbox) {
        let from_peer = self.nodes.contains(&message.src);
        let handlers = [Self::peer_message, Self::begin];
        receive(self, message, from_peer, now, out, handlers);
    }

    fn peer_message(
        &mut self,
        src: &NodeId,
        body: &Body,
        now: Nanos,
        out: &mut Outbox,
    ) -> Result<(), WireError> {
        let number = || body.field::<u64>("txn");
        let id = || {
            Ok::<TxnId, WireError>(TxnId {
                coordinator: src.clone(),
                number: number()?,
            })
        };
        match body.kind() {
            "ping" => out.send(src, Body::new("pong")),
            "pong" => self.heartbeat.heard(src, now),
            "prepare" => self.prepare(&id()?, &body.field::<Vec<Step>>("steps")?, now, out),
            "prepared" => self.voted(number()?, src, body.field("seen")?, out),
            "refused" => {
                let code = Code::from_number(body.field("code")?).unwrap_or(Code::Abort);
                let error = WireError::new(code, body.field::<String>("text")?);
                self.abort(number()?, &error, out);
            }
            "commit" => {
                let id = id()?;
                self.end(&id, true, out);
                let done = Body::new("committed").with("txn", id.number);
                self.send(src, done, out);
            }
            "abort" => self.end(&id()?, false, out),
            "committed" => {
                let number = number()?;
                if self.coordinator.acknowledged(number, src) {
                    self.persist(&Record::Forgotten { number }, out);
                }
            }
            "inquire" => {
                let fate = match self.coordinator.fate(number()?) {
                    Fate::Open => return Ok(()),
                    Fate::Commit => "commit",
                    Fate::Abort => "abort",
                };
                self.send(src, Body::new(fate).with("txn", number()?), out);
            }
            _ => {}
        }
        Ok(())
    }

    /// Begins a client's transaction: asks everyone who has a key of it to prepare.
    fn begin(
        &mut self,
        client: &NodeId,
        body: &Body,
        now: Nanos,
        out: &mut Outbox,
    ) -> Result<(), WireError> {
        let statement = Statement::parse(body, self.bank)?;
        let known = self.coordinator.undecided.len() + self.coordinator.committed.len();
        if known >= COORDINATED_MAX {
            return Err(WireError::unavailable("too many transactions"));
        }
        let mut parts: BTreeMap<NodeId, Vec<usize>> = BTreeMap::new();
        for (place, step) in statement.steps.iter().enumerate() {
            if let Some(owner) = self.owner(step.key()) {
                parts.entry(owner.clone()).or_default().push(place);
            }
        }
        if let Some(down) = parts.keys().find(|node| !self.is_alive(node, now)) {
            return Err(WireError::unavailable(format!("{down} does not answer")));
        }
        let number = self.next;
        self.next += 1;
        let undecided = Undecided {
            client: client.clone(),
            msg_id: body.msg_id(),
            statement,
            parts,
            votes: BTreeMap::new(),
            until: now + PATIENCE,
        };
        self.coordinator.undecided.insert(number, undecided);
        self.ask_to_prepare(number, out);
        out.timer(now + ASK_AGAIN, number);
        self.decide(number, out);
        Ok(())
    }

    fn ask_to_prepare(&mut self, number: u64, out: &mut Outbox) {
        let Some(txn) = self.coordinator.undecided.get(&number) else {
            return;
        };
        let ask = |node: &NodeId| {
            let steps = to_json(&txn.part(node));
            let body = Body::new("prepare").with("txn", number);
            (node.clone(), body.with("steps", steps))
        };
        let asked: Vec<(NodeId, Body)> = txn.silent().map(ask).collect();
        for (node, body) in asked {
            self.send(&node, body, out);
        }
    }

    /// Participant: promises to carry steps out, or refuses.
    fn prepare(&mut self, id: &TxnId, steps: &[Step], now: Nanos, out: &mut Outbox) {
        let vote = match self.participant.prepare(id, steps, now) {
            Ok((seen, new)) => {
                if new {
                    let (id, steps) = (id.clone(), steps.to_vec());
                    self.persist(&Record::Prepared { id, steps }, out);
                }
                Body::new("prepared").with("seen", to_json(&seen))
            }
            Err(error) => Body::new("refused")
                .with("code", error.code.number())
                .with("text", error.text),
        };
        self.send(&id.coordinator, vote.with("txn", id.number), out);
    }

    /// Participant: is told the fate of a transaction.
    fn end(&mut self, id: &TxnId, commit: bool, out: &mut Outbox) {
        if self.participant.end(id, commit) {
            let id = id.clone();
            self.persist(&Record::Ended { id, commit }, out);
        }
    }

    fn voted(&mut self, number: u64, participant: &NodeId, seen: Vec<Seen>, out: &mut Outbox) {
        if let Some(txn) = self.coordinator.undecided.get_mut(&number) {
            txn.vote(participant, seen);
            self.decide(number, out);
        }
    }

    /// Commits once all have voted for it: from then on whatever crashes can't undo it.
    fn decide(&mut self, number: u64, out: &mut Outbox) {
        let Some(txn) = self.coordinator.undecided.get(&number) else {
            return;
        };
        let early = self.bug == Some(Bug::CommitBeforeVotes);
        if txn.silent().any(|node| !early || txn.reads_at(node)) {
            return;
        }
        let Some(txn) = self.coordinator.undecided.remove(&number) else {
            return;
        };
        let mut parts: BTreeSet<NodeId> = txn.parts.keys().cloned().collect();
        if self.bug == Some(Bug::PartialCommit) {
            parts = parts.into_iter().take(1).collect();
        }
        if !parts.is_empty() {
            let record = Record::Decided {
                number,
                parts: parts.clone(),
            };
            self.persist(&record, out);
            self.coordinator.committed.insert(number, parts);
        }
        out.send(&txn.client, txn.reply());
        self.tell_commit(number, out);
    }

    fn tell_commit(&mut self, number: u64, out: &mut Outbox) {
        let waiting = self.coordinator.committed.get(&number);
        let waiting: Vec<NodeId> = waiting.into_iter().flatten().cloned().collect();
        for node in waiting {
            self.send(&node, Body::new("commit").with("txn", number), out);
        }
    }

    /// Aborts a transaction, if nothing is decided yet: it has had no effect and never will.
    fn abort(&mut self, number: u64, error: &WireError, out: &mut Outbox) {
        let Some(txn) = self.coordinator.undecided.remove(&number) else {
            return;
        };
        for node in txn.parts.keys() {
            self.send(node, Body::new("abort").with("txn", number), out);
        }
        out.send(&txn.client, error.body().in_reply(txn.msg_id));
    }

    /// Asks again whoever has not answered, or loses patience.
    fn asked_long_ago(&mut self, number: u64, now: Nanos, out: &mut Outbox) {
        if let Some(txn) = self.coordinator.undecided.get(&number) {
            if now >= txn.until {
                let error = WireError::new(Code::Abort, "not all participants answered");
                return self.abort(number, &error, out);
            }
            self.ask_to_prepare(number, out);
        } else if self.coordinator.committed.contains_key(&number) {
            self.tell_commit(number, out);
        } else {
            return;
        }
        out.timer(now + ASK_AGAIN, number);
    }

    /// Participant: asks what became of what has been prepared for long. It can only wait.
    fn doubt(&mut self, now: Nanos, out: &mut Outbox) {
        let mut asked = Vec::new();
        for (id, part) in &mut self.participant.prepared {
            if now >= part.since + DOUBT {
                part.since = now;
                asked.push(id.clone());
            }
        }
        for id in asked {
            let body = Body::new("inquire").with("txn", id.number);
            self.send(&id.coordinator, body, out);
        }
        out.timer(now + DOUBT, DOUBT_TIMER);
    }

    /// Takes the work of an earlier life up again.
    fn start(&mut self, now: Nanos, out: &mut Outbox) {
        self.starts += 1;
        out.persist(&Record::Started { times: self.starts });
        self.next = self.starts << 40;
        let numbers: Vec<u64> = self.coordinator.committed.keys().copied().collect();
        for number in numbers {
            out.timer(now, number);
        }
        self.heartbeat.beat(now, out);
        self.doubt(now, out);
    }

    /// Writes a long log anew.
    fn shorten(&mut self, out: &mut Outbox) {
        if self.records < RECORDS_MAX {
            return;
        }
        let participant = &self.participant;
        let started = Record::Started { times: self.starts };
        let held = participant.data.iter().map(|(key, value)| Record::Held {
            key: key.clone(),
            value: value.clone(),
        });
        let committed = participant
            .committed
            .iter()
            .map(|(node, numbers)| Record::Committed {
                coordinator: node.clone(),
                numbers: numbers.clone(),
            });
        let prepared = participant
            .prepared
            .iter()
            .map(|(id, part)| Record::Prepared {
                id: id.clone(),
                steps: part.steps.clone(),
            });
        let decided = self
            .coordinator
            .committed
            .iter()
            .map(|(number, parts)| Record::Decided {
                number: *number,
                parts: parts.clone(),
            });
        let records = std::iter::once(started).chain(held).chain(committed);
        out.compact(records.chain(prepared).chain(decided));
        self.records = 0;
    }
}

impl Machine for TwoPhase {
    fn recover(&mut self, record: &[u8]) -> serde_json::Result<()> {
        self.records += 1;
        match serde_json::from_slice(record)? {
            Record::Started { times } => self.starts = times,
            Record::Prepared { id, steps } => self.participant.take_up(id, steps, 0),
            Record::Ended { id, commit } => drop(self.participant.end(&id, commit)),
            Record::Decided { number, parts } => {
                self.coordinator.committed.insert(number, parts);
            }
            Record::Forgotten { number } => drop(self.coordinator.committed.remove(&number)),
            Record::Held { key, value } => drop(self.participant.data.insert(key, value)),
            Record::Committed {
                coordinator,
                numbers,
            } => drop(self.participant.committed.insert(coordinator, numbers)),
        }
        Ok(())
    }

    fn step(&mut self, input: Input, now: Nanos, out: &mut Outbox) {
        match input {
            Input::Start => self.start(now, out),
            Input::Message(message) => self.message(&message, now, out),
            Input::Timer(HEARTBEAT_TIMER) => self.heartbeat.beat(now, out),
            Input::Timer(DOUBT_TIMER) => self.doubt(now, out),
            Input::Timer(number) => self.asked_long_ago(number, now, out),
            Input::Link { peer, up } => self.heartbeat.link(&peer, up, out),
        }
        let id = self.id.clone();
        while let Some(body) = self.local.pop_front() {
            self.peer_message(&id, &body, now, out).unwrap_or_default();
        }
        self.shorten(out);
    }

    fn status(&self, now: Nanos) -> Status {
        let mut others = self.nodes.iter();
        let down = others.find(|node| !self.is_alive(node, now));
        let prepared = self.participant.prepared.len();
        Status {
            ready: down.is_none(),
            role: "participant".to_owned(),
            leader: None,
            detail: match down {
                Some(node) => format!("{node} does not answer; {prepared} transactions prepared"),
                None => format!("{prepared} transactions prepared"),
            },
            ..Status::default()
        }
    }
}
