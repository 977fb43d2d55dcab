//! The operations of a run as compact columns for the page's script: JSON, compressed, base64.
//!
//! What is embedded is bounded. Of a longer history the operations around contradictions are
//! kept first, then those that overlap faults, then an even sample of the rest.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde::Serialize;

use super::logs::{self, Lines};
use super::performance::{self, Series};
use super::text::{clip, ending};
use super::window::Entry;
use super::{Report, ReportError};
use crate::{Call, FaultSpan, Kind, Nanos, NodeState, Outcome};

/// The most operations that are embedded.
const CALLS_MAX: usize = 200_000;
/// The most that the embedded data may take, in bytes of base64.
const BYTES_MAX: usize = 3_000_000;
/// The most faults that are embedded.
pub(super) const FAULTS_MAX: usize = 2_000;
/// The most changes of nodes' states that are embedded.
const STATES_MAX: usize = 10_000;
/// The most calls of one contradiction that are marked in the timeline.
const FRAMES_MAX: usize = 1_000;
/// The longest text of one operation, in characters.
const TEXT_MAX: usize = 240;
/// The most links of one fault that are embedded.
const LINKS_MAX: usize = 100;
/// The longest name of a node, in characters.
const NODE_MAX: usize = 40;
/// The faults that let nothing through the links that they are aimed at.
const CUTTING: [&str; 3] = ["partition", "refuse", "reset"];
/// The most lanes: of more clients, several share one.
pub(super) const LANES_MAX: u64 = 128;

/// The embedded data.
pub(super) struct Embedded {
    /// Base64 of compressed JSON.
    pub base64: String,
    /// How many operations it holds.
    pub shown: usize,
}

/// Everything that the script draws.
#[derive(Serialize)]
pub(super) struct Data<'a> {
    end: Nanos,
    lanes: u64,
    clients: usize,
    kinds: Vec<&'static str>,
    texts: Vec<String>,
    calls: Columns,
    faults: Vec<Fault<'a>>,
    states: Vec<State<'a>>,
    leaders: Vec<Lead<'a>>,
    anomalies: Vec<Contradiction<'a>>,
    series: &'a Series,
    logs: &'a [Lines<'a>],
}

/// One entry a call in each column. Texts are numbers of `texts`; 0 is the empty text.
#[derive(Debug, Default, Serialize)]
pub(super) struct Columns {
    /// Index and time of the invocation of the last call.
    #[serde(skip)]
    last: (u64, Nanos),
    /// Index of the invocation, less that of the call before.
    index: Vec<u64>,
    /// Index of the completion, less that of the invocation; 0 if there is none.
    returned: Vec<u64>,
    /// Time of the invocation, less that of the call before.
    time: Vec<Nanos>,
    /// Nanoseconds from invocation to completion, or to the end of the record.
    took: Vec<Nanos>,
    /// 0 ok, 1 fail, 2 info.
    outcome: Vec<u8>,
    kind: Vec<u8>,
    lane: Vec<u64>,
    process: Vec<usize>,
    node: Vec<usize>,
    key: Vec<usize>,
    asked: Vec<usize>,
    ended: Vec<usize>,
    reason: Vec<usize>,
}

#[derive(Serialize)]
struct Fault<'a> {
    name: Cow<'a, str>,
    colour: &'a str,
    from: Nanos,
    to: Option<Nanos>,
    what: Cow<'a, str>,
    bit: Option<bool>,
    /// The links that it was aimed at, from node to node.
    links: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    /// Whether nothing gets through them, rather than less, later or otherwise.
    cuts: bool,
}

#[derive(Serialize)]
struct State<'a> {
    node: Cow<'a, str>,
    time: Nanos,
    state: NodeState,
    detail: Cow<'a, str>,
}

#[derive(Serialize)]
struct Lead<'a> {
    node: Cow<'a, str>,
    time: Nanos,
    leads: bool,
}

#[derive(Serialize)]
struct Contradiction<'a> {
    sentence: Cow<'a, str>,
    from: Nanos,
    to: Nanos,
    calls: &'a [u64],
}

