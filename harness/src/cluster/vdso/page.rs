//! The page that a patched process reads its skew from.
//!
//! | offset | word (8 bytes) |
//! |---|---|
//! | 0 | a sequence number, odd while the words below are being changed |
//! | 8 | which clocks are moved: bit *n* is clock number *n* |
//! | 16 | the offset, in nanoseconds |
//! | 24 | the drift, in nanoseconds a second |
//! | 32 | when the skew began, in nanoseconds of `CLOCK_MONOTONIC` |
//! | 40 | the half period for which the offset is in force and then not; 0 is always |
//! | 48 | how many readings were moved since the skew began |
//! | 56 | by how much the last of them was |
//!
//! The process counts in the last two; everything else is the controller's.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Mutex;

use nix::time::{ClockId, clock_gettime};
use tribunal_nemesis::skew::{ClockKind, Skew, View};

const WORDS: usize = 8;
const WORD: usize = size_of::<u64>();
/// Numbers of the clocks that show the time of day (`linux/time.h`): itself, coarse, atomic time.
const REALTIME: u64 = 1 << 0 | 1 << 5 | 1 << 11;
/// Of those that are steady: monotonic, raw, coarse, time since boot.
const MONOTONIC: u64 = 1 << 1 | 1 << 4 | 1 << 6 | 1 << 7;

/// A way into the clocks of one process, for as long as it runs the program that it was laid in.
#[derive(Debug)]
pub(crate) struct Lever {
    pid: u32,
    /// The process's memory. It stays that of this program: after another exec nothing is there.
    memory: File,
    /// Where the page is in it.
    page: u64,
    turn: Mutex<()>,
}

impl Lever {
    /// The page at that address of a process, empty.
    pub(super) fn new(pid: u32, memory: File, page: u64) -> Self {
        let turn = Mutex::new(());
        Self {
            pid,
            memory,
            page,
            turn,
        }
    }

    /// Moves the clocks, or (`None`) puts them right; returns what is read back.
    ///
    /// # Errors
    /// The process has ended, or runs another program.
    pub(crate) fn pull(&self, skew: Option<&Skew>) -> Result<View, String> {
        let _turn = self
            .turn
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let [sequence, ..] = self.words()?;
        let odd = sequence | 1;
        self.write(0, &[odd])?;
        match skew {
            // With counts that begin anew.
            Some(skew) => {
                self.write(1, &[&skew_words(skew, monotonic()?)[..], &[0; 2]].concat())?
            }
            None => self.write(1, &[0; 5])?,
        }
        self.write(0, &[odd.wrapping_add(1)])?;
        self.view()
    }

    /// What the process is told.
    ///
    /// # Errors
    /// As [`pull`](Self::pull).
    pub(crate) fn view(&self) -> Result<View, String> {
        let words = self.words()?;
        Ok(View {
            pid: self.pid,
            skew: skew_of(&words),
            moved_readings: words[6],
            last_moved_by_ns: words[7].cast_signed(),
        })
    }

    fn words(&self) -> Result<[u64; WORDS], String> {
        let mut bytes = [0; WORDS * WORD];
        let read = self.memory.read_exact_at(&mut bytes, self.page);
        read.map_err(|e| self.gone(&e))?;
        let (words, _) = bytes.as_chunks::<WORD>();
        let mut numbers = words.iter().map(|word| u64::from_le_bytes(*word));
        Ok(std::array::from_fn(|_| numbers.next().unwrap_or(0)))
    }

    fn write(&self, word: u64, words: &[u64]) -> Result<(), String> {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        let at = self.page + word * WORD as u64;
        self.memory
            .write_all_at(&bytes, at)
            .map_err(|e| self.gone(&e))
    }

    fn gone(&self, error: &std::io::Error) -> String {
        format!(
            "the memory of process {} is gone ({error}): it ended, or runs another program by now",
            self.pid
        )
    }
}

/// The words from 1 on.
fn skew_words(skew: &Skew, now: u64) -> [u64; 5] {
    let bits = skew.clocks.iter().fold(0, |bits, clock| {
        bits | match clock {
            ClockKind::Realtime => REALTIME,
            ClockKind::Monotonic => MONOTONIC,
        }
    });
    let [offset, drift] = [skew.offset_ns, skew.drift_ppb].map(i64::cast_unsigned);
    [bits, offset, drift, now, skew.half_period_ns]
}

fn skew_of(words: &[u64; WORDS]) -> Option<Skew> {
    let clocks = [
        (ClockKind::Realtime, REALTIME),
        (ClockKind::Monotonic, MONOTONIC),
    ];
    let moved = clocks.iter().filter(|(_, bits)| words[1] & bits == *bits);
    let clocks: Vec<ClockKind> = moved.map(|(clock, _)| *clock).collect();
    (!clocks.is_empty()).then(|| Skew {
        clocks,
        offset_ns: words[2].cast_signed(),
        drift_ppb: words[3].cast_signed(),
        half_period_ns: words[5],
    })
}

fn monotonic() -> Result<u64, String> {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).map_err(|e| format!("no clock: {e}"))?;
    Ok(now.tv_sec().cast_unsigned() * 1_000_000_000 + now.tv_nsec().cast_unsigned())
}
