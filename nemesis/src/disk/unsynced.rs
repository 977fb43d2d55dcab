//! What was written to files since each was last synced, so that it can be taken back.
//!
//! Of a file that has changed its length when it was synced is kept, and the old content of every
//! page (4 KiB) within that length that was overwritten or cut off.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use serde::Serialize;

const PAGE: u64 = 4096;
/// The most old content that is kept, in pages (64 MiB): beyond it, what is oldest in a file
/// counts as written back by the kernel, as it would be.
const PAGES_MAX: usize = 16 << 10;

/// What a file lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Lost {
    /// How long it was, in bytes.
    pub length_before: u64,
    /// How long it is again.
    pub length: u64,
    /// How many pages have their old content again.
    pub pages: usize,
}

/// One file that has changed.
#[derive(Debug)]
struct Changed {
    /// Its length when it was synced.
    length: u64,
    /// Old pages, by number; the last one may be cut short.
    pages: BTreeMap<u64, Vec<u8>>,
}

/// All files that have changed, by their numbers.
#[derive(Debug, Default)]
pub struct Unsynced {
    files: HashMap<u64, Changed>,
    pages: usize,
}

impl Unsynced {
    /// A file was made: nothing of it is durable but its name.
    pub fn made(&mut self, file: u64) {
        self.synced(file);
        let pages = BTreeMap::new();
        self.files.insert(file, Changed { length: 0, pages });
    }

    /// Bytes `from..to` of a file are about to be changed, or cut off.
    ///
    /// # Errors
    /// The old content can't be read.
    pub fn changing(&mut self, id: u64, file: &File, from: u64, to: u64) -> io::Result<()> {
        let changed = match self.files.entry(id) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(Changed {
                length: file.metadata()?.len(),
                pages: BTreeMap::new(),
            }),
        };
        let end = to.min(changed.length);
        if from >= end {
            return Ok(());
        }
        for page in from / PAGE..end.div_ceil(PAGE) {
            if changed.pages.contains_key(&page) {
                continue;
            }
            let mut old = vec![0; PAGE.min(changed.length - page * PAGE) as usize];
            file.read_exact_at(&mut old, page * PAGE)?;
            changed.pages.insert(page, old);
            self.pages += 1;
        }
        if self.pages > PAGES_MAX {
            self.synced(id);
        }
        Ok(())
    }

    /// Everything in a file is durable, or it is gone.
    pub fn synced(&mut self, file: u64) {
        if let Some(changed) = self.files.remove(&file) {
            self.pages -= changed.pages.len();
        }
    }

    /// Takes all changes back; `open` opens a file by its number, nothing if it is gone. Says what
    /// each file lost.
    ///
    /// # Errors
    /// A file can't be restored.
    pub fn lose(
        &mut self,
        open: impl Fn(u64) -> io::Result<Option<File>>,
    ) -> io::Result<Vec<(u64, Lost)>> {
        let mut all = Vec::new();
        self.pages = 0;
        for (id, changed) in std::mem::take(&mut self.files) {
            let Some(file) = open(id)? else { continue };
            let length_before = file.metadata()?.len();
            file.set_len(changed.length)?;
            for (page, old) in &changed.pages {
                file.write_all_at(old, page * PAGE)?;
            }
            file.sync_all()?;
            let (length, pages) = (changed.length, changed.pages.len());
            let lost = Lost {
                length_before,
                length,
                pages,
            };
            all.push((id, lost));
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reopened(file: &File) -> impl Fn(u64) -> io::Result<Option<File>> {
        move |_| file.try_clone().map(Some)
    }

    fn content(file: &File) -> Vec<u8> {
        let mut bytes = vec![0; file.metadata().unwrap().len() as usize];
        file.read_exact_at(&mut bytes, 0).unwrap();
        bytes
    }

    #[test]
    fn a_file_is_again_as_it_was_when_it_was_synced_whatever_was_done_to_it() {
        let file = tempfile::tempfile().unwrap();
        let old: Vec<u8> = (0..10_000_u32).map(|n| n as u8).collect();
        file.write_all_at(&old, 0).unwrap();
        let mut unsynced = Unsynced::default();
        for (at, bytes) in [(4_000, 200), (9_990, 5_000), (20_000, 1), (0, 1)] {
            unsynced.changing(1, &file, at, at + bytes).unwrap();
            file.write_all_at(&vec![b'x'; bytes as usize], at).unwrap();
        }
        unsynced.changing(1, &file, 50, u64::MAX).unwrap();
        file.set_len(50).unwrap();
        unsynced.changing(1, &file, 5_000, 5_001).unwrap();
        file.write_all_at(b"y", 5_000).unwrap();
        let lost = unsynced.lose(reopened(&file)).unwrap();
        assert_eq!(content(&file), old);
        let expected = Lost {
            length_before: 5_001,
            length: 10_000,
            pages: 3,
        };
        assert_eq!(lost, [(1, expected)]);
        assert!(unsynced.lose(reopened(&file)).unwrap().is_empty());
    }

    #[test]
    fn what_was_synced_stays_and_a_file_that_never_was_is_empty() {
        let file = tempfile::tempfile().unwrap();
        let mut unsynced = Unsynced::default();
        unsynced.made(1);
        unsynced.changing(1, &file, 0, 4).unwrap();
        file.write_all_at(b"kept", 0).unwrap();
        unsynced.synced(1);
        unsynced.changing(1, &file, 4, 8).unwrap();
        file.write_all_at(b"lost", 4).unwrap();
        unsynced.lose(reopened(&file)).unwrap();
        assert_eq!(content(&file), b"kept");
        unsynced.made(2);
        unsynced.lose(reopened(&file)).unwrap();
        assert_eq!(content(&file), b"");
    }
}
