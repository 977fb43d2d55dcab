//! Whether any run of a first-in-first-out semaphore explains what its clients saw, by trying all
//! instants of all arrivals, and all orders of what happens at one instant.
//!
//! All times are whole, and so are waits. That is enough: what a run must obey are differences of
//! times, so if there is any run in continuous time, there is one at whole instants with the same
//! order, in which some things happen at once.

use std::collections::HashSet;

use tribunal_results::{Answer, Operation, Outcome};

use crate::random::Timed;

/// What the semaphore obeys.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    pub(crate) permits: u64,
    /// In the unit of time.
    pub(crate) wait: u64,
    /// Whether permits may be lost to their holder at any time.
    pub(crate) leases: bool,
}

/// What has to become of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// Granted, or given back.
    Done,
    /// Refused after the wait.
    InVain,
    /// Refused at any time.
    Refused,
    Unknown,
}

#[derive(Clone, Copy, Debug)]
struct Ask {
    call: u64,
    ret: u64,
    takes: bool,
    permits: u64,
    /// Where the permits go to, or come from.
    pool: usize,
    end: End,
}

/// How far a call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Stage {
    Asked,
    Queued,
    Over,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct State {
    now: u64,
    stages: Vec<Stage>,
    /// Who waits, and since when.
    queue: Vec<(usize, u64)>,
    pools: Vec<u64>,
}

struct Oracle {
    rules: Rules,
    asks: Vec<Ask>,
    end: u64,
    seen: HashSet<State>,
}

/// Whether a correct semaphore can have answered so. Times are counted in `unit`.
pub(crate) fn possible(ops: &[Timed], unit: u64, rules: Rules) -> bool {
    let asks = asks(ops, unit);
    let state = State {
        now: 0,
        stages: vec![Stage::Asked; asks.len()],
        queue: Vec::new(),
        pools: vec![0; 2 * asks.len()],
    };
    let end = asks.iter().map(|ask| ask.ret).max().unwrap_or(0);
    let seen = HashSet::new();
    let mut oracle = Oracle {
        rules,
        asks,
        end,
        seen,
    };
    oracle.explore(state)
}

fn asks(ops: &[Timed], unit: u64) -> Vec<Ask> {
    let mut owners: Vec<(u64, Option<u64>)> = Vec::new();
    let mut asks = Vec::new();
    for (at, op) in ops.iter().enumerate() {
        let (takes, permits, token) = match (&op.operation, &op.outcome) {
            (Operation::AcquirePermits { permits, .. }, Outcome::Ok(Answer::Grant(grant))) => {
                (true, *permits, Some(grant.token))
            }
            (Operation::AcquirePermits { permits, .. }, _) => (true, *permits, None),
            (Operation::ReleasePermits { permits, token, .. }, _) => (false, *permits, *token),
            _ => continue,
        };
        let end = match &op.outcome {
            Outcome::Ok(_) => End::Done,
            Outcome::Fail(reason) if reason.code == "temporarily-unavailable" => End::InVain,
            Outcome::Fail(_) => End::Refused,
            Outcome::Info(_) => End::Unknown,
        };
        let owner = (op.process, token);
        let known = owners.iter().position(|other| *other == owner);
        let pool = known.unwrap_or(owners.len());
        if known.is_none() {
            owners.push(owner);
        }
        // Nobody knows the token of what was perhaps granted.
        let hidden = takes && end == End::Unknown;
        asks.push(Ask {
            call: op.call.div_euclid(unit),
            ret: op.ret.div_euclid(unit),
            takes,
            permits: permits.into(),
            pool: if hidden { ops.len() + at } else { pool },
            end,
        });
    }
    asks
}

impl Oracle {
    fn explore(&mut self, state: State) -> bool {
        if self.is_explained(&state) {
            return true;
        }
        if !self.seen.insert(state.clone()) {
            return false;
        }
        let mut nexts = Vec::new();
        for at in 0..self.asks.len() {
            nexts.extend(self.arrive(&state, at));
            nexts.extend(self.leave(&state, at));
        }
        if self.rules.leases {
            for pool in 0..state.pools.len() {
                nexts.extend(self.lapse(&state, pool));
            }
        }
        nexts.extend(self.wait(&state));
        nexts.into_iter().any(|next| self.explore(next))
    }

    /// Whether all that is known to have happened has. The rest may never do so.
    fn is_explained(&self, state: &State) -> bool {
        let mut both = self.asks.iter().zip(&state.stages);
        both.all(|(ask, stage)| !self.is_due(ask) || *stage == Stage::Over)
    }

    const fn is_due(&self, ask: &Ask) -> bool {
        match ask.end {
            End::Done => true,
            End::InVain => ask.takes,
            End::Refused | End::Unknown => false,
        }
    }

    fn arrive(&self, state: &State, at: usize) -> Option<State> {
        let ask = &self.asks[at];
        let early = state.now < ask.call;
        let late = ask.end != End::Unknown && state.now > ask.ret;
        if state.stages[at] != Stage::Asked || early || late {
            return None;
        }
        let mut next = state.clone();
        if ask.takes {
            next.stages[at] = Stage::Queued;
            next.queue.push((at, state.now));
        } else {
            let changes = matches!(ask.end, End::Done | End::Unknown);
            next.stages[at] = Stage::Over;
            let had = next.pools[ask.pool].checked_sub(ask.permits);
            next.pools[ask.pool] = had.filter(|_| changes)?;
        }
        self.settle(next)
    }

    fn leave(&self, state: &State, at: usize) -> Option<State> {
        let place = state.queue.iter().position(|(who, _)| *who == at)?;
        let (_, since) = state.queue[place];
        let over = state.now == since + self.rules.wait;
        let leaves = match self.asks[at].end {
            End::Done => false,
            End::InVain => over,
            // Less patient than others, or forgotten in a crash.
            End::Refused | End::Unknown => true,
        };
        let mut next = state.clone();
        next.queue.remove(place);
        next.stages[at] = Stage::Over;
        leaves.then(|| self.settle(next)).flatten()
    }

    fn lapse(&self, state: &State, pool: usize) -> Option<State> {
        let mut next = state.clone();
        let had = std::mem::take(&mut next.pools[pool]);
        (had > 0).then(|| self.settle(next)).flatten()
    }

    /// Time goes on, if nothing else has to happen before.
    fn wait(&self, state: &State) -> Option<State> {
        let waited = |(_, since): &(usize, u64)| since + self.rules.wait <= state.now;
        let late = |at: &usize| {
            let ask = &self.asks[*at];
            self.is_due(ask) && ask.ret <= state.now && state.stages[*at] != Stage::Over
        };
        let must = state.queue.iter().any(waited) || (0..self.asks.len()).any(|at| late(&at));
        let mut next = state.clone();
        next.now += 1;
        (!must && next.now <= self.end).then_some(next)
    }

    /// Grants what there is to the head of the queue; `None` if it was not granted.
    fn settle(&self, mut state: State) -> Option<State> {
        while let Some(&(head, _)) = state.queue.first() {
            let ask = &self.asks[head];
            let held: u64 = state.pools.iter().sum();
            if held + ask.permits > self.rules.permits {
                break;
            }
            if matches!(ask.end, End::InVain | End::Refused) {
                return None;
            }
            state.queue.remove(0);
            state.stages[head] = Stage::Over;
            state.pools[ask.pool] += ask.permits;
        }
        Some(state)
    }
}
