//! Reads, writes and deletes of a cache, and questions to its nodes.
//!
//! A few keys are read, written and deleted all the time, so that entries are replaced, expire and
//! are given up; every value is written once. Now and then a node is asked to `inspect` a key: who
//! keeps it, and how the node's room is filled. At the end keys are written once more, and read.

use rand::RngExt;
use rand_pcg::Pcg64Mcg;
use serde::Deserialize;
use serde_json::{Value as Json, json};
use tribunal_results::options::{OptionError, decode};
use tribunal_results::{Kind, Nanos, Operation, Scalar};

use crate::generator::{
    EachThread, FromFn, Generator, Seed, Sequence, Stagger, TimeLimit, UntilOk,
};
use crate::{FINALE_MAX, Program, Setting, Workload};

/// Of so many keys the owners are asked for: more than are used, since only few lie at the seams
/// of a ring.
const KEYS_INSPECTED: u64 = 2_000;
/// The most characters that a value has more than it needs.
const PADDING_MAX: usize = 60;
/// How often a final operation is tried, and how long after a failure.
const FINAL_ATTEMPTS: u64 = 20;
const FINAL_PAUSE: Nanos = 100_000_000;

#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Options {
    /// How many keys are in use.
    keys: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { keys: 40 }
    }
}

/// The cache workload.
pub struct Cache;

impl Workload for Cache {
    fn name(&self) -> &'static str {
        "cache"
    }

    fn about(&self) -> &'static str {
        "reads, writes and deletes of a cache, and questions to its nodes about owners and room"
    }

    fn needs(&self) -> &'static [Kind] {
        &[Kind::Read, Kind::Write, Kind::Custom]
    }

    fn uses(&self) -> &'static [Kind] {
        &[]
    }

    fn checkers(&self) -> &'static [&'static str] {
        &["cache"]
    }

    fn program(&self, options: &Json, setting: &Setting) -> Result<Program, OptionError> {
        let Options { keys } = decode(options)?;
        if !(1..=10_000).contains(&keys) {
            return Err(OptionError::new("keys", "must be between 1 and 10000"));
        }
        let seed = Seed::new(setting.seed).named("cache");
        let main = FromFn::new(seed, move |draws: &mut Pcg64Mcg, turn| {
            Some(operation(draws, turn, keys))
        });
        let main = Stagger::new(seed.named("rate"), setting.rate, main);
        let finale = EachThread::new(setting.clients, |thread| {
            let key = || key_of(thread as u64 % keys);
            let value = format!("last{thread}").into();
            let once = |operation| {
                let again = FromFn::repeat(operation);
                Box::new(UntilOk::new(FINAL_ATTEMPTS, FINAL_PAUSE, again)) as Box<dyn Generator>
            };
            let write = Operation::Write { key: key(), value };
            let read = Operation::Read { key: key() };
            Box::new(Sequence::new(vec![once(write), once(read)]))
        });
        Ok(Program {
            main: Box::new(TimeLimit::new(setting.time_limit, main)),
            finale: Box::new(TimeLimit::new(FINALE_MAX, finale)),
        })
    }
}

fn key_of(number: u64) -> Scalar {
    format!("k{number}").into()
}

fn operation(draws: &mut Pcg64Mcg, turn: u64, keys: u64) -> Operation {
    let key = key_of(draws.random_range(0..keys));
    match draws.random_range(0..20) {
        0..10 => Operation::Read { key },
        10..16 => {
            let padding = "x".repeat(draws.random_range(0..PADDING_MAX));
            let value = format!("v{turn}{padding}").into();
            Operation::Write { key, value }
        }
        16..18 => custom("delete", &key),
        _ => custom("inspect", &key_of(draws.random_range(0..KEYS_INSPECTED))),
    }
}

fn custom(name: &str, key: &Scalar) -> Operation {
    Operation::Custom {
        name: name.into(),
        value: json!({ "key": key }),
    }
}
