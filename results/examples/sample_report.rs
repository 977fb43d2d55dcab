//! Writes a report of a synthetic run, to look at while working on the page:
//! `cargo run -p tribunal-results --features report --example sample_report -- OUT [OPERATIONS]`.

use std::collections::BTreeMap;

use serde_json::json;
use tribunal_results::event::{Body, Event, Process};
use tribunal_results::fault::{FaultEvent, NodeEvent, NodeState, Phase};
use tribunal_results::report::{Report, html};
use tribunal_results::run::RunInfo;
use tribunal_results::verdict::{Counts, Evidence};
use tribunal_results::{
    Anomaly, Answer, History, NodeLog, Operation, Outcome, Reason, ResultClass, RunVerdict, Scalar,
    Verdict,
};

const CLIENTS: u64 = 10;
const NODES: [&str; 5] = ["n1", "n2", "n3", "n4", "n5"];
const MS: u64 = 1_000_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let out = args.next().ok_or("give the file to write")?;
    let operations = args.next().map_or(Ok(10_000), |n| n.parse())?;
    let history = Synthesis::new(operations).history();
    let verdict = verdict(&history);
    let info = info();
    let logs = NODES.map(|node| NodeLog {
        node: node.into(),
        lines: (0..60)
            .map(|n| {
                format!(
                    "{}.{:03} INFO {node}: replicated batch {n}",
                    n / 4,
                    n * 17 % 1000
                )
            })
            .collect(),
    });
    let page = html::render(&Report {
        info: &info,
        verdict: &verdict,
        history: &history,
        messages: None,
        logs: &logs,
        plan_yaml: "suite: pull-request\nname: register-chaos\nseed: 8812\nnodes: 5\nclients: 10\n",
        colours: &BTreeMap::from([
            ("kill".into(), "#d1495b".into()),
            ("pause".into(), "#e9a23b".into()),
            ("partition".into(), "#5b7fd1".into()),
            ("delay".into(), "#7a9e58".into()),
        ]),
    })?;
    std::fs::write(out, page)?;
    Ok(())
}

/// Makes up a run, event by event, with a small generator of its own.
struct Synthesis {
    operations: u64,
    state: u64,
    events: Vec<(u64, u64, Option<&'static str>, Draft)>,
}

enum Draft {
    Invoke(u64, Operation),
    Complete(u64, Operation, Outcome),
    Nemesis(Body),
}

impl Synthesis {
    fn new(operations: u64) -> Self {
        Self {
            operations,
            state: 0x9e37_79b9_7f4a_7c15,
            events: Vec::new(),
        }
    }

    /// The next number of a xorshift sequence.
    fn below(&mut self, n: u64) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state % n
    }

    fn history(mut self) -> History {
        let faults = self.faults();
        for client in 0..CLIENTS {
            self.client(client, &faults);
        }
        self.events.sort_by_key(|(time, order, ..)| (*time, *order));
        let events = self
            .events
            .into_iter()
            .enumerate()
            .map(|(index, (time, _, node, draft))| {
                let (process, body) = match draft {
                    Draft::Invoke(p, operation) => (Process::Client(p), Body::Invoke(operation)),
                    Draft::Complete(p, o, outcome) => {
                        (Process::Client(p), Body::Complete(o, outcome))
                    }
                    Draft::Nemesis(body) => (Process::Nemesis, body),
                };
                Event {
                    index: index as u64,
                    time,
                    process,
                    node: node.map(Into::into),
                    body,
                }
            });
        History::from_events(events).unwrap_or_default()
    }

    fn push(&mut self, time: u64, node: Option<&'static str>, draft: Draft) {
        let order = self.events.len() as u64;
        self.events.push((time, order, node, draft));
    }

    fn node(&mut self, time: u64, node: &str, state: NodeState, detail: &str) {
        let event = NodeEvent {
            node: node.into(),
            state,
            pid: Some(4_000),
            detail: detail.into(),
        };
        self.push(time, None, Draft::Nemesis(Body::Node(event)));
    }

