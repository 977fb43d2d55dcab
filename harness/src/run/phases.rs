//! How long each phase of a run takes.

use std::future::Future;
use std::time::Duration;

use tribunal_results::run::RunInfo;

use crate::clock::Clock;

/// Measures phases one after another.
#[derive(Debug)]
pub(super) struct Phases {
    clock: Clock,
    taken: Vec<(String, f64)>,
}

impl Phases {
    /// Begins with the clock's origin.
    pub(super) const fn new(clock: Clock) -> Self {
        Self {
            clock,
            taken: Vec::new(),
        }
    }

    /// Measures one phase.
    pub(super) async fn during<T>(&mut self, name: &str, phase: impl Future<Output = T>) -> T {
        let from = self.clock.now();
        let result = phase.await;
        self.taken.push((name.into(), ms(self.clock.now() - from)));
        result
    }

    /// Writes the phases into the record. What a run spent outside the time that its plan gives
    /// the workload, and outside the workload's final operations, is overhead.
    pub(super) fn finish(self, info: &mut RunInfo, workload: Duration) {
        let took = |phase: &str| {
            self.taken
                .iter()
                .find(|(name, _)| name == phase)
                .map_or(0.0, |p| p.1)
        };
        let asking = took("workload").min(workload.as_secs_f64() * 1e3) + took("finale");
        info.overhead_ms = (ms(self.clock.now()) - asking).max(0.0);
        info.phases = self.taken;
    }
}

#[expect(clippy::cast_precision_loss, reason = "a report shows three digits")]
fn ms(nanos: u64) -> f64 {
    (nanos / 1_000) as f64 / 1e3
}
