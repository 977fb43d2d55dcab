//! What the clock faults share: choosing processes, moving their clocks, and the proof.

use std::collections::BTreeMap;

use rand_pcg::Pcg64Mcg;
use serde_json::{Value as Json, json};
use tribunal_results::NodeId;

use super::{Skew, View};
use crate::aim::{Aim, running};
use crate::process::{injected, on_each, proof_of};
use crate::{Field, Healed, Injected, Injection};

/// Chooses running nodes and what each one's clocks are to show; `None` if none runs.
pub fn choose(
    fault: &str,
    aim: &Aim,
    field: &Field,
    rng: &mut Pcg64Mcg,
    mut skew: impl FnMut(&NodeId, &mut Pcg64Mcg) -> (Skew, String),
) -> Option<Injection> {
    let nodes = aim.choose(field, &running(field), rng);
    if nodes.is_empty() {
        return None;
    }
    let mut skews = BTreeMap::new();
    let mut words = Vec::new();
    for node in &nodes {
        let (skew, what) = skew(node, rng);
        skews.insert(node.to_string(), skew);
        words.push(format!("{node} {what}"));
    }
    Some(Injection {
        fault: fault.to_owned(),
        what: format!("{fault} {}", words.join(", ")),
        nodes,
        links: Vec::new(),
        detail: json!({ "skews": skews }),
    })
}

fn skew_of(injection: &Injection, node: &str) -> Option<Skew> {
    let skew = injection.detail.get("skews")?.get(node)?;
    serde_json::from_value(skew.clone()).ok()
}

/// Moves the clocks of every chosen node, and reads back that its process has it.
pub async fn move_clocks(injection: &Injection, field: &Field) -> Injected {
    let answers = on_each(&injection.nodes, field, |processes, node| {
        let skew = skew_of(injection, &node);
        async move {
            let skew = skew.ok_or("its detail does not say by how much")?;
            let view = processes.skew(&node, Some(&skew)).await?;
            if view.skew.as_ref() == Some(&skew) {
                Ok(json!(view))
            } else {
                Err(format!(
                    "its process shows another skew: {}",
                    json!(view.skew)
                ))
            }
        }
    });
    injected(answers.await)
}

/// Puts every chosen clock right, and reads back that it is. It bit if a process was told another
/// time meanwhile; a process that did not read its clock, or asks the kernel past the vDSO, was
/// not affected.
pub async fn cure(injection: &Injection, field: &Field) -> Healed {
    let answers = on_each(&injection.nodes, field, |processes, node| {
        async move {
            let during = processes.clock(&node);
            let after = processes.skew(&node, None).await?;
            if let Some(left) = &after.skew {
                return Err(format!("its clock is still wrong: {}", json!(left)));
            }
            // A node that died took its counts along; a new one began with the same skew.
            let last: &View = during.as_ref().unwrap_or(&after);
            Ok(json!({
                "pid": last.pid,
                "moved_readings": last.moved_readings,
                "last_moved_by_ns": last.last_moved_by_ns,
                "effective": last.moved_readings > 0,
                "right_again": true,
            }))
        }
    })
    .await;
    let bit = |answer: &Result<Json, String>| {
        answer
            .as_ref()
            .is_ok_and(|proof| proof["effective"] == true)
    };
    Healed {
        bit: answers.values().any(bit),
        proof: proof_of(answers),
    }
}
