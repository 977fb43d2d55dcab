//! The JSON schemas of what a run leaves, as they are published in `schema/`.

use schemars::Schema;
use serde_json::{Value as Json, json};

use crate::RunVerdict;
use crate::event::Line;
use crate::journal::Header;
use crate::message::{MessageLine, MessagesHeader};
use crate::reasons::{self, Of};
use crate::run::RunInfo;

/// One schema.
#[derive(Clone, Debug)]
pub struct Published {
    /// Its name on the command line.
    pub name: &'static str,
    /// Its file in `schema/`.
    pub file: &'static str,
    /// What it is of.
    pub about: &'static str,
    /// The schema.
    pub schema: Schema,
}

/// Every schema, where checkers find the anomalies of these names.
pub fn published(anomalies: &[&str]) -> Vec<Published> {
    let of = |name, file, about, schema: Schema| Published {
        name,
        file,
        about,
        schema,
    };
    let mut all = vec![
        of(
            "event",
            "history-event.json",
            "each further line of history.jsonl",
            schemars::schema_for!(Line),
        ),
        of(
            "header",
            "history-header.json",
            "the first line of history.jsonl",
            schemars::schema_for!(Header),
        ),
        of(
            "message",
            "messages-event.json",
            "each further line of messages.jsonl",
            schemars::schema_for!(MessageLine),
        ),
        of(
            "messages-header",
            "messages-header.json",
            "the first line of messages.jsonl",
            schemars::schema_for!(MessagesHeader),
        ),
        of(
            "run",
            "run.json",
            "run.json: what was run, on what, and how it ended",
            schemars::schema_for!(RunInfo),
        ),
    ];
    all.push(Published {
        name: "verdict",
        file: "verdict.json",
        about: "verdict.json: what a run came to, with every reason that there is",
        schema: verdict(anomalies),
    });
    all
}

/// The schema of a verdict, closed over all codes.
fn verdict(anomalies: &[&str]) -> Schema {
    let mut schema = schemars::schema_for!(RunVerdict);
    let mut names = anomalies.to_vec();
    names.sort_unstable();
    names.dedup();
    let unknown = reasons::all().filter(|reason| reason.of != Of::Run);
    let unknown: Vec<&str> = unknown.map(|reason| reason.code).collect();
    let mut reasons: Vec<&str> = reasons::all().map(|reason| reason.code).collect();
    reasons.extend(&names);
    let mut close = |pointer: &str, codes: &[&str]| {
        if let Some(Json::Object(place)) = schema.pointer_mut(pointer) {
            place.insert("enum".into(), json!(codes));
        }
    };
    close("/properties/reason", &reasons);
    close("/properties/expected/items", &names);
    close("/$defs/Anomaly/properties/name", &names);
    close("/$defs/Reason/properties/code", &unknown);
    schema
}
