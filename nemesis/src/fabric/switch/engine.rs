//! The thread of a switch: takes packets from the ports, does to them what the rules of their
//! links say, and hands them on.
//!
//! One thread does it all, so that packets of a link stay in order unless a rule says otherwise.
//! Without a rule a packet is written as soon as it is read, from the buffer into which it was
//! read. While a link treats packets one by one (chance, bandwidth), the kernel is asked to hand
//! over no super-packets at its sending end, as losing one would lose up to 44 segments at once.

use std::io::{ErrorKind, Read};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;
use tokio::sync::watch;
use tokio::time::Instant;

use super::device::Tun;
use super::flows::{Connection, Fate, Flows};
use super::packet::{BYTES_MAX, PREFIX, Packet};
use super::queue::{Parcel, Ports, Queue};
use super::subnet::{Subnet, Way};
use crate::fabric::counters::count;
use crate::fabric::lane::Lane;
use crate::fabric::rule::Rule;

/// Packets that are read from one port before the others have their turn.
const BURST: usize = 32;
/// The most that may wait on one link, and on all together, in bytes.
const LINK_BYTES_MAX: usize = 32 * 1024 * 1024;
const BYTES_WAITING_MAX: usize = 256 * 1024 * 1024;
/// How long a packet that is to be overtaken is held back besides its delay.
const OVERTAKEN_WITHIN: Duration = Duration::from_millis(10);

/// A link, as the thread sees it.
struct Link {
    lane: Arc<Lane>,
    changes: watch::Receiver<Rule>,
    rule: Rule,
    /// Bytes that wait.
    waiting: usize,
    /// When the last packet that keeps its place is due.
    last_due: Option<Instant>,
    /// Packets that have been delivered.
    passed: u64,
}

impl Link {
    fn new(lane: Arc<Lane>) -> Self {
        let changes = lane.rule();
        let rule = *changes.borrow();
        Self {
            lane,
            changes,
            rule,
            waiting: 0,
            last_due: None,
            passed: 0,
        }
    }

    /// Whether packets must be looked at one by one.
    fn treats_single_packets(&self) -> bool {
        self.rule.bandwidth.is_some() || !self.rule.packets.is_none()
    }

    /// Whether packets neither wait nor take chances.
    fn is_open(&self) -> bool {
        self.waiting == 0 && self.rule.is_transparent() && !self.treats_single_packets()
    }

    /// When the next packet is due, in its turn; `None` for at once.
    fn due(&mut self, bytes: usize) -> Option<Instant> {
        let now = Instant::now();
        let mut due = now;
        if let Some(bandwidth) = &self.rule.bandwidth
            && let Some(passed) = self.lane.pace(bandwidth, bytes, now)
        {
            count(&self.lane.tally.bytes_throttled, bytes);
            due = passed;
        }
        if !self.rule.delay.is_zero() {
            count(&self.lane.tally.bytes_delayed, bytes);
            due += self.lane.draw_delay(&self.rule.delay);
        }
        if let Some(last) = self.last_due.filter(|_| self.waiting > 0) {
            due = due.max(last);
        }
        (due > now || self.waiting > 0).then_some(due)
    }
}

/// What is to be done at a time.
enum Event {
    Deliver(Parcel),
    /// A connection is as old as the rule of this link lets it become.
    Reset(Ports, Connection),
}

/// All that the thread works with.
pub(super) struct Engine {
    subnet: Subnet,
    tuns: Arc<[Tun]>,
    /// By port from, then port to.
    links: Vec<Vec<Option<Link>>>,
    flows: Flows,
    queue: Queue<Event>,
    /// Bytes that wait, of all links.
    waiting: usize,
}

impl Engine {
    /// `lane` gives the rules from one port to another.
    pub(super) fn new(
        subnet: Subnet,
        tuns: Vec<Tun>,
        lane: impl Fn(usize, usize) -> Option<Arc<Lane>>,
    ) -> Self {
        let ports = 0..tuns.len();
        let links = ports.clone().map(|from| {
            let to = ports.clone().map(|to| lane(from, to).map(Link::new));
            to.collect()
        });
        let engine = Self {
            subnet,
            links: links.collect(),
            tuns: tuns.into(),
            flows: Flows::default(),
            queue: Queue::default(),
            waiting: 0,
        };
        (0..engine.links.len()).for_each(|from| engine.choose_packets(from));
        engine
    }

