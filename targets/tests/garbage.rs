//! Every reference node takes whatever it is sent: messages that were changed on their way, lies of
//! peers, requests that make no sense. It answers or drops them; it never panics, and what it says
//! stays bounded.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "everything here is a test"
)]

use serde_json::{Value as Json, json};
use tribunal_results::{Kind, NodeId, Operation};
use tribunal_targets::node::{Input, MILLISECOND, Machine, Nanos, Outbox, reference};
use tribunal_targets::wire::{Body, Message, operation};
use tribunal_targets::{NodeSpec, Target};

/// Messages that each target is sent.
const MESSAGES: usize = 20_000;
/// Bodies that are remembered, to be sent again in other forms.
const REMEMBERED_MAX: usize = 400;
/// More messages than this in answer to one are an amplifier.
const ANSWERS_MAX: usize = 2_000;

/// A stream of chance, the same each time (Knuth's linear congruential generator).
struct Chance(u64);

impl Chance {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % n.max(1)
    }

    fn of<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }

    /// Any JSON, small or of the nastier kind.
    fn json(&mut self) -> Json {
        let long = "x".repeat(3_000);
        let nasty = [
            json!(null),
            json!(0),
            json!(-1),
            json!(u64::MAX),
            json!(i64::MIN),
            json!(1.5),
            json!(""),
            json!("n1"),
            json!("n9"),
            json!(long),
            json!([]),
            json!([[["r", 1, null]]]),
            json!({}),
            json!({"a": {"b": [1, 2, {"c": null}]}}),
            json!(true),
        ];
        self.of(&nasty).clone()
    }
}

fn nodes() -> Vec<NodeId> {
    ["n1", "n2", "n3"].map(NodeId::from).to_vec()
}

fn machine(target: &dyn Target, id: &NodeId) -> Box<dyn Machine> {
    let address = ([127, 0, 0, 1], 1).into();
    let spec = NodeSpec {
        id: id.clone(),
        listen: address,
        peers: nodes()
            .into_iter()
            .filter(|n| n != id)
            .map(|n| (n, address))
            .collect(),
        advertised: None,
        nodes: nodes(),
        data: "unused".into(),
        bug: None,
        options: json!({}),
    };
    reference::machine(target.name(), &spec).unwrap()
}

/// A request for an operation of that kind, in its right form.
fn request(kind: Kind, chance: &mut Chance) -> Body {
    let n = chance.below(5) as i64;
    let value = match kind {
        Kind::Cas => json!([n, n + 1]),
        Kind::Acquire => json!({ "ticket": n }),
        Kind::Renew | Kind::Release => json!({ "token": n }),
        Kind::GuardedWrite => json!({ "value": n, "token": n }),
        Kind::AcquirePermits => json!({ "permits": 1 }),
        Kind::ReleasePermits => json!({ "permits": 1, "token": n }),
        Kind::Transfer => json!({ "from": n, "to": n + 1, "amount": 1 }),
        Kind::Txn => json!([["append", n, chance.below(1_000)], ["r", n + 1, null]]),
        Kind::Custom => json!({ "name": "poke", "value": n }),
        _ => json!(chance.below(1_000)),
    };
    let key = (kind != Kind::Txn && kind != Kind::Custom).then(|| n.into());
    let asked = Operation::parse(kind, key.clone(), Some(value));
    let asked = asked
        .or_else(|_| Operation::parse(kind, key, None))
        .unwrap();
    operation::request(&asked).with("wait_ms", 10)
}

/// The body with something else in one of its fields, or one less, or one more.
fn spoilt(body: &Body, chance: &mut Chance) -> Body {
    let Json::Object(mut fields) = Json::from(body.clone()) else {
        return body.clone();
    };
    let names: Vec<String> = fields.keys().cloned().collect();
    for _ in 0..=chance.below(2) {
        let name = chance.of(&names).clone();
        match chance.below(4) {
            0 => drop(fields.remove(&name)),
            1 => drop(fields.insert("surprise".into(), chance.json())),
            _ => drop(fields.insert(name, chance.json())),
        }
    }
    serde_json::from_value(Json::Object(fields)).unwrap()
}

/// A cluster whose messages are changed on their way.
struct Cluster {
    ids: Vec<NodeId>,
    machines: Vec<Box<dyn Machine>>,
    now: Nanos,
    seen: Vec<(NodeId, NodeId, Body)>,
    steps: usize,
}

impl Cluster {
    fn give(&mut self, at: usize, input: Input, what: &str) {
        let mut out = Outbox::default();
        self.now += MILLISECOND / 4;
        self.machines[at].step(input, self.now, &mut out);
        self.steps += 1;
        assert!(
            out.messages.len() <= ANSWERS_MAX,
            "{} messages in answer to {what}",
            out.messages.len()
        );
        for record in &out.records {
            assert!(
                record.len() <= 2 << 20,
                "a record of {} bytes",
                record.len()
            );
        }
        for (dest, body) in out.messages {
            if self.ids.contains(&dest) {
                let place = self.steps % REMEMBERED_MAX;
                let seen = (self.ids[at].clone(), dest, body);
                match self.seen.get_mut(place) {
                    Some(slot) => *slot = seen,
                    None => self.seen.push(seen),
                }
            }
        }
    }

    fn message(&mut self, src: NodeId, at: usize, body: Body) {
        let dest = self.ids[at].clone();
        let what = format!("{} from {src}", body.kind());
        self.give(at, Input::Message(Message { src, dest, body }), &what);
    }
}

fn endures(target: &dyn Target) {
    let chance = &mut Chance(7);
    let ids = nodes();
    let mut cluster = Cluster {
        machines: ids.iter().map(|id| machine(target, id)).collect(),
        ids,
        now: 0,
        seen: Vec::new(),
        steps: 0,
    };
    for at in 0..3 {
        cluster.give(at, Input::Start, "its start");
        for peer in nodes().into_iter().filter(|n| *n != nodes()[at]) {
            cluster.give(at, Input::Link { peer, up: true }, "a link");
        }
    }
    for number in 0..MESSAGES {
        let at = chance.below(3);
        match (chance.below(8), cluster.seen.is_empty()) {
            (0..=1, _) => {
                let kind = *chance.of(target.operations());
                let body = request(kind, chance).with("msg_id", number as u64);
                let body = if chance.below(3) == 0 {
                    spoilt(&body, chance)
                } else {
                    body
                };
                cluster.message(format!("c{}", chance.below(4)).as_str().into(), at, body);
            }
            (2, _) => cluster.give(at, Input::Timer(chance.below(40) as u64), "a timer"),
            (3, _) => cluster.give(
                at,
                Input::Timer(u64::MAX - chance.below(4) as u64),
                "a timer",
            ),
            (4..=5, false) => {
                let (src, dest, body) = chance.of(&cluster.seen).clone();
                let at = cluster.ids.iter().position(|id| *id == dest).unwrap();
                cluster.message(src, at, body);
            }
            (_, false) => {
                let (src, _, body) = chance.of(&cluster.seen).clone();
                let body = spoilt(&body, chance);
                cluster.message(src, at, body);
            }
            _ => {}
        }
    }
    for machine in &cluster.machines {
        // It can still say how it is.
        let _status = machine.status(cluster.now);
    }
}

#[test]
fn no_node_falls_over_what_it_is_sent() {
    for target in tribunal_targets::ALL {
        if target.reference().is_some() {
            endures(*target);
        }
    }
}
