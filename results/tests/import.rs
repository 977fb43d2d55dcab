//! Outside histories mean what their authors meant.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use tribunal_results::import::{self, Imported};
use tribunal_results::{Answer, Call, Operation, Outcome, Reason, Scalar};

fn read(format: &str, text: &str) -> Imported {
    import::read(text.as_bytes(), None, import::find(format)).unwrap_or_else(|e| panic!("{e}"))
}

fn refusal(format: &str, text: &str) -> String {
    match import::read(text.as_bytes(), None, import::find(format)) {
        Ok(imported) => panic!("taken as {:?}", imported.history),
        Err(error) => error.to_string(),
    }
}

/// `p0 write register = 3 -> fail timed-out`, and so on.
fn shown(imported: &Imported) -> Vec<String> {
    let outcome = |call: &Call| match &call.outcome {
        Outcome::Ok(answer) => format!("ok {answer}"),
        Outcome::Fail(reason) => format!("fail {reason}"),
        Outcome::Info(reason) => format!("info {}", reason.code),
    };
    let calls = imported.history.calls().iter();
    calls
        .map(|call| format!("p{} {} -> {}", call.process, call.operation, outcome(call)))
        .map(|line| line.trim_end().to_owned())
        .collect()
}

/// The same five operations of one register in every format.
const SAME: [&str; 5] = [
    "p0 read register -> ok nothing",
    "p1 write register = 3 -> ok",
    "p0 cas register from 3 to 4 -> ok",
    "p1 cas register from 9 to 1 -> fail failed",
    "p2 write register = 5 -> info timed-out",
];

const EDN: &str = "
{:process 0, :type :invoke, :f :read, :value nil}
{:process 0, :type :ok, :f :read, :value nil}
{:process 1, :type :invoke, :f :write, :value 3}
{:process :nemesis, :type :info, :f :start, :value nil}
{:process 1, :type :ok, :f :write, :value 3}
{:process 0, :type :invoke, :f :cas, :value [3 4]}
{:process 0, :type :ok, :f :cas, :value [3 4]}
{:process 1, :type :invoke, :f :cas, :value [9 1]}
{:process 1, :type :fail, :f :cas, :value [9 1]}
{:process 2, :type :invoke, :f :write, :value 5}
{:process 2, :type :info, :f :write, :value 5, :error :timed-out}
";

const LOG: &str = "\
INFO  jepsen.core - Worker 0 starting
INFO  jepsen.util - 0\t:invoke\t:read\tnil
INFO  jepsen.util - 0\t:ok\t:read\tnil
INFO  jepsen.util - 1\t:invoke\t:write\t3
INFO  jepsen.util - :nemesis\t:info\t:start\t\"Cut off {:n1 #{:n2}}\"
INFO  jepsen.util - 1\t:ok\t:write\t3
INFO  jepsen.util - 0\t:invoke\t:cas\t[3 4]
INFO  jepsen.util - 0\t:ok\t:cas\t[3 4]
INFO  jepsen.util - 1\t:invoke\t:cas\t[9 1]
INFO  jepsen.util - 1\t:fail\t:cas\t[9 1]
INFO  jepsen.util - 2\t:invoke\t:write\t5
INFO  jepsen.util - 2\t:info\t:write\t:timed-out
";

/// EDN maps of plain values as JSON.
fn json_lines() -> String {
    let mut text = EDN.replace(" nil", " null").replace(", ", ",");
    for word in [
        "process", "type", "f", "value", "error", "invoke", "ok", "fail", "info", "read", "write",
        "cas", "start", "nemesis",
    ] {
        text = text.replace(&format!(":{word} "), &format!("\"{word}\":"));
        text = text.replace(&format!(":{word},"), &format!("\"{word}\","));
    }
    text.replace(":timed-out", "\":timed-out\"")
        .replace("[3 4]", "[3,4]")
        .replace("[9 1]", "[9,1]")
}

