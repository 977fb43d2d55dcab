//! The switchboard: who is where, and what becomes of a message from one to the other.
//!
//! All state is in one [`Board`] behind one lock. Whoever has bytes of a node takes it once for
//! all lines that came together, so that under load a lock, a system call and a wake-up serve many
//! messages. Nothing here waits.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;
use tribunal_results::NodeId;

use super::envelope::{self, Envelope, Wrong};
use super::service::Service;
use super::violation::Violations;
use crate::network::{CLIENTS, Fate, Network, Way};

/// How many bytes may wait for a node that doesn't read; what is more is lost.
const WAITING_MAX: usize = 32 << 20;
/// How many messages may be on their way at once; what is more is lost.
const DUE_MAX: usize = 1 << 20;
/// How many answers may wait for one client.
const ANSWERS_MAX: usize = 64;

/// Where an end is in the board.
pub(super) type At = usize;

/// What a node's process reads, until it does.
#[derive(Debug, Default)]
pub(super) struct Inlet {
    pub(super) bytes: Vec<u8>,
    /// Wakes whoever writes them to the process.
    pub(super) wake: Arc<Notify>,
    /// Which of the node's processes it is; 0 while there is none.
    pub(super) life: u64,
}

/// Somebody with a name.
enum End {
    Node {
        inlet: Inlet,
        violations: Violations,
    },
    Service(Option<Box<dyn Service>>),
    Clients,
}

/// One client, while it is there.
struct Client {
    answers: mpsc::Sender<Box<str>>,
    /// Whether what it says and hears passes whatever is broken.
    is_ours: bool,
}

/// Where a message goes.
#[derive(Clone, Copy)]
struct Target {
    at: At,
    client: u64,
}

/// From whom a message comes, to whom it goes, and which line of its sender's it is.
type Route = (At, Target, u64);

/// A message that arrives later.
struct Parcel {
    due: Instant,
    order: u64,
    route: Route,
    fate: Fate,
    line: Vec<u8>,
    body: std::ops::Range<usize>,
}

impl PartialEq for Parcel {
    fn eq(&self, other: &Self) -> bool {
        (self.due, self.order) == (other.due, other.order)
    }
}

impl Eq for Parcel {}

impl PartialOrd for Parcel {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Parcel {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.due, self.order).cmp(&(other.due, other.order))
    }
}

/// What a message says, and who says so.
#[derive(Clone, Copy)]
struct Said<'a> {
    src: &'a str,
    dest: &'a str,
    body: &'a str,
    /// Which line of its sender's it is.
    number: u64,
}

/// Everybody, and every message that is on its way.
pub(super) struct Board {
    names: HashMap<Box<str>, At>,
    ends: Vec<End>,
    /// From each end to each.
    ways: Vec<Option<Arc<dyn Way>>>,
    /// When the last message of each way arrives, where they keep their order.
    last: Vec<Option<Instant>>,
    is_fifo: bool,
    clients: HashMap<u64, Client>,
    next_client: u64,
    next_id: u64,
    orders: u64,
    due: BinaryHeap<Reverse<Parcel>>,
    scratch: Vec<u8>,
}

impl Board {
    /// The nodes, whose violations go where they say, and services.
    pub(super) fn new(
        nodes: Vec<(NodeId, Violations)>,
        services: Vec<(NodeId, Box<dyn Service>)>,
        network: &dyn Network,
        is_fifo: bool,
    ) -> Self {
        let mut named: Vec<(NodeId, End)> = vec![(CLIENTS.into(), End::Clients)];
        named.extend(nodes.into_iter().map(|(id, violations)| {
            let inlet = Inlet::default();
            (id, End::Node { inlet, violations })
        }));
        let serving = |(id, service)| (id, End::Service(Some(service)));
        named.extend(services.into_iter().map(serving));
        let ids: Vec<NodeId> = named.iter().map(|(id, _)| id.clone()).collect();
        let pairs = || {
            ids.iter()
                .flat_map(|from| ids.iter().map(move |to| (from, to)))
        };
        Self {
            // Nobody is called `clients`: each of them has a name.
            names: (ids.iter().enumerate().skip(1))
                .map(|(at, id)| (Box::from(&**id), at))
                .collect(),
            ways: pairs().map(|(from, to)| network.way(from, to)).collect(),
            last: pairs().map(|_| None).collect(),
            ends: named.into_iter().map(|(_, end)| end).collect(),
            is_fifo,
            clients: HashMap::new(),
            next_client: 0,
            next_id: 0,
            orders: 0,
            due: BinaryHeap::new(),
            scratch: Vec::new(),
        }
    }

    /// Where somebody is.
    pub(super) fn find(&self, name: &str) -> Option<At> {
        self.names.get(name).copied()
    }

    /// A node's way in, if that is a node.
    pub(super) fn inlet(&mut self, node: At) -> Option<&mut Inlet> {
        match self.ends.get_mut(node)? {
            End::Node { inlet, .. } => Some(inlet),
            _ => None,
        }
    }

