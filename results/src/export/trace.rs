//! Chrome's trace event format, which Perfetto reads too: <https://ui.perfetto.dev>.
//!
//! Three processes: the clients with an operation each slice, the nodes with their states and
//! with who leads, and the faults, which may overlap. Times are microseconds to the nanosecond.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

use serde_json::{Value as Json, json};

use super::{ExportError, Exported, Format};
use crate::{Call, FaultSpan, Nanos, Outcome};

pub(super) static FORMAT: Format = Format {
    name: "trace",
    about: "Chrome's trace event format, for ui.perfetto.dev: operations, faults, states of nodes",
    write,
};

const CLIENTS: u64 = 1;
const NODES: u64 = 2;
const FAULTS: u64 = 3;
/// The longest text of a slice, in characters.
const TEXT_MAX: usize = 1_000;

/// Writes one event after the other.
struct Writer<'a> {
    output: &'a mut dyn Write,
    first: bool,
}

impl Writer<'_> {
    fn put(&mut self, event: &Json) -> Result<(), ExportError> {
        let before: &[u8] = if self.first { b"\n" } else { b",\n" };
        self.first = false;
        self.output.write_all(before)?;
        Ok(serde_json::to_writer(&mut *self.output, event)?)
    }

    /// Names a process, or a thread of it.
    fn name(&mut self, pid: u64, tid: Option<u64>, name: &str) -> Result<(), ExportError> {
        let what = match tid {
            None => "process_name",
            Some(_) => "thread_name",
        };
        let tid = tid.unwrap_or(0);
        self.put(
            &json!({"ph": "M", "name": what, "pid": pid, "tid": tid, "args": {"name": clip(name)}}),
        )?;
        let order = match what {
            "process_name" => "process_sort_index",
            _ => "thread_sort_index",
        };
        let at = if what == "process_name" { pid } else { tid };
        self.put(
            &json!({"ph": "M", "name": order, "pid": pid, "tid": tid, "args": {"sort_index": at}}),
        )
    }
}

fn write(output: &mut dyn Write, exported: &Exported<'_>) -> Result<(), ExportError> {
    output.write_all(b"{\"displayTimeUnit\":\"ns\",\"traceEvents\":[")?;
    let mut writer = Writer {
        output,
        first: true,
    };
    clients(&mut writer, exported)?;
    nodes(&mut writer, exported)?;
    writer.name(FAULTS, None, "faults")?;
    for span in exported.history.fault_spans() {
        fault(&mut writer, &span, end_of(exported))?;
    }
    Ok(writer.output.write_all(b"\n]}\n")?)
}

fn end_of(exported: &Exported<'_>) -> Nanos {
    exported.history.end().map_or(0, |stamp| stamp.time)
}

/// Operations: a row for each client, whose numbers go on after unknown outcomes.
fn clients(writer: &mut Writer<'_>, exported: &Exported<'_>) -> Result<(), ExportError> {
    let row = |call: &Call| match exported.clients {
        Some(clients) if clients > 0 => call.process % clients,
        _ => call.process,
    };
    writer.name(CLIENTS, None, "clients")?;
    let calls = exported.history.calls();
    let rows: BTreeSet<u64> = calls.iter().map(row).collect();
    for tid in rows {
        writer.name(CLIENTS, Some(tid), &format!("p{tid}"))?;
    }
    let end = end_of(exported);
    for call in calls {
        writer.put(&operation(call, row(call), end))?;
    }
    Ok(())
}

fn operation(call: &Call, tid: u64, end: Nanos) -> Json {
    let (outcome, said) = match &call.outcome {
        Outcome::Ok(answer) => ("ok", answer.to_string()),
        Outcome::Fail(reason) => ("fail", reason.to_string()),
        Outcome::Info(reason) => ("info", reason.to_string()),
    };
    let sign = match &call.outcome {
        Outcome::Ok(_) => "",
        Outcome::Fail(_) => "✗ ",
        Outcome::Info(_) => "? ",
    };
    let to = call.completed.map_or(end, |stamp| stamp.time);
    let asked = call.operation.to_string();
    json!({
        "ph": "X",
        "name": format!("{sign}{}", clip(&asked)),
        "cat": outcome,
        "pid": CLIENTS,
        "tid": tid,
        "ts": Micros(call.invoked.time).json(),
        "dur": Micros(to.saturating_sub(call.invoked.time)).json(),
        "args": {
            "outcome": outcome,
            "answer": clip(&said),
            "process": call.process,
            "node": call.node.as_deref().map(clip),
            "event": call.invoked.index,
        },
    })
}

