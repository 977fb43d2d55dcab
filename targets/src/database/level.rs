//! Isolation levels, as what a transaction may see and what must be so when it commits.

use serde::Deserialize;

/// The level at which all transactions run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Level {
    StrictSerializable,
    Serializable,
    SnapshotIsolation,
    ReadAtomic,
    ReadCommitted,
    ReadUncommitted,
}

/// What a level means here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rules {
    /// All reads are as of the version at which the transaction began; otherwise each sees the
    /// newest version that the node has.
    pub(super) snapshot: bool,
    /// Reads see what other transactions of the node have not committed yet.
    pub(super) dirty: bool,
    /// Nobody else may have changed what was read.
    pub(super) checks_reads: bool,
    /// Nobody else may have changed what is written.
    pub(super) checks_writes: bool,
    /// Also what only reads asks the primary, to be sure that its snapshot was not old.
    pub(super) certifies_reads: bool,
}

impl Level {
    /// Its name, as the literature has it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::StrictSerializable => "strict-serializable",
            Self::Serializable => "serializable",
            Self::SnapshotIsolation => "snapshot-isolation",
            Self::ReadAtomic => "read-atomic",
            Self::ReadCommitted => "read-committed",
            Self::ReadUncommitted => "read-uncommitted",
        }
    }

    pub(super) const fn rules(self) -> Rules {
        let weakest = Rules {
            snapshot: false,
            dirty: false,
            checks_reads: false,
            checks_writes: false,
            certifies_reads: false,
        };
        match self {
            // Two that write the same key must not both see it unwritten, or their writes have
            // no order: that is what long write locks are for in a store with locks.
            Self::ReadUncommitted => Rules {
                dirty: true,
                checks_writes: true,
                ..weakest
            },
            Self::ReadCommitted => weakest,
            Self::ReadAtomic => Rules {
                snapshot: true,
                ..weakest
            },
            Self::SnapshotIsolation => Rules {
                snapshot: true,
                checks_writes: true,
                ..weakest
            },
            Self::Serializable => Rules {
                snapshot: true,
                checks_reads: true,
                checks_writes: true,
                ..weakest
            },
            Self::StrictSerializable => Rules {
                snapshot: true,
                checks_reads: true,
                checks_writes: true,
                certifies_reads: true,
                ..weakest
            },
        }
    }
}
