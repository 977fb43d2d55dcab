//! A lock service in one thread, with clients whose messages take their time. Correct unless one
//! of its bugs is switched on.

use std::collections::{BTreeMap, VecDeque};

use tribunal_results::{Answer, Grant, Operation, Outcome, Scalar};

use crate::random::{Lcg, Timed, failed, unknown};

/// What is wrong with the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bug {
    Nothing,
    /// Grants a lock although it is held.
    DoubleGrant,
    /// Serves the last in the queue first.
    Lifo,
    /// Starts counting tokens again now and then.
    TokenReuse,
    /// Releases for anyone.
    ReleaseByAnyone,
    /// Accepts guarded writes with any token.
    NoFence,
}

/// The tick is a millisecond; a tick has room for this many events.
const TICK: u64 = 1_000_000;
const LEASE_MS: u64 = 20;
const LOCK: &str = "a";

struct Held {
    owner: u64,
    token: u64,
    count: u64,
    /// The last tick of its lease.
    lease: u64,
}

struct Server {
    bug: Bug,
    holds: Vec<Held>,
    queue: VecDeque<(u64, u64)>,
    /// Granted tickets that nobody claimed yet, with their tokens.
    granted: BTreeMap<u64, u64>,
    tokens: u64,
    tickets: u64,
    fence: u64,
}

impl Server {
    /// Ends leases that are over and grants the lock if it is free.
    fn tick(&mut self, now: u64, rng: &mut Lcg) {
        // A lease that began within tick t lasts into tick t + LEASE_MS.
        self.holds.retain(|held| held.lease >= now);
        let double = self.bug == Bug::DoubleGrant && rng.percent(10);
        if self.holds.is_empty() || double {
            let lifo = self.bug == Bug::Lifo && rng.percent(50);
            let next = if lifo {
                self.queue.pop_back()
            } else {
                self.queue.pop_front()
            };
            if let Some((owner, ticket)) = next {
                let token = self.grant(owner, now, rng);
                self.granted.insert(ticket, token);
            }
        }
    }

    fn grant(&mut self, owner: u64, now: u64, rng: &mut Lcg) -> u64 {
        if self.bug == Bug::TokenReuse && rng.percent(20) {
            self.tokens = 0;
        }
        self.tokens += 1;
        self.holds.push(Held {
            owner,
            token: self.tokens,
            count: 1,
            lease: now + LEASE_MS,
        });
        self.tokens
    }

    fn renew(&mut self, owner: u64, token: Option<u64>, now: u64) -> Option<&mut Held> {
        let mine = |h: &&mut Held| h.owner == owner && token.is_none_or(|token| h.token == token);
        let held = self.holds.iter_mut().find(mine)?;
        held.lease = now + LEASE_MS;
        Some(held)
    }

    /// The outcome, or `None` while an acquire has to wait.
    fn apply(&mut self, owner: u64, op: &Operation, now: u64, rng: &mut Lcg) -> Option<Outcome> {
        let grant = |token| {
            Outcome::Ok(Answer::Grant(Grant {
                token,
                lease_ms: LEASE_MS,
            }))
        };
        let outcome = match op {
            Operation::Request { .. } => {
                let known = self.queue.iter().any(|(o, _)| *o == owner)
                    || self.holds.iter().any(|held| held.owner == owner);
                if !known {
                    self.tickets += 1;
                    self.queue.push_back((owner, self.tickets));
                    return Some(Outcome::Ok(Answer::Ticket(self.tickets)));
                }
                failed()
            }
            Operation::Acquire {
                ticket: Some(ticket),
                ..
            } => {
                if self.queue.iter().any(|(_, t)| t == ticket) {
                    return None;
                }
                let token = self.granted.remove(ticket);
                token
                    .filter(|t| self.renew(owner, Some(*t), now).is_some())
                    .map_or(failed(), grant)
            }
            Operation::Acquire { .. } => match self.renew(owner, None, now) {
                Some(held) => {
                    held.count += 1;
                    grant(held.token)
                }
                None => failed(),
            },
            Operation::TryAcquire { .. } if self.holds.is_empty() && self.queue.is_empty() => {
                grant(self.grant(owner, now, rng))
            }
            Operation::Renew { token, .. } => self
                .renew(owner, Some(*token), now)
                .map_or(failed(), |held| grant(held.token)),
            Operation::Release { token, .. } => self.release(owner, *token),
            Operation::GuardedWrite { token, .. }
                if *token >= self.fence || self.bug == Bug::NoFence =>
            {
                self.fence = self.fence.max(*token);
                Outcome::Ok(Answer::Done)
            }
            _ => failed(),
        };
        Some(outcome)
    }

    fn release(&mut self, owner: u64, token: u64) -> Outcome {
        let anyone = self.bug == Bug::ReleaseByAnyone;
        let mine = |h: &Held| h.token == token && (h.owner == owner || anyone);
        let Some(at) = self.holds.iter().position(mine) else {
            return failed();
        };
        self.holds[at].count -= 1;
        if self.holds[at].count == 0 {
            self.holds.remove(at);
        }
        Outcome::Ok(Answer::Done)
    }

