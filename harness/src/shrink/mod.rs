//! From a failing run to a small suite that still shows the same thing.
//!
//! Each smaller plan is tried several times, and kept if enough of its trials show the anomaly that
//! the run found; timing is the machine's, so one trial says little. First the quiet is taken out
//! and faults are removed (delta debugging): of all that were executed or, if that is enough, of a
//! single kind that is aimed at each node in turn. Then what is left is made shorter, and aimed at
//! fewer nodes, with fewer clients that ask less. What is kept at last is tried once more, and if it does
//! not show it often enough, what was kept before it.
//!
//! | module | what it does |
//! |---|---|
//! | `aim` | one fault at each node in turn |
//! | `ddmin` | which of many things to try without |
//! | `reduce` | smaller plans made of a plan |

mod aim;
mod ddmin;
mod reduce;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use tokio::sync::watch;
use tribunal_nemesis::schedule::Step;
use tribunal_results::NodeId;
use tribunal_results::options::Time;
use tribunal_results::proof::Rate;

use self::ddmin::Ddmin;
use crate::clock::Clock;
use crate::plan::Plan;
use crate::replay::{Batch, Case, Shown, Sought};
use crate::suite;

/// How long nothing may be broken before a fault, first tried.
const GAP: Duration = Duration::from_millis(300);
/// The same if that is too short.
const LONG_GAP: Duration = Duration::from_millis(1200);
/// Kinds of faults that are tried alone.
const SUSPECTS: usize = 4;
/// Plans kept before the last that are tried again if it doesn't show it often enough.
const SECOND_THOUGHTS: usize = 4;

/// How to shrink.
#[derive(Clone, Debug)]
pub struct Ask {
    /// How often each smaller plan is tried, at the most.
    pub trials: u64,
    /// How often what is kept at last is tried once more.
    pub confirm: u64,
    /// The least share of trials that must show it.
    pub at_least: f64,
    /// How long to search.
    pub within: Duration,
    /// How many trials go on at once.
    pub jobs: usize,
    /// Where trials leave their traces until they were looked at.
    pub out: PathBuf,
}

/// What shrinking came to.
#[derive(Clone, Debug)]
pub struct Shrunk {
    /// The plan that was kept.
    pub plan: Plan,
    /// How often it showed it, when it was tried once more; else when it was kept.
    pub rate: Rate,
    /// How often the plan that was executed did, when it was tried again.
    pub whole: Rate,
    /// How many trials there were in all.
    pub trials: u64,
    /// How long it took.
    pub took: Duration,
}

/// Makes a run smaller. Ends early, with the best so far, when `stop` turns true. `tell` is given
/// a line of progress at a time.
///
/// # Errors
/// If trials come to no verdict, or the run as it was executed does not show it again.
pub async fn shrink(
    case: &Case,
    ask: &Ask,
    stop: watch::Receiver<bool>,
    tell: impl FnMut(String),
) -> anyhow::Result<Shrunk> {
    let mut search = Search {
        ask,
        sought: &case.sought,
        stop,
        clock: Clock::start(),
        tell,
        need: ask.at_least,
        kept: Vec::new(),
        trials: 0,
    };
    let whole = search.begin(case).await?;
    search.quiet(case).await?;
    search.faults(case).await?;
    search.durations().await?;
    search.load().await?;
    search.conclude(whole).await
}

/// A plan that shows it, as often as it did when it was tried.
#[derive(Clone, Debug)]
struct Kept {
    plan: Plan,
    rate: Rate,
}

struct Search<'a, T> {
    ask: &'a Ask,
    sought: &'a Sought,
    stop: watch::Receiver<bool>,
    clock: Clock,
    tell: T,
    /// The least share that counts.
    need: f64,
    /// From the whole to the smallest.
    kept: Vec<Kept>,
    trials: u64,
}

