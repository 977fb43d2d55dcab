//! The load of the workloads of transactions: a few short steps on few keys at a time.
//!
//! As Elle's generator (Kingsbury & Alvaro, *Elle*, 2020): each transaction has one to four steps
//! on a small set of keys, so that transactions meet; every value is new in the run, so that a
//! read names its write; a key is retired after so many writes, so that judging it stays cheap.
//! Some threads only read. At the end the last keys are read through several nodes.

mod level;
mod steps;

use serde::Deserialize;
use serde_json::Value as Json;
use tribunal_results::options::{OptionError, decode};
use tribunal_results::{Assumptions, Micro, Operation, Scalar, Seen};

pub(crate) use self::level::Level;
pub(crate) use self::steps::Style;
use self::steps::Transactions;
use crate::generator::{
    Deferred, EachThread, FromFn, Generator, RecentKeys, Seed, Sequence, Stagger, TimeLimit,
    UntilOk,
};
use crate::{FINALE_MAX, Program, Setting};

/// How many keys one final transaction reads.
const FINAL_KEYS: usize = 8;
/// How many threads, on as many nodes where there are, read every key at the end.
const FINAL_READERS: usize = 3;
/// How often a final read is tried, and how long after a failure.
const FINAL_ATTEMPTS: u64 = 20;
const FINAL_PAUSE_NANOS: u64 = 100_000_000;

/// More than this is not worth judging.
const KEYS_MAX: usize = 1_000;
const WRITES_PER_KEY_MAX: u64 = 10_000;
const STEPS_MAX: usize = 64;

/// What can be chosen.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Options {
    /// How many keys are worked on at once.
    pub(crate) keys: usize,
    /// After how many writes a key is retired.
    pub(crate) writes_per_key: u64,
    /// The most steps of a transaction.
    pub(crate) steps: usize,
    /// The share of reads among the steps of threads that also write.
    pub(crate) read_share: f64,
    /// The share of threads that only read.
    pub(crate) readers_share: f64,
    /// The isolation level by which the answers are judged; what the target claims if absent.
    pub(crate) level: Option<Level>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            keys: 4,
            writes_per_key: 32,
            steps: 4,
            read_share: 0.5,
            readers_share: 0.2,
            level: None,
        }
    }
}

impl Options {
    /// Reads them.
    ///
    /// # Errors
    /// The path and nature of the first wrong one.
    pub(crate) fn read(options: &Json) -> Result<Self, OptionError> {
        let options: Self = decode(options)?;
        let within = |path: &str, value: u64, most: u64| match (1..=most).contains(&value) {
            true => Ok(()),
            false => Err(OptionError::new(
                path,
                format!("must be between 1 and {most}"),
            )),
        };
        within("keys", options.keys as u64, KEYS_MAX as u64)?;
        within("writes_per_key", options.writes_per_key, WRITES_PER_KEY_MAX)?;
        within("steps", options.steps as u64, STEPS_MAX as u64)?;
        crate::check_share("read_share", options.read_share)?;
        crate::check_share("readers_share", options.readers_share)?;
        Ok(options)
    }
}

/// Says by which level the answers are judged, if the options do.
pub(crate) fn assume(options: &Json, assume: &mut Assumptions) {
    if let Some(level) = Options::read(options)
        .ok()
        .and_then(|options| options.level)
    {
        assume.isolation = Some(level.name.to_owned());
    }
}

/// The whole load.
pub(crate) fn program(options: &Options, style: Style, name: &str, setting: &Setting) -> Program {
    let seed = Seed::new(setting.seed).named(name);
    let readers = (setting.clients as f64 * options.readers_share).ceil() as usize;
    let readers = readers.min(setting.clients.saturating_sub(1));
    let transactions = Transactions::new(seed.named("steps"), style, options, readers);
    let finale = final_reads(transactions.recent(), setting);
    let staggered = Stagger::new(seed.named("rate"), setting.rate, transactions);
    let finale = Stagger::new(seed.named("finale"), setting.rate, finale);
    Program {
        main: Box::new(TimeLimit::new(setting.time_limit, staggered)),
        finale: Box::new(TimeLimit::new(FINALE_MAX, finale)),
    }
}

/// The name of a key.
fn name_of(key: u64) -> Scalar {
    format!("k{key}").into()
}

fn read(key: u64) -> Micro {
    Micro::Read {
        key: name_of(key),
        seen: Seen::Nothing,
    }
}

/// Reads of the keys that were worked on last, by a few neighbouring threads (which are on
/// different nodes), until they are answered.
fn final_reads(recent: RecentKeys, setting: &Setting) -> impl Generator + use<> {
    let (clients, nodes) = (setting.clients, setting.nodes);
    let readers = FINAL_READERS.min(nodes).min(clients).max(1);
    Deferred::new(move || {
        let keys = recent.keys();
        Box::new(EachThread::new(clients, |thread| {
            let mine = if thread < readers { &keys[..] } else { &[] };
            let reads = mine.chunks(FINAL_KEYS).map(|keys| {
                let micros = keys.iter().map(|key| read(*key)).collect();
                let read = FromFn::repeat(Operation::Txn { micros });
                Box::new(UntilOk::new(FINAL_ATTEMPTS, FINAL_PAUSE_NANOS, read)) as _
            });
            Box::new(Sequence::new(reads.collect()))
        }))
    })
}
