//! `recovery`: once everything is healed, every node answers again, and the system serves.

use tribunal_results::{Anomaly, History, Nanos, NodeEvent, NodeState, Record, Verdict};

use crate::evidence::recovery::is_answer;
use crate::{Budget, Checker, explain};

/// The checker.
pub struct Recovery;

const NAME: &str = "recovery";

impl Checker for Recovery {
    fn name(&self) -> &'static str {
        NAME
    }

    fn about(&self) -> &'static str {
        "once all faults are healed, every node becomes ready and operations are acknowledged (liveness)"
    }

    fn anomalies(&self) -> &'static [&'static str] {
        &["not-recovered", "not-serving"]
    }

    fn blind_to(&self) -> &'static str {
        "recovery that takes longer than the harness waits, which counts as none"
    }

    fn check(&self, record: &Record, _: Budget) -> Verdict {
        let history = &record.history;
        let late = late(history, record.recovery);
        let (excused, late): (Vec<Late>, Vec<Late>) = late
            .into_iter()
            .partition(|late| late.is_excused(history, record.recovery));
        if !late.is_empty() {
            let total = late.len() as u64;
            let anomalies = late.into_iter().map(|late| late.anomaly).collect();
            return Verdict::invalid(NAME, anomalies, total);
        }
        if let Some(first) = excused.first() {
            return Verdict::unknown(NAME, "machine-stood-still", first.excuse(history));
        }
        if !record.is_run {
            return Verdict::valid(NAME, "nothing to check: only a history was given");
        }
        let verdict = Verdict::valid(NAME, "every node answered after everything was healed");
        match whole(history).and_then(|from| first_answer(history, from)) {
            Some(took) => verdict.figure("first-answer-ms", took / 1_000_000),
            None => verdict,
        }
    }
}

/// What did not come back, and since when it was waited for.
struct Late {
    since: Nanos,
    anomaly: Anomaly,
}

impl Late {
    /// Whether it cannot be blamed: without the time in which the machine itself stood still it was
    /// waited for less long than the system may take.
    fn is_excused(&self, history: &History, bound: Option<Nanos>) -> bool {
        let until = self.anomaly.span.1;
        let still = history.stood_still(self.since, until);
        let waited = until.saturating_sub(self.since).saturating_sub(still);
        still > 0 && bound.is_some_and(|bound| waited < bound)
    }

    fn excuse(&self, history: &History) -> String {
        format!(
            "the machine itself stood still for {} while the system was waited for; run it where \
             nothing else keeps the disk or the processors busy. Seen: {}",
            explain::seconds(history.stood_still(self.since, self.anomaly.span.1)),
            self.anomaly.sentence
        )
    }
}

/// The nodes that did not become ready again; if all are there, that they don't serve.
fn late(history: &History, bound: Option<Nanos>) -> Vec<Late> {
    let events = history.node_events();
    let healed = healed(history).flatten().unwrap_or(0);
    let late: Vec<Late> = events
        .iter()
        .filter(|(_, event)| event.state == NodeState::Unresponsive)
        .map(|(time, event)| Late {
            since: healed,
            anomaly: not_recovered(*time, event),
        })
        .collect();
    // Of a node that is away it is no wonder.
    let all_there = late.is_empty() && !events.iter().any(|(_, e)| e.state == NodeState::Died);
    match bound.filter(|_| all_there) {
        Some(bound) => not_serving(history, bound).into_iter().collect(),
        None => late,
    }
}

/// When the last fault was healed, if there were any; nothing if one never was.
fn healed(history: &History) -> Option<Option<Nanos>> {
    let spans = history.fault_spans();
    let installed = spans.iter().filter(|span| span.skipped.is_none());
    let healed: Option<Vec<Nanos>> = installed.map(|span| span.to).collect();
    Some(healed?.into_iter().max())
}

/// When everything was healed and every node ready for the last time; none if there was nothing to
/// heal, or something was never healed.
fn whole(history: &History) -> Option<Nanos> {
    let healed = healed(history)??;
    let ready = history
        .node_events()
        .iter()
        .filter(|(_, e)| e.state == NodeState::Ready);
    let ready = ready.map(|(time, _)| *time).max();
    Some(healed.max(ready.unwrap_or(0)))
}

/// How long after that the first answer came to something that was asked after it.
fn first_answer(history: &History, from: Nanos) -> Option<Nanos> {
    let asked = history
        .calls()
        .iter()
        .filter(|call| call.invoked.time >= from);
    let answers = asked.filter(|call| is_answer(&call.outcome));
    let first = answers
        .filter_map(|call| Some(call.completed?.time))
        .min()?;
    Some(first - from)
}

/// Nothing that was asked after everything was healed was answered within the bound. The clock
/// begins when all nodes are ready; where nobody asked for so long, nothing is said.
fn not_serving(history: &History, bound: Nanos) -> Option<Late> {
    let from = whole(history)?;
    let asked = history
        .calls()
        .iter()
        .filter(|call| call.invoked.time >= from)
        .count();
    let end = history.end().map_or(0, |end| end.time);
    let took = first_answer(history, from);
    let waited = took.unwrap_or(end.saturating_sub(from));
    if asked == 0 || waited < bound {
        return None;
    }
    let (within, since) = (explain::seconds(bound), explain::seconds(from));
    let sentence = match took {
        Some(_) => format!(
            "after everything was healed and all nodes were ready, at {since}, the first operation \
             was acknowledged only {} later; it must be within {within}",
            explain::seconds(waited)
        ),
        None => format!(
            "after everything was healed and all nodes were ready, at {since}, none of {} was \
             acknowledged, for {}; one must be within {within}",
            explain::count(asked, "operation"),
            explain::seconds(waited)
        ),
    };
    let anomaly = Anomaly {
        name: "not-serving".into(),
        sentence,
        key: None,
        calls: Vec::new(),
        facts: vec![
            "This says nothing of whether answers were right: that is judged apart.".into(),
        ],
        span: (from, from + waited),
    };
    Some(Late {
        since: from,
        anomaly,
    })
}

