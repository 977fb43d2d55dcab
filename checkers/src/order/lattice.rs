//! Which models a history satisfies, all at once.

use tribunal_results::{History, Record, Validity};

use crate::{Budget, find};

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

/// Every level of isolation of transactions on registers, likewise (Adya 1999; Daudjee & Salem,
/// *Lazy database replication with snapshot isolation*, 2006).
const ISOLATIONS: [(&str, &[&str]); 6] = [
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
];

/// What the history says of every level of isolation, as [`strongest`] does of models of
/// registers.
pub fn strongest_isolation(history: &History, budget: Budget) -> Vec<ModelVerdict> {
    standings(&ISOLATIONS, history, budget)
}

/// What the history says of every model, from the strongest to the weakest. Where a model holds,
/// so do all that it implies; where one is violated, so are all that imply it. The budget is for
/// each model.
pub fn strongest(history: &History, budget: Budget) -> Vec<ModelVerdict> {
    standings(&MODELS, history, budget)
}

/// What the history says of models, each of which is listed after those that imply it.
fn standings(
    models: &[(&'static str, &[&'static str])],
    history: &History,
    budget: Budget,
) -> Vec<ModelVerdict> {
    let record = Record {
        history: history.clone(),
        ..Record::default()
    };
    let mut known: Vec<ModelVerdict> = Vec::new();
    for &(model, stronger) in models {
        let holds =
            |v: &&ModelVerdict| v.standing == Standing::Holds && stronger.contains(&v.model);
        let verdict = match known.iter().find(holds) {
            Some(implied) => ModelVerdict {
                model,
                standing: Standing::Holds,
                why: format!("{} holds, which implies it", implied.model),
            },
            None => judge(model, &record, budget),
        };
        known.push(verdict);
    }
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
    known
}

fn judge(model: &'static str, record: &Record, budget: Budget) -> ModelVerdict {
    let Some(checker) = find(model) else {
        return ModelVerdict {
            model,
            standing: Standing::Unknown,
            why: "there is no checker of that name".into(),
        };
    };
    let verdict = checker.check(record, budget);
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
