//! How a replica learns what was chosen without it: slot by slot, or by a snapshot.

use std::sync::Arc;

use tribunal_results::NodeId;

use super::ballot::Slot;
use super::command::Batch;
use super::leader::Role;
use super::log::Snapshot;
use super::message::Say;
use super::replica::Replica;
use super::state::Row;
use crate::node::{Nanos, Outbox};

/// How many slots are told at once.
const LEARNED_MAX: usize = 8;
/// How many parts a snapshot has at most.
const PARTS_MAX: usize = 20_000;

impl Replica {
    /// Asks for what comes next, as long as somebody knows more. A leader does not: whatever it
    /// says is chosen must have been chosen in its own ballot.
    pub(super) fn catch_up(&mut self, out: &mut Outbox) {
        let goal = self.goal.take();
        let Some((chosen, node)) = goal.filter(|(chosen, _)| *chosen > self.log.next) else {
            return;
        };
        if matches!(self.role, Role::Leader(_)) {
            return;
        }
        let Snapshot { slot, parts } = &self.incoming;
        let from = self.log.next;
        let (slot, part) = (*slot, parts.len());
        let say = match slot > from {
            true => Say::Fetch { slot, part, from },
            false => Say::Learn { from },
        };
        out.send(&node, say.body());
        self.goal = Some((chosen, node));
    }

    /// Somebody refused because it knows of more. A leader steps down: for some slot of its own,
    /// what is chosen may be another's value.
    pub(super) fn on_behind(&mut self, src: &NodeId, chosen: Slot, now: Nanos, out: &mut Outbox) {
        if chosen <= self.log.next {
            return;
        }
        if matches!(self.role, Role::Leader(_)) {
            self.resign(now);
        }
        self.goal = Some((chosen, src.clone()));
        self.catch_up(out);
    }

    pub(super) fn on_learn(&self, src: &NodeId, from: Slot, out: &mut Outbox) {
        match self.log.chosen_from(from, LEARNED_MAX) {
            Some(batches) if batches.is_empty() => {}
            Some(batches) => out.send(src, Say::Learned { from, batches }.body()),
            None => self.send_part(src, 0, out),
        }
    }

    pub(super) fn on_learned(&mut self, from: Slot, batches: &[Batch], out: &mut Outbox) {
        let known = self.log.next.checked_sub(from).map(usize::try_from);
        let Some(Ok(known)) = known else { return };
        let new = batches.get(known..).unwrap_or_default();
        if new.is_empty() || matches!(self.role, Role::Leader(_)) {
            return;
        }
        for batch in new {
            self.log.choose_learned(batch, out);
            self.apply(batch, out);
        }
        self.catch_up(out);
    }

    pub(super) fn on_fetch(
        &self,
        src: &NodeId,
        (slot, part): (Slot, usize),
        from: Slot,
        out: &mut Outbox,
    ) {
        let own = &self.log.snapshot;
        match slot == own.slot && part < own.parts.len() {
            true => self.send_part(src, part, out),
            // There is a newer snapshot by now, or here it was never needed.
            false => self.on_learn(src, from, out),
        }
    }

    fn send_part(&self, dest: &NodeId, part: usize, out: &mut Outbox) {
        let own = &self.log.snapshot;
        if let Some(rows) = own.parts.get(part) {
            let say = Say::Snapshot {
                slot: own.slot,
                part,
                last: part + 1 == own.parts.len(),
                rows: rows.to_vec(),
            };
            out.send(dest, say.body());
        }
    }

    pub(super) fn on_snapshot(
        &mut self,
        src: &NodeId,
        (slot, part, last): (Slot, usize, bool),
        rows: Vec<Row>,
        out: &mut Outbox,
    ) {
        if slot <= self.log.next || part >= PARTS_MAX || matches!(self.role, Role::Leader(_)) {
            return;
        }
        if slot != self.incoming.slot && part == 0 {
            let parts = Vec::new();
            self.incoming = Snapshot { slot, parts };
        }
        if slot != self.incoming.slot || part != self.incoming.parts.len() {
            return;
        }
        self.incoming.parts.push(Arc::new(rows));
        if last {
            let snapshot = std::mem::take(&mut self.incoming);
            self.state = snapshot.state();
            self.log.install(snapshot, out);
            self.requests.overtaken(&self.state, out);
        }
        if self.goal.is_none() {
            self.goal = Some((slot, src.clone()));
        }
        self.catch_up(out);
    }
}
