//! Small charts drawn on the server: a value for each run, in the order of time.

use tribunal_results::Nanos;
use tribunal_results::report::text::duration;

/// The room that is drawn on, in pixels.
pub(super) const WIDTH: f64 = 1_100.0;
/// Its height.
pub(super) const HEIGHT: f64 = 150.0;
/// Room for the names of values.
const LEFT: f64 = 74.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 138.0;

/// A chart.
#[derive(Debug)]
pub(super) struct Chart {
    /// What it shows.
    pub title: &'static str,
    /// What must be known to read it.
    pub note: &'static str,
    /// Lines at round values: height, name.
    pub ticks: Vec<(f64, String)>,
    /// What is drawn.
    pub lines: Vec<Line>,
    /// Values that each run has, to look at one by one.
    pub dots: Vec<Dot>,
}

impl Chart {
    /// Whether there is nothing to draw.
    pub(super) fn is_empty(&self) -> bool {
        self.lines
            .iter()
            .all(|line| line.parts.is_empty() && line.area.is_empty())
    }
}

/// One series.
#[derive(Debug)]
pub(super) struct Line {
    /// Its name, also its class.
    pub name: &'static str,
    /// Corners, as SVG has them; several where values are missing in between.
    pub parts: Vec<String>,
    /// An area, as SVG has it; empty for a line.
    pub area: String,
}

/// One value of one run.
#[derive(Debug)]
pub(super) struct Dot {
    /// Where.
    pub x: f64,
    /// Where.
    pub y: f64,
    /// The run's page.
    pub path: String,
    /// What it says.
    pub title: String,
}

/// Where the value of a run is, of so many.
fn x(at: usize, of: usize) -> f64 {
    LEFT + (at as f64 + 0.5) / of.max(1) as f64 * (WIDTH - LEFT)
}

fn y(share: f64) -> f64 {
    BOTTOM - share.clamp(0.0, 1.0) * (BOTTOM - TOP)
}

/// The corners of a line through values from 0 to 1, broken where there is none.
fn parts(values: &[Option<f64>]) -> Vec<String> {
    let runs = values.split(Option::is_none);
    let mut at = 0;
    let mut parts = Vec::new();
    for run in runs {
        let corner = |(n, share): (usize, &Option<f64>)| {
            format!(
                "{:.1},{:.1}",
                x(at + n, values.len()),
                y(share.unwrap_or(0.0))
            )
        };
        let corners: Vec<String> = run.iter().enumerate().map(corner).collect();
        at += run.len() + 1;
        if !corners.is_empty() {
            parts.push(corners.join(" "));
        }
    }
    parts
}

/// Times of each run, one or more series, on a scale from 0.
pub(super) fn times(
    title: &'static str,
    note: &'static str,
    series: &[(&'static str, Vec<Option<Nanos>>)],
    runs: &[(String, String)],
) -> Chart {
    let all = series
        .iter()
        .flat_map(|(_, values)| values.iter().flatten());
    let top = rounded(all.copied().max().unwrap_or(0).max(1));
    let share = |ns: Nanos| ns as f64 / top as f64;
    let mut chart = Chart {
        title,
        note,
        ticks: [0_u32, 1, 2]
            .map(|n| (y(f64::from(n) / 2.0), name(top, n.into())))
            .into(),
        lines: Vec::new(),
        dots: Vec::new(),
    };
    for (name, values) in series {
        let shares: Vec<Option<f64>> = values.iter().map(|ns| ns.map(share)).collect();
        chart.lines.push(Line {
            name,
            parts: parts(&shares),
            area: String::new(),
        });
        for (at, (value, (path, run))) in values.iter().zip(runs).enumerate() {
            chart.dots.extend(value.map(|ns| Dot {
                x: x(at, values.len()),
                y: y(share(ns)),
                path: path.clone(),
                title: format!("{name} {}: {run}", duration(ns)),
            }));
        }
    }
    chart
}

fn name(top: Nanos, half: u64) -> String {
    match half {
        0 => "0".into(),
        half => duration(top / 2 * half),
    }
}

/// The next larger of 1, 2, 5 times a power of ten.
fn rounded(value: Nanos) -> Nanos {
    let mut power: Nanos = 2;
    while power.saturating_mul(5) < value {
        power = power.saturating_mul(10);
    }
    [1, 2, 5]
        .into_iter()
        .map(|n| power.saturating_mul(n))
        .find(|n| *n >= value)
        .unwrap_or(value)
}

/// A rate over the runs so far, with the interval around it.
pub(super) fn rates(
    title: &'static str,
    note: &'static str,
    rates: &[tribunal_results::proof::Rate],
) -> Chart {
    let of = |share: fn(&tribunal_results::proof::Rate) -> f64| -> Vec<Option<f64>> {
        rates.iter().map(|rate| Some(share(rate))).collect()
    };
    let measured = of(|rate| rate.hits as f64 / rate.trials.max(1) as f64);
    let (low, high) = (parts(&of(|rate| rate.low)), parts(&of(|rate| rate.high)));
    let back: Vec<&str> = low.iter().flat_map(|part| part.split(' ')).rev().collect();
    Chart {
        title,
        note,
        ticks: [(0.0, "0 %"), (0.5, "50 %"), (1.0, "100 %")]
            .map(|(s, n)| (y(s), n.into()))
            .into(),
        lines: vec![
            Line {
                name: "interval",
                parts: Vec::new(),
                area: format!("{} {}", high.join(" "), back.join(" ")),
            },
            Line {
                name: "rate",
                parts: parts(&measured),
                area: String::new(),
            },
        ],
        dots: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_end_at_round_values() {
        assert_eq!(
            [1, 2, 3, 11, 4_000_001, 10_000].map(rounded),
            [2, 2, 4, 20, 10_000_000, 10_000]
        );
    }

    #[test]
    fn a_line_breaks_where_there_is_no_value() {
        let values = [Some(0.0), Some(1.0), None, Some(0.5)];
        let drawn = parts(&values);
        assert_eq!(drawn.len(), 2);
        assert_eq!(drawn[0].split(' ').count(), 2);
        assert_eq!(drawn[1], format!("{:.1},74.0", x(3, 4)));
    }
}
