//! The load of [`lock`](crate::lock) on locks that are granted in any order, under fencing tokens.

use crate::lock::Lock;

/// The fenced mutex workload.
pub static FENCED_MUTEX: Lock = Lock {
    name: "fenced-mutex",
    about: "critical sections under locks that are granted in any order, with fencing tokens",
    checkers: &["mutual-exclusion", "fencing"],
};
