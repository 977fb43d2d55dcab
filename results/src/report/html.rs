//! One self-contained page about one run.
//!
//! It needs no network (its content security policy forbids any), and its summary,
//! contradictions and tables read without scripts; scripts add the timeline and the charts, from
//! data embedded in the page. Everything from outside is escaped by the template, and bounded.

use askama::Template;

use super::contradiction::Contradiction;
use super::effects::{self, Effect, Fared};
use super::exchange::{self, Exchange};
use super::performance::{self, KindLatency};
use super::text::{clip, count, duration, evidence_line, instant, percent};
use super::{Report, ReportError, claim, columns, contradiction, text};
use crate::{FaultSpan, ResultClass, Validity};

/// The most lines of its log that are shown of each node.
const LOG_LINES_MAX: usize = 200;
/// The most characters of all logs together.
const LOG_CHARS_MAX: usize = 200_000;
/// The longest line of a log, in characters.
const LOG_LINE_MAX: usize = 400;
/// The most rows of any table.
const ROWS_MAX: usize = 500;
/// The most checkers, and figures of each.
const CHECKERS_MAX: usize = 60;
const FIGURES_MAX: usize = 30;
/// The longest text in a table, in characters.
const CELL_MAX: usize = 600;
/// The most of the plan that is shown, in characters.
const PLAN_MAX: usize = 60_000;

/// How pages look.
pub const STYLE: &str = include_str!("../../templates/report.css");
/// The page's scripts, in the order in which they build on each other.
pub(super) const SCRIPTS: [&str; 7] = [
    include_str!("../../templates/script/data.js"),
    include_str!("../../templates/script/view.js"),
    include_str!("../../templates/script/lanes.js"),
    include_str!("../../templates/script/timeline.js"),
    include_str!("../../templates/script/charts.js"),
    include_str!("../../templates/script/details.js"),
    include_str!("../../templates/script/main.js"),
];

/// Makes the page.
///
/// # Errors
/// If the operations cannot be embedded or the template cannot be filled in.
pub fn render(report: &Report<'_>) -> Result<String, ReportError> {
    let spans = report.history.fault_spans();
    let embedded = columns::embed(report, &spans)?;
    let total = report.history.calls().len();
    let page = Page {
        style: STYLE,
        scripts: SCRIPTS,
        report,
        badge: badge(report.verdict.class),
        headline: capitalised(&clip(&report.verdict.claim, 2_000)),
        claim: claim::of(report.verdict),
        run: run_facts(report),
        tiles: tiles(report),
        evidence: clip(&evidence_line(&report.verdict.evidence), 2_000).into_owned(),
        phases: phases(report),
        overhead: milliseconds(report.info.overhead_ms),
        contradictions: contradiction::all(report, &spans),
        found: report
            .verdict
            .verdicts
            .iter()
            .map(|v| v.anomalies_total)
            .sum(),
        shown: count(embedded.shown as u64),
        total: count(total as u64),
        sampled: embedded.shown < total,
        exchanges: exchange::all(report),
        traffic: traffic(report),
        effects: effects::of(report.history, &spans)
            .iter()
            .take(ROWS_MAX)
            .filter_map(|effect| Some(effect_row(report, spans.get(effect.span)?, effect)))
            .collect(),
        latencies: performance::by_kind(report.history)?
            .iter()
            .map(latency_row)
            .collect(),
        faults: spans
            .iter()
            .take(ROWS_MAX)
            .map(|s| fault_row(report, s))
            .collect(),
        faults_left_out: spans.len().saturating_sub(ROWS_MAX),
        legend: legend(report, &spans),
        has_leaders: !report.history.leader_events().is_empty(),
        nodes: nodes(report),
        checkers: checkers(report),
        plan: &clip(report.plan_yaml, PLAN_MAX),
        data: &embedded.base64,
    };
    Ok(page.render()?)
}

#[derive(Template)]
#[template(path = "report.html")]
struct Page<'a> {
    style: &'static str,
    scripts: [&'static str; 7],
    report: &'a Report<'a>,
    badge: Badge,
    headline: String,
    claim: Option<String>,
    run: Vec<Fact>,
    tiles: Vec<Tile>,
    evidence: String,
    phases: Vec<PhaseBar>,
    overhead: String,
    contradictions: Vec<Contradiction<'a>>,
    found: u64,
    shown: String,
    total: String,
    sampled: bool,
    exchanges: Vec<Exchange>,
    traffic: Option<String>,
    latencies: Vec<LatencyRow>,
    effects: Vec<EffectRow<'a>>,
    faults: Vec<FaultRow<'a>>,
    faults_left_out: usize,
    legend: Vec<(&'a str, &'a str)>,
    has_leaders: bool,
    nodes: Vec<NodeView<'a>>,
    checkers: Vec<CheckerRow<'a>>,
    plan: &'a str,
    data: &'a str,
}

