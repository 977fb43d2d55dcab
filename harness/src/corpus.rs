//! Failing runs, kept to be run first next time: a folder of suites of one run each.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use tribunal_results::RunVerdict;

use crate::plan::Plan;
use crate::suite::{self, Catalogue, Overrides, Source};

/// A folder of failing runs.
#[derive(Clone, Debug)]
pub struct Corpus {
    folder: PathBuf,
}

impl Corpus {
    /// The folder, made if it is missing.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn at(folder: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot make {}", folder.display()))?;
        Ok(Self {
            folder: folder.to_owned(),
        })
    }

    /// What is kept of runs like these, of the same suite and name: in the order of their files.
    ///
    /// # Errors
    /// If the folder, or a suite in it, cannot be read.
    pub fn like(&self, plans: &[Plan]) -> anyhow::Result<Vec<Plan>> {
        let shown = self.folder.display();
        let entries = std::fs::read_dir(&self.folder);
        let entries = entries.with_context(|| format!("cannot read {shown}"))?;
        let mut files = Vec::new();
        for entry in entries {
            let path = entry
                .with_context(|| format!("cannot read {shown}"))?
                .path();
            files.extend(
                path.extension()
                    .is_some_and(|e| e == "yaml")
                    .then_some(path),
            );
        }
        files.sort();
        let mut kept = Vec::new();
        for file in files {
            let loaded = suite::load(
                &Source::File(file.clone()),
                &Catalogue::built_in(),
                &Overrides::default(),
            );
            let advice = || format!("remove {} or mend it", file.display());
            kept.extend(loaded.map_err(anyhow::Error::from).with_context(advice)?);
        }
        let is_like = |one: &Plan| {
            let same = |plan: &&Plan| plan.suite == one.suite && plan.name == one.name;
            plans.iter().any(|plan| same(&plan))
        };
        kept.retain(is_like);
        Ok(kept)
    }

    /// Keeps a failing run; one of the same suite, name and seed takes the place of an earlier one.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn keep(&self, plan: &Plan, verdict: &RunVerdict) -> anyhow::Result<PathBuf> {
        let name = format!("{}.{}.{}.yaml", plan.suite, plan.name, plan.seed);
        let file = self.folder.join(name);
        let yaml = suite::plan_to_yaml(plan).context("cannot put the plan into YAML")?;
        let claim = verdict.claim.replace(['\n', '\r'], " ");
        let text = format!("# It failed: {claim}\n{yaml}");
        std::fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
        Ok(file)
    }
}
