//! A replica as an acceptor, and as the follower of a leader.

use tribunal_results::NodeId;

use super::ballot::{Ballot, Slot};
use super::command::{Batch, is_sound};
use super::leader::Role;
use super::log::REACH;
use super::message::Say;
use super::replica::{Following, Replica};
use crate::node::{Nanos, Outbox};

impl Replica {
    /// Phase 1b. Whoever lacks something that is chosen must learn it before it may lead, so that
    /// no leader ever proposes for a slot that is settled here.
    pub(super) fn on_prepare(
        &mut self,
        src: &NodeId,
        ballot: Ballot,
        from: Slot,
        now: Nanos,
        out: &mut Outbox,
    ) {
        if ballot.node() != src || self.rejects(src, &ballot, out) {
            return;
        }
        if from < self.log.next {
            let chosen = self.log.next;
            return out.send(src, Say::Behind { chosen }.body());
        }
        self.stand_back(&ballot);
        self.log.promise(&ballot, out);
        self.following = None;
        self.wait(now);
        let votes = self.log.votes();
        out.send(src, Say::Promise { ballot, votes }.body());
    }

    /// Phase 2b.
    pub(super) fn on_accept(
        &mut self,
        src: &NodeId,
        ballot: &Ballot,
        (slot, batch): (Slot, Batch),
        chosen: Slot,
        now: Nanos,
        out: &mut Outbox,
    ) {
        if ballot.node() != src || !is_sound(&batch) || self.rejects(src, ballot, out) {
            return;
        }
        self.follow(ballot, None, now);
        self.choose_below(src, ballot, chosen, out);
        if slot < self.log.next {
            // What is chosen here may be another value, chosen in a higher ballot that was not
            // promised here. A leader that has not heard of it must hear of it now.
            let chosen = self.log.next;
            return out.send(src, Say::Behind { chosen }.body());
        }
        if slot < self.log.next.saturating_add(REACH) {
            self.log.accept(slot, ballot, &batch, out);
            let ballot = ballot.clone();
            out.send(src, Say::Accepted { ballot, slot }.body());
        }
    }

    /// A leader says up to where its proposals are chosen.
    pub(super) fn on_chosen(
        &mut self,
        src: &NodeId,
        ballot: &Ballot,
        chosen: Slot,
        out: &mut Outbox,
    ) {
        if ballot.node() == src {
            self.choose_below(src, ballot, chosen, out);
        }
    }

    /// The same from a leader that wants to know who follows.
    pub(super) fn on_heartbeat(
        &mut self,
        src: &NodeId,
        ballot: &Ballot,
        chosen: Slot,
        followed: bool,
        now: Nanos,
        out: &mut Outbox,
    ) {
        if ballot.node() != src || self.rejects(src, ballot, out) {
            return;
        }
        self.follow(ballot, Some(followed), now);
        self.choose_below(src, ballot, chosen, out);
        let ballot = ballot.clone();
        out.send(src, Say::HeartbeatOk { ballot }.body());
    }

    /// Tells whoever comes with a ballot lower than what was promised; says whether that is so.
    fn rejects(&mut self, src: &NodeId, ballot: &Ballot, out: &mut Outbox) -> bool {
        self.round = self.round.max(ballot.0);
        let promised = &self.log.promised;
        let rejects = ballot < promised;
        if rejects {
            let ballot = promised.clone();
            out.send(src, Say::Reject { ballot }.body());
        }
        rejects
    }

    /// Gives up what it tried or did in a lower ballot.
    fn stand_back(&mut self, ballot: &Ballot) {
        if self.role.ballot().is_some_and(|own| own < ballot) {
            self.role = Role::Follower;
            self.queue.clear();
        }
    }

    fn follow(&mut self, ballot: &Ballot, followed: Option<bool>, now: Nanos) {
        self.stand_back(ballot);
        self.wait(now);
        let known = self.following.take().filter(|of| of.ballot == *ballot);
        let followed = followed.unwrap_or(known.is_some_and(|of| of.followed));
        self.following = Some(Following {
            ballot: ballot.clone(),
            heard: now,
            followed,
        });
    }

    /// Of all that a ballot's leader proposed, what is below `chosen` is chosen. What was accepted
    /// in that very ballot is what it proposed; the rest has to be learnt.
    fn choose_below(&mut self, src: &NodeId, ballot: &Ballot, chosen: Slot, out: &mut Outbox) {
        while self.log.next < chosen
            && self
                .log
                .vote(self.log.next)
                .is_some_and(|(of, _)| of == ballot)
            && let Some(batch) = self.log.choose_accepted()
        {
            self.apply(&batch, out);
        }
        if self.log.next < chosen {
            self.goal = Some((chosen, src.clone()));
            if !self.is_member() {
                self.catch_up(out);
            }
        }
    }
}
