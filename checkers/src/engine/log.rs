//! In which order operations took effect, for every configuration at once.

/// The most places that are remembered; with more, orders are no longer recorded.
const NODES_MAX: usize = 1 << 21;
/// Forgotten branches are not swept away below this.
const SWEEP_MIN: usize = 1 << 14;

/// The end of an order in a [`Log`]: the operation that took effect last, and through it all
/// before. 0 is the empty order.
pub(super) type Past = u32;

/// Orders that share their beginnings, as a tree of which every node knows its parent.
#[derive(Debug)]
pub(crate) struct Log {
    /// Parent and operation; the first is the root.
    nodes: Vec<(Past, u32)>,
    sweep_at: usize,
    full: bool,
}

impl Log {
    /// Records orders.
    pub(crate) fn new() -> Self {
        Self {
            nodes: vec![(0, 0)],
            sweep_at: SWEEP_MIN,
            full: false,
        }
    }

    /// Records nothing.
    pub(crate) fn none() -> Self {
        Self {
            full: true,
            ..Self::new()
        }
    }

    /// The order and then the operation.
    pub(super) fn and(&mut self, past: Past, op: u32) -> Past {
        if self.full {
            return 0;
        }
        let at = self.nodes.len() as Past;
        self.nodes.push((past, op));
        at
    }

    /// Forgets all orders but these, if there are many. Nodes come after their parents, so one
    /// pass from the end finds what is still needed, and one from the front moves it.
    pub(super) fn sweep<'p>(&mut self, pasts: impl Iterator<Item = &'p mut Past>) {
        if self.nodes.len() < self.sweep_at {
            return;
        }
        let pasts: Vec<&mut Past> = pasts.collect();
        let mut places = vec![Past::MAX; self.nodes.len()];
        let mut keep = |at: Past| {
            if let Some(place) = places.get_mut(at as usize) {
                *place = 0;
            }
        };
        keep(0);
        pasts.iter().for_each(|past| keep(**past));
        for at in (0..self.nodes.len()).rev() {
            if places.get(at) == Some(&0)
                && let Some(&(parent, _)) = self.nodes.get(at)
                && let Some(place) = places.get_mut(parent as usize)
            {
                *place = 0;
            }
        }
        let mut kept = Vec::new();
        for (at, &(parent, op)) in self.nodes.iter().enumerate() {
            let parent = places.get(parent as usize).copied().unwrap_or(0);
            if let Some(place) = places.get_mut(at).filter(|place| **place == 0) {
                *place = kept.len() as Past;
                kept.push((parent, op));
            }
        }
        for past in pasts {
            *past = places.get(*past as usize).copied().unwrap_or(0);
        }
        self.nodes = kept;
        self.sweep_at = (2 * self.nodes.len()).max(SWEEP_MIN);
        if self.nodes.len() > NODES_MAX {
            self.full = true;
            self.nodes = vec![(0, 0)];
        }
    }

    /// The operations of an order, the first first; `None` if they were too many.
    pub(super) fn order(&self, past: Past) -> Option<Vec<usize>> {
        if self.full {
            return None;
        }
        let mut order = Vec::new();
        let mut at = past;
        while at != 0 {
            let &(parent, op) = self.nodes.get(at as usize)?;
            order.push(op as usize);
            at = parent;
        }
        order.reverse();
        Some(order)
    }

    /// Bytes of memory held, roughly.
    pub(super) fn bytes(&self) -> u64 {
        (self.nodes.len() * size_of::<(Past, u32)>()) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_still_needed_survives_sweeping() {
        let mut log = Log::new();
        let trunk = log.and(0, 7);
        let mut branches: Vec<Past> = (0..SWEEP_MIN as u32).map(|op| log.and(trunk, op)).collect();
        let mut left = log.and(branches[40], 8);
        let mut right = branches.split_off(9)[0];
        let before = log.bytes();
        log.sweep([&mut left, &mut right].into_iter());
        assert!(log.bytes() < before / 100);
        assert_eq!(log.order(left), Some(vec![7, 40, 8]));
        assert_eq!(log.order(right), Some(vec![7, 9]));
        let after = log.and(right, 3);
        assert_eq!(log.order(after), Some(vec![7, 9, 3]));
    }
}
