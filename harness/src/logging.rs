//! The log of a run: `tribunal.log` in its directory.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, fmt};

/// Where log lines go now.
static FILE: Mutex<Option<File>> = Mutex::new(None);

/// Starts logging: everything that `TRIBUNAL_LOG` asks for (default `info`) to the file of the
/// current run.
pub fn start() {
    let filter = EnvFilter::try_from_env("TRIBUNAL_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let to_file = fmt::layer().with_writer(ToFile).with_ansi(false);
    // A second start (in tests) changes nothing.
    let _already = tracing_subscriber::registry()
        .with(filter)
        .with(to_file)
        .try_init();
}

/// Sends log lines to a file; without one they are dropped.
pub fn to_file(path: &Path) {
    match OpenOptions::new().create(true).append(true).open(path) {
        Ok(file) => set(Some(file)),
        Err(e) => tracing::warn!("cannot log to {}: {e}", path.display()),
    }
}

/// Stops sending log lines to a file.
pub fn to_nowhere() {
    set(None);
}

fn set(file: Option<File>) {
    *FILE.lock().unwrap_or_else(PoisonError::into_inner) = file;
}

#[derive(Clone, Copy)]
struct ToFile;

impl<'a> MakeWriter<'a> for ToFile {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        Self
    }
}

impl Write for ToFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match FILE.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            Some(file) => file.write(bytes),
            None => Ok(bytes.len()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
