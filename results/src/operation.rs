//! What a client may ask, and what may come back.
//!
//! [`Operation`] is a closed enum that names operations on data models, never workloads. Adding
//! one: a variant here and in [`Kind`], a row in [`Kind::ALL`], and its lines in `form.rs` (the JSON
//! forms are listed in `FORMAT.md`).

mod form;

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::Scalar;
use crate::micro::{Micro, separated};
pub use crate::outcome::{Answer, Grant, Outcome, Reason, Row};

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
    /// Read a whole list.
    Elements,
    /// Put an element into a set.
    Add,
    /// Take an element out of a set.
    Remove,
    /// Ask whether a set has an element.
    Contains,
    /// Read a whole set.
    Members,
    /// Add to a counter.
    Increment,
    /// Read a counter.
    Count,
    /// Put an element at the end of a queue.
    Enqueue,
    /// Take the first element of a queue.
    Dequeue,
    /// Take everything out of a queue.
    Drain,
    /// Put an element on a stack.
    Push,
    /// Take the top element of a stack.
    Pop,
    /// Take permits of a semaphore.
    AcquirePermits,
    /// Give permits of a semaphore back.
    ReleasePermits,
    /// Ask for a new unique identifier.
    Generate,
    /// Move money from one account to another.
    Transfer,
    /// Read all accounts at once.
    Balances,
    /// Insert the largest value so far plus one.
    Advance,
    /// Read all rows in the order of their timestamps.
    Rows,
    /// Several steps that take effect together or not at all.
    Txn,
    /// An operation of a user's own model.
    Custom,
}

