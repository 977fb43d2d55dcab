//! Replicas step by step: who says what, what is lost, which clock runs out.
//!
//! A [`Play`] holds a few replicas and every message under way. Lines of its script read like the
//! protocol: `deliver`, `lose`, `crash`, and `pass` for time.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};
use tribunal_results::NodeId;

use super::TARGET;
use super::message::Say;
use crate::NodeSpec;
use crate::node::{Input, MILLISECOND, Machine, Nanos, Outbox};
use crate::wire::{Body, Message};

struct Actor {
    /// Nothing while it is down.
    machine: Option<Box<dyn Machine>>,
    log: Vec<Vec<u8>>,
    timers: Vec<(Nanos, u64)>,
    born: Nanos,
}

struct Play {
    options: Json,
    actors: BTreeMap<NodeId, Actor>,
    under_way: Vec<Message>,
    answers: Vec<(NodeId, Body)>,
    now: Nanos,
    asked: u64,
}

impl Play {
    /// So many nodes that have just begun.
    fn new(nodes: usize, options: Json) -> Self {
        let ids = (1..=nodes).map(|n| NodeId::from(format!("n{n}")));
        let actor = || Actor {
            machine: None,
            log: Vec::new(),
            timers: Vec::new(),
            born: 0,
        };
        let mut play = Self {
            options,
            actors: ids.map(|id| (id, actor())).collect(),
            under_way: Vec::new(),
            answers: Vec::new(),
            now: 0,
            asked: 0,
        };
        for id in play.ids() {
            play.start(&id);
        }
        play
    }

    fn ids(&self) -> Vec<NodeId> {
        self.actors.keys().cloned().collect()
    }

    fn machine(&self, id: &str) -> Box<dyn Machine> {
        let nodes = self.ids();
        let address = ([127, 0, 0, 1], 1).into();
        let others = nodes.iter().filter(|other| &***other != id);
        let spec = NodeSpec {
            id: id.into(),
            listen: address,
            peers: others.map(|other| (other.clone(), address)).collect(),
            advertised: None,
            nodes: nodes.clone(),
            data: "unused".into(),
            bug: None,
            options: self.options.clone(),
        };
        (TARGET.machine)(&spec).unwrap()
    }

    fn start(&mut self, id: &str) {
        let mut machine = self.machine(id);
        let actor = self.actors.get_mut(id).unwrap();
        for record in &actor.log {
            machine.recover(record).unwrap();
        }
        actor.machine = Some(machine);
        actor.timers.clear();
        actor.born = self.now;
        self.step(id, Input::Start);
    }

    fn crash(&mut self, id: &str) {
        self.actors.get_mut(id).unwrap().machine = None;
        self.under_way.retain(|message| &*message.dest != id);
    }

    fn step(&mut self, id: &str, input: Input) {
        let actor = self.actors.get_mut(id).unwrap();
        let Some(machine) = &mut actor.machine else {
            return;
        };
        let mut out = Outbox::default();
        machine.step(input, self.now - actor.born, &mut out);
        if let Some(whole) = out.compacted {
            actor.log = whole;
        }
        actor.log.append(&mut out.records);
        actor.timers.append(&mut out.timers);
        for (dest, body) in out.messages {
            let src = id.into();
            match self.actors.contains_key(&dest) {
                true => self.under_way.push(Message { src, dest, body }),
                false => self.answers.push((dest, body)),
            }
        }
        self.flush(id);
    }

    /// Ends the batch that began at this instant.
    fn flush(&mut self, id: &str) {
        let now = self.now;
        let actor = self.actors.get_mut(id).unwrap();
        let due = |(at, timer): &(Nanos, u64)| *timer == 1 && actor.born + at <= now;
        if let Some(at) = actor.timers.iter().position(due) {
            actor.timers.remove(at);
            self.step(id, Input::Timer(1));
        }
    }

    /// Delivers the messages under way of which `which` holds, in order; not what they lead to.
    fn deliver_once(&mut self, which: impl Fn(&Message) -> bool) -> usize {
        let all = std::mem::take(&mut self.under_way);
        let (now, later): (Vec<Message>, Vec<Message>) = all.into_iter().partition(which);
        self.under_way = later;
        let count = now.len();
        for message in now {
            self.step(&message.dest.clone(), Input::Message(message));
        }
        count
    }

