//! How fast objects are decided without search, and in how much memory: generated columns whose
//! truth is known.
//!
//! `cargo bench -p tribunal-checkers --bench objects` runs them all, `… -- NAME` those whose name
//! contains NAME. Time is that of the CPU, of this thread alone; memory is all that the process
//! held at the peak, with the columns themselves.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
#![expect(clippy::expect_used, reason = "a benchmark that cannot go on says why")]

mod measure;

use std::collections::VecDeque;

use tribunal_checkers::exact::{Decision, decide};
use tribunal_checkers::normal::{Columns, DONE, Family, NO, NONE, OPEN, Row, YES};
use tribunal_results::{Assumptions, Kind};

const CLIENTS: usize = 10;
const PERMITS: u32 = 5;
/// How many full reads there are of a list or set, whatever its size.
const FULL_READS: u64 = 20;

/// A linear congruential generator (Knuth's MMIX constants).
struct Lcg(u64);

impl Lcg {
    fn below(&mut self, bound: u64) -> u64 {
        const STEP: u64 = 6_364_136_223_846_793_005;
        self.0 = self
            .0
            .wrapping_mul(STEP)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// The object that answers.
#[derive(Default)]
struct Truth {
    line: VecDeque<u32>,
    there: Vec<bool>,
    amount: u32,
}

/// What a client is about to do, does, or has done.
#[derive(Clone, Copy, PartialEq)]
enum Phase {
    Idle,
    Called(usize),
    Done(usize),
}

/// Operations whose effects come at random instants between their calls and returns.
struct Generator {
    family: Family,
    full: bool,
    operations: u64,
    random: Lcg,
    truth: Truth,
    next_value: u32,
    /// Of all operations that were called: to acquire is only called while it can succeed.
    promised: u32,
    columns: Columns,
    rows: Vec<Row>,
}

impl Generator {
    fn draw(&mut self) -> (Kind, u32) {
        let coin = self.random.below(2) == 0;
        let full = self.random.below(self.operations) < FULL_READS;
        let mut fresh = || {
            self.next_value += 1;
            self.next_value
        };
        match self.family {
            Family::Queue if coin => (Kind::Enqueue, fresh()),
            Family::Queue => (Kind::Dequeue, NONE),
            Family::Stack if coin => (Kind::Push, fresh()),
            Family::Stack => (Kind::Pop, NONE),
            Family::List if full => (Kind::Elements, NONE),
            Family::List => (Kind::Append, fresh()),
            Family::Set if self.full && full => (Kind::Members, NONE),
            Family::Set if self.full => (Kind::Add, fresh()),
            Family::Set => {
                let value = 1 + self.random.below(self.operations / 4 + 1) as u32;
                let kind = [Kind::Add, Kind::Remove, Kind::Contains];
                (kind[self.random.below(3) as usize], value)
            }
            Family::Counter if coin => (Kind::Increment, 1),
            Family::Counter => (Kind::Count, NONE),
            Family::Semaphore if self.promised < PERMITS && (coin || self.truth.amount == 0) => {
                self.promised += 1;
                (Kind::AcquirePermits, 1)
            }
            _ => (Kind::ReleasePermits, 1),
        }
    }

    /// Whether the operation can take effect now; otherwise it waits.
    fn effect(&mut self, at: usize) -> bool {
        let row = &mut self.rows[at];
        let (truth, value) = (&mut self.truth, row.argument as usize);
        row.answer = match row.kind {
            Kind::Enqueue | Kind::Push | Kind::Append => {
                truth.line.push_back(row.argument);
                DONE
            }
            Kind::Dequeue => truth.line.pop_front().unwrap_or(NONE),
            Kind::Pop => truth.line.pop_back().unwrap_or(NONE),
            Kind::Add if self.full => {
                truth.line.push_back(row.argument);
                DONE
            }
            Kind::Elements | Kind::Members => self.columns.push_list(truth.line.iter().copied()),
            Kind::Contains => {
                if truth.there[value] {
                    YES
                } else {
                    NO
                }
            }
            Kind::Add | Kind::Remove => {
                let there = row.kind == Kind::Add;
                let before = std::mem::replace(&mut truth.there[value], there);
                if before == there { NO } else { YES }
            }
            Kind::Increment => {
                truth.amount += 1;
                DONE
            }
            Kind::Count => truth.amount,
            Kind::AcquirePermits => {
                truth.amount += 1;
                DONE
            }
            _ if truth.amount == 0 => return false,
            _ => {
                truth.amount -= 1;
                self.promised -= 1;
                DONE
            }
        };
        true
    }

    /// Runs until so many operations were called and nothing is left to do.
    fn run(mut self, lost: u64) -> Columns {
        let mut clients: Vec<(u32, Phase)> =
            (0..CLIENTS as u32).map(|c| (c, Phase::Idle)).collect();
        let mut event = 0;
        let mut idle_for = 0;
        while idle_for < 100 * CLIENTS {
            idle_for += 1;
            let client = self.random.below(CLIENTS as u64) as usize;
            let (process, phase) = clients[client];
            let next = match phase {
                Phase::Idle if self.rows.len() as u64 == self.operations => continue,
                Phase::Idle => {
                    let (kind, argument) = self.draw();
                    let (answer, ret, place) = (DONE, OPEN, self.rows.len() as u32);
                    let call = event;
                    self.rows.push(Row {
                        kind,
                        process,
                        argument,
                        answer,
                        call,
                        ret,
                        place,
                    });
                    event += 1;
                    Phase::Called(place as usize)
                }
                Phase::Called(at) if self.effect(at) => Phase::Done(at),
                Phase::Called(_) => continue,
                Phase::Done(at) => {
                    let row = &mut self.rows[at];
                    let puts = row.kind.mutates() && row.argument != NONE;
                    if puts && self.family != Family::Semaphore && self.random.below(100) < lost {
                        row.answer = DONE;
                        clients[client].0 += CLIENTS as u32;
                    } else {
                        row.ret = event;
                    }
                    event += 1;
                    Phase::Idle
                }
            };
            clients[client].1 = next;
            idle_for = 0;
        }
        for row in self.rows {
            // What can never be done, was never asked.
            if row.ret != OPEN || row.kind != Kind::ReleasePermits {
                self.columns.push(row);
            }
        }
        self.columns
    }
}

struct Scenario {
    name: String,
    family: Family,
    full: bool,
    operations: u64,
    lost: u64,
    spoilt: bool,
}

fn scenarios() -> Vec<Scenario> {
    let objects = [
        ("queue", Family::Queue, false),
        ("stack", Family::Stack, false),
        ("set elements", Family::Set, false),
        ("grow-only set", Family::Set, true),
        ("list", Family::List, true),
        ("counter", Family::Counter, false),
        ("semaphore", Family::Semaphore, false),
    ];
    let mut all = Vec::new();
    for (object, family, full) in objects {
        for power in 3..=6 {
            let operations = 10_u64.pow(power);
            all.push((
                format!("{object} 10^{power}"),
                family,
                full,
                operations,
                0,
                false,
            ));
        }
        all.push((
            format!("{object} 10^6, 1% unknown"),
            family,
            full,
            1_000_000,
            1,
            false,
        ));
        all.push((
            format!("{object} 10^5, spoilt"),
            family,
            full,
            100_000,
            0,
            true,
        ));
    }
    let scenario = |(name, family, full, operations, lost, spoilt)| Scenario {
        name,
        family,
        full,
        operations,
        lost,
        spoilt,
    };
    all.into_iter().map(scenario).collect()
}

/// Adds an answer that cannot be, at the end.
fn spoil(columns: &mut Columns) {
    let end = columns.rets().iter().filter(|ret| **ret != OPEN).max();
    let call = end.map_or(0, |end| end + 1);
    let (kind, argument, answer) = match columns.family {
        Family::Queue => (Kind::Dequeue, NONE, 1),
        Family::Stack => (Kind::Pop, NONE, 1),
        Family::Set if columns.rows().any(|row| row.kind == Kind::Members) => {
            let list = columns.push_list([2]);
            (Kind::Members, NONE, list)
        }
        Family::Set => (Kind::Remove, columns.numbers() as u32, YES),
        Family::List => {
            let list = columns.push_list([2, 1]);
            (Kind::Elements, NONE, list)
        }
        Family::Counter => (Kind::Count, NONE, 7),
        Family::Semaphore | Family::Register => (Kind::ReleasePermits, 1, DONE),
    };
    // As many as it takes to find no permit left.
    let copies = if columns.family == Family::Semaphore {
        PERMITS + 1
    } else {
        1
    };
    for nth in 0..copies {
        let (call, place) = (call + 2 * nth, columns.len() as u32);
        let (process, ret) = (u32::MAX, call + 1);
        columns.push(Row {
            kind,
            process,
            argument,
            answer,
            call,
            ret,
            place,
        });
    }
}

fn run(scenario: &Scenario) {
    let generator = Generator {
        family: scenario.family,
        full: scenario.full,
        operations: scenario.operations,
        random: Lcg(scenario.operations),
        truth: Truth {
            there: vec![false; scenario.operations as usize],
            ..Truth::default()
        },
        next_value: 0,
        promised: 0,
        columns: Columns::new(scenario.family),
        rows: Vec::new(),
    };
    let mut columns = generator.run(scenario.lost);
    if scenario.spoilt {
        spoil(&mut columns);
    }
    let assume = Assumptions {
        owned: false,
        permits: PERMITS,
        ..Assumptions::default()
    };
    let (decision, cost) = measure::measure(|| decide(&columns, &assume));
    assert_eq!(decision, decide(&columns, &assume));
    let found = match &decision {
        None => "undecided".to_owned(),
        Some(Decision::Linearizable) => "linearizable".to_owned(),
        Some(Decision::Contradiction(c)) => format!("{} ({} calls)", c.name, c.calls.len()),
    };
    measure::row(&scenario.name, columns.len() as u64, cost, &found);
    let linearizable = decision == Some(Decision::Linearizable);
    if linearizable == scenario.spoilt || decision.is_none() {
        println!("WRONG OR UNDECIDED");
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
        measure::apart(&[&scenario.name]);
    }
}
