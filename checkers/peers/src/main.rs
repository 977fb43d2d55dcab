//! The published linearizability checkers beside ours: the same histories, in the same run.
//!
//! `cargo run --release --manifest-path checkers/peers/Cargo.toml`. Each figure comes from a
//! process of its own: CPU time of the check alone, and the memory that the process held at its
//! peak, with the history. Who is not done after [`LIMIT`] is stopped.

#[path = "../../tests/random/simulation.rs"]
mod simulation;

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use simulation::{Mix, simulate, spoil};
use stateright::semantics::{ConsistencyTester, LinearizabilityTester, SequentialSpec};
use todc_utils::linearizability::{WGLChecker, history::Action, history::History as Log};
use todc_utils::specifications::Specification;
use tribunal_checkers::{Budget, Checker, linearizable::Linearizable};
use tribunal_results::{
    Answer, Body, Event, History, Operation, Outcome, Process, Record, Scalar, Validity,
};

/// The longest that one check may take.
const LIMIT: Duration = Duration::from_secs(60);

/// Five values, half reads, every fifth mutator a compare-and-set, no unknown ends.
const fn mix(operations: u64, clients: u64, values: u64) -> Mix {
    Mix {
        operations,
        clients,
        keys: 1,
        values,
        reads: 50,
        cas: 20,
        unknown: 0,
    }
}

/// What is judged, and whether an impossible read is put at its end.
const SCENARIOS: [(&str, Mix, bool); 8] = [
    ("1,000 × 5 clients, 5 values", mix(1_000, 5, 5), false),
    ("1,000 × 10 clients, 5 values", mix(1_000, 10, 5), false),
    ("1,000 × 10 clients, 5 values, spoilt", mix(1_000, 10, 5), true),
    ("1,000 × 20 clients, 5 values", mix(1_000, 20, 5), false),
    ("10,000 × 5 clients, 5 values", mix(10_000, 5, 5), false),
    ("10,000 × 10 clients, 5 values", mix(10_000, 10, 5), false),
    ("10,000 × 10 clients, unique values", mix(10_000, 10, 0), false),
    ("100,000 × 10 clients, 5 values", mix(100_000, 10, 5), false),
];

const CHECKERS: [(&str, fn(&[Event]) -> bool); 3] =
    [("tribunal", ours), ("todc-utils", todc), ("stateright", stateright)];

fn ours(events: &[Event]) -> bool {
    let record = Record {
        history: History::from_events(events.to_vec()).expect("a well-formed history"),
        ..Record::default()
    };
    Linearizable.check(&record, Budget::default()).validity == Validity::Valid
}

/// An operation of the register, with its answer once it is known.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Op {
    Read(Option<Option<Scalar>>),
    Write(Scalar),
    /// Whether it took effect.
    Cas(Scalar, Scalar, Option<bool>),
}

fn asked(operation: &Operation) -> Op {
    match operation {
        Operation::Write { value, .. } => Op::Write(value.clone()),
        Operation::Cas { from, to, .. } => Op::Cas(from.clone(), to.clone(), None),
        _ => Op::Read(None),
    }
}

fn answered(operation: &Operation, outcome: &Outcome) -> Op {
    match (asked(operation), outcome) {
        (Op::Read(_), Outcome::Ok(Answer::Value(value))) => Op::Read(Some(value.clone())),
        (Op::Cas(from, to, _), outcome) => {
            Op::Cas(from, to, Some(matches!(outcome, Outcome::Ok(_))))
        }
        (op, _) => op,
    }
}

struct Register;

impl Specification for Register {
    type State = Option<Scalar>;
    type Operation = Op;

    fn init() -> Self::State {
        None
    }

    fn apply(op: &Op, state: &Self::State) -> (bool, Self::State) {
        match op {
            Op::Read(seen) => (seen.as_ref() == Some(state), state.clone()),
            Op::Write(value) => (true, Some(value.clone())),
            Op::Cas(from, to, done) => {
                let fits = state.as_ref() == Some(from);
                let next = if fits { Some(to.clone()) } else { state.clone() };
                (*done == Some(fits), next)
            }
        }
    }
}

fn process(event: &Event) -> usize {
    match event.process {
        Process::Client(process) => process as usize,
        Process::Nemesis => unreachable!("there is no nemesis"),
    }
}

