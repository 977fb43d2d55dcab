//! Failure signatures: what two failures have in common that are the same finding.
//!
//! Written `checker/anomaly/workload/target`, or with a planted bug `checker/anomaly/workload/target/bug`.
//! The form is stable: people copy it into `known-issues.yaml`, and others compare it as text.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use crate::run::RunInfo;
use crate::{ResultClass, RunVerdict};

/// The reason of a run that did not find what its plan expects.
const MISSING: &str = "expected-anomaly-missing";
/// Stands for the checker where none found anything.
const NO_CHECKER: &str = "-";

/// What a failure is known by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Signature {
    /// Who found it.
    pub checker: String,
    /// What was found.
    pub anomaly: String,
    /// What clients did.
    pub workload: String,
    /// What was tested.
    pub target: String,
    /// The planted bug, if there was one.
    pub bug: Option<String>,
}

impl Signature {
    /// The signatures of a violation, each once, in order; none of a run that ended otherwise.
    pub fn of_run(info: &RunInfo, verdict: &RunVerdict) -> Vec<Self> {
        Self::of(verdict, &info.workload, &info.target, info.bug.as_deref())
    }

    /// The same of a verdict whose workload, target and bug are told beside it.
    pub fn of(verdict: &RunVerdict, workload: &str, target: &str, bug: Option<&str>) -> Vec<Self> {
        if verdict.class != ResultClass::Violation {
            return Vec::new();
        }
        let one = |checker: &str, anomaly: &str| Self {
            checker: checker.into(),
            anomaly: anomaly.into(),
            workload: workload.into(),
            target: target.into(),
            bug: bug.map(str::to_owned),
        };
        let found = verdict.verdicts.iter().flat_map(|verdict| {
            let named = verdict.names().map(|name| one(&verdict.checker, name));
            named.collect::<Vec<_>>()
        });
        let mut all: BTreeSet<Self> = found.collect();
        if verdict.reason == MISSING {
            all.insert(one(NO_CHECKER, MISSING));
        }
        all.into_iter().collect()
    }

    /// Whether a run is one in which this could have been found: of the same workload, target and
    /// bug.
    pub fn concerns(&self, info: &RunInfo) -> bool {
        self.workload == info.workload && self.target == info.target && self.bug == info.bug
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [&self.checker, &self.anomaly, &self.workload, &self.target];
        for (at, part) in parts.into_iter().chain(&self.bug).enumerate() {
            let slash = if at == 0 { "" } else { "/" };
            write!(f, "{slash}{}", part.replace('%', "%25").replace('/', "%2F"))?;
        }
        Ok(())
    }
}

