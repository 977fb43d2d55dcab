//! Who is linked to whom, at which addresses, and what each node is told of it.

use std::collections::BTreeMap;

use tribunal_nemesis::fabric::switch::Home;
use tribunal_nemesis::fabric::{Fabric, LinkSpec};
use tribunal_results::NodeId;
use tribunal_results::run::RunDir;
use tribunal_targets::{NodeSpec, Router};

use super::field::CLIENTS;
use crate::cluster::Block;
use crate::plan::Plan;

/// Every directed link between nodes, and from the clients to each node.
pub(super) fn links(nodes: &[NodeId], block: &Block) -> Vec<LinkSpec> {
    let mut links = Vec::new();
    for (j, to) in nodes.iter().enumerate().map(|(j, to)| (j + 1, to)) {
        let mut link = |i: usize, from: NodeId| {
            let (listen, dial) = (block.link(i, j), block.node(j));
            links.push(LinkSpec {
                from,
                to: to.clone(),
                listen,
                dial,
            });
        };
        link(0, CLIENTS.into());
        for (i, from) in nodes.iter().enumerate().map(|(i, from)| (i + 1, from)) {
            if i != j {
                link(i, from.clone());
            }
        }
    }
    links
}

/// Where those nodes live that are behind a switch.
pub(super) fn homes(nodes: &[NodeId], fabric: &Fabric) -> BTreeMap<NodeId, Home> {
    let home = |node: &NodeId| Some((node.clone(), fabric.home(node)?.clone()));
    nodes.iter().filter_map(home).collect()
}

pub(super) fn node_specs(
    plan: &Plan,
    dir: &RunDir,
    nodes: &[NodeId],
    block: &Block,
    fabric: &Fabric,
) -> anyhow::Result<Vec<NodeSpec>> {
    let spec = |(i, id): (usize, &NodeId)| {
        let peers = nodes.iter().filter(|peer| *peer != id).map(|peer| {
            let address = fabric
                .address(id, peer)
                .ok_or_else(|| anyhow::anyhow!("the fabric has no link {id} → {peer}"))?;
            Ok((peer.clone(), address))
        });
        Ok(NodeSpec {
            id: id.clone(),
            listen: match fabric.home(id) {
                Some(home) => home.listen,
                None => block.node(i + 1),
            },
            peers: peers.collect::<anyhow::Result<_>>()?,
            nodes: nodes.to_vec(),
            data: dir.node(id).join("data"),
            bug: plan.target.bug.clone(),
            options: plan.target.options.clone(),
        })
    };
    nodes.iter().enumerate().map(spec).collect()
}
