//! Runs a plan's faults, and reports each moment of each.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rand_pcg::Pcg64Mcg;
use serde_json::{Value as Json, json};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};
use tribunal_results::{FaultEvent, Phase};

use super::book::{Answer, Book, Claim};
use super::cue::Cues;
use super::draw::{Entry, Turn, entries, turns};
use super::guard::guard;
use super::step::{Act, Start};
use super::{NemesisPlan, heal_all};
use crate::chance::stream;
use crate::process::refreshed;
use crate::{Fault, Field, Healed, Injected, Injection};

/// Breaks and mends until `stop` says so (or its sender is gone), or until every step of the
/// schedule is over if there is nothing to draw from. At whatever moment it is stopped, the faults
/// in force are healed and reported first.
///
/// Each fault gives four events of one id, in the order of [`Phase`]; one that was skipped is
/// healed at once and never counts as having bitten. The steps of the schedule have the ids from 0,
/// in the order in which they are written; those drawn follow. A fault that panics or takes longer
/// than 10 s is skipped, or, if that happens in healing, followed by [`heal_all`]. The receiver of
/// `report` must be drained (or dropped) until this returns.
pub async fn conduct(
    plan: &NemesisPlan,
    field: &Field,
    seed: u64,
    report: &mpsc::Sender<FaultEvent>,
    cues: Arc<Cues>,
    stop: watch::Receiver<bool>,
) {
    let conductor = Arc::new(Conductor::new(plan, field, seed, report, cues));
    let mut parts = JoinSet::new();
    for step in 0..plan.schedule.len() {
        parts.spawn(Arc::clone(&conductor).step(step, stop.clone()));
    }
    let lanes = if plan.faults.is_empty() {
        0
    } else {
        plan.overlap
    };
    for _ in 0..lanes {
        parts.spawn(Arc::clone(&conductor).lane(stop.clone()));
    }
    // A panic of ours ends that part alone; what it broke is mended when the run settles.
    while let Some(ended) = parts.join_next().await {
        if let Err(e) = ended {
            tracing::error!("a part of the schedule failed: {e}");
        }
    }
}

/// What is drawn next, for whichever lane asks first.
#[derive(Default)]
struct Draws {
    round: u64,
    left: VecDeque<Turn>,
    /// When the last drawn fault began.
    last: Option<Instant>,
}

/// Who chooses.
enum Choice {
    /// Nobody: it was chosen before.
    Given(Injection),
    /// The fault, from a stream of its own.
    Drawn(Json, Pcg64Mcg),
}

struct Conductor {
    plan: NemesisPlan,
    entries: Vec<Arc<Entry>>,
    field: Field,
    seed: u64,
    report: mpsc::Sender<FaultEvent>,
    cues: Arc<Cues>,
    book: Book,
    draws: Mutex<Draws>,
    next_id: AtomicU64,
    began: Instant,
}

impl Conductor {
    fn new(
        plan: &NemesisPlan,
        field: &Field,
        seed: u64,
        report: &mpsc::Sender<FaultEvent>,
        cues: Arc<Cues>,
    ) -> Self {
        Self {
            entries: entries(plan),
            field: field.clone(),
            seed,
            report: report.clone(),
            cues,
            book: Book::new(plan.budget, field.nodes.len()),
            draws: Mutex::default(),
            next_id: AtomicU64::new(plan.schedule.len() as u64),
            began: Instant::now(),
            plan: plan.clone(),
        }
    }