fn not_recovered(time: u64, event: &NodeEvent) -> Anomaly {
    let detail = if event.detail.is_empty() {
        String::new()
    } else {
        format!(": {}", event.detail)
    };
    Anomaly {
        name: "not-recovered".into(),
        sentence: format!(
            "{} did not become ready again by {}, although everything was healed{detail}",
            event.node,
            explain::seconds(time)
        ),
        key: None,
        calls: Vec::new(),
        facts: vec!["All faults had been healed before it was waited for.".into()],
        span: (time, time),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tribunal_results::{Validity, journal};

    /// A pause from 1 s to 2 s, and after that the given lines.
    fn judge(after: &str) -> Verdict {
        let pause = |index: u64, time: &str, kind: &str, phase: &str| {
            format!(
                r#"{{"index":{index},"time":{time}000000000,"process":"nemesis","type":"{kind}","f":"pause","value":{{"id":0,"phase":"{phase}","nodes":["n1"]}}}}"#
            )
        };
        let lines = [
            r#"{"format":"tribunal-history","version":1,"nodes":["n1"]}"#.to_owned(),
            pause(0, "1", "invoke", "inject"),
            pause(1, "1", "info", "injected"),
            pause(2, "2", "invoke", "heal"),
            pause(3, "2", "info", "healed"),
            after.to_owned(),
        ];
        let text = lines.join("\n") + "\n";
        let record = Record {
            history: journal::read(text.as_bytes()).unwrap().history,
            recovery: Some(5_000_000_000),
            is_run: true,
            ..Record::default()
        };
        Recovery.check(&record, Budget::default())
    }

    /// A read asked at one time and ended so at another.
    fn read(asked: u64, ended: u64, how: &str) -> String {
        let line = |index, time, kind: &str, rest: &str| {
            format!(
                r#"{{"index":{index},"time":{time}000000000,"process":0,"node":"n1","type":"{kind}","f":"read","key":1{rest}}}"#
            )
        };
        let rest = match how {
            "ok" => r#","value":null"#,
            _ => r#","error":{"code":"timeout"}"#,
        };
        [line(4, asked, "invoke", ""), line(5, ended, how, rest)].join("\n")
    }

    #[test]
    fn who_does_not_serve_within_the_bound_is_a_liveness_failure_with_its_own_name() {
        for (after, words) in [
            (read(3, 9, "info"), "none of 1 operation was acknowledged"),
            (read(3, 8, "ok"), "acknowledged only 6.000 s later"),
        ] {
            let verdict = judge(&after);
            assert_eq!(verdict.validity, Validity::Invalid, "{after}");
            let anomaly = &verdict.anomalies[0];
            assert_eq!(anomaly.name, "not-serving");
            assert!(anomaly.sentence.contains(words), "{}", anomaly.sentence);
        }
    }

    #[test]
    fn nobody_is_blamed_for_the_time_in_which_the_machine_stood_still() {
        let of_machine = |index: u64, time: u64, seconds: u64| {
            format!(
                r#"{{"index":{index},"time":{time}000000000,"process":"nemesis","type":"info","f":"machine","value":{{"what":"disk","lasted":{seconds}000000000}}}}"#
            )
        };
        let gone = r#"{"index":5,"time":9000000000,"process":"nemesis","node":"n1","type":"info","f":"node","value":{"state":"unresponsive","pid":7}}"#;
        // Healed at 2 s, with 5 s to come back: waited for until 9 s, but for 1 s or 3 s in vain.
        let not_recovered = |still| format!("{}\n{gone}", of_machine(4, 8, still));
        // Asked from 3 s on, without an answer until 12 s.
        let read = read(3, 12, "info");
        let (asked, ended) = read.split_once('\n').unwrap();
        let ended = ended.replace("\"index\":5", "\"index\":6");
        let not_serving = |still| format!("{asked}\n{}\n{ended}", of_machine(5, 11, still));
        for (after, validity) in [
            (not_recovered(1), Validity::Invalid),
            (not_recovered(3), Validity::Unknown),
            (not_serving(3), Validity::Invalid),
            (not_serving(6), Validity::Unknown),
        ] {
            let verdict = judge(&after);
            assert_eq!(verdict.validity, validity, "{}", verdict.summary);
            let code = verdict.unknown.map(|reason| reason.code);
            let stood_still = validity == Validity::Unknown;
            assert_eq!(code, stood_still.then(|| "machine-stood-still".into()));
        }
    }

    #[test]
    fn who_serves_in_time_or_was_not_asked_so_long_is_not_accused() {
        for after in [
            read(3, 4, "ok"),
            read(3, 6, "info"),
            r#"{"index":4,"time":60000000000,"process":"nemesis","node":"n1","type":"info","f":"node","value":{"state":"stopped"}}"#.to_owned(),
            // It was restarted, and its time counts from when it was ready.
            r#"{"index":4,"time":6000000000,"process":"nemesis","node":"n1","type":"info","f":"node","value":{"state":"ready"}}"#.to_owned()
                + "\n" + &read(7, 10, "ok").replace("\"index\":5", "\"index\":6").replace("\"index\":4", "\"index\":5"),
        ] {
            assert_eq!(judge(&after).validity, Validity::Valid, "{after}");
        }
    }
}
