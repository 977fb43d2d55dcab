//! One connection to a node that speaks the wire protocol.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use serde_json::Value as Json;
use tokio::io::{AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tribunal_results::{NodeId, Operation, Outcome, Reason};

use super::{translate, unknown};
use crate::wire::error::outcome_of;
use crate::wire::{Body, Line, LineReader, Message};
use crate::{Client, ClientSpec, Pending, Status};

/// Numbers the requests of all clients of this process. Never the same number twice, so that the
/// late answer to a request given up earlier can't pass for the answer to another one, even if
/// the client of that name has a new connection since.
static NEXT_MSG_ID: AtomicU64 = AtomicU64::new(1);

/// Opens a connection as client `c<process>` and greets the node.
///
/// # Errors
/// `refused`, or `no-connection` for anything else. No operation has been sent.
pub async fn open(spec: &ClientSpec) -> Result<Box<dyn Client>, Reason> {
    let connecting = async {
        let name = format!("c{}", spec.process).into();
        let mut wire = Wire::connect(name, spec.node.clone(), spec.address).await?;
        match wire.ask(Body::new("hello")).await?.kind() {
            "hello_ok" => Ok(wire),
            other => Err(io::Error::other(format!(
                "hello was answered with {other:?}"
            ))),
        }
    };
    match connecting.await {
        Ok(wire) => Ok(Box::new(WireClient {
            wire,
            timeout: spec.timeout,
            broken: false,
            context: None,
        })),
        Err(e) => Err(reason_of(&e, spec)),
    }
}

fn reason_of(error: &io::Error, spec: &ClientSpec) -> Reason {
    let code = match error.kind() {
        io::ErrorKind::ConnectionRefused => "refused",
        _ => "no-connection",
    };
    Reason::new(code, format!("{} at {}: {error}", spec.node, spec.address))
}

/// Asks the node at `address` how it is.
///
/// # Errors
/// There is no connection, or no understandable answer.
pub async fn status(address: SocketAddr) -> io::Result<Status> {
    let mut wire = Wire::connect("probe".into(), "".into(), address).await?;
    let answer = wire.ask(Body::new("status")).await?;
    let read = || {
        Ok(Status {
            ready: answer.field("ready")?,
            role: answer.field("role")?,
            leader: answer.field("leader")?,
            detail: answer.field("detail")?,
            members: answer.field("members")?,
        })
    };
    read().map_err(|e: crate::wire::WireError| io::Error::new(io::ErrorKind::InvalidData, e))
}

/// Makes a request of the node at `address` that is none of a client's operations.
///
/// # Errors
/// There is no connection, or the answer is an error or missing.
pub async fn demand(node: &NodeId, address: SocketAddr, request: Body) -> Result<(), Reason> {
    let demanding = async {
        let mut wire = Wire::connect("admin".into(), node.clone(), address).await?;
        wire.ask(request).await
    };
    let lost = |e: io::Error| Reason::new("no-answer", format!("{node} at {address}: {e}"));
    let answer = demanding.await.map_err(lost)?;
    match outcome_of(&answer) {
        Outcome::Fail(reason) | Outcome::Info(reason) if answer.kind() == "error" => Err(reason),
        _ => Ok(()),
    }
}

/// One connection, under one name, to one node.
struct Wire {
    name: NodeId,
    node: NodeId,
    lines: LineReader<OwnedReadHalf>,
    write: OwnedWriteHalf,
}

impl Wire {
    async fn connect(name: NodeId, node: NodeId, address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (read, write) = stream.into_split();
        Ok(Self {
            name,
            node,
            lines: LineReader::new(read),
            write,
        })
    }

    async fn ask(&mut self, body: Body) -> io::Result<Body> {
        let (msg_id, line) = self.compose(body)?;
        self.write.write_all(&line).await?;
        self.answer_to(msg_id).await
    }

    /// The line that asks for `body`, and the number under which it will be answered.
    fn compose(&self, body: Body) -> io::Result<(u64, Vec<u8>)> {
        let msg_id = NEXT_MSG_ID.fetch_add(1, Ordering::Relaxed);
        let message = Message {
            src: self.name.clone(),
            dest: self.node.clone(),
            body: body.with("msg_id", msg_id),
        };
        let line = message.encode().map_err(io::Error::other)?;
        Ok((msg_id, line))
    }

    /// Waits for the answer to the request `msg_id`; other messages are nobody's any more.
    async fn answer_to(&mut self, msg_id: u64) -> io::Result<Body> {
        loop {
            let line = match self.lines.next().await? {
                Line::Whole(line) => line,
                Line::TooLong => return Err(io::Error::other("an answer is too long")),
                Line::End => return Err(io::ErrorKind::UnexpectedEof.into()),
            };
            let message = Message::decode(line).map_err(io::Error::other)?;
            if message.body.in_reply_to() == Some(msg_id) {
                return Ok(message.body);
            }
        }
    }

    /// Whether the node has closed the connection, as far as is known without waiting.
    fn is_closed(&mut self) -> bool {
        let mut byte = [0];
        let mut context = Context::from_waker(Waker::noop());
        let mut peeked = ReadBuf::new(&mut byte);
        matches!(
            self.lines.source_mut().poll_peek(&mut context, &mut peeked),
            Poll::Ready(Ok(0) | Err(_))
        )
    }
}

/// A client of one reference node.
struct WireClient {
    wire: Wire,
    timeout: Duration,
    broken: bool,
    context: Option<Json>,
}

impl WireClient {
    async fn perform(&mut self, operation: &Operation) -> Outcome {
        let body = translate::request(operation, self.timeout);
        let body = translate::in_context(body, self.context.as_ref());
        let (msg_id, line) = match self.wire.compose(body) {
            Ok(composed) => composed,
            Err(e) => return Outcome::Fail(Reason::new("not-sent", e.to_string())),
        };
        // Until the answer is there, the connection is of no use to another operation.
        self.broken = true;
        // The first write tells apart what was never sent; of the rest, a part may arrive.
        let sent = match self.wire.write.write(&line).await {
            Ok(sent) => sent,
            Err(e) => return Outcome::Fail(Reason::new("not-sent", e.to_string())),
        };
        let rest = line.get(sent..).unwrap_or_default();
        let answer = match self.wire.write.write_all(rest).await {
            Ok(()) => self.wire.answer_to(msg_id).await,
            Err(e) => Err(e),
        };
        match answer {
            Ok(answer) => {
                self.broken = false;
                if let Some(context) = answer.json(translate::CONTEXT) {
                    self.context = Some(context.clone());
                }
                translate::outcome(operation, &answer)
            }
            Err(e) => unknown(operation, Reason::new("connection-lost", e.to_string())),
        }
    }
}

impl Client for WireClient {
    fn invoke<'a>(&'a mut self, operation: &'a Operation) -> Pending<'a, Outcome> {
        Box::pin(self.perform(operation))
    }

    fn context(&self) -> Option<&Json> {
        self.context.as_ref()
    }

    fn resume(&mut self, context: Json) {
        self.context = Some(context);
    }

    fn is_usable(&mut self) -> bool {
        !self.broken && !self.wire.is_closed()
    }
}
