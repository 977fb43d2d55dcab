//! Anomalies of registers, sessions and causal order.

use super::{Entry, example};

pub(super) static ENTRIES: &[Entry] = &[
    Entry {
        name: "stale-read",
        what: "A read returned a value that had been replaced for certain before the read began: \
               a newer one had been acknowledged, or had been read by somebody. Whoever acts on \
               the answer acts on the past.",
        cause: "Reads served by a replica that lags, or by a leader that was deposed and does not \
                know it; a read quorum that does not overlap the write quorum; a lease that \
                outlives its holder's right to it; a cache that is not told.",
        example: example!("linearizable", "stale-read-after-ack"),
    },
    Entry {
        name: "phantom-read",
        what: "A read returned a value that nobody had written by then, or that nobody wrote at \
               all.",
        cause: "Corrupted memory or messages, answers that were matched to the wrong request, a \
                value of another key, a read that was served before its write was decided.",
        example: example!("linearizable", "phantom-read-of-value-nobody-wrote"),
    },
    Entry {
        name: "aborted-read",
        what: "A read returned a value whose write was definitely refused. The writer was told \
               that nothing happened, and will act on that.",
        cause: "An error code that says *no* where nothing is certain (a time-out reported as a \
                failure); a write that is applied before it is validated and not undone.",
        example: example!("linearizable", "aborted-read-of-refused-write"),
    },
    Entry {
        name: "not-linearizable",
        what: "There is no order of these operations that keeps real time and that one copy of \
               the object could have followed, although no two of them contradict each other \
               alone.",
        cause: "Two leaders at once, a compare-and-set that compares on one node and sets on \
                another, a command that was carried out twice, state that was lost on restart.",
        example: example!("linearizable", "not-linearizable-two-cas-from-one-version"),
    },
    Entry {
        name: "not-sequential",
        what: "There is no single order of all operations that keeps each client's own, even if \
               real time counts for nothing: clients cannot agree on what happened.",
        cause: "Local reads and writes without a common order: each replica applies its own \
                first (the store buffers of processors do that too).",
        example: example!("sequential", "not-sequential-both-read-nothing"),
    },
    Entry {
        name: "cyclic-causality",
        what: "Effects come before their causes: following who read what from whom, and each \
               client's own order, one comes back to where one began.",
        cause: "A read served from an intention rather than a decision; a write that becomes \
                visible before it is complete.",
        example: example!("causal", "cyclic-causality-of-two-clients"),
    },
    Entry {
        name: "write-co-read",
        what: "A read returned a value that had been overwritten in the reader's own past: it had \
               seen the newer write, or something that was done knowing of it.",
        cause: "Writes applied in the order of arrival instead of after what they depend on; a \
                session that moves to a replica that is behind; missing dependency vectors.",
        example: example!("causal", "write-co-read-of-overwritten-value"),
    },
    Entry {
        name: "write-co-init-read",
        what: "A read found nothing although a write of that key lay in the reader's own past.",
        cause: "As for a write-co-read; often a session that moves to a replica that has not \
                received anything yet.",
        example: example!("causal", "write-co-init-read-after-its-effect"),
    },
    Entry {
        name: "cyclic-happens-before",
        what: "One client's reads cannot be put in an order with the writes that it knew of: it \
               saw writes come, go, and come back.",
        cause: "Concurrent writes that are applied in different orders, and again, on the replica \
                that a client reads from.",
        example: example!("causal-memory", "cyclic-happens-before-back-and-forth"),
    },
    Entry {
        name: "write-hb-init-read",
        what: "A client found nothing, although what it read later shows that its replica had \
               applied a write of that key before.",
        cause: "A replica that forgets, or reads that are spread over replicas which differ.",
        example: example!("causal-memory", "write-hb-init-read-known-later"),
    },
    Entry {
        name: "cyclic-conflict",
        what: "Clients saw two concurrent writes in opposite orders. Each view is causal, yet \
               replicas will not converge to one value.",
        cause: "No common rule for concurrent writes: each replica keeps what arrived last.",
        example: example!("causal-convergence", "cyclic-conflict-of-two-readers"),
    },
    Entry {
        name: "lost-own-write",
        what: "A client did not find what it had just written (read your writes).",
        cause: "Asynchronous replication, and a read that went to another replica than the \
                write; a failover that loses what was acknowledged.",
        example: example!("read-your-writes", "lost-own-write-older-version"),
    },
    Entry {
        name: "non-monotonic-read",
        what: "A client read an older version after a newer one (monotonic reads). Of \
               transactions: a later read in it saw less than an earlier one.",
        cause: "Reads balanced over replicas that lag by different amounts; a restart from an \
                old snapshot.",
        example: example!("monotonic-reads", "non-monotonic-read-older-version"),
    },
    Entry {
        name: "writes-reordered",
        what: "Somebody saw a client's later write, but not its earlier one (monotonic writes).",
        cause: "Writes of one session that take different ways to a replica; retransmission \
                without numbering.",
        example: example!("monotonic-writes", "writes-reordered-second-without-first"),
    },
    Entry {
        name: "writes-not-following-reads",
        what: "Somebody saw a write, but not what its writer had read before: the answer is \
               there and the question is not (writes follow reads).",
        cause: "Replication that does not carry dependencies from keys that were read.",
        example: example!(
            "writes-follow-reads",
            "writes-not-following-reads-answer-without-question"
        ),
    },
    Entry {
        name: "causal-reverse",
        what: "A read of several keys saw a later write and missed one that had been acknowledged \
               before it began. Serializable, but not strictly.",
        cause: "Timestamps from clocks that differ: the earlier write was given the later one.",
        example: example!("causal-reverse", "causal-reverse-of-registers"),
    },
    Entry {
        name: "long-fork",
        what: "Two readers saw two independent writes in opposite orders. Parallel snapshot \
               isolation allows it, snapshot isolation does not.",
        cause: "Snapshots taken per partition or per site, without a common order of commits.",
        example: example!("long-fork", "long-fork-of-two-reads"),
    },
    Entry {
        name: "too-stale",
        what: "A read was behind for longer, or by more versions, than the bound that was given.",
        cause: "Anti-entropy that is too slow, or stuck for some keys.",
        example: example!("staleness", "too-stale-register"),
    },
];
