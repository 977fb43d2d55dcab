//! Anomalies of locks, leases, fencing tokens and semaphores.

use super::{Entry, example};

pub(super) static ENTRIES: &[Entry] = &[
    Entry {
        name: "double-hold",
        what: "Two clients held one lock at the same instant, for certain: the second was granted \
               it before the first had asked to give it back, and before its lease could end. \
               Whatever the lock protects was open to both.",
        cause: "A coordinator that forgets on restart; a grant by less than a majority; an expiry \
                that is judged by a clock which runs ahead, or after a pause (garbage \
                collection, SIGSTOP); two coordinators.",
        example: example!("mutual-exclusion", "double-hold-of-two-clients"),
    },
    Entry {
        name: "foreign-release",
        what: "A release by somebody who did not hold the lock, or the permit, was obeyed.",
        cause: "Releasing by name, without an owner or token: a client whose lease ended removes \
                the lock of the next one.",
        example: example!("mutual-exclusion", "foreign-release-of-anothers-token"),
    },
    Entry {
        name: "token-not-monotonic",
        what: "A later grant brought a fencing token that was not larger. The resource cannot \
               tell the old holder from the new one.",
        cause: "A counter that is not durable, or that each node counts for itself.",
        example: example!("fencing", "token-not-monotonic-granted-to-two"),
    },
    Entry {
        name: "stale-token-accepted",
        what: "The guarded resource carried out a write with an older token than it had already \
               seen: the delayed write of a client that no longer held the lock took effect.",
        cause: "A resource that does not compare tokens, or forgets the largest on restart.",
        example: example!("fencing", "stale-token-accepted-after-lease"),
    },
    Entry {
        name: "overtaking",
        what: "A request was granted before one that had been acknowledged earlier.",
        cause: "A queue that is rebuilt in another order after a restart or failover; a fast path \
                beside the queue.",
        example: example!("fifo", "overtaking-by-a-later-request"),
    },
    Entry {
        name: "too-many-entries",
        what: "A reentrant lock was entered more often than is allowed at once.",
        cause: "Counting entries per connection instead of per holder.",
        example: example!("reentrancy", "too-many-entries-at-once"),
    },
    Entry {
        name: "excess-release",
        what: "A reentrant lock was released more often than it had been entered.",
        cause: "A release that was retried and counted twice, or no count at all.",
        example: example!("reentrancy", "excess-release-after-two-entries"),
    },
    Entry {
        name: "token-changed",
        what: "Entering a held lock again brought another token than the first time.",
        cause: "A re-entry that is handled as a new grant.",
        example: example!("reentrancy", "token-changed-on-re-entry"),
    },
    Entry {
        name: "lease-cut-short",
        what: "A holder lost its lock, or was refused its renewal, before its lease had ended.",
        cause: "Expiry by a clock that runs fast or jumped; a renewal that is acknowledged and \
                not kept.",
        example: example!("leases", "lease-cut-short-after-renewal"),
    },
    Entry {
        name: "expired-lease-honoured",
        what: "A renewal or release by somebody whose lease had ended was obeyed after another \
               had been granted the lock.",
        cause: "Tokens that are not checked when a lease is renewed or given back.",
        example: example!("leases", "expired-lease-honoured-by-renewal"),
    },
    Entry {
        name: "over-grant",
        what: "More permits of a semaphore were held at one instant than there are.",
        cause: "Two nodes that count for themselves; permits that are given back twice; a count \
                that is lost on restart.",
        example: example!("semaphore", "over-grant-of-several-permits"),
    },
    Entry {
        name: "lost-signal",
        what: "Permits were free and somebody waited for them all the time, yet was refused at \
               the end of its wait: a release woke nobody.",
        cause: "A wake-up between looking at the count and joining the queue; a signal to a \
                waiter that had just given up.",
        example: example!("wakeup", "lost-signal-after-a-release"),
    },
    Entry {
        name: "passed-over",
        what: "Permits went to one who came later, while one who had waited longer, for no more, \
               was refused.",
        cause: "A queue that is served from the wrong end, or newcomers that are tried first.",
        example: example!("wakeup", "passed-over-by-who-came-last"),
    },
];
