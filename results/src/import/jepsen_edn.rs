//! Jepsen's `history.edn`: one vector of maps, or map after map.

use std::io::BufRead;

use super::edn::{Reader, Value};
use super::entry::{Entry, untagged};
use super::{Format, Head, ImportError, Imported, Where, assemble, text_of};

pub(super) static FORMAT: Format = Format {
    name: "jepsen-edn",
    about: "Jepsen's history.edn: registers, single or independent",
    detect,
    read,
};

fn detect(head: &Head<'_>) -> bool {
    let begins = head.text.starts_with(['{', '[', '(', '#', ';']);
    let has_field = [":f ", ":type ", ":process "].map(|field| head.text.contains(field));
    head.named(".edn") || begins && has_field.contains(&true)
}

fn read(input: &mut dyn BufRead) -> Result<Imported, ImportError> {
    let text = text_of(input)?;
    let mut entries = Vec::new();
    for form in Reader::new(&text) {
        let form = form?;
        match untagged(&form.value) {
            Value::Vector(events) | Value::List(events) => {
                for event in events {
                    entries.push(Entry::of_map(&event.value, Where::Place(event.place))?);
                }
            }
            event => entries.push(Entry::of_map(event, Where::Place(form.place))?),
        }
    }
    assemble::assemble(entries)
}
