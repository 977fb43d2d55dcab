//! What becomes of messages, drawn many times.

use std::collections::BTreeSet;

use tribunal_targets::wire::Body;

use super::super::rule::Lies;
use super::*;
use crate::chance::stream;

fn receivers() -> Receivers {
    Receivers {
        seed: 7,
        nodes: ["n1", "n2", "n3", "n4"].map(NodeId::from).to_vec(),
    }
}

fn message(slot: u64, to: &str) -> Message {
    Message {
        src: "n1".into(),
        dest: to.into(),
        body: Body::new("accept")
            .with("slot", slot)
            .with("leader", "n1")
            .with("msg_id", 3)
            .with(CLOCKS, 99),
    }
}

fn corrupt(lies: Lies, slot: u64, to: &str, chance: &mut Pcg64Mcg) -> Option<Message> {
    let rule = Messages {
        corruption: 1.0,
        lies,
        ..Messages::default()
    };
    let line = message(slot, to).encode().unwrap();
    let (bytes, _) = fate(&rule, &line, &to.into(), &receivers(), chance).lie?;
    assert_eq!(bytes.last(), Some(&b'\n'));
    Some(Message::decode(&bytes).unwrap())
}

#[test]
fn messages_are_hit_as_often_as_asked() {
    let rule = Messages {
        omission: 0.1,
        duplication: 0.2,
        reordering: 0.3,
        hold: Duration::from_millis(10),
        ..Messages::default()
    };
    let mut chance = stream(1, &[]);
    let mut draw = || fate(&rule, b"{}\n", &"n2".into(), &receivers(), &mut chance);
    let fates: Vec<Fate> = (0..10_000).map(|_| draw()).collect();
    let share = |is: fn(&Fate) -> bool| fates.iter().filter(|one| is(one)).count() as f64 / 1e4;
    assert!((share(|one| one.is_dropped) - 0.1).abs() < 0.02);
    assert!((share(|one| one.again.is_some()) - 0.18).abs() < 0.02);
    assert!((share(|one| one.held.is_some()) - 0.27).abs() < 0.02);
    assert!(fates.iter().all(|one| one.held <= Some(rule.hold)));
    let none = fate(
        &Messages::default(),
        b"{}\n",
        &"n2".into(),
        &receivers(),
        &mut chance,
    );
    assert_eq!(none, Fate::default());
}

#[test]
fn a_flip_changes_one_field_of_what_is_said_and_no_other() {
    let lies = Lies {
        flip: true,
        ..Lies::default()
    };
    let mut chance = stream(2, &[]);
    let mut fields = BTreeSet::new();
    for slot in 10..110 {
        let Some(changed) = corrupt(lies, slot, "n2", &mut chance) else {
            continue;
        };
        let honest = message(slot, "n2");
        let differs = |field: &&str| changed.body.json(field) != honest.body.json(field);
        let all = ["type", "slot", "leader", "msg_id", CLOCKS];
        let differing: Vec<&str> = all.into_iter().filter(differs).collect();
        assert_eq!(differing.len(), 1, "{changed:?}");
        assert_eq!(changed.src, honest.src);
        fields.extend(differing);
    }
    assert_eq!(fields, ["leader", "slot"].into());
}

#[test]
fn a_forged_message_seems_to_come_from_a_third() {
    let lies = Lies {
        forge: true,
        ..Lies::default()
    };
    let mut chance = stream(3, &[]);
    for slot in 0..50 {
        let forged = corrupt(lies, slot, "n2", &mut chance).unwrap();
        assert!(["n3", "n4"].contains(&&*forged.src), "{forged:?}");
        assert_eq!(forged.body, message(slot, "n2").body);
    }
}

#[test]
fn who_equivocates_tells_each_something_else_in_the_same_field() {
    let lies = Lies {
        equivocate: true,
        ..Lies::default()
    };
    let mut told_apart = 0;
    for slot in 10..40 {
        // Each link has a stream of its own.
        let told = |to: &str| {
            let changed = corrupt(lies, slot, to, &mut stream(slot, &[to]))?;
            let field = |name: &str| changed.body.json(name).cloned();
            Some((field("slot"), field("leader")))
        };
        let (Some(second), Some(third)) = (told("n2"), told("n3")) else {
            continue;
        };
        assert_ne!(second, third);
        let honest = (Some(Json::from(slot)), Some(Json::from("n1")));
        assert!(second.0 == honest.0 || second.1 == honest.1);
        assert_eq!(second.0 == honest.0, third.0 == honest.0, "the same field");
        told_apart += 1;
    }
    assert!(told_apart >= 20, "{told_apart}");
}

#[test]
fn what_is_no_message_is_left_as_it_is() {
    let rule = Messages {
        corruption: 1.0,
        lies: Lies {
            flip: true,
            forge: true,
            equivocate: true,
        },
        ..Messages::default()
    };
    let mut chance = stream(4, &[]);
    for line in [&b"nonsense\n"[..], b"\n", b"{\"src\":\"n1\"}\n"] {
        let fate = fate(&rule, line, &"n2".into(), &receivers(), &mut chance);
        assert_eq!(fate.lie, None);
    }
}
