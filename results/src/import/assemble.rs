//! Entries put together to a history, one after the other.
//!
//! Rules: entries are in the order of their file. What is no client's, or no operation that is
//! known, is left out and counted. After an `:info`, a client that goes on under the same
//! number, as those of older Jepsen did, gets a new one. Times that are missing are the position
//! in nanoseconds; times that run backwards stand still, for the order of the file is what
//! counts.
//!
//! Nothing of an entry is kept but its call. What only the end of the file tells (what kind of
//! object a key is, the numbers that are free, whether there are times) is settled there, in one
//! pass over the calls.

use std::collections::BTreeMap;

use rustc_hash::{FxHashMap, FxHashSet};

use super::entry::Entry;
use super::objects::{Object, Objects};
use super::{ImportError, Imported, value, words};
use crate::event::{Body, Event, LineType, Process};
use crate::history::HistoryBuilder;
use crate::{Assumptions, Operation, Outcome};

/// Names of unknown operations that a note lists.
const UNKNOWN_LISTED_MAX: usize = 5;
/// Names of unknown operations that are counted each for itself.
const UNKNOWN_NAMES_MAX: usize = 1_000;

/// The number that new clients count from until the free ones are known; no file's client may
/// have one so high.
pub(crate) const NEW_CLIENTS: u64 = 1 << 62;

/// A history on its way.
#[derive(Debug)]
pub(super) struct Assembly {
    builder: HistoryBuilder,
    objects: Objects,
    /// The number that a client goes under now.
    numbers: FxHashMap<u64, u64>,
    /// Clients whose last operation ended unknown.
    retired: FxHashSet<u64>,
    highest: Option<u64>,
    renumbered: u64,
    /// The last index that an entry claimed.
    claimed: Option<i64>,
    timed: bool,
    index: u64,
    now: u64,
    stood_still: u64,
    strangers: u64,
    unknown: BTreeMap<String, u64>,
    notes: Vec<String>,
}

impl Assembly {
    /// A history without events, of objects of the given kind.
    pub(super) fn new(object: Option<Object>) -> Self {
        Self {
            builder: HistoryBuilder::default(),
            objects: Objects::new(object),
            numbers: FxHashMap::default(),
            retired: FxHashSet::default(),
            highest: None,
            renumbered: 0,
            claimed: None,
            timed: false,
            index: 0,
            now: 0,
            stood_still: 0,
            strangers: 0,
            unknown: BTreeMap::new(),
            notes: Vec::new(),
        }
    }

    /// Adds to what is said of the history.
    pub(super) fn note(&mut self, note: String) {
        self.notes.push(note);
    }

    /// Takes the next entry.
    pub(super) fn take(&mut self, entry: &Entry) -> Result<(), ImportError> {
        self.push(entry)
            .map_err(|reason| ImportError::wrong(entry.at, reason))
    }

    fn push(&mut self, entry: &Entry) -> Result<(), String> {
        if let (Some(before), Some(index)) = (self.claimed, entry.index)
            && before >= index
        {
            return Err(format!("index {index} comes after index {before}"));
        }
        self.claimed = entry.index.or(self.claimed);
        let Some(client) = entry.client else {
            self.strangers += 1;
            return Ok(());
        };
        if client >= NEW_CLIENTS {
            return Err(format!("process {client} is too high a number"));
        }
        self.highest = self.highest.max(Some(client));
        let body = match entry.kind {
            LineType::Invoke => self.invocation(client, entry)?,
            _ => self.completion(client, entry)?,
        };
        let Some((process, body)) = body else {
            return Ok(());
        };
        self.advance(entry.time);
        let event = Event {
            index: self.index,
            time: self.now,
            process,
            node: None,
            body,
        };
        self.builder.push(event).map_err(|e| e.reason)?;
        self.index += 1;
        if entry.kind == LineType::Info {
            self.retired.insert(client);
        }
        Ok(())
    }

    fn invocation(
        &mut self,
        client: u64,
        entry: &Entry,
    ) -> Result<Option<(Process, Body)>, String> {
        let Some(operation) = words::operation(&entry.f, &entry.value)? else {
            self.count_unknown(&entry.f);
            return Ok(None);
        };
        if let Some((key, sign)) = words::sign_of(&operation) {
            self.objects.see(key, sign)?;
        }
        if self.retired.remove(&client) {
            self.numbers.insert(client, NEW_CLIENTS + self.renumbered);
            self.renumbered += 1;
        }
        let process = self.process(client);
        Ok(Some((process, Body::Invoke(operation))))
    }

