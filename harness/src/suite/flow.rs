//! Steps of a schedule as YAML that people read: one line each, after one that says what it is.

use std::fmt::Write as _;

use serde_json::Value as Json;
use tribunal_nemesis::schedule::{Act, Step};

/// Words that YAML takes for something else than text.
const NOT_TEXT: [&str; 10] = [
    "true", "false", "null", "yes", "no", "on", "off", "y", "n", "nan",
];

/// The key `schedule` with all steps, each line indented.
pub(super) fn steps(steps: &[Step], indent: &str) -> String {
    let mut text = format!("{indent}schedule:\n");
    for step in steps {
        let json = serde_json::to_value(step).unwrap_or_default();
        if let Act::Given { injection } = &step.act {
            // A comment ends with its line.
            let what = injection.what.replace(['\n', '\r'], " ");
            let _ = writeln!(text, "{indent}# {what}");
        }
        let _ = writeln!(text, "{indent}- {}", flow(&ordered(&json)));
    }
    text
}

/// The fields that people look for, in their order; all others follow.
const FIRST: [&str; 9] = [
    "at", "when", "hold", "type", "fault", "what", "nodes", "detail", "links",
];

/// The fields of a mapping in the order in which people read them; of an injection without those
/// that say nothing.
fn ordered(value: &Json) -> Vec<(String, Json)> {
    let Some(map) = value.as_object() else {
        return Vec::new();
    };
    let place = |key: &str| FIRST.iter().position(|first| *first == key);
    let is_injection = map.contains_key("fault");
    let says = |(key, value): &(&String, &Json)| {
        let is_empty = value.is_null() || value.as_array().is_some_and(Vec::is_empty);
        !(is_injection && is_empty && ["detail", "links"].contains(&key.as_str()))
    };
    let fields = map.iter().filter(says);
    let mut fields: Vec<(String, Json)> = fields.map(|(k, v)| (k.clone(), v.clone())).collect();
    fields.sort_by_key(|(key, _)| place(key).unwrap_or(usize::MAX));
    fields
}

fn flow(fields: &[(String, Json)]) -> String {
    let fields: Vec<String> = fields
        .iter()
        .map(|(key, value)| format!("{}: {}", word(key), inline(value)))
        .collect();
    format!("{{{}}}", fields.join(", "))
}

/// Any value on one line.
fn inline(value: &Json) -> String {
    match value {
        Json::String(text) => word(text),
        Json::Array(items) => {
            let items: Vec<String> = items.iter().map(inline).collect();
            format!("[{}]", items.join(", "))
        }
        Json::Object(_) => flow(&ordered(value)),
        other => other.to_string(),
    }
}

/// Text, quoted unless it is plainly text. (What JSON quotes, YAML reads.)
fn word(text: &str) -> String {
    let tame = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    let begins = text.starts_with(|c: char| c.is_ascii_alphabetic());
    let is_word = begins && text.chars().all(tame) && !is_not_text(text);
    if is_word || is_time(text) {
        return text.to_owned();
    }
    Json::from(text).to_string()
}

fn is_not_text(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    NOT_TEXT.contains(&lower.as_str())
}

fn is_time(text: &str) -> bool {
    let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = text.get(number.len()..).unwrap_or_default();
    ["us", "ms", "s"].contains(&unit)
        && !number.is_empty()
        && number.chars().all(|c| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_written_is_read_as_it_was() {
        let values = json!([
            {"at": "1500ms", "hold": "1s", "type": "kill", "nodes": ["n1", "yes", "1e5", "-"]},
            {"when": {"log": "a: #b *", "node": "n"}, "hold": "20us", "injection": {
                "fault": "delay", "nodes": ["n1"], "links": [["n1", "n2"]], "what": "late\n: really",
                "detail": {"by": "20ms..80ms", "pids": {"n1": null, "0x1f": 7}, "x": [1.5, true]},
            }},
            {"at": "2s", "hold": "1s", "injection": {
                "fault": "kill", "nodes": ["n1"], "links": [], "what": "kill n1", "detail": null,
            }},
        ]);
        let read: Vec<Step> = serde_json::from_value(values).unwrap();
        let text = steps(&read, "    ");
        assert_eq!(text.lines().count(), 6, "{text}");
        let yaml: Json = serde_yaml::from_str(&text).unwrap();
        let again: Vec<Step> = serde_json::from_value(yaml["schedule"].clone()).unwrap();
        assert_eq!(again, read);
        assert!(text.contains("{at: 1500ms, hold: 1s, type: kill, nodes: [n1, \"yes\", "));
    }
}
