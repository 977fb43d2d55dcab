//! A small catalogue with the real names, so that these tests depend on no registry.

use serde::Deserialize;
use serde_json::Value as Json;
use tribunal::suite::catalogue::{Catalogue, FaultEntry, TargetEntry, WorkloadEntry};
use tribunal_nemesis::fabric::Kind as Fabric;
use tribunal_results::Kind;
use tribunal_results::options::{OptionError, TimeRange, decode};
use tribunal_targets::PlantedBug;

const LOCK: [Kind; 6] = [
    Kind::Request,
    Kind::Acquire,
    Kind::TryAcquire,
    Kind::Renew,
    Kind::Release,
    Kind::GuardedWrite,
];
const REGISTER: [Kind; 2] = [Kind::Read, Kind::Write];

const fn bug(
    name: &'static str,
    workload: &'static str,
    faults: &'static [&'static str],
    anomalies: &'static [&'static str],
) -> PlantedBug {
    PlantedBug {
        name,
        about: "",
        workload,
        faults,
        anomalies,
    }
}

static LOCK_BUGS: [PlantedBug; 7] = [
    bug("double-grant", "lock", &[], &["double-hold"]),
    bug("lifo-queue", "lock", &[], &["overtaking"]),
    bug("forget-on-restart", "lock", &["kill"], &["double-hold"]),
    bug("token-reuse", "lock", &[], &["token-not-monotonic"]),
    bug("release-by-anyone", "lock", &[], &["foreign-release"]),
    bug("lease-ignores-renewal", "lock", &[], &["double-hold"]),
    bug("reentrant-leak", "lock", &[], &["double-hold"]),
];
static REGISTER_BUGS: [PlantedBug; 2] = [
    bug("no-write-back", "register", &["kill"], &["stale-read"]),
    bug("read-one", "register", &["partition"], &["stale-read"]),
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LockManager {
    #[serde(default, rename = "lease_ms")]
    _lease_ms: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Lock {
    #[serde(default)]
    locks: usize,
    #[serde(default, rename = "hold")]
    _hold: Option<TimeRange>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Process {
    #[serde(default, rename = "nodes")]
    _nodes: Json,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Shape {
    Halves,
    One,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Partition {
    #[serde(default, rename = "shape")]
    _shape: Option<Shape>,
    #[serde(default, rename = "lag")]
    _lag: Option<TimeRange>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

fn check<T: for<'de> Deserialize<'de>>(options: &Json) -> Result<(), OptionError> {
    decode::<T>(options).map(drop)
}

pub(crate) fn catalogue() -> Catalogue {
    let target = |name, operations: &[Kind], bugs: &[PlantedBug]| TargetEntry {
        needs_own_address: Box::new(|_| false),
        name,
        operations: operations.to_vec(),
        shape: tribunal_targets::Shape::Star,
        bugs: bugs.to_vec(),
        check: {
            let operations = operations.to_vec();
            Box::new(move |options, _| check::<LockManager>(options).map(|()| operations.clone()))
        },
    };
    let faults = [
        "kill",
        "restart",
        "pause",
        "delay",
        "partition",
        "reset",
        "refuse",
        "packet-loss",
    ];
    Catalogue {
        parts: Default::default(),
        targets: vec![
            target("lock-manager", &LOCK, &LOCK_BUGS),
            target("quorum-register", &REGISTER, &REGISTER_BUGS),
        ],
        workloads: vec![
            WorkloadEntry {
                name: "lock",
                needs: vec![Kind::Request, Kind::Acquire, Kind::Renew, Kind::Release],
                anomalies: vec![
                    "double-hold",
                    "foreign-release",
                    "token-not-monotonic",
                    "overtaking",
                    "crash",
                ],
                check: Box::new(|options, setting| {
                    let lock: Lock = decode(options)?;
                    if lock.locks > setting.clients {
                        return Err(OptionError::new("locks", "more locks than clients"));
                    }
                    Ok(())
                }),
            },
            WorkloadEntry {
                name: "renewals",
                needs: vec![Kind::Acquire, Kind::Renew],
                anomalies: vec!["double-hold"],
                check: Box::new(|options, _| check::<Nothing>(options)),
            },
            WorkloadEntry {
                name: "register",
                needs: REGISTER.to_vec(),
                anomalies: vec!["stale-read", "not-linearizable", "crash"],
                check: Box::new(|options, _| check::<Nothing>(options)),
            },
        ],
        faults: faults
            .map(|name| FaultEntry {
                name,
                only_on: (name == "packet-loss").then_some(Fabric::Switch),
                check: match name {
                    "partition" => Box::new(check::<Partition>),
                    "kill" | "restart" | "pause" => Box::new(check::<Process>),
                    _ => Box::new(check::<Nothing>),
                },
            })
            .into(),
    }
}
