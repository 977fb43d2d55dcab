//! A simulated server of one semaphore and its clients: first come, first served, or spoilt.

use tribunal_results::{Answer, Grant, Operation, Outcome, Reason, Scalar};

use crate::random::{Lcg, Timed, failed, unknown};

/// What the server does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing.
    None,
    /// Many a release wakes nobody, and the queue sleeps until the next one.
    LostSignal,
    /// Who came last is served first.
    Lifo,
    /// Many a request is not put into the queue, and refused in the end.
    Dropped,
}

/// What the tokens of grants are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tokens {
    /// One of its own for each grant.
    Own,
    /// One for all grants of a client.
    Shared,
    /// There are none.
    None,
}

/// A server, its clients, and what time is counted in.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    pub(crate) permits: u64,
    /// How long a request waits, in nanoseconds.
    pub(crate) wait: u64,
    /// By how much a wait may be shorter: clocks differ.
    pub(crate) hasty: u64,
    /// Every span of time is a multiple of this many nanoseconds.
    pub(crate) unit: u64,
    /// How many units a message is under way, and a client rests, at most.
    pub(crate) pace: u64,
    pub(crate) tokens: Tokens,
    /// How many requests, and how many answers, in a hundred are lost.
    pub(crate) lost: u64,
    /// How long permits are held at most, in units; for ever if absent.
    pub(crate) lease: Option<u64>,
    pub(crate) clients: u64,
    pub(crate) calls: usize,
    pub(crate) fault: Fault,
}

/// The only semaphore.
pub(crate) fn key() -> Scalar {
    "s".into()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    /// A client goes on.
    Ask(u64),
    /// A request arrives.
    Arrive(usize),
    /// The wait of a request is over.
    Leave(usize),
    /// The lease of a hold is over.
    Lapse(usize),
}

/// What becomes of the messages of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Delivered,
    /// The request never arrives.
    Lost,
    /// The answer never arrives, or the client has given up before.
    Unanswered,
}

struct Hold {
    process: u64,
    token: u64,
    permits: u64,
}

struct Run<'a> {
    lcg: &'a mut Lcg,
    setting: Setting,
    events: Vec<(u64, Event)>,
    ops: Vec<Timed>,
    fates: Vec<Fate>,
    queue: Vec<usize>,
    /// Refused in the end, though not in the queue.
    dropped: Vec<usize>,
    holds: Vec<Hold>,
    /// What each client believes to hold: the token, and how many.
    known: Vec<Vec<(u64, u64)>>,
    asleep: bool,
}

/// What clients saw, in nanoseconds.
pub(crate) fn simulate(lcg: &mut Lcg, setting: &Setting) -> Vec<Timed> {
    let mut run = Run {
        lcg,
        setting: setting.clone(),
        events: Vec::new(),
        ops: Vec::new(),
        fates: Vec::new(),
        queue: Vec::new(),
        dropped: Vec::new(),
        holds: Vec::new(),
        known: vec![Vec::new(); setting.clients as usize],
        asleep: false,
    };
    for client in 0..setting.clients {
        let at = run.span();
        run.events.push((at, Event::Ask(client)));
    }
    while let Some((now, event)) = run.next() {
        match event {
            Event::Ask(client) => run.ask(client, now),
            Event::Arrive(op) => run.arrive(op, now),
            Event::Leave(op) => run.leave(op, now),
            Event::Lapse(hold) => run.holds[hold].permits = 0,
        }
        run.settle(now);
    }
    run.ops
}

