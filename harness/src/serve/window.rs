//! Which operations a stretch of time shows: all of few; of many what a screen can tell apart.

use std::collections::BTreeSet;
use std::fs::File;

use tribunal_results::event::{Body, Line};
use tribunal_results::report::text::ending;
use tribunal_results::report::window::Entry as Drawn;
use tribunal_results::{Event, Kind, Nanos, Outcome};

use super::index::{Entry, Index, NOWHERE, line_at};

/// Up to so many operations are sent as they are, with their texts.
pub(super) const WHOLE_MAX: usize = 3_000;
/// About the most that are sent at all.
const SENT_MAX: usize = 60_000;

/// What is asked for: each word must be an operation's key, kind, process, node or outcome.
#[derive(Debug, Default)]
pub(super) struct Filter(Vec<Word>);

/// What a word can stand for in one history.
#[derive(Debug)]
struct Word {
    key: Option<u32>,
    node: Option<u32>,
    kind: Option<u8>,
    process: Option<u64>,
    outcome: Option<u8>,
}

impl Filter {
    /// Reads the words of a text.
    pub(super) fn of(text: &str, index: &Index) -> Self {
        let named = |list: &[&str], word: &str| list.iter().position(|name| *name == word);
        let small = |at: Option<usize>| at.and_then(|at| u8::try_from(at).ok());
        let kinds = Kind::ALL.map(Kind::name);
        let words = text.split_whitespace().take(16).map(|word| Word {
            key: index.keys.find(word),
            node: index.nodes.find(word),
            kind: small(named(&kinds, word)),
            process: word.strip_prefix('p').and_then(|n| n.parse().ok()),
            outcome: small(named(&["ok", "fail", "info"], word)),
        });
        Self(words.collect())
    }

    /// Whether nothing is asked for.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether an operation is among what is asked for.
    pub(super) fn takes(&self, entry: &Entry) -> bool {
        self.0.iter().all(|word| {
            word.key == Some(entry.key)
                || word.kind == Some(entry.kind)
                || word.outcome == Some(entry.outcome)
                || word.node == Some(entry.node)
                || word.process == Some(entry.process)
        })
    }
}

/// What a stretch of time shows.
#[derive(Debug)]
pub(super) struct Seen {
    /// Places in the index, ascending.
    pub places: Vec<u32>,
    /// Whether some were left out that no screen could tell apart.
    pub thinned: bool,
}

/// The operations that overlap `from` to `to`, drawn on so many pixels. Those that are pinned are
/// never left out.
pub(super) fn seen(
    index: &Index,
    (from, to): (Nanos, Nanos),
    pixels: usize,
    filter: &Filter,
    pinned: &[u32],
) -> Seen {
    let mut all = Vec::new();
    for lane in 0..index.lanes.len() {
        all.extend(overlapping(index, lane, from, to, filter).take(WHOLE_MAX + 1));
        if all.len() > WHOLE_MAX {
            break;
        }
    }
    let thinned = all.len() > WHOLE_MAX;
    if thinned {
        all.clear();
        let columns = pixels
            .clamp(100, SENT_MAX / 3 / index.lanes.len().max(1))
            .max(100);
        for lane in 0..index.lanes.len() {
            thin(index, lane, (from, to), columns, filter, &mut all);
        }
    }
    let overlaps = |place: &&u32| {
        let entry = index.entry(**place);
        entry.is_some_and(|e| e.from <= to && e.until >= from)
    };
    let places: BTreeSet<u32> = all
        .into_iter()
        .chain(pinned.iter().filter(overlaps).copied())
        .collect();
    Seen {
        places: places.into_iter().collect(),
        thinned,
    }
}

fn overlapping<'a>(
    index: &'a Index,
    lane: usize,
    from: Nanos,
    to: Nanos,
    filter: &'a Filter,
) -> impl Iterator<Item = u32> + 'a {
    let lane = index.lanes.get(lane);
    let first = lane.map_or(0, |lane| lane.reach.partition_point(|end| *end < from));
    let ids = lane
        .and_then(|lane| lane.ids.get(first..))
        .unwrap_or_default();
    ids.iter()
        .filter_map(|id| Some((*id, index.entry(*id)?)))
        .take_while(move |(_, entry)| entry.from <= to)
        .filter(move |(_, entry)| entry.until >= from && filter.takes(entry))
        .map(|(id, _)| id)
}

/// Of operations narrower than a column, only the first and each that is worse than those before
/// it in the same column: the others would be drawn on the same pixels.
fn thin(
    index: &Index,
    lane: usize,
    (from, to): (Nanos, Nanos),
    columns: usize,
    filter: &Filter,
    kept: &mut Vec<u32>,
) {
    let width = ((to - from) / columns as u64).max(1);
    let mut last: Option<(u64, u8)> = None;
    let room = kept.len() + 4 * columns;
    for place in overlapping(index, lane, from, to, filter) {
        let Some(entry) = index.entry(place) else {
            continue;
        };
        if entry.until - entry.from < width {
            let column = entry.from.saturating_sub(from) / width;
            match last {
                Some((at, worst)) if at == column && entry.outcome <= worst => continue,
                _ => last = Some((column, entry.outcome)),
            }
        }
        // Only clients that share a lane can be that many.
        if kept.len() >= room {
            return;
        }
        kept.push(place);
    }
}