fn todc(events: &[Event]) -> bool {
    let actions = events.iter().map(|event| match &event.body {
        Body::Invoke(operation) => (process(event), Action::Call(asked(operation))),
        Body::Complete(operation, outcome) => {
            let answer = answered(operation, outcome);
            (process(event), Action::Response(answer))
        }
        _ => unreachable!("there is no nemesis"),
    });
    WGLChecker::<Register>::is_linearizable(Log::from_actions(actions.collect()))
}

/// The register as a reference implementation.
#[derive(Clone, Debug, Default)]
struct Reference(Option<Scalar>);

#[derive(Clone, Debug, PartialEq)]
enum Returned {
    Read(Option<Scalar>),
    Written,
    Cas(bool),
}

impl SequentialSpec for Reference {
    type Op = Op;
    type Ret = Returned;

    fn invoke(&mut self, op: &Op) -> Returned {
        match op {
            Op::Read(_) => Returned::Read(self.0.clone()),
            Op::Write(value) => {
                self.0 = Some(value.clone());
                Returned::Written
            }
            Op::Cas(from, to, _) => {
                let fits = self.0.as_ref() == Some(from);
                if fits {
                    self.0 = Some(to.clone());
                }
                Returned::Cas(fits)
            }
        }
    }
}

fn stateright(events: &[Event]) -> bool {
    let mut tester = LinearizabilityTester::new(Reference::default());
    for event in events {
        let thread = process(event);
        match &event.body {
            Body::Invoke(operation) => tester.on_invoke(thread, asked(operation)),
            Body::Complete(operation, outcome) => {
                let returned = match answered(operation, outcome) {
                    Op::Read(seen) => Returned::Read(seen.flatten()),
                    Op::Write(_) => Returned::Written,
                    Op::Cas(_, _, done) => Returned::Cas(done == Some(true)),
                };
                tester.on_return(thread, returned)
            }
            _ => unreachable!("there is no nemesis"),
        }
        .expect("a well-formed history");
    }
    tester.is_consistent()
}

/// Nanoseconds that this thread has spent on a CPU.
fn cpu_nanos() -> u64 {
    let text = fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    let first = text.split_whitespace().next().expect("a figure");
    first.parse().expect("nanoseconds")
}

fn peak_mib() -> u64 {
    let text = fs::read_to_string("/proc/self/status").expect("Linux");
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    number.expect("a figure").parse::<u64>().expect("KiB") / 1024
}

fn measure(scenario: usize, checker: usize) {
    let (_, mix, spoilt) = SCENARIOS[scenario];
    let (_, check) = CHECKERS[checker];
    let mut events = simulate(1, mix);
    if spoilt {
        spoil(&mut events);
    }
    let start = cpu_nanos();
    let valid = check(&events);
    let nanos = cpu_nanos() - start;
    assert_eq!(valid, !spoilt, "a wrong verdict");
    let rate = mix.operations * 1_000_000_000 / nanos.max(1);
    let (millis, mib) = (nanos as f64 / 1e6, peak_mib());
    println!("{millis:>10.1} CPU-ms {rate:>10} ops/CPU-s {mib:>6} MiB");
}

fn main() {
    let numbers: Vec<usize> = std::env::args().skip(1).filter_map(|a| a.parse().ok()).collect();
    if let [scenario, checker] = numbers[..] {
        // Peers recurse over the history.
        let work = std::thread::Builder::new().stack_size(1 << 30);
        let work = work.spawn(move || measure(scenario, checker)).expect("a thread");
        return work.join().expect("a figure");
    }
    for (scenario, (name, ..)) in SCENARIOS.iter().enumerate() {
        println!("{name}");
        for (checker, (whose, _)) in CHECKERS.iter().enumerate() {
            let told = alone(scenario, checker).unwrap_or_else(|| {
                format!("not done after {} s, or out of memory\n", LIMIT.as_secs())
            });
            print!("  {whose:<12}{told}");
        }
    }
}

/// One measurement in a process of its own; `None` if it does not end well in time.
fn alone(scenario: usize, checker: usize) -> Option<String> {
    let mut child = Command::new(std::env::current_exe().ok()?)
        .args([scenario.to_string(), checker.to_string()])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let start = Instant::now();
    while start.elapsed() < LIMIT {
        if child.try_wait().ok()?.is_some() {
            let output = child.wait_with_output().ok()?;
            return output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill().ok()?;
    child.wait().ok()?;
    None
}
