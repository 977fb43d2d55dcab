//! Clocks and disks of real processes, broken and mended, seen from outside.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "everything here is a test"
)]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};
use serde_json::{Value as Json, json};
use tokio::sync::mpsc::unbounded_channel;
use tokio::time::{sleep, timeout};
use tribunal::clock::Clock;
use tribunal::cluster::{Block, Cluster, Setup, can_break_disks};
use tribunal::holds::Holds;
use tribunal_nemesis::aim::Roles;
use tribunal_nemesis::fabric::Fabric;
use tribunal_nemesis::{Fault, Field, Healed, Injected, Injection, Need, Processes, chance, find};
use tribunal_results::options::OptionError;
use tribunal_results::run::RunDir;
use tribunal_results::{Kind, NodeState, Reason};
use tribunal_targets::{
    Client, ClientSpec, Launch, NodeSpec, Pending, PlantedBug, Status, System, Target,
};

const TRIBUNAL: &str = env!("CARGO_BIN_EXE_tribunal");
const SOON: Duration = Duration::from_secs(20);

/// A node is a shell script, ready at once, that may write to `$OUT` outside of its directory.
struct Script(PathBuf);

impl Target for Script {
    fn name(&self) -> &'static str {
        "script"
    }
    fn about(&self) -> &'static str {
        "a shell script"
    }
    fn claims(&self) -> &'static str {
        "nothing"
    }
    fn operations(&self) -> &'static [Kind] {
        &[]
    }
    fn bugs(&self) -> &'static [PlantedBug] {
        &[]
    }
    fn check_options(&self, _: &Json) -> Result<(), OptionError> {
        Ok(())
    }
    fn launch(&self, spec: &NodeSpec) -> Launch {
        Launch {
            program: Some("sh".into()),
            args: vec!["-c".into(), spec.options.as_str().unwrap().into()],
            env: vec![("OUT".into(), self.0.display().to_string())],
            ..Launch::default()
        }
    }
    fn status(&self, _: SocketAddr) -> Pending<'_, std::io::Result<Status>> {
        Box::pin(async {
            let ready = true;
            Ok(Status {
                ready,
                ..Status::default()
            })
        })
    }
    fn open<'a>(&'a self, _: &'a ClientSpec) -> Pending<'a, Result<Box<dyn Client>, Reason>> {
        Box::pin(async { Err(Reason::new("none", "scripts have no clients")) })
    }
}

/// One node that runs, and what faults may do to it.
struct Ground {
    dir: tempfile::TempDir,
    listen: SocketAddr,
    cluster: Arc<Cluster>,
    field: Field,
}

impl Ground {
    async fn start(script: &str, needs: &[Need]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let target = Box::leak(Box::new(Script(dir.path().to_owned())));
        Self::with(dir, target, json!(script), needs).await
    }

    async fn with(
        dir: tempfile::TempDir,
        target: &'static dyn Target,
        options: Json,
        needs: &[Need],
    ) -> Self {
        let block = Arc::new(Block::reserve(None).unwrap());
        let listen = block.node(1);
        let run = RunDir::at(dir.path());
        let spec = NodeSpec {
            id: "n1".into(),
            listen,
            peers: Vec::new(),
            advertised: None,
            nodes: vec!["n1".into()],
            data: run.node("n1").join("data"),
            bug: None,
            options,
        };
        let cluster = Cluster::start(Setup {
            target: System::Registered(target),
            specs: vec![spec],
            dir: &run,
            block,
            program: TRIBUNAL.into(),
            stamps: false,
            needs: needs.to_vec(),
            homes: BTreeMap::new(),
            events: unbounded_channel().0,
        })
        .await
        .unwrap();
        let field = Field {
            nodes: vec!["n1".into()],
            processes: cluster.clone(),
            fabric: Fabric::open(Vec::new(), 1).await.unwrap(),
            clients: Arc::new(Holds::new(Clock::start())),
            roles: Roles::default(),
            members: None,
        };
        Self {
            dir,
            listen,
            cluster,
            field,
        }
    }

