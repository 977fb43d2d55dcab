//! The numbers under which the kernel knows files: one for each path, new for each new file.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use fuser::INodeNo;

/// Numbers and paths, the latter from the top of the tree.
#[derive(Debug)]
pub(super) struct Tree {
    paths: HashMap<u64, PathBuf>,
    numbers: HashMap<PathBuf, u64>,
    last: u64,
}

impl Default for Tree {
    fn default() -> Self {
        let top = INodeNo::ROOT.0;
        Self {
            paths: HashMap::from([(top, PathBuf::new())]),
            numbers: HashMap::from([(PathBuf::new(), top)]),
            last: top,
        }
    }
}

impl Tree {
    /// Where a file is, unless it is gone.
    pub(super) fn path(&self, number: u64) -> Option<&Path> {
        self.paths.get(&number).map(PathBuf::as_path)
    }

    /// The path of an entry of a directory.
    pub(super) fn entry(&self, parent: u64, name: &OsStr) -> Option<PathBuf> {
        Some(self.path(parent)?.join(name))
    }

    /// The number of the file at a path, which is there.
    pub(super) fn number(&mut self, path: &Path) -> u64 {
        if let Some(number) = self.numbers.get(path) {
            return *number;
        }
        self.last += 1;
        self.numbers.insert(path.to_owned(), self.last);
        self.paths.insert(self.last, path.to_owned());
        self.last
    }

    /// The file at a path is gone; returns the number that it had.
    pub(super) fn gone(&mut self, path: &Path) -> Option<u64> {
        let number = self.numbers.remove(path)?;
        self.paths.remove(&number);
        Some(number)
    }

    /// A file, or a directory with all in it, has another path now. What was there must be gone.
    pub(super) fn moved(&mut self, from: &Path, to: &Path) {
        let inside: Vec<PathBuf> = self.numbers.keys().cloned().collect();
        for path in inside {
            let Ok(rest) = path.strip_prefix(from) else {
                continue;
            };
            let new = match rest.as_os_str().is_empty() {
                true => to.to_owned(),
                false => to.join(rest),
            };
            if let Some(number) = self.numbers.remove(&path) {
                self.paths.insert(number, new.clone());
                self.numbers.insert(new, number);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_keeps_its_number_wherever_it_is_moved_and_a_new_one_gets_another() {
        let mut tree = Tree::default();
        let dir = tree.number(Path::new("a"));
        let file = tree.number(Path::new("a/x"));
        assert_eq!(tree.number(Path::new("a/x")), file);
        tree.moved(Path::new("a"), Path::new("b"));
        assert_eq!(tree.path(file), Some(Path::new("b/x")));
        assert_eq!(tree.entry(dir, OsStr::new("x")), Some("b/x".into()));
        assert_ne!(tree.number(Path::new("a/x")), file);
        assert_eq!(tree.gone(Path::new("b/x")), Some(file));
        assert_eq!(tree.path(file), None);
        assert_ne!(tree.number(Path::new("b/x")), file);
    }
}
