//! Options for virtual time: what takes seconds in a real run must come about in one here.

use serde_json::json;

use super::Case;

/// Sets what differs from the defaults for this target, workload or bug.
pub(super) fn tune(case: &mut Case) {
    if case.target.name() == "lock-manager" {
        case.options = json!({ "lease_ms": 150 });
    }
    // Where whoever only reads is certified too, the primary notices.
    if case.bug.is_some_and(|bug| bug.name == "fractured-read") {
        case.options = json!({ "level": "serializable" });
    }
}
