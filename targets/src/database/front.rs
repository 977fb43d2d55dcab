//! A node's transactions: each step sees what the level lets it see, and takes some time.

use std::collections::BTreeMap;

use tribunal_results::{NodeId, Scalar};

use super::level::Rules;
use super::machine::Found;
use super::open::{Open, Phase};
use super::primary::Request;
use super::versions::{Versions, Writes};
use super::{Bug, Options};
use crate::node::{MILLISECOND, Nanos, Outbox};
use crate::transaction::{Bank, Statement, Step};
use crate::wire::{Body, Code, WireError};

/// How many transactions may be under way.
const OPEN_MAX: usize = 1_000;
/// After so long the primary is asked again.
const ASK_AGAIN: Nanos = 60 * MILLISECOND;
/// A transaction that has not ended by then is given up.
const PATIENCE: Nanos = 5_000 * MILLISECOND;

/// The transactions, and the copy that they work on.
#[derive(Debug)]
pub(super) struct Front {
    pub(super) versions: Versions,
    open: BTreeMap<u64, Open>,
    next: u64,
    rules: Rules,
    step_time: Nanos,
    bank: Bank,
    bug: Option<Bug>,
}

impl Front {
    pub(super) fn new(options: &Options, bug: Option<Bug>) -> Self {
        Self {
            versions: Versions::default(),
            open: BTreeMap::new(),
            next: 0,
            rules: options.level.rules(),
            step_time: options.step_ms * MILLISECOND,
            bank: options.bank(),
            bug,
        }
    }

    /// Numbers transactions from here on.
    pub(super) const fn start(&mut self, first: u64) {
        self.next = first;
    }

    /// Begins a client's transaction: its number.
    ///
    /// # Errors
    /// Why not: nothing was done.
    pub(super) fn begin(
        &mut self,
        client: &NodeId,
        body: &Body,
        reaches_primary: bool,
        now: Nanos,
    ) -> Result<u64, WireError> {
        let statement = Statement::parse(body, self.bank)?;
        let from = (client.clone(), body.msg_id());
        let open = Open::new(from, statement, self.versions.newest, now + PATIENCE);
        if self.open.len() >= OPEN_MAX {
            return Err(WireError::unavailable("too many transactions"));
        }
        if self.is_certified(&open) && !reaches_primary {
            return Err(WireError::unavailable("the primary does not answer"));
        }
        let number = self.next;
        self.next += 1;
        self.open.insert(number, open);
        Ok(number)
    }

    /// Whether the primary is asked about it in the end.
    fn is_certified(&self, open: &Open) -> bool {
        open.writes() || self.rules.certifies_reads
    }

    /// Goes on with a transaction: what the primary is to be asked, if anything.
    pub(super) fn go_on(&mut self, number: u64, now: Nanos, out: &mut Outbox) -> Option<Request> {
        let open = self.open.get(&number)?;
        let step = match open.phase {
            phase if now >= open.until => {
                // Once the primary was asked, nobody knows.
                if matches!(phase, Phase::Step(_)) {
                    self.refused(
                        number,
                        &WireError::new(Code::Abort, "it took too long"),
                        out,
                    );
                }
                self.open.remove(&number);
                return None;
            }
            Phase::Step(step) => step,
            Phase::Asked => return self.ask(number, now, out),
            Phase::Committed(_) => {
                out.timer(now + ASK_AGAIN, number);
                return None;
            }
        };
        if let Some(step) = open.statement.steps.get(step).cloned()
            && let Err(error) = self.take(number, &step)
        {
            self.refused(number, &error, out);
            return None;
        }
        let open = self.open.get_mut(&number)?;
        open.phase = Phase::Step(step + 1);
        if step + 1 < open.statement.steps.len() {
            out.timer(now + self.step_time, number);
            return None;
        }
        let open = self.open.get(&number)?;
        if self.is_certified(open) {
            return self.ask(number, now, out);
        }
        self.answer(number, out);
        None
    }

