//! What a client may ask, and what may come back.
//!
//! [`Operation`] is a closed enum that names operations on data models, never workloads. Adding
//! one: a variant here and in [`Kind`], a row in [`Kind::ALL`], and its two lines in
//! [`Operation::value`] and [`Operation::parse`] (the JSON forms are listed in `FORMAT.md`).

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use crate::Scalar;
use crate::micro::{Micro, separated};

/// An operation's kind: the `f` of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Read a register.
    Read,
    /// Write a register.
    Write,
    /// Compare and set a register.
    Cas,
    /// Join a lock's queue; acknowledged with a ticket.
    Request,
    /// Wait until the lock is granted.
    Acquire,
    /// Take the lock if it is free, at once.
    TryAcquire,
    /// Prolong the lease of a held lock.
    Renew,
    /// Give the lock back.
    Release,
    /// Write to a resource that checks the fencing token.
    GuardedWrite,
    /// Append to a list.
    Append,
    /// Several steps that take effect together or not at all.
    Txn,
    /// An operation of a user's own model.
    Custom,
}

impl Kind {
    /// Every kind, in the order in which reports list them.
    pub const ALL: [Self; 12] = [
        Self::Read,
        Self::Write,
        Self::Cas,
        Self::Request,
        Self::Acquire,
        Self::TryAcquire,
        Self::Renew,
        Self::Release,
        Self::GuardedWrite,
        Self::Append,
        Self::Txn,
        Self::Custom,
    ];

    /// The name in suites, histories and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Cas => "cas",
            Self::Request => "request",
            Self::Acquire => "acquire",
            Self::TryAcquire => "try-acquire",
            Self::Renew => "renew",
            Self::Release => "release",
            Self::GuardedWrite => "guarded-write",
            Self::Append => "append",
            Self::Txn => "txn",
            Self::Custom => "custom",
        }
    }

    /// The kind of that name, if there is one.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Whether an operation of this kind can change the state of what it asks.
    pub const fn mutates(self) -> bool {
        !matches!(self, Self::Read)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a client asks of the system.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Read the register `key`. Answer: [`Answer::Value`].
    Read {
        /// The register.
        key: Scalar,
    },
    /// Write `value` to the register `key`.
    Write {
        /// The register.
        key: Scalar,
        /// The new value.
        value: Scalar,
    },
    /// Set the register `key` to `to` if it holds `from`; otherwise fail.
    Cas {
        /// The register.
        key: Scalar,
        /// The value that must be there.
        from: Scalar,
        /// The new value.
        to: Scalar,
    },
    /// Join the queue of a lock. Answer: [`Answer::Ticket`].
    Request {
        /// The lock.
        lock: Scalar,
    },
    /// Wait for the lock: with a ticket for that place in the queue; without one only a holder
    /// asks, to enter again. Answer: [`Answer::Grant`].
    Acquire {
        /// The lock.
        lock: Scalar,
        /// The ticket that a [`Operation::Request`] was answered with; none to enter again.
        ticket: Option<u64>,
    },
    /// Take the lock if it is free and nobody waits; fail at once otherwise. Answer:
    /// [`Answer::Grant`].
    TryAcquire {
        /// The lock.
        lock: Scalar,
    },
    /// Prolong the lease. Answer: [`Answer::Grant`] with the same token.
    Renew {
        /// The lock.
        lock: Scalar,
        /// The fencing token of the hold.
        token: u64,
    },
    /// Give the lock back (once for each time it was entered).
    Release {
        /// The lock.
        lock: Scalar,
        /// The fencing token of the hold.
        token: u64,
    },
    /// Write to a resource guarded by the lock of the same name; it must refuse a stale token.
    GuardedWrite {
        /// The resource, and the lock that guards it.
        key: Scalar,
        /// The new value.
        value: Scalar,
        /// The fencing token under which the writer believes to hold the lock.
        token: u64,
    },
    /// Append `value` to the list `key`.
    Append {
        /// The list.
        key: Scalar,
        /// The new last element.
        value: Scalar,
    },
    /// A transaction: its steps take effect together or not at all. Answer: [`Answer::Txn`].
    Txn {
        /// The steps, in order; reads have seen nothing yet.
        micros: Vec<Micro>,
    },
    /// An operation of a user's own model.
    Custom {
        /// What it is called.
        name: String,
        /// Its argument, any JSON.
        value: Json,
    },
}

