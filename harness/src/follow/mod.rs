//! Judges a history while it is being written.
//!
//! A [`Follower`] reads what was written since the last time and hands its moments to every
//! checker that is a fold ([`tribunal_checkers::Fold`]); [`Growth`] tells when there is more.
//! Detection lags behind by as long as the longest operation that is outstanding, since nobody
//! knows yet how that one ends.

mod growth;

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use anyhow::Context as _;
use tribunal_checkers::stream::Feed;
use tribunal_checkers::{Budget, Checker, Fold};
use tribunal_results::journal::{Journal, JournalReader};
use tribunal_results::{History, Verdict};

pub use self::growth::Growth;

/// How much is read at a time, in bytes.
const CHUNK_BYTES: usize = 1 << 16;

/// A checker that follows.
struct Followed {
    checker: &'static dyn Checker,
    fold: Box<dyn Fold>,
    feed: Feed,
    told: bool,
}

/// Which checkers follow.
pub enum Choice {
    /// These.
    Named(Vec<&'static dyn Checker>),
    /// Those that suit the operations that turn up.
    Applicable,
}

/// Follows one history file.
pub struct Follower {
    file: File,
    reader: JournalReader,
    choice: Choice,
    budget: Budget,
    /// Calls whose kinds were looked at to find out which checkers apply.
    looked_at: usize,
    followed: Vec<Followed>,
}

impl Follower {
    /// Follows the history file at `path`, which must exist.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub fn open(path: &Path, choice: Choice, budget: Budget) -> anyhow::Result<Self> {
        let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
        Ok(Self {
            file,
            reader: JournalReader::default(),
            choice,
            budget,
            looked_at: 0,
            followed: Vec::new(),
        })
    }

    /// Reads what was written since the last time. Returns the verdict of every checker that
    /// finds a contradiction now and did not before.
    ///
    /// # Errors
    /// If the file cannot be read, or is not a history: then the line and the reason.
    pub fn advance(&mut self) -> anyhow::Result<Vec<Verdict>> {
        let mut chunk = vec![0; CHUNK_BYTES];
        let mut found = Vec::new();
        loop {
            let read = self.file.read(&mut chunk).context("cannot read on")?;
            let bytes = chunk.get(..read).unwrap_or_default();
            if bytes.is_empty() {
                return Ok(found);
            }
            self.reader.take(bytes)?;
            self.choose();
            found.extend(self.fold(false));
        }
    }

    /// What was read so far.
    pub const fn history(&self) -> &History {
        self.reader.history()
    }

    /// The names of the checkers that follow.
    pub fn names(&self) -> Vec<&'static str> {
        self.followed.iter().map(|f| f.checker.name()).collect()
    }

    /// Ends the following, and returns the history and what those that follow make of the rest.
    ///
    /// # Errors
    /// If there was not even a header.
    pub fn finish(mut self) -> anyhow::Result<(Journal, Vec<Verdict>)> {
        let found = self.fold(true);
        Ok((self.reader.finish()?, found))
    }

    /// Starts the checkers that are chosen and can follow; each from the beginning.
    fn choose(&mut self) {
        let Some(header) = self.reader.header() else {
            return;
        };
        let calls = self.reader.history().calls();
        let chosen = match &mut self.choice {
            Choice::Named(checkers) => std::mem::take(checkers),
            Choice::Applicable => {
                let new = calls.get(self.looked_at..).unwrap_or_default();
                self.looked_at = calls.len();
                tribunal_checkers::suited(new)
            }
        };
        for checker in chosen {
            let name = checker.name();
            if self.followed.iter().any(|f| f.checker.name() == name) {
                continue;
            }
            if let Some(fold) = checker.fold(&header.assume, self.budget) {
                self.followed.push(Followed {
                    checker,
                    fold,
                    feed: Feed::default(),
                    told: false,
                });
            }
        }
    }

    fn fold(&mut self, whole: bool) -> Vec<Verdict> {
        let history = self.reader.history();
        let mut found = Vec::new();
        for followed in &mut self.followed {
            while let Some(moment) = followed.feed.next(history, whole) {
                followed.fold.step(history, moment);
            }
            if !followed.told && followed.fold.contradicted() {
                followed.told = true;
                found.push(followed.fold.verdict(history));
            }
        }
        found
    }
}
