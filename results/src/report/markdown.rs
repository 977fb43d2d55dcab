//! A Markdown summary of many runs, for a pull request or a job's page.

use std::fmt::{self, Write as _};

use super::text::{clip, counted, evidence_line};
use crate::run::RunInfo;
use crate::{ResultClass, RunVerdict};

/// The longest that a summary gets, in bytes; GitHub takes 1 MiB a step.
const BYTES_MAX: usize = 190_000;
/// The most of it that the table of runs may take.
const TABLE_BYTES_MAX: usize = 90_000;
/// The longest text of others that is quoted, in characters.
const QUOTE_MAX: usize = 600;
/// Signatures that are listed of one run.
const SIGNATURES_MAX: usize = 8;

/// The summary of these runs: a table of all, then each that did not pass. Below 200 kB however
/// many there are; it says how many were left out.
pub fn render(runs: &[(&RunInfo, &RunVerdict)]) -> String {
    let mut out = format!("## Tribunal: {}\n\n", tally(runs));
    if runs.is_empty() {
        return out;
    }
    out.push_str("| | run | seed | target | faults | result |\n|---|---|---|---|---|---|\n");
    let table = bounded(&mut out, TABLE_BYTES_MAX, runs, |row, (info, verdict)| {
        write!(row, "{}", Row(info, verdict))
    });
    left_out(&mut out, table, "runs");
    let failing: Vec<_> = runs
        .iter()
        .filter(|(_, verdict)| verdict.class != ResultClass::Pass)
        .copied()
        .collect();
    let told = bounded(&mut out, BYTES_MAX, &failing, |part, (info, verdict)| {
        write!(part, "{}", Part(info, verdict))
    });
    left_out(&mut out, told, "runs that did not pass");
    out
}

/// Adds what `write` makes of each item while the whole stays within `max` bytes; returns how
/// many items were left out.
fn bounded<T: Copy>(
    out: &mut String,
    max: usize,
    items: &[T],
    write: impl Fn(&mut String, T) -> fmt::Result,
) -> usize {
    for (at, item) in items.iter().enumerate() {
        let whole = out.len();
        if write(out, *item).is_err() || out.len() > max {
            out.truncate(whole);
            return items.len() - at;
        }
    }
    0
}

fn left_out(out: &mut String, count: usize, what: &str) {
    if count > 0 {
        out.push_str(&format!("\n… and {count} more {what}\n"));
    }
}

/// How many runs ended how, the gravest first.
fn tally(runs: &[(&RunInfo, &RunVerdict)]) -> String {
    let of = |class| runs.iter().filter(|(_, v)| v.class == class).count();
    let parts: Vec<String> = ResultClass::BY_WEIGHT
        .into_iter()
        .filter_map(|class| match of(class) {
            0 => None,
            n => Some(format!("{n} {}", class.name())),
        })
        .collect();
    match parts.as_slice() {
        [] => "no runs".into(),
        parts => parts.join(", "),
    }
}

const fn sign(class: ResultClass) -> &'static str {
    match class {
        ResultClass::Pass => "✅",
        ResultClass::Violation => "❌",
        ResultClass::Inconclusive => "❔",
        ResultClass::Insufficient => "⚪",
        ResultClass::Regression => "🔻",
        ResultClass::HarnessError => "⚠️",
        ResultClass::Interrupted => "⏹️",
    }
}

struct Row<'a>(&'a RunInfo, &'a RunVerdict);

impl fmt::Display for Row<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(info, verdict) = self;
        let bug = info
            .bug
            .as_deref()
            .map_or(String::new(), |bug| format!(" ({bug})"));
        let faults = match info.faults.as_slice() {
            [] => "none".into(),
            faults => faults.join(", "),
        };
        let reason = match verdict.known.as_slice() {
            [] => verdict.reason.clone(),
            known => format!("{} (known: {})", verdict.reason, known.join(", ")),
        };
        let sign = match verdict.known.is_empty() {
            true => sign(verdict.class),
            false => "🔕",
        };
        writeln!(
            f,
            "| {} | {} / {} | {} | {}{} | {} | {}: {} |",
            sign,
            cell(&info.suite),
            cell(&info.plan),
            info.seed,
            cell(&info.target),
            cell(&bug),
            cell(&faults),
            verdict.class.name(),
            cell(&reason),
        )
    }
}

/// One run that did not pass.
struct Part<'a>(&'a RunInfo, &'a RunVerdict);

impl fmt::Display for Part<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(info, verdict) = self;
        let (suite, plan) = (cell(&info.suite), cell(&info.plan));
        let sign = sign(verdict.class);
        writeln!(f, "\n### {sign} {suite} / {plan} @ {}\n", info.seed)?;
        writeln!(f, "{}\n", cell(&verdict.claim))?;
        if let Some(anomaly) = verdict.headline() {
            let (name, sentence) = (cell(&anomaly.name), cell(&anomaly.sentence));
            writeln!(f, "- **{name}**: {sentence}")?;
        }
        let found = verdict
            .verdicts
            .iter()
            .map(|verdict| verdict.anomalies_total);
        let more = found.fold(0, u64::saturating_add).saturating_sub(1);
        if more > 0 {
            writeln!(f, "- and {}", counted(more, "more contradiction"))?;
        }
        if let Some(error) = &info.error {
            writeln!(f, "- **error**: {}", cell(error))?;
        }
        if !info.directory.is_empty() {
            writeln!(f, "- bundle: {}", code(&info.directory))?;
        }
        for signature in verdict.signatures.iter().take(SIGNATURES_MAX) {
            writeln!(f, "- signature: {}", code(signature))?;
        }
        if !verdict.known.is_empty() {
            writeln!(f, "- known issue: {}", cell(&verdict.known.join(", ")))?;
        }
        writeln!(f, "- evidence: {}", cell(&evidence_line(&verdict.evidence)))?;
        for gate in &verdict.gates {
            writeln!(f, "- gate: {} {}", gate.sign(), cell(&gate.words()))?;
        }
        writeln!(f, "- reproduce: {}", code(&info.reproduce))
    }
}

/// A text as one line that Markdown and HTML take literally, also within a table.
pub fn cell(text: &str) -> String {
    let mut out = String::new();
    for c in clip(text, QUOTE_MAX).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '#' | '~' | '!' => {
                out.push('\\');
                out.push(c);
            }
            // A zero-width word joiner keeps a name from mentioning somebody.
            '@' => out.push_str("@\u{2060}"),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

/// A text as a code span, fenced by more backticks than it holds in a row.
pub fn code(text: &str) -> String {
    let line: String = clip(text, QUOTE_MAX)
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    let longest = line.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    format!("{fence} {line} {fence}")
}