#[test]
fn every_format_says_the_same() {
    let json = json_lines();
    let one_list = format!("[{}]", json.trim().replace('\n', ","));
    for (format, text) in [
        ("jepsen-edn", EDN),
        ("jepsen-edn", &format!("[{EDN}]")),
        ("jepsen-edn", &EDN.replace("{:p", "#jepsen.history.Op{:p")),
        (
            "jepsen-json",
            &json.replace("\":timed-out\"", "\"timed-out\""),
        ),
        ("jepsen-json", &one_list),
        ("porcupine", LOG),
        ("porcupine", &LOG.replace("INFO  jepsen.util - ", "")),
    ] {
        let imported = read(format, text);
        let told = import::read(text.as_bytes(), None, None).unwrap();
        assert_eq!(told.history, imported.history, "{format} is not told");
        let shown = shown(&imported);
        if format == "jepsen-json" {
            // Its errors are texts, with no word that is known to be stable.
            assert_eq!(shown[..4], SAME[..4], "{text}");
            assert_eq!(shown[4], "p2 write register = 5 -> info unknown");
        } else {
            assert_eq!(shown, SAME, "{text}");
        }
        assert!(
            imported.notes[0].contains("another that is no client: 1"),
            "{:?}",
            imported.notes
        );
    }
}

