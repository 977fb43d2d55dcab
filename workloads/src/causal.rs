//! Sessions that move from node to node, reading and writing a few registers: is what they see
//! ever older than what they, or those whose writes they saw, had seen?
//!
//! Every client goes on to the next node after a few operations, with its session. Values are
//! written once. Work is on a few keys at a time, so that a session that saw a new value of one
//! soon asks for another. At the end every key is read at every node.

use rand::RngExt;
use rand_pcg::Pcg64Mcg;
use serde::Deserialize;
use serde_json::Value as Json;
use tribunal_results::options::{OptionError, decode};
use tribunal_results::{Kind, Nanos, Operation, Scalar};

use crate::generator::{
    EachThread, FromFn, Generator, Seed, Sequence, Stagger, TimeLimit, UntilOk,
};
use crate::{FINALE_MAX, Program, Setting, Workload};

/// How many keys are worked on at once.
const AT_ONCE: u64 = 4;
/// How often a final read is tried, and how long after a failure.
const FINAL_ATTEMPTS: u64 = 20;
const FINAL_PAUSE: Nanos = 100_000_000;
/// How many of the last keys are read in the end.
const FINAL_KEYS: u64 = 12;
/// What a rate without limit is taken for, to choose the number of keys.
const RATE_UNLIMITED: f64 = 10_000.0;

#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Options {
    /// About how many operations each key gets.
    operations_per_key: u64,
    /// The share of reads.
    read_share: f64,
    /// After how many operations a client moves to the next node; 0 if it never does.
    moves_after: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            operations_per_key: 60,
            read_share: 0.6,
            moves_after: 4,
        }
    }
}

impl Options {
    fn checked(options: &Json) -> Result<Self, OptionError> {
        let options: Self = decode(options)?;
        if !(1..=100_000).contains(&options.operations_per_key) {
            let text = "must be between 1 and 100000";
            return Err(OptionError::new("operations_per_key", text));
        }
        crate::check_share("read_share", options.read_share)?;
        Ok(options)
    }
}

/// The causal workload.
pub struct Causal;

impl Workload for Causal {
    fn name(&self) -> &'static str {
        "causal"
    }

    fn about(&self) -> &'static str {
        "reads and writes of registers by sessions that move from node to node"
    }

    fn needs(&self) -> &'static [Kind] {
        &[Kind::Read, Kind::Write]
    }

    fn uses(&self) -> &'static [Kind] {
        &[]
    }

    fn checkers(&self) -> &'static [&'static str] {
        &[
            "causal",
            "causal-convergence",
            "read-your-writes",
            "monotonic-reads",
            "monotonic-writes",
            "writes-follow-reads",
        ]
    }

    fn moves_after(&self, options: &Json) -> Option<u64> {
        let after = Options::checked(options).ok()?.moves_after;
        (after > 0).then_some(after)
    }

    fn program(&self, options: &Json, setting: &Setting) -> Result<Program, OptionError> {
        let options = Options::checked(options)?;
        let seed = Seed::new(setting.seed).named("causal");
        let rate = match setting.rate > 0.0 && setting.rate.is_finite() {
            true => setting.rate,
            false => RATE_UNLIMITED,
        };
        let per_key = options.operations_per_key;
        let turns = (rate * setting.time_limit as f64 / 1e9) as u64;
        let read_share = options.read_share;
        let main = FromFn::new(seed, move |draws: &mut Pcg64Mcg, turn| {
            let key = key(turn / per_key + draws.random_range(0..AT_ONCE));
            Some(match draws.random_bool(read_share) {
                true => Operation::Read { key },
                false => Operation::Write {
                    key,
                    value: Scalar::Int(turn as i64 + 1),
                },
            })
        });
        let main = Stagger::new(seed.named("rate"), setting.rate, main);
        let finale = Stagger::new(
            seed.named("finale"),
            setting.rate,
            final_reads(turns / per_key + AT_ONCE, setting.clients),
        );
        Ok(Program {
            main: Box::new(TimeLimit::new(setting.time_limit, main)),
            finale: Box::new(TimeLimit::new(FINALE_MAX, finale)),
        })
    }
}

fn key(number: u64) -> Scalar {
    format!("k{number}").into()
}

/// Each thread reads the last of so many keys, until it is answered.
fn final_reads(keys: u64, clients: usize) -> impl Generator {
    EachThread::new(clients, move |_| {
        let last = keys.saturating_sub(FINAL_KEYS)..keys;
        let reads = last.map(|number| {
            let read = FromFn::repeat(Operation::Read { key: key(number) });
            Box::new(UntilOk::new(FINAL_ATTEMPTS, FINAL_PAUSE, read)) as _
        });
        Box::new(Sequence::new(reads.collect()))
    })
}
