//! The versions of registers: who wrote and who read them, and which came after which.

use rustc_hash::{FxHashMap, FxHashSet};
use tribunal_results::{Anomaly, Call, Micro, Scalar, Seen};

use crate::explain;
use crate::graph::Why;
use crate::transactions::{Told, Txn, UNORDERED_EDGES_MAX, Writers, anomaly, name};

/// A read of a register before its transaction wrote it.
#[derive(Clone, Copy, Debug)]
struct Read<'a> {
    txn: u32,
    seen: Option<&'a Scalar>,
    /// Whether the transaction wrote the register afterwards.
    writes: bool,
}

/// One register.
#[derive(Debug)]
pub(super) struct Register<'a> {
    key: &'a Scalar,
    writers: FxHashMap<&'a Scalar, Writers>,
    reads: Vec<Read<'a>>,
}

/// All registers.
#[derive(Debug, Default)]
pub(super) struct Registers<'a> {
    at: FxHashMap<&'a Scalar, usize>,
    pub(super) registers: Vec<Register<'a>>,
    pub(super) anomalies: Vec<Anomaly>,
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
                    self.observations += usize::from(seen.is_some());
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

fn call<'a>(txns: &[Txn<'a>], at: u32) -> Option<&'a Call> {
    txns.get(at as usize).map(|txn| txn.call)
}

impl<'a> Register<'a> {
    /// The one transaction that wrote the value, and its step.
    fn writer(&self, value: &Scalar) -> Option<(u32, u32)> {
        match self.writers.get(value).map(Writers::as_slice) {
            Some([writer]) => Some(*writer),
            _ => None,
        }
    }

    /// Tells what no order of transactions explains in the reads of this register alone.
    pub(super) fn judge(&self, txns: &[Txn<'a>], anomalies: &mut Vec<Anomaly>) {
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
    fn committed(&self, txns: &[Txn<'a>]) -> Vec<u32> {
        let mut all: Vec<u32> = self.writers.values().flatten().map(|w| w.0).collect();
        all.retain(|txn| txns.get(*txn as usize).is_some_and(|txn| txn.happened));
        all.sort_unstable();
        all.dedup();
        all
    }

    /// Adds the dependencies that reads give.
    pub(super) fn edges(&self, txns: &[Txn<'a>], edges: &mut Vec<(u32, u32, Why)>) {
        // Who read a version and then wrote the register: that came right after the version.
        let mut next: FxHashMap<Option<&Scalar>, u32> = FxHashMap::default();
        let mut follows: FxHashSet<u32> = FxHashSet::default();
        for read in self.reads.iter().filter(|read| read.writes) {
            next.insert(read.seen, read.txn);
            if read.seen.is_some() {
                follows.insert(read.txn);
            }
        }
        let committed = self.committed(txns);
        // What came first after absence: writers who read nothing before.
        let firsts: Vec<u32> = committed
            .iter()
            .copied()
            .filter(|w| !follows.contains(w))
            .collect();
        let later = Later::new(txns, &committed);
        let mut allowed = UNORDERED_EDGES_MAX;
        for read in &self.reads {
            let Some(value) = read.seen else {
                let first = firsts.iter().take(allowed);
                edges.extend(first.map(|first| (read.txn, *first, Why::RW)));
                allowed = allowed.saturating_sub(firsts.len());
                continue;
            };
            let Some((writer, _)) = self.writer(value) else {
                continue;
            };
            if !txns.get(writer as usize).is_some_and(|txn| txn.happened) {
                continue;
            }
            edges.push((writer, read.txn, Why::WR));
            if let Some(next) = next.get(&read.seen) {
                edges.push((read.txn, *next, Why::RW));
            }
            if let Some(later) = call(txns, writer).and_then(|call| later.after(call.returned()?)) {
                edges.push((read.txn, later, Why::RW_REALTIME));
            }
        }
    }

    /// Why one transaction comes before another, in this register.
    pub(super) fn why(&self, txns: &[Txn<'a>], from: u32, to: u32, why: Why) -> Option<String> {
        let works_on_it = |txn: u32| {
            let txn = txns.get(txn as usize);
            txn.is_some_and(|txn| txn.micros.iter().any(|micro| micro.key() == self.key))
        };
        if !works_on_it(from) || !works_on_it(to) {
            return None;
        }
        let mut edges = Vec::new();
        self.edges(txns, &mut edges);
        if !edges
            .iter()
            .any(|edge| (edge.0, edge.1) == (from, to) && edge.2.meets(why))
        {
            return None;
        }
        let key = self.key;
        if why.meets(Why::WR) {
            let read = self.reads.iter().find(|read| read.txn == to)?;
            return Some(format!(
                "it wrote {key} = {}, which the other read",
                version(read.seen)
            ));
        }
        let read = self.reads.iter().find(|read| read.txn == from)?;
        let seen = version(read.seen);
        if !why.meets(Why::RW_REALTIME) {
            return Some(format!("it read {key} → {seen}, which the other overwrote"));
        }
        let (writer, _) = self.writer(read.seen?)?;
        let (old, new) = (call(txns, writer)?, call(txns, to)?);
        Some(format!(
            "it read {key} → {seen}, which the other overwrote: {seen} was written by {} at {}, \
             the other was invoked at {}",
            format_args!("{}, answered", name(old)),
            explain::seconds(explain::ended(old)),
            explain::seconds(new.invoked.time)
        ))
    }
}

fn version(seen: Option<&Scalar>) -> String {
    seen.map_or_else(|| "nothing".to_owned(), Scalar::to_string)
}

/// The writers of a register, by invocation.
struct Later {
    /// Invocation of each, and of those from it on the one that ended first.
    by_call: Vec<(u64, u32)>,
}

impl Later {
    fn new(txns: &[Txn<'_>], writers: &[u32]) -> Self {
        let mut by_call = Vec::new();
        let mut first: Option<(u64, u32)> = None;
        // Transactions are numbered by invocation.
        for &writer in writers.iter().rev() {
            if let Some(call) = call(txns, writer) {
                let this = (call.returned().unwrap_or(u64::MAX), writer);
                let best = first.map_or(this, |first| first.min(this));
                first = Some(best);
                by_call.push((call.invoked.index, best.1));
            }
        }
        by_call.reverse();
        Self { by_call }
    }

    /// Of those invoked after the event, the one that ended first.
    fn after(&self, event: u64) -> Option<u32> {
        let at = self.by_call.partition_point(|(call, _)| *call < event);
        self.by_call.get(at).map(|(_, first)| *first)
    }
}
