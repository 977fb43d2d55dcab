//! Anomalies of queues, sets, lists, counters, identifiers, tables and caches.

use super::{Entry, example};

pub(super) static ENTRIES: &[Entry] = &[
    Entry {
        name: "duplicate-element",
        what: "An element came out of a queue or stack more often than it was put in, or stands \
               in a set or list twice.",
        cause: "Redelivery after a time-out although it had been delivered; a command that was \
                carried out again after a change of leader.",
        example: example!("linearizable", "duplicate-element-dequeued-twice"),
    },
    Entry {
        name: "lost-element",
        what: "An element that was acknowledged was never seen again, though there was occasion.",
        cause: "Acknowledged before it was durable or replicated; lost on failover; removed by \
                an answer that never arrived.",
        example: example!("set", "lost-element-after-ack"),
    },
    Entry {
        name: "unexpected-element",
        what: "An element came out that nobody had put in, or whose insertion was refused.",
        cause: "An insertion that is reported as failed and happens all the same.",
        example: example!("set", "unexpected-element-of-refused-add"),
    },
    Entry {
        name: "stale-element",
        what: "An element that was known to be there was missing from a later read for longer \
               than allowed, and came back.",
        cause: "Reads from replicas that lag.",
        example: example!("set-full", "stale-element-where-reads-must-be-fresh"),
    },
    Entry {
        name: "out-of-order",
        what: "Elements came out in another order than they must have been put in.",
        cause: "Several consumers or partitions behind one queue; requeueing at the wrong end; \
                lists that replicas append to in different orders.",
        example: example!("linearizable", "out-of-order-queue-overtaken"),
    },
    Entry {
        name: "wrongly-empty",
        what: "A queue or stack was said to be empty while an element was in it for certain.",
        cause: "Asking one shard, or a replica that is behind.",
        example: example!("linearizable", "wrongly-empty-queue-with-an-element"),
    },
    Entry {
        name: "out-of-bounds",
        what: "A counter was read below what had been added for certain, or above all that may \
               have been.",
        cause: "Lost increments (read, add one, write back, without exclusion), or increments \
                that were retried and counted twice.",
        example: example!("counter", "out-of-bounds-lost-increment"),
    },
    Entry {
        name: "non-monotonic-count",
        what: "A counter from which nothing is subtracted fell.",
        cause: "Reads from replicas that differ.",
        example: example!("counter", "non-monotonic-count-within-bounds"),
    },
    Entry {
        name: "duplicate-id",
        what: "An identifier that must be unique was given twice.",
        cause: "Counters that restart, clocks that jump back, two nodes with one number.",
        example: example!("unique-ids", "duplicate-id-of-two-clients"),
    },
    Entry {
        name: "wrong-echo",
        what: "An echo differs from what was said.",
        cause: "Numbers that pass through floating point, texts that are cut or recoded, answers \
                to somebody else's request.",
        example: example!("echo", "wrong-echo-of-a-large-number"),
    },
    Entry {
        name: "lost-message",
        what: "A message was acknowledged with an offset, and a later poll passed over that \
               offset: whoever reads the log will never get it.",
        cause: "Acknowledged before it was kept, or overwritten by a node that took the same place.",
        example: example!("log", "lost-message-passed-over"),
    },
    Entry {
        name: "skipped-message",
        what: "A poll passed over a message that others found there.",
        cause: "Offsets that are given out before messages are kept, so that a later message is \
                there earlier; replicas that miss some.",
        example: example!("log", "skipped-message-that-came-late"),
    },
    Entry {
        name: "phantom-message",
        what: "A poll returned a message that nobody had sent to that log, or that was refused.",
        cause: "Logs that are mixed up, or a refusal of what was kept all the same.",
        example: example!("log", "phantom-message-of-nobody"),
    },
    Entry {
        name: "inconsistent-offset",
        what: "One offset of a log holds two different messages.",
        cause: "Two nodes that take the same place in a log, or a log that is cut and written anew.",
        example: example!("log", "inconsistent-offset-of-two-sends"),
    },
    Entry {
        name: "duplicate-message",
        what: "A message that was sent once is in the log twice.",
        cause: "A send that is tried again although it had succeeded.",
        example: example!("log", "duplicate-message-at-two-offsets"),
    },
    Entry {
        name: "unordered-poll",
        what: "The offsets that a poll returned do not rise, or begin before the one asked for.",
        cause: "Messages that are returned in the order in which they came, or replicas put \
                together without sorting.",
        example: example!("log", "unordered-poll-that-falls"),
    },
    Entry {
        name: "offset-went-back",
        what: "A client sent twice to one log, one after the other, and the second message was \
               given a lower offset.",
        cause: "Nodes that give out offsets of their own.",
        example: example!("log", "offset-went-back-for-one-client"),
    },
    Entry {
        name: "phantom-commit",
        what: "An offset is said to be committed beyond all that anybody committed: whoever goes on \
               from there misses messages.",
        cause: "Offsets that are counted on, or of another log.",
        example: example!("log", "phantom-commit-of-nobody"),
    },
    Entry {
        name: "lost-row",
        what: "A row that was inserted is missing from the final read.",
        cause: "Acknowledged before it was durable, or lost on failover.",
        example: example!("monotonic", "lost-row-at-the-end"),
    },
    Entry {
        name: "duplicate-row",
        what: "A value that each insert raises by one exists twice: two transactions read the \
               same maximum.",
        cause: "Read and insert are not one transaction, or not isolated from each other.",
        example: example!("monotonic", "duplicate-row-in-a-read"),
    },
    Entry {
        name: "revived-row",
        what: "A row is there whose insert was definitely refused.",
        cause: "A commit reported as a failure.",
        example: example!("monotonic", "revived-row-of-refused-insert"),
    },
    Entry {
        name: "skipped-value",
        what: "A value between two others is missing, though each insert adds one to the largest.",
        cause: "A transaction that read an insert which was rolled back.",
        example: example!("monotonic", "skipped-value-between-rows"),
    },
    Entry {
        name: "off-order",
        what: "Values that grow one by one do not grow with the timestamps that the database \
               gave them.",
        cause: "Timestamps from clocks that differ.",
        example: example!("monotonic", "off-order-of-two-nodes"),
    },
    Entry {
        name: "off-order-in-process",
        what: "The same, between two inserts of one client.",
        cause: "A clock that jumped back, or a client that was moved to a node whose clock is \
                behind.",
        example: example!("monotonic", "off-order-in-process-of-one-client"),
    },
    Entry {
        name: "off-order-on-node",
        what: "The same, between two inserts at one node.",
        cause: "A clock that jumped back.",
        example: example!("monotonic", "off-order-on-node-of-two-clients"),
    },
    Entry {
        name: "unsorted-rows",
        what: "A read that asked for rows in order got them in another.",
        cause: "Rows of several shards that were concatenated, not merged.",
        example: example!("monotonic", "unsorted-rows-of-a-read"),
    },
    Entry {
        name: "unwritten-value",
        what: "A cache returned a value that was never written under this key.",
        cause: "Hash collisions, answers matched to the wrong request, buffers reused too soon.",
        example: example!("cache", "unwritten-value-of-another-key"),
    },
    Entry {
        name: "deleted-value",
        what: "A cache returned a value after its deletion had been acknowledged.",
        cause: "A replica that missed the deletion and brings the value back; no tombstone.",
        example: example!("cache", "deleted-value-comes-back"),
    },
    Entry {
        name: "expired-value",
        what: "A cache returned a value beyond its time to live.",
        cause: "Expiry counted anew on each replica or restart; clocks that differ.",
        example: example!("cache", "expired-value-is-still-there"),
    },
    Entry {
        name: "too-few-replicas",
        what: "A key is kept by fewer nodes than the ring owes it.",
        cause: "A consistent-hash ring that does not wrap, or that counts virtual nodes of one \
                machine as several.",
        example: example!("cache", "too-few-replicas-counted-twice"),
    },
    Entry {
        name: "over-capacity",
        what: "A node of a cache keeps more bytes than it has room for.",
        cause: "Sizes that are not taken off when a value is replaced or removed.",
        example: example!("cache", "over-capacity-by-one-byte"),
    },
    Entry {
        name: "not-least-recently-used",
        what: "A cache gave up an entry that had been used after one that it kept.",
        cause: "Reads that do not count as use; eviction by age of insertion.",
        example: example!("cache", "not-least-recently-used-was-given-up"),
    },
];
