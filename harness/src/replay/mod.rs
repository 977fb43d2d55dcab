//! A recorded run again: the schedule that was executed, the same operations, and how often that
//! shows the same thing.
//!
//! | module | what it does |
//! |---|---|
//! | [`case`] | a recorded run → what it did and what it showed |
//! | [`batch`] | one plan tried several times, several at once |

pub mod batch;
pub mod case;

pub use self::batch::{Batch, Shown};
pub use self::case::{Case, Sought};
