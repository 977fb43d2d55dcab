//! A client of one node: each operation as requests to the gateway, and how it ended.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::json;
use tribunal_results::{Answer, Operation, Outcome, Reason, Scalar};

use super::gateway::{Failure, Gateway, encoded};
use super::lock::{Held, NotHeld};
use super::options::{Guard, Options, Reads};
use crate::{Client, ClientSpec, Pending};

/// Places in queues: etcd knows none before it is asked for the lock itself.
static NEXT_TICKET: AtomicU64 = AtomicU64::new(1);

/// A client with a connection.
pub(super) struct EtcdClient {
    gateway: Gateway,
    address: SocketAddr,
    options: Options,
    timeout: Duration,
}

/// Connects to a node.
///
/// # Errors
/// Why there is no connection.
pub(super) async fn open(options: Options, spec: &ClientSpec) -> Result<Box<dyn Client>, Reason> {
    let (node, address) = (&spec.node, spec.address);
    let lost = |e| Reason::new("no-connection", format!("{node} at {address}: {e}"));
    Ok(Box::new(EtcdClient {
        gateway: Gateway::open(address).await.map_err(lost)?,
        address,
        options,
        timeout: spec.timeout,
    }))
}

fn refused(text: impl Into<String>) -> Outcome {
    Outcome::Fail(Reason::new("precondition-failed", text))
}

fn register(key: &Scalar) -> String {
    format!("register/{key}")
}

fn set(key: &Scalar) -> String {
    format!("set/{key}")
}

/// A value as it is stored: as JSON.
fn stored(value: &impl serde::Serialize) -> Vec<u8> {
    // Scalars and lists of them have no form that JSON lacks.
    serde_json::to_vec(value).unwrap_or_default()
}

/// A value as it was stored; unknown if that is not what any client stores.
fn restored<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(bytes).map_err(|e| {
        let text = format!("{e}: {}", String::from_utf8_lossy(bytes));
        Failure::Unknown(Reason::new("bad-answer", text))
    })
}

impl EtcdClient {
    async fn perform(&mut self, operation: &Operation) -> Outcome {
        let ended = match operation {
            Operation::Read { key } => self.read(key).await,
            Operation::Write { key, value } => {
                let put = self.gateway.put(&register(key), &stored(value)).await;
                put.map(|()| Outcome::Ok(Answer::Done))
            }
            Operation::Cas { key, from, to } => self.cas(key, from, to).await,
            Operation::Members { key } => {
                let members = self.members(key).await;
                members.map(|members| Outcome::Ok(Answer::Values(members)))
            }
            Operation::Add { key, value } => self.add(key, value, operation).await,
            Operation::Request { .. } => {
                let ticket = NEXT_TICKET.fetch_add(1, Ordering::Relaxed);
                Ok(Outcome::Ok(Answer::Ticket(ticket)))
            }
            Operation::Acquire {
                lock,
                ticket: Some(_),
            } => self.acquire(lock).await,
            Operation::Renew { token, .. } => self.renew(*token).await,
            Operation::Release { lock, token } => {
                let unlocked = self.gateway.unlock(&lock.to_string(), *token).await;
                unlocked.map(|lasted| match lasted {
                    true => Outcome::Ok(Answer::Done),
                    false => refused("its lease was gone"),
                })
            }
            _ => {
                let text = format!("the target `etcd` does not {operation}");
                Ok(Outcome::Fail(Reason::new("not-supported", text)))
            }
        };
        ended.unwrap_or_else(|failure| failure.outcome(operation))
    }

    async fn read(&mut self, key: &Scalar) -> Result<Outcome, Failure> {
        let serializable = self.options.reads == Reads::Serializable;
        let value = self.gateway.value(&register(key), serializable).await?;
        let value = value.map(|bytes| restored(&bytes)).transpose()?;
        Ok(Outcome::Ok(Answer::Value(value)))
    }

    async fn cas(&mut self, key: &Scalar, from: &Scalar, to: &Scalar) -> Result<Outcome, Failure> {
        let key = register(key);
        let expected = encoded(stored(from));
        let compare = json!({ "key": encoded(&key), "target": "VALUE", "result": "EQUAL", "value": expected });
        let swapped = self.gateway.put_if(compare, &key, &stored(to)).await?;
        Ok(match swapped {
            true => Outcome::Ok(Answer::Done),
            false => refused(format!("it does not hold {from}")),
        })
    }

