//! The part of a run that touches processes and sockets: set up, drive, break, settle, take down.
//!
//! Whatever goes wrong, everything set up is taken down again, and the first cause is kept.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Context as _;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tribunal_nemesis::aim::Roles;
use tribunal_nemesis::fabric::{Fabric, Kind, Listener, Nature};
use tribunal_nemesis::schedule::Cues;
use tribunal_nemesis::{Field, schedule};
use tribunal_results::journal::Header;
use tribunal_results::run::RunDir;
use tribunal_results::{Body, FaultEvent, NodeEvent, NodeId, Process};
use tribunal_targets::System;
use tribunal_workloads::generator::Generator;

use super::freeze::{self, Freezer, Frozen};
use super::load::{open_clients, program};
use super::lookout::Lookouts;
use super::phases::Phases;
use super::wiring::{addresses, carried, ends, has_one_address, homes, links, node_specs, system};
use super::{Circumstances, node_names};
use crate::clock::Clock;
use crate::cluster::{Block, Cluster, ClusterError, Lookout, Owners, Setup};
use crate::drive::Clients;
use crate::holds::Holds;
use crate::judge::Watch;
use crate::line_journal::LineJournal;
use crate::messages::Journal;
use crate::plan::Plan;
use crate::recorder::{Recorder, Totals};
use crate::seed;
use crate::standstill::Standstills;
use crate::status::Status;

/// The name of the clients' side of links.
pub(super) const CLIENTS: &str = "clients";
/// How long the final operations may take, besides the time that replicas have to agree.
const FINALE: Duration = Duration::from_secs(5);
/// How long not to ask a system that refuses everything.
const ASK_AGAIN: Duration = Duration::from_millis(100);
/// Fault events that may wait to be recorded.
const FAULT_REPORTS_WAITING_MAX: usize = 1024;
/// How long the last reports may take to be recorded.
const REPORTS_WITHIN: Duration = Duration::from_secs(3);

/// How the part of the run that touches processes ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ending {
    /// Why the harness failed, if it did.
    pub error: Option<String>,
    /// Whether the user stopped the run.
    pub interrupted: bool,
    /// What was found when the run was frozen, if it was.
    pub frozen: Option<Frozen>,
}

/// Runs a plan against real processes and records it in `dir`.
pub(super) async fn run(
    plan: &Plan,
    dir: &RunDir,
    circumstances: &Circumstances,
    status: &Status,
    phases: &mut Phases,
) -> Ending {
    let stop = circumstances.stop.clone();
    let mut stage = Stage::default();
    let played = stage.play(plan, dir, circumstances, status, phases).await;
    let frozen = stage.frozen.take();
    // From here on a stop cuts nothing off any more.
    let interrupted = *stop.borrow();
    status.phase("stopping nodes");
    let problems = phases.during("teardown", stage.strike(dir)).await;
    let mut causes: Vec<String> = played.err().map(|e| format!("{e:#}")).into_iter().collect();
    causes.extend(problems);
    let error = (!causes.is_empty()).then(|| causes.join("; "));
    if let Some(error) = &error {
        tracing::error!("{error}");
    }
    Ending {
        error,
        interrupted,
        frozen,
    }
}

/// What the main part of a run is made of, besides its plan.
struct Play<'a> {
    generator: &'a mut dyn Generator,
    reports: mpsc::Sender<FaultEvent>,
    cues: Arc<Cues>,
}

/// What is set up, to be taken down again.
#[derive(Default)]
struct Stage {
    block: Option<Arc<Block>>,
    recorder: Option<Arc<Recorder>>,
    standstills: Option<Standstills>,
    fabric: Option<Arc<Fabric>>,
    cluster: Option<Arc<Cluster>>,
    journal: Option<Arc<Journal>>,
    lines: Option<Arc<LineJournal>>,
    forwarder: Option<JoinHandle<()>>,
    watch: Option<Watch>,
    lookout: Option<Lookout>,
    frozen: Option<Frozen>,
}

