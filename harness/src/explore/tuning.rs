//! Options for virtual time: what takes seconds in a real run must come about in one here.

use serde_json::json;

use super::Case;

/// Sets what differs from the defaults for this target, workload or bug.
pub(super) fn tune(case: &mut Case) {
    if case.target.name() == "lock-manager" {
        case.options = json!({ "lease_ms": 150 });
    }
    // It promises nothing to sessions that move.
    if case.target.name() == "primary-backup" {
        case.load = json!({ "moves_after": 0 });
    }
}
