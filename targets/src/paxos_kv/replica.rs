//! The machine of every node: acceptor, learner, and now and then the leader.

use std::collections::VecDeque;

use tribunal_results::NodeId;

use super::Bug;
use super::ballot::{Ballot, Slot, scattered};
use super::command::{Act, BATCH_WEIGHT_MAX, Batch, Command};
use super::leader::Role;
use super::log::{Log, Recovered, Snapshot};
use super::message::Say;
use super::requests::Requests;
use super::state::{Effect, State};
use crate::Status;
use crate::node::{Input, Machine, Nanos, Outbox};
use crate::wire::{Body, Message, WireError};

/// The timer of all that is done again and again.
const TICK: u64 = 0;
/// The timer that ends a batch: it is set for the very instant.
const FLUSH: u64 = 1;
/// So many ticks fit into the shortest time after which a silent leader is given up.
const TICKS_PER_ELECTION: u64 = 5;
/// How many commands may wait for a slot; further ones are dropped, and come again.
const QUEUE_MAX: usize = 10_000;
/// How many times too long a lease is that heeds nobody else.
const LEASE_ELECTIONS: u64 = 10;

/// What a replica is told.
pub(super) struct Settings {
    pub(super) id: NodeId,
    /// Every node that there may be.
    pub(super) nodes: Vec<NodeId>,
    /// Those that decide from the first slot on.
    pub(super) members: Vec<NodeId>,
    /// The shortest time after which a silent leader is given up.
    pub(super) election: Nanos,
    /// How many slots a snapshot is taken after.
    pub(super) snapshot_every: Slot,
    pub(super) bug: Option<Bug>,
}

/// Whom a replica follows.
#[derive(Debug)]
pub(super) struct Following {
    pub(super) ballot: Ballot,
    pub(super) heard: Nanos,
    /// Whether a majority does, as the leader says.
    pub(super) followed: bool,
}

/// A replica.
#[derive(Debug)]
pub(super) struct Replica {
    pub(super) id: NodeId,
    pub(super) peers: Vec<NodeId>,
    pub(super) election: Nanos,
    every: Slot,
    pub(super) bug: Option<Bug>,
    pub(super) log: Log,
    pub(super) state: State,
    pub(super) requests: Requests,
    pub(super) role: Role,
    pub(super) following: Option<Following>,
    /// The highest round heard of.
    pub(super) round: u64,
    /// When it tries to lead unless it hears from a leader before.
    deadline: Nanos,
    draws: u64,
    ticked: Nanos,
    /// Commands that wait for a slot, or to be passed on to the leader.
    pub(super) queue: VecDeque<Command>,
    flushes: bool,
    /// All below is chosen, as that node knows.
    pub(super) goal: Option<(Slot, NodeId)>,
    /// A snapshot on its way here.
    pub(super) incoming: Snapshot,
    /// Until when it takes itself for the only one who may lead. Only a planted bug looks at it.
    lease_until: Nanos,
}

impl Replica {
    pub(super) fn new(settings: Settings) -> Self {
        let others = settings.nodes.into_iter().filter(|id| *id != settings.id);
        Self {
            peers: others.collect(),
            requests: Requests::new(settings.id.clone()),
            id: settings.id,
            election: settings.election,
            every: settings.snapshot_every,
            bug: settings.bug,
            log: Log::new(),
            state: State::new(settings.members),
            role: Role::Follower,
            following: None,
            round: 0,
            deadline: 0,
            draws: 0,
            ticked: 0,
            queue: VecDeque::new(),
            flushes: false,
            goal: None,
            incoming: Snapshot::default(),
            lease_until: 0,
        }
    }

    /// Whether it takes part in decisions, as far as it knows.
    pub(super) fn is_member(&self) -> bool {
        self.state.members().contains(&self.id)
    }

    /// How many members are a majority.
    pub(super) fn majority(&self) -> usize {
        self.state.members().len() / 2 + 1
    }

    /// The time between two ticks.
    pub(super) const fn tick_every(&self) -> Nanos {
        self.election / TICKS_PER_ELECTION
    }

