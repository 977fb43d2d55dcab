//! Reads, writes and compare-and-sets of registers.
//!
//! Groups of neighbouring threads, so that each spans nodes, work on a key each; a key is given
//! up after some two hundred operations, so that judging it stays cheap. In each group some
//! threads only read: writes that block can't starve the reads that would show what went wrong.
//! Every value is written at most once in a run, so that a read names its write, unless `values`
//! says how few there are. At the end the
//! last keys of each group are read through several nodes.

mod writes;

use serde::Deserialize;
use serde_json::Value as Json;
use tribunal_results::options::{OptionError, decode};
use tribunal_results::{Kind, Operation, Scalar};

use crate::generator::{
    Deferred, EachThread, FromFn, Generator, KeyTurn, PerKey, RecentKeys, Reserve, Seed, Sequence,
    Stagger, TimeLimit, UntilOk,
};
use crate::{FINALE_MAX, Program, Setting, Workload};
use writes::{Shares, Values, Writes};

/// The share of a group's threads that only read.
const READERS_SHARE: f64 = 0.4;

/// How many threads, on as many nodes where there are, read each key at the end.
const FINAL_READERS: usize = 3;

/// How often a final read is tried, and how long after a failure.
const FINAL_ATTEMPTS: u64 = 20;
const FINAL_PAUSE_NANOS: u64 = 100_000_000;

/// More operations on one key than this are not worth judging.
const OPERATIONS_PER_KEY_MAX: u64 = 100_000;

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Options {
    /// How many keys are worked on at once.
    keys: Option<usize>,
    /// How many threads work on one key.
    group: Option<usize>,
    /// About how many operations each key gets.
    operations_per_key: u64,
    /// The share of reads among all operations, at least that of the threads that only read.
    read_share: f64,
    /// The share of compare-and-sets among operations that are no reads, where the target has it.
    cas_share: f64,
    /// How many different values are written, from 0 on; each value only once if absent.
    values: Option<u64>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            keys: None,
            group: None,
            operations_per_key: 200,
            read_share: 0.5,
            cas_share: 0.3,
            values: None,
        }
    }
}

impl Options {
    fn checked(options: &Json, clients: usize) -> Result<Self, OptionError> {
        let options: Self = decode(options)?;
        let within = |path, value: usize| match value {
            0 => Err(OptionError::new(path, "must be at least 1")),
            _ if value > clients => Err(OptionError::new(
                path,
                format!("must be at most the number of clients, which is {clients}"),
            )),
            _ => Ok(()),
        };
        options.keys.map_or(Ok(()), |keys| within("keys", keys))?;
        options
            .group
            .map_or(Ok(()), |group| within("group", group))?;
        if options.keys.is_some() && options.group.is_some() {
            return Err(OptionError::new(
                "group",
                "follows from `keys` and the number of clients; give one of them only",
            ));
        }
        if !(1..=OPERATIONS_PER_KEY_MAX).contains(&options.operations_per_key) {
            return Err(OptionError::new(
                "operations_per_key",
                format!("must be between 1 and {OPERATIONS_PER_KEY_MAX}"),
            ));
        }
        crate::check_share("read_share", options.read_share)?;
        crate::check_share("cas_share", options.cas_share)?;
        if options
            .values
            .is_some_and(|values| !(2..=1_000_000).contains(&values))
        {
            return Err(OptionError::new("values", "must be between 2 and 1000000"));
        }
        Ok(options)
    }

    fn groups(&self, clients: usize) -> usize {
        let group = self.group.unwrap_or_else(|| clients.clamp(1, 5));
        self.keys.unwrap_or(clients / group).max(1)
    }
}

/// The register workload.
pub struct Register;

