//! Scripts for the coordinator, step by step, without sockets or clocks.
//!
//! A line is `<ms> <client> acquire <permits> [wait]` or `<ms> <client> release <permits> <token>`,
//! and what is sent because of it, including what was due since the line before, follows the
//! arrow. There are 3 permits, the lease is 1000 ms and the wait 200 ms. `<ms> crash` starts again
//! from the log alone, and `<ms> wait` lets time pass.

use serde_json::json;

use super::coordinator::Coordinator;
use super::pool::Rules;
use super::{Bug, TARGET};
use crate::Target;
use crate::node::{Input, MILLISECOND, Machine, Nanos, Outbox};
use crate::wire::{Body, Message};

struct Stage {
    bug: Option<Bug>,
    machine: Coordinator,
    log: Vec<Vec<u8>>,
    timers: Vec<(Nanos, u64)>,
}

fn coordinator(bug: Option<Bug>) -> Coordinator {
    let rules = Rules {
        permits: 3,
        lease: 1_000 * MILLISECOND,
        wait: 200 * MILLISECOND,
        bug,
    };
    Coordinator::new("n1".into(), vec!["n1".into(), "n2".into()], rules)
}

fn shown(body: &Body) -> String {
    let number = |name| body.field::<u64>(name).unwrap();
    assert_eq!(body.in_reply_to(), Some(9), "{body:?}");
    match body.kind() {
        "acquire_permits_ok" => format!("token {}", number("token")),
        "release_permits_ok" => "ok".to_owned(),
        "error" => format!("error {}", number("code")),
        other => panic!("{other}"),
    }
}

impl Stage {
    fn new(bug: Option<Bug>) -> Self {
        let mut stage = Self {
            bug,
            machine: coordinator(bug),
            log: Vec::new(),
            timers: Vec::new(),
        };
        stage.step(Input::Start, 0);
        stage
    }

    fn step(&mut self, input: Input, now: Nanos) -> Vec<String> {
        let mut out = Outbox::default();
        self.machine.step(input, now, &mut out);
        self.log.append(&mut out.records);
        self.timers.append(&mut out.timers);
        let sent = out.messages.iter();
        sent.map(|(dest, body)| format!("{dest}:{}", shown(body)))
            .collect()
    }

    fn pass(&mut self, now: Nanos) -> Vec<String> {
        let mut sent = Vec::new();
        loop {
            self.timers.sort_unstable();
            match self.timers.first() {
                Some(&(at, id)) if at <= now => {
                    self.timers.remove(0);
                    sent.append(&mut self.step(Input::Timer(id), at));
                }
                _ => return sent,
            }
        }
    }

    fn crash(&mut self, now: Nanos) -> Vec<String> {
        self.timers.clear();
        self.machine = coordinator(self.bug);
        for record in &self.log {
            self.machine.recover(record).unwrap();
        }
        self.step(Input::Start, now)
    }

    fn play(&mut self, line: &str) -> String {
        let words: Vec<&str> = line.split_whitespace().collect();
        let number = |at: usize| words.get(at).map(|word| word.parse::<u64>().unwrap());
        let now = number(0).unwrap() * MILLISECOND;
        let mut sent = self.pass(now);
        let body = match words.get(2) {
            None if words[1] == "crash" => {
                sent.append(&mut self.crash(now));
                return sent.join(" ");
            }
            None => return sent.join(" "),
            Some(&"acquire") => Body::new("acquire_permits").with("wait_ms", number(4)),
            _ => Body::new("release_permits").with("token", number(4)),
        };
        let body = body
            .with("key", "a")
            .with("permits", number(3))
            .with("msg_id", 9);
        let (src, dest) = (words[1].into(), "n1".into());
        sent.append(&mut self.step(Input::Message(Message { src, dest, body }), now));
        sent.join(" ")
    }
}

/// Plays the script; what is sent must be what follows the arrows.
fn check(bug: Option<Bug>, script: &str) {
    let mut stage = Stage::new(bug);
    let lines = script.lines().map(str::trim);
    for line in lines.filter(|line| !line.is_empty()) {
        let (asked, expected) = line.split_once("->").unwrap();
        assert_eq!(stage.play(asked), expected.trim(), "{bug:?} in {line:?}");
    }
}

#[test]
fn permits_are_granted_while_there_are_some_and_then_in_turn() {
    check(
        None,
        "0 c1 acquire 2     -> c1:token 1
         1 c2 acquire 1     -> c2:token 2
         2 c3 acquire 2     ->
         3 c4 acquire 1     ->
         4 c2 release 1 2   -> c2:ok
         5 c1 release 2 1   -> c1:ok c3:token 3 c4:token 4",
    );
}

#[test]
fn who_waits_in_vain_is_refused_and_makes_room_for_the_next() {
    check(
        None,
        "0 c1 acquire 2     -> c1:token 1
         1 c2 acquire 3     ->
         9 c3 acquire 1     ->
         200 wait           ->
         201 wait           -> c2:error 11 c3:token 2
         210 c4 acquire 1 5 ->
         215 wait           -> c4:error 14
         220 c5 acquire 4   -> c5:error 22
         220 c5 acquire 0   -> c5:error 22",
    );
}

