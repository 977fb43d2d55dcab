//! Where every operation of a history lies: in time, in its lane, in the file.
//!
//! An entry takes 72 bytes whatever the operation holds; texts are read from the file when they
//! are shown. What a window of time shows is found by halving, as the page's script does it: for
//! each lane the latest end so far ascends.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use rustc_hash::FxHashMap;
use tribunal_results::event::LineType;
use tribunal_results::history::HistoryBuilder;
use tribunal_results::report::window::{LANES_MAX, kind_number};
use tribunal_results::{History, Kind, Nanos};

use super::line::{self, Lean, Who};

/// The most operations that are kept of one history.
pub(super) const OPERATIONS_MAX: usize = 4_000_000;
/// After how many bytes it is said how far the reading is.
const TOLD_EVERY: u64 = 1 << 20;
/// No line: the operation never completed.
pub(super) const NOWHERE: u64 = u64::MAX;

/// One operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// Index of the invocation.
    pub index: u64,
    /// Index of the completion; 0 if there is none.
    pub returned: u64,
    /// When it was invoked.
    pub from: Nanos,
    /// When it completed, or the record ends.
    pub until: Nanos,
    /// The byte at which its invocation begins.
    pub asked_at: u64,
    /// The byte at which its completion begins, or [`NOWHERE`].
    pub ended_at: u64,
    /// Its client.
    pub process: u64,
    /// Its key in [`Index::keys`].
    pub key: u32,
    /// Its node in [`Index::nodes`].
    pub node: u32,
    /// Its kind.
    pub kind: u8,
    /// 0 ok, 1 fail, 2 info.
    pub outcome: u8,
}

/// The operations of one lane.
#[derive(Debug, Default)]
pub(super) struct Lane {
    /// Their places in [`Index::entries`], ascending.
    pub ids: Vec<u32>,
    /// Up to each the latest end so far.
    pub reach: Vec<Nanos>,
}

/// Names, each kept once; 0 is the empty one.
#[derive(Debug)]
pub(super) struct Names {
    list: Vec<String>,
    numbers: HashMap<String, u32>,
}

impl Default for Names {
    fn default() -> Self {
        Self {
            list: vec![String::new()],
            numbers: HashMap::from([(String::new(), 0)]),
        }
    }
}

impl Names {
    fn number(&mut self, name: &str) -> u32 {
        if let Some(&number) = self.numbers.get(name) {
            return number;
        }
        let number = u32::try_from(self.list.len()).unwrap_or(0);
        self.list.push(name.to_owned());
        self.numbers.insert(name.to_owned(), number);
        number
    }

    /// The name of that number.
    pub(super) fn name(&self, number: u32) -> &str {
        self.list.get(number as usize).map_or("", String::as_str)
    }

    /// The number of that name, if it occurs.
    pub(super) fn find(&self, name: &str) -> Option<u32> {
        self.numbers.get(name).copied()
    }
}

/// A history without its texts.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// Every operation in the order of invocation.
    pub entries: Vec<Entry>,
    /// The lanes that they are drawn in.
    pub lanes: Vec<Lane>,
    /// The keys.
    pub keys: Names,
    /// The nodes.
    pub nodes: Names,
    /// What the nemesis did, and what became of nodes; without any operation.
    pub nemesis: History,
    /// When the record ends.
    pub end: Nanos,
    /// Whether there were more than [`OPERATIONS_MAX`].
    pub cut: bool,
}

impl Index {
    /// Reads a history file. `clients` is how many work at a time, 0 if nobody knows; `told` is
    /// kept at the number of bytes that were read.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub(super) fn read(path: &Path, clients: usize, told: &AtomicU64) -> io::Result<Self> {
        let input = BufReader::with_capacity(1 << 18, File::open(path)?);
        let mut building = Building::default();
        let mut next = TOLD_EVERY;
        line::each(input, 0, |at, line| {
            if at > next {
                told.store(at, Ordering::Relaxed);
                next = at + TOLD_EVERY;
            }
            if let Some(lean) = line::lean(line) {
                building.take(at, line, &lean);
            }
        })?;
        Ok(building.finish(clients as u64))
    }

    /// The place of the operation whose invocation is the event of that index.
    pub(super) fn place(&self, index: u64) -> Option<u32> {
        let at = self
            .entries
            .binary_search_by_key(&index, |e| e.index)
            .ok()?;
        u32::try_from(at).ok()
    }

    /// The operation at a place.
    pub(super) fn entry(&self, place: u32) -> Option<&Entry> {
        self.entries.get(place as usize)
    }
}

#[derive(Default)]
struct Building {
    index: Index,
    outstanding: FxHashMap<u64, u32>,
    nemesis: HistoryBuilder,
    /// The index that the next event of the nemesis gets: theirs have no gaps of their own.
    next: u64,
}

impl Building {
    fn take(&mut self, at: u64, line: &[u8], lean: &Lean<'_>) {
        self.index.end = self.index.end.max(lean.time);
        match (&lean.process, lean.kind) {
            (Who::Nemesis(_), _) => self.break_or_mend(line),
            (Who::Client(process), LineType::Invoke) => self.invoke(at, *process, lean),
            (Who::Client(process), kind) => self.complete(at, *process, kind, lean),
        }
    }

    fn break_or_mend(&mut self, line: &[u8]) {
        let Some(mut event) = line::event(line) else {
            return;
        };
        event.index = self.next;
        if self.nemesis.push(event).is_ok() {
            self.next += 1;
        }
    }

