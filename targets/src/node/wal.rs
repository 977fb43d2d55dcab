//! The write-ahead log: an append-only file of records that survive a crash once committed.
//!
//! A record is its length (4 bytes, little-endian), the CRC-32 of length and payload (4 bytes,
//! little-endian), and the payload. The checksum covers the length so that a tail of zeros, which
//! some file systems leave after a crash, is no valid record. Recovery ends at the first record
//! that is cut off or does not match its checksum, and truncates the file there: all that was
//! committed lies before a torn tail. [`Wal::replace`] puts a shorter log in the place of the
//! whole, by a rename: after a crash there is one or the other.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

const HEADER_BYTES: usize = 8;
/// The longest payload, in bytes: twice a message, since a record holds one at most.
const RECORD_BYTES_MAX: usize = 2 << 20;

/// An open log.
#[derive(Debug)]
pub(super) struct Wal {
    /// The node's directory.
    data: PathBuf,
    file: File,
    buffer: Vec<u8>,
    /// Whether it is a planted bug that nothing is synced.
    hasty: bool,
}

impl Wal {
    /// Opens the log in the directory `data`, both made if missing, and reads what is in it.
    ///
    /// # Errors
    /// Those of the file system, and `WouldBlock` while another node has the log open.
    pub(super) fn open(data: &Path) -> io::Result<(Self, Vec<Vec<u8>>)> {
        std::fs::create_dir_all(data)?;
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(data.join("wal"))?;
        file.try_lock()?;
        let (records, good) = read_records(&mut BufReader::new(&file))?;
        if file.metadata()?.len() > good {
            file.set_len(good)?;
        }
        file.seek(SeekFrom::End(0))?;
        file.sync_all()?;
        // The file's name must be as durable as its content.
        File::open(data)?.sync_all()?;
        let buffer = Vec::new();
        let data = data.to_owned();
        let hasty = false;
        let wal = Self {
            data,
            file,
            buffer,
            hasty,
        };
        Ok((wal, records))
    }

    /// The same, except that it takes for durable whatever the kernel was told: a planted bug, which
    /// shows when the power fails.
    pub(super) const fn hasty(mut self) -> Self {
        self.hasty = true;
        self
    }

    /// Appends records and waits until all of them are durable.
    ///
    /// # Errors
    /// Those of the file system; whether any record is durable is then unknown, and the node must
    /// stop.
    pub(super) fn commit(&mut self, records: &[Vec<u8>]) -> io::Result<()> {
        if records.is_empty() {
            return Ok(());
        }
        self.buffer.clear();
        frame(records, &mut self.buffer)?;
        self.file.write_all(&self.buffer)?;
        if self.hasty {
            return Ok(());
        }
        self.file.sync_data()
    }

    /// Puts records in the place of all that the log holds, and waits until that is durable.
    ///
    /// # Errors
    /// As [`commit`](Self::commit).
    pub(super) fn replace(&mut self, records: &[Vec<u8>]) -> io::Result<()> {
        self.buffer.clear();
        frame(records, &mut self.buffer)?;
        let next = self.data.join("wal.next");
        let mut file = OpenOptions::new().append(true).create(true).open(&next)?;
        // What is left of an attempt that a crash cut short.
        file.set_len(0)?;
        file.try_lock()?;
        file.write_all(&self.buffer)?;
        file.sync_data()?;
        std::fs::rename(next, self.data.join("wal"))?;
        File::open(&self.data)?.sync_all()?;
        self.file = file;
        Ok(())
    }
}

/// The bytes of records, after those that are there.
fn frame(records: &[Vec<u8>], bytes: &mut Vec<u8>) -> io::Result<()> {
    for record in records {
        let length = u32::try_from(record.len())
            .ok()
            .filter(|_| record.len() <= RECORD_BYTES_MAX)
            .ok_or_else(|| io::Error::other(format!("a record of {} bytes", record.len())))?;
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(&checksum(length, record).to_le_bytes());
        bytes.extend_from_slice(record);
    }
    Ok(())
}

fn checksum(length: u32, payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&length.to_le_bytes());
    hasher.update(payload);
    hasher.finalize()
}

/// The whole records, and how many bytes they take.
fn read_records(source: &mut impl Read) -> io::Result<(Vec<Vec<u8>>, u64)> {
    let mut records = Vec::new();
    let mut good = 0;
    while let Some(record) = read_record(source)? {
        good += (HEADER_BYTES + record.len()) as u64;
        records.push(record);
    }
    Ok((records, good))
}