    /// Gives a client its number, under which it is answered until it [leaves](Self::leave).
    pub(super) fn join(&mut self, is_ours: bool) -> (u64, mpsc::Receiver<Box<str>>) {
        let (answers, heard) = mpsc::channel(ANSWERS_MAX);
        let number = self.next_client;
        self.next_client += 1;
        self.clients.insert(number, Client { answers, is_ours });
        (number, heard)
    }

    /// The client is gone.
    pub(super) fn leave(&mut self, client: u64) {
        self.clients.remove(&client);
    }

    /// A client says something to a node.
    pub(super) fn ask(&mut self, client: u64, node: At, name: &str, body: &str) {
        let to = Target {
            at: node,
            client: 0,
        };
        let src = format!("c{client}");
        let said = Said {
            src: &src,
            dest: name,
            body,
            number: 0,
        };
        let is_ours = self.clients.get(&client).is_some_and(|c| c.is_ours);
        self.route(0, to, said, is_ours);
    }

    /// A node said a line, its `number`th, given without its end.
    pub(super) fn heard(&mut self, node: At, number: u64, line: &[u8]) {
        let message = match Envelope::read(line) {
            Ok(message) => message,
            Err(wrong) => return self.blame(node, number, &wrong),
        };
        let said = Said {
            src: &message.src,
            dest: &message.dest,
            body: message.body.get(),
            number,
        };
        match self.target(said.dest) {
            Ok(to) => {
                let client = self.clients.get(&to.client).filter(|_| to.at == 0);
                let is_ours = client.is_some_and(|client| client.is_ours);
                self.route(node, to, said, is_ours);
            }
            Err(wrong) => self.blame(node, number, &wrong),
        }
    }

    /// Notes what a node did wrong in a line.
    pub(super) fn blame(&mut self, node: At, number: u64, wrong: &Wrong) {
        if let Some(End::Node { violations, .. }) = self.ends.get_mut(node) {
            violations.note(number, wrong);
        }
    }

    fn target(&self, dest: &str) -> Result<Target, Wrong> {
        if let Some(at) = self.find(dest) {
            return Ok(Target { at, client: 0 });
        }
        let number = dest.strip_prefix('c').and_then(|n| n.parse().ok());
        match number {
            Some(client) if client < self.next_client => Ok(Target { at: 0, client }),
            _ => Err(Wrong {
                what: format!("a message for {dest:?}, whom nobody knows"),
                hint: "nodes are those of init's node_ids; clients are answered at their `src`",
            }),
        }
    }

    /// Puts a message on its way; `is_ours` if that is no part of the test.
    fn route(&mut self, from: At, to: Target, said: Said<'_>, is_ours: bool) {
        let Said {
            src,
            dest,
            body,
            number,
        } = said;
        let mut line = std::mem::take(&mut self.scratch);
        let body = envelope::write(&mut line, self.next_id, [src, dest], body);
        self.next_id += 1;
        let place = from * self.ends.len() + to.at;
        let way = self.ways.get(place).cloned().flatten().filter(|_| !is_ours);
        let Some(way) = way else {
            let (way, fate) = (None, &Fate::default());
            self.hand_on(way, fate, (from, to, number), &line, body);
            self.scratch = line;
            return;
        };
        let fate = way.enter(line.trim_ascii_end());
        self.scratch = line;
        self.pass(place, way.as_ref(), (from, to, number), fate, body);
    }

    /// Lets what is in `scratch` meet its fate.
    fn pass(
        &mut self,
        place: usize,
        way: &dyn Way,
        route: Route,
        mut fate: Fate,
        mut body: std::ops::Range<usize>,
    ) {
        if let Some(mut altered) = fate.altered.take() {
            // What it says is looked for anew; a lie that is no message is none.
            if let Ok(message) = Envelope::read(&altered) {
                let (src, dest) = (message.src.into_owned(), message.dest.into_owned());
                let text = message.body.get().to_owned();
                let id = self.next_id;
                self.next_id += 1;
                body = envelope::write(&mut altered, id, [&src, &dest], &text);
                self.scratch = altered;
            }
        }
        let now = Instant::now();
        let mut copies = [fate.arrives, fate.again].into_iter().flatten().peekable();
        while let Some(late) = copies.next() {
            let due = self.due_of(place, now, late, fate.is_held);
            if due <= now {
                let line = std::mem::take(&mut self.scratch);
                self.hand_on(Some(way), &fate, route, &line, body.clone());
                self.scratch = line;
                continue;
            }
            if self.due.len() >= DUE_MAX {
                way.lose(&fate, "too many messages were on their way");
                continue;
            }
            self.orders += 1;
            let line = match copies.peek() {
                Some(_) => self.scratch.clone(),
                None => std::mem::take(&mut self.scratch),
            };
            self.due.push(Reverse(Parcel {
                due,
                order: self.orders,
                route,
                fate: fate.clone(),
                line,
                body: body.clone(),
            }));
        }
    }

