//! `--assume FIELD=VALUE`: what a history does not tell.

use serde_json::Value as Json;
use tribunal_results::Assumptions;

use super::super::Failure;

/// The names of the fields.
fn fields() -> Vec<String> {
    match serde_json::to_value(Assumptions::default()) {
        Ok(Json::Object(fields)) => fields.into_iter().map(|(name, _)| name).collect(),
        _ => Vec::new(),
    }
}

/// Assumptions with some changed. A value is JSON, or else a text.
pub(in crate::cli) fn with(assume: Assumptions, given: &[String]) -> Result<Assumptions, Failure> {
    if given.is_empty() {
        return Ok(assume);
    }
    let mut all = serde_json::to_value(assume).map_err(Failure::usage)?;
    for one in given {
        let (name, value) = one.split_once('=').unwrap_or((one, ""));
        let known = all
            .as_object()
            .is_some_and(|fields| fields.contains_key(name));
        if !known || !one.contains('=') {
            return Err(Failure::usage(anyhow::anyhow!(
                "--assume {one}: it must be FIELD=VALUE, where FIELD is one of {}",
                fields().join(", ")
            )));
        }
        let value = serde_json::from_str(value).unwrap_or_else(|_| Json::from(value));
        all[name] = value;
        serde_json::from_value::<Assumptions>(all.clone())
            .map_err(|e| Failure::usage(anyhow::anyhow!("--assume {one}: {e}")))?;
    }
    serde_json::from_value(all).map_err(Failure::usage)
}
