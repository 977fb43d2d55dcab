//! The v3 JSON gateway: requests to etcd, and what their failures mean.
//!
//! Bytes are base64 and integers of 64 bits are texts, as protocol buffers are written as JSON;
//! fields that are zero or empty are left out. Every answer has a header with the store's revision.

use std::net::SocketAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http_body_util::Full;
use hyper::body::Bytes;
use serde_json::{Value as Json, json};
use tribunal_results::{Operation, Outcome, Reason};

use crate::client::unknown;
use crate::http::connection::{Connection, Lost, Reply};

/// How much of an answer that is not understood is quoted, in characters.
const QUOTED_MAX: usize = 200;

/// Status codes of gRPC that say that nothing was done: invalid argument, not found, permission
/// denied, failed precondition, out of range, unauthenticated. Others, such as *unavailable* (the
/// leader was lost, the request timed out), are answered after a proposal too.
const DEFINITE: [u64; 6] = [3, NOT_FOUND, 7, 9, 11, 16];
/// gRPC's *not found*: there is no such lease.
pub(super) const NOT_FOUND: u64 = 5;

/// A connection to one node's gateway.
#[derive(Debug)]
pub(super) struct Gateway {
    connection: Connection,
    /// An answer is missing, or was none: no other may be taken for it.
    is_lost: bool,
}

/// Why there is no answer that says that it was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// Nothing was sent.
    NotSent(Reason),
    /// etcd says that nothing was done, with the code of gRPC.
    Refused(u64, Reason),
    /// Nobody knows.
    Unknown(Reason),
}

impl Failure {
    /// Why.
    pub(super) fn reason(self) -> Reason {
        match self {
            Self::NotSent(reason) | Self::Refused(_, reason) | Self::Unknown(reason) => reason,
        }
    }

    /// How an operation ended that this was the decisive step of.
    pub(super) fn outcome(self, operation: &Operation) -> Outcome {
        match self {
            Self::NotSent(reason) | Self::Refused(_, reason) => Outcome::Fail(reason),
            Self::Unknown(reason) => unknown(operation, reason),
        }
    }

    /// Whether etcd says that there is no such lease.
    pub(super) fn is_absent(&self) -> bool {
        matches!(self, Self::Refused(NOT_FOUND, _))
    }
}

/// Bytes as the gateway has them.
pub(super) fn encoded(bytes: impl AsRef<[u8]>) -> String {
    STANDARD.encode(bytes)
}

/// Bytes of an answer.
pub(super) fn decoded(field: &Json) -> Option<Vec<u8>> {
    STANDARD.decode(field.as_str()?).ok()
}

/// An integer of an answer: 0 if it was left out.
pub(super) fn integer(field: Option<&Json>) -> Option<u64> {
    match field {
        None => Some(0),
        Some(Json::String(text)) => text.parse().ok(),
        Some(number) => number.as_u64(),
    }
}

/// What an answer says.
fn judge(reply: &Reply) -> Result<Json, Failure> {
    let quoted = || {
        let text = String::from_utf8_lossy(&reply.body);
        text.trim().chars().take(QUOTED_MAX).collect::<String>()
    };
    let bad = || Failure::Unknown(Reason::new("bad-answer", quoted()));
    let said: Json = serde_json::from_slice(&reply.body).map_err(|_| bad())?;
    // The answers of streams are wrapped, and may be errors though the status is 200.
    let error = said.get("error").filter(|error| error.is_object());
    let refused = error.unwrap_or(&said);
    let code = refused.get("code").or(refused.get("grpc_code"));
    if error.is_some() || reply.status != 200 {
        let code = code.and_then(Json::as_u64).ok_or_else(bad)?;
        let reason = Reason::new(format!("etcd-{code}"), quoted());
        return Err(match DEFINITE.contains(&code) {
            true => Failure::Refused(code, reason),
            false => Failure::Unknown(reason),
        });
    }
    let body = said.get("result").unwrap_or(&said);
    let has_header = body.get("header").is_some_and(Json::is_object);
    has_header.then(|| body.clone()).ok_or_else(bad)
}

impl Gateway {
    /// Connects. Nothing is sent.
    ///
    /// # Errors
    /// Why there is no connection.
    pub(super) async fn open(address: SocketAddr) -> std::io::Result<Self> {
        let connection = Connection::open(address).await?;
        Ok(Self {
            connection,
            is_lost: false,
        })
    }

    /// Makes a request.
    ///
    /// # Errors
    /// Why there is no answer that says that it was done.
    pub(super) async fn call(&mut self, path: &str, body: &Json) -> Result<Json, Failure> {
        let not_sent = |why: String| Failure::NotSent(Reason::new("not-sent", why));
        let request = (self.connection.request().method("POST").uri(path))
            .body(Full::new(Bytes::from(body.to_string())))
            .map_err(|e| not_sent(e.to_string()))?;
        // Also if this future is dropped half-way.
        self.is_lost = true;
        let reply = match self.connection.send(request).await {
            Ok(reply) => reply,
            Err(Lost::NotSent(why)) => return Err(not_sent(why)),
            Err(Lost::Unanswered(why)) => {
                return Err(Failure::Unknown(Reason::new("connection-lost", why)));
            }
        };
        let said = judge(&reply);
        self.is_lost = false;
        said
    }

