//! Connections break: those that exist at once, later ones at intervals.

use rand_pcg::Pcg64Mcg;
use serde::Deserialize;
use serde_json::{Value as Json, json};
use tribunal_results::options::{OptionError, Time, decode};

use crate::aim::Aim;
use crate::fabric::Rule;
use crate::network::{Direction, install, lift, links_of};
use crate::{Fault, Field, Healed, Injected, Injection, Pending};

/// The fault `reset`.
#[derive(Debug)]
pub struct Reset;

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Options {
    /// The nodes whose connections break.
    nodes: Aim,
    /// Whether connections of clients break too.
    clients: bool,
    /// The age at which a connection that is opened meanwhile breaks.
    after: Time,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            nodes: Aim::default(),
            clients: false,
            after: Time::millis(100),
        }
    }
}

fn rule_of(injection: &Injection) -> Option<Rule> {
    let after: Time = serde_json::from_value(injection.detail.get("after")?.clone()).ok()?;
    Some(Rule::reset(after.0))
}

impl Fault for Reset {
    fn name(&self) -> &'static str {
        "reset"
    }

    fn about(&self) -> &'static str {
        "resets the connections of nodes at once, and new ones soon after they open"
    }

    fn colour(&self) -> &'static str {
        "#b07ae0"
    }

    fn check_options(&self, options: &Json) -> Result<(), OptionError> {
        decode::<Options>(options).map(drop)
    }

    fn resolve(&self, options: &Json, field: &Field, rng: &mut Pcg64Mcg) -> Option<Injection> {
        let options: Options = decode(options).ok()?;
        let nodes = options.nodes.choose(field, &field.nodes, rng);
        let links = links_of(&nodes, &field.nodes, options.clients, Direction::Both);
        if links.is_empty() {
            return None;
        }
        Some(Injection {
            fault: self.name().to_owned(),
            what: format!("reset connections of {}", nodes.join(",")),
            nodes,
            links,
            detail: json!({ "after": options.after }),
        })
    }

    fn inject<'a>(&'a self, injection: &'a Injection, field: &'a Field) -> Pending<'a, Injected> {
        Box::pin(async move {
            match rule_of(injection) {
                Some(rule) => install(injection, field, rule),
                None => Injected::Skipped("its detail does not say after how long".into()),
            }
        })
    }

    fn heal<'a>(&'a self, injection: &'a Injection, field: &'a Field) -> Pending<'a, Healed> {
        Box::pin(async move { lift(injection, field, |did| did.reset) })
    }
}
