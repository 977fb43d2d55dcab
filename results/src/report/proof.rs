//! The page and the table about a proof of the checkers.

use askama::Template;

use super::ReportError;
use super::html::STYLE;
use super::markdown::cell;
use super::text::{clip, count, counted, percent};
use crate::proof::{Control, Detection, Miss, Proof, Rate};

/// The most trials that are listed because they did not come out as they should.
const MISSES_MAX: usize = 200;
/// The longest text in a table, in characters.
const CELL_MAX: usize = 400;

/// A planted bug in words.
pub struct DetectionRow {
    /// The target.
    pub target: String,
    /// The bug.
    pub bug: String,
    /// Whether it was found often enough.
    pub sign: &'static str,
    /// `19 of 20`.
    pub rate: String,
    /// `76–99 %`.
    pub interval: String,
    /// Time to half of the findings.
    pub median: String,
    /// Time to the last one.
    pub slowest: String,
    /// Operations to half of the findings.
    pub operations: String,
    /// By what it was found.
    pub anomalies: String,
}

/// A target without bug, in words.
pub struct ControlRow {
    /// The target.
    pub target: String,
    /// The run of the suite that it is taken from.
    pub run: String,
    /// Whether nothing was found.
    pub sign: &'static str,
    /// `0 of 20`.
    pub rate: String,
    /// `0–16 %`.
    pub interval: String,
}

struct MissRow<'a> {
    run: &'a str,
    seed: u64,
    why: String,
    reproduce: String,
}

struct Badge {
    class: &'static str,
    sign: &'static str,
    word: &'static str,
}

#[derive(Template)]
#[template(path = "proof.html")]
struct Page<'a> {
    style: &'a str,
    proof: &'a Proof,
    badge: Badge,
    headline: String,
    note: String,
    detections: Vec<DetectionRow>,
    controls: Vec<ControlRow>,
    misses: Vec<MissRow<'a>>,
}

/// Makes the page.
///
/// # Errors
/// If the template cannot be filled in.
pub fn render(proof: &Proof) -> Result<String, ReportError> {
    let badge = match (proof.holds(), proof.broken()) {
        (true, 0) => ("pass", "✓", "proven"),
        (true, _) => ("insufficient", "!", "not all trials came to a verdict"),
        (false, _) => ("violation", "✗", "not proven"),
    };
    let detections = proof.detections.iter();
    let page = Page {
        style: STYLE,
        proof,
        badge: Badge {
            class: badge.0,
            sign: badge.1,
            word: badge.2,
        },
        headline: headline(proof),
        note: format!(
            "{} · {} · {} of each, {} s in all",
            proof.version,
            proof.started,
            counted(proof.seeds, "seed"),
            count(proof.took_s.round() as u64)
        ),
        detections: detections.map(|d| detection_row(proof, d)).collect(),
        controls: proof.controls.iter().map(control_row).collect(),
        misses: misses(proof).take(MISSES_MAX).collect(),
    };
    Ok(page.render()?)
}

/// The proof in one sentence.
pub fn headline(proof: &Proof) -> String {
    let found = proof.detections.iter().filter(|d| proof.is_found(d));
    let alarms: u64 = proof.controls.iter().map(|c| c.alarms.hits).sum();
    let trials: u64 = proof.controls.iter().map(|c| c.alarms.trials).sum();
    let mut text = format!(
        "{} of {} {} were found in at least {} of their trials within {} s each; {} in {} where nothing is wrong",
        found.count(),
        proof.detections.len(),
        things(proof),
        percent(proof.at_least),
        proof.within_s,
        counted(alarms, "false alarm"),
        counted(trials, "trial"),
    );
    if proof.broken() > 0 {
        text += &format!(
            "; {} came to no verdict",
            counted(proof.broken() as u64, "trial")
        );
    }
    text
}

/// What was to be found.
fn things(proof: &Proof) -> &'static str {
    match proof.detections.iter().any(|d| d.finding.is_some()) {
        true => "published findings",
        false => "planted bugs",
    }
}

