//! Node processes: addresses, spawning, guarding, readiness.
