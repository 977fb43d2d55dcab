//! Anomalies of replicas, clocks and messages, and of nodes themselves.

use super::{Entry, example};

pub(super) static ENTRIES: &[Entry] = &[
    Entry {
        name: "diverged",
        what: "After everything was healed and nothing was written any more, replicas still \
               differ: reading at another node gives another answer, for ever.",
        cause: "Concurrent updates that each replica resolves by itself; an update that is never \
                sent again.",
        example: example!("convergence", "diverged-registers-keep-their-own"),
    },
    Entry {
        name: "lost-update-after-settling",
        what: "An acknowledged update is in no replica's final state, and no other explains why.",
        cause: "Last writer wins by a clock that was behind; an update kept in memory only.",
        example: example!("convergence", "lost-update-after-settling-of-a-counter"),
    },
    Entry {
        name: "unexplained-value",
        what: "The final state holds what no update explains: too much, or what was refused.",
        cause: "A merge that is not idempotent: what is received twice is counted twice.",
        example: example!(
            "convergence",
            "unexplained-value-appended-once-and-there-twice"
        ),
    },
    Entry {
        name: "resurrected",
        what: "What had been removed by somebody who had seen it is back.",
        cause: "Removal without a tombstone or observed-remove tags: a replica that missed it \
                sends the element again.",
        example: example!("convergence", "resurrected-after-it-was-found-and-removed"),
    },
    Entry {
        name: "replica-went-back",
        what: "A replica of a type that only grows showed less than before.",
        cause: "State that is not durable; a merge that replaces instead of joining.",
        example: example!("convergence", "replica-went-back-on-a-set"),
    },
    Entry {
        name: "lamport-clock-not-rising",
        what: "A node's Lamport clock did not rise from one event to its next.",
        cause: "Events that do not tick; a clock that starts anew after a restart.",
        example: example!("lamport-clocks", "lamport-clock-not-rising", messages),
    },
    Entry {
        name: "lamport-clock-not-after-send",
        what: "A message arrived at a Lamport time that is not after the one it was sent at.",
        cause: "A receiver that does not take the maximum of its clock and the message's.",
        example: example!("lamport-clocks", "lamport-clock-not-after-send", messages),
    },
    Entry {
        name: "lamport-clock-not-exact",
        what: "A Lamport clock rose by more than one tick beyond what it had seen.",
        cause: "Events that tick twice.",
        example: example!("lamport-clocks", "lamport-clock-not-exact", messages),
    },
    Entry {
        name: "hybrid-clock-not-rising",
        what: "A node's hybrid logical clock did not rise from one event to its next.",
        cause: "Following the physical clock when that jumps back.",
        example: example!("hybrid-clocks", "hybrid-clock-not-rising", messages),
    },
    Entry {
        name: "hybrid-clock-not-after-send",
        what: "A message arrived at a hybrid time that is not after the one it was sent at.",
        cause: "A receiver that looks at its physical clock only.",
        example: example!("hybrid-clocks", "hybrid-clock-not-after-send", messages),
    },
    Entry {
        name: "hybrid-clock-behind",
        what: "A hybrid clock was behind its node's physical clock.",
        cause: "The physical part is not brought up to date at each event.",
        example: example!("hybrid-clocks", "hybrid-clock-behind", messages),
    },
    Entry {
        name: "hybrid-clock-ahead",
        what: "A hybrid clock was further ahead of physical time than clocks may differ.",
        cause: "A node with a clock far ahead, whose time is taken over without a bound.",
        example: example!("hybrid-clocks", "hybrid-clock-ahead", messages),
    },
    Entry {
        name: "missed-causality",
        what: "One event happened before another, and their vector clocks do not say so.",
        cause: "A vector that is not merged on receipt, or does not tick.",
        example: example!("vector-clocks", "missed-causality-not-merged", messages),
    },
    Entry {
        name: "false-causality",
        what: "Vector clocks order two events that are concurrent.",
        cause: "Vectors that are shared between nodes, or tick for others.",
        example: example!("vector-clocks", "false-causality-knows-too-much", messages),
    },
    Entry {
        name: "delivered-before-cause",
        what: "A node delivered a message before one that had been sent before it, as far as \
               anybody could know.",
        cause: "Delivery in the order of arrival instead of holding back what is too early.",
        example: example!("causal-delivery", "delivered-before-cause", messages),
    },
    Entry {
        name: "not-recovered",
        what: "A node did not become ready again within the time allowed, although all faults \
               were healed. Nothing wrong was answered: it is liveness that is missing.",
        cause: "Connections that are not dialled again, elections that never end, a deadlock, \
                recovery that takes longer than `ready:` allows.",
        example: example!("recovery", "not-recovered-after-pause"),
    },
    Entry {
        name: "not-serving",
        what: "All faults were healed and all nodes were ready, yet nothing that was asked was \
               acknowledged within the time allowed. Nothing wrong was answered: it is liveness \
               that is missing.",
        cause: "Elections that never end, a lock or transaction that nobody gives up, \
                connections that are not dialled again.",
        example: example!("recovery", "not-serving-though-all-are-ready"),
    },
    Entry {
        name: "protocol-violation",
        what: "A node printed something that is no message, or that is for nobody.",
        cause: "A log on standard output, an answer after the client had given up, a name that is \
                wrong.",
        example: example!("protocol", "protocol-violation-that-counts", log),
    },
    Entry {
        name: "crash",
        what: "A node's log tells of a crash.",
        cause: "A panic, an assertion, memory that is used up.",
        example: example!("crash-log", "crash-panic-in-the-log", log),
    },
    Entry {
        name: "unexpected-exit",
        what: "A node ended by itself; no fault had killed it.",
        cause: "A crash, or a node that gives up where it should go on.",
        example: example!("crash-log", "unexpected-exit-with-status"),
    },
];
