//! One session of one client with one server: requests are answered in order.
//!
//! A session is opened anew with every connection, and never moved: what an earlier connection had
//! seen is compared with the first answer instead, as a server does that refuses a session which
//! has seen more than itself.

use std::io;

use serde_json::{Value as Json, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tribunal_results::{Answer, Operation, Outcome, Reason, Scalar};

use super::Reads;
use super::jute::{Code, FRAME_MAX, Reader, Refusal, Writer};
use crate::client::unknown;
use crate::{Client, ClientSpec, Pending};

/// How long a server keeps a session of which it hears nothing, in milliseconds.
const SESSION_MS: i32 = 30_000;
/// How often a write begins again because others create what it has found missing.
const CREATES_MAX: usize = 3;

/// A request that did not end with an answer.
struct Lost {
    /// Whether any of it may have reached the server.
    sent: bool,
    why: io::Error,
}

/// What a server answered.
enum Reply {
    /// It was done; this is what it says.
    Done(Vec<u8>),
    /// It had no effect.
    Refused(Refusal),
    /// An error of that number, which leaves open what happened.
    Unknown(i32),
}

/// A client with a session.
struct ZooKeeperClient {
    stream: TcpStream,
    reads: Reads,
    next_xid: i32,
    /// The last transaction of which the session has seen the effect.
    seen: i64,
    context: Option<Json>,
    /// What the session had seen before this connection, until the first answer.
    resumed: Option<i64>,
    broken: bool,
}

/// Connects, and opens a session.
///
/// # Errors
/// Why there is none. No operation has been sent.
pub(super) async fn open(spec: &ClientSpec, reads: Reads) -> Result<Box<dyn Client>, Reason> {
    let opening = async {
        let mut stream = TcpStream::connect(spec.address).await?;
        stream.set_nodelay(true)?;
        // Protocol version, last transaction seen, timeout, session and password of none.
        let hello = (Writer::new().int(0).long(0).int(SESSION_MS).long(0))
            .bytes(&[0; 16])
            .bool(false);
        stream.write_all(&hello.frame()).await?;
        let answer = receive(&mut stream).await?;
        let mut answer = Reader(&answer);
        let granted = (|| {
            let (_, timeout, session) = (answer.int()?, answer.int()?, answer.long()?);
            Ok::<_, String>(timeout > 0 && session != 0)
        })();
        match granted.map_err(io::Error::other)? {
            true => Ok(stream),
            false => Err(io::Error::other("it gave no session")),
        }
    };
    let stream = opening.await.map_err(|e: io::Error| {
        let code = match e.kind() {
            io::ErrorKind::ConnectionRefused => "refused",
            _ => "no-connection",
        };
        Reason::new(code, format!("{} at {}: {e}", spec.node, spec.address))
    })?;
    Ok(Box::new(ZooKeeperClient {
        stream,
        reads,
        next_xid: 1,
        seen: 0,
        context: None,
        resumed: None,
        broken: false,
    }))
}

async fn receive(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let length = stream.read_u32().await?;
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    if length > FRAME_MAX {
        return Err(io::Error::other(format!("an answer of {length} bytes")));
    }
    let mut frame = vec![0; length];
    stream.read_exact(&mut frame).await?;
    Ok(frame)
}

/// The znode that holds a register. Numbers and texts never share one.
fn path(key: &Scalar) -> String {
    match key {
        Scalar::Int(number) => format!("/i{number}"),
        Scalar::Text(text) => {
            let mut path = "/t".to_owned();
            for byte in text.bytes() {
                match byte {
                    b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' => path.push(byte.into()),
                    other => path.push_str(&format!("_{other:02x}")),
                }
            }
            path
        }
    }
}

fn failed(code: &str, text: impl Into<String>) -> Outcome {
    Outcome::Fail(Reason::new(code, text))
}

impl ZooKeeperClient {
    fn request(&mut self, code: Code) -> Writer {
        let xid = self.next_xid;
        self.next_xid = self.next_xid.checked_add(1).unwrap_or(1);
        Writer::request(xid, code)
    }

    /// Sends requests together, and waits for the answers to all of them.
    async fn ask<const N: usize>(&mut self, requests: [Writer; N]) -> Result<[Reply; N], Lost> {
        let first = self.next_xid - N as i32;
        let bytes = requests.map(Writer::frame).concat();
        // Until the answers are there, the connection is of no use to another operation.
        self.broken = true;
        let begun = self.stream.write(&bytes).await;
        let begun = begun.map_err(|why| Lost { sent: false, why })?;
        let lost = |why| Lost { sent: true, why };
        let rest = bytes.get(begun..).unwrap_or_default();
        self.stream.write_all(rest).await.map_err(lost)?;
        let mut replies = [const { Reply::Unknown(0) }; N];
        for (xid, reply) in (first..).zip(&mut replies) {
            *reply = self.reply(xid).await.map_err(lost)?;
        }
        self.broken = false;
        Ok(replies)
    }

    async fn reply(&mut self, expected: i32) -> io::Result<Reply> {
        let frame = receive(&mut self.stream).await?;
        let mut reader = Reader(&frame);
        let header = (|| Ok::<_, String>((reader.int()?, reader.long()?, reader.int()?)))();
        let (xid, zxid, error) = header.map_err(io::Error::other)?;
        if xid != expected {
            let text = format!("answer {xid} where {expected} was due");
            return Err(io::Error::other(text));
        }
        if zxid > self.seen {
            self.seen = zxid;
            self.context = Some(json!(zxid));
        }
        if let Some(before) = self.resumed.take_if(|_| zxid > 0)
            && zxid < before
        {
            let text = format!("it is at {zxid:#x}, and the session has seen {before:#x}");
            return Err(io::Error::new(io::ErrorKind::NotConnected, text));
        }
        Ok(match (error, Refusal::of(error)) {
            (0, _) => Reply::Done(reader.0.to_vec()),
            (_, Some(refusal)) => Reply::Refused(refusal),
            (error, None) => Reply::Unknown(error),
        })
    }

    async fn perform(&mut self, operation: &Operation) -> Outcome {
        let outcome = match operation {
            Operation::Read { key } => self.read(operation, &path(key)).await,
            Operation::Write { key, value } => self.write(operation, &path(key), value).await,
            Operation::Cas { key, from, to } => self.cas(operation, &path(key), (from, to)).await,
            _ => Ok(failed("not-supported", format!("{operation}"))),
        };
        outcome.unwrap_or_else(|lost| match lost.sent {
            true => unknown(
                operation,
                Reason::new("connection-lost", lost.why.to_string()),
            ),
            false => failed("not-sent", lost.why.to_string()),
        })
    }

    /// Reads the znode: what it holds, and its version.
    async fn get(&mut self, path: &str, reads: Reads) -> Result<Reply, Lost> {
        if reads == Reads::Plain {
            let get = self.request(Code::GetData).bytes(path.as_bytes());
            let [data] = self.ask([get.bool(false)]).await?;
            return Ok(data);
        }
        // In one go, as ZooKeeper's guide says; a session's requests are carried out in order.
        let sync = self.request(Code::Sync).bytes(path.as_bytes());
        let get = self.request(Code::GetData).bytes(path.as_bytes());
        let [synced, data] = self.ask([sync, get.bool(false)]).await?;
        Ok(match synced {
            Reply::Done(_) => data,
            // Whoever has no word of the leader must not pass for up to date.
            Reply::Refused(Refusal::NoNode) => Reply::Unknown(-101),
            other => other,
        })
    }

    async fn read(&mut self, operation: &Operation, path: &str) -> Result<Outcome, Lost> {
        Ok(match self.get(path, self.reads).await? {
            Reply::Done(data) => match held(&data) {
                Ok((value, _)) => Outcome::Ok(Answer::Value(Some(value))),
                Err(why) => unknown(operation, Reason::new("bad-answer", why)),
            },
            Reply::Refused(Refusal::NoNode) => Outcome::Ok(Answer::Value(None)),
            other => ended(operation, &other),
        })
    }

    /// Sets the znode, or creates it.
    async fn write(
        &mut self,
        operation: &Operation,
        path: &str,
        value: &Scalar,
    ) -> Result<Outcome, Lost> {
        let data = json!(value).to_string();
        let mut last = Reply::Refused(Refusal::NoNode);
        for _ in 0..CREATES_MAX {
            let set = self.request(Code::SetData).bytes(path.as_bytes());
            [last] = self.ask([set.bytes(data.as_bytes()).int(-1)]).await?;
            if !matches!(last, Reply::Refused(Refusal::NoNode)) {
                break;
            }
            // One entry of who may do what: anyone anything. No flags: it stays.
            let create = self.request(Code::Create).bytes(path.as_bytes());
            let create = (create.bytes(data.as_bytes()).int(1).int(31))
                .bytes(b"world")
                .bytes(b"anyone")
                .int(0);
            [last] = self.ask([create]).await?;
            if !matches!(last, Reply::Refused(Refusal::NodeExists)) {
                break;
            }
        }
        Ok(ended(operation, &last))
    }

    /// Sets the znode if nobody else has since it was read.
    async fn cas(
        &mut self,
        operation: &Operation,
        path: &str,
        (from, to): (&Scalar, &Scalar),
    ) -> Result<Outcome, Lost> {
        // What was read may be old: this is no word for it that it holds another value now.
        let unmet = || failed("other-value", "another value was read here");
        let version = match self.get(path, Reads::Plain).await {
            Ok(Reply::Done(data)) => match held(&data) {
                Ok((value, version)) if value == *from => version,
                Ok(_) => return Ok(unmet()),
                Err(why) => return Ok(failed("bad-answer", why)),
            },
            Ok(Reply::Refused(Refusal::NoNode)) => return Ok(unmet()),
            Ok(Reply::Refused(refusal)) => return Ok(failed(refusal.word(), "")),
            Ok(Reply::Unknown(error)) => return Ok(failed("error", format!("error {error}"))),
            // It was only read.
            Err(lost) => return Ok(failed("connection-lost", lost.why.to_string())),
        };
        let data = json!(to).to_string();
        let set = self.request(Code::SetData).bytes(path.as_bytes());
        let [reply] = self.ask([set.bytes(data.as_bytes()).int(version)]).await?;
        Ok(ended(operation, &reply))
    }
}

/// How a write ended, or what was no answer to a read.
fn ended(operation: &Operation, reply: &Reply) -> Outcome {
    match reply {
        Reply::Done(_) => Outcome::Ok(Answer::Done),
        Reply::Refused(refusal) => failed(refusal.word(), "the server refused it"),
        Reply::Unknown(error) => unknown(operation, Reason::new("error", format!("error {error}"))),
    }
}

/// The value that a znode holds, and its version.
fn held(data: &[u8]) -> Result<(Scalar, i32), String> {
    let mut reader = Reader(data);
    let value = reader.bytes()?;
    let value = serde_json::from_slice(value).map_err(|e| {
        let text = String::from_utf8_lossy(value);
        let text: String = text.chars().take(200).collect();
        format!("the znode holds {text:?}: {e}")
    })?;
    // Of its statistics: created by, modified by, when each, version.
    for _ in 0..4 {
        reader.long()?;
    }
    Ok((value, reader.int()?))
}

impl Client for ZooKeeperClient {
    fn invoke<'a>(&'a mut self, operation: &'a Operation) -> Pending<'a, Outcome> {
        Box::pin(self.perform(operation))
    }

    fn context(&self) -> Option<&Json> {
        self.context.as_ref()
    }

    fn resume(&mut self, context: Json) {
        self.resumed = context.as_i64();
        self.seen = self.resumed.unwrap_or_default();
        self.context = Some(context);
    }

    fn is_usable(&mut self) -> bool {
        // Nothing is due: what can be read is the end, or something nobody asked for.
        let silent = self.stream.try_read(&mut [0]);
        !self.broken && silent.is_err_and(|e| e.kind() == io::ErrorKind::WouldBlock)
    }
}
