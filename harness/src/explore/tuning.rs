//! Options for virtual time: what takes seconds in a real run must come about in one here.

use serde_json::json;

use super::Case;

/// Sets what differs from the defaults for this target, workload or bug.
pub(super) fn tune(case: &mut Case) {
    if case.target.name() == "lock-manager" {
        case.options = json!({ "lease_ms": 150 });
    }
    if case.target.name() == "paxos-kv" {
        case.options = json!({ "election_ms": 60, "snapshot_every": 20 });
        case.isolates = true;
    }
    match case.bug.map(|bug| bug.name) {
        // What the only acceptor forgets, nobody knows.
        Some("forget-promise") => case.options["members"] = json!(["n1"]),
        // The more that is under way when something goes wrong, the more is lost.
        Some("minority-commit" | "stale-read") => (case.clients, case.rate) = (12, 800.0),
        _ => {}
    }
    // Where whoever only reads is certified too, the primary notices.
    if case.bug.is_some_and(|bug| bug.name == "fractured-read") {
        case.options = json!({ "level": "serializable" });
    }
}
