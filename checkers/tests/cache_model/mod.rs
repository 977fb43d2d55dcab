//! A simulated cache and its clients: it forgets what it may and must, or is spoilt.

use serde_json::{Value as Json, json};
use tribunal_results::{Answer, Operation, Outcome, Scalar};

use crate::random::{Lcg, Timed, failed, unknown};

/// What a cache does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    /// Deletes change nothing.
    DeleteIgnored,
    /// Entries never expire.
    TtlIgnored,
    /// Many a read returns anything.
    Invented,
    /// Deletes delete what has the other key of the same text.
    KeysAsText,
}

pub(crate) const FAULTS: [Fault; 5] = [
    Fault::None,
    Fault::DeleteIgnored,
    Fault::TtlIgnored,
    Fault::Invented,
    Fault::KeysAsText,
];

#[derive(Clone, Copy, Debug)]
pub(crate) struct Setting {
    pub(crate) ttl_ms: u64,
    pub(crate) drift_ppm: u32,
    pub(crate) fault: Fault,
    /// How many operations in a hundred are on the other key.
    pub(crate) other: u64,
}

impl Setting {
    /// Whether an entry of that age, in milliseconds, may be there still by the slowest clock.
    pub(crate) fn is_fresh(self, age: u64) -> bool {
        age * (1_000_000 - u64::from(self.drift_ppm)) <= self.ttl_ms * 1_000_000
    }
}

/// Two keys that look alike.
pub(crate) fn keys() -> [Scalar; 2] {
    [Scalar::Int(5), "5".into()]
}

pub(crate) fn deletes(key: &Scalar) -> Operation {
    let (name, value) = ("delete".into(), json!({ "key": key }));
    Operation::Custom { name, value }
}

/// Of which key an operation is, by its place.
pub(crate) fn place(operation: &Operation) -> usize {
    let is_text = match operation {
        Operation::Custom { value, .. } => value["key"].is_string(),
        other => matches!(other.key(), Some(Scalar::Text(_))),
    };
    usize::from(is_text)
}

/// A cache and its clients, from event to event. Times are in milliseconds.
struct Run<'a> {
    lcg: &'a mut Lcg,
    setting: Setting,
    now: u64,
    ops: Vec<Timed>,
    /// Which operations have not ended, and which may take effect still.
    open: Vec<usize>,
    pending: Vec<usize>,
    /// What is kept of each key, and since when.
    entries: [Option<(Scalar, u64)>; 2],
    written: i64,
}

/// What clients of a cache saw, in milliseconds.
pub(crate) fn simulate(lcg: &mut Lcg, setting: Setting) -> Vec<Timed> {
    let calls = 4 + lcg.below(5) as usize;
    let width = 1 + lcg.below(3) as usize;
    let mut run = Run {
        lcg,
        setting,
        now: 0,
        ops: Vec::new(),
        open: Vec::new(),
        pending: Vec::new(),
        entries: [None, None],
        written: 0,
    };
    while run.ops.len() < calls || !run.open.is_empty() {
        run.now += 1 + run.lcg.below(3);
        let full = run.open.len() >= width || run.ops.len() >= calls;
        let begins = run.open.is_empty() || !full && run.lcg.percent(50);
        match begins {
            true => run.begin(),
            false => run.end(),
        }
        while !run.pending.is_empty() && run.lcg.percent(35) {
            let at = run.lcg.below(run.pending.len() as u64) as usize;
            run.take_effect(at);
        }
        let evicted = run.lcg.below(40) as usize;
        if let Some(entry) = run.entries.get_mut(evicted) {
            *entry = None;
        }
    }
    run.ops
}

impl Run<'_> {
    fn begin(&mut self) {
        let key = keys()[usize::from(self.lcg.percent(self.setting.other))].clone();
        let operation = match self.lcg.below(100) {
            0..30 => {
                self.written += i64::from(self.lcg.percent(75));
                let value = Scalar::Int(self.written.max(1));
                Operation::Write { key, value }
            }
            30..55 => deletes(&key),
            _ => Operation::Read { key },
        };
        let is_read = matches!(operation, Operation::Read { .. });
        let outcome = match (is_read, self.lcg.below(100)) {
            (false, 0..12) => unknown(),
            (false, 12..18) => failed(),
            _ if is_read => Outcome::Ok(Answer::Value(None)),
            _ if matches!(operation, Operation::Write { .. }) => Outcome::Ok(Answer::Done),
            _ => Outcome::Ok(Answer::Custom(Json::Null)),
        };
        let op = self.ops.len();
        let lost = matches!(outcome, Outcome::Info(_)) && self.lcg.percent(40);
        if !lost && !matches!(outcome, Outcome::Fail(_)) {
            self.pending.push(op);
        }
        self.open.push(op);
        self.ops.push(Timed {
            process: op as u64,
            call: self.now,
            ret: self.now,
            operation,
            outcome,
        });
    }

    fn end(&mut self) {
        let at = self.lcg.below(self.open.len() as u64) as usize;
        let op = self.open.swap_remove(at);
        self.ops[op].ret = self.now;
        let certain = matches!(self.ops[op].outcome, Outcome::Ok(_));
        if let Some(at) = self.pending.iter().position(|other| *other == op)
            && certain
        {
            self.take_effect(at);
        }
    }

    fn take_effect(&mut self, at: usize) {
        let op = self.pending.swap_remove(at);
        let operation = &self.ops[op].operation;
        let (place, fault) = (place(operation), self.setting.fault);
        match operation {
            Operation::Write { value, .. } => self.entries[place] = Some((value.clone(), self.now)),
            Operation::Custom { .. } => {
                if fault == Fault::KeysAsText {
                    self.entries[1 - place] = None;
                } else if fault != Fault::DeleteIgnored {
                    self.entries[place] = None;
                }
            }
            _ => {
                let now = self.now;
                let fresh =
                    |since: u64| fault == Fault::TtlIgnored || self.setting.is_fresh(now - since);
                let kept = self.entries[place].as_ref();
                let mut found = kept
                    .filter(|(_, since)| fresh(*since))
                    .map(|(v, _)| v.clone());
                if fault == Fault::Invented && self.lcg.percent(50) {
                    found = Some(Scalar::Int(
                        1 + self.lcg.below(self.written as u64 + 1) as i64,
                    ));
                }
                self.ops[op].outcome = Outcome::Ok(Answer::Value(found));
            }
        }
    }
}