/// A granted lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Grant {
    /// The fencing token: larger for each new hold of the lock.
    pub token: u64,
    /// What is left of the lease when the answer was given, in milliseconds.
    pub lease_ms: u64,
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
    /// The steps of a transaction, with what its reads saw.
    Txn(Vec<Micro>),
    /// The answer to a custom operation, any JSON.
    Custom(Json),
}

/// Why an operation failed, or why nobody knows.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
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

impl Operation {
    /// Its kind.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Read { .. } => Kind::Read,
            Self::Write { .. } => Kind::Write,
            Self::Cas { .. } => Kind::Cas,
            Self::Request { .. } => Kind::Request,
            Self::Acquire { .. } => Kind::Acquire,
            Self::TryAcquire { .. } => Kind::TryAcquire,
            Self::Renew { .. } => Kind::Renew,
            Self::Release { .. } => Kind::Release,
            Self::GuardedWrite { .. } => Kind::GuardedWrite,
            Self::Append { .. } => Kind::Append,
            Self::Txn { .. } => Kind::Txn,
            Self::Custom { .. } => Kind::Custom,
        }
    }

    /// The object it works on: a register's key or a lock's name.
    pub const fn key(&self) -> Option<&Scalar> {
        match self {
            Self::Read { key }
            | Self::Write { key, .. }
            | Self::Cas { key, .. }
            | Self::Append { key, .. }
            | Self::GuardedWrite { key, .. } => Some(key),
            Self::Request { lock }
            | Self::Acquire { lock, .. }
            | Self::TryAcquire { lock }
            | Self::Renew { lock, .. }
            | Self::Release { lock, .. } => Some(lock),
            Self::Txn { .. } | Self::Custom { .. } => None,
        }
    }

    /// Its argument as the `value` of an `invoke` event; `None` where it has none.
    pub fn value(&self) -> Option<Json> {
        Some(match self {
            Self::Read { .. } | Self::Request { .. } | Self::TryAcquire { .. } => return None,
            Self::Write { value, .. } | Self::Append { value, .. } => json!(value),
            Self::Cas { from, to, .. } => json!([from, to]),
            Self::Acquire { ticket, .. } => json!({ "ticket": (*ticket)? }),
            Self::Renew { token, .. } | Self::Release { token, .. } => json!({ "token": token }),
            Self::GuardedWrite { value, token, .. } => json!({ "value": value, "token": token }),
            Self::Txn { micros } => json!(asked(micros)),
            Self::Custom { name, value } => json!({ "name": name, "value": value }),
        })
    }

    /// The operation of an `invoke` event: the inverse of [`kind`](Self::kind),
    /// [`key`](Self::key) and [`value`](Self::value).
    ///
    /// # Errors
    /// Says which part is missing or has the wrong form.
    pub fn parse(kind: Kind, key: Option<Scalar>, value: Option<Json>) -> Result<Self, String> {
        let need_key = || key.clone().ok_or_else(|| format!("a {kind} needs a key"));
        let form = Form {
            kind,
            value: value.as_ref(),
        };
        Ok(match kind {
            Kind::Read => Self::Read { key: need_key()? },
            Kind::Write => Self::Write {
                key: need_key()?,
                value: form.whole()?,
            },
            Kind::Cas => {
                let (from, to) = form.whole()?;
                Self::Cas {
                    key: need_key()?,
                    from,
                    to,
                }
            }
            Kind::Request => Self::Request { lock: need_key()? },
            Kind::Acquire => {
                let ticket = value.is_some().then(|| form.field("ticket")).transpose()?;
                Self::Acquire {
                    lock: need_key()?,
                    ticket,
                }
            }
            Kind::TryAcquire => Self::TryAcquire { lock: need_key()? },
            Kind::Renew => Self::Renew {
                lock: need_key()?,
                token: form.field("token")?,
            },
            Kind::Release => Self::Release {
                lock: need_key()?,
                token: form.field("token")?,
            },
            Kind::GuardedWrite => Self::GuardedWrite {
                key: need_key()?,
                value: form.field("value")?,
                token: form.field("token")?,
            },
            Kind::Append => Self::Append {
                key: need_key()?,
                value: form.whole()?,
            },
            Kind::Txn => {
                let micros: Vec<Micro> = form.whole()?;
                if asked(&micros) != micros {
                    return Err("a read that is asked for has seen nothing yet: null".into());
                }
                Self::Txn { micros }
            }
            Kind::Custom => Self::Custom {
                name: form.field("name")?,
                value: form.field::<Option<Json>>("value")?.unwrap_or(Json::Null),
            },
        })
    }

    /// The answer as the `value` of this operation's `ok` event. Where the answer only says
    /// *done*, that is the operation's own argument, as in Jepsen.
    pub fn answer_value(&self, answer: &Answer) -> Option<Json> {
        match answer {
            Answer::Done => self.value(),
            Answer::Value(value) => Some(json!(value)),
            Answer::Ticket(ticket) => Some(json!({ "ticket": ticket })),
            Answer::Grant(grant) => Some(json!(grant)),
            Answer::Txn(micros) => Some(json!(micros)),
            Answer::Custom(value) => Some(value.clone()),
        }
    }

    /// The answer of this operation's `ok` event: the inverse of
    /// [`answer_value`](Self::answer_value).
    ///
    /// # Errors
    /// Says what is missing or has the wrong form.
    pub fn parse_answer(&self, value: Option<Json>) -> Result<Answer, String> {
        let form = Form {
            kind: self.kind(),
            value: value.as_ref(),
        };
        Ok(match self {
            Self::Read { .. } => Answer::Value(match value {
                None | Some(Json::Null) => None,
                Some(_) => Some(form.whole()?),
            }),
            Self::Request { .. } => Answer::Ticket(form.field("ticket")?),
            Self::Acquire { .. } | Self::TryAcquire { .. } | Self::Renew { .. } => {
                Answer::Grant(form.whole()?)
            }
            Self::Write { .. }
            | Self::Cas { .. }
            | Self::Release { .. }
            | Self::Append { .. }
            | Self::GuardedWrite { .. } => Answer::Done,
            Self::Txn { micros } => {
                let answered: Vec<Micro> = form.whole()?;
                if asked(&answered) != *micros {
                    return Err("the answer has other steps than the transaction".into());
                }
                Answer::Txn(answered)
            }
            Self::Custom { .. } => Answer::Custom(value.unwrap_or(Json::Null)),
        })
    }
}