/// An operation as the script takes it; its texts are read from the file if that is given.
pub(super) fn drawn<'a>(index: &'a Index, entry: &'a Entry, file: Option<&File>) -> Drawn<'a> {
    let kind = Kind::ALL
        .get(usize::from(entry.kind))
        .map_or("", |kind| kind.name());
    let key = index.keys.name(entry.key);
    let mut drawn = Drawn {
        index: entry.index,
        returned: (entry.returned > 0).then_some(entry.returned),
        from: entry.from,
        until: entry.until,
        outcome: entry.outcome,
        kind: entry.kind,
        lane: entry.process % index.lanes.len().max(1) as u64,
        process: entry.process,
        node: index.nodes.name(entry.node).into(),
        key: key.into(),
        asked: format!("{kind} {key}").trim_end().to_owned().into(),
        ..Drawn::default()
    };
    if let Some((asked, outcome)) = file.and_then(|file| told(file, entry)) {
        drawn.asked = asked.into();
        if let Some(outcome) = outcome {
            drawn.ended = ending(&outcome).into();
            if let Outcome::Fail(reason) | Outcome::Info(reason) = outcome {
                drawn.reason = reason.text.into();
            }
        }
    }
    drawn
}

/// What was asked, and how it ended, as the file has it.
fn told(file: &File, entry: &Entry) -> Option<(String, Option<Outcome>)> {
    let line = |at| -> Option<Line> { serde_json::from_slice(&line_at(file, at).ok()?).ok() };
    let Body::Invoke(operation) = Event::from_line(line(entry.asked_at)?, None).ok()?.body else {
        return None;
    };
    let asked = operation.to_string();
    if entry.ended_at == NOWHERE {
        return Some((asked, None));
    }
    let ended = Event::from_line(line(entry.ended_at)?, Some(&operation)).ok();
    match ended.map(|event| event.body) {
        Some(Body::Complete(_, outcome)) => Some((asked, Some(outcome))),
        _ => Some((asked, None)),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU64;

    use super::super::index::tests::history;
    use super::*;

    fn index(operations: u64) -> (tempfile::NamedTempFile, Index) {
        let file = history(operations);
        let index = Index::read(file.path(), 4, &AtomicU64::new(0)).unwrap();
        (file, index)
    }

    fn places(index: &Index, span: (Nanos, Nanos), filter: &str) -> Vec<u32> {
        seen(index, span, 1_000, &Filter::of(filter, index), &[]).places
    }

    #[test]
    fn a_stretch_shows_what_overlaps_it_and_a_filter_what_it_names() {
        let (_file, index) = index(100);
        assert_eq!(places(&index, (3_400, 5_200), ""), [2, 3, 4]);
        assert_eq!(places(&index, (3_501, 3_999), ""), [] as [u32; 0]);
        assert_eq!(places(&index, (0, u64::MAX), "k3 fail"), [] as [u32; 0]);
        assert_eq!(places(&index, (0, 30_000), "k4 fail write n1"), [4, 14, 24]);
        assert_eq!(places(&index, (0, 30_000), "p0"), [0, 4, 8, 12, 16, 24, 28]);
        assert_eq!(places(&index, (0, 30_000), "nonsense"), [] as [u32; 0]);
    }

    #[test]
    fn of_many_every_column_keeps_its_worst_and_what_is_pinned_stays() {
        let (_file, index) = index(100_000);
        let span = (0, index.end);
        let pinned = [50_000, 50_001, 50_002, 50_003];
        let whole = seen(&index, span, 1_000, &Filter::default(), &pinned);
        assert!(whole.thinned);
        assert!(
            whole.places.len() > 4 * 1_000 && whole.places.len() < 13_000,
            "{}",
            whole.places.len()
        );
        assert!(pinned.iter().all(|place| whole.places.contains(place)));
        // Each column is 100 operations long, so that each lane has each outcome in it.
        let worst = |from: u64| {
            let inside = whole.places.iter().filter_map(|p| index.entry(*p));
            inside
                .filter(|e| (from..from + 100_000).contains(&e.from))
                .map(|e| e.outcome)
                .max()
        };
        assert!((1..900).all(|column| worst(column * 100_000) == Some(2)));
        let near = seen(
            &index,
            (50_000_000, 50_900_000),
            1_000,
            &Filter::default(),
            &[],
        );
        assert!(!near.thinned);
        assert_eq!(near.places.len(), 901);
    }

    #[test]
    fn texts_come_from_the_file() {
        let (file, index) = index(20);
        let opened = File::open(file.path()).unwrap();
        let of = |place: u32| drawn(&index, index.entry(place).unwrap(), Some(&opened));
        assert_eq!(
            (of(2).asked.as_ref(), of(2).ended.as_ref()),
            ("write k2 = 2", "")
        );
        assert_eq!(of(4).ended, "failed (unspecified)");
        assert_eq!((of(19).returned, of(19).ended.as_ref()), (None, ""));
        assert_eq!(
            drawn(&index, index.entry(2).unwrap(), None).asked,
            "write k2"
        );
    }
}
