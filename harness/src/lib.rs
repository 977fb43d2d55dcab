//! When: suite → plans → run → record → report; and the command line.
//!
//! | module | what it does |
//! |---|---|
//! | [`plan`] | one run to do, fully resolved and seeded |
//! | [`suite`] | YAML in, plans out, with errors that point at the line |
//! | [`cluster`] | node processes: addresses, spawning, guarding, readiness |

pub mod cluster;
pub mod plan;
pub mod suite;
