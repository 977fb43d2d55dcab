//! `crash-log`: no node crashed, neither by its own words nor by its end.

use tribunal_results::{Anomaly, Assumptions, NodeLog, NodeState, Record, Verdict};

use crate::{Budget, Checker, explain};

/// The checker.
pub struct CrashLog;

const NAME: &str = "crash-log";
/// How much of a line is quoted, in characters.
const QUOTED_MAX: usize = 200;

/// What programs write when they crash. Found anywhere in a line where a word may begin, so that
/// `non-fatal error` is none.
const PATTERNS: [&str; 24] = [
    "panicked at",
    "panic:",
    "fatal error",
    "fatal runtime error",
    "Fatal error",
    "FATAL",
    "fatal:",
    "SIGSEGV",
    "SIGABRT",
    "SIGBUS",
    "SIGILL",
    "segmentation fault",
    "Segmentation fault",
    "core dumped",
    "AddressSanitizer",
    "ThreadSanitizer",
    "UndefinedBehaviorSanitizer",
    "stack overflow",
    "has overflowed its stack",
    "stack smashing detected",
    "out of memory",
    "OutOfMemoryError",
    "memory allocation of",
    "double free or corruption",
];

impl Checker for CrashLog {
    fn name(&self) -> &'static str {
        NAME
    }

    fn about(&self) -> &'static str {
        "no node logged a crash or ended by itself"
    }

    fn anomalies(&self) -> &'static [&'static str] {
        &["crash", "unexpected-exit"]
    }

    fn blind_to(&self) -> &'static str {
        "crashes that leave no word, or words beyond the lines that were kept"
    }

    fn check(&self, record: &Record, _: Budget) -> Verdict {
        let assume = &record.assume;
        let crashes = record.logs.iter().flat_map(|log| crashes(log, assume));
        let (for_want_of_space, exits): (Vec<_>, Vec<_>) =
            exits(record).partition(|exit| is_for_want_of_space(exit, record));
        let anomalies: Vec<Anomaly> = crashes.chain(exits).collect();
        let lines: usize = record.logs.iter().map(|log| log.lines.len()).sum();
        let verdict = if !anomalies.is_empty() {
            let total = anomalies.len() as u64;
            Verdict::invalid(NAME, anomalies, total)
        } else if let Some(first) = for_want_of_space.first() {
            let text = format!(
                "the machine's disk is full, which is no fault of the system; free some space and \
                 run again. Seen: {}",
                first.sentence
            );
            Verdict::unknown(NAME, "disk-full", text)
        } else if !record.is_run && record.logs.is_empty() {
            Verdict::valid(NAME, "no logs to look at: only a history was given")
        } else {
            let lines = explain::count(lines, "line");
            let nodes = explain::count(record.logs.len(), "node");
            Verdict::valid(
                NAME,
                format!("no crash in {lines} of {nodes}, no unexpected exit"),
            )
        };
        verdict.figure("lines", lines)
    }
}

fn crashes<'a>(
    log: &'a NodeLog,
    assume: &'a Assumptions,
) -> impl Iterator<Item = Anomaly> + use<'a> {
    let crash = move |(at, line): (usize, &String)| {
        let pattern = pattern_in(line, assume)?;
        let quoted: String = line.trim().chars().take(QUOTED_MAX).collect();
        Some(Anomaly {
            name: "crash".into(),
            sentence: format!("{} logged a crash: {quoted}", log.node),
            key: None,
            calls: Vec::new(),
            facts: vec![format!(
                "Line {} of what is kept of {}'s output contains {pattern:?}.",
                at + 1,
                log.node
            )],
            span: (0, 0),
        })
    };
    log.lines.iter().enumerate().filter_map(crash)
}

/// What means a crash in that line, if anything does.
fn pattern_in<'a>(line: &str, assume: &'a Assumptions) -> Option<&'a str> {
    let given = |patterns: &'a [String]| patterns.iter().map(String::as_str);
    if holds(line, given(&assume.harmless_patterns)).is_some() {
        return None;
    }
    holds(line, given(&assume.crash_patterns).chain(PATTERNS))
}

/// The first of the patterns that the line has where a word may begin.
fn holds<'a>(line: &str, patterns: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    patterns.into_iter().find(|pattern| {
        line.match_indices(*pattern).any(|(at, _)| {
            let before = line.get(..at).and_then(|text| text.chars().next_back());
            before.is_none_or(|c| !c.is_alphanumeric() && c != '-' && c != '_')
        })
    })
}

