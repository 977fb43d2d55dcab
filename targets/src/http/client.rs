//! A client with one connection, which asks what the suite says.

use std::sync::Arc;

use http_body_util::Full;
use hyper::Request;
use hyper::body::Bytes;
use serde_json::Value as Json;
use tribunal_results::{Operation, Outcome, Reason};

use super::connection::{Connection, Lost};
use super::fill::Asked;
use super::{Api, Call};
use crate::client::unknown;
use crate::{Client, ClientSpec, Pending};

/// A client with a connection.
struct HttpClient {
    api: Arc<Api>,
    connection: Connection,
    process: u64,
}

/// Connects to a node. Nothing is sent: a dead node behind a proxy shows with the first request.
///
/// # Errors
/// Why there is no connection.
pub async fn open(api: Arc<Api>, spec: &ClientSpec) -> Result<Box<dyn Client>, Reason> {
    let address = spec.address;
    let lost = |e| Reason::new("no-connection", format!("{} at {address}: {e}", spec.node));
    Ok(Box::new(HttpClient {
        api,
        connection: Connection::open(address).await.map_err(lost)?,
        process: spec.process,
    }))
}

impl HttpClient {
    async fn perform(&mut self, operation: &Operation) -> Outcome {
        let api = Arc::clone(&self.api);
        let Some(call) = api.operations.get(operation.kind().name()) else {
            let text = format!("the suite does not say how to {operation}");
            return Outcome::Fail(Reason::new("not-supported", text));
        };
        let not_sent = |text: String| Outcome::Fail(Reason::new("not-sent", text));
        let request = match self.request(call, operation) {
            Ok(request) => request,
            Err(why) => return not_sent(why),
        };
        match self.connection.send(request).await {
            Ok(reply) => call.outcome(operation, reply.status, &reply.body),
            Err(Lost::NotSent(why)) => not_sent(why),
            Err(Lost::Unanswered(why)) => unknown(operation, Reason::new("connection-lost", why)),
        }
    }

    fn request(&self, call: &Call, operation: &Operation) -> Result<Request<Full<Bytes>>, String> {
        let asked = Asked {
            operation,
            process: self.process,
        };
        let body = call
            .body
            .as_deref()
            .map(|body| asked.body(body))
            .transpose()?;
        let mut request = self
            .connection
            .request()
            .method(call.method.name())
            .uri(asked.path(&call.path)?);
        for (name, value) in &self.api.headers {
            request = request.header(name, value);
        }
        let body = Full::new(Bytes::from(body.unwrap_or_default()));
        request.body(body).map_err(|e| e.to_string())
    }
}

impl Client for HttpClient {
    fn invoke<'a>(&'a mut self, operation: &'a Operation) -> Pending<'a, Outcome> {
        Box::pin(self.perform(operation))
    }

    fn is_usable(&mut self) -> bool {
        !self.connection.is_closed()
    }
}

impl Call {
    /// How an operation ended that was answered so.
    pub(super) fn outcome(&self, operation: &Operation, status: u16, body: &[u8]) -> Outcome {
        let said = || {
            String::from_utf8_lossy(body)
                .trim()
                .chars()
                .take(200)
                .collect::<String>()
        };
        let reason = || Reason::new(format!("status-{status}"), said());
        if self.fail.contains(&status) {
            return Outcome::Fail(reason());
        }
        let value = match &self.value {
            _ if self.absent.contains(&status) => Some(Json::Null),
            _ if !self.ok.contains(&status) => return unknown(operation, reason()),
            None => None,
            Some(pointer) => {
                let whole = serde_json::from_slice(body).unwrap_or_else(|_| Json::String(said()));
                match whole.pointer(pointer) {
                    Some(found) => Some(found.clone()),
                    None => {
                        let text = format!("the answer has nothing at {pointer}: {}", said());
                        return unknown(operation, Reason::new("bad-answer", text));
                    }
                }
            }
        };
        match operation.parse_answer(value) {
            Ok(answer) => Outcome::Ok(answer),
            Err(why) => unknown(operation, Reason::new("bad-answer", why)),
        }
    }
}
