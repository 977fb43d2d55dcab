//! The order of a list's versions, and what it says about transactions.

use rustc_hash::{FxHashMap, FxHashSet};
use tribunal_results::{Anomaly, Call, Micro, Scalar};

use super::reads::{List, Read};
use crate::explain;
use crate::graph::Why;
use crate::transactions::{
    Because, Collected, Told, Txn, UNORDERED_EDGES_MAX, Writers, anomaly, call, happened, leads,
    name, works_on,
};

impl<'a> List<'a> {
    /// Tells what no order of transactions explains in the reads of this list alone.
    pub(super) fn judge(&mut self, txns: &[Txn<'a>], anomalies: &mut Collected) {
        let longest = self.reads.iter().find(|read| read.seen == self.order);
        if let Some(longest) = longest.copied() {
            self.elements(txns, &longest, anomalies);
            let mut strays: Vec<Read<'a>> = self.reads.clone();
            strays.retain(|read| !self.order.starts_with(read.seen));
            for read in &strays {
                self.elements(txns, read, anomalies);
                anomalies.push(self.incompatible(txns, &longest, read));
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
    fn elements(&mut self, txns: &[Txn<'a>], read: &Read<'a>, anomalies: &mut Collected) {
        let mut met: FxHashSet<&Scalar> = FxHashSet::default();
        let mut aborted: Option<(&Scalar, &Call)> = None;
        let mut last: Option<(u32, u32)> = None;
        for element in read.seen {
            let writers = self.writers.get(element);
            let unique = writers.is_none_or(|writers| writers.len() <= 1);
            if !met.insert(element) && unique {
                self.broken = true;
                anomalies.extend(self.tell("duplicate-elements", txns, read, element, &[]));
                continue;
            }
            let writer = self.writer(element);
            if writer.is_some_and(|(txn, step)| last.is_some_and(|l| l.0 == txn && l.1 > step)) {
                self.broken = true;
                let calls: Vec<&Call> = writer.iter().filter_map(|w| call(txns, w.0)).collect();
                anomalies.extend(self.tell("incompatible-order", txns, read, element, &calls));
            }
            last = writer;
            let Some(writers) = writers else {
                anomalies.extend(self.tell("phantom-value", txns, read, element, &[]));
                continue;
            };
            let calls: Vec<&Call> = writers.iter().filter_map(|w| call(txns, w.0)).collect();
            if calls.iter().all(|call| call.is_fail()) {
                anomalies.extend(self.tell("G1a", txns, read, element, &calls));
                aborted = calls.first().map(|call| (element, *call)).or(aborted);
            } else if let Some((under, failed)) = aborted.take() {
                let calls = [&[failed], calls.as_slice()].concat();
                anomalies.extend(self.tell("dirty-update", txns, read, under, &calls));
            }
        }
    }

    fn tell(
        &self,
        anomaly_name: &str,
        txns: &[Txn<'a>],
        read: &Read<'a>,
        element: &Scalar,
        others: &[&'a Call],
    ) -> Option<Anomaly> {
        let reader = call(txns, read.txn)?;
        let key = self.key;
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
            facts: vec![self.saw(read, reader)],
            calls: &calls,
        }))
    }

    fn saw(&self, read: &Read<'a>, reader: &Call) -> String {
        format!(
            "{} read {} → {}.",
            name(reader),
            self.key,
            tribunal_results::Seen::List(read.seen.to_vec())
        )
    }

    fn incompatible(&self, txns: &[Txn<'a>], longest: &Read<'a>, read: &Read<'a>) -> Anomaly {
        let calls: Vec<&Call> = [longest, read]
            .into_iter()
            .filter_map(|read| call(txns, read.txn))
            .collect();
        let reads = [longest, read].into_iter().zip(&calls);
        let names: Vec<String> = calls.iter().map(|call| name(call)).collect();
        anomaly(Told {
            name: "incompatible-order",
            key: Some(self.key),
            sentence: format!(
                "{} read {} in different orders",
                names.join(" and "),
                self.key
            ),
            facts: reads.map(|(read, call)| self.saw(read, call)).collect(),
            calls: &calls,
        })
    }

    /// The one transaction that appended the element.
    fn writer(&self, element: &Scalar) -> Option<(u32, u32)> {
        match self.writers.get(element).map(Writers::as_slice) {
            Some([writer]) => Some(*writer),
            _ => None,
        }
    }

    /// A read that ends in the middle of another transaction's appends.
    fn intermediate(&self, txns: &[Txn<'a>], read: &Read<'a>) -> Option<Anomaly> {
        let last = read.seen.get(read.before.checked_sub(1)?)?;
        let (writer, step) = self.writer(last).filter(|(txn, _)| *txn != read.txn)?;
        let txn = txns.get(writer as usize)?;
        let mut later = txn.micros.iter().skip(step as usize + 1);
        let more = later.any(|micro| matches!(micro, Micro::Append { key, .. } if key == self.key));
        if !more || txn.call.is_fail() {
            return None;
        }
        self.tell("G1b", txns, read, last, &[txn.call])
    }

    /// Transactions that read the same version and both appended to it.
    fn lost_updates(&self, txns: &[Txn<'a>], anomalies: &mut Collected) {
        let mut first: FxHashMap<usize, u32> = FxHashMap::default();
        for read in &self.reads {
            let appends = |txn: &Txn<'_>| {
                let mut micros = txn.micros.iter();
                micros.any(|m| matches!(m, Micro::Append { key, .. } if key == self.key))
            };
            if !txns.get(read.txn as usize).is_some_and(appends) {
                continue;
            }
            let earlier = *first.entry(read.before).or_insert(read.txn);
            let calls = (call(txns, earlier), call(txns, read.txn));
            if let (true, (Some(one), Some(other))) = (earlier != read.txn, calls) {
                let (one_name, other_name) = (name(one), name(other));
                anomalies.push(anomaly(Told {
                    name: "lost-update",
                    key: Some(self.key),
                    sentence: format!(
                        "{one_name} and {other_name} both appended to the same version of {}",
                        self.key
                    ),
                    facts: vec![format!(
                        "Both read {} with {} and then appended to it: whichever came second did \
                         not see the other.",
                        self.key,
                        explain::count(read.before, "element"),
                    )],
                    calls: &[one, other],
                }));
            }
        }
    }

    /// Of each element in the order, the transaction that appended it, if it took effect.
    fn nodes(&self, txns: &[Txn<'a>]) -> Vec<Option<u32>> {
        let node = |element| self.writer(element).map(|(txn, _)| txn);
        let order = self.order.iter();
        order
            .map(|e| node(e).filter(|txn| happened(txns, *txn)))
            .collect()
    }

    /// Appends that took effect and that no read returned: they come after all that was read.
    fn unread(&self, txns: &[Txn<'a>]) -> Vec<u32> {
        let read: FxHashSet<&Scalar> = self.order.iter().collect();
        let unread = self
            .writers
            .iter()
            .filter(|(element, _)| !read.contains(*element));
        let mut unread: Vec<u32> = unread.flat_map(|(_, w)| w.iter().map(|w| w.0)).collect();
        unread.retain(|txn| happened(txns, *txn));
        unread.sort_unstable();
        unread.dedup();
        unread
    }

    /// Adds the dependencies that the order of versions gives.
    pub(super) fn edges(&self, txns: &[Txn<'a>], edges: &mut Vec<(u32, u32, Why)>) {
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
    pub(super) fn why(&self, txns: &[Txn<'a>], from: u32, to: u32, why: Why) -> Option<Because> {
        if !works_on(txns, from, self.key) || !works_on(txns, to, self.key) {
            return None;
        }
        let mut edges = Vec::new();
        self.edges(txns, &mut edges);
        if !leads(&edges, from, to, why) {
            return None;
        }
        let key = self.key;
        let place = |txn: u32| {
            let appended =
                move |e: &Scalar| self.writer(e).is_some_and(|(writer, _)| writer == txn);
            let places = self.order.iter().enumerate();
            places
                .filter(move |(_, e)| appended(e))
                .map(|(place, e)| (place, e.clone()))
        };
        let new = place(to).next().map(|(_, element)| element);
        let new = new.or_else(|| self.appended(txns, to));
        if why.meets(Why::ANTI) {
            let read = self.reads.iter().find(|read| read.txn == from)?;
            let new = place(to)
                .find(|(at, _)| *at >= read.before)
                .map(|(_, e)| e)
                .or(new)?;
            return Some(Because {
                text: format!("it read {key} without {new}, which the other appended"),
                shown_by: Vec::new(),
            });
        }
        let (at, old) = if why.meets(Why::WR) {
            let read = self.reads.iter().find(|read| read.txn == to)?;
            let old = place(from).rfind(|(at, _)| *at < read.before)?.1;
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
                "it appended {old} to {key} before the other appended {}",
                new?
            ),
            shown_by: read.map(|read| read.txn).into_iter().collect(),
        })
    }

    fn appended(&self, txns: &[Txn<'a>], txn: u32) -> Option<Scalar> {
        txns.get(txn as usize)?
            .micros
            .iter()
            .find_map(|micro| match micro {
                Micro::Append { key, value } if key == self.key => Some(value.clone()),
                _ => None,
            })
    }
}