impl Stage {
    async fn play(
        &mut self,
        plan: &Plan,
        dir: &RunDir,
        circumstances: &Circumstances,
        status: &Status,
        phases: &mut Phases,
    ) -> anyhow::Result<()> {
        let target = system(plan)?;
        // Before anything starts that would then only fail to start.
        (target.installed(&plan.target.options)).map_err(anyhow::Error::msg)?;
        let nodes: Vec<NodeId> = node_names(plan).iter().map(|n| n.as_str().into()).collect();
        let recorder = self.record(dir, plan)?;
        let watched = Standstills::watch(&recorder, dir);
        self.standstills = Some(watched.context("cannot watch the machine")?);
        let (node_events, node_reports) = mpsc::unbounded_channel();
        let (fault_events, fault_reports) = mpsc::channel(FAULT_REPORTS_WAITING_MAX);
        self.forward(&recorder, node_reports, fault_reports);
        status.watch(&recorder, plan);
        status.phase("starting nodes");
        let fabric = self.weave(plan, dir, circumstances, &nodes).await?;
        target.attach(Arc::clone(&fabric) as _, seed::stream(plan.seed, "target"));
        let setup = self.setup(target.clone(), plan, dir, &nodes, node_events)?;
        let mut stop = circumstances.stop.clone();
        let raised = phases.during("startup", self.raise(plan, setup, &mut stop));
        let Some(cluster) = raised.await? else {
            return Ok(());
        };
        let holds = Arc::new(Holds::new(*recorder.clock()));
        let field = open_field(&nodes, cluster, &fabric, &holds).await;
        let mut clients = open_clients(plan, target.clone(), &field, &recorder, holds)?;
        let mut program = program(plan)?;
        status.phase("running");
        status.begin(&recorder);
        if circumstances.fail_fast {
            let watch = Watch::start(dir.path());
            let watch = watch.context("cannot start the process that follows the run")?;
            status.follow(watch.followed());
            self.watch = Some(watch);
        }
        let cues = Arc::new(Cues::of(&plan.nemesis));
        let _lookouts = Lookouts::post(
            &cues,
            &recorder,
            &target,
            &field,
            dir,
            &self.listeners(&nodes),
        )?;
        let play = Play {
            generator: &mut *program.main,
            reports: fault_events,
            cues,
        };
        let workload = self.workload(plan, &field, &mut clients, play, &stop);
        phases.during("workload", workload).await?;
        if let Some(frozen) = &self.frozen {
            status.phase("frozen");
            let inspected = freeze::inspect(frozen, &mut stop);
            phases.during("frozen", inspected).await;
            return Ok(());
        }
        status.phase("settling");
        phases
            .during("settle", self.settle(plan, &field, &mut stop))
            .await?;
        let finale = self.finale(plan, &mut clients, program.finale, &mut stop);
        phases.during("finale", finale).await
    }

    fn record(&mut self, dir: &RunDir, plan: &Plan) -> anyhow::Result<Arc<Recorder>> {
        let origin = jiff::Timestamp::now()
            .strftime("%Y-%m-%dT%H:%M:%S%.6fZ")
            .to_string();
        let mut header = Header::new(Some(origin), node_names(plan));
        header.assume = plan.assume();
        let recorder = Recorder::create(&dir.history(), &header, Clock::start())
            .map_err(|e| anyhow::anyhow!("cannot begin the history: {e}"))?;
        let recorder = Arc::new(recorder);
        self.recorder = Some(Arc::clone(&recorder));
        Ok(recorder)
    }

