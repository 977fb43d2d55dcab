//! The versions of registers: who wrote and who read them, and which came after which.

use rustc_hash::{FxHashMap, FxHashSet};
use tribunal_results::{Anomaly, Call, Micro, Scalar, Seen};

use crate::transactions::{Collected, Told, Txn, Writers, anomaly, call, happened, name};

/// A read of a register before its transaction wrote it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Read<'a> {
    pub(super) txn: u32,
    pub(super) seen: Option<&'a Scalar>,
    /// Whether the transaction wrote the register afterwards.
    pub(super) writes: bool,
}

/// One register.
#[derive(Debug)]
pub(super) struct Register<'a> {
    pub(super) key: &'a Scalar,
    pub(super) writers: FxHashMap<&'a Scalar, Writers>,
    pub(super) reads: Vec<Read<'a>>,
}

/// All registers.
#[derive(Debug, Default)]
pub(super) struct Registers<'a> {
    at: FxHashMap<&'a Scalar, usize>,
    pub(super) registers: Vec<Register<'a>>,
    pub(super) anomalies: Collected,
    pub(super) observations: usize,
}

/// What a read saw; `None` if it is of a list.
fn value(seen: &Seen) -> Option<Option<&Scalar>> {
    match seen {
        Seen::Nothing => Some(None),
        Seen::Value(value) => Some(Some(value)),
        Seen::List(_) => None,
    }
}

