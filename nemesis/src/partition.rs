//! Links fall silent: bytes and connection attempts between parts of the cluster are held back
//! until it is healed.

use std::collections::BTreeSet;

use rand_pcg::Pcg64Mcg;
use serde::Deserialize;
use serde_json::Value as Json;
use tribunal_results::NodeId;
use tribunal_results::options::{OptionError, decode};

use crate::fabric::Rule;
use crate::network::{CLIENTS, Direction, Link, Shape, cut_off, install, lift};
use crate::{Fault, Field, Healed, Injected, Injection, Pending};

/// The fault `partition`.
#[derive(Debug)]
pub struct Partition;

/// The links of that cut, as if services were where clients are; those of clients only if they are
/// cut off themselves.
fn served(links: &BTreeSet<Link>, clients: bool, services: &[NodeId]) -> BTreeSet<Link> {
    let is_client = |end: &NodeId| **end == *CLIENTS;
    let mut all = BTreeSet::new();
    for (from, to) in links {
        for service in services {
            match (is_client(from), is_client(to)) {
                (true, _) => all.insert((service.clone(), to.clone())),
                (_, true) => all.insert((from.clone(), service.clone())),
                _ => false,
            };
        }
        if clients || !(is_client(from) || is_client(to)) {
            all.insert((from.clone(), to.clone()));
        }
    }
    all
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Options {
    /// Who is parted from whom.
    shape: Shape,
    /// Whether the smaller side (or the loner) is parted from the clients too.
    clients: bool,
    /// Whether it is parted from the services too, where nodes have some.
    services: bool,
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
        let Options {
            clients,
            services,
            direction,
            ..
        } = options;
        let mut cut = options
            .shape
            .choose(field, clients || services, direction, rng)?;
        if services {
            cut.links = served(&cut.links, clients, field.fabric.services());
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_are_where_clients_are() {
        let link = |from: &str, to: &str| (NodeId::from(from), NodeId::from(to));
        let cut = BTreeSet::from([
            link("n1", "n2"),
            link("n1", "clients"),
            link("clients", "n1"),
        ]);
        let services = ["lin-kv".into(), "lin-tso".into()];
        let expected = BTreeSet::from([
            link("n1", "n2"),
            link("n1", "lin-kv"),
            link("n1", "lin-tso"),
            link("lin-kv", "n1"),
            link("lin-tso", "n1"),
        ]);
        assert_eq!(served(&cut, false, &services), expected);
        let with_clients: BTreeSet<Link> = expected.union(&cut).cloned().collect();
        assert_eq!(served(&cut, true, &services), with_clients);
    }
}
