//! Whether one order of all operations, which keeps that of each session, explains every read.
//!
//! A search over *frontiers*: how far each session has got. A read takes effect as soon as it can,
//! since it changes nothing. A value that is still to be read must not be overwritten, as it is
//! written only once; so of the registers only what is still to be read matters, which the
//! frontier tells, and no frontier is tried twice. Writes are tried in the order in which they
//! returned: most systems are not far from that.

use rustc_hash::FxHashSet;

use super::verdict::{Exhausted, Meter};
use super::{OpId, Role, Sessions};

/// Whether there is such an order.
///
/// # Errors
/// If the budget runs out.
pub(crate) fn ordered(sessions: &Sessions<'_>, meter: &mut Meter) -> Result<bool, Exhausted> {
    let mut walk = Walk::new(sessions);
    walk.settle();
    let mut seen: FxHashSet<Box<[u32]>> = FxHashSet::default();
    let width = sessions.sessions.len();
    let frontier_bytes = 4 * width as u64 + 48;
    let mut stack = vec![Frame {
        undo: None,
        choices: walk.choices(),
    }];
    while let Some(top) = stack.last_mut() {
        if walk.done == sessions.ops.len() {
            return Ok(true);
        }
        meter.spend(width + 1)?;
        let Some(write) = top.choices.pop() else {
            if let Some(undo) = stack.pop().and_then(|frame| frame.undo) {
                walk.undo(undo);
            }
            continue;
        };
        let undo = walk.write(write);
        walk.settle();
        if seen.insert(walk.at.clone().into_boxed_slice()) {
            meter.hold((seen.len() + stack.len()) as u64 * frontier_bytes)?;
            let choices = walk.choices();
            stack.push(Frame {
                undo: Some(undo),
                choices,
            });
        } else {
            walk.undo(undo);
        }
    }
    Ok(false)
}

/// A frontier on the way, with what is left to try from it.
struct Frame {
    undo: Option<Undo>,
    choices: Vec<OpId>,
}

/// How to go back.
struct Undo {
    at: Vec<u32>,
    key: usize,
    current: Option<OpId>,
}

/// A frontier with the registers.
struct Walk<'s, 'a> {
    sessions: &'s Sessions<'a>,
    /// How far each session has got.
    at: Vec<u32>,
    /// The write that each key shows.
    current: Vec<Option<OpId>>,
    /// How many reads still wait for each write.
    waiting: Vec<u32>,
    /// How many reads of each key still wait for the time before its first write.
    waiting_first: Vec<u32>,
    /// How many operations have taken effect.
    done: usize,
}

impl<'s, 'a> Walk<'s, 'a> {
    fn new(sessions: &'s Sessions<'a>) -> Self {
        let mut walk = Self {
            sessions,
            at: vec![0; sessions.sessions.len()],
            current: vec![None; sessions.lines.len()],
            waiting: vec![0; sessions.ops.len()],
            waiting_first: vec![0; sessions.lines.len()],
            done: 0,
        };
        for (read, ..) in sessions.reads() {
            *walk.readers_of(read) += 1;
        }
        walk
    }

    /// The count that a read is part of while it waits.
    fn readers_of(&mut self, read: OpId) -> &mut u32 {
        let op = &self.sessions.ops[read];
        match op.role {
            Role::Read(Some(source)) => &mut self.waiting[source],
            _ => &mut self.waiting_first[op.key],
        }
    }

    fn next(&self, session: usize) -> Option<OpId> {
        let at = self.at[session] as usize;
        self.sessions.sessions[session].get(at).copied()
    }

    /// Lets every read take effect that can.
    fn settle(&mut self) {
        for session in 0..self.at.len() {
            while let Some(read) = self.next(session) {
                let op = &self.sessions.ops[read];
                if op.role != Role::Read(self.current[op.key]) {
                    break;
                }
                *self.readers_of(read) -= 1;
                self.at[session] += 1;
                self.done += 1;
            }
        }
    }

    /// The writes that can take effect next, the best last.
    fn choices(&self) -> Vec<OpId> {
        let may = |write: &OpId| {
            let op = &self.sessions.ops[*write];
            let waiting = self.current[op.key]
                .map_or(self.waiting_first[op.key], |current| self.waiting[current]);
            op.role == Role::Write && waiting == 0
        };
        let mut writes: Vec<OpId> = (0..self.at.len())
            .filter_map(|session| self.next(session))
            .filter(may)
            .collect();
        let returned = |write: &OpId| {
            let call = self.sessions.ops[*write].call;
            (call.returned().unwrap_or(u64::MAX), call.invoked.index)
        };
        writes.sort_by_key(|write| std::cmp::Reverse(returned(write)));
        writes
    }

    fn write(&mut self, write: OpId) -> Undo {
        let op = &self.sessions.ops[write];
        let undo = Undo {
            at: self.at.clone(),
            key: op.key,
            current: self.current[op.key],
        };
        self.current[op.key] = Some(write);
        self.at[op.session] += 1;
        self.done += 1;
        undo
    }

    fn undo(&mut self, undo: Undo) {
        let sessions = self.sessions;
        for (session, ops) in sessions.sessions.iter().enumerate() {
            for &op in &ops[undo.at[session] as usize..self.at[session] as usize] {
                if sessions.ops[op].role != Role::Write {
                    *self.readers_of(op) += 1;
                }
                self.done -= 1;
            }
        }
        self.current[undo.key] = undo.current;
        self.at = undo.at;
    }
}
