//! Runs the sequence of faults, and reports each moment of each.

use std::collections::BTreeMap;
use std::time::Duration;

use rand::RngExt;
use rand_pcg::Pcg64Mcg;
use serde_json::{Value as Json, json};
use tokio::sync::{mpsc, watch};
use tokio::time::sleep;
use tribunal_results::{FaultEvent, Phase};

use super::guard::guard;
use super::{NemesisPlan, heal_all};
use crate::chance::stream;
use crate::{Fault, Field, Healed, Injected, Injection, find};

/// One fault of the plan, under a label that is unique in it.
struct Entry {
    label: String,
    fault: &'static dyn Fault,
    options: Json,
}

/// What one entry does in one round: all drawn from its own stream.
struct Turn<'a> {
    entry: &'a Entry,
    place: u64,
    quiet: Duration,
    hold: Duration,
    rng: Pcg64Mcg,
}

/// Breaks and mends until `stop` says so (or its sender is gone); at once if the plan has no
/// faults. At whatever moment it is stopped, the fault in force is healed and reported first.
///
/// Each fault gives four events of one id, in the order of [`Phase`]; one that was skipped is
/// healed at once and never counts as having bitten. A fault that panics or takes longer than
/// 10 s is skipped, or, if that happens in healing, followed by [`heal_all`]. The receiver of
/// `report` must be drained (or dropped) until this returns.
pub async fn conduct(
    plan: &NemesisPlan,
    field: &Field,
    seed: u64,
    report: &mpsc::Sender<FaultEvent>,
    stop: watch::Receiver<bool>,
) {
    let entries = entries(plan);
    let conductor = Conductor {
        field,
        report,
        stop,
        next_id: 0,
    };
    conductor.run(plan, &entries, seed).await;
}

/// The plan's faults; a name that is there twice is told apart by its number. Unknown ones, which
/// [`check`](super::check) refuses, are left out.
fn entries(plan: &NemesisPlan) -> Vec<Entry> {
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    let mut entries = Vec::new();
    for wanted in &plan.faults {
        let Some(fault) = find(&wanted.fault) else {
            tracing::error!("unknown fault {:?} in the plan is left out", wanted.fault);
            continue;
        };
        let number = seen.entry(&wanted.fault).or_default();
        entries.push(Entry {
            label: format!("{}#{number}", wanted.fault),
            fault,
            options: wanted.options.clone(),
        });
        *number += 1;
    }
    entries
}

/// The turns of one round, in order.
fn turns<'a>(plan: &NemesisPlan, entries: &'a [Entry], seed: u64, round: u64) -> Vec<Turn<'a>> {
    let round = round.to_string();
    let mut turns: Vec<Turn<'_>> = entries
        .iter()
        .map(|entry| {
            let mut rng = stream(seed, &["nemesis", &round, &entry.label]);
            Turn {
                entry,
                // Sorting by a drawn number is a permutation of chance that keeps the order of
                // the others when an entry is added.
                place: rng.random(),
                quiet: plan.quiet.at(rng.random()),
                hold: plan.hold.at(rng.random()),
                rng,
            }
        })
        .collect();
    turns.sort_by_key(|turn| turn.place);
    turns
}

struct Conductor<'a> {
    field: &'a Field,
    report: &'a mpsc::Sender<FaultEvent>,
    stop: watch::Receiver<bool>,
    next_id: u64,
}

impl Conductor<'_> {
    async fn run(mut self, plan: &NemesisPlan, entries: &[Entry], seed: u64) {
        if entries.is_empty() {
            return;
        }
        for round in 0.. {
            for turn in turns(plan, entries, seed, round) {
                if !self.wait(turn.quiet).await {
                    return;
                }
                self.perform(turn).await;
            }
        }
    }

    /// Waits; `false` if stopped before or meanwhile.
    async fn wait(&mut self, time: Duration) -> bool {
        tokio::select! {
            biased;
            // An error means that whoever could stop us is gone.
            _ = self.stop.wait_for(|stopped| *stopped) => false,
            () = sleep(time) => true,
        }
    }

    /// One fault from injection to cure.
    async fn perform(&mut self, turn: Turn<'_>) {
        let (fault, hold) = (turn.entry.fault, turn.hold);
        let resolved = resolve(turn.entry, self.field, turn.rng).await;
        let injection = resolved.as_ref().ok();
        let event = self.next_event(fault, injection);
        self.send(event.clone()).await;
        let injected = match &resolved {
            Ok(injection) => inject(fault, injection, self.field).await,
            Err(reason) => Injected::Skipped(reason.clone()),
        };
        let is_skipped = matches!(injected, Injected::Skipped(_));
        self.send(injected_event(&event, injection, injected)).await;
        if !is_skipped {
            self.wait(hold).await;
        }
        self.send(FaultEvent {
            phase: Phase::Heal,
            ..event.clone()
        })
        .await;
        // A skipped fault too: it may have been broken off halfway.
        let healed = match injection {
            Some(injection) => heal(fault, injection, self.field).await,
            None => Healed {
                bit: false,
                proof: Json::Null,
            },
        };
        self.send(FaultEvent {
            phase: Phase::Healed,
            bit: Some(healed.bit && !is_skipped),
            proof: healed.proof,
            ..event
        })
        .await;
        if is_skipped {
            // It takes its time all the same: skipping must not speed up the others.
            self.wait(hold).await;
        }
    }

    /// The first event of the next fault.
    fn next_event(&mut self, fault: &dyn Fault, injection: Option<&Injection>) -> FaultEvent {
        let id = self.next_id;
        self.next_id += 1;
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

    /// Reports. Nobody listening is no reason not to mend.
    async fn send(&self, event: FaultEvent) {
        let _ = self.report.send(event).await;
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
async fn resolve(entry: &Entry, field: &Field, mut rng: Pcg64Mcg) -> Result<Injection, String> {
    let (fault, options, field) = (entry.fault, entry.options.clone(), field.look().await);
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
