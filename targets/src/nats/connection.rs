//! One connection to a server, for one batch of requests at a time.
//!
//! Written by ourselves, as it is small, and as it must be known for certain whether anything of a
//! request was sent: clients that connect again and repeat requests by themselves do not tell.

use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll, Waker};

use serde_json::Value as Json;
use tokio::io::{AsyncWriteExt as _, BufReader, ReadBuf};
use tokio::net::TcpStream;
use tribunal_results::{Operation, Outcome, Reason};

use super::protocol::{self, Frame, Message};
use crate::client::unknown;

/// What a client says of itself: it is told if nobody listens to what it sends.
const CONNECT: &str =
    r#"CONNECT {"verbose":false,"pedantic":false,"headers":true,"no_responders":true}"#;
/// The status of a message that says that nobody listens.
const NO_RESPONDERS: u16 = 503;

/// A connection.
#[derive(Debug)]
pub(super) struct Connection {
    stream: BufReader<TcpStream>,
    /// Where it is answered, without a request's number. No other connection ever has the same.
    inbox: String,
    /// How many requests it has made.
    asked: usize,
    /// An answer is missing, or was none: no other may be taken for it.
    is_lost: bool,
}

/// Why there is no answer that says that it was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// Nothing was sent, or nobody took it, or it says that nothing was done.
    Refused(Reason),
    /// Nobody knows.
    Unknown(Reason),
}

impl Failure {
    /// Something that is no answer to what was asked.
    pub(super) fn bad_answer(said: &impl std::fmt::Debug) -> Self {
        Self::Unknown(Reason::new("bad-answer", format!("{said:?}")))
    }

    /// Why.
    pub(super) fn reason(self) -> Reason {
        match self {
            Self::Refused(reason) | Self::Unknown(reason) => reason,
        }
    }

    /// How an operation ended of which this was the decisive step.
    pub(super) fn outcome(self, operation: &Operation) -> Outcome {
        match self {
            Self::Refused(reason) => Outcome::Fail(reason),
            Self::Unknown(reason) => unknown(operation, reason),
        }
    }
}

fn lost(e: &io::Error) -> Failure {
    Failure::Unknown(Reason::new("connection-lost", e.to_string()))
}

fn not_nats(said: &impl std::fmt::Debug) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("not a NATS server: {said:?}"),
    )
}

