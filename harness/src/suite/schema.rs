//! The JSON schema of a suite, for editors: what they complete and underline while one is written.
//!
//! It is made from the catalogue, so it names what this program knows. It accepts everything that
//! [`load`](super::load) accepts; options of targets, workloads and faults it leaves to `--dry-run`.

use serde_json::{Map, Value as Json, json};

use super::Catalogue;
use super::expand::FIELDS;

/// The schema of a suite that may name what is in the catalogue.
pub fn schema(catalogue: &Catalogue) -> Json {
    let fields: Map<String, Json> = FIELDS
        .into_iter()
        .map(|name| (name.to_owned(), field(name)))
        .collect();
    let lists: Map<String, Json> = FIELDS
        .into_iter()
        .map(|name| (name.to_owned(), list_of(field(name))))
        .collect();
    let mut run = fields.clone();
    let name = json!({ "$ref": "#/$defs/name", "description": "its name within the suite" });
    run.insert("name".into(), name);
    let matrix = object(
        lists,
        "several values for some fields; stands for all combinations",
    );
    run.insert("matrix".into(), matrix);
    let defaults = object(fields, "fields of every run that does not give its own");
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Tribunal suite",
        "type": "object",
        "required": ["runs"],
        "additionalProperties": false,
        "properties": {
            "suite": { "$ref": "#/$defs/name", "description": "the suite's name; otherwise the file's" },
            "about": { "type": "string", "description": "what it shows, in one line" },
            "defaults": nullable(defaults),
            "runs": { "type": "array", "minItems": 1, "items": object(run, "one run, or several by a matrix") },
        },
        "$defs": definitions(catalogue),
    })
}

/// What a field of a run may be.
fn field(name: &str) -> Json {
    match name {
        "target" => of("target", "the system that is tested"),
        "workload" => of("workload", "what clients ask of it"),
        "nemesis" => of(
            "nemesis",
            "what is broken meanwhile: none, a fault, several, or a schedule",
        ),
        "nodes" => whole(1, 50, "how many nodes"),
        "clients" => whole(1, 1000, "how many clients ask at once"),
        "rate" => json!({
            "type": "number", "exclusiveMinimum": 0, "maximum": 1_000_000,
            "description": "operations a second, of all clients together",
        }),
        "time" => of("time", "how long operations are invoked"),
        "timeout" => of("time", "the most that one operation may take"),
        "ready" => of(
            "time",
            "how long nodes may take to become ready at the start",
        ),
        "recovery" => json!({
            "description": "how long the system may take to serve again after everything is healed",
            "anyOf": [{ "$ref": "#/$defs/time" }, {
                "type": "object", "required": ["within"], "additionalProperties": false,
                "properties": { "within": { "$ref": "#/$defs/time" } },
            }],
        }),
        "expect" => json!({
            "description": "`valid`, or the anomalies of which at least one must be found",
            "anyOf": [
                { "const": "valid" },
                { "$ref": "#/$defs/anomaly" },
                { "type": "array", "minItems": 1, "items": { "$ref": "#/$defs/anomaly" } },
            ],
        }),
        "evidence" => of(
            "evidence",
            "the least that the run must show; less is insufficient",
        ),
        "gates" => json!({
            "type": "object", "description": "thresholds for what a run measures; missed is exit 4",
        }),
        "judge" => json!({
            "type": "object", "additionalProperties": false, "description": "what judging may cost",
            "properties": {
                "time": { "$ref": "#/$defs/time" },
                "memory_mib": whole(16, 1_048_576, "the most memory, in MiB"),
            },
        }),
        "seed" => whole(0, u64::MAX, "the seed of every choice"),
        "topology" => json!({
            "description": "the network while nothing is broken",
            "anyOf": [{ "enum": ["mesh", "ring", "star", "tree"] }, { "type": "object" }],
        }),
        "fabric" => json!({
            "enum": ["proxy", "switch"],
            "description": "how what nodes send is carried: by proxies, or by a network of its own",
        }),
        "messages" => json!({
            "type": "boolean",
            "description": "whether what nodes send each other is journalled, with logical clocks",
        }),
        "finding" => finding(),
        other => json!({ "description": other }),
    }
}

