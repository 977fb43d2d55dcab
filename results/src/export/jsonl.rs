//! Our own format, as [`journal`](crate::journal) writes it.

use std::io::Write;

use super::{ExportError, Exported, Format, Moment, Moments};
use crate::event::{Body, Event, Process};

/// The most bytes that are gathered before they are written.
const PENDING_MAX: usize = 1 << 18;

pub(super) static FORMAT: Format = Format {
    name: "jsonl",
    about: "Tribunal's own, one JSON object a line: also of a history from elsewhere",
    write,
};

fn write(output: &mut dyn Write, exported: &Exported<'_>) -> Result<(), ExportError> {
    let mut journal = crate::journal::JournalWriter::new(exported.header)?;
    for moment in Moments::of(exported.history) {
        journal.append(&event(journal.next_index(), moment))?;
        if journal.pending_bytes() > PENDING_MAX {
            output.write_all(&journal.take())?;
        }
    }
    Ok(output.write_all(&journal.take())?)
}

fn event(index: u64, moment: Moment<'_>) -> Event {
    let (time, process, node, body) = match moment {
        Moment::Invoke(call) => (
            call.invoked.time,
            Process::Client(call.process),
            call.node.clone(),
            Body::Invoke(call.operation.clone()),
        ),
        Moment::Complete(call) => (
            call.completed.map_or(call.invoked.time, |stamp| stamp.time),
            Process::Client(call.process),
            call.node.clone(),
            Body::Complete(call.operation.clone(), call.outcome.clone()),
        ),
        Moment::Fault(time, fault) => (time, Process::Nemesis, None, Body::Fault(fault.clone())),
        Moment::Node(time, node) => (time, Process::Nemesis, None, Body::Node(node.clone())),
        Moment::Leader(time, leader) => {
            (time, Process::Nemesis, None, Body::Leader(leader.clone()))
        }
    };
    Event {
        index,
        time,
        process,
        node,
        body,
    }
}
