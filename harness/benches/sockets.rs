//! How many operations a second a whole run completes over real sockets, and where the time goes.
//!
//! `cargo bench --bench sockets`. A cluster of real processes under as many operations as its
//! clients can ask for (writes and reads of registers, or rounds of many short critical sections),
//! through the fabric as in every run;
//! and, as the peer in the same program, the same clients against the nodes' own addresses. Prints
//! completed operations a second, latency, and the CPU seconds of each part; and before, how often
//! a second the disk makes a small append durable, which bounds what a log can do without group
//! commit.

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::sync::{mpsc, watch};
use tribunal::clock::Clock;
use tribunal::cluster::{Block, Cluster, Setup};
use tribunal::drive::Clients;
use tribunal::holds::Holds;
use tribunal::recorder::Recorder;
use tribunal_nemesis::fabric::{Fabric, LinkSpec};
use tribunal_results::journal::{self, Header};
use tribunal_results::run::RunDir;
use tribunal_results::{Kind, NodeId, Operation};
use tribunal_targets::client::Session;
use tribunal_targets::{ClientSpec, NodeSpec, Router, Target};
use tribunal_workloads::Setting;
use tribunal_workloads::generator::{FromFn, Generator, Seed};

const TIME: Duration = Duration::from_secs(4);
const NODES: usize = 3;
const KEYS: u64 = 64;
/// The targets that are measured.
const TARGETS: [&str; 3] = ["quorum-register", "paxos-kv", "lock-manager"];
/// As many locks as there can be.
const LOCKS: u64 = 26;
/// How many appends tell the disk's rate, and of how many bytes each.
const SYNCS: u32 = 500;
const SYNC_BYTES: usize = 512;

/// `cargo bench --bench sockets -- NAME` measures one target alone.
fn main() -> anyhow::Result<()> {
    let wanted = std::env::args().skip(1).find(|it| !it.starts_with('-'));
    let fabric = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("fabric")
        .enable_all()
        .build()?;
    let scheduler = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    anstream::println!("the disk makes {:.0} appends a second durable", syncs()?);
    let is_wanted = |name: &&str| wanted.as_deref().is_none_or(|wanted| wanted == *name);
    for name in TARGETS.into_iter().filter(is_wanted) {
        head(name);
        for clients in [1, 10, 50, 200] {
            for proxied in [true, false] {
                let handle = fabric.handle().clone();
                scheduler.block_on(measure(name, clients, proxied, handle))?;
            }
        }
    }
    Ok(())
}

fn head(name: &str) {
    anstream::println!(
        "{:<26} {:>8} {:>8} {:>8} {:>8}  CPU-seconds: {:>9} {:>7} {:>6}",
        format!("{name}, {NODES} nodes"),
        "ops/s",
        "p50 ms",
        "p99 ms",
        "max ms",
        "scheduler",
        "fabric",
        "nodes",
    );
}

/// Durable appends a second, one after the other.
fn syncs() -> anyhow::Result<f64> {
    let folder = tempfile::tempdir()?;
    let mut file = std::fs::File::create(folder.path().join("wal"))?;
    let clock = Clock::start();
    for _ in 0..SYNCS {
        file.write_all(&[b'x'; SYNC_BYTES])?;
        file.sync_data()?;
    }
    Ok(f64::from(SYNCS) * 1e9 / clock.now() as f64)
}

/// One cluster, driven for [`TIME`].
async fn measure(
    name: &str,
    clients: usize,
    proxied: bool,
    runtime: tokio::runtime::Handle,
) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let dir = RunDir::at(folder.path());
    let target = tribunal_targets::find(name).context("no such target")?;
    let nodes: Vec<NodeId> = (1..=NODES)
        .map(|i| format!("n{i}").as_str().into())
        .collect();
    let block = Arc::new(Block::reserve(None)?);
    let fabric = runtime
        .spawn(Fabric::open(links(&nodes, &block), 1))
        .await??;
    let address = |from: &str, to: usize| {
        let through = fabric.address(from, &nodes[to]);
        if proxied {
            through
        } else {
            Some(block.node(to + 1))
        }
    };
    let mut specs = Vec::new();
    for (i, id) in nodes.iter().enumerate() {
        let others = (0..NODES).filter(|j| *j != i);
        let peers = others
            .filter_map(|j| Some((nodes[j].clone(), address(id, j)?)))
            .collect();
        let data = dir.node(id).join("data");
        let listen = block.node(i + 1);
        let (id, nodes, options) = (id.clone(), nodes.clone(), serde_json::Value::Null);
        specs.push(NodeSpec {
            id,
            listen,
            peers,
            advertised: None,
            nodes,
            data,
            bug: None,
            options,
        });
    }
    let (events, _reports) = mpsc::unbounded_channel();
    let setup = Setup {
        target: target.into(),
        specs,
        dir: &dir,
        block: Arc::clone(&block),
        homes: std::collections::BTreeMap::new(),
        program: program()?,
        stamps: false,
        needs: Vec::new(),
        events,
    };
    let cluster = Cluster::start(setup).await?;
    cluster.wait_ready(&nodes, Duration::from_secs(10)).await?;
    let addresses: Vec<_> = (0..NODES).filter_map(|i| address("clients", i)).collect();
    let recorder = Recorder::create(
        &dir.history(),
        &Header::new(None, Vec::new()),
        Clock::start(),
    )?;
    let recorder = Arc::new(recorder);
    let before = Cpu::now(&cluster, &nodes)?;
    drive(target, clients, &nodes, addresses, &recorder).await?;
    let after = Cpu::now(&cluster, &nodes)?;
    recorder.close().map_err(|e| anyhow::anyhow!(e))?;
    cluster.stop().await;
    fabric.close().await;
    report(&dir, clients, proxied, &before, &after)
}

