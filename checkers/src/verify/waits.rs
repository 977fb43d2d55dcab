//! Waits for permits in vain: looks at every other request for the same semaphore, one by one.

use tribunal_results::{Anomaly, Answer, Call, Operation, Outcome, Record};

/// Derives again that it was a request's turn all the while it waited in vain.
pub(super) fn contradiction(record: &Record, anomaly: &Anomaly) -> Result<(), String> {
    let find = |index: &u64| record.history.call_at(*index);
    let calls: Option<Vec<&Call>> = anomaly.calls.iter().map(find).collect();
    let calls = calls.ok_or("no such call")?;
    let wait_ms = record.assume.wait_ms.ok_or("no wait is assumed")?;
    let shorter =
        u128::from(wait_ms) * u128::from(1_000_000 - record.assume.clock_drift_ppm.min(1_000_000));
    let wait = u64::try_from(shorter)
        .unwrap_or(u64::MAX)
        .saturating_sub(1_000_000);
    let refused = calls.iter().any(|call| {
        let case = Case {
            record,
            calls: &calls,
            call,
        };
        case.was_its_turn(wait, anomaly.name == "passed-over") == Some(true)
    });
    match refused {
        true => Ok(()),
        false => Err("nobody waited in vain by these calls".into()),
    }
}

struct Case<'a> {
    record: &'a Record,
    calls: &'a [&'a Call],
    call: &'a Call,
}

fn wants(call: &Call) -> Option<u64> {
    match call.operation {
        Operation::AcquirePermits { permits, .. } => Some(permits.into()),
        _ => None,
    }
}

impl Case<'_> {
    fn was_its_turn(&self, wait: u64, passed: bool) -> Option<bool> {
        let Outcome::Fail(reason) = &self.call.outcome else {
            return None;
        };
        let (asked, answered) = (self.call.invoked.time, self.call.completed?.time);
        let (from, to) = (answered.checked_sub(wait)?, asked.checked_add(wait)?);
        if reason.code != "temporarily-unavailable" || from < asked || to <= from {
            return None;
        }
        let mut sum = wants(self.call)?;
        let mut overtaken = false;
        for other in self.record.history.calls() {
            let Some(permits) = wants(other) else {
                continue;
            };
            if other.operation.key() != self.call.operation.key() || other == self.call {
                continue;
            }
            let named = self.calls.iter().any(|call| **call == *other);
            if other.invoked.time > from {
                let ended = other.completed.is_some_and(|stamp| stamp.time < to);
                overtaken |= named && other.is_ok() && ended;
            } else if !self.over(other, to) {
                if !named {
                    return Some(false);
                }
                sum += permits;
            }
        }
        Some(sum <= self.record.assume.permits.into() && overtaken == passed)
    }

    /// Whether a request had failed, or all that its client took under its token was given back,
    /// before that time.
    fn over(&self, other: &Call, before: u64) -> bool {
        let ended = |call: &Call| call.completed.is_some_and(|stamp| stamp.time < before);
        let token = |call: &Call| match &call.outcome {
            Outcome::Ok(Answer::Grant(grant)) => Some(grant.token),
            _ => None,
        };
        if other.is_fail() {
            return ended(other);
        }
        let Some(of) = token(other) else {
            return false;
        };
        let (mut taken, mut back) = (0_u64, 0_u64);
        for call in self.record.history.calls() {
            if call.process != other.process || call.operation.key() != other.operation.key() {
                continue;
            }
            match &call.operation {
                Operation::AcquirePermits { permits, .. } if token(call) == Some(of) => {
                    taken += u64::from(*permits);
                }
                Operation::ReleasePermits { permits, token, .. }
                    if *token == Some(of) && call.is_ok() && ended(call) =>
                {
                    back += u64::from(*permits);
                }
                _ => {}
            }
        }
        back >= taken
    }
}
