//! `echo`: what was said comes back as it was.

use tribunal_results::{Answer, Call, Operation, Outcome, Record, Verdict};

use crate::tally::{Finding, Findings};
use crate::{Budget, Checker, explain};

/// The checker.
pub struct Echo;

const NAME: &str = "echo";
const ANOMALIES: [&str; 1] = ["wrong-echo"];

impl Checker for Echo {
    fn name(&self) -> &'static str {
        NAME
    }

    fn about(&self) -> &'static str {
        "each echo is what was said (Maelstrom's `echo`)"
    }

    fn anomalies(&self) -> &'static [&'static str] {
        &ANOMALIES
    }

    fn blind_to(&self) -> &'static str {
        "answers that never came"
    }

    fn check(&self, record: &Record, _: Budget) -> Verdict {
        let mut findings = Findings::new(&ANOMALIES);
        let mut right = 0;
        for call in record.history.calls() {
            let (Operation::Custom { name, value }, Outcome::Ok(Answer::Custom(answer))) =
                (&call.operation, &call.outcome)
            else {
                continue;
            };
            match name == NAME {
                true if value == answer => right += 1,
                true => findings.add("wrong-echo", || wrong(call)),
                false => {}
            }
        }
        findings.verdict(NAME, || match right {
            0 => Verdict::unknown(NAME, "vacuous", "nothing was echoed"),
            _ => Verdict::valid(
                NAME,
                format!("{}, each as it was said", explain::count(right, "echo")),
            ),
        })
    }
}

fn wrong(call: &Call) -> Finding<'_> {
    Finding {
        key: None,
        sentence: format!("{}: that is not what was said", explain::returned(call)),
        calls: vec![call],
        facts: vec![format!("{}.", explain::invoked(call))],
    }
}
