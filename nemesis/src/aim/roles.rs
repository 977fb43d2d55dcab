//! Who leads, and at which nodes locks are held: asked of nodes and clients.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::timeout;
use tribunal_results::{NodeId, NodeState};

use crate::Field;
use crate::process::on_each;

/// How long a node may take to say how it is.
const ANSWER_WITHIN: Duration = Duration::from_millis(250);

/// What nodes and clients said of themselves when they were last asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roles {
    /// The nodes that say that they lead, those that most nodes follow first. There may be
    /// several: one of them may not know yet that it has been deposed.
    pub leaders: Vec<NodeId>,
    /// The nodes that say that they hold a lock, or through which a client holds one, in order.
    pub holders: Vec<NodeId>,
    /// The nodes that belong to the system, as the first of the leaders says that knows.
    pub members: Option<Vec<NodeId>>,
}

/// Asks every node that is ready how it is, at its own address (so that no broken link is in the
/// way), and the clients who holds what. Who does not answer in a quarter of a second plays no
/// role.
pub async fn ask(field: &Field) -> Roles {
    let answers = on_each(&field.nodes, field, |processes, node: NodeId| async move {
        if processes.state(&node) != NodeState::Ready {
            return Ok(None);
        }
        let asked = timeout(ANSWER_WITHIN, processes.status(&node)).await;
        Ok(asked.ok().flatten())
    });
    let mut followers: BTreeMap<NodeId, usize> = BTreeMap::new();
    let mut members: BTreeMap<NodeId, Vec<NodeId>> = BTreeMap::new();
    let mut roles = Roles::default();
    for (node, status) in answers.await {
        let Ok(Some(status)) = status else { continue };
        if status.leader.as_ref() == Some(&node) {
            roles.leaders.push(node.clone());
        }
        if status.role == "holder" {
            roles.holders.push(node.clone());
        }
        if let Some(named) = status.members {
            members.insert(node, named);
        }
        if let Some(leader) = status.leader {
            *followers.entry(leader).or_default() += 1;
        }
    }
    let following = |node: &NodeId| followers.get(node).copied().unwrap_or_default();
    roles
        .leaders
        .sort_by_key(|node| std::cmp::Reverse(following(node)));
    roles.members = roles.leaders.iter().find_map(|node| members.remove(node));
    let inside = field.clients.inside();
    roles
        .holders
        .extend(inside.into_iter().filter_map(|held| held.node));
    roles.holders.sort();
    roles.holders.dedup();
    roles
}
