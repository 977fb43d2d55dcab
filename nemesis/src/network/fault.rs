//! Faults that are a rule on some links: all that they share.

use rand_pcg::Pcg64Mcg;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use tribunal_results::NodeId;
use tribunal_results::options::{OptionError, decode};

use super::{Direction, Link, install, lift, links_of};
use crate::aim::{Aim, split};
use crate::fabric::{Counters, Kind, Rule};
use crate::{Fault, Field, Healed, Injected, Injection, Pending};

/// A fault that puts a rule on links. Besides its own options it has those of [`Whom`].
pub trait LinkFault: Send + Sync {
    /// Its own options, which say what the rule is. They are what an injection keeps.
    type Options: DeserializeOwned + Serialize + Default;

    /// See [`Fault::name`].
    const NAME: &'static str;
    /// See [`Fault::about`].
    const ABOUT: &'static str;
    /// See [`Fault::colour`].
    const COLOUR: &'static str;
    /// Which bytes of the nodes it hits unless a suite says otherwise.
    const DIRECTION: Direction = Direction::Random;
    /// Whether it is about single messages.
    const IS_FRAMED: bool = false;

    /// Which fabrics can do it.
    const WORKS_ON: &'static [Kind] = &[Kind::Proxy];

    /// What is wrong with the options.
    ///
    /// # Errors
    /// The path and nature of the first wrong one.
    fn check(options: &Self::Options) -> Result<(), OptionError>;

    /// What it does, without to whom: `delay by 20ms..80ms`.
    fn what(options: &Self::Options) -> String;

    /// The rule.
    fn rule(options: &Self::Options) -> Rule;

    /// Of what a link did under the rule, what shows that it bit.
    fn effect(did: &Counters) -> u64;
}

/// Whose links a fault hits.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Whom {
    /// The nodes whose links are hit.
    nodes: Aim,
    /// Which of their bytes.
    direction: Option<Direction>,
    /// Directed links such as `[[n1, n2]]`, instead of those of `nodes`.
    links: Vec<(String, String)>,
    /// Whether links to clients are hit too.
    clients: bool,
}

/// The names of its fields.
const WHOM: [&str; 4] = ["nodes", "direction", "links", "clients"];

impl Whom {
    fn choose(
        &self,
        direction: Direction,
        field: &Field,
        rng: &mut Pcg64Mcg,
    ) -> (Vec<NodeId>, Vec<Link>) {
        if self.links.is_empty() {
            let nodes = self.nodes.choose(field, &field.nodes, rng);
            let direction = self.direction.unwrap_or(direction).decide(rng);
            let links = links_of(&nodes, &field.nodes, self.clients, direction);
            return (nodes, links);
        }
        let link = |(from, to): &(String, String)| (from.as_str().into(), to.as_str().into());
        let links: Vec<Link> = self.links.iter().map(link).collect();
        let is_hit = |node: &&_| links.iter().any(|(a, b)| a == *node || b == *node);
        (field.nodes.iter().filter(is_hit).cloned().collect(), links)
    }
}

/// A [`LinkFault`] as a [`Fault`].
#[derive(Debug)]
pub struct OnLinks<F>(pub F);

impl<F: LinkFault> Fault for OnLinks<F> {
    fn name(&self) -> &'static str {
        F::NAME
    }

    fn about(&self) -> &'static str {
        F::ABOUT
    }

    fn colour(&self) -> &'static str {
        F::COLOUR
    }

    fn works_on(&self, kind: Kind) -> bool {
        F::WORKS_ON.contains(&kind)
    }

    fn check_options(&self, options: &Json) -> Result<(), OptionError> {
        let (_, own): (Whom, _) = split(options, &WHOM)?;
        F::check(&own)
    }

    fn resolve(&self, options: &Json, field: &Field, rng: &mut Pcg64Mcg) -> Option<Injection> {
        let (whom, own): (Whom, _) = split(options, &WHOM).ok()?;
        let (nodes, links) = whom.choose(F::DIRECTION, field, rng);
        if links.is_empty() {
            return None;
        }
        let plural = if links.len() == 1 { "" } else { "s" };
        Some(Injection {
            fault: F::NAME.to_owned(),
            what: format!(
                "{} at {} ({} link{plural})",
                F::what(&own),
                nodes.join(","),
                links.len()
            ),
            nodes,
            links,
            detail: json!(own),
        })
    }

    fn inject<'a>(&'a self, injection: &'a Injection, field: &'a Field) -> Pending<'a, Injected> {
        Box::pin(async move {
            if !F::WORKS_ON.contains(&field.fabric.kind()) {
                let able: Vec<String> = F::WORKS_ON.iter().map(Kind::to_string).collect();
                let why = format!("this fabric can't: use `fabric: {}`", able.join(" or "));
                return Injected::Skipped(why);
            }
            if F::IS_FRAMED && !field.fabric.is_framed() {
                let why = "what the target's nodes send are not lines that the fabric can read";
                return Injected::Skipped(why.into());
            }
            match decode(&injection.detail) {
                Ok(own) => install(injection, field, F::rule(&own)),
                Err(e) => Injected::Skipped(format!("its detail can't be read: {e}")),
            }
        })
    }

    fn heal<'a>(&'a self, injection: &'a Injection, field: &'a Field) -> Pending<'a, Healed> {
        Box::pin(async move { lift(injection, field, F::effect) })
    }
}

/// Refuses what is no probability above zero.
///
/// # Errors
/// At that path.
pub fn check_probability(path: &str, probability: f64) -> Result<(), OptionError> {
    if probability > 0.0 && probability <= 1.0 {
        return Ok(());
    }
    let text = format!("{probability} is not a probability above 0 and at most 1");
    Err(OptionError::new(path, text))
}
