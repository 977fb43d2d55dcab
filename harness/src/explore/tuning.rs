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
        "paxos-kv" => {
            case.options = json!({ "election_ms": 60, "snapshot_every": 20 });
            case.isolates = true;
        }
        "primary-backup" => {
            case.options = json!({ "silence_ms": 150 });
            // It promises nothing to sessions that move.
            case.load = json!({ "moves_after": 0 });
        }
        _ => {}
    }
    match case.bug.map(|bug| bug.name) {
        // What the only acceptor forgets, nobody knows.
        Some("forget-promise") => case.options["members"] = json!(["n1"]),
        // The more that is under way when something goes wrong, the more is lost.
        Some("minority-commit" | "stale-read") => (case.clients, case.rate) = (12, 800.0),
        // Where whoever only reads is certified too, the primary notices.
        Some("fractured-read") => case.options = json!({ "level": "serializable" }),
        _ => {}
    }
}
