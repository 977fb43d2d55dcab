//! `causal-delivery`: messages are delivered in the order of cause and effect.
//!
//! If the sending of one message happened before that of another, no node delivers the other
//! first.

use rustc_hash::FxHashSet;
use tribunal_results::message::Act;
use tribunal_results::{Record, Verdict};

use crate::clocks::causes::Causes;
use crate::clocks::{self, Findings, Place, Trace};
use crate::{Budget, Checker};

/// The checker.
pub struct CausalDelivery;

const NAME: &str = "causal-delivery";

impl Checker for CausalDelivery {
    fn name(&self) -> &'static str {
        NAME
    }

    fn about(&self) -> &'static str {
        "no node delivers a message before one whose sending happened before its own (causal \
         order: Birman and Joseph 1987)"
    }

    fn anomalies(&self) -> &'static [&'static str] {
        &["delivered-before-cause"]
    }

    fn blind_to(&self) -> &'static str {
        "causes that a node never delivers at all"
    }

    fn check(&self, record: &Record, _: Budget) -> Verdict {
        clocks::judge(record, NAME, "deliveries", |trace| {
            let causes = Causes::new(trace);
            let mut findings = Findings::default();
            for places in &trace.by_node {
                at_node(trace, &causes, places, &mut findings);
            }
            findings
        })
    }
}

/// What a node delivered until now: of each sender, the most of its events that the sendings know
/// of, and the delivery and sending that know of it.
#[derive(Clone, Copy)]
struct Known {
    events: u32,
    delivery: Place,
    sending: Place,
}

fn at_node(trace: &Trace<'_>, causes: &Causes, places: &[Place], findings: &mut Findings) {
    let mut known: Vec<Option<Known>> = vec![None; trace.by_node.len()];
    let mut delivered: FxHashSet<Place> = FxHashSet::default();
    for &place in places {
        let is_delivery = |act: &Act| matches!(act, Act::Deliver { .. });
        let event = trace.event(place).filter(|event| is_delivery(&event.act));
        let Some(sending) = event.and_then(|_| trace.sending(place)) else {
            continue;
        };
        if !delivered.insert(sending) {
            continue;
        }
        findings.compared += 1;
        let sender = trace.event(sending).map_or(0, |event| event.node as usize);
        let truth = causes.of(sending);
        let own = truth.get(sender).copied().unwrap_or(0);
        if let Some(Some(first)) = known.get(sender)
            && first.events >= own
        {
            findings.add(|| overtaken(trace, (first.delivery, first.sending), (place, sending)));
        }
        for (known, &events) in known.iter_mut().zip(truth) {
            if known.is_none_or(|known| known.events < events) {
                *known = Some(Known {
                    events,
                    delivery: place,
                    sending,
                });
            }
        }
    }
}

fn overtaken(
    trace: &Trace<'_>,
    (first, effect): (Place, Place),
    (second, cause): (Place, Place),
) -> tribunal_results::Anomaly {
    let (first_name, second_name) = (trace.name(first), trace.name(second));
    let (effect_name, cause_name) = (trace.name(effect), trace.name(cause));
    let at = trace
        .event(first)
        .map_or("", |event| trace.node(event.node));
    let sentence = format!(
        "{at} delivered what {effect_name} sent at {first_name}, before what {cause_name} had sent, \
         which it delivered only at {second_name}"
    );
    let facts = vec![
        format!("{cause_name} happened before {effect_name}."),
        format!("{first_name} delivers what {effect_name} sends."),
        format!("{second_name} delivers what {cause_name} sends, later."),
    ];
    let events = [cause, effect, first, second];
    trace.anomaly("delivered-before-cause", &events, sentence, facts)
}
