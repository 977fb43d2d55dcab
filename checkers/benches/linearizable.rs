//! How fast the `linearizable` checker decides, and in how much memory: generated histories whose
//! truth is known.
//!
//! `cargo bench -p tribunal-checkers` runs them all, `… -- NAME` those whose name contains NAME.
//! Time is that of the CPU, on one thread; memory is all that the process held at the peak of the
//! check, with the history itself. Where there are many keys, the time on the wall is told too,
//! on one thread and on two.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
#![expect(clippy::expect_used, reason = "a benchmark that cannot go on says why")]

#[path = "../tests/random/simulation.rs"]
mod simulation;

use std::fs;
use std::process::Command;
use std::time::Instant;

use simulation::{Mix, simulate, spoil};
use tribunal_checkers::{Budget, linearizable};
use tribunal_results::{Assumptions, Event, History, Validity, Verdict};

/// A short check is repeated until so much time was measured, but not more often than this.
const ENOUGH_NANOS: u64 = 300_000_000;
const ROUNDS_MAX: u64 = 1_000;
/// The shortest of so many times on the wall is told: the machine may be busy with others.
const WALL_ROUNDS: u32 = 7;

/// A generated history and what it is to be judged as.
struct Scenario {
    name: &'static str,
    mix: Mix,
    truth: Validity,
}

/// Histories of one register with a value of its own for each write.
const UNIQUE: Mix = Mix {
    operations: 0,
    clients: 10,
    keys: 1,
    values: 0,
    reads: 50,
    cas: 0,
    unknown: 1,
};

/// Histories of one register with five values.
const FIVE: Mix = Mix {
    values: 5,
    cas: 20,
    ..UNIQUE
};

const fn valid(name: &'static str, mix: Mix) -> Scenario {
    Scenario {
        name,
        mix,
        truth: Validity::Valid,
    }
}

const fn invalid(name: &'static str, mix: Mix) -> Scenario {
    Scenario {
        name,
        mix,
        truth: Validity::Invalid,
    }
}

const fn sized(operations: u64, clients: u64, mix: Mix) -> Mix {
    Mix {
        operations,
        clients,
        ..mix
    }
}

const fn doubtful(unknown: u64, mix: Mix) -> Mix {
    Mix { unknown, ..mix }
}

fn scenarios() -> Vec<Scenario> {
    let chains = Mix {
        cas: 40,
        ..sized(100_000, 10, UNIQUE)
    };
    let many_keys = Mix {
        keys: 10_000,
        ..sized(1_000_000, 30, UNIQUE)
    };
    vec![
        valid("unique 10^3 × 10 clients", sized(1_000, 10, UNIQUE)),
        valid("unique 10^4 × 10 clients", sized(10_000, 10, UNIQUE)),
        valid("unique 10^5 × 10 clients", sized(100_000, 10, UNIQUE)),
        valid("unique 10^6 × 10 clients", sized(1_000_000, 10, UNIQUE)),
        invalid("unique 10^5, spoilt", sized(100_000, 10, UNIQUE)),
        valid("unique with cas 10^5", chains),
        invalid("unique with cas 10^5, spoilt", chains),
        valid("unique 10^3 × 20 clients", sized(1_000, 20, UNIQUE)),
        invalid("unique 10^3 × 20 clients, spoilt", sized(1_000, 20, UNIQUE)),
        valid("unique 10^3 × 30 clients", sized(1_000, 30, UNIQUE)),
        valid("unique 10^6, 10^4 keys", many_keys),
        valid("cas 5 values 10^5", doubtful(0, sized(100_000, 10, FIVE))),
        valid("cas 5 values 2·10^4, 1% unknown", sized(20_000, 10, FIVE)),
        invalid(
            "cas 5 values 2·10^4, 1% unknown, spoilt",
            sized(20_000, 10, FIVE),
        ),
        valid("cas 5 values 10^3 × 20 clients", sized(1_000, 20, FIVE)),
        invalid(
            "cas 5 values 10^3 × 20 clients, spoilt",
            sized(1_000, 20, FIVE),
        ),
        valid("cas 5 values 10^3 × 30 clients", sized(1_000, 30, FIVE)),
        invalid(
            "cas 500, 5% unknown, spoilt",
            doubtful(5, sized(500, 5, FIVE)),
        ),
        invalid(
            "cas 500, 20% unknown, spoilt",
            doubtful(20, sized(500, 5, FIVE)),
        ),
    ]
}

