//! Clusters of real processes: shell scripts as nodes, and this test binary in other roles.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "everything here is a test"
)]

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use NodeState::{Died, Killed, Paused, Ready, Starting, Stopped};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value as Json, json};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::{sleep, timeout};
use tribunal::cluster::{Block, Cluster, ClusterError, Layout, Owners, Setup};
use tribunal_nemesis::Processes;
use tribunal_nemesis::fabric::{Fabric, LinkSpec, Nature, Rule};
use tribunal_results::options::OptionError;
use tribunal_results::run::RunDir;
use tribunal_results::{Kind, NodeEvent, NodeState, Reason};
use tribunal_targets::Router as _;
use tribunal_targets::{
    Client, ClientSpec, Launch, NodeSpec, Pending, PlantedBug, Status, System, Target,
};

const TRIBUNAL: &str = env!("CARGO_BIN_EXE_tribunal");
const SOON: Duration = Duration::from_secs(20);

/// Ready at once, then idle, with a child in the same process group.
const IDLE: &str = r#"sleep 1000 & echo ready > "$READY"; wait"#;
/// Ready when a process is there that has left group, session and parent.
const ESCAPING: &str = r#"(setsid sh -c 'echo $$ > escaped.part; mv escaped.part escaped
    exec sleep 1000' &) & while ! test -e escaped; do sleep 0.01; done
    echo ready > "$READY"; exec sleep 1000"#;
/// A node whose child really listens; see `plays_a_node_that_listens`.
const LISTENING: &str =
    r#"rm -f "$READY"; "$SELF" --exact plays_a_node_that_listens --ignored & wait"#;

/// Nodes are shell scripts, given as options; one is as ready as the file `$READY` says.
struct Scripts {
    dir: PathBuf,
}

impl Scripts {
    fn ready_file(&self, address: SocketAddr) -> PathBuf {
        self.dir.join(format!("ready-{address}"))
    }
}

impl Target for Scripts {
    fn name(&self) -> &'static str {
        "scripts"
    }
    fn about(&self) -> &'static str {
        "shell scripts"
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
        let program = spec.options["program"].as_str().unwrap_or("sh");
        let script = spec.options["script"].as_str().unwrap_or_default();
        let this = std::env::current_exe().unwrap();
        let ready = self.ready_file(spec.listen);
        Launch {
            program: Some(program.into()),
            args: vec!["-c".into(), script.into()],
            env: vec![
                ("READY".into(), ready.display().to_string()),
                ("LISTEN".into(), spec.listen.to_string()),
                ("SELF".into(), this.display().to_string()),
            ],
            ..Launch::default()
        }
    }

    fn status(&self, address: SocketAddr) -> Pending<'_, std::io::Result<Status>> {
        Box::pin(async move {
            let detail = std::fs::read_to_string(self.ready_file(address))?;
            Ok(Status {
                ready: detail == "ready\n",
                detail,
                ..Status::default()
            })
        })
    }

    fn open<'a>(&'a self, _: &'a ClientSpec) -> Pending<'a, Result<Box<dyn Client>, Reason>> {
        Box::pin(async { Err(Reason::new("none", "scripts have no clients")) })
    }
}

type Events = UnboundedReceiver<NodeEvent>;

/// A place for one cluster.
struct Ground {
    dir: PathBuf,
    block: Arc<Block>,
    target: &'static Scripts,
}

impl Ground {
    fn new(dir: &Path) -> Self {
        let dir = dir.to_owned();
        Self {
            block: Arc::new(Block::reserve(None).unwrap()),
            target: Box::leak(Box::new(Scripts { dir: dir.clone() })),
            dir,
        }
    }

    fn data(&self, node: &str) -> PathBuf {
        self.dir.join("nodes").join(node).join("data")
    }

    fn spec(&self, i: usize, options: Json) -> NodeSpec {
        let id = format!("n{i}");
        NodeSpec {
            listen: self.block.node(i),
            peers: Vec::new(),
            advertised: None,
            nodes: Vec::new(),
            data: self.data(&id),
            bug: None,
            options,
            id: id.into(),
        }
    }

