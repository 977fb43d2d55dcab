//! What each fault did to the clients: how they fared before it, during it and after it, and how
//! long they took to fare as before.

use crate::{FaultSpan, History, Nanos, Outcome};

/// The longest stretch before and after a fault that is looked at, and the shortest.
const STRETCH: (Nanos, Nanos) = (50_000_000, 1_000_000_000);
/// The stretch over which the rate is taken to tell that it is back.
const BACK_WITHIN: Nanos = 100_000_000;
/// How finely the moment is told at which it is back.
const BACK_STEP: Nanos = 10_000_000;
/// How long after the cure it is looked for.
const BACK_MOST: Nanos = 60_000_000_000;
/// The share of the former rate that counts as back.
const BACK_SHARE: f64 = 0.8;
/// How many operations there must be before a fault for its end to be measured by them.
const BACK_LEAST: usize = 5;
/// The most completions that are looked at, over all faults together.
const WORK_MAX: usize = 8_000_000;

/// What clients saw in a stretch of time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Fared {
    /// Operations that ended ok, per second.
    pub rate: f64,
    /// The 99th percentile of their latency; `None` if there were none.
    pub p99: Option<Nanos>,
    /// The share of operations that ended otherwise, from 0 to 1.
    pub other: f64,
}

/// What one fault did.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Effect {
    /// The fault's place among the spans.
    pub span: usize,
    pub before: Fared,
    pub during: Fared,
    pub after: Fared,
    /// From the cure until operations succeed at four fifths of the rate before; `None` if that
    /// was not seen, or if too few did before.
    pub recovered: Option<Nanos>,
    /// Whether there were enough operations before to tell.
    pub measured: bool,
}

/// A completion: when, after how long, and whether it was ok.
type Ended = (Nanos, Nanos, bool);

/// The effects of the faults that were injected, in order; fewer if that were too much work.
pub(super) fn of(history: &History, spans: &[FaultSpan]) -> Vec<Effect> {
    let end = history.end().map_or(0, |stamp| stamp.time);
    let calls = history.calls().iter();
    let mut ended: Vec<Ended> = calls
        .filter_map(|call| {
            let completed = call.completed?;
            let took = completed.time.saturating_sub(call.invoked.time);
            let ok = matches!(call.outcome, Outcome::Ok(_));
            Some((completed.time, took, ok))
        })
        .collect();
    ended.sort_unstable_by_key(|(time, ..)| *time);
    let ok: Vec<Nanos> = ended.iter().filter(|e| e.2).map(|e| e.0).collect();
    let mut work = WORK_MAX;
    let done = spans
        .iter()
        .enumerate()
        .filter(|(_, s)| s.skipped.is_none());
    done.map_while(|(at, span)| {
        let to = span.to.unwrap_or(end).max(span.from);
        let stretch = (to - span.from).clamp(STRETCH.0, STRETCH.1);
        let windows = [
            (span.from.saturating_sub(stretch), span.from),
            (span.from, to),
            (to, to.saturating_add(stretch).min(end)),
        ];
        let [before, during, after] = windows.map(|(from, to)| within(&ended, from, to));
        work = work.checked_sub(before.len() + during.len() + after.len() + 1)?;
        let widths = windows.map(|(from, to)| to.saturating_sub(from));
        let was = fared(before, widths[0]);
        let measured = before.iter().filter(|e| e.2).count() >= BACK_LEAST && span.to.is_some();
        Some(Effect {
            span: at,
            recovered: measured.then(|| back(&ok, to, end, was.rate)).flatten(),
            before: was,
            during: fared(during, widths[1]),
            after: fared(after, widths[2]),
            measured,
        })
    })
    .collect()
}

fn within(ended: &[Ended], from: Nanos, to: Nanos) -> &[Ended] {
    let first = ended.partition_point(|(time, ..)| *time < from);
    let last = ended.partition_point(|(time, ..)| *time < to);
    ended.get(first..last).unwrap_or_default()
}

fn fared(ended: &[Ended], width: Nanos) -> Fared {
    let mut took: Vec<Nanos> = ended.iter().filter(|e| e.2).map(|e| e.1).collect();
    if ended.is_empty() || width == 0 {
        return Fared::default();
    }
    let ok = took.len();
    let rank = (ok * 99).div_ceil(100).saturating_sub(1);
    let p99 = (ok > 0).then(|| *took.select_nth_unstable(rank).1);
    Fared {
        rate: ok as f64 / (width as f64 / 1e9),
        p99,
        other: (ended.len() - ok) as f64 / ended.len() as f64,
    }
}

/// How long after the cure as many operations end ok as did before; `ok` is when each did.
fn back(ok: &[Nanos], cure: Nanos, end: Nanos, rate: f64) -> Option<Nanos> {
    let enough = rate * BACK_SHARE * (BACK_WITHIN as f64 / 1e9);
    let until = end.min(cure.saturating_add(BACK_MOST));
    let before = |time: Nanos| ok.partition_point(|at| *at < time);
    let mut from = cure;
    while from.saturating_add(BACK_WITHIN) <= until {
        if (before(from + BACK_WITHIN) - before(from)) as f64 >= enough {
            return Some(from - cure);
        }
        from += BACK_STEP;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Nanos = 1_000_000;

    /// One operation each millisecond, none from 100 ms to 230 ms.
    fn ended() -> Vec<Ended> {
        let quiet = |ms: &u64| !(100..230).contains(ms);
        (0..500)
            .filter(quiet)
            .map(|ms| (ms * MS, 2 * MS, true))
            .collect()
    }

    #[test]
    fn the_rate_is_back_when_four_fifths_of_it_are() {
        let ended = ended();
        let before = fared(within(&ended, 0, 100 * MS), 100 * MS);
        assert_eq!(
            before,
            Fared {
                rate: 1_000.0,
                p99: Some(2 * MS),
                other: 0.0
            }
        );
        let ok: Vec<Nanos> = ended.iter().map(|e| e.0).collect();
        assert_eq!(back(&ok, 200 * MS, 500 * MS, before.rate), Some(10 * MS));
        assert_eq!(back(&ok, 450 * MS, 500 * MS, before.rate), None);
    }

    #[test]
    fn nothing_is_no_rate_and_no_latency() {
        assert_eq!(fared(&[], 100), Fared::default());
        assert_eq!(fared(&[(1, 1, false)], 1_000_000_000).other, 1.0);
    }
}
