//! Who is linked to whom, and how far apart they are.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tribunal_nemesis::fabric::{Bandwidth, Delay, Distribution, Rule};
use tribunal_results::NodeId;
use tribunal_results::options::{Rate, Time};
use tribunal_targets::Shape;

/// The network between nodes while nothing is broken.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Topology {
    /// Which nodes are linked. Between others connections are refused.
    #[serde(rename = "type", default)]
    pub shape: Shape,
    /// How long a message takes over each link, one way.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub latency: Time,
    /// The most that is added to it, drawn anew for whatever is read at once.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub jitter: Time,
    /// How that is spread.
    #[serde(default, skip_serializing_if = "is_uniform")]
    pub distribution: Distribution,
    /// What each link carries, one way; as much as the machine can if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bandwidth: Option<Rate>,
    /// Links that take another time, or carry more or less.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<LinkLatency>,
}

/// A directed link that takes a time, or has a bandwidth, of its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinkLatency {
    /// Whose messages.
    pub from: NodeId,
    /// To whom.
    pub to: NodeId,
    /// How long they take, one way; as long as those of all others if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<Time>,
    /// How much it carries; as much as all others if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bandwidth: Option<Rate>,
}

fn is_uniform(distribution: &Distribution) -> bool {
    *distribution == Distribution::Uniform
}

fn is_zero(time: &Time) -> bool {
    time.0.is_zero()
}

impl Topology {
    /// What each link does while nothing else is in force; links that do nothing are left out.
    /// Every node is linked to all services, which are not linked to each other.
    pub fn rules(&self, nodes: &[NodeId], services: &[&str]) -> BTreeMap<(NodeId, NodeId), Rule> {
        let mut rules = BTreeMap::new();
        let served = services.iter().map(|name| NodeId::from(*name));
        for service in served {
            for node in nodes {
                for (from, to) in [(node, &service), (&service, node)] {
                    let rule = self.late(from, to);
                    if rule != Rule::default() {
                        rules.insert((from.clone(), to.clone()), rule);
                    }
                }
            }
        }
        for (i, from) in nodes.iter().enumerate() {
            for (j, to) in nodes.iter().enumerate().filter(|(j, _)| *j != i) {
                let rule = match self.shape.links(i, j, nodes.len()) {
                    true => self.late(from, to),
                    false => Rule::refuse(),
                };
                if rule != Rule::default() {
                    rules.insert((from.clone(), to.clone()), rule);
                }
            }
        }
        rules
    }

    fn late(&self, from: &NodeId, to: &NodeId) -> Rule {
        // The last that says so counts.
        let own = || self.links.iter().rev();
        let own = || own().filter(|link| link.from == *from && link.to == *to);
        let latency = own().find_map(|link| link.latency);
        let bandwidth = own().find_map(|link| link.bandwidth);
        let delay = Delay {
            base: latency.unwrap_or(self.latency).0,
            jitter: self.jitter.0,
            distribution: self.distribution,
            ..Delay::default()
        };
        let bandwidth = bandwidth.or(self.bandwidth).map(|rate| Bandwidth {
            rate: rate.0,
            burst: 0,
        });
        Rule {
            delay,
            bandwidth,
            ..Rule::default()
        }
    }

    /// What is wrong with it, for so many nodes and a target that needs a shape.
    ///
    /// # Errors
    /// In one sentence.
    pub fn check(&self, nodes: &[NodeId], needed: Shape) -> Result<(), String> {
        for link in &self.links {
            let known = |node: &NodeId| nodes.contains(node);
            if !known(&link.from) || !known(&link.to) || link.from == link.to {
                return Err(format!(
                    "there is no link from {} to {}; nodes are called n1 to n{}",
                    link.from,
                    link.to,
                    nodes.len()
                ));
            }
        }
        let links = self.links.iter().map(|link| link.bandwidth);
        if links
            .chain([self.bandwidth])
            .any(|rate| rate == Some(Rate(0)))
        {
            return Err("a link that carries nothing is no link; leave `bandwidth` out".into());
        }
        let count = nodes.len();
        let pairs = (0..count).flat_map(|i| (0..count).map(move |j| (i, j)));
        let missing = |(i, j): &(usize, usize)| {
            i != j && needed.links(*i, *j, count) && !self.shape.links(*i, *j, count)
        };
        match pairs.into_iter().find(missing) {
            None => Ok(()),
            Some((i, j)) => Err(format!(
                "the target needs a {needed}, but a {} of {count} nodes has no link from n{} to n{}",
                self.shape,
                i + 1,
                j + 1
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn nodes() -> Vec<NodeId> {
        ["n1", "n2", "n3", "n4"].map(NodeId::from).to_vec()
    }

    fn rule(topology: &Topology, from: &str, to: &str) -> Option<Rule> {
        let rules = topology.rules(&nodes(), &[]);
        rules.get(&(from.into(), to.into())).copied()
    }

    #[test]
    fn a_mesh_without_latency_changes_nothing() {
        assert!(Topology::default().rules(&nodes(), &[]).is_empty());
    }

    #[test]
    fn links_that_a_shape_lacks_refuse_and_the_others_are_late() {
        let topology = Topology {
            shape: Shape::Ring,
            latency: Time::millis(2),
            jitter: Time::millis(1),
            distribution: Distribution::default(),
            bandwidth: None,
            links: vec![LinkLatency {
                from: "n4".into(),
                to: "n1".into(),
                latency: Some(Time::millis(20)),
                bandwidth: None,
            }],
        };
        let late = |ms| Rule::delay(Duration::from_millis(ms), Duration::from_millis(1));
        assert_eq!(rule(&topology, "n1", "n2"), Some(late(2)));
        assert_eq!(rule(&topology, "n1", "n4"), Some(late(2)));
        assert_eq!(rule(&topology, "n4", "n1"), Some(late(20)));
        assert_eq!(rule(&topology, "n1", "n3"), Some(Rule::refuse()));
    }

    #[test]
    fn a_link_may_carry_less_than_the_others() {
        let narrow = |to: &str, rate| LinkLatency {
            from: "n1".into(),
            to: to.into(),
            latency: None,
            bandwidth: Some(Rate(rate)),
        };
        let mut topology = Topology {
            latency: Time::millis(2),
            bandwidth: Some(Rate(1_000_000)),
            links: vec![narrow("n2", 500), narrow("n2", 1000)],
            ..Topology::default()
        };
        let rate = |to| {
            let rule = rule(&topology, "n1", to).unwrap();
            assert_eq!(rule.delay.base, Duration::from_millis(2));
            rule.bandwidth.map(|bandwidth| bandwidth.rate)
        };
        assert_eq!((rate("n2"), rate("n3")), (Some(1000), Some(1_000_000)));
        topology.links.push(narrow("n3", 0));
        let why = topology.check(&nodes(), Shape::Mesh).unwrap_err();
        assert!(why.contains("carries nothing"), "{why}");
    }

    #[test]
    fn a_target_is_refused_links_that_it_needs() {
        let ring = Topology {
            shape: Shape::Ring,
            ..Topology::default()
        };
        assert!(ring.check(&nodes(), Shape::Ring).is_ok());
        let why = ring.check(&nodes(), Shape::Star).unwrap_err();
        assert!(why.contains("no link from n1 to n3"), "{why}");
        let mut strange = Topology::default();
        strange.links.push(LinkLatency {
            from: "n1".into(),
            to: "n9".into(),
            latency: None,
            bandwidth: None,
        });
        let why = strange.check(&nodes(), Shape::Mesh).unwrap_err();
        assert!(why.contains("n1 to n9"), "{why}");
    }
}
