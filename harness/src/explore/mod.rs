//! The reference nodes' machines under real workloads and real checkers, in virtual time and in
//! one thread: thousands of schedules instead of one.
//!
//! Messages are late, held back or lost with their connection, and where the target says that it
//! survives that, also dropped, doubled and overtaken; nodes pause, and crash between any two
//! effects; clients give up. A seed decides all of it, so any schedule can be had again. Nothing
//! here replaces runs of real processes over real sockets: it finds in seconds what these meet
//! once in a night.
//!
//! | module | what it holds |
//! |---|---|
//! | [`adversary`] | the one schedule in which agreement is never reached |
//! | `trouble` | what goes wrong, and when |
//! | `world` | nodes, connections and clients in virtual time |
//! | `history` | what the clients saw, as a record |
//! | `tuning` | options that suit virtual seconds, target by target |
//! | [`isolation`] | each isolation level of `database` against each anomaly |

pub mod adversary;
mod history;
pub mod isolation;
mod trouble;
mod tuning;
mod world;

use serde_json::{Value as Json, json};
use tribunal_checkers::Budget;
use tribunal_results::options::OptionError;
use tribunal_results::{Assumptions, Nanos, Record, Verdict};
use tribunal_targets::node::MILLISECOND;
use tribunal_targets::{PlantedBug, Target};
use tribunal_workloads::generator::simulate;
use tribunal_workloads::{Setting, Workload};

pub use self::trouble::MESSAGE_FAULTS;
use self::world::World;

/// How long after the last operation everything is healed and final operations begin.
const SETTLE: Nanos = 1_000 * MILLISECOND;

/// What to explore.
#[derive(Clone)]
pub struct Case {
    /// The target; it must be a reference target.
    pub target: &'static dyn Target,
    /// Its options.
    pub options: Json,
    /// The planted bug that it shows, if any.
    pub bug: Option<&'static PlantedBug>,
    /// The workload.
    pub workload: &'static dyn Workload,
    /// Its options.
    pub load: Json,
    /// How many nodes.
    pub nodes: usize,
    /// How many clients ask at once.
    pub clients: usize,
    /// How long they ask, in virtual nanoseconds.
    pub time: Nanos,
    /// How many operations they begin per virtual second, together.
    pub rate: f64,
    /// The most that one operation may take.
    pub timeout: Nanos,
    /// Whether single nodes are parted from all others at times, and from no client.
    pub isolates: bool,
}

impl Case {
    /// The target under the workload, as it is tuned for virtual time.
    pub fn new(target: &'static dyn Target, workload: &'static dyn Workload) -> Self {
        let mut case = Self {
            target,
            options: json!({}),
            bug: None,
            workload,
            load: json!({}),
            nodes: 3,
            clients: 6,
            time: 1_500 * MILLISECOND,
            rate: 250.0,
            timeout: 250 * MILLISECOND,
            isolates: false,
        };
        tuning::tune(&mut case);
        case
    }

    /// A planted bug under the workload that shows it; `None` if there is no such workload.
    pub fn of_bug(target: &'static dyn Target, bug: &'static PlantedBug) -> Option<Self> {
        let workload = tribunal_workloads::find(bug.workload)?;
        let mut case = Self::new(target, workload);
        case.bug = Some(bug);
        tuning::tune(&mut case);
        Some(case)
    }

    /// What the workload's clients see of the target in the schedule of that seed.
    ///
    /// # Errors
    /// An option of the target or of the workload is wrong, or the target is no reference target.
    pub fn explore(&self, seed: u64) -> anyhow::Result<Record> {
        let setting = Setting {
            clients: self.clients,
            nodes: self.nodes,
            available: self.target.operations().to_vec(),
            time_limit: self.time,
            rate: self.rate,
            seed,
        };
        let mut program = self.workload.program(&self.load, &setting).map_err(wrong)?;
        let mut world = World::new(self, seed)?;
        let main = simulate::run(&mut program.main, self.clients, &mut world);
        let healed = world.heal(SETTLE);
        let finale = simulate::run_from(&mut program.finale, self.clients, healed, &mut world);
        let ids = world.ids();
        world.end()?;
        Ok(Record {
            history: history::of(&[main, finale], &ids, self.moves_after())?,
            assume: self.assume(),
            ..Record::default()
        })
    }

    /// What the workload's own checkers say of a record.
    pub fn judge(&self, record: &Record) -> Vec<Verdict> {
        let checkers = self.workload.judges(&self.load).iter();
        let checkers = checkers.filter_map(|name| tribunal_checkers::find(name));
        checkers
            .map(|checker| checker.check(record, Budget::default()))
            .collect()
    }

    /// Whether one of the verdicts names what the planted bug must show.
    pub fn shown(&self, verdicts: &[Verdict]) -> bool {
        let mut found = verdicts.iter().flat_map(|verdict| &verdict.anomalies);
        self.bug
            .is_some_and(|bug| found.any(|anomaly| bug.anomalies.contains(&&*anomaly.name)))
    }

    /// After how many operations clients go on to the next node.
    fn moves_after(&self) -> Option<u64> {
        self.workload.moves_after(&self.load)
    }

    /// What may go wrong: all that the target survives, and what its bug needs to show.
    fn faults(&self) -> Vec<&'static str> {
        let needed = self.bug.map_or(&[][..], |bug| bug.faults);
        let isolates = &[trouble::ISOLATE][..usize::from(self.isolates)];
        [self.target.survives(), needed, isolates].concat()
    }

    /// What the target and the workload say that checkers may take for granted.
    fn assume(&self) -> Assumptions {
        let mut assume = Assumptions::default();
        self.target.assume(&self.options, &mut assume);
        self.workload.assume(&self.load, &mut assume);
        assume
    }
}

fn wrong(error: OptionError) -> anyhow::Error {
    anyhow::anyhow!("option {:?}: {}", error.path, error.message)
}
