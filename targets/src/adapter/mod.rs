//! Clients that are programs of others: JSON lines on their standard input and output.
//!
//! | module | what it does |
//! |---|---|
//! | [`message`] | requests and answers |
//! | [`process`] | one running adapter |
//! | `pool` | those of one run |
//! | `client` | an adapter as a client |
//! | [`exam`] | whether an adapter does what it must |
//!
//! Each client has a process of its own. So an adapter may be written as a plain loop that asks
//! and waits; one that hangs holds up nobody else; and killing it closes its connections, which
//! ends an operation of unknown outcome for certain. What has answered everything is used again
//! for the next client, after `close` and `open`.

mod client;
pub mod exam;
pub mod message;
mod pool;
pub mod process;

pub use pool::{Pool, START_WITHIN};