    async fn try_start(
        &self,
        options: Vec<Json>,
        guard: &str,
    ) -> (Result<Arc<Cluster>, ClusterError>, Events) {
        let (events, received) = unbounded_channel();
        let specs = options.into_iter().enumerate();
        let dir = RunDir::at(&self.dir);
        let cluster = Cluster::start(Setup {
            target: System::Registered(self.target),
            specs: specs
                .map(|(i, options)| self.spec(i + 1, options))
                .collect(),
            dir: &dir,
            block: Arc::clone(&self.block),
            homes: BTreeMap::new(),
            program: guard.into(),
            stamps: false,
            needs: Vec::new(),
            events,
        });
        (cluster.await, received)
    }

    async fn start(&self, scripts: &[&str]) -> (Arc<Cluster>, Events) {
        let options = scripts.iter().map(|script| json!({ "script": script }));
        let (cluster, events) = self.try_start(options.collect(), TRIBUNAL).await;
        (cluster.unwrap(), events)
    }

    async fn start_ready(&self, scripts: &[&str]) -> (Arc<Cluster>, Events) {
        let (cluster, events) = self.start(scripts).await;
        cluster.wait_ready(cluster.ids(), SOON).await.unwrap();
        (cluster, events)
    }
}

/// State and group of a process in `/proc`; `None` if it is gone or a zombie.
fn stat(pid: u32) -> Option<(char, u32)> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    let state = fields.next()?.chars().next()?;
    (state != 'Z').then_some((state, fields.nth(1)?.parse().ok()?))
}

fn is_alive(pid: u32) -> bool {
    stat(pid).is_some()
}

fn is_stopped(pid: u32) -> bool {
    stat(pid).is_some_and(|(state, _)| state == 'T')
}

/// The live processes of a group.
fn members(group: u32) -> Vec<u32> {
    let all = std::fs::read_dir("/proc").unwrap().flatten();
    all.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|&pid| stat(pid).is_some_and(|(_, of)| of == group))
        .collect()
}

/// The children of a process, zombies too.
fn children(pid: u32) -> Vec<u32> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task"))
        .unwrap()
        .flatten();
    let lists = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok());
    let lists: String = lists.collect();
    lists
        .split_whitespace()
        .map(|pid| pid.parse().unwrap())
        .collect()
}

fn comm(pid: u32) -> String {
    let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    name.trim().to_owned()
}

async fn until(what: &str, done: impl Fn() -> bool) {
    let looked = timeout(SOON, async {
        while !done() {
            sleep(Duration::from_millis(5)).await;
        }
    });
    looked
        .await
        .unwrap_or_else(|_| panic!("not within {SOON:?}: {what}"));
}

async fn next(events: &mut Events) -> NodeEvent {
    timeout(SOON, events.recv()).await.unwrap().unwrap()
}

/// The process that a node of [`ESCAPING`] let go.
fn escaped(ground: &Ground, node: &str) -> u32 {
    let file = ground.data(node).join("escaped");
    std::fs::read_to_string(file)
        .unwrap()
        .trim()
        .parse()
        .unwrap()
}

#[tokio::test]
async fn a_killed_node_tells_its_status_and_is_ready_again_after_a_start() {
    let dir = tempfile::tempdir().unwrap();
    let (cluster, mut events) = Ground::new(dir.path()).start_ready(&[IDLE]).await;
    let before = cluster.pid("n1").unwrap();

    assert_eq!(cluster.kill("n1").await, Ok("signal 9 (SIGKILL)".into()));
    assert_eq!(members(before), [0; 0]);
    assert_eq!(cluster.state("n1"), Killed);
    assert_eq!(cluster.pid("n1"), None);
    assert!(
        cluster
            .kill("n1")
            .await
            .unwrap_err()
            .contains("does not run")
    );

    let after = cluster.start("n1").await.unwrap();
    assert_ne!(after, before);
    assert_eq!(cluster.start("n1").await, Ok(after), "it runs already");
    let first = [(Starting, before), (Ready, before), (Killed, before)];
    for (state, pid) in first.into_iter().chain([(Starting, after), (Ready, after)]) {
        let event = next(&mut events).await;
        assert_eq!(
            (event.state, event.pid, &*event.node),
            (state, Some(pid), "n1")
        );
    }

    assert_eq!(cluster.stop().await, [""; 0]);
    let last = next(&mut events).await;
    assert_eq!(
        (last.state, last.detail.as_str()),
        (Stopped, "signal 15 (SIGTERM)")
    );
    assert!(
        cluster
            .start("n1")
            .await
            .unwrap_err()
            .contains("shutting down")
    );
    assert_eq!(cluster.stop().await, [""; 0], "a second time does nothing");
}

