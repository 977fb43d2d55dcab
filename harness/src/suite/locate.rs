//! Where each value of a YAML text stands: a second pass over the text, by events, that keeps the
//! place of every key and value. The first pass (values) applies merge keys and so loses places;
//! a path that came through a merge or an alias is found at its nearest ancestor.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use saphyr_parser::{Event, Parser, Span};

/// Nesting beyond which the index is not continued; the value reader refuses it anyway.
const DEPTH_MAX: usize = 128;

/// What a complex key (a list or mapping) is called in paths.
const COMPLEX_KEY: &str = "?";

/// One step from a value to a value within it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    /// Into a mapping.
    Key(String),
    /// Into a list, from 0.
    Item(usize),
}

/// The way from the root of a document to a value.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Path(Vec<Step>);

impl Path {
    /// The value under a key of this one.
    pub(super) fn key(&self, key: impl Into<String>) -> Self {
        self.step(Step::Key(key.into()))
    }

    /// An item of this list.
    pub(super) fn item(&self, index: usize) -> Self {
        self.step(Step::Item(index))
    }

    /// The value that `rest` leads to from here.
    pub(super) fn join(&self, rest: &Self) -> Self {
        Self(self.0.iter().chain(&rest.0).cloned().collect())
    }

    /// Reads `a.b[2]`, the notation of option errors.
    pub(super) fn parse(text: &str) -> Self {
        let mut steps = Vec::new();
        for part in text.split(['.', '[']).filter(|part| !part.is_empty()) {
            let number = part.strip_suffix(']').and_then(|n| n.parse().ok());
            steps.push(number.map_or_else(|| Step::Key(part.to_owned()), Step::Item));
        }
        Self(steps)
    }

    fn step(&self, step: Step) -> Self {
        Self(self.0.iter().cloned().chain([step]).collect())
    }

    fn parent(&self) -> Option<Self> {
        let (_, rest) = self.0.split_last()?;
        Some(Self(rest.to_vec()))
    }
}

/// Which part of an entry is meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Part {
    /// The key.
    Key,
    /// The value.
    #[default]
    Value,
    /// Both, where they share a line.
    Entry,
}

/// Where an entry stands, in bytes. A value that spans lines is known by its first line.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Spot {
    key: Option<Range<usize>>,
    value: Range<usize>,
    container: bool,
}

/// A key that a mapping has twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Duplicate {
    /// The key.
    pub(super) key: String,
    /// Where it stands first, in bytes.
    pub(super) first: Range<usize>,
    /// Where it stands again, in bytes.
    pub(super) again: Range<usize>,
}

/// The places of all entries of a document.
#[derive(Debug, Default)]
pub(super) struct Index {
    spots: BTreeMap<Path, Spot>,
    /// Keys that a mapping has twice, in order.
    pub(super) duplicates: Vec<Duplicate>,
    /// Where a second document begins, in bytes.
    pub(super) second_document: Option<Range<usize>>,
}

impl Index {
    /// Reads the (first) document of the text, as far as it can be understood.
    pub(super) fn of(text: &str) -> Self {
        let mut builder = Builder {
            text,
            bytes: byte_offsets(text),
            frames: Vec::new(),
            documents: 0,
            index: Self::default(),
        };
        for event in Parser::new_from_str(text) {
            let Ok((event, span)) = event else { break };
            if !builder.event(&event, span) {
                break;
            }
        }
        builder.index
    }

    /// The first mapping that merges others into itself.
    pub(super) fn first_merge(&self) -> Option<&Path> {
        let merge = Step::Key("<<".into());
        self.spots.keys().find(|path| path.0.last() == Some(&merge))
    }

    /// Where the value at `path` stands, or else its nearest ancestor that has a place.
    pub(super) fn find(&self, path: &Path, part: Part) -> Option<Range<usize>> {
        if let Some(spot) = self.spots.get(path) {
            return Some(spot.range(part));
        }
        let mut ancestor = path.parent()?;
        loop {
            if let Some(spot) = self.spots.get(&ancestor) {
                return Some(spot.range(Part::Key));
            }
            ancestor = ancestor.parent()?;
        }
    }
}

impl Spot {
    fn range(&self, part: Part) -> Range<usize> {
        match (part, &self.key) {
            (Part::Key, Some(key)) => key.clone(),
            (Part::Value, Some(key)) if self.value.is_empty() => key.clone(),
            (Part::Entry, Some(key)) if self.container || self.value.is_empty() => key.clone(),
            (Part::Entry, Some(key)) if key.end <= self.value.start => key.start..self.value.end,
            _ => self.value.clone(),
        }
    }
}

/// A container that is being read.
struct Frame {
    path: Path,
    kind: FrameKind,
}

enum FrameKind {
    List {
        next: usize,
    },
    Mapping {
        /// The key whose value comes next.
        key: Option<(String, Range<usize>)>,
        seen: HashMap<String, Range<usize>>,
    },
}

struct Builder<'a> {
    text: &'a str,
    bytes: Vec<usize>,
    frames: Vec<Frame>,
    documents: usize,
    index: Index,
}

