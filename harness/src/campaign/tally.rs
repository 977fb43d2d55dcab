//! What the runs of a campaign came to together, and what may be claimed of the system.

use tribunal_results::ResultClass;
use tribunal_results::rate::{Rate, trials_for};

use super::{Ran, failed};

/// Runs counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Runs that passed.
    pub passed: u64,
    /// Runs that failed.
    pub failed: u64,
    /// Runs that failed by known issues only. They count neither way: each was no failure that one
    /// looks for, and what it found may have hidden one.
    pub known: u64,
    /// Runs that say neither: they count for nothing.
    pub undecided: u64,
    /// Runs that were done again because the harness had failed.
    pub retried: u64,
}

impl Tally {
    /// One more.
    pub(super) fn add(&mut self, ran: &Ran) {
        self.retried += u64::from(ran.retried);
        self.count(ran.class(), !ran.known.is_empty());
    }

    /// One more of a class, which is a known issue or not.
    pub fn count(&mut self, class: ResultClass, known: bool) {
        if known {
            self.known += 1;
            return;
        }
        let count = match failed(class) {
            Some(true) => &mut self.failed,
            Some(false) => &mut self.passed,
            None => &mut self.undecided,
        };
        *count += 1;
    }

    /// All of them.
    pub const fn total(&self) -> u64 {
        self.passed + self.failed + self.known + self.undecided
    }

    /// How often a run failed, of those that say whether they did.
    pub fn rate(&self) -> Rate {
        Rate::of(self.failed, self.failed + self.passed)
    }

    /// Whether a failure rate is excluded. There is one look only at which this can become true,
    /// after as many runs without a failure as it takes, so looking early cannot deceive.
    pub fn excludes(&self, share: f64) -> bool {
        self.failed == 0 && self.rate().below() < share
    }

    /// How many more runs without a failure exclude a failure rate.
    pub fn lacks(&self, share: f64) -> u64 {
        // The bound must be below, not at, the share.
        trials_for(share).saturating_sub(self.passed).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_needs_the_runs_of_the_rule_of_three_and_no_failure() {
        let mut tally = Tally::default();
        for _ in 0..298 {
            tally.count(ResultClass::Pass, false);
        }
        assert!(!tally.excludes(0.01));
        assert_eq!(tally.lacks(0.01), 1);
        for class in [
            ResultClass::Inconclusive,
            ResultClass::Insufficient,
            ResultClass::HarnessError,
            ResultClass::Interrupted,
        ] {
            tally.count(class, false);
            assert!(!tally.excludes(0.01), "{class:?} proves nothing");
        }
        tally.count(ResultClass::Pass, false);
        assert!(tally.excludes(0.01));
        tally.count(ResultClass::Violation, true);
        assert!(tally.excludes(0.01), "a known issue is no failure");
        tally.count(ResultClass::Violation, false);
        assert!(!tally.excludes(0.01));
        assert_eq!(tally.total(), 305);
    }

    #[test]
    fn a_run_with_a_known_issue_shows_nothing_about_others() {
        let mut tally = Tally::default();
        (0..1_000).for_each(|_| tally.count(ResultClass::Violation, true));
        assert!(!tally.excludes(0.01));
        assert_eq!((tally.lacks(0.01), tally.rate().trials), (299, 0));
    }
}