    /// One step of the schedule, from its moment to its cure.
    async fn step(self: Arc<Self>, number: usize, mut stop: watch::Receiver<bool>) {
        let Some(step) = self.plan.schedule.get(number) else {
            return;
        };
        let Some(fault) = self.plan.fault(step.act.fault()) else {
            tracing::error!("unknown fault {:?} in the schedule", step.act.fault());
            return;
        };
        let begins = async {
            match &step.start {
                Start::At(time) => sleep_until(self.began + time.0).await,
                Start::When(_) => self.cues.met(number).await,
            }
        };
        if !unless_stopped(&mut stop, begins).await {
            return;
        }
        let choice = match &step.act {
            Act::Given { injection } => Choice::Given(refreshed(injection, &self.field)),
            Act::Drawn(plan) => {
                let rng = stream(self.seed, &["schedule", &number.to_string()]);
                Choice::Drawn(plan.options.clone(), rng)
            }
        };
        self.perform(fault, choice, step.hold.0, Some(number as u64), &mut stop)
            .await;
    }

    /// Draws and performs one fault after another.
    async fn lane(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        while let Some(turn) = self.next_turn() {
            let quiet = async {
                sleep(turn.quiet).await;
                self.wait_for_interval(turn.interval).await;
            };
            if !unless_stopped(&mut stop, quiet).await {
                return;
            }
            if !turn.happens {
                unless_stopped(&mut stop, sleep(turn.hold)).await;
                continue;
            }
            let choice = Choice::Drawn(turn.entry.options.clone(), turn.rng);
            self.perform(turn.entry.fault, choice, turn.hold, None, &mut stop)
                .await;
        }
    }

    /// The next turn of the round, or the first of the next round; none if there is nothing to
    /// draw from.
    fn next_turn(&self) -> Option<Turn> {
        let mut draws = self.draws.lock().unwrap_or_else(PoisonError::into_inner);
        if draws.left.is_empty() {
            draws.left = turns(&self.plan, &self.entries, self.seed, draws.round).into();
            draws.round += 1;
        }
        draws.left.pop_front()
    }

    /// Waits until so much time has passed since the last drawn fault began, and begins.
    async fn wait_for_interval(&self, interval: Duration) {
        loop {
            let due = {
                let mut draws = self.draws.lock().unwrap_or_else(PoisonError::into_inner);
                let (now, last) = (Instant::now(), draws.last);
                match last.map(|last| last + interval).filter(|due| *due > now) {
                    Some(due) => due,
                    None => {
                        draws.last = Some(now);
                        return;
                    }
                }
            };
            sleep_until(due).await;
        }
    }

    /// One fault from injection to cure. Without an id it gets the next when it is admitted.
    async fn perform(
        &self,
        fault: &'static dyn Fault,
        choice: Choice,
        hold: Duration,
        id: Option<u64>,
        stop: &mut watch::Receiver<bool>,
    ) {
        let Some((resolved, id)) = self.admit(fault, choice, id, stop).await else {
            return;
        };
        let injection = resolved.as_ref().ok();
        let event = first_event(fault, id, injection);
        self.send(event.clone()).await;
        let injected = match &resolved {
            Ok(injection) => inject(fault, injection, &self.field).await,
            Err(reason) => Injected::Skipped(reason.clone()),
        };
        let is_skipped = matches!(injected, Injected::Skipped(_));
        self.send(injected_event(&event, injection, injected)).await;
        if !is_skipped {
            let held = async {
                tokio::select! {
                    () = sleep(hold) => {}
                    () = self.book.told_to_end(id) => {}
                }
            };
            unless_stopped(stop, held).await;
        }
        self.send(FaultEvent {
            phase: Phase::Heal,
            ..event.clone()
        })
        .await;
        // A skipped fault too: it may have been broken off halfway.
        let healed = match injection {
            Some(injection) => heal(fault, injection, &self.field).await,
            None => Healed {
                bit: false,
                proof: Json::Null,
            },
        };
        self.book.leave(id);
        self.send(FaultEvent {
            phase: Phase::Healed,
            bit: Some(healed.bit && !is_skipped),
            proof: healed.proof,
            ..event
        })
        .await;
        if is_skipped {
            // It takes its time all the same: skipping must not speed up the others.
            unless_stopped(stop, sleep(hold)).await;
        }
    }

