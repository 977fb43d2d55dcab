//! What the kernel says of processes and sockets: `/proc` of Linux.
//!
//! Where there is no `/proc`, every list is empty and every question is answered with `None`:
//! callers then do without the proof. Processes come and go while they are listed, so whatever
//! cannot be read is gone, and is left out.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

/// Every process.
fn all() -> impl Iterator<Item = u32> {
    numbered(Path::new("/proc"))
}

/// The entries of a directory whose names are numbers.
fn numbered(dir: &Path) -> impl Iterator<Item = u32> + use<> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// State and process group in a `stat` file: `pid (name) state parent group …`, where the name
/// may hold anything, parentheses too.
fn stat(path: &str) -> Option<(char, u32)> {
    let text = fs::read(path).ok()?;
    let text = String::from_utf8_lossy(&text);
    let mut fields = text.rsplit_once(") ")?.1.split(' ');
    let state = fields.next()?.chars().next()?;
    Some((state, fields.nth(1)?.parse().ok()?))
}

/// The states of the threads of a process that have not ended.
fn threads(pid: u32) -> Vec<char> {
    let tasks = format!("/proc/{pid}/task");
    numbered(Path::new(&tasks))
        .filter_map(|tid| stat(&format!("{tasks}/{tid}/stat")))
        .map(|(state, _)| state)
        .filter(|state| !matches!(state, 'Z' | 'X'))
        .collect()
}

/// The live processes of a group.
pub(super) fn group(group: u32) -> Vec<u32> {
    all()
        .filter(|pid| stat(&format!("/proc/{pid}/stat")).is_some_and(|(_, of)| of == group))
        .filter(|&pid| !threads(pid).is_empty())
        .collect()
}

/// Whether every thread of the process is stopped.
pub(super) fn is_stopped(pid: u32) -> bool {
    threads(pid).iter().all(|state| matches!(state, 'T' | 't'))
}

/// Whether any thread of the process is stopped.
pub(super) fn is_any_stopped(pid: u32) -> bool {
    threads(pid).iter().any(|state| matches!(state, 'T' | 't'))
}

/// The live processes whose environment, when their program began, held this `NAME=value`.
pub(super) fn marked(variable: &str) -> Vec<u32> {
    all()
        .filter(|pid| {
            let environ = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environ
                .split(|&byte| byte == 0)
                .any(|entry| entry == variable.as_bytes())
        })
        .collect()
}

/// The name of a process, for people.
pub(super) fn name(pid: u32) -> String {
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    name.trim().to_owned()
}

/// The inode of the socket that listens at `address`, be it by listening everywhere, in the network
/// whose tables are in that directory.
pub(super) fn listener(network: &Path, address: SocketAddr) -> Option<u64> {
    let SocketAddr::V4(address) = address else {
        return None;
    };
    let port = address.port();
    let hex = |ip: Ipv4Addr| format!("{:08X}:{port:04X}", u32::from_ne_bytes(ip.octets()));
    let here = [hex(*address.ip()), hex(Ipv4Addr::UNSPECIFIED)];
    let everywhere = [format!("{:032X}:{port:04X}", 0)];
    listening(&network.join("tcp"), &here).or_else(|| listening(&network.join("tcp6"), &everywhere))
}

/// The inode of a socket that listens at one of these addresses, as the kernel writes them.
fn listening(table: &Path, addresses: &[String]) -> Option<u64> {
    const LISTEN: &str = "0A";
    fs::read_to_string(table)
        .ok()?
        .lines()
        .skip(1)
        .find_map(|line| {
            let mut fields = line.split_ascii_whitespace().skip(1);
            let local = fields.next()?;
            let state = fields.nth(1)?;
            let inode = fields.nth(5)?;
            let found = state == LISTEN && addresses.iter().any(|address| address == local);
            found.then(|| inode.parse().ok()).flatten()
        })
}

/// Whether the process has that socket open.
pub(super) fn holds(pid: u32, inode: u64) -> bool {
    let socket = format!("socket:[{inode}]");
    let open = fs::read_dir(format!("/proc/{pid}/fd"))
        .into_iter()
        .flatten()
        .flatten();
    open.filter_map(|entry| fs::read_link(entry.path()).ok())
        .any(|link| link.as_os_str() == socket.as_str())
}

/// A process that has that socket open; `None` also if it is another user's.
pub(super) fn owner(inode: u64) -> Option<u32> {
    all().find(|&pid| holds(pid, inode))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn net() -> &'static Path {
        Path::new("/proc/net")
    }

    #[test]
    fn a_listener_is_traced_to_this_process() {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let inode = listener(net(), socket.local_addr().unwrap()).unwrap();
        assert!(holds(std::process::id(), inode));
        assert_eq!(owner(inode), Some(std::process::id()));
    }

    #[test]
    fn a_listener_on_every_address_is_found_at_each() {
        for everywhere in ["0.0.0.0:0", "[::]:0"] {
            let socket = TcpListener::bind(everywhere).unwrap();
            let port = socket.local_addr().unwrap().port();
            let inode = listener(net(), SocketAddr::from(([127, 70, 1, 2], port))).unwrap();
            assert!(holds(std::process::id(), inode), "{everywhere}");
        }
    }

    #[test]
    fn nothing_listens_at_a_closed_address() {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        drop(socket);
        assert_eq!(listener(net(), address), None);
    }

    #[test]
    fn this_process_is_in_its_own_group_and_runs() {
        let me = std::process::id();
        let (_, of) = stat(&format!("/proc/{me}/stat")).unwrap();
        assert!(group(of).contains(&me));
        assert!(!is_stopped(me));
        assert!(!is_any_stopped(me));
    }
}
