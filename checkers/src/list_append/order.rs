//! The order of a list's versions, and what it says about transactions.

use rustc_hash::{FxHashMap, FxHashSet};
use tribunal_results::{Anomaly, Call, Scalar, Seen};

use super::reads::{List, Read};
use crate::explain;
use crate::graph::Why;
use crate::normal::{Did, Origin, Transactions};
use crate::transactions::{
    Because, Collected, Told, UNORDERED_EDGES_MAX, anomaly, leads, name, works_on,
};

/// In place of a reader: none that wrote anything itself.
const NOBODY: u32 = u32::MAX;

impl<'t> List<'t> {
    /// Tells what no order of transactions explains in the reads of this list alone.
    pub(super) fn judge(&mut self, txns: &Transactions<'_>, anomalies: &mut Collected) {
        let longest = self.reads.iter().find(|read| read.seen == self.order);
        if let Some(longest) = longest.copied() {
            self.elements(txns, &longest, anomalies);
            let mut strays: Vec<Read<'t>> = self.reads.clone();
            strays.retain(|read| !self.order.starts_with(read.seen));
            for read in &strays {
                self.elements(txns, read, anomalies);
                anomalies.extend(self.incompatible(txns, &longest, read));
                self.broken = true;
            }
        }
        for read in &self.reads {
            anomalies.extend(self.intermediate(txns, read));
        }
        if !self.broken {
            self.lost_updates(txns, anomalies);
        }
    }

    /// Elements that are there twice, or were never committed or never appended.
    fn elements(&mut self, txns: &Transactions<'_>, read: &Read<'t>, anomalies: &mut Collected) {
        let mut met: FxHashSet<u32> = FxHashSet::default();
        let mut aborted: Option<(u32, &Call)> = None;
        let mut last: Option<(u32, u32)> = None;
        for &element in read.seen {
            let origin = txns.origin(NOBODY, self.key, Some(element));
            if !met.insert(element) && origin != Origin::Several {
                self.broken = true;
                anomalies.extend(self.tell("duplicate-elements", txns, read, element, &[]));
                continue;
            }
            let writer = txns.writer(self.key, element);
            let call = writer.and_then(|writer| txns.call(writer.0));
            if writer.is_some_and(|(txn, step)| last.is_some_and(|l| l.0 == txn && l.1 > step)) {
                self.broken = true;
                anomalies.extend(self.tell(
                    "incompatible-order",
                    txns,
                    read,
                    element,
                    call.as_slice(),
                ));
            }
            last = writer;
            match (origin, call) {
                (Origin::Nobody, _) => {
                    anomalies.extend(self.tell("phantom-value", txns, read, element, &[]));
                }
                (Origin::Failed(_), _) => {
                    anomalies.extend(self.tell("G1a", txns, read, element, call.as_slice()));
                    aborted = call.map(|call| (element, call)).or(aborted);
                }
                (_, Some(call)) => {
                    if let Some((under, failed)) = aborted.take() {
                        let calls = [failed, call];
                        anomalies.extend(self.tell("dirty-update", txns, read, under, &calls));
                    }
                }
                _ => {}
            }
        }
    }

    fn tell(
        &self,
        anomaly_name: &str,
        txns: &Transactions<'_>,
        read: &Read<'t>,
        element: u32,
        others: &[&Call],
    ) -> Option<Anomaly> {
        let reader = txns.call(read.txn)?;
        let (key, element) = (txns.key(self.key)?, txns.value(element)?);
        let what = match anomaly_name {
            "duplicate-elements" => format!("{key} with {element} in it twice"),
            "phantom-value" => format!("{element} in {key}, which nobody appended"),
            "dirty-update" => {
                format!("{key} with elements appended after {element}, which was never committed")
            }
            "incompatible-order" => {
                format!("{key} with {element} after what its transaction appended later")
            }
            "G1b" => format!("{key} only up to {element}, in the middle of a transaction"),
            _ => format!("{element} in {key}, of a transaction that failed"),
        };
        let mut calls = vec![reader];
        calls.extend(others);
        Some(anomaly(Told {
            name: anomaly_name,
            key: Some(key),
            sentence: format!("{} read {what}", name(reader)),
            facts: vec![self.saw(txns, read, reader)],
            calls: &calls,
        }))
    }

