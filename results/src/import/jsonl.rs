//! Our own format, as [`journal`](crate::journal) reads it.

use std::io::BufRead;

use super::{Format, Head, ImportError, Imported, Read};
use crate::journal;

pub(super) static FORMAT: Format = Format {
    name: "jsonl",
    about: "Tribunal's own: a header, then one JSON object a line",
    detect,
    read: Read::Whole(read),
};

fn detect(head: &Head<'_>) -> bool {
    let first = head.text.lines().next().unwrap_or_default();
    head.named(".jsonl") || first.contains(&format!("\"{}\"", journal::FORMAT))
}

fn read(input: &mut dyn BufRead) -> Result<Imported, ImportError> {
    let journal = journal::read(input).map_err(ImportError::Journal)?;
    let mut notes = Vec::new();
    if journal.truncated {
        notes.push("the last line is cut off and left out".to_owned());
    }
    Ok(Imported {
        history: journal.history,
        assume: journal.header.assume,
        notes,
        timed: true,
        partial: false,
    })
}
