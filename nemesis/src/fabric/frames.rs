//! Whole lines out of the bytes of a connection, for rules that are about single messages.

use tribunal_targets::wire::LINE_BYTES_MAX;

/// A part of a stream.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// Bytes that belong to a line which began before, or never ends.
    Bytes(Vec<u8>),
    /// A whole line, its end included.
    Line(Vec<u8>),
}

/// Where a connection stands in its lines.
#[derive(Debug, Default)]
pub(super) struct Frames {
    /// The beginning of a line that is kept until it is whole.
    begun: Vec<u8>,
    /// Whether the last byte that passed is in the middle of a line.
    in_line: bool,
}

impl Frames {
    /// Bytes passed as they are.
    pub(super) fn passed(&mut self, bytes: &[u8]) {
        if let Some(last) = bytes.last() {
            self.in_line = *last != b'\n';
        }
    }

    /// Takes bytes apart; the beginning of a line stays until the rest comes.
    pub(super) fn split(&mut self, bytes: &[u8]) -> Vec<Piece> {
        let mut pieces = Vec::new();
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            let is_end = part.ends_with(b"\n");
            if self.in_line {
                self.in_line = !is_end;
                pieces.push(Piece::Bytes(part.to_vec()));
                continue;
            }
            self.begun.extend_from_slice(part);
            if is_end {
                pieces.push(Piece::Line(std::mem::take(&mut self.begun)));
            } else if self.begun.len() > LINE_BYTES_MAX {
                // Nobody who speaks the protocol writes it.
                self.in_line = true;
                pieces.push(Piece::Bytes(std::mem::take(&mut self.begun)));
            }
        }
        pieces
    }

    /// The beginning of a line that is still here, for it to pass as it is.
    pub(super) fn rest(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.begun)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Piece {
        Piece::Line(text.as_bytes().to_vec())
    }

    fn bytes(text: &str) -> Piece {
        Piece::Bytes(text.as_bytes().to_vec())
    }

    #[test]
    fn lines_come_whole_and_one_that_began_before_passes_as_it_is() {
        let mut frames = Frames::default();
        frames.passed(b"whole\nbeg");
        assert_eq!(frames.split(b"un"), [bytes("un")]);
        assert_eq!(frames.split(b" before\na"), [bytes(" before\n")]);
        assert_eq!(frames.split(b"b\nc\nd"), [line("ab\n"), line("c\n")]);
        assert_eq!(frames.rest(), b"d");
        frames.passed(b"d");
        assert_eq!(frames.split(b"e\n"), [bytes("e\n")]);
    }

    #[test]
    fn a_line_that_is_too_long_is_not_kept() {
        let mut frames = Frames::default();
        let long = vec![b'x'; LINE_BYTES_MAX + 1];
        assert_eq!(frames.split(&long), [Piece::Bytes(long)]);
        assert_eq!(frames.split(b"y\nz\n"), [bytes("y\n"), line("z\n")]);
    }
}