/// The proof as Markdown: a table of what was to be found, one of where nothing is wrong, and what
/// the findings mean.
pub fn markdown(proof: &Proof) -> String {
    let mut text = format!(
        "{}.\n\n`tribunal prove {}`, {}, version {}, {}.\n\n",
        cell(&headline(proof)),
        cell(&proof.suite),
        proof.started.get(..10).unwrap_or(&proof.started),
        cell(&proof.version),
        counted(proof.seeds, "trial") + " each",
    );
    text += "| target | shown by | published | found | 95 % | median | slowest | found as |\n";
    text += "|---|---|---|--:|--:|--:|--:|---|\n";
    for detection in &proof.detections {
        let row = detection_row(proof, detection);
        let source = detection.source.as_deref().unwrap_or("planted");
        let cells = [&*row.target, &*row.bug, source].map(cell);
        let figures = [
            row.rate,
            row.interval,
            row.median,
            row.slowest,
            row.anomalies,
        ];
        let cells = cells.iter().chain(&figures).map(String::as_str);
        text += &format!("| {} |\n", cells.collect::<Vec<_>>().join(" | "));
    }
    if !proof.controls.is_empty() {
        text += "\n| target | where nothing is wrong | false alarms | 95 % |\n|---|---|--:|--:|\n";
    }
    for control in &proof.controls {
        let row = control_row(control);
        let cells = [cell(&row.target), cell(&row.run), row.rate, row.interval];
        text += &format!("| {} |\n", cells.join(" | "));
    }
    let said = proof.detections.iter().filter(|d| proof.is_found(d));
    let said: Vec<&str> = said.filter_map(|d| d.finding.as_deref()).collect();
    if !said.is_empty() {
        text += "\nWhat was found:\n\n";
    }
    for finding in said {
        text += &format!("- {}\n", cell(finding));
    }
    text
}

/// A planted bug in words.
pub fn detection_row(proof: &Proof, detection: &Detection) -> DetectionRow {
    let seconds = |s: Option<f64>| s.map_or_else(|| "–".to_owned(), |s| format!("{s:.2} s"));
    let mut anomalies: Vec<(&String, &u64)> = detection.anomalies.iter().collect();
    anomalies.sort_by_key(|(_, n)| std::cmp::Reverse(**n));
    let anomalies = anomalies.iter().map(|(name, n)| format!("{name} ({n})"));
    DetectionRow {
        target: detection.target.clone(),
        bug: detection.bug.clone(),
        sign: if proof.is_found(detection) {
            "✓"
        } else {
            "✗"
        },
        rate: of(detection.rate),
        interval: interval(detection.rate),
        median: seconds(detection.median_s),
        slowest: seconds(detection.slowest_s),
        operations: detection.median_operations.map_or("–".into(), count),
        anomalies: anomalies.collect::<Vec<_>>().join(", "),
    }
}

/// A target without bug, in words.
pub fn control_row(control: &Control) -> ControlRow {
    ControlRow {
        target: control.target.clone(),
        run: control.run.clone(),
        sign: if control.alarms.hits == 0 {
            "✓"
        } else {
            "✗"
        },
        rate: of(control.alarms),
        interval: interval(control.alarms),
    }
}

fn of(rate: Rate) -> String {
    format!("{} of {}", rate.hits, rate.trials)
}

fn interval(rate: Rate) -> String {
    format!("{:.0}–{:.0} %", rate.low * 100.0, rate.high * 100.0)
}

fn misses(proof: &Proof) -> impl Iterator<Item = MissRow<'_>> {
    let detections = proof.detections.iter();
    let detections = detections.map(|d| (&*d.run, [&d.missed, &d.broken]));
    let controls = proof.controls.iter();
    let controls = controls.map(|c| (&*c.run, [&c.false_alarms, &c.broken]));
    let all = detections.chain(controls);
    all.flat_map(|(run, lists)| lists.into_iter().flatten().map(move |miss| row(run, miss)))
}

fn row<'a>(run: &'a str, miss: &Miss) -> MissRow<'a> {
    MissRow {
        run,
        seed: miss.seed,
        why: clip(&miss.why, CELL_MAX).into_owned(),
        reproduce: clip(&miss.reproduce, CELL_MAX).into_owned(),
    }
}
