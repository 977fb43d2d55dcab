//! The time axis of small drawings: it keeps the order of all events but not their distances, as
//! these may lie microseconds or minutes apart.

use super::text::{instant, instant_fine};
use crate::Nanos;

/// About how wide a character of a label is, in pixels.
const CHARACTER: f64 = 7.3;

/// An instant on the axis.
pub(super) struct Tick {
    pub x: f64,
    pub label: Option<String>,
}

/// A monotone map from instants to pixels that keeps close instants apart and far ones together.
pub(super) struct Scale {
    points: Vec<(Nanos, f64)>,
    /// Where the lanes begin and end, in pixels.
    lanes: (f64, f64),
}

impl Scale {
    /// A scale of that extent on which each of the instants is told apart from the next.
    pub(super) fn of(mut times: Vec<Nanos>, lanes: (f64, f64)) -> Self {
        times.sort_unstable();
        times.dedup();
        let gaps: Vec<f64> = times
            .windows(2)
            .map(|pair| compressed(pair[1] - pair[0]))
            .collect();
        let total: f64 = gaps.iter().sum();
        let margin = 10.0;
        let width = lanes.1 - lanes.0 - 2.0 * margin;
        let mut x = lanes.0 + margin;
        let mut points = Vec::with_capacity(times.len());
        let mut gaps = gaps.into_iter();
        for time in times {
            points.push((time, x));
            x += gaps.next().unwrap_or(0.0) / total.max(1.0) * width;
        }
        Self { points, lanes }
    }

    /// The pixel of an instant; before the first and after the last it is the lanes' end.
    pub(super) fn x(&self, time: Nanos) -> f64 {
        let after = self.points.partition_point(|(t, _)| *t < time);
        match (after.checked_sub(1), self.points.get(after)) {
            (_, Some((t, x))) if *t == time => *x,
            (None, _) => self.lanes.0,
            (_, None) => self.lanes.1,
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

/// A tick for each instant, named where there is room; to the microsecond if milliseconds would
/// not tell them apart.
pub(super) fn ticks(scale: &Scale) -> Vec<Tick> {
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

/// About how wide a label is, in pixels.
pub(super) fn text_width(text: &str) -> f64 {
    as_pixels(text.chars().count()) * CHARACTER
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts of rows and characters are small"
)]
pub(super) const fn as_pixels(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEFT: f64 = 96.0;
    const RIGHT: f64 = 1_010.0;

    #[test]
    fn the_scale_keeps_the_order_of_instants_however_far_apart() {
        let scale = Scale::of(vec![0, 1, 1_000_000, u64::MAX, 1], (LEFT, RIGHT));
        let xs: Vec<f64> = [0, 1, 500_000, 1_000_000, u64::MAX]
            .into_iter()
            .map(|t| scale.x(t))
            .collect();
        assert!(xs.windows(2).all(|w| w[0] < w[1]), "{xs:?}");
        assert!(xs.iter().all(|x| (LEFT..=RIGHT).contains(x)), "{xs:?}");
    }

    #[test]
    fn an_instant_outside_the_scale_is_at_the_end_of_the_lanes() {
        let scale = Scale::of(vec![10, 20], (LEFT, RIGHT));
        assert!(scale.x(5) <= LEFT && scale.x(25) >= RIGHT);
        assert!(Scale::of(vec![7], (LEFT, RIGHT)).x(7) > LEFT);
    }
}