impl Run<'_> {
    /// Some time, a multiple of the unit.
    fn span(&mut self) -> u64 {
        self.lcg.below(self.setting.pace + 1) * self.setting.unit
    }

    /// One of the events that are due first.
    fn next(&mut self) -> Option<(u64, Event)> {
        let first = self.events.iter().map(|(at, _)| *at).min()?;
        let due = |at: &usize| self.events[*at].0 == first;
        let due: Vec<usize> = (0..self.events.len()).filter(due).collect();
        let at = due[self.lcg.below(due.len() as u64) as usize];
        Some(self.events.swap_remove(at))
    }

    fn ask(&mut self, process: u64, now: u64) {
        if self.ops.len() >= self.setting.calls {
            return;
        }
        let known = self.known[process as usize].pop();
        let operation = match known.filter(|_| self.lcg.percent(75)) {
            Some((token, had)) => {
                let permits = 1 + self.lcg.below(had);
                if permits < had {
                    self.known[process as usize].push((token, had - permits));
                }
                Operation::ReleasePermits {
                    key: key(),
                    permits: permits as u32,
                    token: (self.setting.tokens != Tokens::None).then_some(token),
                }
            }
            None => {
                self.known[process as usize].extend(known);
                Operation::AcquirePermits {
                    key: key(),
                    permits: 1 + self.lcg.below(self.setting.permits.min(2)) as u32,
                }
            }
        };
        let op = self.ops.len();
        let fate = match self.lcg.below(100) {
            chance if chance < self.setting.lost => Fate::Lost,
            chance if chance < 2 * self.setting.lost => Fate::Unanswered,
            _ => Fate::Delivered,
        };
        let given_up = now + self.span() + self.span();
        self.ops.push(Timed {
            process,
            call: now,
            ret: given_up,
            operation,
            outcome: unknown(),
        });
        self.fates.push(fate);
        if fate != Fate::Lost {
            let at = now + self.span();
            self.events.push((at, Event::Arrive(op)));
        }
    }

    /// The server answers a call.
    fn answer(&mut self, op: usize, outcome: Outcome, now: u64) {
        if self.fates[op] != Fate::Delivered {
            return;
        }
        let ret = now + self.span();
        let process = self.ops[op].process;
        self.ops[op].ret = ret;
        self.ops[op].outcome = outcome;
        let at = ret + self.setting.unit + self.span();
        self.events.push((at, Event::Ask(process)));
    }

    fn arrive(&mut self, op: usize, now: u64) {
        let process = self.ops[op].process;
        match self.ops[op].operation.clone() {
            Operation::AcquirePermits { .. } => {
                let dropped = self.setting.fault == Fault::Dropped && self.lcg.percent(35);
                match dropped {
                    true => self.dropped.push(op),
                    false => self.queue.push(op),
                }
                let hasty = self.lcg.below(self.setting.hasty + 1);
                let at = now + self.setting.wait - hasty;
                self.events.push((at, Event::Leave(op)));
            }
            Operation::ReleasePermits { permits, token, .. } => {
                let given = self.give_back(process, token.unwrap_or(0), permits.into());
                if given && self.setting.fault == Fault::LostSignal {
                    self.asleep = self.lcg.percent(60);
                }
                let done = Outcome::Ok(Answer::Done);
                self.answer(op, if given { done } else { failed() }, now);
            }
            _ => {}
        }
    }

    /// Takes so many from the holds under a token, if there are so many.
    fn give_back(&mut self, process: u64, token: u64, mut permits: u64) -> bool {
        let of = |hold: &&mut Hold| (hold.process, hold.token) == (process, token);
        let held: u64 = self.holds.iter_mut().filter(of).map(|h| h.permits).sum();
        if held < permits {
            return false;
        }
        for hold in self.holds.iter_mut().filter(of) {
            let some = hold.permits.min(permits);
            hold.permits -= some;
            permits -= some;
        }
        true
    }

    fn leave(&mut self, op: usize, now: u64) {
        let is_other = |other: &usize| *other != op;
        let waiting = self.queue.len() + self.dropped.len();
        self.queue.retain(is_other);
        self.dropped.retain(is_other);
        if self.queue.len() + self.dropped.len() < waiting {
            let reason = Reason::new("temporarily-unavailable", "");
            self.answer(op, Outcome::Fail(reason), now);
        }
        self.asleep &= !self.queue.is_empty();
    }

    /// Grants what there is.
    fn settle(&mut self, now: u64) {
        while !self.asleep {
            let at = match self.setting.fault {
                Fault::Lifo => self.queue.len().saturating_sub(1),
                _ => 0,
            };
            let Some(&op) = self.queue.get(at) else {
                return;
            };
            let Operation::AcquirePermits { permits, .. } = self.ops[op].operation else {
                return;
            };
            let permits = u64::from(permits);
            let held: u64 = self.holds.iter().map(|hold| hold.permits).sum();
            if held + permits > self.setting.permits {
                return;
            }
            self.queue.remove(at);
            self.grant(op, permits, now);
        }
    }

    fn grant(&mut self, op: usize, permits: u64, now: u64) {
        let process = self.ops[op].process;
        let token = match self.setting.tokens {
            Tokens::Own => 1 + op as u64,
            Tokens::Shared => 7,
            Tokens::None => 0,
        };
        if let Some(lease) = self.setting.lease {
            let at = now + (1 + self.lcg.below(lease)) * self.setting.unit;
            self.events.push((at, Event::Lapse(self.holds.len())));
        }
        self.holds.push(Hold {
            process,
            token,
            permits,
        });
        if self.fates[op] == Fate::Delivered {
            self.known[process as usize].push((token, permits));
        }
        let lease_ms = 1_000;
        let answer = match self.setting.tokens {
            Tokens::None => Answer::Done,
            _ => Answer::Grant(Grant { token, lease_ms }),
        };
        self.answer(op, Outcome::Ok(answer), now);
    }
}