/// A row of states for each node, and one of when it led if it ever did.
fn nodes(writer: &mut Writer<'_>, exported: &Exported<'_>) -> Result<(), ExportError> {
    writer.name(NODES, None, "nodes")?;
    let mut rows: BTreeMap<&str, Vec<(Nanos, String, &str)>> = BTreeMap::new();
    for (time, event) in exported.history.node_events() {
        let state = serde_json::to_value(event.state)?;
        let state = state.as_str().unwrap_or_default().to_owned();
        rows.entry(&event.node)
            .or_default()
            .push((*time, state, &event.detail));
    }
    let mut leads: BTreeMap<&str, Vec<(Nanos, bool)>> = BTreeMap::new();
    for (time, event) in exported.history.leader_events() {
        rows.entry(&event.node).or_default();
        leads
            .entry(&event.node)
            .or_default()
            .push((*time, event.leads));
    }
    let end = end_of(exported);
    for (at, (node, states)) in rows.iter().enumerate() {
        let tid = 2 * at as u64;
        writer.name(NODES, Some(tid), node)?;
        for (nth, (from, state, detail)) in states.iter().enumerate() {
            let to = states.get(nth + 1).map_or(end, |next| next.0);
            writer.put(&slice(NODES, tid, state, (*from, to), detail))?;
        }
        let Some(leads) = leads.get(node) else {
            continue;
        };
        writer.name(NODES, Some(tid + 1), &format!("{node} leads"))?;
        for (nth, (from, _)) in leads.iter().enumerate().filter(|(_, lead)| lead.1) {
            let to = leads.get(nth + 1).map_or(end, |next| next.0);
            writer.put(&slice(NODES, tid + 1, "leader", (*from, to), ""))?;
        }
    }
    Ok(())
}

fn slice(pid: u64, tid: u64, name: &str, (from, to): (Nanos, Nanos), detail: &str) -> Json {
    json!({
        "ph": "X",
        "name": name,
        "pid": pid,
        "tid": tid,
        "ts": Micros(from).json(),
        "dur": Micros(to.saturating_sub(from)).json(),
        "args": {"detail": clip(detail)},
    })
}

/// A fault as a pair of asynchronous events: these may overlap.
fn fault(writer: &mut Writer<'_>, span: &FaultSpan, end: Nanos) -> Result<(), ExportError> {
    let name = match span.what.as_str() {
        "" => clip(&span.fault),
        what => clip(what),
    };
    let event = |phase: &str, time: Nanos, args: Json| {
        json!({
            "ph": phase,
            "name": name,
            "cat": clip(&span.fault),
            "id": span.id,
            "pid": FAULTS,
            "tid": 0,
            "ts": Micros(time).json(),
            "args": args,
        })
    };
    let effect = match (&span.skipped, span.bit) {
        (Some(_), _) => "skipped",
        (None, Some(true)) => "bit",
        (None, Some(false)) => "had no effect",
        (None, None) => "unknown",
    };
    let args = json!({"fault": clip(&span.fault), "nodes": span.nodes, "effect": effect});
    writer.put(&event("b", span.from, args))?;
    let healed = json!({"healed": span.to.is_some()});
    writer.put(&event("e", span.to.unwrap_or(end), healed))
}

fn clip(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(TEXT_MAX) {
        None => Cow::Borrowed(text),
        Some((end, _)) => Cow::Owned(format!("{}…", text.get(..end).unwrap_or_default())),
    }
}

/// Nanoseconds that are shown as microseconds.
struct Micros(Nanos);

impl Micros {
    /// A number of JSON: exact below 2^53 nanoseconds, which are 104 days.
    #[expect(clippy::cast_precision_loss, reason = "runs take less than 104 days")]
    fn json(&self) -> Json {
        Json::from(self.0 as f64 / 1e3)
    }
}
