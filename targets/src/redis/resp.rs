//! Redis' protocol, version 2 (RESP2): requests are arrays of strings, answers one of five kinds.

use std::io;

use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _};

/// The longest line, in bytes.
const LINE_MAX: u64 = 64 << 10;
/// The longest string, in bytes.
const TEXT_MAX: usize = 1 << 20;
/// The most values that one answer may hold, of all its arrays together.
const VALUES_MAX: usize = 1 << 20;
/// How deep arrays may lie in each other.
const DEPTH_MAX: usize = 8;

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    /// A word, such as `OK`.
    Word(String),
    /// An error; its first word is its code.
    Error(String),
    /// An integer.
    Int(i64),
    /// A string; `None` is nothing.
    Text(Option<Vec<u8>>),
    /// An array; `None` is nothing.
    Array(Option<Vec<Self>>),
}

impl Value {
    /// A word or string, if it is one and UTF-8.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Word(word) => Some(word),
            Self::Text(Some(bytes)) => std::str::from_utf8(bytes).ok(),
            _ => None,
        }
    }

    /// What is in it, if it is an array.
    pub(super) fn items(&self) -> Option<&[Self]> {
        match self {
            Self::Array(Some(items)) => Some(items),
            _ => None,
        }
    }
}

/// A request, as it is sent.
pub(super) fn request(words: &[&[u8]]) -> Vec<u8> {
    let mut sent = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        sent.extend(format!("${}\r\n", word.len()).into_bytes());
        sent.extend_from_slice(word);
        sent.extend(b"\r\n");
    }
    sent
}

fn bad(what: &str, line: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{what}: {line:?}"))
}

/// Reads one answer.
///
/// # Errors
/// If the source ends, fails, or is no answer of Redis.
pub(super) async fn answer<S: AsyncBufRead + Unpin + Send>(source: &mut S) -> io::Result<Value> {
    // Arrays whose items are still to come: how many, and those that are there.
    let mut open: Vec<(usize, Vec<Value>)> = Vec::new();
    let mut values = 0;
    loop {
        values += 1;
        if values > VALUES_MAX {
            return Err(bad("an answer holds too much", ""));
        }
        let mut value = match head(source).await? {
            Head::Value(value) => value,
            Head::Items(0) => Value::Array(Some(Vec::new())),
            Head::Items(count) => {
                if open.len() == DEPTH_MAX {
                    return Err(bad("an answer is too deep", ""));
                }
                open.push((count, Vec::new()));
                continue;
            }
        };
        loop {
            let Some((count, mut items)) = open.pop() else {
                return Ok(value);
            };
            items.push(value);
            if items.len() < count {
                open.push((count, items));
                break;
            }
            value = Value::Array(Some(items));
        }
    }
}

/// What begins with a line.
enum Head {
    Value(Value),
    /// So many values follow.
    Items(usize),
}

async fn head<S: AsyncBufRead + Unpin + Send>(source: &mut S) -> io::Result<Head> {
    let line = line(source).await?;
    let (kind, rest) = line.split_at_checked(1).unwrap_or_default();
    let number = || rest.parse::<i64>().map_err(|_| bad("not a number", &line));
    Ok(Head::Value(match kind {
        "+" => Value::Word(rest.to_owned()),
        "-" => Value::Error(rest.to_owned()),
        ":" => Value::Int(number()?),
        "$" => match number()? {
            -1 => Value::Text(None),
            length => Value::Text(Some(text(source, length).await?)),
        },
        "*" => match number()? {
            -1 => Value::Array(None),
            count => match usize::try_from(count) {
                Ok(count) if count <= VALUES_MAX => return Ok(Head::Items(count)),
                _ => return Err(bad("no such array", &line)),
            },
        },
        _ => return Err(bad("not an answer of Redis", &line)),
    }))
}

async fn line<S: AsyncBufRead + Unpin + Send>(source: &mut S) -> io::Result<String> {
    let mut bytes = Vec::new();
    source.take(LINE_MAX).read_until(b'\n', &mut bytes).await?;
    let line = bytes.strip_suffix(b"\r\n");
    let line = line.ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))?;
    Ok(String::from_utf8_lossy(line).into_owned())
}

async fn text<S: AsyncBufRead + Unpin + Send>(source: &mut S, length: i64) -> io::Result<Vec<u8>> {
    let length = usize::try_from(length).ok().filter(|it| *it <= TEXT_MAX);
    let length = length.ok_or_else(|| bad("no such string", ""))?;
    let mut bytes = vec![0; length + 2];
    source.read_exact(&mut bytes).await?;
    match bytes.strip_suffix(b"\r\n") {
        Some(text) => Ok(text.to_vec()),
        None => Err(bad("a string does not end", "")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(bytes: &[u8]) -> io::Result<Value> {
        answer(&mut &bytes[..]).await
    }

    fn text(text: &str) -> Value {
        Value::Text(Some(text.into()))
    }

    #[tokio::test]
    async fn answers_of_every_kind_are_read() {
        assert_eq!(read(b"+OK\r\n").await.unwrap(), Value::Word("OK".into()));
        assert_eq!(read(b":-7\r\n").await.unwrap(), Value::Int(-7));
        assert_eq!(read(b"$5\r\na\r\nb!\r\n").await.unwrap(), text("a\r\nb!"));
        assert_eq!(read(b"$-1\r\n").await.unwrap(), Value::Text(None));
        assert_eq!(read(b"*0\r\n").await.unwrap(), Value::Array(Some(vec![])));
        let nested = read(b"*3\r\n$1\r\na\r\n*2\r\n:1\r\n*-1\r\n-ERR no\r\n").await;
        let inner = Value::Array(Some(vec![Value::Int(1), Value::Array(None)]));
        let all = vec![text("a"), inner, Value::Error("ERR no".into())];
        assert_eq!(nested.unwrap(), Value::Array(Some(all)));
    }

    #[tokio::test]
    async fn what_is_cut_off_or_no_answer_is_an_error() {
        for bytes in [
            &b""[..],
            b"+O",
            b"+OK\n",
            b"$5\r\nab",
            b"$2\r\nabcd",
            b"*2\r\n:1\r\n",
            b"?\r\n",
            b"\r\n",
            b":x\r\n",
            b"$-2\r\n",
            b"$99999999999\r\n",
            b"*99999999999\r\n",
        ] {
            assert!(
                read(bytes).await.is_err(),
                "{:?}",
                String::from_utf8_lossy(bytes)
            );
        }
        let deep = b"*1\r\n".repeat(20);
        assert!(read(&deep).await.unwrap_err().to_string().contains("deep"));
    }

    #[test]
    fn a_request_tells_the_lengths_of_its_words() {
        assert_eq!(
            request(&[b"GET", b"k\r\n"]),
            b"*2\r\n$3\r\nGET\r\n$3\r\nk\r\n\r\n"
        );
    }
}