    fn ask(&mut self, number: u64, now: Nanos, out: &mut Outbox) -> Option<Request> {
        let open = self.open.get_mut(&number)?;
        open.phase = Phase::Asked;
        out.timer(now + ASK_AGAIN, number);
        Some(open.request(number, self.bug))
    }

    /// Does the next step of a transaction.
    ///
    /// # Errors
    /// It meets another one and must abort.
    fn take(&mut self, number: u64, step: &Step) -> Result<(), WireError> {
        let found = self.found(number, step)?;
        let (rules, bug) = (self.rules, self.bug);
        if let Some(open) = self.open.get_mut(&number) {
            open.take(step, found, rules, bug);
        }
        Ok(())
    }

    /// What a step finds.
    fn found(&self, number: u64, step: &Step) -> Result<Found, WireError> {
        let (key, newest) = (step.key(), self.versions.newest);
        let dirty = self.rules.dirty || self.bug == Some(Bug::DirtyRead);
        let uncommitted = dirty.then(|| self.uncommitted(number, key)).flatten();
        if let Some(found) = uncommitted {
            if step.writes() && self.rules.dirty {
                let text = format!("{key} is being written");
                return Err(WireError::new(Code::TxnConflict, text));
            }
            return Ok(found);
        }
        let open = self.open.get(&number);
        let snapshot = open.filter(|open| {
            let fractured = self.bug == Some(Bug::FracturedRead) && !open.writes();
            self.rules.snapshot && !fractured
        });
        let version = snapshot.map_or(newest, |open| open.snapshot);
        Ok((self.versions.at(key, version), version))
    }

    /// What another transaction of this node has written to a key and not committed yet.
    fn uncommitted(&self, number: u64, key: &Scalar) -> Option<Found> {
        let mut others = self.open.iter().filter(|(other, _)| **other != number);
        let value = others.find_map(|(_, open)| open.own.get(key))?;
        Some((value.clone(), self.versions.newest))
    }

    /// The primary has committed a transaction.
    pub(super) fn committed(&mut self, number: u64, version: u64, out: &mut Outbox) {
        if let Some(open) = self.open.get_mut(&number)
            && open.phase == Phase::Asked
        {
            open.phase = Phase::Committed(version);
            self.answer_all(out);
        }
    }

    /// A transaction has aborted: it has had no effect and never will.
    pub(super) fn refused(&mut self, number: u64, error: &WireError, out: &mut Outbox) {
        if let Some(Phase::Committed(_)) = self.open.get(&number).map(|open| open.phase) {
            return;
        }
        if let Some(open) = self.open.remove(&number) {
            out.send(&open.client, error.body().in_reply(open.msg_id));
        }
    }

    /// Takes up the commits that follow a version, as far as they are new and leave no gap. The
    /// newest version then.
    pub(super) fn take_up(&mut self, after: u64, commits: &[Writes], out: &mut Outbox) -> u64 {
        let steps = self
            .open
            .values()
            .filter(|o| matches!(o.phase, Phase::Step(_)));
        let oldest = steps.map(|open| open.snapshot).min();
        for (place, writes) in (1..).zip(commits) {
            let version = after.saturating_add(place);
            if version == self.versions.newest + 1 {
                self.versions.apply(writes, oldest.unwrap_or(version));
            }
        }
        self.answer_all(out);
        self.versions.newest
    }

    /// Answers whoever waits for a version that is here.
    fn answer_all(&mut self, out: &mut Outbox) {
        let newest = self.versions.newest;
        let here = |phase| matches!(phase, Phase::Committed(version) if version <= newest);
        let due = self.open.iter().filter(|(_, open)| here(open.phase));
        let due: Vec<u64> = due.map(|(number, _)| *number).collect();
        for number in due {
            self.answer(number, out);
        }
    }

    fn answer(&mut self, number: u64, out: &mut Outbox) {
        if let Some(open) = self.open.remove(&number) {
            let reply = open.statement.reply(&open.seen);
            out.send(&open.client, reply.in_reply(open.msg_id));
        }
    }
}
