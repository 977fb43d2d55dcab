//! One plan tried several times, several at once, each in a process of its own.

use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tribunal_results::ResultClass;

use super::Signature;
use crate::prove::trial::{Told, tribunal};

/// What one trial showed.
#[derive(Clone, Debug, PartialEq)]
pub enum Shown {
    /// What was looked for: the anomaly's name, and when it was complete since the run's beginning.
    Same(String, Duration),
    /// Something else; the anomaly's name.
    Other(String),
    /// Nothing.
    Nothing,
    /// There is no verdict, and why.
    Broken(String),
}

/// A plan to try.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The plan's file: a suite of one run.
    pub file: PathBuf,
    /// Where run directories go.
    pub out: PathBuf,
    /// What is looked for.
    pub signature: Signature,
    /// How many trials go on at once.
    pub jobs: usize,
    /// Whether run directories are removed when they were looked at.
    pub forget: bool,
}

/// A trial that came to its end.
#[derive(Clone, Debug)]
pub struct Tried {
    /// What it showed.
    pub shown: Shown,
    /// Its directory, if it has one and was not removed.
    pub directory: Option<PathBuf>,
}

impl Batch {
    /// Tries it `most` times; `tell` says after each trial whether to go on. What is under way when
    /// it says no, or when `stop` turns true, is ended.
    pub async fn run(
        &self,
        most: u64,
        stop: &mut watch::Receiver<bool>,
        mut tell: impl FnMut(Tried) -> bool,
    ) {
        let mut trials = JoinSet::new();
        let mut begun = 0;
        loop {
            while begun < most && trials.len() < self.jobs.max(1) {
                trials.spawn(self.clone().once());
                begun += 1;
            }
            let joined = tokio::select! {
                biased;
                Ok(_) = stop.wait_for(|stopped| *stopped) => return,
                joined = trials.join_next() => joined,
            };
            let tried = match joined {
                None => return,
                Some(Ok(tried)) => tried,
                Some(Err(e)) => Tried {
                    shown: Shown::Broken(e.to_string()),
                    directory: None,
                },
            };
            if !tell(tried) {
                return;
            }
        }
    }

    async fn once(self) -> Tried {
        let args = ["run".into(), self.file.clone().into_os_string()];
        let told = tribunal(args, &self.out, None).await;
        let shown = match &told {
            Ok(told) => self.shown(told),
            Err(why) => Shown::Broken(why.clone()),
        };
        let mut directory = told.ok().map(|told| told.directory);
        if self.forget {
            // What cannot be removed now is removed with all others.
            let _left = directory.take().map(std::fs::remove_dir_all);
        }
        Tried { shown, directory }
    }

    fn shown(&self, told: &Told) -> Shown {
        let verdict = &told.verdict;
        if let Some(anomaly) = self.signature.find(verdict) {
            let at = Duration::from_nanos(anomaly.span.1);
            return Shown::Same(anomaly.name.clone(), at);
        }
        if let Some(other) = verdict.headline() {
            return Shown::Other(other.name.clone());
        }
        match verdict.class {
            ResultClass::HarnessError | ResultClass::Interrupted => {
                Shown::Broken(verdict.claim.clone())
            }
            _ => Shown::Nothing,
        }
    }
}
