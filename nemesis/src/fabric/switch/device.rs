//! TUN devices: one end is a network interface in the namespace of the thread that opens it, the
//! other a file from which the switch reads whole packets and to which it writes them.
//!
//! Each packet is preceded by a `virtio_net_hdr`, by which the kernel leaves out checksums that
//! nobody needs and hands over up to 64 KiB of one TCP stream as one packet.
#![expect(
    unsafe_code,
    reason = "interfaces are made and set up by ioctl, of which no safe wrapper exists"
)]

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;

use nix::libc;

use super::refusal::{Refusal, Step};

/// Largest packet over the wire, in bytes: that of Ethernet.
const MTU: i32 = 1500;
/// Packets that the kernel may queue for the switch; it has 500 where this cannot be set.
const QUEUE_PACKETS: i32 = 4096;
/// Where the kernel makes TUN devices.
const CLONE_DEVICE: &str = "/dev/net/tun";
/// The interface's name; the kernel puts in the first number that is free.
const NAME: &str = "tribunal%d";

mod request {
    use nix::libc;
    nix::ioctl_readwrite_bad!(make, libc::TUNSETIFF, libc::ifreq);
    nix::ioctl_write_int_bad!(offload, libc::TUNSETOFFLOAD);
    nix::ioctl_write_ptr_bad!(address, libc::SIOCSIFADDR, libc::ifreq);
    nix::ioctl_write_ptr_bad!(netmask, libc::SIOCSIFNETMASK, libc::ifreq);
    nix::ioctl_write_ptr_bad!(mtu, libc::SIOCSIFMTU, libc::ifreq);
    nix::ioctl_write_ptr_bad!(queue, libc::SIOCSIFTXQLEN, libc::ifreq);
    nix::ioctl_write_ptr_bad!(flags, libc::SIOCSIFFLAGS, libc::ifreq);
}

/// The name of an interface, as the kernel has it.
type Name = [libc::c_char; libc::IFNAMSIZ];

fn name(text: &str) -> Name {
    let mut name = [0; libc::IFNAMSIZ];
    for (to, from) in name.iter_mut().zip(text.bytes()) {
        *to = from as libc::c_char;
    }
    name
}

/// A request about the interface of that name, otherwise empty.
fn about(ifr_name: Name) -> libc::ifreq {
    let nothing = libc::sockaddr {
        sa_family: 0,
        sa_data: [0; 14],
    };
    libc::ifreq {
        ifr_name,
        ifr_ifru: libc::__c_anonymous_ifr_ifru { ifru_addr: nothing },
    }
}

fn about_address(name: Name, address: Ipv4Addr) -> libc::ifreq {
    let mut request = about(name);
    let mut sa_data = [0; 14];
    // A `sockaddr_in`: two bytes of port, then the address.
    for (to, from) in sa_data.iter_mut().skip(2).zip(address.octets()) {
        *to = from as libc::c_char;
    }
    request.ifr_ifru.ifru_addr = libc::sockaddr {
        sa_family: libc::AF_INET as libc::sa_family_t,
        sa_data,
    };
    request
}

/// The switch's end of a TUN device. The interface goes when this is dropped.
#[derive(Debug)]
pub(super) struct Tun(File);

impl Tun {
    /// Makes an interface with that address, of a network of that mask, in the network namespace
    /// of this thread. Reading and writing do not block.
    pub(super) fn open(address: Ipv4Addr, netmask: Ipv4Addr) -> Result<Self, Refusal> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC)
            .open(CLONE_DEVICE)
            .map_err(Step::OpenTun.failed())?;
        let mut request = about(name(NAME));
        let flags = libc::IFF_TUN | libc::IFF_NO_PI | libc::IFF_VNET_HDR;
        request.ifr_ifru.ifru_flags = flags as libc::c_short;
        // SAFETY: the file is open, and the request an initialised `ifreq` of our own, as
        // TUNSETIFF takes it; the kernel writes no more than a name into it.
        unsafe { request::make(file.as_raw_fd(), &raw mut request) }
            .map_err(|e| Step::MakeInterface.failed()(e.into()))?;
        let tun = Self(file);
        tun.hand_over_super_packets(true)
            .and_then(|()| set_up(request.ifr_name, address, netmask))
            .map_err(Step::SetUpInterface.failed())?;
        Ok(tun)
    }

    /// Whether the kernel may hand over many segments of a TCP stream as one packet.
    pub(super) fn hand_over_super_packets(&self, many: bool) -> io::Result<()> {
        let segmentation = if many {
            libc::TUN_F_TSO4 | libc::TUN_F_TSO_ECN
        } else {
            0
        };
        let features = (libc::TUN_F_CSUM | segmentation) as libc::c_int;
        // SAFETY: the file is an open TUN device, and TUNSETOFFLOAD takes a plain number.
        unsafe { request::offload(self.0.as_raw_fd(), features) }?;
        Ok(())
    }

    /// Reads one packet with its header; returns its length.
    pub(super) fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        (&self.0).read(buffer)
    }

    /// Writes one packet with its header.
    pub(super) fn write(&self, packet: &[u8]) -> io::Result<()> {
        (&self.0).write(packet).map(drop)
    }
}

impl AsFd for Tun {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// A socket of this thread's network namespace, to ask about its interfaces.
fn asker() -> io::Result<UdpSocket> {
    UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))
}

fn set_up(name: Name, address: Ipv4Addr, netmask: Ipv4Addr) -> io::Result<()> {
    let asker = asker()?;
    let fd = asker.as_raw_fd();
    let mut mtu = about(name);
    mtu.ifr_ifru.ifru_mtu = MTU;
    let mut queue = about(name);
    queue.ifr_ifru.ifru_metric = QUEUE_PACKETS;
    // SAFETY: the socket is open, and each request an initialised `ifreq` whose member for this
    // question is set, as netdevice(7) has it.
    unsafe {
        request::address(fd, &about_address(name, address))?;
        request::netmask(fd, &about_address(name, netmask))?;
        request::mtu(fd, &mtu)?;
        // Not allowed in a user namespace: the default will do.
        let _ = request::queue(fd, &queue);
    }
    up(name)
}

fn up(name: Name) -> io::Result<()> {
    let mut flags = about(name);
    flags.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    let asker = asker()?;
    // SAFETY: the socket is open, and the request an initialised `ifreq` with flags.
    unsafe { request::flags(asker.as_raw_fd(), &flags) }?;
    Ok(())
}

/// Gives this thread's network namespace its loopback addresses.
pub(super) fn loopback_up() -> io::Result<()> {
    up(name("lo"))
}