/// The result class at a glance: a sign, so that colour is never alone.
struct Badge {
    class: &'static str,
    sign: &'static str,
}

fn badge(class: ResultClass) -> Badge {
    let sign = match class {
        ResultClass::Pass => "✓",
        ResultClass::Violation => "✗",
        ResultClass::Inconclusive => "?",
        ResultClass::Insufficient => "∅",
        ResultClass::Regression => "▼",
        ResultClass::HarnessError => "!",
        ResultClass::Interrupted => "■",
    };
    Badge {
        class: class.name(),
        sign,
    }
}

/// A sentence as a headline begins; names such as `paxos-kv` stay as they are.
fn capitalised(text: &str) -> String {
    let word = text.split(' ').next().unwrap_or_default();
    let is_name = !word.chars().all(char::is_alphabetic);
    let mut chars = text.chars();
    match chars.next() {
        Some(_) if is_name => text.to_owned(),
        Some(first) => first.to_uppercase().chain(chars).collect(),
        None => String::new(),
    }
}

/// A name and what it is.
struct Fact {
    name: &'static str,
    value: String,
}

fn fact(name: &'static str, value: impl Into<String>) -> Fact {
    Fact {
        name,
        value: clip(&value.into(), CELL_MAX).into_owned(),
    }
}

fn run_facts(report: &Report<'_>) -> Vec<Fact> {
    let info = report.info;
    let target = match &info.bug {
        Some(bug) => format!("{} with planted bug {bug}", info.target),
        None => info.target.clone(),
    };
    let faults = match info.faults.as_slice() {
        [] => "none".to_owned(),
        faults => faults.join(", "),
    };
    let end = report.history.end().map_or(0, |stamp| stamp.time);
    vec![
        fact("Target", target),
        fact("Workload", info.workload.as_str()),
        fact("Faults", faults),
        fact("Nodes", info.nodes.len().to_string()),
        fact("Clients", info.clients.to_string()),
        fact("Seed", info.seed.to_string()),
        fact("Started", in_words(&info.started)),
        fact("Recorded", instant(end)),
    ]
}

/// `2026-03-01T09:30:00.123Z` as `2026-03-01 09:30:00 UTC`; any other text as it is.
fn in_words(instant: &str) -> String {
    match instant.split_once('T') {
        Some((day, time)) if time.ends_with('Z') => {
            let end = |c: char| c == '.' || c == 'Z';
            let time = time.split(end).next().unwrap_or(time);
            format!("{day} {time} UTC")
        }
        _ => instant.to_owned(),
    }
}

/// One figure of the evidence.
struct Tile {
    label: &'static str,
    figure: String,
    note: String,
}

fn tiles(report: &Report<'_>) -> Vec<Tile> {
    let evidence = &report.verdict.evidence;
    let tile = |label, figure: String, note: String| Tile {
        label,
        figure,
        note: clip(&note, CELL_MAX).into_owned(),
    };
    let total = evidence.total;
    let bitten: u64 = evidence.faults_bitten.values().sum();
    let by_name = evidence.faults_bitten.iter();
    let mut faults: Vec<String> = by_name.map(|(name, n)| format!("{n} {name}")).collect();
    let idle: u64 = evidence.faults_idle.values().sum();
    let skipped: u64 = evidence.faults_skipped.values().sum();
    faults.extend((idle > 0).then(|| format!("{idle} without effect")));
    faults.extend((skipped > 0).then(|| format!("{skipped} skipped")));
    if report.info.faults.is_empty() && faults.is_empty() {
        faults.push("nothing was to be broken".into());
    }
    let unclear = format!("{} fail · {} info", count(total.fail), count(total.info));
    vec![
        tile("Operations ok", count(total.ok), unclear),
        tile("Faults that bit", count(bitten), faults.join(" · ")),
        tile(
            "Overlapped a fault",
            percent(evidence.overlap),
            "of all operations".into(),
        ),
        tile(
            "Peak concurrency",
            count(evidence.concurrency_peak),
            "operations at one instant".into(),
        ),
        tile(
            "Saw others’ work",
            count(evidence.cross_observations),
            "answers that show another client’s effect".into(),
        ),
        tile(
            "Final reads",
            count(evidence.final_reads),
            "after everything was healed".into(),
        ),
    ]
}

/// One phase of the run, drawn as its share of the whole.
struct PhaseBar {
    name: String,
    time: String,
    x: f64,
    width: f64,
}

