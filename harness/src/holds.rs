//! Which clients are inside a critical section, and which of them a fault has stopped there.
//!
//! The driver says who enters and leaves, and asks before it begins anything; faults stop clients
//! and let them go on through [`tribunal_nemesis::client::Clients`].

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use tribunal_nemesis::Pending;
use tribunal_nemesis::client::{Clients, Held, Inside};
use tribunal_results::{Kind, Nanos, NodeId, Operation, Outcome};

use crate::clock::Clock;

/// Nanoseconds in a millisecond.
const MILLISECOND: Nanos = 1_000_000;
/// The most that is remembered of clients that went on before their fault asked.
const ENDED_MAX: usize = 10_000;

/// The critical sections of all clients of a run.
#[derive(Debug)]
pub struct Holds {
    clock: Clock,
    state: Mutex<State>,
    /// Changes whenever a client is stopped or goes on.
    changed: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    /// By process and what it holds: it may hold several locks.
    inside: BTreeMap<(u64, String), Inside>,
    wishes: Vec<Wish>,
    stopped: Vec<Stopped>,
    /// Who went on, until the fault that had stopped it asks.
    ended: Vec<(u64, Held)>,
}

/// So many of those who enter next are to be stopped.
#[derive(Debug)]
struct Wish {
    token: u64,
    left: usize,
}

#[derive(Debug)]
struct Stopped {
    token: u64,
    inside: Inside,
    since: Nanos,
    /// What it was about to begin, and when.
    kept: Option<(Kind, Nanos)>,
}

impl Stopped {
    fn end(self, now: Nanos) -> (u64, Held) {
        let ms = |since: Nanos| now.saturating_sub(since) / MILLISECOND;
        let held = Held {
            inside: self.inside,
            held_ms: ms(self.since),
            kept_from: self.kept.map(|(kind, _)| kind.name().to_owned()),
            kept_ms: self.kept.map_or(0, |(_, since)| ms(since)),
        };
        (self.token, held)
    }
}

impl State {
    fn stopped_by(&self, token: u64) -> Vec<Inside> {
        let own = self.stopped.iter().filter(|stopped| stopped.token == token);
        own.map(|stopped| stopped.inside.clone()).collect()
    }

    fn end(&mut self, now: Nanos, which: impl Fn(u64) -> bool) {
        self.wishes.retain(|wish| !which(wish.token));
        let ending = self.stopped.extract_if(.., |stopped| which(stopped.token));
        self.ended.extend(ending.map(|stopped| stopped.end(now)));
        let excess = self.ended.len().saturating_sub(ENDED_MAX);
        self.ended.drain(..excess);
    }
}

impl Holds {
    /// Nobody is inside, and nobody is stopped.
    pub fn new(clock: Clock) -> Self {
        Self {
            clock,
            state: Mutex::default(),
            changed: watch::Sender::new(0),
        }
    }

    /// Changes whenever a client is stopped or goes on.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// The process is about to begin an operation: whether it is stopped and must wait.
    pub fn keeps(&self, process: u64, operation: &Operation) -> bool {
        let now = self.clock.now();
        let mut state = self.state();
        let mut stopped = state.stopped.iter_mut();
        let Some(stopped) = stopped.find(|stopped| stopped.inside.process == process) else {
            return false;
        };
        stopped.kept.get_or_insert((operation.kind(), now));
        true
    }

    /// Whether the process is stopped.
    pub fn is_stopped(&self, process: u64) -> bool {
        let state = self.state();
        let mut stopped = state.stopped.iter();
        stopped.any(|stopped| stopped.inside.process == process)
    }

    /// The process begins an operation: by giving back what it holds it leaves.
    pub fn begun(&self, process: u64, operation: &Operation) {
        if matches!(operation.kind(), Kind::Release | Kind::ReleasePermits) {
            self.state().inside.remove(&(process, key_of(operation)));
        }
    }

    /// An operation of the process has ended: by being granted something it enters, and is
    /// stopped if that is wished.
    pub fn completed(
        &self,
        process: u64,
        node: Option<&NodeId>,
        operation: &Operation,
        outcome: &Outcome,
    ) {
        let kinds = [Kind::Acquire, Kind::TryAcquire, Kind::AcquirePermits];
        let mut state = self.state();
        match outcome {
            Outcome::Ok(_) if kinds.contains(&operation.kind()) => {}
            // A process whose outcome is unknown never does anything again.
            Outcome::Info(_) => return state.inside.retain(|(of, _), _| *of != process),
            _ => return,
        }
        let inside = Inside {
            process,
            node: node.cloned(),
            lock: key_of(operation),
        };
        let key = (process, inside.lock.clone());
        state.inside.insert(key, inside.clone());
        let Some(wish) = state.wishes.iter_mut().find(|wish| wish.left > 0) else {
            return;
        };
        wish.left -= 1;
        let token = wish.token;
        state.stopped.push(Stopped {
            token,
            inside,
            since: self.clock.now(),
            kept: None,
        });
        drop(state);
        self.tell();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self) {
        self.changed.send_modify(|changes| *changes += 1);
    }
}

