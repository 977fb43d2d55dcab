//! The message journal: what is written is read, and nothing else is.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use tribunal_results::message::{
    Act, Alteration, Clocks, Hybrid, Loss, MessageEvent, Messages, MessagesWriter, read,
};

fn sample() -> Messages {
    let event = |node, step, act, clocks| MessageEvent {
        node,
        step,
        time: 10 * step,
        act,
        clocks,
    };
    let clocks = Clocks {
        lamport: Some(u64::MAX),
        vector: Some([3, 0].into()),
        hybrid: Some(Hybrid {
            wall: 7,
            logical: 1,
        }),
        physical: Some(7),
    };
    let sent = Act::Send {
        message: 4,
        to: Some(1),
    };
    let to_all = Act::Send {
        message: 5,
        to: None,
    };
    Messages {
        nodes: vec!["n1".into(), "n2".into()],
        events: vec![
            event(0, 1, sent, clocks.clone()),
            event(1, 0, Act::Receive { message: 4 }, Clocks::default()),
            event(1, 2, Act::Deliver { message: 4 }, clocks),
            event(1, 3, Act::Local, Clocks::default()),
            event(1, 4, to_all, Clocks::default()),
        ],
        losses: vec![Loss {
            message: 5,
            time: 50,
            why: "partition".into(),
        }],
        alterations: vec![Alteration {
            message: 4,
            time: 40,
            how: "it was duplicated".into(),
        }],
        ..Messages::default()
    }
}

fn written(messages: &Messages) -> Vec<u8> {
    let nodes = messages.nodes.iter().map(|node| node.to_string()).collect();
    let mut writer = MessagesWriter::new(nodes).unwrap();
    for event in &messages.events {
        writer.append(event).unwrap();
    }
    for loss in &messages.losses {
        writer.lost(loss).unwrap();
    }
    for alteration in &messages.alterations {
        writer.altered(alteration).unwrap();
    }
    writer.take()
}

#[test]
fn what_is_written_is_read() {
    assert_eq!(read(&*written(&sample())).unwrap(), sample());
}

#[test]
fn any_cut_of_a_file_is_its_beginning_or_refused() {
    let bytes = written(&sample());
    let header = bytes.iter().position(|byte| *byte == b'\n').unwrap();
    for end in 0..bytes.len() {
        let read = read(&bytes[..end]);
        if end < header {
            assert!(read.is_err(), "{end}");
        } else {
            let messages = read.unwrap();
            assert!(sample().events.starts_with(&messages.events), "{end}");
            assert!(
                messages.losses.len() <= 1 && messages.alterations.is_empty(),
                "{end}"
            );
        }
    }
}

#[test]
fn what_breaks_a_rule_is_refused_with_its_line() {
    let header = r#"{"format":"tribunal-messages","version":1,"nodes":["n1","n2"]}"#;
    let lines = [
        (
            r#"{"time":1,"type":"local","node":"n3","step":0}"#,
            "names no node n3",
        ),
        (r#"{"time":1,"type":"local","step":0}"#, "needs a node"),
        (r#"{"time":1,"type":"local","node":"n1"}"#, "needs its step"),
        (
            r#"{"time":1,"type":"local","node":"n1","step":0,"message":1}"#,
            "has no message",
        ),
        (
            r#"{"time":1,"type":"send","node":"n1","step":0}"#,
            "number is missing",
        ),
        (
            r#"{"time":1,"type":"receive","node":"n1","step":0,"message":1,"to":"n2"}"#,
            "only a send",
        ),
        (
            r#"{"time":1,"type":"local","node":"n1","step":0,"why":"x"}"#,
            "only a drop",
        ),
        (
            r#"{"time":1,"type":"local","node":"n1","step":0,"vector":[1]}"#,
            "1 entries for 2",
        ),
        (
            r#"{"time":1,"type":"drop","node":"n1","message":1}"#,
            "a drop or alter has",
        ),
        (
            r#"{"time":1,"type":"local","node":"n1","step":0,"more":1}"#,
            "unknown field",
        ),
        (
            r#"{"time":-1,"type":"local","node":"n1","step":0}"#,
            "invalid value",
        ),
        ("nonsense", "expected"),
    ];
    for (line, why) in lines {
        let text = format!("{header}\n\n{line}\n");
        let said = read(text.as_bytes()).unwrap_err().to_string();
        assert!(said.starts_with("line 3: ") && said.contains(why), "{said}");
    }
    let headers = [
        ("", "begins with its header"),
        (
            r#"{"format":"other","version":1,"nodes":[]}"#,
            "tribunal-messages",
        ),
        (
            r#"{"format":"tribunal-messages","version":2,"nodes":[]}"#,
            "version 2",
        ),
        (
            r#"{"format":"tribunal-messages","version":1,"nodes":["a","a"]}"#,
            "named twice",
        ),
    ];
    for (line, why) in headers {
        let said = read(line.as_bytes()).unwrap_err().to_string();
        assert!(said.starts_with("line 1: ") && said.contains(why), "{said}");
    }
}
