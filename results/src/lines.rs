//! Files of JSON Lines, line by line.

use std::io::BufRead;

use crate::journal::{LINE_BYTES_MAX, ReadError};

/// How a line ended.
#[derive(PartialEq, Eq)]
pub(crate) enum Ending {
    /// With a line end.
    Newline,
    /// With the file, as after a kill.
    Cut,
    /// There was none.
    Nothing,
}

/// The lines of a file, counted and bounded.
pub(crate) struct Lines<'a, R> {
    input: &'a mut R,
    number: u64,
}

impl<'a, R: BufRead> Lines<'a, R> {
    pub(crate) const fn new(input: &'a mut R) -> Self {
        Self { input, number: 0 }
    }

    /// How many lines were read.
    pub(crate) const fn number(&self) -> u64 {
        self.number
    }

    /// Reads the next line, bounded, without its line end.
    pub(crate) fn next(&mut self, line: &mut Vec<u8>) -> Result<Ending, ReadError> {
        line.clear();
        self.number += 1;
        let limit = LINE_BYTES_MAX as u64 + 1;
        let read = std::io::Read::take(&mut *self.input, limit).read_until(b'\n', line)?;
        if line.last() == Some(&b'\n') {
            line.pop();
            return Ok(Ending::Newline);
        }
        if read > LINE_BYTES_MAX {
            return Err(self.wrong(format!("longer than {LINE_BYTES_MAX} bytes")));
        }
        Ok(if read == 0 {
            Ending::Nothing
        } else {
            Ending::Cut
        })
    }

    /// That the line read last is not what it should be.
    pub(crate) fn wrong(&self, reason: String) -> ReadError {
        ReadError::Line {
            line: self.number,
            reason,
        }
    }
}