/// What an operation is about, in words.
fn key_of(operation: &Operation) -> String {
    operation.key().map(ToString::to_string).unwrap_or_default()
}

impl Clients for Holds {
    fn inside(&self) -> Vec<Inside> {
        self.state().inside.values().cloned().collect()
    }

    fn hold<'a>(&'a self, token: u64, count: usize) -> Pending<'a, Vec<Inside>> {
        Box::pin(async move {
            let mut changes = self.changes();
            self.state().wishes.push(Wish { token, left: count });
            loop {
                let stopped = self.state().stopped_by(token);
                // An error means that nobody is left who could enter: there is no such case.
                if stopped.len() >= count || changes.changed().await.is_err() {
                    return stopped;
                }
            }
        })
    }

    fn enough(&self, token: u64) -> Vec<Inside> {
        let mut state = self.state();
        state.wishes.retain(|wish| wish.token != token);
        state.stopped_by(token)
    }

    fn release(&self, token: u64) -> Vec<Held> {
        let mut state = self.state();
        state.end(self.clock.now(), |of| of == token);
        let own = state.ended.extract_if(.., |(of, _)| *of == token);
        let released = own.map(|(_, held)| held).collect();
        drop(state);
        self.tell();
        released
    }

    fn release_all(&self) {
        let mut state = self.state();
        if state.stopped.is_empty() && state.wishes.is_empty() {
            return;
        }
        state.end(self.clock.now(), |_| true);
        drop(state);
        self.tell();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tribunal_results::{Answer, Reason};

    fn try_acquire() -> Operation {
        Operation::TryAcquire { lock: "a".into() }
    }

    fn release() -> Operation {
        Operation::Release {
            lock: "a".into(),
            token: 1,
        }
    }

    fn enter(holds: &Holds, process: u64) {
        let granted = Outcome::Ok(Answer::Done);
        holds.completed(process, Some(&"n2".into()), &try_acquire(), &granted);
    }

    fn processes(inside: &[Inside]) -> Vec<u64> {
        inside.iter().map(|inside| inside.process).collect()
    }

    #[test]
    fn a_client_is_inside_from_its_grant_to_the_beginning_of_its_release() {
        let holds = Holds::new(Clock::start());
        let refused = Outcome::Fail(Reason::new("taken", "by another"));
        holds.completed(1, None, &try_acquire(), &refused);
        assert_eq!(holds.inside(), []);
        enter(&holds, 2);
        enter(&holds, 3);
        assert_eq!(holds.inside()[0].lock, "a");
        assert_eq!(holds.inside()[0].node.as_deref(), Some("n2"));
        holds.begun(2, &release());
        assert_eq!(processes(&holds.inside()), [3]);
        let unknown = Outcome::Info(Reason::new("timeout", "no answer"));
        holds.completed(3, None, &release(), &unknown);
        assert_eq!(holds.inside(), []);
        assert!(!holds.keeps(2, &release()), "nobody wished it");
    }

    #[test]
    fn a_client_that_holds_two_locks_is_inside_until_it_gives_both_back() {
        let holds = Holds::new(Clock::start());
        enter(&holds, 1);
        let other = Operation::TryAcquire { lock: "b".into() };
        holds.completed(1, None, &other, &Outcome::Ok(Answer::Done));
        holds.begun(1, &release());
        assert_eq!(holds.inside()[0].lock, "b");
        assert_eq!(holds.inside().len(), 1);
    }

    #[tokio::test]
    async fn those_who_enter_next_are_stopped_until_they_are_let_go_on() {
        let holds = Holds::new(Clock::start());
        enter(&holds, 1);
        let stopped = {
            let wish = holds.hold(9, 2);
            let enters = async {
                for process in [2, 3, 4] {
                    enter(&holds, process);
                }
            };
            tokio::join!(wish, enters).0
        };
        assert_eq!(processes(&stopped), [2, 3]);
        assert!(!holds.keeps(1, &release()));
        assert!(holds.keeps(2, &release()));
        assert!(holds.is_stopped(3) && !holds.is_stopped(4));
        assert!(holds.release(8).is_empty(), "another fault's");
        let released = holds.release(9);
        assert_eq!(released[0].kept_from.as_deref(), Some("release"));
        assert_eq!(
            (released[1].inside.process, &released[1].kept_from),
            (3, &None)
        );
        assert!(!holds.is_stopped(2));
        assert!(holds.release(9).is_empty(), "told once");
    }

    #[test]
    fn what_was_let_go_on_by_others_is_told_to_the_fault_that_asks() {
        let holds = Holds::new(Clock::start());
        let mut wish = holds.hold(9, 2);
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(wish.as_mut().poll(&mut context).is_pending());
        enter(&holds, 1);
        assert_eq!(processes(&holds.enough(9)), [1]);
        drop(wish);
        enter(&holds, 2);
        assert!(!holds.is_stopped(2), "it was enough");
        holds.release_all();
        assert!(!holds.is_stopped(1));
        assert_eq!(holds.release(9)[0].inside.process, 1);
    }
}
