//! Calls and returns in the order of their events.

use super::{Columns, OPEN};

/// How many indexes of events there may be for each operation to sort by counting.
const SPARSE: usize = 16;

/// A call or a return, by the place of the operation in its [`Columns`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// It was invoked.
    Called(usize),
    /// It ended.
    Returned(usize),
}

impl Columns {
    /// All calls and returns in the order of their indexes; of equal ones the calls first, since
    /// an operation's interval is closed. What never returned has no return.
    pub fn events(&self) -> impl Iterator<Item = Event> + '_ {
        let returned = self.by_return();
        let (mut call, mut ret) = (0, 0);
        std::iter::from_fn(move || {
            let due = returned.get(ret).map(|at| *at as usize);
            let due_at = due.and_then(|at| self.rets().get(at)).copied();
            match (self.calls().get(call), due) {
                (Some(at), _) if due_at.is_none_or(|due| *at <= due) => {
                    call += 1;
                    Some(Event::Called(call - 1))
                }
                (_, Some(due)) => {
                    ret += 1;
                    Some(Event::Returned(due))
                }
                _ => None,
            }
        })
    }

    /// The operations that returned, in the order of their returns.
    fn by_return(&self) -> Vec<u32> {
        let rets = self.rets();
        let first = self.calls().first().copied().unwrap_or_default();
        let last = rets.iter().filter(|ret| **ret != OPEN).max().copied();
        let span = last.map_or(0, |last| last.saturating_sub(first) as usize + 1);
        if span > SPARSE * rets.len() {
            let ended = |at: &u32| rets.get(*at as usize).copied().unwrap_or(OPEN);
            let mut order: Vec<u32> = (0..rets.len() as u32)
                .filter(|at| ended(at) != OPEN)
                .collect();
            order.sort_by_key(ended);
            return order;
        }
        sorted_by_counting(rets, first, span)
    }
}

/// The places of what returned, by counting how many returned before each index.
fn sorted_by_counting(rets: &[u32], first: u32, span: usize) -> Vec<u32> {
    let mut next = vec![0_u32; span + 1];
    let slot = |ret: u32| (ret != OPEN).then(|| ret.saturating_sub(first) as usize);
    for ret in rets {
        if let Some(count) = slot(*ret).and_then(|slot| next.get_mut(slot + 1)) {
            *count += 1;
        }
    }
    let mut before = 0;
    for count in &mut next {
        before += *count;
        *count = before;
    }
    let mut order = vec![0; before as usize];
    for (at, ret) in rets.iter().enumerate() {
        if let Some(place) = slot(*ret).and_then(|slot| next.get_mut(slot)) {
            if let Some(cell) = order.get_mut(*place as usize) {
                *cell = at as u32;
            }
            *place += 1;
        }
    }
    order
}
