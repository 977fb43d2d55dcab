//! The characters of a text, read piece by piece, each with its place.
//!
//! What goes wrong below the grammar (the text cannot be read on, is not UTF-8, or one of its
//! forms is too long) ends the text like its end does, and is told instead of what follows.

use std::borrow::Cow;
use std::io::BufRead;

use super::edn::{EdnError, Place};

/// The longest form that is taken, in bytes: an event has far less.
pub const FORM_BYTES_MAX: usize = 16 << 20;

/// How much is read at once, in bytes.
const WINDOW_BYTES: usize = 64 << 10;

/// A text on its way through a parser.
pub(super) struct Input<'a> {
    window: Cow<'a, [u8]>,
    at: usize,
    source: Option<&'a mut dyn BufRead>,
    place: Place,
    /// Bytes that the form at hand may still have.
    left: usize,
    fault: Option<EdnError>,
}

impl std::fmt::Debug for Input<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Input").field("place", &self.place).finish()
    }
}

impl<'a> Input<'a> {
    /// A text that is in memory.
    pub(super) const fn of_text(text: &'a str) -> Self {
        Self {
            window: Cow::Borrowed(text.as_bytes()),
            at: 0,
            source: None,
            place: Place { line: 1, column: 1 },
            left: FORM_BYTES_MAX,
            fault: None,
        }
    }

    /// A text that is read as it is needed.
    pub(super) fn of_file(source: &'a mut dyn BufRead) -> Self {
        Self {
            window: Cow::Owned(Vec::with_capacity(WINDOW_BYTES)),
            source: Some(source),
            ..Input::of_text("")
        }
    }

    /// Where the next character stands.
    pub(super) const fn place(&self) -> Place {
        self.place
    }

    /// A form begins: it may have as many bytes as any.
    pub(super) const fn renew(&mut self) {
        self.left = FORM_BYTES_MAX;
    }

    /// What ended the text before its end, if something did.
    pub(super) fn fault(&mut self) -> Option<EdnError> {
        self.fault.take()
    }

    /// Whether these bytes come next; at most four.
    pub(super) fn starts_with(&mut self, bytes: &[u8]) -> bool {
        self.fill(bytes.len());
        self.ahead().starts_with(bytes)
    }

    /// The next character; `None` at the end.
    pub(super) fn peek(&mut self) -> Option<char> {
        match self.window.get(self.at) {
            Some(&byte) if byte.is_ascii() && self.left > 0 => Some(char::from(byte)),
            _ => self.peek_slowly(),
        }
    }

    /// Takes the next character.
    pub(super) fn bump(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        self.left = self.left.saturating_sub(c.len_utf8());
        if c == '\n' {
            self.place.line = self.place.line.saturating_add(1);
            self.place.column = 1;
        } else {
            self.place.column = self.place.column.saturating_add(1);
        }
        Some(c)
    }

    fn ahead(&self) -> &[u8] {
        self.window.get(self.at..).unwrap_or_default()
    }

    fn peek_slowly(&mut self) -> Option<char> {
        if self.fault.is_some() {
            return None;
        }
        if self.left == 0 {
            self.fails(format!("longer than {FORM_BYTES_MAX} bytes"));
            return None;
        }
        self.fill(4);
        let bytes = self.ahead();
        let bytes = bytes.get(..4).unwrap_or(bytes);
        let good = match std::str::from_utf8(bytes) {
            Ok(text) => text,
            Err(e) => bytes
                .get(..e.valid_up_to())
                .and_then(|good| str::from_utf8(good).ok())
                .unwrap_or_default(),
        };
        let first = good.chars().next();
        if first.is_none() && !bytes.is_empty() {
            self.fails("not UTF-8".to_owned());
        }
        first
    }

    /// Sees to it that so many bytes are ahead, unless the text ends before.
    fn fill(&mut self, bytes: usize) {
        while self.ahead().len() < bytes && self.fault.is_none() {
            let Some(source) = &mut self.source else {
                return;
            };
            let window = self.window.to_mut();
            window.drain(..self.at.min(window.len()));
            self.at = 0;
            let kept = window.len();
            window.resize(kept + WINDOW_BYTES, 0);
            let read = source.read(window.get_mut(kept..).unwrap_or_default());
            window.truncate(kept + read.as_ref().map_or(0, |read| *read));
            match read {
                Ok(0) => self.source = None,
                Ok(_) => {}
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(e) => self.fails(format!("cannot read on: {e}")),
            }
        }
    }

    fn fails(&mut self, reason: String) {
        let place = self.place;
        self.fault = Some(EdnError { place, reason });
    }
}
