//! Nodes are ended and started again: at once or after a while, together or one after another.

use std::time::Duration;

use rand::RngExt;
use rand_pcg::Pcg64Mcg;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};
use tokio::time::{sleep, timeout};
use tribunal_results::options::{OptionError, Time, TimeRange};

use crate::Injection;
use crate::aim::Aim;
use crate::process::{Hit, ProcessFault};

/// The longest that a node may be down by `down`: injecting must end.
const DOWN_MAX: Duration = Duration::from_secs(2);
/// How long a node may take to become ready before the next one is restarted all the same.
const READY_WITHIN: Duration = Duration::from_secs(2);

/// The fault `restart`.
#[derive(Debug)]
pub struct Restart;

/// How nodes are ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Signal {
    #[default]
    Term,
    Kill,
}

/// In which order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Order {
    /// All at the same time.
    #[default]
    Together,
    /// One after another, each when the one before is ready again.
    Rolling,
}

/// Whom to restart, and how.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    nodes: Aim,
    signal: Signal,
    /// How long each stays down.
    down: Option<TimeRange>,
    order: Order,
}

impl AsRef<Aim> for Options {
    fn as_ref(&self) -> &Aim {
        &self.nodes
    }
}

impl ProcessFault for Restart {
    const NAME: &'static str = "restart";
    const ABOUT: &'static str = "ends nodes by SIGTERM and starts them again, at once or rolling";
    const COLOUR: &'static str = "#e0a458";
    type Options = Options;

    fn check(options: &Options) -> Result<(), OptionError> {
        match options.down {
            Some(down) if down.to.0 > DOWN_MAX => Err(OptionError::new(
                "down",
                format!(
                    "at most {}; for longer, use `terminate` and a longer `hold`",
                    Time(DOWN_MAX)
                ),
            )),
            _ => Ok(()),
        }
    }

    fn draw(options: &Options, rng: &mut Pcg64Mcg) -> Map<String, Json> {
        let down = options.down.unwrap_or(TimeRange::millis(0, 0));
        Map::from_iter([
            ("signal".to_owned(), json!(options.signal)),
            ("down".to_owned(), json!(Time(down.at(rng.random())))),
            ("order".to_owned(), json!(options.order)),
        ])
    }

    fn is_one_by_one(injection: &Injection) -> bool {
        injection.detail.get("order") == Some(&json!(Order::Rolling))
    }

    async fn hit(hit: Hit) -> Result<Json, String> {
        let (processes, node) = (&hit.processes, &hit.node);
        let old = processes.pid(node);
        let status = match hit.drawn("signal")? {
            Signal::Term => processes.terminate(node).await?,
            Signal::Kill => processes.kill(node).await?,
        };
        sleep(hit.drawn::<Time>("down")?.0).await;
        let new = processes.start(node).await?;
        let mut proof = json!({ "old_pid": old, "status": status, "new_pid": new });
        if hit.drawn::<Order>("order")? == Order::Rolling {
            let ready = timeout(READY_WITHIN, processes.ready(node)).await;
            proof["ready"] = json!(matches!(ready, Ok(Ok(()))));
        }
        Ok(proof)
    }
}
