//! What is said in each dialect, and how answers are taken.

use tribunal_results::Seen;

use super::*;

fn shown(dialect: Dialect, operation: &Operation) -> String {
    Json::from(dialect.request(operation).unwrap()).to_string()
}

fn key(name: &str) -> Scalar {
    name.into()
}

#[test]
fn requests_are_those_of_the_documentation() {
    let set = || key("s0");
    for (dialect, operation, expected) in [
        (
            Dialect::Echo,
            Operation::Custom {
                name: "echo".into(),
                value: "hi".into(),
            },
            r#"{"echo":"hi","type":"echo"}"#,
        ),
        (
            Dialect::UniqueIds,
            Operation::Generate { key: key("ids") },
            r#"{"type":"generate"}"#,
        ),
        (
            Dialect::Broadcast,
            Operation::Add {
                key: set(),
                value: 3.into(),
            },
            r#"{"message":3,"type":"broadcast"}"#,
        ),
        (
            Dialect::GSet,
            Operation::Add {
                key: set(),
                value: 3.into(),
            },
            r#"{"element":3,"type":"add"}"#,
        ),
        (
            Dialect::PnCounter,
            Operation::Increment {
                key: key("c0"),
                by: -2,
            },
            r#"{"delta":-2,"type":"add"}"#,
        ),
        (
            Dialect::LinKv,
            Operation::Cas {
                key: key("k12"),
                from: 1.into(),
                to: 2.into(),
            },
            r#"{"from":1,"key":12,"to":2,"type":"cas"}"#,
        ),
        (
            Dialect::Kafka,
            Operation::Custom {
                name: "commit-offsets".into(),
                value: json!({ "offsets": { "1": 5 } }),
            },
            r#"{"offsets":{"1":5},"type":"commit_offsets"}"#,
        ),
    ] {
        assert_eq!(shown(dialect, &operation), expected);
    }
}

#[test]
fn a_transaction_is_a_list_of_steps_on_numbered_keys() {
    let transaction = Operation::Txn {
        micros: vec![
            Micro::Read {
                key: key("k1"),
                seen: Seen::Nothing,
            },
            Micro::Append {
                key: key("k2"),
                value: 7.into(),
            },
        ],
    };
    assert_eq!(
        shown(Dialect::TxnListAppend, &transaction),
        r#"{"txn":[["r",1,null],["append",2,7]],"type":"txn"}"#
    );
}

#[test]
fn every_dialect_says_what_it_claims_to_and_nothing_else() {
    for dialect in Dialect::ALL {
        assert_eq!(json!(dialect), dialect.name());
        let generate = Operation::Generate { key: key("ids") };
        let can = dialect.operations().contains(&Kind::Generate);
        assert_eq!(dialect.request(&generate).is_some(), can, "{dialect:?}");
    }
}

#[test]
fn a_read_of_nothing_is_an_answer_and_a_refused_swap_a_failure() {
    let read = Operation::Read { key: key("k1") };
    for nothing in [
        r#"{"type":"error","code":20}"#,
        r#"{"type":"read_ok","value":null}"#,
    ] {
        let outcome = Dialect::LinKv.outcome(&read, nothing);
        assert_eq!(outcome, Outcome::Ok(Answer::Value(None)), "{nothing}");
    }
    let swap = Operation::Cas {
        key: key("k1"),
        from: 1.into(),
        to: 2.into(),
    };
    for (code, name) in [(20, "key-does-not-exist"), (22, "precondition-failed")] {
        let text = format!(r#"{{"type":"error","code":{code}}}"#);
        let outcome = Dialect::LinKv.outcome(&swap, &text);
        assert!(
            matches!(&outcome, Outcome::Fail(r) if r.code == name),
            "{outcome:?}"
        );
    }
    let write = Operation::Write {
        key: key("k1"),
        value: 1.into(),
    };
    let outcome = Dialect::LinKv.outcome(&write, r#"{"type":"error","code":1000}"#);
    assert!(matches!(outcome, Outcome::Info(_)));
    let outcome = Dialect::LinKv.outcome(&write, r#"{"type":"cas_ok"}"#);
    assert!(matches!(outcome, Outcome::Info(r) if r.code == "bad-answer"));
}

#[test]
fn a_transaction_is_answered_by_its_own_steps_only() {
    let read = |seen| Micro::Read {
        key: key("k1"),
        seen,
    };
    let append = Micro::Append {
        key: key("k2"),
        value: 7.into(),
    };
    let asked = Operation::Txn {
        micros: vec![read(Seen::Nothing), append.clone()],
    };
    let outcome = |steps: &str| {
        let text = format!(r#"{{"type":"txn_ok","txn":{steps}}}"#);
        Dialect::TxnListAppend.outcome(&asked, &text)
    };
    let seen = read(Seen::List(vec![1.into(), 2.into()]));
    assert_eq!(
        outcome(r#"[["r",1,[1,2]],["append",2,7]]"#),
        Outcome::Ok(Answer::Txn(vec![seen, append]))
    );
    for other in [
        r#"[["r",1,[1,2]]]"#,
        r#"[["r",2,[1,2]],["append",2,7]]"#,
        r#"[["r",1,[1,2]],["append",2,8]]"#,
        r#"[["append",2,7],["r",1,[1,2]]]"#,
        "7",
    ] {
        assert!(matches!(outcome(other), Outcome::Info(_)), "{other}");
    }
}

#[test]
fn identifiers_may_be_anything_and_large_numbers_stay_apart() {
    let generate = Operation::Generate { key: key("ids") };
    let id = |text: &str| {
        let text = format!(r#"{{"type":"generate_ok","id":{text}}}"#);
        match Dialect::UniqueIds.outcome(&generate, &text) {
            Outcome::Ok(Answer::Value(Some(id))) => id,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(id("9007199254740993"), Scalar::Int(9_007_199_254_740_993));
    assert_ne!(id("18446744073709551616"), id("18446744073709551617"));
    assert_ne!(id("18446744073709551615"), id("18446744073709551614"));
    assert_ne!(id("[1]"), id("\"[1]\""));
    assert_eq!(id("\"a-1\""), Scalar::Text("a-1".into()));
    assert_ne!(id("1.5"), id("\"1.5\""));
}
