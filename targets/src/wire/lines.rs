//! Lines of bounded length out of a stream of bytes.

use std::io;

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};

/// The longest line, its end included, in bytes. A longer one ends the connection: nobody who
/// speaks the protocol writes it, and nothing is kept of it.
pub const LINE_BYTES_MAX: usize = 1 << 20;

/// What comes next.
#[derive(Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// A whole line, without its end.
    Whole(&'a [u8]),
    /// A line longer than [`LINE_BYTES_MAX`]; there is nothing to be read after it.
    TooLong,
    /// The other side has closed. A line without an end before it is dropped: it was cut off.
    End,
}

/// Reads lines. Dropping the future of [`next`](Self::next) loses nothing.
#[derive(Debug)]
pub struct LineReader<R> {
    source: BufReader<R>,
    line: Vec<u8>,
    whole: bool,
}

impl<R: AsyncRead + Unpin> LineReader<R> {
    /// Reads from `source`.
    pub fn new(source: R) -> Self {
        Self {
            source: BufReader::with_capacity(16 << 10, source),
            line: Vec::new(),
            whole: false,
        }
    }

    /// The stream itself.
    pub fn source_mut(&mut self) -> &mut R {
        self.source.get_mut()
    }

    /// The next line.
    ///
    /// # Errors
    /// Those of the stream.
    pub async fn next(&mut self) -> io::Result<Line<'_>> {
        if self.whole {
            self.line.clear();
            self.whole = false;
        }
        loop {
            let chunk = self.source.fill_buf().await?;
            if chunk.is_empty() {
                return Ok(Line::End);
            }
            let end = chunk.iter().position(|&byte| byte == b'\n');
            let taken = end.map_or(chunk.len(), |end| end + 1);
            if self.line.len() + taken > LINE_BYTES_MAX {
                self.line = Vec::new();
                return Ok(Line::TooLong);
            }
            self.line
                .extend_from_slice(chunk.get(..end.unwrap_or(taken)).unwrap_or_default());
            self.source.consume(taken);
            if end.is_some() {
                self.whole = true;
                return Ok(Line::Whole(&self.line));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_come_whole_whatever_the_chunks() {
        let (mut near, far) = tokio::io::duplex(3);
        let writer = tokio::spawn(async move {
            tokio::io::AsyncWriteExt::write_all(&mut near, b"first\n\nthird\ncut off").await
        });
        let mut lines = LineReader::new(far);
        assert_eq!(lines.next().await.unwrap(), Line::Whole(b"first"));
        assert_eq!(lines.next().await.unwrap(), Line::Whole(b""));
        assert_eq!(lines.next().await.unwrap(), Line::Whole(b"third"));
        assert_eq!(lines.next().await.unwrap(), Line::End);
        writer.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_line_may_be_as_long_as_the_cap_and_no_longer() {
        let mut longest = vec![b'x'; LINE_BYTES_MAX - 1];
        longest.push(b'\n');
        let mut lines = LineReader::new(longest.as_slice());
        assert!(matches!(lines.next().await.unwrap(), Line::Whole(_)));

        longest.insert(0, b'x');
        let mut lines = LineReader::new(longest.as_slice());
        assert_eq!(lines.next().await.unwrap(), Line::TooLong);
    }
}
