//! Logical clocks: what happened before what, without looking at a wall clock.
//!
//! | module | what it holds |
//! |---|---|
//! | [`lamport`] | one counter: an order of all events that agrees with cause and effect |

pub mod lamport;
