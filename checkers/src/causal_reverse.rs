//! `causal-reverse`: who sees a write sees every write that had ended before that one began.
//!
//! For each read of several keys, or of a whole set: the write it saw that was invoked last, and
//! the acknowledged write it did not see that returned first. If that one had returned when the
//! other was invoked, the read saw the effect without its cause. Takes time in proportion to what
//! the reads returned.

use serde_json::{Value as Json, json};
use tribunal_results::{Call, Record, Scalar, Verdict};

use crate::normal::Transactions;
use crate::tally::{self, Finding, Findings, Registers, Set};
use crate::{Budget, Checker, explain, transactions};

/// The checker.
pub struct CausalReverse;

const NAME: &str = "causal-reverse";
const ANOMALIES: [&str; 1] = ["causal-reverse"];

impl Checker for CausalReverse {
    fn name(&self) -> &'static str {
        NAME
    }

    fn about(&self) -> &'static str {
        "a read that sees a write sees all that were acknowledged before it was invoked (Jepsen's \
         `causal-reverse`)"
    }

    fn anomalies(&self) -> &'static [&'static str] {
        &ANOMALIES
    }

    fn blind_to(&self) -> &'static str {
        "reads that miss the newest writes; which of several values of one key was read; elements \
         that a client may have removed"
    }

    fn check(&self, record: &Record, budget: Budget) -> Verdict {
        let mut account = Account {
            findings: Findings::new(&ANOMALIES),
            reads: 0,
            seeing: 0,
            errors: Vec::new(),
        };
        let txns = Transactions::of(&record.history);
        let work = txns.len().into();
        if let Some(verdict) = transactions::too_large(NAME, &txns, work, budget) {
            return verdict;
        }
        of_registers(&Registers::of(&txns), &mut account);
        let Some(objects) = tally::by_key(&record.history, &Set::KINDS, budget) else {
            return tally::exhausted(NAME, &record.history);
        };
        for (key, calls) in objects {
            of_set(&Set::of(key, &calls), &mut account);
        }
        account.verdict()
    }
}

/// A write with what it wrote: a key, or an element of a set.
type Written<'a> = (&'a Scalar, &'a Call);

struct Account {
    findings: Findings,
    reads: usize,
    /// Reads that saw something written.
    seeing: usize,
    errors: Vec<Json>,
}

impl Account {
    /// Judges a read by the write that it saw and that was invoked last, and the one that it did
    /// not see and that returned first.
    fn judge<'a>(
        &mut self,
        key: Option<&'a Scalar>,
        read: &'a Call,
        seen: Option<Written<'a>>,
        missed: Option<Written<'a>>,
    ) {
        self.reads += 1;
        let Some(seen) = seen else {
            return;
        };
        self.seeing += 1;
        let Some(missed) = missed.filter(|missed| tally::end(missed.1) < seen.1.invoked.index)
        else {
            return;
        };
        if self.errors.len() < 32 {
            self.errors.push(json!({
                "read": read.invoked.index,
                "missing": missed.0,
                "seen": seen.0,
            }));
        }
        let tell = || reversed(key, read, seen, missed);
        self.findings.add("causal-reverse", tell);
    }

    fn verdict(self) -> Verdict {
        let count = self.findings.count("causal-reverse");
        let verdict = self.findings.verdict(NAME, || {
            if self.seeing == 0 {
                let text = "no read of several keys or of a set saw a write";
                return Verdict::unknown(NAME, "vacuous", text);
            }
            let reads = explain::count(self.seeing, "read");
            Verdict::valid(
                NAME,
                format!("{reads}, none saw a write without an earlier one"),
            )
        });
        verdict
            .figure("reads-count", self.reads)
            .figure("error-count", count)
            .figure("errors", tally::bounded(self.errors, count as usize))
    }
}

fn of_registers(registers: &Registers<'_>, account: &mut Account) {
    for read in &registers.reads {
        let (mut seen, mut missed): (Option<Written<'_>>, Option<Written<'_>>) = (None, None);
        for (number, there) in &read.keys {
            let Some(register) = registers.get(*number) else {
                continue;
            };
            // Who first may have written a key brought it in at the earliest.
            if *there && let Some(write) = register.first {
                seen = later(seen, (register.key, write));
            } else if !there && let Some(write) = register.acknowledged {
                missed = sooner(missed, (register.key, write));
            }
        }
        account.judge(None, read.call, seen, missed);
    }
}

fn of_set(set: &Set<'_>, account: &mut Account) {
    let mut acknowledged: Vec<(Written<'_>, usize)> = Vec::new();
    for (number, added) in set.elements.iter().enumerate() {
        if let Some(add) = added.acknowledged.filter(|_| !added.removed) {
            acknowledged.push(((added.element, add), number));
        }
    }
    acknowledged.sort_by_key(|((_, add), _)| tally::end(add));
    let mut marks = vec![usize::MAX; set.elements.len()];
    for (at, &(read, values)) in set.reads.iter().enumerate() {
        let mut seen = None;
        for element in values {
            let Some(number) = set.number(element) else {
                continue;
            };
            marks[number] = at;
            if let Some(add) = set.elements[number].attempt {
                seen = later(seen, (element, add));
            }
        }
        // Those before it were all seen: no more than the read returned.
        let missed = acknowledged.iter().find(|(_, number)| marks[*number] != at);
        account.judge(
            Some(set.key),
            read,
            seen,
            missed.map(|(written, _)| *written),
        );
    }
}

fn later<'a>(latest: Option<Written<'a>>, write: Written<'a>) -> Option<Written<'a>> {
    let keep = latest.filter(|latest| latest.1.invoked.index >= write.1.invoked.index);
    keep.or(Some(write))
}

fn sooner<'a>(soonest: Option<Written<'a>>, write: Written<'a>) -> Option<Written<'a>> {
    let keep = soonest.filter(|soonest| tally::end(soonest.1) <= tally::end(write.1));
    keep.or(Some(write))
}

fn reversed<'a>(
    key: Option<&'a Scalar>,
    read: &'a Call,
    seen: Written<'a>,
    missed: Written<'a>,
) -> Finding<'a> {
    let when = explain::seconds(explain::ended(read));
    let who = format!("p{} at {when}{}", read.process, explain::place(read));
    Finding {
        key,
        sentence: format!(
            "{who} saw {} but not {}, which was acknowledged before the other was invoked",
            seen.0, missed.0
        ),
        facts: vec![
            tally::fact(explain::acknowledged(missed.1)),
            tally::fact(format!("{}, after that", explain::invoked(seen.1))),
            tally::fact(format!("{who} saw {} but not {}", seen.0, missed.0)),
        ],
        calls: vec![missed.1, seen.1, read],
    }
}