    fn data(&self, file: &str) -> PathBuf {
        self.cluster.data("n1").unwrap().join(file)
    }

    async fn until(&self, what: &str, done: impl Fn() -> bool) {
        let look = async {
            while !done() {
                sleep(Duration::from_millis(5)).await;
            }
        };
        let seen = timeout(SOON, look).await;
        seen.unwrap_or_else(|_| panic!("not within {SOON:?}: {what}"));
    }

    /// Waits until the script has made a file outside of its directory.
    async fn until_made(&self, file: &str) {
        let path = self.dir.path().join(file);
        self.until(file, || path.exists()).await;
    }

    async fn inject(&self, name: &str, options: Json) -> (Broken<'_>, Injected) {
        let fault = find(name).unwrap();
        fault.check_options(&options).unwrap();
        let injection = fault
            .resolve(&options, &self.field, &mut chance::stream(1, &[]))
            .unwrap();
        let injected = fault.inject(&injection, &self.field).await;
        let ground = self;
        (
            Broken {
                ground,
                fault,
                injection,
            },
            injected,
        )
    }

    async fn stop(self) {
        assert_eq!(self.cluster.stop().await, [""; 0]);
    }
}

struct Broken<'a> {
    ground: &'a Ground,
    fault: &'static dyn Fault,
    injection: Injection,
}

impl Broken<'_> {
    async fn heal(&self) -> Healed {
        self.fault.heal(&self.injection, &self.ground.field).await
    }
}

fn installed(injected: &Injected) -> &Json {
    match injected {
        Injected::Installed(proof) => proof,
        Injected::Skipped(why) => panic!("skipped: {why}"),
    }
}

/// Seconds that a reference node's clock is ahead of this process's, as it says itself.
fn ahead(listen: SocketAddr) -> Option<i64> {
    let mut stream = TcpStream::connect(listen).ok()?;
    writeln!(
        stream,
        r#"{{"src":"t","dest":"n1","body":{{"type":"status","msg_id":1}}}}"#
    )
    .ok()?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).ok()?;
    let answer: Json = serde_json::from_str(&line).ok()?;
    let theirs = answer["body"]["wall_ns"].as_i64()? / 1_000_000_000;
    Some(theirs - clock_gettime(ClockId::CLOCK_REALTIME).unwrap().tv_sec())
}

fn near(found: Option<i64>, wanted: i64) -> bool {
    found.is_some_and(|found| (found - wanted).abs() <= 5)
}

#[tokio::test]
async fn a_nodes_clock_is_wrong_for_it_alone_even_after_a_restart_until_it_is_cured() {
    let target = tribunal_targets::find("eventual-kv").unwrap();
    let dir = tempfile::tempdir().unwrap();
    let ground = Ground::with(dir, target, Json::Null, &[Need::Clocks]).await;
    let listen = ground.listen;
    ground.until("right", || near(ahead(listen), 0)).await;
    let (fault, injected) = ground.inject("clock-jump", json!({ "by": "-2h" })).await;
    assert_eq!(
        installed(&injected)["n1"]["skew"]["offset_ns"],
        -7_200_000_000_000_i64
    );
    assert!(near(ahead(listen), -7200), "{:?}", ahead(listen));
    ground.cluster.kill("n1").await.unwrap();
    ground.cluster.start("n1").await.unwrap();
    ground
        .until("wrong again", || near(ahead(listen), -7200))
        .await;
    for _ in 0..2 {
        let healed = fault.heal().await;
        assert!(healed.bit, "{}", healed.proof);
        assert_eq!(
            healed.proof["n1"]["last_moved_by_ns"],
            -7_200_000_000_000_i64
        );
        assert!(near(ahead(listen), 0));
    }
    ground.cluster.kill("n1").await.unwrap();
    ground.cluster.start("n1").await.unwrap();
    ground
        .until("right after a restart", || near(ahead(listen), 0))
        .await;
    ground.stop().await;
}

