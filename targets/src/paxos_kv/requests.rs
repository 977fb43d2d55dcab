//! The requests of a replica's own clients, until they are answered.

use std::collections::BTreeMap;

use tribunal_results::NodeId;

use super::command::{Act, Command};
use super::state::{Effect, State};
use crate::node::{MILLISECOND, Nanos, Outbox};
use crate::wire::{Body, Code, WireError};

/// How many requests may be in progress; further ones are refused.
const REQUESTS_MAX: usize = 10_000;
/// A request that was not carried out by then is given up without an answer: its client has gone,
/// and its outcome is unknown to it anyway.
const PATIENCE: Nanos = 5_000 * MILLISECOND;

/// One request.
#[derive(Debug)]
struct Request {
    client: NodeId,
    msg_id: Option<u64>,
    act: Act,
    until: Nanos,
    /// When it is proposed again, and how long after that once more.
    retry_at: Nanos,
    pause: Nanos,
}

/// All requests in progress, by the numbers of their commands.
#[derive(Debug)]
pub(super) struct Requests {
    own: NodeId,
    next: u64,
    open: BTreeMap<u64, Request>,
}

impl Requests {
    pub(super) const fn new(own: NodeId) -> Self {
        Self {
            own,
            next: 0,
            open: BTreeMap::new(),
        }
    }

    /// Numbers commands from here on: no other life of the node has used these numbers.
    pub(super) const fn start(&mut self, life: u64) {
        self.next = life << 40;
    }

    /// Takes a request up, and gives the command to propose. It is proposed again after `pause`,
    /// twice that, and so on.
    ///
    /// # Errors
    /// There are too many.
    pub(super) fn begin(
        &mut self,
        client: NodeId,
        msg_id: Option<u64>,
        act: Act,
        now: Nanos,
        pause: Nanos,
    ) -> Result<Command, WireError> {
        if self.open.len() >= REQUESTS_MAX {
            return Err(WireError::unavailable("too many requests"));
        }
        let number = self.next;
        self.next += 1;
        let request = Request {
            client,
            msg_id,
            act: act.clone(),
            until: now + PATIENCE,
            retry_at: now + pause,
            pause: pause * 2,
        };
        self.open.insert(number, request);
        Ok(self.command(number, act))
    }

    fn command(&self, number: u64, act: Act) -> Command {
        Command {
            origin: self.own.clone(),
            number,
            settled: self
                .open
                .first_key_value()
                .map_or(number, |(first, _)| *first),
            act,
        }
    }

    /// The commands to propose again by now. Gives up those that have waited too long.
    pub(super) fn due(&mut self, now: Nanos) -> Vec<Command> {
        self.open.retain(|_, request| now < request.until);
        let mut due = Vec::new();
        for (number, request) in &mut self.open {
            if request.retry_at <= now {
                request.retry_at = now + request.pause;
                request.pause *= 2;
                due.push((*number, request.act.clone()));
            }
        }
        let command = |(number, act)| self.command(number, act);
        due.into_iter().map(command).collect()
    }

    /// A command was carried out; if it was asked for here, that is the answer.
    pub(super) fn answer(&mut self, command: &Command, effect: Effect, out: &mut Outbox) {
        if command.origin != self.own {
            return;
        }
        if let Some(request) = self.open.remove(&command.number) {
            let body = effect.answer(&request.act);
            out.send(&request.client, body.in_reply(request.msg_id));
        }
    }

    /// The state came from elsewhere: what was carried out on the way has no answer here.
    pub(super) fn overtaken(&mut self, state: &State, out: &mut Outbox) {
        let own = self.own.clone();
        self.open.retain(|number, request| {
            let over = state.is_over(&own, *number);
            if over {
                let error = WireError::new(Code::Crash, "carried out, but the answer is lost");
                out.send(&request.client, error.body().in_reply(request.msg_id));
            }
            !over
        });
    }

    /// Refuses a request: nothing will be done.
    pub(super) fn refuse(client: &NodeId, body: &Body, error: &WireError, out: &mut Outbox) {
        out.send(client, error.body().in_reply(body.msg_id()));
    }
}
