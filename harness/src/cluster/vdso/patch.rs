//! A process is stopped at its exec (ptrace(2)), gets a page and a patched vDSO, and goes on.
//!
//! Only there: later, a thread might be inside a function that is being overwritten. Whatever goes
//! wrong, the process is let go, with its clocks as they were.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;

use nix::errno::Errno;
use nix::sys::ptrace;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::{Pid, gettid};
use tribunal_nemesis::skew::Skew;

use super::image::Image;
use super::page::Lever;
use super::stub;

/// The longest vDSO that is read.
const IMAGE_BYTES_MAX: u64 = 1 << 16;
const PAGE_BYTES: u64 = 4096;
/// `mmap`, to read and write, shared (so that forked processes share it), of no file.
const MMAP: u64 = 9;
const READ_WRITE: u64 = 0x3;
const SHARED_ANONYMOUS: u64 = 0x21;
/// System calls answer an error by a number from here on.
const ERRORS: u64 = (-4095_i64).cast_unsigned();
/// A jump, before its distance.
const JUMP: u8 = 0xe9;

/// Waits for a stop or the end, and leaves it to be waited for again.
const LEAVING: WaitPidFlag = WaitPidFlag::WEXITED
    .union(WaitPidFlag::WSTOPPED)
    .union(WaitPidFlag::WNOWAIT);

/// Between fork and exec: the process will stop at its exec. A refusal is no failure: it is seen
/// by [`lay`].
pub(crate) fn ask_to_be_traced() {
    let _ = ptrace::traceme();
}

/// Patches a process that asked to be traced and has called exec, and lets it go; `skew` holds
/// from its first instruction on. To be called by the thread that started it.
///
/// # Errors
/// Why its clocks can't be moved. It runs all the same.
pub(crate) fn lay(pid: u32, skew: Option<&Skew>) -> Result<Lever, String> {
    if tracer(pid) != u32::try_from(gettid().as_raw()).ok() {
        return Err("the kernel or a sandbox refuses ptrace".into());
    }
    let process = Pid::from_raw(i32::try_from(pid).map_err(|e| e.to_string())?);
    await_exec(process)?;
    let laid = patch(pid, process).and_then(|lever| {
        if skew.is_some() {
            lever.pull(skew)?;
        }
        Ok(lever)
    });
    // The signal that marked the exec is swallowed.
    ptrace::detach(process, None).map_err(|e| format!("cannot let process {pid} go: {e}"))?;
    laid
}

/// The thread that traces a process, 0 if none does.
fn tracer(pid: u32) -> Option<u32> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("TracerPid:"))?;
    line.trim().parse().ok()
}

/// Waits until it stops at its exec; signals that come before are passed on. Its end is left to
/// whoever waits for it.
fn await_exec(process: Pid) -> Result<(), String> {
    loop {
        match waitid(Id::Pid(process), LEAVING) {
            Ok(WaitStatus::PtraceEvent(_, Signal::SIGTRAP, _)) => return Ok(()),
            Ok(WaitStatus::PtraceEvent(_, other, _)) => {
                ptrace::cont(process, other).map_err(|e| e.to_string())?;
            }
            Err(Errno::EINTR) => {}
            Ok(ended) => return Err(format!("it ended before its program began: {ended:?}")),
            Err(e) => return Err(format!("cannot wait for process {process}: {e}")),
        }
    }
}

/// Everything that is done while it is stopped.
fn patch(pid: u32, process: Pid) -> Result<Lever, String> {
    let failed = |what: &str, e: io::Error| format!("cannot {what} of process {pid}: {e}");
    let memory = OpenOptions::new()
        .read(true)
        .write(true)
        .open(format!("/proc/{pid}/mem"))
        .map_err(|e| failed("open the memory", e))?;
    let (start, image) = image(pid, &memory).map_err(|e| failed("read the vDSO", e))?;
    let image = Image(&image);
    let place = image
        .room(stub::code().len())
        .ok_or("the vDSO of this kernel has no room for a stub")?;
    let mut jumps = Vec::new();
    for (name, entry) in stub::entries() {
        let from = image
            .function(name)
            .ok_or_else(|| format!("the vDSO of this kernel has no {name}"))?;
        let distance = (place + entry) as i64 - (from as i64 + 5);
        let distance = i32::try_from(distance).map_err(|e| e.to_string())?;
        let mut jump = vec![JUMP];
        jump.extend(distance.to_le_bytes());
        jumps.push((from, jump));
    }
    let write = |at: usize, bytes: &[u8]| {
        memory
            .write_all_at(bytes, start + at as u64)
            .map_err(|e| failed("change the vDSO", e))
    };
    write(place, stub::code())?;
    let system_call = stub::system_call().ok_or("the stub calls nobody")?;
    let page = map_page(process, start + (place + system_call) as u64)?;
    write(place, &page.to_le_bytes())?;
    for (from, jump) in jumps {
        write(from, &jump)?;
    }
    Ok(Lever::new(pid, memory, page))
}

/// Where its vDSO begins, and what is in it.
fn image(pid: u32, memory: &File) -> io::Result<(u64, Vec<u8>)> {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps"))?;
    let line = maps.lines().find(|line| line.ends_with("[vdso]"));
    let range = line.and_then(|line| line.split(' ').next()?.split_once('-'));
    let parsed = range.and_then(|(from, to)| {
        let from = u64::from_str_radix(from, 16).ok()?;
        let bytes = u64::from_str_radix(to, 16).ok()?.checked_sub(from)?;
        (bytes <= IMAGE_BYTES_MAX).then_some((from, bytes as usize))
    });
    let (start, bytes) = parsed.ok_or_else(|| io::Error::other("it has none"))?;
    let mut image = vec![0; bytes];
    memory.read_exact_at(&mut image, start)?;
    Ok((start, image))
}

/// Has the stopped process map a page, by the `syscall` instruction at that address; returns where.
fn map_page(process: Pid, system_call: u64) -> Result<u64, String> {
    let failed = |e: Errno| format!("cannot have process {process} map a page: {e}");
    let before = ptrace::getregs(process).map_err(failed)?;
    let mut call = before;
    call.rip = system_call;
    call.orig_rax = u64::MAX;
    call.rax = MMAP;
    (call.rdi, call.rsi, call.rdx) = (0, PAGE_BYTES, READ_WRITE);
    (call.r10, call.r8, call.r9) = (SHARED_ANONYMOUS, u64::MAX, 0);
    ptrace::setregs(process, call).map_err(failed)?;
    let stepped = step(process).and_then(|held| Ok((ptrace::getregs(process)?.rax, held)));
    // Whatever came of it, the process goes on where it was.
    ptrace::setregs(process, before).map_err(failed)?;
    let (page, held) = stepped.map_err(failed)?;
    if let Some(signal) = held {
        kill(process, signal).map_err(failed)?;
    }
    match page {
        ERRORS.. => Err(failed(Errno::from_raw(
            i32::try_from(page.cast_signed().unsigned_abs()).unwrap_or(0),
        ))),
        page => Ok(page),
    }
}

/// One instruction of the stopped process; returns a signal that came meanwhile, to be sent again.
fn step(process: Pid) -> nix::Result<Option<Signal>> {
    let mut held = None;
    loop {
        ptrace::step(process, None)?;
        match waitid(Id::Pid(process), LEAVING)? {
            WaitStatus::PtraceEvent(_, Signal::SIGTRAP, _) => return Ok(held),
            WaitStatus::PtraceEvent(_, other, _) => held = Some(other),
            _ => return Err(Errno::ESRCH),
        }
    }
}
