//! A set that is only added to and read as a whole, each element added at most once.
//!
//! Of two reads the smaller must be part of the larger. So each read must show exactly as many
//! elements as the smaller ones together: those first seen in it or in one before. Linear in all
//! that was read.

use tribunal_results::Kind;

use super::growth::Growth;
use super::{Contradiction, Decision, found};
use crate::normal::{Columns, DONE};

/// Decides a set; `None` if an element was added twice, or there are other operations than adds
/// without a flag and full reads.
pub(super) fn decide(object: &Columns) -> Option<Decision> {
    let plain = |kind, answer| match kind {
        Kind::Add => answer == DONE,
        kind => kind == Kind::Members,
    };
    if !object.rows().all(|row| plain(row.kind, row.answer)) {
        return None;
    }
    let mut growth = Growth::new(object)?;
    match rank(&mut growth) {
        Some(wrong) => Some(found(Some(wrong))),
        None => Some(growth.decide()),
    }
}

/// Ranks the elements by the smallest read that shows them; or reads that no set explains.
fn rank(growth: &mut Growth<'_>) -> Option<Contradiction> {
    // In which read, counted from 1, each element was last seen.
    let mut seen = vec![0_u32; growth.puts.len()];
    let mut before: Option<u32> = None;
    for nth in 0..growth.reads.len() {
        let read = *growth.reads.get(nth)?;
        let list = growth.read(read);
        let mut distinct = true;
        for &value in list {
            let last = seen.get_mut(value as usize)?;
            let before = std::mem::replace(last, nth as u32 + 1);
            distinct &= before != nth as u32 + 1;
            if before == 0 {
                growth.shown.push((list.len() as u32, value));
            }
        }
        let fits = distinct && growth.shown.len() == list.len();
        let newly = growth.shown.iter().rev();
        let newly = newly.take_while(|(rank, _)| *rank as usize == list.len());
        let unput = newly.into_iter().any(|(_, v)| growth.put(*v).is_none());
        if !fits || unput {
            let wrong = growth.impossible(read);
            return wrong.or_else(|| apart(growth, before?, read));
        }
        before = Some(read);
    }
    None
}

/// A smaller read with an element that a larger one lacks.
fn apart(growth: &Growth<'_>, smaller: u32, larger: u32) -> Option<Contradiction> {
    let lacking = |a: u32, b: u32| {
        let mut other = growth.read(b).to_vec();
        other.sort_unstable();
        let missing = |value: &&u32| other.binary_search(value).is_err();
        growth.read(a).iter().find(missing).copied()
    };
    let values = [lacking(smaller, larger)?, lacking(larger, smaller)?];
    let words = "each lacks what the other shows, ";
    Some(growth.diverging("not-linearizable", [smaller, larger], values, words))
}