#[tokio::test]
async fn a_node_that_dies_by_itself_is_a_finding_with_its_last_words() {
    let dir = tempfile::tempdir().unwrap();
    let script = r#"echo ready > "$READY"; while ! test -e end; do sleep 0.01; done
        echo "disk on fire" >&2; exit 3"#;
    let ground = Ground::new(dir.path());
    let (cluster, mut events) = ground.start_ready(&[script]).await;
    std::fs::write(ground.data("n1").join("end"), "").unwrap();
    for state in [Starting, Ready] {
        assert_eq!(next(&mut events).await.state, state);
    }
    let died = next(&mut events).await;
    assert_eq!(died.state, Died);
    assert_eq!(died.detail, "exit code 3\ndisk on fire");
    assert_eq!(cluster.stop().await, [""; 0]);
}

#[tokio::test]
async fn a_node_that_dies_at_its_start_ends_the_wait_at_once_and_shows_its_log() {
    let dir = tempfile::tempdir().unwrap();
    let dying = "echo 'no such flag: --frobnicate' >&2; exit 64";
    let (cluster, _events) = Ground::new(dir.path()).start(&["sleep 1000", dying]).await;
    let error = cluster.wait_ready(cluster.ids(), SOON).await.unwrap_err();
    let text = error.to_string();
    assert!(
        text.starts_with("n2 died before it was ready: exit code 64; see "),
        "{text}"
    );
    assert!(text.contains("nodes/n2/stderr"), "{text}");
    assert!(text.ends_with("\n    no such flag: --frobnicate"), "{text}");
    assert_eq!(cluster.stop().await, [""; 0]);
}

#[tokio::test]
async fn a_node_that_never_gets_ready_is_named_with_what_it_last_said() {
    let dir = tempfile::tempdir().unwrap();
    let electing = r#"echo electing > "$READY"; exec sleep 1000"#;
    let (cluster, _events) = Ground::new(dir.path()).start(&[IDLE, electing]).await;
    let within = Duration::from_secs(1);
    let error = cluster.wait_ready(cluster.ids(), within).await.unwrap_err();
    let ClusterError::NotReady { nodes, .. } = &error else {
        panic!("{error}");
    };
    let names: Vec<_> = nodes.iter().map(|unready| &*unready.node).collect();
    assert_eq!(names, ["n2"]);
    let text = error.to_string();
    assert!(
        text.starts_with("not ready within 1s: n2 (electing"),
        "{text}"
    );
    cluster.mark_unresponsive("n2");
    assert_eq!(cluster.state("n2"), NodeState::Unresponsive);
    assert_eq!(cluster.stop().await, [""; 0]);
}

#[tokio::test]
async fn a_node_that_lost_its_readiness_is_waited_for_anew() {
    let dir = tempfile::tempdir().unwrap();
    let ground = Ground::new(dir.path());
    let (cluster, _events) = ground.start_ready(&[IDLE]).await;
    let file = ground.target.ready_file(ground.block.node(1));
    std::fs::write(&file, "no quorum").unwrap();
    let within = Duration::from_millis(300);
    let error = cluster.wait_ready(cluster.ids(), within).await.unwrap_err();
    assert!(error.to_string().contains("no quorum"), "{error}");
    std::fs::write(&file, "ready\n").unwrap();
    cluster.wait_ready(cluster.ids(), SOON).await.unwrap();
    assert_eq!(cluster.stop().await, [""; 0]);
}

#[tokio::test]
async fn a_start_that_fails_half_way_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let ground = Ground::new(dir.path());
    let options = vec![
        json!({ "script": IDLE }),
        json!({ "program": "no-such-database" }),
    ];
    let (cluster, mut events) = ground.try_start(options, TRIBUNAL).await;
    let error = cluster.err().unwrap().to_string();
    assert!(
        error.starts_with("n2: program not found: no-such-database; install"),
        "{error}"
    );
    let first = next(&mut events).await.pid.unwrap();
    assert_eq!(members(first), [0; 0]);
}

