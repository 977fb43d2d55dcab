//! From what a model's rule found to the verdict of its checker.

use tribunal_results::verdict::ANOMALIES_LISTED_MAX;
use tribunal_results::{Record, Scalar, Verdict};

use super::{Sessions, Unfit, normalize};
use crate::register::Contradiction;
use crate::{Budget, Checker, explain};

/// What may still be spent.
#[derive(Debug)]
pub(crate) struct Meter {
    budget: Budget,
    spent: u64,
}

/// The budget ran out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Exhausted;

impl Meter {
    /// With nothing spent.
    pub(crate) const fn new(budget: Budget) -> Self {
        Self { budget, spent: 0 }
    }

    /// Spends steps.
    ///
    /// # Errors
    /// If there are not so many left.
    pub(crate) const fn spend(&mut self, steps: usize) -> Result<(), Exhausted> {
        self.spent = self.spent.saturating_add(steps as u64);
        if self.spent > self.budget.steps {
            return Err(Exhausted);
        }
        Ok(())
    }

    /// Asks for memory that is held for the whole time.
    ///
    /// # Errors
    /// If the budget has not so many bytes.
    pub(crate) const fn hold(&self, bytes: u64) -> Result<(), Exhausted> {
        if bytes > self.budget.bytes {
            return Err(Exhausted);
        }
        Ok(())
    }

    /// How many steps were spent.
    pub(crate) const fn spent(&self) -> u64 {
        self.spent
    }

    /// What is left, but at most so many steps.
    pub(crate) fn rest(&self, steps: u64) -> Budget {
        Budget {
            steps: self.budget.steps.saturating_sub(self.spent).min(steps),
            ..self.budget
        }
    }
}

/// The contradictions that a rule found; it tells at most as many as a verdict lists.
#[derive(Debug, Default)]
pub(crate) struct Found<'a> {
    /// The key that each is about, and the contradiction.
    pub(crate) told: Vec<(Option<Scalar>, Contradiction<'a>)>,
    /// How many there were.
    pub(crate) total: u64,
}

impl<'a> Found<'a> {
    /// Adds one, which is put into words only if it will be listed.
    pub(crate) fn add(&mut self, tell: impl FnOnce() -> (Option<Scalar>, Contradiction<'a>)) {
        self.total += 1;
        if self.told.len() < ANOMALIES_LISTED_MAX {
            self.told.push(tell());
        }
    }

    /// Whether nothing was found.
    pub(crate) const fn is_empty(&self) -> bool {
        self.total == 0
    }
}

/// What a model forbids.
pub(crate) type Rule = for<'a> fn(&Sessions<'a>, &mut Meter) -> Result<Found<'a>, Exhausted>;

/// A model as a checker.
#[derive(Debug)]
pub(crate) struct Model {
    /// Its name in suites and verdicts.
    pub(crate) name: &'static str,
    /// What it checks, in one line, with its source.
    pub(crate) about: &'static str,
    /// What it cannot find.
    pub(crate) blind_to: &'static str,
    /// What a history is that it allows.
    pub(crate) claim: &'static str,
    pub(crate) anomalies: &'static [&'static str],
    pub(crate) rule: Rule,
}

impl Checker for Model {
    fn name(&self) -> &'static str {
        self.name
    }

    fn about(&self) -> &'static str {
        self.about
    }

    fn anomalies(&self) -> &'static [&'static str] {
        self.anomalies
    }

    fn blind_to(&self) -> &'static str {
        self.blind_to
    }

    fn check(&self, record: &Record, budget: Budget) -> Verdict {
        let (name, claim) = (self.name, self.claim);
        let sessions = match normalize(&record.history) {
            Ok(sessions) => sessions,
            Err(unfit) => return refuse(name, unfit),
        };
        let mut meter = Meter::new(budget);
        let cross = sessions.cross_reads();
        let operations = explain::count(sessions.ops.len(), "operation");
        let width = explain::count(sessions.sessions.len(), "session");
        let verdict = match (self.rule)(&sessions, &mut meter) {
            Ok(found) if !found.is_empty() => invalid(name, found),
            Err(Exhausted) => {
                let text =
                    format!("the budget ran out before all of {operations} in {width} was judged");
                Verdict::unknown(name, "budget", text)
            }
            Ok(_) if cross == 0 => {
                let text = "no session read what another had written, so there is nothing to judge";
                Verdict::unknown(name, "vacuous", text)
            }
            Ok(_) => {
                let are = explain::are(sessions.ops.len());
                Verdict::valid(name, format!("{operations} in {width} {are} {claim}"))
            }
        };
        verdict
            .figure("sessions", sessions.sessions.len())
            .figure("keys", sessions.lines.len())
            .figure("operations", sessions.ops.len())
            .figure("cross-observations", cross)
            .figure("steps", meter.spent)
    }
}

/// The verdict on a history that the model forbids.
pub(crate) fn invalid(name: &str, found: Found<'_>) -> Verdict {
    let mut anomalies: Vec<_> = found
        .told
        .into_iter()
        .map(|(key, contradiction)| contradiction.about(key.as_ref()))
        .collect();
    // The clearest first: few calls, then early ones.
    anomalies.sort_by_key(|a| (a.calls.len(), a.span.1, a.calls.first().copied()));
    Verdict::invalid(name, anomalies, found.total)
}

/// The verdict on a history that has no normal form.
pub(crate) fn refuse(name: &str, unfit: Unfit<'_>) -> Verdict {
    match unfit {
        Unfit::Unwritten(bad) => {
            let mut found = Found::default();
            for (key, contradiction) in bad {
                found.add(|| (Some(key), contradiction));
            }
            invalid(name, found)
        }
        Unfit::Ambiguous(read) => {
            let text = format!(
                "{}, which was written more than once: which write it saw is not known; let \
                 every write have a value of its own",
                explain::done(read)
            );
            Verdict::unknown(name, "ambiguous", text)
        }
        Unfit::Cas(cas) => {
            let text = format!(
                "{}: this model is about reads and writes alone",
                explain::returned(cas)
            );
            Verdict::unknown(name, "unsupported", text)
        }
    }
}
