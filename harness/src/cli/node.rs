//! `tribunal node`: this binary as a reference node.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use tribunal_results::NodeId;
use tribunal_targets::NodeSpec;

use super::{Done, Failure, exit};

#[derive(Debug, Args)]
#[command(after_help = "\
Example, a cluster of one:
  tribunal node quorum-register --id n1 --listen 127.0.0.1:7001 --nodes n1 --data /tmp/n1
  printf '{\"src\":\"c1\",\"dest\":\"n1\",\"body\":{\"type\":\"status\",\"msg_id\":1}}\\n' | nc 127.0.0.1 7001")]
pub(super) struct Node {
    /// What to run: a reference target (see `tribunal list targets`)
    target: String,
    /// The node's name
    #[arg(long)]
    id: String,
    /// Where it listens
    #[arg(long, value_name = "ADDRESS")]
    listen: SocketAddr,
    /// Where it reaches another node; once for each
    #[arg(long = "peer", value_name = "NODE=ADDRESS", value_parser = peer)]
    peers: Vec<(String, SocketAddr)>,
    /// Every node of the cluster, in the same order on each
    #[arg(long, value_delimiter = ',')]
    nodes: Vec<String>,
    /// Its own directory
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// The planted bug to show
    #[arg(long)]
    bug: Option<String>,
    /// Stamp messages to other nodes with logical clocks
    #[arg(long)]
    stamp: bool,
    /// Options of the target, as JSON
    #[arg(long, value_name = "JSON", default_value = "null", value_parser = json)]
    options: serde_json::Value,
}

fn peer(text: &str) -> Result<(String, SocketAddr), String> {
    let (node, address) = text
        .split_once('=')
        .ok_or("write it as n2=127.0.0.1:7002")?;
    let address = address.parse().map_err(|e| format!("{address}: {e}"))?;
    Ok((node.to_owned(), address))
}

fn json(text: &str) -> Result<serde_json::Value, String> {
    serde_json::from_str(text).map_err(|e| e.to_string())
}

/// Runs a node until it is told to stop.
pub(super) fn node(args: Node) -> Done {
    let mut nodes: Vec<NodeId> = args.nodes.iter().map(|n| n.as_str().into()).collect();
    if nodes.is_empty() {
        nodes.push(args.id.as_str().into());
    }
    let peers = args
        .peers
        .iter()
        .map(|(id, address)| (id.as_str().into(), *address))
        .collect();
    let spec = NodeSpec {
        id: args.id.as_str().into(),
        listen: args.listen,
        peers,
        advertised: None,
        nodes,
        data: args.data,
        bug: args.bug,
        options: args.options,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    runtime
        .block_on(tribunal_targets::node::run_with(
            &args.target,
            spec,
            args.stamp,
        ))
        .map_err(|e| Failure::usage(anyhow::anyhow!(e)))?;
    Ok(exit::PASS)
}
