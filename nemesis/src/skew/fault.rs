//! Faults that move clocks of processes: all that they share.

use std::collections::BTreeMap;

use rand_pcg::Pcg64Mcg;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value as Json, json};
use tribunal_results::NodeId;
use tribunal_results::options::OptionError;

use super::{ClockKind, Skew, View};
use crate::aim::{Aim, running, split};
use crate::process::{injected, on_each, proof_of};
use crate::{Fault, Field, Healed, Injected, Injection, Need, Pending};

/// A fault that moves the clocks of some nodes' processes, and puts them right when it is over.
/// Besides its own options it has
/// `nodes` and `clocks`, which say whose and which.
pub trait ClockFault: Send + Sync {
    /// Its own options.
    type Options: DeserializeOwned + Default;

    /// See [`Fault::name`].
    const NAME: &'static str;
    /// See [`Fault::about`].
    const ABOUT: &'static str;
    /// See [`Fault::colour`].
    const COLOUR: &'static str;

    /// What is wrong with the options.
    ///
    /// # Errors
    /// The path and nature of the first wrong one.
    fn check(options: &Self::Options) -> Result<(), OptionError>;

    /// What the clocks of one node are to show, and that in words: `by +3 s`. Which clocks is not
    /// for it to say.
    fn draw(options: &Self::Options, rng: &mut Pcg64Mcg) -> (Skew, String);
}

/// Whose clocks a fault moves.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Whose {
    /// The nodes.
    nodes: Aim,
    /// Which of their clocks.
    clocks: Vec<ClockKind>,
}

/// The names of its fields.
const WHOSE: [&str; 2] = ["nodes", "clocks"];

impl Default for Whose {
    fn default() -> Self {
        Self {
            nodes: Aim::default(),
            clocks: vec![ClockKind::Realtime],
        }
    }
}

/// A [`ClockFault`] as a [`Fault`].
#[derive(Debug)]
pub struct OnClocks<F>(pub F);

impl<F: ClockFault> Fault for OnClocks<F> {
    fn name(&self) -> &'static str {
        F::NAME
    }

    fn about(&self) -> &'static str {
        F::ABOUT
    }

    fn colour(&self) -> &'static str {
        F::COLOUR
    }

    fn check_options(&self, options: &Json) -> Result<(), OptionError> {
        let (whose, own): (Whose, _) = split(options, &WHOSE)?;
        F::check(&own)?;
        match whose.clocks.is_empty() {
            false => Ok(()),
            true => Err(OptionError::new(
                "clocks",
                "no clock is named; write [realtime], [monotonic] or both",
            )),
        }
    }

    fn needs(&self) -> Option<Need> {
        Some(Need::Clocks)
    }

    fn resolve(&self, options: &Json, field: &Field, rng: &mut Pcg64Mcg) -> Option<Injection> {
        let (whose, own): (Whose, _) = split(options, &WHOSE).ok()?;
        choose(F::NAME, &whose.nodes, field, rng, |_, rng| {
            let (skew, what) = F::draw(&own, rng);
            let clocks = whose.clocks.clone();
            (Skew { clocks, ..skew }, what)
        })
    }

    fn inject<'a>(&'a self, injection: &'a Injection, field: &'a Field) -> Pending<'a, Injected> {
        Box::pin(move_clocks(injection, field))
    }

    fn heal<'a>(&'a self, injection: &'a Injection, field: &'a Field) -> Pending<'a, Healed> {
        Box::pin(cure(injection, field))
    }
}

/// Chooses running nodes and what each one's clocks are to show; `None` if none runs.
fn choose(
    fault: &str,
    aim: &Aim,
    field: &Field,
    rng: &mut Pcg64Mcg,
    mut skew: impl FnMut(&NodeId, &mut Pcg64Mcg) -> (Skew, String),
) -> Option<Injection> {
    let nodes = aim.choose(field, &running(field), rng);
    if nodes.is_empty() {
        return None;
    }
    let mut skews = BTreeMap::new();
    let mut words = Vec::new();
    for node in &nodes {
        let (skew, what) = skew(node, rng);
        skews.insert(node.to_string(), skew);
        words.push(format!("{node} {what}"));
    }
    Some(Injection {
        fault: fault.to_owned(),
        what: format!("{fault} {}", words.join(", ")),
        nodes,
        links: Vec::new(),
        detail: json!({ "skews": skews }),
    })
}

fn skew_of(injection: &Injection, node: &str) -> Option<Skew> {
    let skew = injection.detail.get("skews")?.get(node)?;
    serde_json::from_value(skew.clone()).ok()
}

/// Moves the clocks of every chosen node, and reads back that its process has it.
async fn move_clocks(injection: &Injection, field: &Field) -> Injected {
    let answers = on_each(&injection.nodes, field, |processes, node| {
        let skew = skew_of(injection, &node);
        async move {
            let skew = skew.ok_or("its detail does not say by how much")?;
            let view = processes.skew(&node, Some(&skew)).await?;
            if view.skew.as_ref() == Some(&skew) {
                Ok(json!(view))
            } else {
                Err(format!(
                    "its process shows another skew: {}",
                    json!(view.skew)
                ))
            }
        }
    });
    injected(answers.await)
}

/// Puts every chosen clock right, and reads back that it is. It bit if a process was told another
/// time meanwhile; a process that did not read its clock, or asks the kernel past the vDSO, was
/// not affected.
async fn cure(injection: &Injection, field: &Field) -> Healed {
    let answers = on_each(&injection.nodes, field, |processes, node| {
        async move {
            let during = processes.clock(&node);
            let after = processes.skew(&node, None).await?;
            if let Some(left) = &after.skew {
                return Err(format!("its clock is still wrong: {}", json!(left)));
            }
            // A node that died took its counts along; a new one began with the same skew.
            let last: &View = during.as_ref().unwrap_or(&after);
            Ok(json!({
                "pid": last.pid,
                "moved_readings": last.moved_readings,
                "last_moved_by_ns": last.last_moved_by_ns,
                "effective": last.moved_readings > 0,
                "right_again": true,
            }))
        }
    })
    .await;
    let bit = |answer: &Result<Json, String>| {
        answer
            .as_ref()
            .is_ok_and(|proof| proof["effective"] == true)
    };
    Healed {
        bit: answers.values().any(bit),
        proof: proof_of(answers),
    }
}
