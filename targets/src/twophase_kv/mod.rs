//! Keys partitioned over the nodes by hash, with transactions over all of them: two-phase commit
//! over strict two-phase locking.
//!
//! After Gray, *Notes on Data Base Operating Systems* (1978), with the presumption of abort of
//! Mohan, Lindsay and Obermarck, *Transaction Management in the R\* Distributed Database Management
//! System* (TODS 1986). The node that a client asks coordinates. Each step is one on a single key,
//! so the one message that carries a participant's steps also asks for its vote:
//!
//! | message | from, to | fields | meaning |
//! |---|---|---|---|
//! | `prepare` | coordinator, participant | `txn`, `steps` | lock these keys and promise these steps |
//! | `prepared` | back | `txn`, `seen` | a durable promise, and what each step found |
//! | `refused` | back | `txn`, `code`, `text` | a key is locked, or a condition does not hold |
//! | `commit`, `abort` | coordinator, participant | `txn` | the fate |
//! | `committed` | back | `txn` | done durably: the coordinator may forget |
//! | `inquire` | participant, coordinator | `txn` | what became of what I promised? |
//!
//! A transaction has committed as soon as the coordinator's record of it is durable, which is when
//! its client is answered. Aborts are not recorded: whoever asks for a transaction that nobody knows
//! is told that it aborted. Locks are held from the promise to the fate, also through a crash, so
//! transactions are strictly serializable, at the point where the last promise was made. Nobody
//! waits for a lock: a transaction that meets one aborts (error 30), so there is no deadlock.
//!
//! Messages may be lost, doubled and overtaken: each is repeated until it is answered, and a
//! participant that has carried a transaction out refuses to promise it again.
//!
//! It blocks, as two-phase commit must: a participant that has promised keeps its locks as long as
//! the coordinator is down. Simplified: transactions have all their steps at once, also those that
//! only read are recorded, and there is one copy of each key.
//!
//! | module | what it holds |
//! |---|---|
//! | `participant` | keys, locks and promises |
//! | `coordinator` | undecided and committed transactions |
//! | `machine` | the node |

mod coordinator;
mod machine;
mod participant;
#[cfg(test)]
mod tests;

use serde::Deserialize;
use serde_json::Value as Json;
use tribunal_results::options::{OptionError, decode};

use self::machine::TwoPhase;
use crate::node::{Machine, Reference};
use crate::transaction::{ACCOUNTS_MAX, Bank, OPERATIONS};
use crate::{NodeSpec, PlantedBug, Shape};

/// The partitioned store, as a row of the catalogue.
pub static TARGET: Reference = Reference {
    name: "twophase-kv",
    about: "partitioned store with two-phase commit over strict two-phase locking",
    claims: "strictly serializable transactions; blocks while a coordinator is down",
    operations: &OPERATIONS,
    survives: &[
        "kill",
        "restart",
        "pause",
        "delay",
        "partition",
        "reset",
        "refuse",
        "omission",
        "duplication",
        "reordering",
    ],
    shape: Shape::Mesh,
    bugs: &[
        PlantedBug {
            name: "commit-before-votes",
            about: "a coordinator waits only for the votes that carry what was read",
            workload: "bank",
            faults: &[],
            anomalies: &["wrong-total"],
        },
        PlantedBug {
            name: "no-wal",
            about: "nothing is recorded, so a crash takes back promises and commits",
            workload: "bank",
            faults: &["kill"],
            anomalies: &["wrong-total"],
        },
        PlantedBug {
            name: "dirty-read",
            about: "reads heed no locks and see what is only promised",
            workload: "list-append",
            faults: &[],
            anomalies: &[
                "G1a",
                "G1c",
                "G-single",
                "G-single-realtime",
                "G1c-realtime",
            ],
        },
        PlantedBug {
            name: "partial-commit",
            about: "only the first participant is told of a commit; the others presume an abort",
            workload: "bank",
            faults: &[],
            anomalies: &["wrong-total"],
        },
    ],
    check_options: |options| Options::read(options).map(drop),
    assume: |options, assume| {
        if let Ok(options) = Options::read(options) {
            options.bank().assume(assume);
        }
    },
    machine,
    change_members: None,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Options {
    /// How many accounts every bank has.
    accounts: i64,
    /// What each account holds at first.
    balance: i64,
}

impl Default for Options {
    fn default() -> Self {
        let Bank { accounts, balance } = Bank::default();
        Self { accounts, balance }
    }
}

impl Options {
    fn read(options: &Json) -> Result<Self, OptionError> {
        let options: Self = decode(options)?;
        if !(1..=ACCOUNTS_MAX).contains(&options.accounts) {
            let text = format!("must be between 1 and {ACCOUNTS_MAX}");
            return Err(OptionError::new("accounts", text));
        }
        match options.balance {
            0.. => Ok(options),
            _ => Err(OptionError::new("balance", "must not be negative")),
        }
    }

    const fn bank(&self) -> Bank {
        Bank {
            accounts: self.accounts,
            balance: self.balance,
        }
    }
}

/// Which planted bug a node shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bug {
    CommitBeforeVotes,
    NoWal,
    DirtyRead,
    PartialCommit,
}

impl Bug {
    fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "commit-before-votes" => Self::CommitBeforeVotes,
            "no-wal" => Self::NoWal,
            "dirty-read" => Self::DirtyRead,
            "partial-commit" => Self::PartialCommit,
            _ => return None,
        })
    }
}

fn machine(spec: &NodeSpec) -> Result<Box<dyn Machine>, OptionError> {
    let options = Options::read(&spec.options)?;
    let bug = spec.bug.as_deref().and_then(Bug::from_name);
    let (id, nodes) = (spec.id.clone(), spec.nodes.clone());
    Ok(Box::new(TwoPhase::new(id, nodes, options.bank(), bug)))
}