#[tokio::test]
async fn without_a_guard_no_node_is_started() {
    let dir = tempfile::tempdir().unwrap();
    let ground = Ground::new(dir.path());
    let options = vec![json!({ "script": IDLE })];
    let (cluster, mut events) = ground.try_start(options, "false").await;
    let error = cluster.err().unwrap().to_string();
    assert!(error.contains("it ended without a word"), "{error}");
    assert!(events.recv().await.is_none());
}

#[tokio::test]
async fn a_paused_node_is_stopped_with_all_its_group_until_it_is_resumed() {
    let dir = tempfile::tempdir().unwrap();
    let (cluster, mut events) = Ground::new(dir.path()).start_ready(&[IDLE]).await;
    let pid = cluster.pid("n1").unwrap();
    assert_eq!(members(pid).len(), 2, "the shell and its child");

    cluster.pause("n1").await.unwrap();
    assert!(members(pid).into_iter().all(is_stopped));
    assert_eq!(cluster.state("n1"), Paused);
    let waited = cluster
        .wait_ready(cluster.ids(), Duration::from_millis(50))
        .await;
    assert!(waited.unwrap_err().to_string().contains("it is paused"));

    cluster.resume("n1").await.unwrap();
    assert!(!members(pid).into_iter().any(is_stopped));
    cluster
        .resume("n1")
        .await
        .expect("it does nothing to a node that runs");
    for state in [Starting, Ready, Paused, Ready] {
        assert_eq!(next(&mut events).await.state, state);
    }

    cluster.pause("n1").await.unwrap();
    assert_eq!(cluster.stop().await, [""; 0]);
    assert_eq!(next(&mut events).await.state, Paused);
    let last = next(&mut events).await;
    assert_eq!(
        (last.state, last.detail.as_str()),
        (Stopped, "signal 15 (SIGTERM)")
    );
}

#[tokio::test]
async fn a_node_that_ignores_sigterm_is_killed_in_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let deaf = r#"trap '' TERM; echo ready > "$READY"; while :; do sleep 1000; done"#;
    let (cluster, _events) = Ground::new(dir.path()).start_ready(&[deaf]).await;
    assert_eq!(
        cluster.terminate("n1").await,
        Ok("signal 9 (SIGKILL)".into())
    );
    assert_eq!(cluster.state("n1"), Killed);
    assert_eq!(cluster.stop().await, [""; 0]);
}

#[tokio::test]
async fn faults_on_one_node_wait_for_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let (cluster, _events) = Ground::new(dir.path()).start_ready(&[IDLE]).await;
    let (killed, started) = tokio::join!(cluster.kill("n1"), cluster.start("n1"));
    assert_eq!(killed, Ok("signal 9 (SIGKILL)".into()));
    assert_eq!(cluster.pid("n1"), started.ok());
    assert!(cluster.pid("n1").is_some());
    assert_eq!(cluster.stop().await, [""; 0]);
}

#[tokio::test]
async fn what_a_node_leaves_behind_is_killed_and_reported() {
    let dir = tempfile::tempdir().unwrap();
    let ground = Ground::new(dir.path());
    let (cluster, _events) = ground.start_ready(&[ESCAPING]).await;
    let escaped = escaped(&ground, "n1");
    until("it is a sleep", || comm(escaped) == "sleep").await;
    let left = format!("a node left process {escaped} (sleep) behind: it was killed");
    assert_eq!(cluster.stop().await, [left]);
    assert!(!is_alive(escaped));
}

#[tokio::test]
async fn a_cluster_that_is_dropped_takes_everything_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let ground = Ground::new(dir.path());
    let (cluster, _events) = ground.start_ready(&[ESCAPING]).await;
    let (escaped, pid) = (escaped(&ground, "n1"), cluster.pid("n1").unwrap());
    drop(cluster);
    let gone = || !is_alive(pid) && !is_alive(escaped);
    until("node and escaped process are gone", gone).await;
}

/// A controller in a process of its own, and what it holds.
struct Controller {
    process: std::process::Child,
    guard: u32,
    /// A running node, a paused node, and a process that escaped from a node.
    pids: [u32; 3],
    lock: SocketAddr,
}

