//! Redlock, as its author describes it (S. Sanfilippo, "Distributed locks with Redis", 2014): a lock
//! is a key with a value of the client's own on a majority of independent instances, which it set
//! nowhere else and which nobody else had set, in less time than the keys last.
//!
//! The client believes to hold it for the keys' time, less what it took to set them, less what
//! clocks may drift meanwhile. An attempt that gets no majority takes back what it got. Values tell
//! holds apart and are in no order: they are no fencing tokens.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};
use tribunal_results::{Answer, Grant, NodeId, Operation, Outcome, Reason};

use super::connection::Connection;
use super::resp::Value;
use crate::{Client, ClientSpec, Pending};

/// Values of locks, of all clients of this process; also the places in queues, which Redlock has
/// none of.
static NEXT_VALUE: AtomicU64 = AtomicU64::new(1);

/// How long one instance may take, as a share of the time of a lock: little, so that those that are
/// away don't use it up.
const INSTANCE_SHARE: u32 = 20;
/// What clocks may drift, as a share of the time of a lock, and at least.
const DRIFT: (f64, Duration) = (0.01, Duration::from_millis(2));

/// Deletes a key if it has a value.
const UNLOCK: &[u8] = b"if redis.call('get', KEYS[1]) == ARGV[1] then \
    return redis.call('del', KEYS[1]) else return 0 end";
/// Prolongs a key if it has a value.
const EXTEND: &[u8] = b"if redis.call('get', KEYS[1]) == ARGV[1] then \
    return redis.call('pexpire', KEYS[1], ARGV[2]) else return 0 end";

/// What is asked of every instance.
#[derive(Clone, Copy, Debug)]
enum Ask {
    Lock,
    Extend,
    Unlock,
}

/// What the instances said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Votes {
    yes: usize,
    no: usize,
}

/// A client of all instances.
pub(super) struct Redlock {
    instances: Vec<(NodeId, SocketAddr, Option<Connection>)>,
    ttl: Duration,
}

impl Redlock {
    /// A client that has no connection yet: it makes those that it needs.
    pub(super) fn new(spec: &ClientSpec, ttl: Duration) -> Self {
        let nodes = spec.nodes.iter();
        Self {
            instances: nodes.map(|(id, at)| (id.clone(), *at, None)).collect(),
            ttl,
        }
    }

    fn majority(&self) -> usize {
        self.instances.len() / 2 + 1
    }

    /// Asks all instances at once, and waits for each only so long.
    async fn ask(&mut self, ask: Ask, lock: &str, value: u64) -> Votes {
        let (ttl, within) = (self.ttl, self.ttl / INSTANCE_SHARE);
        let mut asked = JoinSet::new();
        for (place, (_, address, connection)) in self.instances.iter_mut().enumerate() {
            let (address, connection) = (*address, connection.take());
            let lock = format!("lock/{lock}");
            asked.spawn(async move {
                let voting = vote(connection, address, ask, &lock, value, ttl);
                (place, timeout(within, voting).await.ok().flatten())
            });
        }
        let mut votes = Votes::default();
        while let Some(joined) = asked.join_next().await {
            let Ok((place, Some((connection, yes)))) = joined else {
                continue;
            };
            votes.yes += usize::from(yes);
            votes.no += usize::from(!yes);
            if let Some((_, _, kept)) = self.instances.get_mut(place) {
                *kept = Some(connection);
            }
        }
        votes
    }

    /// Sets or prolongs the keys; what is left of the lock's time if a majority did.
    async fn hold(&mut self, ask: Ask, lock: &str, value: u64) -> Result<Grant, Reason> {
        let began = Instant::now();
        let votes = self.ask(ask, lock, value).await;
        let drift = self.ttl.mul_f64(DRIFT.0) + DRIFT.1;
        let left = self.ttl.saturating_sub(began.elapsed() + drift);
        if votes.yes >= self.majority() && !left.is_zero() {
            return Ok(Grant {
                token: value,
                lease_ms: u64::try_from(left.as_millis()).unwrap_or(u64::MAX),
            });
        }
        let (yes, all) = (votes.yes, self.instances.len());
        let text = format!("{yes} of {all} instances granted it, {left:?} before its end");
        Err(Reason::new("temporarily-unavailable", text))
    }

    async fn acquire(&mut self, lock: &str) -> Outcome {
        let value = NEXT_VALUE.fetch_add(1, Ordering::Relaxed);
        match self.hold(Ask::Lock, lock, value).await {
            Ok(grant) => Outcome::Ok(Answer::Grant(grant)),
            Err(reason) => {
                self.ask(Ask::Unlock, lock, value).await;
                Outcome::Fail(reason)
            }
        }
    }

    async fn renew(&mut self, lock: &str, value: u64) -> Outcome {
        match self.hold(Ask::Extend, lock, value).await {
            Ok(grant) => Outcome::Ok(Answer::Grant(grant)),
            Err(reason) => Outcome::Fail(Reason::new("precondition-failed", reason.text)),
        }
    }

    async fn release(&mut self, lock: &str, value: u64) -> Outcome {
        let votes = self.ask(Ask::Unlock, lock, value).await;
        match votes {
            Votes { yes: 1.., .. } => Outcome::Ok(Answer::Done),
            Votes { no, .. } if no == self.instances.len() => {
                Outcome::Fail(Reason::new("precondition-failed", "no instance has it"))
            }
            _ => Outcome::Info(Reason::new("no-answer", format!("{votes:?}"))),
        }
    }

    async fn perform(&mut self, operation: &Operation) -> Outcome {
        match operation {
            Operation::Request { .. } => {
                let ticket = NEXT_VALUE.fetch_add(1, Ordering::Relaxed);
                Outcome::Ok(Answer::Ticket(ticket))
            }
            Operation::Acquire {
                lock,
                ticket: Some(_),
            } => self.acquire(&lock.to_string()).await,
            Operation::Renew { lock, token } => self.renew(&lock.to_string(), *token).await,
            Operation::Release { lock, token } => self.release(&lock.to_string(), *token).await,
            _ => {
                let text = format!("Redlock does not {operation}");
                Outcome::Fail(Reason::new("not-supported", text))
            }
        }
    }
}

fn usable(mut connection: Connection) -> Option<Connection> {
    connection.is_usable().then_some(connection)
}

/// One instance's answer, and the connection if it can be used again.
async fn vote(
    connection: Option<Connection>,
    address: SocketAddr,
    ask: Ask,
    lock: &str,
    value: u64,
    ttl: Duration,
) -> Option<(Connection, bool)> {
    let mut connection = match connection.and_then(usable) {
        Some(connection) => connection,
        None => Connection::open(address).await.ok()?,
    };
    let (lock, value) = (lock.as_bytes(), value.to_string());
    let (value, ttl) = (value.as_bytes(), ttl.as_millis().to_string());
    let words: &[&[u8]] = match ask {
        Ask::Lock => &[b"SET", lock, value, b"NX", b"PX", ttl.as_bytes()],
        Ask::Extend => &[b"EVAL", EXTEND, b"1", lock, value, ttl.as_bytes()],
        Ask::Unlock => &[b"EVAL", UNLOCK, b"1", lock, value],
    };
    let said = connection.ask(words).await.ok()?;
    let yes = match said {
        Value::Word(word) => word == "OK",
        Value::Int(n) => n == 1,
        // Somebody else has it.
        Value::Text(None) => false,
        _ => return None,
    };
    Some((connection, yes))
}

impl Client for Redlock {
    fn invoke<'a>(&'a mut self, operation: &'a Operation) -> Pending<'a, Outcome> {
        Box::pin(self.perform(operation))
    }
}