impl Connection {
    /// Connects, and waits until the server has answered.
    ///
    /// # Errors
    /// Why there is no connection.
    pub(super) async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let mut stream = BufReader::new(stream);
        let inbox = match protocol::frame(&mut stream).await? {
            Frame::Info(said) => inbox(&said).ok_or_else(|| not_nats(&said))?,
            other => return Err(not_nats(&other)),
        };
        let hello = format!("{CONNECT}\r\nSUB {inbox}.* 1\r\nPING\r\n");
        stream.get_mut().write_all(hello.as_bytes()).await?;
        let mut opened = Self {
            stream,
            inbox,
            asked: 0,
            is_lost: false,
        };
        match opened.next().await? {
            Frame::Pong => Ok(opened),
            other => Err(not_nats(&other)),
        }
    }

    /// Sends a request and waits for its answer.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) async fn ask(&mut self, subject: &str, payload: &[u8]) -> Result<Vec<u8>, Failure> {
        let mut answers = self.ask_all(subject, &[payload.to_vec()]).await?;
        let first = answers.pop();
        first.ok_or_else(|| Failure::bad_answer(&"nothing"))
    }

    /// Sends requests about one subject at once and waits for the answer to each.
    ///
    /// # Errors
    /// Why one is missing: then nothing is known of any, unless it is the only one.
    pub(super) async fn ask_all(
        &mut self,
        subject: &str,
        payloads: &[Vec<u8>],
    ) -> Result<Vec<Vec<u8>>, Failure> {
        let first = self.asked;
        self.asked += payloads.len();
        let numbered = payloads.iter().zip(first..);
        let bytes: Vec<u8> = numbered
            .flat_map(|(payload, n)| {
                protocol::publish(subject, &format!("{}.{n}", self.inbox), payload)
            })
            .collect();
        // Also if this future is dropped half-way.
        self.is_lost = true;
        // The first write tells apart what was never sent; of the rest, a part may arrive.
        let sent = self.stream.get_mut().write(&bytes).await;
        let not_sent = |e: io::Error| Failure::Refused(Reason::new("not-sent", e.to_string()));
        let rest = bytes.get(sent.map_err(not_sent)?..).unwrap_or_default();
        (self.stream.get_mut().write_all(rest).await).map_err(|e| lost(&e))?;
        let answers = self.answers(first, payloads.len()).await?;
        self.is_lost = false;
        let answers = answers.into_iter().map(judge).collect::<Result<_, _>>()?;
        Ok(answers)
    }

    /// The answers to so many requests from that number on, in their order.
    async fn answers(&mut self, first: usize, count: usize) -> Result<Vec<Message>, Failure> {
        let mut answers: Vec<Option<Message>> = vec![None; count];
        let mut missing = count;
        while missing > 0 {
            let message = match self.next().await.map_err(|e| lost(&e))? {
                Frame::Message(message) => message,
                Frame::Pong | Frame::Done => continue,
                other => return Err(Failure::bad_answer(&other)),
            };
            let number = message.subject.strip_prefix(&self.inbox);
            let number = number.and_then(|rest| rest.strip_prefix('.')?.parse::<usize>().ok());
            let place = number.and_then(|n| n.checked_sub(first));
            // Nobody else is answered here, and nobody twice.
            let Some(place @ None) = place.and_then(|place| answers.get_mut(place)) else {
                return Err(Failure::bad_answer(&message));
            };
            *place = Some(message);
            missing -= 1;
        }
        Ok(answers.into_iter().flatten().collect())
    }

    /// What the server says next that is more than a question whether the client is there, or news
    /// of other servers.
    async fn next(&mut self) -> io::Result<Frame> {
        loop {
            match protocol::frame(&mut self.stream).await? {
                Frame::Ping => self.stream.get_mut().write_all(b"PONG\r\n").await?,
                Frame::Info(_) => {}
                Frame::Error(text) => return Err(io::Error::other(text)),
                other => return Ok(other),
            }
        }
    }

    /// Whether it can carry another request: not if an answer is missing, or the other end is seen
    /// to have closed it. Servers also speak without being asked, so that bytes mean nothing.
    pub(super) fn is_usable(&mut self) -> bool {
        let mut byte = [0];
        let mut context = Context::from_waker(Waker::noop());
        let mut peeked = ReadBuf::new(&mut byte);
        let peek = self.stream.get_ref().poll_peek(&mut context, &mut peeked);
        !self.is_lost && !matches!(peek, Poll::Ready(Ok(0) | Err(_)))
    }
}

/// An inbox that only this connection has, by what the server says of itself: its identity, which
/// is another after each start, and the number of this client.
fn inbox(said: &Json) -> Option<String> {
    let server = said.get("server_id")?.as_str()?;
    let client = said.get("client_id")?.as_u64()?;
    let is_word = !server.is_empty() && server.bytes().all(|byte| byte.is_ascii_alphanumeric());
    is_word.then(|| format!("_INBOX.{server}.{client}"))
}

fn judge(message: Message) -> Result<Vec<u8>, Failure> {
    match message.status {
        None => Ok(message.payload),
        Some(NO_RESPONDERS) => {
            let text = "the server says that nobody listens to that subject";
            Err(Failure::Refused(Reason::new("no-responders", text)))
        }
        Some(_) => Err(Failure::bad_answer(&message)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_inbox_is_of_one_connection_of_one_start_of_a_server() {
        let said = json!({ "server_id": "NA7", "client_id": 5 });
        assert_eq!(inbox(&said), Some("_INBOX.NA7.5".into()));
        for said in [
            json!({ "server_id": "NA7" }),
            json!({ "client_id": 5 }),
            json!({ "server_id": "a.>", "client_id": 5 }),
            json!({ "server_id": "", "client_id": 5 }),
        ] {
            assert_eq!(inbox(&said), None, "{said}");
        }
    }
}