/// Of each transaction whose end is unknown, whether another saw that it took effect.
pub(super) fn observed(txns: &[Txn<'_>]) -> Vec<bool> {
    let mut seen: FxHashSet<(&Scalar, &Scalar)> = FxHashSet::default();
    for txn in txns.iter().filter(|txn| txn.call.is_ok()) {
        for micro in txn.micros.iter() {
            if let Micro::Read {
                key,
                seen: Seen::Value(value),
            } = micro
            {
                seen.insert((key, value));
            }
        }
    }
    let was_seen = |micro: &Micro| matches!(micro, Micro::Write { key, value } if seen.contains(&(key, value)));
    txns.iter()
        .map(|txn| txn.call.is_info() && txn.micros.iter().any(was_seen))
        .collect()
}

/// Sorts writes and reads by register; a transaction that contradicts itself is told at once.
pub(super) fn registers<'a>(txns: &'a [Txn<'a>]) -> Registers<'a> {
    let mut registers = Registers::default();
    for (at, txn) in (0_u32..).zip(txns) {
        for (step, micro) in (0_u32..).zip(txn.micros.iter()) {
            if let Micro::Write { key, value } = micro
                && let Some(register) = registers.register(key)
            {
                register.writers.entry(value).or_default().push((at, step));
            }
        }
    }
    for (at, txn) in (0_u32..).zip(txns).filter(|(_, txn)| txn.call.is_ok()) {
        registers.replay(at, txn);
    }
    registers
}

impl<'a> Registers<'a> {
    fn register(&mut self, key: &'a Scalar) -> Option<&mut Register<'a>> {
        let next = self.registers.len();
        let at = *self.at.entry(key).or_insert(next);
        if at == next {
            self.registers.push(Register {
                key,
                writers: FxHashMap::default(),
                reads: Vec::new(),
            });
        }
        self.registers.get_mut(at)
    }

    /// A value that was written twice.
    pub(super) fn ambiguous(&self) -> Option<(&'a Scalar, &'a Scalar)> {
        self.registers.iter().find_map(|register| {
            let mut writers = register.writers.iter();
            let (value, _) = writers.find(|(_, writers)| writers.len() > 1)?;
            Some((register.key, *value))
        })
    }

    /// Follows a transaction through its own steps.
    fn replay(&mut self, at: u32, txn: &'a Txn<'a>) {
        // Of each register, what it must hold from here on.
        let mut known: Vec<(&Scalar, Option<&Scalar>)> = Vec::new();
        for (step, micro) in txn.micros.iter().enumerate() {
            let key = micro.key();
            let place = known.iter().position(|(of, _)| *of == key);
            let last = place.and_then(|at| known.get(at)).map(|(_, value)| *value);
            let now = match micro {
                Micro::Write { value, .. } => Some(value),
                Micro::Append { .. } => continue,
                Micro::Read { seen, .. } => {
                    let Some(seen) = value(seen) else {
                        continue;
                    };
                    // What it wrote or read before tells nothing new.
                    self.observations += usize::from(seen.is_some() && last.is_none());
                    let rest = txn.micros.get(step + 1..).unwrap_or(&[]);
                    let mut written = rest.iter().filter_map(|later| match later {
                        Micro::Write { key: of, value } if of == key => Some(value),
                        _ => None,
                    });
                    let writes = written.clone().next().is_some();
                    let early =
                        written.any(|value| Some(value) == seen && self.is_unique(key, value));
                    if last.is_some_and(|last| last != seen) || early {
                        self.anomalies.push(internal(txn, micro, early));
                        return;
                    }
                    if last.is_none()
                        && let Some(register) = self.register(key)
                    {
                        let txn = at;
                        register.reads.push(Read { txn, seen, writes });
                    }
                    seen
                }
            };
            match place.and_then(|at| known.get_mut(at)) {
                Some(entry) => entry.1 = now,
                None => known.push((key, now)),
            }
        }
    }

    fn is_unique(&self, key: &Scalar, value: &Scalar) -> bool {
        let register = self.at.get(key).and_then(|at| self.registers.get(*at));
        register.is_some_and(|register| register.writer(value).is_some())
    }
}

fn internal(txn: &Txn<'_>, read: &Micro, early: bool) -> Anomaly {
    let why = if early {
        "It had not written yet what it read."
    } else {
        "That is not what it had read or written before in the same transaction."
    };
    anomaly(Told {
        name: "internal",
        key: Some(read.key()),
        sentence: format!("{} contradicts its own steps: {read}", name(txn.call)),
        facts: vec![why.to_owned()],
        calls: &[txn.call],
    })
}

impl<'a> Register<'a> {
    /// The one transaction that wrote the value, and its step.
    pub(super) fn writer(&self, value: &Scalar) -> Option<(u32, u32)> {
        match self.writers.get(value).map(Writers::as_slice) {
            Some([writer]) => Some(*writer),
            _ => None,
        }
    }

    /// Tells what no order of transactions explains in the reads of this register alone.
    pub(super) fn judge(&self, txns: &[Txn<'a>], anomalies: &mut Collected) {
        let mut updates: FxHashMap<Option<&Scalar>, u32> = FxHashMap::default();
        for read in &self.reads {
            anomalies.extend(self.unwritten(txns, read));
            anomalies.extend(self.intermediate(txns, read));
            let unique = read.seen.is_none_or(|value| self.writer(value).is_some());
            if !read.writes || !unique {
                continue;
            }
            let earlier = *updates.entry(read.seen).or_insert(read.txn);
            if let (Some(one), Some(other)) = (call(txns, earlier), call(txns, read.txn))
                && earlier != read.txn
            {
                let key = self.key;
                anomalies.push(anomaly(Told {
                    name: "lost-update",
                    key: Some(key),
                    sentence: format!(
                        "{} and {} both overwrote the same version of {key}",
                        name(one),
                        name(other)
                    ),
                    facts: vec![format!(
                        "Both read {key} → {} and then wrote it: whichever came second did not \
                         see the other.",
                        version(read.seen)
                    )],
                    calls: &[one, other],
                }));
            }
        }
    }

    /// A read of a value that nobody wrote, or only transactions that failed.
    fn unwritten(&self, txns: &[Txn<'a>], read: &Read<'a>) -> Option<Anomaly> {
        let value = read.seen?;
        let writers = self.writers.get(value).map_or(&[][..], Writers::as_slice);
        let calls: Vec<&Call> = writers.iter().filter_map(|w| call(txns, w.0)).collect();
        if calls.iter().any(|call| !call.is_fail()) {
            return None;
        }
        let (name, what) = if calls.is_empty() {
            ("phantom-value", "which nobody wrote")
        } else {
            ("G1a", "of a transaction that failed")
        };
        self.tell(txns, name, read, &format!("{value}, {what}"), &calls)
    }

    /// A read of what its writer overwrote itself.
    fn intermediate(&self, txns: &[Txn<'a>], read: &Read<'a>) -> Option<Anomaly> {
        let value = read.seen?;
        let (writer, step) = self.writer(value).filter(|(txn, _)| *txn != read.txn)?;
        let txn = txns.get(writer as usize)?;
        let mut later = txn.micros.iter().skip(step as usize + 1);
        let again = later.any(|m| matches!(m, Micro::Write { key, .. } if key == self.key));
        if !again || txn.call.is_fail() {
            return None;
        }
        let what = format!("{value}, from the middle of a transaction");
        self.tell(txns, "G1b", read, &what, &[txn.call])
    }

    fn tell(
        &self,
        txns: &[Txn<'a>],
        anomaly_name: &str,
        read: &Read<'a>,
        what: &str,
        others: &[&'a Call],
    ) -> Option<Anomaly> {
        let reader = call(txns, read.txn)?;
        let sentence = format!("{} read {} → {what}", name(reader), self.key);
        let mut calls = vec![reader];
        calls.extend(others);
        Some(anomaly(Told {
            name: anomaly_name,
            key: Some(self.key),
            facts: vec![format!("{sentence}.")],
            sentence,
            calls: &calls,
        }))
    }

    /// The transactions that wrote the register and took effect, each once.
    pub(super) fn committed(&self, txns: &[Txn<'a>]) -> Vec<u32> {
        let mut all: Vec<u32> = self.writers.values().flatten().map(|w| w.0).collect();
        all.retain(|txn| happened(txns, *txn));
        all.sort_unstable();
        all.dedup();
        all
    }
}

pub(super) fn version(seen: Option<&Scalar>) -> String {
    seen.map_or_else(|| "nothing".to_owned(), Scalar::to_string)
}
