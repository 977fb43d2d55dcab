//! The EDN reader: what it takes, what it refuses and where, and that it agrees with another.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::collections::{BTreeMap, BTreeSet};

use clojure_reader::edn::Edn;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use tribunal_results::import::edn::{DEPTH_MAX, Float, Form, Place, Reader, Value};

fn form(value: Value) -> Form {
    Form {
        value,
        place: Place { line: 1, column: 1 },
    }
}

fn forms(values: impl IntoIterator<Item = Value>) -> Vec<Form> {
    values.into_iter().map(form).collect()
}

/// The only form of a text.
fn one(text: &str) -> Value {
    let all: Vec<Form> = Reader::new(text)
        .map(|form| form.unwrap_or_else(|e| panic!("{text}: {e}")))
        .collect();
    match <[Form; 1]>::try_from(all) {
        Ok([form]) => form.value,
        Err(all) => panic!("{text} has {} forms", all.len()),
    }
}

/// Why a text is refused.
fn refusal(text: &str) -> String {
    let mut errors = Reader::new(text).filter_map(Result::err);
    match errors.next() {
        Some(error) => error.to_string(),
        None => panic!("{text} is taken"),
    }
}

fn text(text: &str) -> Value {
    Value::Text(text.into())
}

fn exact(text: &str) -> Value {
    Value::Exact(text.into())
}

/// Prints a value so that Clojure would read it.
fn show(value: &Value) -> String {
    let all = |forms: &[Form]| {
        let shown: Vec<String> = forms.iter().map(|form| show(&form.value)).collect();
        shown.join(" ")
    };
    match value {
        Value::Nil => "nil".into(),
        Value::Bool(b) => b.to_string(),
        Value::Int(n) => n.to_string(),
        Value::Exact(text) => text.clone(),
        Value::Float(Float(x)) if x.is_nan() => "##NaN".into(),
        Value::Float(Float(x)) if x.is_infinite() => {
            (if *x > 0.0 { "##Inf" } else { "##-Inf" }).into()
        }
        Value::Float(Float(x)) => format!("{x:?}"),
        Value::Char('\n') => "\\newline".into(),
        Value::Char(' ') => "\\space".into(),
        Value::Char('\t') => "\\tab".into(),
        Value::Char(c) => format!("\\{c}"),
        Value::Text(text) => {
            let text = text.replace('\\', "\\\\").replace('"', "\\\"");
            format!("\"{}\"", text.replace('\n', "\\n").replace('\r', "\\r"))
        }
        Value::Symbol(name) => name.clone(),
        Value::Keyword(name) => format!(":{name}"),
        Value::List(forms) => format!("({})", all(forms)),
        Value::Vector(forms) => format!("[{}]", all(forms)),
        Value::Map(map) => {
            let pairs = map
                .iter()
                .map(|(key, form)| format!("{} {}", show(key), show(&form.value)));
            format!("{{{}}}", pairs.collect::<Vec<_>>().join(", "))
        }
        Value::Set(set) => {
            let shown: Vec<String> = set.iter().map(show).collect();
            format!("#{{{}}}", shown.join(" "))
        }
        Value::Tagged(tag, form) => format!("#{tag} {}", show(&form.value)),
    }
}

/// What both readers know.
fn common_leaf() -> BoxedStrategy<Value> {
    let name = "[a-z*!?][a-z0-9*!?.-]{0,4}(/[a-z]{1,3})?";
    let symbol = name.prop_filter("a word of its own", |name: &String| {
        !["nil", "true", "false"].contains(&name.as_str())
    });
    prop_oneof![
        Just(Value::Nil),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        (-1e9..1e9).prop_map(|x| Value::Float(Float(x))),
        prop_oneof![Just("1/2"), Just("-3/4")].prop_map(exact),
        prop_oneof![Just("1.5M"), Just("-2.25M")].prop_map(exact),
        "-?[1-9][0-9]{19,24}N".prop_map(|text| exact(&text)),
        "[a-zA-Z0-9]|\n| |\t|é|λ".prop_map(|c| Value::Char(c.chars().next().unwrap())),
        "[a-z\"\\\\\n\r\tλ;,#]{0,6}".prop_map(Value::Text),
        symbol.prop_map(Value::Symbol),
        name.prop_map(Value::Keyword),
    ]
    .boxed()
}

/// Also what only ours knows.
fn leaf() -> BoxedStrategy<Value> {
    prop_oneof![
        4 => common_leaf(),
        1 => any::<f64>().prop_map(|x| Value::Float(Float(x))),
        1 => any::<String>().prop_map(Value::Text),
    ]
    .boxed()
}