    fn saw(&self, txns: &Transactions<'_>, read: &Read<'t>, reader: &Call) -> String {
        let key = txns
            .key(self.key)
            .map(Scalar::to_string)
            .unwrap_or_default();
        let seen = read
            .seen
            .iter()
            .filter_map(|value| txns.value(*value).cloned());
        format!(
            "{} read {key} → {}.",
            name(reader),
            Seen::List(seen.collect())
        )
    }

    fn incompatible(
        &self,
        txns: &Transactions<'_>,
        longest: &Read<'t>,
        read: &Read<'t>,
    ) -> Option<Anomaly> {
        let key = txns.key(self.key)?;
        let calls: Vec<&Call> = [longest, read]
            .into_iter()
            .filter_map(|read| txns.call(read.txn))
            .collect();
        let reads = [longest, read].into_iter().zip(&calls);
        let names: Vec<String> = calls.iter().map(|call| name(call)).collect();
        Some(anomaly(Told {
            name: "incompatible-order",
            key: Some(key),
            sentence: format!("{} read {key} in different orders", names.join(" and ")),
            facts: reads
                .map(|(read, call)| self.saw(txns, read, call))
                .collect(),
            calls: &calls,
        }))
    }

    /// A read that ends in the middle of another transaction's appends.
    fn intermediate(&self, txns: &Transactions<'_>, read: &Read<'t>) -> Option<Anomaly> {
        let last = *read.seen.get(read.before.checked_sub(1)?)?;
        let Origin::Middle(writer) = txns.origin(read.txn, self.key, Some(last)) else {
            return None;
        };
        self.tell("G1b", txns, read, last, txns.call(writer).as_slice())
    }

    /// Transactions that read the same version and both appended to it.
    fn lost_updates(&self, txns: &Transactions<'_>, anomalies: &mut Collected) {
        let mut first: FxHashMap<usize, u32> = FxHashMap::default();
        for read in &self.reads {
            if self.appended(txns, read.txn).is_none() {
                continue;
            }
            let earlier = *first.entry(read.before).or_insert(read.txn);
            let calls = (txns.call(earlier), txns.call(read.txn));
            if let (true, (Some(one), Some(other)), Some(key)) =
                (earlier != read.txn, calls, txns.key(self.key))
            {
                let (one_name, other_name) = (name(one), name(other));
                anomalies.push(anomaly(Told {
                    name: "lost-update",
                    key: Some(key),
                    sentence: format!(
                        "{one_name} and {other_name} both appended to the same version of {key}"
                    ),
                    facts: vec![format!(
                        "Both read {key} with {} and then appended to it: whichever came second did \
                         not see the other.",
                        explain::count(read.before, "element"),
                    )],
                    calls: &[one, other],
                }));
            }
        }
    }

    /// Of each element in the order, the transaction that appended it, if it took effect.
    fn nodes(&self, txns: &Transactions<'_>) -> Vec<Option<u32>> {
        let node = |element: &u32| txns.writer(self.key, *element).map(|(txn, _)| txn);
        let nodes = self.order.iter().map(node);
        nodes
            .map(|txn| txn.filter(|txn| txns.happened(*txn)))
            .collect()
    }

    /// Appends that took effect and that no read returned: they come after all that was read.
    fn unread(&self, txns: &Transactions<'_>) -> Vec<u32> {
        let read: FxHashSet<u32> = self.order.iter().copied().collect();
        let unread = self
            .appends
            .iter()
            .filter(|(_, value)| !read.contains(value));
        let mut unread: Vec<u32> = unread.map(|append| append.0).collect();
        unread.dedup();
        unread.retain(|txn| txns.happened(*txn));
        unread
    }

