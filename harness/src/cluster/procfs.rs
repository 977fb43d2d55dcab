//! What the kernel says of processes and sockets: `/proc` of Linux.
//!
//! Where there is no `/proc`, every list is empty and every question is answered with `None`:
//! callers then do without the proof. Processes come and go while they are listed, so whatever
//! cannot be read is gone, and is left out.

use std::collections::{BTreeSet, HashSet};
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

/// What a `stat` file begins with.
struct Stat {
    state: char,
    parent: u32,
    group: u32,
}

/// Reads a `stat` file: `pid (name) state parent group …`, where the name may hold anything,
/// parentheses too.
fn stat(path: &str) -> Option<Stat> {
    let text = fs::read(path).ok()?;
    let text = String::from_utf8_lossy(&text);
    let mut fields = text.rsplit_once(") ")?.1.split(' ');
    Some(Stat {
        state: fields.next()?.chars().next()?,
        parent: fields.next()?.parse().ok()?,
        group: fields.next()?.parse().ok()?,
    })
}

/// The states of the threads of a process that have not ended.
fn threads(pid: u32) -> Vec<char> {
    let tasks = format!("/proc/{pid}/task");
    numbered(Path::new(&tasks))
        .filter_map(|tid| stat(&format!("{tasks}/{tid}/stat")))
        .map(|stat| stat.state)
        .filter(|state| !matches!(state, 'Z' | 'X'))
        .collect()
}

/// The live processes of a group.
pub(super) fn group(group: u32) -> Vec<u32> {
    all()
        .filter(|pid| stat(&format!("/proc/{pid}/stat")).is_some_and(|stat| stat.group == group))
        .filter(|&pid| is_alive(pid))
        .collect()
}

