//! Holds, put together from the answers to one client.

use std::collections::BTreeMap;

use tribunal_results::{Answer, Call, Grant, Nanos, Operation, Outcome};

use crate::explain;

/// What clocks may differ by over one lease, in nanoseconds: taken off every lease.
const CLOCK_MARGIN: Nanos = 1_000_000;
const NANOS_PER_MS: Nanos = 1_000_000;

/// One hold of a lock by one client, as far as it is certain.
#[derive(Clone, Debug)]
pub(crate) struct Hold<'a> {
    /// The client.
    pub(crate) process: u64,
    /// The fencing token.
    pub(crate) token: u64,
    /// The acquire or try-acquire that was answered with the token first.
    pub(crate) grant: &'a Call,
    /// The request that it claimed; `None` of a try-acquire, or if the ticket is unknown.
    pub(crate) request: Option<&'a Call>,
    /// When the client knew: the completion of `grant`.
    pub(crate) from: Nanos,
    /// Until when the last lease lasted at least.
    pub(crate) leased_until: Nanos,
    /// The first release that may have ended it.
    pub(crate) release: Option<&'a Call>,
    /// The renewal or re-entry to which the last lease is owed; `None` if the grant's own is it.
    pub(crate) renewal: Option<&'a Call>,
    /// The first call by which it was entered again.
    pub(crate) again: Option<&'a Call>,
    /// The first release, if it was an inner one: of a hold entered more often than left by it.
    pub(crate) inner: Option<&'a Call>,
    /// Whether it ended for certain: as many releases were acknowledged as times it was entered.
    pub(crate) released: bool,
}

impl<'a> Hold<'a> {
    /// When it stops being certain, in nanoseconds.
    pub(crate) fn until(&self) -> Nanos {
        let asked = self
            .release
            .map_or(Nanos::MAX, |release| release.invoked.time);
        asked.min(self.leased_until)
    }

    /// The lease starts anew.
    fn extend(&mut self, call: &'a Call, grant: Grant) {
        let end = lease_end(call, grant);
        if end > self.leased_until {
            (self.leased_until, self.renewal) = (end, Some(call));
        }
    }

    /// Whether there is an instant at which the client held the lock for certain.
    pub(crate) fn is_certain(&self) -> bool {
        self.from < self.until()
    }

    /// Index of the event after which the lock was asked for with this grant: what granted it
    /// came later.
    pub(crate) fn asked(&self) -> Option<u64> {
        let by_itself = matches!(self.grant.operation, Operation::TryAcquire { .. });
        let asked = self.request.or(by_itself.then_some(self.grant))?;
        Some(asked.invoked.index)
    }

    /// `p3 held a (token 7) from 1.200 s, when its acquire was answered, until it asked for
    /// release at 1.900 s`.
    pub(crate) fn sentence(&self) -> String {
        let lock = self
            .grant
            .operation
            .key()
            .map(ToString::to_string)
            .unwrap_or_default();
        let end = match self.release {
            Some(release) if release.invoked.time <= self.leased_until => format!(
                "it asked for release at {}",
                explain::seconds(release.invoked.time)
            ),
            _ => format!(
                "its lease ended at {} at the earliest",
                explain::seconds(self.leased_until)
            ),
        };
        format!(
            "p{} held {lock} (token {}) from {}, when its {} was answered{}, until {end}",
            self.process,
            self.token,
            explain::seconds(self.from),
            self.grant.operation.kind(),
            explain::place(self.grant),
        )
    }

    /// `p3 was granted b with token 2 at 0.448 s (n2)`.
    pub(crate) fn granted(&self) -> String {
        let lock = self.grant.operation.key().map(ToString::to_string);
        format!(
            "p{} was granted {} with token {} at {}{}",
            self.process,
            lock.unwrap_or_default(),
            self.token,
            explain::seconds(self.from),
            explain::place(self.grant),
        )
    }

