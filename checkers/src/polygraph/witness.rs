//! A contradiction, cut down to the transactions that it needs, and told.

use tribunal_results::{Anomaly, Call, Scalar, Seen};

use super::chains::Chains;
use super::normal::{INITIAL, Normal};
use super::saturate::Pair;
use super::solve::Decided;
use super::{Isolation, Level, Order};
use crate::explain;
use crate::graph::{self, Graph, Why};
use crate::normal::Transactions;
use crate::transactions::{self, Told, name};

/// Memory for reachability among the transactions of a contradiction.
const BYTES_MAX: u64 = 1 << 26;
/// How many smaller sets of transactions are tried.
const TRIED_MAX: usize = 2_000;

/// Every two transactions that overwrote the same version.
pub(super) fn lost_updates(
    txns: &Transactions<'_>,
    normal: &Normal,
    chains: &Chains,
) -> Vec<Anomaly> {
    let mut anomalies = Vec::new();
    for &(key, one, other) in &chains.lost_updates {
        let (Some(first), Some(second)) = (call(txns, normal, one), call(txns, normal, other))
        else {
            continue;
        };
        let Some((key, seen)) = read_of(txns, normal, other, key) else {
            continue;
        };
        anomalies.push(transactions::anomaly(Told {
            name: "lost-update",
            key: Some(key),
            sentence: format!(
                "{} and {} both overwrote the same version of {key}",
                name(first),
                name(second)
            ),
            facts: vec![format!(
                "Both read {key} → {seen} and then wrote it: whichever came second did not see \
                 the other."
            )],
            calls: &[first, second],
        }));
    }
    anomalies
}

fn call<'a>(txns: &Transactions<'a>, normal: &Normal, txn: u32) -> Option<&'a Call> {
    let member = normal.txns.get(txn as usize)?;
    txns.call(member.call)
}

/// The register of that number, and what the transaction had read of it.
fn read_of<'a>(
    txns: &Transactions<'a>,
    normal: &Normal,
    txn: u32,
    key: u32,
) -> Option<(&'a Scalar, String)> {
    let member = normal.txns.get(txn as usize)?;
    let mut steps = txns.steps(member.call).filter(|step| step.key == key);
    let seen = steps.find_map(|step| step.saw())?;
    let seen = seen.and_then(|value| txns.value(value));
    let seen = seen.map_or(Seen::Nothing, |value| Seen::Value(value.clone()));
    Some((txns.key(key)?, seen.to_string()))
}

impl Level {
    /// Who contradicts whom among these transactions; `None` if they can be put in order, or if
    /// that cannot be told.
    fn contradiction(self, normal: &Normal, txns: &[u32], steps: &mut u64) -> Option<Vec<u32>> {
        let part = normal.only(txns);
        let chains = Chains::new(&part);
        if let Some((_, one, other)) = chains.lost_updates.first() {
            let pair = [one, other].into_iter();
            return Some(
                pair.filter_map(|at| txns.get(*at as usize).copied())
                    .collect(),
            );
        }
        let places = (0..txns.len() as u64).collect();
        match self
            .problem(&part, &chains, places, BYTES_MAX)
            .decide(steps)
        {
            Decided::Impossible(support) => {
                let of = |at: &u32| txns.get(*at as usize).copied();
                Some(support.iter().filter_map(of).collect())
            }
            _ => None,
        }
    }

    /// The fewest transactions that contradict each other, as far as leaving out one or some at a
    /// time gets.
    fn minimal(self, normal: &Normal, support: &[u32], steps: &mut u64) -> Vec<u32> {
        let all: Vec<u32> = (0..normal.len()).collect();
        let near = with_writers(normal, support);
        let starts = [support.to_vec(), near, all.clone()];
        let start = starts.into_iter().find(|txns| {
            let alone = txns.len() == all.len();
            alone || self.contradiction(normal, txns, steps).is_some()
        });
        let mut left = start.unwrap_or(all);
        let mut tried = 0;
        let mut size = left.len().div_ceil(2).max(1);
        loop {
            let mut at = 0;
            while at < left.len() && tried < TRIED_MAX && *steps > 0 {
                tried += 1;
                let mut fewer = left.clone();
                fewer.drain(at..(at + size).min(left.len()));
                match self.contradiction(normal, &fewer, steps) {
                    Some(_) => left = fewer,
                    None => at += size,
                }
            }
            if size == 1 || tried >= TRIED_MAX {
                return left;
            }
            size = (size.min(left.len())).div_ceil(2).max(1);
        }
    }
}

