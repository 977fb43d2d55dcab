//! One plan tried several times, several at once, each in a process of its own.

use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::watch;
use tribunal_results::ResultClass;

use super::Sought;
use crate::pool::{self, Next};
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
    pub sought: Sought,
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
        let trials = (0..most).map(|_| self.clone().once());
        let mut stopped = stop.clone();
        let told = |tried: Result<Tried, String>| {
            let broken = |why| Tried {
                shown: Shown::Broken(why),
                directory: None,
            };
            match tell(tried.unwrap_or_else(broken)) {
                true => Next::Begin,
                false => Next::End,
            }
        };
        // What is under way is dropped, and so killed.
        tokio::select! {
            biased;
            Ok(_) = stopped.wait_for(|stopped| *stopped) => {}
            () = pool::run(trials, self.jobs, stop, told) => {}
        }
    }

    async fn once(self) -> Tried {
        let args = [
            "run".into(),
            self.file.clone().into_os_string(),
            "--fail-fast".into(),
        ];
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
        if let Some(anomaly) = self.sought.find(verdict) {
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