fn tree(leaf: BoxedStrategy<Value>) -> impl Strategy<Value = Value> {
    leaf.prop_recursive(4, 24, 4, |inner| {
        let pairs = vec((inner.clone(), inner.clone()), 0..4);
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(|all| Value::List(forms(all))),
            vec(inner.clone(), 0..4).prop_map(|all| Value::Vector(forms(all))),
            vec(inner.clone(), 0..4).prop_map(|all| Value::Set(all.into_iter().collect())),
            pairs.prop_map(|pairs| {
                Value::Map(pairs.into_iter().map(|(k, v)| (k, form(v))).collect())
            }),
            ("[a-z]{1,4}([./][a-z]{1,4})?", inner).prop_filter_map(
                "not a word of its own",
                |(tag, value)| {
                    let own = ["nil", "true", "false"].contains(&tag.as_str());
                    (!own).then(|| Value::Tagged(tag, Box::new(form(value))))
                }
            ),
        ]
    })
}

/// What the other reader read, as ours would say it.
fn translated(edn: &Edn<'_>) -> Value {
    let all = |edns: &[Edn<'_>]| edns.iter().map(|edn| form(translated(edn))).collect();
    match edn {
        Edn::Nil => Value::Nil,
        Edn::Bool(b) => Value::Bool(*b),
        Edn::Int(n) => Value::Int(*n),
        Edn::BigInt(n) => exact(&format!("{n}N")),
        Edn::BigDec(n) => exact(&format!("{n}M")),
        Edn::Rational((above, below)) => exact(&format!("{above}/{below}")),
        Edn::Double(x) => Value::Float(Float(x.into_inner())),
        Edn::Char(c) => Value::Char(*c),
        Edn::Str(s) => text(s),
        Edn::Symbol(name) => Value::Symbol(name.to_string()),
        Edn::Key(name) => Value::Keyword(name.trim_start_matches(':').into()),
        Edn::List(edns) => Value::List(all(edns)),
        Edn::Vector(edns) => Value::Vector(all(edns)),
        Edn::Set(edns) => Value::Set(edns.iter().map(translated).collect()),
        Edn::Map(map) => Value::Map(
            map.iter()
                .map(|(k, v)| (translated(k), form(translated(v))))
                .collect::<BTreeMap<_, _>>(),
        ),
        Edn::Tagged(tag, edn) => Value::Tagged(tag.to_string(), Box::new(form(translated(edn)))),
        other => panic!("a kind of value that is new: {other}"),
    }
}

proptest! {
    #[test]
    fn what_is_printed_is_read_back_the_same(value in tree(leaf())) {
        prop_assert_eq!(one(&show(&value)), value);
    }

    #[test]
    fn another_reader_reads_the_same(value in tree(common_leaf())) {
        let printed = show(&value);
        let other = clojure_reader::edn::read_string(&printed);
        let other = other.unwrap_or_else(|e| panic!("{printed}: {e}"));
        prop_assert_eq!(one(&printed), translated(&other));
    }

    #[test]
    fn any_text_is_read_or_refused(text in any::<String>()) {
        // Forms end, and the last one only may be an error.
        let read: Vec<_> = Reader::new(&text).collect();
        let errors = read.iter().filter(|form| form.is_err()).count();
        prop_assert!(errors <= 1 && read.len() <= text.len());
    }

    #[test]
    fn damaged_edn_is_read_or_refused_at_a_place_within(
        value in tree(leaf()),
        damage in vec((any::<Index>(), "[\\[\\](){}\"#_\\\\:/^;0-9a-zNM.~-]{0,2}"), 1..4),
    ) {
        let mut chars: Vec<char> = show(&value).chars().collect();
        for (at, instead) in damage {
            let at = at.index(chars.len() + 1);
            let end = (at + 1).min(chars.len());
            chars.splice(at..end, instead.chars());
        }
        let damaged: String = chars.into_iter().collect();
        if let Some(Err(error)) = Reader::new(&damaged).last() {
            let lines: Vec<&str> = damaged.split('\n').collect();
            let line = lines.get(error.place.line as usize - 1);
            let line = line.unwrap_or_else(|| panic!("{error} in {damaged:?}"));
            prop_assert!(error.place.column as usize <= line.chars().count() + 1);
        }
    }
}

#[test]
fn numbers_are_read_as_clojure_reads_them() {
    for (written, n) in [
        ("0", 0),
        ("-0", 0),
        ("+7", 7),
        ("12N", 12),
        ("0x1F", 31),
        ("-0xff", -255),
        ("017", 15),
        ("2r101", 5),
        ("36rZ", 35),
        ("9223372036854775807", i64::MAX),
        ("-9223372036854775808", i64::MIN),
    ] {
        assert_eq!(one(written), Value::Int(n), "{written}");
    }
    for (written, x) in [("1.5", 1.5), ("1e3", 1e3), ("-1.E-2", -0.01), ("2.", 2.0)] {
        assert_eq!(one(written), Value::Float(Float(x)), "{written}");
    }
    for written in ["9223372036854775808", "1/2", "-22/7", "1M", "1.5e3M"] {
        assert_eq!(one(written), exact(written));
    }
    let infinite = Value::Float(Float(f64::INFINITY));
    assert_eq!(one("##Inf"), infinite);
    for bad in [
        "1a", "08", "1/0", "0x", "1.5N", "1e", "37r1", "1r0", "-0x-1", "1//2", "##Foo",
    ] {
        assert!(refusal(bad).starts_with("line 1, column 1: "), "{bad}");
    }
}

#[test]
fn texts_and_characters_know_every_escape() {
    assert_eq!(
        one(r#""\t\r\n\b\f\"\\\u263a\ud83e\udd80\101\0""#),
        text("\t\r\n\u{8}\u{c}\"\\☺🦀A\0")
    );
    assert_eq!(one("\"two\nlines\""), text("two\nlines"));
    for (written, c) in [
        ("\\a", 'a'),
        ("\\newline", '\n'),
        ("\\u0041", 'A'),
        ("\\o101", 'A'),
        ("\\u", 'u'),
        ("\\(", '('),
        ("\\\\", '\\'),
        ("\\\"", '"'),
        ("\\,", ','),
        ("\\🦀", '🦀'),
    ] {
        assert_eq!(one(written), Value::Char(c), "{written}");
    }
    for bad in [
        "\"\\q\"",
        "\"\\ud800\"",
        "\"\\u12\"",
        "\\",
        "\\ ",
        "\\ud800",
        "\\abc",
        "\\o777",
    ] {
        refusal(bad);
    }
}

#[test]
fn discards_comments_and_commas_are_nothing() {
    let numbers = Value::Vector(forms([Value::Int(1), Value::Int(4)]));
    assert_eq!(one("[1,, #_2 #_ #_ {:a b} 3 ; ]\n 4 #_5]"), numbers);
    assert_eq!(Reader::new(" ; nothing\n #_ gone ").count(), 0);
    assert_eq!(Reader::new("{:a 1}\n{:a 2} nil").count(), 3);
}

#[test]
fn tags_maps_and_sets_are_read_whole() {
    let op = one("#jepsen.history.Op{:f :read}");
    let map = BTreeMap::from([(
        Value::Keyword("f".into()),
        form(Value::Keyword("read".into())),
    )]);
    let op_is = Value::Tagged("jepsen.history.Op".into(), Box::new(form(Value::Map(map))));
    assert_eq!(op, op_is);
    assert_eq!(one("#{2 1}"), one("#{1 2}"));
    assert_eq!(
        one("#{2 1}"),
        Value::Set(BTreeSet::from([Value::Int(1), Value::Int(2)]))
    );
    one("#object[java.lang.Object 0x1234 \"java.lang.Object@1234\"]");
    for name in [
        "a/b",
        "/",
        "->x",
        ":a/b",
        ":1",
        "foo#",
        "%",
        "a'",
        "clojure.core//",
    ] {
        one(name);
    }
}

#[test]
fn errors_name_line_and_column() {
    for (bad, said) in [
        ("[1 2", "line 1, column 5: the text ends where ] is missing"),
        (
            "{:a 1\n :b}",
            "line 1, column 1: a map with a key that has no value",
        ),
        (
            "{:a 1\n :a 2}",
            "line 2, column 2: a map with the same key twice",
        ),
        (
            "{#{1 2} 1\n #{2 1} 2}",
            "line 2, column 2: a map with the same key twice",
        ),
        (
            "#{1 é\n  1}",
            "line 2, column 3: a set with the same element twice",
        ),
        ("(é ]", "line 1, column 4: ] closes nothing"),
        (
            "\n \"abc",
            "line 2, column 2: a text without its closing quote",
        ),
        ("[#_]", "line 1, column 4: ] closes nothing"),
        ("#_", "line 1, column 1: nothing follows #_"),
        ("#tag", "line 1, column 1: nothing follows a tag"),
        (
            "#\"re\"",
            "line 1, column 1: # must be followed by { or _ or a tag",
        ),
        (
            "#:a{:b 1}",
            "line 1, column 1: # must be followed by { or _ or a tag",
        ),
        ("^{:a 1} b", "line 1, column 1: metadata (^) is not EDN"),
        ("a/", "line 1, column 1: a/ is no symbol"),
        ("::a", "line 1, column 1: ::a is no keyword"),
        ("'a", "line 1, column 1: 'a is no symbol"),
    ] {
        assert_eq!(refusal(bad), said, "{bad}");
    }
}

#[test]
fn nesting_is_bounded() {
    for (open, close) in [
        ("[", "]"),
        ("#a ", ""),
        ("#_ ", " 1"),
        ("{1 ", "}"),
        ("#{", "}"),
    ] {
        let nested = |depth: usize| {
            let inner = if open == "#{" { "" } else { "1" };
            format!("{}{inner}{}", open.repeat(depth), close.repeat(depth))
        };
        assert!(
            Reader::new(&nested(DEPTH_MAX)).all(|form| form.is_ok()),
            "{open}"
        );
        let too_deep = refusal(&nested(DEPTH_MAX + 1));
        assert!(too_deep.ends_with("nested deeper than 512"), "{too_deep}");
        refusal(&nested(200_000));
    }
}
