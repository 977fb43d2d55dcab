//! Network namespaces: one for this process, and one for each node.

use std::fs::File;
use std::io;

use nix::errno::Errno;
use nix::sched::{CloneFlags, setns, unshare};
use nix::unistd::{getegid, geteuid};

use super::device::loopback_up;
use super::refusal::{Refusal, Step};

/// Shows that this process has a network namespace of its own, so that whatever is set up there
/// disturbs nobody. It goes with its last process.
#[derive(Clone, Copy, Debug)]
pub struct Private(());

/// Moves this process to a network namespace of its own, where it has loopback addresses and
/// nothing else; without privileges, to a user namespace too, in which users and groups are called
/// as before. To be called while there is one thread, as others would be left behind.
///
/// # Errors
/// If the machine does not allow namespaces or TUN devices: that is tried.
pub fn enter() -> Result<Private, Refusal> {
    match unshare(CloneFlags::CLONE_NEWNET) {
        Err(Errno::EPERM) => enter_as_user(),
        done => done.map_err(io::Error::from),
    }
    .and_then(|()| loopback_up())
    .map_err(Step::Enter.failed())?;
    super::try_one()?;
    Ok(Private(()))
}

fn enter_as_user() -> io::Result<()> {
    // Asked before: inside, until they are mapped, they are nobody's.
    let (user, group) = (geteuid(), getegid());
    unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNET)?;
    // Without this the group may not be mapped.
    std::fs::write("/proc/self/setgroups", "deny")?;
    std::fs::write("/proc/self/uid_map", format!("{user} {user} 1"))?;
    std::fs::write("/proc/self/gid_map", format!("{group} {group} 1"))
}

/// A network namespace of a node. It goes when this and its last process are gone.
#[derive(Debug)]
pub struct Namespace(File);

impl Namespace {
    /// Moves this thread to a new one, with loopback addresses.
    pub(super) fn of_this_thread() -> Result<Self, Refusal> {
        unshare(CloneFlags::CLONE_NEWNET)
            .map_err(io::Error::from)
            .and_then(|()| loopback_up())
            .and_then(|()| File::open("/proc/thread-self/ns/net"))
            .map(Self)
            .map_err(Step::NodeNamespace.failed())
    }

    /// Moves this thread there, and whatever it starts from now on. The thread should be one that
    /// does nothing else.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub fn enter(&self) -> io::Result<()> {
        Ok(setns(&self.0, CloneFlags::CLONE_NEWNET)?)
    }
}
