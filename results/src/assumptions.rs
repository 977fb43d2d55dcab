//! What a history does not tell and a checker has to be told.

use serde::{Deserialize, Serialize};

/// What is taken for granted of the objects and of the clocks. Part of a history's header, so
/// that a history is judged the same wherever it is read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Assumptions {
    /// How many permits each semaphore has; a mutex has one.
    pub permits: u32,
    /// Whether permits are given back only by the client that holds them.
    pub owned: bool,
    /// How often one owner may enter a lock that it holds; any number if absent.
    pub entries: Option<u32>,
    /// By how much, in parts per million, a clock may run faster or slower than another.
    pub clock_drift_ppm: u32,
    /// What the accounts of a bank are worth together; that of the first read if absent.
    pub bank_total: Option<i64>,
    /// Whether an account may be overdrawn.
    pub overdraft: bool,
    /// How old, in milliseconds, what a read returns may be; any age if absent.
    pub staleness_ms: Option<u64>,
    /// How long, in milliseconds, replicas may take to agree once every fault is healed and every
    /// update has ended.
    pub settle_ms: u64,
    /// Whether logical clocks tick by one at every recorded event: Lamport's by his rule, maximum
    /// plus one, and a vector clock at the node's own entry.
    pub clocks_exact: bool,
    /// How long, in milliseconds, a request for permits waits in a first-in-first-out queue before
    /// it is refused as `temporarily-unavailable`; such a refusal tells nothing if absent.
    pub wait_ms: Option<u64>,
    /// By how much, in milliseconds, a hybrid clock may be ahead of the physical clock of its node;
    /// by any time if absent.
    pub hybrid_drift_ms: Option<u64>,
    /// The isolation level by which transactions are judged, such as `snapshot-isolation`: what it
    /// permits is no anomaly. Strict serializability if absent.
    pub isolation: Option<String>,
    /// Texts that mean a crash where a node logs them, besides those that are always looked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub crash_patterns: Vec<String>,
    /// Texts that mean none: a line with one of them is passed over.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub harmless_patterns: Vec<String>,
    /// What it means if a node breaks the protocol that it speaks with the controller; absent if
    /// it speaks none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol: Option<Protocol>,
}

/// What it means if a node breaks the protocol that it speaks with the controller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    /// It is told.
    Told,
    /// It is a violation.
    Strict,
}

impl Default for Assumptions {
    /// One permit, given back by its holder, entered as often as liked; clocks within 200 parts
    /// per million of each other; no account overdrawn; no bound on staleness; replicas agree within a second;
    /// logical clocks may tick as they like, and hybrid ones run ahead; a refusal of permits tells
    /// nothing.
    fn default() -> Self {
        Self {
            permits: 1,
            owned: true,
            entries: None,
            clock_drift_ppm: 200,
            bank_total: None,
            overdraft: false,
            staleness_ms: None,
            settle_ms: 1000,
            clocks_exact: false,
            wait_ms: None,
            hybrid_drift_ms: None,
            isolation: None,
            crash_patterns: Vec::new(),
            harmless_patterns: Vec::new(),
            protocol: None,
        }
    }
}

impl Assumptions {
    /// Whether nothing is assumed but what always is.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}