#[tokio::test]
async fn a_clock_that_nobody_reads_through_was_not_broken() {
    // What `date` reads is its own: every exec has a clock of its own.
    let ground = Ground::start("while date; do sleep 0.01; done", &[Need::Clocks]).await;
    let (fault, injected) = ground.inject("clock-jump", json!({ "by": "2h" })).await;
    installed(&injected);
    sleep(Duration::from_millis(100)).await;
    let healed = fault.heal().await;
    assert!(!healed.bit, "{}", healed.proof);
    ground.stop().await;
}

#[tokio::test]
async fn faults_of_what_was_not_laid_are_skipped() {
    let ground = Ground::start("exec sleep 1000", &[]).await;
    for name in [
        "clock-jump",
        "clock-drift",
        "clock-strobe",
        "disk-full",
        "disk-error",
    ] {
        let (fault, injected) = ground.inject(name, Json::Null).await;
        assert!(matches!(&injected, Injected::Skipped(why) if why.contains("was started with")));
        assert!(!fault.heal().await.bit);
    }
    let (_, injected) = ground.inject("lose-unsynced", Json::Null).await;
    assert!(matches!(injected, Injected::Skipped(_)));
    assert_eq!(
        ground.cluster.state("n1"),
        NodeState::Ready,
        "it was not killed"
    );
    // An empty file is none, and the script has no other.
    let (fault, injected) = ground.inject("bit-flip", json!({ "down": false })).await;
    assert!(matches!(&injected, Injected::Skipped(why) if why.contains("no file")));
    fault.heal().await;
    ground.stop().await;
}

fn mounts(process: &str) -> usize {
    let mounts = std::fs::read_to_string(format!("/proc/{process}/mountinfo")).unwrap();
    mounts
        .lines()
        .filter(|line| line.contains("fuse.tribunal"))
        .count()
}

/// Whether this machine has what faults of disks need; says so if not.
async fn can_break() -> bool {
    let can = can_break_disks(Path::new(TRIBUNAL)).await;
    if let Err(why) = &can {
        eprintln!("not tested: {why}");
    }
    can.is_ok()
}

#[tokio::test]
async fn what_a_program_did_not_sync_is_gone_when_the_power_fails_and_only_then() {
    if !can_break().await {
        return;
    }
    let script = "echo kept > a; mkdir d; echo moved > d/b; sync a d/b; echo lost >> a; mv d e
        echo new > c; cat a e/b c > $OUT/seen.part; mv $OUT/seen.part $OUT/seen; exec sleep 1000";
    let ground = Ground::start(script, &[Need::Disk]).await;
    ground.until_made("seen").await;
    let seen = std::fs::read_to_string(ground.dir.path().join("seen")).unwrap();
    assert_eq!(seen, "kept\nlost\nmoved\nnew\n");
    let pid = ground.cluster.pid("n1").unwrap().to_string();
    assert_eq!(
        (mounts(&pid), mounts("self")),
        (1, 0),
        "nobody else sees the layer"
    );
    assert_eq!(
        std::fs::read_to_string(ground.data("a")).unwrap(),
        "kept\nlost\n"
    );

    let (fault, injected) = ground.inject("lose-unsynced", Json::Null).await;
    let lost = &installed(&injected)["n1"]["lost"];
    assert_eq!(
        (&lost["a"]["length_before"], &lost["a"]["length"]),
        (&json!(10), &json!(5))
    );
    let left = ["a", "e/b", "c"].map(|file| std::fs::read_to_string(ground.data(file)).unwrap());
    assert_eq!(left, ["kept\n", "moved\n", ""]);
    assert_eq!(ground.cluster.state("n1"), NodeState::Killed);
    assert!(fault.heal().await.bit);
    assert_ne!(ground.cluster.pid("n1").unwrap().to_string(), pid);
    ground.stop().await;
}