    /// Opens a proxy for every link between addresses of this run alone, or a switch.
    async fn weave(
        &mut self,
        plan: &Plan,
        dir: &RunDir,
        circumstances: &Circumstances,
        nodes: &[NodeId],
    ) -> anyhow::Result<Arc<Fabric>> {
        let block = Arc::new(Block::reserve(None).context("cannot reserve loopback addresses")?);
        let seed = seed::stream(plan.seed, "links");
        let one_address = has_one_address(plan);
        let nature = Nature {
            owners: one_address.then(|| Arc::new(Owners::of(&block, CLIENTS.into())) as _),
            base: plan
                .topology
                .rules(nodes, carried(plan).unwrap_or_default()),
            listener: self.listen(plan, dir, nodes)?,
            // Reference nodes speak the wire protocol, and so do their clients.
            is_framed: plan
                .parts
                .target(&plan.target.target)
                .is_some_and(|target| target.reference().is_some()),
        };
        let carried = carried(plan);
        let fabric = match plan.fabric {
            _ if carried.is_some() => {
                let addresses = addresses(nodes, &block);
                Fabric::open_lines(nature, &ends(nodes, carried), &addresses, seed)
            }
            Kind::Proxy => {
                let opening = Fabric::open_as(nature, links(nodes, &block, one_address), seed);
                circumstances.fabric.spawn(opening).await?
            }
            Kind::Switch => {
                let private = circumstances.private.clone().map_err(anyhow::Error::msg)?;
                Fabric::open_switch(private, &nature, nodes, &CLIENTS.into(), seed)
            }
        };
        let fabric = fabric.context("cannot open the network fabric")?;
        self.block = Some(block);
        self.fabric = Some(Arc::clone(&fabric));
        Ok(fabric)
    }

    /// Begins to follow messages, if a journal of them is asked for.
    fn listen(
        &mut self,
        plan: &Plan,
        dir: &RunDir,
        nodes: &[NodeId],
    ) -> anyhow::Result<Option<Listener>> {
        let Some(recorder) = self.recorder.as_ref().filter(|_| plan.messages) else {
            return Ok(None);
        };
        if let Some(services) = carried(plan) {
            let ends = ends(nodes, Some(services));
            let journal = LineJournal::create(&dir.messages(), &ends, *recorder.clock());
            let journal = Arc::new(journal.context("cannot begin the message journal")?);
            self.lines = Some(Arc::clone(&journal));
            return Ok(Some(Listener {
                tap: journal,
                nodes: ends,
            }));
        }
        let journal = Arc::new(Journal::new(nodes, *recorder.clock()));
        self.journal = Some(Arc::clone(&journal));
        Ok(Some(Listener {
            tap: journal,
            nodes: nodes.to_vec(),
        }))
    }

    /// Where each node listens.
    fn listeners(&self, nodes: &[NodeId]) -> Vec<(NodeId, SocketAddr)> {
        let cluster = self.cluster.as_ref();
        let address = |node: &NodeId| Some((node.clone(), cluster?.address(node)?));
        nodes.iter().filter_map(address).collect()
    }

