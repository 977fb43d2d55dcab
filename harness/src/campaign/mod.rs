//! A campaign: the runs of a suite again and again, several at a time, each in a process of its
//! own, until there are enough of them.
//!
//! | module | what it does |
//! |---|---|
//! | [`shard`] | the part of a campaign that one machine does |
//! | [`tally`] | what the runs came to together, and whether it is enough |

pub mod shard;
pub mod tally;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::watch;
use tribunal_results::ResultClass;

pub use self::shard::Shard;
pub use self::tally::Tally;
use crate::clock::Clock;
use crate::known;
use crate::plan::Plan;
use crate::pool::{self, Next};
use crate::prove::trial::{Told, tribunal};
use crate::seed;
use crate::suite::known::KnownIssue;

/// What to run, and when it is enough.
#[derive(Clone, Debug)]
pub struct Ask {
    /// The plans of a round, each with the name or file of its suite.
    pub plans: Vec<(String, Plan)>,
    /// How many rounds; without a number only the rest of this ends the campaign.
    pub rounds: Option<u64>,
    /// Nothing is begun after so long.
    pub lasts: Option<Duration>,
    /// Whether the first failing run ends it; one that shows known issues only does not.
    pub until_fail: bool,
    /// The failure rate that is to be excluded: reached, or a run failing otherwise than by known
    /// issues, it ends.
    pub claim: Option<f64>,
    /// How many runs go on at once.
    pub jobs: usize,
    /// How often a run is tried again of which only the harness failed.
    pub retries: u32,
    /// Whether all rounds have the seeds of the first.
    pub same_seeds: bool,
    /// Which part of the campaign is done here.
    pub shard: Shard,
    /// What violations are known: they are no failures here.
    pub known: Vec<KnownIssue>,
    /// What each run is told besides its suite, name and seed.
    pub arguments: Vec<OsString>,
    /// Where run directories go.
    pub out: PathBuf,
}

/// A run of a campaign that came to its end.
#[derive(Clone, Debug)]
pub struct Ran {
    /// The run's name.
    pub name: String,
    /// Its seed.
    pub seed: u64,
    /// How often it was tried again because the harness had failed.
    pub retried: u32,
    /// What it came to; or why that is not known.
    pub told: Result<Told, String>,
    /// The tickets of what it found, if all of that is known.
    pub known: Vec<String>,
}

impl Ran {
    /// How it ended.
    pub fn class(&self) -> ResultClass {
        match &self.told {
            Ok(told) => told.verdict.class,
            Err(_) => ResultClass::HarnessError,
        }
    }
}

impl Ask {
    /// Does it, and tells of each run as it ends, with what all came to so far. When `stop` turns
    /// true the runs under way are asked to end well.
    pub async fn run(
        &self,
        stop: &watch::Receiver<bool>,
        mut tell: impl FnMut(Ran, &Tally),
    ) -> Tally {
        let mut tally = Tally::default();
        let clock = Clock::start();
        let in_time = || {
            let passed = Duration::from_nanos(clock.now());
            self.lasts.is_none_or(|lasts| passed < lasts)
        };
        let runs = self
            .positions()
            .take_while(|_| in_time())
            .map(|(round, plan)| self.one(round, plan, stop.clone()));
        let told = |ran: Result<Ran, String>| {
            let mut ran = ran.unwrap_or_else(|why| Ran {
                name: String::new(),
                seed: 0,
                retried: 0,
                told: Err(why),
                known: Vec::new(),
            });
            if let Ok(told) = &ran.told {
                ran.known = known::tickets_alone(&self.known, &told.run, &told.verdict);
            }
            tally.add(&ran);
            let next = tally.next(self);
            tell(ran, &tally);
            next
        };
        pool::run(runs, self.jobs, stop, told).await;
        tally
    }

    /// The runs that are this shard's, round by round.
    fn positions(&self) -> impl Iterator<Item = (u64, &(String, Plan))> {
        let rounds = 0..self.rounds.unwrap_or(u64::MAX);
        let all = rounds.flat_map(|round| self.plans.iter().map(move |plan| (round, plan)));
        // An empty suite would be looked through for ever.
        let all = all.take(if self.plans.is_empty() { 0 } else { usize::MAX });
        self.shard.of(all)
    }

    /// How many runs this shard comes to, if that is known.
    pub fn total(&self) -> Option<u64> {
        let all = self.rounds?.checked_mul(self.plans.len() as u64)?;
        Some(self.shard.share_of(all))
    }

    fn one(
        &self,
        round: u64,
        (suite, plan): &(String, Plan),
        stop: watch::Receiver<bool>,
    ) -> impl Future<Output = Ran> + Send + 'static {
        let seed = match (round, self.same_seeds) {
            (0, _) | (_, true) => plan.seed,
            _ => seed_of(plan.seed, round),
        };
        let mut arguments: Vec<OsString> = vec!["run".into(), suite.into()];
        arguments.extend(["--only".into(), OsString::from(&plan.name)]);
        arguments.extend(["--seed".into(), OsString::from(seed.to_string())]);
        arguments.extend(self.arguments.iter().cloned());
        let (name, out, retries) = (plan.name.clone(), self.out.clone(), self.retries);
        async move {
            let mut ran = Ran {
                name,
                seed,
                retried: 0,
                told: tribunal(arguments.clone(), &out, Some(stop.clone())).await,
                known: Vec::new(),
            };
            while ran.class() == ResultClass::HarnessError
                && ran.retried < retries
                && !*stop.borrow()
            {
                ran.retried += 1;
                ran.told = tribunal(arguments.clone(), &out, Some(stop.clone())).await;
            }
            ran
        }
    }
}

/// The seed of a run in a later round: short enough to be typed.
fn seed_of(first: u64, round: u64) -> u64 {
    seed::stream(first, &format!("round {round}")) >> 32
}

/// Whether a run of this class failed, where a run either fails or not; `None` if it says neither.
pub const fn failed(class: ResultClass) -> Option<bool> {
    match class {
        ResultClass::Pass => Some(false),
        ResultClass::Violation | ResultClass::Regression => Some(true),
        ResultClass::Inconclusive
        | ResultClass::Insufficient
        | ResultClass::HarnessError
        | ResultClass::Interrupted => None,
    }
}

/// What stops after a run is `Next`, by the tally.
impl Tally {
    fn next(&self, ask: &Ask) -> Next {
        let failed = self.rate().hits > 0;
        if failed && (ask.until_fail || ask.claim.is_some()) {
            return Next::End;
        }
        match ask.claim {
            // A run under way may still fail: it is waited for, and counts.
            Some(claim) if self.rate().below() < claim => Next::Finish,
            _ => Next::Begin,
        }
    }
}
