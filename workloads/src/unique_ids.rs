//! Identifiers: no two clients may ever be given the same one.
//!
//! Everybody asks for identifiers all the time; at the end each thread asks once more, after
//! whatever was broken has been mended.

use serde::Deserialize;
use serde_json::Value as Json;
use tribunal_results::options::{OptionError, decode};
use tribunal_results::{Kind, Nanos, Operation};

use crate::generator::{EachThread, FromFn, Seed, Stagger, TimeLimit, UntilOk};
use crate::{FINALE_MAX, Program, Setting, Workload};

/// How often the last identifier of a thread is asked for, and how long after a failure.
const FINAL_ATTEMPTS: u64 = 20;
const FINAL_PAUSE: Nanos = 100_000_000;

/// There is nothing to choose.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Options {}

/// The workload of unique identifiers.
pub struct UniqueIds;

impl Workload for UniqueIds {
    fn name(&self) -> &'static str {
        "unique-ids"
    }

    fn about(&self) -> &'static str {
        "identifiers asked for at all nodes"
    }

    fn needs(&self) -> &'static [Kind] {
        &[Kind::Generate]
    }

    fn uses(&self) -> &'static [Kind] {
        &[]
    }

    fn checkers(&self) -> &'static [&'static str] {
        &["unique-ids"]
    }

    fn program(&self, options: &Json, setting: &Setting) -> Result<Program, OptionError> {
        decode::<Options>(options)?;
        let seed = Seed::new(setting.seed).named("unique-ids");
        let generate = || FromFn::repeat(Operation::Generate { key: "ids".into() });
        let main = Stagger::new(seed, setting.rate, generate());
        let finale = EachThread::new(setting.clients, |_| {
            Box::new(UntilOk::new(FINAL_ATTEMPTS, FINAL_PAUSE, generate()))
        });
        Ok(Program {
            main: Box::new(TimeLimit::new(setting.time_limit, main)),
            finale: Box::new(TimeLimit::new(FINALE_MAX, finale)),
        })
    }
}
