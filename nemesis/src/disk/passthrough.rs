//! Answers the kernel, call by call.
//!
//! Calls are taken one after the other. The kernel's cache is left on, so that files can be mapped
//! into memory; writes come here at once all the same.

use std::ffi::OsStr;
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt};
use std::path::Path;
use std::time::{Duration, SystemTime};

use fuser::{
    BsdFileFlags, Errno, FileAttr, FileHandle, Filesystem, FopenFlags, Generation, INodeNo,
    LockOwner, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory,
    ReplyEmpty, ReplyEntry, ReplyOpen, ReplyStatfs, ReplyWrite, Request, TimeOrNow, WriteFlags,
};
use nix::fcntl::FallocateFlags;

use super::files::{Open, PassThrough, Wanted};
use super::{Call, locked};

/// How long the kernel may believe what it was told of a file: only it changes them.
const TTL: Duration = Duration::from_secs(1);
const GENERATION: Generation = Generation(0);

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
