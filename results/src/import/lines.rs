//! The lines of a text, read one by one, each bounded.

use std::io::{BufRead, Read as _};

use super::{ImportError, Where};

/// The longest line that is taken, in bytes.
pub(super) const LINE_BYTES_MAX: usize = 16 << 20;

/// Lines on their way.
pub(super) struct Lines<'a> {
    input: &'a mut dyn BufRead,
    bytes: Vec<u8>,
    number: u64,
}

impl<'a> Lines<'a> {
    /// The lines of a file.
    pub(super) fn of(input: &'a mut dyn BufRead) -> Self {
        Self {
            input,
            bytes: Vec::new(),
            number: 0,
        }
    }

    /// The next line, without its end, and its number, from 1; `None` after the last.
    pub(super) fn next(&mut self) -> Result<Option<(u64, &str)>, ImportError> {
        self.bytes.clear();
        self.number += 1;
        let at = Where::Line(self.number);
        let limit = LINE_BYTES_MAX as u64 + 1;
        let read = (&mut self.input)
            .take(limit)
            .read_until(b'\n', &mut self.bytes)?;
        if read == 0 {
            return Ok(None);
        }
        if self.bytes.last() == Some(&b'\n') {
            self.bytes.pop();
        } else if read > LINE_BYTES_MAX {
            let reason = format!("longer than {LINE_BYTES_MAX} bytes");
            return Err(ImportError::wrong(at, reason));
        }
        let line = str::from_utf8(&self.bytes).map_err(|_| ImportError::wrong(at, "not UTF-8"))?;
        Ok(Some((self.number, line.strip_suffix('\r').unwrap_or(line))))
    }
}
