//! New connections are refused.
//!
//! Peers keep their connections, so that refusing alone would change nothing: what exists is
//! reset at injection, and it is the reconnecting that is refused.

use std::time::Duration;

use rand_pcg::Pcg64Mcg;
use serde::Deserialize;
use serde_json::Value as Json;
use tribunal_results::NodeId;
use tribunal_results::options::{OptionError, decode};

use crate::aim::Aim;
use crate::fabric::Rule;
use crate::network::{Direction, cut_off, install, lift, links_of};
use crate::{Fault, Field, Healed, Injected, Injection, Pending};

/// The fault `refuse`.
#[derive(Debug)]
pub struct Refuse;

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Options {
    /// The nodes whose connections are refused, those that they dial as well as those that they
    /// are dialled for.
    nodes: Aim,
    /// Whether connections of clients are refused too.
    clients: bool,
}

impl Fault for Refuse {
    fn name(&self) -> &'static str {
        "refuse"
    }

    fn about(&self) -> &'static str {
        "resets the connections of nodes and refuses new ones"
    }

    fn colour(&self) -> &'static str {
        "#7ac7c4"
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
            what: format!("refuse connections of {}", nodes.join(",")),
            nodes,
            links,
            detail: Json::Null,
        })
    }

    fn inject<'a>(&'a self, injection: &'a Injection, field: &'a Field) -> Pending<'a, Injected> {
        let rule = Rule {
            // No connection lives to see that age, as none is admitted.
            reset: Some(Duration::ZERO),
            ..Rule::refuse()
        };
        Box::pin(async move { install(injection, field, rule) })
    }

    fn heal<'a>(&'a self, injection: &'a Injection, field: &'a Field) -> Pending<'a, Healed> {
        Box::pin(async move { lift(injection, field, |did| did.refused) })
    }

    fn disables(&self, injection: &Injection, field: &Field) -> Vec<NodeId> {
        cut_off(&injection.links, &field.nodes)
    }
}