/// The transactions, and who wrote what they read.
fn with_writers(normal: &Normal, txns: &[u32]) -> Vec<u32> {
    let mut all = txns.to_vec();
    for read in &normal.reads {
        if txns.binary_search(&read.txn).is_ok() {
            all.extend(normal.writer(read.from));
        }
    }
    all.sort_unstable();
    all.dedup();
    all
}

/// The contradiction among transactions of which these speak in it.
pub(super) fn anomaly(
    level: Level,
    txns: &Transactions<'_>,
    normal: &Normal,
    support: &[u32],
    steps: &mut u64,
) -> Anomaly {
    let minimal = level.minimal(normal, support, steps);
    // The weakest order that they contradict already.
    let orders = [Order::Any, Order::Session, Order::RealTime];
    let weaker = orders.into_iter().find_map(|order| {
        let weaker = Level { order, ..level };
        let found = order == level.order
            || (order < level.order && weaker.contradiction(normal, &minimal, steps).is_some());
        found.then_some(weaker)
    });
    let level = weaker.unwrap_or(level);
    let minimal = level.minimal(normal, &minimal, steps);
    let part = normal.only(&minimal);
    let tale = Tale {
        level,
        txns,
        chains: Chains::new(&part),
        part,
    };
    tale.tell()
}

/// A contradiction of few transactions.
struct Tale<'t, 'a> {
    level: Level,
    txns: &'t Transactions<'a>,
    part: Normal,
    chains: Chains,
}

