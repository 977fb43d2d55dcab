//! The system under test: a server that keeps the highest score that anybody put.
//!
//! It greets with `hello`; then each line is `put N`, answered with `ok`, or `best`, answered with
//! the highest score so far.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How late the hasty version writes.
const LATE: Duration = Duration::from_millis(250);

struct Board {
    best: Mutex<u64>,
    file: PathBuf,
    /// The bug: answers come first, and the disk gets to know a little later.
    hasty: bool,
}

/// Serves at an address, with its data in a directory: `ADDRESS DIRECTORY [hasty]`.
///
/// # Errors
/// If it cannot listen, or write.
pub(crate) fn serve(mut arguments: impl Iterator<Item = String>) -> io::Result<()> {
    let usage = || io::Error::other("usage: ADDRESS DIRECTORY [hasty]");
    let address = arguments.next().ok_or_else(usage)?;
    let file = Path::new(&arguments.next().ok_or_else(usage)?).join("best");
    let saved = std::fs::read_to_string(&file).unwrap_or_default();
    let board = Arc::new(Board {
        best: Mutex::new(saved.trim().parse().unwrap_or(0)),
        file,
        hasty: arguments.next().as_deref() == Some("hasty"),
    });
    if board.hasty {
        let board = Arc::clone(&board);
        std::thread::spawn(move || board.save_late());
    }
    for stream in TcpListener::bind(address)?.incoming() {
        let (stream, board) = (stream?, Arc::clone(&board));
        // A client that is gone needs no answer.
        std::thread::spawn(move || board.talk(&stream));
    }
    Ok(())
}

impl Board {
    fn best(&self) -> u64 {
        *self.best.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[expect(clippy::disallowed_methods, reason = "this is the bug: it writes late")]
    fn save_late(&self) {
        loop {
            std::thread::sleep(LATE);
            // It tries again the next time.
            let _later = self.save(self.best());
        }
    }

    fn talk(&self, mut stream: &TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        stream.write_all(b"hello\n")?;
        for line in BufReader::new(stream).lines() {
            let line = line?;
            let answer = match line.strip_prefix("put ").map(str::parse) {
                Some(Ok(score)) => {
                    self.put(score)?;
                    "ok\n".to_owned()
                }
                Some(Err(_)) => "error no score\n".to_owned(),
                None => format!("{}\n", self.best()),
            };
            stream.write_all(answer.as_bytes())?;
        }
        Ok(())
    }

    fn put(&self, score: u64) -> io::Result<()> {
        let mut best = self.best.lock().unwrap_or_else(PoisonError::into_inner);
        if score > *best {
            if !self.hasty {
                self.save(score)?;
            }
            *best = score;
        }
        Ok(())
    }

    /// Whole or not at all, also if it crashes here.
    fn save(&self, score: u64) -> io::Result<()> {
        let part = self.file.with_extension("part");
        let mut file = File::create(&part)?;
        writeln!(file, "{score}")?;
        file.sync_all()?;
        std::fs::rename(&part, &self.file)
    }
}