    fn withdraw(&mut self, owner: u64) {
        self.queue.retain(|(o, _)| *o != owner);
    }
}

/// One message under way.
struct Sent {
    operation: Operation,
    call: u64,
    arrives: u64,
    patience: u64,
    answer: Option<(u64, Outcome)>,
}

struct Client {
    process: u64,
    sent: Option<Sent>,
    idle_until: u64,
    ticket: Option<u64>,
    token: Option<u64>,
    entered: u64,
}

/// What some clients and a service with that bug come to in some milliseconds.
pub(crate) fn simulate(rng: &mut Lcg, bug: Bug, clients: u64, ticks: u64) -> Vec<Timed> {
    let mut server = Server {
        bug,
        holds: Vec::new(),
        queue: VecDeque::new(),
        granted: BTreeMap::new(),
        tokens: 0,
        tickets: 0,
        fence: 0,
    };
    let mut all: Vec<Client> = (0..clients).map(|process| fresh(process, 0)).collect();
    let mut ops = Vec::new();
    for now in 0..ticks {
        server.tick(now, rng);
        let first = rng.below(clients);
        for turn in 0..clients {
            let at = ((first + turn) % clients) as usize;
            let stranger = all[(at + 1) % all.len()].token;
            let client = &mut all[at];
            let stamp = now * TICK + turn * 10;
            if let Some(done) = client.step(&mut server, rng, now, stamp) {
                ops.push(done);
            }
            if client.process >= 1 << 32 {
                *client = fresh(
                    (client.process & 0xFFFF_FFFF) + clients,
                    now + rng.below(10),
                );
            } else if client.sent.is_none() && client.idle_until <= now && now + 60 < ticks {
                client.send(rng, now, stamp + 1, stranger);
            }
        }
    }
    ops
}

fn fresh(process: u64, idle_until: u64) -> Client {
    Client {
        process,
        sent: None,
        idle_until,
        ticket: None,
        token: None,
        entered: 0,
    }
}

impl Client {
    fn send(&mut self, rng: &mut Lcg, now: u64, stamp: u64, stranger: Option<u64>) {
        let lock = Scalar::from(LOCK);
        let operation = match (self.ticket, self.token) {
            (Some(ticket), _) => Operation::Acquire {
                lock,
                ticket: Some(ticket),
            },
            (None, Some(token)) => match rng.below(10) {
                0 => Operation::Renew { lock, token },
                1 => Operation::Acquire { lock, ticket: None },
                2..=4 => Operation::GuardedWrite {
                    key: lock,
                    value: Scalar::Int(stamp as i64),
                    token,
                },
                _ => Operation::Release { lock, token },
            },
            (None, None) => match (rng.below(10), stranger) {
                (0, Some(token)) => Operation::Release { lock, token },
                (0..=2, _) => Operation::TryAcquire { lock },
                _ => Operation::Request { lock },
            },
        };
        self.sent = Some(Sent {
            operation,
            call: stamp,
            arrives: now + 1 + rng.below(2) * rng.below(4),
            patience: now + 50,
            answer: None,
        });
    }

    /// Moves the message on; the operation once it is over.
    fn step(&mut self, server: &mut Server, rng: &mut Lcg, now: u64, stamp: u64) -> Option<Timed> {
        let process = self.process;
        let sent = self.sent.as_mut()?;
        if sent.answer.is_none() && sent.arrives <= now {
            let mut outcome = server.apply(process, &sent.operation, now, rng);
            if outcome.is_none() && sent.patience <= now {
                server.withdraw(process);
                outcome = Some(failed());
            }
            let delay = 1 + rng.below(2) * rng.below(4);
            sent.answer = outcome.map(|outcome| (now + delay, outcome));
            return None;
        }
        if sent.answer.as_ref().is_none_or(|(at, _)| *at > now) {
            return None;
        }
        let sent = self.sent.take()?;
        let (_, mut outcome) = sent.answer?;
        if rng.percent(3) {
            outcome = unknown();
            self.process |= 1 << 32;
        }
        self.learn(&sent.operation, &outcome);
        // A client rarely thinks longer than its lease.
        self.idle_until = now + if rng.percent(8) { 30 } else { rng.below(6) };
        Some(Timed {
            process,
            call: sent.call,
            ret: stamp,
            operation: sent.operation,
            outcome,
        })
    }

    fn learn(&mut self, operation: &Operation, outcome: &Outcome) {
        match (operation, outcome) {
            (_, Outcome::Ok(Answer::Ticket(ticket))) => self.ticket = Some(*ticket),
            (
                Operation::Acquire { .. } | Operation::TryAcquire { .. },
                Outcome::Ok(Answer::Grant(grant)),
            ) => {
                self.ticket = None;
                self.token = Some(grant.token);
                self.entered += 1;
            }
            (Operation::Acquire { .. }, _) => self.ticket = None,
            (Operation::Release { token, .. }, Outcome::Ok(_)) if self.token == Some(*token) => {
                self.entered -= 1;
                if self.entered == 0 {
                    self.token = None;
                }
            }
            (Operation::Release { token, .. }, Outcome::Fail(_)) if self.token == Some(*token) => {
                self.token = None;
                self.entered = 0;
            }
            _ => {}
        }
    }
}