impl Controller {
    async fn start(dir: &Path) -> Self {
        let process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "plays_a_controller", "--ignored"])
            .env("CLUSTER_DIR", dir)
            .spawn()
            .unwrap();
        let held = dir.join("held");
        until("the controller holds its cluster", || held.exists()).await;
        let held: Json = serde_json::from_slice(&std::fs::read(held).unwrap()).unwrap();
        let pid = |what: &str| u32::try_from(held[what].as_u64().unwrap()).unwrap();
        let guards: Vec<_> = children(process.id())
            .into_iter()
            .filter(|&pid| comm(pid) == "tribunal")
            .collect();
        assert_eq!(guards.len(), 1);
        Self {
            process,
            guard: guards[0],
            pids: ["running", "paused", "escaped"].map(pid),
            lock: held["lock"].as_str().unwrap().parse().unwrap(),
        }
    }
}

fn signal(pid: u32, signal: Signal) {
    kill(Pid::from_raw(pid.try_into().unwrap()), signal).unwrap();
}

#[tokio::test]
async fn when_the_controller_is_killed_every_process_dies_and_then_the_block_is_free() {
    let dir = tempfile::tempdir().unwrap();
    let mut controller = Controller::start(dir.path()).await;
    assert_eq!(controller.pids.map(is_alive), [true; 3]);
    assert!(is_stopped(controller.pids[1]));
    assert!(TcpListener::bind(controller.lock).is_err());

    for at_the_terminal in [
        Signal::SIGINT,
        Signal::SIGTERM,
        Signal::SIGHUP,
        Signal::SIGQUIT,
    ] {
        signal(controller.guard, at_the_terminal);
    }
    controller.process.kill().unwrap();
    controller.process.wait().unwrap();
    until("the block is free", || {
        TcpListener::bind(controller.lock).is_ok()
    })
    .await;
    assert_eq!(controller.pids.map(is_alive), [false; 3]);
    until("the guard is gone", || !is_alive(controller.guard)).await;
}

#[tokio::test]
async fn even_without_the_guard_the_kernel_kills_nodes_with_their_controller() {
    let dir = tempfile::tempdir().unwrap();
    let mut controller = Controller::start(dir.path()).await;
    let [running, paused, escaped] = controller.pids;
    signal(controller.guard, Signal::SIGKILL);
    until("the guard is gone", || !is_alive(controller.guard)).await;
    assert_eq!(controller.pids.map(is_alive), [true; 3]);

    controller.process.kill().unwrap();
    controller.process.wait().unwrap();
    until("both nodes are gone", || {
        !is_alive(running) && !is_alive(paused)
    })
    .await;
    let left = members(running);
    assert_eq!(
        left.len(),
        1,
        "the node's child: this is what the guard is for"
    );
    assert!(is_alive(escaped), "and this");
    signal(left[0], Signal::SIGKILL);
    signal(escaped, Signal::SIGKILL);
}

#[test]
#[ignore = "a role in another test"]
fn plays_a_controller() {
    let Some(dir) = std::env::var_os("CLUSTER_DIR") else {
        return;
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let ground = Ground::new(Path::new(&dir));
        let (cluster, _events) = ground.start_ready(&[IDLE, IDLE, ESCAPING]).await;
        cluster.pause("n2").await.unwrap();
        let held = json!({
            "running": cluster.pid("n1"),
            "paused": cluster.pid("n2"),
            "escaped": escaped(&ground, "n3"),
            "lock": ground.block.lock(),
        });
        let held = serde_json::to_vec(&held).unwrap();
        RunDir::at(&dir)
            .write(&ground.dir.join("held"), &held)
            .unwrap();
        std::future::pending::<()>().await;
    });
}

#[tokio::test]
async fn twenty_clusters_leak_neither_descriptors_nor_processes() {
    // Other tests in this process open and start things too: count in a process of its own.
    if std::env::var_os("CLUSTER_ALONE").is_none() {
        let this = "twenty_clusters_leak_neither_descriptors_nor_processes";
        let mut alone = Command::new(std::env::current_exe().unwrap());
        alone.args(["--exact", this]).env("CLUSTER_ALONE", "1");
        assert!(alone.status().unwrap().success());
        return;
    }
    let open = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let mine = || children(std::process::id());
    let mut before = 0;
    for cycle in 0..20 {
        let dir = tempfile::tempdir().unwrap();
        let (cluster, events) = Ground::new(dir.path())
            .start_ready(&[IDLE, IDLE, IDLE])
            .await;
        assert!(mine().len() >= 4, "nodes and guard are counted");
        assert_eq!(cluster.stop().await, [""; 0]);
        drop((cluster, events));
        if cycle == 0 {
            before = open();
        }
    }
    until("descriptors are closed again", || open() <= before).await;
    assert_eq!(mine(), [0; 0]);
}

