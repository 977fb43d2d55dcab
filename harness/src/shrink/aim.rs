//! One fault aimed at others: whoever leads, or holds what matters, may be another node each time,
//! so a fault that needs to hit that one is aimed at everybody in turn.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value as Json;
use tribunal_nemesis::Injection;
use tribunal_nemesis::network::cut_off;
use tribunal_nemesis::schedule::{Act, Start, Step};
use tribunal_results::NodeId;
use tribunal_results::options::Time;

/// The step again and again, each time on other nodes, until each node was hit once: one after the
/// other, `gap` apart. None if it is not known whom it hits.
pub(super) fn in_turn(step: &Step, nodes: &[NodeId], gap: Duration) -> Option<Vec<Step>> {
    let Act::Given { injection } = &step.act else {
        return None;
    };
    let turns: Vec<Injection> = (0..nodes.len())
        .map(|by| rotated(injection, nodes, by))
        .collect();
    let mut missed: BTreeSet<NodeId> = nodes.iter().cloned().collect();
    let (mut steps, mut at) = (Vec::new(), gap);
    while !missed.is_empty() {
        let new = |turn: &&Injection| hit(turn, nodes).intersection(&missed).count();
        // The first of those that hit most.
        let best = turns.iter().rev().max_by_key(new)?;
        if new(&best) == 0 {
            return None;
        }
        missed = &missed - &hit(best, nodes);
        steps.push(Step {
            start: Start::At(Time(at)),
            hold: step.hold,
            act: Act::Given {
                injection: best.clone(),
            },
        });
        at += step.hold.0 + gap;
    }
    Some(steps)
}

/// Whom a fault hits hardest: those that it cuts off from most others, or else all that it is aimed
/// at.
fn hit(injection: &Injection, nodes: &[NodeId]) -> BTreeSet<NodeId> {
    let out = cut_off(&injection.links, nodes);
    match out.is_empty() {
        true => injection.nodes.iter().cloned().collect(),
        false => out.into_iter().collect(),
    }
}

/// The same where each node is another one: `by` places further on, in a ring.
fn rotated(injection: &Injection, nodes: &[NodeId], by: usize) -> Injection {
    let other = |node: &str| {
        let place = nodes.iter().position(|known| **known == *node)?;
        nodes.get((place + by) % nodes.len()).cloned()
    };
    let renamed = |node: &NodeId| other(node).unwrap_or_else(|| node.clone());
    Injection {
        fault: injection.fault.clone(),
        nodes: injection.nodes.iter().map(renamed).collect(),
        links: (injection.links.iter())
            .map(|(from, to)| (renamed(from), renamed(to)))
            .collect(),
        what: words(&injection.what, &other),
        detail: detail(&injection.detail, &other),
    }
}

type Other<'a> = dyn Fn(&str) -> Option<NodeId> + 'a;

/// Text in which nodes are renamed, wherever one stands as a word of its own.
fn words(text: &str, other: &Other<'_>) -> String {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let (mut renamed, mut rest) = (String::new(), text);
    while !rest.is_empty() {
        let word = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        let (name, tail) = rest.split_at(word);
        renamed.push_str(other(name).as_deref().unwrap_or(name));
        let between = tail.find(is_part).unwrap_or(tail.len());
        let (between, tail) = tail.split_at(between);
        renamed.push_str(between);
        rest = tail;
    }
    renamed
}

/// Plain data in which nodes are renamed, as keys and as values.
fn detail(value: &Json, other: &Other<'_>) -> Json {
    let name = |text: &String| other(text).map_or_else(|| text.clone(), |node| node.to_string());
    match value {
        Json::String(text) => Json::String(name(text)),
        Json::Array(items) => items.iter().map(|item| detail(item, other)).collect(),
        Json::Object(map) => {
            let renamed = map.iter().map(|(k, v)| (name(k), detail(v, other)));
            Json::Object(renamed.collect())
        }
        plain => plain.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn nodes() -> Vec<NodeId> {
        (1..=5).map(|i| NodeId::from(format!("n{i}"))).collect()
    }

    fn step(injection: Json) -> Step {
        let step = json!({"at": "9s", "hold": "1s", "injection": injection});
        serde_json::from_value(step).unwrap()
    }

    fn whats(steps: &[Step]) -> Vec<String> {
        let what = |step: &Step| match &step.act {
            Act::Given { injection } => injection.what.clone(),
            Act::Drawn(_) => String::new(),
        };
        steps.iter().map(what).collect()
    }

    #[test]
    fn a_fault_is_aimed_at_each_node_in_turn() {
        let kill = step(json!({"fault": "kill", "nodes": ["n1", "n3"], "links": [],
            "what": "kill n1,n3", "detail": {"pids": {"n1": 1, "n3": 3}}}));
        let steps = in_turn(&kill, &nodes(), Duration::from_millis(300)).unwrap();
        assert_eq!(whats(&steps), ["kill n1,n3", "kill n2,n4", "kill n3,n5"]);
        let second = json!(steps[1]);
        assert_eq!(second["at"], "1600ms");
        assert_eq!(second["injection"]["nodes"], json!(["n2", "n4"]));
        assert_eq!(
            second["injection"]["detail"],
            json!({"pids": {"n2": 1, "n4": 3}})
        );
    }

    #[test]
    fn a_partition_hits_those_that_it_cuts_off() {
        let (small, large) = (["n1", "n2"], ["n3", "n4", "n5"]);
        let pairs = small.iter().flat_map(|a| large.map(|b| [[*a, b], [b, *a]]));
        let links: Vec<[&str; 2]> = pairs.flatten().collect();
        let cut = step(
            json!({"fault": "partition", "nodes": nodes(), "links": links,
            "what": "partition {n1,n2} | {n3,n4,n5}", "detail": null}),
        );
        let steps = in_turn(&cut, &nodes(), Duration::ZERO).unwrap();
        assert_eq!(
            whats(&steps),
            [
                "partition {n1,n2} | {n3,n4,n5}",
                "partition {n3,n4} | {n5,n1,n2}",
                "partition {n4,n5} | {n1,n2,n3}"
            ]
        );
    }
}
