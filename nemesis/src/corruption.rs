//! Single messages are changed on their way, so that their sender seems to lie (L. Lamport, R.
//! Shostak, M. Pease, "The Byzantine Generals Problem", TOPLAS 4, 1982).

use serde::{Deserialize, Serialize};
use tribunal_results::options::OptionError;

use crate::fabric::{Counters, Lies, Messages, Rule};
use crate::network::{Direction, LinkFault, check_probability};

/// The fault `corruption`. The nodes it is aimed at are those that lie.
#[derive(Debug)]
pub struct Corruption;

/// A way to lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Lie {
    /// A field says something else.
    Flip,
    /// Another node seems to have sent it.
    Forge,
    /// Each receiver is told something else in the same field.
    Equivocate,
}

/// Its own options.
#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// How likely each message is changed.
    probability: f64,
    /// In which ways.
    lies: Vec<Lie>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            probability: 0.05,
            lies: vec![Lie::Flip, Lie::Forge, Lie::Equivocate],
        }
    }
}

impl LinkFault for Corruption {
    type Options = Options;

    const NAME: &'static str = "corruption";
    const ABOUT: &'static str = "changes single messages, as if their sender lied";
    const COLOUR: &'static str = "#d0607f";
    const DIRECTION: Direction = Direction::Out;
    const IS_FRAMED: bool = true;

    fn check(options: &Options) -> Result<(), OptionError> {
        if options.lies.is_empty() {
            let text = "no way to lie; write [flip, forge, equivocate]";
            return Err(OptionError::new("lies", text));
        }
        check_probability("probability", options.probability)
    }

    fn what(options: &Options) -> String {
        format!("corrupt 1 message in {:.0}", 1.0 / options.probability)
    }

    fn rule(options: &Options) -> Rule {
        let has = |lie| options.lies.contains(&lie);
        Rule::messages(Messages {
            corruption: options.probability,
            lies: Lies {
                flip: has(Lie::Flip),
                forge: has(Lie::Forge),
                equivocate: has(Lie::Equivocate),
            },
            ..Messages::default()
        })
    }

    fn effect(did: &Counters) -> u64 {
        did.corrupted
    }
}
