//! One hold of a lock, as far as it is certain.

use tribunal_results::{Answer, Call, History, Nanos, Operation, Outcome};

use super::{Clocks, Point, ended, invoked};
use crate::explain;

/// One hold of a lock by one client. Calls are given by their places in the history.
#[derive(Clone, Debug)]
pub(crate) struct Hold {
    /// The client.
    pub(crate) process: u64,
    /// The fencing token.
    pub(crate) token: u64,
    /// The acquire or try-acquire that was answered with the token first.
    pub(crate) grant: usize,
    /// The request that it claimed; `None` of a try-acquire, or if the ticket is unknown.
    pub(crate) request: Option<usize>,
    /// Index of the event after which it was asked for: what granted it came later. `None` if
    /// that is unknown.
    pub(crate) asked: Option<u64>,
    /// Index of the event that acknowledged the request.
    pub(crate) acknowledged: Option<u64>,
    /// When the client knew: the completion of `grant`.
    pub(crate) from: Point,
    /// Until when the last lease lasted at least.
    pub(crate) leased_until: Nanos,
    /// Until when it may have lasted at most, by the answers so far.
    pub(crate) spent: Nanos,
    /// When the first release was asked for that may have ended it.
    pub(crate) left: Option<Point>,
    /// Whether it ended for certain: as many releases were acknowledged as times it was entered.
    pub(crate) released: bool,
}

impl Hold {
    /// When it stops being certain.
    pub(crate) fn until(&self) -> Point {
        let leased = (self.leased_until, 0);
        self.left.map_or(leased, |left| left.min(leased))
    }

    /// Whether there is an instant at which the client held the lock for certain.
    pub(crate) fn is_certain(&self) -> bool {
        self.from < self.until()
    }

    /// The request; the try-acquire itself, or the acquire with an unknown ticket.
    pub(crate) fn asked_by(&self) -> usize {
        self.request.unwrap_or(self.grant)
    }

    /// `p3 held a (token 7) from 1.200 s, when its acquire was answered, until it asked for
    /// release at 1.900 s`.
    pub(crate) fn sentence(&self, grant: &Call) -> String {
        let lock = grant.operation.key().map(ToString::to_string);
        let end = match self.left {
            Some(left) if left.0 <= self.leased_until => {
                format!("it asked for release at {}", explain::seconds(left.0))
            }
            _ => format!(
                "its lease ended at {} at the earliest",
                explain::seconds(self.leased_until)
            ),
        };
        format!(
            "p{} held {} (token {}) from {}, when its {} was answered{}, until {end}",
            self.process,
            lock.unwrap_or_default(),
            self.token,
            explain::seconds(self.from.0),
            grant.operation.kind(),
            explain::place(grant),
        )
    }

    /// `p3 was granted b with token 2 at 0.448 s (n2)`.
    pub(crate) fn granted(&self, grant: &Call) -> String {
        let lock = grant.operation.key().map(ToString::to_string);
        format!(
            "p{} was granted {} with token {} at {}{}",
            self.process,
            lock.unwrap_or_default(),
            self.token,
            explain::seconds(self.from.0),
            explain::place(grant),
        )
    }

    /// The calls, besides the grant, without which the hold would have ended before `at`, or its
    /// lease by `time`, and why each counts: an entry more for each release that was asked for until then, and a renewal of
    /// a lease that was over.
    pub(crate) fn kept<'h>(
        &self,
        history: &'h History,
        clocks: Clocks,
        at: Point,
        time: Nanos,
    ) -> (Vec<&'h Call>, Vec<String>) {
        let mine = |call: &&'h Call| call.process == self.process;
        let lasts = |call: &Call| match (&call.operation, &call.outcome) {
            (_, Outcome::Ok(Answer::Grant(grant))) if grant.token == self.token => {
                clocks.earliest_end(call.invoked.time, grant.lease_ms) > time
            }
            _ => false,
        };
        let calls = history.calls().get(self.grant..).unwrap_or_default();
        let Some((grant, later)) = calls.split_first() else {
            return Default::default();
        };
        let lock = grant.operation.key();
        let later = || {
            let of_lock = move |call: &&'h Call| call.operation.key() == lock;
            later.iter().filter(mine).filter(of_lock)
        };
        let left: Vec<&Call> = later()
            .take_while(|call| invoked(call) < at)
            .filter(|call| self.is_release(call))
            .collect();
        let mut kept: Vec<&Call> = later()
            .filter(|call| self.is_entry(call))
            .take(left.len())
            .collect();
        let mut facts = Vec::new();
        for call in &kept {
            let who = self.process;
            let returned = explain::returned(call);
            facts.push(format!("{returned}: p{who} had entered more than once."));
        }
        for call in &left {
            let asked = explain::invoked(call);
            facts.push(format!("{asked}: that gives back one entry only."));
        }
        if !lasts(grant) && !kept.iter().any(|call| lasts(call)) {
            let renewal = later().find(|call| lasts(call));
            facts.extend(renewal.map(|call| {
                format!(
                    "{}: this lease lasted until {} at the earliest.",
                    explain::returned(call),
                    explain::seconds(self.leased_until),
                )
            }));
            kept.extend(renewal);
        }
        (kept, facts)
    }

    fn is_release(&self, call: &Call) -> bool {
        matches!(call.operation, Operation::Release { token, .. } if token == self.token)
    }

    fn is_entry(&self, call: &Call) -> bool {
        let enters = matches!(
            call.operation,
            Operation::Acquire { .. } | Operation::TryAcquire { .. }
        );
        matches!(&call.outcome, Outcome::Ok(Answer::Grant(grant)) if grant.token == self.token)
            && enters
            && ended(call) > self.from
    }
}
