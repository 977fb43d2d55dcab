//! Which transfers, each seen by half, explain a wrong total: the smallest set, by meeting in the
//! middle (Horowitz & Sahni 1974).

use std::collections::BTreeMap;

use tribunal_results::{Call, Operation};

use crate::{explain, tally};

/// The most transfers that are combined: those that were invoked last.
const TRANSFERS_MAX: usize = 20;

/// A transfer of which a read saw one side only.
pub(super) struct Half<'a> {
    pub(super) transfer: &'a Call,
    /// Whether it saw the money arrive; else it saw it leave.
    arrived: bool,
}

impl Half<'_> {
    pub(super) fn sentence(&self) -> String {
        let side = if self.arrived {
            "arrived but not left"
        } else {
            "left but not arrived"
        };
        format!(
            "{} and was under way: had the money {side}, the total would differ so",
            explain::invoked(self.transfer)
        )
    }
}

/// Which transfers of one half of the candidates are seen by half: two bits for each.
#[derive(Clone, Copy)]
struct Choice {
    transfers: u32,
    left: u32,
    arrived: u32,
}

/// The smallest set of transfers, under way during the read, that make up the difference; `None`
/// if none of those tried does.
pub(super) fn explain<'a>(
    read: &Call,
    calls: &[&'a Call],
    difference: i128,
) -> Option<Vec<Half<'a>>> {
    let mut candidates: Vec<(i128, &Call)> = Vec::new();
    for &call in calls {
        let Operation::Transfer { amount, .. } = call.operation else {
            continue;
        };
        let under_way = call.invoked.index < tally::end(read)
            && tally::end(call) > read.invoked.index
            && !call.is_fail();
        if under_way && amount != 0 {
            candidates.push((i128::from(amount), call));
        }
    }
    let skipped = candidates.len().saturating_sub(TRANSFERS_MAX);
    let candidates = candidates.get(skipped..)?;
    let (one, other) = candidates.split_at(candidates.len() / 2);
    let (firsts, seconds) = (sums(one), sums(other));
    let best = firsts
        .iter()
        .filter_map(|(sum, first)| Some((*first, *seconds.get(&(difference - sum))?)))
        .min_by_key(|(first, second)| first.transfers + second.transfers)?;
    let mut halves = chosen(one, best.0);
    halves.extend(chosen(other, best.1));
    Some(halves)
}

/// For each difference that some of the transfers make, the smallest set that does.
fn sums(transfers: &[(i128, &Call)]) -> BTreeMap<i128, Choice> {
    let nothing = Choice {
        transfers: 0,
        left: 0,
        arrived: 0,
    };
    let mut sums = BTreeMap::from([(0, nothing)]);
    for (at, (amount, _)) in transfers.iter().enumerate() {
        let before: Vec<(i128, Choice)> =
            sums.iter().map(|(sum, choice)| (*sum, *choice)).collect();
        for (sum, choice) in before {
            let left = Choice {
                transfers: choice.transfers + 1,
                left: choice.left | 1 << at,
                ..choice
            };
            let arrived = Choice {
                transfers: choice.transfers + 1,
                arrived: choice.arrived | 1 << at,
                ..choice
            };
            for (sum, choice) in [(sum - amount, left), (sum + amount, arrived)] {
                let best = sums.entry(sum).or_insert(choice);
                if choice.transfers < best.transfers {
                    *best = choice;
                }
            }
        }
    }
    sums
}

fn chosen<'a>(transfers: &[(i128, &'a Call)], choice: Choice) -> Vec<Half<'a>> {
    let mut halves = Vec::new();
    for (at, &(_, transfer)) in transfers.iter().enumerate() {
        let arrived = choice.arrived >> at & 1 == 1;
        if arrived || choice.left >> at & 1 == 1 {
            halves.push(Half { transfer, arrived });
        }
    }
    halves
}
