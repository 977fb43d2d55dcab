//! One connection to a Redis or a Sentinel, for one batch of requests at a time.
//!
//! Written by ourselves, as it is small, and as it must be known for certain whether anything of a
//! request was sent: clients that connect again and repeat requests by themselves do not tell.

use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncWriteExt as _, BufReader, ReadBuf};
use tokio::net::TcpStream;
use tribunal_results::{Operation, Outcome, Reason};

use super::resp::{self, Value};
use crate::client::unknown;

/// Codes of errors that say that nothing was done. Others, and plain `ERR`, say nothing for certain.
const DEFINITE: [&str; 9] = [
    "READONLY",
    "NOREPLICAS",
    "MASTERDOWN",
    "LOADING",
    "MISCONF",
    "OOM",
    "WRONGTYPE",
    "NOAUTH",
    "NOPERM",
];

/// A connection.
#[derive(Debug)]
pub(super) struct Connection {
    stream: BufReader<TcpStream>,
    /// An answer is missing, or was none: no other may be taken for it.
    is_lost: bool,
}

/// Why there is no answer that says that it was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// Nothing was sent, or Redis says that nothing was done.
    Refused(Reason),
    /// Nobody knows.
    Unknown(Reason),
}

impl Failure {
    /// An answer that is none to what was asked.
    pub(super) fn bad_answer(answer: &Value) -> Self {
        match answer {
            Value::Error(text) => Self::of_error(text),
            other => Self::Unknown(Reason::new("bad-answer", format!("{other:?}"))),
        }
    }

    fn of_error(text: &str) -> Self {
        let code = text.split(' ').next().unwrap_or_default();
        let reason = Reason::new(code.to_lowercase(), text);
        match DEFINITE.contains(&code) {
            true => Self::Refused(reason),
            false => Self::Unknown(reason),
        }
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

impl Connection {
    /// Connects. Nothing is sent.
    ///
    /// # Errors
    /// Why there is no connection.
    pub(super) async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream: BufReader::new(stream),
            is_lost: false,
        })
    }

    /// Sends a request and waits for its answer, which may be an error of Redis.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) async fn ask(&mut self, words: &[&[u8]]) -> Result<Value, Failure> {
        let [answer] = self.ask_all([words]).await?;
        Ok(answer)
    }

    /// Sends requests at once and waits for the answer to each.
    ///
    /// # Errors
    /// Why one is missing: then nothing is known of any.
    pub(super) async fn ask_all<const N: usize>(
        &mut self,
        requests: [&[&[u8]]; N],
    ) -> Result<[Value; N], Failure> {
        let bytes: Vec<u8> = requests.into_iter().flat_map(resp::request).collect();
        let lost = |e: io::Error| Failure::Unknown(Reason::new("connection-lost", e.to_string()));
        // Also if this future is dropped half-way.
        self.is_lost = true;
        // The first write tells apart what was never sent; of the rest, a part may arrive.
        let sent = self.stream.get_mut().write(&bytes).await;
        let not_sent = |e: io::Error| Failure::Refused(Reason::new("not-sent", e.to_string()));
        let rest = bytes.get(sent.map_err(not_sent)?..).unwrap_or_default();
        self.stream.get_mut().write_all(rest).await.map_err(lost)?;
        let mut answers = [const { Value::Text(None) }; N];
        for answer in &mut answers {
            *answer = resp::answer(&mut self.stream).await.map_err(lost)?;
        }
        self.is_lost = false;
        Ok(answers)
    }

    /// Whether it can carry another request: not if an answer is missing, or the other end is seen
    /// to have closed it.
    pub(super) fn is_usable(&mut self) -> bool {
        let mut byte = [0];
        let mut context = Context::from_waker(Waker::noop());
        let mut peeked = ReadBuf::new(&mut byte);
        let peek = self.stream.get_ref().poll_peek(&mut context, &mut peeked);
        !self.is_lost && !matches!(peek, Poll::Ready(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_errors_that_say_so_mean_that_nothing_was_done() {
        for text in [
            "READONLY You can't write",
            "NOREPLICAS Not enough",
            "LOADING",
        ] {
            let failure = Failure::bad_answer(&Value::Error(text.into()));
            assert!(matches!(failure, Failure::Refused(_)), "{text}");
        }
        for text in ["ERR unknown", "EXECABORT", "BUSY", "UNKILLABLE", ""] {
            let failure = Failure::bad_answer(&Value::Error(text.into()));
            assert!(matches!(failure, Failure::Unknown(_)), "{text}");
        }
        assert!(matches!(
            Failure::bad_answer(&Value::Int(7)),
            Failure::Unknown(_)
        ));
    }
}