async fn drive(
    target: &'static dyn Target,
    threads: usize,
    nodes: &[NodeId],
    addresses: Vec<std::net::SocketAddr>,
    recorder: &Arc<Recorder>,
) -> anyhow::Result<()> {
    let names = nodes.to_vec();
    let open = move |thread: usize, process: u64| {
        let (node, address) = (names[thread % NODES].clone(), addresses[thread % NODES]);
        Session::new(
            target,
            ClientSpec {
                process,
                node,
                address,
                nodes: [].into(),
                timeout: Duration::from_secs(1),
            },
        )
    };
    let mut clients = Clients::start(
        threads,
        nodes.to_vec(),
        None,
        Arc::clone(recorder),
        Arc::new(open),
        Arc::new(Holds::new(*recorder.clock())),
    );
    let (_stop, mut stopped) = watch::channel(false);
    let mut load = load(target, threads)?;
    clients.run_for(TIME, &mut *load, &mut stopped).await;
    Ok(())
}

fn load(target: &dyn Target, clients: usize) -> anyhow::Result<Box<dyn Generator>> {
    if !target.operations().contains(&Kind::Acquire) {
        return Ok(registers());
    }
    let options = serde_json::json!({
        "locks": LOCKS, "hold": "0ms", "renew_share": 0, "reenter_share": 0, "try_share": 0,
        "stranger_share": 0, "long_share": 0, "abandon_share": 0,
    });
    let setting = Setting {
        clients,
        nodes: NODES,
        available: target.operations().to_vec(),
        time_limit: 2 * TIME.as_nanos() as u64,
        rate: f64::INFINITY,
        seed: 1,
    };
    let locks = tribunal_workloads::find("lock").context("no such workload")?;
    Ok(locks.program(&options, &setting)?.main)
}

/// Half reads, half writes of unique values, on any free thread.
fn registers() -> Box<dyn Generator> {
    Box::new(FromFn::new(Seed::new(1), |_, n| {
        let key = format!("k{}", n / 2 % KEYS).into();
        let value = i64::try_from(n).unwrap_or(0).into();
        Some(if n % 2 == 0 {
            Operation::Write { key, value }
        } else {
            Operation::Read { key }
        })
    }))
}

fn links(nodes: &[NodeId], block: &Block) -> Vec<LinkSpec> {
    let ends: Vec<NodeId> = std::iter::once("clients".into())
        .chain(nodes.iter().cloned())
        .collect();
    let pairs = (0..=NODES).flat_map(|i| (1..=NODES).map(move |j| (i, j)));
    pairs
        .filter(|(i, j)| i != j)
        .map(|(i, j)| {
            let (from, to) = (ends[i].clone(), ends[j].clone());
            LinkSpec {
                from,
                to,
                listen: block.link(i, j),
                dial: block.node(j),
            }
        })
        .collect()
}

fn report(dir: &RunDir, clients: usize, proxied: bool, a: &Cpu, b: &Cpu) -> anyhow::Result<()> {
    let file = std::io::BufReader::new(std::fs::File::open(dir.history())?);
    let history = journal::read(file)?.history;
    let mut latencies: Vec<u64> = history
        .calls()
        .iter()
        .filter(|call| call.is_ok())
        .filter_map(|call| Some(call.completed?.time - call.invoked.time))
        .collect();
    latencies.sort_unstable();
    let at = |share: f64| {
        let place = (latencies.len().saturating_sub(1) as f64 * share) as usize;
        latencies.get(place).map_or(0.0, |ns| *ns as f64 / 1e6)
    };
    let name = format!(
        "{clients} clients, {}",
        if proxied { "fabric" } else { "direct" }
    );
    anstream::println!(
        "{name:<26} {:>8.0} {:>8.2} {:>8.2} {:>8.2}  {:>22.2} {:>7.2} {:>6.2}",
        latencies.len() as f64 / TIME.as_secs_f64(),
        at(0.5),
        at(0.99),
        at(1.0),
        b.scheduler - a.scheduler,
        b.fabric - a.fabric,
        b.nodes - a.nodes,
    );
    Ok(())
}

/// CPU seconds so far: of the scheduler's thread, the rest of this process, and the nodes.
struct Cpu {
    scheduler: f64,
    fabric: f64,
    nodes: f64,
}

impl Cpu {
    fn now(cluster: &Cluster, nodes: &[NodeId]) -> anyhow::Result<Self> {
        use tribunal_nemesis::Processes as _;
        let scheduler = seconds_of("/proc/thread-self/stat")?;
        let whole = seconds_of("/proc/self/stat")?;
        let mut of_nodes = 0.0;
        for node in nodes {
            let pid = cluster.pid(node).context("a node is gone")?;
            of_nodes += seconds_of(&format!("/proc/{pid}/stat"))?;
        }
        Ok(Self {
            scheduler,
            fabric: whole - scheduler,
            nodes: of_nodes,
        })
    }
}

/// User and system time of a process or thread (fields 14 and 15 of its `stat`, in ticks of 10 ms).
fn seconds_of(stat: &str) -> anyhow::Result<f64> {
    let text = std::fs::read_to_string(stat)?;
    let (_, fields) = text.rsplit_once(')').context("no command in stat")?;
    let ticks = |at: usize| fields.split_whitespace().nth(at)?.parse::<f64>().ok();
    Ok((ticks(11).context("no user time")? + ticks(12).context("no system time")?) / 100.0)
}

/// The `tribunal` binary, which is also the node.
fn program() -> anyhow::Result<PathBuf> {
    Ok(PathBuf::from(env!("CARGO_BIN_EXE_tribunal")))
}
