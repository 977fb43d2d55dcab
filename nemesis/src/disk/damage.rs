//! Damage to files as they lie on disk: no layer and no privilege is needed.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use serde_json::{Value as Json, json};

/// How many files of a node are looked at, at most.
const FILES_MAX: usize = 10_000;

/// The files under a directory, not empty, whose paths from there match one of the patterns; in
/// the order of their names.
///
/// # Errors
/// The directory can't be read.
pub fn files(root: &Path, patterns: &[String]) -> io::Result<Vec<PathBuf>> {
    let (mut found, mut open) = (Vec::new(), vec![root.to_owned()]);
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(directory)? {
            let entry = entry?;
            let (path, metadata) = (entry.path(), entry.metadata()?);
            if metadata.is_dir() {
                open.push(path);
            } else if metadata.is_file() && metadata.len() > 0 && found.len() < FILES_MAX {
                let name = path.strip_prefix(root).unwrap_or(&path).to_string_lossy();
                if patterns
                    .iter()
                    .any(|it| matches(it.as_bytes(), name.as_bytes()))
                {
                    found.push(path);
                }
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Whether a name matches a pattern, in which `*` stands for any characters and `?` for one.
pub fn matches(pattern: &[u8], name: &[u8]) -> bool {
    match (pattern.split_first(), name.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), _) => {
            matches(rest, name)
                || name
                    .split_first()
                    .is_some_and(|(_, tail)| matches(pattern, tail))
        }
        (Some((b'?', rest)), Some((_, tail))) => matches(rest, tail),
        (Some((wanted, rest)), Some((found, tail))) => wanted == found && matches(rest, tail),
        _ => false,
    }
}

/// Flips one bit of a file that is not empty, that far into it (0 to 1); says where, what was
/// there and is now, and what the whole file's CRC-32 was and is.
///
/// # Errors
/// The file can't be read or written.
pub fn flip(path: &Path, share: f64) -> io::Result<Json> {
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    let (length, crc) = (file.metadata()?.len(), checksum(&file)?);
    let place = share.clamp(0.0, 1.0) * (length * 8) as f64;
    let last = length.saturating_sub(1);
    let (at, bit) = ((place as u64 / 8).min(last), place as u64 % 8);
    let mut byte = [0];
    file.read_exact_at(&mut byte, at)?;
    let before = byte[0];
    file.write_all_at(&[before ^ (1 << bit)], at)?;
    file.read_exact_at(&mut byte, at)?;
    file.sync_all()?;
    Ok(json!({
        "file": path.file_name().map(|name| name.to_string_lossy()),
        "offset": at,
        "before": before,
        "after": byte[0],
        "crc32_before": format!("{crc:08x}"),
        "crc32": format!("{:08x}", checksum(&file)?),
    }))
}

fn checksum(file: &File) -> io::Result<u32> {
    let (mut hasher, mut at, mut bytes) = (crc32fast::Hasher::new(), 0, vec![0; 1 << 16]);
    loop {
        match file.read_at(&mut bytes, at)? {
            0 => return Ok(hasher.finalize()),
            some => {
                hasher.update(&bytes[..some]);
                at += some as u64;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_names_below_the_directory() {
        for (pattern, name, expected) in [
            ("*", "a/b.log", true),
            ("wal", "wal", true),
            ("wal", "wal.next", false),
            ("member/*/0?.wal", "member/x/01.wal", true),
            ("*.wal", "a.wal.old", false),
            ("", "a", false),
        ] {
            assert_eq!(
                matches(pattern.as_bytes(), name.as_bytes()),
                expected,
                "{pattern} {name}"
            );
        }
    }

    #[test]
    fn exactly_one_bit_is_flipped_and_the_proof_says_which() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("wal");
        for share in [0.0, 0.4, 1.0] {
            std::fs::write(&path, [0_u8; 100]).unwrap();
            let proof = flip(&path, share).unwrap();
            let now = std::fs::read(&path).unwrap();
            let ones: u32 = now.iter().map(|byte| byte.count_ones()).sum();
            assert_eq!((now.len(), ones), (100, 1));
            let at = proof["offset"].as_u64().unwrap() as usize;
            assert_eq!(proof["after"], now[at]);
            assert_ne!(proof["crc32"], proof["crc32_before"]);
        }
    }

    #[test]
    fn only_files_that_are_named_and_not_empty_are_found() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("sub")).unwrap();
        for (name, bytes) in [
            ("sub/a.wal", 10_000),
            ("b.wal", 3),
            ("empty.wal", 0),
            ("c", 5),
        ] {
            std::fs::write(dir.path().join(name), vec![7_u8; bytes]).unwrap();
        }
        let found = files(dir.path(), &["*.wal".into()]).unwrap();
        assert_eq!(
            found,
            [dir.path().join("b.wal"), dir.path().join("sub/a.wal")]
        );
    }
}
