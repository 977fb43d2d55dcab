//! Proves the checkers: every planted bug with several seeds, and the same targets without it; or
//! every published finding of a suite, and the runs beside it in which nothing may be found.
//!
//! Each trial is a run in a process of its own (`tribunal run … --fail-fast`), so trials share
//! nothing but the machine, and end at their contradiction where a checker can follow the run.
//!
//! | module | what it does |
//! |---|---|
//! | [`trial`] | one run: how it is called, and what it came to |
//! | `tally` | trials counted, bug by bug |

mod tally;
pub mod trial;

use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::watch;
use tribunal_results::proof::{Control, Detection};

pub use self::trial::{Came, Trial};
use crate::plan::Plan;
use crate::pool::{self, Next};

/// What to prove, and how.
#[derive(Clone, Debug)]
pub struct Ask {
    /// The plans with planted bugs, or with findings and without, each with the name or file of its
    /// suite.
    pub plans: Vec<(String, Plan)>,
    /// How many seeds each is tried with.
    pub seeds: u64,
    /// Whether the targets are tried without their bugs, too.
    pub controls: bool,
    /// How many trials go on at once.
    pub jobs: usize,
    /// A contradiction that is complete later in its run than this does not count as found.
    pub within: Duration,
    /// Where run directories go.
    pub out: PathBuf,
}

/// What became of one planted bug, or of one target without it.
#[derive(Clone, Debug)]
pub enum Proven {
    /// A planted bug.
    Detection(Detection),
    /// A target without it.
    Control(Control),
}

/// Tries everything and tells of each bug and each control as it is done; in the order of the
/// plans, bugs first. Ends early when `stop` turns true.
pub async fn prove(
    ask: &Ask,
    stop: &watch::Receiver<bool>,
    mut tell: impl FnMut(Proven, usize, usize),
) {
    let subjects = subjects(ask);
    let total = subjects.len();
    let trials = subjects.iter().enumerate().flat_map(|(place, subject)| {
        (1..=ask.seeds).map(move |seed| {
            let (trial, stop) = (subject.trial(ask, seed), stop.clone());
            async move {
                let came = trial.run(stop).await;
                (place, seed, trial, came)
            }
        })
    });
    let mut waiting: Vec<Vec<(u64, Trial, Came)>> = vec![Vec::new(); total];
    let mut done = 0;
    let told = |joined: Result<(usize, u64, Trial, Came), String>| {
        let Ok((place, seed, trial, came)) = joined else {
            return Next::Begin;
        };
        let Some(of_subject) = waiting.get_mut(place) else {
            return Next::Begin;
        };
        of_subject.push((seed, trial, came));
        if of_subject.len() as u64 == ask.seeds {
            of_subject.sort_by_key(|(seed, ..)| *seed);
            done += 1;
            if let Some(subject) = subjects.get(place) {
                tell(tally::count(subject, ask, of_subject), done, total);
            }
        }
        Next::Begin
    };
    pool::run(trials, ask.jobs, stop, told).await;
}

/// A plan that is tried as it is, or without its bug.
#[derive(Clone, Debug)]
struct Subject {
    suite: String,
    plan: Plan,
    control: bool,
}

impl Subject {
    fn trial(&self, ask: &Ask, seed: u64) -> Trial {
        Trial {
            suite: self.suite.clone(),
            run: self.plan.name.clone(),
            seed,
            without_bug: self.control && self.plan.target.bug.is_some(),
            out: ask.out.clone(),
        }
    }
}

/// Whether something must be found in that plan.
pub fn has_something_to_find(plan: &Plan) -> bool {
    plan.target.bug.is_some() || (plan.finding.is_some() && !plan.expect.is_empty())
}

/// Every plan in which something must be found; then each target, load and schedule of faults with
/// a bug once without it, and the plans in which nothing may be found.
fn subjects(ask: &Ask) -> Vec<Subject> {
    let of = |(suite, plan): &(String, Plan), control| Subject {
        suite: suite.clone(),
        plan: plan.clone(),
        control,
    };
    let looked_for = ask
        .plans
        .iter()
        .filter(|(_, plan)| has_something_to_find(plan));
    let bugs: Vec<Subject> = looked_for.map(|plan| of(plan, false)).collect();
    let mut seen = Vec::new();
    let mut controls = Vec::new();
    let quiet = |plan: &Plan| plan.target.bug.is_some() || plan.expect.is_empty();
    for named in ask
        .plans
        .iter()
        .filter(|(_, plan)| ask.controls && quiet(plan))
    {
        let mut bare = named.1.clone();
        (bare.target.bug, bare.name, bare.seed) = (None, String::new(), 0);
        bare.expect.clear();
        if !seen.contains(&bare) {
            seen.push(bare);
            controls.push(of(named, true));
        }
    }
    bugs.into_iter().chain(controls).collect()
}