/// The next record; `None` if it is cut off or damaged.
fn read_record(source: &mut impl Read) -> io::Result<Option<Vec<u8>>> {
    let (mut length, mut stored) = ([0; 4], [0; 4]);
    if !fill(source, &mut length)? || !fill(source, &mut stored)? {
        return Ok(None);
    }
    let length = u32::from_le_bytes(length);
    if length as usize > RECORD_BYTES_MAX {
        return Ok(None);
    }
    let mut payload = vec![0; length as usize];
    let whole = fill(source, &mut payload)?;
    Ok((whole && checksum(length, &payload) == u32::from_le_bytes(stored)).then_some(payload))
}

/// Whether there were enough bytes to fill `part`.
fn fill(source: &mut impl Read, part: &mut [u8]) -> io::Result<bool> {
    match source.read_exact(part) {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(e) => Err(e),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records() -> Vec<Vec<u8>> {
        vec![
            b"one".to_vec(),
            Vec::new(),
            b"three, the longest".to_vec(),
            vec![0; 9],
        ]
    }

    /// The bytes of a log with [`records`].
    fn written() -> Vec<u8> {
        let dir = tempfile::tempdir().unwrap();
        let (mut wal, found) = Wal::open(dir.path()).unwrap();
        assert!(found.is_empty());
        for record in records() {
            wal.commit(&[record]).unwrap();
        }
        std::fs::read(dir.path().join("wal")).unwrap()
    }

    /// What recovery finds in a log of these bytes; checks that one more record can follow.
    fn recovered(bytes: &[u8]) -> Vec<Vec<u8>> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("wal"), bytes).unwrap();
        let (mut wal, mut found) = Wal::open(dir.path()).unwrap();
        wal.commit(&[b"next".to_vec()]).unwrap();
        drop(wal);
        let (_, again) = Wal::open(dir.path()).unwrap();
        found.push(b"next".to_vec());
        assert_eq!(
            again, found,
            "a record after recovery follows what was recovered"
        );
        found.pop();
        found
    }

    #[test]
    fn a_log_cut_at_any_byte_keeps_every_record_before_the_cut() {
        let bytes = written();
        let mut ends = Vec::new();
        let mut end = 0;
        for record in records() {
            end += HEADER_BYTES + record.len();
            ends.push(end);
        }
        assert_eq!(end, bytes.len());
        for cut in 0..=bytes.len() {
            let whole = ends.iter().filter(|&&end| end <= cut).count();
            assert_eq!(recovered(&bytes[..cut]), records()[..whole], "cut at {cut}");
        }
    }

    #[test]
    fn a_flipped_bit_ends_the_log_before_its_record() {
        let bytes = written();
        for position in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[position] ^= 1 << (position % 8);
            let found = recovered(&damaged);
            assert!(found.len() < records().len(), "flipped in {position}");
            assert_eq!(found, records()[..found.len()], "flipped in {position}");
        }
    }

    #[test]
    fn a_tail_of_zeros_is_no_record() {
        let mut bytes = written();
        bytes.extend_from_slice(&[0; 64]);
        assert_eq!(recovered(&bytes), records());
    }

    #[test]
    fn a_log_in_use_is_not_opened_twice() {
        let dir = tempfile::tempdir().unwrap();
        let first = Wal::open(dir.path()).unwrap();
        let error = Wal::open(dir.path()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        drop(first);
        Wal::open(dir.path()).unwrap();
    }

    #[test]
    fn a_log_that_was_replaced_holds_the_new_records_and_those_after() {
        let dir = tempfile::tempdir().unwrap();
        let (mut wal, _) = Wal::open(dir.path()).unwrap();
        wal.commit(&records()).unwrap();
        // A crash left something of an earlier attempt.
        std::fs::write(dir.path().join("wal.next"), b"half a log").unwrap();
        wal.replace(&[b"all of it".to_vec()]).unwrap();
        wal.commit(&[b"next".to_vec()]).unwrap();
        let error = Wal::open(dir.path()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        drop(wal);
        let (_, found) = Wal::open(dir.path()).unwrap();
        assert_eq!(found, [b"all of it".to_vec(), b"next".to_vec()]);
    }
}
