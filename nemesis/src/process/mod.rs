//! What the process faults share: choosing running nodes, acting on several at once, proving by
//! process ids, starting again.
//!
//! A process fault is a [`ProcessFault`]: what it does to one node and, where that is not simply
//! to start it again, how that is mended. Everything else a [`Fault`] has from here.

#[cfg(test)]
pub(crate) mod fake;
pub mod files;

use std::collections::BTreeMap;
use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;

use rand_pcg::Pcg64Mcg;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value as Json, json};
use tokio::task::JoinSet;
use tribunal_results::options::{OptionError, decode};
use tribunal_results::{NodeId, NodeState};

use crate::aim::{Aim, running};
use crate::{Fault, Field, Healed, Injected, Injection, Need, Pending, Processes};

/// The options of a process fault that has no others.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Nodes {
    /// Which nodes to break.
    nodes: Aim,
}

impl AsRef<Aim> for Nodes {
    fn as_ref(&self) -> &Aim {
        &self.nodes
    }
}

/// One node that a fault acts on.
#[derive(Clone)]
pub struct Hit {
    /// The cluster.
    pub processes: Arc<dyn Processes>,
    /// The node.
    pub node: NodeId,
    /// The process id that it had when it was chosen.
    pub chosen_pid: Option<u32>,
    /// The injection's detail.
    detail: Arc<Json>,
}

impl Hit {
    /// The node's own directory.
    ///
    /// # Errors
    /// If nobody knows it.
    pub fn data(&self) -> Result<PathBuf, String> {
        self.processes.data(&self.node)
    }

    /// What [`ProcessFault::draw`] put into the injection under this name.
    ///
    /// # Errors
    /// If it is missing, or of another form: then the injection was not made by this fault.
    pub fn drawn<T: DeserializeOwned>(&self, name: &str) -> Result<T, String> {
        let value = self.detail.get(name).cloned().unwrap_or_default();
        serde_json::from_value(value).map_err(|e| format!("its detail has no good `{name}`: {e}"))
    }
}

/// A fault of processes.
pub trait ProcessFault: Send + Sync + 'static {
    /// See [`Fault::name`].
    const NAME: &'static str;
    /// See [`Fault::about`].
    const ABOUT: &'static str;
    /// See [`Fault::colour`].
    const COLOUR: &'static str;
    /// See [`Fault::needs`].
    const NEEDS: Option<Need> = None;
    /// Its options: whom it is aimed at, and whatever else.
    type Options: DeserializeOwned + AsRef<Aim>;

    /// Checks what their form alone does not.
    ///
    /// # Errors
    /// The path and nature of the first wrong option.
    fn check(_options: &Self::Options) -> Result<(), OptionError> {
        Ok(())
    }

    /// Whatever has to be kept, besides the nodes, to do the same again.
    fn draw(_options: &Self::Options, _rng: &mut Pcg64Mcg) -> Map<String, Json> {
        Map::new()
    }

    /// Whether the nodes are broken one after another.
    fn is_one_by_one(_injection: &Injection) -> bool {
        false
    }

    /// Breaks one node; returns the proof.
    fn hit(hit: Hit) -> impl Future<Output = Result<Json, String>> + Send;

    /// Mends one node; returns the proof. Idempotent.
    fn mend(hit: Hit) -> impl Future<Output = Result<Json, String>> + Send {
        async move {
            let new = revive(hit.processes, hit.node).await?;
            Ok(json!({ "old_pid": hit.chosen_pid, "pid": new }))
        }
    }

    /// Whether it had an effect, if it was in force.
    fn bit(injection: &Injection, field: &Field, _mended: &Answers<Json>) -> bool {
        replaced(injection, field)
    }
}

impl<F: ProcessFault> Fault for F {
    fn name(&self) -> &'static str {
        F::NAME
    }

    fn about(&self) -> &'static str {
        F::ABOUT
    }

    fn colour(&self) -> &'static str {
        F::COLOUR
    }

    fn needs(&self) -> Option<Need> {
        F::NEEDS
    }

    fn check_options(&self, options: &Json) -> Result<(), OptionError> {
        F::check(&decode(options)?)
    }

    fn resolve(&self, options: &Json, field: &Field, rng: &mut Pcg64Mcg) -> Option<Injection> {
        let options: F::Options = decode(options).ok()?;
        let drawn = F::draw(&options, rng);
        choose(F::NAME, options.as_ref(), drawn, field, rng)
    }

    fn inject<'a>(&'a self, injection: &'a Injection, field: &'a Field) -> Pending<'a, Injected> {
        Box::pin(async move {
            if !F::is_one_by_one(injection) {
                return injected(on_each(&injection.nodes, field, hits(injection, F::hit)).await);
            }
            let mut answers = BTreeMap::new();
            for node in &injection.nodes {
                let only = std::slice::from_ref(node);
                answers.extend(on_each(only, field, hits(injection, F::hit)).await);
            }
            injected(answers)
        })
    }

    fn heal<'a>(&'a self, injection: &'a Injection, field: &'a Field) -> Pending<'a, Healed> {
        Box::pin(async move {
            let answers = on_each(&injection.nodes, field, hits(injection, F::mend)).await;
            Healed {
                bit: F::bit(injection, field, &answers),
                proof: proof_of(answers),
            }
        })
    }
}

