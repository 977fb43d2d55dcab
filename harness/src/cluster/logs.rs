//! What a node prints: two files, kept across its restarts.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// Lines of a log that an error shows.
const LINES_MAX: usize = 12;
/// Bytes of a log that are looked at for them.
const TAIL_MAX: u64 = 4096;

/// The files of one node.
#[derive(Clone, Debug)]
pub(super) struct Logs {
    stdout: PathBuf,
    stderr: PathBuf,
}

/// Where the current process of a node began to write.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Mark {
    stdout: u64,
    stderr: u64,
}

impl Logs {
    /// The files in the node's directory.
    pub(super) fn within(dir: &Path) -> Self {
        Self {
            stdout: dir.join("stdout"),
            stderr: dir.join("stderr"),
        }
    }

    /// The file to look at first.
    pub(super) fn stderr(&self) -> &Path {
        &self.stderr
    }

    /// Opens both to append, and marks where they end now.
    pub(super) fn open(&self) -> io::Result<(File, File, Mark)> {
        let append = |path| OpenOptions::new().create(true).append(true).open(path);
        let (stdout, stderr) = (append(&self.stdout)?, append(&self.stderr)?);
        let mark = Mark {
            stdout: stdout.metadata()?.len(),
            stderr: stderr.metadata()?.len(),
        };
        Ok((stdout, stderr, mark))
    }

    /// The last lines written to stderr since the mark; of stdout if there are none.
    pub(super) fn last_lines(&self, since: Mark) -> String {
        let last = tail(&self.stderr, since.stderr).unwrap_or_default();
        if last.is_empty() {
            return tail(&self.stdout, since.stdout).unwrap_or_default();
        }
        last
    }
}

fn tail(path: &Path, since: u64) -> io::Result<String> {
    let mut file = File::open(path)?;
    let end = file.metadata()?.len();
    file.seek(SeekFrom::Start(since.max(end.saturating_sub(TAIL_MAX))))?;
    let mut bytes = Vec::new();
    file.take(TAIL_MAX).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<_> = text.trim_end().lines().collect();
    Ok(lines[lines.len().saturating_sub(LINES_MAX)..].join("\n"))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn last_lines_are_those_of_this_start_and_bounded() {
        let dir = tempfile::tempdir().unwrap();
        let logs = Logs::within(dir.path());
        let (_, mut stderr, _) = logs.open().unwrap();
        writeln!(stderr, "of an earlier start").unwrap();
        let (mut stdout, mut stderr, mark) = logs.open().unwrap();
        assert_eq!(logs.last_lines(mark), "");
        writeln!(stdout, "to stdout").unwrap();
        assert_eq!(logs.last_lines(mark), "to stdout");
        for n in 0..2000 {
            writeln!(stderr, "line {n}").unwrap();
        }
        let last = logs.last_lines(mark);
        assert_eq!(last.lines().count(), LINES_MAX);
        assert!(last.ends_with("line 1999"), "{last}");
    }
}
