//! Strongly connected components (Tarjan, *Depth-first search and linear graph algorithms*,
//! 1972), without recursion.

/// The number of each node's component. Numbers are in reverse topological order: an edge never
/// leads to a component of a larger number.
pub(crate) fn components<'g, E: 'g + Copy>(
    nodes: u32,
    edges: impl Fn(u32) -> &'g [E],
    follow: impl Fn(u32, E) -> Option<u32>,
) -> Vec<u32> {
    let mut tarjan = Tarjan {
        index: vec![UNSEEN; nodes as usize],
        low: vec![0; nodes as usize],
        component: vec![UNSEEN; nodes as usize],
        stack: Vec::new(),
        next: 0,
        components: 0,
    };
    let mut path: Vec<(u32, usize)> = Vec::new();
    for root in 0..nodes {
        if get(&tarjan.index, root) != UNSEEN {
            continue;
        }
        tarjan.enter(root);
        path.push((root, 0));
        while let Some((node, at)) = path.last_mut() {
            let node = *node;
            if let Some(&edge) = edges(node).get(*at) {
                *at += 1;
                let Some(to) = follow(node, edge) else {
                    continue;
                };
                if get(&tarjan.index, to) == UNSEEN {
                    tarjan.enter(to);
                    path.push((to, 0));
                } else if get(&tarjan.component, to) == UNSEEN {
                    let index = get(&tarjan.index, to);
                    tarjan.lower(node, index);
                }
                continue;
            }
            path.pop();
            tarjan.leave(node);
            if let Some((parent, _)) = path.last() {
                let low = get(&tarjan.low, node);
                tarjan.lower(*parent, low);
            }
        }
    }
    tarjan.component
}

const UNSEEN: u32 = u32::MAX;

struct Tarjan {
    index: Vec<u32>,
    low: Vec<u32>,
    component: Vec<u32>,
    stack: Vec<u32>,
    next: u32,
    components: u32,
}

fn get(of: &[u32], node: u32) -> u32 {
    of.get(node as usize).copied().unwrap_or(UNSEEN)
}

fn set(of: &mut [u32], node: u32, value: u32) {
    if let Some(place) = of.get_mut(node as usize) {
        *place = value;
    }
}

impl Tarjan {
    fn enter(&mut self, node: u32) {
        set(&mut self.index, node, self.next);
        set(&mut self.low, node, self.next);
        self.next += 1;
        self.stack.push(node);
    }

    fn lower(&mut self, node: u32, to: u32) {
        let low = get(&self.low, node).min(to);
        set(&mut self.low, node, low);
    }

    /// All edges of the node were followed: if it is the root of a component, that is complete.
    fn leave(&mut self, node: u32) {
        if get(&self.low, node) != get(&self.index, node) {
            return;
        }
        while let Some(member) = self.stack.pop() {
            set(&mut self.component, member, self.components);
            if member == node {
                break;
            }
        }
        self.components += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::components;

    #[test]
    fn nodes_on_a_common_cycle_share_a_component() {
        let edges: [&[u32]; 6] = [&[1], &[2], &[0, 3], &[4], &[3], &[]];
        let of = components(6, |node| edges[node as usize], |_, to| Some(to));
        assert!(of[0] == of[1] && of[1] == of[2]);
        assert_eq!(of[3], of[4]);
        assert!(of[0] > of[3], "later components have smaller numbers");
        assert!(of[5] != of[0] && of[5] != of[3]);
    }
}