    /// Leaves it to others to lead, for a time that differs from node to node and every time.
    pub(super) fn wait(&mut self, now: Nanos) {
        self.draws += 1;
        let seed = self.log.life.wrapping_mul(1 << 32).wrapping_add(self.draws);
        self.deadline = now + self.election + scattered(&self.id, seed, self.election);
    }

    fn start(&mut self, now: Nanos, out: &mut Outbox) {
        self.log.start(out);
        self.requests.start(self.log.life);
        // Somebody has to be first; whoever has just come back rather listens first.
        self.wait(now);
        if self.log.life == 1 {
            self.deadline -= self.election;
        }
        out.timer(now + self.tick_every(), TICK);
    }

    fn message(&mut self, message: Message, now: Nanos, out: &mut Outbox) {
        let Message { src, body, .. } = message;
        if body.kind() == "error" {
            return;
        }
        if self.peers.contains(&src) {
            // A peer that sends nonsense is not answered: errors would go to and fro for ever.
            if let Some(say) = Say::parse(body) {
                self.hear(&src, say, now, out);
            }
        } else if let Err(error) = self.ask(&src, &body, now, out) {
            Requests::refuse(&src, &body, &error, out);
        }
    }

    fn hear(&mut self, src: &NodeId, say: Say, now: Nanos, out: &mut Outbox) {
        match say {
            Say::Prepare { ballot, from } => self.on_prepare(src, ballot, from, now, out),
            Say::Promise { ballot, votes } => self.on_promise(src, &ballot, votes, now, out),
            Say::Accept {
                ballot,
                slot,
                batch,
                chosen,
            } => self.on_accept(src, &ballot, (slot, batch), chosen, now, out),
            Say::Accepted { ballot, slot } => self.on_accepted(src, &ballot, slot, now, out),
            Say::Chosen { ballot, chosen } => self.on_chosen(src, &ballot, chosen, out),
            Say::Heartbeat {
                ballot,
                chosen,
                followed,
            } => self.on_heartbeat(src, &ballot, chosen, followed, now, out),
            Say::HeartbeatOk { ballot } => self.on_heartbeat_ok(src, &ballot, now),
            Say::Reject { ballot } => self.on_reject(&ballot, now),
            Say::Behind { chosen } => self.on_behind(src, chosen, now, out),
            Say::Learn { from } => self.on_learn(src, from, out),
            Say::Learned { from, batches } => self.on_learned(from, &batches, out),
            Say::Fetch { slot, part, from } => self.on_fetch(src, (slot, part), from, out),
            Say::Snapshot {
                slot,
                part,
                last,
                rows,
            } => self.on_snapshot(src, (slot, part, last), rows, out),
            Say::Propose { commands } => self.on_propose(src, commands, now, out),
        }
    }

    /// A client asks for something.
    fn ask(
        &mut self,
        client: &NodeId,
        body: &Body,
        now: Nanos,
        out: &mut Outbox,
    ) -> Result<(), WireError> {
        let act = Act::parse(body)?;
        if let Act::Add(node) | Act::Remove(node) = &act
            && *node != self.id
            && !self.peers.contains(node)
        {
            return Err(WireError::precondition(format!("no node is called {node}")));
        }
        if let Act::Read(key) = &act
            && self.reads_alone(now)
        {
            let effect = Effect::Value(self.state.value(key).cloned());
            out.send(client, effect.answer(&act).in_reply(body.msg_id()));
            return Ok(());
        }
        if !self.is_ready(now) {
            let text = "no leader that a majority follows is known here";
            return Err(WireError::unavailable(text));
        }
        let pause = self.election / 2;
        let begun = self
            .requests
            .begin(client.clone(), body.msg_id(), act, now, pause);
        self.enqueue(begun?, now, out);
        Ok(())
    }

    /// Whether it answers reads out of its own state: never, but for planted bugs.
    fn reads_alone(&self, now: Nanos) -> bool {
        match self.bug {
            Some(Bug::StaleRead) => matches!(self.role, Role::Leader(_)),
            Some(Bug::LeaseClock) => now < self.lease_until,
            _ => false,
        }
    }

