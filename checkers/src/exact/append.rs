//! A list that is appended to and read as a whole, each element appended at most once.
//!
//! The longest read gives the order; every other read must be the beginning of it. What nobody
//! read comes last, in any order. Linear in all that was read.

use super::growth::Growth;
use super::{Contradiction, Decision, found};
use crate::normal::Columns;

/// Decides a list; `None` if an element was appended twice.
pub(super) fn decide(object: &Columns) -> Option<Decision> {
    let mut growth = Growth::new(object)?;
    if let Some(wrong) = disagreement(&growth) {
        return Some(found(Some(wrong)));
    }
    if let Some(longest) = growth.reads.last() {
        growth.shown = (1..).zip(growth.read(*longest).iter().copied()).collect();
    }
    Some(growth.decide())
}

/// Reads that no list explains, whatever the times.
fn disagreement(growth: &Growth<'_>) -> Option<Contradiction> {
    let longest = *growth.reads.last()?;
    let whole = growth.read(longest);
    if let Some(wrong) = growth.impossible(longest) {
        return Some(wrong);
    }
    for &read in &growth.reads {
        let part = growth.read(read);
        if whole.starts_with(part) {
            continue;
        }
        if let Some(wrong) = growth.impossible(read) {
            return Some(wrong);
        }
        let mut pairs = part.iter().zip(whole);
        let (mine, theirs) = pairs.find(|(mine, theirs)| mine != theirs)?;
        let words = "they disagree about what comes next, ";
        return Some(growth.diverging("out-of-order", [read, longest], [*mine, *theirs], words));
    }
    None
}
