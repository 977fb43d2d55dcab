//! Clients are stopped inside their critical section, so that what they hold runs out: the cure of
//! those who think that a lock alone protects anything is a fencing token.
//!
//! As a long pause of garbage collection or of the machine does it (M. Kleppmann, "How to do
//! distributed locking", 2016). A client that is stopped begins nothing; what it had begun goes on.

use std::time::Duration;

use rand::RngExt;
use rand_pcg::Pcg64Mcg;
use serde::Deserialize;
use serde_json::{Value as Json, json};
use tokio::time::timeout;
use tribunal_results::options::{OptionError, decode};

use crate::{Fault, Field, Healed, Injected, Injection, Pending};

/// How long to wait for clients to enter a critical section.
const ENTER_WITHIN: Duration = Duration::from_secs(3);
/// The most clients that are stopped at once.
const CLIENTS_MAX: usize = 1000;

/// The fault `hold`.
#[derive(Debug)]
pub struct Hold;

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Options {
    /// How many clients are stopped, each as it enters.
    clients: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { clients: 1 }
    }
}

/// How many, and the name under which they are stopped.
fn wanted(injection: &Injection) -> Option<(usize, u64)> {
    let number = |name| injection.detail.get(name)?.as_u64();
    Some((usize::try_from(number("clients")?).ok()?, number("token")?))
}

impl Fault for Hold {
    fn name(&self) -> &'static str {
        "hold"
    }

    fn about(&self) -> &'static str {
        "stops clients inside their critical section; heals by letting them go on"
    }

    fn colour(&self) -> &'static str {
        "#d98cb3"
    }

    fn check_options(&self, options: &Json) -> Result<(), OptionError> {
        match decode::<Options>(options)?.clients {
            1..=CLIENTS_MAX => Ok(()),
            _ => {
                let message = format!("from 1 to {CLIENTS_MAX}");
                Err(OptionError::new("clients", message))
            }
        }
    }

    fn resolve(&self, options: &Json, _: &Field, rng: &mut Pcg64Mcg) -> Option<Injection> {
        let Options { clients } = decode(options).ok()?;
        Some(Injection {
            fault: self.name().to_owned(),
            nodes: Vec::new(),
            links: Vec::new(),
            what: match clients {
                1 => "hold the next client that enters".to_owned(),
                _ => format!("hold the next {clients} clients that enter"),
            },
            detail: json!({ "clients": clients, "token": rng.random::<u64>() }),
        })
    }

    fn inject<'a>(&'a self, injection: &'a Injection, field: &'a Field) -> Pending<'a, Injected> {
        Box::pin(async move {
            let Some((count, token)) = wanted(injection) else {
                return Injected::Skipped("its detail does not say how many".into());
            };
            let held = match timeout(ENTER_WITHIN, field.clients.hold(token, count)).await {
                Ok(held) => held,
                Err(_) => field.clients.enough(token),
            };
            if held.is_empty() {
                let reason = format!("no client entered a critical section in {ENTER_WITHIN:?}");
                return Injected::Skipped(reason);
            }
            Injected::Installed(json!({ "clients": held }))
        })
    }

    fn heal<'a>(&'a self, injection: &'a Injection, field: &'a Field) -> Pending<'a, Healed> {
        Box::pin(async move {
            let token = wanted(injection).map(|(_, token)| token);
            let held = token.map_or_else(Vec::new, |token| field.clients.release(token));
            Healed {
                bit: held.iter().any(|held| held.kept_ms > 0),
                proof: json!({ "clients": held }),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chance::stream;
    use crate::client::Inside;
    use crate::process::fake::field;

    fn resolved(field: &Field, options: &Json) -> Injection {
        Hold.resolve(options, field, &mut stream(1, &[])).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_enters_is_stopped_until_it_is_healed() {
        let (mut field, _) = field(1).await;
        let clients = crate::client::fake::FakeClients::default();
        let inside = Inside {
            process: 7,
            node: Some("n1".into()),
            lock: "a".into(),
        };
        clients.inside.lock().unwrap().push(inside.clone());
        let clients = std::sync::Arc::new(clients);
        field.clients = clients.clone();
        let injection = resolved(&field, &Json::Null);
        let injected = Hold.inject(&injection, &field).await;
        assert_eq!(
            injected,
            Injected::Installed(json!({ "clients": [inside] }))
        );
        assert_eq!(clients.held(), [inside]);
        let healed = Hold.heal(&injection, &field).await;
        assert!(healed.bit);
        assert_eq!(healed.proof["clients"][0]["process"], 7);
        assert_eq!(healed.proof["clients"][0]["kept_from"], "release");
        assert_eq!(clients.held(), []);
        assert!(!Hold.heal(&injection, &field).await.bit, "nobody is left");
    }

    #[tokio::test(start_paused = true)]
    async fn where_no_client_enters_it_is_skipped() {
        let (field, _) = field(1).await;
        let injection = resolved(&field, &json!({ "clients": 2 }));
        let Injected::Skipped(why) = Hold.inject(&injection, &field).await else {
            panic!("nobody was there");
        };
        assert!(why.contains("no client entered"), "{why}");
        assert!(!Hold.heal(&injection, &field).await.bit);
    }

    #[test]
    fn nobody_is_no_number_of_clients() {
        let error = Hold.check_options(&json!({ "clients": 0 })).unwrap_err();
        assert_eq!(error.path, "clients");
    }
}
