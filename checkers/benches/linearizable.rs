//! How fast the `linearizable` checker decides, and in how much memory: generated histories whose
//! truth is known.
//!
//! `cargo bench -p tribunal-checkers` runs them all, `… -- NAME` those whose name contains NAME.
//! Time is that of the CPU, on one thread; memory is all that the process held at the peak of the
//! check, with the history itself. Where there are many keys, the time on the wall is told too,
//! on one thread and on two.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
#![expect(clippy::expect_used, reason = "a benchmark that cannot go on says why")]

mod measure;

#[path = "../tests/random/simulation.rs"]
mod simulation;

use std::collections::HashMap;
use std::time::Instant;

use simulation::{Mix, simulate, spoil};
use tribunal_checkers::{Budget, linearizable};
use tribunal_results::{Assumptions, Body, Event, History, Outcome, Validity, Verdict};

/// The shortest of so many times on the wall is told: the machine may be busy with others.
const WALL_ROUNDS: u32 = 7;

/// A generated history and what it is to be judged as.
struct Scenario {
    name: &'static str,
    mix: Mix,
    /// Whether compare-and-sets that were refused are left out.
    granted: bool,
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
        granted: false,
        truth: Validity::Valid,
    }
}

const fn invalid(name: &'static str, mix: Mix) -> Scenario {
    Scenario {
        name,
        mix,
        granted: false,
        truth: Validity::Invalid,
    }
}

const fn granted(scenario: Scenario) -> Scenario {
    Scenario {
        granted: true,
        ..scenario
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
        valid("unique with cas 10^6", sized(1_000_000, 10, chains)),
        granted(valid(
            "unique with cas 10^6, granted",
            sized(1_000_000, 10, chains),
        )),
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
        // How wide it goes: what is open at once makes configurations, and those take the budget.
        valid("cas 5 values 10^3 × 40 clients", sized(1_000, 40, FIVE)),
        valid("cas 5 values 10^3 × 60 clients", sized(1_000, 60, FIVE)),
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

/// The same history without operations that failed.
fn without_refusals(events: Vec<Event>) -> Vec<Event> {
    let mut keep = vec![true; events.len()];
    let mut invoked = HashMap::new();
    for (at, event) in events.iter().enumerate() {
        match event.body {
            Body::Invoke(_) => drop(invoked.insert(event.process, at)),
            Body::Complete(_, Outcome::Fail(_)) => {
                keep[at] = false;
                keep[invoked[&event.process]] = false;
            }
            _ => {}
        }
    }
    let kept = events.into_iter().zip(keep).filter(|(_, keep)| *keep);
    (0..)
        .zip(kept)
        .map(|(index, (event, _))| Event { index, ..event })
        .collect()
}

fn run(scenario: &Scenario) {
    let mut events: Vec<Event> = simulate(1, scenario.mix);
    if scenario.truth == Validity::Invalid {
        spoil(&mut events);
    }
    if scenario.granted {
        events = without_refusals(events);
    }
    let history = History::from_events(events).expect("a well-formed history");
    let (verdict, cost) = measure::measure(|| check(&history, 1));
    assert_eq!(verdict, check(&history, 1));
    let figure = |name: &str| verdict.figures.get(name).cloned().unwrap_or_default();
    let said = format!(
        "{:?}, {} steps, {} at peak",
        verdict.validity,
        figure("steps"),
        figure("configurations-peak"),
    );
    measure::row(scenario.name, history.calls().len() as u64, cost, &said);
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
        measure::apart(&[scenario.name]);
    }
}