/// What it means if what is expected is found.
fn finding() -> Json {
    json!({
        "description": "what a published report would say if what is expected is found; \
            `{version}` stands for the system and its version",
        "anyOf": [{ "type": "string" }, {
            "type": "object", "required": ["says"], "additionalProperties": false,
            "properties": { "says": { "type": "string" }, "source": { "type": "string" } },
        }],
    })
}

fn definitions(catalogue: &Catalogue) -> Json {
    let targets: Vec<&str> = catalogue.targets.iter().map(|target| target.name).collect();
    let workloads: Vec<&str> = catalogue.workloads.iter().map(|load| load.name).collect();
    let faults: Vec<&str> = catalogue.faults.iter().map(|fault| fault.name).collect();
    let all = catalogue.workloads.iter().flat_map(|load| &load.anomalies);
    let mut anomalies: Vec<&str> = all.copied().collect();
    anomalies.sort_unstable();
    anomalies.dedup();
    let time = r"^\s*[0-9]*\.?[0-9]+([eE][-+]?[0-9]+)?\s*(us|ms|s|m|h)$";
    let start = ["at", "after", "when"].map(|key| json!({ "required": [key] }));
    json!({
        "name": { "type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9_.+-]{0,99}$" },
        "time": {
            "description": "a length of time with its unit, such as 250ms, 1.5s or 2m",
            "anyOf": [{ "type": "string", "pattern": time }, { "const": 0 }],
        },
        "times": { "type": "string", "description": "a stretch of time, such as 200ms..600ms" },
        "anomaly": { "enum": anomalies },
        "target": tagged(&targets, json!({
            "bug": { "type": ["string", "null"], "description": "the planted bug that its nodes show" },
            "options": { "type": ["object", "null"] },
        }), false),
        "workload": tagged(&workloads, json!({}), true),
        "fault": tagged(&faults, json!({}), true),
        "faults": {
            "anyOf": [
                { "const": "none" },
                { "type": "null" },
                { "$ref": "#/$defs/fault" },
                list_of(json!({ "$ref": "#/$defs/fault" })),
            ],
        },
        "nemesis": { "anyOf": [{ "$ref": "#/$defs/faults" }, {
            "type": "object", "additionalProperties": false,
            "properties": {
                "faults": of("faults", "what is drawn from"),
                "quiet": of("times", "how long nothing is broken between two faults"),
                "hold": of("times", "how long a fault lasts"),
                "interval": of("times", "how long after the beginning of one fault the next begins"),
                "overlap": whole(1, tribunal_nemesis::schedule::OVERLAP_MAX as u64, "faults at once"),
                "probability": {
                    "type": "number", "exclusiveMinimum": 0, "maximum": 1,
                    "description": "how likely a fault is when one is due",
                },
                "budget": {
                    "enum": ["minority", "majority", "any"],
                    "description": "how many nodes may be out at once",
                },
                "schedule": {
                    "description": "faults at given times, or when something is seen",
                    "type": "array", "items": { "type": "object", "oneOf": start },
                },
            },
        }] },
        "evidence": {
            "type": "object", "additionalProperties": false,
            "properties": {
                "ok_operations": whole(0, u64::MAX, "operations that took effect"),
                "cross_observations": whole(0, u64::MAX, "answers that show another client's work"),
                "concurrency": whole(0, u64::MAX, "operations outstanding at one instant"),
                "faults_of_each": whole(0, u64::MAX, "faults that bit, of each kind"),
                "final_reads": whole(0, u64::MAX, "final operations that were answered"),
            },
        },
    })
}

/// A name alone, or a mapping whose `type` is the name.
fn tagged(names: &[&str], mut more: Json, open: bool) -> Json {
    more["type"] = json!({ "enum": names });
    let mapping = json!({
        "type": "object", "required": ["type"], "properties": more, "additionalProperties": open,
    });
    json!({ "anyOf": [{ "enum": names }, mapping] })
}

fn of(definition: &str, about: &str) -> Json {
    json!({ "$ref": format!("#/$defs/{definition}"), "description": about })
}

fn whole(least: u64, most: u64, about: &str) -> Json {
    json!({ "type": "integer", "minimum": least, "maximum": most, "description": about })
}

fn list_of(items: Json) -> Json {
    json!({ "type": "array", "items": items })
}

fn object(properties: Map<String, Json>, about: &str) -> Json {
    json!({
        "type": "object", "additionalProperties": false,
        "properties": properties, "description": about,
    })
}

