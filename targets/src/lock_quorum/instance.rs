//! The leases that one node grants, all by itself: what a single Redis does in the scheme.

use std::collections::BTreeMap;

use tribunal_results::Scalar;

use crate::node::Nanos;

/// How many locks an instance knows at most.
const LEASES_MAX: usize = 100_000;

/// Leases in memory; a restart forgets them.
#[derive(Debug, Default)]
pub(super) struct Instance {
    leases: BTreeMap<Scalar, Lease>,
}

#[derive(Debug)]
struct Lease {
    value: u64,
    ends: Nanos,
}

impl Instance {
    /// Grants a lease until `ends` if the lock is free, or leased under this very value.
    pub(super) fn lease(&mut self, lock: &Scalar, value: u64, ends: Nanos, now: Nanos) -> bool {
        if self.leases.len() >= LEASES_MAX {
            self.leases.retain(|_, lease| lease.ends > now);
        }
        let full = self.leases.len() >= LEASES_MAX;
        let granted = match self.leases.get(lock) {
            Some(lease) => lease.value == value || lease.ends <= now,
            None => !full,
        };
        if granted {
            self.leases.insert(lock.clone(), Lease { value, ends });
        }
        granted
    }

    /// Ends the lease under this value, if it is there.
    pub(super) fn unlease(&mut self, lock: &Scalar, value: u64) {
        if self
            .leases
            .get(lock)
            .is_some_and(|lease| lease.value == value)
        {
            self.leases.remove(lock);
        }
    }
}