    /// Chooses whom and how, and waits until that may be; says why not if it may never be. None if
    /// stopped before.
    async fn admit(
        &self,
        fault: &'static dyn Fault,
        choice: Choice,
        id: Option<u64>,
        stop: &mut watch::Receiver<bool>,
    ) -> Option<(Result<Injection, String>, u64)> {
        let id = id.unwrap_or_else(|| self.next_id.fetch_add(1, Ordering::Relaxed));
        loop {
            let injection = match &choice {
                Choice::Given(injection) => Ok(injection.clone()),
                Choice::Drawn(options, rng) => {
                    resolve(fault, options, &self.field, rng.clone()).await
                }
            };
            let Ok(injection) = injection else {
                return Some((injection, id));
            };
            let claim = Claim::of(fault, &injection, &self.field);
            let mut answer = Answer::Later;
            let asked = async { answer = self.book.admit(id, claim).await };
            if !unless_stopped(stop, asked).await {
                return None;
            }
            match answer {
                Answer::Admitted => return Some((Ok(injection), id)),
                Answer::Refused(reason) => return Some((Err(reason), id)),
                Answer::Later => {}
            }
        }
    }

    /// Reports. Nobody listening is no reason not to mend.
    async fn send(&self, event: FaultEvent) {
        let _ = self.report.send(event).await;
    }
}

/// Waits; `false` if stopped before or meanwhile.
async fn unless_stopped(stop: &mut watch::Receiver<bool>, work: impl Future<Output = ()>) -> bool {
    tokio::select! {
        biased;
        // An error means that whoever could stop us is gone.
        _ = stop.wait_for(|stopped| *stopped) => false,
        () = work => true,
    }
}

/// The first event of a fault.
fn first_event(fault: &dyn Fault, id: u64, injection: Option<&Injection>) -> FaultEvent {
    FaultEvent {
        fault: fault.name().to_owned(),
        id,
        phase: Phase::Inject,
        nodes: injection.map(|i| i.nodes.clone()).unwrap_or_default(),
        links: injection.map(|i| i.links.clone()).unwrap_or_default(),
        what: injection.map(|i| i.what.clone()).unwrap_or_default(),
        skipped: None,
        proof: Json::Null,
        bit: None,
        injection: Json::Null,
    }
}

/// The second event of a fault.
fn injected_event(
    event: &FaultEvent,
    injection: Option<&Injection>,
    injected: Injected,
) -> FaultEvent {
    let mut event = event.clone();
    event.phase = Phase::Injected;
    event.injection = json!(injection);
    match injected {
        Injected::Installed(proof) => event.proof = proof,
        Injected::Skipped(reason) => event.skipped = Some(reason),
    }
    event
}

/// Whom and how, or why nobody.
async fn resolve(
    fault: &'static dyn Fault,
    options: &Json,
    field: &Field,
    mut rng: Pcg64Mcg,
) -> Result<Injection, String> {
    let (options, field) = (options.clone(), field.look().await);
    let resolved = guard("choosing whom to break", async move {
        fault.resolve(&options, &field, &mut rng)
    });
    resolved
        .await?
        .ok_or_else(|| "there is nobody left that it could break".into())
}

async fn inject(fault: &'static dyn Fault, injection: &Injection, field: &Field) -> Injected {
    let (injection, field) = (injection.clone(), field.clone());
    guard("injecting", async move {
        fault.inject(&injection, &field).await
    })
    .await
    .unwrap_or_else(Injected::Skipped)
}

/// Heals; if that fails, everything is mended by other means.
async fn heal(fault: &'static dyn Fault, injection: &Injection, field: &Field) -> Healed {
    let (injection, theirs) = (injection.clone(), field.clone());
    let healed = guard(
        "healing",
        async move { fault.heal(&injection, &theirs).await },
    );
    match healed.await {
        Ok(healed) => healed,
        Err(problem) => Healed {
            bit: false,
            proof: json!({ "problem": problem, "left": heal_all(field).await }),
        },
    }
}

#[cfg(test)]
#[path = "conduct_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "step_tests.rs"]
mod step_tests;