    /// A majority heeds it: for as long, it thinks, nobody else can lead.
    pub(super) const fn renew_lease(&mut self, now: Nanos) {
        self.lease_until = now + self.election * LEASE_ELECTIONS;
    }

    /// Another replica passes on what its clients ask.
    fn on_propose(&mut self, src: &NodeId, commands: Vec<Command>, now: Nanos, out: &mut Outbox) {
        if matches!(self.role, Role::Leader(_)) {
            let sound = |c: &Command| c.origin == *src && c.weight() <= BATCH_WEIGHT_MAX;
            for command in commands.into_iter().filter(sound) {
                self.enqueue(command, now, out);
            }
        }
    }

    /// Lets a command wait until all that has come with it is there too.
    fn enqueue(&mut self, command: Command, now: Nanos, out: &mut Outbox) {
        if self.queue.len() < QUEUE_MAX {
            self.queue.push_back(command);
        }
        if !std::mem::replace(&mut self.flushes, true) {
            out.timer(now, FLUSH);
        }
    }

    /// Carries out what was chosen next, and answers those of its own clients who asked for it.
    pub(super) fn apply(&mut self, batch: &Batch, out: &mut Outbox) {
        for command in batch.iter() {
            if let Some(effect) = self.state.apply(command, self.bug) {
                self.requests.answer(command, effect, out);
            }
        }
    }

    fn tick(&mut self, now: Nanos, out: &mut Outbox) {
        // Who has slept has missed what the leader said meanwhile, and not the leader.
        if now.saturating_sub(self.ticked) > self.election {
            self.wait(now);
        }
        self.ticked = now;
        match &self.role {
            Role::Follower if now >= self.deadline => self.campaign(now, out),
            Role::Follower => {}
            Role::Candidate(_) => self.prepare_again(out),
            Role::Leader(_) => self.lead_on(now, out),
        }
        self.catch_up(out);
        for command in self.requests.due(now) {
            self.enqueue(command, now, out);
        }
        out.timer(now + self.tick_every(), TICK);
    }

    /// Whether it knows a leader that a majority follows.
    fn is_ready(&self, now: Nanos) -> bool {
        match (&self.role, &self.following) {
            (Role::Leader(_), _) => self.is_followed(now),
            (_, Some(of)) => of.followed && now.saturating_sub(of.heard) < self.election,
            (_, None) => false,
        }
    }
}

impl Machine for Replica {
    fn recover(&mut self, record: &[u8]) -> serde_json::Result<()> {
        let forgetful = self.bug == Some(Bug::ForgetPromise);
        match self.log.recover(record, forgetful)? {
            Recovered::Nothing => {}
            Recovered::State(state) => self.state = state,
            Recovered::Batches(batches) => {
                for batch in &batches {
                    self.apply(batch, &mut Outbox::default());
                }
            }
        }
        Ok(())
    }

    fn step(&mut self, input: Input, now: Nanos, out: &mut Outbox) {
        match input {
            Input::Start => self.start(now, out),
            Input::Message(message) => self.message(message, now, out),
            Input::Timer(TICK) => self.tick(now, out),
            Input::Timer(_) => {
                self.flushes = false;
                self.flush(now, out);
            }
            // Nothing hangs on connections: what is lost is sent again.
            Input::Link { .. } => {}
        }
        self.log.compact(&self.state, self.every, out);
    }

    fn status(&self, now: Nanos) -> Status {
        let (role, leader) = match (&self.role, &self.following) {
            (Role::Leader(_), _) => ("leader", Some(self.id.clone())),
            (Role::Candidate(_), _) => ("candidate", None),
            (Role::Follower, of) if self.is_member() => {
                ("follower", of.as_ref().map(|of| of.ballot.node().clone()))
            }
            (_, of) => ("learner", of.as_ref().map(|of| of.ballot.node().clone())),
        };
        let members: Vec<&str> = self.state.members().iter().map(|id| &**id).collect();
        Status {
            ready: self.is_ready(now),
            role: role.to_owned(),
            leader,
            detail: format!(
                "{} slots chosen, members {}, promised round {}",
                self.log.next,
                members.join(","),
                self.log.promised.0
            ),
            members: Some(self.state.members().iter().cloned().collect()),
        }
    }
}
