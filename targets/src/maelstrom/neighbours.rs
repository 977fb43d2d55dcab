//! What nodes are told of their neighbours: a `topology` message, for those that speak
//! `broadcast`. It is advice; messages between any two nodes pass all the same.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};
use tribunal_results::NodeId;

/// Who is whose neighbour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Neighbours {
    /// A grid, as square as it can be.
    #[default]
    Grid,
    /// A line.
    Line,
    /// Everybody everybody's.
    Total,
    /// A tree in which each has up to two children.
    Tree2,
    /// A tree in which each has up to three children.
    Tree3,
    /// A tree in which each has up to four children.
    Tree4,
}

impl Neighbours {
    fn are(self, a: usize, b: usize, count: usize) -> bool {
        let (low, high) = (a.min(b), a.max(b));
        let children = |most: usize| (high - 1) / most == low;
        match self {
            _ if low == high => false,
            Self::Grid => {
                let width = (1..=count).find(|w| w * w >= count).unwrap_or(1);
                let is_beside = high - low == 1 && high % width != 0;
                is_beside || high - low == width
            }
            Self::Line => high - low == 1,
            Self::Total => true,
            Self::Tree2 => children(2),
            Self::Tree3 => children(3),
            Self::Tree4 => children(4),
        }
    }

    /// The neighbours of each node.
    pub(super) fn of(self, nodes: &[NodeId]) -> Json {
        let list = |a: usize| {
            let near = (0..nodes.len()).filter(|b| self.are(a, *b, nodes.len()));
            let named = near
                .filter_map(|b| nodes.get(b))
                .map(|node| Json::from(&**node));
            named.collect::<Json>()
        };
        let lists = nodes
            .iter()
            .enumerate()
            .map(|(a, id)| (id.to_string(), list(a)));
        Json::Object(lists.collect::<Map<_, _>>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_shape_is_connected_and_mutual() {
        use Neighbours::{Grid, Line, Total, Tree2, Tree3, Tree4};
        for shape in [Grid, Line, Total, Tree2, Tree3, Tree4] {
            for count in 1..=26 {
                let (mut seen, mut next) = (vec![false; count], vec![0]);
                while let Some(at) = next.pop() {
                    if !std::mem::replace(&mut seen[at], true) {
                        next.extend((0..count).filter(|other| shape.are(at, *other, count)));
                    }
                }
                assert!(seen.iter().all(|seen| *seen), "{shape:?} of {count}");
            }
        }
    }

    #[test]
    fn a_grid_of_five_is_two_rows() {
        let nodes = ["n1", "n2", "n3", "n4", "n5"].map(NodeId::from);
        let expected = r#"{"n1":["n2","n4"],"n2":["n1","n3","n5"],"n3":["n2"],"n4":["n1","n5"],"n5":["n2","n4"]}"#;
        assert_eq!(Neighbours::Grid.of(&nodes).to_string(), expected);
    }
}
