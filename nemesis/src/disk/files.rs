//! The real files behind a layer: what each call comes to, unless the rules say that it fails.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsStr;
use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use fuser::{FileAttr, FileHandle, FileType, INodeNo, OpenAccMode, OpenFlags};
use nix::fcntl::OFlag;
use tokio::runtime::Handle as Runtime;

use super::tree::Tree;
use super::unsynced::{Lost, Unsynced};
use super::{Call, Disk, locked};

/// What is known of the files of a disk.
#[derive(Debug, Default)]
pub(super) struct Content {
    tree: Tree,
    pub(super) unsynced: Unsynced,
    pub(super) open: HashMap<u64, Open>,
    last_handle: u64,
}

#[derive(Clone, Debug)]
pub(super) struct Open {
    pub(super) number: u64,
    pub(super) file: Arc<File>,
}

impl Content {
    /// Takes back whatever was not synced.
    pub(super) fn lose(&mut self, root: &Path) -> io::Result<BTreeMap<PathBuf, Lost>> {
        self.open.clear();
        let (unsynced, tree) = (&mut self.unsynced, &self.tree);
        let lost = unsynced.lose(|number| {
            let Some(path) = tree.path(number) else {
                return Ok(None);
            };
            let opened = OpenOptions::new().write(true).open(root.join(path));
            match opened {
                Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
                opened => opened.map(Some),
            }
        })?;
        let named = |(number, lost)| Some((tree.path(number)?.to_owned(), lost));
        Ok(lost.into_iter().filter_map(named).collect())
    }

    pub(super) fn gone(&mut self, path: &Path) {
        if let Some(number) = self.tree.gone(path) {
            self.unsynced.synced(number);
        }
    }

    fn opened(&mut self, number: u64, file: File) -> FileHandle {
        self.last_handle += 1;
        let file = Arc::new(file);
        self.open.insert(self.last_handle, Open { number, file });
        FileHandle(self.last_handle)
    }
}

/// The file system that a process sees in place of its directory.
#[derive(Debug)]
pub struct PassThrough {
    pub(super) disk: Arc<Disk>,
    /// Where late answers wait.
    pub(super) runtime: Runtime,
}

impl PassThrough {
    /// The file system in front of a disk.
    pub const fn new(disk: Arc<Disk>, runtime: Runtime) -> Self {
        Self { disk, runtime }
    }

    pub(super) fn real(&self, path: &Path) -> PathBuf {
        self.disk.root.join(path)
    }

    pub(super) fn path(&self, number: INodeNo) -> io::Result<PathBuf> {
        let content = locked(&self.disk.content);
        content
            .tree
            .path(number.0)
            .map(Path::to_owned)
            .ok_or_else(gone)
    }

    pub(super) fn entry(&self, parent: INodeNo, name: &OsStr) -> io::Result<PathBuf> {
        let content = locked(&self.disk.content);
        content.tree.entry(parent.0, name).ok_or_else(gone)
    }

    pub(super) fn open_file(&self, handle: FileHandle) -> io::Result<Open> {
        let content = locked(&self.disk.content);
        content.open.get(&handle.0).cloned().ok_or_else(gone)
    }

    /// Fails if the rules say so.
    pub(super) fn allowed(&self, call: Call, takes_space: bool) -> io::Result<()> {
        let rules = self.disk.rules();
        if rules.failing.contains(&call) {
            self.disk.count(|tally| tally.failed += 1);
            return Err(io::Error::from_raw_os_error(nix::errno::Errno::EIO as i32));
        }
        if rules.full && takes_space {
            self.disk.count(|tally| tally.refused += 1);
            return Err(io::Error::from_raw_os_error(
                nix::errno::Errno::ENOSPC as i32,
            ));
        }
        Ok(())
    }

    /// The file at a path, and its attributes.
    pub(super) fn found(&self, path: &Path) -> io::Result<FileAttr> {
        let metadata = self.real(path).symlink_metadata()?;
        let number = locked(&self.disk.content).tree.number(path);
        Ok(attributes(number, &metadata))
    }

    pub(super) fn attributes_of(
        &self,
        number: INodeNo,
        handle: Option<FileHandle>,
    ) -> io::Result<FileAttr> {
        let metadata = match handle {
            Some(handle) => self.open_file(handle)?.file.metadata()?,
            None => self.real(&self.path(number)?).symlink_metadata()?,
        };
        Ok(attributes(number.0, &metadata))
    }

    /// Opens a file, to read it too whatever is asked for: what it holds is kept before it changes.
    pub(super) fn open(&self, number: INodeNo, flags: OpenFlags) -> io::Result<FileHandle> {
        let path = self.real(&self.path(number)?);
        let writes = flags.acc_mode() != OpenAccMode::O_RDONLY;
        let file = OpenOptions::new().read(true).write(writes).open(path)?;
        if flags.0 & OFlag::O_TRUNC.bits() != 0 {
            self.allowed(Call::Write, false)?;
            self.resize(number.0, &file, 0)?;
        }
        Ok(locked(&self.disk.content).opened(number.0, file))
    }

    pub(super) fn resize(&self, number: u64, file: &File, length: u64) -> io::Result<()> {
        let unsynced = &mut locked(&self.disk.content).unsynced;
        unsynced.changing(number, file, length, u64::MAX)?;
        file.set_len(length)
    }

