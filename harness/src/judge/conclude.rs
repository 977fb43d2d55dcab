//! Verdicts and circumstances in, result class and claim out.

use tribunal_results::gates::{self, Judged};
use tribunal_results::reasons::TOO_LITTLE;
use tribunal_results::verdict::LIVENESS;
use tribunal_results::{Anomaly, ResultClass, RunVerdict, Signature, Validity, Verdict};

use super::Judgement;
use crate::plan::Plan;
use crate::run::Ending;

/// What a run came to.
pub fn conclude(plan: &Plan, judgement: &Judgement, ending: &Ending) -> RunVerdict {
    let gates = gates::judge(&plan.gates, &judgement.evidence);
    let conclusion = match conclusion(plan, judgement, ending) {
        // Of a run that is cut short where an anomaly is expected, figures mean little.
        passed if passed.class == ResultClass::Pass && plan.expect.is_empty() => {
            missed(&gates).unwrap_or(passed)
        }
        other => other,
    };
    let mut verdict = RunVerdict {
        class: conclusion.class,
        reason: conclusion.reason,
        claim: conclusion.claim,
        expected: plan.expect.clone(),
        verdicts: judgement.verdicts.clone(),
        evidence: judgement.evidence.clone(),
        gates,
        ..RunVerdict::default()
    };
    let (workload, target) = (&plan.workload.workload, &plan.target.target);
    let signatures = Signature::of(&verdict, workload, target, plan.target.bug.as_deref());
    verdict.signatures = signatures.iter().map(Signature::to_string).collect();
    verdict
}

/// What follows if a gate was missed, or could not be judged. What was not measured comes first: it
/// may hide anything.
fn missed(gates: &[Judged]) -> Option<Conclusion> {
    let words = |met: Option<bool>| {
        let such = gates.iter().filter(|gate| gate.met == met);
        let words: Vec<String> = such.map(Judged::words).collect();
        (!words.is_empty()).then(|| words.join("; "))
    };
    if let Some(words) = words(None) {
        return Some(Conclusion {
            class: ResultClass::Insufficient,
            reason: "gate-not-measured".into(),
            claim: format!("nothing is wrong, but a gate cannot be judged: {words}"),
        });
    }
    words(Some(false)).map(|words| Conclusion {
        class: ResultClass::Regression,
        reason: "gate-missed".into(),
        claim: format!("nothing is wrong, but a gate was missed: {words}"),
    })
}

struct Conclusion {
    class: ResultClass,
    reason: String,
    claim: String,
}

fn conclusion(plan: &Plan, judgement: &Judgement, ending: &Ending) -> Conclusion {
    let of = |class, reason: &str, claim: String| Conclusion {
        class,
        reason: reason.into(),
        claim,
    };
    let found: Vec<&Anomaly> = judgement
        .verdicts
        .iter()
        .flat_map(|v| &v.anomalies)
        .collect();
    let expected = found.iter().find(|a| plan.expect.contains(&a.name));
    // A violation counts whatever else went wrong.
    if let (None, Some(anomaly)) = (expected, found.first()) {
        let (reason, claim) = if plan.expect.is_empty() {
            (anomaly.name.as_str(), claim_of(anomaly, judgement))
        } else {
            ("expected-anomaly-missing", not_found(plan, &found))
        };
        return of(ResultClass::Violation, reason, claim);
    }
    if let Some(error) = ending.error.as_ref().or(judgement.error.as_ref()) {
        return of(ResultClass::HarnessError, "harness-error", error.clone());
    }
    if let (Some(frozen), true) = (&ending.frozen, found.is_empty()) {
        let claim = format!(
            "the run was frozen because of what its judgement does not find, please report it: {}",
            frozen.finding
        );
        return of(ResultClass::HarnessError, "self-check", claim);
    }
    if let Some(anomaly) = expected {
        let claim = format!("found the expected {}: {}", anomaly.name, anomaly.sentence);
        return of(ResultClass::Pass, "expected-anomaly", claim);
    }
    if ending.interrupted {
        let claim = "stopped before its end; nothing was found until then".into();
        return of(ResultClass::Interrupted, "interrupted", claim);
    }
    if let Some((class, verdict)) = worst_unknown(&judgement.verdicts) {
        let reason = verdict
            .unknown
            .as_ref()
            .map_or("unknown", |reason| &reason.code);
        return of(
            class,
            reason,
            format!("{}: {}", verdict.checker, verdict.summary),
        );
    }
    if !plan.expect.is_empty() {
        let claim = not_found(plan, &found);
        return of(ResultClass::Violation, "expected-anomaly-missing", claim);
    }
    of(ResultClass::Pass, "valid", claim_of_pass(plan, judgement))
}

/// What was found. If it is only that the system did not come back, then that is said first: what
/// it answered is right as far as the other checkers can tell.
fn claim_of(anomaly: &Anomaly, judgement: &Judgement) -> String {
    let invalid = judgement
        .verdicts
        .iter()
        .filter(|v| v.validity == Validity::Invalid);
    let mut names = invalid.map(|verdict| verdict.checker.as_str());
    match names.all(|name| LIVENESS.contains(&name)) {
        true => format!("liveness, not safety: {}", anomaly.sentence),
        false => anomaly.sentence.clone(),
    }
}

