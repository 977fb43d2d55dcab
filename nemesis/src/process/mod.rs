//! What the process faults share: choosing running nodes, and acting on several at once.

#[cfg(test)]
pub(crate) mod fake;

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;

use rand_pcg::Pcg64Mcg;
use serde::Deserialize;
use serde_json::{Map, Value as Json, json};
use tokio::task::JoinSet;
use tribunal_results::{NodeId, NodeState};

use crate::aim::{Aim, running};
use crate::{Field, Injected, Injection, Processes};

/// The options of every process fault.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Which nodes to break.
    pub nodes: Aim,
}

/// Chooses running nodes to aim `fault` at; `None` if none runs. The detail keeps the process ids
/// as they are now, to tell afterwards what was ended.
pub fn choose(
    fault: &str,
    options: &Options,
    field: &Field,
    rng: &mut Pcg64Mcg,
) -> Option<Injection> {
    let nodes = options.nodes.choose(&field.nodes, &running(field), rng);
    if nodes.is_empty() {
        return None;
    }
    let pids: Map<String, Json> = nodes
        .iter()
        .map(|node| (node.to_string(), json!(field.processes.pid(node))))
        .collect();
    Some(Injection {
        fault: fault.to_owned(),
        what: format!("{fault} {}", nodes.join(",")),
        nodes,
        links: Vec::new(),
        detail: json!({ "pids": pids }),
    })
}

/// The process id that the node had when it was chosen.
pub fn chosen_pid(injection: &Injection, node: &str) -> Option<u32> {
    let pid = injection.detail.get("pids")?.get(node)?.as_u64()?;
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

/// Whether any of these nodes runs with another process id than when it was chosen.
pub fn replaced(injection: &Injection, field: &Field) -> bool {
    injection.nodes.iter().any(|node| {
        let (old, new) = (chosen_pid(injection, node), field.processes.pid(node));
        old.is_some() && new.is_some() && old != new
    })
}

#[cfg(test)]
mod tests {
    use super::fake::field;
    use super::*;
    use crate::chance::stream;
    use crate::{Fault, kill::Kill, pause::Pause, restart::Restart};

    #[tokio::test]
    async fn only_running_nodes_are_broken() {
        let (field, fake) = field(4).await;
        fake.put("n1", NodeState::Killed, None);
        fake.put("n2", NodeState::Paused, Some(7));
        fake.put("n3", NodeState::Starting, Some(8));
        for fault in [&Kill as &dyn Fault, &Pause, &Restart] {
            let options = json!({ "nodes": "all" });
            let injection = fault.resolve(&options, &field, &mut stream(1, &[]));
            assert_eq!(injection.unwrap().nodes.join(","), "n3,n4");
        }
    }

    #[tokio::test]
    async fn a_restart_runs_again_at_once_and_bit_by_its_pid() {
        let (field, fake) = field(3).await;
        let old = fake.pid("n2");
        let options = json!({ "nodes": ["n2"] });
        let injection = Restart.resolve(&options, &field, &mut stream(1, &[]));
        let injection = injection.unwrap();
        assert!(matches!(
            Restart.inject(&injection, &field).await,
            Injected::Installed(_)
        ));
        assert_eq!(fake.calls(), ["terminate n2", "start n2"]);
        for _ in 0..2 {
            let healed = Restart.heal(&injection, &field).await;
            assert!(healed.bit);
            assert_eq!(healed.proof["n2"]["old_pid"], json!(old));
        }
        assert_eq!(fake.calls().len(), 2, "it runs already");
    }

    #[tokio::test]
    async fn healing_does_not_start_a_node_that_died_by_itself() {
        let (field, fake) = field(1).await;
        let injection = Kill.resolve(&Json::Null, &field, &mut stream(1, &[]));
        let injection = injection.unwrap();
        fake.put("n1", NodeState::Died, None);
        let healed = Kill.heal(&injection, &field).await;
        assert!(!healed.bit);
        assert!(fake.calls().is_empty());
    }
}
