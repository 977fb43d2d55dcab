//! `unique-ids`: a generator never gives the same identifier twice.

use rustc_hash::FxHashSet;
use serde_json::json;
use tribunal_results::{
    Answer, Assumptions, Call, History, Kind, Outcome, Record, Scalar, Verdict,
};

use crate::intern::Numbers;
use crate::tally::{self, Finding, Findings, Listing, Watch, Watching};
use crate::{Budget, Checker, Fold, explain};

/// The checker.
pub struct UniqueIds;

const NAME: &str = "unique-ids";
const ANOMALIES: [&str; 1] = ["duplicate-id"];

impl Checker for UniqueIds {
    fn name(&self) -> &'static str {
        NAME
    }

    fn about(&self) -> &'static str {
        "no identifier is given twice (Jepsen's `unique-ids`)"
    }

    fn anomalies(&self) -> &'static [&'static str] {
        &ANOMALIES
    }

    fn blind_to(&self) -> &'static str {
        "identifiers that nobody was told of; their order"
    }

    fn check(&self, record: &Record, budget: Budget) -> Verdict {
        judge(&record.history, &record.assume, budget)
    }

    fn fold(&self, assume: &Assumptions, budget: Budget) -> Option<Box<dyn Fold>> {
        Some(Box::new(Watching::<Given>::new(judge, assume, budget)))
    }
}

fn judge(history: &History, _: &Assumptions, budget: Budget) -> Verdict {
    let mut account = Account::default();
    let mut findings = Findings::new(&ANOMALIES);
    let Some(objects) = tally::by_key(history, &[Kind::Generate], budget) else {
        return tally::exhausted(NAME, history);
    };
    for (key, calls) in objects {
        account.take(key, &calls, &mut findings);
    }
    account.verdict(findings)
}

/// The identifiers that a generator has given so far.
#[derive(Default)]
struct Given(FxHashSet<Scalar>);

impl Watch for Given {
    const KINDS: &[Kind] = &[Kind::Generate];

    fn returned(&mut self, place: usize, history: &History, _: &Assumptions) -> bool {
        let given = history.calls().get(place).and_then(id);
        given.is_some_and(|id| !self.0.insert(id.clone()))
    }
}

/// The identifier that a call was given.
const fn id(call: &Call) -> Option<&Scalar> {
    match &call.outcome {
        Outcome::Ok(Answer::Value(id)) => id.as_ref(),
        _ => None,
    }
}

#[derive(Default)]
struct Account<'a> {
    attempted: usize,
    acknowledged: usize,
    duplicated: Listing<'a>,
    range: Option<(&'a Scalar, &'a Scalar)>,
}

impl<'a> Account<'a> {
    fn take(&mut self, key: &'a Scalar, calls: &[&'a Call], findings: &mut Findings) {
        let mut numbers = Numbers::expecting(calls.len());
        let mut given: Vec<(&Call, bool)> = Vec::with_capacity(calls.len());
        self.attempted += calls.len();
        for call in calls {
            let Some(id) = id(call) else {
                continue;
            };
            self.acknowledged += 1;
            let (low, high) = self.range.unwrap_or((id, id));
            self.range = Some((low.min(id), high.max(id)));
            let Some((first, again)) = given.get_mut(numbers.number(id) as usize) else {
                given.push((call, false));
                continue;
            };
            if !std::mem::replace(again, true) {
                self.duplicated.add(key, id);
            }
            let first = *first;
            findings.add("duplicate-id", || duplicate(key, id, first, call));
        }
    }

    fn verdict(self, findings: Findings) -> Verdict {
        let verdict = findings.verdict(NAME, || {
            if self.acknowledged < 2 {
                let text = "fewer than two identifiers were given, so there is nothing to compare";
                return Verdict::unknown(NAME, "vacuous", text);
            }
            let ids = explain::count(self.acknowledged, "identifier");
            Verdict::valid(NAME, format!("{ids}, each given once"))
        });
        let range = self.range.map(|(low, high)| json!([low, high]));
        verdict
            .figure("attempted-count", self.attempted)
            .figure("acknowledged-count", self.acknowledged)
            .figure("duplicated-count", self.duplicated.len())
            .figure("duplicated", self.duplicated.json())
            .figure("range", range)
    }
}

fn duplicate<'a>(key: &'a Scalar, id: &Scalar, first: &'a Call, again: &'a Call) -> Finding<'a> {
    Finding {
        key: Some(key),
        sentence: format!(
            "{key} gave the identifier {id} to p{} at {} and to p{} at {}",
            first.process,
            explain::seconds(explain::ended(first)),
            again.process,
            explain::seconds(explain::ended(again)),
        ),
        facts: vec![
            tally::fact(explain::returned(first)),
            tally::fact(explain::returned(again)),
        ],
        calls: vec![first, again],
    }
}
