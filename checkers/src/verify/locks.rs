//! Locks and permits: each contradiction from its calls alone, and from all releases there were.
//!
//! What speaks for a hold must be among the calls of the witness: grants, entries and renewals.
//! What speaks against it is looked for in the whole history: releases count wherever they are.

use tribunal_results::{Anomaly, Answer, Assumptions, Call, Grant, History, Operation, Outcome};

/// Derives the contradiction of a lock's anomaly again.
///
/// # Errors
/// Why the calls do not contradict each other.
pub(super) fn contradiction(
    history: &History,
    assume: &Assumptions,
    anomaly: &Anomaly,
) -> Result<(), String> {
    let mut calls = Vec::new();
    for index in &anomaly.calls {
        let call = history.call_at(*index);
        calls.push(call.ok_or_else(|| format!("no call was invoked by event {index}"))?);
    }
    let key = calls.first().and_then(|call| call.operation.key());
    if key.is_none() || calls.iter().any(|call| call.operation.key() != key) {
        return Err("the calls are not of one lock".to_owned());
    }
    calls.sort_by_key(|call| end(call));
    let case = Case {
        history,
        assume,
        calls,
    };
    let proven = match anomaly.name.as_str() {
        "double-hold" => case.double_hold(),
        "foreign-release" | "excess-release" => case.unheld_release(),
        "token-not-monotonic" => case.tokens_shrink(),
        "stale-token-accepted" => case.stale_write(),
        "overtaking" => case.overtaking(),
        "over-grant" => case.over_grant(),
        "too-many-entries" => case.deep(),
        "token-changed" => case.changed(),
        "lease-cut-short" => case.cut_short(),
        "expired-lease-honoured" => case.honoured(),
        _ => false,
    };
    let told = "these calls do not contradict each other";
    proven.then_some(()).ok_or_else(|| told.to_owned())
}

struct Case<'h> {
    history: &'h History,
    assume: &'h Assumptions,
    /// In the order of their ends.
    calls: Vec<&'h Call>,
}

/// Time and index of the completion; of the invocation if there is none.
fn end(call: &Call) -> (u64, u64) {
    let stamp = call.completed.unwrap_or(call.invoked);
    (stamp.time, stamp.index)
}

/// What the call was granted.
fn granted(call: &Call) -> Option<Grant> {
    match &call.outcome {
        Outcome::Ok(Answer::Grant(grant)) => Some(*grant),
        _ => None,
    }
}

/// Whether the call entered a lock.
fn enters(call: &Call) -> bool {
    let entry = matches!(
        call.operation,
        Operation::Acquire { .. } | Operation::TryAcquire { .. }
    );
    entry && granted(call).is_some()
}

/// The token that a release, a renewal or a write was sent with.
const fn sent(call: &Call) -> Option<u64> {
    match call.operation {
        Operation::Release { token, .. }
        | Operation::Renew { token, .. }
        | Operation::GuardedWrite { token, .. } => Some(token),
        _ => None,
    }
}

const fn is_release(call: &Call) -> bool {
    matches!(call.operation, Operation::Release { .. })
}

/// The number of permits.
const fn permits(call: &Call) -> i64 {
    match call.operation {
        Operation::AcquirePermits { permits, .. } | Operation::ReleasePermits { permits, .. } => {
            permits as i64
        }
        _ => 0,
    }
}

