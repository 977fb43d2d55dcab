//! An adversary that keeps `paxos-kv` from ever deciding, though nothing fails.
//!
//! Fischer, Lynch and Paterson ("Impossibility of Distributed Consensus with One Faulty Process",
//! JACM 1985) prove that no deterministic protocol that agrees in an asynchronous system, and
//! outlives one crash, is sure to decide: whatever it does, there is a schedule in which every
//! message is delivered and nobody fails, and yet the choice stays open for ever. Their adversary
//! delays, at each turn, the one message that would settle it until it does not any more.
//!
//! For Paxos that schedule is easily told, and is the one here: duelling proposers. What a leader
//! says in its ballot (`accept`, `heartbeat`, `chosen`) is held back from each node until the
//! `prepare` of a higher ballot has reached that node; everything else is delivered at once. The
//! others, hearing nothing, lose patience and prepare; then the old accepts arrive, and are refused
//! for what was promised meanwhile. So each leader has its own vote and no other. Every message
//! arrives, clocks run, no node fails, and no connection breaks.
//!
//! What the theorem says is that *some* such schedule exists, and not that one is likely: as soon
//! as the adversary delivers messages in the order in which they were sent, a leader is heard
//! before the others lose patience, and decides. Paxos keeps what it has agreed safe in either
//! case, which is why it may give up being live in the first.

use std::collections::{BTreeMap, VecDeque};

use anyhow::Context as _;
use serde_json::json;
use tribunal_results::{Nanos, NodeId};
use tribunal_targets::NodeSpec;
use tribunal_targets::node::{Input, MILLISECOND, Machine, Outbox, reference};
use tribunal_targets::wire::{Body, Message};

/// How many nodes there are.
const NODES: usize = 3;
/// How long clocks run between two looks at what was sent.
const STEP: Nanos = MILLISECOND;
/// How many steps are tried before it is said that nothing happens any more.
const STEPS_MAX: u64 = 1_000_000;

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undecided {
    /// Ballots in which a node was the leader, as a majority had promised.
    pub leaders: u64,
    /// Messages delivered while the adversary was there.
    pub delivered: u64,
    /// Messages that were still held back at its end; all others had arrived.
    pub held: usize,
    /// The most steps (of a millisecond) for which a message was held back.
    pub held_longest: u64,
    /// How many slots were chosen by then, as far as any node knew, and how many clients answered.
    pub chosen: u64,
    /// Clients that were answered by then that their write was done.
    pub answered: usize,
    /// How long after the adversary stopped, in milliseconds, a client's write was done.
    pub decided_after_ms: u64,
}

/// Lets the adversary play until so many leaders were elected, and then stops it.
///
/// # Errors
/// A node can't be made, no leader was elected for long, or nothing was decided after the end.
pub fn keep_undecided(leaders: u64) -> anyhow::Result<Undecided> {
    let mut stage = Stage::new()?;
    while stage.leaders < leaders {
        stage.advance(true)?;
        stage.write_at_leader();
    }
    let so_far = Undecided {
        leaders: stage.leaders,
        delivered: stage.delivered,
        held: stage.under_way.len(),
        held_longest: stage.held_longest,
        chosen: stage.chosen,
        answered: stage.answered,
        decided_after_ms: 0,
    };
    let end = stage.step;
    while stage.answered == so_far.answered {
        stage.advance(false)?;
        stage.write_at_leader();
    }
    let decided_after_ms = stage.step - end;
    Ok(Undecided {
        decided_after_ms,
        ..so_far
    })
}

/// A message that was not delivered yet, and since which step.
struct UnderWay {
    message: Message,
    since: u64,
}

struct Actor {
    machine: Box<dyn Machine>,
    timers: BTreeMap<(Nanos, u64), u64>,
    /// The highest ballot whose prepare has reached it.
    prepared: Option<Ballot>,
    /// Whether it led when it was looked at last.
    led: bool,
}

/// Round and node.
type Ballot = (u64, NodeId);

/// The nodes, and all that is under way between them.
struct Stage {
    actors: BTreeMap<NodeId, Actor>,
    under_way: VecDeque<UnderWay>,
    step: u64,
    timers: u64,
    leaders: u64,
    delivered: u64,
    held_longest: u64,
    chosen: u64,
    answered: usize,
    asked: u64,
}

impl Stage {
    fn new() -> anyhow::Result<Self> {
        let ids: Vec<NodeId> = (1..=NODES).map(|n| format!("n{n}").into()).collect();
        let mut stage = Self {
            actors: BTreeMap::new(),
            under_way: VecDeque::new(),
            step: 0,
            timers: 0,
            leaders: 0,
            delivered: 0,
            held_longest: 0,
            chosen: 0,
            answered: 0,
            asked: 0,
        };
        for id in &ids {
            let machine = machine(id, &ids)?;
            let actor = Actor {
                machine,
                timers: BTreeMap::new(),
                prepared: None,
                led: false,
            };
            stage.actors.insert(id.clone(), actor);
        }
        for id in &ids {
            stage.act(id, Input::Start);
        }
        Ok(stage)
    }

    fn now(&self) -> Nanos {
        self.step * STEP
    }

