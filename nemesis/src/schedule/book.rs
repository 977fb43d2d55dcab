//! What is in force, and whether something more may be: conflicts and the budget.
//!
//! Two faults never hold the same node or the same directed link: whoever comes later ends what is
//! there first (a paused node is resumed before it is killed), so that each cure mends what its own
//! fault broke. And with a [`Budget`], never more nodes are out at once than it allows: what would
//! be too much waits until enough was healed, and is refused if it would be too much even alone.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tribunal_results::NodeId;

use crate::{Fault, Field, Injection, aim};

/// How many nodes may be out (down, standing still, cut off) at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Budget {
    /// Fewer than half: a quorum is left.
    Minority,
    /// One more than that: no quorum need be left.
    Majority,
    /// All.
    #[default]
    Any,
}

impl Budget {
    /// Out of `n` nodes.
    fn nodes(self, n: usize) -> usize {
        match self {
            Self::Minority => aim::minority(n),
            Self::Majority => aim::majority(n),
            Self::Any => n,
        }
    }

    /// Whether it is what applies where nothing is said.
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// What a fault holds while it is in force.
#[derive(Clone, Debug)]
pub(super) struct Claim {
    /// The nodes themselves.
    nodes: Vec<NodeId>,
    /// Directed links.
    links: Vec<(NodeId, NodeId)>,
    /// Who can't serve meanwhile.
    disabled: BTreeSet<NodeId>,
}

impl Claim {
    pub(super) fn of(fault: &dyn Fault, injection: &Injection, field: &Field) -> Self {
        let on_links = !injection.links.is_empty();
        Self {
            nodes: if on_links {
                Vec::new()
            } else {
                injection.nodes.clone()
            },
            links: injection.links.clone(),
            disabled: fault.disables(injection, field).into_iter().collect(),
        }
    }

    fn conflicts(&self, other: &Self) -> bool {
        self.nodes.iter().any(|node| other.nodes.contains(node))
            || self.links.iter().any(|link| other.links.contains(link))
    }
}

#[derive(Clone, Debug)]
struct Entry {
    id: u64,
    claim: Claim,
    /// It was asked to end early.
    ending: bool,
}

/// What asking for admission came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// It is in the book.
    Admitted,
    /// Something had to be healed first: choose again, and ask again.
    Later,
    /// It never will be; why.
    Refused(String),
}

/// The faults in force.
#[derive(Debug)]
pub(super) struct Book {
    most: usize,
    entries: watch::Sender<Vec<Entry>>,
}

impl Book {
    pub(super) fn new(budget: Budget, nodes: usize) -> Self {
        Self {
            most: budget.nodes(nodes),
            entries: watch::Sender::new(Vec::new()),
        }
    }

    /// Enters a fault, or waits until something has ended that stands in its way.
    pub(super) async fn admit(&self, id: u64, claim: Claim) -> Answer {
        let mut seen = self.entries.subscribe();
        seen.mark_unchanged();
        let mut answer = Answer::Later;
        self.entries.send_if_modified(|entries| {
            let asked = |entries: &[Entry]| entries.iter().filter(|e| e.ending).count();
            let before = asked(entries);
            answer = self.decide(entries, id, claim);
            // Asking once more is no news, and would only wake ourselves.
            answer == Answer::Admitted || asked(entries) != before
        });
        if answer == Answer::Later {
            // The sender lives as long as this.
            let _ = seen.changed().await;
        }
        answer
    }

    fn decide(&self, entries: &mut Vec<Entry>, id: u64, claim: Claim) -> Answer {
        if claim.disabled.len() > self.most {
            let (names, most) = (names(&claim.disabled), self.most);
            return Answer::Refused(format!(
                "{names} would be out at once; the budget allows {most}"
            ));
        }
        let mut in_the_way = false;
        for entry in entries
            .iter_mut()
            .filter(|entry| entry.claim.conflicts(&claim))
        {
            entry.ending = true;
            in_the_way = true;
        }
        let mut out = claim.disabled.clone();
        out.extend(entries.iter().flat_map(|e| e.claim.disabled.clone()));
        if in_the_way || out.len() > self.most {
            return Answer::Later;
        }
        let ending = false;
        entries.push(Entry { id, claim, ending });
        Answer::Admitted
    }

    /// Returns when the fault is asked to end early.
    pub(super) async fn told_to_end(&self, id: u64) {
        let told = |entries: &Vec<Entry>| entries.iter().any(|e| e.id == id && e.ending);
        let _ = self.entries.subscribe().wait_for(told).await;
    }

    /// The fault is healed.
    pub(super) fn leave(&self, id: u64) {
        self.entries
            .send_modify(|entries| entries.retain(|entry| entry.id != id));
    }
}

fn names(nodes: &BTreeSet<NodeId>) -> String {
    let names: Vec<&str> = nodes.iter().map(|node| &**node).collect();
    names.join(",")
}

#[cfg(test)]
mod tests {
    use super::Budget;

    #[test]
    fn a_budget_is_a_number_of_nodes() {
        let of = |budget: Budget| [3, 4, 5].map(|n| budget.nodes(n));
        assert_eq!(of(Budget::Minority), [1, 1, 2]);
        assert_eq!(of(Budget::Majority), [2, 3, 3]);
        assert_eq!(of(Budget::Any), [3, 4, 5]);
    }
}
