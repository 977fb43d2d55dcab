//! `protocol`: nodes speak as the protocol between them and the controller says.

use tribunal_results::assumptions::Protocol;
use tribunal_results::record::VIOLATION;
use tribunal_results::verdict::ANOMALIES_LISTED_MAX;
use tribunal_results::{Anomaly, NodeLog, Record, Verdict};

use crate::{Budget, Checker, explain};

/// The checker.
pub struct ProtocolCheck;

const NAME: &str = "protocol";

impl Checker for ProtocolCheck {
    fn name(&self) -> &'static str {
        NAME
    }

    fn about(&self) -> &'static str {
        "nodes print messages, each for somebody who is there, and nothing else; a violation only \
         where that is asked for"
    }

    fn anomalies(&self) -> &'static [&'static str] {
        &["protocol-violation"]
    }

    fn blind_to(&self) -> &'static str {
        "what lies beyond the lines that were kept; messages of the wrong kind"
    }

    fn check(&self, record: &Record, _: Budget) -> Verdict {
        let Some(protocol) = record.assume.protocol else {
            let text = "nothing says which protocol the nodes speak";
            return Verdict::unknown(NAME, "vacuous", text);
        };
        let found: Vec<Anomaly> = record.logs.iter().flat_map(violations).collect();
        let total = found.len();
        let verdict = match (found.first(), protocol) {
            (Some(_), Protocol::Strict) => {
                let listed = found.into_iter().take(ANOMALIES_LISTED_MAX).collect();
                Verdict::invalid(NAME, listed, total as u64)
            }
            (Some(first), Protocol::Told) => {
                let times = explain::count(total, "time");
                let text = format!(
                    "broken {times}, and the nodes were heard all the same; first, {}",
                    first.sentence
                );
                Verdict::valid(NAME, text)
            }
            (None, _) => Verdict::valid(NAME, "never broken"),
        };
        verdict.figure("violations", total)
    }
}

fn violations(log: &NodeLog) -> impl Iterator<Item = Anomaly> {
    let told = |line: &String| {
        let what = line.strip_prefix(VIOLATION)?.trim();
        Some(Anomaly {
            name: "protocol-violation".into(),
            sentence: format!("{} broke the protocol: {what}", log.node),
            key: None,
            calls: Vec::new(),
            facts: vec!["Nothing came of that line; those after it were heard.".into()],
            span: (0, 0),
        })
    };
    log.lines.iter().filter_map(told)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tribunal_results::{Assumptions, Validity};

    fn judge(protocol: Option<Protocol>, lines: &[&str]) -> Verdict {
        let record = Record {
            logs: vec![NodeLog {
                node: "n2".into(),
                lines: lines.iter().map(|line| (*line).to_owned()).collect(),
            }],
            assume: Assumptions {
                protocol,
                ..Assumptions::default()
            },
            ..Record::default()
        };
        ProtocolCheck.check(&record, Budget::default())
    }

    #[test]
    fn what_broke_it_is_told_and_is_a_violation_only_where_that_is_asked_for() {
        let lines = [
            "started",
            "protocol violation: line 3, 0.100 s: a blank line",
        ];
        let told = judge(Some(Protocol::Told), &lines);
        assert_eq!(told.validity, Validity::Valid);
        assert!(
            told.summary.contains("1 time") && told.summary.contains("line 3"),
            "{told:?}"
        );
        let strict = judge(Some(Protocol::Strict), &lines);
        assert_eq!(strict.validity, Validity::Invalid);
        assert!(
            strict.anomalies[0]
                .sentence
                .starts_with("n2 broke the protocol: line 3")
        );
        assert_eq!(
            judge(Some(Protocol::Strict), &["ok"]).validity,
            Validity::Valid
        );
        assert_eq!(judge(None, &[]).validity, Validity::Unknown);
    }
}
