//! How an operation ended, and what came back.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::Scalar;
use crate::micro::{Micro, separated};

/// A granted lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Grant {
    /// The fencing token: larger for each new hold of the lock.
    pub token: u64,
    /// What is left of the lease when the answer was given, in milliseconds.
    pub lease_ms: u64,
}

/// A row of a table that grows by one value at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Row {
    /// The value: one more than the largest before.
    pub value: i64,
    /// When the database says that it was inserted, in its own unit.
    pub timestamp: u64,
}

/// What an operation that took effect was answered with.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Answer {
    /// It was done; there is nothing more to say.
    Done,
    /// The value read; `None` if the key was absent.
    Value(Option<Scalar>),
    /// The place in a lock's queue.
    Ticket(u64),
    /// The lock is held.
    Grant(Grant),
    /// Yes or no.
    Flag(bool),
    /// All elements of a list, a set or a queue.
    Values(Vec<Scalar>),
    /// The accounts and what each holds; `None` if it was not there.
    Balances(Vec<(Scalar, Option<i64>)>),
    /// The row that was inserted.
    Row(Row),
    /// The rows of a table.
    Rows(Vec<Row>),
    /// The steps of a transaction, with what its reads saw.
    Txn(Vec<Micro>),
    /// The answer to a custom operation, any JSON.
    Custom(Json),
}

/// Why an operation failed, or why nobody knows.
#[derive(
    Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
pub struct Reason {
    /// A short, stable word to group by: `timeout`, `refused`, `precondition-failed`, …
    pub code: String,
    /// The same in a sentence, for people. May be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
}

impl Reason {
    /// A reason with a code and a sentence.
    pub fn new(code: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            code: code.into(),
            text: text.into(),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.text.as_str() {
            "" => f.write_str(&self.code),
            text => write!(f, "{}: {text}", self.code),
        }
    }
}

/// How an operation ended. Decided once, by the target's client, and never revised.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It took effect between its invocation and its completion.
    Ok(Answer),
    /// It definitely had no effect and never will.
    Fail(Reason),
    /// Nobody knows: it may have taken effect, may do so later, or never.
    Info(Reason),
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.value, self.timestamp)
    }
}

impl fmt::Display for Answer {
    /// What comes after the arrow: `read k1 → 5`. Empty for [`Answer::Done`].
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done => Ok(()),
            Self::Value(Some(value)) => write!(f, "{value}"),
            Self::Value(None) => f.write_str("nothing"),
            Self::Ticket(ticket) => write!(f, "ticket {ticket}"),
            Self::Grant(g) => write!(f, "token {}, lease {} ms", g.token, g.lease_ms),
            Self::Flag(yes) => f.write_str(if *yes { "yes" } else { "no" }),
            Self::Values(values) => {
                f.write_str("[")?;
                separated(f, values)?;
                f.write_str("]")
            }
            Self::Balances(accounts) => {
                f.write_str("{")?;
                for (at, (account, balance)) in accounts.iter().enumerate() {
                    let comma = if at == 0 { "" } else { ", " };
                    match balance {
                        Some(balance) => write!(f, "{comma}{account}: {balance}")?,
                        None => write!(f, "{comma}{account}: nothing")?,
                    }
                }
                f.write_str("}")
            }
            Self::Row(row) => write!(f, "{row}"),
            Self::Rows(rows) => {
                f.write_str("[")?;
                separated(f, rows)?;
                f.write_str("]")
            }
            Self::Txn(micros) => {
                f.write_str("{")?;
                separated(f, micros)?;
                f.write_str("}")
            }
            Self::Custom(value) => write!(f, "{value}"),
        }
    }
}
