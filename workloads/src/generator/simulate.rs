//! Generators in virtual time: a scheduler without clients, for tests and to try things out.
//!
//! ```
//! use tribunal_workloads::generator::{FromFn, Limit, Stagger, simulate};
//! use tribunal_results::{Answer, Operation, Outcome};
//!
//! let read = FromFn::repeat(Operation::Read { key: "x".into() });
//! let mut generator = Stagger::every(10_000_000, Limit::new(3, read));
//! let trace = simulate::run(&mut generator, 2, |_: &simulate::Asked| {
//!     (1_000_000, Outcome::Ok(Answer::Value(None)))
//! });
//! assert_eq!(trace.to_string(), "\
//! 0 ms p0 read x → nothing at 1 ms
//! 10 ms p1 read x → nothing at 11 ms
//! 20 ms p0 read x → nothing at 21 ms
//! exhausted
//! ");
//! ```

use std::fmt;

use tribunal_results::{Answer, Nanos, Operation, Outcome};

use super::{Completion, Generator, Offer, Proposal, Threads, View};

/// How many operations are simulated at most.
pub const STEPS_MAX: usize = 2_000_000;

/// An operation as the simulated system sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    /// When.
    pub time: Nanos,
    /// The thread that asks.
    pub thread: usize,
    /// The process that it carries.
    pub process: u64,
    /// What is asked.
    pub operation: Operation,
}

/// A simulated system. A function from what is asked to a latency in nanoseconds and an outcome
/// is one.
pub trait System {
    /// Something is asked. Answers with the latency and the outcome, or with nothing if that
    /// depends on what comes; then [`late`](Self::late) has to give it.
    fn ask(&mut self, asked: &Asked) -> Option<(Nanos, Outcome)>;

    /// The next answer to something that was asked before: the thread, when, and the outcome.
    /// Asked for whenever something happened; called again until it says nothing. An answer
    /// that was given is final.
    fn late(&mut self, _now: Nanos) -> Option<(usize, Nanos, Outcome)> {
        None
    }

    /// When [`late`](Self::late) is worth asking even if nothing else happens.
    fn wakes_at(&self) -> Option<Nanos> {
        None
    }
}

impl<F: FnMut(&Asked) -> (Nanos, Outcome)> System for F {
    fn ask(&mut self, asked: &Asked) -> Option<(Nanos, Outcome)> {
        Some(self(asked))
    }
}

/// One operation, from its invocation to its end.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// What was asked, when and by whom.
    pub asked: Asked,
    /// When it ended, and how; nothing if the simulation ended first.
    pub ended: Option<(Nanos, Outcome)>,
}

/// Why a simulation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The generator is exhausted.
    Exhausted,
    /// The generator is pending, and nothing is outstanding: a mistake in a generator.
    Stuck,
    /// [`STEPS_MAX`] operations were simulated.
    Cut,
}

/// What happened in a simulation.
#[derive(Clone, Debug, PartialEq)]
pub struct Trace {
    /// The operations, in the order of their invocations.
    pub steps: Vec<Step>,
    /// Why there are no more.
    pub end: End,
}

/// Runs a generator with so many threads against a system, from time 0 until it is exhausted.
pub fn run(generator: &mut dyn Generator, threads: usize, system: impl System) -> Trace {
    run_from(generator, threads, 0, system)
}

/// The same from another time on.
pub fn run_from(
    generator: &mut dyn Generator,
    threads: usize,
    time: Nanos,
    system: impl System,
) -> Trace {
    let mut simulation = Simulation {
        time,
        threads: Threads::new(threads),
        running: vec![None; threads],
        steps: Vec::new(),
        system,
    };
    let end = loop {
        match simulation.advance(generator) {
            None => {}
            Some(end) => break end,
        }
    };
    Trace {
        steps: simulation.steps,
        end,
    }
}

/// An operation under way.
#[derive(Clone)]
struct Running {
    step: usize,
    proposal: Proposal,
    end: Option<(Nanos, Outcome)>,
}

struct Simulation<S> {
    time: Nanos,
    threads: Threads,
    running: Vec<Option<Running>>,
    steps: Vec<Step>,
    system: S,
}

