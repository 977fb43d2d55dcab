//! Who belongs to the system, and changing that: step by step, each seen to have come about before
//! the next. Only a node that says that it leads is believed.
//!
//! A node that is taken out goes on running: it is no member, that is all. Healing makes those
//! members that were before.

use std::time::Duration;

use rand_pcg::Pcg64Mcg;
use serde::Deserialize;
use serde_json::{Value as Json, json};
use tokio::time::{sleep, timeout};
use tribunal_results::NodeId;
use tribunal_results::options::{OptionError, decode};
use tribunal_targets::MemberChange;

use crate::aim::{Aim, ask};
use crate::{Fault, Field, Healed, Injected, Injection, Pending};

/// How long members may take to become those that are wanted.
const CHANGED_WITHIN: Duration = Duration::from_secs(5);
/// How long a node may take to answer a request for a change.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);
/// How often it is asked who belongs to the system.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// After so many refusals in a row a change is given up.
const REFUSALS_MAX: usize = 10;

/// A fault that changes who belongs to the system.
#[derive(Clone, Copy, Debug)]
pub struct MemberFault {
    /// See [`Fault::name`].
    pub name: &'static str,
    /// See [`Fault::about`].
    pub about: &'static str,
    /// See [`Fault::colour`].
    pub colour: &'static str,
    /// Whether it takes nodes in.
    pub adds: bool,
    /// Whether it takes nodes out.
    pub removes: bool,
}

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Options {
    /// Which nodes are taken in or out; if it is both, which are taken out.
    nodes: Aim,
}

impl Default for Options {
    fn default() -> Self {
        Self { nodes: Aim::One }
    }
}

impl MemberFault {
    /// Who belongs to the system when it is in force; `None` if it can do nothing.
    fn after(
        &self,
        aim: &Aim,
        before: &[NodeId],
        field: &Field,
        rng: &mut Pcg64Mcg,
    ) -> Option<Vec<NodeId>> {
        let is_member = |node: &&NodeId| before.contains(node);
        let (members, spares): (Vec<_>, Vec<_>) = field.nodes.iter().partition(is_member);
        let own = |nodes: Vec<&NodeId>| nodes.into_iter().cloned().collect::<Vec<_>>();
        let (members, spares) = (own(members), own(spares));
        let mut out = match self.removes {
            true => aim.choose(field, &members, rng),
            false => Vec::new(),
        };
        let mut into = match (self.adds, self.removes) {
            (true, false) => aim.choose(field, &spares, rng),
            (true, true) => crate::aim::shuffled(&spares, rng),
            (false, _) => Vec::new(),
        };
        if self.adds && self.removes {
            let pairs = out.len().min(into.len());
            out.truncate(pairs);
            into.truncate(pairs);
        } else {
            // Somebody has to be left.
            out.truncate(members.len().saturating_sub(1));
        }
        let stays =
            |node: &&NodeId| into.contains(node) || (before.contains(node) && !out.contains(node));
        let after: Vec<NodeId> = field.nodes.iter().filter(stays).cloned().collect();
        (after != members).then_some(after)
    }
}

/// The members before and after, as an injection's detail holds them.
fn wanted(injection: &Injection) -> Option<(Vec<NodeId>, Vec<NodeId>)> {
    let list = |name| serde_json::from_value(injection.detail.get(name)?.clone()).ok();
    Some((list("before")?, list("after")?))
}

