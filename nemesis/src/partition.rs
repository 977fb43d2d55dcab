//! Links fall silent: bytes and connection attempts between parts of the cluster are held back
//! until it is healed.

use rand_pcg::Pcg64Mcg;
use serde::Deserialize;
use serde_json::Value as Json;
use tribunal_results::NodeId;
use tribunal_results::options::{OptionError, decode};

use crate::fabric::Rule;
use crate::network::{Direction, Shape, cut_off, install, lift};
use crate::{Fault, Field, Healed, Injected, Injection, Pending};

/// The fault `partition`.
#[derive(Debug)]
pub struct Partition;

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Options {
    /// Who is parted from whom.
    shape: Shape,
    /// Whether the smaller side (or the loner) is parted from the clients too.
    clients: bool,
    /// Which bytes of the smaller side are cut.
    direction: Option<Direction>,
}

impl Fault for Partition {
    fn name(&self) -> &'static str {
        "partition"
    }

    fn about(&self) -> &'static str {
        "silences links between parts of the cluster; heals by delivering what was held back"
    }

    fn colour(&self) -> &'static str {
        "#d9c85f"
    }

    fn check_options(&self, options: &Json) -> Result<(), OptionError> {
        decode::<Options>(options).map(drop)
    }

    fn resolve(&self, options: &Json, field: &Field, rng: &mut Pcg64Mcg) -> Option<Injection> {
        let options: Options = decode(options).ok()?;
        let (clients, direction) = (options.clients, options.direction);
        let cut = options.shape.choose(field, clients, direction, rng)?;
        let is_hit = |node: &&_| cut.links.iter().any(|(a, b)| a == *node || b == *node);
        Some(Injection {
            fault: self.name().to_owned(),
            nodes: field.nodes.iter().filter(is_hit).cloned().collect(),
            what: format!("partition {}", cut.what),
            links: cut.links.into_iter().collect(),
            detail: Json::Null,
        })
    }

    fn inject<'a>(&'a self, injection: &'a Injection, field: &'a Field) -> Pending<'a, Injected> {
        Box::pin(async move { install(injection, field, Rule::cut()) })
    }

    fn heal<'a>(&'a self, injection: &'a Injection, field: &'a Field) -> Pending<'a, Healed> {
        Box::pin(async move {
            lift(injection, field, |did| {
                did.bytes_held + did.attempts_while_cut
            })
        })
    }

    fn disables(&self, injection: &Injection, field: &Field) -> Vec<NodeId> {
        cut_off(&injection.links, &field.nodes)
    }
}
