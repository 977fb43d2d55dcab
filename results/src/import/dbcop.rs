//! dbcop's binary histories (Biswas & Enea, *On the Complexity of Checking Transactional
//! Consistency*, 2019), as its programs of 2018 to 2020 wrote them with bincode 1: numbers of
//! eight bytes, the lowest first; a flag is a byte; a text or a list has its length in front.
//!
//! Layout: five numbers (id, nodes, variables, transactions, events), a text, two times as texts,
//! and the sessions: a list of lists of transactions, each a list of events and a flag whether
//! it committed. An event is a flag (write), the variable, the value, and a flag (success). A
//! variable is 0 at first.
//!
//! There are no times: sessions are laid side by side in rounds, the first transactions of all
//! at once, then the second ones. What the order of rounds seems to say of different sessions
//! means nothing, so `timed` is false.

use std::io::BufRead;

use super::{Format, Head, ImportError, Imported, Read, Where};
use crate::event::{Body, Event, Process};
use crate::history::HistoryBuilder;
use crate::{Answer, Assumptions, Micro, Operation, Outcome, Reason, Scalar, Seen};

pub(super) static FORMAT: Format = Format {
    name: "dbcop",
    about: "dbcop's binary histories (history.bincode): transactions on registers",
    detect,
    read: Read::Whole(read),
};

/// The longest text that is taken, in bytes: a comment or a time.
const TEXT_BYTES_MAX: u64 = 1 << 20;
/// Numbers before the first text.
const PARAMETERS: usize = 5;

fn detect(head: &Head<'_>) -> bool {
    let numbers = head.bytes.chunks_exact(8).take(PARAMETERS);
    // No text has a zero in it; these numbers are small and have.
    let small = numbers
        .filter(|number| number.ends_with(&[0, 0, 0, 0]))
        .count();
    head.named(".bincode") || small == PARAMETERS
}

/// A transaction with the steps that succeeded.
struct Transaction {
    asked: Vec<Micro>,
    answered: Vec<Micro>,
    committed: bool,
}

fn read(input: &mut dyn BufRead) -> Result<Imported, ImportError> {
    let mut bytes = Bytes { input, at: 0 };
    for _ in 0..PARAMETERS {
        bytes.number()?;
    }
    for what in ["the comment", "the start", "the end"] {
        bytes.text(what)?;
    }
    let (mut sessions, mut failed) = (Vec::new(), 0);
    for _ in 0..bytes.number()? {
        let mut session = Vec::new();
        for _ in 0..bytes.number()? {
            session.push(transaction(&mut bytes, &mut failed)?);
        }
        sessions.push(session.into_iter());
    }
    bytes.end()?;
    let mut notes = vec![
        "holds no times: the order of transactions of different sessions is not judged".to_owned(),
    ];
    if failed > 0 {
        notes.push(format!("left out as steps that did not succeed: {failed}"));
    }
    Ok(Imported {
        history: rounds(sessions).map_err(|reason| bytes.wrong(reason))?,
        assume: Assumptions::default(),
        notes,
        timed: false,
        partial: false,
    })
}

fn transaction(bytes: &mut Bytes<'_>, failed: &mut u64) -> Result<Transaction, ImportError> {
    let mut answered = Vec::new();
    for _ in 0..bytes.number()? {
        let write = bytes.flag()?;
        let key = bytes.scalar()?;
        let value = bytes.scalar()?;
        if !bytes.flag()? {
            *failed += 1;
            continue;
        }
        answered.push(match (write, value) {
            (true, value) => Micro::Write { key, value },
            (false, Scalar::Int(0)) => Micro::Read {
                key,
                seen: Seen::Nothing,
            },
            (false, value) => Micro::Read {
                key,
                seen: Seen::Value(value),
            },
        });
    }
    Ok(Transaction {
        asked: answered.iter().map(Micro::asked).collect(),
        answered,
        committed: bytes.flag()?,
    })
}

/// Lays sessions side by side.
fn rounds(mut sessions: Vec<std::vec::IntoIter<Transaction>>) -> Result<crate::History, String> {
    let mut builder = HistoryBuilder::default();
    let mut index = 0;
    let mut push = |session: usize, body| {
        let event = Event {
            index,
            time: index,
            process: Process::Client(session as u64),
            node: None,
            body,
        };
        index += 1;
        builder.push(event).map_err(|e| e.reason)
    };
    // The places of the sessions that have transactions left.
    let mut going: Vec<usize> = (0..sessions.len()).collect();
    while !going.is_empty() {
        let mut round = Vec::new();
        for at in std::mem::take(&mut going) {
            if let Some(next) = sessions.get_mut(at).and_then(Iterator::next) {
                let micros = next.asked.clone();
                push(at, Body::Invoke(Operation::Txn { micros }))?;
                round.push((at, next));
            }
        }
        for (at, done) in round {
            let outcome = match done.committed {
                true => Outcome::Ok(Answer::Txn(done.answered)),
                false => Outcome::Fail(Reason::new("aborted", "")),
            };
            let micros = done.asked;
            push(at, Body::Complete(Operation::Txn { micros }, outcome))?;
            going.push(at);
        }
    }
    Ok(builder.finish())
}

/// The bytes of a file, taken apart.
struct Bytes<'a> {
    input: &'a mut dyn BufRead,
    at: u64,
}

impl Bytes<'_> {
    fn wrong(&self, reason: impl Into<String>) -> ImportError {
        ImportError::wrong(Where::Byte(self.at), reason)
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], ImportError> {
        let mut taken = [0; N];
        match self.input.read_exact(&mut taken) {
            Ok(()) => {}
            Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => {
                return Err(self.wrong("the file ends where more must follow"));
            }
            Err(e) => return Err(e.into()),
        }
        self.at += N as u64;
        Ok(taken)
    }

    fn number(&mut self) -> Result<u64, ImportError> {
        self.take().map(u64::from_le_bytes)
    }

    fn scalar(&mut self) -> Result<Scalar, ImportError> {
        let number = i64::try_from(self.number()?);
        number
            .map(Scalar::Int)
            .map_err(|_| self.wrong("a variable or a value of more than 63 bits"))
    }

    fn flag(&mut self) -> Result<bool, ImportError> {
        match self.take()? {
            [0] => Ok(false),
            [1] => Ok(true),
            [other] => Err(self.wrong(format!("a flag must be 0 or 1, not {other}"))),
        }
    }

    /// Passes over a text.
    fn text(&mut self, what: &str) -> Result<(), ImportError> {
        let length = self.number()?;
        if length > TEXT_BYTES_MAX {
            return Err(self.wrong(format!("{what} is longer than {TEXT_BYTES_MAX} bytes")));
        }
        for _ in 0..length {
            self.take::<1>()?;
        }
        Ok(())
    }

    fn end(&mut self) -> Result<(), ImportError> {
        match self.input.fill_buf()?.is_empty() {
            true => Ok(()),
            false => Err(self.wrong("more follows after the last session")),
        }
    }
}
