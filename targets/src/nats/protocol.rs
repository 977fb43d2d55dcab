//! The protocol of NATS: lines, some of which are followed by so many bytes.

use std::io;

use serde_json::Value as Json;
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _};

/// The longest line that is read, in bytes: what a server says of itself names all others.
const LINE_MAX: u64 = 1 << 18;
/// The longest message that is read, in bytes.
const MESSAGE_MAX: usize = 1 << 24;

/// What a server sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Frame {
    /// What it says of itself.
    Info(Json),
    /// A message to something that was subscribed.
    Message(Message),
    /// It wants to know whether the client is there.
    Ping,
    /// It is there, and has done all that was asked before.
    Pong,
    /// It has done what was asked; only said to verbose clients.
    Done,
    /// Something was wrong, and it often closes the connection.
    Error(String),
}

/// A message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Message {
    /// What it is about: here, the inbox that was given with a request.
    pub(super) subject: String,
    /// A status of the server itself, such as 503: nobody listens to that subject.
    pub(super) status: Option<u16>,
    /// What it says.
    pub(super) payload: Vec<u8>,
}

/// A message as it is sent, with the inbox to which it is to be answered.
pub(super) fn publish(subject: &str, inbox: &str, payload: &[u8]) -> Vec<u8> {
    let mut sent = format!("PUB {subject} {inbox} {}\r\n", payload.len()).into_bytes();
    sent.extend_from_slice(payload);
    sent.extend(b"\r\n");
    sent
}

fn bad(what: &str, line: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{what}: {line:?}"))
}

/// Reads what a server sends next.
///
/// # Errors
/// If the source ends, fails, or does not speak NATS.
pub(super) async fn frame<S: AsyncBufRead + Unpin + Send>(source: &mut S) -> io::Result<Frame> {
    let line = line(source).await?;
    let (verb, rest) = line.split_once(' ').unwrap_or((&line, ""));
    Ok(match verb {
        "INFO" => {
            let said = serde_json::from_str(rest.trim());
            Frame::Info(said.map_err(|_| bad("no JSON", &line))?)
        }
        "MSG" | "HMSG" => {
            let head =
                Head::of(verb == "HMSG", rest).ok_or_else(|| bad("no such message", &line))?;
            Frame::Message(message(source, head).await?)
        }
        "PING" => Frame::Ping,
        "PONG" => Frame::Pong,
        "+OK" => Frame::Done,
        "-ERR" => Frame::Error(rest.trim_matches(['\'', ' ']).to_owned()),
        _ => return Err(bad("not what a NATS server says", &line)),
    })
}

/// The line in front of a message.
struct Head {
    subject: String,
    /// How many of its bytes are headers.
    headers: usize,
    total: usize,
}

impl Head {
    /// Subject, subscription, perhaps where to answer, perhaps the headers' length, and the length.
    fn of(has_headers: bool, rest: &str) -> Option<Self> {
        let words: Vec<&str> = rest.split_ascii_whitespace().collect();
        let lengths = if has_headers { 2 } else { 1 };
        if !(2 + lengths..=3 + lengths).contains(&words.len()) {
            return None;
        }
        let length = |from_end: usize| words.get(words.len() - from_end)?.parse().ok();
        let total = length(1).filter(|total| *total <= MESSAGE_MAX)?;
        let headers = if has_headers { length(2)? } else { 0 };
        (headers <= total).then(|| Self {
            subject: words.first().copied().unwrap_or_default().to_owned(),
            headers,
            total,
        })
    }
}

async fn message<S: AsyncBufRead + Unpin + Send>(
    source: &mut S,
    head: Head,
) -> io::Result<Message> {
    let mut bytes = vec![0; head.total + 2];
    source.read_exact(&mut bytes).await?;
    let Some(body) = bytes.strip_suffix(b"\r\n") else {
        return Err(bad("a message does not end", &head.subject));
    };
    let (headers, payload) = body.split_at_checked(head.headers).unwrap_or_default();
    Ok(Message {
        status: status(headers),
        payload: payload.to_vec(),
        subject: head.subject,
    })
}

/// The status in the first line of headers: `NATS/1.0 503`.
fn status(headers: &[u8]) -> Option<u16> {
    let first = headers.split(|byte| *byte == b'\r').next()?;
    let said = std::str::from_utf8(first).ok()?.strip_prefix("NATS/1.0")?;
    said.split_ascii_whitespace().next()?.parse().ok()
}

async fn line<S: AsyncBufRead + Unpin + Send>(source: &mut S) -> io::Result<String> {
    let mut bytes = Vec::new();
    source.take(LINE_MAX).read_until(b'\n', &mut bytes).await?;
    let line = bytes.strip_suffix(b"\r\n");
    let line = line.ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))?;
    Ok(String::from_utf8_lossy(line).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    async fn read(bytes: &[u8]) -> io::Result<Frame> {
        frame(&mut &bytes[..]).await
    }

    fn message(status: Option<u16>, payload: &str) -> Frame {
        Frame::Message(Message {
            subject: "_INBOX.1".into(),
            status,
            payload: payload.into(),
        })
    }

    #[tokio::test]
    async fn everything_that_a_server_sends_is_read() {
        for (bytes, expected) in [
            (&b"INFO {\"a\":1} \r\n"[..], Frame::Info(json!({ "a": 1 }))),
            (b"PING\r\n", Frame::Ping),
            (b"PONG\r\n", Frame::Pong),
            (b"+OK\r\n", Frame::Done),
            (
                b"-ERR 'Stale Connection'\r\n",
                Frame::Error("Stale Connection".into()),
            ),
            (b"MSG _INBOX.1 1 4\r\na\r\nb\r\n", message(None, "a\r\nb")),
            (b"MSG _INBOX.1 1 reply 0\r\n\r\n", message(None, "")),
            (
                b"HMSG _INBOX.1 1 16 16\r\nNATS/1.0 503\r\n\r\n\r\n",
                message(Some(503), ""),
            ),
            (
                b"HMSG _INBOX.1 1 r 18 20\r\nNATS/1.0\r\nA: 1\r\n\r\nhi\r\n",
                message(None, "hi"),
            ),
        ] {
            let said = String::from_utf8_lossy(bytes);
            assert_eq!(read(bytes).await.unwrap(), expected, "{said}");
        }
    }

    #[tokio::test]
    async fn what_is_cut_off_or_does_not_speak_nats_is_an_error() {
        for bytes in [
            &b""[..],
            b"PIN",
            b"PONG\n",
            b"HTTP/1.1 400 Bad Request\r\n",
            b"INFO {\r\n",
            b"MSG\r\n",
            b"MSG a 1\r\n",
            b"MSG a 1 5\r\nab",
            b"MSG a 1 2\r\nabcd",
            b"MSG a 1 -1\r\n",
            b"MSG a 1 99999999999\r\n",
            b"HMSG a 1 5 4\r\nabcd\r\n",
            b"HMSG a 1 4\r\nabcd\r\n",
        ] {
            let said = String::from_utf8_lossy(bytes);
            assert!(read(bytes).await.is_err(), "{said}");
        }
    }

    #[test]
    fn a_message_tells_its_length() {
        assert_eq!(publish("a.b", "in", b"x\r\n"), b"PUB a.b in 3\r\nx\r\n\r\n");
    }
}