impl Workload for Register {
    fn name(&self) -> &'static str {
        "register"
    }

    fn about(&self) -> &'static str {
        "reads, writes and compare-and-sets of independent registers, with unique values"
    }

    fn needs(&self) -> &'static [Kind] {
        &[Kind::Read, Kind::Write]
    }

    fn uses(&self) -> &'static [Kind] {
        &[Kind::Cas]
    }

    fn checkers(&self) -> &'static [&'static str] {
        &["linearizable"]
    }

    fn program(&self, options: &Json, setting: &Setting) -> Result<Program, OptionError> {
        let options = Options::checked(options, setting.clients)?;
        let seed = Seed::new(setting.seed).named("register");
        let cas_share = match setting.available.contains(&Kind::Cas) {
            true => options.cas_share,
            false => 0.0,
        };
        let (read_share, stride) = (options.read_share, stride(options.operations_per_key));
        let few = options.values;
        let keys = PerKey::new(
            seed.named("groups"),
            setting.clients,
            options.groups(setting.clients),
            options.operations_per_key,
            move |turn| one_key(turn, read_share, cas_share, few.ok_or(stride)),
        );
        let finale = Stagger::new(
            seed.named("finale"),
            setting.rate,
            final_reads(keys.recent(), setting.clients, setting.nodes),
        );
        let staggered = Stagger::new(seed.named("rate"), setting.rate, keys);
        Ok(Program {
            main: Box::new(TimeLimit::new(setting.time_limit, staggered)),
            finale: Box::new(TimeLimit::new(FINALE_MAX, finale)),
        })
    }
}

fn name_of(key: u64) -> Scalar {
    format!("k{key}").into()
}

/// The values of key `n` are `n × stride + 1`, `+ 2`, …: the first power of ten beyond the number
/// of its operations, so that people can read the key off the value.
fn stride(operations_per_key: u64) -> u64 {
    let mut stride = 100;
    while stride < operations_per_key * 2 {
        stride *= 10;
    }
    stride
}

/// The load on one key: a few threads only read, the others do everything.
/// `values` is how many different values there are, or else the stride of unique ones.
fn one_key(
    turn: KeyTurn,
    read_share: f64,
    cas_share: f64,
    values: Result<u64, u64>,
) -> Box<dyn Generator> {
    let key = name_of(turn.key);
    let readers = (turn.threads as f64 * READERS_SHARE).ceil() as usize;
    let readers = readers.min(turn.threads.saturating_sub(1));
    let reserved = readers as f64 / turn.threads.max(1) as f64;
    let shares = Shares {
        // What is missing to the share that was asked for, after the threads that only read.
        read: ((read_share - reserved) / (1.0 - reserved)).max(0.0),
        cas: cas_share,
    };
    let values = match values {
        Ok(count) => Values::Few(count),
        Err(stride) => Values::Unique(turn.key * stride + 1),
    };
    let writes = Writes::new(turn.seed.named("writes"), key.clone(), values, shares);
    Box::new(Reserve::new(
        turn.seed.named("reserve"),
        vec![(turn.threads - readers, Box::new(writes))],
        Box::new(FromFn::repeat(Operation::Read { key })),
    ))
}

/// Reads of the keys that were worked on last, each by a few neighbouring threads (which are on
/// different nodes), until they are answered.
fn final_reads(recent: RecentKeys, clients: usize, nodes: usize) -> impl Generator {
    let readers = FINAL_READERS.min(nodes).min(clients).max(1);
    Deferred::new(move || {
        let keys = recent.keys();
        Box::new(EachThread::new(clients, |thread| {
            let mine = keys.iter().enumerate().filter(|(i, _)| {
                let first = (i * readers) % (clients - readers + 1);
                (first..first + readers).contains(&thread)
            });
            let reads = mine.map(|(_, key)| {
                let read = FromFn::repeat(Operation::Read { key: name_of(*key) });
                Box::new(UntilOk::new(FINAL_ATTEMPTS, FINAL_PAUSE_NANOS, read)) as _
            });
            Box::new(Sequence::new(reads.collect()))
        }))
    })
}
