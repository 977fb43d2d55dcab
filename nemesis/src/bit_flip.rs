//! Single bits of nodes' files flip.

use rand::RngExt;
use rand_pcg::Pcg64Mcg;
use serde::Deserialize;
use serde_json::{Map, Value as Json, json};
use tribunal_results::options::OptionError;

use crate::aim::Aim;
use crate::chance::stream;
use crate::disk::damage::{files, flip};
use crate::process::{Answers, Hit, ProcessFault};
use crate::{Field, Injection};

/// How the way to the files is called on the record.
const TIER: &str = "files in the data directory";

/// The fault `bit-flip`. The damage stays: healing starts the nodes.
#[derive(Debug)]
pub struct BitFlip;

/// Its options.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
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

impl AsRef<Aim> for Options {
    fn as_ref(&self) -> &Aim {
        &self.nodes
    }
}

impl ProcessFault for BitFlip {
    const NAME: &'static str = "bit-flip";
    const ABOUT: &'static str =
        "flips a bit in a file of each node, for good; the node is down meanwhile unless asked";
    const COLOUR: &'static str = "#8b008b";
    type Options = Options;

    fn check(options: &Options) -> Result<(), OptionError> {
        if options.files.is_empty() {
            return Err(OptionError::new("files", "no file is named; write [\"*\"]"));
        }
        Ok(())
    }

    fn draw(options: &Options, rng: &mut Pcg64Mcg) -> Map<String, Json> {
        let drawn = [
            ("files", json!(options.files)),
            ("down", json!(options.down)),
            ("seed", json!(rng.random::<u64>())),
        ];
        drawn
            .map(|(name, value)| (name.into(), value))
            .into_iter()
            .collect()
    }

    async fn hit(hit: Hit) -> Result<Json, String> {
        let (root, patterns) = (hit.data()?, hit.drawn::<Vec<String>>("files")?);
        let mut chance = stream(hit.drawn("seed")?, &[&hit.node]);
        if hit.drawn("down")? {
            hit.processes.kill(&hit.node).await?;
        }
        let found = files(&root, &patterns).map_err(|e| e.to_string())?;
        let index = (chance.random::<f64>() * found.len() as f64) as usize;
        let path = found.get(index).ok_or_else(|| {
            let patterns = patterns.join(", ");
            format!("no file of it that is not empty matches {patterns}")
        })?;
        let mut proof = flip(path, chance.random()).map_err(|e| e.to_string())?;
        proof["tier"] = json!(TIER);
        Ok(proof)
    }

    /// Whatever was injected was read back from the file.
    fn bit(_: &Injection, _: &Field, _: &Answers<Json>) -> bool {
        true
    }
}