impl<'a> Tale<'_, 'a> {
    fn tell(&self) -> Anomaly {
        let calls: Vec<&Call> = (0..self.part.len())
            .filter_map(|txn| self.call(txn))
            .collect();
        if let Some(update) = lost_updates(self.txns, &self.part, &self.chains).pop() {
            return update;
        }
        let mut edges = self.certain();
        let suffix = match self.level.order {
            Order::Any => "",
            Order::Session => "-process",
            Order::RealTime => "-realtime",
        };
        let mut facts = Vec::new();
        let kind = match self.cycle(&edges) {
            Some((kind, cycle)) => {
                facts.extend(cycle.iter().map(|step| self.because(&edges, *step)));
                kind
            }
            None => {
                facts.extend(self.cases(&mut edges));
                match self.level.isolation {
                    Isolation::Serializable => "not-serializable",
                    Isolation::Snapshot => "not-snapshot-isolated",
                }
            }
        };
        let names: Vec<String> = calls.iter().map(|call| name(call)).collect();
        let sentence = match self.level.isolation {
            Isolation::Serializable => format!(
                "{} cannot have happened one at a time in any order: {}",
                explain::count(calls.len(), "transaction"),
                names.join(", "),
            ),
            Isolation::Snapshot => format!(
                "{} cannot each have seen one snapshot: {}",
                explain::count(calls.len(), "transaction"),
                names.join(", "),
            ),
        };
        transactions::anomaly(Told {
            name: &format!("{kind}{suffix}"),
            key: None,
            sentence,
            facts,
            calls: &calls,
        })
    }

    fn call(&self, txn: u32) -> Option<&'a Call> {
        call(self.txns, &self.part, txn)
    }

    fn name(&self, txn: u32) -> String {
        self.call(txn).map(name).unwrap_or_default()
    }

    /// What comes before what in any order, each with the register it is about.
    fn certain(&self) -> Vec<Link> {
        let mut links = self.orders();
        for read in &self.part.reads {
            if let Some(writer) = self.part.writer(read.from) {
                links.push(Link::new(writer, read.txn, Why::WR, read.key));
            }
        }
        for key in 0..self.part.keys {
            let all = self.chains.of_key.of(key);
            if let Some(first) = self.chains.first_of(key) {
                self.overwrite(INITIAL, first, key, &mut links);
            }
            for &number in all {
                let chain = self.chains.get(number);
                let mut version = chain.head;
                while let Some(next) = self.chains.next_of(version) {
                    self.overwrite(version, next, key, &mut links);
                    version = next;
                }
                let first = all
                    .first()
                    .filter(|first| self.chains.get(**first).is_first);
                match first {
                    Some(&first) if first != number => self.place(first, number, &mut links),
                    None => self.overwrite(INITIAL, chain.head, key, &mut links),
                    _ => {}
                }
            }
        }
        self.follow(&mut links);
        links
    }

    /// The order of sessions or of real time.
    fn orders(&self) -> Vec<Link> {
        let mut links = Vec::new();
        let numbered = || (0_u32..).zip(&self.part.txns);
        for (one, first) in numbered() {
            for (other, second) in numbered().filter(|(other, _)| *other > one) {
                let why = match self.level.order {
                    Order::Session if first.session == second.session => Why::PROCESS,
                    Order::RealTime if first.ret.is_some_and(|ret| ret < second.invoked) => {
                        Why::REALTIME
                    }
                    _ => continue,
                };
                links.push(Link::new(one, other, why, u32::MAX));
            }
        }
        links
    }

    /// That a version came next after another.
    fn overwrite(&self, old: u32, new: u32, key: u32, links: &mut Vec<Link>) {
        let Some(new) = self.part.writer(new) else {
            return;
        };
        if let Some(old) = self.part.writer(old) {
            links.push(Link::new(old, new, Why::WW, key));
        }
        for read in &self.part.reads {
            if read.key == key && read.from == old && read.txn != new {
                links.push(Link::new(read.txn, new, Why::RW, key));
            }
        }
    }

    /// That a chain came before another.
    fn place(&self, first: u32, second: u32, links: &mut Vec<Link>) {
        let (first, second) = (self.chains.get(first), self.chains.get(second));
        self.overwrite(first.tail, second.head, second.key, links);
    }

    /// Adds orders of chains that follow from what is before what otherwise.
    fn follow(&self, links: &mut Vec<Link>) {
        loop {
            let before = links.len();
            for (one, other) in self.pairs() {
                for (first, second) in [(one, other), (other, one)] {
                    let (head, tail) = (self.chains.get(first).head, self.chains.get(second).tail);
                    let (Some(old), Some(new)) = (self.part.writer(head), self.part.writer(tail))
                    else {
                        continue;
                    };
                    let done = self.chains.get(first).tail;
                    let next = self.part.writer(self.chains.get(second).head);
                    let known = links.iter().any(|link| {
                        link.why == Why::WW
                            && Some(link.from) == self.part.writer(done)
                            && Some(link.to) == next
                            && link.key == self.chains.get(first).key
                    });
                    if !known && depends(links, old, new) {
                        self.place(first, second, links);
                    }
                }
            }
            if links.len() == before {
                return;
            }
        }
    }

    /// Chains of the same register that may go either way.
    fn pairs(&self) -> Vec<Pair> {
        let mut pairs = Vec::new();
        for key in 0..self.part.keys {
            let all = self.chains.of_key.of(key);
            for (place, &one) in all.iter().enumerate() {
                let rest = all.get(place + 1..).unwrap_or(&[]);
                if !self.chains.get(one).is_first {
                    pairs.extend(rest.iter().map(|&other| (one, other)));
                }
            }
        }
        pairs
    }

    /// A cycle that this level forbids, with Adya's name for it.
    fn cycle(&self, links: &[Link]) -> Option<(&'static str, Vec<Step>)> {
        let edges = links.iter().map(|l| (l.from, l.to, l.why)).collect();
        let graph = Graph::new(self.part.len(), self.part.len(), edges);
        let found = graph::search(&graph, u64::MAX);
        found.cycles.into_iter().find_map(|cycle| {
            let plain = cycle.name.trim_end_matches("-process");
            let plain = plain.trim_end_matches("-realtime");
            let kinds = ["G0", "G1c", "G-single", "G-nonadjacent", "G2-item"];
            let kind = kinds.into_iter().find(|kind| *kind == plain)?;
            let allowed = self.level.isolation == Isolation::Snapshot && kind == "G2-item";
            (!allowed).then_some((kind, cycle.steps))
        })
    }

    /// Why one comes before another, in a sentence.
    fn because(&self, links: &[Link], (from, to, why): Step) -> String {
        let (one, other) = (self.name(from), self.name(to));
        let link = links
            .iter()
            .find(|link| link.from == from && link.to == to && link.why.meets(why));
        let key = link.and_then(|link| self.txns.key(link.key));
        let key = key.map(Scalar::to_string).unwrap_or_default();
        let because = if why.meets(Why::WR) {
            format!("{other} saw what it wrote to {key}")
        } else if why.meets(Why::RW) {
            format!("{other} overwrote what it had read of {key}")
        } else if why.meets(Why::WW) {
            format!("{other} overwrote what it wrote to {key}")
        } else if why.meets(Why::PROCESS) {
            "its client called it first".to_owned()
        } else {
            format!("it had ended when {other} was invoked")
        };
        format!("{one} comes before {other}, because {because}.")
    }

    /// Why neither order of some writes works out.
    fn cases(&self, links: &mut Vec<Link>) -> Vec<String> {
        let mut facts = Vec::new();
        loop {
            let mut fresh = false;
            for (one, other) in self.pairs() {
                let refuted = |pair: Pair| {
                    let mut more = links.clone();
                    self.place(pair.0, pair.1, &mut more);
                    let (_, cycle) = self.cycle(&more)?;
                    let steps = cycle.iter().map(|step| self.because(&more, *step));
                    Some(steps.collect::<Vec<String>>().join(" "))
                };
                let ways = [(one, other), (other, one)];
                let known = |pair: &Pair| {
                    let mut more = links.clone();
                    let before = more.len();
                    self.place(pair.0, pair.1, &mut more);
                    more.get(before..)
                        .unwrap_or(&[])
                        .iter()
                        .all(|l| links.contains(l))
                };
                if ways.iter().any(known) {
                    continue;
                }
                for (first, second) in ways {
                    let Some(why) = refuted((first, second)) else {
                        continue;
                    };
                    facts.push(format!("{} {why}", self.suppose(first, second)));
                    self.place(second, first, links);
                    fresh = true;
                    if let Some((_, cycle)) = self.cycle(links) {
                        facts.push("The other way round:".to_owned());
                        facts.extend(cycle.iter().map(|step| self.because(links, *step)));
                        return facts;
                    }
                    break;
                }
            }
            if !fresh {
                facts.push(
                    "No order of the other writes explains what was read, whichever way each pair \
                     of writes of the same register goes."
                        .to_owned(),
                );
                return facts;
            }
        }
    }

    fn suppose(&self, first: u32, second: u32) -> String {
        let (one, other) = (self.chains.get(first), self.chains.get(second));
        let (Some(old), Some(new)) = (self.part.writer(one.tail), self.part.writer(other.head))
        else {
            return String::new();
        };
        let key = self.txns.key(one.key).map(Scalar::to_string);
        format!(
            "{} cannot have written {} before {}, for then they would go in a circle:",
            self.name(old),
            key.unwrap_or_default(),
            self.name(new)
        )
    }
}

type Step = (u32, u32, Why);

/// That a transaction comes before another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Link {
    from: u32,
    to: u32,
    why: Why,
    key: u32,
}

impl Link {
    const fn new(from: u32, to: u32, why: Why, key: u32) -> Self {
        Self { from, to, why, key }
    }
}

/// Whether a transaction comes before another by what the second could see.
fn depends(links: &[Link], from: u32, to: u32) -> bool {
    let mut reached = vec![from];
    let mut next = 0;
    while let Some(&txn) = reached.get(next) {
        next += 1;
        for link in links {
            if link.from == txn && !link.why.meets(Why::RW) && !reached.contains(&link.to) {
                if link.to == to {
                    return true;
                }
                reached.push(link.to);
            }
        }
    }
    false
}
