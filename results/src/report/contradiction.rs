//! One contradiction as a small drawing of just the calls that matter.
//!
//! The drawing is laid out here and drawn by the page's template as SVG, so that it shows without
//! scripts. Its time axis keeps the order of all events but not their distances: the calls of a
//! contradiction may lie microseconds or minutes apart.

use super::Report;
use super::text::{clip, ending, instant, instant_fine};
use crate::{Anomaly, Call, FaultSpan, Nanos};

/// The most calls that are drawn.
const CALLS_MAX: usize = 40;
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
/// About how wide a character of a label is, in pixels.
const CHARACTER: f64 = 7.3;

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

/// An instant on the axis.
pub(super) struct Tick {
    pub x: f64,
    pub label: Option<String>,
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
            Contradiction {
                number: at + 1,
                checker,
                name: &anomaly.name,
                sentence: clip(&anomaly.sentence, SENTENCE_MAX).into_owned(),
                facts: facts.map(|f| clip(f, SENTENCE_MAX).into_owned()).collect(),
                facts_left_out: anomaly.facts.len().saturating_sub(FACTS_MAX),
                calls_left_out: anomaly.calls.len().saturating_sub(CALLS_MAX),
                drawing: (!calls.is_empty()).then(|| draw(report, &calls, spans)),
            }
        })
        .collect()
}

fn calls_of<'a>(report: &Report<'a>, anomaly: &Anomaly) -> Vec<&'a Call> {
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

/// A monotone map from instants to pixels that keeps close instants apart and far ones together.
struct Scale {
    points: Vec<(Nanos, f64)>,
}

impl Scale {
    /// A scale on which each of the instants is told apart from the next.
    fn of(mut times: Vec<Nanos>) -> Self {
        times.sort_unstable();
        times.dedup();
        let gaps: Vec<f64> = times
            .windows(2)
            .map(|pair| compressed(pair[1] - pair[0]))
            .collect();
        let total: f64 = gaps.iter().sum();
        let margin = 10.0;
        let width = RIGHT - LEFT - 2.0 * margin;
        let mut x = LEFT + margin;
        let mut points = Vec::with_capacity(times.len());
        let mut gaps = gaps.into_iter();
        for time in times {
            points.push((time, x));
            x += gaps.next().unwrap_or(0.0) / total.max(1.0) * width;
        }
        Self { points }
    }

    /// The pixel of an instant; before the first and after the last it is the lanes' end.
    fn x(&self, time: Nanos) -> f64 {
        let after = self.points.partition_point(|(t, _)| *t < time);
        match (after.checked_sub(1), self.points.get(after)) {
            (_, Some((t, x))) if *t == time => *x,
            (None, _) => LEFT,
            (_, None) => RIGHT,
            (Some(before), Some((t1, x1))) => {
                let (t0, x0) = self.points.get(before).copied().unwrap_or((*t1, *x1));
                x0 + (x1 - x0) * share(time - t0, t1 - t0)
            }
        }
    }
}

/// The weight of a gap: each time that it is twice as long adds as much.
fn compressed(gap: Nanos) -> f64 {
    const FINEST: Nanos = 50_000;
    let doublings = (gap / FINEST + 1).ilog2();
    2.0 + f64::from(doublings.min(20))
}

#[expect(clippy::cast_precision_loss, reason = "a share of a few pixels")]
fn share(part: Nanos, whole: Nanos) -> f64 {
    part as f64 / whole.max(1) as f64
}

fn draw(report: &Report<'_>, calls: &[&Call], spans: &[FaultSpan]) -> Drawing {
    let times = calls.iter().flat_map(|call| {
        let completed = call.completed.map(|stamp| stamp.time);
        [Some(call.invoked.time), completed].into_iter().flatten()
    });
    let scale = Scale::of(times.collect());
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
        add_lane(&mut drawing, of_process, &scale);
    }
    drawing.ticks = ticks(&scale);
    drawing.height = drawing.bottom + AXIS;
    drawing
}

/// Adds the lane of one process: its labels in as many rows as they need, its bars below.
fn add_lane<'a>(drawing: &mut Drawing, calls: impl Iterator<Item = &'a &'a Call>, scale: &Scale) {
    let y = drawing.bottom;
    let first = drawing.bars.len();
    let mut row_ends: Vec<f64> = Vec::new();
    for call in calls {
        let mut bar = bar(call, scale);
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
        class: match &call.outcome {
            crate::Outcome::Ok(_) => "ok",
            crate::Outcome::Fail(_) => "fail",
            crate::Outcome::Info(_) => "info",
        },
        label,
        label_x: x,
        label_y: 0.0,
        open: call.is_info(),
        title,
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

/// A tick for each instant, named where there is room; to the microsecond if milliseconds would
/// not tell them apart.
fn ticks(scale: &Scale) -> Vec<Tick> {
    let close = |pair: &[(Nanos, f64)]| pair[0].0 / 1_000_000 == pair[1].0 / 1_000_000;
    let name = match scale.points.windows(2).any(close) {
        true => instant_fine,
        false => instant,
    };
    let mut free_from = 0.0;
    let mut ticks = Vec::with_capacity(scale.points.len());
    for (time, x) in &scale.points {
        let label = name(*time);
        let half = text_width(&label) / 2.0;
        let fits = x - half >= free_from;
        if fits {
            free_from = x + half + 8.0;
        }
        ticks.push(Tick {
            x: *x,
            label: fits.then_some(label),
        });
    }
    ticks
}

fn text_width(text: &str) -> f64 {
    as_pixels(text.chars().count()) * CHARACTER
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts of rows and characters are small"
)]
const fn as_pixels(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scale_keeps_the_order_of_instants_however_far_apart() {
        let scale = Scale::of(vec![0, 1, 1_000_000, u64::MAX, 1]);
        let xs: Vec<f64> = [0, 1, 500_000, 1_000_000, u64::MAX]
            .into_iter()
            .map(|t| scale.x(t))
            .collect();
        assert!(xs.windows(2).all(|w| w[0] < w[1]), "{xs:?}");
        assert!(xs.iter().all(|x| (LEFT..=RIGHT).contains(x)), "{xs:?}");
    }

    #[test]
    fn an_instant_outside_the_scale_is_at_the_end_of_the_lanes() {
        let scale = Scale::of(vec![10, 20]);
        assert!(scale.x(5) <= LEFT && scale.x(25) >= RIGHT);
        assert!(Scale::of(vec![7]).x(7) > LEFT);
    }
}
