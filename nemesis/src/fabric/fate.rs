//! What becomes of a single message: dropped, doubled, overtaken, changed.

use std::time::Duration;

use rand::seq::IndexedRandom;
use rand::{Rng, RngExt};
use rand_pcg::Pcg64Mcg;
use serde_json::Value as Json;
use tribunal_results::NodeId;
use tribunal_targets::node::stamp::FIELD as CLOCKS;
use tribunal_targets::wire::Message;

use super::rule::Messages;
use crate::chance;

/// What all links share, so that lies of one node to several can agree on what they are about.
#[derive(Debug, Default)]
pub(super) struct Receivers {
    pub(super) seed: u64,
    /// Every node.
    pub(super) nodes: Vec<NodeId>,
}

/// What becomes of one message. The default is what should.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Fate {
    /// It never arrives.
    pub(super) is_dropped: bool,
    /// How much later a second copy comes.
    pub(super) again: Option<Duration>,
    /// For how long it is held back; others pass meanwhile.
    pub(super) held: Option<Duration>,
    /// What arrives instead, its end included, and in which way it is a lie.
    pub(super) lie: Option<(Vec<u8>, Lie)>,
}

/// Whether something of that probability happens.
pub(super) fn happens(chance: &mut Pcg64Mcg, probability: f64) -> bool {
    chance.random_bool(probability.clamp(0.0, 1.0))
}

/// Draws what becomes of the line, its end included, that is on its way to `to`.
pub(super) fn fate(
    rule: &Messages,
    line: &[u8],
    to: &NodeId,
    receivers: &Receivers,
    chance: &mut Pcg64Mcg,
) -> Fate {
    if happens(chance, rule.omission) {
        return Fate {
            is_dropped: true,
            ..Fate::default()
        };
    }
    let mut later = |probability: f64| {
        let hit = happens(chance, probability);
        let time = rule.hold.mul_f64(chance.random::<f64>());
        hit.then_some(time)
    };
    let (again, held) = (later(rule.duplication), later(rule.reordering));
    let lie = (rule.corruption > 0.0)
        .then(|| lie(rule, line, to, receivers, chance))
        .flatten();
    Fate {
        is_dropped: false,
        again,
        held,
        lie,
    }
}

/// A way to change a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lie {
    Flip,
    Forge,
    Equivocate,
}

impl Lie {
    /// It in a phrase.
    pub(super) const fn text(self) -> &'static str {
        match self {
            Self::Flip => "a field was flipped",
            Self::Forge => "its sender was forged",
            Self::Equivocate => "each receiver was told something else",
        }
    }
}

/// Changes a message, if it is its turn and there is something to change.
fn lie(
    rule: &Messages,
    line: &[u8],
    to: &NodeId,
    receivers: &Receivers,
    chance: &mut Pcg64Mcg,
) -> Option<(Vec<u8>, Lie)> {
    let message = Message::decode(line).ok()?;
    let Receivers { seed, nodes } = receivers;
    // Drawn from what it says: the same whoever it is for.
    let mut said = chance::stream(*seed, &[&message.src, &content(&message)]);
    let mut ways = Vec::new();
    if happens(chance, rule.corruption) {
        ways.extend(rule.lies.flip.then_some(Lie::Flip));
        ways.extend(rule.lies.forge.then_some(Lie::Forge));
    }
    if rule.lies.equivocate && happens(&mut said, rule.corruption) {
        ways = vec![Lie::Equivocate];
    }
    let way = *ways.choose(chance)?;
    let changed = match way {
        Lie::Flip => flipped(message, nodes, chance.random(), chance)?,
        Lie::Forge => forged(message, nodes, chance)?,
        Lie::Equivocate => {
            let place = nodes.iter().position(|node| node == to)?;
            flipped(message, nodes, place as u64, &mut said)?
        }
    };
    let bytes = changed.encode().ok()?;
    (bytes != line).then_some((bytes, way))
}

/// What a message says, without what differs from receiver to receiver.
fn content(message: &Message) -> String {
    let mut body = message.body.clone();
    body.remove(CLOCKS);
    body.remove("msg_id");
    Json::from(body).to_string()
}

/// The message as if another node had sent it.
fn forged(mut message: Message, nodes: &[NodeId], chance: &mut Pcg64Mcg) -> Option<Message> {
    let others: Vec<&NodeId> = nodes
        .iter()
        .filter(|node| **node != message.src && **node != message.dest)
        .collect();
    message.src = NodeId::clone(others.choose(chance)?);
    Some(message)
}

/// The message with another value, one of many by `which`, in a field of its body that `chance`
/// chooses.
fn flipped(
    mut message: Message,
    nodes: &[NodeId],
    which: u64,
    chance: &mut dyn Rng,
) -> Option<Message> {
    // Our own instrument, and what requests are matched by, are no part of what it says.
    let clocks = message.body.remove(CLOCKS);
    let mut body = Json::from(message.body);
    let mut fields = Vec::new();
    leaves(&mut body, None, &mut fields);
    let at = chance.next_u64() as usize % fields.len().max(1);
    if let Some(field) = fields.into_iter().nth(at) {
        flip(field, nodes, which);
    } else {
        return None;
    }
    message.body = serde_json::from_value(body).ok()?;
    if let Some(clocks) = clocks {
        message.body = message.body.with(CLOCKS, clocks);
    }
    Some(message)
}

/// Every number, truth and text in it, save what says what kind of message it is.
fn leaves<'a>(json: &'a mut Json, name: Option<&str>, into: &mut Vec<&'a mut Json>) {
    const ENVELOPE: [&str; 3] = ["type", "msg_id", "in_reply_to"];
    match json {
        _ if name.is_some_and(|name| ENVELOPE.contains(&name)) => {}
        Json::Object(fields) => {
            for (name, field) in fields {
                leaves(field, Some(name), into);
            }
        }
        Json::Array(items) => items.iter_mut().for_each(|item| leaves(item, None, into)),
        Json::Number(_) | Json::Bool(_) | Json::String(_) => into.push(json),
        Json::Null => {}
    }
}

/// Another value of the same type, one of several: a number close to it, the other truth (or not),
/// another node, a text that is longer.
fn flip(field: &mut Json, nodes: &[NodeId], which: u64) {
    match field {
        Json::Number(number) => {
            if let Some(old) = number.as_u64() {
                let step = 1 + which % 3;
                *field = Json::from(if which.is_multiple_of(2) {
                    old.saturating_add(step)
                } else {
                    old.saturating_sub(step)
                });
            } else if let Some(old) = number.as_i64() {
                *field = Json::from(old.wrapping_add(1));
            }
        }
        Json::Bool(truth) => *truth ^= which.is_multiple_of(2),
        Json::String(text) => {
            let others = || nodes.iter().filter(|node| ***node != **text);
            match nodes.iter().any(|node| **node == **text) {
                true => {
                    let at = which as usize % others().count().max(1);
                    let other = others().nth(at).map(ToString::to_string);
                    *text = other.unwrap_or_default();
                }
                false => text.push_str(&format!("~{}", which % 10)),
            }
        }
        Json::Null | Json::Array(_) | Json::Object(_) => {}
    }
}

#[cfg(test)]
#[path = "fate_tests.rs"]
mod tests;
