//! What goes wrong, and when.

use rand::RngExt;
use rand_pcg::Pcg64Mcg;
use tribunal_results::Nanos;
use tribunal_targets::node::MILLISECOND;

/// Faults of single messages that a target may say that it survives: they are tried only then.
pub const MESSAGE_FAULTS: [&str; 3] = ["omission", "duplication", "reordering"];

/// The most faults of one schedule.
const FAULTS_MAX: usize = 10;
/// One message in so many is hit by each of the faults of messages, in a schedule that has it.
const MESSAGES_PER_FAULT: u32 = 20;

/// Something that goes wrong once. Nodes are numbers.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fault {
    /// The node dies between two effects, and is started again.
    Crash { node: usize },
    /// The node stands still.
    Pause { node: usize, until: Nanos },
    /// What goes from one to the other waits.
    Hold {
        from: usize,
        to: usize,
        until: Nanos,
    },
    /// What goes to the node from others, and from it to them, waits; clients reach it.
    Isolate { node: usize, until: Nanos },
    /// The connection breaks.
    Reset { from: usize, to: usize },
}

/// The fault that parts one node from all others: tried only where [`super::Case::isolates`].
pub(super) const ISOLATE: &str = "isolate";

/// Faults of a schedule, and how often each is drawn.
const KINDS: [(&str, usize); 5] = [
    ("kill", 2),
    ("pause", 1),
    ("delay", 1),
    ("reset", 1),
    (ISOLATE, 1),
];

/// A schedule of faults out of those allowed: when, and what, in so long a run of so many nodes.
pub(super) fn schedule(
    chance: &mut Pcg64Mcg,
    allowed: &[&str],
    nodes: usize,
    time: Nanos,
) -> Vec<(Nanos, Fault)> {
    let kinds = KINDS.iter().filter(|(kind, _)| allowed.contains(kind));
    let bag: Vec<&str> = kinds.flat_map(|(kind, n)| vec![*kind; *n]).collect();
    if bag.is_empty() {
        return Vec::new();
    }
    let count = chance.random_range(0..FAULTS_MAX);
    (0..count)
        .map(|_| {
            let kind = bag[chance.random_range(0..bag.len())];
            draw(chance, kind, nodes, time)
        })
        .collect()
}

fn draw(chance: &mut Pcg64Mcg, kind: &str, nodes: usize, time: Nanos) -> (Nanos, Fault) {
    let at = chance.random_range(time / 30..time);
    let until = at + chance.random_range(20..400) * MILLISECOND;
    let from = chance.random_range(0..nodes);
    let to = (from + chance.random_range(1..nodes.max(2))) % nodes;
    // The first node is the one that matters most.
    let node = from * usize::from(chance.random::<bool>());
    let fault = match kind {
        "kill" => Fault::Crash { node },
        "pause" => Fault::Pause { node, until },
        "delay" => Fault::Hold { from, to, until },
        ISOLATE => Fault::Isolate { node, until },
        _ => Fault::Reset { from, to },
    };
    (at, fault)
}

/// Which faults of messages a schedule has.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Messages {
    omission: bool,
    duplication: bool,
    reordering: bool,
}

/// What becomes of one message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fate {
    /// How often it arrives.
    pub(super) copies: u32,
    /// Whether it may overtake, and be overtaken.
    pub(super) overtakes: bool,
}

impl Fate {
    /// It arrives once, in its turn.
    pub(super) const CERTAIN: Self = Self {
        copies: 1,
        overtakes: false,
    };
}

impl Messages {
    /// Some of those allowed.
    pub(super) fn draw(chance: &mut Pcg64Mcg, allowed: &[&str]) -> Self {
        let [omission, duplication, reordering] =
            MESSAGE_FAULTS.map(|fault| allowed.contains(&fault) && chance.random::<bool>());
        Self {
            omission,
            duplication,
            reordering,
        }
    }

    /// What becomes of the next message.
    pub(super) fn fate(self, chance: &mut Pcg64Mcg) -> Fate {
        let mut hit = |fault: bool| fault && chance.random_range(0..MESSAGES_PER_FAULT) == 0;
        let copies = match (hit(self.omission), hit(self.duplication)) {
            (true, _) => 0,
            (false, doubled) => 1 + u32::from(doubled),
        };
        Fate {
            copies,
            overtakes: self.reordering,
        }
    }
}