impl FromStr for Signature {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts: Vec<String> = text
            .split('/')
            .map(|part| part.replace("%2F", "/").replace("%25", "%"))
            .collect();
        let (named, bug) = match parts.as_slice() {
            [named @ .., bug] if named.len() == 4 => (named, Some(bug.clone())),
            named => (named, None),
        };
        match named {
            [checker, anomaly, workload, target] if parts.iter().all(|part| !part.is_empty()) => {
                Ok(Self {
                    checker: checker.clone(),
                    anomaly: anomaly.clone(),
                    workload: workload.clone(),
                    target: target.clone(),
                    bug,
                })
            }
            _ => Err(format!(
                "{text:?} is no signature; it is written checker/anomaly/workload/target, and \
                 /bug if one is planted"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Anomaly, Verdict};

    fn anomaly(name: &str) -> Anomaly {
        Anomaly {
            name: name.into(),
            sentence: String::new(),
            key: None,
            calls: Vec::new(),
            facts: Vec::new(),
            span: (0, 0),
        }
    }

    fn violation(verdicts: Vec<Verdict>, reason: &str) -> RunVerdict {
        RunVerdict {
            class: ResultClass::Violation,
            reason: reason.into(),
            verdicts,
            ..RunVerdict::default()
        }
    }

    fn texts(verdict: &RunVerdict, bug: Option<&str>) -> Vec<String> {
        let all = Signature::of(verdict, "register", "raft-kv", bug);
        all.iter().map(Signature::to_string).collect()
    }

    #[test]
    fn each_finding_of_a_violation_has_one_signature() {
        let found = vec![
            anomaly("stale-read"),
            anomaly("stale-read"),
            anomaly("lost"),
        ];
        let verdict = violation(
            vec![Verdict::invalid("linearizable", found, 3)],
            "stale-read",
        );
        assert_eq!(
            texts(&verdict, Some("no-quorum")),
            [
                "linearizable/lost/register/raft-kv/no-quorum",
                "linearizable/stale-read/register/raft-kv/no-quorum"
            ]
        );
        let mut passed = verdict;
        passed.class = ResultClass::Pass;
        assert!(texts(&passed, None).is_empty());
    }

    #[test]
    fn what_was_expected_and_not_found_has_a_signature_too() {
        let verdict = violation(vec![Verdict::valid("order", "fine")], MISSING);
        assert_eq!(
            texts(&verdict, None),
            ["-/expected-anomaly-missing/register/raft-kv"]
        );
    }

    #[test]
    fn a_name_beyond_those_that_are_listed_is_not_lost() {
        let mut found = vec![anomaly("stale-read"); 40];
        found.push(anomaly("lost-write"));
        let verdict = violation(
            vec![Verdict::invalid("linearizable", found, 41)],
            "stale-read",
        );
        assert_eq!(texts(&verdict, None).len(), 2);
        assert!(verdict.verdicts[0].names_are_complete());
        let capped = Verdict::invalid("linearizable", vec![anomaly("stale-read")], 2);
        assert!(!capped.names_are_complete());
    }

    #[test]
    fn a_signature_is_the_same_of_every_run_whatever_else_differs() {
        let of = |sentence: &str, key: i64, call: u64| {
            let mut found = anomaly("stale-read");
            found.sentence = sentence.into();
            found.key = Some(key.into());
            found.calls = vec![call];
            found.span = (call, 2 * call);
            let verdict = Verdict::invalid("linearizable", vec![found], 1);
            texts(&violation(vec![verdict], "stale-read"), None)
        };
        assert_eq!(of("p1 read 3", 1, 7), of("p9 read 5", 2, 4_711));
    }

    #[test]
    fn a_run_of_another_workload_target_or_bug_could_not_have_shown_it() {
        let info = |workload: &str, target: &str, bug: Option<&str>| -> RunInfo {
            serde_json::from_value(serde_json::json!({
                "class": "pass", "suite": "s", "plan": "p", "target": target, "bug": bug,
                "workload": workload, "faults": [], "seed": 1, "nodes": [], "clients": 1,
                "started": "", "command": [], "reproduce": "", "version": "", "machine": {},
                "phases": [],
            }))
            .unwrap()
        };
        let known: Signature = "c/stale-read/register/store/bug".parse().unwrap();
        assert!(known.concerns(&info("register", "store", Some("bug"))));
        assert!(!known.concerns(&info("register", "store", None)));
        assert!(!known.concerns(&info("register", "store", Some("other"))));
        assert!(!known.concerns(&info("register", "other", Some("bug"))));
        assert!(!known.concerns(&info("set", "store", Some("bug"))));
    }

    #[test]
    fn the_text_of_a_signature_is_read_back() {
        for text in ["a/b/c/d", "a/b/c/d/e", "-/b/c/d", "a/b%2Fx/c/d%2525"] {
            let read: Signature = text.parse().unwrap();
            assert_eq!(read.to_string(), text);
        }
        for wrong in [
            "",
            "a/b/c",
            "a/b/c/d/e/f",
            "a//c/d",
            "a/b/c/d/",
            "stale-read",
        ] {
            assert!(wrong.parse::<Signature>().is_err(), "{wrong}");
        }
    }
}
