//! A replica as a candidate (phase 1) and as the leader (phase 2).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tribunal_results::NodeId;

use super::Bug;
use super::ballot::{Ballot, Slot};
use super::command::{BATCH_MAX, BATCH_WEIGHT_MAX, Batch, Command, reconfigures};
use super::log::{REACH, WINDOW};
use super::message::{Say, Vote};
use super::replica::Replica;
use crate::node::{Nanos, Outbox};

/// What a replica does besides accepting.
#[derive(Debug)]
pub(super) enum Role {
    /// Nothing.
    Follower,
    /// It asks for promises.
    Candidate(Candidate),
    /// It proposes.
    Leader(Leader),
}

impl Role {
    /// Its own ballot, if it has one.
    pub(super) const fn ballot(&self) -> Option<&Ballot> {
        match self {
            Self::Follower => None,
            Self::Candidate(candidate) => Some(&candidate.ballot),
            Self::Leader(leader) => Some(&leader.ballot),
        }
    }
}

/// Phase 1: who has promised, and what each had accepted.
#[derive(Debug)]
pub(super) struct Candidate {
    ballot: Ballot,
    promises: BTreeMap<NodeId, Vec<Vote>>,
}

/// Phase 2, for many slots at once.
#[derive(Debug)]
pub(super) struct Leader {
    ballot: Ballot,
    /// The next slot to propose for.
    next: Slot,
    /// Slots under way.
    flights: BTreeMap<Slot, Flight>,
    /// When each node was heard last.
    heard: BTreeMap<NodeId, Nanos>,
}

/// A proposal under way: who has accepted it, and when it was sent last.
#[derive(Debug)]
struct Flight {
    accepted: BTreeSet<NodeId>,
    sent: Nanos,
}

impl Replica {
    /// Tries to lead, in a ballot higher than all that it has heard of.
    pub(super) fn campaign(&mut self, now: Nanos, out: &mut Outbox) {
        self.wait(now);
        let round = self.round.max(self.log.promised.0).saturating_add(1);
        let ballot = Ballot(round, self.id.clone());
        if !self.is_member() || ballot <= self.log.promised {
            return;
        }
        self.round = round;
        self.log.promise(&ballot, out);
        self.following = None;
        self.role = Role::Candidate(Candidate {
            ballot,
            promises: BTreeMap::from([(self.id.clone(), self.log.votes())]),
        });
        self.prepare_again(out);
        self.lead_if_promised(now, out);
    }

    /// Asks those who have not promised yet. The ballot stays the same as long as nobody has a
    /// higher one, so that whoever is cut off disturbs the others once when it is back.
    pub(super) fn prepare_again(&self, out: &mut Outbox) {
        let Role::Candidate(candidate) = &self.role else {
            return;
        };
        let prepare = Say::Prepare {
            ballot: candidate.ballot.clone(),
            from: self.log.next,
        };
        let members = self.state.members().iter();
        for member in members.filter(|id| !candidate.promises.contains_key(*id)) {
            out.send(member, prepare.body());
        }
    }

    pub(super) fn on_promise(
        &mut self,
        src: &NodeId,
        ballot: &Ballot,
        votes: Vec<Vote>,
        now: Nanos,
        out: &mut Outbox,
    ) {
        if let Role::Candidate(candidate) = &mut self.role
            && candidate.ballot == *ballot
        {
            candidate.promises.insert(src.clone(), votes);
            self.lead_if_promised(now, out);
        }
    }

    /// Once a majority has promised, leads: proposes first what may have been chosen before, each
    /// slot's value of the highest ballot, and nothing for the gaps between.
    fn lead_if_promised(&mut self, now: Nanos, out: &mut Outbox) {
        let Role::Candidate(candidate) = &mut self.role else {
            return;
        };
        let members = self.state.members();
        let promised = candidate.promises.keys().filter(|id| members.contains(*id));
        if promised.count() < members.len() / 2 + 1 {
            return;
        }
        let promises = std::mem::take(&mut candidate.promises);
        let first = self.log.next;
        self.role = Role::Leader(Leader {
            ballot: candidate.ballot.clone(),
            next: first,
            flights: BTreeMap::new(),
            heard: promises.keys().map(|id| (id.clone(), now)).collect(),
        });
        let mut highest: BTreeMap<Slot, (Ballot, Batch)> = BTreeMap::new();
        let within = first..first.saturating_add(REACH);
        for (slot, ballot, batch) in promises.into_values().flatten() {
            let known = highest.get(&slot).map(|(of, _)| of);
            if within.contains(&slot) && known.is_none_or(|of| *of < ballot) {
                highest.insert(slot, (ballot, batch));
            }
        }
        let end = highest.last_key_value().map_or(first, |(slot, _)| slot + 1);
        for slot in first..end {
            let batch = highest.remove(&slot).map(|(_, batch)| batch);
            self.propose(batch.unwrap_or_default(), now, out);
            // What follows a change of members is decided by the new ones.
            if self.changes_members() {
                break;
            }
        }
        self.beat(now, out);
        self.flush(now, out);
    }