    /// Delivers until nothing of the kind is under way.
    fn deliver(&mut self, which: impl Fn(&Message) -> bool + Copy) {
        while self.deliver_once(which) > 0 {}
    }

    fn lose(&mut self, which: impl Fn(&Message) -> bool) {
        self.under_way.retain(|message| !which(message));
    }

    /// Lets one node's clock run by so many milliseconds, and the clock of nobody else.
    fn pass(&mut self, id: &str, ms: u64) {
        self.now += ms * MILLISECOND;
        loop {
            let now = self.now;
            let actor = self.actors.get_mut(id).unwrap();
            let due = |(at, _): &(Nanos, u64)| actor.born + at <= now;
            let Some(at) = actor.timers.iter().position(due) else {
                return;
            };
            let (_, timer) = actor.timers.remove(at);
            self.step(id, Input::Timer(timer));
        }
    }

    /// Lets time pass in which everything arrives.
    fn settle(&mut self, ms: u64) {
        for _ in 0..ms / 20 {
            for id in self.ids() {
                self.pass(&id, 0);
            }
            self.now += 20 * MILLISECOND;
            self.deliver(|_| true);
        }
    }

    /// Lets one node run out of patience, so that it campaigns.
    fn campaign(&mut self, id: &str) {
        for _ in 0..1_000 {
            if self.role(id) == "candidate" {
                return;
            }
            self.pass(id, 20);
        }
        panic!("{id} does not campaign");
    }

    /// Makes a node the leader, with everything that is said for it.
    fn elect(&mut self, id: &str) {
        self.campaign(id);
        self.deliver(|_| true);
        assert_eq!(self.role(id), "leader", "{id}");
    }

    fn status(&self, id: &str) -> crate::Status {
        let actor = &self.actors[id];
        let now = self.now - actor.born;
        let machine = actor.machine.as_ref();
        machine.map(|m| m.status(now)).unwrap_or_default()
    }

    fn role(&self, id: &str) -> String {
        self.status(id).role
    }

    /// How many slots a node knows to be chosen.
    fn chosen(&self, id: &str) -> u64 {
        let detail = self.status(id).detail;
        detail.split(' ').next().unwrap().parse().unwrap()
    }

    fn ask(&mut self, id: &str, body: Body) -> NodeId {
        self.asked += 1;
        let client: NodeId = format!("c{}", self.asked).into();
        let message = Message {
            src: client.clone(),
            dest: id.into(),
            body: body.with("msg_id", self.asked),
        };
        self.step(id, Input::Message(message));
        client
    }

    fn write(&mut self, id: &str, value: i64) -> NodeId {
        self.ask(id, Body::new("write").with("key", "k").with("value", value))
    }

    /// What a client has been answered: once at most.
    fn answer(&self, client: &NodeId) -> Option<&Body> {
        let mut answers = self.answers.iter().filter(|(to, _)| to == client);
        let first = answers.next().map(|(_, body)| body);
        assert!(answers.next().is_none(), "{client} was answered twice");
        first
    }

    fn kind(&self, client: &NodeId) -> &str {
        self.answer(client).map_or("", Body::kind)
    }

    /// Reads through a node, everything arriving.
    fn read(&mut self, id: &str) -> Option<i64> {
        let client = self.ask(id, Body::new("read").with("key", "k"));
        self.settle(200);
        let answer = self.answer(&client).expect("no answer");
        answer.field("value").expect("no value")
    }
}

fn is(kind: &'static str) -> impl Fn(&Message) -> bool + Copy {
    move |message| message.body.kind() == kind
}

fn from_to(src: &'static str, dest: &'static str) -> impl Fn(&Message) -> bool + Copy {
    move |message| &*message.src == src && &*message.dest == dest
}

fn between(a: &'static str, b: &'static str) -> impl Fn(&Message) -> bool + Copy {
    move |message| from_to(a, b)(message) || from_to(b, a)(message)
}

fn touches(id: &'static str) -> impl Fn(&Message) -> bool + Copy {
    move |message| &*message.src == id || &*message.dest == id
}

