//! Which violations of some runs are known issues, and which of these count all the same.

use jiff::civil::Date;
use tribunal_results::rate::Rate;
use tribunal_results::run::RunInfo;
use tribunal_results::{ResultClass, RunVerdict, Signature};

use crate::campaign::failed;
use crate::suite::known::KnownIssue;

/// How a known issue stands after some runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// No run showed it.
    Unseen,
    /// It was seen, and does not count.
    Known,
    /// It was seen, and counts again: its time is over.
    Expired,
    /// It was seen, and counts again: surely more often than it may be.
    Risen,
}

/// A known issue after some runs.
#[derive(Clone, Debug)]
pub struct Standing<'a> {
    /// The issue.
    pub issue: &'a KnownIssue,
    /// How many of the runs that could have shown it did; only those count that came to a verdict.
    pub rate: Rate,
    /// How it stands.
    pub state: State,
}

/// How each issue stands after these runs. It has risen if the whole 95 % interval of its rate lies
/// above what it may be.
pub fn standings<'a>(
    issues: &'a [KnownIssue],
    runs: &[(&RunInfo, &RunVerdict)],
    today: Date,
) -> Vec<Standing<'a>> {
    let of = |issue: &'a KnownIssue| {
        let could = runs.iter().filter(|(info, verdict)| {
            issue.signature.concerns(info) && failed(verdict.class).is_some()
        });
        let (mut hits, mut trials) = (0, 0);
        for (info, verdict) in could {
            trials += 1;
            hits += u64::from(Signature::of_run(info, verdict).contains(&issue.signature));
        }
        let rate = Rate::of(hits, trials);
        let state = match issue.max_rate {
            _ if hits == 0 => State::Unseen,
            _ if today > issue.expires => State::Expired,
            Some(most) if rate.low > most => State::Risen,
            _ => State::Known,
        };
        Standing { issue, rate, state }
    };
    issues.iter().map(of).collect()
}

