//! Single bits of nodes' files flip.

use rand::RngExt;
use rand_pcg::Pcg64Mcg;
use serde::Deserialize;
use serde_json::{Map, Value as Json, json};
use tribunal_results::options::{OptionError, decode};

use crate::aim::Aim;
use crate::disk::damage::{Damage, damage, files};
use crate::process::{choose, injected, on_each, proof_of, revive};
use crate::{Fault, Field, Healed, Injected, Injection, Pending};

/// How the way to the files is called on the record.
const TIER: &str = "files in the data directory";

/// The fault `bit-flip`.
#[derive(Debug)]
pub struct BitFlip;

/// The options of faults that damage files.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Options {
    /// Whose files.
    nodes: Aim,
    /// Which of the files in the data directory: `*` stands for any characters, `?` for one.
    files: Vec<String>,
    /// Whether the node is killed before, and started to heal: most systems read their files only
    /// when they start.
    down: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            nodes: Aim::One,
            files: vec!["*".into()],
            down: true,
        }
    }
}

impl Fault for BitFlip {
    fn name(&self) -> &'static str {
        "bit-flip"
    }

    fn about(&self) -> &'static str {
        "flips a bit in a file of each node, for good; the node is down meanwhile unless asked"
    }

    fn colour(&self) -> &'static str {
        "#8b008b"
    }

    fn check_options(&self, options: &Json) -> Result<(), OptionError> {
        check(options)
    }

    fn resolve(&self, options: &Json, field: &Field, rng: &mut Pcg64Mcg) -> Option<Injection> {
        resolve(self.name(), options, field, rng)
    }

    fn inject<'a>(&'a self, injection: &'a Injection, field: &'a Field) -> Pending<'a, Injected> {
        Box::pin(inject(injection, field, Damage::Flip))
    }

    fn heal<'a>(&'a self, injection: &'a Injection, field: &'a Field) -> Pending<'a, Healed> {
        Box::pin(heal(injection, field))
    }
}

pub(crate) fn check(options: &Json) -> Result<(), OptionError> {
    if decode::<Options>(options)?.files.is_empty() {
        return Err(OptionError::new("files", "no file is named; write [\"*\"]"));
    }
    Ok(())
}

/// Chooses nodes, and numbers that say which file of each and where in it.
pub(crate) fn resolve(
    fault: &str,
    options: &Json,
    field: &Field,
    rng: &mut Pcg64Mcg,
) -> Option<Injection> {
    let Options { nodes, files, down } = decode(options).ok()?;
    let mut injection = choose(fault, &nodes, Map::new(), field, rng)?;
    for node in &injection.nodes {
        let drawn: [f64; 2] = [rng.random(), rng.random()];
        injection.detail["drawn"][node.as_ref()] = json!(drawn);
    }
    injection.detail["files"] = json!(files);
    injection.detail["down"] = json!(down);
    Some(injection)
}

/// Damages a file of each node.
pub(crate) async fn inject(
    injection: &Injection,
    field: &Field,
    kind: fn(f64) -> Damage,
) -> Injected {
    let answers = on_each(&injection.nodes, field, |processes, node| {
        let detail = injection.detail.clone();
        async move {
            let read = |name: &str| detail.get(name).cloned().unwrap_or_default();
            let wrong = |e: serde_json::Error| format!("its detail is wrong: {e}");
            let patterns: Vec<String> = serde_json::from_value(read("files")).map_err(wrong)?;
            let drawn = read("drawn").get(&*node).cloned().unwrap_or_default();
            let [which, place]: [f64; 2] = serde_json::from_value(drawn).map_err(wrong)?;
            let root = processes.data(&node)?;
            if read("down") == true {
                processes.kill(&node).await?;
            }
            let found = files(&root, &patterns).map_err(|e| e.to_string())?;
            let index = (which * found.len() as f64) as usize;
            let path = found.get(index).ok_or_else(|| {
                format!(
                    "no file of it that is not empty matches {}",
                    patterns.join(", ")
                )
            })?;
            let mut proof = damage(path, kind(place)).map_err(|e| e.to_string())?;
            proof["tier"] = json!(TIER);
            Ok(proof)
        }
    });
    injected(answers.await)
}

/// Starts the nodes. The damage stays, as it would.
pub(crate) async fn heal(injection: &Injection, field: &Field) -> Healed {
    let answers = on_each(&injection.nodes, field, |processes, node| async move {
        Ok(json!({ "pid": revive(processes, node).await? }))
    })
    .await;
    Healed {
        // Whatever was injected was read back from the file.
        bit: true,
        proof: proof_of(answers),
    }
}