    /// The renewal and the re-entry with its inner release, as far as the hold would have ended
    /// by `time` without them.
    fn kept_by(&self, time: Nanos) -> (Option<&'a Call>, Option<(&'a Call, &'a Call)>) {
        let granted = match &self.grant.outcome {
            Outcome::Ok(Answer::Grant(grant)) => lease_end(self.grant, *grant),
            _ => self.leased_until,
        };
        let renewal = self.renewal.filter(|_| granted <= time);
        let entered = self.again.zip(self.inner);
        (
            renewal,
            entered.filter(|(_, inner)| inner.invoked.time <= time),
        )
    }

    /// The calls without which the hold would have ended by `time`.
    pub(crate) fn keepers(&self, time: Nanos) -> impl Iterator<Item = &'a Call> + use<'a> {
        let (renewal, entered) = self.kept_by(time);
        let entered = entered
            .into_iter()
            .flat_map(|(again, inner)| [again, inner]);
        renewal.into_iter().chain(entered)
    }

    /// Why the hold had not ended by `time`, where its grant alone does not tell.
    pub(crate) fn kept_until(&self, time: Nanos) -> Vec<String> {
        let (renewal, entered) = self.kept_by(time);
        let mut facts = Vec::new();
        if let Some((again, inner)) = entered {
            facts.push(format!(
                "{}: p{} had entered more than once.",
                explain::returned(again),
                self.process
            ));
            facts.push(format!(
                "{}: that gives back one entry only.",
                explain::invoked(inner)
            ));
        }
        if let Some(renewal) = renewal {
            facts.push(format!(
                "{}: this lease lasted until {} at the earliest.",
                explain::returned(renewal),
                explain::seconds(self.leased_until),
            ));
        }
        facts
    }

    /// The calls that show it.
    pub(crate) fn calls(&self) -> impl Iterator<Item = &'a Call> + use<'a> {
        [self.request, Some(self.grant), self.release]
            .into_iter()
            .flatten()
    }
}

/// The holds of one lock in the order of their grants' completions, given all calls on it in the
/// order of invocation.
pub(crate) fn holds<'a>(calls: &[&'a Call]) -> Vec<Hold<'a>> {
    let mut clients: BTreeMap<u64, Client<'a>> = BTreeMap::new();
    for call in calls {
        clients.entry(call.process).or_default().push(call);
    }
    let mut holds: Vec<Hold<'a>> = clients.into_values().flat_map(|c| c.holds).collect();
    holds.sort_by_key(|hold| (hold.from, hold.grant.invoked.index));
    holds
}

/// One client's calls on one lock. It has one at a time, so their order is certain.
#[derive(Default)]
struct Client<'a> {
    tickets: BTreeMap<u64, &'a Call>,
    holds: Vec<Hold<'a>>,
    /// Of each token: the latest hold, and how it was entered and left.
    latest: BTreeMap<u64, Latest>,
}

/// How often a hold was entered and left.
#[derive(Default)]
struct Latest {
    hold: usize,
    entered: u64,
    /// Releases asked for, whatever came of them: a hold ends no later than they say.
    asked: u64,
    /// Releases acknowledged.
    left: u64,
}

impl<'a> Client<'a> {
    fn push(&mut self, call: &'a Call) {
        match (&call.operation, &call.outcome) {
            (Operation::Request { .. }, Outcome::Ok(Answer::Ticket(ticket))) => {
                self.tickets.insert(*ticket, call);
            }
            (Operation::Acquire { ticket, .. }, Outcome::Ok(Answer::Grant(grant))) => {
                let request = ticket.and_then(|ticket| self.tickets.get(&ticket).copied());
                self.enter(call, *grant, request);
            }
            (Operation::TryAcquire { .. }, Outcome::Ok(Answer::Grant(grant))) => {
                self.enter(call, *grant, None);
            }
            (Operation::Renew { .. }, Outcome::Ok(Answer::Grant(grant))) => {
                let at = self.latest.get(&grant.token).map(|latest| latest.hold);
                if let Some(hold) = at.and_then(|at| self.holds.get_mut(at)) {
                    hold.extend(call, *grant);
                }
            }
            (Operation::Release { token, .. }, _) => self.leave(call, *token),
            _ => {}
        }
    }

