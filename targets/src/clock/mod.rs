//! Logical clocks: time as the order of causes and effects, carried on messages.
//!
//! | module | what it holds |
//! |---|---|
//! | [`hybrid`] | hybrid logical clocks: close to physical time, and never against causality |
//! | [`lamport`] | one counter: an order of all events that agrees with cause and effect |
//! | [`vector`] | vector clocks: tell causes from what is merely concurrent |

pub mod hybrid;
pub mod lamport;
pub mod vector;

pub use hybrid::HybridClock;
pub use vector::VectorClock;