/// The live processes of a group and all that descend from them: some programs, PostgreSQL for one,
/// put their children into groups of their own.
pub(super) fn family(group: u32) -> BTreeSet<u32> {
    let known = |pid| Some((pid, stat(&format!("/proc/{pid}/stat"))?));
    let table: Vec<(u32, Stat)> = all().filter_map(known).collect();
    let mut found = BTreeSet::new();
    loop {
        let before = found.len();
        let belongs = |stat: &Stat| stat.group == group || found.contains(&stat.parent);
        let more: Vec<u32> = table
            .iter()
            .filter_map(|(pid, stat)| belongs(stat).then_some(*pid))
            .collect();
        found.extend(more);
        if found.len() == before {
            found.retain(|&pid| is_alive(pid));
            return found;
        }
    }
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

/// The live processes whose environment, when their program began, held this name, and its value.
pub(super) fn values_of(name: &str) -> Vec<(u32, String)> {
    let prefix = format!("{name}=");
    let value = |pid| {
        let environ = fs::read(format!("/proc/{pid}/environ")).ok()?;
        let mut entries = environ.split(|&byte| byte == 0);
        let value = entries.find_map(|entry| entry.strip_prefix(prefix.as_bytes()))?;
        Some((pid, String::from_utf8_lossy(value).into_owned()))
    };
    all().filter_map(value).collect()
}

/// When a process was started, in clock ticks since the machine was.
pub(super) fn started(pid: u32) -> Option<u64> {
    let text = fs::read(format!("/proc/{pid}/stat")).ok()?;
    let text = String::from_utf8_lossy(&text);
    // The fields after the name begin with the third; it is the 22nd.
    text.rsplit_once(") ")?.1.split(' ').nth(19)?.parse().ok()
}

/// Whether a process has a thread that has not ended.
pub(super) fn is_alive(pid: u32) -> bool {
    !threads(pid).is_empty()
}

/// The name of a process, for people.
pub(super) fn name(pid: u32) -> String {
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    name.trim().to_owned()
}

/// An IPv4 address and port as the kernel writes them.
fn hex(ip: Ipv4Addr, port: u16) -> String {
    format!("{:08X}:{port:04X}", u32::from_ne_bytes(ip.octets()))
}

/// The inode of the socket that listens at `address`, be it by listening everywhere, in the network
/// whose tables are in that directory.
pub(super) fn listener(network: &Path, address: SocketAddr) -> Option<u64> {
    let SocketAddr::V4(address) = address else {
        return None;
    };
    let port = address.port();
    let here = [hex(*address.ip(), port), hex(Ipv4Addr::UNSPECIFIED, port)];
    let everywhere = [format!("{:032X}:{port:04X}", 0)];
    listening(&network.join("tcp"), &here).or_else(|| listening(&network.join("tcp6"), &everywhere))
}

/// A row of a table of TCP sockets.
struct Row {
    local: String,
    remote: String,
    state: String,
    inode: u64,
}

/// The rows of a table of TCP sockets (`Documentation/networking/proc_net_tcp.rst` of Linux).
fn rows(table: &Path) -> Vec<Row> {
    let row = |line: &str| {
        let mut fields = line.split_ascii_whitespace().skip(1).map(str::to_owned);
        Some(Row {
            local: fields.next()?,
            remote: fields.next()?,
            state: fields.next()?,
            inode: fields.nth(5)?.parse().ok()?,
        })
    };
    let text = fs::read_to_string(table).unwrap_or_default();
    text.lines().skip(1).filter_map(row).collect()
}

/// The inode of a socket that listens at one of these addresses, as the kernel writes them.
fn listening(table: &Path, addresses: &[String]) -> Option<u64> {
    const LISTEN: &str = "0A";
    let rows = rows(table).into_iter();
    let listens = |row: &Row| row.state == LISTEN && addresses.contains(&row.local);
    rows.filter(listens).map(|row| row.inode).next()
}

/// How IPv6 writes an IPv4 address (RFC 4291, 2.5.5.2), as the kernel prints it.
const MAPPED: &str = "0000000000000000FFFF0000";

/// The inode of the socket at `near` that is connected to `far`, both of IPv4; `None` also if it was
/// closed by the process that had it.
pub(super) fn connected(near: SocketAddr, far: SocketAddr) -> Option<u64> {
    let (SocketAddr::V4(near), SocketAddr::V4(far)) = (near, far) else {
        return None;
    };
    let near = hex(*near.ip(), near.port());
    let far = hex(*far.ip(), far.port());
    let is = |written: &str, end: &str| written.strip_prefix(MAPPED).unwrap_or(written) == end;
    let mut all = ["/proc/net/tcp", "/proc/net/tcp6"]
        .into_iter()
        .flat_map(|table| rows(Path::new(table)));
    all.find(|row| is(&row.local, &near) && is(&row.remote, &far))
        .map(|row| row.inode)
        .filter(|&inode| inode != 0)
}

/// The connections that were opened to one of these IPv4 addresses: to which, and the inodes of
/// the sockets at the other end.
pub(super) fn connections_to(addresses: &[SocketAddr]) -> Vec<(SocketAddr, u64)> {
    const ESTABLISHED: &str = "01";
    let named: Vec<(String, SocketAddr)> = addresses
        .iter()
        .filter_map(|address| match address {
            SocketAddr::V4(v4) => Some((hex(*v4.ip(), v4.port()), *address)),
            SocketAddr::V6(_) => None,
        })
        .collect();
    let all = ["/proc/net/tcp", "/proc/net/tcp6"]
        .into_iter()
        .flat_map(|table| rows(Path::new(table)));
    all.filter(|row| row.state == ESTABLISHED)
        .filter_map(|row| {
            let remote = row.remote.strip_prefix(MAPPED).unwrap_or(&row.remote);
            let (_, address) = named.iter().find(|(name, _)| name == remote)?;
            Some((*address, row.inode))
        })
        .collect()
}

/// The inodes of the sockets that a process has open.
pub(super) fn sockets(pid: u32) -> HashSet<u64> {
    let open = fs::read_dir(format!("/proc/{pid}/fd"));
    let links = open.into_iter().flatten().flatten();
    links
        .filter_map(|entry| fs::read_link(entry.path()).ok())
        .filter_map(|link| {
            let inode = link.to_str()?.strip_prefix("socket:[")?;
            inode.strip_suffix(']')?.parse().ok()
        })
        .collect()
}

/// Whether the process has that socket open.
pub(super) fn holds(pid: u32, inode: u64) -> bool {
    sockets(pid).contains(&inode)
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
    fn connections_are_found_by_where_they_lead_and_by_their_own_end() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let there = listener.local_addr().unwrap();
        let near = std::net::TcpStream::connect(there).unwrap();
        let (far, _) = listener.accept().unwrap();
        let found = connections_to(&[there]);
        let [(address, inode)] = found[..] else {
            panic!("{found:?}");
        };
        assert_eq!(address, there);
        assert!(sockets(std::process::id()).contains(&inode));
        drop((near, far));
        assert_eq!(connections_to(&[there]), []);
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
        let of = stat(&format!("/proc/{me}/stat")).unwrap().group;
        assert!(group(of).contains(&me));
        assert!(family(of).contains(&me));
        assert!(!is_stopped(me));
        assert!(!is_any_stopped(me));
    }

    #[test]
    fn a_family_holds_the_descendants_that_have_left_the_group() {
        use std::io::Read as _;
        use std::os::unix::process::CommandExt as _;
        use std::process::{Command, Stdio};

        let mut parent = Command::new("sh")
            .args(["-c", "setsid sleep 60 & echo $!; exec sleep 60"])
            .process_group(0)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = [0; 16];
        let length = parent.stdout.take().unwrap().read(&mut said).unwrap();
        let child = String::from_utf8_lossy(&said[..length]);
        let child: u32 = child.trim().parse().unwrap();
        while group(parent.id()).contains(&child) {
            std::thread::yield_now();
        }
        let found = family(parent.id());
        let kill = nix::sys::signal::Signal::SIGKILL;
        for pid in [child, parent.id()] {
            nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid as i32), kill).unwrap();
        }
        parent.wait().unwrap();
        assert_eq!(found, BTreeSet::from([child, parent.id()]));
    }
}