#[tokio::test]
async fn an_address_that_is_taken_is_reported_with_its_holder() {
    let dir = tempfile::tempdir().unwrap();
    let ground = Ground::new(dir.path());
    let _taken = TcpListener::bind(ground.block.node(1)).unwrap();
    let options = vec![json!({ "script": IDLE })];
    let (cluster, _events) = ground.try_start(options, TRIBUNAL).await;
    let error = cluster.err().unwrap().to_string();
    let me = format!("is taken by process {} (", std::process::id());
    assert!(
        error.contains(&me) && error.contains("end that process"),
        "{error}"
    );
}

#[tokio::test]
async fn a_node_is_not_ready_if_another_process_answers_in_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let ground = Ground::new(dir.path());
    let late = r#"while ! test -e go; do sleep 0.01; done; echo ready > "$READY"
        exec sleep 1000"#;
    let (cluster, _events) = ground.start(&[late]).await;
    let taken = TcpListener::bind(ground.block.node(1)).unwrap();
    std::fs::write(ground.data("n1").join("go"), "").unwrap();
    let error = cluster.wait_ready(cluster.ids(), SOON).await.unwrap_err();
    let me = format!("process {} (", std::process::id());
    assert!(matches!(&error, ClusterError::AddressTaken { by, .. } if by.starts_with(&me)));
    drop(taken);
    assert_eq!(cluster.stop().await, [""; 0]);
}

#[tokio::test]
async fn a_node_whose_child_listens_is_ready_in_either_layout_and_can_restart() {
    for layout in [Layout::Addresses, Layout::Ports] {
        let dir = tempfile::tempdir().unwrap();
        let mut ground = Ground::new(dir.path());
        ground.block = Arc::new(Block::reserve(Some(layout)).unwrap());
        let (cluster, _events) = ground.start_ready(&[LISTENING, LISTENING]).await;
        assert!(
            TcpListener::bind(ground.block.node(1)).is_err(),
            "it does listen"
        );
        cluster.kill("n1").await.unwrap();
        cluster.start("n1").await.unwrap();
        cluster.wait_ready(cluster.ids(), SOON).await.unwrap();
        assert_eq!(cluster.stop().await, [""; 0]);
    }
}

#[test]
#[ignore = "a role in another test"]
fn plays_a_node_that_listens() {
    let Some(address) = std::env::var_os("LISTEN") else {
        return;
    };
    let _listener = TcpListener::bind(address.to_str().unwrap()).unwrap();
    std::fs::write(std::env::var_os("READY").unwrap(), "ready\n").unwrap();
    loop {
        std::thread::park();
    }
}

#[tokio::test]
async fn a_connection_around_the_fabric_is_found_and_named() {
    let dir = tempfile::tempdir().unwrap();
    let ground = Ground::new(dir.path());
    let there = ground.block.node(1);
    let peer = format!("/dev/tcp/{}/{}", there.ip(), there.port());
    let dial = format!(
        r#"until (exec 3<>{peer}) 2>/dev/null; do sleep 0.05; done
        exec 3<>{peer}; echo ready > "$READY"; exec sleep 1000"#
    );
    let nodes = vec![
        json!({ "script": IDLE }),
        json!({ "program": "bash", "script": dial }),
    ];
    let (cluster, _events) = ground.try_start(nodes, TRIBUNAL).await;
    let cluster = cluster.unwrap();
    // In the place of n1, whose script does not listen.
    let listener = TcpListener::bind(there).unwrap();
    // What this process opens itself is the fabric's, or a probe.
    let _ours = std::net::TcpStream::connect(there).unwrap();
    let dialling = &cluster.ids()[1..];
    cluster.wait_ready(dialling, SOON).await.unwrap();
    let found = cluster.bypass().expect("n2 is connected to n1");
    let named = format!("of n2 is connected to n1 at {there}");
    assert!(found.contains(&named), "{found}");
    drop(listener);
    cluster.kill("n2").await.unwrap();
    assert_eq!(cluster.bypass(), None);
    cluster.stop().await;
}

