//! Reports drawn from a record: HTML for people, JUnit for CI, Markdown for summaries.
//!
//! Each is a pure function from plain data to text; whoever calls writes it to a file. Whatever
//! came from a node or a history is hostile until escaped, and every list is bounded.
//!
//! | module | what it makes |
//! |---|---|
//! | [`claim`] | what runs let one say, in the words of statistics |
//! | [`html`] | one self-contained page about one run |
//! | [`junit`] | one XML file about many runs |
//! | [`markdown`] | one short summary of many runs |
//! | [`proof`] | one page about how surely planted bugs are found |
//! | [`window`] | a timeline too long for one page, piece by piece |
//! | [`lanes`] | a few calls drawn for a terminal |
//! | [`text`] | numbers, times and evidence in words, the same everywhere |

pub mod claim;
mod columns;
mod cone;
mod contradiction;
mod effects;
mod exchange;
pub mod html;
pub mod junit;
pub mod lanes;
mod logs;
pub mod markdown;
mod orders;
mod performance;
pub mod proof;
mod scale;
pub mod text;
pub mod window;

use std::collections::BTreeMap;

use crate::run::RunInfo;
use crate::{Anomaly, History, Messages, NodeLog, RunVerdict};

/// All that the page about a run shows.
#[derive(Clone, Copy, Debug)]
pub struct Report<'a> {
    /// What was run, on what.
    pub info: &'a RunInfo,
    /// What it came to.
    pub verdict: &'a RunVerdict,
    /// What happened.
    pub history: &'a History,
    /// What the nodes sent each other, if that was recorded.
    pub messages: Option<&'a Messages>,
    /// What the nodes wrote.
    pub logs: &'a [NodeLog],
    /// The plan with every choice, as its file has it.
    pub plan_yaml: &'a str,
    /// The colour of each fault by its name, as `#rrggbb`.
    pub colours: &'a BTreeMap<String, String>,
}

/// The most contradictions that a page shows in full.
const ANOMALIES_MAX: usize = 32;
/// The colour of a fault that has none of its own.
const COLOUR_UNKNOWN: &str = "#8a929c";

impl<'a> Report<'a> {
    /// The contradictions that the page shows, those of the first checker first.
    fn anomalies(&self) -> impl Iterator<Item = &'a Anomaly> {
        let verdicts = &self.verdict.verdicts;
        let all = verdicts.iter().flat_map(|verdict| &verdict.anomalies);
        all.take(ANOMALIES_MAX)
    }

    /// The colour of a fault; anything that is not `#rrggbb` is taken for none.
    fn colour(&self, fault: &str) -> &'a str {
        let colour = self.colours.get(fault).map(String::as_str);
        colour.filter(|c| is_colour(c)).unwrap_or(COLOUR_UNKNOWN)
    }
}

fn is_colour(text: &str) -> bool {
    let digits = text.strip_prefix('#').unwrap_or_default();
    digits.len() == 6 && digits.bytes().all(|b| b.is_ascii_hexdigit())
}

/// Why a report cannot be made. It is about us, never about the record.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The page's template cannot be filled in.
    #[error("cannot fill in the report's template: {0}")]
    Template(#[from] askama::Error),
    /// The operations cannot be written as JSON.
    #[error("cannot embed the operations in the report: {0}")]
    Json(#[from] serde_json::Error),
    /// The operations cannot be compressed.
    #[error("cannot compress the operations for the report: {0}")]
    Compress(#[from] std::io::Error),
    /// A histogram cannot be made.
    #[error("cannot compute latencies for the report: {0}")]
    Histogram(#[from] hdrhistogram::CreationError),
    /// The JUnit file cannot be written as XML.
    #[error("cannot write the JUnit report: {0}")]
    Junit(#[from] quick_junit::SerializeError),
}