/// Whether a node ended because the disk that it shares with everything else was full: its last
/// words say so, and no fault had taken the space away.
fn is_for_want_of_space(exit: &Anomaly, record: &Record) -> bool {
    exit.sentence.contains("No space left on device")
        && !record.faults.iter().any(|fault| fault == "disk-full")
}

fn exits(record: &Record) -> impl Iterator<Item = Anomaly> {
    let died = record
        .history
        .node_events()
        .iter()
        .filter(|(_, e)| e.state == NodeState::Died);
    died.map(|(time, event)| {
        let detail = if event.detail.is_empty() {
            "no details known"
        } else {
            &event.detail
        };
        Anomaly {
            name: "unexpected-exit".into(),
            sentence: format!(
                "{} ended by itself at {}: {detail}",
                event.node,
                explain::seconds(*time)
            ),
            key: None,
            calls: Vec::new(),
            facts: vec!["No fault had ended it.".into()],
            span: (*time, *time),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(lines: &[&str]) -> Verdict {
        let record = Record {
            logs: vec![NodeLog {
                node: "n2".into(),
                lines: lines.iter().map(|line| (*line).to_owned()).collect(),
            }],
            is_run: true,
            ..Record::default()
        };
        CrashLog.check(&record, Budget::default())
    }

    #[test]
    fn a_node_that_ends_as_the_machines_disk_is_full_is_not_to_blame() {
        let died = |detail: &str, fault: Option<&str>| {
            let text = format!(
                r#"{{"format":"tribunal-history","version":2,"nodes":["n1"]}}
{{"index":0,"time":5,"process":"nemesis","node":"n1","type":"info","f":"node","value":{{"state":"died","detail":"{detail}"}}}}
"#
            );
            let record = Record {
                history: tribunal_results::journal::read(text.as_bytes())
                    .unwrap()
                    .history,
                faults: fault.map(str::to_owned).into_iter().collect(),
                is_run: true,
                ..Record::default()
            };
            CrashLog.check(&record, Budget::default())
        };
        let full = "exit code 64: cannot write: No space left on device (os error 28)";
        let verdict = died(full, None);
        assert_eq!(verdict.unknown.unwrap().code, "disk-full");
        for (detail, fault) in [("exit code 64", None), (full, Some("disk-full"))] {
            let verdict = died(detail, fault);
            assert_eq!(verdict.anomalies[0].name, "unexpected-exit", "{detail}");
        }
    }

    #[test]
    fn a_panic_is_found_with_its_node_and_line() {
        let verdict = verdict(&["ready", "thread 'main' panicked at src/main.rs:3:5:"]);
        let anomaly = &verdict.anomalies[0];
        assert_eq!(anomaly.name, "crash");
        assert!(
            anomaly
                .sentence
                .starts_with("n2 logged a crash: thread 'main' panicked")
        );
        assert!(
            anomaly.facts[0].starts_with("Line 2"),
            "{:?}",
            anomaly.facts
        );
    }

    #[test]
    fn a_line_means_what_the_suite_says_it_means() {
        let judge = |line: &str| {
            let record = Record {
                logs: vec![NodeLog {
                    node: "n2".into(),
                    lines: vec![line.to_owned()],
                }],
                assume: Assumptions {
                    crash_patterns: vec!["INVARIANT".into()],
                    harmless_patterns: vec!["FATAL:  the database system is".into()],
                    ..Assumptions::default()
                },
                ..Record::default()
            };
            CrashLog.check(&record, Budget::default()).anomalies_total
        };
        assert_eq!(judge("12:00 INVARIANT broken: x > y"), 1);
        assert_eq!(judge("12:00 SUBINVARIANT checked"), 0);
        assert_eq!(judge("FATAL:  the database system is starting up"), 0);
        assert_eq!(judge("FATAL:  could not open file"), 1);
    }

    #[test]
    fn every_pattern_is_found() {
        for pattern in PATTERNS {
            assert_eq!(
                verdict(&[&format!("1.2s {pattern} x")]).anomalies_total,
                1,
                "{pattern}"
            );
        }
    }

    #[test]
    fn words_that_only_contain_a_pattern_are_no_crash() {
        let lines = [
            "non-fatal error, going on",
            "metric rpc_out of memory=3",
            "NONFATAL",
        ];
        assert_eq!(verdict(&lines).anomalies, []);
    }
}
