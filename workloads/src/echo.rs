//! Something is said, and must come back as it was.
//!
//! What is said are texts; with the option `anything` also numbers that a floating-point number
//! does not hold, and lists and objects. At the end each thread says something once more.

use rand::RngExt;
use rand_pcg::Pcg64Mcg;
use serde::Deserialize;
use serde_json::{Value as Json, json};
use tribunal_results::options::{OptionError, decode};
use tribunal_results::{Kind, Nanos, Operation};

use crate::generator::{EachThread, FromFn, Seed, Stagger, TimeLimit, UntilOk};
use crate::{FINALE_MAX, Program, Setting, Workload};

/// How often a thread says its last, and how long after a failure.
const FINAL_ATTEMPTS: u64 = 20;
const FINAL_PAUSE: Nanos = 100_000_000;

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Options {
    /// Whether not only texts are said.
    anything: bool,
}

/// The echo workload.
pub struct Echo;

fn say(value: Json) -> Operation {
    Operation::Custom {
        name: "echo".into(),
        value,
    }
}

/// What is said in a turn; no two turns the same.
fn words(draws: &mut Pcg64Mcg, turn: u64, anything: bool) -> Json {
    let large = (1_u64 << 53) + 1 + turn;
    match draws.random_range(0..4) {
        _ if !anything => json!(format!("Please echo {turn}")),
        0 => json!(large),
        1 => json!({ "turn": turn, "said": ["ü", null, large] }),
        _ => json!(format!("Please echo {turn}")),
    }
}

impl Workload for Echo {
    fn name(&self) -> &'static str {
        "echo"
    }

    fn about(&self) -> &'static str {
        "texts that every node must give back as they were"
    }

    fn needs(&self) -> &'static [Kind] {
        &[Kind::Custom]
    }

    fn uses(&self) -> &'static [Kind] {
        &[]
    }

    fn checkers(&self) -> &'static [&'static str] {
        &["echo"]
    }

    fn program(&self, options: &Json, setting: &Setting) -> Result<Program, OptionError> {
        let Options { anything } = decode(options)?;
        let seed = Seed::new(setting.seed).named("echo");
        let talk = FromFn::new(seed.named("words"), move |draws: &mut Pcg64Mcg, turn| {
            Some(say(words(draws, turn, anything)))
        });
        let main = Stagger::new(seed.named("rate"), setting.rate, talk);
        let finale = EachThread::new(setting.clients, |thread| {
            let last = FromFn::repeat(say(json!(format!("last of {thread}"))));
            Box::new(UntilOk::new(FINAL_ATTEMPTS, FINAL_PAUSE, last))
        });
        Ok(Program {
            main: Box::new(TimeLimit::new(setting.time_limit, main)),
            finale: Box::new(TimeLimit::new(FINALE_MAX, finale)),
        })
    }
}
