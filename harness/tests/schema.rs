//! The published schema of verdicts says all that verdicts can say.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]

mod common;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use common::{Run, text_of, tribunal};
use serde_json::Value as Json;
use tribunal_results::reasons;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn printed(name: &str) -> String {
    let output = tribunal(&["schema", name]);
    assert_eq!(output.status.code(), Some(0), "{}", text_of(&output));
    String::from_utf8(output.stdout).unwrap()
}

fn codes(schema: &Json, pointer: &str) -> BTreeSet<String> {
    let codes = schema.pointer(pointer).unwrap().as_array().unwrap().iter();
    codes
        .map(|code| code.as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn each_schema_is_printed_as_it_is_published() {
    let listed = tribunal(&["schema"]);
    let listed = text_of(&listed);
    for (name, file) in [
        ("event", "history-event"),
        ("header", "history-header"),
        ("message", "messages-event"),
        ("messages-header", "messages-header"),
        ("run", "run"),
        ("verdict", "verdict"),
    ] {
        assert!(listed.contains(&format!("{name} ")), "{listed}");
        let stored = root().join(format!("results/schema/{file}.json"));
        let stored = std::fs::read_to_string(stored).unwrap_or_default();
        let hint = "write it anew: cargo test -p tribunal --test schema -- --ignored";
        // The order of keys depends on how the JSON library was built.
        let parsed = |text: &str| serde_json::from_str::<Json>(text).ok();
        assert!(
            parsed(&printed(name)) == parsed(&stored),
            "{file}.json is out of date; {hint}"
        );
    }
    let output = tribunal(&["schema", "verdit"]);
    assert_eq!(output.status.code(), Some(64));
    assert!(text_of(&output).contains("did you mean `verdict`?"));
}

#[test]
#[ignore = "writes the schema file anew"]
fn write_the_schema_of_verdicts() {
    let file = root().join("results/schema/verdict.json");
    std::fs::write(file, printed("verdict")).unwrap();
}

#[test]
fn the_enumeration_of_reasons_is_closed() {
    let schema: Json = serde_json::from_str(&printed("verdict")).unwrap();
    let all = codes(&schema, "/properties/reason/enum");
    for checker in tribunal_checkers::ALL {
        for anomaly in checker.anomalies() {
            assert!(all.contains(*anomaly), "{anomaly}");
            assert!(
                reasons::find(anomaly).is_none(),
                "{anomaly} has two meanings"
            );
        }
    }
    assert!(reasons::all().all(|reason| all.contains(reason.code)));
    // Whatever code a checker gives in the source is one of them.
    let unknown = codes(&schema, "/$defs/Reason/properties/code/enum");
    let mut seen = 0;
    for file in sources(&["checkers/src", "harness/src"]) {
        let text = std::fs::read_to_string(&file).unwrap();
        let text = text.split("#[cfg(test)]").next().unwrap();
        for call in text.split("Verdict::unknown(").skip(1) {
            let second = call.split(',').nth(1).unwrap_or_default().trim();
            let Some(code) = second.strip_prefix('"').and_then(|s| s.strip_suffix('"')) else {
                continue;
            };
            assert!(unknown.contains(code), "{code} in {}", file.display());
            seen += 1;
        }
    }
    assert!(seen > 40, "only {seen} codes were found in the source");
}

fn sources(folders: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders: Vec<PathBuf> = folders.iter().map(|folder| root().join(folder)).collect();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.extension() {
                _ if path.is_dir() => folders.push(path),
                Some(ending) if ending == "rs" => found.push(path),
                _ => {}
            }
        }
    }
    found
}

/// The words of a real verdict are those of the schema, and nothing in it is left undescribed.
#[test]
fn the_verdict_of_a_run_keeps_to_its_schema() {
    let run = Run::new();
    let output = tribunal(&[
        "run",
        "demo",
        "--only",
        "double-grant",
        "--time",
        "1s",
        "--out",
        &run.out(),
    ]);
    assert_eq!(output.status.code(), Some(0), "{}", text_of(&output));
    let file = run.latest("demo").join("verdict.json");
    let verdict: Json = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let schema: Json = serde_json::from_str(&printed("verdict")).unwrap();
    assert_eq!(wrong(&verdict, &schema, &schema, "$"), None);
    let mut other = verdict.clone();
    other["reason"] = "something-else".into();
    assert!(wrong(&other, &schema, &schema, "$").is_some());
    let mut other = verdict;
    other.as_object_mut().unwrap().remove("class");
    assert!(wrong(&other, &schema, &schema, "$").is_some());
}

/// The first place where a value breaks a schema: references, `enum`, `const`, `type`, `required`,
/// `properties`, `additionalProperties`, `items`, `anyOf`, `oneOf`.
fn wrong(value: &Json, schema: &Json, root: &Json, at: &str) -> Option<String> {
    if let Some(reference) = schema["$ref"].as_str() {
        let target = root.pointer(reference.strip_prefix('#')?).unwrap();
        return wrong(value, target, root, at);
    }
    for several in ["anyOf", "oneOf"] {
        if let Some(choices) = schema[several].as_array() {
            let fits = choices
                .iter()
                .any(|choice| wrong(value, choice, root, at).is_none());
            return (!fits).then(|| format!("{at}: {value} fits none of {several}"));
        }
    }
    if schema["enum"]
        .as_array()
        .is_some_and(|codes| !codes.contains(value))
        || schema.get("const").is_some_and(|only| only != value)
    {
        return Some(format!("{at}: {value} is not listed"));
    }
    let types: Vec<&str> = match &schema["type"] {
        Json::String(one) => vec![one],
        Json::Array(all) => all.iter().filter_map(Json::as_str).collect(),
        _ => Vec::new(),
    };
    let is = match value {
        Json::Null => "null",
        Json::Bool(_) => "boolean",
        Json::Number(n) if n.is_f64() => "number",
        Json::Number(_) => "integer",
        Json::String(_) => "string",
        Json::Array(_) => "array",
        Json::Object(_) => "object",
    };
    let fits = types.contains(&is) || is == "integer" && types.contains(&"number");
    if !types.is_empty() && !fits {
        return Some(format!("{at}: {value} is of type {is}, not {types:?}"));
    }
    if let Json::Array(values) = value {
        let each = values.iter().enumerate();
        let items = schema.get("items")?;
        return each
            .map(|(n, value)| wrong(value, items, root, &format!("{at}[{n}]")))
            .find_map(|it| it);
    }
    let Json::Object(fields) = value else {
        return None;
    };
    for needed in schema["required"].as_array().into_iter().flatten() {
        if !fields.contains_key(needed.as_str()?) {
            return Some(format!("{at}: {needed} is missing"));
        }
    }
    let named = schema.get("properties").and_then(Json::as_object);
    for (name, value) in fields {
        let place = format!("{at}.{name}");
        let of = named
            .and_then(|named| named.get(name))
            .or_else(|| schema.get("additionalProperties"));
        match of {
            None => return Some(format!("{place} is not described")),
            Some(Json::Bool(true)) => {}
            Some(of) => {
                if let Some(wrong) = wrong(value, of, root, &place) {
                    return Some(wrong);
                }
            }
        }
    }
    None
}