    /// Works until the other end of `wake` is closed. Each byte that comes from there says that
    /// rules may have changed.
    pub(super) fn run(mut self, wake: &UnixStream) {
        // Delays are to be met within microseconds, not the usual 50 of a thread's timers.
        if let Err(e) = nix::sys::prctl::set_timerslack(1) {
            tracing::warn!("the switch's timers stay coarse: {e}");
        }
        let tuns = Arc::clone(&self.tuns);
        let ready = PollFlags::POLLIN;
        // The bell first, then the ports that work, in order.
        let mut ends = vec![PollFd::new(wake.as_fd(), ready)];
        ends.extend(tuns.iter().map(|tun| PollFd::new(tun.as_fd(), ready)));
        let mut ports: Vec<usize> = (0..tuns.len()).collect();
        let mut buffer = vec![0; BYTES_MAX];
        loop {
            let wait = self
                .queue
                .next()
                .map(|due| TimeSpec::from_duration(due.saturating_duration_since(Instant::now())));
            match ppoll(&mut ends, wait, None) {
                Ok(_) | Err(nix::errno::Errno::EINTR) => {}
                Err(e) => return tracing::error!("the switch cannot wait for packets: {e}"),
            }
            if is_ready(&ends[0]) {
                if !heard(wake) {
                    return;
                }
                self.rules_changed();
            }
            let mut lost = None;
            for (i, &port) in ports.iter().enumerate() {
                if is_ready(&ends[1 + i])
                    && let Err(e) = self.take_from(port, &mut buffer)
                {
                    tracing::error!("the switch has lost its port {port}: {e}");
                    lost = Some(i);
                }
            }
            if let Some(i) = lost {
                ports.remove(i);
                ends.remove(1 + i);
            }
            self.do_what_is_due();
        }
    }