#[test]
fn a_leader_is_elected_once_and_then_each_write_takes_one_round() {
    let mut play = Play::new(3, json!({}));
    play.campaign("n1");
    assert_eq!(play.deliver_once(is("prepare")), 2);
    assert_eq!(play.deliver_once(is("promise")), 2);
    assert_eq!(play.role("n1"), "leader");
    play.deliver(|_| true);
    let client = play.write("n1", 7);
    assert_eq!(play.deliver_once(is("accept")), 2);
    assert_eq!(play.kind(&client), "");
    assert_eq!(play.deliver_once(from_to("n2", "n1")), 1);
    assert_eq!(play.kind(&client), "write_ok", "n1 and n2 are a majority");
    // A follower's clients are served too; it answers when it knows what was chosen.
    let client = play.ask("n3", Body::new("read").with("key", "k"));
    play.deliver(|_| true);
    assert_eq!(play.answer(&client).unwrap().field("value"), Ok(7));
    assert_eq!(play.lines_of("prepare"), 0);
}

impl Play {
    fn lines_of(&self, kind: &str) -> usize {
        let of_kind = |message: &&Message| message.body.kind() == kind;
        self.under_way.iter().filter(of_kind).count()
    }
}

#[test]
fn a_new_leader_proposes_again_what_one_acceptor_of_its_majority_had_accepted() {
    let mut play = Play::new(3, json!({}));
    play.elect("n1");
    let client = play.write("n1", 7);
    play.deliver_once(|m| is("accept")(m) && from_to("n1", "n2")(m));
    // n1 hears of it, answers and dies; nobody else knows that it is chosen.
    play.deliver_once(is("accepted"));
    assert_eq!(play.kind(&client), "write_ok");
    play.crash("n1");
    play.lose(|_| true);
    play.elect("n3");
    assert_eq!(play.read("n3"), Some(7));
}

#[test]
fn of_several_values_that_of_the_highest_ballot_is_proposed_again() {
    let mut play = Play::new(5, json!({}));
    play.elect("n1");
    // n1 writes 1, which nobody but itself accepts.
    play.write("n1", 1);
    play.lose(|_| true);
    // n2 leads without n1 and writes 2, which n3 accepts.
    play.campaign("n2");
    play.deliver(|m| !touches("n1")(m));
    play.write("n2", 2);
    play.deliver_once(|m| is("accept")(m) && from_to("n2", "n3")(m));
    play.crash("n2");
    play.lose(|_| true);
    // Of n1, n3 and n4, n1 reports 1 and n3 reports 2 for the same slot.
    play.campaign("n4");
    play.deliver(|m| !touches("n5")(m));
    assert_eq!(play.role("n4"), "leader");
    let read = play.ask("n4", Body::new("read").with("key", "k"));
    play.deliver(|m| !touches("n5")(m));
    assert_eq!(play.answer(&read).unwrap().field("value"), Ok(2));
}

#[test]
fn a_leader_deposed_in_the_middle_gets_nothing_chosen_and_says_nothing() {
    let mut play = Play::new(3, json!({}));
    play.elect("n1");
    let old = play.write("n1", 1);
    // Its accepts stay under way while n2 is elected by n3.
    play.campaign("n2");
    play.deliver(|m| between("n2", "n3")(m));
    assert_eq!(play.role("n2"), "leader");
    let new = play.write("n2", 2);
    play.deliver(|m| between("n2", "n3")(m));
    assert_eq!(play.kind(&new), "write_ok");
    // Now the old accepts arrive: too late.
    play.deliver_once(is("accept"));
    assert_eq!(play.kind(&old), "");
    play.deliver(|_| true);
    assert_eq!(play.role("n1"), "follower");
    // n1 has learnt of n2, and lets its own client's write be proposed again: once.
    play.settle(2_000);
    assert_eq!(play.kind(&old), "write_ok");
    assert_eq!(play.read("n3"), Some(1));
}

#[test]
fn gaps_before_what_was_accepted_are_filled_with_nothing() {
    let mut play = Play::new(3, json!({}));
    play.elect("n1");
    let lost = play.write("n1", 1);
    play.lose(is("accept"));
    play.write("n1", 2);
    play.deliver_once(|m| is("accept")(m) && from_to("n1", "n2")(m));
    play.crash("n1");
    play.lose(|_| true);
    play.elect("n3");
    play.settle(100);
    assert_eq!(play.chosen("n3"), 2, "a no-op, and the second write");
    assert_eq!(play.kind(&lost), "");
    assert_eq!(play.read("n3"), Some(2));
}

