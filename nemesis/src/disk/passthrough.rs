//! Answers the kernel: every call goes to the real directory, unless the rules say that it fails.
//!
//! Calls are taken one after the other. The kernel's cache is left on, so that files can be mapped
//! into memory; writes come here at once all the same.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsStr;
use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use fuser::{
    BsdFileFlags, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation,
    INodeNo, LockOwner, OpenAccMode, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData,
    ReplyDirectory, ReplyEmpty, ReplyEntry, ReplyOpen, ReplyStatfs, ReplyWrite, Request, TimeOrNow,
    WriteFlags,
};
use nix::fcntl::{FallocateFlags, OFlag};
use tokio::runtime::Handle as Runtime;

use super::tree::Tree;
use super::unsynced::{Lost, Unsynced};
use super::{Call, Disk, locked};

/// How long the kernel may believe what it was told of a file: only it changes them.
const TTL: Duration = Duration::from_secs(1);
const GENERATION: Generation = Generation(0);

/// What is known of the files of a disk.
#[derive(Debug, Default)]
pub(super) struct Content {
    tree: Tree,
    unsynced: Unsynced,
    open: HashMap<u64, Open>,
    last_handle: u64,
}

#[derive(Clone, Debug)]
struct Open {
    number: u64,
    file: Arc<File>,
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

    fn gone(&mut self, path: &Path) {
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
    disk: Arc<Disk>,
    /// Where late answers wait.
    runtime: Runtime,
}

impl PassThrough {
    /// The file system in front of a disk.
    pub const fn new(disk: Arc<Disk>, runtime: Runtime) -> Self {
        Self { disk, runtime }
    }

    fn real(&self, path: &Path) -> PathBuf {
        self.disk.root.join(path)
    }

    fn path(&self, number: INodeNo) -> io::Result<PathBuf> {
        let content = locked(&self.disk.content);
        content
            .tree
            .path(number.0)
            .map(Path::to_owned)
            .ok_or_else(gone)
    }

    fn entry(&self, parent: INodeNo, name: &OsStr) -> io::Result<PathBuf> {
        let content = locked(&self.disk.content);
        content.tree.entry(parent.0, name).ok_or_else(gone)
    }

    fn open_file(&self, handle: FileHandle) -> io::Result<Open> {
        let content = locked(&self.disk.content);
        content.open.get(&handle.0).cloned().ok_or_else(gone)
    }

