//! Refused compare-and-sets of a register that needs no search.
//!
//! That its blocks can be put in an order says nothing of refusals: each needs a moment at which
//! its value was not there. Here one order of the blocks is made (a forward zone stands at its
//! first return, a backward one at its last call, or after the forward zone in which that lies),
//! and each refusal gets the first place in it that will do. If one has none, perhaps a mutator of
//! unknown end whose value nobody saw took the value away between two blocks. Otherwise another
//! order of the blocks may have one: then a search has to tell.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use rustc_hash::{FxHashMap, FxHashSet};
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
    let sequence = Blocks::new(&kept)?.sequence(&kept);
    let spares = Spares::of(entries, &kept, refused);
    let mut slots = slots(&sequence, refused, spares)?.into_iter().peekable();
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

    /// The entries in the order of their blocks, in these by the order of their values, of each
    /// value the writer first.
    fn sequence<'e, 'a>(&self, entries: &'e [Entry<'a>]) -> Vec<&'e Entry<'a>> {
        let points = self.points();
        let mut values: Vec<usize> = (0..points.len()).collect();
        values.sort_unstable_by_key(|value| points.get(*value));
        let mut ranks = vec![0; values.len()];
        for (rank, value) in values.into_iter().enumerate() {
            if let Some(place) = ranks.get_mut(value) {
                *place = rank;
            }
        }
        let group = |entry: &Entry<'_>| {
            let rank = ranks.get(entry.op.step.leaves() as usize);
            2 * rank.copied().unwrap_or_default() + usize::from(entry.op.step.sets().is_none())
        };
        // By counting: how many come before each group, and then each in its place.
        let mut starts = vec![0; 2 * ranks.len() + 1];
        for entry in entries {
            if let Some(count) = starts.get_mut(group(entry) + 1) {
                *count += 1;
            }
        }
        let mut before = 0;
        for count in &mut starts {
            before += *count;
            *count = before;
        }
        let mut sequence: Vec<&Entry<'a>> = entries.iter().collect();
        for entry in entries {
            if let Some(next) = starts.get_mut(group(entry)) {
                if let Some(place) = sequence.get_mut(*next) {
                    *place = entry;
                }
                *next += 1;
            }
        }
        sequence
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

/// Mutators of unknown end whose value nobody needs, nor was refused for: each to be used once.
struct Spares<'a> {
    /// Writes, in the order of invocation.
    writes: VecDeque<&'a Call>,
    /// The first compare-and-set that expects each value.
    swaps: FxHashMap<Value, &'a Call>,
}

impl<'a> Spares<'a> {
    /// Those of the entries that were not kept.
    fn of(entries: &[Entry<'a>], kept: &[Entry<'a>], refused: &[(Value, &'a Call)]) -> Self {
        let asked: FxHashSet<Value> = refused.iter().map(|(value, _)| *value).collect();
        let mut spares = Self {
            writes: VecDeque::new(),
            swaps: FxHashMap::default(),
        };
        // Both are in the order of invocation.
        let mut kept = kept.iter().peekable();
        for entry in entries {
            let is_kept = kept.next_if(|kept| kept.is(entry)).is_some();
            if is_kept || asked.contains(&entry.op.step.leaves()) {
                continue;
            }
            match entry.op.step.needs() {
                None => spares.writes.push_back(entry.call),
                Some(value) => drop(spares.swaps.entry(value).or_insert(entry.call)),
            }
        }
        spares
    }

    /// One that was called before that instant and can take the value away.
    fn take(&mut self, value: Value, before: u64) -> Option<&'a Call> {
        let in_time = |call: &&Call| call.invoked.index < before;
        if let Some(call) = self.swaps.get(&value).filter(|call| in_time(call)) {
            return Some(call);
        }
        self.writes.front().filter(|call| in_time(call))?;
        self.writes.pop_front()
    }
}

/// A refusal and before which place of the sequence it comes.
struct Slot<'a> {
    at: usize,
    call: &'a Call,
    /// Whether something else has to take the value away first.
    needs_spare: bool,
}

/// Before which place of the sequence each refusal comes, and each mutator that is used for one,
/// in order; `None` if one has no place.
fn slots<'a>(
    sequence: &[&Entry<'a>],
    refused: &[(Value, &'a Call)],
    spares: Spares<'a>,
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
        let mut at = ends.partition_point(|end| *end < called).max(floor);
        if there(sequence, at) == value {
            at = gone.get(at).copied().unwrap_or(sequence.len() + 1);
        }
        let last = begins.partition_point(|begin| *begin <= ret);
        // Its block may end earlier than the next one begins.
        let needs_spare = at > last;
        if needs_spare {
            at -= 1;
            let next = sequence.get(at).and_then(|entry| entry.op.step.needs());
            if at > last || next == Some(value) {
                return None;
            }
        }
        open.push(Reverse((ret, at)));
        found.push(Slot {
            at,
            call,
            needs_spare,
        });
    }
    found.sort_by_key(|slot| slot.at);
    with_spares(sequence, &ends, &found, spares)
}

/// The refusals, with a mutator before the first at each place that needs one. It must have been
/// called before anything that comes after it returned.
fn with_spares<'a>(
    sequence: &[&Entry<'a>],
    ends: &[u64],
    found: &[Slot<'a>],
    mut spares: Spares<'a>,
) -> Option<Vec<(usize, &'a Call)>> {
    // When each is due, and before which refusal it comes.
    let mut due: Vec<(u64, usize)> = Vec::new();
    let mut first = 0;
    for group in found.chunk_by(|a, b| a.at == b.at) {
        if let Some(at) = group.iter().position(|slot| slot.needs_spare) {
            let after = group.iter().skip(at);
            let rets = after.filter_map(|slot| slot.call.returned());
            let next = group.first().and_then(|slot| ends.get(slot.at)).copied();
            due.push((rets.chain(next).min().unwrap_or(NEVER), first + at));
        }
        first += group.len();
    }
    due.sort_unstable();
    let mut used: FxHashMap<usize, &Call> = FxHashMap::default();
    for (end, at) in due {
        let value = there(sequence, found.get(at)?.at);
        used.insert(at, spares.take(value, end)?);
    }
    let slots = found.iter().enumerate().flat_map(|(at, slot)| {
        let spare = used.get(&at).copied();
        let calls = spare.into_iter().chain([slot.call]);
        calls.map(|call| (slot.at, call))
    });
    Some(slots.collect())
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
