//! Bulk streams that nothing is done to: bytes that go from one socket to another through a pipe,
//! without ever being copied out of the kernel (`splice(2)` of Linux).

use std::fs::File;
use std::io::ErrorKind::{InvalidInput, PermissionDenied, Unsupported};
use std::io::{self, Read};

use nix::fcntl::{FcntlArg, OFlag, SpliceFFlags, fcntl, splice};
use nix::unistd::pipe2;
use tokio::io::Interest;
use tokio::net::TcpStream;

/// How much a pipe is asked to hold, in bytes: as much as one that is nobody's may.
const PIPE_BYTES: usize = 1024 * 1024;

const FLAGS: SpliceFFlags = SpliceFFlags::SPLICE_F_MOVE.union(SpliceFFlags::SPLICE_F_NONBLOCK);

/// What happened to bytes on their way.
#[derive(Debug)]
pub(super) enum Passed {
    /// They were taken in.
    In,
    /// So many were handed on.
    On(usize),
    /// The sender has ended its stream.
    End,
    /// The sender is gone.
    Reset,
    /// The receiver is gone.
    Broken,
    /// Sockets can't be spliced here.
    Impossible,
}

/// Bytes between two sockets.
#[derive(Debug)]
pub(super) struct Pipe {
    into: File,
    out: File,
    /// How many bytes are in it.
    held: usize,
}

impl Pipe {
    /// An empty one; `None` if the machine has none left.
    pub(super) fn open() -> Option<Self> {
        let (out, into) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK).ok()?;
        // Users have a limit to what their pipes hold together. A smaller one does too.
        let _ = fcntl(&into, FcntlArg::F_SETPIPE_SZ(PIPE_BYTES as i32));
        let (out, into) = (File::from(out), File::from(into));
        Some(Self { into, out, held: 0 })
    }

    /// Waits until it can take bytes in or hand them on, and does it. Nothing is lost if it is
    /// dropped while it waits. Bytes are taken in only when there are none, as a full pipe can't be
    /// told from a sender that pauses.
    pub(super) async fn pass(&mut self, from: &TcpStream, to: &TcpStream) -> Passed {
        let passed = match self.held {
            0 => self.take(from).await,
            _ => self.give(to).await,
        };
        passed.unwrap_or_else(|error| match error.kind() {
            InvalidInput | PermissionDenied | Unsupported => Passed::Impossible,
            _ if self.held == 0 => Passed::Reset,
            _ => Passed::Broken,
        })
    }

    async fn take(&mut self, from: &TcpStream) -> io::Result<Passed> {
        let into = &self.into;
        let take = || Ok(splice(from, None, into, None, PIPE_BYTES, FLAGS)?);
        self.held = from.async_io(Interest::READABLE, take).await?;
        Ok(match self.held {
            0 => Passed::End,
            _ => Passed::In,
        })
    }

    async fn give(&mut self, to: &TcpStream) -> io::Result<Passed> {
        let (out, held) = (&self.out, self.held);
        let give = || Ok(splice(out, None, to, None, held, FLAGS)?);
        let given = to.async_io(Interest::WRITABLE, give).await?;
        self.held -= given;
        Ok(Passed::On(given))
    }

    /// What was taken in and not handed on.
    pub(super) fn rest(mut self) -> io::Result<Vec<u8>> {
        let mut rest = vec![0; self.held];
        self.out.read_exact(&mut rest)?;
        Ok(rest)
    }
}
