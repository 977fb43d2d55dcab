//! Faults by single packets, all alike but for what becomes of a packet.

use rand_pcg::Pcg64Mcg;
use serde::Deserialize;
use serde_json::{Value as Json, json};
use tribunal_results::options::{OptionError, decode};

use super::{Direction, install, lift, links_of};
use crate::aim::Aim;
use crate::fabric::{Counters, Kind, Packets, Rule};
use crate::{Fault, Field, Healed, Injected, Injection, Pending};

/// A fault by single packets.
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

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Options {
    /// The nodes whose packets are hit.
    nodes: Aim,
    /// Which of their packets.
    direction: Direction,
    /// Whether packets to and from clients are hit too.
    clients: bool,
    /// How likely each packet is hit.
    probability: f64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            nodes: Aim::default(),
            direction: Direction::default(),
            clients: false,
            probability: 0.2,
        }
    }
}

impl<T: PacketFault> Fault for T {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn about(&self) -> &'static str {
        Self::ABOUT
    }

    fn colour(&self) -> &'static str {
        Self::COLOUR
    }

    fn check_options(&self, options: &Json) -> Result<(), OptionError> {
        let options: Options = decode(options)?;
        if options.probability > 0.0 && options.probability <= 1.0 {
            return Ok(());
        }
        Err(OptionError::new(
            "probability",
            "a probability is above 0 and at most 1; write 0.2",
        ))
    }

    fn resolve(&self, options: &Json, field: &Field, rng: &mut Pcg64Mcg) -> Option<Injection> {
        let options: Options = decode(options).ok()?;
        let nodes = options.nodes.choose(&field.nodes, &field.nodes, rng);
        let direction = options.direction.decide(rng);
        let links = links_of(&nodes, &field.nodes, options.clients, direction);
        if links.is_empty() {
            return None;
        }
        Some(Injection {
            fault: Self::NAME.to_owned(),
            what: format!(
                "{} of {} % at {} ({} link{})",
                Self::NAME,
                options.probability * 100.0,
                nodes.join(","),
                links.len(),
                if links.len() == 1 { "" } else { "s" },
            ),
            nodes,
            links,
            detail: json!({ "probability": options.probability }),
        })
    }

    fn inject<'a>(&'a self, injection: &'a Injection, field: &'a Field) -> Pending<'a, Injected> {
        Box::pin(async move {
            if field.fabric.kind() == Kind::Proxy {
                return Injected::Skipped("only a switch has packets: use `fabric: switch`".into());
            }
            match injection.detail["probability"].as_f64() {
                Some(share) => install(injection, field, Rule::packets(Self::packets(share))),
                None => Injected::Skipped("its detail does not say how likely".into()),
            }
        })
    }

    fn heal<'a>(&'a self, injection: &'a Injection, field: &'a Field) -> Pending<'a, Healed> {
        Box::pin(async move { lift(injection, field, Self::effect) })
    }

    fn works_on(&self, fabric: Kind) -> bool {
        fabric == Kind::Switch
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chance::stream;
    use crate::packet_loss::PacketLoss;
    use crate::process::fake::field;

    #[test]
    fn a_probability_must_be_one() {
        let fault: &dyn Fault = &PacketLoss;
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
        let fault: &dyn Fault = &PacketLoss;
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