#[test]
fn a_request_that_was_proposed_twice_is_carried_out_once() {
    let mut play = Play::new(3, json!({}));
    play.elect("n1");
    let first = play.write("n3", 1);
    // The write is chosen, and n3 does not hear of it; it asks again.
    play.deliver(|m| !from_to("n1", "n3")(m));
    play.lose(from_to("n1", "n3"));
    let second = play.write("n1", 2);
    play.deliver(|m| !from_to("n1", "n3")(m));
    assert_eq!(play.kind(&second), "write_ok");
    play.pass("n3", 200);
    assert_eq!(play.lines_of("propose"), 1);
    play.lose(from_to("n1", "n3"));
    play.settle(300);
    assert_eq!(play.kind(&first), "write_ok");
    assert_eq!(play.read("n2"), Some(2));
}

#[test]
fn what_was_promised_and_accepted_is_kept_from_every_prefix_of_the_log() {
    let mut play = Play::new(3, json!({ "snapshot_every": 4 }));
    play.elect("n1");
    for value in 1..=10 {
        play.write("n1", value);
        play.deliver(|_| true);
        play.pass("n1", 60);
        play.deliver(|_| true);
    }
    play.campaign("n2");
    play.deliver(|_| true);
    let log = play.actors["n2"].log.clone();
    let mut rounds = Vec::new();
    for end in 0..=log.len() {
        let mut machine = play.machine("n2");
        for record in &log[..end] {
            machine.recover(record).unwrap();
        }
        machine.step(Input::Start, 0, &mut Outbox::default());
        let detail = machine.status(0).detail;
        let round: u64 = detail.rsplit(' ').next().unwrap().parse().unwrap();
        rounds.push(round);
        // Whoever comes with a lower ballot is refused.
        let low = Say::Prepare {
            ballot: super::ballot::Ballot(round.saturating_sub(1), "n3".into()),
            from: 1_000,
        };
        let message = Message {
            src: "n3".into(),
            dest: "n2".into(),
            body: low.body(),
        };
        let mut out = Outbox::default();
        machine.step(Input::Message(message), 1, &mut out);
        let kinds: Vec<&str> = out.messages.iter().map(|(_, b)| b.kind()).collect();
        let expected = if round == 0 { "promise" } else { "reject" };
        assert_eq!(kinds, [expected], "after {end} records");
    }
    assert!(rounds.is_sorted(), "{rounds:?}");
    assert!(rounds.last() > rounds.iter().find(|round| **round > 0));
}

#[test]
fn everything_that_was_answered_survives_the_crash_of_all_nodes() {
    let mut play = Play::new(3, json!({ "snapshot_every": 3 }));
    for value in 1..=12 {
        if play.ids().iter().all(|id| play.role(id) != "leader") {
            play.settle(1_500);
        }
        let client = play.write("n2", value);
        play.settle(100);
        assert_eq!(play.kind(&client), "write_ok", "write {value}");
        for id in play.ids() {
            play.crash(&id);
        }
        play.lose(|_| true);
        for id in play.ids() {
            play.start(&id);
        }
        play.settle(1_500);
        assert_eq!(play.read("n3"), Some(value));
    }
}

#[test]
fn who_was_away_for_long_gets_a_snapshot_and_the_slots_after_it() {
    let mut play = Play::new(3, json!({ "snapshot_every": 100 }));
    play.elect("n1");
    play.crash("n3");
    for value in 1..=150 {
        play.write("n1", value);
        play.deliver(|_| true);
        if value % 10 == 0 {
            play.pass("n1", 40);
            play.deliver(|_| true);
        }
    }
    play.start("n3");
    let mut snapshots = 0;
    for _ in 0..100 {
        for id in ["n1", "n2", "n3"] {
            play.pass(id, 5);
        }
        snapshots += play.lines_of("snapshot");
        play.deliver_once(|_| true);
    }
    assert!(snapshots > 0);
    assert!(play.chosen("n3") >= 150, "{}", play.status("n3").detail);
    assert_eq!(play.read("n3"), Some(150));
    // What it got is durable, too.
    play.crash("n3");
    play.start("n3");
    assert!(play.chosen("n3") >= 100);
}

