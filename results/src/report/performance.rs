//! Latency and throughput: by kind of operation over the whole run, and over time.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::ReportError;
use crate::verdict::Counts;
use crate::{Call, History, Nanos, Outcome};

/// Into how many stretches of time a run is divided.
const BUCKETS: u64 = 120;
/// The longest latency told apart from longer ones: an hour, in nanoseconds.
const LATENCY_MAX: u64 = 3_600_000_000_000;
/// The name of the row and series of all kinds together.
pub(super) const ALL: &str = "all";

/// Latencies of one kind of operation, of those that were answered `ok`, in nanoseconds.
pub(super) struct KindLatency {
    /// The kind, or [`ALL`].
    pub kind: String,
    /// Outcomes.
    pub counts: Counts,
    /// The 50th, 90th, 99th percentile and the largest; `None` if none was ok.
    pub quantiles: Option<[Nanos; 4]>,
}

/// Latency and throughput over time.
#[derive(Serialize)]
pub(super) struct Series {
    /// The length of one stretch of time, in nanoseconds.
    width: Nanos,
    /// By kind, and of [`ALL`].
    kinds: BTreeMap<String, KindSeries>,
}

/// What one kind did in each stretch of time.
#[derive(Serialize)]
struct KindSeries {
    /// Completions (and invocations that never completed) by outcome.
    ok: Vec<u64>,
    fail: Vec<u64>,
    info: Vec<u64>,
    /// Percentiles of the latency of those that were ok, in nanoseconds; 0 if there were none.
    p50: Vec<Nanos>,
    p95: Vec<Nanos>,
    p99: Vec<Nanos>,
}

/// Latencies by kind: all of them together first, then each kind that occurs.
pub(super) fn by_kind(history: &History) -> Result<Vec<KindLatency>, ReportError> {
    let kinds = grouped(history);
    let mut rows = Vec::with_capacity(kinds.len());
    for (kind, calls) in kinds {
        let mut histogram = empty_histogram()?;
        let mut counts = Counts::default();
        for call in calls {
            tally(&mut counts, call);
            record(&mut histogram, call);
        }
        let at = |q| histogram.value_at_quantile(q);
        let quantiles =
            (!histogram.is_empty()).then(|| [at(0.5), at(0.9), at(0.99), histogram.max()]);
        rows.push(KindLatency {
            kind,
            counts,
            quantiles,
        });
    }
    Ok(rows)
}

/// What happened over time, by kind.
pub(super) fn over_time(history: &History) -> Result<Series, ReportError> {
    let end = history.end().map_or(0, |stamp| stamp.time);
    let width = end / BUCKETS + 1;
    let mut histogram = empty_histogram()?;
    let mut kinds = BTreeMap::new();
    for (kind, calls) in grouped(history) {
        kinds.insert(kind, kind_series(&calls, width, &mut histogram));
    }
    Ok(Series { width, kinds })
}

fn kind_series(calls: &[&Call], width: Nanos, histogram: &mut Histogram<u64>) -> KindSeries {
    let mut buckets: Vec<Vec<&Call>> = vec![Vec::new(); usize::try_from(BUCKETS).unwrap_or(0)];
    for call in calls {
        let at = call.completed.unwrap_or(call.invoked).time / width;
        if let Some(bucket) = usize::try_from(at).ok().and_then(|at| buckets.get_mut(at)) {
            bucket.push(call);
        }
    }
    let mut series = KindSeries {
        ok: Vec::new(),
        fail: Vec::new(),
        info: Vec::new(),
        p50: Vec::new(),
        p95: Vec::new(),
        p99: Vec::new(),
    };
    for bucket in buckets {
        let mut counts = Counts::default();
        histogram.reset();
        for call in bucket {
            tally(&mut counts, call);
            record(histogram, call);
        }
        series.ok.push(counts.ok);
        series.fail.push(counts.fail);
        series.info.push(counts.info);
        series.p50.push(histogram.value_at_quantile(0.5));
        series.p95.push(histogram.value_at_quantile(0.95));
        series.p99.push(histogram.value_at_quantile(0.99));
    }
    series
}

/// The calls of all kinds, then of each kind that occurs, in the order in which reports list
/// them. Empty for an empty history.
fn grouped(history: &History) -> Vec<(String, Vec<&Call>)> {
    let calls = history.calls();
    if calls.is_empty() {
        return Vec::new();
    }
    let mut kinds = BTreeMap::new();
    for call in calls {
        let of_kind: &mut Vec<&Call> = kinds.entry(call.operation.kind()).or_default();
        of_kind.push(call);
    }
    let named = kinds
        .into_iter()
        .map(|(kind, calls)| (kind.name().into(), calls));
    std::iter::once((ALL.into(), calls.iter().collect()))
        .chain(named)
        .collect()
}

fn empty_histogram() -> Result<Histogram<u64>, ReportError> {
    Ok(Histogram::new_with_bounds(1, LATENCY_MAX, 3)?)
}

fn record(histogram: &mut Histogram<u64>, call: &Call) {
    if let (true, Some(completed)) = (call.is_ok(), call.completed) {
        histogram.saturating_record(completed.time - call.invoked.time);
    }
}

fn tally(counts: &mut Counts, call: &Call) {
    match call.outcome {
        Outcome::Ok(_) => counts.ok += 1,
        Outcome::Fail(_) => counts.fail += 1,
        Outcome::Info(_) => counts.info += 1,
    }
}