impl<S: System> Simulation<S> {
    /// Does the next thing that happens: completions first, then invocations.
    fn advance(&mut self, generator: &mut dyn Generator) -> Option<End> {
        self.hear_late_answers();
        let event = self.next_event();
        if event.is_some_and(|at| at <= self.time) && self.complete_due(generator) {
            return None;
        }
        if self.steps.len() >= STEPS_MAX {
            return Some(End::Cut);
        }
        match generator.offer(&self.view()) {
            Offer::Invoke(proposal) if proposal.at <= self.time => self.take(generator, proposal),
            Offer::Invoke(proposal) => match event {
                Some(at) if at <= proposal.at => self.time = at,
                _ => {
                    self.time = proposal.at;
                    self.take(generator, proposal);
                }
            },
            Offer::Pending | Offer::Exhausted if event.is_some() => {
                self.time = event.unwrap_or(self.time);
            }
            Offer::Pending => return Some(End::Stuck),
            Offer::Exhausted => return Some(End::Exhausted),
        }
        None
    }

    fn view(&self) -> View<'_> {
        View {
            time: self.time,
            threads: &self.threads,
            range: 0..self.threads.count(),
        }
    }

    fn hear_late_answers(&mut self) {
        while let Some((thread, at, outcome)) = self.system.late(self.time) {
            if let Some(Some(running)) = self.running.get_mut(thread) {
                running.end = Some((at.max(self.time), outcome));
            }
        }
    }

    fn next_event(&self) -> Option<Nanos> {
        let ends = self.running.iter().flatten();
        let ends = ends.filter_map(|running| running.end.as_ref().map(|(at, _)| *at));
        let wake = self.system.wakes_at().filter(|at| *at > self.time);
        ends.chain(wake).min()
    }

    fn complete_due(&mut self, generator: &mut dyn Generator) -> bool {
        let due = |running: &Option<Running>| {
            let end = running.as_ref().and_then(|running| running.end.as_ref());
            end.is_some_and(|(at, _)| *at <= self.time)
        };
        let Some(thread) = self.running.iter().position(due) else {
            return false;
        };
        let running = self.running.get_mut(thread).and_then(Option::take);
        let Some((running, (at, outcome))) = running.and_then(|mut running| {
            let end = running.end.take()?;
            Some((running, end))
        }) else {
            return false;
        };
        self.threads.give_back(thread, false);
        let completion = Completion {
            thread,
            process: self.threads.process(thread),
            operation: &running.proposal.operation,
            outcome: &outcome,
        };
        generator.completed(&self.view(), &completion, &running.proposal.route);
        if matches!(outcome, Outcome::Info(_)) {
            self.threads.give_back(thread, true);
        }
        if let Some(step) = self.steps.get_mut(running.step) {
            step.ended = Some((at, outcome));
        }
        true
    }

    fn take(&mut self, generator: &mut dyn Generator, proposal: Proposal) {
        generator.taken(&self.view(), &proposal, &proposal.route);
        self.threads.take(proposal.thread);
        let asked = Asked {
            time: self.time,
            thread: proposal.thread,
            process: self.threads.process(proposal.thread),
            operation: proposal.operation.clone(),
        };
        let answer = self.system.ask(&asked);
        let end = answer.map(|(latency, outcome)| (self.time + latency, outcome));
        let step = self.steps.len();
        self.steps.push(Step { asked, ended: None });
        if let Some(running) = self.running.get_mut(proposal.thread) {
            *running = Some(Running {
                step,
                proposal,
                end,
            });
        }
    }
}

/// Milliseconds, with as many decimals as needed.
struct Millis(Nanos);

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ms", self.0 as f64 / 1e6)
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Asked {
            time,
            process,
            operation,
            ..
        } = &self.asked;
        write!(f, "{} p{process} {operation}", Millis(*time))?;
        match &self.ended {
            None => f.write_str(" …"),
            Some((at, outcome)) => {
                match outcome {
                    Outcome::Ok(Answer::Done) => f.write_str(" ok")?,
                    Outcome::Ok(answer) => write!(f, " → {answer}")?,
                    Outcome::Fail(reason) => write!(f, " failed ({})", reason.code)?,
                    Outcome::Info(reason) => write!(f, " unknown ({})", reason.code)?,
                }
                write!(f, " at {}", Millis(*at))
            }
        }
    }
}

impl fmt::Display for Trace {
    /// A line for each operation, and one that says why there are no more: a notation to compare
    /// with in tests.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in &self.steps {
            writeln!(f, "{step}")?;
        }
        f.write_str(match self.end {
            End::Exhausted => "exhausted\n",
            End::Stuck => "stuck\n",
            End::Cut => "cut\n",
        })
    }
}