#[test]
fn independent_keys_are_keys() {
    for (open, invoked, completed) in [
        ("", "[7 nil]", "[7 1]"),
        ("#jepsen.independent/tuple ", "[7 nil]", "[7 1]"),
        ("#jepsen.independent.Tuple", "[7 nil]", "[7 1]"),
    ] {
        let text = format!(
            "{{:process 0 :type :invoke :f :write :value {open}[7 1]}}
             {{:process 1 :type :invoke :f :cas :value {open}[\"k\" [1 2]]}}
             {{:process 0 :type :ok :f :write :value {open}[7 1]}}
             {{:process 1 :type :fail :f :cas :value nil :error [:not-found \"no key\"]}}
             {{:process 0 :type :invoke :f :read :value {open}{invoked}}}
             {{:process 0 :type :ok :f :read :value {open}{completed}}}
             {{:process 0 :type :invoke :f :read :value {open}[:x nil]}}
             {{:process 0 :type :ok :f :read :value {open}[:x nil]}}"
        );
        assert_eq!(
            shown(&read("jepsen-edn", &text)),
            [
                "p0 write 7 = 1 -> ok",
                "p1 cas k from 1 to 2 -> fail not-found: no key",
                "p0 read 7 -> ok 1",
                "p0 read :x -> ok nothing",
            ]
        );
    }
}

#[test]
fn a_process_that_goes_on_after_an_unknown_outcome_gets_a_new_number() {
    let imported = read(
        "porcupine",
        "0 :invoke :write 1\n0 :info :write :timed-out\n3 :invoke :read nil\n\
         0 :invoke :write 2\n0 :ok :write 2\n0 :invoke :write 3\n0 :info :write 3\n\
         3 :ok :read 2\n0 :invoke :read nil\n0 :ok :read 3\n",
    );
    assert_eq!(
        shown(&imported),
        [
            "p0 write register = 1 -> info timed-out",
            "p3 read register -> ok 2",
            "p4 write register = 2 -> ok",
            "p4 write register = 3 -> info unknown",
            "p5 read register -> ok 3",
        ]
    );
    assert!(
        imported.notes[0].ends_with("unknown outcome: 2"),
        "{:?}",
        imported.notes
    );
}

#[test]
fn an_operation_that_never_completes_stays_open() {
    let imported = read(
        "porcupine",
        "0 :invoke :write 1\n1 :invoke :read nil\n1 :ok :read 1",
    );
    let open = &imported.history.calls()[0];
    assert_eq!(open.completed, None);
    assert!(matches!(&open.outcome, Outcome::Info(Reason { code, .. }) if code == "open"));
}

#[test]
fn times_are_taken_or_are_the_position() {
    let times = |text: &str| -> Vec<u64> {
        let imported = read("jepsen-edn", text);
        let calls = imported.history.calls().iter();
        calls
            .flat_map(|call| [call.invoked.time, call.completed.unwrap().time])
            .collect()
    };
    let write = |more: [&str; 4]| {
        let [a, b, c, d] = more;
        format!(
            "[{{:process 0 :type :invoke :f :write :value 1 {a}}}
              {{:process 0 :type :ok :f :write :value 1 {b}}}
              {{:process 0 :type :invoke :f :write :value 2 {c}}}
              {{:process 0 :type :ok :f :write :value nil {d}}}]"
        )
    };
    assert_eq!(times(&write(["", "", "", ""])), [0, 1, 2, 3]);
    assert_eq!(
        times(&write([":time 5", ":time 9", "", ":time 12"])),
        [5, 9, 9, 12]
    );
    let backwards = write([":time -5", ":time 9", ":time 7", ":time 12"]);
    assert_eq!(times(&backwards), [0, 9, 9, 12]);
    let notes = read("jepsen-edn", &backwards).notes;
    assert_eq!(notes, ["set to the time before, as running backwards: 1"]);
}

#[test]
fn what_is_left_out_is_said() {
    let imported = read(
        "jepsen-edn",
        "{:process 0 :type :invoke :f :txn :value [[:r 1 nil]]}
         {:process 1 :type :invoke :f :write :value 1}
         {:process 0 :type :ok :f :txn :value [[:r 1 2]]}
         {:process 1 :type :ok :f :write :value 1}
         {:process 0 :type :invoke :f :delete}",
    );
    assert_eq!(shown(&imported), ["p1 write register = 1 -> ok"]);
    let note = imported.notes.join("\n");
    assert!(note.contains("nor cas: 2 ("), "{note}");
    assert!(note.contains("1 × delete, 1 × txn"), "{note}");
    assert!(note.contains("the verdict does not hold"), "{note}");
}

#[test]
fn different_values_stay_different() {
    let values = ["x", ":x", "\"x", "1"].map(|text| format!("{text:?}"));
    let values = [&values[..], &[":x".into(), "1".into()]].concat();
    let lines: String = values
        .iter()
        .map(|v| format!("0 :invoke :write {v}\n0 :ok :write {v}\n"))
        .collect();
    let imported = read("porcupine", &lines);
    let written: Vec<Scalar> = imported
        .history
        .calls()
        .iter()
        .map(|call| match &call.operation {
            Operation::Write { value, .. } => value.clone(),
            other => panic!("{other}"),
        })
        .collect();
    assert_eq!(written.len(), values.len());
    for (at, value) in written.iter().enumerate() {
        assert!(!written[..at].contains(value), "{value} comes twice");
    }
    assert_eq!(
        imported.history.calls()[0].outcome,
        Outcome::Ok(Answer::Done)
    );
}

#[test]
fn what_is_no_history_is_refused_with_its_place() {
    let edn = |what: &str| {
        let begin = "[{:process 0 :type :invoke :f :write :value 1}\n ";
        refusal("jepsen-edn", &format!("{begin}{what}]"))
    };
    for (what, said) in [
        ("7", "an event must be a map"),
        (
            "{:process 0 :type :okay}",
            ":type must be :invoke, :ok, :fail or :info",
        ),
        ("{:process 1/2 :type :ok}", "a process must be an integer"),
        (
            "{:process 0 :type :ok :f :write :value 2}",
            "write register = 2 completes",
        ),
        (
            "{:process 0 :type :ok :f :read :value 2}",
            "but a read completes",
        ),
        (
            "{:process 1 :type :ok :f :read :value 2}",
            "p1 completes what it did not invoke",
        ),
        (
            "{:process 0 :type :invoke :f :read}",
            "p0 invokes while its last operation",
        ),
        ("{:process 1 :type :invoke :f :write}", "a write of nil"),
        (
            "{:process 1 :type :invoke :f :write :value 1.5}",
            "a write of a float",
        ),
        (
            "{:process 1 :type :invoke :f :cas :value [nil 1]}",
            "a cas with nil",
        ),
        (
            "{:process 1 :type :invoke :f :cas :value 1}",
            "must be [from to]",
        ),
        (
            "{:process 1 :type :invoke :f :read :value [1 2 3]}",
            "not [key value]",
        ),
        (
            "{:process 1 :type :invoke :f :read :time 1.5}",
            ":time must be an integer",
        ),
    ] {
        let refused = edn(what);
        assert!(
            refused.starts_with("line 2, column 2: "),
            "{what}: {refused}"
        );
        assert!(refused.contains(said), "{what}: {refused}");
    }
    assert_eq!(
        refusal(
            "jepsen-edn",
            "{:process 0 :type :info :index 3}\n{:process 0 :type :info :index 3}"
        ),
        "line 2, column 1: index 3 comes after index 3"
    );
    let keyed = "0 :invoke :read [1 nil]\n0 :ok :read 4";
    assert_eq!(
        refusal("porcupine", keyed),
        "line 2: a read of 1 completes as one of register"
    );
}

#[test]
fn damaged_lines_and_objects_are_refused_with_their_place() {
    for (line, said) in [
        (
            "INFO  jepsen.util - 1\t:okay\t:read\tnil",
            "the second word must be",
        ),
        ("1 :ok :cas [1 2", "the text ends where ] is missing"),
        ("x :ok :read 1", "\"x\" is no process"),
        (
            "1 :ok :read 1 2 3",
            "more than process, type, f, value and error",
        ),
        ("1", "the second word must be"),
    ] {
        let refused = refusal("porcupine", &format!("{LOG}{line}"));
        assert!(
            refused.starts_with("line 13: ") && refused.contains(said),
            "{refused}"
        );
    }
    let object = r#"{"process":0,"type":"invoke","f":"read"}"#;
    for (text, said) in [
        (
            format!("[{object},\n 7]"),
            "entry 2 of the list: an event must be a map",
        ),
        (
            format!("[{object},\n {object}]"),
            "entry 2 of the list: p0 invokes while",
        ),
        (
            format!("{object}\n {object}"),
            "line 2, column 2: p0 invokes while",
        ),
        (
            format!("{object}\n {{\"process\":}}"),
            "line 2, column 13: expected value",
        ),
        (
            format!("[{object}"),
            "line 1, column 41: EOF while parsing a list",
        ),
    ] {
        let refused = refusal("jepsen-json", &text);
        assert!(refused.starts_with(said), "{refused}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_a_history_or_refused(
        bytes in vec(any::<u8>(), 0..200),
        format in prop::sample::select(&import::FORMATS[..]),
    ) {
        // It must not panic; almost nothing is a history.
        let _either = import::read(&bytes[..], None, Some(format));
        let _either = import::read(&bytes[..], Some("history.edn"), None);
    }

    #[test]
    fn damaged_histories_are_histories_or_refused(
        which in 0..3_usize,
        damage in vec((any::<Index>(), 0..3_usize, any::<Index>()), 1..6),
    ) {
        let (format, text) = [
            ("jepsen-edn", EDN.to_owned()),
            ("jepsen-json", json_lines()),
            ("porcupine", LOG.to_owned()),
        ][which].clone();
        let mut bytes = text.into_bytes();
        for (at, how, from) in damage {
            let (at, from) = (at.index(bytes.len()), from.index(bytes.len()));
            match how {
                0 => { bytes.remove(at); }
                1 => bytes.swap(at, from),
                _ => bytes[at] = bytes[from],
            }
        }
        if let Ok(imported) = import::read(&bytes[..], None, import::find(format)) {
            // What is taken holds no more than what was there.
            prop_assert!(imported.history.calls().len() <= 5);
        }
    }
}