impl Kind {
    /// Every kind, in the order in which reports list them.
    pub const ALL: [Self; 31] = [
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
        Self::Elements,
        Self::Add,
        Self::Remove,
        Self::Contains,
        Self::Members,
        Self::Increment,
        Self::Count,
        Self::Enqueue,
        Self::Dequeue,
        Self::Drain,
        Self::Push,
        Self::Pop,
        Self::AcquirePermits,
        Self::ReleasePermits,
        Self::Generate,
        Self::Transfer,
        Self::Balances,
        Self::Advance,
        Self::Rows,
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
            Self::Elements => "elements",
            Self::Add => "add",
            Self::Remove => "remove",
            Self::Contains => "contains",
            Self::Members => "members",
            Self::Increment => "increment",
            Self::Count => "count",
            Self::Enqueue => "enqueue",
            Self::Dequeue => "dequeue",
            Self::Drain => "drain",
            Self::Push => "push",
            Self::Pop => "pop",
            Self::AcquirePermits => "acquire-permits",
            Self::ReleasePermits => "release-permits",
            Self::Generate => "generate",
            Self::Transfer => "transfer",
            Self::Balances => "balances",
            Self::Advance => "advance",
            Self::Rows => "rows",
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
        !matches!(
            self,
            Self::Read
                | Self::Elements
                | Self::Contains
                | Self::Members
                | Self::Count
                | Self::Balances
                | Self::Rows
        )
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
    /// Read the list `key`. Answer: [`Answer::Values`], the oldest element first.
    Elements {
        /// The list.
        key: Scalar,
    },
    /// Put `value` into the set `key`. Answer: [`Answer::Done`], or [`Answer::Flag`]: whether it
    /// was not there before.
    Add {
        /// The set.
        key: Scalar,
        /// The element.
        value: Scalar,
    },
    /// Take `value` out of the set `key`. Answer: [`Answer::Done`], or [`Answer::Flag`]: whether
    /// it was there before.
    Remove {
        /// The set.
        key: Scalar,
        /// The element.
        value: Scalar,
    },
    /// Ask whether the set `key` has `value`. Answer: [`Answer::Flag`].
    Contains {
        /// The set.
        key: Scalar,
        /// The element.
        value: Scalar,
    },
    /// Read the set `key`. Answer: [`Answer::Values`], in any order.
    Members {
        /// The set.
        key: Scalar,
    },
    /// Add `by` to the counter `key`, which is 0 at first.
    Increment {
        /// The counter.
        key: Scalar,
        /// How much, perhaps negative.
        by: i64,
    },
    /// Read the counter `key`. Answer: [`Answer::Value`], an integer.
    Count {
        /// The counter.
        key: Scalar,
    },
    /// Put `value` at the end of the queue `key`.
    Enqueue {
        /// The queue.
        key: Scalar,
        /// The new last element.
        value: Scalar,
    },
    /// Take the first element of the queue `key`. Answer: [`Answer::Value`], `None` if it was
    /// empty.
    Dequeue {
        /// The queue.
        key: Scalar,
    },
    /// Take elements out of the queue `key` one by one until it is empty. Answer:
    /// [`Answer::Values`], in the order in which they were taken.
    Drain {
        /// The queue.
        key: Scalar,
    },
    /// Put `value` on top of the stack `key`.
    Push {
        /// The stack.
        key: Scalar,
        /// The new top element.
        value: Scalar,
    },
    /// Take the top element of the stack `key`. Answer: [`Answer::Value`], `None` if it was empty.
    Pop {
        /// The stack.
        key: Scalar,
    },
    /// Take permits of a semaphore (of a mutex: the only one). Answer: [`Answer::Grant`], or
    /// [`Answer::Done`] if it has neither tokens nor leases.
    AcquirePermits {
        /// The semaphore.
        key: Scalar,
        /// How many.
        permits: u32,
    },
    /// Give permits of a semaphore back.
    ReleasePermits {
        /// The semaphore.
        key: Scalar,
        /// How many.
        permits: u32,
        /// The token of the grant, if the semaphore gives tokens.
        token: Option<u64>,
    },
    /// Ask for an identifier that nobody else gets. Answer: [`Answer::Value`], never `None`.
    Generate {
        /// The generator.
        key: Scalar,
    },
    /// Move `amount` from one account of the bank `key` to another; fail if it is not there.
    Transfer {
        /// The bank.
        key: Scalar,
        /// The account that pays.
        from: Scalar,
        /// The account that is paid.
        to: Scalar,
        /// How much.
        amount: i64,
    },
    /// Read all accounts of the bank `key` at once. Answer: [`Answer::Balances`].
    Balances {
        /// The bank.
        key: Scalar,
    },
    /// Read the largest value of the table `key` and insert one more, in one transaction.
    /// Answer: [`Answer::Row`], the row as inserted.
    Advance {
        /// The table.
        key: Scalar,
    },
    /// Read the table `key`. Answer: [`Answer::Rows`], in the order of their timestamps.
    Rows {
        /// The table.
        key: Scalar,
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
            Self::Elements { .. } => Kind::Elements,
            Self::Add { .. } => Kind::Add,
            Self::Remove { .. } => Kind::Remove,
            Self::Contains { .. } => Kind::Contains,
            Self::Members { .. } => Kind::Members,
            Self::Increment { .. } => Kind::Increment,
            Self::Count { .. } => Kind::Count,
            Self::Enqueue { .. } => Kind::Enqueue,
            Self::Dequeue { .. } => Kind::Dequeue,
            Self::Drain { .. } => Kind::Drain,
            Self::Push { .. } => Kind::Push,
            Self::Pop { .. } => Kind::Pop,
            Self::AcquirePermits { .. } => Kind::AcquirePermits,
            Self::ReleasePermits { .. } => Kind::ReleasePermits,
            Self::Generate { .. } => Kind::Generate,
            Self::Transfer { .. } => Kind::Transfer,
            Self::Balances { .. } => Kind::Balances,
            Self::Advance { .. } => Kind::Advance,
            Self::Rows { .. } => Kind::Rows,
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
            | Self::GuardedWrite { key, .. }
            | Self::Elements { key }
            | Self::Add { key, .. }
            | Self::Remove { key, .. }
            | Self::Contains { key, .. }
            | Self::Members { key }
            | Self::Increment { key, .. }
            | Self::Count { key }
            | Self::Enqueue { key, .. }
            | Self::Dequeue { key }
            | Self::Drain { key }
            | Self::Push { key, .. }
            | Self::Pop { key }
            | Self::AcquirePermits { key, .. }
            | Self::ReleasePermits { key, .. }
            | Self::Generate { key }
            | Self::Transfer { key, .. }
            | Self::Balances { key }
            | Self::Advance { key }
            | Self::Rows { key } => Some(key),
            Self::Request { lock }
            | Self::Acquire { lock, .. }
            | Self::TryAcquire { lock }
            | Self::Renew { lock, .. }
            | Self::Release { lock, .. } => Some(lock),
            Self::Txn { .. } | Self::Custom { .. } => None,
        }
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
            Self::Elements { key } => write!(f, "elements {key}"),
            Self::Add { key, value } => write!(f, "add {value} to {key}"),
            Self::Remove { key, value } => write!(f, "remove {value} from {key}"),
            Self::Contains { key, value } => write!(f, "contains {key} {value}"),
            Self::Members { key } => write!(f, "members {key}"),
            Self::Increment { key, by } => write!(f, "increment {key} by {by}"),
            Self::Count { key } => write!(f, "count {key}"),
            Self::Enqueue { key, value } => write!(f, "enqueue {key} {value}"),
            Self::Dequeue { key } => write!(f, "dequeue {key}"),
            Self::Drain { key } => write!(f, "drain {key}"),
            Self::Push { key, value } => write!(f, "push {key} {value}"),
            Self::Pop { key } => write!(f, "pop {key}"),
            Self::AcquirePermits { key, permits } => write!(f, "acquire {permits} of {key}"),
            Self::ReleasePermits { key, permits, .. } => write!(f, "release {permits} of {key}"),
            Self::Generate { key } => write!(f, "generate {key}"),
            Self::Transfer {
                from, to, amount, ..
            } => write!(f, "transfer {amount} from {from} to {to}"),
            Self::Balances { key } => write!(f, "balances {key}"),
            Self::Advance { key } => write!(f, "advance {key}"),
            Self::Rows { key } => write!(f, "rows {key}"),
            Self::Txn { micros } => {
                f.write_str("txn {")?;
                separated(f, micros)?;
                f.write_str("}")
            }
            Self::Custom { name, value } => write!(f, "{name} {value}"),
        }
    }
}
