//! What the run of a test came to.

use std::fmt;
use std::path::{Path, PathBuf};

use tribunal_results::report::text::evidence_line;
use tribunal_results::run::{RunDir, RunInfo};
use tribunal_results::{Anomaly, Evidence, ResultClass, RunVerdict};

/// Facts of a violation that are printed; the report has all.
const FACTS_SHOWN_MAX: usize = 6;

/// What a run came to, and where its record lies.
#[derive(Clone, Debug)]
pub struct Concluded {
    /// What was run.
    pub info: RunInfo,
    /// What it came to.
    pub verdict: RunVerdict,
    /// Where everything lies.
    pub directory: RunDir,
}

impl Concluded {
    /// How it ended.
    pub const fn class(&self) -> ResultClass {
        self.verdict.class
    }

    /// What was found, expected or not: of each checker as many as are listed.
    pub fn violations(&self) -> impl Iterator<Item = &Anomaly> {
        self.verdict.verdicts.iter().flat_map(|v| &v.anomalies)
    }

    /// What the run shows.
    pub const fn evidence(&self) -> &Evidence {
        &self.verdict.evidence
    }

    /// The report to look at.
    pub fn report(&self) -> PathBuf {
        self.directory.report()
    }

    /// The directory of the run.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// The command that does the same run again.
    pub fn reproduce(&self) -> &str {
        &self.info.reproduce
    }

    /// Fails the test unless the run passed: nothing was found, or what was expected, and enough
    /// happened to say so.
    ///
    /// # Panics
    /// If it did not; with what was found, the report and the command that does the same again.
    #[track_caller]
    #[expect(clippy::panic, reason = "this is how a test fails")]
    pub fn assert_pass(&self) -> &Self {
        if self.class() != ResultClass::Pass {
            panic!("{self}");
        }
        self
    }

    /// Fails the test unless that anomaly was found, expected or not.
    ///
    /// # Panics
    /// If it was not; with what was, the report and the command that does the same again.
    #[track_caller]
    #[expect(clippy::panic, reason = "this is how a test fails")]
    pub fn assert_finds(&self, anomaly: &str) -> &Self {
        if !self.violations().any(|found| found.name == anomaly) {
            panic!("{anomaly} was not found\n{self}");
        }
        self
    }
}

impl fmt::Display for Concluded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let class = self.class().name().to_uppercase();
        writeln!(f, "{class} {}  {}", self.info.plan, self.verdict.claim)?;
        let facts = self.verdict.headline().map_or(&[][..], |a| &a.facts);
        for fact in facts.iter().take(FACTS_SHOWN_MAX) {
            writeln!(f, "  · {fact}")?;
        }
        let evidence = evidence_line(self.evidence());
        writeln!(f, "  evidence   {evidence}")?;
        writeln!(f, "  report     {}", self.report().display())?;
        write!(f, "  reproduce  {}", self.reproduce())
    }
}
