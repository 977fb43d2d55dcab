//! The clients, as far as a fault may touch them.

#[cfg(test)]
pub(crate) mod fake;

use serde::{Deserialize, Serialize};
use tribunal_results::NodeId;

use crate::Pending;

/// A client inside a critical section.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inside {
    /// Its number in the history.
    pub process: u64,
    /// The node that it talks to.
    pub node: Option<NodeId>,
    /// What it holds.
    pub lock: String,
}

/// A client that was stopped inside its critical section.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// Who, and what it holds.
    #[serde(flatten)]
    pub inside: Inside,
    /// For how long it was stopped, in milliseconds.
    pub held_ms: u64,
    /// The operation that it was about to begin when it was stopped, if it came so far; it began
    /// that when it could go on.
    pub kept_from: Option<String>,
    /// For how long it was kept from that, in milliseconds.
    pub kept_ms: u64,
}

/// The clients of a run. A client that is stopped begins nothing; what it had begun goes on,
/// and is recorded when it ends.
pub trait Clients: Send + Sync {
    /// Who is inside a critical section now: has been granted something, and not begun to give it
    /// back.
    fn inside(&self) -> Vec<Inside>;

    /// Stops the next `count` clients that enter a critical section, each as it enters, under a
    /// name (`token`) that no other fault in force has; returns when all of them are stopped.
    fn hold<'a>(&'a self, token: u64, count: usize) -> Pending<'a, Vec<Inside>>;

    /// Stops no more clients under this name, and says who is.
    fn enough(&self, token: u64) -> Vec<Inside>;

    /// Lets clients go on that were stopped under this name, and stops no more. Says of each that
    /// goes on, or has since the last time, what became of it.
    fn release(&self, token: u64) -> Vec<Held>;

    /// Lets all clients go on, and stops no more.
    fn release_all(&self);
}