impl Fault for MemberFault {
    fn name(&self) -> &'static str {
        self.name
    }

    fn about(&self) -> &'static str {
        self.about
    }

    fn colour(&self) -> &'static str {
        self.colour
    }

    fn check_options(&self, options: &Json) -> Result<(), OptionError> {
        decode::<Options>(options).map(drop)
    }

    fn resolve(&self, options: &Json, field: &Field, rng: &mut Pcg64Mcg) -> Option<Injection> {
        let options: Options = decode(options).ok()?;
        let mut injection = Injection {
            fault: self.name.to_owned(),
            nodes: Vec::new(),
            links: Vec::new(),
            what: self.name.to_owned(),
            detail: Json::Null,
        };
        // Nobody knows who belongs to it: injecting says so.
        let Some(before) = &field.roles.members else {
            return Some(injection);
        };
        let after = self.after(&options.nodes, before, field, rng)?;
        let moves = |node: &&NodeId| before.contains(node) != after.contains(node);
        injection.nodes = field.nodes.iter().filter(moves).cloned().collect();
        injection.what = format!("{} {}", self.name, injection.nodes.join(","));
        injection.detail = json!({ "before": before, "after": after });
        Some(injection)
    }

    fn inject<'a>(&'a self, injection: &'a Injection, field: &'a Field) -> Pending<'a, Injected> {
        Box::pin(async move {
            let Some((before, after)) = wanted(injection) else {
                return Injected::Skipped(
                    "no node that leads says who belongs to the system: the target cannot change \
                     that while it runs, or nobody leads"
                        .into(),
                );
            };
            match change(field, &after).await {
                Ok(steps) => Injected::Installed(json!({
                    "before": before,
                    "steps": steps,
                    "confirmed": after,
                })),
                Err(why) => Injected::Skipped(why),
            }
        })
    }

    fn heal<'a>(&'a self, injection: &'a Injection, field: &'a Field) -> Pending<'a, Healed> {
        Box::pin(async move {
            let Some((before, _)) = wanted(injection) else {
                return Healed {
                    bit: false,
                    proof: Json::Null,
                };
            };
            match change(field, &before).await {
                Ok(steps) => Healed {
                    bit: !steps.is_empty(),
                    proof: json!({ "steps": steps, "confirmed": before }),
                },
                // It is tried again at the end, when everything else is healed too.
                Err(problem) => Healed {
                    bit: true,
                    proof: json!({ "problem": problem, "pending": before }),
                },
            }
        })
    }
}

/// Makes these the members, nodes that are taken in first, and waits until a node that leads says
/// so. Returns what was done, in words; nothing if they were the members already.
///
/// # Errors
/// That it has not come about in time or is refused, in words. It may still come about.
pub async fn change(field: &Field, goal: &[NodeId]) -> Result<Vec<String>, String> {
    let mut steps = Vec::new();
    let mut last = String::from("no node that leads says who belongs to the system");
    let changing = timeout(
        CHANGED_WITHIN,
        step_until(field, goal, &mut steps, &mut last),
    )
    .await;
    match changing {
        Ok(true) => Ok(steps),
        Ok(false) => Err(format!("refused: {last}")),
        Err(_) => Err(format!("not confirmed in {CHANGED_WITHIN:?}: {last}")),
    }
}

/// Whether the members became `goal`, rather than that being refused.
async fn step_until(
    field: &Field,
    goal: &[NodeId],
    steps: &mut Vec<String>,
    last: &mut String,
) -> bool {
    let mut refusals = 0;
    while refusals < REFUSALS_MAX {
        let roles = ask(field).await;
        let (Some(leader), Some(members)) = (roles.leaders.first(), &roles.members) else {
            sleep(LOOK_EVERY).await;
            continue;
        };
        let Some(change) = next_change(members, goal) else {
            return true;
        };
        let words = match &change {
            MemberChange::Add(node) => format!("add {node}"),
            MemberChange::Remove(node) => format!("remove {node}"),
        };
        let asked = field.processes.change_members(leader, &change);
        match timeout(ANSWER_WITHIN, asked).await {
            Ok(Ok(())) => refusals = 0,
            Ok(Err(why)) => {
                refusals += 1;
                *last = format!("{words}: {why}");
            }
            Err(_) => *last = format!("{words}: {leader} does not answer"),
        }
        if steps.last() != Some(&words) {
            steps.push(words);
        }
        sleep(LOOK_EVERY).await;
    }
    false
}

/// The next change on the way from these members to those.
fn next_change(members: &[NodeId], goal: &[NodeId]) -> Option<MemberChange> {
    let missing = goal.iter().find(|node| !members.contains(node));
    let excess = || members.iter().find(|node| !goal.contains(node));
    match missing {
        Some(node) => Some(MemberChange::Add(node.clone())),
        None => excess().map(|node| MemberChange::Remove(node.clone())),
    }
}

#[cfg(test)]
#[path = "members_tests.rs"]
mod tests;
