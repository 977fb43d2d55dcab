//! `set`: the last read of a set has every element whose add was acknowledged before it, and
//! none that nobody added.

use serde_json::json;
use tribunal_results::{Call, Record, Scalar, Verdict};

use crate::tally::{self, Added, Finding, Findings, Listing, Set};
use crate::{Budget, Checker, explain};

/// The checker.
pub struct SetCheck;

const NAME: &str = "set";
const ANOMALIES: [&str; 2] = ["lost-element", "unexpected-element"];

impl Checker for SetCheck {
    fn name(&self) -> &'static str {
        NAME
    }

    fn about(&self) -> &'static str {
        "the last read of a set has what was added, and nothing else (Jepsen's `set`)"
    }

    fn anomalies(&self) -> &'static [&'static str] {
        &ANOMALIES
    }

    fn blind_to(&self) -> &'static str {
        "all reads but the last; elements that a client may have removed; elements returned twice"
    }

    fn check(&self, record: &Record, budget: Budget) -> Verdict {
        let mut account = Account::default();
        let mut findings = Findings::new(&ANOMALIES);
        let Some(objects) = tally::by_key(&record.history, &Set::KINDS, budget) else {
            return tally::exhausted(NAME, &record.history);
        };
        for (key, calls) in objects {
            account.take(&Set::of(key, &calls), &mut findings);
        }
        account.verdict(findings)
    }
}

/// What became of the elements of all sets.
#[derive(Default)]
struct Account<'a> {
    attempted: usize,
    acknowledged: usize,
    unread: Option<&'a Scalar>,
    ok: Listing<'a>,
    lost: Listing<'a>,
    unexpected: Listing<'a>,
    recovered: Listing<'a>,
}

impl<'a> Account<'a> {
    fn take(&mut self, set: &Set<'a>, findings: &mut Findings) {
        let asked = |added: &&Added<'_>| added.attempt.is_some();
        let kept = |added: &&Added<'_>| added.acknowledged.is_some();
        self.attempted += set.elements.iter().filter(asked).count();
        let acknowledged = set.elements.iter().filter(kept).count();
        self.acknowledged += acknowledged;
        let last = set.reads.iter().max_by_key(|(call, _)| tally::end(call));
        let Some(&(read, seen)) = last else {
            if acknowledged > 0 {
                self.unread = self.unread.or(Some(set.key));
            }
            return;
        };
        let mut present = vec![false; set.elements.len()];
        for element in seen {
            match set.number(element) {
                Some(number) => present[number] = true,
                None => self.unexpected(set.key, element, read, None, findings),
            }
        }
        for (added, present) in set.elements.iter().zip(present) {
            self.judge(set.key, added, read, present, findings);
        }
    }

    fn judge(
        &mut self,
        key: &'a Scalar,
        added: &Added<'a>,
        read: &'a Call,
        present: bool,
        findings: &mut Findings,
    ) {
        let element = added.element;
        let before = |add: &&Call| tally::end(add) < read.invoked.index;
        if !present {
            if let Some(add) = added.acknowledged.filter(before).filter(|_| !added.removed) {
                self.lost.add(key, element);
                findings.add("lost-element", || lost(key, element, add, read));
            }
        } else if added.possible_until(tally::end(read)) {
            self.ok.add(key, element);
            if added.acknowledged.is_none() {
                self.recovered.add(key, element);
            }
        } else {
            self.unexpected(key, element, read, Some(added), findings);
        }
    }

    fn unexpected(
        &mut self,
        key: &'a Scalar,
        element: &'a Scalar,
        read: &'a Call,
        added: Option<&Added<'a>>,
        findings: &mut Findings,
    ) {
        self.unexpected.add(key, element);
        findings.add("unexpected-element", || {
            unexpected(key, element, read, added)
        });
    }

    fn verdict(self, findings: Findings) -> Verdict {
        let (ok, lost) = (self.ok.len(), self.lost.len());
        let verdict = findings.verdict(NAME, || match self.unread {
            Some(key) => {
                let text = format!("set {key} was never read, so nobody knows what it kept");
                Verdict::unknown(NAME, "vacuous", text)
            }
            None if ok == 0 => {
                let text =
                    "no read returned an element that was added, so there is nothing to judge";
                Verdict::unknown(NAME, "vacuous", text)
            }
            None => {
                let kept = explain::count(ok, "element");
                Verdict::valid(NAME, format!("{kept} in the last read, none lost"))
            }
        });
        let share = |part: usize| json!(part as f64 / self.attempted.max(1) as f64);
        verdict
            .figure("attempt-count", self.attempted)
            .figure("acknowledged-count", self.acknowledged)
            .figure("ok-count", ok)
            .figure("lost-count", lost)
            .figure("unexpected-count", self.unexpected.len())
            .figure("recovered-count", self.recovered.len())
            .figure("ok-fraction", share(ok))
            .figure("lost-fraction", share(lost))
            .figure("unexpected-fraction", share(self.unexpected.len()))
            .figure("recovered-fraction", share(self.recovered.len()))
            .figure("ok", self.ok.json())
            .figure("lost", self.lost.json())
            .figure("unexpected", self.unexpected.json())
            .figure("recovered", self.recovered.json())
    }
}

fn lost<'a>(key: &'a Scalar, element: &Scalar, add: &'a Call, read: &'a Call) -> Finding<'a> {
    let acknowledged = explain::acknowledged(add);
    Finding {
        key: Some(key),
        sentence: format!(
            "element {element} of {key} is lost: {acknowledged}, and {} without it",
            tally::read(read)
        ),
        facts: vec![
            tally::fact(acknowledged),
            tally::fact(format!("{}, after that", explain::invoked(read))),
            tally::fact(format!("It did not return {element}")),
            tally::fact(format!("Nobody asked to remove {element} from {key}")),
        ],
        calls: vec![add, read],
    }
}

/// An element that a read returned although no add can have brought it in by then.
pub(crate) fn unexpected<'a>(
    key: &'a Scalar,
    element: &Scalar,
    read: &'a Call,
    added: Option<&Added<'a>>,
) -> Finding<'a> {
    let late = added.and_then(|added| added.attempt);
    let refused = added.and_then(|added| added.refused);
    let (why, cause) = match (late, refused) {
        (Some(add), _) => (explain::invoked(add), Some(add)),
        (None, Some(add)) => (tally::refused(add), Some(add)),
        (None, None) => (format!("nobody added {element} to {key}"), None),
    };
    let why = match late {
        Some(_) => format!("{why}, after that"),
        None => why,
    };
    Finding {
        key: Some(key),
        sentence: format!("{} and got {element}, though {why}", tally::read(read)),
        facts: vec![
            tally::fact(format!("{} and got {element}", tally::read(read))),
            tally::fact(why),
        ],
        calls: cause.into_iter().chain([read]).collect(),
    }
}
