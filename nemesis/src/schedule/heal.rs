//! Mending everything, whoever broke it.

use tribunal_results::NodeId;

use super::guard::LIMIT;
use crate::Field;
use crate::disk::Rules;
use crate::members;
use crate::process::{on_each, revive};

/// Lifts every rule of the fabric, lets every client go on, mends every disk, puts every clock right,
/// resumes every node that runs, starts every node that was ended by us, and makes those members
/// that were at the beginning. Idempotent; to be called at the start, at the end and on every way
/// out. Returns what could not be mended, in words.
pub async fn heal_all(field: &Field) -> Vec<String> {
    field.fabric.clear_all();
    field.clients.release_all();
    let mended = on_each(&field.nodes, field, |processes, node: NodeId| async move {
        let mend = async {
            if let Ok(disk) = processes.disk(&node) {
                disk.change(|rules| *rules = Rules::default());
            }
            if processes.pid(&node).is_some() {
                processes.resume(&node).await?;
            }
            if let Err(why) = processes.skew(&node, None).await
                && processes.clock(&node).is_ok_and(|view| view.skew.is_some())
            {
                return Err(why);
            }
            revive(processes, node).await
        };
        let took_too_long = |_| format!("took longer than {LIMIT:?}");
        tokio::time::timeout(LIMIT, mend)
            .await
            .map_err(took_too_long)?
    });
    let mut problems: Vec<String> = mended
        .await
        .into_iter()
        .filter_map(|(node, answer)| Some(format!("{node} could not be mended: {}", answer.err()?)))
        .collect();
    if let Some(members) = &field.members
        && let Err(problem) = members::change(field, members).await
    {
        problems.push(format!("the members could not be restored: {problem}"));
    }
    problems
}