    fn invoke(&mut self, at: u64, process: u64, lean: &Lean<'_>) {
        let index = &mut self.index;
        if index.entries.len() >= OPERATIONS_MAX {
            index.cut = true;
            return;
        }
        let place = u32::try_from(index.entries.len()).unwrap_or(u32::MAX);
        let key = lean.key.as_ref().map(ToString::to_string);
        index.entries.push(Entry {
            index: lean.index,
            returned: 0,
            from: lean.time,
            until: NOWHERE,
            asked_at: at,
            ended_at: NOWHERE,
            process,
            key: index.keys.number(key.as_deref().unwrap_or_default()),
            node: index.nodes.number(lean.node.as_deref().unwrap_or_default()),
            kind: Kind::from_name(&lean.f).map_or(0, kind_number),
            outcome: 2,
        });
        self.outstanding.insert(process, place);
    }

    fn complete(&mut self, at: u64, process: u64, kind: LineType, lean: &Lean<'_>) {
        let place = self.outstanding.remove(&process);
        let Some(entry) = place.and_then(|p| self.index.entries.get_mut(p as usize)) else {
            return;
        };
        (entry.returned, entry.until, entry.ended_at) = (lean.index, lean.time, at);
        entry.outcome = match kind {
            LineType::Ok => 0,
            LineType::Fail => 1,
            LineType::Info | LineType::Invoke => 2,
        };
    }

    fn finish(self, clients: u64) -> Index {
        let mut index = self.index;
        index.nemesis = self.nemesis.finish();
        let processes = index.entries.iter().map(|e| e.process.saturating_add(1));
        let processes = processes.max().unwrap_or(1);
        let lanes = if clients == 0 {
            processes
        } else {
            clients.min(processes)
        };
        let lanes = lanes.clamp(1, LANES_MAX);
        index
            .lanes
            .resize_with(usize::try_from(lanes).unwrap_or(1), Lane::default);
        for (place, entry) in index.entries.iter_mut().enumerate() {
            entry.until = entry.until.min(index.end);
            let lane = usize::try_from(entry.process % lanes).unwrap_or(0);
            if let (Some(lane), Ok(place)) = (index.lanes.get_mut(lane), u32::try_from(place)) {
                let before = lane.reach.last().copied().unwrap_or(0);
                lane.ids.push(place);
                lane.reach.push(before.max(entry.until));
            }
        }
        index
    }
}

/// The line that begins at that byte of a file.
///
/// # Errors
/// If the file cannot be read.
pub(super) fn line_at(file: &File, at: u64) -> io::Result<Vec<u8>> {
    use std::io::{Seek as _, SeekFrom};
    let mut file = file;
    file.seek(SeekFrom::Start(at))?;
    let longest = tribunal_results::journal::LINE_BYTES_MAX as u64;
    let mut line = Vec::new();
    BufReader::with_capacity(1 << 10, file.take(longest)).read_until(b'\n', &mut line)?;
    Ok(line)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A history of `operations` by four clients, in which every fifth fails, every seventh is
    /// unknown, these after 900 ns and all others after 500, and the last never completes.
    pub(in super::super) fn history(operations: u64) -> tempfile::NamedTempFile {
        use std::io::Write as _;
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let mut text =
            String::from("{\"format\":\"tribunal-history\",\"version\":1,\"nodes\":[\"n1\"]}\n");
        text += r#"{"index":0,"time":5,"process":"nemesis","node":"n1","type":"info","f":"node","value":{"state":"ready"}}"#;
        text += "\n";
        for n in 0..operations {
            let (index, time) = (1 + 2 * n, 1_000 + n * 1_000);
            let mut line = |index: u64, time: u64, kind: &str| {
                text += &format!(
                    "{{\"index\":{index},\"time\":{time},\"process\":{},\"node\":\"n1\",\"type\":\"{kind}\",\"f\":\"write\",\"key\":\"k{}\",\"value\":{n}}}\n",
                    n % 4 + if n % 7 == 6 { 100 + n * 4 } else { 0 },
                    n % 10
                );
            };
            line(index, time, "invoke");
            if n + 1 < operations {
                let kind = if n % 7 == 6 {
                    "info"
                } else if n % 5 == 4 {
                    "fail"
                } else {
                    "ok"
                };
                line(index + 1, time + if kind == "ok" { 500 } else { 900 }, kind);
            }
        }
        file.write_all(text.as_bytes()).unwrap();
        file
    }

    #[test]
    fn operations_are_paired_and_found_again_in_the_file() {
        let file = history(20);
        let index = Index::read(file.path(), 4, &AtomicU64::new(0)).unwrap();
        assert_eq!(
            (index.entries.len(), index.lanes.len(), index.end),
            (20, 4, 20_000)
        );
        let third = index.entry(index.place(5).unwrap()).unwrap();
        assert_eq!(
            (third.from, third.until, third.returned, third.outcome),
            (3_000, 3_500, 6, 0)
        );
        assert_eq!(
            (index.keys.name(third.key), index.nodes.name(third.node)),
            ("k2", "n1")
        );
        let last = index.entries.last().unwrap();
        assert_eq!(
            (last.until, last.ended_at, last.outcome),
            (20_000, NOWHERE, 2)
        );
        let line = line_at(&File::open(file.path()).unwrap(), third.ended_at).unwrap();
        assert!(
            String::from_utf8(line)
                .unwrap()
                .starts_with("{\"index\":6,")
        );
        assert_eq!(index.place(6), None);
        assert_eq!(index.nemesis.node_events().len(), 1);
    }
}