    /// Phase 2a, for the next slot. Its own acceptor is the first to accept.
    fn propose(&mut self, batch: Batch, now: Nanos, out: &mut Outbox) {
        let Role::Leader(leader) = &mut self.role else {
            return;
        };
        let slot = leader.next;
        leader.next += 1;
        let accepted = BTreeSet::from([self.id.clone()]);
        leader.flights.insert(
            slot,
            Flight {
                accepted,
                sent: now,
            },
        );
        self.log.accept(slot, &leader.ballot, &batch, out);
        let accept = Say::Accept {
            ballot: leader.ballot.clone(),
            slot,
            batch,
            chosen: self.log.next,
        };
        let body = accept.body();
        for member in self.state.members().iter().filter(|id| **id != self.id) {
            out.send(member, body.clone());
        }
    }

    /// Whether the last proposal changes the members, if it is carried out: nothing may be
    /// proposed beyond it until it is, since others may decide then.
    fn changes_members(&self) -> bool {
        let Role::Leader(leader) = &self.role else {
            return false;
        };
        let last = self.log.vote(leader.next.saturating_sub(1));
        last.is_some_and(|(_, batch)| reconfigures(batch))
    }

    pub(super) fn on_accepted(
        &mut self,
        src: &NodeId,
        ballot: &Ballot,
        slot: Slot,
        now: Nanos,
        out: &mut Outbox,
    ) {
        let Role::Leader(leader) = &mut self.role else {
            return;
        };
        if leader.ballot == *ballot
            && let Some(flight) = leader.flights.get_mut(&slot)
        {
            flight.accepted.insert(src.clone());
            self.flush(now, out);
        }
    }

    /// How many members must accept, and follow.
    fn quorum(&self) -> usize {
        match self.bug {
            Some(Bug::MinorityCommit) => self.majority().saturating_sub(1).max(1),
            _ => self.majority(),
        }
    }

    /// Carries out what is chosen, in the order of slots.
    fn choose(&mut self, now: Nanos, out: &mut Outbox) {
        let quorum = self.quorum();
        while let Role::Leader(leader) = &mut self.role
            && let Some(flight) = leader.flights.get(&self.log.next)
            && {
                let members = self.state.members();
                let accepted = flight.accepted.iter();
                accepted.filter(|id| members.contains(*id)).count() >= quorum
            }
        {
            leader.flights.remove(&self.log.next);
            let before = self.state.members().clone();
            if let Some(batch) = self.log.choose_accepted() {
                self.apply(&batch, out);
            }
            if *self.state.members() != before {
                return self.hand_over(now, out);
            }
        }
    }

    /// Other members decide from here on: promises of the former ones are worth nothing with them.
    fn hand_over(&mut self, now: Nanos, out: &mut Outbox) {
        self.announce(out);
        self.resign(now);
        self.campaign(now, out);
    }

    /// Follows from now on; others are given time to lead.
    pub(super) fn resign(&mut self, now: Nanos) {
        self.role = Role::Follower;
        self.following = None;
        self.queue.clear();
        self.wait(now);
    }

    /// Tells the others what is chosen.
    fn announce(&self, out: &mut Outbox) {
        let Role::Leader(leader) = &self.role else {
            return;
        };
        let chosen = Say::Chosen {
            ballot: leader.ballot.clone(),
            chosen: self.log.next,
        };
        let body = chosen.body();
        for peer in &self.peers {
            out.send(peer, body.clone());
        }
    }

    /// Goes on as far as it can: carries out what is chosen, and proposes what waits, or passes it
    /// on to whoever leads.
    pub(super) fn flush(&mut self, now: Nanos, out: &mut Outbox) {
        let known = self.log.next;
        loop {
            let before = self.log.next;
            self.choose(now, out);
            let proposed = self.propose_waiting(now, out);
            if before == self.log.next && !proposed {
                break;
            }
        }
        if self.log.next > known {
            self.announce(out);
        }
        self.pass_on(out);
    }