    fn enter(&mut self, call: &'a Call, grant: Grant, request: Option<&'a Call>) {
        let known = self.latest.get_mut(&grant.token);
        if let Some(latest) = known.filter(|latest| latest.asked < latest.entered) {
            latest.entered += 1;
            if let Some(hold) = self.holds.get_mut(latest.hold) {
                hold.extend(call, grant);
                hold.again.get_or_insert(call);
            }
            return;
        }
        let latest = Latest {
            hold: self.holds.len(),
            entered: 1,
            ..Latest::default()
        };
        self.latest.insert(grant.token, latest);
        self.holds.push(Hold {
            process: call.process,
            token: grant.token,
            grant: call,
            request,
            from: explain::ended(call),
            leased_until: lease_end(call, grant),
            release: None,
            renewal: None,
            again: None,
            inner: None,
            released: false,
        });
    }

    fn leave(&mut self, call: &'a Call, token: u64) {
        let Some(latest) = self.latest.get_mut(&token) else {
            return;
        };
        latest.asked += 1;
        latest.left += u64::from(call.is_ok());
        let Some(hold) = self.holds.get_mut(latest.hold) else {
            return;
        };
        if latest.asked >= latest.entered && hold.release.is_none() {
            hold.release = Some(call);
        } else if latest.asked < latest.entered && hold.inner.is_none() {
            hold.inner = Some(call);
        }
        hold.released |= latest.left >= latest.entered;
    }
}

/// The earliest end of a lease that was granted or renewed in answer to the call: it started no
/// earlier than the call was invoked.
fn lease_end(call: &Call, grant: Grant) -> Nanos {
    let lease = grant.lease_ms.saturating_mul(NANOS_PER_MS);
    call.invoked
        .time
        .saturating_add(lease)
        .saturating_sub(CLOCK_MARGIN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tribunal_results::{Scalar, Stamp};

    fn call(process: u64, at: u64, operation: Operation, outcome: Outcome) -> Call {
        let stamp = |ms: u64| Stamp {
            index: ms,
            time: ms * NANOS_PER_MS,
        };
        Call {
            process,
            node: None,
            operation,
            invoked: stamp(at),
            completed: Some(stamp(at + 5)),
            outcome,
        }
    }

    fn try_acquire(at: u64, token: u64) -> Call {
        let grant = Grant {
            token,
            lease_ms: 100,
        };
        let lock = Scalar::from("a");
        call(
            1,
            at,
            Operation::TryAcquire { lock },
            Outcome::Ok(Answer::Grant(grant)),
        )
    }

    fn enter_again(at: u64, token: u64) -> Call {
        let operation = Operation::Acquire {
            lock: "a".into(),
            ticket: None,
        };
        Call {
            operation,
            ..try_acquire(at, token)
        }
    }

    fn release(at: u64, token: u64) -> Call {
        let lock = Scalar::from("a");
        call(
            1,
            at,
            Operation::Release { lock, token },
            Outcome::Ok(Answer::Done),
        )
    }

    fn of(calls: &[Call]) -> Vec<(u64, u64, bool)> {
        let calls: Vec<&Call> = calls.iter().collect();
        let millis = |h: &Hold<'_>| (h.from / NANOS_PER_MS, h.until() / NANOS_PER_MS, h.released);
        holds(&calls).iter().map(millis).collect()
    }

    #[test]
    fn a_hold_lasts_from_the_answer_until_release_is_asked_for() {
        assert_eq!(of(&[try_acquire(0, 1), release(50, 1)]), [(5, 50, true)]);
    }

    #[test]
    fn a_lease_counts_from_the_invocation() {
        assert_eq!(of(&[try_acquire(0, 1)]), [(5, 99, false)]);
        assert_eq!(of(&[try_acquire(0, 1), release(200, 1)]), [(5, 99, true)]);
    }

    #[test]
    fn an_inner_release_does_not_end_a_hold_that_was_entered_twice() {
        let calls = [
            try_acquire(0, 1),
            enter_again(10, 1),
            release(20, 1),
            release(40, 1),
        ];
        assert_eq!(of(&calls), [(5, 40, true)]);
    }

    #[test]
    fn the_same_token_after_the_release_is_another_hold() {
        let calls = [try_acquire(0, 1), release(20, 1), try_acquire(40, 1)];
        assert_eq!(of(&calls), [(5, 20, true), (45, 139, false)]);
    }
}
