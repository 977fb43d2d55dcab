//! A client of one Redis, or of the master that Sentinel names: registers and sets.

use std::net::SocketAddr;
use std::time::Duration;

use tribunal_results::{Answer, Operation, Outcome, Reason, Scalar};

use super::connection::{Connection, Failure};
use super::options::{Mode, Options, Resolving};
use super::resp::Value;
use super::sentinel::Watch;
use crate::{Client, ClientSpec, Pending};

/// Sets a register if it holds a value.
const CAS: &[u8] = b"if redis.call('get', KEYS[1]) == ARGV[1] then \
    redis.call('set', KEYS[1], ARGV[2]) return 1 else return 0 end";
/// Reads after a write of its own: replicas that confirm that write have all that is read.
const READ: &[u8] = b"redis.call('incr', 'barrier') return redis.call(ARGV[1], KEYS[1])";
/// The share of an operation's time for which replicas are waited for.
const WAITING_SHARE: f64 = 0.6;

/// A client with a connection.
pub(super) struct RedisClient {
    connection: Connection,
    address: SocketAddr,
    /// The Sentinel that it asks, if there is one.
    watch: Option<Watch>,
    options: Options,
    timeout: Duration,
    /// It was told that this is not the master.
    is_deposed: bool,
}

/// Connects to the node, or to the master.
///
/// # Errors
/// Why there is no connection.
pub(super) async fn open(options: Options, spec: &ClientSpec) -> Result<Box<dyn Client>, Reason> {
    let mut watch = match options.mode {
        Mode::Sentinel => Some(Watch::open(spec).await?),
        Mode::Single | Mode::Redlock => None,
    };
    let address = match &mut watch {
        Some(watch) => watch.master().await?,
        None => spec.address,
    };
    let connection = connect(address, watch.is_some()).await?;
    Ok(Box::new(RedisClient {
        connection,
        address,
        watch,
        options,
        timeout: spec.timeout,
        is_deposed: false,
    }))
}

/// Connects, and asks whether it is a master if it must be one.
async fn connect(address: SocketAddr, to_master: bool) -> Result<Connection, Reason> {
    let lost = |e| Reason::new("no-connection", format!("{address}: {e}"));
    let mut connection = Connection::open(address).await.map_err(lost)?;
    if to_master {
        let role = connection.ask(&[b"ROLE"]).await.map_err(Failure::reason)?;
        let role = role.items().and_then(|items| items.first()?.text());
        if role != Some("master") {
            let text = format!("{address} says that it is {}", role.unwrap_or("no master"));
            return Err(Reason::new("no-master", text));
        }
    }
    Ok(connection)
}

/// A value as it is stored: as JSON, so that 1 and "1" stay apart.
fn stored(value: &Scalar) -> Vec<u8> {
    // A scalar has no form that JSON lacks.
    serde_json::to_vec(value).unwrap_or_default()
}

fn restored(answer: &Value) -> Result<Scalar, Failure> {
    let value = answer.text().map(serde_json::from_str);
    match value {
        Some(Ok(value)) => Ok(value),
        _ => Err(Failure::bad_answer(answer)),
    }
}

fn done(answer: &Value, is_good: bool) -> Result<Outcome, Failure> {
    match is_good {
        true => Ok(Outcome::Ok(Answer::Done)),
        false => Err(Failure::bad_answer(answer)),
    }
}

fn register(key: &Scalar) -> Vec<u8> {
    format!("register/{key}").into_bytes()
}

fn set(key: &Scalar) -> Vec<u8> {
    format!("set/{key}").into_bytes()
}

impl RedisClient {
    async fn perform(&mut self, operation: &Operation) -> Outcome {
        if let Err(reason) = self.resolve().await {
            return Outcome::Fail(reason);
        }
        let ended = match operation {
            Operation::Read { key } => self.read(key).await,
            Operation::Members { key } => self.members(key).await,
            Operation::Write { key, value } => {
                let words = [b"SET".as_slice(), &register(key), &stored(value)];
                self.update(&words, |said| done(said, said.text() == Some("OK")))
                    .await
            }
            Operation::Add { key, value } => {
                let words = [b"SADD".as_slice(), &set(key), &stored(value)];
                self.update(&words, |said| done(said, matches!(said, Value::Int(_))))
                    .await
            }
            Operation::Cas { key, from, to } => {
                let words = [
                    b"EVAL",
                    CAS,
                    b"1",
                    &register(key),
                    &stored(from),
                    &stored(to),
                ];
                self.update(&words, |said| match said {
                    Value::Int(0) => {
                        let text = format!("it does not hold {from}");
                        Ok(Outcome::Fail(Reason::new("precondition-failed", text)))
                    }
                    said => done(said, *said == Value::Int(1)),
                })
                .await
            }
            _ => {
                let text = format!("the target `redis` does not {operation} in this mode");
                Ok(Outcome::Fail(Reason::new("not-supported", text)))
            }
        };
        ended.unwrap_or_else(|failure| {
            let outcome = failure.outcome(operation);
            let (Outcome::Fail(reason) | Outcome::Info(reason)) = &outcome else {
                return outcome;
            };
            self.is_deposed |= ["readonly", "masterdown"].contains(&reason.code.as_str());
            outcome
        })
    }

