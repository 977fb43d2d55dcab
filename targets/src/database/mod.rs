//! Versioned records on every node, and transactions at the isolation level that the option
//! `level` says, certified by the first node, the primary.
//!
//! Multi-version concurrency control with optimistic certification: Kung and Robinson, *On
//! Optimistic Methods for Concurrency Control* (TODS 1981), over replicas as in Elnikety, Zwaenepoel
//! and Pedone, *Database Replication Using Generalized Snapshot Isolation* (SRDS 2005). A
//! transaction runs at the node that its client asked, step by step, each taking `step_ms`. What it
//! writes it keeps to itself until the primary commits it; the primary makes a new version of it and
//! tells every node. The levels differ only in what a read sees and in what the primary checks:
//!
//! | level | reads see | the primary checks that nobody else changed |
//! |---|---|---|
//! | `strict-serializable` | the version at the beginning | what was read or written; also of who only reads |
//! | `serializable` | the version at the beginning | what was read or written |
//! | `snapshot-isolation` | the version at the beginning | what is written |
//! | `read-atomic` | the version at the beginning | nothing |
//! | `read-committed` | the newest version here | nothing |
//! | `read-uncommitted` | what others here have not even committed | what is written |
//!
//! At every level also that nobody changed what a transaction wrote and then read itself. Appends
//! and transfers are carried out by the primary, on what is there when they commit.
//!
//! | message | from, to | fields | meaning |
//! |---|---|---|---|
//! | `certify` | node, primary | `txn`, `unchanged`, `steps` | commit these, if these keys are as they were |
//! | `certified` | back | `txn`, `version` | it has committed |
//! | `refused` | back | `txn`, `code`, `text` | it has had no effect and never will |
//! | `commits` | primary, members | `after`, `commits`, `newest`, `life` | what each next version wrote |
//! | `fetch` | node, primary | `after`, `life` | what have I missed? |
//! | `outsider` | back | | you don't belong to the database |
//!
//! Nodes are added and removed while it runs: the last `spares` nodes don't belong to it at first;
//! the primary takes nodes in and out on `custom` requests named `add-node` and `remove-node`, with
//! `{"node": …}`. A new one fetches all commits before it serves.
//!
//! Survives: messages lost, doubled and overtaken (they are numbered and repeated; the primary
//! remembers how transactions ended), and crashes, since a commit is durable at the primary before
//! anybody hears of it. While the primary is down nothing can be written, and below
//! `strict-serializable` each node still answers who only reads. Simplified: there is one primary,
//! and it keeps every commit.
//!
//! | module | what it holds |
//! |---|---|
//! | `level` | what each level means |
//! | `versions` | the copy of the database |
//! | `open` | a transaction under way |
//! | `front` | all of a node's transactions |
//! | `primary` | certification and members |
//! | `machine` | the node |

mod front;
mod level;
mod machine;
mod open;
mod primary;
#[cfg(test)]
mod tests;
mod versions;

use serde::Deserialize;
use serde_json::{Value as Json, json};
use tribunal_results::options::{OptionError, decode};
use tribunal_results::{Kind, Operation};

use self::level::Level;
use self::machine::Database;
use crate::node::{Machine, Reference};
use crate::transaction::{ACCOUNTS_MAX, Bank};
use crate::wire::operation;
use crate::{MemberChange, NodeSpec, PlantedBug, Shape};

/// The database, as a row of the catalogue.
pub static TARGET: Reference = Reference {
    name: "database",
    about: "versioned records on every node, with transactions at a chosen isolation level",
    claims: "the isolation level of its option `level`; writes while the first node serves",
    operations: &[
        Kind::Read,
        Kind::Write,
        Kind::Cas,
        Kind::Transfer,
        Kind::Balances,
        Kind::Txn,
        Kind::Custom,
    ],
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
        "add-node",
        "remove-node",
        "replace-node",
    ],
    shape: Shape::Mesh,
    bugs: &BUGS,
    check_options: |options| Options::read(options).map(drop),
    assume: |options, assume| {
        if let Ok(options) = Options::read(options) {
            options.bank().assume(assume);
            assume.isolation = Some(options.level.name().to_owned());
        }
    },
    machine,
    change_members: Some(|change| {
        let (name, node) = match change {
            MemberChange::Add(node) => ("add-node", node),
            MemberChange::Remove(node) => ("remove-node", node),
        };
        operation::request(&Operation::Custom {
            name: name.to_owned(),
            value: json!({ "node": node }),
        })
    }),
};

const BUGS: [PlantedBug; 4] = [
    PlantedBug {
        name: "lost-update",
        about: "the primary does not check that what is written was not changed by others",
        workload: "rw-register",
        faults: &[],
        anomalies: &["lost-update"],
    },
    PlantedBug {
        name: "dirty-read",
        about: "reads see what other transactions of the node have not committed",
        workload: "list-append",
        faults: &[],
        anomalies: &["G1a", "G1b", "G1c", "G1c-realtime", "internal"],
    },
    PlantedBug {
        name: "write-skew",
        about: "the primary does not check that what was only read was not changed by others",
        workload: "list-append",
        faults: &[],
        anomalies: &["G2-item", "G2-item-realtime", "G-nonadjacent"],
    },
    // At a level that certifies whoever only reads, the primary would notice.
    PlantedBug {
        name: "fractured-read",
        about: "who only reads sees the newest version at each step, not one and the same",
        workload: "list-append",
        faults: &[],
        anomalies: &["G-single", "internal"],
    },
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Options {
    /// The isolation level of all transactions.
    level: Level,
    /// How long each step of a transaction takes, in milliseconds.
    step_ms: u64,
    /// How many nodes, the last ones, do not belong to the database at first.
    spares: usize,
    /// How many accounts every bank has.
    accounts: i64,
    /// What each account holds at first.
    balance: i64,
}

impl Default for Options {
    fn default() -> Self {
        let Bank { accounts, balance } = Bank::default();
        Self {
            level: Level::StrictSerializable,
            step_ms: 2,
            spares: 0,
            accounts,
            balance,
        }
    }
}

/// The longest that a step may take, in milliseconds.
const STEP_MS_MAX: u64 = 1_000;

impl Options {
    fn read(options: &Json) -> Result<Self, OptionError> {
        let options: Self = decode(options)?;
        if !(1..=ACCOUNTS_MAX).contains(&options.accounts) {
            let text = format!("must be between 1 and {ACCOUNTS_MAX}");
            return Err(OptionError::new("accounts", text));
        }
        if options.balance < 0 {
            return Err(OptionError::new("balance", "must not be negative"));
        }
        match options.step_ms {
            0..=STEP_MS_MAX => Ok(options),
            _ => {
                let text = format!("must be at most {STEP_MS_MAX}");
                Err(OptionError::new("step_ms", text))
            }
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
    LostUpdate,
    DirtyRead,
    WriteSkew,
    FracturedRead,
}

impl Bug {
    fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "lost-update" => Self::LostUpdate,
            "dirty-read" => Self::DirtyRead,
            "write-skew" => Self::WriteSkew,
            "fractured-read" => Self::FracturedRead,
            _ => return None,
        })
    }
}

fn machine(spec: &NodeSpec) -> Result<Box<dyn Machine>, OptionError> {
    let options = Options::read(&spec.options)?;
    let bug = spec.bug.as_deref().and_then(Bug::from_name);
    let (id, nodes) = (spec.id.clone(), spec.nodes.clone());
    Ok(Box::new(Database::new(id, nodes, &options, bug)))
}