/// The unknown verdict that decides, with its class.
fn worst_unknown(verdicts: &[Verdict]) -> Option<(ResultClass, &Verdict)> {
    let class = |verdict: &Verdict| {
        let code = verdict.unknown.as_ref().map_or("", |reason| &reason.code);
        if TOO_LITTLE.iter().any(|reason| reason.code == code) {
            ResultClass::Insufficient
        } else {
            ResultClass::Inconclusive
        }
    };
    let unknown = verdicts
        .iter()
        .filter(|verdict| verdict.validity == Validity::Unknown);
    unknown
        .map(|verdict| (class(verdict), verdict))
        .min_by_key(|(class, _)| ResultClass::BY_WEIGHT.iter().position(|c| c == class))
}

fn not_found(plan: &Plan, found: &[&Anomaly]) -> String {
    let expected = plan.expect.join(" or ");
    match found.first() {
        None => format!("expected {expected}, but every checker is content"),
        Some(other) => {
            format!(
                "expected {expected}, but found {}: {}",
                other.name, other.sentence
            )
        }
    }
}

fn claim_of_pass(plan: &Plan, judgement: &Judgement) -> String {
    let workload: Vec<&str> = plan
        .parts
        .workload(&plan.workload.workload)
        .map(|workload| workload.checkers().to_vec())
        .unwrap_or_default();
    let properties: Vec<&str> = judgement
        .verdicts
        .iter()
        .filter(|v| v.validity == Validity::Valid && workload.contains(&v.checker.as_str()))
        .map(|v| v.checker.as_str())
        .collect();
    let faults: u64 = judgement.evidence.faults_bitten.values().sum();
    let subject = match &plan.target.bug {
        Some(bug) => format!("{} with bug {bug}", plan.target.target),
        None => plan.target.target.clone(),
    };
    let under = match faults {
        0 => "with no fault".into(),
        1 => "under 1 fault".into(),
        n => format!("under {n} faults"),
    };
    let (operations, properties) = (judgement.evidence.total.ok, properties.join(", "));
    format!("{subject} held {properties} over {operations} acknowledged operations {under}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use tribunal_results::gates::Gate;

    use crate::suite::{self, Catalogue, Overrides, Source};

    /// A plan that must be valid, or must show a `double-hold`.
    fn plan(name: &str) -> Plan {
        let overrides = Overrides {
            only: Some(name.into()),
            ..Overrides::default()
        };
        suite::load(&Source::BuiltIn("demo"), &Catalogue::built_in(), &overrides)
            .unwrap()
            .remove(0)
    }

    fn invalid(anomaly: &str) -> Verdict {
        let anomaly = Anomaly {
            name: anomaly.into(),
            sentence: format!("there was a {anomaly}"),
            key: None,
            calls: Vec::new(),
            facts: Vec::new(),
            span: (0, 0),
        };
        Verdict::invalid("some", vec![anomaly], 1)
    }

    fn class(plan: &Plan, verdicts: Vec<Verdict>, ending: &Ending) -> ResultClass {
        let judgement = Judgement {
            verdicts,
            ..Judgement::default()
        };
        conclude(plan, &judgement, ending).class
    }

    fn endings() -> [Ending; 3] {
        let of = |error: Option<&str>, interrupted| Ending {
            frozen: None,
            error: error.map(str::to_owned),
            interrupted,
        };
        [of(None, false), of(Some("no disk"), false), of(None, true)]
    }

    #[test]
    fn a_violation_counts_however_the_run_ended() {
        let open = Verdict::unknown("other", "budget-time", "too long");
        for ending in &endings() {
            for name in ["lock-manager-holds", "double-grant-is-found"] {
                let verdicts = vec![open.clone(), invalid("overtaking")];
                assert_eq!(class(&plan(name), verdicts, ending), ResultClass::Violation);
            }
        }
    }

    #[test]
    fn without_a_violation_the_ending_decides() {
        use ResultClass::{HarnessError, Interrupted, Pass};
        let plan = plan("lock-manager-holds");
        let classes = endings().map(|ending| class(&plan, Vec::new(), &ending));
        assert_eq!(classes, [Pass, HarnessError, Interrupted]);
    }

    #[test]
    fn a_missed_gate_is_a_regression_unless_something_worse_happened() {
        let gate = |min: u64| Gate {
            min: Some(min.into()),
            max: None,
        };
        let mut plan = plan("lock-manager-holds");
        plan.gates.insert("ok_operations".into(), gate(1));
        let [ended, failed, stopped] = endings();
        let all = |plan: &Plan, ending| class(plan, Vec::new(), ending);
        assert_eq!(all(&plan, &ended), ResultClass::Regression);
        assert_eq!(all(&plan, &failed), ResultClass::HarnessError);
        assert_eq!(all(&plan, &stopped), ResultClass::Interrupted);
        let bad = class(&plan, vec![invalid("overtaking")], &ended);
        assert_eq!(bad, ResultClass::Violation);
        plan.gates.insert("latency_p99".into(), gate(1));
        assert_eq!(
            all(&plan, &ended),
            ResultClass::Insufficient,
            "not measured"
        );
        plan.gates = [("ok_operations".into(), gate(0))].into();
        assert_eq!(all(&plan, &ended), ResultClass::Pass);
    }

    #[test]
    fn an_expected_anomaly_passes_and_its_absence_does_not() {
        let plan = plan("double-grant-is-found");
        let [ended, ..] = endings();
        let found = vec![invalid("overtaking"), invalid("double-hold")];
        assert_eq!(class(&plan, found, &ended), ResultClass::Pass);
        assert_eq!(class(&plan, Vec::new(), &ended), ResultClass::Violation);
    }
}
