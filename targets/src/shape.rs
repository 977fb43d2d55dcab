//! Shapes of networks.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Which nodes are linked; always in both directions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Shape {
    /// Each with each.
    #[default]
    Mesh,
    /// Each with the one before and the one after it; the last with the first.
    Ring,
    /// All with the first alone.
    Star,
    /// Each with its parent: node `i` (from 1) with node `i / 2`.
    Tree,
}

impl Shape {
    /// Whether the nodes at these places, from 0, are linked, of so many.
    pub const fn links(self, i: usize, j: usize, count: usize) -> bool {
        let (low, high) = if i < j { (i, j) } else { (j, i) };
        match self {
            Self::Mesh => low != high,
            Self::Ring => high == low + 1 || (low == 0 && high + 1 == count && high != low),
            Self::Star => low == 0 && high != 0,
            Self::Tree => low != high && high.div_ceil(2) == low + 1,
        }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mesh => "mesh",
            Self::Ring => "ring",
            Self::Star => "star",
            Self::Tree => "tree",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Shape;

    /// The links of five nodes, the smaller place first.
    fn links(shape: Shape) -> Vec<(usize, usize)> {
        let pairs = (0..5).flat_map(|i| (i..5).map(move |j| (i, j)));
        let linked: Vec<_> = pairs.filter(|(i, j)| shape.links(*i, *j, 5)).collect();
        for i in 0..5 {
            for j in 0..5 {
                assert_eq!(shape.links(i, j, 5), shape.links(j, i, 5));
            }
        }
        linked
    }

    #[test]
    fn each_shape_has_its_links() {
        assert_eq!(links(Shape::Mesh).len(), 10);
        assert_eq!(links(Shape::Ring), [(0, 1), (0, 4), (1, 2), (2, 3), (3, 4)]);
        assert_eq!(links(Shape::Star), [(0, 1), (0, 2), (0, 3), (0, 4)]);
        assert_eq!(links(Shape::Tree), [(0, 1), (0, 2), (1, 3), (1, 4)]);
        assert!(!Shape::Ring.links(0, 0, 1) && Shape::Ring.links(0, 1, 2));
    }
}
