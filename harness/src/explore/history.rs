//! What the clients saw, as a history.

use std::collections::HashMap;

use tribunal_results::{Body, Event, History, HistoryError, Nanos, NodeId, Process};
use tribunal_workloads::generator::simulate::{Asked, Trace};

/// The traces, one after the other, as one history. At one instant, ends come before beginnings.
/// Each trace counts its processes from 0, so those of later ones are moved on. `moves_after` says
/// after how many operations a thread goes on to the next node.
///
/// # Errors
/// A process was asked for two things at once, which no simulation does.
pub(super) fn of(
    traces: &[Trace],
    nodes: &[NodeId],
    moves_after: Option<u64>,
) -> Result<History, HistoryError> {
    let mut begun: HashMap<usize, u64> = HashMap::new();
    let mut events: Vec<(Nanos, bool, u64, Option<NodeId>, Body)> = Vec::new();
    let mut first = 0;
    for trace in traces {
        let mut last = 0;
        for step in &trace.steps {
            let Asked {
                time,
                thread,
                process,
                operation,
            } = &step.asked;
            let nth = begun.entry(*thread).or_default();
            let node = tribunal_workloads::node_of(*thread, *nth, moves_after, nodes.len());
            let node = nodes.get(node).cloned();
            *nth += 1;
            last = last.max(*process + 1);
            let process = first + process;
            let invoke = Body::Invoke(operation.clone());
            events.push((*time, true, process, node.clone(), invoke));
            if let Some((at, outcome)) = &step.ended {
                let body = Body::Complete(operation.clone(), outcome.clone());
                events.push((*at, false, process, node, body));
            }
        }
        first += last;
    }
    events.sort_by_key(|(time, invokes, ..)| (*time, *invokes));
    let event = |(index, (time, _, process, node, body))| Event {
        index: index as u64,
        time,
        process: Process::Client(process),
        node,
        body,
    };
    History::from_events(events.into_iter().enumerate().map(event))
}
