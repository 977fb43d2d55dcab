//! The fates of single lines.

use std::sync::Mutex;
use std::time::Duration;

use super::super::{Delay, Listener, Messages, Rule, Tap};
use super::*;

/// Numbers lines from 1 and notes what it hears of them.
#[derive(Debug, Default)]
struct Notes(Mutex<Vec<String>>);

impl Notes {
    fn note(&self, text: String) -> u64 {
        let mut notes = self.0.lock().unwrap();
        notes.push(text);
        notes.iter().filter(|note| note.contains('→')).count() as u64
    }
}

impl Tap for Notes {
    fn sent(&self, from: &NodeId, to: &NodeId, line: &[u8]) -> Option<u64> {
        let line = String::from_utf8_lossy(line);
        Some(self.note(format!("{from}→{to} {line}")))
    }

    fn delivered(&self, message: u64) {
        self.note(format!("delivered {message}"));
    }

    fn lost(&self, message: u64, why: &'static str) {
        self.note(format!("lost {message}: {why}"));
    }

    fn altered(&self, message: u64, how: &'static str) {
        self.note(format!("altered {message}: {how}"));
    }
}

fn fabric(notes: &Arc<Notes>) -> Arc<Fabric> {
    let ends: Vec<NodeId> = ["n1", "n2", "lin-kv", "clients"].map(NodeId::from).into();
    let nature = Nature {
        listener: Some(Listener {
            tap: Arc::clone(notes) as Arc<dyn Tap>,
            nodes: ends.clone(),
        }),
        is_framed: true,
        ..Nature::default()
    };
    Fabric::open_lines(nature, &ends, &[], 1).unwrap()
}

fn way(fabric: &Fabric, from: &str, to: &str) -> Arc<dyn Way> {
    fabric.way(&from.into(), &to.into()).unwrap()
}

#[test]
fn without_rules_a_line_arrives_at_once() {
    let notes = Arc::default();
    let fabric = fabric(&notes);
    let way = way(&fabric, "n1", "n2");
    let fate = way.enter(b"x");
    assert_eq!(fate.arrives, Some(Duration::ZERO));
    assert!(way.leave(&fate, 1));
    assert_eq!(*notes.0.lock().unwrap(), ["n1→n2 x", "delivered 1"]);
    assert!(fabric.way(&"n1".into(), &"n9".into()).is_none());
}

#[test]
fn a_cut_loses_what_sets_out_and_what_would_arrive_and_says_so() {
    for (from, to) in [("n1", "n2"), ("n2", "lin-kv"), ("clients", "n1")] {
        let notes = Arc::default();
        let fabric = fabric(&notes);
        let way = way(&fabric, from, to);
        let on_its_way = way.enter(b"a");
        assert!(fabric.impose("partition", from, to, Rule::cut()));
        assert_eq!(way.enter(b"bc").arrives, None);
        assert!(!way.leave(&on_its_way, 1));
        assert_eq!(fabric.since_imposed("partition", from, to).bytes_held, 3);
        fabric.lift("partition", from, to);
        let after = way.enter(b"d");
        assert!(after.arrives.is_some() && way.leave(&after, 1));
        let told = notes.0.lock().unwrap().join(", ");
        assert!(told.contains("lost 2: the link was cut"), "{told}");
        assert!(told.contains("lost 1: the link was cut"), "{told}");
        assert!(told.ends_with("delivered 3"), "{told}");
    }
}

#[test]
fn latencies_add_up_and_messages_may_overtake_each_other() {
    let notes = Arc::default();
    let fabric = fabric(&notes);
    let delay = Delay {
        jitter: Duration::from_millis(50),
        ..Delay::default()
    };
    let rule = Rule {
        delay,
        ..Rule::default()
    };
    fabric.impose("delay", "n1", "n2", rule);
    let way = way(&fabric, "n1", "n2");
    let mut fates: Vec<_> = (0..50).map(|_| way.enter(b"x")).collect();
    fates.sort_by_key(|fate| fate.arrives);
    let turns: Vec<u64> = fates.iter().map(|fate| fate.turn).collect();
    assert!(!turns.is_sorted());
    assert!(fates.iter().all(|fate| way.leave(fate, 1)));
    assert!(fabric.since_imposed("delay", "n1", "n2").overtook > 0);
}

#[test]
fn omitted_doubled_and_held_back_messages_are_told_and_counted() {
    let notes = Arc::default();
    let fabric = fabric(&notes);
    let certain = |messages| Rule {
        messages,
        ..Rule::default()
    };
    let way = way(&fabric, "n1", "n2");
    let omission = Messages {
        omission: 1.0,
        ..Messages::default()
    };
    fabric.impose("omission", "n1", "n2", certain(omission));
    assert_eq!(way.enter(b"x").arrives, None);
    fabric.lift("omission", "n1", "n2");
    let both = Messages {
        duplication: 1.0,
        reordering: 1.0,
        hold: Duration::from_millis(20),
        ..Messages::default()
    };
    fabric.impose("both", "n1", "n2", certain(both));
    let fate = way.enter(b"x");
    assert!(fate.again.is_some() && fate.arrives.is_some() && fate.is_held);
    let did = fabric.counters("n1", "n2");
    assert_eq!((did.omitted, did.duplicated), (1, 1));
    let told = notes.0.lock().unwrap().join(", ");
    assert!(told.contains("lost 1: it was omitted"), "{told}");
    assert!(told.contains("altered 2: it was duplicated"), "{told}");
}

#[test]
fn what_is_done_to_connections_cannot_be_done_to_lines() {
    let fabric = fabric(&Arc::default());
    assert!(!fabric.impose("refuse", "n1", "n2", Rule::refuse()));
    assert!(!fabric.impose("reset", "n1", "n2", Rule::reset(Duration::ZERO)));
    assert!(fabric.impose("partition", "n1", "n2", Rule::cut()));
}
