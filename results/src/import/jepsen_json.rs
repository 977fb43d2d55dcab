//! Jepsen's history as JSON, which elle-cli takes too: one list of objects, or object after
//! object.

use std::io::BufRead;

use super::assemble::Assembly;
use super::entry::Entry;
use super::json::Values;
use super::{Format, Head, ImportError, Read};

pub(super) static FORMAT: Format = Format {
    name: "jepsen-json",
    about: "the same as JSON, as for elle-cli: a list of objects, or one object after the other",
    detect,
    read: Read::Entries(read),
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

fn read(input: &mut dyn BufRead, assembly: &mut Assembly) -> Result<(), ImportError> {
    for event in Values::of_file(input) {
        assembly.take(&Entry::of_map(event?)?)?;
    }
    Ok(())
}
