//! The messages around a contradiction, laid out as Lamport drew them: a line for each node, time
//! from left to right, an arrow for each message, and above them the calls that they belong to.

use super::cone::{self, Cone, Fate, Passage, Seed};
use super::scale::{Scale, Tick, as_pixels, text_width, ticks};
use super::text::{clip, ending};
use super::{Report, contradiction};
use crate::Call;
use crate::message::Messages;

/// The most contradictions whose messages are drawn.
const DRAWN_MAX: usize = 3;
/// The most calls above them.
const CALLS_MAX: usize = 8;
/// Where lanes begin, and how wide drawings are at least and at most, in pixels.
const LEFT: f64 = 96.0;
const WIDTH: (f64, f64) = (1_100.0, 1_600.0);
/// How much room an event takes, in pixels.
const EVENT: f64 = 7.0;
/// Heights of a call's row, of a node's lane and of the axis, in pixels.
const CALL: f64 = 24.0;
const LANE: f64 = 66.0;
const AXIS: f64 = 26.0;

/// The messages around one contradiction.
pub(super) struct Exchange {
    pub number: usize,
    pub sentence: String,
    pub width: f64,
    pub height: f64,
    pub left: f64,
    pub right: f64,
    pub top: f64,
    pub bottom: f64,
    pub nodes: Vec<(String, f64)>,
    pub calls: Vec<CallBar>,
    pub arrows: Vec<Arrow>,
    pub ticks: Vec<Tick>,
    /// What became of how many, in words.
    pub counts: String,
    pub left_out: usize,
}

/// A call, tied to the node that it asked.
pub(super) struct CallBar {
    pub x: f64,
    pub y: f64,
    pub width: f64,
    pub class: &'static str,
    pub label: String,
    pub label_x: f64,
    pub process: String,
    pub node_y: Option<f64>,
}

/// A message.
pub(super) struct Arrow {
    pub x1: f64,
    pub y1: f64,
    pub x2: f64,
    pub y2: f64,
    pub class: &'static str,
    /// The head of an arrow, the cross of a loss: an SVG path.
    pub head: String,
    pub label: Option<(String, f64, f64)>,
    pub title: String,
}

/// The drawings for the first contradictions that have messages in their past.
pub(super) fn all(report: &Report<'_>) -> Vec<Exchange> {
    let Some(messages) = report.messages else {
        return Vec::new();
    };
    let numbered = report.anomalies().enumerate();
    numbered
        .filter_map(|(at, anomaly)| {
            let calls = contradiction::calls_of(report, anomaly);
            let seeds = cone::seeds(messages, anomaly, &calls);
            let cone = cone::of(messages, &seeds)?;
            let drawing = draw(messages, &cone, &calls, &seeds)?;
            Some(Exchange {
                number: at + 1,
                sentence: clip(&anomaly.sentence, 1_000).into_owned(),
                ..drawing
            })
        })
        .take(DRAWN_MAX)
        .collect()
}

/// The lanes of the nodes that are drawn.
struct Lanes {
    nodes: Vec<u32>,
    top: f64,
}

impl Lanes {
    fn of(cone: &Cone<'_>, seeds: &[Seed], top: f64) -> Self {
        let places = cone.passages.iter().flat_map(|p| [Some(p.from), p.to]);
        let seeds = seeds.iter().map(|seed| seed.node);
        let mut nodes: Vec<u32> = places.flatten().chain(seeds).collect();
        nodes.sort_unstable();
        nodes.dedup();
        Self { nodes, top }
    }

    /// Which lane is the node's, from the top.
    fn row(&self, node: u32) -> Option<usize> {
        self.nodes.binary_search(&node).ok()
    }

    fn y(&self, node: u32) -> Option<f64> {
        let row = as_pixels(self.row(node)?);
        Some(self.top + row * LANE + LANE / 2.0)
    }

    fn bottom(&self) -> f64 {
        self.top + as_pixels(self.nodes.len()) * LANE
    }
}

fn draw(messages: &Messages, cone: &Cone<'_>, calls: &[&Call], seeds: &[Seed]) -> Option<Exchange> {
    if cone.passages.is_empty() {
        return None;
    }
    let calls = calls.get(..calls.len().min(CALLS_MAX)).unwrap_or(calls);
    let ends = |p: &Passage<'_>| [Some(p.sent), p.ended].into_iter().flatten();
    let of_calls = calls
        .iter()
        .flat_map(|c| [Some(c.invoked), c.completed].into_iter().flatten());
    let mut times: Vec<_> = of_calls.map(|stamp| stamp.time).collect();
    times.extend(cone.passages.iter().flat_map(ends));
    let width = (LEFT + as_pixels(times.len()) * EVENT).clamp(WIDTH.0, WIDTH.1);
    let right = width - 30.0;
    let scale = Scale::of(times, (LEFT, right));
    let lanes = Lanes::of(cone, seeds, as_pixels(calls.len()) * CALL + 14.0);
    let place = |name: &str| messages.nodes.iter().position(|node| &**node == name);
    let call_bars = calls.iter().enumerate().map(|(row, call)| {
        let node = call.node.as_deref().and_then(place);
        let node = node.and_then(|at| u32::try_from(at).ok());
        call_bar(call, row, node.and_then(|at| lanes.y(at)), &scale, right)
    });
    let nodes = lanes.nodes.iter().filter_map(|&at| {
        let node = messages.nodes.get(at as usize)?;
        Some((clip(node, 12).into_owned(), lanes.y(at)?))
    });
    Some(Exchange {
        number: 0,
        sentence: String::new(),
        width,
        height: lanes.bottom() + AXIS,
        left: LEFT,
        right,
        top: lanes.top,
        bottom: lanes.bottom(),
        calls: call_bars.collect(),
        arrows: arrows(messages, cone, &lanes, &scale, right),
        nodes: nodes.collect(),
        ticks: ticks(&scale),
        counts: counts(&cone.passages),
        left_out: cone.left_out,
    })
}

