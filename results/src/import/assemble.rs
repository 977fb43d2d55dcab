//! Entries put together to a history.
//!
//! Rules: entries are in the order of their file. What is no client's, or no operation of a
//! register, is left out and counted. After an `:info`, a client that goes on under the same
//! number, as those of older Jepsen did, gets a new one. Times that are missing are the position
//! in nanoseconds; times that run backwards stand still, for the order of the file is what
//! counts.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::entry::Entry;
use super::{ImportError, Imported, register};
use crate::event::{Body, Event, LineType, Process};
use crate::history::HistoryBuilder;
use crate::{Assumptions, Operation, Outcome};

/// Names of unknown operations that a note lists.
const UNKNOWN_LISTED_MAX: usize = 5;

/// Puts entries together.
pub(super) fn assemble(mut entries: Vec<Entry>) -> Result<Imported, ImportError> {
    in_order(&entries)?;
    let total = entries.len();
    entries.retain(|entry| entry.client.is_some());
    let strangers = total - entries.len();
    let mut unknown: BTreeMap<String, u64> = BTreeMap::new();
    entries.retain(|entry| {
        let known = register::NAMES.contains(&entry.f.as_str());
        if !known && entry.kind == LineType::Invoke {
            *unknown.entry(entry.f.clone()).or_default() += 1;
        }
        known
    });
    let mut assembly = Assembly::new(&entries);
    for entry in &entries {
        assembly
            .push(entry)
            .map_err(|reason| ImportError::wrong(entry.at, reason))?;
    }
    let mut notes = assembly.notes();
    notes.extend(unknown_note(&unknown));
    if strangers > 0 {
        notes.push(format!(
            "left out as of the nemesis, or of another that is no client: {strangers}"
        ));
    }
    Ok(Imported {
        history: assembly.builder.finish(),
        assume: Assumptions::default(),
        notes,
    })
}

/// Refuses entries whose own indexes say that they are not in order.
fn in_order(entries: &[Entry]) -> Result<(), ImportError> {
    let mut last: Option<i64> = None;
    for entry in entries {
        if let (Some(before), Some(index)) = (last, entry.index)
            && before >= index
        {
            let reason = format!("index {index} comes after index {before}");
            return Err(ImportError::wrong(entry.at, reason));
        }
        last = entry.index.or(last);
    }
    Ok(())
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
            "left out as neither read, write nor cas: {count} ({}{more}); if they change a \
             register, the verdict does not hold",
            listed.join(", ")
        )
    })
}

/// A history on its way.
struct Assembly {
    builder: HistoryBuilder,
    /// The number that a client goes under now.
    numbers: HashMap<u64, u64>,
    /// Clients whose last operation ended unknown.
    retired: BTreeSet<u64>,
    next_number: u64,
    renumbered: u64,
    timed: bool,
    index: u64,
    now: u64,
    stood_still: u64,
}

impl Assembly {
    fn new(entries: &[Entry]) -> Self {
        let highest = entries.iter().filter_map(|entry| entry.client).max();
        Self {
            builder: HistoryBuilder::default(),
            numbers: HashMap::new(),
            retired: BTreeSet::new(),
            next_number: highest.map_or(0, |n| n.saturating_add(1)),
            renumbered: 0,
            timed: entries.iter().any(|entry| entry.time.is_some()),
            index: 0,
            now: 0,
            stood_still: 0,
        }
    }

    fn push(&mut self, entry: &Entry) -> Result<(), String> {
        let Some(client) = entry.client else {
            return Ok(());
        };
        let process = Process::Client(self.number(client, entry.kind));
        let body = match entry.kind {
            LineType::Invoke => Body::Invoke(register::operation(&entry.f, &entry.value)?),
            _ => self.completion(process, entry)?,
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

    /// The number of a client: a new one if it goes on after an unknown outcome.
    fn number(&mut self, client: u64, kind: LineType) -> u64 {
        if kind == LineType::Invoke && self.retired.remove(&client) {
            self.numbers.insert(client, self.next_number);
            self.next_number = self.next_number.saturating_add(1);
            self.renumbered += 1;
        }
        self.numbers.get(&client).copied().unwrap_or(client)
    }

    fn completion(&self, process: Process, entry: &Entry) -> Result<Body, String> {
        let operation: Operation = self
            .builder
            .outstanding(process)
            .ok_or_else(|| format!("{process} completes what it did not invoke"))?
            .clone();
        if operation.kind().name() != entry.f {
            let f = &entry.f;
            return Err(format!(
                "{process} invoked {operation}, but a {f} completes"
            ));
        }
        let reason = |otherwise| register::reason(&entry.error, &entry.value, otherwise);
        let outcome = match entry.kind {
            LineType::Fail => Outcome::Fail(reason("failed")),
            LineType::Info => Outcome::Info(reason("unknown")),
            LineType::Ok | LineType::Invoke => {
                Outcome::Ok(register::answer(&operation, &entry.value)?)
            }
        };
        Ok(Body::Complete(operation, outcome))
    }

    fn advance(&mut self, time: Option<i64>) {
        if !self.timed {
            self.now = self.index;
            return;
        }
        let time = time.map_or(self.now, |time| u64::try_from(time).unwrap_or(0));
        if time < self.now {
            self.stood_still += 1;
        }
        self.now = self.now.max(time);
    }

    fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.renumbered > 0 {
            notes.push(format!(
                "given a new number, to go on after an unknown outcome: {}",
                self.renumbered
            ));
        }
        if self.stood_still > 0 {
            notes.push(format!(
                "set to the time before, as running backwards: {}",
                self.stood_still
            ));
        }
        notes
    }
}