    /// When a message arrives that takes so long.
    fn due_of(&mut self, place: usize, now: Instant, late: Duration, is_held: bool) -> Instant {
        let due = now + late;
        match self.last.get_mut(place) {
            Some(last) if self.is_fifo && !is_held => {
                let due = last.map_or(due, |last| last.max(due));
                *last = Some(due);
                due
            }
            _ => due,
        }
    }

    /// Delivers what is due; returns when the next message is.
    pub(super) fn deliver_due(&mut self) -> Option<Instant> {
        let now = Instant::now();
        while let Some(Reverse(next)) = self.due.peek() {
            if next.due > now {
                return Some(next.due);
            }
            let Some(Reverse(parcel)) = self.due.pop() else {
                break;
            };
            let (from, to, _) = parcel.route;
            let way = self.ways.get(from * self.ends.len() + to.at);
            let (
                way,
                Parcel {
                    route,
                    fate,
                    line,
                    body,
                    ..
                },
            ) = (way.cloned().flatten(), parcel);
            self.hand_on(way.as_deref(), &fate, route, &line, body);
        }
        None
    }

    /// When the next message is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.due.peek().map(|Reverse(parcel)| parcel.due)
    }

    /// Lets services do what they do by themselves.
    pub(super) fn tick(&mut self) {
        for end in &mut self.ends {
            if let End::Service(Some(service)) = end {
                service.tick();
            }
        }
    }

    /// Hands a line to whom it is for, unless it is lost at last.
    fn hand_on(
        &mut self,
        way: Option<&dyn Way>,
        fate: &Fate,
        (from, to, number): Route,
        line: &[u8],
        body: std::ops::Range<usize>,
    ) {
        if let Err(why) = self.takes(to, line.len()) {
            way.iter().for_each(|way| way.lose(fate, why));
        } else if way.is_some_and(|way| !way.leave(fate, line.len())) {
            return;
        }
        match self.ends.get_mut(to.at) {
            Some(End::Node { inlet, .. }) => inlet.push(line),
            Some(End::Service(service)) => {
                if let Some(mut busy) = service.take() {
                    self.serve(&mut *busy, to.at, line);
                    if let Some(End::Service(service)) = self.ends.get_mut(to.at) {
                        *service = Some(busy);
                    }
                }
            }
            Some(End::Clients) => self.answer(from, to.client, number, line, body),
            None => {}
        }
    }

    /// Whether somebody takes a line of so many bytes, or why not.
    fn takes(&self, to: Target, bytes: usize) -> Result<(), &'static str> {
        match self.ends.get(to.at) {
            Some(End::Node { inlet, .. }) => inlet.takes(bytes),
            Some(End::Clients) if !self.clients.contains_key(&to.client) => {
                Err("its client is gone")
            }
            _ => Ok(()),
        }
    }

    fn serve(&mut self, service: &mut dyn Service, at: At, line: &[u8]) {
        let Ok(message) = Envelope::read(line.trim_ascii_end()) else {
            return;
        };
        let Some(answer) = service.answer(&message.src, message.body) else {
            return;
        };
        // Whoever has a name that nobody knows is not answered.
        if let Ok(to) = self.target(&message.src) {
            let said = Said {
                src: &message.dest,
                dest: &message.src,
                body: &answer,
                number: 0,
            };
            self.route(at, to, said, false);
        }
    }

    fn answer(
        &mut self,
        from: At,
        client: u64,
        number: u64,
        line: &[u8],
        body: std::ops::Range<usize>,
    ) {
        let text = line.get(body).map(String::from_utf8_lossy);
        let wrong = match self.clients.get(&client) {
            Some(client) => match client.answers.try_send(text.unwrap_or_default().into()) {
                Ok(()) => return,
                Err(_) => Wrong {
                    what: format!("more than {ANSWERS_MAX} unread messages for one client"),
                    hint: "each request is answered once",
                },
            },
            None => Wrong {
                what: format!("a message for c{client}, which is gone"),
                hint: "it had waited for its time limit, and nobody will read a later answer",
            },
        };
        self.blame(from, number, &wrong);
    }
}

impl Inlet {
    fn takes(&self, bytes: usize) -> Result<(), &'static str> {
        match (self.life, self.bytes.len() + bytes <= WAITING_MAX) {
            (0, _) => Err("its process does not run"),
            (_, false) => Err("its process does not read, and too much waits for it"),
            (_, true) => Ok(()),
        }
    }

    fn push(&mut self, line: &[u8]) {
        if self.takes(line.len()).is_ok() {
            if self.bytes.is_empty() {
                self.wake.notify_one();
            }
            self.bytes.extend_from_slice(line);
        }
    }
}

#[cfg(test)]
#[path = "board_tests.rs"]
mod tests;
