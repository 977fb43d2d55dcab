//! The true vector clocks of a journal: how many events of each node happen before an event, or
//! are it (Fidge 1988, Mattern 1989).

use super::{Place, Trace};

/// True vector clocks, all in one array.
pub(crate) struct Causes {
    nodes: usize,
    counts: Vec<u32>,
}

impl Causes {
    /// One pass over the trace, causes first.
    pub(crate) fn new(trace: &Trace<'_>) -> Self {
        let nodes = trace.by_node.len();
        let mut causes = Self {
            nodes,
            counts: vec![0; nodes * trace.messages.events.len()],
        };
        for &place in &trace.order {
            let before = [trace.previous(place), trace.sending(place)];
            for before in before.into_iter().flatten() {
                causes.join(place, before);
            }
            if let Some(event) = trace.event(place) {
                let at = place as usize * nodes + event.node as usize;
                if let Some(count) = causes.counts.get_mut(at) {
                    *count += 1;
                }
            }
        }
        causes
    }

    /// The clock of an event: an entry for each node.
    pub(crate) fn of(&self, place: Place) -> &[u32] {
        let from = place as usize * self.nodes;
        self.counts.get(from..from + self.nodes).unwrap_or_default()
    }

    fn join(&mut self, place: Place, before: Place) {
        let (into, from) = (place as usize * self.nodes, before as usize * self.nodes);
        for at in 0..self.nodes {
            let known = self.counts.get(from + at).copied().unwrap_or(0);
            if let Some(count) = self.counts.get_mut(into + at) {
                *count = known.max(*count);
            }
        }
    }
}