impl<'h> Case<'h> {
    /// All calls on the lock of one client.
    fn of(&self, process: u64) -> impl Iterator<Item = &'h Call> {
        let key = self.calls.first().and_then(|call| call.operation.key());
        let calls = self.history.calls().iter();
        calls.filter(move |call| call.process == process && call.operation.key() == key)
    }

    /// The earliest end of the lease that the call was granted.
    fn lease_end(&self, call: &Call) -> u64 {
        let lease = granted(call).map_or(0, |grant| u128::from(grant.lease_ms));
        let rate = 1_000_000_u128.saturating_sub(self.assume.clock_drift_ppm.into());
        let least = (lease * rate).saturating_sub(1_000_000);
        u64::try_from(u128::from(call.invoked.time) + least).unwrap_or(u64::MAX)
    }

    /// Whether the client that was granted the lock by `grant` held it at a point, with a lease
    /// that lasted beyond `time`: it had entered more often than it had asked for release.
    fn held(&self, grant: &Call, at: (u64, u64), time: u64) -> bool {
        let Some(token) = granted(grant)
            .map(|grant| grant.token)
            .filter(|_| enters(grant))
        else {
            return false;
        };
        let mine = |call: &&&Call| {
            call.process == grant.process
                && granted(call).is_some_and(|grant| grant.token == token)
                && end(call) >= end(grant)
        };
        let mut entries: Vec<(u64, u64)> = self
            .calls
            .iter()
            .filter(mine)
            .filter(|call| enters(call))
            .map(|call| end(call))
            .collect();
        entries.sort_unstable();
        let asked = self.of(grant.process).filter(|call| {
            let point = (call.invoked.time, call.invoked.index);
            is_release(call) && sent(call) == Some(token) && end(grant) < point && point < at
        });
        // At each release more entries than releases.
        let mut left = 0;
        for release in asked {
            left += 1;
            let point = (release.invoked.time, release.invoked.index);
            if entries.iter().filter(|entry| **entry < point).count() <= left {
                return false;
            }
        }
        let lasts = |call: &&Call| self.lease_end(call) > time;
        end(grant) <= at && self.calls.iter().filter(mine).any(lasts)
    }

    /// Two of the calls for which something holds.
    fn some_pair(&self, holds: impl Fn(&'h Call, &'h Call) -> bool) -> bool {
        let pairs = |one: &&'h Call| {
            let one = *one;
            self.calls
                .iter()
                .any(|two| one.invoked != two.invoked && holds(one, two))
        };
        self.calls.iter().any(pairs)
    }

    fn double_hold(&self) -> bool {
        self.some_pair(|one, two| {
            let other = one.process != two.process
                || granted(one).map(|grant| grant.token) != granted(two).map(|grant| grant.token);
            let apart = other || self.left_between(one, two);
            // At the begin of the second, or when a call was asked that took one to be held.
            let points = self
                .calls
                .iter()
                .map(|call| (call.invoked.time, call.invoked.index));
            let mut points = points.chain([end(two)]).filter(|at| *at >= end(two));
            apart
                && enters(one)
                && enters(two)
                && points.any(|at| self.held(one, at, at.0) && self.held(two, at, at.0))
        })
    }

    /// Whether a client asked for release between two grants as often as it had entered.
    fn left_between(&self, one: &Call, two: &Call) -> bool {
        let token = granted(one).map(|grant| grant.token);
        let between =
            |call: &&Call| end(one) <= end(call) && call.invoked.index < two.invoked.index;
        let (mut entered, mut left) = (0_usize, 0_usize);
        for call in self.of(one.process).filter(between) {
            let entry = enters(call) && granted(call).map(|grant| grant.token) == token;
            entered += usize::from(entry);
            left += usize::from(is_release(call) && sent(call) == token);
        }
        entered > 0 && left >= entered
    }

    /// The last call was acknowledged, with more given back than was ever taken. If the token was
    /// granted to anybody before, one such grant is shown.
    fn unheld_release(&self) -> bool {
        let Some(last) = self.calls.last().filter(|call| call.is_ok()) else {
            return false;
        };
        let before = |call: &&Call| call.is_ok() && call.invoked.index <= last.invoked.index;
        let mine = self.of(last.process).filter(before);
        if let Operation::ReleasePermits { token, .. } = last.operation {
            let sum = |call: &Call| match call.operation {
                Operation::AcquirePermits { .. }
                    if token.is_none() || granted(call).map(|grant| grant.token) == token =>
                {
                    permits(call)
                }
                Operation::ReleasePermits { token: given, .. }
                    if token.is_none() || given.is_none() || given == token =>
                {
                    -permits(call)
                }
                _ => 0,
            };
            return mine.map(sum).sum::<i64>() < 0;
        }
        let token = sent(last);
        let with = |call: &&Call| granted(call).map(|grant| grant.token) == token && enters(call);
        let (mut entered, mut left) = (0_usize, 0_usize);
        for call in mine {
            entered += usize::from(with(&call));
            left += usize::from(is_release(call) && sent(call) == token);
        }
        let everybody = self.history.calls().iter();
        let known = everybody
            .filter(|call| call.operation.key() == last.operation.key() && end(call) < end(last))
            .any(|call| with(&call));
        let shown = self.calls.iter().any(with);
        is_release(last) && left > entered && (shown || !known)
    }

    /// When the lock was asked for that this call was granted: by the request whose ticket it
    /// claims, or by itself.
    fn asked(&self, grant: &Call) -> Option<u64> {
        let Operation::Acquire { ticket, .. } = grant.operation else {
            return Some(grant.invoked.index);
        };
        let request = self.calls.iter().find(|call| {
            call.process == grant.process
                && matches!(call.outcome, Outcome::Ok(Answer::Ticket(given)) if Some(given) == ticket)
        })?;
        Some(request.invoked.index)
    }

    /// The same token twice, or a smaller one to a hold that came later.
    fn tokens_shrink(&self) -> bool {
        self.some_pair(|one, two| {
            let (Some(first), Some(second)) = (granted(one), granted(two)) else {
                return false;
            };
            if !enters(one) || !enters(two) || end(one) > end(two) {
                return false;
            }
            let again = one.process != two.process || self.left_between(one, two);
            let asked_later = self.asked(two).is_some_and(|asked| asked > end(one).1);
            let held_later = self.certain(one) && self.certain(two);
            (first.token == second.token && again)
                || (first.token > second.token && (asked_later || held_later))
        })
    }

    /// Whether there is an instant after the grant at which it was held.
    fn certain(&self, grant: &Call) -> bool {
        // Calls of the witness may extend the lease; by itself it may be over.
        let token = granted(grant).map(|grant| grant.token);
        let everything = self.of(grant.process).filter(|call| {
            granted(call).map(|grant| grant.token) == token && end(call) >= end(grant)
        });
        let mut ends = everything.map(|call| self.lease_end(call));
        ends.any(|until| until > end(grant).0)
    }

    fn stale_write(&self) -> bool {
        let accepted =
            |call: &Call| call.is_ok() && matches!(call.operation, Operation::GuardedWrite { .. });
        self.some_pair(|newer, stale| {
            accepted(newer)
                && accepted(stale)
                && sent(newer) > sent(stale)
                && end(newer).1 < stale.invoked.index
        })
    }

    /// Two holds in the wrong order: the second was asked for, and that acknowledged, before the
    /// first was asked for.
    fn overtaking(&self) -> bool {
        self.some_pair(|by, passed| {
            let Operation::Acquire { ticket, .. } = passed.operation else {
                return false;
            };
            let request = self.calls.iter().find(|call| {
                let given = Some(&call.outcome);
                call.process == passed.process
                    && matches!(given, Some(Outcome::Ok(Answer::Ticket(t))) if Some(*t) == ticket)
            });
            let acknowledged = request.and_then(|request| request.returned());
            let asked = self.asked(by);
            end(by) < end(passed)
                && acknowledged.is_some()
                && asked > acknowledged
                && self.held(by, end(by), end(by).0)
                && self.held(passed, end(passed), end(passed).0)
        })
    }

    /// More permits than there are: of each client and token what the calls took, less what was
    /// asked to be taken back.
    fn over_grant(&self) -> bool {
        let Some(at) = self.calls.last().map(|call| end(call)) else {
            return false;
        };
        let lives = |call: &&&Call| {
            call.is_ok() && (granted(call).is_none() || self.lease_end(call) > at.0)
        };
        let pool = |call: &Call| (self.owner(call), granted(call).map(|grant| grant.token));
        let mut pools: Vec<_> = self.calls.iter().map(|call| pool(call)).collect();
        pools.sort_unstable();
        pools.dedup();
        let held = pools.into_iter().map(|of| {
            let taken = self
                .calls
                .iter()
                .filter(lives)
                .filter(|call| pool(call) == of);
            let taken: Vec<&Call> = taken.copied().collect();
            self.left_of(&taken, of, at)
        });
        held.sum::<i64>() > i64::from(self.assume.permits)
    }

    /// Who gives permits back.
    const fn owner(&self, call: &Call) -> u64 {
        if self.assume.owned { call.process } else { 0 }
    }

    /// What is left of the permits taken at a point. A client that gives back more than it has
    /// gives back what it has; but nobody knows when another does it.
    fn left_of(&self, taken: &[&Call], pool: (u64, Option<u64>), at: (u64, u64)) -> i64 {
        let Some(first) = taken.iter().map(|call| call.invoked.index).min() else {
            return 0;
        };
        let key = self.calls.first().and_then(|call| call.operation.key());
        let asked = |call: &&Call| match call.operation {
            Operation::ReleasePermits { token, .. } => {
                let late = call.returned().is_none_or(|end| end > first);
                call.operation.key() == key
                    && self.owner(call) == pool.0
                    && (token.is_none() || token == pool.1)
                    && late
            }
            _ => false,
        };
        let asked = self.history.calls().iter().filter(asked);
        let asked = asked.map(|call| ((call.invoked.time, call.invoked.index), -permits(call)));
        let taken = taken.iter().map(|call| (end(call), permits(call)));
        let mut changes: Vec<_> = taken
            .chain(asked)
            .filter(|(point, _)| *point <= at)
            .collect();
        changes.sort_unstable();
        let least = if self.assume.owned { 0 } else { i64::MIN };
        let left = changes
            .iter()
            .fold(0, |left: i64, (_, by)| (left + by).max(least));
        left.max(0)
    }

    /// Entered more often than allowed: the calls, less what was given back until the last.
    fn deep(&self) -> bool {
        let Some(last) = self.calls.last() else {
            return false;
        };
        let token = granted(last).map(|grant| grant.token);
        let mine = |call: &&&Call| {
            call.process == last.process
                && enters(call)
                && granted(call).map(|grant| grant.token) == token
        };
        let entries: Vec<&&Call> = self.calls.iter().filter(mine).collect();
        let first = entries.iter().map(|call| call.invoked.index).min();
        let entered = entries.len();
        // A release that had ended before the first entry cannot have undone one.
        let left = self.of(last.process).filter(|call| {
            is_release(call)
                && call.is_ok()
                && sent(call) == token
                && end(call) < end(last)
                && Some(end(call).1) > first
        });
        let allowed = self.assume.entries.map_or(u64::MAX, u64::from);
        entered.saturating_sub(left.count()) as u64 > allowed
    }

    /// A client entered the lock that it held and was answered with another token.
    fn changed(&self) -> bool {
        self.some_pair(|one, two| {
            let again = matches!(two.operation, Operation::Acquire { ticket: None, .. });
            let (before, after) = (granted(one), granted(two));
            one.process == two.process
                && again
                && after.is_some()
                && before.map(|grant| grant.token) != after.map(|grant| grant.token)
                && end(one).1 < two.invoked.index
                && self.held(one, end(two), end(two).0)
        })
    }

    /// A client was told that it does not hold the lock during its hold.
    fn cut_short(&self) -> bool {
        self.some_pair(|grant, refused| {
            let not_held = matches!(
                &refused.outcome,
                Outcome::Fail(reason) if reason.code == "precondition-failed"
            );
            let asks = matches!(
                refused.operation,
                Operation::Release { .. } | Operation::Renew { .. }
            );
            let point = (refused.invoked.time, refused.invoked.index);
            not_held
                && asks
                && grant.process == refused.process
                && granted(grant).map(|grant| grant.token) == sent(refused)
                && self.held(grant, point, end(refused).0)
        })
    }

    /// A hold that spans the begin of another: granted before, and taken to be held after.
    fn honoured(&self) -> bool {
        self.some_pair(|grant, taken| {
            let token = granted(grant).map(|grant| grant.token);
            let by = self.calls.iter().find(|call| {
                let with = granted(call).map(|grant| grant.token).or(sent(call));
                call.process == grant.process
                    && call.is_ok()
                    && with == token
                    && call.invoked.index > end(taken).1
            });
            enters(grant)
                && enters(taken)
                && (grant.process != taken.process
                    || granted(taken).map(|grant| grant.token) != token)
                && end(grant) < end(taken)
                && by.is_some()
                && self.held(taken, end(taken), end(taken).0)
        })
    }
}