impl Builder<'_> {
    /// Takes one event; false when what follows is of no interest.
    fn event(&mut self, event: &Event<'_>, span: Span) -> bool {
        let range = self.range(span);
        match event {
            Event::Scalar(text, ..) => {
                self.node(Some(text), range);
            }
            Event::Alias(_) => {
                self.node(None, range);
            }
            Event::SequenceStart(..) => self.open(range, FrameKind::List { next: 0 }),
            Event::MappingStart(..) => {
                let seen = HashMap::new();
                self.open(range, FrameKind::Mapping { key: None, seen });
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(range.end),
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 {
                    self.index.second_document = Some(range);
                    return false;
                }
            }
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
        }
        self.frames.len() <= DEPTH_MAX
    }

    fn open(&mut self, range: Range<usize>, kind: FrameKind) {
        let path = self.node(None, range);
        if let Some(spot) = self.index.spots.get_mut(&path) {
            spot.container = true;
            spot.value.end = line_end(self.text, spot.value.start);
        }
        self.frames.push(Frame { path, kind });
    }

    /// A flow container that ends on the line where it starts has its exact range.
    fn close(&mut self, end: usize) {
        let Some(frame) = self.frames.pop() else {
            return;
        };
        let Some(spot) = self.index.spots.get_mut(&frame.path) else {
            return;
        };
        let rest = self.text.get(spot.value.start..).unwrap_or_default();
        if rest.starts_with(['{', '[']) && end <= spot.value.end {
            spot.value.end = end;
            spot.container = false;
        }
    }

    /// Takes the start of a key or value; returns the path of what it is.
    fn node(&mut self, text: Option<&str>, range: Range<usize>) -> Path {
        let Some(frame) = self.frames.last_mut() else {
            self.record(Path::default(), None, range);
            return Path::default();
        };
        match &mut frame.kind {
            FrameKind::List { next } => {
                let path = frame.path.item(*next);
                *next += 1;
                self.record(path.clone(), None, range);
                path
            }
            FrameKind::Mapping { key, seen } => match key.take() {
                Some((name, place)) => {
                    let path = frame.path.key(name);
                    self.record(path.clone(), Some(place), range);
                    path
                }
                None => {
                    let name = text.unwrap_or(COMPLEX_KEY).to_owned();
                    let path = frame.path.key(name.as_str());
                    let first = seen.insert(name.clone(), range.clone());
                    if let (Some(first), Some(_)) = (first, text) {
                        self.index.duplicates.push(Duplicate {
                            key: name.clone(),
                            first,
                            again: range.clone(),
                        });
                    }
                    *key = Some((name, range));
                    path
                }
            },
        }
    }

    fn record(&mut self, path: Path, key: Option<Range<usize>>, value: Range<usize>) {
        let end = value.end.min(line_end(self.text, value.start));
        let spot = Spot {
            key,
            value: value.start..end.max(value.start),
            container: false,
        };
        self.index.spots.entry(path).or_insert(spot);
    }

    /// The parser counts characters, the snippets bytes.
    fn range(&self, span: Span) -> Range<usize> {
        let at = |index: usize| self.bytes.get(index).copied().unwrap_or(self.text.len());
        let start = at(span.start.index());
        start..at(span.end.index()).max(start)
    }
}

/// The byte offset of each character.
pub(super) fn byte_offsets(text: &str) -> Vec<usize> {
    text.char_indices().map(|(offset, _)| offset).collect()
}

/// Where the line of `start` ends, without its trailing blanks.
fn line_end(text: &str, start: usize) -> usize {
    let rest = text.get(start..).unwrap_or_default();
    let line = rest.split(['\n', '\r']).next().unwrap_or_default();
    start + line.trim_end().len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text_at<'a>(text: &'a str, path: &str, part: Part) -> &'a str {
        let range = Index::of(text).find(&Path::parse(path), part);
        range.map_or("nowhere", |range| &text[range])
    }

    #[test]
    fn each_key_and_value_is_found_where_it_stands() {
        let text =
            "runs:\n  - name: a # first\n    nemesis: [kill, {type: partition, shape: one}]\n";
        assert_eq!(text_at(text, "runs[0].name", Part::Value), "a");
        assert_eq!(text_at(text, "runs[0].name", Part::Key), "name");
        assert_eq!(text_at(text, "runs[0].name", Part::Entry), "name: a");
        assert_eq!(text_at(text, "runs[0].nemesis[0]", Part::Value), "kill");
        assert_eq!(
            text_at(text, "runs[0].nemesis[1]", Part::Value),
            "{type: partition, shape: one}"
        );
        assert_eq!(
            text_at(text, "runs[0].nemesis[1].shape", Part::Entry),
            "shape: one"
        );
    }

    #[test]
    fn places_are_right_behind_characters_of_several_bytes() {
        let text = "about: Schlösser – größer\nsuite: ünïque\n";
        assert_eq!(text_at(text, "suite", Part::Value), "ünïque");
    }

    #[test]
    fn what_came_through_a_merge_is_found_at_its_nearest_ancestor() {
        let text = "a: &a {x: 1}\nb:\n  <<: *a\n";
        assert_eq!(text_at(text, "b.x", Part::Value), "b");
        assert_eq!(text_at(text, "c", Part::Value), "a: &a {x: 1}");
    }

    #[test]
    fn a_key_that_occurs_twice_in_a_mapping_is_noticed() {
        let text = "a: {b: 1, c: 2, b: 3}\n";
        let index = Index::of(text);
        let [duplicate] = &index.duplicates[..] else {
            panic!("one duplicate, found {:?}", index.duplicates);
        };
        assert_eq!((duplicate.first.start, duplicate.again.start), (4, 16));
        assert_eq!(duplicate.key, "b");
    }

    #[test]
    fn a_second_document_is_noticed() {
        let text = "a: 1\n---\nb: 2\n";
        assert_eq!(Index::of(text).second_document, Some(5..8));
        assert_eq!(Index::of("---\na: 1\n...\n").second_document, None);
    }
}
