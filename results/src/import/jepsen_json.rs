//! Jepsen's history as JSON: one list of objects, or object after object.

use std::io::BufRead;

use serde_json::Value as Json;

use super::edn::{Float, Form, Place, Value};
use super::entry::Entry;
use super::{Format, Head, ImportError, Imported, Where, assemble, text_of};

pub(super) static FORMAT: Format = Format {
    name: "jepsen-json",
    about: "the same as JSON: a list of objects, or one object after the other",
    detect,
    read,
};

fn detect(head: &Head<'_>) -> bool {
    let inner = head
        .text
        .strip_prefix('[')
        .unwrap_or(head.text)
        .trim_start();
    let object = inner.strip_prefix('{').map(str::trim_start);
    object.is_some_and(|rest| rest.starts_with('"')) || head.named(".json")
}

fn read(input: &mut dyn BufRead) -> Result<Imported, ImportError> {
    let text = text_of(input)?;
    let mut values = serde_json::Deserializer::from_str(&text).into_iter::<Json>();
    let mut entries = Vec::new();
    let mut cursor = Cursor::new(&text);
    loop {
        let at = Where::Place(cursor.advance(values.byte_offset()));
        match values.next() {
            None => return assemble::assemble(entries),
            Some(Err(e)) => return Err(syntax(&e)),
            Some(Ok(Json::Array(events))) => {
                for (event, n) in events.into_iter().zip(1..) {
                    entries.push(Entry::of_map(&value_of(event), Where::Entry(n))?);
                }
            }
            Some(Ok(event)) => entries.push(Entry::of_map(&value_of(event), at)?),
        }
    }
}

/// A syntax error at its place, which serde_json repeats at the end of its sentence.
fn syntax(error: &serde_json::Error) -> ImportError {
    let (line, column) = (error.line(), error.column());
    let text = error.to_string();
    let reason = text
        .strip_suffix(&format!(" at line {line} column {column}"))
        .unwrap_or(&text);
    let bounded = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let place = Place {
        line: bounded(line),
        column: bounded(column),
    };
    ImportError::wrong(Where::Place(place), reason)
}

/// Where the next value begins, found by going on from the last.
struct Cursor<'a> {
    text: &'a str,
    offset: usize,
    place: Place,
}

impl<'a> Cursor<'a> {
    const fn new(text: &'a str) -> Self {
        let place = Place { line: 1, column: 1 };
        Self {
            text,
            offset: 0,
            place,
        }
    }

    /// The place of the first character that is not blank at or after the offset.
    fn advance(&mut self, offset: usize) -> Place {
        for c in self.text.get(self.offset..).unwrap_or_default().chars() {
            if self.offset >= offset && !c.is_ascii_whitespace() {
                break;
            }
            self.offset += c.len_utf8();
            if c == '\n' {
                self.place.line = self.place.line.saturating_add(1);
                self.place.column = 1;
            } else {
                self.place.column = self.place.column.saturating_add(1);
            }
        }
        self.place
    }
}

/// JSON as EDN: an object's names become keywords. The nesting of JSON is bounded by its reader.
fn value_of(json: Json) -> Value {
    let form = |json| Form {
        value: value_of(json),
        place: Place { line: 1, column: 1 },
    };
    match json {
        Json::Null => Value::Nil,
        Json::Bool(b) => Value::Bool(b),
        Json::Number(n) => match (n.as_i64(), n.as_f64()) {
            (Some(n), _) => Value::Int(n),
            (None, Some(x)) if n.is_f64() => Value::Float(Float(x)),
            _ => Value::Exact(n.to_string()),
        },
        Json::String(text) => Value::Text(text),
        Json::Array(items) => Value::Vector(items.into_iter().map(form).collect()),
        Json::Object(fields) => Value::Map(
            fields
                .into_iter()
                .map(|(name, value)| (Value::Keyword(name), form(value)))
                .collect(),
        ),
    }
}