    /// Adds the dependencies that the order of versions gives.
    pub(super) fn edges(&self, txns: &Transactions<'_>, edges: &mut Vec<(u32, u32, Why)>) {
        if self.broken {
            return;
        }
        let nodes = self.nodes(txns);
        // Of each version, the last transaction up to it and the next after it.
        let mut before: Vec<Option<u32>> = vec![None];
        for node in &nodes {
            before.push(node.or(before.last().copied().flatten()));
        }
        let mut after: Vec<Option<u32>> = vec![None];
        for node in nodes.iter().rev() {
            after.push(node.or(after.last().copied().flatten()));
        }
        after.reverse();
        let at = |of: &[Option<u32>], version: usize| of.get(version).copied().flatten();
        for (version, node) in nodes.iter().enumerate() {
            if let (Some(node), Some(earlier)) = (node, at(&before, version)) {
                edges.push((earlier, *node, Why::WW));
            }
        }
        let unread = self.unread(txns);
        let last = before.last().copied().flatten();
        edges.extend(
            last.iter()
                .flat_map(|last| unread.iter().map(|new| (*last, *new, Why::WW))),
        );
        let mut allowed = UNORDERED_EDGES_MAX;
        for read in &self.reads {
            if let Some(writer) = at(&before, read.before) {
                edges.push((writer, read.txn, Why::WR));
            }
            if let Some(next) = at(&after, read.before) {
                edges.push((read.txn, next, Why::RW));
            } else {
                let new = unread.iter().take(allowed);
                edges.extend(new.map(|new| (read.txn, *new, Why::RW)));
                allowed = allowed.saturating_sub(unread.len());
            }
        }
    }

    /// Why one transaction comes before another, in this list.
    pub(super) fn why(
        &self,
        txns: &Transactions<'_>,
        from: u32,
        to: u32,
        why: Why,
    ) -> Option<Because> {
        if !works_on(txns, from, self.key) || !works_on(txns, to, self.key) {
            return None;
        }
        let mut edges = Vec::new();
        self.edges(txns, &mut edges);
        if !leads(&edges, from, to, why) {
            return None;
        }
        let key = txns.key(self.key)?;
        let place = |txn: u32| {
            let of = move |element: u32| txns.writer(self.key, element).map(|writer| writer.0);
            let places = self.order.iter().copied().enumerate();
            places.filter(move |(_, element)| of(*element) == Some(txn))
        };
        let new = place(to).next().map(|(_, element)| element);
        let new = new.or_else(|| self.appended(txns, to));
        if why.meets(Why::ANTI) {
            let read = self.reads.iter().find(|read| read.txn == from)?;
            let new = place(to)
                .find(|(at, _)| *at >= read.before)
                .map(|(_, e)| e)
                .or(new)
                .and_then(|new| txns.value(new))?;
            return Some(Because {
                text: format!("it read {key} without {new}, which the other appended"),
                shown_by: Vec::new(),
            });
        }
        let (at, old) = if why.meets(Why::WR) {
            let read = self.reads.iter().find(|read| read.txn == to)?;
            let (_, old) = place(from).rfind(|(at, _)| *at < read.before)?;
            let old = txns.value(old)?;
            return Some(Because {
                text: format!("it appended {old} to {key}, which the other read"),
                shown_by: Vec::new(),
            });
        } else {
            place(from).next_back()?
        };
        let mut shown = self.reads.iter().filter(|read| read.seen.len() > at);
        let own = shown.clone().find(|read| [from, to].contains(&read.txn));
        let read = own.or_else(|| shown.find(|read| read.seen.len() == self.order.len()));
        Some(Because {
            text: format!(
                "it appended {} to {key} before the other appended {}",
                txns.value(old)?,
                txns.value(new?)?
            ),
            shown_by: read.map(|read| read.txn).into_iter().collect(),
        })
    }

    /// What the transaction appended first.
    fn appended(&self, txns: &Transactions<'_>, txn: u32) -> Option<u32> {
        let mut steps = txns.steps(txn);
        let append = steps.find(|step| (step.did, step.key) == (Did::Appended, self.key));
        append.map(|append| append.value)
    }
}
