//! What must hold: the best score is never below one that was acknowledged before anybody asked.

use tribunal::checkers::{Budget, Checker};
use tribunal::results::{Anomaly, Answer, Call, Operation, Outcome, Record, Verdict};

/// The checker.
pub(crate) struct HighScore;

const NAME: &str = "high-score";

impl Checker for HighScore {
    fn name(&self) -> &'static str {
        NAME
    }

    fn about(&self) -> &'static str {
        "the best score is at least every score acknowledged before"
    }

    fn anomalies(&self) -> &'static [&'static str] {
        &["forgotten-score"]
    }

    fn blind_to(&self) -> &'static str {
        "scores that nobody ever put"
    }

    fn check(&self, record: &Record, _: Budget) -> Verdict {
        let calls = record.history.calls();
        let asked: Vec<(&Call, u64)> = calls.iter().filter_map(|c| Some((c, best(c)?))).collect();
        if asked.is_empty() {
            return Verdict::unknown(NAME, "vacuous", "nobody was told the best score");
        }
        // Acknowledged scores by the time of their acknowledgement, each with the highest so far.
        let mut put: Vec<(u64, u64, &Call)> = calls.iter().filter_map(acknowledged).collect();
        put.sort_by_key(|(index, ..)| *index);
        let mut highest: Vec<(u64, u64, &Call)> = Vec::new();
        for one in put {
            if highest.last().is_none_or(|(_, score, _)| one.1 > *score) {
                highest.push(one);
            }
        }
        let forgotten = asked.iter().filter_map(|(call, best)| {
            let before = highest.partition_point(|(index, ..)| *index < call.invoked.index);
            let (_, score, put) = highest[..before].last()?;
            (score > best).then(|| anomaly(call, *best, put, *score))
        });
        let anomalies: Vec<Anomaly> = forgotten.collect();
        match anomalies.len() {
            0 => Verdict::valid(NAME, format!("{} answers were right", asked.len())),
            total => Verdict::invalid(NAME, anomalies, total as u64),
        }
    }
}

/// The score that a call was told.
fn best(call: &Call) -> Option<u64> {
    match (&call.operation, &call.outcome) {
        (Operation::Custom { name, .. }, Outcome::Ok(Answer::Custom(told))) if name == "best" => {
            told.as_u64()
        }
        _ => None,
    }
}

/// When a score was acknowledged, and which.
fn acknowledged(call: &Call) -> Option<(u64, u64, &Call)> {
    match &call.operation {
        Operation::Custom { name, value } if name == "put" && call.is_ok() => {
            Some((call.completed?.index, value.as_u64()?, call))
        }
        _ => None,
    }
}

fn anomaly(call: &Call, best: u64, put: &Call, score: u64) -> Anomaly {
    Anomaly {
        name: "forgotten-score".into(),
        sentence: format!(
            "p{} was told that {best} is the best, but {score} had been acknowledged",
            call.process
        ),
        key: None,
        calls: vec![put.invoked.index, call.invoked.index],
        facts: vec![
            format!("p{} put {score}, and was told ok", put.process),
            format!(
                "later p{} asked for the best, and was told {best}",
                call.process
            ),
        ],
        span: (
            put.invoked.time,
            call.completed.map_or(call.invoked.time, |end| end.time),
        ),
    }
}
