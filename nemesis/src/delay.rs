//! Bytes of some links arrive late.

use rand_pcg::Pcg64Mcg;
use serde::Deserialize;
use serde_json::{Value as Json, json};
use tribunal_results::NodeId;
use tribunal_results::options::{OptionError, TimeRange, decode};

use crate::aim::Aim;
use crate::fabric::Rule;
use crate::network::{Direction, Link, install, lift, links_of};
use crate::{Fault, Field, Healed, Injected, Injection, Pending};

/// The fault `delay`.
#[derive(Debug)]
pub struct Delay;

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Options {
    /// The nodes whose links are delayed.
    nodes: Aim,
    /// Which of their bytes.
    direction: Direction,
    /// Directed links such as `[[n1, n2]]`, instead of those of `nodes`.
    links: Vec<(String, String)>,
    /// How late bytes arrive.
    by: TimeRange,
    /// Whether links to clients are delayed too.
    clients: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            nodes: Aim::default(),
            direction: Direction::default(),
            links: Vec::new(),
            by: TimeRange::millis(20, 80),
            clients: false,
        }
    }
}

impl Options {
    fn choose_links(&self, field: &Field, rng: &mut Pcg64Mcg) -> (Vec<NodeId>, Vec<Link>) {
        if self.links.is_empty() {
            let nodes = self.nodes.choose(field, &field.nodes, rng);
            let direction = self.direction.decide(rng);
            let links = links_of(&nodes, &field.nodes, self.clients, direction);
            return (nodes, links);
        }
        let link = |(from, to): &(String, String)| (from.as_str().into(), to.as_str().into());
        let links: Vec<Link> = self.links.iter().map(link).collect();
        let is_hit = |node: &&_| links.iter().any(|(a, b)| a == *node || b == *node);
        (field.nodes.iter().filter(is_hit).cloned().collect(), links)
    }
}

/// The delay that an injection's detail holds, as a rule.
fn rule_of(injection: &Injection) -> Option<Rule> {
    let by: TimeRange = serde_json::from_value(injection.detail.get("by")?.clone()).ok()?;
    let jitter = by.to.0.saturating_sub(by.from.0);
    Some(Rule::delay(by.from.0, jitter))
}

impl Fault for Delay {
    fn name(&self) -> &'static str {
        "delay"
    }

    fn about(&self) -> &'static str {
        "delivers the bytes of some links late"
    }

    fn colour(&self) -> &'static str {
        "#8cc084"
    }

    fn check_options(&self, options: &Json) -> Result<(), OptionError> {
        let options: Options = decode(options)?;
        if options.by.to.0.is_zero() {
            return Err(OptionError::new(
                "by",
                "a delay by nothing; write 20ms..80ms",
            ));
        }
        Ok(())
    }

    fn resolve(&self, options: &Json, field: &Field, rng: &mut Pcg64Mcg) -> Option<Injection> {
        let options: Options = decode(options).ok()?;
        let (nodes, links) = options.choose_links(field, rng);
        if links.is_empty() {
            return None;
        }
        Some(Injection {
            fault: self.name().to_owned(),
            what: format!(
                "delay {} by {} ({} link{})",
                nodes.join(","),
                options.by,
                links.len(),
                if links.len() == 1 { "" } else { "s" },
            ),
            nodes,
            links,
            detail: json!({ "by": options.by }),
        })
    }

    fn inject<'a>(&'a self, injection: &'a Injection, field: &'a Field) -> Pending<'a, Injected> {
        Box::pin(async move {
            match rule_of(injection) {
                Some(rule) => install(injection, field, rule),
                None => Injected::Skipped("its detail does not say by how much".into()),
            }
        })
    }

    fn heal<'a>(&'a self, injection: &'a Injection, field: &'a Field) -> Pending<'a, Healed> {
        Box::pin(async move { lift(injection, field, |did| did.bytes_delayed) })
    }
}
