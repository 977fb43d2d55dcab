//! `lin-tso`: numbers that grow, each given once.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::Service;
use super::kv::reply;
use crate::wire::WireError;

/// The oracle.
#[derive(Debug, Default)]
pub(super) struct Oracle {
    next: u64,
}

#[derive(Deserialize)]
struct Request<'a> {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(borrow, default)]
    msg_id: Option<&'a RawValue>,
    #[serde(default)]
    in_reply_to: Option<serde::de::IgnoredAny>,
}

impl Service for Oracle {
    fn answer(&mut self, _: &str, body: &RawValue) -> Option<String> {
        let request: Request<'_> = serde_json::from_str(body.get()).ok()?;
        if request.in_reply_to.is_some() {
            return None;
        }
        let done = match request.kind.as_str() {
            "ts" => {
                let ts = self.next;
                self.next += 1;
                Ok(format!(",\"ts\":{ts}"))
            }
            other => Err(WireError::not_supported(other)),
        };
        Some(reply(&request.kind, request.msg_id, done))
    }
}
