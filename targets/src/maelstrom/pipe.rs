//! A process's standard input and output: named pipes, so that the process itself, and nothing in
//! between, is what the cluster starts, pauses and kills.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::sys::stat::Mode;
use tokio::io::AsyncWriteExt as _;
use tokio::net::unix::pipe;

use super::board::At;
use super::envelope::{LINE_BYTES_MAX, Wrong};
use super::host::Shared;

/// The most that is read at once, in bytes.
const CHUNK_BYTES: usize = 64 << 10;

/// Both pipes of one process, until it has opened them.
#[derive(Debug)]
pub(super) struct Laid {
    /// Where the process finds them.
    pub(super) stdin: PathBuf,
    pub(super) stdout: PathBuf,
    /// Both ends of each: nobody sees an end of file before the process has opened its own.
    _held: [File; 2],
}

/// What the controller has of them.
#[derive(Debug)]
pub(super) struct Ends {
    pub(super) to: pipe::Sender,
    pub(super) from: pipe::Receiver,
}

/// Lays the pipes of a process in a folder. Must be called in a runtime.
pub(super) fn lay(folder: &Path) -> io::Result<(Laid, Ends)> {
    let [stdin, stdout] = ["stdin.pipe", "stdout.pipe"].map(|name| folder.join(name));
    for path in [&stdin, &stdout] {
        match std::fs::remove_file(path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => nix::unistd::mkfifo(path, Mode::S_IRUSR | Mode::S_IWUSR)?,
        }
    }
    let hold = |path| OpenOptions::new().read(true).write(true).open(path);
    let held = [hold(&stdin)?, hold(&stdout)?];
    let ends = Ends {
        to: pipe::OpenOptions::new().open_sender(&stdin)?,
        from: pipe::OpenOptions::new().open_receiver(&stdout)?,
    };
    let laid = Laid {
        stdin,
        stdout,
        _held: held,
    };
    Ok((laid, ends))
}

/// Lets the pipes' names go: the process has opened them, or never will.
impl Drop for Laid {
    fn drop(&mut self) {
        for path in [&self.stdin, &self.stdout] {
            let _gone = std::fs::remove_file(path);
        }
    }
}

/// Writes to a process what waits for it, until it reads no more or has a successor.
pub(super) async fn write(shared: Arc<Shared>, node: At, life: u64, mut to: pipe::Sender) {
    let mut bytes = Vec::new();
    let Some(wake) = shared
        .board()
        .inlet(node)
        .map(|inlet| Arc::clone(&inlet.wake))
    else {
        return;
    };
    loop {
        bytes.clear();
        match shared.board().inlet(node) {
            Some(inlet) if inlet.life == life => std::mem::swap(&mut inlet.bytes, &mut bytes),
            _ => return,
        }
        if bytes.is_empty() {
            wake.notified().await;
        } else if to.write_all(&bytes).await.is_err() {
            return shared.ended(node, life);
        }
    }
}

/// Hears what a process prints, until it prints no more.
pub(super) async fn read(shared: Arc<Shared>, node: At, life: u64, from: pipe::Receiver) {
    let mut lines = Lines::default();
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        if from.readable().await.is_err() {
            break;
        }
        match from.try_read(&mut chunk) {
            Ok(0) => break,
            Ok(n) => shared.heard(node, &mut lines, chunk.get(..n).unwrap_or_default()),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => break,
        }
    }
    shared.ended(node, life);
}

/// Lines out of bytes, however these are cut.
#[derive(Debug, Default)]
pub(super) struct Lines {
    begun: Vec<u8>,
    number: u64,
    /// Whether the line that has begun is too long to be kept.
    is_skipped: bool,
}

/// What came of a line.
pub(super) type Heard<'a> = Result<&'a [u8], Wrong>;

impl Lines {
    /// Gives every line that is whole now, without its end, with its number from 1.
    pub(super) fn take(&mut self, bytes: &[u8], mut each: impl FnMut(u64, Heard<'_>)) {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            let Some(end) = part.strip_suffix(b"\n") else {
                self.keep(part);
                return;
            };
            self.number += 1;
            if self.begun.is_empty() && !self.is_skipped && end.len() <= LINE_BYTES_MAX {
                each(self.number, Ok(end));
                continue;
            }
            self.keep(end);
            match std::mem::take(&mut self.is_skipped) {
                true => each(self.number, Err(too_long())),
                false => each(self.number, Ok(&self.begun)),
            }
            self.begun.clear();
        }
    }

    fn keep(&mut self, part: &[u8]) {
        self.is_skipped |= self.begun.len() + part.len() > LINE_BYTES_MAX;
        if self.is_skipped {
            self.begun = Vec::new();
        } else {
            self.begun.extend_from_slice(part);
        }
    }
}

fn too_long() -> Wrong {
    Wrong {
        what: format!("a line of more than {} MiB", LINE_BYTES_MAX >> 20),
        hint: "nothing of it was kept; say less at once",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(parts: &[&[u8]]) -> Vec<(u64, Result<String, String>)> {
        let (mut lines, mut heard) = (Lines::default(), Vec::new());
        for part in parts {
            lines.take(part, |number, line| {
                let text = line.map(|line| String::from_utf8_lossy(line).into_owned());
                heard.push((number, text.map_err(|wrong| wrong.what)));
            });
        }
        heard
    }

    #[test]
    fn lines_are_numbered_however_their_bytes_are_cut() {
        let ok = |n, text: &str| (n, Ok(text.to_owned()));
        assert_eq!(
            all(&[b"a", b"b\n\nc", b"", b"\ncut off"]),
            [ok(1, "ab"), ok(2, ""), ok(3, "c")]
        );
    }

    #[test]
    fn a_line_that_is_too_long_is_told_and_the_next_is_heard() {
        let long = vec![b'x'; LINE_BYTES_MAX];
        let heard = all(&[&long, b"xx", b"y\nz\n"]);
        assert!(heard[0].1.as_ref().unwrap_err().contains("16 MiB"));
        assert_eq!(heard[1], (2, Ok("z".to_owned())));
        assert_eq!(heard.len(), 2);
    }
}
