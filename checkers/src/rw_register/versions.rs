//! The versions of registers: who wrote and who read them, and which came after which.

use rustc_hash::FxHashMap;
use tribunal_results::{Anomaly, Call, Scalar};

use crate::normal::{Did, Ended, Origin, Transactions};
use crate::transactions::{Collected, Told, anomaly, name};

/// In place of a register: none.
const NONE: u32 = u32::MAX;

/// A read of a register before its transaction wrote it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Read {
    pub(super) txn: u32,
    pub(super) seen: Option<u32>,
    /// Whether the transaction wrote the register afterwards.
    pub(super) writes: bool,
}

/// One register.
#[derive(Debug)]
pub(super) struct Register {
    /// Its number.
    pub(super) key: u32,
    /// Transactions that wrote it, and what: in the order of their steps.
    pub(super) writes: Vec<(u32, u32)>,
    pub(super) reads: Vec<Read>,
}

/// All registers.
#[derive(Debug)]
pub(super) struct Registers {
    /// Of each key, where its register is; [`NONE`] if it is of none.
    at: Vec<u32>,
    pub(super) registers: Vec<Register>,
    pub(super) anomalies: Collected,
    pub(super) observations: usize,
}

/// Sorts writes and reads by register; a transaction that contradicts itself is told at once.
pub(super) fn registers(txns: &Transactions<'_>) -> Registers {
    let mut registers = Registers {
        at: vec![NONE; txns.keys() as usize],
        registers: Vec::new(),
        anomalies: Collected::default(),
        observations: 0,
    };
    for txn in 0..txns.len() {
        for step in txns.steps(txn).filter(|step| step.did == Did::Wrote) {
            if let Some(register) = registers.register(step.key) {
                register.writes.push((txn, step.value));
            }
        }
    }
    for txn in (0..txns.len()).filter(|txn| txns.ended(*txn) == Ended::Ok) {
        registers.replay(txns, txn);
    }
    registers
}

impl Registers {
    fn register(&mut self, key: u32) -> Option<&mut Register> {
        let at = self.at.get_mut(key as usize)?;
        if *at == NONE {
            *at = self.registers.len() as u32;
            self.registers.push(Register {
                key,
                writes: Vec::new(),
                reads: Vec::new(),
            });
        }
        self.registers.get_mut(*at as usize)
    }

    /// Follows a transaction through its own steps.
    fn replay(&mut self, txns: &Transactions<'_>, txn: u32) {
        // Of each register, what it must hold from here on.
        let mut known: smallvec::SmallVec<[(u32, Option<u32>); 8]> = smallvec::SmallVec::new();
        for (at, step) in txns.numbered(txn) {
            let key = step.key;
            let place = known.iter().position(|(of, _)| *of == key);
            let last = place.and_then(|at| known.get(at)).map(|(_, value)| *value);
            let now = match (step.did, step.saw()) {
                (Did::Wrote, _) => Some(step.value),
                (_, None) => continue,
                (_, Some(seen)) => {
                    // What it wrote or read before tells nothing new.
                    self.observations += usize::from(seen.is_some() && last.is_none());
                    let rest = txns.numbered(txn).filter(|(later, _)| *later > at);
                    let mut written = rest
                        .filter(|(_, later)| later.did == Did::Wrote && later.key == key)
                        .map(|(_, later)| later.value);
                    let writes = written.clone().next().is_some();
                    let early = txns.origin(txn, key, seen) == Origin::Own
                        && written.any(|value| Some(value) == seen);
                    if last.is_some_and(|last| last != seen) || early {
                        self.anomalies.extend(internal(txns, (txn, at), early));
                        return;
                    }
                    if last.is_none()
                        && let Some(register) = self.register(key)
                    {
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
}

fn internal(txns: &Transactions<'_>, (txn, at): (u32, u32), early: bool) -> Option<Anomaly> {
    let (call, read) = (txns.call(txn)?, txns.micro(at)?);
    let why = if early {
        "It had not written yet what it read."
    } else {
        "That is not what it had read or written before in the same transaction."
    };
    Some(anomaly(Told {
        name: "internal",
        key: Some(read.key()),
        sentence: format!("{} contradicts its own steps: {read}", name(call)),
        facts: vec![why.to_owned()],
        calls: &[call],
    }))
}

impl Register {
    /// Tells what no order of transactions explains in the reads of this register alone.
    pub(super) fn judge(&self, txns: &Transactions<'_>, anomalies: &mut Collected) {
        let mut updates: FxHashMap<Option<u32>, u32> = FxHashMap::default();
        for read in &self.reads {
            let origin = txns.origin(read.txn, self.key, read.seen);
            anomalies.extend(self.doubt(txns, read, origin));
            if !read.writes || matches!(origin, Origin::Several | Origin::Nobody) {
                continue;
            }
            let earlier = *updates.entry(read.seen).or_insert(read.txn);
            if let (Some(one), Some(other)) = (txns.call(earlier), txns.call(read.txn))
                && earlier != read.txn
            {
                let Some(key) = txns.key(self.key) else {
                    continue;
                };
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
                        version(txns, read.seen)
                    )],
                    calls: &[one, other],
                }));
            }
        }
    }

    /// A read of what nobody wrote, or only a transaction that failed, or of what its writer
    /// overwrote itself.
    fn doubt(&self, txns: &Transactions<'_>, read: &Read, origin: Origin) -> Option<Anomaly> {
        let (name, what, writer) = match origin {
            Origin::Nobody => ("phantom-value", "which nobody wrote", None),
            Origin::Failed(writer) => ("G1a", "of a transaction that failed", Some(writer)),
            Origin::Middle(writer) => ("G1b", "from the middle of a transaction", Some(writer)),
            _ => return None,
        };
        let value = version(txns, read.seen);
        let writer = writer.and_then(|writer| txns.call(writer));
        self.tell(txns, name, read, &format!("{value}, {what}"), writer)
    }

    fn tell(
        &self,
        txns: &Transactions<'_>,
        anomaly_name: &str,
        read: &Read,
        what: &str,
        writer: Option<&Call>,
    ) -> Option<Anomaly> {
        let (reader, key) = (txns.call(read.txn)?, txns.key(self.key)?);
        let sentence = format!("{} read {key} → {what}", name(reader));
        let mut calls = vec![reader];
        calls.extend(writer);
        Some(anomaly(Told {
            name: anomaly_name,
            key: Some(key),
            facts: vec![format!("{sentence}.")],
            sentence,
            calls: &calls,
        }))
    }

    /// The transactions that wrote the register and took effect, each once.
    pub(super) fn committed(&self, txns: &Transactions<'_>) -> Vec<u32> {
        let mut all: Vec<u32> = self.writes.iter().map(|write| write.0).collect();
        all.dedup();
        all.retain(|txn| txns.happened(*txn));
        all
    }
}

/// The value of that number as people write it.
pub(super) fn version(txns: &Transactions<'_>, seen: Option<u32>) -> String {
    let value = seen.and_then(|value| txns.value(value));
    value.map_or_else(|| "nothing".to_owned(), Scalar::to_string)
}