fn phases(report: &Report<'_>) -> Vec<PhaseBar> {
    let positive = |ms: f64| if ms.is_finite() { ms.max(0.0) } else { 0.0 };
    let phases = report.info.phases.iter().take(20);
    let total: f64 = phases.clone().map(|(_, ms)| positive(*ms)).sum();
    let mut x = 0.0;
    phases
        .map(|(name, ms)| {
            let width = positive(*ms) / total.max(1e-9) * 100.0;
            x += width;
            PhaseBar {
                name: clip(name, 40).into_owned(),
                time: milliseconds(*ms),
                x: x - width,
                width,
            }
        })
        .collect()
}

fn milliseconds(ms: f64) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the cast saturates, and three digits are shown"
    )]
    let ns = (ms * 1e6).max(0.0) as u64;
    duration(ns)
}

/// Outcomes and latencies of one kind of operation.
struct LatencyRow {
    kind: String,
    counts: [String; 3],
    /// Empty if none was ok.
    quantiles: Vec<String>,
}

fn latency_row(of_kind: &KindLatency) -> LatencyRow {
    let counts = of_kind.counts;
    let quantiles = of_kind.quantiles.iter().flatten();
    LatencyRow {
        kind: of_kind.kind.clone(),
        counts: [counts.ok, counts.fail, counts.info].map(count),
        quantiles: quantiles.map(|ns| duration(*ns)).collect(),
    }
}

/// One fault: what was asked, what was done, and what shows it.
struct FaultRow<'a> {
    id: u64,
    fault: &'a str,
    colour: &'a str,
    asked: String,
    from: String,
    /// Where the timeline shows it, as its address has it.
    link: String,
    lasted: String,
    /// `yes`, `no`, `skipped` or `unknown`.
    bit: &'static str,
    proof: String,
}

fn fault_row<'a>(report: &Report<'a>, span: &'a FaultSpan) -> FaultRow<'a> {
    let proof = match &span.skipped {
        Some(why) => why.clone(),
        None => {
            let proofs: Vec<String> = span.proof.iter().map(text::proof).collect();
            proofs.join(" → healed: ")
        }
    };
    let asked = match span.what.as_str() {
        "" => format!("{} {}", span.fault, span.nodes.join(", ")),
        what => what.to_owned(),
    };
    FaultRow {
        id: span.id,
        fault: &span.fault,
        colour: report.colour(&span.fault),
        asked: clip(&asked, CELL_MAX).into_owned(),
        from: instant(span.from),
        link: link(span),
        lasted: match span.to {
            Some(to) => duration(to.saturating_sub(span.from)),
            None => "to the end".into(),
        },
        bit: match (&span.skipped, span.bit) {
            (Some(_), _) => "skipped",
            (None, Some(true)) => "yes",
            (None, Some(false)) => "no",
            (None, None) => "unknown",
        },
        proof: clip(&proof, CELL_MAX).into_owned(),
    }
}

/// The stretch of a fault, with a little of what was before and after, as `1.2s..1.4s`.
fn link(span: &FaultSpan) -> String {
    let to = span.to.unwrap_or(span.from).max(span.from);
    let room = ((to - span.from) / 4).max(10_000_000);
    let seconds = |time: u64| {
        let ms = time / 1_000_000;
        format!("{}.{:03}s", ms / 1_000, ms % 1_000)
    };
    format!(
        "{}..{}",
        seconds(span.from.saturating_sub(room)),
        seconds(to.saturating_add(room))
    )
}

/// How clients fared before, during and after a fault.
struct EffectRow<'a> {
    fault: String,
    colour: &'a str,
    link: String,
    /// Operations per second.
    rates: [String; 3],
    p99: [String; 3],
    /// The share that failed or ended unknown.
    other: [String; 3],
    back: String,
}

fn effect_row<'a>(report: &Report<'a>, span: &FaultSpan, effect: &Effect) -> EffectRow<'a> {
    let all = [effect.before, effect.during, effect.after];
    let rate = |fared: Fared| count(fared.rate.round() as u64);
    let p99 = |fared: Fared| fared.p99.map_or("–".into(), duration);
    EffectRow {
        fault: clip(
            if span.what.is_empty() {
                &span.fault
            } else {
                &span.what
            },
            120,
        )
        .into_owned(),
        colour: report.colour(&span.fault),
        link: link(span),
        rates: all.map(rate),
        p99: all.map(p99),
        other: all.map(|fared| percent(fared.other)),
        back: match (effect.measured, effect.recovered) {
            (false, _) => "–".into(),
            (true, None) => "not seen".into(),
            (true, Some(0)) => "at once".into(),
            (true, Some(after)) => duration(after),
        },
    }
}