    /// Delivers all that may be delivered, and lets the clocks run on.
    fn advance(&mut self, adversary: bool) -> anyhow::Result<()> {
        while let Some(at) = self.next_delivery(adversary) {
            if let Some(under_way) = self.under_way.remove(at) {
                self.deliver(under_way);
            }
        }
        self.step += 1;
        anyhow::ensure!(self.step < STEPS_MAX, "nothing happens any more");
        for id in self.actors.keys().cloned().collect::<Vec<_>>() {
            self.fire_timers(&id);
        }
        Ok(())
    }

    /// The first message under way that is not held back.
    fn next_delivery(&self, adversary: bool) -> Option<usize> {
        let goes = |under_way: &UnderWay| !adversary || !self.holds(&under_way.message);
        self.under_way.iter().position(goes)
    }

    /// Whether it is of a leader that its receiver has not yet heard to be challenged.
    fn holds(&self, message: &Message) -> bool {
        let of_leader = matches!(message.body.kind(), "accept" | "heartbeat" | "chosen");
        let ballot: Option<Ballot> = message.body.field("ballot").ok();
        let actor = self.actors.get(&message.dest);
        of_leader && actor.is_none_or(|actor| actor.prepared <= ballot)
    }

    fn deliver(&mut self, UnderWay { message, since }: UnderWay) {
        self.delivered += 1;
        self.held_longest = self.held_longest.max(self.step - since);
        let dest = message.dest.clone();
        if message.body.kind() == "prepare"
            && let Some(actor) = self.actors.get_mut(&dest)
        {
            let ballot: Option<Ballot> = message.body.field("ballot").ok();
            actor.prepared = actor.prepared.take().max(ballot);
        }
        self.act(&dest, Input::Message(message));
    }

    fn fire_timers(&mut self, id: &NodeId) {
        let now = self.now();
        while let Some(actor) = self.actors.get_mut(id)
            && let Some(due) = actor.timers.first_entry()
            && due.key().0 <= now
        {
            let timer = due.remove();
            self.act(id, Input::Timer(timer));
        }
    }

    fn act(&mut self, id: &NodeId, input: Input) {
        let now = self.now();
        let Some(actor) = self.actors.get_mut(id) else {
            return;
        };
        let mut out = Outbox::default();
        actor.machine.step(input, now, &mut out);
        let status = actor.machine.status(now);
        let leads = status.role == "leader";
        self.leaders += u64::from(leads && !std::mem::replace(&mut actor.led, leads));
        actor.led = leads;
        for (at, timer) in out.timers {
            self.timers += 1;
            actor.timers.insert((at, self.timers), timer);
        }
        for (dest, body) in out.messages {
            self.sent(id, dest, body);
        }
    }

    fn sent(&mut self, src: &NodeId, dest: NodeId, body: Body) {
        let chosen: Option<u64> = body.field("chosen").ok();
        self.chosen = self.chosen.max(chosen.unwrap_or_default());
        if !self.actors.contains_key(&dest) {
            self.answered += usize::from(body.kind() == "write_ok");
            return;
        }
        let src = src.clone();
        let message = Message { src, dest, body };
        let since = self.step;
        self.under_way.push_back(UnderWay { message, since });
    }

    /// A client of each leader asks for something, so that there is something to be decided.
    fn write_at_leader(&mut self) {
        let leaders = self.actors.iter().filter(|(_, actor)| actor.led);
        for id in leaders.map(|(id, _)| id.clone()).collect::<Vec<_>>() {
            self.asked += 1;
            let body = Body::new("write")
                .with("key", "x")
                .with("value", self.asked)
                .with("msg_id", self.asked);
            let message = Message {
                src: format!("c{}", self.asked).into(),
                dest: id.clone(),
                body,
            };
            self.act(&id, Input::Message(message));
        }
    }
}

fn machine(id: &NodeId, nodes: &[NodeId]) -> anyhow::Result<Box<dyn Machine>> {
    let address = ([127, 0, 0, 1], 1).into();
    let others = nodes.iter().filter(|other| *other != id);
    let spec = NodeSpec {
        id: id.clone(),
        listen: address,
        peers: others.map(|other| (other.clone(), address)).collect(),
        advertised: None,
        nodes: nodes.to_vec(),
        data: "unused".into(),
        bug: None,
        options: json!({ "election_ms": 50 }),
    };
    reference::machine("paxos-kv", &spec).context("no machine for the adversary's nodes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn with_every_message_delivered_and_no_node_failed_nothing_is_decided_until_the_adversary_stops()
     {
        let undecided = keep_undecided(200).unwrap();
        assert_eq!((undecided.chosen, undecided.answered), (0, 0));
        assert!(undecided.delivered > 200 * 4, "{undecided:?}");
        // Nothing is held back for good: what waits at the end is of the latest leaders only.
        assert!(undecided.held_longest < 1_000, "{undecided:?}");
        assert!(undecided.held < 200, "{undecided:?}");
        // A few elections' patience.
        assert!(undecided.decided_after_ms < 1_000, "{undecided:?}");
    }

    #[test]
    fn without_an_adversary_a_leader_decides_at_once() {
        let undecided = keep_undecided(0).unwrap();
        assert!(undecided.decided_after_ms < 200, "{undecided:?}");
    }
}
