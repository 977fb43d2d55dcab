//! One contradiction as a small drawing of just the calls that matter.
//!
//! The drawing is laid out here and drawn by the page's template as SVG, so that it shows without
//! scripts. Its time axis keeps the order of all events but not their distances: the calls of a
//! contradiction may lie microseconds or minutes apart.

use super::Report;
use super::orders::{self, Orders};
use super::scale::{Scale, Tick, as_pixels, text_width, ticks};
use super::text::{clip, ending, instant};
use crate::{Anomaly, Call, FaultSpan, Nanos, Outcome};

/// The most calls that are drawn.
const CALLS_MAX: usize = 40;
/// The checker whose contradictions are about orders in real time.
const LINEARIZABLE: &str = "linearizable";
/// The most facts that are listed.
const FACTS_MAX: usize = 20;
/// The longest sentence, in characters.
const SENTENCE_MAX: usize = 1_000;
/// The longest label in the drawing, in characters.
const LABEL_MAX: usize = 48;
/// Where the lanes begin and end, and how wide the drawing is, in pixels.
const LEFT: f64 = 96.0;
const RIGHT: f64 = 1_010.0;
const WIDTH: f64 = 1_040.0;
/// Heights in pixels: of a bar, of a row of labels, of a band's title, of the axis.
const BAR: f64 = 16.0;
const LABEL_ROW: f64 = 15.0;
const BAND_ROW: f64 = 18.0;
const AXIS: f64 = 26.0;

/// One contradiction, ready to be shown.
pub(super) struct Contradiction<'a> {
    pub number: usize,
    pub checker: &'a str,
    pub name: &'a str,
    pub sentence: String,
    pub facts: Vec<String>,
    pub facts_left_out: usize,
    pub drawing: Option<Drawing>,
    pub calls_left_out: usize,
    pub orders: Option<Orders>,
}

/// Shapes with their places, in pixels.
pub(super) struct Drawing {
    pub width: f64,
    pub height: f64,
    pub lanes: Vec<Lane>,
    pub bars: Vec<Bar>,
    pub bands: Vec<Band>,
    pub ticks: Vec<Tick>,
    /// Where the lanes begin and end, from left to right and from top to bottom.
    pub left: f64,
    pub right: f64,
    pub top: f64,
    pub bottom: f64,
}

/// The lane of one process.
pub(super) struct Lane {
    pub y: f64,
    pub label: String,
    pub node: String,
}

/// One call.
pub(super) struct Bar {
    pub x: f64,
    pub y: f64,
    pub width: f64,
    pub height: f64,
    pub class: &'static str,
    pub label: String,
    pub label_x: f64,
    pub label_y: f64,
    /// Whether it may take effect later than it was completed.
    pub open: bool,
    /// Whether it is the one whose answer fits no order.
    pub culprit: bool,
    /// Index of its invocation.
    pub index: u64,
    pub title: String,
}

/// One fault behind the calls.
pub(super) struct Band {
    pub x: f64,
    pub width: f64,
    pub y: f64,
    pub colour: String,
    pub label: String,
}

/// Every contradiction of a report.
pub(super) fn all<'a>(report: &Report<'a>, spans: &[FaultSpan]) -> Vec<Contradiction<'a>> {
    let verdicts = report.verdict.verdicts.iter();
    let found = verdicts.flat_map(|v| v.anomalies.iter().map(|a| (v.checker.as_str(), a)));
    found
        .take(super::ANOMALIES_MAX)
        .enumerate()
        .map(|(at, (checker, anomaly))| {
            let calls = calls_of(report, anomaly);
            let facts = anomaly.facts.iter().take(FACTS_MAX);
            let orders = (checker == LINEARIZABLE)
                .then(|| orders::of(report.history.calls(), &calls))
                .flatten();
            let culprit = orders.as_ref().and_then(|orders| orders.culprit);
            Contradiction {
                number: at + 1,
                checker,
                name: &anomaly.name,
                sentence: clip(&anomaly.sentence, SENTENCE_MAX).into_owned(),
                facts: facts.map(|f| clip(f, SENTENCE_MAX).into_owned()).collect(),
                facts_left_out: anomaly.facts.len().saturating_sub(FACTS_MAX),
                calls_left_out: anomaly.calls.len().saturating_sub(CALLS_MAX),
                drawing: (!calls.is_empty()).then(|| draw(report, &calls, spans, culprit)),
                orders,
            }
        })
        .collect()
}

pub(super) fn calls_of<'a>(report: &Report<'a>, anomaly: &Anomaly) -> Vec<&'a Call> {
    let mut calls: Vec<&Call> = anomaly
        .calls
        .iter()
        .take(CALLS_MAX)
        .filter_map(|&index| report.history.call_at(index))
        .collect();
    calls.sort_by_key(|call| call.invoked);
    calls.dedup_by_key(|call| call.invoked.index);
    calls
}

