//! Of connections that exist only one end is left, and does not know it.
//!
//! What it sends is swallowed and nothing comes, until the cure, which resets it. Connections that
//! are opened meanwhile are whole. A proxy acknowledges what it swallows; that the sender's kernel
//! retransmits and gives up only packets can show, not streams.

use serde::{Deserialize, Serialize};
use tribunal_results::options::OptionError;

use crate::fabric::{Counters, Rule};
use crate::network::{Direction, LinkFault};

/// The fault `half-open`. The nodes it is aimed at are those that do not know that the others are
/// gone.
#[derive(Debug)]
pub struct HalfOpen;

/// It has no options of its own.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {}

impl LinkFault for HalfOpen {
    type Options = Options;

    const NAME: &'static str = "half-open";
    const ABOUT: &'static str =
        "resets one end of existing connections and leaves the other in the dark";
    const COLOUR: &'static str = "#c98fb5";
    const DIRECTION: Direction = Direction::Out;

    fn check(_: &Options) -> Result<(), OptionError> {
        Ok(())
    }

    fn what(_: &Options) -> String {
        "half-open connections".into()
    }

    fn rule(_: &Options) -> Rule {
        Rule {
            half_open: true,
            ..Rule::default()
        }
    }

    fn effect(did: &Counters) -> u64 {
        did.half_opened
    }
}