    /// What a GET is answered with; no operation is made of it.
    ///
    /// # Errors
    /// If there is no answer.
    pub(super) async fn get(&mut self, path: &str) -> std::io::Result<Json> {
        let request = self.connection.request().uri(path).body(Full::default());
        let request = request.map_err(std::io::Error::other)?;
        match self.connection.send(request).await {
            Ok(reply) => Ok(serde_json::from_slice(&reply.body)?),
            Err(Lost::NotSent(why) | Lost::Unanswered(why)) => Err(std::io::Error::other(why)),
        }
    }

    /// Whether it can carry another request.
    pub(super) fn is_usable(&self) -> bool {
        !self.is_lost && !self.connection.is_closed()
    }

    /// The value of a key, if there is one: by a quorum, or if `serializable` of this node's own data.
    ///
    /// # Errors
    /// Why it is not known.
    pub(super) async fn value(
        &mut self,
        key: &str,
        serializable: bool,
    ) -> Result<Option<Vec<u8>>, Failure> {
        let asked = json!({ "key": encoded(key), "serializable": serializable });
        let said = self.call("/v3/kv/range", &asked).await?;
        let bad = || Failure::Unknown(Reason::new("bad-answer", said.to_string()));
        let Some(found) = said.pointer("/kvs/0") else {
            // As many as it says that there are.
            return match integer(said.get("count")) {
                Some(0) => Ok(None),
                _ => Err(bad()),
            };
        };
        let value = match found.get("value") {
            None => Some(Vec::new()),
            Some(value) => decoded(value),
        };
        value.map(Some).ok_or_else(bad)
    }

    /// Whether a key existed when the store had that revision.
    ///
    /// # Errors
    /// Why it is not known.
    pub(super) async fn existed(&mut self, key: &str, revision: u64) -> Result<bool, Failure> {
        let asked = json!({ "key": encoded(key), "revision": revision.to_string() });
        let said = self.call("/v3/kv/range", &asked).await?;
        Ok(integer(said.get("count")) != Some(0))
    }

    /// Puts a value.
    ///
    /// # Errors
    /// Why it was not put, or is not known to be.
    pub(super) async fn put(&mut self, key: &str, value: &[u8]) -> Result<(), Failure> {
        let asked = json!({ "key": encoded(key), "value": encoded(value) });
        self.call("/v3/kv/put", &asked).await.map(drop)
    }

    /// Puts a value if a comparison holds; says whether it did.
    ///
    /// # Errors
    /// Why it is not known whether it was put.
    pub(super) async fn put_if(
        &mut self,
        compare: Json,
        key: &str,
        value: &[u8],
    ) -> Result<bool, Failure> {
        let put = json!({ "key": encoded(key), "value": encoded(value) });
        let asked = json!({ "compare": [compare], "success": [{ "request_put": put }] });
        let said = self.call("/v3/kv/txn", &asked).await?;
        Ok(said.get("succeeded") == Some(&Json::Bool(true)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(status: u16, body: &str) -> Result<Json, Failure> {
        judge(&Reply {
            status,
            body: Bytes::copy_from_slice(body.as_bytes()),
        })
    }

    #[test]
    fn only_codes_that_say_that_nothing_was_done_are_refusals() {
        let error = |code| format!(r#"{{"error":"no","message":"no","code":{code}}}"#);
        for code in [3, 5, 9] {
            let said = judged(400, &error(code));
            assert!(
                matches!(said, Err(Failure::Refused(c, _)) if c == code),
                "{said:?}"
            );
        }
        for code in [2, 4, 8, 10, 13, 14] {
            let said = judged(503, &error(code));
            assert!(matches!(said, Err(Failure::Unknown(_))), "{said:?}");
        }
        let stream = r#"{"error":{"grpc_code":5,"http_code":404,"message":"lease not found"}}"#;
        assert!(judged(200, stream).unwrap_err().is_absent());
    }

    #[test]
    fn what_is_no_answer_of_etcd_is_unknown() {
        for (status, body) in [
            (200, ""),
            (200, "{"),
            (200, "{}"),
            (200, "null"),
            (200, r#"{"header":5}"#),
            (500, "{}"),
            (502, "<html>bad gateway</html>"),
        ] {
            let said = judged(status, body);
            assert!(matches!(said, Err(Failure::Unknown(_))), "{status} {body}");
        }
        assert!(judged(200, r#"{"header":{"revision":"3"}}"#).is_ok());
        assert!(judged(200, r#"{"result":{"header":{}}}"#).is_ok());
    }

    #[test]
    fn integers_are_texts_and_left_out_if_zero() {
        assert_eq!(integer(None), Some(0));
        assert_eq!(
            integer(Some(&json!("7587863548921241856"))),
            Some(7_587_863_548_921_241_856)
        );
        assert_eq!(integer(Some(&json!("-1"))), None);
        assert_eq!(integer(Some(&json!({}))), None);
    }
}
