//! What hosting nodes on their standard input and output costs: messages a second, CPU time a
//! message, and how long it takes from nothing to the first operation. `cargo bench -p
//! tribunal-nemesis --bench router`.
//!
//! | row | what it is |
//! |---|---|
//! | `pipe` | the same node on two bare pipes, and lines like those of the clients |
//! | `clients` | clients ask a hosted node, each again when it is answered; all that they do is counted |
//! | `relay` | two hosted nodes give each other messages that never end; nobody else does anything |
//!
//! The node is this very program, and does next to nothing itself. Each request and each answer is
//! a message.
#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

use std::io::{self, BufRead as _, BufReader, BufWriter, Read as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tribunal_nemesis::fabric::{Fabric, Nature};
use tribunal_results::{NodeId, Operation, Outcome};
use tribunal_targets::network::{CLIENTS, Fate, Network, Way};
use tribunal_targets::{ClientSpec, NodeSpec, System, maelstrom};

const TIME: Duration = Duration::from_secs(3);
/// How many requests are under way at once.
const AT_ONCE: [usize; 3] = [1, 10, 100];
/// The word that makes this program a node.
const NODE: &str = "be-a-node";

/// Answers every request by a copy of its line, with names exchanged; passes on what begins to
/// circle.
fn be_a_node() -> io::Result<()> {
    let mut input = BufReader::with_capacity(64 << 10, io::stdin().lock());
    let mut output = BufWriter::with_capacity(64 << 10, io::stdout().lock());
    let (mut line, mut me) = (String::new(), String::new());
    loop {
        line.clear();
        if input.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let src = between(&line, "\"src\":\"", "\"");
        let id = between(&line, "\"msg_id\":", "}")
            .split(',')
            .next()
            .unwrap_or_default();
        if line.contains("\"init\"") {
            me = between(&line, "\"node_id\":\"", "\"").to_owned();
            let body = format!("{{\"type\":\"init_ok\",\"in_reply_to\":{id}}}");
            writeln!(
                output,
                "{{\"src\":\"{me}\",\"dest\":\"{src}\",\"body\":{body}}}"
            )?;
        } else if line.contains("circle") {
            let next = if me == "n1" { "n2" } else { "n1" };
            let body = between(&line, "\"body\":", "\n");
            let body = body.get(..body.len().saturating_sub(1)).unwrap_or_default();
            writeln!(
                output,
                "{{\"src\":\"{me}\",\"dest\":\"{next}\",\"body\":{body}}}"
            )?;
        } else {
            let echo = between(&line, "\"echo\":\"", "\"");
            let body = format!("{{\"type\":\"echo_ok\",\"echo\":\"{echo}\",\"in_reply_to\":{id}}}");
            writeln!(
                output,
                "{{\"src\":\"{me}\",\"dest\":\"{src}\",\"body\":{body}}}"
            )?;
        }
        if input.buffer().is_empty() {
            output.flush()?;
        }
    }
}

fn between<'a>(line: &'a str, before: &str, after: &str) -> &'a str {
    let rest = line.split_once(before).map_or("", |(_, rest)| rest);
    rest.split_once(after).map_or(rest, |(inside, _)| inside)
}

fn main() -> io::Result<()> {
    if std::env::args().any(|word| word == NODE) {
        return be_a_node();
    }
    println!(
        "{:<10}{:>10}{:>14}{:>20}",
        "", "at once", "messages/s", "CPU us/message"
    );
    for at_once in AT_ONCE {
        let (rate, cpu) = pipe(at_once)?;
        row("pipe", at_once, rate, cpu);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (rate, cpu, first) = runtime.block_on(clients(at_once))?;
        row("clients", at_once, rate, cpu);
        println!(
            "{:<10}first operation after {:.1} ms",
            "",
            first.as_secs_f64() * 1e3
        );
        let (rate, cpu) = runtime.block_on(relay(at_once))?;
        row("relay", at_once, rate, cpu);
    }
    Ok(())
}

fn row(name: &str, at_once: usize, rate: f64, cpu: f64) {
    println!("{name:<10}{at_once:>10}{rate:>14.0}{cpu:>20.2}");
}

/// What this process has used of the CPU, in seconds.
fn used() -> io::Result<f64> {
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    let seconds =
        |time: nix::sys::time::TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    Ok(seconds(usage.user_time()) + seconds(usage.system_time()))
}

/// The node on two pipes, with so many lines under way: messages a second, microseconds each.
fn pipe(at_once: usize) -> io::Result<(f64, f64)> {
    let mut node = Command::new(std::env::current_exe()?)
        .arg(NODE)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let (Some(mut input), Some(mut output)) = (node.stdin.take(), node.stdout.take()) else {
        return Err(io::Error::other("no pipes"));
    };
    let line = b"{\"id\":1,\"src\":\"c1\",\"dest\":\"n1\",\"body\":{\"echo\":\"hello there\",\"msg_id\":1,\"type\":\"echo\"}}\n";
    let (begun, before, mut messages) = (Instant::now(), used()?, 0.0);
    let mut chunk = vec![0; 64 << 10];
    input.write_all(&line.repeat(at_once))?;
    while begun.elapsed() < TIME {
        let n = output.read(&mut chunk)?;
        let answers = chunk[..n].iter().filter(|byte| **byte == b'\n').count();
        messages += 2.0 * answers as f64;
        input.write_all(&line.repeat(answers))?;
    }
    let measured = (
        messages / begun.elapsed().as_secs_f64(),
        1e6 * (used()? - before) / messages,
    );
    node.kill()?;
    node.wait()?;
    Ok(measured)
}