    /// A fault every 1.4 seconds; returns when each was active.
    fn faults(&mut self) -> Vec<(u64, u64)> {
        for (n, node) in NODES.into_iter().enumerate() {
            self.node(n as u64 * MS, node, NodeState::Starting, "");
            self.node((180 + n as u64 * 9) * MS, node, NodeState::Ready, "");
        }
        let mut spans = Vec::new();
        for id in 0..12 {
            let from = (1_000 + id * 1_400) * MS;
            let to = from + (300 + self.below(900)) * MS;
            let node = NODES[self.below(5) as usize];
            let (name, what) = match id % 4 {
                0 => ("kill", format!("kill {node}")),
                1 => ("pause", format!("pause {node}")),
                2 => ("partition", format!("partition {{{node}}} | rest")),
                _ => ("delay", format!("delay 40 ms to {node}")),
            };
            let skipped = (id == 7).then(|| "no node was left to slow down".to_owned());
            for (time, phase) in [
                (from, Phase::Inject),
                (from + 2 * MS, Phase::Injected),
                (to - 3 * MS, Phase::Heal),
                (to, Phase::Healed),
            ] {
                let event = FaultEvent {
                    fault: name.into(),
                    id,
                    phase,
                    nodes: vec![node.into()],
                    links: vec![],
                    what: what.clone(),
                    skipped: skipped.clone().filter(|_| phase == Phase::Injected),
                    proof: match phase {
                        Phase::Injected => json!({"pid": 4_000 + id}),
                        Phase::Healed => json!({"bytes_blocked": 1_200 * id}),
                        _ => json!(null),
                    },
                    bit: (phase == Phase::Healed).then_some(id != 3),
                    injection: json!(null),
                };
                self.push(time, None, Draft::Nemesis(Body::Fault(event)));
            }
            match name {
                "kill" => {
                    self.node(from + MS, node, NodeState::Killed, "signal 9");
                    self.node(to - 2 * MS, node, NodeState::Starting, "");
                    self.node(to + 90 * MS, node, NodeState::Ready, "");
                }
                "pause" => {
                    self.node(from + MS, node, NodeState::Paused, "");
                    self.node(to - 2 * MS, node, NodeState::Ready, "");
                }
                _ => {}
            }
            if skipped.is_none() {
                spans.push((from, to));
            }
        }
        self.node(18_900 * MS, "n4", NodeState::Died, "exit code 101");
        spans
    }

    fn client(&mut self, client: u64, faults: &[(u64, u64)]) {
        let node = NODES[(client % 5) as usize];
        let each = self.operations / CLIENTS;
        let step = 18_000 * MS / each.max(1);
        let mut process = client;
        let mut time = 300 * MS + client * 1_000;
        for n in 0..each {
            let key = Scalar::from(format!("k{}", self.below(9)));
            let value = Scalar::Int((client * 100_000 + n) as i64);
            let operation = match self.below(5) {
                0 | 1 => Operation::Write { key, value },
                2 => Operation::Cas {
                    key,
                    from: Scalar::Int(n as i64),
                    to: value,
                },
                _ => Operation::Read { key },
            };
            let broken = faults.iter().any(|(from, to)| (*from..*to).contains(&time));
            let mut took = step / 10 + self.below(step / 2 + 1) + self.below(20) * step / 60;
            let chance = self.below(1_000);
            let outcome = match (broken, chance) {
                (true, 0..40) => {
                    took = 120 * MS;
                    Outcome::Info(Reason::new("timeout", "no answer within 120 ms"))
                }
                (true, 40..110) => Outcome::Fail(Reason::new("refused", "connection refused")),
                (false, 0..15) if matches!(operation, Operation::Cas { .. }) => {
                    Outcome::Fail(Reason::new("precondition-failed", "held another value"))
                }
                _ => match operation {
                    Operation::Read { .. } => Outcome::Ok(Answer::Value(
                        (chance > 30).then(|| Scalar::Int(chance as i64 * 7)),
                    )),
                    _ => Outcome::Ok(Answer::Done),
                },
            };
            let unknown = matches!(outcome, Outcome::Info(_));
            self.push(time, Some(node), Draft::Invoke(process, operation.clone()));
            self.push(
                time + took,
                Some(node),
                Draft::Complete(process, operation, outcome),
            );
            time += took.max(step * 9 / 10) + self.below(step / 8 + 1);
            if unknown {
                process += CLIENTS;
            }
        }
    }
}

