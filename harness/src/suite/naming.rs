//! What runs are called, what seeds follow from it, and which runs a pattern selects.

use std::collections::{HashMap, HashSet};

use super::expand::Draft;
use crate::plan::Plan;

/// The longest name that is made up, in characters: short of what a suite may give, so that a
/// number finds room behind it.
const MADE_UP_MAX: usize = 90;

/// Gives the plans names that are unique, in order: the name that the suite gives or else
/// `target[-bug]-workload-nemesis`, then what a matrix varies, then a number if need be.
#[derive(Default)]
pub(super) struct Names {
    taken: HashSet<String>,
    next: HashMap<String, usize>,
}

impl Names {
    /// The name for a plan, whose own name is still empty if the suite gives none.
    pub(super) fn assign(&mut self, plan: &Plan, draft: &Draft<'_>) -> String {
        let mut parts = Vec::new();
        let in_default = ["target", "workload", "nemesis"];
        if plan.name.is_empty() {
            parts.extend(in_default.map(|field| label(plan, field)));
        } else {
            parts.push(plan.name.clone());
        }
        let varied = draft.varied.iter().copied();
        let shown = varied.filter(|field| !plan.name.is_empty() || !in_default.contains(field));
        // A run keeps its name whatever seed the command line gives it.
        let label = |field| match draft
            .fields
            .get("seed")
            .and_then(|given| given.value.as_u64())
        {
            Some(seed) if field == "seed" => format!("seed{seed}"),
            _ => label(plan, field),
        };
        parts.extend(shown.map(label));
        parts.retain(|part| !part.is_empty());
        let name = parts.join("-");
        self.unique(if name == plan.name {
            name
        } else {
            shortened(&name)
        })
    }

    fn unique(&mut self, name: String) -> String {
        if self.taken.insert(name.clone()) {
            return name;
        }
        let short = shortened(&name);
        let next = self.next.entry(short.clone()).or_insert(2);
        loop {
            let numbered = format!("{short}-{next}");
            *next += 1;
            if self.taken.insert(numbered.clone()) {
                return numbered;
            }
        }
    }
}

fn shortened(name: &str) -> String {
    name.chars().take(MADE_UP_MAX).collect()
}

/// What a field of the plan adds to a name.
fn label(plan: &Plan, field: &str) -> String {
    match field {
        "target" => match &plan.target.bug {
            Some(bug) => format!("{}-{bug}", plan.target.target),
            None => plan.target.target.clone(),
        },
        "workload" => plan.workload.workload.clone(),
        "nemesis" if plan.nemesis.kinds().next().is_none() => "none".into(),
        "nemesis" => plan.nemesis.kinds().collect::<Vec<_>>().join("+"),
        "nodes" => format!("nodes{}", plan.nodes),
        "clients" => format!("clients{}", plan.clients),
        "rate" => format!("rate{}", plan.rate),
        "time" => format!("time{}", plan.time),
        "timeout" => format!("timeout{}", plan.timeout),
        "ready" => format!("ready{}", plan.ready),
        "recovery" => format!("recovery{}", plan.recovery),
        "fabric" => plan.fabric.to_string(),
        "seed" => format!("seed{}", plan.seed),
        "expect" if plan.expect.is_empty() => "valid".into(),
        "expect" => plan.expect.join("+"),
        _ => String::new(),
    }
}

/// The seed of a run that is given none: the same for ever for the same suite and name. Short
/// enough to be typed. (FNV-1a, <http://www.isthe.com/chongo/tech/comp/fnv/>, folded to 32 bits.)
pub(super) fn seed(suite: &str, name: &str) -> u64 {
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0100_0000_01b3;
    let bytes = suite.bytes().chain([b'/']).chain(name.bytes());
    let hash = bytes.fold(OFFSET, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(PRIME)
    });
    (hash >> 32) ^ (hash & 0xffff_ffff)
}

/// Whether a pattern selects a name: with `*` (any text) or `?` (any character) it must match the
/// whole name, otherwise it must occur in it.
pub(super) fn selects(pattern: &str, name: &str) -> bool {
    if !pattern.contains(['*', '?']) {
        return name.contains(pattern);
    }
    let pattern: Vec<char> = pattern.chars().collect();
    let name: Vec<char> = name.chars().collect();
    let (mut p, mut n) = (0, 0);
    // Where to go on if the text that the last `*` stands for must be one character longer.
    let mut retry = None;
    while n < name.len() {
        match pattern.get(p) {
            Some('*') => {
                p += 1;
                retry = Some((p, n));
            }
            Some(c) if *c == '?' || name.get(n) == Some(c) => {
                p += 1;
                n += 1;
            }
            _ => match &mut retry {
                None => return false,
                Some((after, longer)) => {
                    *longer += 1;
                    (p, n) = (*after, *longer);
                }
            },
        }
    }
    pattern.iter().skip(p).all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_without_wildcards_selects_by_part() {
        assert!(selects("kill", "lock-manager-lock-kill"));
        assert!(!selects("pause", "lock-manager-lock-kill"));
    }

    #[test]
    fn a_pattern_with_wildcards_must_match_the_whole_name() {
        assert!(selects("lock*kill", "lock-manager-lock-kill"));
        assert!(selects("*-ki?l", "lock-manager-lock-kill"));
        assert!(selects("*a*b*", "xxaxxbaxb"));
        assert!(!selects("lock*", "the-lock"));
        assert!(!selects("lock?", "lock"));
    }

    #[test]
    fn taken_names_are_numbered_past_those_that_exist() {
        let mut names = Names::default();
        let given = ["a", "a-2", "a", "a"].map(|name| names.unique(name.into()));
        assert_eq!(given, ["a", "a-2", "a-3", "a-4"]);
    }

    #[test]
    fn a_seed_depends_on_suite_and_name_and_stays_the_same() {
        assert_eq!(seed("demo", "a"), seed("demo", "a"));
        assert_ne!(seed("demo", "a"), seed("demo", "b"));
        assert_ne!(seed("demo", "a"), seed("lock", "a"));
    }
}