/// Says its name every 20 ms to the address in `$TO`, from a child that has left its group: a
/// system with a supervisor may do that.
const TALKING: &str = r#"echo ready > "$READY"; setsid bash -c 'exec 3<> /dev/tcp/$TO
    while echo "$0" >&3; do sleep 0.02; done' "$NAME" & wait"#;

/// What a node says to the one address of n3, and the fabric in between.
struct OneAddress {
    cluster: Arc<Cluster>,
    fabric: Arc<Fabric>,
    /// What has arrived from each, in lines.
    heard: Arc<Mutex<BTreeMap<String, usize>>>,
}

impl OneAddress {
    /// n1 and n2 talk to n3, which is this test.
    async fn open(dir: &Path) -> Self {
        let ground = Ground::new(dir);
        let there = tokio::net::TcpListener::bind(ground.block.node(3))
            .await
            .unwrap();
        let links = ["n1", "n2", "clients"].map(|from| LinkSpec {
            from: from.into(),
            to: "n3".into(),
            listen: ground.block.link(3, 3),
            dial: ground.block.node(3),
        });
        let nature = Nature {
            owners: Some(Arc::new(Owners::of(&ground.block, "clients".into()))),
            ..Nature::default()
        };
        let fabric = Fabric::open_as(nature, links.into(), 1).await.unwrap();
        let heard = Arc::new(Mutex::new(BTreeMap::new()));
        tokio::spawn(hear(there, Arc::clone(&heard)));
        let to = ground.block.link(3, 3).to_string().replace(':', "/");
        let script = |name| format!("TO={to} NAME={name}; export TO NAME\n{TALKING}");
        let (cluster, _) = ground.start_ready(&[&script("n1"), &script("n2")]).await;
        Self {
            cluster,
            fabric,
            heard,
        }
    }

    fn lines(&self, from: &str) -> usize {
        *self.heard.lock().unwrap().get(from).unwrap_or(&0)
    }

    /// Waits for a few more lines.
    async fn hears(&self, from: &str) {
        let before = self.lines(from);
        until(from, || self.lines(from) > before + 5).await;
    }
}

async fn hear(listener: tokio::net::TcpListener, heard: Arc<Mutex<BTreeMap<String, usize>>>) {
    use tokio::io::{AsyncBufReadExt, BufReader};
    while let Ok((stream, _)) = listener.accept().await {
        let heard = Arc::clone(&heard);
        tokio::spawn(async move {
            let mut lines = BufReader::new(stream).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                *heard.lock().unwrap().entry(line).or_default() += 1;
            }
        });
    }
}

#[tokio::test]
async fn a_rule_on_a_link_to_an_address_that_all_dial_hits_the_processes_of_one_node() {
    let dir = tempfile::tempdir().unwrap();
    let net = OneAddress::open(dir.path()).await;
    net.hears("n1").await;
    net.hears("n2").await;
    for (cut, free) in [("n1", "n2"), ("n2", "n1")] {
        let held = || net.fabric.counters(free, "n3").bytes_held;
        let held_before = held();
        assert!(net.fabric.set(cut, "n3", Rule::cut()));
        until("bytes held", || {
            net.fabric.since_set(cut, "n3").bytes_held > 0
        })
        .await;
        // What was on its way has arrived when the other has been heard for a while.
        net.hears(free).await;
        let before = net.lines(cut);
        net.hears(free).await;
        assert_eq!(net.lines(cut), before);
        assert_eq!(held(), held_before);
        net.fabric.clear(cut, "n3");
        net.hears(cut).await;
    }
    for from in ["n1", "n2"] {
        assert_eq!(net.fabric.counters(from, "n3").opened, 1, "{from}");
    }
    // This very process is no node.
    let address = net.fabric.address("clients", "n3").unwrap();
    let mut client = tokio::net::TcpStream::connect(address).await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut client, b"x\n")
        .await
        .unwrap();
    until("a client's line", || net.lines("x") == 1).await;
    assert_eq!(net.fabric.counters("clients", "n3").opened, 1);
    assert!(
        net.cluster
            .stop()
            .await
            .iter()
            .all(|problem| problem.contains("was killed"))
    );
    net.fabric.close().await;
}