    fn take_from(&mut self, port: usize, buffer: &mut [u8]) -> std::io::Result<()> {
        for _ in 0..BURST {
            match self.tuns[port].read(buffer) {
                Ok(n) => self.take(port, &mut buffer[..n]),
                Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    fn take(&mut self, from: usize, bytes: &mut [u8]) {
        let Some(mut packet) = Packet::parse(bytes) else {
            return;
        };
        match self.subnet.route(from, &mut packet) {
            Some(Way::Control(to)) => self.write(to, packet.bytes()),
            Some(Way::Link(to)) if to < self.tuns.len() => {
                self.refresh((from, to));
                if let Some(packet) = self.admit((from, to), packet) {
                    self.treat((from, to), packet);
                }
            }
            _ => {}
        }
    }

    /// What the rules of a link say of connections: gives the packet back if it may go on.
    fn admit<'a>(&mut self, ports: Ports, packet: Packet<'a>) -> Option<Packet<'a>> {
        let (from, to) = ports;
        let link = self.links[from][to].as_ref()?;
        let tally = &link.lane.tally;
        let segment = packet.segment();
        let attempts = segment.is_some_and(|segment| segment.is_attempt());
        if link.rule.cut {
            count(&tally.bytes_held, packet.len());
            count(&tally.attempts_while_cut, usize::from(attempts));
            return None;
        }
        if attempts && link.rule.refuse {
            count(&tally.refused, 1);
            let refusal = super::flows::refusal(&packet)?;
            self.write(from, &refusal);
            return None;
        }
        match self.flows.pass(from, to, &packet) {
            Fate::Pass => Some(packet),
            Fate::Accepts => {
                let asked = self.links[to][from].as_ref()?;
                count(&asked.lane.tally.opened, 1);
                Some(packet)
            }
            Fate::Opens(connection) => {
                for ports in [(from, to), (to, from)] {
                    self.doom(ports, connection);
                }
                Some(packet)
            }
            Fate::Answer(reset) => {
                self.write(from, &reset);
                None
            }
        }
    }

    /// Has a new connection reset at the age at which the rule of a link says so.
    fn doom(&mut self, ports: Ports, connection: Connection) {
        let rule = self.links[ports.0][ports.1].as_ref().map(|link| link.rule);
        if let Some(age) = rule.and_then(|rule| rule.reset) {
            let event = Event::Reset(ports, connection);
            self.queue.push(Instant::now() + age, event);
        }
    }

    /// What the rules of a link say of bytes and packets.
    fn treat(&mut self, ports: Ports, mut packet: Packet<'_>) {
        let Some(link) = self.links[ports.0][ports.1].as_mut() else {
            return;
        };
        if link.is_open() {
            return self.deliver(ports, packet.bytes());
        }
        let (lane, packets) = (Arc::clone(&link.lane), link.rule.packets);
        if lane.happens(packets.loss) {
            return count(&lane.tally.packets_lost, 1);
        }
        if lane.happens(packets.corruption) && packet.corrupt(lane.draw()) {
            count(&lane.tally.packets_corrupted, 1);
        }
        let is_late = lane.happens(packets.reordering);
        self.send(ports, packet.bytes(), is_late);
        if lane.happens(packets.duplication) {
            count(&lane.tally.packets_duplicated, 1);
            self.send(ports, packet.bytes(), false);
        }
    }

    /// Sends a packet in its turn, or if it is late, after those that are sent meanwhile.
    fn send(&mut self, ports: Ports, bytes: &[u8], is_late: bool) {
        let Some(link) = self.links[ports.0][ports.1].as_mut() else {
            return;
        };
        let due = link.due(bytes.len() - PREFIX);
        let (due, behind) = match due {
            due if is_late => {
                let due = due.unwrap_or_else(Instant::now) + OVERTAKEN_WITHIN;
                (due, Some(link.passed))
            }
            None => return self.deliver(ports, bytes),
            Some(due) => {
                link.last_due = Some(due);
                (due, None)
            }
        };
        if link.waiting + bytes.len() > LINK_BYTES_MAX || self.waiting > BYTES_WAITING_MAX {
            // Lost, as in any switch whose memory is full.
            return;
        }
        self.waiting += bytes.len();
        // One that is late holds up nobody.
        link.waiting += if is_late { 0 } else { bytes.len() };
        let bytes = bytes.to_vec();
        let parcel = Parcel {
            ports,
            bytes,
            behind,
        };
        self.queue.push(due, Event::Deliver(parcel));
    }

    fn do_what_is_due(&mut self) {
        if self.queue.next().is_none() {
            return;
        }
        let now = Instant::now();
        while let Some(event) = self.queue.pop(now) {
            match event {
                Event::Deliver(parcel) => self.deliver_late(parcel),
                Event::Reset(ports, connection) => {
                    let rule = self.links[ports.0][ports.1].as_ref().map(|link| link.rule);
                    if rule.is_some_and(|rule| rule.reset.is_some()) {
                        self.reset(ports, connection);
                    }
                }
            }
        }
    }

    fn deliver_late(&mut self, parcel: Parcel) {
        let Parcel {
            ports,
            bytes,
            behind,
        } = parcel;
        self.waiting -= bytes.len();
        self.refresh(ports);
        let Some(link) = self.links[ports.0][ports.1].as_mut() else {
            return;
        };
        let tally = &link.lane.tally;
        match behind {
            None => link.waiting -= bytes.len(),
            Some(before) => count(&tally.packets_overtaken, usize::from(link.passed > before)),
        }
        if link.rule.cut {
            return count(&tally.bytes_held, bytes.len() - PREFIX);
        }
        self.deliver(ports, &bytes);
    }

    fn deliver(&mut self, ports: Ports, bytes: &[u8]) {
        if let Some(link) = self.links[ports.0][ports.1].as_mut() {
            link.passed += 1;
            count(&link.lane.tally.bytes_forwarded, bytes.len() - PREFIX);
        }
        self.write(ports.1, bytes);
    }

    /// A packet that the kernel does not take is lost, as in any network.
    fn write(&self, port: usize, bytes: &[u8]) {
        if let Some(Err(e)) = self.tuns.get(port).map(|tun| tun.write(bytes)) {
            tracing::trace!("the switch lost a packet at port {port}: {e}");
        }
    }

    /// Looks whether the rule of a link has changed, and does at once what follows from that.
    fn refresh(&mut self, ports: Ports) {
        let Some(link) = self.links[ports.0][ports.1].as_mut() else {
            return;
        };
        if !link.changes.has_changed().unwrap_or(false) {
            return;
        }
        link.rule = *link.changes.borrow_and_update();
        let rule = link.rule;
        if link.waiting > 0 && !link.rule.cut && rule.delay.is_zero() && rule.bandwidth.is_none() {
            // What waited for this goes on, before anything that comes from now on.
            link.last_due = None;
            self.queue.hasten(
                Instant::now(),
                |event| matches!(event, Event::Deliver(parcel) if parcel.ports == ports),
            );
        }
        self.choose_packets(ports.0);
        if rule.reset.is_some() {
            for connection in self.flows.between(ports.0, ports.1) {
                self.reset(ports, connection);
            }
        }
    }

    fn rules_changed(&mut self) {
        let ports = 0..self.tuns.len();
        for from in ports.clone() {
            ports.clone().for_each(|to| self.refresh((from, to)));
        }
    }

    /// Asks for super-packets at a port, or for single ones if any link from there needs them.
    fn choose_packets(&self, from: usize) {
        let single = self.links[from]
            .iter()
            .flatten()
            .any(Link::treats_single_packets);
        if let Err(e) = self.tuns[from].hand_over_super_packets(!single) {
            tracing::warn!("the packets at port {from} keep their size: {e}");
        }
    }

    /// Resets a connection for the rule of a link.
    fn reset(&mut self, ports: Ports, connection: Connection) {
        let deliveries = self.flows.reset(connection);
        if let Some(link) = &self.links[ports.0][ports.1] {
            count(&link.lane.tally.reset, usize::from(!deliveries.is_empty()));
        }
        for (port, bytes) in deliveries {
            self.write(port, &bytes);
        }
    }
}

/// Whether there is something to read, or to be told.
fn is_ready(end: &PollFd<'_>) -> bool {
    end.any().unwrap_or(true)
}

/// Takes what has rung; returns whether anybody still can.
fn heard(mut wake: &UnixStream) -> bool {
    let mut rings = [0; 64];
    match wake.read(&mut rings) {
        Ok(0) => false,
        Ok(_) => true,
        Err(e) => e.kind() == ErrorKind::WouldBlock || e.kind() == ErrorKind::Interrupted,
    }
}