/// How many messages there were, if they were recorded.
fn traffic(report: &Report<'_>) -> Option<String> {
    use crate::message::Act;
    let messages = report.messages?;
    let sent = messages.events.iter();
    let sent = sent
        .filter(|event| matches!(event.act, Act::Send { .. }))
        .count();
    Some(format!(
        "{} between {}, {} lost.",
        text::counted(sent as u64, "message"),
        text::counted(messages.nodes.len() as u64, "node"),
        count(messages.losses.len() as u64)
    ))
}

/// Each fault that occurs, with its colour.
fn legend<'a>(report: &Report<'a>, spans: &'a [FaultSpan]) -> Vec<(&'a str, &'a str)> {
    let mut legend: Vec<(&str, &str)> = Vec::new();
    for span in spans.iter().take(columns::FAULTS_MAX) {
        let entry = (span.fault.as_str(), report.colour(&span.fault));
        if !legend.contains(&entry) && legend.len() < 32 {
            legend.push(entry);
        }
    }
    legend
}

/// A node, what became of it, and the last lines that it wrote.
struct NodeView<'a> {
    name: &'a str,
    state: String,
    states: usize,
    log: String,
    lines: usize,
    lines_left_out: usize,
}

fn nodes<'a>(report: &Report<'a>) -> Vec<NodeView<'a>> {
    let logs = report.logs.iter().take(ROWS_MAX);
    let room = LOG_CHARS_MAX / report.logs.len().max(1);
    logs.map(|log| {
        let events = report.history.node_events().iter();
        let own: Vec<_> = events.filter(|(_, event)| event.node == log.node).collect();
        let last = own.last().map(|(time, event)| {
            let state = serde_json::to_value(event.state).unwrap_or_default();
            let state = state.as_str().unwrap_or_default().to_owned();
            let detail = match clip(&event.detail, CELL_MAX).into_owned() {
                none if none.is_empty() => none,
                detail => format!(" ({detail})"),
            };
            format!(
                "{state} since {}{detail}{}",
                instant(*time),
                led(report, &log.node)
            )
        });
        let lines = last_lines(&log.lines, room);
        NodeView {
            name: &log.node,
            state: last.unwrap_or_default(),
            states: own.len(),
            lines: lines.len(),
            lines_left_out: log.lines.len() - lines.len(),
            log: lines.join("\n"),
        }
    })
    .collect()
}

/// When a node led, as far as it said so: `, led 3 times, last from 1.204 s to 4.310 s`.
fn led(report: &Report<'_>, node: &str) -> String {
    let events = report.history.leader_events().iter();
    let own: Vec<_> = events.filter(|(_, event)| &*event.node == node).collect();
    let times = own.iter().filter(|(_, event)| event.leads).count();
    let Some((from, _)) = own.iter().rev().find(|(_, event)| event.leads) else {
        return String::new();
    };
    let to = match own.last() {
        Some((time, event)) if !event.leads => format!("to {}", instant(*time)),
        _ => "to the end".into(),
    };
    match times {
        1 => format!(", led from {} {to}", instant(*from)),
        n => format!(", led {n} times, last from {} {to}", instant(*from)),
    }
}

/// As many of the last lines as there is room for, in characters.
fn last_lines(lines: &[String], mut room: usize) -> Vec<String> {
    let mut kept: Vec<String> = Vec::new();
    for line in lines.iter().rev().take(LOG_LINES_MAX) {
        let line = clip(line, LOG_LINE_MAX).into_owned();
        let Some(left) = room.checked_sub(line.chars().count() + 1) else {
            break;
        };
        room = left;
        kept.push(line);
    }
    kept.reverse();
    kept
}

/// What one checker concluded.
struct CheckerRow<'a> {
    name: &'a str,
    /// `valid`, `unknown` or `invalid`.
    validity: &'static str,
    summary: String,
    found: u64,
    figures: Vec<(&'a str, String)>,
}

fn checkers<'a>(report: &Report<'a>) -> Vec<CheckerRow<'a>> {
    let verdicts = report.verdict.verdicts.iter().take(CHECKERS_MAX);
    verdicts
        .map(|verdict| CheckerRow {
            name: &verdict.checker,
            validity: match verdict.validity {
                Validity::Valid => "valid",
                Validity::Unknown => "unknown",
                Validity::Invalid => "invalid",
            },
            summary: clip(&verdict.summary, CELL_MAX).into_owned(),
            found: verdict.anomalies_total,
            figures: verdict
                .figures
                .iter()
                .take(FIGURES_MAX)
                .map(|(name, value)| (name.as_str(), clip(&value.to_string(), 120).into_owned()))
                .collect(),
        })
        .collect()
}