/// A contradiction made up of calls that overlap a partition.
fn verdict(history: &History) -> RunVerdict {
    let calls = history.calls();
    let near = |ms: u64| calls.iter().find(|c| c.invoked.time > ms * MS && c.is_ok());
    let open = calls
        .iter()
        .find(|c| c.is_info() && c.invoked.time > 3_900 * MS);
    let picked: Vec<_> = [near(3_780), near(3_791), near(3_880), near(4_020), open]
        .into_iter()
        .flatten()
        .collect();
    let mut indexes: Vec<u64> = picked.iter().map(|c| c.invoked.index).collect();
    indexes.sort_unstable();
    let time = |index: Option<&u64>| {
        index
            .and_then(|i| history.call_at(*i))
            .map_or(0, |c| c.invoked.time)
    };
    let span = (time(indexes.first()), time(indexes.last()) + 10 * MS);
    let first = Anomaly {
        name: "stale-read".into(),
        sentence:
            "p4 read k7 → 3 at 4.020 s on n2, although p1’s write of 5 had been acknowledged \
                   at 3.791 s on n1: the read returned a value that was already overwritten."
                .into(),
        key: Some("k7".into()),
        calls: indexes.clone(),
        facts: vec![
            "p1 wrote 5 to k7 and was answered ok at 3.791 s.".into(),
            "p4’s read of k7 began later, at 4.020 s, and returned 3.".into(),
            "No other write of 3 can lie between: 3 was written once, by p0.".into(),
        ],
        span,
    };
    let mut second = first.clone();
    second.name = "phantom-read".into();
    second.sentence = "p2 read a value of k3 that nobody ever wrote.".into();
    second.calls = indexes.iter().skip(1).take(2).copied().collect();
    second.facts.truncate(1);
    let mut counts = Counts::default();
    for call in calls {
        match call.outcome {
            Outcome::Ok(_) => counts.ok += 1,
            Outcome::Fail(_) => counts.fail += 1,
            Outcome::Info(_) => counts.info += 1,
        }
    }
    let mut stats = Verdict::valid("stats", "Every kind of operation succeeded at least once.");
    stats = stats.figure("kinds", 3).figure("operations", calls.len());
    RunVerdict {
        class: ResultClass::Violation,
        reason: "stale-read".into(),
        claim:
            "quorum-register is not linearizable under kill, pause, partition and delay: a read \
                of k7 returned a value that had been overwritten."
                .into(),
        expected: vec![],
        verdicts: vec![
            Verdict::invalid("linearizable", vec![first, second], 2)
                .figure("keys", 9)
                .figure("keys_checked", 9)
                .figure("steps", 181_223),
            stats,
            Verdict::valid("evidence", "All floors were met."),
            Verdict::unknown(
                "crash-log",
                "no-logs",
                "n4 left no log, so nothing can be said of it.",
            ),
        ],
        evidence: Evidence {
            stood_still: 0,
            operations: BTreeMap::new(),
            total: counts,
            cross_observations: 3_184,
            concurrency_peak: CLIENTS,
            faults_bitten: [("kill", 3), ("pause", 3), ("partition", 3), ("delay", 1)]
                .map(|(name, n)| (name.into(), n))
                .into(),
            faults_idle: [("delay".into(), 1)].into(),
            faults_skipped: [("delay".into(), 1)].into(),
            overlap: 0.53,
            final_reads: 9,
            ..Evidence::default()
        },
        gates: Vec::new(),
        ..RunVerdict::default()
    }
}

fn info() -> RunInfo {
    RunInfo {
        class: ResultClass::Violation,
        suite: "pull-request".into(),
        profile: None,
        plan: "register-chaos".into(),
        target: "quorum-register".into(),
        bug: Some("no-write-back".into()),
        workload: "register".into(),
        faults: ["kill", "pause", "partition", "delay"]
            .map(Into::into)
            .into(),
        seed: 8_812,
        nodes: NODES.map(Into::into).into(),
        clients: 10,
        time_ms: Some(20_000),
        rate: Some(1_000.0),
        started: "2026-11-22T21:04:09Z".into(),
        command: ["tribunal", "run", "pull-request", "--seed", "8812"]
            .map(Into::into)
            .into(),
        reproduce: "tribunal run pull-request --only register-chaos --seed 8812".into(),
        version: "0.1.0 (a89734a)".into(),
        machine: [
            ("kernel", "Linux 6.18"),
            ("processors", "2"),
            ("memory", "8 GiB"),
        ]
        .map(|(name, value)| (name.into(), value.into()))
        .into(),
        phases: [
            ("start", 412.0),
            ("drive", 18_220.0),
            ("settle", 1_904.0),
            ("judge", 388.0),
        ]
        .map(|(name, ms)| (name.into(), ms))
        .into(),
        overhead_ms: 2_704.0,
        directory: "results/runs/mine/20260301T093000Z-paxos-kv".into(),
        finding: None,
        error: None,
    }
}