fn arrows(
    messages: &Messages,
    cone: &Cone<'_>,
    lanes: &Lanes,
    scale: &Scale,
    right: f64,
) -> Vec<Arrow> {
    // Up to where each lane has labels, above it and below it.
    let mut free = vec![[LEFT; 2]; lanes.nodes.len()];
    let passages = cone.passages.iter();
    passages
        .filter_map(|passage| {
            let from = lanes.y(passage.from)?;
            let to = passage.to.and_then(|to| lanes.y(to));
            let mut arrow = arrow(passage, from, to, scale, right);
            let down = arrow.y2 > arrow.y1;
            let free = free.get_mut(lanes.row(passage.from)?)?;
            arrow.label = label(passage, &arrow, &mut free[usize::from(down)], down);
            arrow.title = cone::title(messages, passage);
            Some(arrow)
        })
        .collect()
}

fn call_bar(call: &Call, row: usize, node_y: Option<f64>, scale: &Scale, right: f64) -> CallBar {
    let x = scale.x(call.invoked.time);
    let end = call.completed.map_or(right, |stamp| scale.x(stamp.time));
    let label = format!("{} {}", call.operation, ending(&call.outcome));
    let label = clip(label.trim_end(), 48).into_owned();
    let width = (end - x).max(3.0);
    let room = right - x - width;
    let wide = text_width(&label) + 10.0;
    CallBar {
        x,
        y: as_pixels(row) * CALL + 4.0,
        width,
        class: contradiction::class_of(&call.outcome),
        // Beside the bar, on the side where there is room.
        label_x: match room > wide {
            true => x + width + 6.0,
            false => (x - wide + 4.0).max(LEFT),
        },
        label,
        process: clip(&format!("p{}", call.process), 12).into_owned(),
        node_y,
    }
}

fn arrow(passage: &Passage<'_>, from: f64, to: Option<f64>, scale: &Scale, right: f64) -> Arrow {
    let to = to.unwrap_or(from + LANE * 0.4);
    let x1 = scale.x(passage.sent);
    let end = passage.ended.map_or(right, |time| scale.x(time));
    let (x2, y2) = match passage.fate {
        // A lost one stops on its way.
        Fate::Lost => (end.max(x1 + 10.0), from + (to - from) * 0.55),
        _ => (end.max(x1 + 1.0), to),
    };
    Arrow {
        x1,
        y1: from,
        x2,
        y2,
        class: match passage.fate {
            Fate::Arrived => "arrived",
            Fate::Late => "late",
            Fate::Twice => "twice",
            Fate::Lost => "lost",
        },
        head: match passage.fate {
            Fate::Lost => format!("M{:.1} {:.1}l8 8m0 -8l-8 8", x2 - 4.0, y2 - 4.0),
            _ => head((x1, from), (x2, y2)),
        },
        label: None,
        title: String::new(),
    }
}

/// The two strokes of an arrow's head.
fn head((x1, y1): (f64, f64), (x2, y2): (f64, f64)) -> String {
    const LENGTH: f64 = 7.0;
    let angle = (y2 - y1).atan2(x2 - x1);
    let stroke = |turn: f64| {
        let (sin, cos) = (angle + turn).sin_cos();
        (x2 - LENGTH * cos, y2 - LENGTH * sin)
    };
    let ((ax, ay), (bx, by)) = (stroke(0.4), stroke(-0.4));
    format!("M{ax:.1} {ay:.1}L{x2:.1} {y2:.1}L{bx:.1} {by:.1}")
}

/// The kind of a message at its beginning, where that is free.
fn label(
    passage: &Passage<'_>,
    arrow: &Arrow,
    free: &mut f64,
    down: bool,
) -> Option<(String, f64, f64)> {
    let text = clip(passage.kind, 18).into_owned();
    let x = arrow.x1 + 4.0;
    if text.is_empty() || x < *free {
        return None;
    }
    *free = x + text_width(&text) * 0.92 + 6.0;
    Some((text, x, arrow.y1 + if down { 12.0 } else { -5.0 }))
}

fn counts(passages: &[Passage<'_>]) -> String {
    let named = [
        (Fate::Arrived, "arrived"),
        (Fate::Late, "late"),
        (Fate::Twice, "arrived once more"),
        (Fate::Lost, "lost"),
    ];
    let counted = named.iter().filter_map(|(fate, name)| {
        let n = passages.iter().filter(|p| p.fate == *fate).count();
        (n > 0).then(|| format!("{n} {name}"))
    });
    counted.collect::<Vec<_>>().join(" · ")
}
