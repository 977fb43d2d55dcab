//! Whether the system lets a run open as many files and sockets as it needs.

use super::Failure;
use crate::plan::Plan;

/// Many nodes and clients need many sockets: takes as many as the system lets us, and finds out
/// before anything starts whether they suffice.
pub(super) fn enough(plans: &[Plan]) -> Result<(), Failure> {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else {
        return Ok(());
    };
    if soft < hard
        && let Err(e) = setrlimit(Resource::RLIMIT_NOFILE, hard, hard)
    {
        tracing::warn!("cannot raise the limit of open files: {e}");
    }
    let Some(plan) = plans.iter().max_by_key(|plan| files_of(plan)) else {
        return Ok(());
    };
    let need = files_of(plan);
    if need <= hard {
        return Ok(());
    }
    Err(Failure::usage(anyhow::anyhow!(
        "{} needs about {need} open files for its {} nodes and {} clients, but at most {hard} are \
         allowed; raise the limit with `ulimit -n {need}`, or ask for less",
        plan.name,
        plan.nodes,
        plan.clients,
    )))
}

/// About how many files and sockets a run keeps open: a listener a link, two ends of a connection
/// between each two nodes in each direction, three for each client, and some for the rest.
fn files_of(plan: &Plan) -> u64 {
    let (nodes, clients) = (plan.nodes as u64, plan.clients as u64);
    nodes * nodes + 2 * nodes * nodes.saturating_sub(1) + 3 * clients + 64
}
