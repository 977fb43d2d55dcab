//! Locks with a queue, leases and fencing tokens at one node: what the targets that serve locks
//! are made of.
//!
//! | module | what it holds |
//! |---|---|
//! | `lease` | the option that says how long a hold lasts |
//! | `lock` | one lock, as a value |
//! | `table` | all locks of a node, with their timers and what is persisted of them |
//! | `request` | what clients ask |
//! | `relay` | the machine of a node that passes everything on to a coordinator |

mod lease;
mod lock;
mod relay;
mod request;
#[cfg(test)]
pub(crate) mod stage;
mod table;

pub(crate) use lease::LeaseOptions;
pub(crate) use lock::{Claim, Origin, Rules};
pub(crate) use relay::Relay;
pub(crate) use request::{Action, Request};
pub(crate) use table::{LOCKS_MAX, Table, ticket_of};
