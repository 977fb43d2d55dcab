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

/// The name of an operation, its value as invoked, and as answered.
type Asked = (&'static str, &'static str, &'static str);

/// Every data type that Jepsen's workloads have, each told by what is asked and read.
#[test]
fn objects_are_told_by_what_is_asked_and_read() {
    let one = |f: &str, asked: &str, said: &str| {
        format!(
            "{{:process 0 :type :invoke :f :{f} :value {asked}}}
             {{:process 0 :type :ok :f :{f} :value {said}}}"
        )
    };
    let cases: [(&[Asked], &[&str]); 24] = [
        (
            &[("add", "1", "1"), ("read", "nil", "#{1}")],
            &["add 1 to set -> ok", "members set -> ok [1]"],
        ),
        (
            &[("read", "nil", "[1 2]"), ("add", "2", "2")],
            &["members set -> ok [1, 2]", "add 2 to set -> ok"],
        ),
        (
            &[
                ("add", "5", "nil"),
                ("read", "nil", "5"),
                ("add", "-1", "-1"),
            ],
            &[
                "increment counter by 5 -> ok",
                "count counter -> ok 5",
                "increment counter by -1 -> ok",
            ],
        ),
        (&[("add", "1", "1")], &["add 1 to set -> ok"]),
        (
            &[
                ("inc", "nil", "7"),
                ("decrement", "2", "2"),
                ("read", "nil", "5"),
            ],
            &[
                "increment counter by 1 -> ok",
                "increment counter by -2 -> ok",
                "count counter -> ok 5",
            ],
        ),
        (
            &[
                ("add", ":x", "true"),
                ("remove", ":x", ":x"),
                ("contains", ":x", "false"),
            ],
            &[
                "add :x to set -> ok yes",
                "remove :x from set -> ok",
                "contains set :x -> ok no",
            ],
        ),
        (
            &[
                ("append", "1", "1"),
                ("read", "nil", "[1]"),
                ("read", "nil", "nil"),
            ],
            &[
                "append list 1 -> ok",
                "elements list -> ok [1]",
                "elements list -> ok []",
            ],
        ),
        (
            &[
                ("add", "[7 1]", "[7 1]"),
                ("read", "[7 nil]", "[7 [1]]"),
                ("add", "[8 2]", "[8 2]"),
            ],
            &[
                "add 1 to 7 -> ok",
                "members 7 -> ok [1]",
                "add 2 to 8 -> ok",
            ],
        ),
        // As Jepsen's causal-reverse writes and reads.
        (
            &[
                ("read", "[7 nil]", "[7 nil]"),
                ("write", "[7 1]", "[7 1]"),
                ("read", "[7 nil]", "[7 #{1}]"),
                ("write", "[8 2]", "[8 2]"),
            ],
            &[
                "members 7 -> ok []",
                "add 1 to 7 -> ok",
                "members 7 -> ok [1]",
                "add 2 to 8 -> ok",
            ],
        ),
        (
            &[("write", "1", "1"), ("read", "nil", "nil")],
            &["write register = 1 -> ok", "read register -> ok nothing"],
        ),
        (
            &[("read", "nil", "[]"), ("read", "nil", "nil")],
            &["members set -> ok []", "members set -> ok []"],
        ),
        (
            &[
                ("enqueue", "1", "1"),
                ("dequeue", "nil", "1"),
                ("dequeue", "nil", "nil"),
            ],
            &[
                "enqueue queue 1 -> ok",
                "dequeue queue -> ok 1",
                "dequeue queue -> ok nothing",
            ],
        ),
        (&[("drain", "nil", "[1 2]")], &["drain queue -> ok [1, 2]"]),
        (
            &[
                ("enqueue", "[:q 1]", "[:q 1]"),
                ("dequeue", "[:q nil]", "[:q 1]"),
            ],
            &["enqueue :q 1 -> ok", "dequeue :q -> ok 1"],
        ),
        (
            &[("push", "1", "1"), ("pop", "nil", "1")],
            &["push stack 1 -> ok", "pop stack -> ok 1"],
        ),
        (
            &[("acquire", "nil", "{:lease 1}"), ("release", "nil", "nil")],
            &["acquire 1 of lock -> ok", "release 1 of lock -> ok"],
        ),
        (&[("generate", "nil", "42")], &["generate ids -> ok 42"]),
        (
            &[
                (
                    "transfer",
                    "{:from 0 :to 1 :amount 5}",
                    "{:from 0 :to 1 :amount 5}",
                ),
                ("read", "nil", "{0 5, 1 nil}"),
            ],
            &[
                "transfer 5 from 0 to 1 -> ok",
                "balances bank -> ok {0: 5, 1: nothing}",
            ],
        ),
        (
            &[(
                "txn",
                "[[:append 3 1] [:r 3 nil]]",
                "[[:append 3 1] [:r 3 [1 2]]]",
            )],
            &["txn {append 3 1, r 3} -> ok {append 3 1, r 3 → [1, 2]}"],
        ),
        (
            &[("txn", "[[:w :x 1] [:r :y]]", "[[:w :x 1] [:r :y 2]]")],
            &["txn {w :x = 1, r :y} -> ok {w :x = 1, r :y → 2}"],
        ),
        (
            &[("read", "[[:r 0 nil] [:r 1 nil]]", "[[:r 0 1] [:r 1 nil]]")],
            &["txn {r 0, r 1} -> ok {r 0 → 1, r 1}"],
        ),
        (
            &[("write", "[[:w 0 1]]", "[[:w 0 1]]")],
            &["txn {w 0 = 1} -> ok {w 0 = 1}"],
        ),
        (
            &[
                ("add", "nil", "{:val 0 :sts 17 :node 1}"),
                ("read", "nil", "[{:val 0 :sts 17}]"),
            ],
            &["advance table -> ok 0 at 17", "rows table -> ok [0 at 17]"],
        ),
        (
            &[("read", "nil", "3"), ("cas", "[3 4]", "[3 4]")],
            &["read register -> ok 3", "cas register from 3 to 4 -> ok"],
        ),
    ];
    for (events, calls) in cases {
        let text: String = events
            .iter()
            .map(|(f, asked, said)| one(f, asked, said))
            .collect();
        let shown = shown(&read("jepsen-edn", &text));
        let calls: Vec<String> = calls.iter().map(|call| format!("p0 {call}")).collect();
        assert_eq!(shown, calls, "{text}");
    }
}

#[test]
fn what_fits_no_object_is_refused_with_its_place() {
    for (first, second, said) in [
        (
            ":f :cas :value [1 2]",
            ":f :read :value [1 2]",
            "line 4, column 2: a read of a list does not fit register, which must be a register",
        ),
        (
            ":f :add :value 1",
            ":f :read :value {1 2}",
            "line 4, column 2: a read of a map does not fit register, which must be a set or a counter",
        ),
        (
            ":f :inc :value 1",
            ":f :read :value nil",
            "line 4, column 2: a read of nil does not fit",
        ),
        (
            ":f :transfer :value {:from 1 :to 2}",
            "",
            "line 1, column 1: a transfer without :amount",
        ),
        (
            ":f :txn :value [[:x 1 2]]",
            "",
            "line 1, column 1: a step of a txn that is neither",
        ),
        (":f :txn :value 7", "", "the value of a txn must be a list"),
        (":f :inc :value \"1\"", "", "an inc by"),
    ] {
        let nil = second.find(":value").map_or("", |at| &second[..at]);
        let text = format!(
            "{{:process 0 :type :invoke {first}}}\n {{:process 0 :type :ok {}}}
             {{:process 0 :type :invoke {nil}}}\n {{:process 0 :type :ok {second}}}",
            first.split(" :value").next().unwrap(),
        );
        let refused = refusal("jepsen-edn", &text);
        assert!(refused.contains(said), "{text}: {refused}");
    }
}

#[test]
fn the_user_says_what_a_file_leaves_open() {
    let text = "{:process 0 :type :invoke :f :add :value 1}\n{:process 0 :type :ok :f :add}";
    let given = |name: &str| {
        let object = import::Object::find(name);
        import::read_as(text.as_bytes(), None, None, object).map(|imported| shown(&imported))
    };
    assert_eq!(given("set").unwrap(), ["p0 add 1 to set -> ok"]);
    assert_eq!(
        given("counter").unwrap(),
        ["p0 increment counter by 1 -> ok"]
    );
    let refused = given("register").unwrap_err().to_string();
    assert!(refused.contains("which must be a register"), "{refused}");
}

#[test]
fn the_json_of_elle_cli_is_read() {
    let text = r#"{"index":0,"type":"invoke","process":0,"f":"txn","value":[["append",1,2],["r",1,null]]}
        {"index":1,"type":"ok","process":0,"f":"txn","value":[[":append",1,2],[":r",1,[2]]]}
        {"index":2,"type":"invoke","process":0,"f":"transfer","value":{"from":0,"to":1,"amount":2}}
        {"index":3,"type":"fail","process":0,"f":"transfer","value":null}
        {"index":4,"type":"invoke","process":0,"f":"read","value":null}
        {"index":5,"type":"ok","process":0,"f":"read","value":{"0":3,"x":null}}"#;
    let imported = import::read(text.as_bytes(), None, None).unwrap();
    assert_eq!(
        shown(&imported),
        [
            "p0 txn {append 1 2, r 1} -> ok {append 1 2, r 1 → [2]}",
            "p0 transfer 2 from 0 to 1 -> fail failed",
            "p0 balances bank -> ok {0: 3, x: nothing}",
        ]
    );
}

/// A history of dbcop, byte by byte: two sessions, three transactions.
fn dbcop() -> Vec<u8> {
    let mut bytes = Vec::new();
    let number = |bytes: &mut Vec<u8>, n: u64| bytes.extend(n.to_le_bytes());
    for parameter in [1, 2, 2, 2, 2] {
        number(&mut bytes, parameter);
    }
    for text in [
        "made here",
        "2019-07-07T12:00:00+02:00",
        "2019-07-07T12:00:01+02:00",
    ] {
        number(&mut bytes, text.len() as u64);
        bytes.extend(text.as_bytes());
    }
    let event = |bytes: &mut Vec<u8>, write: u8, variable: u64, value: u64, success: u8| {
        bytes.push(write);
        bytes.extend(variable.to_le_bytes());
        bytes.extend(value.to_le_bytes());
        bytes.push(success);
    };
    number(&mut bytes, 2);
    number(&mut bytes, 2);
    number(&mut bytes, 2);
    event(&mut bytes, 1, 0, 5, 1);
    event(&mut bytes, 0, 1, 0, 1);
    bytes.push(1);
    number(&mut bytes, 1);
    event(&mut bytes, 1, 1, 6, 1);
    bytes.push(0);
    number(&mut bytes, 1);
    number(&mut bytes, 2);
    event(&mut bytes, 0, 0, 5, 1);
    event(&mut bytes, 0, 1, 9, 0);
    bytes.push(1);
    bytes
}

#[test]
fn histories_of_dbcop_are_read_and_have_no_times() {
    let bytes = dbcop();
    let imported = import::read(&bytes[..], None, None).unwrap();
    assert!(!imported.timed);
    assert_eq!(
        shown(&imported),
        [
            "p0 txn {w 0 = 5, r 1} -> ok {w 0 = 5, r 1}",
            "p1 txn {r 0} -> ok {r 0 → 5}",
            "p0 txn {w 1 = 6} -> fail aborted",
        ]
    );
    assert!(
        imported.notes[1].ends_with("did not succeed: 1"),
        "{:?}",
        imported.notes
    );
    for cut in 0..bytes.len() {
        let dbcop = import::find("dbcop");
        let error = import::read(&bytes[..cut], None, dbcop)
            .unwrap_err()
            .to_string();
        assert!(error.starts_with("byte "), "{error}");
    }
    let longer = [&bytes[..], &[0]].concat();
    let error = import::read(&longer[..], None, None)
        .unwrap_err()
        .to_string();
    assert!(
        error.ends_with("more follows after the last session"),
        "{error}"
    );
}

#[test]
fn forms_and_lines_are_bounded_but_files_are_not() {
    use std::io::{BufReader, Read as _, repeat};
    let long = |byte: u8, begin: &'static str, format: &str| {
        let endless = repeat(byte).take(import::FORM_BYTES_MAX as u64 + 100);
        let input = BufReader::new(begin.as_bytes().chain(endless));
        let read = import::read(input, None, import::find(format));
        read.map(|imported| imported.history.calls().len())
            .map_err(|e| e.to_string())
    };
    assert_eq!(long(b' ', "", "jepsen-edn"), Ok(0));
    assert_eq!(long(b'x', ";", "jepsen-edn"), Ok(0));
    assert_eq!(long(b'\n', "", "jepsen-json"), Ok(0));
    for (byte, begin, format) in [
        (b'x', "{:f \"", "jepsen-edn"),
        (b' ', "{:f ", "jepsen-edn"),
        (b'x', ":", "jepsen-edn"),
        (b'x', "[{\"", "jepsen-json"),
        (b'7', "[", "jepsen-json"),
        (b'x', "0 :ok :read ", "porcupine"),
    ] {
        let refused = long(byte, begin, format).unwrap_err();
        assert!(
            refused.contains("longer than 16777216 bytes"),
            "{format}: {refused}"
        );
    }
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
        if format == "jepsen-json" && !text.contains("\":timed-out\"") {
            // An error that is a text without a colon is no word that is known to be stable.
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
        "{:process 0 :type :invoke :f :watch :value [[:r 1 nil]]}
         {:process 1 :type :invoke :f :write :value 1}
         {:process 0 :type :ok :f :watch :value [[:r 1 2]]}
         {:process 1 :type :ok :f :write :value 1}
         {:process 0 :type :invoke :f :delete}",
    );
    assert_eq!(shown(&imported), ["p1 write register = 1 -> ok"]);
    let note = imported.notes.join("\n");
    assert!(note.contains("are not known: 2 ("), "{note}");
    assert!(note.contains("1 × delete, 1 × watch"), "{note}");
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
            "line 2, column 2: an event must be a map",
        ),
        (
            format!("[{object},\n {object}]"),
            "line 2, column 2: p0 invokes while",
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
            "line 1, column 42: the text ends where ] is missing",
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