impl fmt::Display for Operation {
    /// As a person would write it: `write k1 = 5`, `acquire a (ticket 3)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read { key } => write!(f, "read {key}"),
            Self::Write { key, value } => write!(f, "write {key} = {value}"),
            Self::Cas { key, from, to } => write!(f, "cas {key} from {from} to {to}"),
            Self::Request { lock } => write!(f, "request {lock}"),
            Self::Acquire {
                lock,
                ticket: Some(t),
            } => write!(f, "acquire {lock} (ticket {t})"),
            Self::Acquire { lock, ticket: None } => write!(f, "acquire {lock} again"),
            Self::TryAcquire { lock } => write!(f, "try-acquire {lock}"),
            Self::Renew { lock, token } => write!(f, "renew {lock} (token {token})"),
            Self::Release { lock, token } => write!(f, "release {lock} (token {token})"),
            Self::GuardedWrite { key, value, token } => {
                write!(f, "guarded-write {key} = {value} (token {token})")
            }
            Self::Append { key, value } => write!(f, "append {key} {value}"),
            Self::Txn { micros } => {
                f.write_str("txn {")?;
                separated(f, micros)?;
                f.write_str("}")
            }
            Self::Custom { name, value } => write!(f, "{name} {value}"),
        }
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
            Self::Txn(micros) => {
                f.write_str("{")?;
                separated(f, micros)?;
                f.write_str("}")
            }
            Self::Custom(value) => write!(f, "{value}"),
        }
    }
}

/// The steps as they are asked for.
fn asked(micros: &[Micro]) -> Vec<Micro> {
    micros.iter().map(Micro::asked).collect()
}

/// The `value` of an event while it is taken apart, with errors that name the operation.
struct Form<'a> {
    kind: Kind,
    value: Option<&'a Json>,
}

impl Form<'_> {
    fn whole<T: serde::de::DeserializeOwned>(&self) -> Result<T, String> {
        let value = self
            .value
            .ok_or_else(|| format!("a {} needs a value", self.kind))?;
        T::deserialize(value).map_err(|e| format!("value of a {}: {e}", self.kind))
    }

    fn field<T: serde::de::DeserializeOwned>(&self, name: &str) -> Result<T, String> {
        let field = self.value.and_then(|v| v.get(name)).unwrap_or(&Json::Null);
        T::deserialize(field).map_err(|e| format!("value.{name} of a {}: {e}", self.kind))
    }
}
