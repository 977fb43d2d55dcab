//! The load of a run: its clients, and what they do.

use std::sync::Arc;

use tribunal_nemesis::Field;
use tribunal_results::NodeId;
use tribunal_targets::client::Session;
use tribunal_targets::{ClientSpec, Router as _, System};
use tribunal_workloads::{Program, Setting};

use super::field::CLIENTS;
use crate::clock::nanos;
use crate::drive::Clients;
use crate::holds::Holds;
use crate::plan::Plan;
use crate::recorder::Recorder;
use crate::seed;

use super::node_names;

/// Connects the clients of a plan to nodes, in turn.
///
/// # Errors
/// If clients have no link to a node.
pub(super) fn open_clients(
    plan: &Plan,
    target: System,
    field: &Field,
    recorder: &Arc<Recorder>,
    holds: Arc<Holds>,
) -> anyhow::Result<Clients> {
    let mut addresses = Vec::new();
    for node in &field.nodes {
        let address = field
            .fabric
            .address(CLIENTS, node)
            .ok_or_else(|| anyhow::anyhow!("the fabric has no link from clients to {node}"))?;
        addresses.push((node.clone(), address));
    }
    let timeout = plan.timeout.0;
    let everyone: Arc<[_]> = addresses.clone().into();
    let open = move |node: usize, process: u64| {
        // There is at least one node: the plan was checked.
        let (node, address) = addresses[node % addresses.len()].clone();
        Session::new(
            target.clone(),
            ClientSpec {
                process,
                node,
                address,
                nodes: Arc::clone(&everyone),
                timeout,
            },
        )
    };
    let workload = plan.parts.workload(&plan.workload.workload);
    let moves_after = workload.and_then(|load| load.moves_after(&plan.workload.options));
    Ok(Clients::start(
        plan.clients,
        field.nodes.clone(),
        moves_after,
        Arc::clone(recorder),
        Arc::new(open),
        holds,
    ))
}

/// The load of a plan.
///
/// # Errors
/// If the plan names no workload that exists, or gives it wrong options.
pub fn program(plan: &Plan) -> anyhow::Result<Program> {
    let name = &plan.workload.workload;
    let workload = plan
        .parts
        .workload(name)
        .ok_or_else(|| anyhow::anyhow!("there is no workload {name}"))?;
    let target = plan.parts.target(&plan.target.target);
    let nodes: Vec<NodeId> = node_names(plan).into_iter().map(Into::into).collect();
    let setting = Setting {
        clients: plan.clients,
        nodes: plan.nodes,
        available: target
            .and_then(|t| t.understands(&plan.target.options, &nodes).ok())
            .unwrap_or_default(),
        time_limit: nanos(plan.time.0),
        rate: plan.rate,
        seed: seed::stream(plan.seed, "clients"),
    };
    workload
        .program(&plan.workload.options, &setting)
        .map_err(|e| anyhow::anyhow!("options of workload {name}: {}: {e}", e.path))
}