    /// Fails if the rules say so.
    fn allowed(&self, call: Call, takes_space: bool) -> io::Result<()> {
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
    fn found(&self, path: &Path) -> io::Result<FileAttr> {
        let metadata = self.real(path).symlink_metadata()?;
        let number = locked(&self.disk.content).tree.number(path);
        Ok(attributes(number, &metadata))
    }

    fn attributes_of(&self, number: INodeNo, handle: Option<FileHandle>) -> io::Result<FileAttr> {
        let metadata = match handle {
            Some(handle) => self.open_file(handle)?.file.metadata()?,
            None => self.real(&self.path(number)?).symlink_metadata()?,
        };
        Ok(attributes(number.0, &metadata))
    }

    /// Opens a file, to read it too whatever is asked for: what it holds is kept before it changes.
    fn open(&self, number: INodeNo, flags: OpenFlags) -> io::Result<FileHandle> {
        let path = self.real(&self.path(number)?);
        let writes = flags.acc_mode() != OpenAccMode::O_RDONLY;
        let file = OpenOptions::new().read(true).write(writes).open(path)?;
        if flags.0 & OFlag::O_TRUNC.bits() != 0 {
            self.allowed(Call::Write, false)?;
            self.resize(number.0, &file, 0)?;
        }
        Ok(locked(&self.disk.content).opened(number.0, file))
    }

    fn resize(&self, number: u64, file: &File, length: u64) -> io::Result<()> {
        let unsynced = &mut locked(&self.disk.content).unsynced;
        unsynced.changing(number, file, length, u64::MAX)?;
        file.set_len(length)
    }

    fn create(&self, path: &Path, mode: u32) -> io::Result<(FileAttr, FileHandle)> {
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

    fn write(&self, handle: FileHandle, at: u64, data: &[u8]) -> io::Result<()> {
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
    fn sync(&self, handle: FileHandle) -> io::Result<Option<Duration>> {
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

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.allowed(Call::Write, false)?;
        std::fs::rename(self.real(from), self.real(to))?;
        let mut content = locked(&self.disk.content);
        content.gone(to);
        content.tree.moved(from, to);
        Ok(())
    }

    fn set_attributes(&self, number: INodeNo, wanted: &Wanted) -> io::Result<FileAttr> {
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
    fn entries(&self, number: INodeNo) -> io::Result<Vec<(INodeNo, FileType, PathBuf)>> {
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
struct Wanted {
    mode: Option<u32>,
    uid: Option<u32>,
    gid: Option<u32>,
    length: Option<u64>,
    accessed: Option<SystemTime>,
    modified: Option<SystemTime>,
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

#[expect(
    clippy::disallowed_methods,
    reason = "a file's times are no part of the record"
)]
fn moment(time: TimeOrNow) -> SystemTime {
    match time {
        TimeOrNow::SpecificTime(time) => time,
        TimeOrNow::Now => SystemTime::now(),
    }
}

/// Answers with a file's entry.
fn entry(found: io::Result<FileAttr>, reply: ReplyEntry) {
    match found {
        Ok(attributes) => reply.entry(&TTL, &attributes, GENERATION),
        Err(e) => reply.error(Errno::from(e)),
    }
}

fn attr(found: io::Result<FileAttr>, reply: ReplyAttr) {
    match found {
        Ok(attributes) => reply.attr(&TTL, &attributes),
        Err(e) => reply.error(Errno::from(e)),
    }
}

fn done(done: io::Result<()>, reply: ReplyEmpty) {
    match done {
        Ok(()) => reply.ok(),
        Err(e) => reply.error(Errno::from(e)),
    }
}

impl Filesystem for PassThrough {
    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let found = self.entry(parent, name).and_then(|path| self.found(&path));
        entry(found, reply);
    }

    fn getattr(&self, _: &Request, ino: INodeNo, fh: Option<FileHandle>, reply: ReplyAttr) {
        attr(self.attributes_of(ino, fh), reply);
    }

    fn setattr(
        &self,
        _: &Request,
        ino: INodeNo,
        mode: Option<u32>,
        uid: Option<u32>,
        gid: Option<u32>,
        size: Option<u64>,
        atime: Option<TimeOrNow>,
        mtime: Option<TimeOrNow>,
        _ctime: Option<SystemTime>,
        _fh: Option<FileHandle>,
        _crtime: Option<SystemTime>,
        _chgtime: Option<SystemTime>,
        _bkuptime: Option<SystemTime>,
        _flags: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let wanted = Wanted {
            mode,
            uid,
            gid,
            length: size,
            accessed: atime.map(moment),
            modified: mtime.map(moment),
        };
        attr(self.set_attributes(ino, &wanted), reply);
    }

    fn readlink(&self, _: &Request, ino: INodeNo, reply: ReplyData) {
        let read = self
            .path(ino)
            .and_then(|path| std::fs::read_link(self.real(&path)));
        match read {
            Ok(target) => reply.data(target.as_os_str().as_encoded_bytes()),
            Err(e) => reply.error(Errno::from(e)),
        }
    }

    fn mkdir(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        _umask: u32,
        reply: ReplyEntry,
    ) {
        let made = self.entry(parent, name).and_then(|path| {
            self.allowed(Call::Write, true)?;
            std::fs::DirBuilder::new()
                .mode(mode)
                .create(self.real(&path))?;
            self.found(&path)
        });
        entry(made, reply);
    }

    fn unlink(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let removed = self.entry(parent, name).and_then(|path| {
            self.allowed(Call::Write, false)?;
            std::fs::remove_file(self.real(&path))?;
            locked(&self.disk.content).gone(&path);
            Ok(())
        });
        done(removed, reply);
    }

    fn rmdir(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let removed = self.entry(parent, name).and_then(|path| {
            self.allowed(Call::Write, false)?;
            std::fs::remove_dir(self.real(&path))?;
            locked(&self.disk.content).gone(&path);
            Ok(())
        });
        done(removed, reply);
    }

    fn symlink(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        target: &Path,
        reply: ReplyEntry,
    ) {
        let made = self.entry(parent, name).and_then(|path| {
            self.allowed(Call::Write, true)?;
            std::os::unix::fs::symlink(target, self.real(&path))?;
            self.found(&path)
        });
        entry(made, reply);
    }

    fn rename(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        newparent: INodeNo,
        newname: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        if !flags.is_empty() {
            return reply.error(Errno::EINVAL);
        }
        let paths = (self.entry(parent, name), self.entry(newparent, newname));
        let renamed = match paths {
            (Ok(from), Ok(to)) => self.rename(&from, &to),
            (Err(e), _) | (_, Err(e)) => Err(e),
        };
        done(renamed, reply);
    }

    fn open(&self, _: &Request, ino: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        match self.open(ino, flags) {
            Ok(handle) => reply.opened(handle, FopenFlags::empty()),
            Err(e) => reply.error(Errno::from(e)),
        }
    }

    fn create(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        _umask: u32,
        _flags: i32,
        reply: ReplyCreate,
    ) {
        let created = self
            .entry(parent, name)
            .and_then(|path| self.create(&path, mode & 0o7777));
        match created {
            Ok((attributes, handle)) => {
                reply.created(&TTL, &attributes, GENERATION, handle, FopenFlags::empty());
            }
            Err(e) => reply.error(Errno::from(e)),
        }
    }

    fn read(
        &self,
        _: &Request,
        _ino: INodeNo,
        fh: FileHandle,
        offset: u64,
        size: u32,
        _flags: OpenFlags,
        _owner: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let read = self.allowed(Call::Read, false).and_then(|()| {
            let file = self.open_file(fh)?.file;
            let mut bytes = vec![0; size as usize];
            let mut filled = 0;
            while filled < bytes.len() {
                match file.read_at(&mut bytes[filled..], offset + filled as u64)? {
                    0 => break,
                    some => filled += some,
                }
            }
            bytes.truncate(filled);
            Ok(bytes)
        });
        match read {
            Ok(bytes) => reply.data(&bytes),
            Err(e) => reply.error(Errno::from(e)),
        }
    }

    fn write(
        &self,
        _: &Request,
        _ino: INodeNo,
        fh: FileHandle,
        offset: u64,
        data: &[u8],
        _write_flags: WriteFlags,
        _flags: OpenFlags,
        _owner: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        match self.write(fh, offset, data) {
            Ok(()) => reply.written(data.len() as u32),
            Err(e) => reply.error(Errno::from(e)),
        }
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        reply.ok();
    }

    fn release(
        &self,
        _: &Request,
        _ino: INodeNo,
        fh: FileHandle,
        _flags: OpenFlags,
        _owner: Option<LockOwner>,
        _flush: bool,
        reply: ReplyEmpty,
    ) {
        locked(&self.disk.content).open.remove(&fh.0);
        reply.ok();
    }

    fn fsync(&self, _: &Request, _: INodeNo, fh: FileHandle, _datasync: bool, reply: ReplyEmpty) {
        match self.sync(fh) {
            Ok(None) => reply.ok(),
            Ok(Some(late)) => drop(self.runtime.spawn(async move {
                tokio::time::sleep(late).await;
                reply.ok();
            })),
            Err(e) => reply.error(Errno::from(e)),
        }
    }

    fn readdir(
        &self,
        _: &Request,
        ino: INodeNo,
        _fh: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        let entries = match self.entries(ino) {
            Ok(entries) => entries,
            Err(e) => return reply.error(Errno::from(e)),
        };
        for ((number, kind, name), next) in entries.into_iter().zip(1..).skip(offset as usize) {
            if reply.add(number, next, kind, name) {
                break;
            }
        }
        reply.ok();
    }

    fn fsyncdir(&self, _: &Request, _: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        done(self.allowed(Call::Fsync, false), reply);
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        let full = self.disk.rules().full;
        match nix::sys::statvfs::statvfs(&self.disk.root) {
            Ok(it) => reply.statfs(
                it.blocks(),
                if full { 0 } else { it.blocks_free() },
                if full { 0 } else { it.blocks_available() },
                it.files(),
                it.files_free(),
                u32::try_from(it.block_size()).unwrap_or(4096),
                255,
                u32::try_from(it.fragment_size()).unwrap_or(4096),
            ),
            Err(e) => reply.error(Errno::from(io::Error::from(e))),
        }
    }

    fn fallocate(
        &self,
        _: &Request,
        _ino: INodeNo,
        fh: FileHandle,
        offset: u64,
        length: u64,
        mode: i32,
        reply: ReplyEmpty,
    ) {
        let allocated = self.allowed(Call::Write, true).and_then(|()| {
            let Open { number, file } = self.open_file(fh)?;
            let end = offset.saturating_add(length);
            locked(&self.disk.content)
                .unsynced
                .changing(number, &file, offset, end)?;
            let mode = FallocateFlags::from_bits_truncate(mode);
            let [offset, length] = [offset, length].map(|it| i64::try_from(it).unwrap_or(i64::MAX));
            Ok(nix::fcntl::fallocate(&file, mode, offset, length)?)
        });
        done(allocated, reply);
    }
}