    fn setup<'a>(
        &self,
        target: System,
        plan: &Plan,
        dir: &'a RunDir,
        nodes: &[NodeId],
        events: mpsc::UnboundedSender<NodeEvent>,
    ) -> anyhow::Result<Setup<'a>> {
        let (Some(block), Some(fabric)) = (&self.block, &self.fabric) else {
            anyhow::bail!("there is no fabric");
        };
        let specs = node_specs(plan, dir, nodes, block, fabric, has_one_address(plan))?;
        let program = plan.parts.program()?;
        Ok(Setup {
            target,
            specs,
            dir,
            block: Arc::clone(block),
            homes: homes(nodes, fabric),
            program,
            stamps: plan.messages,
            needs: plan.nemesis.needs(),
            events,
        })
    }

    /// Starts the nodes and waits until they are ready; `None` if the user stops that.
    async fn raise(
        &mut self,
        plan: &Plan,
        setup: Setup<'_>,
        stop: &mut watch::Receiver<bool>,
    ) -> anyhow::Result<Option<Arc<Cluster>>> {
        let cluster = Cluster::start(setup).await?;
        self.cluster = Some(Arc::clone(&cluster));
        self.lookout = Some(Lookout::start(&cluster));
        let ready = self.ready(&cluster, cluster.ids(), plan.ready.0);
        match unless_stopped(stop, ready).await {
            Some(ready) => ready?,
            None => return Ok(None),
        }
        Ok(Some(cluster))
    }

    /// Records what the nodes and the nemesis report, until they have nothing more to report.
    fn forward(
        &mut self,
        recorder: &Arc<Recorder>,
        mut nodes: mpsc::UnboundedReceiver<NodeEvent>,
        mut faults: mpsc::Receiver<FaultEvent>,
    ) {
        let recorder = Arc::clone(recorder);
        self.forwarder = Some(tokio::spawn(async move {
            loop {
                let body = tokio::select! {
                    Some(event) = nodes.recv() => Body::Node(event),
                    Some(event) = faults.recv() => Body::Fault(event),
                    else => return,
                };
                recorder.record(Process::Nemesis, None, body);
            }
        }));
    }

    /// Drives clients while the nemesis breaks and mends, until the plan's time is over.
    async fn workload(
        &mut self,
        plan: &Plan,
        field: &Field,
        clients: &mut Clients,
        play: Play<'_>,
        stop: &watch::Receiver<bool>,
    ) -> anyhow::Result<()> {
        let Play {
            generator,
            reports,
            cues,
        } = play;
        let (enough, finished) = watch::channel(false);
        let (nemesis, on) = (plan.nemesis.clone(), field.clone());
        let seed = seed::stream(plan.seed, "nemesis");
        let nemesis = tokio::spawn(async move {
            schedule::conduct(&nemesis, &on, seed, &reports, cues, finished).await;
        });
        let freezer = self.watch.take().map(|watch| {
            Freezer::start(watch, field.clone(), nemesis.abort_handle(), stop.clone())
        });
        let mut halted = freezer
            .as_ref()
            .map_or_else(|| stop.clone(), Freezer::halted);
        clients.run_for(plan.time.0, generator, &mut halted).await;
        drop(halted);
        if let Some(freezer) = freezer {
            self.frozen = freezer.end().await;
        }
        enough.send_replace(true);
        match nemesis.await {
            Err(e) if e.is_cancelled() && self.frozen.is_some() => Ok(()),
            ended => ended.context("the nemesis failed"),
        }
    }

    /// Heals everything and waits until every node is ready again: the liveness check. A stop
    /// ends the wait, and then it says nothing.
    ///
    /// A node that died or does not become ready is theirs, and recorded; one that cannot be
    /// started or asked is ours, and an error.
    async fn settle(
        &self,
        plan: &Plan,
        field: &Field,
        stop: &mut watch::Receiver<bool>,
    ) -> anyhow::Result<()> {
        let mut problems = schedule::heal_all(field).await;
        for problem in &problems {
            tracing::warn!("while healing: {problem}");
        }
        let Some(cluster) = &self.cluster else {
            return Ok(());
        };
        let ready = self.ready(cluster, &field.nodes, plan.recovery.0);
        let Some(Err(e)) = unless_stopped(stop, ready).await else {
            return Ok(());
        };
        tracing::warn!("after healing: {e}");
        match e {
            ClusterError::NotReady { nodes, .. } => nodes
                .iter()
                .for_each(|unready| cluster.mark_unresponsive(&unready.node)),
            ClusterError::Died { .. } => {}
            ours => {
                problems.push("after healing".into());
                return Err(anyhow::Error::new(ours).context(problems.join("; ")));
            }
        }
        Ok(())
    }

    /// Waits until the nodes are ready, for so long as they may take.
    async fn ready(
        &self,
        cluster: &Cluster,
        nodes: &[NodeId],
        within: Duration,
    ) -> Result<(), ClusterError> {
        let Some(standstills) = &self.standstills else {
            return cluster.wait_ready(nodes, within).await;
        };
        let (since, mut left) = (standstills.now(), within);
        loop {
            let ended = cluster.wait_ready(nodes, left).await;
            left = standstills.left(since, within);
            if left.is_zero() || !matches!(ended, Err(ClusterError::NotReady { .. })) {
                return ended;
            }
        }
    }

    /// The final operations. If none of them is acknowledged, they are asked again and again, for as
    /// long as the system may take to serve: only then its silence says something.
    async fn finale(
        &self,
        plan: &Plan,
        clients: &mut Clients,
        mut finale: Box<dyn Generator>,
        stop: &mut watch::Receiver<bool>,
    ) -> anyhow::Result<()> {
        let (Some(recorder), Some(standstills)) = (&self.recorder, &self.standstills) else {
            return Ok(());
        };
        let since = standstills.now();
        let ended = || {
            let Totals { ok, fail, info, .. } = recorder.totals();
            let ended = [ok, fail, info].map(|total| total.load(Ordering::Relaxed));
            (ended[0], ended.iter().sum::<u64>())
        };
        let (ok, all) = ended();
        // Replicas may be left alone before they are read.
        let within = FINALE + Duration::from_millis(plan.assume().settle_ms);
        loop {
            clients.run_for(within, &mut *finale, stop).await;
            let (now_ok, now_all) = ended();
            let is_asked_enough = now_ok > ok || now_all == all;
            let is_time_over = standstills.left(since, plan.recovery.0).is_zero();
            if is_asked_enough || *stop.borrow() || is_time_over {
                return Ok(());
            }
            let pause = tokio::time::sleep(ASK_AGAIN);
            unless_stopped(stop, pause).await;
            finale = program(plan)?.finale;
        }
    }

    /// Takes everything down; returns what went wrong, in words.
    async fn strike(mut self, dir: &RunDir) -> Vec<String> {
        let mut problems = Vec::new();
        drop(self.standstills.take());
        if let Some(lookout) = self.lookout.take() {
            problems.extend(lookout.end().await);
        }
        if let Some(cluster) = self.cluster.take() {
            problems.extend(cluster.stop().await);
        }
        if let Some(fabric) = self.fabric.take() {
            fabric.close().await;
        }
        if let Some(Err(e)) = self.journal.take().map(|journal| journal.write(dir)) {
            problems.push(format!("cannot write the message journal: {e}"));
        }
        if let Some(Err(e)) = self.lines.take().map(|journal| journal.finish()) {
            problems.push(format!("cannot write the message journal: {e}"));
        }
        if let Some(forwarder) = self.forwarder.take() {
            match tokio::time::timeout(REPORTS_WITHIN, forwarder).await {
                Ok(Ok(())) => {}
                Ok(Err(e)) => problems.push(format!("cannot record events: {e}")),
                Err(_) => problems.push("the nodes' and faults' reports do not end".into()),
            }
        }
        if let Some(Err(error)) = self.recorder.take().map(|recorder| recorder.close()) {
            problems.push(error);
        }
        problems
    }
}

/// What `work` comes to, or `None` if the user stops the run before.
async fn unless_stopped<T>(
    stop: &mut watch::Receiver<bool>,
    work: impl Future<Output = T>,
) -> Option<T> {
    tokio::select! {
        biased;
        // If the sender is gone, nobody can stop the run any more.
        Ok(_) = stop.wait_for(|stopped| *stopped) => None,
        done = work => Some(done),
    }
}

/// What faults work on, with the members that the system has now.
async fn open_field(
    nodes: &[NodeId],
    processes: Arc<Cluster>,
    fabric: &Arc<Fabric>,
    holds: &Arc<Holds>,
) -> Field {
    let field = Field {
        nodes: nodes.to_vec(),
        processes,
        fabric: Arc::clone(fabric),
        clients: Arc::<Holds>::clone(holds),
        roles: Roles::default(),
        members: None,
    };
    let seen = field.look().await;
    Field {
        members: seen.roles.members.clone(),
        ..seen
    }
}
