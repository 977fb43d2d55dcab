//! Faults by single packets, all alike but for what becomes of a packet.

use serde::{Deserialize, Serialize};
use tribunal_results::options::OptionError;

use super::{LinkFault, check_probability};
use crate::fabric::{Counters, Kind, Packets, Rule};

/// A fault by single packets, which only a switch has.
pub trait PacketFault: Send + Sync {
    /// Its name in suites.
    const NAME: &'static str;
    /// What it does, in one line.
    const ABOUT: &'static str;
    /// Its colour on reports.
    const COLOUR: &'static str;

    /// What becomes of packets, each with that probability.
    fn packets(probability: f64) -> Packets;

    /// How often it had an effect.
    fn effect(did: &Counters) -> u64;
}

/// The options of a fault by single packets.
#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Chance {
    /// How likely each packet is hit.
    probability: f64,
}

impl Default for Chance {
    fn default() -> Self {
        Self { probability: 0.2 }
    }
}

impl<T: PacketFault> LinkFault for T {
    type Options = Chance;

    const NAME: &'static str = T::NAME;
    const ABOUT: &'static str = T::ABOUT;
    const COLOUR: &'static str = T::COLOUR;
    const WORKS_ON: &'static [Kind] = &[Kind::Switch];

    fn check(options: &Chance) -> Result<(), OptionError> {
        check_probability("probability", options.probability)
    }

    fn what(options: &Chance) -> String {
        format!("{} of {} %", T::NAME, options.probability * 100.0)
    }

    fn rule(options: &Chance) -> Rule {
        Rule::packets(T::packets(options.probability))
    }

    fn effect(did: &Counters) -> u64 {
        T::effect(did)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::*;
    use crate::chance::stream;
    use crate::network::OnLinks;
    use crate::packet_loss::PacketLoss;
    use crate::process::fake::field;
    use crate::{Fault, Injected};

    #[test]
    fn a_probability_must_be_one() {
        let fault: &dyn Fault = &OnLinks(PacketLoss);
        for wrong in [0.0, -1.0, 1.5] {
            let error = fault.check_options(&json!({ "probability": wrong }));
            assert_eq!(error.unwrap_err().path, "probability");
        }
        fault.check_options(&json!({ "probability": 1 })).unwrap();
        fault.check_options(&Json::Null).unwrap();
    }

    #[tokio::test]
    async fn where_bytes_are_proxied_there_are_no_packets_to_hit() {
        let (field, _) = field(3).await;
        let fault: &dyn Fault = &OnLinks(PacketLoss);
        let injection = fault
            .resolve(&Json::Null, &field, &mut stream(1, &[]))
            .unwrap();
        assert!(injection.what.contains("20 %"), "{}", injection.what);
        let injected = fault.inject(&injection, &field).await;
        assert!(matches!(injected, Injected::Skipped(why) if why.contains("fabric: switch")));
        assert!(!fault.heal(&injection, &field).await.bit);
        assert!(!fault.works_on(Kind::Proxy));
        assert!(fault.works_on(Kind::Switch));
    }
}