    async fn members(&mut self, key: &Scalar) -> Result<Vec<Scalar>, Failure> {
        let serializable = self.options.reads == Reads::Serializable;
        match self.gateway.value(&set(key), serializable).await? {
            Some(bytes) => restored(&bytes),
            None => Ok(Vec::new()),
        }
    }

    async fn acquire(&mut self, lock: &Scalar) -> Result<Outcome, Failure> {
        let held = match self.lock(&lock.to_string()).await {
            Ok(held) => held,
            Err(outcome) => return Ok(outcome),
        };
        let grant = self.gateway.believed(&held, self.options.trust).await?;
        Ok(Outcome::Ok(Answer::Grant(grant)))
    }

    /// Gets a lock. Where its request was lost, the lease is taken back on another connection: then
    /// it is known that the lock was not got.
    async fn lock(&mut self, lock: &str) -> Result<Held, Outcome> {
        let locked = self.gateway.lock(lock, &self.options, self.timeout).await;
        let (lease, reason) = match locked {
            Ok(held) => return Ok(held),
            Err(NotHeld::No(reason)) => return Err(Outcome::Fail(reason)),
            Err(NotHeld::Unknown(lease, reason)) => (lease, reason),
        };
        let Ok(gateway) = Gateway::open(self.address).await else {
            return Err(Outcome::Info(reason));
        };
        self.gateway = gateway;
        Err(match self.gateway.revoke(lease).await {
            Ok(_) => Outcome::Fail(reason),
            Err(_) => Outcome::Info(reason),
        })
    }

    async fn renew(&mut self, lease: u64) -> Result<Outcome, Failure> {
        Ok(match self.gateway.keep_alive(lease).await? {
            Some(ttl) => Outcome::Ok(Answer::Grant(tribunal_results::Grant {
                token: lease,
                lease_ms: u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX),
            })),
            None => refused("its lease is gone"),
        })
    }

    /// Adds an element under the lock of its set. Nothing is changed before the set is written back.
    async fn add(
        &mut self,
        key: &Scalar,
        value: &Scalar,
        operation: &Operation,
    ) -> Result<Outcome, Failure> {
        let lock = set(key);
        let held = match self.lock(&lock).await {
            Ok(held) => held,
            Err(Outcome::Ok(_)) => return Ok(refused("the lock was not got")),
            Err(Outcome::Fail(reason) | Outcome::Info(reason)) => return Ok(Outcome::Fail(reason)),
        };
        let outcome = self.add_under(&held, key, value, operation).await;
        if !matches!(outcome, Outcome::Info(_)) {
            // If it can't be given back, its lease runs out.
            let _ = self.gateway.unlock(&lock, held.lease).await;
        }
        Ok(outcome)
    }

    async fn add_under(
        &mut self,
        held: &Held,
        key: &Scalar,
        value: &Scalar,
        operation: &Operation,
    ) -> Outcome {
        let mut members = match self.members(key).await {
            Ok(members) => members,
            Err(failure) => return Outcome::Fail(failure.reason()),
        };
        tokio::time::sleep(self.options.think.0).await;
        members.push(value.clone());
        let (key, members) = (set(key), stored(&members));
        let written = match self.options.guard {
            Guard::Lock => self.gateway.put(&key, &members).await.map(|()| true),
            Guard::Fenced => {
                let compare = json!({
                    "key": encoded(&held.key), "target": "CREATE", "result": "GREATER",
                    "create_revision": "0",
                });
                self.gateway.put_if(compare, &key, &members).await
            }
        };
        match written {
            Ok(true) => Outcome::Ok(Answer::Done),
            Ok(false) => Outcome::Fail(Reason::new("lock-lost", "the lock was lost meanwhile")),
            Err(failure) => failure.outcome(operation),
        }
    }
}

impl Client for EtcdClient {
    fn invoke<'a>(&'a mut self, operation: &'a Operation) -> Pending<'a, Outcome> {
        Box::pin(self.perform(operation))
    }

    fn is_usable(&mut self) -> bool {
        self.gateway.is_usable()
    }
}
