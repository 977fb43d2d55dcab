//! How fast the recording loop is: clients that do nothing, in process.
//!
//! `cargo bench --bench recording`. Prints completed operations a second and a CPU-second, and
//! peak memory: of the loop with its journal on disk, and, as the peer in the same run, of only
//! turning the same events into JSON, which nothing that writes this format can undercut.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value as Json;
use tokio::sync::watch;
use tribunal::clock::Clock;
use tribunal::drive::Clients;
use tribunal::holds::Holds;
use tribunal::recorder::Recorder;
use tribunal_results::journal::{Header, JournalWriter};
use tribunal_results::options::OptionError;
use tribunal_results::{Answer, Body, Event, Kind, Operation, Outcome, Process, Reason};
use tribunal_targets::client::Session;
use tribunal_targets::{
    Client, ClientSpec, Launch, NodeSpec, Pending, PlantedBug, Status, System, Target,
};
use tribunal_workloads::{Completion, Generator, Offer, Proposal, View};

const CLIENTS: usize = 10;
const OPERATIONS: u64 = 500_000;

/// A target whose clients answer at once.
struct Nothing;

impl Client for Nothing {
    fn invoke<'a>(&'a mut self, _: &'a Operation) -> Pending<'a, Outcome> {
        Box::pin(async { Outcome::Ok(Answer::Done) })
    }
}

impl Target for Nothing {
    fn name(&self) -> &'static str {
        "nothing"
    }
    fn about(&self) -> &'static str {
        "answers at once"
    }
    fn claims(&self) -> &'static str {
        "nothing"
    }
    fn operations(&self) -> &'static [Kind] {
        &Kind::ALL
    }
    fn bugs(&self) -> &'static [PlantedBug] {
        &[]
    }
    fn check_options(&self, _: &Json) -> Result<(), OptionError> {
        Ok(())
    }
    fn launch(&self, _: &NodeSpec) -> Launch {
        Launch::default()
    }
    fn status(&self, _: SocketAddr) -> Pending<'_, std::io::Result<Status>> {
        Box::pin(async { Ok(Status::default()) })
    }
    fn open<'a>(&'a self, _: &'a ClientSpec) -> Pending<'a, Result<Box<dyn Client>, Reason>> {
        Box::pin(async { Ok(Box::new(Nothing) as Box<dyn Client>) })
    }
}

/// Writes, as fast as threads are free.
struct Flood {
    left: u64,
}

fn write(n: u64) -> Operation {
    Operation::Write {
        key: "k1".into(),
        value: i64::try_from(n).unwrap_or(0).into(),
    }
}

impl Generator for Flood {
    fn offer(&self, view: &View<'_>) -> Offer {
        if self.left == 0 {
            return Offer::Exhausted;
        }
        view.free().next().map_or(Offer::Pending, |thread| {
            let operation = write(self.left);
            Offer::Invoke(Proposal {
                thread,
                at: view.time,
                operation,
                route: Default::default(),
            })
        })
    }
    fn taken(&mut self, _: &View<'_>, _: &Proposal, _: &[u32]) {
        self.left -= 1;
    }
    fn completed(&mut self, _: &View<'_>, _: &Completion<'_>, _: &[u32]) {}
}

static NOTHING: Nothing = Nothing;

fn main() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let (looped, loop_cpu) = measured(|| record(&folder.path().join("history.jsonl")))?;
    let (peer, peer_cpu) = measured(|| only_json(&folder.path().join("peer.jsonl")))?;
    anstream::println!("{:<28} {:>12} {:>16}", "", "ops/s", "ops/CPU-second");
    for (name, wall, cpu) in [
        ("recording loop", looped, loop_cpu),
        ("events to JSON, to disk", peer, peer_cpu),
    ] {
        anstream::println!("{name:<28} {:>12.0} {:>16.0}", rate(wall), rate(cpu));
    }
    anstream::println!("peak memory {} MiB", peak_mib());
    Ok(())
}

/// The loop as a run has it: one thread, a journal on disk.
fn record(path: &std::path::Path) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let recorder = Recorder::create(path, &Header::new(None, Vec::new()), Clock::start())?;
        let recorder = Arc::new(recorder);
        let address = SocketAddr::from(([127, 0, 0, 1], 1));
        let open = move |_: usize, process: u64| {
            let spec = ClientSpec {
                process,
                node: "n1".into(),
                address,
                nodes: [].into(),
                timeout: Duration::from_secs(1),
            };
            Session::new(System::Registered(&NOTHING), spec)
        };
        let nodes = vec!["n1".into()];
        let holds = Arc::new(Holds::new(*recorder.clock()));
        let open = Arc::new(open);
        let mut clients = Clients::start(CLIENTS, nodes, None, Arc::clone(&recorder), open, holds);
        let (_stop, mut stopped) = watch::channel(false);
        clients
            .run_for(Duration::MAX, &mut Flood { left: OPERATIONS }, &mut stopped)
            .await;
        recorder.close().map_err(|e| anyhow::anyhow!(e))
    })
}

/// What cannot be spared: the same events as JSON, in a file.
fn only_json(path: &std::path::Path) -> anyhow::Result<()> {
    use std::io::Write as _;
    let mut file = std::fs::File::create(path)?;
    let mut journal = JournalWriter::new(&Header::new(None, Vec::new()))?;
    for n in 0..OPERATIONS {
        for body in [
            Body::Invoke(write(n)),
            Body::Complete(write(n), Outcome::Ok(Answer::Done)),
        ] {
            let index = journal.next_index();
            let process = Process::Client(n % 10);
            journal.append(&Event {
                index,
                time: index * 1_000,
                process,
                node: Some("n1".into()),
                body,
            })?;
        }
        if journal.pending_bytes() > 1 << 20 {
            file.write_all(&journal.take())?;
        }
    }
    file.write_all(&journal.take())?;
    Ok(file.sync_all()?)
}

/// Wall and CPU seconds of some work.
fn measured(work: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<(f64, f64)> {
    let (clock, before) = (Clock::start(), cpu_seconds()?);
    work()?;
    Ok((clock.now() as f64 / 1e9, cpu_seconds()? - before))
}

fn cpu_seconds() -> anyhow::Result<f64> {
    use nix::sys::resource::{UsageWho, getrusage};
    use nix::sys::time::TimeValLike as _;
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    let us = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Ok(us as f64 / 1e6)
}

fn rate(seconds: f64) -> f64 {
    OPERATIONS as f64 / seconds.max(1e-9)
}

fn peak_mib() -> i64 {
    use nix::sys::resource::{UsageWho, getrusage};
    getrusage(UsageWho::RUSAGE_SELF).map_or(0, |usage| usage.max_rss() / 1024)
}
