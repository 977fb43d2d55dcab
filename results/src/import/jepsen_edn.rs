//! Jepsen's `history.edn`: one vector of maps, or map after map.

use std::io::BufRead;

use super::assemble::Assembly;
use super::edn::{Form, Reader, Value};
use super::entry::{Entry, untagged};
use super::{Format, Head, ImportError, Read};

pub(super) static FORMAT: Format = Format {
    name: "jepsen-edn",
    about: "Jepsen's history.edn, Elle's too: every data type, one object or independent ones",
    detect,
    read: Read::Entries(read),
};

fn detect(head: &Head<'_>) -> bool {
    let begins = head.text.starts_with(['{', '[', '(', '#', ';']);
    let has_field = [":f ", ":type ", ":process "].map(|field| head.text.contains(field));
    head.named(".edn") || begins && has_field.contains(&true)
}

fn read(input: &mut dyn BufRead, assembly: &mut Assembly) -> Result<(), ImportError> {
    let mut reader = Reader::of_file(input);
    while let Some(form) = reader.element() {
        let Form { value, place } = form?;
        match untagged(value) {
            // A list with a tag is read whole.
            Value::Vector(events) | Value::List(events) => {
                for event in events {
                    assembly.take(&Entry::of_map(event)?)?;
                }
            }
            value => assembly.take(&Entry::of_map(Form { value, place })?)?,
        }
    }
    Ok(())
}
