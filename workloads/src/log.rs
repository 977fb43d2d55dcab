//! Messages that are sent to logs, and polled from where each client has come to.
//!
//! Clients also commit how far they have come, and ask what was committed. Every message is new
//! in the run. At the end every log is polled from its beginning at every node.

use std::collections::BTreeMap;

use rand::RngExt;
use serde::Deserialize;
use serde_json::{Value as Json, json};
use tribunal_results::options::{OptionError, decode};
use tribunal_results::{Answer, Kind, Operation, Outcome};

use crate::generator::{
    Chance, Completion, EachThread, Generator, Offer, Proposal, Rest, Seed, Stagger, TimeLimit,
    View,
};
use crate::{FINALE_MAX, Program, Setting, Workload};

/// How long nothing is asked before the last polls, in nanoseconds.
const SETTLE: u64 = 500_000_000;
/// How many polls of a thread at the end may bring nothing.
const FINAL_EMPTY_MAX: u32 = 3;

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Options {
    /// How many logs there are.
    keys: usize,
    /// The share of messages sent among all operations.
    send_share: f64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            keys: 4,
            send_share: 0.5,
        }
    }
}

/// The log workload.
pub struct Log;

impl Workload for Log {
    fn name(&self) -> &'static str {
        "log"
    }

    fn about(&self) -> &'static str {
        "messages sent to logs and polled from them; offsets committed (Maelstrom's kafka)"
    }

    fn needs(&self) -> &'static [Kind] {
        &[Kind::Custom]
    }

    fn uses(&self) -> &'static [Kind] {
        &[]
    }

    fn checkers(&self) -> &'static [&'static str] {
        &["log"]
    }

    fn program(&self, options: &Json, setting: &Setting) -> Result<Program, OptionError> {
        let options: Options = decode(options)?;
        if !(1..=1_000).contains(&options.keys) {
            return Err(OptionError::new("keys", "must be between 1 and 1000"));
        }
        crate::check_share("send_share", options.send_share)?;
        let seed = Seed::new(setting.seed).named("log");
        let keys: Vec<String> = (0..options.keys).map(|key| key.to_string()).collect();
        let logs = Logs {
            positions: vec![Positions::at_start(&keys); setting.clients],
            send_share: options.send_share,
            next: 1,
            chance: Chance::new(seed.named("steps")),
            keys: keys.clone(),
        };
        let main = Stagger::new(seed.named("rate"), setting.rate, logs);
        let nodes = setting.nodes;
        let finale = EachThread::new(setting.clients, |thread| {
            Box::new(Rereading {
                positions: Positions::at_start(&keys),
                left: if thread < nodes { FINAL_EMPTY_MAX } else { 0 },
            })
        });
        let finale = Stagger::new(
            seed.named("finale"),
            setting.rate,
            Rest::new(SETTLE, finale),
        );
        Ok(Program {
            main: Box::new(TimeLimit::new(setting.time_limit, main)),
            finale: Box::new(TimeLimit::new(FINALE_MAX, finale)),
        })
    }
}

fn custom(name: &str, value: Json) -> Operation {
    Operation::Custom {
        name: name.into(),
        value,
    }
}

/// The next offset to poll of each log.
#[derive(Clone, Debug)]
struct Positions(BTreeMap<String, u64>);

impl Positions {
    fn at_start(keys: &[String]) -> Self {
        Self(keys.iter().map(|key| (key.clone(), 0)).collect())
    }

    fn poll(&self) -> Operation {
        custom("poll", json!({ "offsets": self.0 }))
    }

    /// Moves beyond what was polled; whether that was anything.
    fn advance(&mut self, outcome: &Outcome) -> bool {
        let Outcome::Ok(Answer::Custom(answer)) = outcome else {
            return false;
        };
        let mut is_any = false;
        for (key, position) in &mut self.0 {
            let messages = answer.get("msgs").and_then(|logs| logs.get(key));
            let offsets = messages.and_then(Json::as_array).into_iter().flatten();
            for offset in offsets.filter_map(|placed| placed.get(0)?.as_u64()) {
                *position = (*position).max(offset.saturating_add(1));
                is_any = true;
            }
        }
        is_any
    }

    /// The last offset polled of each log.
    fn done(&self) -> BTreeMap<&String, u64> {
        let done = |(key, next): (_, &u64)| Some((key, next.checked_sub(1)?));
        self.0.iter().filter_map(done).collect()
    }
}

/// Everything that can be done to logs.
struct Logs {
    keys: Vec<String>,
    /// How far each thread has come.
    positions: Vec<Positions>,
    send_share: f64,
    /// The next message.
    next: u64,
    chance: Chance,
}

impl Logs {
    fn operation(&self, thread: usize) -> Operation {
        let mut draws = self.chance.draws();
        let nothing = Positions(BTreeMap::new());
        let positions = self.positions.get(thread).unwrap_or(&nothing);
        let committable = positions.done();
        if draws.random::<f64>() < self.send_share {
            let at = draws.random_range(0..self.keys.len().max(1));
            let key = self.keys.get(at).cloned().unwrap_or_default();
            return custom("send", json!({ "key": key, "msg": self.next }));
        }
        match draws.random_range(0..10) {
            0 | 1 if !committable.is_empty() => {
                custom("commit-offsets", json!({ "offsets": committable }))
            }
            2 => custom("list-committed-offsets", json!({ "keys": self.keys })),
            _ => positions.poll(),
        }
    }
}

impl Generator for Logs {
    fn offer(&self, view: &View<'_>) -> Offer {
        match view.free().next() {
            Some(thread) => Offer::Invoke(Proposal::new(thread, view.time, self.operation(thread))),
            None => Offer::Pending,
        }
    }

    fn taken(&mut self, _: &View<'_>, proposal: &Proposal, _: &[u32]) {
        self.chance.advance();
        if matches!(&proposal.operation, Operation::Custom { name, .. } if name == "send") {
            self.next += 1;
        }
    }

    fn completed(&mut self, _: &View<'_>, completion: &Completion<'_>, _: &[u32]) {
        if let Some(positions) = self.positions.get_mut(completion.thread) {
            positions.advance(completion.outcome);
        }
    }
}

/// Polls from the beginning until nothing more comes, in one thread.
struct Rereading {
    positions: Positions,
    /// How many polls may still bring nothing.
    left: u32,
}

impl Generator for Rereading {
    fn offer(&self, view: &View<'_>) -> Offer {
        match view.free().next() {
            _ if self.left == 0 => Offer::Exhausted,
            Some(thread) => Offer::Invoke(Proposal::new(thread, view.time, self.positions.poll())),
            None => Offer::Pending,
        }
    }

    fn taken(&mut self, _: &View<'_>, _: &Proposal, _: &[u32]) {}

    fn completed(&mut self, _: &View<'_>, completion: &Completion<'_>, _: &[u32]) {
        if !self.positions.advance(completion.outcome) {
            self.left = self.left.saturating_sub(1);
        }
    }
}
