//! Each isolation level of `database` against each anomaly: what schedules showed, beside what the
//! textbook permits (Adya 1999; Berenson et al. 1995; Bailis et al. 2013).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::json;
use tribunal_checkers::{Budget, forbids};
use tribunal_targets::database;

use super::Case;

/// The levels, the weakest first.
pub const LEVELS: [&str; 6] = [
    "read-uncommitted",
    "read-committed",
    "read-atomic",
    "snapshot-isolation",
    "serializable",
    "strict-serializable",
];

/// The anomalies that make the columns, and what they are called outside of formulas.
pub const ANOMALIES: [(&str, &str); 8] = [
    ("G0", "dirty write"),
    ("G1a", "dirty read"),
    ("G1b", "intermediate read"),
    ("G1c", "circular reads"),
    ("fractured-read", "fractured read"),
    ("lost-update", "lost update"),
    ("G2-item", "write skew"),
    ("G-single-realtime", "stale read"),
];

/// Whether a level forbids an anomaly. The order of each client's own transactions counts too, as
/// each client stays at one node, whose copy never goes back.
pub fn is_forbidden(level: &str, anomaly: &str) -> bool {
    let level = match level {
        "strict-serializable" => level.to_owned(),
        _ => format!("strong-session-{level}"),
    };
    forbids(&level, anomaly) != Some(false)
}

/// The workloads, and the checkers that name what they show.
const LOADS: [(&str, &[&str]); 2] = [
    ("list-append", &["list-append"]),
    ("rw-register", &["rw-register", "read-atomic"]),
];

/// In how many schedules each anomaly was seen at each level.
#[derive(Clone, Debug, Default)]
pub struct Matrix {
    /// How many schedules each level went through.
    pub schedules: u64,
    seen: BTreeMap<(&'static str, String), u64>,
}

impl Matrix {
    /// Takes each level through so many schedules of each workload.
    ///
    /// # Errors
    /// An option is wrong.
    pub fn measure(schedules: u64) -> anyhow::Result<Self> {
        let mut matrix = Self {
            schedules: schedules * LOADS.len() as u64,
            ..Self::default()
        };
        for level in LEVELS {
            for (workload, checkers) in LOADS {
                let workload = tribunal_workloads::find(workload);
                let Some(workload) = workload else { continue };
                let mut case = Case::new(&database::TARGET, workload);
                // Many clients on each node and slow steps, so that transactions overlap; and keys
                // enough for most of them to commit nevertheless.
                case.options = json!({ "level": level, "step_ms": 3 });
                case.load = json!({ "keys": 8 });
                (case.nodes, case.clients, case.rate) = (2, 10, 400.0);
                for seed in 0..schedules {
                    for name in names(&case, seed, checkers)? {
                        *matrix.seen.entry((level, name)).or_default() += 1;
                    }
                }
            }
        }
        Ok(matrix)
    }

    /// In how many schedules a level showed an anomaly.
    pub fn seen(&self, level: &'static str, anomaly: &str) -> u64 {
        let seen = self.seen.get(&(level, anomaly.to_owned()));
        seen.copied().unwrap_or_default()
    }

    /// What levels showed although they forbid it; of any name, also of those without a column.
    pub fn forbidden(&self) -> Vec<(&'static str, &str)> {
        let seen = self
            .seen
            .keys()
            .map(|(level, name)| (*level, name.as_str()));
        seen.filter(|(level, name)| is_forbidden(level, name))
            .collect()
    }
}

/// The anomalies of one schedule, whatever the level permits.
fn names(case: &Case, seed: u64, checkers: &[&str]) -> anyhow::Result<BTreeSet<String>> {
    let mut record = case.explore(seed)?;
    record.assume.isolation = None;
    let checkers = checkers.iter();
    let checkers = checkers.filter_map(|name| tribunal_checkers::find(name));
    let verdicts = checkers.map(|checker| checker.check(&record, Budget::default()));
    let anomalies = verdicts.flat_map(|verdict| verdict.anomalies);
    Ok(anomalies.map(|anomaly| anomaly.name).collect())
}

impl fmt::Display for Matrix {
    /// A table: for each level and anomaly the schedules that showed it, and `forbidden` or
    /// `permitted` as the textbook has it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:20}", "")?;
        for (_, title) in ANOMALIES {
            write!(f, " {title:>18}")?;
        }
        for level in LEVELS {
            write!(f, "\n{level:20}")?;
            for (anomaly, _) in ANOMALIES {
                let rule = match is_forbidden(level, anomaly) {
                    true => "forbidden",
                    false => "permitted",
                };
                let cell = format!("{} {rule}", self.seen(level, anomaly));
                write!(f, " {cell:>18}")?;
            }
        }
        write!(f, "\nschedules that showed it, of {} each", self.schedules)
    }
}