/// Embeds the record, within bounds whatever it holds.
pub(super) fn embed(report: &Report<'_>, spans: &[FaultSpan]) -> Result<Embedded, ReportError> {
    let series = performance::over_time(report.history)?;
    let logs = logs::of(report);
    let mut max = CALLS_MAX;
    let mut fitted = false;
    loop {
        let calls = chosen(report, spans, max);
        let data = data(report, spans, &calls, &series, &logs);
        let base64 = STANDARD.encode(compress(&serde_json::to_vec(&data)?)?);
        if base64.len() <= BYTES_MAX || max == 0 {
            let shown = calls.len();
            return Ok(Embedded { base64, shown });
        }
        // As many as should fit by the size so far; if that guess is wrong, ever half as many.
        max = match fitted {
            false => calls.len() * (BYTES_MAX / 100 * 95) / base64.len(),
            true => calls.len() / 2,
        };
        fitted = true;
    }
}

fn compress(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes)?;
    encoder.finish()
}

/// At most `max` calls in the order of invocation: all if they fit.
fn chosen<'a>(report: &Report<'a>, spans: &[FaultSpan], max: usize) -> Vec<&'a Call> {
    let calls = report.history.calls();
    if calls.len() <= max {
        return calls.iter().collect();
    }
    let anomalies: Vec<_> = report.anomalies().collect();
    let in_anomaly = |call: &Call| {
        let overlaps = |(from, to): (Nanos, Nanos)| call.invoked.time <= to && end_of(call) >= from;
        anomalies
            .iter()
            .any(|a| a.calls.contains(&call.invoked.index) || overlaps(a.span))
    };
    let in_fault = |call: &Call| {
        let mut done = spans.iter().filter(|span| span.skipped.is_none());
        done.any(|s| call.invoked.time <= s.to.unwrap_or(Nanos::MAX) && end_of(call) >= s.from)
    };
    let mut tiers: [Vec<&Call>; 3] = Default::default();
    for call in calls {
        let tier = match call {
            call if in_anomaly(call) => 0,
            call if in_fault(call) => 1,
            _ => 2,
        };
        tiers[tier].push(call);
    }
    let mut kept = Vec::with_capacity(max);
    for tier in &tiers {
        let room = max - kept.len();
        kept.extend(evenly(tier, room));
    }
    kept.sort_by_key(|call| call.invoked.index);
    kept
}

/// At most `max` of the items, evenly spread.
fn evenly<'a, T: Copy>(items: &'a [T], max: usize) -> impl Iterator<Item = T> + 'a {
    let count = items.len().min(max);
    (0..count).filter_map(move |n| items.get(n * items.len() / count).copied())
}

fn end_of(call: &Call) -> Nanos {
    call.completed.map_or(Nanos::MAX, |stamp| stamp.time)
}

pub(super) fn data<'a>(
    report: &Report<'a>,
    spans: &'a [FaultSpan],
    calls: &[&Call],
    series: &'a Series,
    logs: &'a [Lines<'a>],
) -> Data<'a> {
    let end = report.history.end().map_or(0, |stamp| stamp.time);
    let mut texts = Texts::default();
    let lanes = lanes(report, calls);
    let calls = columns(calls, end, lanes, &mut texts);
    let done = spans.iter().filter(|span| span.skipped.is_none());
    Data {
        end,
        lanes,
        clients: report.info.clients,
        kinds: Kind::ALL.map(Kind::name).to_vec(),
        texts: texts.list,
        calls,
        faults: done
            .take(FAULTS_MAX)
            .map(|span| fault(report, span))
            .collect(),
        states: states(report),
        leaders: leaders(report),
        anomalies: report.anomalies().map(contradiction).collect(),
        series,
        logs,
    }
}

/// How many lanes there are: one for each client that works at a time, which carries one process
/// after the other. Where the number of clients is not known, one for each process.
fn lanes(report: &Report<'_>, calls: &[&Call]) -> u64 {
    let processes = calls
        .iter()
        .map(|call| call.process.saturating_add(1))
        .max();
    let clients = match report.info.clients {
        0 => processes.unwrap_or(1),
        clients => clients as u64,
    };
    clients.min(processes.unwrap_or(1)).clamp(1, LANES_MAX)
}

fn columns(calls: &[&Call], end: Nanos, lanes: u64, texts: &mut Texts) -> Columns {
    let mut columns = Columns::default();
    for call in calls {
        columns.push(&entry(call, end, lanes), texts);
    }
    columns
}

