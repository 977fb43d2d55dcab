//! Calls to the disks of some nodes fail.

use std::collections::BTreeMap;

use rand_pcg::Pcg64Mcg;
use serde::Deserialize;
use serde_json::{Map, Value as Json, json};
use tribunal_results::options::{OptionError, decode};

use crate::aim::Aim;
use crate::disk::{Call, Rules, Tally};
use crate::process::{Answers, choose, injected, on_each, proof_of, revive};
use crate::{Fault, Field, Healed, Injected, Injection, Need, Pending};

/// How the layer between a process and its files is called on the record.
pub(crate) const TIER: &str = "FUSE layer over the data directory";

/// The fault `disk-error`.
#[derive(Debug)]
pub struct DiskError;

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Options {
    /// Whose disks.
    nodes: Aim,
    /// What fails.
    calls: Vec<Call>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            nodes: Aim::default(),
            calls: vec![Call::Write, Call::Fsync],
        }
    }
}

impl Fault for DiskError {
    fn name(&self) -> &'static str {
        "disk-error"
    }

    fn about(&self) -> &'static str {
        "fails writes, fsyncs or reads of nodes (EIO)"
    }

    fn colour(&self) -> &'static str {
        "#a0522d"
    }

    fn check_options(&self, options: &Json) -> Result<(), OptionError> {
        if decode::<Options>(options)?.calls.is_empty() {
            return Err(OptionError::new(
                "calls",
                "nothing fails; write some of [read, write, fsync]",
            ));
        }
        Ok(())
    }

    fn needs(&self) -> Option<Need> {
        Some(Need::Disk)
    }

    fn resolve(&self, options: &Json, field: &Field, rng: &mut Pcg64Mcg) -> Option<Injection> {
        let Options { nodes, calls } = decode(options).ok()?;
        let mut injection = choose(self.name(), &nodes, Map::new(), field, rng)?;
        injection.detail["calls"] = json!(calls);
        Some(injection)
    }

    fn inject<'a>(&'a self, injection: &'a Injection, field: &'a Field) -> Pending<'a, Injected> {
        Box::pin(async move {
            match serde_json::from_value(injection.detail["calls"].clone()) {
                Ok(calls) => {
                    let calls: Vec<Call> = calls;
                    let fail = |rules: &mut Rules| rules.failing.clone_from(&calls);
                    break_disks(injection, field, fail)
                }
                Err(e) => Injected::Skipped(format!("its detail does not say what fails: {e}")),
            }
        })
    }

    fn heal<'a>(&'a self, injection: &'a Injection, field: &'a Field) -> Pending<'a, Healed> {
        let work = |rules: &mut Rules| rules.failing.clear();
        Box::pin(mend_disks(injection, field, work, |did| did.failed))
    }
}

/// Breaks the disks of the chosen nodes.
pub(crate) fn break_disks(
    injection: &Injection,
    field: &Field,
    change: impl Fn(&mut Rules),
) -> Injected {
    let mut answers: Answers<Json> = BTreeMap::new();
    for node in &injection.nodes {
        let answer = field.processes.disk(node).map(|disk| {
            disk.begin(&injection.fault, &change);
            json!({ "tier": TIER, "rules": disk.rules() })
        });
        answers.insert(node.clone(), answer);
    }
    injected(answers)
}

/// Mends the disks of the chosen nodes, and starts those that ended by themselves meanwhile: to
/// stop is a right answer to a disk that fails. It bit if the count rose, that is, if a process
/// asked for something that was refused, failed or was late.
pub(crate) async fn mend_disks(
    injection: &Injection,
    field: &Field,
    change: impl Fn(&mut Rules) + Send + Sync,
    count: fn(&Tally) -> u64,
) -> Healed {
    for node in &injection.nodes {
        if let Ok(disk) = field.processes.disk(node) {
            disk.change(&change);
        }
    }
    let answers = on_each(&injection.nodes, field, |processes, node| {
        let fault = injection.fault.clone();
        async move {
            let disk = processes.disk(&node)?;
            let pid = revive(processes, node).await?;
            let affected = disk.since(&fault, count);
            Ok(json!({ "tier": TIER, "calls_affected": affected, "rules": disk.rules(), "pid": pid }))
        }
    })
    .await;
    let bit = |answer: &Result<Json, String>| {
        answer
            .as_ref()
            .is_ok_and(|proof| proof["calls_affected"].as_u64().unwrap_or(0) > 0)
    };
    Healed {
        bit: answers.values().any(bit),
        proof: proof_of(answers),
    }
}
