//! Anomalies of transactions.
//!
//! Names like *G1c* are Adya's (1999) as Elle (Kingsbury & Alvaro, 2020) extends them. A
//! transaction depends on another that wrote what it read (`wr`) or overwrote (`ww`), and comes
//! before one that overwrote what it read (`rw`, an anti-dependency): a cycle of these means that
//! no order of the transactions explains what they saw.

use super::{Entry, example};

pub(super) static ENTRIES: &[Entry] = &[
    Entry {
        name: "internal",
        what: "A transaction does not agree with itself: it read something else than what it had \
               written or read before.",
        cause: "Reads that bypass the transaction's own writes, or each from a new snapshot.",
        example: example!("list-append", "internal-own-append-unseen"),
    },
    Entry {
        name: "duplicate-elements",
        what: "An element that was appended once stands in a list twice.",
        cause: "A transaction that was retried by the server or driver after it had committed.",
        example: example!("list-append", "duplicate-elements-appended-twice"),
    },
    Entry {
        name: "phantom-value",
        what: "A transaction read what nobody wrote.",
        cause: "Corruption, or answers that were matched to the wrong request.",
        example: example!("rw-register", "phantom-value-nobody-wrote"),
    },
    Entry {
        name: "dirty-update",
        what: "A committed transaction built on an aborted one: its list contains what was \
               rolled back.",
        cause: "Writes applied in place, and undone too late or not everywhere.",
        example: example!("list-append", "dirty-update-on-an-aborted-append"),
    },
    Entry {
        name: "incompatible-order",
        what: "Two reads of a list show its elements in different orders: replicas applied \
               writes differently, or one was taken back.",
        cause: "No common order of writes; a rolled-back append that somebody had seen.",
        example: example!("list-append", "incompatible-order-of-two-reads"),
    },
    Entry {
        name: "cyclic-versions",
        what: "The versions of one object cannot be put in an order: each is known to come \
               before the other.",
        cause: "Replicas that resolve concurrent writes differently.",
        example: example!("rw-register", "cyclic-versions-of-two"),
    },
    Entry {
        name: "G0",
        what: "Dirty write: two transactions overwrote each other, one first here, the other \
               first there. Nobody's intention survives.",
        cause: "Writes without locks or versions; commits that are applied in different orders \
                on different shards.",
        example: example!("list-append", "G0-two-orders"),
    },
    Entry {
        name: "G1a",
        what: "Aborted read: a transaction saw what another wrote that was rolled back.",
        cause: "Reading uncommitted data; a commit reported as an abort.",
        example: example!("list-append", "G1a-of-an-aborted-write"),
    },
    Entry {
        name: "G1b",
        what: "Intermediate read: a transaction saw a value that another had replaced before it \
               committed.",
        cause: "Reading uncommitted data; a commit that is not atomic.",
        example: example!("list-append", "G1b-half-a-transaction"),
    },
    Entry {
        name: "G1c",
        what: "Circular information flow: transactions read from each other in a circle.",
        cause: "Reading uncommitted data.",
        example: example!("list-append", "G1c-each-read-the-other"),
    },
    Entry {
        name: "lost-update",
        what: "Two transactions read the same version and both replaced it: the first update is \
               gone as if it had never been.",
        cause: "Read-modify-write without a lock or a check that nobody else wrote.",
        example: example!("list-append", "lost-update-of-two"),
    },
    Entry {
        name: "G-single",
        what: "Read skew: a transaction saw one part of another, and missed another part, which \
               it overwrote. A cycle with exactly one anti-dependency.",
        cause: "Reads of one transaction from different moments: no snapshot, or one per shard.",
        example: example!("list-append", "G-single-read-skew"),
    },
    Entry {
        name: "G-nonadjacent",
        what: "A cycle with several anti-dependencies, of which no two follow each other: two \
               readers saw independent writes in opposite orders (a long fork).",
        cause: "Snapshots that are not cuts of one order of commits.",
        example: example!("list-append", "G-nonadjacent-long-fork"),
    },
    Entry {
        name: "G2-item",
        what: "Write skew: two transactions each read what the other overwrote. Both checks \
               passed, and together they broke what was checked. Snapshot isolation allows it.",
        cause: "Snapshot isolation where serializability was promised; a read that takes no lock.",
        example: example!("list-append", "G2-item-write-skew"),
    },
    Entry {
        name: "not-serializable",
        what: "Whatever order the versions of each object had, there is a cycle: no order of the \
               transactions explains what they read.",
        cause: "As for the cycles G0 to G2-item, where it cannot be told which it was.",
        example: example!(
            "serializable",
            "not-serializable-neither-order-of-two-writes"
        ),
    },
    Entry {
        name: "not-snapshot-isolated",
        what: "Whatever order the versions of each object had, no snapshots explain what the \
               transactions read.",
        cause: "As for G-single and lost-update, where it cannot be told which it was.",
        example: example!(
            "snapshot-isolation",
            "not-snapshot-isolated-neither-order-of-two-writes"
        ),
    },
    Entry {
        name: "thin-air-read",
        what: "A transaction read what nobody wrote.",
        cause: "Corruption, or answers that were matched to the wrong request.",
        example: example!("read-committed", "thin-air-read-nobody-wrote"),
    },
    Entry {
        name: "intermediate-read",
        what: "A transaction saw a value that another had replaced before it committed.",
        cause: "Reading uncommitted data; a commit that is not atomic.",
        example: example!("read-committed", "intermediate-read-of-half-a-transaction"),
    },
    Entry {
        name: "future-read",
        what: "A transaction read its own write before it had made it.",
        cause: "Operations of a transaction that are reordered.",
        example: example!("read-committed", "future-read-before-its-own-write"),
    },
    Entry {
        name: "not-own-write",
        what: "A transaction that had written an object read somebody else's value of it.",
        cause: "Reads that bypass the transaction's own writes.",
        example: example!("read-committed", "not-own-write-of-another"),
    },
    Entry {
        name: "not-last-own-write",
        what: "A transaction read an earlier one of its own writes instead of its last.",
        cause: "Buffered writes that are looked through from the wrong end.",
        example: example!("read-committed", "not-last-own-write-overwritten"),
    },
    Entry {
        name: "non-repeatable-read",
        what: "A transaction read one object twice and got values of two others.",
        cause: "Each read from a new snapshot: read committed where more was promised.",
        example: example!("read-atomic", "non-repeatable-read-of-two-writers"),
    },
    Entry {
        name: "fractured-read",
        what: "A transaction saw one write of another, and for a second object an older version \
               than the other wrote: it saw half of it.",
        cause: "Writes to several shards that become visible one after the other.",
        example: example!("read-atomic", "fractured-read-of-one-write-of-two"),
    },
    Entry {
        name: "causality-violation",
        what: "A transaction saw an effect, and an older version of something than its cause.",
        cause: "Asynchronous replication that does not carry dependencies.",
        example: example!(
            "transactional-causal",
            "causality-violation-of-an-answer-before-its-question"
        ),
    },
    Entry {
        name: "wrong-total",
        what: "A read of all accounts found more or less money than there is.",
        cause: "Read skew: a transfer seen by half. Or a transfer carried out by half.",
        example: example!("bank", "wrong-total-seen-by-half"),
    },
    Entry {
        name: "negative-balance",
        what: "An account was overdrawn although transfers may not do that.",
        cause: "Write skew, or a check that is not part of the transaction.",
        example: example!("bank", "negative-balance-of-payer"),
    },
    Entry {
        name: "missing-account",
        what: "A read of all accounts lacks one.",
        cause: "An update as deletion and insertion that is seen by half.",
        example: example!("bank", "missing-account-disappears"),
    },
    Entry {
        name: "unexpected-account",
        what: "A read of all accounts has one that nobody opened.",
        cause: "Corruption, or a table shared with somebody else.",
        example: example!("bank", "unexpected-account-appears"),
    },
];
