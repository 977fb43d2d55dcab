//! Options for virtual time: what takes seconds in a real run must come about in one here.

use serde_json::json;

use super::Case;

/// Sets what differs from the defaults for this target, workload or bug.
pub(super) fn tune(case: &mut Case) {
    match case.target.name() {
        "lock-lamport" | "lock-manager" | "lock-ring" => {
            case.options = json!({ "lease_ms": 150 });
        }
        "lock-quorum" => case.options = json!({ "lease_ms": 300, "ttl_ms": 250 }),
        "semaphore" => case.options = json!({ "lease_ms": 150, "wait_ms": 80 }),
        _ => {}
    }
}