#[test]
fn permits_are_given_back_bit_by_bit_by_their_owner_under_their_token() {
    check(
        None,
        "0 c1 acquire 3     -> c1:token 1
         1 c2 release 1 1   -> c2:error 22
         1 c1 release 1 2   -> c1:error 22
         1 c1 release 4 1   -> c1:error 22
         1 c1 release 0 1   -> c1:error 22
         1 c1 release 1     -> c1:error 22
         2 c1 release 2 1   -> c1:ok
         3 c1 release 2 1   -> c1:error 22
         4 c2 acquire 2     -> c2:token 2
         5 c1 release 1 1   -> c1:ok
         6 c1 release 1 1   -> c1:error 22",
    );
}

#[test]
fn permits_fall_back_at_the_end_of_their_lease_and_not_before() {
    check(
        None,
        "0 c1 acquire 3     -> c1:token 1
         900 c2 acquire 1   ->
         999 wait           ->
         1000 wait          -> c2:token 2
         1001 c1 release 3 1 -> c1:error 22",
    );
}

#[test]
fn what_was_granted_survives_a_crash_with_a_full_lease_and_the_queue_does_not() {
    check(
        None,
        "0 c1 acquire 2     -> c1:token 1
         1 c2 acquire 1     -> c2:token 2
         2 c3 acquire 1     ->
         3 c1 release 1 1   -> c1:ok c3:token 3
         4 c4 acquire 1     ->
         100 crash          ->
         101 c5 acquire 1   ->
         102 c3 release 1 3 -> c3:ok c5:token 4
         103 c1 release 1 1 -> c1:ok
         104 c6 acquire 2   ->
         304 wait           -> c6:error 11
         1050 c7 acquire 2  ->
         1099 wait          ->
         1100 wait          -> c7:token 5",
    );
}

/// After any prefix of the log the permits held are those that were granted in it and not given
/// back, so never more than there are.
#[test]
fn a_crash_at_any_record_leaves_no_more_permits_held_than_there_are() {
    let mut stage = Stage::new(None);
    for line in [
        "0 c1 acquire 2",
        "1 c2 acquire 1",
        "2 c3 acquire 3",
        "3 c1 release 1 1",
        "4 c1 release 1 1",
        "5 c2 release 1 2",
        "6 c3 release 1 3",
        "7 c4 acquire 1",
    ] {
        stage.play(line);
    }
    let log = stage.log.clone();
    let free = [3, 1, 0, 1, 2, 3, 0, 1, 0];
    assert_eq!(log.len() + 1, free.len());
    for (records, free) in free.into_iter().enumerate() {
        let mut stage = Stage::new(None);
        stage.log = log[..records].to_vec();
        stage.crash(10 * MILLISECOND);
        let granted = (0..4).take_while(|_| stage.play("10 c9 acquire 1").contains("token"));
        assert_eq!(granted.count(), free, "after {records} records");
    }
}

#[test]
fn over_grant_grants_one_permit_too_many() {
    for (bug, answer) in [(None, ""), (Some(Bug::OverGrant), "c2:token 2")] {
        check(
            bug,
            &format!(
                "0 c1 acquire 3 -> c1:token 1
                 1 c2 acquire 1 -> {answer}"
            ),
        );
    }
}

#[test]
fn lost_signal_leaves_the_queue_asleep_after_the_third_release() {
    for (bug, third) in [(None, "c1:ok c4:token 4"), (Some(Bug::LostSignal), "c1:ok")] {
        check(
            bug,
            &format!(
                "0 c1 acquire 3     -> c1:token 1
                 1 c2 acquire 1     ->
                 2 c3 acquire 1     ->
                 3 c4 acquire 1     ->
                 4 c1 release 1 1   -> c1:ok c2:token 2
                 5 c1 release 1 1   -> c1:ok c3:token 3
                 6 c1 release 1 1   -> {third}"
            ),
        );
    }
}

#[test]
fn lifo_wakeup_wakes_who_came_last() {
    for (bug, woken) in [
        (None, "c1:ok c2:token 2"),
        (Some(Bug::LifoWakeup), "c1:ok c3:token 2"),
    ] {
        check(
            bug,
            &format!(
                "0 c1 acquire 3     -> c1:token 1
                 1 c2 acquire 3     ->
                 2 c3 acquire 3     ->
                 3 c1 release 3 1   -> {woken}"
            ),
        );
    }
}

#[test]
fn wrong_options_are_refused_by_their_name() {
    for name in ["permits", "lease_ms", "wait_ms"] {
        let error = TARGET.check_options(&json!({ name: 0 })).unwrap_err();
        assert_eq!(error.path, name);
    }
    TARGET.check_options(&json!({ "permits": 5 })).unwrap();
}
