//! Which models a history satisfies, all at once.

use tribunal_results::{History, Record, Validity, Verdict};

use crate::{Budget, find, forbids};

/// What is known of one model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The history satisfies it.
    Holds,
    /// The history violates it.
    Violated,
    /// Nobody can tell: budget exhausted, or nothing to judge.
    Unknown,
}

/// One model with what is known of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelVerdict {
    /// The model, by the name of its checker.
    pub model: &'static str,
    /// What is known.
    pub standing: Standing,
    /// The reason, in one sentence.
    pub why: String,
}

/// Every model, each after those that imply it, with those that imply it directly (Viotti &
/// Vukolić, *Consistency in non-transactional distributed storage systems*, 2016). The session
/// guarantees ask for one order of versions, which causal memory and PRAM do not.
const MODELS: [(&str, &[&str]); 10] = [
    ("linearizable", &[]),
    ("sequential", &["linearizable"]),
    ("causal-memory", &["sequential"]),
    ("causal-convergence", &["sequential"]),
    ("causal", &["causal-memory", "causal-convergence"]),
    ("pram", &["causal-memory"]),
    ("read-your-writes", &["causal-convergence"]),
    ("monotonic-reads", &["causal-convergence"]),
    ("monotonic-writes", &["causal-convergence"]),
    ("writes-follow-reads", &["causal-convergence"]),
];

/// Every level of isolation of transactions, likewise (Adya 1999; Daudjee & Salem, *Lazy database
/// replication with snapshot isolation*, 2006; Cerone, Bernardi & Gotsman, *A framework for
/// transactional consistency models with atomic visibility*, 2015). Causal consistency and what it
/// implies keep the order of sessions here (Biswas & Enea, *On the complexity of checking
/// transactional consistency*, 2019), so levels that do not keep it imply none of them.
const ISOLATIONS: [(&str, &[&str]); 11] = [
    ("strict-serializable", &[]),
    ("strong-session-serializable", &["strict-serializable"]),
    ("serializable", &["strong-session-serializable"]),
    ("strong-snapshot-isolation", &["strict-serializable"]),
    (
        "strong-session-snapshot-isolation",
        &["strong-session-serializable", "strong-snapshot-isolation"],
    ),
    (
        "snapshot-isolation",
        &["serializable", "strong-session-snapshot-isolation"],
    ),
    ("prefix", &["snapshot-isolation"]),
    ("parallel-snapshot-isolation", &["snapshot-isolation"]),
    (
        "transactional-causal",
        &["strong-session-snapshot-isolation"],
    ),
    ("read-atomic", &["transactional-causal"]),
    ("read-committed", &["read-atomic"]),
];

/// What the table of anomalies calls a level, where that is not its own name.
const TABLED: [(&str, &str); 3] = [
    (
        "transactional-causal",
        "strong-session-transactional-causal",
    ),
    ("read-atomic", "strong-session-read-atomic"),
    ("read-committed", "strong-session-read-committed"),
];

/// What the history says of every level of isolation, as [`strongest`] does of models of
/// registers. What has no checker, or none that can tell, is decided by what was found elsewhere:
/// by the checkers of other levels, by `list-append` and by `rw-register`.
pub fn strongest_isolation(history: &History, budget: Budget) -> Vec<ModelVerdict> {
    let record = Record {
        history: history.clone(),
        ..Record::default()
    };
    let (mut known, mut found) = judged(&ISOLATIONS, &record, budget);
    for checker in ["list-append", "rw-register"].into_iter().filter_map(find) {
        found.extend(names(&checker.check(&record, budget)));
    }
    for verdict in &mut known {
        if verdict.standing == Standing::Unknown
            && let Some(anomaly) = found.iter().find(|name| excludes(verdict.model, name))
        {
            verdict.standing = Standing::Violated;
            verdict.why = format!("{anomaly} was found, which it forbids");
        }
    }
    exclude(&ISOLATIONS, &mut known);
    known
}

/// Whether the level forbids what was found.
fn excludes(level: &str, anomaly: &str) -> bool {
    let tabled = TABLED.iter().find(|(name, _)| *name == level);
    forbids(tabled.map_or(level, |(_, name)| name), anomaly) == Some(true)
}

/// What a verdict found.
fn names(verdict: &Verdict) -> Vec<String> {
    let anomalies = verdict.anomalies.iter();
    anomalies.map(|anomaly| anomaly.name.clone()).collect()
}

/// What the history says of every model, from the strongest to the weakest. Where a model holds,
/// so do all that it implies; where one is violated, so are all that imply it. The budget is for
/// each model.
pub fn strongest(history: &History, budget: Budget) -> Vec<ModelVerdict> {
    let record = Record {
        history: history.clone(),
        ..Record::default()
    };
    let (mut known, _) = judged(&MODELS, &record, budget);
    exclude(&MODELS, &mut known);
    known
}

/// Models, each after those that imply it, with those that imply it directly.
type Lattice = [(&'static str, &'static [&'static str])];

/// What the checkers say of each model that is not implied by others; and what they found.
fn judged(models: &Lattice, record: &Record, budget: Budget) -> (Vec<ModelVerdict>, Vec<String>) {
    let mut known: Vec<ModelVerdict> = Vec::new();
    let mut found = Vec::new();
    for &(model, stronger) in models {
        let holds =
            |v: &&ModelVerdict| v.standing == Standing::Holds && stronger.contains(&v.model);
        let verdict = match known.iter().find(holds) {
            Some(implied) => ModelVerdict {
                model,
                standing: Standing::Holds,
                why: format!("{} holds, which implies it", implied.model),
            },
            None => judge(model, record, budget, &mut found),
        };
        known.push(verdict);
    }
    (known, found)
}

/// What implies a model that is violated is violated too.
fn exclude(models: &Lattice, known: &mut [ModelVerdict]) {
    for (model, stronger) in models.iter().rev() {
        let violated = |v: &ModelVerdict| v.model == *model && v.standing == Standing::Violated;
        if known.iter().any(violated) {
            let implies = |v: &&mut ModelVerdict| {
                v.standing == Standing::Unknown && stronger.contains(&v.model)
            };
            for verdict in known.iter_mut().filter(implies) {
                verdict.standing = Standing::Violated;
                verdict.why = format!("{model} is violated, which it implies");
            }
        }
    }
}

fn judge(
    model: &'static str,
    record: &Record,
    budget: Budget,
    found: &mut Vec<String>,
) -> ModelVerdict {
    let Some(checker) = find(model) else {
        return ModelVerdict {
            model,
            standing: Standing::Unknown,
            why: "no checker decides it, and nothing that was found excludes it".into(),
        };
    };
    let verdict = checker.check(record, budget);
    found.extend(names(&verdict));
    ModelVerdict {
        model,
        standing: match verdict.validity {
            Validity::Valid => Standing::Holds,
            Validity::Invalid => Standing::Violated,
            Validity::Unknown => Standing::Unknown,
        },
        why: verdict.summary,
    }
}
