//! The record of a run: what was asked, what came back, what was broken, what was concluded.
//!
//! Everything else in Tribunal writes these types or reads them. This crate opens no socket,
//! reads no clock and draws no randomness: times and seeds arrive as plain numbers.
//!
//! | module | what it holds |
//! |---|---|
//! | [`assumptions`] | what a history does not tell and a checker has to be told |
//! | [`operation`] | what a client may ask ([`Operation`]) |
//! | [`outcome`] | what comes back ([`Outcome`]) |
//! | [`event`] | one line of the history file |
//! | [`export`] | histories written in the formats of others, and as a trace |
//! | [`fault`] | what the nemesis did, with its proof |
//! | [`gates`] | thresholds for what a run measured |
//! | [`history`] | events paired into calls; well-formed by construction |
//! | [`import`] | histories that others recorded: EDN, JSON, text logs |
//! | [`journal`] | the history file: written as the run goes, readable after any crash |
//! | [`message`] | what nodes sent each other, and what their clocks showed |
//! | [`micro`] | the steps of a transaction |
//! | [`options`] | how the options of a plan's parts are read |
//! | [`proof`] | how surely planted bugs are found |
//! | [`reasons`] | every reason that a verdict can give |
//! | [`rate`] | rates, their intervals, and what they let one claim |
//! | [`record`] | all that a checker may look at |
//! | [`shift`] | how much larger measurements are than others, with an interval |
//! | [`signature`] | what two failures have in common that are the same finding |
//! | [`verdict`] | what the checkers concluded, result classes, exit codes |
//! | [`schema`] | the JSON schemas of all these |
//! | [`run`] | `run.json`, and where each file of a run lies |
//! | `report` | HTML, JUnit and Markdown drawn from a record (feature `report`) |
#![forbid(unsafe_code)]

pub mod assumptions;
pub mod event;
pub mod export;
pub mod fault;
pub mod gates;
pub mod history;
pub mod import;
pub mod journal;
mod lines;
pub mod message;
pub mod micro;
pub mod operation;
pub mod options;
pub mod outcome;
pub mod proof;
pub mod rate;
pub mod reasons;
pub mod record;
#[cfg(feature = "report")]
pub mod report;
pub mod run;
pub mod scalar;
pub mod schema;
pub mod shift;
pub mod signature;
pub mod verdict;

pub use assumptions::Assumptions;
pub use event::{Body, Event, Process};
pub use fault::{FaultEvent, FaultSpan, LeaderEvent, NodeEvent, NodeState, Phase, Standstill};
pub use history::{Call, History, HistoryError, Stamp};
pub use message::{MessageEvent, Messages};
pub use micro::{Micro, Seen};
pub use operation::{Kind, Operation};
pub use outcome::{Answer, Grant, Outcome, Reason, Row};
pub use record::{NodeLog, Record};
pub use scalar::Scalar;
pub use signature::Signature;
pub use verdict::{Anomaly, Evidence, ResultClass, RunVerdict, Validity, Verdict};

/// Name of a node, such as `n1`.
pub type NodeId = std::sync::Arc<str>;

/// Nanoseconds since the run's origin, on one monotonic clock.
pub type Nanos = u64;
