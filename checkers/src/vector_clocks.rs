//! `vector-clocks`: vector clocks tell what happened before what, no less and no more.
//!
//! The true clocks are computed anew. If every event ticks (`clocks_exact`), the recorded ones must
//! equal them. Otherwise: along each direct step of cause and effect, no entry may fall, and so
//! along every chain (*missed causality* if one does); and of each node, the first event that
//! ticked the node's own entry after all that an event has in its past must not be counted by that
//! event's clock (*false causality*): later ones cannot be, either, since clocks rise.

use tribunal_results::{Record, Verdict};

use crate::clocks::causes::Causes;
use crate::clocks::{self, Findings, Place, Trace};
use crate::{Budget, Checker};

/// The checker.
pub struct VectorClocks;

const NAME: &str = "vector-clocks";

impl Checker for VectorClocks {
    fn name(&self) -> &'static str {
        NAME
    }

    fn about(&self) -> &'static str {
        "vector clocks are ordered as their events happen before each other, and only so (Fidge \
         1988, Mattern 1989)"
    }

    fn anomalies(&self) -> &'static [&'static str] {
        &["missed-causality", "false-causality"]
    }

    fn blind_to(&self) -> &'static str {
        "events that should have ticked but did not, unless clocks are assumed to be exact"
    }

    fn check(&self, record: &Record, _: Budget) -> Verdict {
        clocks::judge(record, NAME, "vector clocks", |trace| {
            let causes = Causes::new(trace);
            let mut findings = Findings::default();
            if record.assume.clocks_exact {
                exact(trace, &causes, &mut findings);
            } else {
                missed(trace, &mut findings);
                if findings.total == 0 {
                    falsely(trace, &causes, &mut findings);
                }
            }
            findings
        })
    }
}

fn vector<'a>(trace: &Trace<'a>, place: Place) -> Option<&'a [u64]> {
    let vector = trace.event(place)?.clocks.vector.as_deref()?;
    (vector.len() == trace.by_node.len()).then_some(vector)
}

fn at_most(left: &[u64], right: &[u64]) -> bool {
    left.iter().zip(right).all(|(left, right)| left <= right)
}

/// Every event ticks its own entry by one: the recorded clock is the true one. What follows from a
/// wrong clock is not told again.
fn exact(trace: &Trace<'_>, causes: &Causes, findings: &mut Findings) {
    let mut wrong = vec![false; trace.messages.events.len()];
    for &place in &trace.order {
        let Some(clock) = vector(trace, place) else {
            continue;
        };
        findings.compared += 1;
        let truth = causes.of(place);
        let pairs = || {
            clock
                .iter()
                .zip(truth)
                .map(|(is, due)| (*is, u64::from(*due)))
        };
        let Some(node) = pairs().position(|(is, due)| is != due) else {
            continue;
        };
        if let Some(wrong) = wrong.get_mut(place as usize) {
            *wrong = true;
        }
        let before = [trace.previous(place), trace.sending(place)];
        let known = |at: Place| wrong.get(at as usize) == Some(&true);
        if before.into_iter().flatten().any(known) {
            continue;
        }
        let (is, due) = pairs().nth(node).unwrap_or_default();
        findings.add(|| {
            let (event, node) = (trace.name(place), trace.node(node as u32));
            let name = match is < due {
                true => "missed-causality",
                false => "false-causality",
            };
            let sentence = format!(
                "the vector clock at {event} counts {is} events of {node}, but {due} happened \
                 until then"
            );
            let facts = vec![
                format!("The vector clock was {clock:?} after {event}."),
                format!("The events of each node that {event} knows of number {truth:?}."),
            ];
            trace.anomaly(name, &[place], sentence, facts)
        });
    }
}

/// Some entry falls from a direct cause to its effect.
fn missed(trace: &Trace<'_>, findings: &mut Findings) {
    for &place in &trace.order {
        let Some(clock) = vector(trace, place) else {
            continue;
        };
        for cause in [trace.previous(place), trace.sending(place)] {
            let known = cause.and_then(|cause| Some((cause, vector(trace, cause)?)));
            let Some((cause, before)) = known else {
                continue;
            };
            findings.compared += 1;
            if at_most(before, clock) {
                continue;
            }
            findings.add(|| {
                let (first, second) = (trace.name(cause), trace.name(place));
                let sentence = format!(
                    "{first} happened before {second}, but their vector clocks {before:?} and \
                     {clock:?} do not say so"
                );
                let why = match trace.previous(place) == Some(cause) {
                    true => format!("{first} comes before {second} at the same node."),
                    false => format!("{first} sends the message that {second} receives."),
                };
                let facts = vec![
                    why,
                    format!("The vector clock was {before:?} after {first}."),
                    format!("The vector clock was {clock:?} after {second}."),
                ];
                trace.anomaly("missed-causality", &[cause, place], sentence, facts)
            });
        }
    }
}

/// Of each event, the first at its node, from it on, that ticked the node's own entry.
fn ticks(trace: &Trace<'_>) -> Vec<Option<Place>> {
    let mut ticks = vec![None; trace.messages.events.len()];
    for (node, places) in trace.by_node.iter().enumerate() {
        let own = |place: Place| Some(*vector(trace, place)?.get(node)?);
        let mut next = None;
        for (at, &place) in places.iter().enumerate().rev() {
            let before = at.checked_sub(1).and_then(|at| places.get(at));
            let before = before.map_or(Some(0), |before| own(*before));
            if before.is_some() && own(place) > before {
                next = Some(place);
            }
            if let Some(slot) = ticks.get_mut(place as usize) {
                *slot = next;
            }
        }
    }
    ticks
}

/// Some clock counts an event that did not happen before.
fn falsely(trace: &Trace<'_>, causes: &Causes, findings: &mut Findings) {
    let ticks = ticks(trace);
    let mut wrong = vec![false; trace.messages.events.len()];
    for &place in &trace.order {
        let (Some(clock), Some(event)) = (vector(trace, place), trace.event(place)) else {
            continue;
        };
        for (node, &count) in (0..).zip(causes.of(place)) {
            if node == event.node {
                continue;
            }
            let places = trace.by_node.get(node as usize);
            let after = places.and_then(|places| places.get(count as usize));
            let tick = after.and_then(|at| ticks.get(*at as usize).copied().flatten());
            let Some((tick, ticked)) = tick.and_then(|tick| Some((tick, vector(trace, tick)?)))
            else {
                continue;
            };
            findings.compared += 1;
            if !at_most(ticked, clock) {
                continue;
            }
            if let Some(wrong) = wrong.get_mut(place as usize) {
                *wrong = true;
            }
            let before = [trace.previous(place), trace.sending(place)];
            let known = |at: Place| wrong.get(at as usize) == Some(&true);
            if before.into_iter().flatten().any(known) {
                continue;
            }
            findings.add(|| {
                let (first, second) = (trace.name(tick), trace.name(place));
                let sentence = format!(
                    "{first} did not happen before {second}, but their vector clocks {ticked:?} \
                     and {clock:?} say so"
                );
                let facts = vec![
                    format!("The vector clock was {ticked:?} after {first}."),
                    format!("The vector clock was {clock:?} after {second}."),
                    format!(
                        "No chain of messages leads from {first} to {second}: only {count} events \
                         of {} happened before that.",
                        trace.node(node)
                    ),
                ];
                trace.anomaly("false-causality", &[tick, place], sentence, facts)
            });
        }
    }
}