    /// Goes on at the master, if it is asked for before each operation and has changed.
    async fn resolve(&mut self) -> Result<(), Reason> {
        let Some(watch) = &mut self.watch else {
            return Ok(());
        };
        if self.options.client == Resolving::Sticky {
            return Ok(());
        }
        let master = watch.master().await?;
        if master != self.address {
            self.connection = connect(master, true).await?;
            self.address = master;
        }
        Ok(())
    }

    /// Makes a request that changes something, and waits for so many replicas as are wanted to
    /// confirm it. What was done and not confirmed may be lost yet: nobody knows.
    async fn update(
        &mut self,
        words: &[&[u8]],
        judge: impl Fn(&Value) -> Result<Outcome, Failure>,
    ) -> Result<Outcome, Failure> {
        let (said, confirmed) = self.confirmed(words).await?;
        match judge(&said)? {
            Outcome::Ok(_) if !confirmed => {
                let text = format!("fewer than {} replicas confirmed it", self.options.wait);
                Err(Failure::Unknown(Reason::new("not-replicated", text)))
            }
            outcome => Ok(outcome),
        }
    }

    async fn confirmed(&mut self, words: &[&[u8]]) -> Result<(Value, bool), Failure> {
        if self.options.wait == 0 {
            return Ok((self.connection.ask(words).await?, true));
        }
        let replicas = self.options.wait.to_string();
        let within = self.timeout.mul_f64(WAITING_SHARE).as_millis().to_string();
        let wait = [b"WAIT".as_slice(), replicas.as_bytes(), within.as_bytes()];
        let [said, waited] = self.connection.ask_all([words, &wait]).await?;
        let enough = |n: i64| usize::try_from(n).is_ok_and(|n| n >= self.options.wait);
        Ok((said, matches!(waited, Value::Int(n) if enough(n))))
    }

    /// Reads; with `wait`, only what so many replicas have too.
    async fn look(&mut self, command: &[u8], key: &[u8]) -> Result<Value, Failure> {
        if self.options.wait == 0 {
            return self.connection.ask(&[command, key]).await;
        }
        let words = [b"EVAL", READ, b"1", key, command];
        let (said, confirmed) = self.confirmed(&words).await?;
        match (said, confirmed) {
            (said @ Value::Error(_), _) => Err(Failure::bad_answer(&said)),
            (said, true) => Ok(said),
            (_, false) => {
                let text = "too few replicas have what was read";
                Err(Failure::Refused(Reason::new("not-replicated", text)))
            }
        }
    }

    async fn read(&mut self, key: &Scalar) -> Result<Outcome, Failure> {
        let value = match self.look(b"GET", &register(key)).await? {
            Value::Text(None) => None,
            said => Some(restored(&said)?),
        };
        Ok(Outcome::Ok(Answer::Value(value)))
    }

    async fn members(&mut self, key: &Scalar) -> Result<Outcome, Failure> {
        let said = self.look(b"SMEMBERS", &set(key)).await?;
        let Some(items) = said.items() else {
            return Err(Failure::bad_answer(&said));
        };
        let members = items.iter().map(restored).collect::<Result<_, _>>()?;
        Ok(Outcome::Ok(Answer::Values(members)))
    }
}

impl Client for RedisClient {
    fn invoke<'a>(&'a mut self, operation: &'a Operation) -> Pending<'a, Outcome> {
        Box::pin(self.perform(operation))
    }

    fn is_usable(&mut self) -> bool {
        let watched = self.watch.as_mut().is_none_or(Watch::is_usable);
        !self.is_deposed && watched && self.connection.is_usable()
    }
}