fn nullable(schema: Json) -> Json {
    json!({ "anyOf": [schema, { "type": "null" }] })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a value is as the schema says, as far as the keywords above go.
    fn accepts(root: &Json, schema: &Json, value: &Json) -> bool {
        let Some(schema) = schema.as_object() else {
            return true;
        };
        schema.iter().all(|(keyword, says)| match keyword.as_str() {
            "$ref" => {
                let name = says.as_str().unwrap().strip_prefix("#/$defs/").unwrap();
                accepts(root, &root["$defs"][name], value)
            }
            "type" => match says {
                Json::Array(types) => types.iter().any(|one| is(one, value)),
                one => is(one, value),
            },
            "enum" => says.as_array().unwrap().contains(value),
            "const" => says == value,
            "anyOf" => says
                .as_array()
                .unwrap()
                .iter()
                .any(|s| accepts(root, s, value)),
            "oneOf" => {
                let fits = says.as_array().unwrap().iter();
                fits.filter(|s| accepts(root, s, value)).count() == 1
            }
            "required" => value.as_object().is_none_or(|map| {
                let mut keys = says.as_array().unwrap().iter();
                keys.all(|key| map.contains_key(key.as_str().unwrap()))
            }),
            "properties" => value.as_object().is_none_or(|map| {
                map.iter()
                    .all(|(key, value)| accepts(root, &says[key.as_str()], value))
            }),
            "additionalProperties" => {
                let known = &schema["properties"];
                let mut keys = value.as_object().into_iter().flat_map(Map::keys);
                says == &json!(true) || keys.all(|key| !known[key.as_str()].is_null())
            }
            "items" => {
                let mut items = value.as_array().into_iter().flatten();
                items.all(|item| accepts(root, says, item))
            }
            "minItems" => value.as_array().is_none_or(|all| !all.is_empty()),
            "minimum" => value.as_f64().is_none_or(|n| n >= says.as_f64().unwrap()),
            "maximum" => value.as_f64().is_none_or(|n| n <= says.as_f64().unwrap()),
            "exclusiveMinimum" => value.as_f64().is_none_or(|n| n > says.as_f64().unwrap()),
            // Patterns are tried by hand below.
            "pattern" | "description" | "title" | "$schema" | "$defs" => true,
            other => panic!("{other} is not known to this test"),
        })
    }

    fn is(kind: &Json, value: &Json) -> bool {
        match kind.as_str().unwrap() {
            "object" => value.is_object(),
            "array" => value.is_array(),
            "string" => value.is_string(),
            "integer" => value.is_u64() || value.is_i64(),
            "number" => value.is_number(),
            "boolean" => value.is_boolean(),
            "null" => value.is_null(),
            other => panic!("{other}"),
        }
    }

    fn yaml(text: &str) -> Json {
        serde_yaml::from_str(text).unwrap()
    }

    #[test]
    fn every_built_in_suite_is_as_the_schema_says() {
        let schema = schema(&Catalogue::built_in());
        for suite in super::super::built_in() {
            assert!(
                accepts(&schema, &schema, &yaml(suite.text)),
                "{}",
                suite.name
            );
        }
    }

    #[test]
    fn what_no_suite_may_say_is_underlined() {
        let schema = schema(&Catalogue::built_in());
        let good = "runs: [{target: lock-manager, workload: lock, nemesis: [kill]}]";
        assert!(accepts(&schema, &schema, &yaml(good)));
        for (from, to) in [
            ("runs", "ruins"),
            ("lock-manager", "lock-manger"),
            ("workload: lock", "workload: {locks: 3}"),
            ("[kill]", "[kil]"),
            ("[kill]", "{faults: [kill], overlap: 0}"),
            ("[kill]", "{schedule: [{type: kill, at: 1s, after: 2s}]}"),
            ("[kill]", "[kill], nodes: 0"),
            ("[kill]", "[kill], expect: []"),
            ("[kill]", "[kill], expect: stale-reed"),
            ("[kill]", "[kill], sed: 3"),
        ] {
            let wrong = good.replace(from, to);
            assert!(!accepts(&schema, &schema, &yaml(&wrong)), "{wrong}");
        }
    }

    #[test]
    fn every_field_is_described() {
        for name in FIELDS {
            let about = field(name)["description"].as_str().unwrap().to_owned();
            assert!(about.contains(' '), "{name}: {about}");
        }
    }
}
