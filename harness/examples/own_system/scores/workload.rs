//! What clients ask: they put scores, each a little higher than the last, and ask for the best.

use serde_json::{Value as Json, json};
use tribunal::results::options::OptionError;
use tribunal::results::{Kind, Operation};
use tribunal::workloads::generator::{FromFn, Limit, Seed, Stagger, TimeLimit};
use tribunal::workloads::{Program, Setting, Workload};

/// The workload.
pub(crate) struct Play;

fn ask(name: &str, value: Json) -> Operation {
    let name = name.to_owned();
    Operation::Custom { name, value }
}

impl Workload for Play {
    fn name(&self) -> &'static str {
        "play"
    }

    fn about(&self) -> &'static str {
        "scores put, and the best one asked for"
    }

    fn needs(&self) -> &'static [Kind] {
        &[Kind::Custom]
    }

    fn uses(&self) -> &'static [Kind] {
        &[]
    }

    fn checkers(&self) -> &'static [&'static str] {
        &["high-score"]
    }

    fn program(&self, _: &Json, setting: &Setting) -> Result<Program, OptionError> {
        let seed = Seed::new(setting.seed).named("play");
        let turns = FromFn::new(seed, |_, turn| {
            Some(match turn % 2 {
                0 => ask("put", json!(turn + 1)),
                _ => ask("best", Json::Null),
            })
        });
        let main = Stagger::new(seed, setting.rate, turns);
        let best = FromFn::repeat(ask("best", Json::Null));
        Ok(Program {
            main: Box::new(TimeLimit::new(setting.time_limit, main)),
            finale: Box::new(Limit::new(20, best)),
        })
    }
}
