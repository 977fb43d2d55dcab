//! A segment tree: for nested stretches of a stack's elements.

/// How to combine two values, and what changes nothing.
pub(super) trait Combine {
    /// The neutral value.
    const NEUTRAL: u32;

    /// Of two values the one that counts.
    fn combine(a: u32, b: u32) -> u32;
}

/// The least of a range.
#[derive(Debug)]
pub(super) struct Least;

impl Combine for Least {
    const NEUTRAL: u32 = u32::MAX;

    #[inline]
    fn combine(a: u32, b: u32) -> u32 {
        a.min(b)
    }
}

/// The greatest of a range.
#[derive(Debug)]
pub(super) struct Greatest;

impl Combine for Greatest {
    const NEUTRAL: u32 = 0;

    #[inline]
    fn combine(a: u32, b: u32) -> u32 {
        a.max(b)
    }
}

/// Numbers of which one can be changed, and the least or greatest of a range asked for, each in
/// logarithmic time.
#[derive(Debug)]
pub(super) struct Tree<C> {
    nodes: Vec<u32>,
    leaves: usize,
    combine: std::marker::PhantomData<C>,
}

impl<C: Combine> Tree<C> {
    pub(super) fn new(values: impl ExactSizeIterator<Item = u32>) -> Self {
        let leaves = values.len().next_power_of_two();
        let mut nodes = vec![C::NEUTRAL; leaves];
        nodes.extend(values);
        nodes.resize(2 * leaves, C::NEUTRAL);
        let mut tree = Self {
            nodes,
            leaves,
            combine: std::marker::PhantomData,
        };
        for node in (1..leaves).rev() {
            tree.renew(node);
        }
        tree
    }

    #[inline]
    fn node(&self, at: usize) -> u32 {
        self.nodes.get(at).copied().unwrap_or(C::NEUTRAL)
    }

    #[inline]
    fn renew(&mut self, at: usize) {
        let value = C::combine(self.node(2 * at), self.node(2 * at + 1));
        if let Some(node) = self.nodes.get_mut(at) {
            *node = value;
        }
    }

    /// Takes a number out.
    pub(super) fn clear(&mut self, at: usize) {
        let mut node = at + self.leaves;
        if let Some(leaf) = self.nodes.get_mut(node) {
            *leaf = C::NEUTRAL;
        }
        while node > 1 {
            node /= 2;
            self.renew(node);
        }
    }

    /// The least or greatest of `from..to`.
    pub(super) fn over(&self, from: usize, to: usize) -> u32 {
        let (mut low, mut high) = (from + self.leaves, to + self.leaves);
        let mut value = C::NEUTRAL;
        while low < high {
            if low % 2 == 1 {
                value = C::combine(value, self.node(low));
                low += 1;
            }
            if high % 2 == 1 {
                high -= 1;
                value = C::combine(value, self.node(high));
            }
            low /= 2;
            high /= 2;
        }
        value
    }

    /// The first place from `from` on whose number satisfies a condition that holds of a range
    /// if and only if it holds of one of its numbers.
    pub(super) fn first(&self, from: usize, holds: impl Fn(u32) -> bool) -> Option<usize> {
        let mut node = from + self.leaves;
        if from >= self.leaves {
            return None;
        }
        // Up and to the right until a subtree has one, then down into it.
        while !holds(self.node(node)) {
            while node % 2 == 1 {
                node /= 2;
                if node <= 1 {
                    return None;
                }
            }
            if node == 0 {
                return None;
            }
            node += 1;
        }
        while node < self.leaves {
            node *= 2;
            if !holds(self.node(node)) {
                node += 1;
            }
        }
        Some(node - self.leaves)
    }
}