/// The same for each node: `act` on it as part of the injection.
fn hits<W>(
    injection: &Injection,
    act: impl Fn(Hit) -> W,
) -> impl Fn(Arc<dyn Processes>, NodeId) -> W {
    let detail = Arc::new(injection.detail.clone());
    move |processes, node| {
        act(Hit {
            chosen_pid: pid_in(&detail, &node),
            processes,
            node,
            detail: Arc::clone(&detail),
        })
    }
}

/// Chooses running nodes to aim `fault` at; `None` if none runs. The detail keeps, besides what
/// was drawn, the process ids as they are now, to tell afterwards what was ended.
fn choose(
    fault: &str,
    aim: &Aim,
    drawn: Map<String, Json>,
    field: &Field,
    rng: &mut Pcg64Mcg,
) -> Option<Injection> {
    let nodes = aim.choose(field, &running(field), rng);
    if nodes.is_empty() {
        return None;
    }
    let pids: Map<String, Json> = nodes
        .iter()
        .map(|node| (node.to_string(), json!(field.processes.pid(node))))
        .collect();
    let mut detail = drawn;
    detail.insert("pids".into(), pids.into());
    Some(Injection {
        fault: fault.to_owned(),
        what: format!("{fault} {}", nodes.join(",")),
        nodes,
        links: Vec::new(),
        detail: detail.into(),
    })
}

fn pid_in(detail: &Json, node: &str) -> Option<u32> {
    let pid = detail.get("pids")?.get(node)?.as_u64()?;
    u32::try_from(pid).ok()
}

/// The same injection on the processes that run now: where its detail keeps process ids, as
/// [`choose`] does, those of today take the place of those of then.
pub fn refreshed(injection: &Injection, field: &Field) -> Injection {
    let mut injection = injection.clone();
    if let Some(Json::Object(pids)) = injection.detail.get_mut("pids") {
        for (node, pid) in pids.iter_mut() {
            let known = field.nodes.iter().any(|known| **known == **node);
            *pid = json!(known.then(|| field.processes.pid(node)).flatten());
        }
    }
    injection
}

/// What each node answered, or what went wrong there.
pub type Answers<T> = BTreeMap<NodeId, Result<T, String>>;

/// Does the same to several nodes at once, and waits for all.
pub async fn on_each<T, F, W>(nodes: &[NodeId], field: &Field, work: F) -> Answers<T>
where
    T: Send + 'static,
    F: Fn(Arc<dyn Processes>, NodeId) -> W,
    W: Future<Output = Result<T, String>> + Send + 'static,
{
    let mut tasks = JoinSet::new();
    for node in nodes {
        let work = work(Arc::clone(&field.processes), Arc::clone(node));
        let node = Arc::clone(node);
        tasks.spawn(async move { (node, work.await) });
    }
    let mut answers = BTreeMap::new();
    while let Some(ended) = tasks.join_next().await {
        match ended {
            Ok((node, answer)) => drop(answers.insert(node, answer)),
            Err(e) => tracing::error!("acting on a node failed: {e}"),
        }
    }
    for node in nodes {
        answers
            .entry(Arc::clone(node))
            .or_insert_with(|| Err("the nemesis itself panicked here (see the log)".into()));
    }
    answers
}

/// Starts the node if it was ended by us.
///
/// # Errors
/// If it can't be started.
pub async fn revive(processes: Arc<dyn Processes>, node: NodeId) -> Result<Option<u32>, String> {
    if processes.state(&node) == NodeState::Killed {
        return processes.start(&node).await.map(Some);
    }
    Ok(processes.pid(&node))
}

/// The answers as a proof, errors included.
pub fn proof_of(answers: Answers<Json>) -> Json {
    answers
        .into_iter()
        .map(|(node, answer)| {
            let answer = answer.unwrap_or_else(|problem| json!({ "problem": problem }));
            (node.to_string(), answer)
        })
        .collect::<Map<_, _>>()
        .into()
}

/// The answers as what injecting came to: in force if any node was hit.
pub fn injected(answers: Answers<Json>) -> Injected {
    if answers.values().any(Result::is_ok) {
        return Injected::Installed(proof_of(answers));
    }
    let problems: Vec<String> = answers
        .iter()
        .filter_map(|(node, answer)| Some(format!("{node}: {}", answer.as_ref().err()?)))
        .collect();
    Injected::Skipped(problems.join("; "))
}

/// Whether any of the injection's nodes runs with another process id than when it was chosen.
pub fn replaced(injection: &Injection, field: &Field) -> bool {
    injection.nodes.iter().any(|node| {
        let (old, new) = (pid_in(&injection.detail, node), field.processes.pid(node));
        old.is_some() && new.is_some() && old != new
    })
}

#[cfg(test)]
#[path = "process_tests.rs"]
mod tests;