/// The tickets of a violation all of whose findings are known; none if one of them is new, or may
/// be, as checkers list so many only.
pub fn tickets(standings: &[Standing<'_>], info: &RunInfo, verdict: &RunVerdict) -> Vec<String> {
    let known = |signature: &Signature| {
        let mut such = standings.iter().filter(|one| one.state == State::Known);
        such.find(|one| one.issue.signature == *signature)
    };
    let found = Signature::of_run(info, verdict);
    let unlisted = verdict.verdicts.iter().filter(|v| !v.names_are_complete());
    let mut possible = unlisted.map(|v| (v, tribunal_checkers::find(&v.checker)));
    let nothing_hidden = possible.all(|(v, checker)| {
        let one = |anomaly: &&str| Signature {
            checker: v.checker.clone(),
            anomaly: (*anomaly).to_owned(),
            workload: info.workload.clone(),
            target: info.target.clone(),
            bug: info.bug.clone(),
        };
        checker.is_some_and(|checker| checker.anomalies().iter().all(|a| known(&one(a)).is_some()))
    });
    let tickets: Option<Vec<String>> = found
        .iter()
        .map(|signature| Some(known(signature)?.issue.ticket.clone()))
        .collect();
    let mut tickets = tickets.filter(|_| nothing_hidden).unwrap_or_default();
    tickets.sort();
    tickets.dedup();
    tickets
}

/// The issues whose time is not over.
pub fn unexpired(issues: &[KnownIssue], today: Date) -> Vec<KnownIssue> {
    let live = issues.iter().filter(|issue| today <= issue.expires);
    live.cloned().collect()
}

/// The tickets of a violation all of whose findings are known, looked at by itself: how often an
/// issue shows takes many runs, and is weighed when there are no more.
pub fn tickets_alone(
    unexpired: &[KnownIssue],
    info: &RunInfo,
    verdict: &RunVerdict,
) -> Vec<String> {
    let of = |issue| Standing {
        issue,
        rate: Rate::of(0, 0),
        state: State::Known,
    };
    let standings: Vec<Standing<'_>> = unexpired.iter().map(of).collect();
    tickets(&standings, info, verdict)
}

/// What a run counts as: a violation that is known does not.
pub fn counted(verdict: &RunVerdict) -> ResultClass {
    match verdict.known.is_empty() {
        true => verdict.class,
        false => ResultClass::Pass,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn info() -> RunInfo {
        serde_json::from_value(json!({
            "class": "violation", "suite": "s", "plan": "p", "target": "store",
            "workload": "register", "faults": [], "seed": 1, "nodes": [], "clients": 1,
            "started": "", "command": [], "reproduce": "", "version": "", "machine": {},
            "phases": [],
        }))
        .unwrap()
    }

    fn verdict(class: &str, names: &[&str], total: usize) -> RunVerdict {
        let anomalies: Vec<_> = names
            .iter()
            .map(|name| json!({"name": name, "sentence": ""}))
            .collect();
        serde_json::from_value(json!({
            "class": class, "reason": "", "claim": "", "evidence": {
                "operations": {}, "total": {"ok": 0, "fail": 0, "info": 0},
                "cross_observations": 0, "concurrency_peak": 0, "faults_bitten": {},
                "faults_idle": {}, "faults_skipped": {}, "overlap": 0.0, "final_reads": 0,
            },
            "verdicts": [{"checker": "linearizable", "validity": "invalid", "summary": "",
                "anomalies": anomalies, "anomalies_total": total}],
        }))
        .unwrap()
    }

    fn issue(anomaly: &str, max_rate: Option<f64>) -> KnownIssue {
        KnownIssue {
            signature: format!("linearizable/{anomaly}/register/store")
                .parse()
                .unwrap(),
            ticket: format!("T-{anomaly}"),
            owner: "ann".into(),
            expires: "2026-06-30".parse().unwrap(),
            max_rate,
        }
    }

    fn day(text: &str) -> Date {
        text.parse().unwrap()
    }

    #[test]
    fn a_violation_is_known_only_if_all_of_it_is() {
        let (info, issues) = (info(), [issue("stale-read", None)]);
        let known = verdict("violation", &["stale-read", "stale-read"], 2);
        let both = verdict("violation", &["stale-read", "other"], 2);
        let hidden = verdict("violation", &["stale-read"], 99);
        let runs = [(&info, &known), (&info, &both)];
        let standings = standings(&issues, &runs, day("2026-06-30"));
        assert_eq!(tickets(&standings, &info, &known), ["T-stale-read"]);
        assert!(tickets(&standings, &info, &both).is_empty());
        assert!(tickets(&standings, &info, &hidden).is_empty());
        let passed = verdict("pass", &[], 0);
        assert!(tickets(&standings, &info, &passed).is_empty());
    }

    #[test]
    fn an_issue_counts_again_after_its_last_day() {
        let (info, issues) = (info(), [issue("stale-read", None)]);
        let known = verdict("violation", &["stale-read"], 1);
        let state = |today| standings(&issues, &[(&info, &known)], day(today))[0].state;
        assert_eq!(state("2026-06-30"), State::Known);
        assert_eq!(state("2026-07-01"), State::Expired);
        let expired = standings(&issues, &[(&info, &known)], day("2026-07-01"));
        assert!(tickets(&expired, &info, &known).is_empty());
    }

    #[test]
    fn alone_a_run_goes_by_what_it_found_and_not_by_how_often() {
        let (info, issues) = (info(), [issue("stale-read", Some(0.01))]);
        let live = unexpired(&issues, day("2026-06-30"));
        let alone =
            |names: &[&str]| tickets_alone(&live, &info, &verdict("violation", names, names.len()));
        assert_eq!(alone(&["stale-read"]), ["T-stale-read"]);
        assert!(alone(&["stale-read", "other"]).is_empty());
        assert!(unexpired(&issues, day("2026-07-01")).is_empty());
    }

    #[test]
    fn an_issue_has_risen_only_if_that_is_sure() {
        let (info, issues) = (info(), [issue("stale-read", Some(0.1))]);
        let known = verdict("violation", &["stale-read"], 1);
        let (passed, nothing) = (verdict("pass", &[], 0), verdict("inconclusive", &[], 0));
        let state = |hits: usize, passes: usize| {
            let mut runs = vec![(&info, &known); hits];
            runs.extend(vec![(&info, &passed); passes]);
            runs.extend([(&info, &nothing); 50]);
            standings(&issues, &runs, day("2026-01-01"))[0].state
        };
        // 1 of 2 is 50 %, but may well be 1.3 %; 5 of 10 is at least 18.7 %.
        assert_eq!(state(1, 1), State::Known);
        assert_eq!(state(5, 5), State::Risen);
        assert_eq!(state(0, 5), State::Unseen);
    }
}
