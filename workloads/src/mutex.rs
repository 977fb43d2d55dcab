//! The load of [`lock`](crate::lock) on locks that promise nothing but that one client at a time
//! holds them: granted in any order, under tokens that only tell one hold from another.

use crate::lock::Lock;

/// The mutex workload.
pub static MUTEX: Lock = Lock {
    name: "mutex",
    about: "critical sections under locks that are granted in any order, with tokens in none",
    checkers: &["mutual-exclusion"],
};
