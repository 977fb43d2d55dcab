//! Refused compare-and-sets of a register that needs no search.
//!
//! That its blocks can be put in an order says nothing of refusals: each needs a moment at which
//! its value was not there. Here one order of the blocks is made (a forward zone stands at its
//! first return, a backward one at its last call, or after the forward zone in which that lies),
//! and each refusal gets the first place in it that will do. If one has none, another order of
//! the blocks may have: then a search has to tell.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use tribunal_results::Call;

use super::{ABSENT, Entry, Value, prune};

/// The end of time.
const NEVER: u64 = u64::MAX;

/// The calls in an order in which every refusal has a place; `None` if none was found. The values
/// of the entries are unique, and the entries have an order.
pub(crate) fn order<'a>(
    entries: &[Entry<'a>],
    refused: &[(Value, &'a Call)],
) -> Option<Vec<&'a Call>> {
    let kept = prune(entries);
    let places = Blocks::new(&kept)?.points();
    let mut sequence: Vec<(&Entry<'a>, _)> = kept
        .iter()
        .map(|entry| {
            let value = entry.op.step.leaves() as usize;
            let is_reader = entry.op.step.sets().is_none();
            Some((entry, (*places.get(value)?, is_reader, entry.op.call)))
        })
        .collect::<Option<_>>()?;
    sequence.sort_unstable_by_key(|(_, place)| *place);
    let sequence: Vec<&Entry<'a>> = sequence.into_iter().map(|(entry, _)| entry).collect();
    let mut slots = slots(&sequence, refused)?.into_iter().peekable();
    let mut order = Vec::new();
    for at in 0..=sequence.len() {
        while let Some((_, call)) = slots.next_if(|(slot, _)| *slot == at) {
            order.push(call);
        }
        order.extend(sequence.get(at).map(|entry| entry.call));
    }
    Some(order)
}

/// Of each value, where it stands: its block's first value and its distance from that.
struct Blocks {
    stands: Vec<(usize, u32)>,
    /// Of each block's first value: the block's first return and last call, plus one.
    zones: Vec<(u64, u64)>,
}

impl Blocks {
    fn new(entries: &[Entry<'_>]) -> Option<Self> {
        let leaves = |entry: &Entry<'_>| entry.op.step.leaves();
        let largest = entries.iter().map(leaves).max().unwrap_or_default() as usize;
        let mut from = vec![None; largest + 1];
        for entry in entries {
            if let (Some(to), Some(expected)) = (entry.op.step.sets(), entry.op.step.needs()) {
                *from.get_mut(to as usize)? = Some(expected as usize);
            }
        }
        let mut stands: Vec<Option<(usize, u32)>> = vec![None; from.len()];
        for value in 0..from.len() {
            let (mut chain, mut at) = (Vec::new(), value);
            let (first, mut distance) = loop {
                match (stands.get(at)?, from.get(at)?) {
                    (Some(known), _) => break *known,
                    (None, None) => break (at, 0),
                    (None, Some(before)) => {
                        chain.push(at);
                        at = *before;
                    }
                }
            };
            *stands.get_mut(at)? = Some((first, distance));
            for value in chain.into_iter().rev() {
                distance += 1;
                *stands.get_mut(value)? = Some((first, distance));
            }
        }
        let stands: Vec<_> = stands.into_iter().collect::<Option<_>>()?;
        let mut zones = vec![(NEVER, 0); stands.len()];
        *zones.get_mut(ABSENT as usize)? = (0, 0);
        for entry in entries {
            let (first, _) = *stands.get(leaves(entry) as usize)?;
            let (first_ret, last_call) = zones.get_mut(first)?;
            *first_ret = entry
                .op
                .ret
                .map_or(*first_ret, |ret| (ret + 1).min(*first_ret));
            *last_call = (entry.op.call + 1).max(*last_call);
        }
        Some(Self { stands, zones })
    }

    /// What to sort values by: the instant of their block, the block, and the place in it.
    fn points(&self) -> Vec<(u64, usize, u32)> {
        let zones = self.zones.iter().copied();
        let mut forward: Vec<(u64, u64)> = zones.filter(|(first, last)| first < last).collect();
        forward.sort_unstable();
        let point = |(first_ret, last_call): (u64, u64)| {
            if first_ret < last_call {
                return first_ret;
            }
            let before = forward.partition_point(|(first, _)| *first < last_call);
            let around = before.checked_sub(1).and_then(|at| forward.get(at));
            around.map_or(last_call, |(_, last)| last_call.max(*last))
        };
        let stands = self.stands.iter().map(|&(first, distance)| {
            let zone = self.zones.get(first).copied().unwrap_or_default();
            (point(zone), first, distance)
        });
        stands.collect()
    }
}

/// Before which place of the sequence each refusal comes, in order; `None` if one has no place.
fn slots<'a>(
    sequence: &[&Entry<'a>],
    refused: &[(Value, &'a Call)],
) -> Option<Vec<(usize, &'a Call)>> {
    let ends = from_the_end(sequence, NEVER, |entry, ret, _| {
        entry.op.ret.unwrap_or(NEVER).min(ret)
    });
    let mut latest = 0;
    let begins: Vec<u64> = sequence
        .iter()
        .map(|entry| {
            latest = entry.op.call.max(latest);
            latest
        })
        .collect();
    // Where the value that is there before each place is gone.
    let gone = from_the_end(sequence, sequence.len() + 1, |entry, gone, at| {
        if there(sequence, at) == entry.op.step.leaves() {
            gone
        } else {
            at + 1
        }
    });
    let (mut found, mut open, mut floor) = (Vec::new(), BinaryHeap::new(), 0);
    for &(value, call) in refused {
        let (called, ret) = (call.invoked.index, call.returned()?);
        while let Some(&Reverse((_, slot))) = open.peek().filter(|Reverse((end, _))| *end < called)
        {
            floor = floor.max(slot);
            open.pop();
        }
        let mut slot = ends.partition_point(|end| *end < called).max(floor);
        if there(sequence, slot) == value {
            slot = gone.get(slot).copied().unwrap_or(usize::MAX);
        }
        if slot > begins.partition_point(|begin| *begin <= ret) {
            return None;
        }
        open.push(Reverse((ret, slot)));
        found.push((slot, call));
    }
    found.sort_by_key(|(slot, _)| *slot);
    Some(found)
}

/// The value that is there before that place.
fn there(sequence: &[&Entry<'_>], at: usize) -> Value {
    let before = at.checked_sub(1).and_then(|at| sequence.get(at));
    before.map_or(ABSENT, |entry| entry.op.step.leaves())
}

/// Of each place, what comes of it and what came of the next one.
fn from_the_end<T: Copy>(
    sequence: &[&Entry<'_>],
    last: T,
    next: impl Fn(&Entry<'_>, T, usize) -> T,
) -> Vec<T> {
    let mut after = last;
    let mut all: Vec<T> = (sequence.iter().enumerate().rev())
        .map(|(at, entry)| {
            after = next(entry, after, at);
            after
        })
        .collect();
    all.reverse();
    all
}
