//! What people read on the terminal at the end of a run.

use anstyle::{AnsiColor, Style};
use tribunal_results::report::text::visible;
use tribunal_results::run::RunInfo;
use tribunal_results::verdict::Answered;
use tribunal_results::{ResultClass, RunVerdict, Validity, report};

use crate::run::Finished;

/// Style of what is well.
pub(super) const GOOD: Style = AnsiColor::Green.on_default().bold();
/// Style of what is not.
pub(super) const BAD: Style = AnsiColor::Red.on_default().bold();
/// Style of what is neither.
pub(super) const UNSURE: Style = AnsiColor::Yellow.on_default().bold();
/// Style of what matters less.
pub(super) const FAINT: Style = Style::new().dimmed();

/// Facts of an anomaly that are printed; the report has all.
const FACTS_SHOWN_MAX: usize = 6;
/// Signatures of a run that are printed; the verdict has all.
const SIGNATURES_SHOWN_MAX: usize = 4;

/// The style of a result class.
pub(super) const fn style_of(class: ResultClass) -> Style {
    match class {
        ResultClass::Pass => GOOD,
        ResultClass::Violation | ResultClass::HarnessError => BAD,
        ResultClass::Inconclusive
        | ResultClass::Insufficient
        | ResultClass::Regression
        | ResultClass::Interrupted => UNSURE,
    }
}

/// Prints what one run came to: outcome and claim, why, evidence, report, reproduce.
pub(super) fn print_run(run: &Finished) {
    let Finished {
        dir, info, verdict, ..
    } = run;
    print_verdict(info, verdict);
    let fact = |name: &str, value: &str| {
        anstream::println!("  {FAINT}{name:<10}{FAINT:#} {value}");
    };
    let times: Vec<String> = info
        .phases
        .iter()
        .map(|(name, ms)| format!("{name} {:.2} s", ms / 1e3))
        .collect();
    let overhead = info.overhead_ms / 1e3;
    fact(
        "time",
        &format!(
            "{} ({overhead:.2} s besides the workload)",
            times.join(", ")
        ),
    );
    fact("report", &dir.report().display().to_string());
    let violation = verdict.class == ResultClass::Violation;
    if let Some(anomaly) = verdict.headline().filter(|_| violation) {
        fact("explain", &format!("tribunal explain {}", anomaly.name));
    }
    fact("reproduce", &info.reproduce);
    anstream::println!();
}

/// Prints outcome, claim and evidence.
pub(super) fn print_verdict(info: &RunInfo, verdict: &RunVerdict) {
    let style = style_of(verdict.class);
    let class = verdict.class.name().to_uppercase();
    let claim = visible(&verdict.claim);
    anstream::println!("{style}{class}{style:#} {}  {claim}", info.plan);
    if let Some(anomaly) = verdict.headline() {
        for fact in anomaly.facts.iter().take(FACTS_SHOWN_MAX) {
            anstream::println!("  · {}", visible(fact));
        }
        let more = anomaly.facts.len().saturating_sub(FACTS_SHOWN_MAX);
        if more > 0 {
            anstream::println!("  · and {more} more in the report");
        }
    }
    if let Some(finding) = &info.finding {
        anstream::println!(
            "  {FAINT}finding   {FAINT:#} {GOOD}✓{GOOD:#} {}",
            visible(finding)
        );
    }
    let word = |validity| match validity {
        Validity::Valid => "held",
        Validity::Invalid => "broken",
        Validity::Unknown => "not shown",
    };
    let (safety, liveness) = (word(verdict.safety()), word(verdict.liveness()));
    anstream::println!("  {FAINT}safety    {FAINT:#} {safety} · liveness {liveness}");
    let evidence = report::text::evidence_line(&verdict.evidence);
    anstream::println!("  {FAINT}evidence  {FAINT:#} {evidence}");
    for signature in verdict.signatures.iter().take(SIGNATURES_SHOWN_MAX) {
        anstream::println!("  {FAINT}signature {FAINT:#} {}", visible(signature));
    }
    for gate in &verdict.gates {
        let style = match gate.met {
            Some(true) => GOOD,
            Some(false) => BAD,
            None => UNSURE,
        };
        let (sign, words) = (gate.sign(), gate.words());
        anstream::println!("  {FAINT}gate      {FAINT:#} {style}{sign}{style:#} {words}");
    }
}

/// Prints the last lines of several runs.
pub(super) fn print_totals(runs: &[Finished], not_run: usize) {
    if runs.len() + not_run >= 2 {
        print_counts(runs.iter().map(|run| run.verdict.class), not_run);
    }
}

/// Prints how many runs ended how, the gravest first.
pub(super) fn print_counts(classes: impl Iterator<Item = ResultClass>, not_run: usize) {
    let runs: Vec<ResultClass> = classes.collect();
    let counts = ResultClass::BY_WEIGHT.into_iter().filter_map(|class| {
        let count = runs.iter().filter(|one| **one == class).count();
        let style = style_of(class);
        (count > 0).then(|| format!("{style}{count} {}{style:#}", class.name()))
    });
    let mut parts: Vec<String> = counts.collect();
    if not_run > 0 {
        parts.push(format!("{not_run} not run"));
    }
    anstream::println!("{} runs: {}", runs.len() + not_run, parts.join(", "));
}

/// What is answered less than this is not available.
const AVAILABLE: f64 = 0.5;

/// Prints what each of several systems gave up while its nodes were parted: answers, or being
/// right (Brewer's conjecture; Gilbert & Lynch 2002). As measured, not as claimed.
pub(super) fn print_parted(runs: &[Finished]) {
    let parted =
        |run: &Finished| Some((run.verdict.evidence.availability?, run.info.target.clone()));
    let right = runs.iter().filter(|run| run.info.bug.is_none());
    let rows: Vec<_> = right.filter_map(|run| Some((run, parted(run)?))).collect();
    if rows.len() < 2 {
        return;
    }
    let faint = FAINT;
    anstream::println!(
        "{faint}{:<44} {:>9} {:>9}  {:<22} as measured{faint:#}",
        "while nodes were parted",
        "majority",
        "minority",
        "answers"
    );
    for (run, (sides, target)) in rows {
        let share = |side: Answered| side.share().map_or("–".into(), report::text::percent);
        let found = run.verdict.headline();
        let (style, answers) = match (found, run.verdict.class) {
            (Some(anomaly), _) => (UNSURE, anomaly.name.clone()),
            (None, ResultClass::Pass) => (GOOD, "consistent".to_owned()),
            (None, class) => (UNSURE, class.name().to_owned()),
        };
        let available = sides
            .minority
            .share()
            .is_some_and(|share| share >= AVAILABLE);
        let consistent = found.is_none() && run.verdict.class == ResultClass::Pass;
        let measured = match (consistent, available) {
            (true, false) => "CP",
            (false, true) => "AP",
            (true, true) => "both, as far as its workload asks",
            (false, false) => "neither",
        };
        anstream::println!(
            "{:<44} {:>9} {:>9}  {style}{answers:<22}{style:#} {measured}",
            format!("{target}, {}", run.info.workload),
            share(sides.majority),
            share(sides.minority),
        );
    }
}