#[test]
fn a_node_that_was_added_decides_and_a_leader_that_was_removed_does_not() {
    let members = json!({ "members": ["n1", "n2", "n3"] });
    let mut play = Play::new(4, members);
    play.settle(1_500);
    let client = play.write("n4", 1);
    play.settle(200);
    assert_eq!(
        play.kind(&client),
        "write_ok",
        "a learner serves clients too"
    );
    assert_eq!(play.role("n4"), "learner");

    let add = play.ask("n2", Body::new("add_node").with("node", "n4"));
    play.settle(400);
    assert_eq!(play.kind(&add), "add_node_ok");
    assert_ne!(play.role("n4"), "learner");
    let again = play.ask("n2", Body::new("add_node").with("node", "n4"));
    let stranger = play.ask("n2", Body::new("add_node").with("node", "n9"));
    play.settle(400);
    assert_eq!(play.kind(&again), "error");
    assert_eq!(play.kind(&stranger), "error");

    let leader = play.status("n1").leader.unwrap();
    let body = Body::new("remove_node").with("node", &*leader);
    let remove = play.ask("n2", body);
    play.settle(2_500);
    assert_eq!(play.kind(&remove), "remove_node_ok");
    assert_eq!(play.role(&leader), "learner");
    // Of the three that are left, two are enough.
    let left: Vec<NodeId> = play.ids().into_iter().filter(|id| *id != leader).collect();
    let (down, up) = (left[0].clone(), left[1].clone());
    play.crash(&down);
    play.settle(2_500);
    let client = play.write(&up, 5);
    play.settle(400);
    assert_eq!(play.kind(&client), "write_ok");
    assert_eq!(play.read(&leader), Some(5), "a learner again");
}

#[test]
fn nothing_is_decided_beyond_a_change_of_members_before_it_is_chosen() {
    let mut play = Play::new(3, json!({ "members": ["n1", "n2"] }));
    play.elect("n1");
    play.ask("n1", Body::new("add_node").with("node", "n3"));
    play.write("n1", 1);
    assert_eq!(play.lines_of("accept"), 1, "the change alone, to n2");
    play.deliver_once(is("accept"));
    play.deliver_once(is("accepted"));
    assert_eq!(play.role("n1"), "candidate", "new members, new promises");
    assert_eq!(play.lines_of("prepare"), 2);
}

#[test]
fn a_leader_that_nobody_answers_makes_room_and_refuses_requests() {
    let mut play = Play::new(3, json!({}));
    play.elect("n1");
    play.settle(100);
    assert!(play.status("n1").ready && play.status("n3").ready);
    // Its heartbeats arrive, the answers do not.
    for _ in 0..10 {
        play.pass("n1", 60);
        play.deliver_once(is("heartbeat"));
        play.lose(|m| &*m.dest == "n1");
    }
    assert_eq!(play.role("n1"), "follower");
    let refused = play.write("n1", 1);
    assert_eq!(play.kind(&refused), "error");
    assert_eq!(play.answer(&refused).unwrap().field("code"), Ok(11));
}

#[test]
fn nonsense_is_answered_to_clients_and_dropped_from_peers() {
    let mut play = Play::new(3, json!({}));
    play.elect("n1");
    let client = play.ask("n1", Body::new("explode"));
    assert_eq!(play.kind(&client), "error");
    let before = play.under_way.len();
    let far = json!([u64::MAX, "n2"]);
    let nonsense = [
        json!({ "type": "accept", "ballot": far, "slot": u64::MAX, "batch": [], "chosen": u64::MAX }),
        json!({ "type": "heartbeat", "ballot": [1, "n3"], "chosen": 0, "followed": true }),
        json!({ "type": "learned", "from": u64::MAX, "batches": [[]] }),
        json!({ "type": "fetch", "slot": 0, "part": u64::MAX, "from": u64::MAX }),
        json!({ "type": "snapshot", "slot": u64::MAX, "part": 7, "last": true, "rows": [] }),
        json!({ "type": "accepted", "ballot": "high", "slot": -1 }),
        json!({ "type": "learn" }),
        json!({ "type": 7 }),
    ];
    for body in nonsense {
        let message = Message {
            src: "n2".into(),
            dest: "n1".into(),
            body: serde_json::from_value(body).unwrap(),
        };
        play.step("n1", Input::Message(message));
    }
    assert!(play.under_way.len() <= before + 2);
    play.pass("n1", 5_000);
}

#[test]
fn options_are_checked() {
    for wrong in [
        json!({ "election_ms": 1 }),
        json!({ "snapshot_every": 0 }),
        json!({ "members": [] }),
        json!({ "members": ["n1", "n1"] }),
        json!({ "leases": true }),
    ] {
        assert!((TARGET.check_options)(&wrong).is_err(), "{wrong}");
    }
    for row in TARGET.bugs {
        assert!(super::Bug::from_name(row.name).is_some(), "{}", row.name);
    }
}