/// A call as the script takes it; one that never completed reaches to the end of the record.
fn entry<'a>(call: &'a Call, end: Nanos, lanes: u64) -> Entry<'a> {
    let (outcome, reason) = match &call.outcome {
        Outcome::Ok(_) => (0, ""),
        Outcome::Fail(reason) => (1, reason.text.as_str()),
        Outcome::Info(reason) => (2, reason.text.as_str()),
    };
    let key = call.operation.key().map(ToString::to_string);
    Entry {
        index: call.invoked.index,
        returned: call.completed.map(|stamp| stamp.index),
        from: call.invoked.time,
        until: call.completed.map_or(end, |stamp| stamp.time),
        outcome,
        kind: kind_number(call.operation.kind()),
        lane: call.process % lanes,
        process: call.process,
        node: call.node.as_deref().unwrap_or("").into(),
        key: key.unwrap_or_default().into(),
        asked: call.operation.to_string().into(),
        ended: ending(&call.outcome).into(),
        reason: reason.into(),
    }
}

/// The place of a kind among all kinds, as the script knows it.
pub(super) fn kind_number(kind: Kind) -> u8 {
    let at = Kind::ALL.iter().position(|k| *k == kind);
    at.and_then(|at| u8::try_from(at).ok()).unwrap_or(0)
}

impl Columns {
    /// Adds a call, which must have been invoked after all before it.
    pub(super) fn push(&mut self, entry: &Entry<'_>, texts: &mut Texts) {
        let (index, time) = self.last;
        self.last = (entry.index, entry.from);
        self.index.push(entry.index.saturating_sub(index));
        self.time.push(entry.from.saturating_sub(time));
        let returned = entry.returned.unwrap_or(entry.index);
        self.returned.push(returned.saturating_sub(entry.index));
        self.took.push(entry.until.saturating_sub(entry.from));
        self.outcome.push(entry.outcome);
        self.kind.push(entry.kind);
        self.lane.push(entry.lane);
        self.process
            .push(texts.number(&format!("p{}", entry.process)));
        self.node.push(texts.number(&entry.node));
        self.key.push(texts.number(&entry.key));
        self.asked.push(texts.number(&entry.asked));
        self.ended.push(texts.number(&entry.ended));
        self.reason.push(texts.number(&entry.reason));
    }
}

fn fault<'a>(report: &Report<'a>, span: &'a FaultSpan) -> Fault<'a> {
    Fault {
        name: clip(&span.fault, TEXT_MAX),
        colour: report.colour(&span.fault),
        from: span.from,
        to: span.to,
        what: clip(&span.what, TEXT_MAX),
        bit: span.bit,
        links: span
            .links
            .iter()
            .take(LINKS_MAX)
            .map(|(from, to)| (clip(from, NODE_MAX), clip(to, NODE_MAX)))
            .collect(),
        cuts: CUTTING.contains(&span.fault.as_str()),
    }
}

fn states<'a>(report: &Report<'a>) -> Vec<State<'a>> {
    let events = report.history.node_events().iter().take(STATES_MAX);
    events
        .map(|(time, event)| State {
            node: clip(&event.node, TEXT_MAX),
            time: *time,
            state: event.state,
            detail: clip(&event.detail, TEXT_MAX),
        })
        .collect()
}

fn leaders<'a>(report: &Report<'a>) -> Vec<Lead<'a>> {
    let events = report.history.leader_events().iter().take(STATES_MAX);
    events
        .map(|(time, event)| Lead {
            node: clip(&event.node, TEXT_MAX),
            time: *time,
            leads: event.leads,
        })
        .collect()
}

fn contradiction(anomaly: &crate::Anomaly) -> Contradiction<'_> {
    Contradiction {
        sentence: clip(&anomaly.sentence, TEXT_MAX),
        from: anomaly.span.0,
        to: anomaly.span.1,
        calls: anomaly.calls.get(..FRAMES_MAX).unwrap_or(&anomaly.calls),
    }
}

/// Texts told apart, each stored once.
pub(super) struct Texts {
    pub list: Vec<String>,
    numbers: HashMap<String, usize>,
}

impl Default for Texts {
    fn default() -> Self {
        Self {
            list: vec![String::new()],
            numbers: HashMap::from([(String::new(), 0)]),
        }
    }
}

impl Texts {
    fn number(&mut self, text: &str) -> usize {
        let text = clip(text, TEXT_MAX);
        if let Some(&number) = self.numbers.get(text.as_ref()) {
            return number;
        }
        let number = self.list.len();
        self.list.push(text.clone().into_owned());
        self.numbers.insert(text.into_owned(), number);
        number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_even_sample_begins_with_the_first_and_keeps_the_order() {
        let items: Vec<u32> = (0..10).collect();
        assert_eq!(evenly(&items, 4).collect::<Vec<_>>(), [0, 2, 5, 7]);
        assert_eq!(evenly(&items, 99).count(), 10);
        assert_eq!(evenly(&items, 0).count(), 0);
    }
}
