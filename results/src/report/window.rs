//! The timeline of a run that is too long for one page, piece by piece: first its frame without
//! operations, then those of a stretch of time, for the same script in the same form.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::Value as Json;

use super::columns::{self, Columns, Texts};
use super::{Report, ReportError, logs, performance};
use crate::{Kind, Nanos};

/// The scripts that draw a timeline, in the order in which they build on each other. The last has
/// the keys and addresses; it starts by itself only on a page that holds its data.
pub const SCRIPTS: [&str; 7] = super::html::SCRIPTS;
/// The most lanes: of more clients, several share one.
pub const LANES_MAX: u64 = columns::LANES_MAX;

/// One operation as the script takes it.
#[derive(Clone, Debug, Default)]
pub struct Entry<'a> {
    /// Index of the invocation.
    pub index: u64,
    /// Index of the completion, if there is one.
    pub returned: Option<u64>,
    /// When it was invoked.
    pub from: Nanos,
    /// When it completed, or the record ends.
    pub until: Nanos,
    /// 0 ok, 1 fail, 2 info.
    pub outcome: u8,
    /// Its [`kind_number`].
    pub kind: u8,
    /// In which lane it is drawn, from 0.
    pub lane: u64,
    /// Its client.
    pub process: u64,
    /// The node that it was sent to; may be empty, as may all that follow.
    pub node: Cow<'a, str>,
    /// Its object.
    pub key: Cow<'a, str>,
    /// What was asked, in words.
    pub asked: Cow<'a, str>,
    /// How it ended, in words.
    pub ended: Cow<'a, str>,
    /// Why it did not take effect, or why nobody knows.
    pub reason: Cow<'a, str>,
}

/// The number by which the script knows a kind of operation.
pub fn kind_number(kind: Kind) -> u8 {
    columns::kind_number(kind)
}

/// Operations for the script.
#[derive(Debug, Serialize)]
pub struct Window {
    texts: Vec<String>,
    calls: Columns,
}

/// Puts operations, in the order of their invocations, into the form that the script takes.
pub fn window<'a>(entries: impl IntoIterator<Item = Entry<'a>>) -> Window {
    let (mut calls, mut texts) = (Columns::default(), Texts::default());
    for entry in entries {
        calls.push(&entry, &mut texts);
    }
    Window {
        texts: texts.list,
        calls,
    }
}

/// What operations are drawn into: faults, links, states of nodes, contradictions, logs. The
/// report's history need not hold any operation.
///
/// # Errors
/// If it has no JSON form.
pub fn frame(report: &Report<'_>) -> Result<Json, ReportError> {
    let spans = report.history.fault_spans();
    let series = performance::over_time(report.history)?;
    let logs = logs::of(report);
    let data = columns::data(report, &spans, &[], &series, &logs);
    Ok(serde_json::to_value(&data)?)
}
