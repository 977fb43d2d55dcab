//! What a run looks like at this moment, from the events that are recorded.

use std::collections::{BTreeMap, BTreeSet};

use tribunal_results::{Body, Nanos, NodeId, NodeState, Phase};

/// States of nodes and faults, as far as they have been recorded.
#[derive(Debug, Default)]
pub struct Scene {
    /// The last state of each node.
    pub nodes: BTreeMap<NodeId, NodeState>,
    /// The nodes that lead, as far as they say.
    pub leaders: BTreeSet<NodeId>,
    /// What is broken now, by the number of the fault.
    pub active: BTreeMap<u64, Active>,
    /// How many faults of each name have bitten.
    pub bitten: BTreeMap<String, u64>,
}

/// A fault in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Active {
    /// What is done, in a short phrase.
    pub what: String,
    /// Since when.
    pub since: Nanos,
}

impl Scene {
    /// Takes the next event into account.
    pub fn see(&mut self, time: Nanos, body: &Body) {
        match body {
            Body::Node(event) => {
                self.nodes.insert(event.node.clone(), event.state);
            }
            Body::Leader(event) => {
                match event.leads {
                    true => self.leaders.insert(event.node.clone()),
                    false => self.leaders.remove(&event.node),
                };
            }
            Body::Fault(event) => match event.phase {
                Phase::Injected if event.skipped.is_none() => {
                    let what = match event.what.is_empty() {
                        true => event.fault.clone(),
                        false => event.what.clone(),
                    };
                    let active = Active { what, since: time };
                    self.active.insert(event.id, active);
                }
                Phase::Healed => {
                    // Healing is repeated at the end of a run; only the first cure counts.
                    let was_active = self.active.remove(&event.id).is_some();
                    if was_active && event.bit == Some(true) {
                        *self.bitten.entry(event.fault.clone()).or_default() += 1;
                    }
                }
                Phase::Inject | Phase::Injected | Phase::Heal => {}
            },
            Body::Invoke(_) | Body::Complete(..) | Body::Machine(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value as Json;
    use tribunal_results::{FaultEvent, NodeEvent};

    fn fault(id: u64, phase: Phase, skipped: Option<&str>, bit: Option<bool>) -> Body {
        Body::Fault(FaultEvent {
            fault: "pause".into(),
            id,
            phase,
            nodes: vec!["n2".into()],
            links: Vec::new(),
            what: "pause n2".into(),
            skipped: skipped.map(str::to_owned),
            proof: Json::Null,
            bit,
            injection: Json::Null,
        })
    }

    #[test]
    fn a_fault_is_active_from_injection_to_cure_and_counts_once_if_it_bit() {
        let mut scene = Scene::default();
        scene.see(1, &fault(0, Phase::Inject, None, None));
        assert!(scene.active.is_empty());
        scene.see(2, &fault(0, Phase::Injected, None, None));
        scene.see(3, &fault(1, Phase::Injected, Some("n2 is down"), None));
        let expected = Active {
            what: "pause n2".into(),
            since: 2,
        };
        assert_eq!(scene.active, BTreeMap::from([(0, expected)]));
        scene.see(4, &fault(0, Phase::Healed, None, Some(true)));
        scene.see(5, &fault(0, Phase::Healed, None, Some(true)));
        scene.see(6, &fault(2, Phase::Injected, None, None));
        scene.see(7, &fault(2, Phase::Healed, None, Some(false)));
        assert!(scene.active.is_empty());
        assert_eq!(scene.bitten, BTreeMap::from([("pause".into(), 1)]));
    }

    #[test]
    fn a_node_has_its_last_state() {
        let mut scene = Scene::default();
        for state in [NodeState::Ready, NodeState::Paused] {
            let event = NodeEvent {
                node: "n2".into(),
                state,
                pid: None,
                detail: String::new(),
            };
            scene.see(1, &Body::Node(event));
        }
        assert_eq!(
            scene.nodes,
            BTreeMap::from([("n2".into(), NodeState::Paused)])
        );
    }
}