impl<T: FnMut(String)> Search<'_, T> {
    /// Whether to go on searching.
    fn goes_on(&self) -> bool {
        !*self.stop.borrow() && self.took() < self.ask.within
    }

    fn took(&self) -> Duration {
        Duration::from_nanos(self.clock.now())
    }

    /// The smallest plan so far.
    fn best(&self, case: &Case) -> Plan {
        self.kept
            .last()
            .map_or_else(|| case.again(), |kept| kept.plan.clone())
    }

    /// Tries the run as it was executed: how often does it show it at all?
    async fn begin(&mut self, case: &Case) -> anyhow::Result<Rate> {
        let plan = case.again();
        let rate = self.measure(&plan, self.ask.trials, |_| true).await?;
        let count = plan.nemesis.schedule.len();
        self.say(&format!("as it was executed, {count} faults"), rate, "");
        if rate.hits == 0 && !*self.stop.borrow() {
            anyhow::bail!(
                "{} did not show again in {} trials of what was executed; try `tribunal replay` \
                 with more, or a seed that shows it more often",
                self.sought,
                rate.trials
            );
        }
        let share = rate.hits as f64 / rate.trials.max(1) as f64;
        self.need = self.ask.at_least.min(share);
        self.kept.push(Kept { plan, rate });
        Ok(rate)
    }

    /// Takes out the quiet between faults.
    async fn quiet(&mut self, case: &Case) -> anyhow::Result<()> {
        for gap in [GAP, LONG_GAP] {
            let plan = reduce::with_steps(&case.again(), &case.executed, gap);
            let what = format!("with at most {} ms of quiet", gap.as_millis());
            if self.attempt(&what, plan).await? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Removes faults.
    async fn faults(&mut self, case: &Case) -> anyhow::Result<()> {
        let whole = self.best(case);
        let mut steps = whole.nemesis.schedule.clone();
        if steps.is_empty() {
            return Ok(());
        }
        if self.attempt("no faults", with(&whole, &[])).await? {
            return Ok(());
        }
        if let Some(turns) = self.one_kind(case, &whole).await? {
            return self.fewest(&whole, turns).await;
        }
        // What began after it was found had no part in it, that time. The steps are as they were
        // executed but for the quiet, so that their count is the same.
        let until = case.found_at.unwrap_or(Duration::MAX);
        let count = reduce::before(&case.executed, until).len();
        let early = steps.get(..count).unwrap_or_default().to_vec();
        let what = format!("the {count} faults before it was found");
        let shows = !early.is_empty() && early.len() < steps.len();
        if shows && self.attempt(&what, with(&whole, &early)).await? {
            steps = early;
        }
        self.fewest(&whole, steps).await
    }

    /// Tries each kind of fault alone, on each node in turn: first as long as it lasted when it was
    /// found, then twice as long.
    async fn one_kind(&mut self, case: &Case, whole: &Plan) -> anyhow::Result<Option<Vec<Step>>> {
        let nodes = crate::run::node_names(whole);
        let nodes: Vec<NodeId> = nodes.iter().map(|name| name.as_str().into()).collect();
        let found = case.found_at.unwrap_or(Duration::MAX);
        let suspects = reduce::suspects(&case.executed, found);
        for longer in [1, 2] {
            for mut step in suspects.iter().take(SUSPECTS).cloned() {
                step.hold = Time(step.hold.0 * longer);
                let Some(turns) = aim::in_turn(&step, &nodes, GAP) else {
                    continue;
                };
                let end: Duration = turns.iter().map(|turn| turn.hold.0 + GAP).sum();
                let shorter = turns.len() < case.executed.len() && end < case.plan.time.0;
                // The time of the whole, of which `with` takes what is not needed.
                let plan = Plan {
                    time: case.plan.time,
                    ..with(whole, &[])
                };
                let (name, ms) = (step.act.fault(), step.hold.0.as_millis());
                let what = format!("only {name}, for {ms} ms each, on each node in turn");
                if shorter && self.attempt(&what, with(&plan, &turns)).await? {
                    return Ok(Some(turns));
                }
            }
        }
        Ok(None)
    }

    /// Removes as many of these steps as can be.
    async fn fewest(&mut self, whole: &Plan, steps: Vec<Step>) -> anyhow::Result<()> {
        let mut ddmin = Ddmin::of(steps);
        while let Some(fewer) = ddmin.propose().filter(|_| self.goes_on()) {
            let names: Vec<&str> = fewer.iter().map(|step| step.act.fault()).collect();
            let what = format!("{}: {}", count_of(fewer.len(), "fault"), names.join(", "));
            match self.attempt(&what, with(whole, &fewer)).await? {
                true => ddmin.accept(),
                false => ddmin.reject(),
            }
        }
        Ok(())
    }

    /// Makes each fault shorter, and aims it at fewer nodes.
    async fn durations(&mut self) -> anyhow::Result<()> {
        self.while_it_shows("half the time", reduce::sooner).await?;
        let count = self
            .kept
            .last()
            .map_or(0, |k| k.plan.nemesis.schedule.len());
        for step in 0..count {
            self.while_it_shows("half as long", |plan| {
                let plan = reduce::shorter(plan, step)?;
                Some(with(&plan, &plan.nemesis.schedule))
            })
            .await?;
            let mut node = 0;
            while let Some(fewer) = self.reduced(|plan| reduce::without_node(plan, step, node)) {
                let what = format!("one node fewer in fault {}", step + 1);
                node += usize::from(!self.attempt(&what, fewer).await?);
            }
        }
        Ok(())
    }

    /// A smaller cluster, fewer clients, who ask less.
    async fn load(&mut self) -> anyhow::Result<()> {
        self.while_it_shows("two nodes fewer", reduce::fewer_nodes)
            .await?;
        self.while_it_shows("half the clients", reduce::fewer_clients)
            .await?;
        let kinds = self
            .kept
            .last()
            .map(|k| reduce::fewer_kinds(&k.plan, allows));
        for (share, _) in kinds.unwrap_or_default() {
            let fewer = self.reduced(|plan| {
                let fewer = reduce::fewer_kinds(plan, allows);
                fewer.into_iter().find(|f| f.0 == share).map(|f| f.1)
            });
            if let Some(fewer) = fewer {
                self.attempt(&format!("{share} 0"), fewer).await?;
            }
        }
        self.while_it_shows("half the rate", reduce::slower).await
    }

    async fn while_it_shows(
        &mut self,
        what: &str,
        reduce: impl Fn(&Plan) -> Option<Plan>,
    ) -> anyhow::Result<()> {
        while let Some(smaller) = self.reduced(&reduce) {
            if !self.attempt(what, smaller).await? {
                break;
            }
        }
        Ok(())
    }

    /// Something smaller than the best so far.
    fn reduced(&self, reduce: impl Fn(&Plan) -> Option<Plan>) -> Option<Plan> {
        let kept = self.kept.last().filter(|_| self.goes_on())?;
        reduce(&kept.plan)
    }

    /// Tries a plan until it is clear whether it shows it often enough, and keeps it if so.
    async fn attempt(&mut self, what: &str, plan: Plan) -> anyhow::Result<bool> {
        if !self.goes_on() {
            return Ok(false);
        }
        let most = self.ask.trials;
        let least = least(most, self.need);
        let undecided = |rate: Rate| rate.hits < least && rate.trials - rate.hits <= most - least;
        let rate = self.measure(&plan, most, undecided).await?;
        let shows = rate.hits >= least;
        if !shows && *self.stop.borrow() {
            // It was not tried often enough to tell.
            return Ok(false);
        }
        self.say(what, rate, if shows { "kept" } else { "not kept" });
        if shows {
            self.kept.push(Kept { plan, rate });
        }
        Ok(shows)
    }

    /// Tries a plan so often, or until `goes_on` says no, or it is stopped.
    async fn measure(
        &mut self,
        plan: &Plan,
        most: u64,
        goes_on: impl Fn(Rate) -> bool,
    ) -> anyhow::Result<Rate> {
        let folder = tempfile::tempdir_in(&self.ask.out).context("cannot make a directory")?;
        let file = folder.path().join("candidate.yaml");
        write(&file, plan)?;
        let batch = Batch {
            file,
            out: folder.path().join("runs"),
            sought: self.sought.clone(),
            jobs: self.ask.jobs,
            forget: true,
        };
        let (mut hits, mut trials, mut broken) = (0, 0, Vec::new());
        let tell = |tried: crate::replay::batch::Tried| {
            match tried.shown {
                Shown::Same(..) => hits += 1,
                Shown::Broken(why) => {
                    broken.push(why);
                    return true;
                }
                Shown::Other(_) | Shown::Nothing => {}
            }
            trials += 1;
            goes_on(Rate::of(hits, trials))
        };
        batch.run(most, &mut self.stop, tell).await;
        self.trials += trials;
        match broken.pop() {
            Some(why) if trials == 0 => Err(anyhow::anyhow!("no trial came to a verdict: {why}")),
            _ => Ok(Rate::of(hits, trials)),
        }
    }

    fn say(&mut self, what: &str, rate: Rate, end: &str) {
        let seconds = self.took().as_secs();
        let (minutes, seconds) = (seconds / 60, seconds % 60);
        let Rate { hits, trials, .. } = rate;
        (self.tell)(format!(
            "{minutes:>2}:{seconds:02}  {what}: {hits} of {trials}  {end}"
        ));
    }

    /// Tries what was kept last once more; what was kept before it, if that does not hold.
    async fn conclude(mut self, whole: Rate) -> anyhow::Result<Shrunk> {
        let last: Vec<Kept> = self.kept.iter().rev().cloned().collect();
        let mut best = last.first().cloned().context("nothing was tried")?;
        let mut tried: Option<Rate> = None;
        for kept in last.into_iter().take(SECOND_THOUGHTS) {
            if *self.stop.borrow() {
                break;
            }
            let most = self.ask.confirm;
            let least = least(most, self.need);
            let possible = |rate: Rate| rate.trials - rate.hits <= most - least;
            let rate = self.measure(&kept.plan, most, possible).await?;
            if *self.stop.borrow() {
                break;
            }
            let holds = rate.hits >= least;
            let share = |rate: Rate| rate.hits as f64 / rate.trials.max(1) as f64;
            let faults = count_of(kept.plan.nemesis.schedule.len(), "fault");
            let end = if holds { "holds" } else { "does not hold" };
            self.say(&format!("once more, {faults}"), rate, end);
            // Where none holds, that which comes nearest.
            if holds || tried.is_none_or(|nearest| share(rate) > share(nearest)) {
                best = Kept { rate, ..kept };
                tried = Some(rate);
            }
            if holds {
                break;
            }
        }
        Ok(Shrunk {
            plan: best.plan,
            rate: best.rate,
            whole,
            trials: self.trials,
            took: Duration::from_nanos(self.clock.now()),
        })
    }
}

fn with(plan: &Plan, steps: &[Step]) -> Plan {
    reduce::with_steps(plan, steps, GAP)
}

/// The fewest of so many trials that are that share of them.
fn least(trials: u64, share: f64) -> u64 {
    (1..=trials)
        .find(|hits| *hits as f64 >= share * trials as f64 - 1e-9)
        .unwrap_or(trials)
}

fn count_of(count: usize, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        n => format!("{n} {what}s"),
    }
}

/// Whether the workload takes its options.
fn allows(plan: &Plan) -> bool {
    crate::run::program(plan).is_ok()
}

/// Writes a plan as a suite of one run.
///
/// # Errors
/// If the file cannot be written.
pub fn write(file: &Path, plan: &Plan) -> anyhow::Result<()> {
    let yaml = suite::plan_to_yaml(plan).context("cannot put the plan into YAML")?;
    std::fs::write(file, yaml).with_context(|| format!("cannot write {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::least;

    #[test]
    fn a_share_of_trials_is_rounded_up() {
        assert_eq!([least(5, 0.8), least(5, 0.81), least(10, 0.8)], [4, 5, 8]);
        assert_eq!([least(3, 0.0), least(1, 1.0)], [1, 1]);
    }
}