fn draw(
    report: &Report<'_>,
    calls: &[&Call],
    spans: &[FaultSpan],
    culprit: Option<u64>,
) -> Drawing {
    let times = calls.iter().flat_map(|call| {
        let completed = call.completed.map(|stamp| stamp.time);
        [Some(call.invoked.time), completed].into_iter().flatten()
    });
    let scale = Scale::of(times.collect(), (LEFT, RIGHT));
    let mut bands = bands(report, calls, spans, &scale);
    let top = BAND_ROW * rows(&mut bands) + 8.0;
    let mut drawing = Drawing {
        width: WIDTH,
        height: 0.0,
        lanes: Vec::new(),
        bars: Vec::new(),
        bands,
        ticks: Vec::new(),
        left: LEFT,
        right: RIGHT,
        top,
        bottom: top,
    };
    let mut processes: Vec<u64> = Vec::new();
    for call in calls {
        if !processes.contains(&call.process) {
            processes.push(call.process);
        }
    }
    for process in processes {
        let of_process = calls.iter().filter(|call| call.process == process);
        add_lane(&mut drawing, of_process, &scale, culprit);
    }
    drawing.ticks = ticks(&scale);
    drawing.height = drawing.bottom + AXIS;
    drawing
}

/// Adds the lane of one process: its labels in as many rows as they need, its bars below.
fn add_lane<'a>(
    drawing: &mut Drawing,
    calls: impl Iterator<Item = &'a &'a Call>,
    scale: &Scale,
    culprit: Option<u64>,
) {
    let y = drawing.bottom;
    let first = drawing.bars.len();
    let mut row_ends: Vec<f64> = Vec::new();
    for call in calls {
        let mut bar = bar(call, scale);
        bar.culprit = culprit == Some(call.invoked.index);
        let width = text_width(&bar.label);
        bar.label_x = bar.label_x.min(RIGHT + 20.0 - width).max(LEFT);
        let row = row_ends.iter().position(|end| *end <= bar.label_x);
        let row = row.unwrap_or_else(|| {
            row_ends.push(0.0);
            row_ends.len() - 1
        });
        if let Some(end) = row_ends.get_mut(row) {
            *end = bar.label_x + width + 8.0;
        }
        bar.label_y = as_pixels(row) * LABEL_ROW;
        if first == drawing.bars.len() {
            let node = call.node.as_deref().unwrap_or("");
            drawing.lanes.push(Lane {
                y: 0.0,
                label: clip(&format!("p{}", call.process), 12).into_owned(),
                node: clip(node, 12).into_owned(),
            });
        }
        drawing.bars.push(bar);
    }
    let bar_y = y + as_pixels(row_ends.len()) * LABEL_ROW + 8.0;
    for bar in drawing.bars.iter_mut().skip(first) {
        // The first row of labels is the one next to the bars.
        bar.label_y = bar_y - 5.0 - bar.label_y;
        bar.y = bar_y;
    }
    if let Some(lane) = drawing.lanes.last_mut() {
        lane.y = bar_y + BAR / 2.0;
    }
    drawing.bottom = bar_y + BAR + 10.0;
}

fn bar(call: &Call, scale: &Scale) -> Bar {
    let x = scale.x(call.invoked.time);
    let end = call.completed.map_or(RIGHT, |stamp| scale.x(stamp.time));
    let ending = ending(&call.outcome);
    let asked = clip(&format!("{}", call.operation), LABEL_MAX).into_owned();
    let until = call
        .completed
        .map_or("the end of the record".into(), |s| instant(s.time));
    let title = format!(
        "{asked} {ending}, from {} to {until}",
        instant(call.invoked.time)
    );
    let label = clip(&format!("{asked} {ending}"), LABEL_MAX)
        .trim_end()
        .to_owned();
    Bar {
        x,
        y: 0.0,
        width: (end - x).max(3.0),
        height: BAR,
        class: class_of(&call.outcome),
        label,
        label_x: x,
        label_y: 0.0,
        open: call.is_info(),
        culprit: false,
        index: call.invoked.index,
        title,
    }
}

/// How a bar of that outcome is drawn.
pub(super) const fn class_of(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Ok(_) => "ok",
        Outcome::Fail(_) => "fail",
        Outcome::Info(_) => "info",
    }
}

/// The faults that were active while the calls were.
fn bands(report: &Report<'_>, calls: &[&Call], spans: &[FaultSpan], scale: &Scale) -> Vec<Band> {
    const BANDS_MAX: usize = 8;
    let from = calls.first().map_or(0, |call| call.invoked.time);
    let to = calls
        .iter()
        .map(|call| call.completed.map_or(Nanos::MAX, |s| s.time))
        .max();
    let active = spans.iter().filter(|span| {
        span.skipped.is_none()
            && span.from <= to.unwrap_or(0)
            && span.to.is_none_or(|end| end >= from)
    });
    active
        .take(BANDS_MAX)
        .map(|span| {
            let x = scale.x(span.from);
            let end = span.to.map_or(RIGHT, |end| scale.x(end));
            let what = if span.what.is_empty() {
                &span.fault
            } else {
                &span.what
            };
            Band {
                x,
                width: (end - x).max(2.0),
                y: 0.0,
                colour: report.colour(&span.fault).to_owned(),
                label: clip(what, LABEL_MAX).into_owned(),
            }
        })
        .collect()
}

/// Puts the titles of bands into rows in which none covers another; returns how many.
fn rows(bands: &mut [Band]) -> f64 {
    let mut ends: Vec<f64> = Vec::new();
    for band in bands {
        let row = ends
            .iter()
            .position(|end| *end <= band.x)
            .unwrap_or(ends.len());
        if row == ends.len() {
            ends.push(0.0);
        }
        let width = band.width.max(text_width(&band.label) + 8.0);
        if let Some(end) = ends.get_mut(row) {
            *end = band.x + width;
        }
        band.y = as_pixels(row) * BAND_ROW;
    }
    as_pixels(ends.len())
}
