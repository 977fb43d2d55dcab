//! Leaves out what cannot matter.

use rustc_hash::FxHashSet;

use super::{Entry, Value};
use crate::engine::Op;

/// The entries without those of unknown end whose value nobody needs; the others of which nobody
/// needs the value are marked idle.
///
/// A value is needed if an operation that took effect observed it, or a kept compare-and-set of
/// unknown end expects it. Lossless: take an order that contains a mutator whose value is not
/// needed; whatever comes next in it does not look at that value, so the order holds without it.
/// (This would not be so if failed compare-and-sets counted as observers of *another* value.)
pub(crate) fn prune<'a>(entries: &[Entry<'a>]) -> Vec<Entry<'a>> {
    let certain = |e: &&Entry<'_>| e.op.ret.is_some();
    let mut needed: FxHashSet<Value> = entries
        .iter()
        .filter(certain)
        .filter_map(|e| e.op.step.needs())
        .collect();
    let optional: Vec<&Entry<'_>> = entries.iter().filter(|e| e.op.ret.is_none()).collect();
    loop {
        let before = needed.len();
        for entry in &optional {
            if entry
                .op
                .step
                .sets()
                .is_some_and(|value| needed.contains(&value))
            {
                needed.extend(entry.op.step.needs());
            }
        }
        if needed.len() == before {
            break;
        }
    }
    let idle = |e: &Entry<'_>| {
        e.op.step
            .sets()
            .is_some_and(|value| !needed.contains(&value))
    };
    let mut kept: Vec<Entry<'a>> = Vec::new();
    for entry in entries {
        let idle = idle(entry);
        if entry.op.ret.is_some() || !idle {
            let op = Op { idle, ..entry.op };
            kept.push(Entry { op, ..*entry });
        }
    }
    kept
}
