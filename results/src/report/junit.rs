//! JUnit XML: one suite for each workload and profile, one case for each run.

use std::collections::BTreeMap;
use std::time::Duration;

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::ReportError;
use super::text::evidence_line;
use crate::run::RunInfo;
use crate::{ResultClass, RunVerdict};

/// The JUnit file about these runs.
///
/// What is about the system (violation, inconclusive, insufficient) is a failure, what is about
/// us (harness error, interrupted) an error; the `type` names the result class. A violation that is
/// a known issue is skipped, with its ticket. What else is told
/// of a run stands twice: as the suite's properties, named after the case, and as what the case
/// printed. So the file is valid by Jenkins' schema, by which a case has no properties.
///
/// # Errors
/// If it cannot be written as XML.
pub fn render(runs: &[(&RunInfo, &RunVerdict)]) -> Result<String, ReportError> {
    let mut suites: BTreeMap<String, TestSuite> = BTreeMap::new();
    let mut total = Duration::ZERO;
    for (info, verdict) in runs {
        let name = suite_name(info);
        let suite = suites
            .entry(name.clone())
            .or_insert_with(|| TestSuite::new(name.clone()));
        suite.add_test_case(case(&name, info, verdict));
        for (property, value) in properties(info, verdict) {
            let property = format!("{}.{property}", case_name(info));
            suite.add_property((property.as_str(), value.as_str()));
        }
        let time = suite.time.unwrap_or_default() + time(info);
        suite.set_time(time);
        total += self::time(info);
    }
    let mut report = Report::new("tribunal");
    report.set_time(total);
    report.add_test_suites(suites.into_values());
    // Of the root the schema knows no count of what was skipped: known issues. Two characters that
    // XML has not are let through.
    let known = runs.iter().filter(|(_, verdict)| !verdict.known.is_empty());
    let skipped = format!(" skipped=\"{}\"", known.count());
    let xml = report.to_string()?.replacen(&skipped, "", 1);
    Ok(xml.replace(['\u{fffe}', '\u{ffff}'], "\u{fffd}"))
}

/// Runs without a profile go by their suite, which says as well what they are part of.
fn suite_name(info: &RunInfo) -> String {
    let part = info.profile.as_ref().unwrap_or(&info.suite);
    format!("{} × {part}", info.workload)
}

fn faults(info: &RunInfo) -> String {
    match info.faults.as_slice() {
        [] => "none".to_owned(),
        faults => faults.join("+"),
    }
}

/// The run within its suite: scenario and seed.
fn case_name(info: &RunInfo) -> String {
    format!("{}@{}", info.plan, info.seed)
}

fn case(suite: &str, info: &RunInfo, verdict: &RunVerdict) -> TestCase {
    let mut case = TestCase::new(case_name(info), status(info, verdict));
    case.set_classname(suite);
    case.set_time(time(info));
    // A case has no properties in the schema that CI servers hold it against.
    let told = properties(info, verdict).map(|(name, value)| format!("{name}: {value}"));
    case.set_system_out(told.join("\n"));
    case
}

/// What is told of each run: how to find it, how to repeat it, what it can show.
fn properties(info: &RunInfo, verdict: &RunVerdict) -> [(&'static str, String); 15] {
    let evidence = &verdict.evidence;
    let bitten: u64 = evidence.faults_bitten.values().sum();
    [
        ("seed", info.seed.to_string()),
        ("bundle", info.directory.clone()),
        ("evidence", evidence_line(evidence)),
        ("suite", info.suite.clone()),
        ("target", info.target.clone()),
        ("faults", faults(info)),
        ("class", verdict.class.name().to_owned()),
        ("reason", verdict.reason.clone()),
        ("signature", verdict.signatures.join(" ")),
        ("operations.ok", evidence.total.ok.to_string()),
        ("operations.fail", evidence.total.fail.to_string()),
        ("operations.info", evidence.total.info.to_string()),
        ("faults.bitten", bitten.to_string()),
        ("overlap", format!("{:.3}", evidence.overlap)),
        ("reproduce", info.reproduce.clone()),
    ]
}

fn status(info: &RunInfo, verdict: &RunVerdict) -> TestCaseStatus {
    if !verdict.known.is_empty() {
        // Neither green nor red; what was found is told beside it.
        let mut status = TestCaseStatus::skipped();
        let tickets = verdict.known.join(", ");
        status.set_message(format!("known issue {tickets}: {}", verdict.claim));
        return status;
    }
    let kind = match verdict.class {
        ResultClass::Pass => return TestCaseStatus::success(),
        ResultClass::Violation
        | ResultClass::Inconclusive
        | ResultClass::Insufficient
        | ResultClass::Regression => NonSuccessKind::Failure,
        ResultClass::HarnessError | ResultClass::Interrupted => NonSuccessKind::Error,
    };
    let mut status = TestCaseStatus::non_success(kind);
    let mut lines = vec![verdict.claim.clone()];
    if let Some(anomaly) = verdict.headline() {
        lines.push(format!("{}: {}", anomaly.name, anomaly.sentence));
        lines.extend(anomaly.facts.iter().take(20).cloned());
    }
    lines.extend(info.error.clone());
    lines.push(format!("evidence: {}", evidence_line(&verdict.evidence)));
    lines.push(format!("reproduce: {}", info.reproduce));
    status
        .set_type(verdict.class.name())
        .set_message(verdict.claim.as_str())
        .set_description(lines.join("\n"));
    status
}

/// How long a run took, all its phases together.
fn time(info: &RunInfo) -> Duration {
    let ms: f64 = info.phases.iter().map(|(_, ms)| ms).sum();
    Duration::try_from_secs_f64(ms / 1_000.0).unwrap_or_default()
}