    pub(super) fn create(&self, path: &Path, mode: u32) -> io::Result<(FileAttr, FileHandle)> {
        self.allowed(Call::Write, true)?;
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(self.real(path))?;
        let metadata = file.metadata()?;
        let mut content = locked(&self.disk.content);
        let number = content.tree.number(path);
        content.unsynced.made(number);
        let handle = content.opened(number, file);
        Ok((attributes(number, &metadata), handle))
    }

    pub(super) fn write(&self, handle: FileHandle, at: u64, data: &[u8]) -> io::Result<()> {
        self.allowed(Call::Write, true)?;
        let Open { number, file } = self.open_file(handle)?;
        let end = at.saturating_add(data.len() as u64);
        locked(&self.disk.content)
            .unsynced
            .changing(number, &file, at, end)?;
        file.write_all_at(data, at)?;
        self.disk.count(|tally| tally.writes += 1);
        Ok(())
    }

    /// Syncs; returns how long the answer is to be held back.
    pub(super) fn sync(&self, handle: FileHandle) -> io::Result<Option<Duration>> {
        self.allowed(Call::Fsync, false)?;
        let Open { number, file } = self.open_file(handle)?;
        file.sync_data()?;
        locked(&self.disk.content).unsynced.synced(number);
        let late = self.disk.rules().fsync_takes;
        self.disk.count(|tally| {
            tally.fsyncs += 1;
            tally.slowed += u64::from(late.is_some());
        });
        // Evenly over the stretch, by the golden ratio.
        let share = (self.disk.tally().slowed as f64 * 0.618_033_988_75).fract();
        Ok(late.map(|late| late.at(share)))
    }

    pub(super) fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.allowed(Call::Write, false)?;
        std::fs::rename(self.real(from), self.real(to))?;
        let mut content = locked(&self.disk.content);
        content.gone(to);
        content.tree.moved(from, to);
        Ok(())
    }

    pub(super) fn set_attributes(&self, number: INodeNo, wanted: &Wanted) -> io::Result<FileAttr> {
        let path = self.real(&self.path(number)?);
        if let Some(mode) = wanted.mode {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode & 0o7777))?;
        }
        if wanted.uid.is_some() || wanted.gid.is_some() {
            std::os::unix::fs::lchown(&path, wanted.uid, wanted.gid)?;
        }
        if let Some(length) = wanted.length {
            let file = OpenOptions::new().read(true).write(true).open(&path)?;
            let grows = length > file.metadata()?.len();
            self.allowed(Call::Write, grows)?;
            self.resize(number.0, &file, length)?;
        }
        if wanted.accessed.is_some() || wanted.modified.is_some() {
            let mut times = std::fs::FileTimes::new();
            times = wanted.accessed.map_or(times, |at| times.set_accessed(at));
            times = wanted.modified.map_or(times, |at| times.set_modified(at));
            File::open(&path)?.set_times(times)?;
        }
        self.attributes_of(number, None)
    }

    /// The entries of a directory, in order of their names.
    pub(super) fn entries(&self, number: INodeNo) -> io::Result<Vec<(INodeNo, FileType, PathBuf)>> {
        let path = self.path(number)?;
        let mut entries = vec![
            (number, FileType::Directory, PathBuf::from(".")),
            (number, FileType::Directory, PathBuf::from("..")),
        ];
        let mut found: Vec<_> = std::fs::read_dir(self.real(&path))?.collect::<io::Result<_>>()?;
        found.sort_by_key(std::fs::DirEntry::file_name);
        for entry in found {
            let name = PathBuf::from(entry.file_name());
            let child = locked(&self.disk.content).tree.number(&path.join(&name));
            let kind = FileType::from_std(entry.file_type()?).unwrap_or(FileType::RegularFile);
            entries.push((INodeNo(child), kind, name));
        }
        Ok(entries)
    }
}

/// What is to be changed of a file's attributes.
pub(super) struct Wanted {
    pub(super) mode: Option<u32>,
    pub(super) uid: Option<u32>,
    pub(super) gid: Option<u32>,
    pub(super) length: Option<u64>,
    pub(super) accessed: Option<SystemTime>,
    pub(super) modified: Option<SystemTime>,
}

fn gone() -> io::Error {
    io::Error::from_raw_os_error(nix::errno::Errno::ENOENT as i32)
}

fn attributes(number: u64, metadata: &Metadata) -> FileAttr {
    let time = |time: io::Result<SystemTime>| time.unwrap_or(SystemTime::UNIX_EPOCH);
    let changed = Duration::from_secs(metadata.ctime().try_into().unwrap_or(0));
    FileAttr {
        ino: INodeNo(number),
        size: metadata.len(),
        blocks: metadata.blocks(),
        atime: time(metadata.accessed()),
        mtime: time(metadata.modified()),
        ctime: SystemTime::UNIX_EPOCH + changed,
        crtime: SystemTime::UNIX_EPOCH,
        kind: FileType::from_std(metadata.file_type()).unwrap_or(FileType::RegularFile),
        perm: (metadata.mode() & 0o7777) as u16,
        nlink: u32::try_from(metadata.nlink()).unwrap_or(u32::MAX),
        uid: metadata.uid(),
        gid: metadata.gid(),
        rdev: u32::try_from(metadata.rdev()).unwrap_or(0),
        blksize: 4096,
        flags: 0,
    }
}