/// Nodes that are hosted.
struct Cluster {
    system: System,
    nodes: Vec<Child>,
    carried: Arc<AtomicU64>,
    _dir: tempfile::TempDir,
}

impl Cluster {
    async fn start(count: usize) -> io::Result<Self> {
        let dir = tempfile::tempdir()?;
        let options = json!({ "bin": std::env::current_exe()?, "args": [NODE], "speaks": "echo" });
        let system = System::new(&maelstrom::TARGET, &options).map_err(io::Error::other)?;
        let ids: Vec<NodeId> = (1..=count).map(|n| format!("n{n}").into()).collect();
        let ends: Vec<NodeId> = ids.iter().cloned().chain([CLIENTS.into()]).collect();
        let fabric = Fabric::open_lines(Nature::default(), &ends, &[], 1)?;
        let carried = Arc::default();
        let counted = Counted {
            fabric,
            carried: Arc::clone(&carried),
        };
        system.attach(Arc::new(counted), 1);
        let mut nodes = Vec::new();
        for id in &ids {
            let launch = system.launch(&NodeSpec {
                id: id.clone(),
                listen: ([127, 0, 0, 1], 1).into(),
                peers: Vec::new(),
                advertised: None,
                nodes: ids.clone(),
                data: dir.path().join(&**id).join("data"),
                bug: None,
                options: json!(null),
            });
            let paths = launch.program.zip(launch.stdin).zip(launch.stdout);
            let ((program, stdin), stdout) = paths.ok_or(io::ErrorKind::NotFound)?;
            let mut command = Command::new(program);
            command
                .args(launch.args)
                .stdin(std::fs::File::open(stdin)?)
                .stdout(std::fs::File::options().write(true).open(stdout)?);
            nodes.push(command.spawn()?);
        }
        let cluster = Self {
            system,
            nodes,
            carried,
            _dir: dir,
        };
        for id in &ids {
            while !cluster
                .system
                .status_of(id, ([127, 0, 0, 1], 1).into())
                .await?
                .ready
            {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
        Ok(cluster)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for node in &mut self.nodes {
            let _ended = node.kill().and_then(|()| node.wait());
        }
    }
}

fn echo(text: &str) -> Operation {
    Operation::Custom {
        name: "echo".into(),
        value: json!(text),
    }
}

/// So many clients, each again when it is answered.
async fn clients(at_once: usize) -> io::Result<(f64, f64, Duration)> {
    let begun = Instant::now();
    let cluster = Cluster::start(1).await?;
    let (done, mut first) = (Arc::new(AtomicU64::new(0)), None);
    let mut tasks = JoinSet::new();
    let (started, before) = (Instant::now(), used()?);
    for process in 0..at_once as u64 {
        let spec = ClientSpec {
            process,
            node: "n1".into(),
            address: ([127, 0, 0, 1], 1).into(),
            nodes: [].into(),
            timeout: Duration::from_secs(5),
        };
        let opened = cluster.system.open(&spec).await;
        let mut client = opened.map_err(|reason| io::Error::other(reason.to_string()))?;
        let (operation, done) = (echo("hello there"), Arc::clone(&done));
        if first.is_none() {
            client.invoke(&operation).await;
            first = Some(begun.elapsed());
        }
        tasks.spawn(async move {
            while started.elapsed() < TIME {
                if matches!(client.invoke(&operation).await, Outcome::Ok(_)) {
                    done.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
    }
    while tasks.join_next().await.is_some() {}
    let messages = 2.0 * done.load(Ordering::Relaxed) as f64;
    let time = started.elapsed().as_secs_f64();
    let cpu = 1e6 * (used()? - before) / messages;
    Ok((messages / time, cpu, first.unwrap_or_default()))
}

/// So many messages that two nodes give each other for ever.
async fn relay(at_once: usize) -> io::Result<(f64, f64)> {
    let cluster = Cluster::start(2).await?;
    for process in 0..at_once as u64 {
        let spec = ClientSpec {
            process,
            node: "n1".into(),
            address: ([127, 0, 0, 1], 1).into(),
            nodes: [].into(),
            timeout: Duration::from_secs(5),
        };
        let opened = cluster.system.open(&spec).await;
        let mut client = opened.map_err(|reason| io::Error::other(reason.to_string()))?;
        // It is never answered.
        let asked = echo("circle");
        let _none = tokio::time::timeout(Duration::from_millis(5), client.invoke(&asked)).await;
    }
    let now = || io::Result::Ok((cluster.carried.load(Ordering::Relaxed), used()?));
    let (before, begun) = (now()?, Instant::now());
    tokio::time::sleep(TIME).await;
    let (messages, cpu) = (now()?.0 - before.0, now()?.1 - before.1);
    let rate = messages as f64 / begun.elapsed().as_secs_f64();
    Ok((rate, 1e6 * cpu / messages as f64))
}

/// A fabric's ways, with a count of what they carried.
struct Counted {
    fabric: Arc<Fabric>,
    carried: Arc<AtomicU64>,
}

struct CountedWay(Arc<dyn Way>, Arc<AtomicU64>);

impl Network for Counted {
    fn way(&self, from: &NodeId, to: &NodeId) -> Option<Arc<dyn Way>> {
        let way = self.fabric.way(from, to)?;
        Some(Arc::new(CountedWay(way, Arc::clone(&self.carried))))
    }
}

impl Way for CountedWay {
    fn enter(&self, line: &[u8]) -> Fate {
        self.0.enter(line)
    }

    fn leave(&self, fate: &Fate, bytes: usize) -> bool {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.leave(fate, bytes)
    }

    fn lose(&self, fate: &Fate, why: &'static str) {
        self.0.lose(fate, why);
    }
}