    fn completion(
        &mut self,
        client: u64,
        entry: &Entry,
    ) -> Result<Option<(Process, Body)>, String> {
        let process = self.process(client);
        let Some(operation) = self.builder.outstanding(process) else {
            let steps = entry.f.is_empty() && value::is_micros(&entry.value);
            return match words::is_known(&entry.f) || steps {
                true => Err(format!("p{client} completes what it did not invoke")),
                false => Ok(None),
            };
        };
        let (f, said) = (&entry.f, &entry.value);
        if !words::completes(f, operation) {
            return match words::is_known(f) {
                true => Err(format!(
                    "p{client} invoked {operation}, but a {f} completes"
                )),
                false => Ok(None),
            };
        }
        let operation: Operation = operation.clone();
        let reason = |otherwise| value::reason(&entry.error, said, otherwise);
        let outcome = match entry.kind {
            LineType::Fail => Outcome::Fail(reason("failed")),
            LineType::Info => Outcome::Info(reason("unknown")),
            LineType::Ok | LineType::Invoke => {
                let (answer, sign) = words::answer(f, &operation, said)?;
                if let (Some(key), Some(sign)) = (operation.key(), sign) {
                    self.objects.see(key, sign)?;
                }
                Outcome::Ok(answer)
            }
        };
        Ok(Some((process, Body::Complete(operation, outcome))))
    }

    fn process(&self, client: u64) -> Process {
        Process::Client(self.numbers.get(&client).copied().unwrap_or(client))
    }

    fn count_unknown(&mut self, f: &str) {
        if let Some(count) = self.unknown.get_mut(f) {
            *count += 1;
        } else {
            let f = if self.unknown.len() < UNKNOWN_NAMES_MAX {
                f
            } else {
                "other"
            };
            *self.unknown.entry(f.to_owned()).or_default() += 1;
        }
    }

    fn advance(&mut self, time: Option<i64>) {
        self.timed |= time.is_some();
        let time = time.map_or(self.now, |time| u64::try_from(time).unwrap_or(0));
        if time < self.now {
            self.stood_still += 1;
        }
        self.now = self.now.max(time);
    }

    /// The history, once all entries were taken.
    pub(super) fn finish(mut self) -> Imported {
        let mut notes = self.say();
        notes.append(&mut self.notes);
        let mut history = std::mem::take(&mut self.builder).finish();
        let common = self.objects.common();
        let first_free = self.highest.map_or(0, |n| n + 1);
        history.settle(self.timed, |call| {
            if call.process >= NEW_CLIENTS {
                call.process = call.process - NEW_CLIENTS + first_free;
            }
            words::settle(call, |key| self.objects.of(key, common));
        });
        Imported {
            history,
            // A mutex of Jepsen's and of Knossos' may be given back by anybody.
            assume: Assumptions {
                owned: false,
                ..Assumptions::default()
            },
            notes,
            timed: true,
            partial: !self.unknown.is_empty(),
        }
    }

    /// What was changed and left out.
    fn say(&self) -> Vec<String> {
        let (renumbered, stood_still) = (self.renumbered, self.stood_still);
        let mut notes = Vec::new();
        if renumbered > 0 {
            notes.push(format!(
                "given a new number, to go on after an unknown outcome: {renumbered}"
            ));
        }
        if stood_still > 0 {
            notes.push(format!(
                "set to the time before, as running backwards: {stood_still}"
            ));
        }
        notes.extend(unknown_note(&self.unknown));
        if self.strangers > 0 {
            notes.push(format!(
                "left out as of the nemesis, or of another that is no client: {}",
                self.strangers
            ));
        }
        notes
    }
}

fn unknown_note(unknown: &BTreeMap<String, u64>) -> Option<String> {
    let count: u64 = unknown.values().sum();
    let listed: Vec<String> = unknown
        .iter()
        .take(UNKNOWN_LISTED_MAX)
        .map(|(f, count)| format!("{count} × {}", if f.is_empty() { "no :f" } else { f }))
        .collect();
    let more = unknown.len().saturating_sub(listed.len());
    let more = if more > 0 {
        format!(" and {more} other kinds")
    } else {
        String::new()
    };
    (count > 0).then(|| {
        format!(
            "left out as operations that are not known: {count} ({}{more}); if they change what \
             others read, the verdict does not hold",
            listed.join(", ")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::Where;
    use crate::import::edn::Value;

    #[test]
    fn a_client_with_too_high_a_number_is_refused() {
        let entry = Entry {
            at: Where::Line(1),
            client: Some(u64::MAX),
            kind: LineType::Invoke,
            f: "read".into(),
            value: Value::Nil,
            time: None,
            index: None,
            error: Value::Nil,
        };
        assert!(Assembly::new(None).take(&entry).is_err());
    }
}