/// Nanoseconds that this thread has spent on a CPU.
fn cpu_nanos() -> u64 {
    let text = fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    let first = text.split_whitespace().next().expect("a figure");
    first.parse().expect("nanoseconds")
}

/// A figure of this process's memory in KiB.
fn memory(figure: &str) -> u64 {
    let text = fs::read_to_string("/proc/self/status").expect("Linux");
    let line = text.lines().find_map(|line| line.strip_prefix(figure));
    let number = line.and_then(|line| line.split_whitespace().nth(1));
    number.expect("a figure").parse().expect("KiB")
}

fn check(history: &History, threads: usize) -> Verdict {
    linearizable::check(history, &Assumptions::default(), Budget::default(), threads)
}

/// How long a check takes.
#[expect(
    clippy::disallowed_methods,
    reason = "what is measured is the time on the wall"
)]
fn wall_nanos(history: &History, threads: usize) -> u128 {
    let start = Instant::now();
    check(history, threads);
    start.elapsed().as_nanos()
}

fn run(scenario: &Scenario) {
    let mut events: Vec<Event> = simulate(1, scenario.mix);
    if scenario.truth == Validity::Invalid {
        spoil(&mut events);
    }
    let history = History::from_events(events).expect("a well-formed history");
    // Forget the peak so far.
    fs::write("/proc/self/clear_refs", "5").expect("Linux 4.0");
    let start = cpu_nanos();
    let verdict = check(&history, 1);
    let peak = memory("VmHWM");
    let mut rounds = 1;
    while cpu_nanos() - start < ENOUGH_NANOS && rounds < ROUNDS_MAX {
        assert_eq!(verdict, check(&history, 1));
        rounds += 1;
    }
    let nanos = (cpu_nanos() - start) / rounds;
    let rate = scenario.mix.operations * 1_000_000_000 / nanos.max(1);
    let figure = |name: &str| verdict.figures.get(name).cloned().unwrap_or_default();
    println!(
        "{:<42} {:>9} µs {:>9} ops/s {:>4} MiB  {:?}, {} steps, {} at peak",
        scenario.name,
        nanos / 1_000,
        rate,
        peak / 1024,
        verdict.validity,
        figure("steps"),
        figure("configurations-peak"),
    );
    if scenario.mix.keys > 1 {
        for threads in [1, 2] {
            let nanos = (0..WALL_ROUNDS)
                .map(|_| wall_nanos(&history, threads))
                .min();
            let micros = nanos.unwrap_or_default() / 1_000;
            println!(
                "{:<42} {micros:>9} µs on the wall, threads: {threads}",
                scenario.name
            );
        }
    }
    if verdict.validity != scenario.truth {
        println!("WRONG OR UNDECIDED: {}", verdict.summary);
    }
}

fn main() {
    let wanted = std::env::args().skip(1).find(|arg| !arg.starts_with('-'));
    let wanted = wanted.unwrap_or_default();
    let scenarios = scenarios();
    if let Some(scenario) = scenarios.iter().find(|s| s.name == wanted) {
        return run(scenario);
    }
    for scenario in scenarios.iter().filter(|s| s.name.contains(&wanted)) {
        // In a process of its own: memory that another left behind would count.
        let program = std::env::current_exe().expect("this program");
        let status = Command::new(program).arg(scenario.name).status();
        assert!(status.expect("a process").success(), "{}", scenario.name);
    }
}
