//! One HTTP/1.1 connection, for one operation at a time.

use std::sync::Arc;

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Request, header};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tribunal_results::{Operation, Outcome, Reason};

use super::fill::Asked;
use super::{Api, Call};
use crate::client::unknown;
use crate::{Client, ClientSpec, Pending};

/// The longest body that is read, in bytes.
const BODY_MAX: usize = 1 << 20;

/// A client with a connection.
struct HttpClient {
    api: Arc<Api>,
    sender: SendRequest<Full<Bytes>>,
    /// Carries the bytes until the connection is closed.
    carrier: JoinHandle<()>,
    host: String,
    process: u64,
}

/// Connects to a node. Nothing is sent: a dead node behind a proxy shows with the first request.
///
/// # Errors
/// Why there is no connection.
pub async fn open(api: Arc<Api>, spec: &ClientSpec) -> Result<Box<dyn Client>, Reason> {
    let address = spec.address;
    let lost = |e: String| Reason::new("no-connection", format!("{} at {address}: {e}", spec.node));
    let stream = TcpStream::connect(address)
        .await
        .map_err(|e| lost(e.to_string()))?;
    stream.set_nodelay(true).map_err(|e| lost(e.to_string()))?;
    let shaken = http1::handshake(TokioIo::new(stream)).await;
    let (sender, connection) = shaken.map_err(|e| lost(e.to_string()))?;
    let carrier = tokio::spawn(async move {
        // Whoever waits for an answer is told of the error.
        let _ = connection.await;
    });
    Ok(Box::new(HttpClient {
        api,
        sender,
        carrier,
        host: address.to_string(),
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
        if let Err(e) = self.sender.ready().await {
            return not_sent(e.to_string());
        }
        let answer = match self.sender.send_request(request).await {
            Ok(answer) => answer,
            // The connection was closed before any of it was written.
            Err(e) if e.is_canceled() => return not_sent(e.to_string()),
            Err(e) => return unknown(operation, Reason::new("connection-lost", e.to_string())),
        };
        let status = answer.status().as_u16();
        match Limited::new(answer.into_body(), BODY_MAX).collect().await {
            Ok(body) => call.outcome(operation, status, &body.to_bytes()),
            Err(e) => unknown(operation, Reason::new("connection-lost", e.to_string())),
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
        let mut request = Request::builder()
            .method(call.method.name())
            .uri(asked.path(&call.path)?)
            .header(header::HOST, &self.host);
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
        !self.sender.is_closed()
    }
}

impl Drop for HttpClient {
    /// What is under way is cut off with the connection.
    fn drop(&mut self) {
        self.carrier.abort();
    }
}
