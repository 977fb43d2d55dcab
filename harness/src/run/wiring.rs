//! Who is linked to whom, at which addresses, and what each node is told of it.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use tribunal_nemesis::fabric::switch::Home;
use tribunal_nemesis::fabric::{Fabric, LinkSpec};
use tribunal_results::NodeId;
use tribunal_results::run::RunDir;
use tribunal_targets::{NodeSpec, Router, System};

use super::field::CLIENTS;
use crate::cluster::Block;
use crate::plan::Plan;

/// Every directed link between nodes, and from the clients to each node. If each node advertises one
/// address, all links from nodes to it begin there, also its own, and those of clients that it sends
/// there; else each has an address of its own.
pub(super) fn links(nodes: &[NodeId], block: &Block, one_address: bool) -> Vec<LinkSpec> {
    let mut links = Vec::new();
    for (j, to) in nodes.iter().enumerate().map(|(j, to)| (j + 1, to)) {
        let mut link = |from: NodeId, listen: SocketAddr| {
            links.push(LinkSpec {
                from,
                to: to.clone(),
                listen,
                dial: block.node(j),
            });
        };
        link(CLIENTS.into(), block.link(0, j));
        if one_address {
            link(CLIENTS.into(), advertised(block, j));
        }
        for (i, from) in nodes.iter().enumerate().map(|(i, from)| (i + 1, from)) {
            if one_address {
                link(from.clone(), advertised(block, j));
            } else if i != j {
                link(from.clone(), block.link(i, j));
            }
        }
    }
    links
}

/// The one address that node `j` advertises: the place of a link from it to itself.
fn advertised(block: &Block, j: usize) -> SocketAddr {
    block.link(j, j)
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
    one_address: bool,
) -> anyhow::Result<Vec<NodeSpec>> {
    let spec = |(i, id): (usize, &NodeId)| {
        let peers = nodes.iter().filter(|peer| *peer != id).map(|peer| {
            let address = fabric
                .address(id, peer)
                .ok_or_else(|| anyhow::anyhow!("the fabric has no link {id} → {peer}"))?;
            Ok((peer.clone(), address))
        });
        let (listen, reached) = match fabric.home(id) {
            Some(home) => (home.listen, home.listen),
            None => (block.node(i + 1), advertised(block, i + 1)),
        };
        Ok(NodeSpec {
            id: id.clone(),
            listen,
            advertised: one_address.then_some(reached),
            peers: peers.collect::<anyhow::Result<_>>()?,
            nodes: nodes.to_vec(),
            data: dir.node(id).join("data"),
            bug: plan.target.bug.clone(),
            options: plan.target.options.clone(),
        })
    };
    nodes.iter().enumerate().map(spec).collect()
}

/// Who takes part besides nodes and clients, if the target carries their lines itself.
pub(super) fn carried(plan: &Plan) -> Option<&'static [&'static str]> {
    plan.parts.target(&plan.target.target)?.carries_lines()
}

/// Everybody between whom there are links.
pub(super) fn ends(nodes: &[NodeId], services: Option<&[&str]>) -> Vec<NodeId> {
    let services = services.into_iter().flatten().copied().map(NodeId::from);
    let others = services.chain([CLIENTS.into()]);
    nodes.iter().cloned().chain(others).collect()
}

/// Where each node itself listens.
pub(super) fn addresses(nodes: &[NodeId], block: &Block) -> Vec<(NodeId, SocketAddr)> {
    let listens = |(i, id): (usize, &NodeId)| (id.clone(), block.node(i + 1));
    nodes.iter().enumerate().map(listens).collect()
}

/// Whether all dial each node at one address.
pub(super) fn has_one_address(plan: &Plan) -> bool {
    plan.parts
        .target(&plan.target.target)
        .is_some_and(|target| target.advertises_one_address(&plan.target.options))
}

/// What a plan tests.
pub(super) fn system(plan: &Plan) -> anyhow::Result<System> {
    let target = plan
        .parts
        .target(&plan.target.target)
        .ok_or_else(|| anyhow::anyhow!("there is no target {}", plan.target.target))?;
    System::new(target, &plan.target.options)
        .map_err(|e| anyhow::anyhow!("options of the target: {}: {e}", e.path))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn addresses(one_address: bool) -> BTreeSet<(String, SocketAddr)> {
        let nodes: Vec<NodeId> = ["n1", "n2", "n3"].map(NodeId::from).into();
        let block = Block::reserve(None).unwrap();
        let own: Vec<_> = (1..=3).map(|i| block.node(i)).collect();
        let links = links(&nodes, &block, one_address);
        let told = links.into_iter().filter(|link| &*link.from != CLIENTS);
        told.map(|link| {
            assert!(!own.contains(&link.listen), "{link:?}");
            (link.to.to_string(), link.listen)
        })
        .collect()
    }

    #[test]
    fn all_dial_a_node_at_one_address_only_if_it_advertises_one() {
        assert_eq!(addresses(false).len(), 6);
        assert_eq!(addresses(true).len(), 3);
    }
}
