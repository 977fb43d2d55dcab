//! Locks by etcd's Lock RPC: a key below the lock's name, under a lease, that is the oldest there.
//!
//! The token of a hold is the number of its lease, of which the key's name follows: so a hold can be
//! given back by any connection. Tokens tell holds apart and are in no order.

use std::time::Duration;

use serde_json::{Value as Json, json};
use tokio::time::{Instant, timeout};
use tribunal_results::{Grant, Reason};

use super::gateway::{Failure, Gateway, decoded, encoded, integer};
use super::options::{Options, Trust};

/// What the waiting takes at most, of the time that an operation may take: so that there is time to
/// take the request back.
const WAITING_SHARE: f64 = 0.6;

/// A lock that etcd says is held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Held {
    /// Its lease.
    pub(super) lease: u64,
    /// The key that stands for the hold, as long as it lasts.
    pub(super) key: String,
    /// The revision of the store at which etcd saw nobody before it.
    revision: u64,
    /// When the lease was asked for.
    asked: Instant,
    /// How long a lease lasts.
    ttl: Duration,
}

fn name_of(lock: &str) -> String {
    format!("lock/{lock}")
}

fn key_of(lock: &str, lease: u64) -> String {
    format!("{}/{lease:x}", name_of(lock))
}

/// Why a lock is not held, as far as is known.
#[derive(Debug)]
pub(super) enum NotHeld {
    /// It definitely isn't, and won't be.
    No(Reason),
    /// It may be, or come to be, as long as this lease lasts: on a connection that is lost.
    Unknown(u64, Reason),
}

/// At which revision a lock was granted, if an answer says that it was: to that lease.
fn granted_at(said: &Json, key: &str) -> Option<u64> {
    let granted = decoded(said.get("key")?)? == key.as_bytes();
    integer(said.pointer("/header/revision")).filter(|revision| granted && *revision > 0)
}

impl Gateway {
    /// Gets a lease and waits for the lock. `within` is how long the operation may take.
    pub(super) async fn lock(
        &mut self,
        lock: &str,
        options: &Options,
        within: Duration,
    ) -> Result<Held, NotHeld> {
        let asked = Instant::now();
        // Without a lease there is no lock, whatever became of the request for one.
        let granted = self.grant(options.lease_ttl).await;
        let (lease, ttl) = granted.map_err(|failure| NotHeld::No(failure.reason()))?;
        let request = json!({ "name": encoded(name_of(lock)), "lease": lease.to_string() });
        let key = key_of(lock, lease);
        let waiting = self.call("/v3/lock/lock", &request);
        let failure = match timeout(within.mul_f64(WAITING_SHARE), waiting).await {
            Ok(Ok(said)) => match granted_at(&said, &key) {
                Some(revision) => {
                    return Ok(Held {
                        lease,
                        key,
                        revision,
                        asked,
                        ttl,
                    });
                }
                None => Failure::Unknown(Reason::new("bad-answer", said.to_string())),
            },
            Ok(Err(failure)) => failure,
            Err(_) => {
                let text = format!("the lock was not free within {within:?}");
                Failure::Unknown(Reason::new("temporarily-unavailable", text))
            }
        };
        Err(match failure {
            Failure::NotSent(reason) | Failure::Refused(_, reason) => NotHeld::No(reason),
            Failure::Unknown(reason) => NotHeld::Unknown(lease, reason),
        })
    }

    async fn grant(&mut self, ttl: u64) -> Result<(u64, Duration), Failure> {
        let asked = json!({ "TTL": ttl.to_string() });
        let said = self.call("/v3/lease/grant", &asked).await?;
        let bad = || Failure::Unknown(Reason::new("bad-answer", said.to_string()));
        match (integer(said.get("ID")), integer(said.get("TTL"))) {
            (Some(lease @ 1..), Some(ttl @ 1..)) => Ok((lease, Duration::from_secs(ttl))),
            _ => Err(bad()),
        }
    }

    /// Prolongs a lease; returns how long it lasts from now on, or `None` if it is gone.
    pub(super) async fn keep_alive(&mut self, lease: u64) -> Result<Option<Duration>, Failure> {
        let asked = json!({ "ID": lease.to_string() });
        let said = match self.call("/v3/lease/keepalive", &asked).await {
            Err(failure) if failure.is_absent() => return Ok(None),
            said => said?,
        };
        match integer(said.get("TTL")) {
            Some(0) => Ok(None),
            Some(ttl) => Ok(Some(Duration::from_secs(ttl))),
            None => Err(Failure::Unknown(Reason::new(
                "bad-answer",
                said.to_string(),
            ))),
        }
    }

    /// Takes a lease back, and all that is held under it; says whether it was still there.
    pub(super) async fn revoke(&mut self, lease: u64) -> Result<bool, Failure> {
        let asked = json!({ "ID": lease.to_string() });
        match self.call("/v3/lease/revoke", &asked).await {
            Ok(_) => Ok(true),
            Err(failure) if failure.is_absent() => Ok(false),
            Err(failure) => Err(failure),
        }
    }

    /// Gives a hold back; says whether it had lasted until then.
    pub(super) async fn unlock(&mut self, lock: &str, lease: u64) -> Result<bool, Failure> {
        let asked = json!({ "key": encoded(key_of(lock, lease)) });
        self.call("/v3/lock/unlock", &asked).await?;
        // The lease is of no use any more; that it is gone tells that the hold was over before.
        Ok(self.revoke(lease).await.unwrap_or(true))
    }

    /// What the client may believe of a hold that it was just told of: its lease is prolonged, and
    /// its time is counted from the beginning of the operation, as checkers do.
    ///
    /// If the lease is gone, a client that trusts etcd's answer believes in it all the same: the
    /// store's own history must show that the hold did not exist at the very revision at which it
    /// was granted, so that what comes of it is no fault of a client that was slow to look.
    pub(super) async fn believed(&mut self, held: &Held, trust: Trust) -> Result<Grant, Failure> {
        let waited = held.asked.elapsed();
        let believed = |ttl: Duration| Grant {
            token: held.lease,
            lease_ms: u64::try_from((waited + ttl).as_millis()).unwrap_or(u64::MAX),
        };
        if let Some(ttl) = self.keep_alive(held.lease).await? {
            return Ok(believed(ttl));
        }
        let lied = trust == Trust::Answer && !self.existed(&held.key, held.revision).await?;
        match lied {
            true => Ok(believed(held.ttl)),
            false => {
                let text = "the Lock RPC was answered, but the lease is gone";
                Err(Failure::Refused(0, Reason::new("lease-expired", text)))
            }
        }
    }
}
