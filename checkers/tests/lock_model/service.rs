//! What a lock service whose leases never end may answer, by trying every order. It is a little too
//! kind: tickets that nobody claims are not in anybody's way.

use std::collections::BTreeSet;

use tribunal_results::{Answer, Operation, Outcome};

use crate::random::Timed;

/// A lock with its queue, and the resource that it guards.
#[derive(Clone, Debug, Default)]
struct Service {
    /// Client, token, and entries.
    holder: Option<(u64, u64, u64)>,
    /// The largest token so far.
    granted: u64,
    /// The tickets that somebody will claim, the first first.
    queue: Vec<u64>,
    /// The largest token that the resource has seen.
    fence: u64,
}

impl Service {
    fn grant(mut self, client: u64, token: u64) -> Option<Self> {
        let is_free = self.holder.is_none() && token > self.granted;
        self.holder = Some((client, token, 1));
        self.granted = token;
        is_free.then_some(self)
    }

    fn holds(&self, client: u64, token: u64) -> bool {
        matches!(self.holder, Some((c, t, _)) if (c, t) == (client, token))
    }

    fn release(mut self, client: u64, token: u64) -> Option<Self> {
        let count = self.holder.filter(|_| self.holds(client, token))?.2;
        self.holder = (count > 1).then_some((client, token, count - 1));
        Some(self)
    }

    /// The service after an operation, if it can have answered so.
    fn after(&self, op: &Timed, claimed: &BTreeSet<u64>) -> Option<Self> {
        let (mut next, client) = (self.clone(), op.process);
        match (&op.operation, &op.outcome) {
            (Operation::Request { .. }, Outcome::Ok(Answer::Ticket(ticket))) => {
                if claimed.contains(ticket) {
                    next.queue.push(*ticket);
                }
                Some(next)
            }
            (
                Operation::Acquire {
                    ticket: Some(ticket),
                    ..
                },
                Outcome::Ok(Answer::Grant(grant)),
            ) => {
                // One that was not asked for here may have stood anywhere in the queue.
                let is_first = next.queue.first() == Some(ticket);
                let may = is_first || !next.queue.contains(ticket);
                next.queue.retain(|queued| queued != ticket);
                next.grant(client, grant.token).filter(|_| may)
            }
            (Operation::TryAcquire { .. }, Outcome::Ok(Answer::Grant(grant))) => {
                let is_empty = next.queue.is_empty();
                next.grant(client, grant.token).filter(|_| is_empty)
            }
            (Operation::Acquire { .. }, Outcome::Ok(Answer::Grant(grant))) => {
                let mine = self.holds(client, grant.token);
                if let Some((_, _, count)) = &mut next.holder {
                    *count += 1;
                }
                mine.then_some(next)
            }
            (Operation::Renew { token, .. }, Outcome::Ok(_)) => {
                self.holds(client, *token).then_some(next)
            }
            (
                Operation::Renew { token, .. } | Operation::Release { token, .. },
                Outcome::Fail(_),
            ) => (!self.holds(client, *token)).then_some(next),
            (Operation::Release { token, .. }, _) => next.release(client, *token),
            (Operation::GuardedWrite { token, .. }, Outcome::Ok(_)) => {
                next.fence = next.fence.max(*token);
                (*token >= self.fence).then_some(next)
            }
            _ => Some(next),
        }
    }
}

/// Whether some order of the operations, each within its interval, explains every answer. Of unknown
/// end only releases can help: who else was not answered holds what nobody can use.
pub(crate) fn possible(ops: &[Timed]) -> bool {
    let claimed = |op: &Timed| match (&op.operation, &op.outcome) {
        (Operation::Acquire { ticket, .. }, Outcome::Ok(_)) => *ticket,
        _ => None,
    };
    let claimed: BTreeSet<u64> = ops.iter().filter_map(claimed).collect();
    let helps = |op: &&Timed| match op.outcome {
        Outcome::Info(_) => matches!(op.operation, Operation::Release { .. }),
        _ => true,
    };
    let mut left: Vec<&Timed> = ops.iter().filter(helps).collect();
    go(&mut left, &Service::default(), &claimed)
}

fn go(left: &mut Vec<&Timed>, service: &Service, claimed: &BTreeSet<u64>) -> bool {
    let is_certain = |op: &&&Timed| !matches!(op.outcome, Outcome::Info(_));
    let Some(due) = left.iter().filter(is_certain).map(|op| op.ret).min() else {
        return true;
    };
    for at in 0..left.len() {
        let op = left[at];
        if op.call > due {
            continue;
        }
        let Some(next) = service.after(op, claimed) else {
            continue;
        };
        left.remove(at);
        let found = go(left, &next, claimed);
        left.insert(at, op);
        if found {
            return true;
        }
    }
    false
}