#[tokio::test]
async fn a_disk_that_is_full_or_fails_or_is_slow_is_as_before_when_it_is_mended() {
    if !can_break().await {
        return;
    }
    // What `cat` says names the error; what a shell says itself need not.
    let script = "echo x > $OUT/line; while :; do
            cat $OUT/line >> log 2>> $OUT/errors && sync log 2>> $OUT/errors && echo x >> $OUT/done
        done";
    let ground = Ground::start(script, &[Need::Disk]).await;
    let out = ground.dir.path().to_owned();
    let length = |file: &str| out.join(file).metadata().map_or(0, |it| it.len());
    let faults = [
        ("disk-full", "No space left"),
        ("disk-error", "Input/output error"),
        ("slow-fsync", ""),
    ];
    for (name, error) in faults {
        let before = length("done");
        ground.until("works", || length("done") > before).await;
        let (fault, injected) = ground.inject(name, Json::Null).await;
        let proof = installed(&injected);
        assert!(
            proof["n1"]["tier"].as_str().unwrap().contains("FUSE"),
            "{proof}"
        );
        if error.is_empty() {
            // Each takes 50 ms at least.
            let (before, wait) = (length("done"), Duration::from_millis(600));
            sleep(wait).await;
            assert!((length("done") - before) / 2 <= 12);
        } else {
            let told = || std::fs::read_to_string(out.join("errors")).unwrap_or_default();
            ground.until(name, || told().contains(error)).await;
            let before = length("done");
            sleep(Duration::from_millis(50)).await;
            assert!(
                length("done") <= before + 2,
                "{name} lets something through"
            );
        }
        let healed = fault.heal().await;
        assert!(healed.bit, "{}", healed.proof);
        let before = length("done");
        ground
            .until("works again", || length("done") > before)
            .await;
    }
    ground.stop().await;
}

#[tokio::test]
async fn a_node_that_stops_when_its_log_cannot_be_written_was_ended_by_the_fault() {
    if !can_break().await {
        return;
    }
    // It writes to its log when it starts.
    let target = tribunal_targets::find("eventual-kv").unwrap();
    let dir = tempfile::tempdir().unwrap();
    let ground = Ground::with(dir, target, Json::Null, &[Need::Disk]).await;
    let up = || near(ahead(ground.listen), 0);
    ground.until("up", up).await;
    let (fault, _) = ground.inject("disk-full", Json::Null).await;
    ground.cluster.kill("n1").await.unwrap();
    ground.cluster.start("n1").await.unwrap();
    let state = || ground.cluster.state("n1");
    ground
        .until("stopped", || state() == NodeState::Killed)
        .await;
    let log = ground.dir.path().join("nodes/n1/stderr");
    let log = std::fs::read_to_string(&log).unwrap_or_else(|e| panic!("{}: {e}", log.display()));
    assert!(log.contains("No space left"), "{log}");
    assert!(fault.heal().await.bit);
    ground.until("up again", up).await;
    ground.stop().await;
}

#[tokio::test]
async fn a_flipped_bit_stays_flipped_in_the_file_that_was_named() {
    let script = "printf 0123456789 > a.log; printf 0123456789 > b; > $OUT/ready; exec sleep 1000";
    let ground = Ground::start(script, &[]).await;
    ground.until_made("ready").await;
    let options = json!({ "files": ["*.log"], "down": false });
    let (fault, injected) = ground.inject("bit-flip", options).await;
    let proof = &installed(&injected)["n1"];
    let (bytes, at) = (
        std::fs::read(ground.data("a.log")).unwrap(),
        proof["offset"].as_u64(),
    );
    let differing = bytes.iter().zip(b"0123456789").filter(|(a, b)| a != b);
    assert_eq!(differing.count(), 1);
    assert_eq!(json!(bytes[at.unwrap() as usize]), proof["after"]);
    assert_eq!(std::fs::read(ground.data("b")).unwrap(), b"0123456789");
    let pid = ground.cluster.pid("n1");
    assert!(fault.heal().await.bit && ground.cluster.pid("n1") == pid);
    ground.stop().await;
}
