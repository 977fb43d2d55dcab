//! A node sees its data directory through a layer that can be broken (`tribunal_nemesis::disk`).
//!
//! Between fork and exec the child takes a mount namespace of its own (and a user namespace, if it
//! may not have the former otherwise), mounts the layer over its directory, and sends the open
//! `/dev/fuse` to the controller, which answers the kernel from then on. The mount is seen by the
//! node and its children only, and ends with them: nothing is left to unmount, however anything
//! ends. If the controller dies, every call to the directory fails.

use std::ffi::{CStr, CString};
use std::io::{self, IoSliceMut, Write};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use fuser::{Config, Session, SessionACL};
use nix::cmsg_space;
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, UnixAddr,
    recvmsg, sendmsg, socketpair,
};
use nix::sys::stat::Mode;
use nix::unistd::{getegid, geteuid, write};
use tokio::process::Command;
use tokio::runtime::Handle;
use tribunal_nemesis::disk::{Disk, PassThrough};

/// Room for the options of a mount.
const OPTIONS_BYTES: usize = 160;

/// What the child needs, made before the fork: it must not allocate.
struct Child {
    channel: OwnedFd,
    directory: CString,
    users: String,
    groups: String,
    options: String,
}

/// Has a command see the disk's directory through the disk, and answers the kernel until the last
/// process that does is gone. To be called in a tokio runtime, where answers may wait.
///
/// # Errors
/// There is no socket or thread for it.
#[expect(
    unsafe_code,
    reason = "a process can only change its own namespaces, between fork and exec"
)]
pub(super) fn lay_over(command: &mut Command, disk: &Arc<Disk>) -> io::Result<()> {
    let (ours, theirs) = socketpair(
        AddressFamily::Unix,
        SockType::Stream,
        None,
        SockFlag::SOCK_CLOEXEC,
    )?;
    let (user, group) = (geteuid(), getegid());
    let child = Child {
        channel: theirs,
        directory: CString::new(disk.root().as_os_str().as_bytes())?,
        users: format!("{user} {user} 1\n"),
        groups: format!("{group} {group} 1\n"),
        options: format!(
            "rootmode=40000,user_id={user},group_id={group},default_permissions,allow_other"
        ),
    };
    serve(ours, disk)?;
    // SAFETY: system calls on what was made before the fork. The one allocation, for the control
    // message in `sendmsg`, is fine where the C library's allocator survives a fork, as those of
    // glibc and musl do.
    unsafe {
        command.pre_exec(move || Ok(child.enter()?));
    }
    Ok(())
}

impl Child {
    fn enter(&self) -> Result<(), Errno> {
        match unshare(CloneFlags::CLONE_NEWNS) {
            Err(Errno::EPERM) => {
                unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS)?;
                put(c"/proc/self/setgroups", b"deny")?;
                put(c"/proc/self/uid_map", self.users.as_bytes())?;
                put(c"/proc/self/gid_map", self.groups.as_bytes())?;
            }
            unshared => unshared?,
        }
        let none = None::<&CStr>;
        mount(
            none,
            c"/",
            none,
            MsFlags::MS_REC | MsFlags::MS_PRIVATE,
            none,
        )?;
        let device = open(
            c"/dev/fuse",
            OFlag::O_RDWR | OFlag::O_CLOEXEC,
            Mode::empty(),
        )?;
        let mut options = [0; OPTIONS_BYTES];
        let room = OPTIONS_BYTES - 1;
        let written = write!(
            &mut options[..room],
            "fd={},{}",
            device.as_raw_fd(),
            self.options
        );
        written.map_err(|_| Errno::ENAMETOOLONG)?;
        let options = CStr::from_bytes_until_nul(&options).map_err(|_| Errno::EINVAL)?;
        mount(
            Some(c"tribunal"),
            self.directory.as_c_str(),
            Some(c"fuse.tribunal"),
            MsFlags::MS_NOSUID | MsFlags::MS_NODEV,
            Some(options),
        )?;
        let devices = [device.as_raw_fd()];
        sendmsg::<UnixAddr>(
            self.channel.as_raw_fd(),
            &[io::IoSlice::new(b"!")],
            &[ControlMessage::ScmRights(&devices)],
            MsgFlags::empty(),
            None,
        )?;
        // The directory that it is in is still the one below.
        nix::unistd::chdir(self.directory.as_c_str())
    }
}

fn put(path: &CStr, bytes: &[u8]) -> Result<(), Errno> {
    let file = open(path, OFlag::O_WRONLY | OFlag::O_CLOEXEC, Mode::empty())?;
    write(file.as_fd(), bytes).map(drop)
}

/// Waits for the device, and answers the kernel on it until it is gone.
fn serve(channel: OwnedFd, disk: &Arc<Disk>) -> io::Result<()> {
    let (disk, runtime) = (Arc::clone(disk), Handle::current());
    let in_use = disk.in_use();
    std::thread::Builder::new()
        .name("disk".into())
        .spawn(move || {
            let _in_use = in_use;
            // Nothing comes if the child fails before, or has nothing to mount.
            let Ok(Some(device)) = receive(&channel) else {
                return;
            };
            let files = PassThrough::new(disk, runtime);
            let ended = Session::from_fd(files, device, SessionACL::All, Config::default())
                .and_then(Session::run);
            if let Err(e) = ended {
                tracing::debug!("a node's files are no longer served: {e}");
            }
        })
        .map(drop)
}

#[expect(unsafe_code, reason = "received descriptors come as plain numbers")]
fn receive(channel: &OwnedFd) -> Result<Option<OwnedFd>, Errno> {
    let (mut byte, mut space) = ([0], cmsg_space!([i32; 1]));
    let mut buffers = [IoSliceMut::new(&mut byte)];
    let message = recvmsg::<UnixAddr>(
        channel.as_raw_fd(),
        &mut buffers,
        Some(&mut space),
        MsgFlags::MSG_CMSG_CLOEXEC,
    )?;
    for part in message.cmsgs()? {
        if let ControlMessageOwned::ScmRights(descriptors) = part
            && let Some(descriptor) = descriptors.first()
        {
            // SAFETY: the kernel has just made it for this process, and nobody else has it.
            return Ok(Some(unsafe { OwnedFd::from_raw_fd(*descriptor) }));
        }
    }
    Ok(None)
}

/// Tries whether processes can be started with such a layer: `program --version`, in a directory
/// of its own.
///
/// # Errors
/// Why they can't.
pub(super) async fn probe(program: &Path) -> Result<(), String> {
    let directory = tempfile::tempdir().map_err(|e| e.to_string())?;
    let root = directory.path().canonicalize().map_err(|e| e.to_string())?;
    let disk = Arc::new(Disk::new(root));
    let mut command = Command::new(program);
    command.arg("--version").kill_on_drop(true);
    command.stdout(std::process::Stdio::null());
    lay_over(&mut command, &disk).map_err(|e| e.to_string())?;
    let run = tokio::time::timeout(std::time::Duration::from_secs(10), command.status());
    let why = match run.await {
        Ok(Ok(status)) if status.success() => return Ok(()),
        Ok(Ok(status)) => format!("it ended with {status}"),
        Ok(Err(e)) => e.to_string(),
        Err(_) => "it does not answer".into(),
    };
    Err(format!(
        "a FUSE layer can't be mounted in a namespace of its own ({why}); it takes /dev/fuse that \
         can be opened, and root or user namespaces that are allowed"
    ))
}