    /// Fills the window; says whether anything was proposed.
    fn propose_waiting(&mut self, now: Nanos, out: &mut Outbox) -> bool {
        let mut proposed = false;
        while let Role::Leader(leader) = &self.role
            && leader.next < self.log.next.saturating_add(WINDOW)
            && !self.changes_members()
            && let Some(batch) = self.next_batch()
        {
            self.propose(batch, now, out);
            proposed = true;
        }
        proposed
    }

    fn pass_on(&mut self, out: &mut Outbox) {
        if matches!(self.role, Role::Leader(_)) {
            return;
        }
        let Some(leader) = self.following.as_ref().map(|of| of.ballot.node().clone()) else {
            return self.queue.clear();
        };
        while let Some(batch) = self.next_batch() {
            let commands = batch.to_vec();
            out.send(&leader, Say::Propose { commands }.body());
        }
    }

    /// As many waiting commands as one slot holds, without those that are over.
    fn next_batch(&mut self) -> Option<Batch> {
        let mut batch: Vec<Command> = Vec::new();
        let mut weight = 0;
        while let Some(command) = self.queue.front() {
            let over = self.state.is_over(&command.origin, command.number);
            if !over || self.bug == Some(Bug::ApplyTwice) {
                let alone = command.act.reconfigures();
                weight += command.weight();
                let full = batch.len() >= BATCH_MAX || weight > BATCH_WEIGHT_MAX;
                if !batch.is_empty() && (alone || full) {
                    break;
                }
                batch.push(command.clone());
                if alone {
                    self.queue.pop_front();
                    break;
                }
            }
            self.queue.pop_front();
        }
        (!batch.is_empty()).then(|| Arc::new(batch))
    }

    pub(super) fn on_heartbeat_ok(&mut self, src: &NodeId, ballot: &Ballot, now: Nanos) {
        if let Role::Leader(leader) = &mut self.role
            && leader.ballot == *ballot
        {
            leader.heard.insert(src.clone(), now);
            if self.is_followed(now) {
                self.renew_lease(now);
            }
        }
    }

    /// Somebody has promised a higher ballot.
    pub(super) fn on_reject(&mut self, ballot: &Ballot, now: Nanos) {
        self.round = self.round.max(ballot.0);
        if self.role.ballot().is_some_and(|own| own < ballot) {
            self.resign(now);
        }
    }

    /// Whether a majority was heard of late.
    pub(super) fn is_followed(&self, now: Nanos) -> bool {
        let Role::Leader(leader) = &self.role else {
            return false;
        };
        if self.bug == Some(Bug::StaleRead) {
            return true;
        }
        let alive = |id: &&NodeId| {
            let at = leader.heard.get(*id);
            **id == self.id || at.is_some_and(|&at| now.saturating_sub(at) < self.election)
        };
        self.state.members().iter().filter(alive).count() >= self.quorum()
    }

    /// What a leader does at every tick: says that it is there, and sends again what has not
    /// arrived. One that a majority does not answer makes room, since others may hear it well.
    pub(super) fn lead_on(&mut self, now: Nanos, out: &mut Outbox) {
        if !self.is_followed(now) {
            return self.resign(now);
        }
        self.beat(now, out);
        let again = now.saturating_sub(2 * self.tick_every());
        let Role::Leader(leader) = &mut self.role else {
            return;
        };
        for (slot, flight) in &mut leader.flights {
            if flight.sent > again {
                continue;
            }
            flight.sent = now;
            let Some((_, batch)) = self.log.vote(*slot) else {
                continue;
            };
            let accept = Say::Accept {
                ballot: leader.ballot.clone(),
                slot: *slot,
                batch: Arc::clone(batch),
                chosen: self.log.next,
            };
            let members = self.state.members().iter();
            for member in members.filter(|id| !flight.accepted.contains(*id)) {
                out.send(member, accept.body());
            }
        }
    }

    fn beat(&self, now: Nanos, out: &mut Outbox) {
        let Role::Leader(leader) = &self.role else {
            return;
        };
        let heartbeat = Say::Heartbeat {
            ballot: leader.ballot.clone(),
            chosen: self.log.next,
            followed: self.is_followed(now),
        };
        let body = heartbeat.body();
        for peer in &self.peers {
            out.send(peer, body.clone());
        }
    }
}
