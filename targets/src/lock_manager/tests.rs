//! Scripts for the coordinator, step by step, without sockets or clocks.
//!
//! A line is `<ms> <client> <request> [arguments]`, and what is sent because of it, including
//! what was due since the line before, follows the arrow: `c1:ticket 1`, `c2:token 3`, `c1:ok`,
//! `c2:error 22`. The lease is 1000 ms. `<ms> crash` starts again from the log alone, and
//! `<ms> wait` lets time pass.

use serde_json::json;
use tribunal_results::Scalar;

use super::TARGET;
use super::bug::Bug;
use super::coordinator::Coordinator;
use crate::locks::{Relay, Rules};
use crate::node::{Input, MILLISECOND, Machine, Nanos, Outbox};
use crate::wire::{Body, Message};

/// A coordinator with its log and its timers.
struct Stage {
    bug: Option<Bug>,
    machine: Coordinator,
    log: Vec<Vec<u8>>,
    timers: Vec<(Nanos, u64)>,
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
        out.messages
            .iter()
            .map(|(dest, body)| format!("{dest}:{}", shown(body)))
            .collect()
    }

    /// Fires what is due until `now`, each timer at its very moment.
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

    /// Plays one line up to the arrow, and gives what was sent.
    fn play(&mut self, line: &str) -> String {
        let words: Vec<&str> = line.split_whitespace().collect();
        let now = words[0].parse::<Nanos>().unwrap() * MILLISECOND;
        let mut sent = self.pass(now);
        match words[1] {
            "wait" => {}
            "crash" => sent.append(&mut self.crash(now)),
            client => {
                let message = Message {
                    src: client.into(),
                    dest: "n1".into(),
                    body: request(words[2], &words[3..]),
                };
                sent.append(&mut self.step(Input::Message(message), now));
            }
        }
        sent.join(" ")
    }
}

fn coordinator(bug: Option<Bug>) -> Coordinator {
    let rules = Rules {
        lease: 1_000 * MILLISECOND,
        grants_by_itself: true,
        bug,
    };
    Coordinator::new("n1".into(), vec!["n1".into(), "n2".into()], rules)
}

fn request(kind: &str, arguments: &[&str]) -> Body {
    let number = |n: usize| arguments.get(n).map(|a| a.parse::<u64>().unwrap());
    let body = Body::new(kind).with("msg_id", 9);
    match kind {
        "acquire" => body
            .with("lock", "a")
            .with("ticket", number(0))
            .with("wait_ms", number(1)),
        "guarded_write" => body
            .with("key", "a")
            .with("value", 1)
            .with("token", number(0)),
        _ => body.with("lock", "a").with("token", number(0)),
    }
}

fn shown(body: &Body) -> String {
    let number = |name| body.field::<u64>(name).unwrap();
    assert_eq!(body.in_reply_to(), Some(9), "{body:?}");
    match body.kind() {
        "request_ok" => format!("ticket {}", number("ticket")),
        "acquire_ok" | "try_acquire_ok" | "renew_ok" => {
            assert_eq!(number("lease_ms"), 1_000);
            format!("token {}", number("token"))
        }
        "release_ok" | "guarded_write_ok" => "ok".to_owned(),
        "error" => format!("error {}", number("code")),
        other => panic!("{other}"),
    }
}

/// Plays the script; what is sent must be what follows the arrows.
fn check(bug: Option<Bug>, script: &str) {
    let mut stage = Stage::new(bug);
    for line in script
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
    {
        let (asked, expected) = line.split_once("->").unwrap();
        assert_eq!(
            stage.play(asked),
            expected.trim(),
            "{bug:?} in line {line:?}"
        );
    }
}

/// The bug must show in the last line of a script, and only there: `right` and `wrong` are what
/// is sent without it and with it.
fn differs(bug: Bug, script: &str, right: &str, wrong: &str) {
    check(None, &format!("{script} -> {right}"));
    check(Some(bug), &format!("{script} -> {wrong}"));
}

#[test]
fn tickets_are_granted_in_the_order_of_their_requests() {
    check(
        None,
        "0 c1 request          -> c1:ticket 1
         1 c2 request          -> c2:ticket 2
         2 c3 request          -> c3:ticket 3
         3 c3 acquire 3 900    -> 
         4 c2 acquire 2 900    -> 
         5 c1 acquire 1 900    -> c1:token 1
         6 c1 release 1        -> c2:token 2 c1:ok
         7 c2 release 2        -> c3:token 3 c2:ok
         8 c3 release 3        -> c3:ok
         9 c3 release 3        -> c3:error 22",
    );
}

#[test]
fn a_holder_or_waiter_is_refused_a_second_ticket() {
    check(
        None,
        "0 c1 request          -> c1:ticket 1
         0 c1 request          -> c1:error 22
         0 c1 acquire 1 0      -> c1:token 1
         0 c1 request          -> c1:error 22
         0 c2 request          -> c2:ticket 4
         0 c2 request          -> c2:error 22",
    );
}

#[test]
fn a_hold_lapses_at_the_end_of_its_lease_and_not_before() {
    check(
        None,
        "0 c1 try_acquire      -> c1:token 1
         5 c2 request          -> c2:ticket 1
         6 c2 acquire 1 5000   -> 
         999 c1 renew 1        -> c1:token 1
         1998 wait             -> 
         1999 c1 renew 1       -> c2:token 2 c1:error 22
         2000 c1 release 1     -> c1:error 22",
    );
}

#[test]
fn a_hold_does_not_lapse_a_nanosecond_early() {
    let mut stage = Stage::new(None);
    stage.play("0 c1 try_acquire");
    let renew = |stage: &mut Stage, now| {
        let body = request("renew", &["1"]);
        let (src, dest) = ("c1".into(), "n1".into());
        stage.step(Input::Message(Message { src, dest, body }), now)
    };
    let lease = 1_000 * MILLISECOND;
    assert_eq!(renew(&mut stage, lease - 1), ["c1:token 1"]);
    assert_eq!(renew(&mut stage, 2 * lease - 1), ["c1:error 22"]);
}

#[test]
fn a_grant_that_nobody_claims_lapses_and_its_ticket_with_it() {
    check(
        None,
        "0 c1 request          -> c1:ticket 1
         0 c2 request          -> c2:ticket 2
         1 c2 acquire 2 5000   -> 
         999 wait              -> 
         1000 wait             -> c2:token 2
         1001 c1 acquire 1 10  -> c1:error 22",
    );
}

#[test]
fn claiming_starts_the_lease_anew() {
    check(
        None,
        "0 c1 request          -> c1:ticket 1
         900 c1 acquire 1 10   -> c1:token 1
         1800 c1 renew 1       -> c1:token 1",
    );
}

#[test]
fn a_ticket_is_withdrawn_when_its_wait_is_over() {
    check(
        None,
        "0 c1 try_acquire      -> c1:token 1
         0 c2 request          -> c2:ticket 1
         0 c2 acquire 1 300    -> 
         0 c2 acquire 1 300    -> c2:error 22
         299 wait              -> 
         300 wait              -> c2:error 11
         301 c1 release 1      -> c1:ok
         302 c2 acquire 1 300  -> c2:error 22
         303 c3 try_acquire    -> c3:token 2",
    );
}

#[test]
fn a_ticket_is_of_use_to_its_owner_only_and_only_once() {
    check(
        None,
        "0 c1 request          -> c1:ticket 1
         0 c2 acquire 1 10     -> c2:error 22
         0 c1 acquire 1 10     -> c1:token 1
         0 c1 acquire 1 10     -> c1:error 22
         0 c1 acquire 7 10     -> c1:error 22",
    );
}

#[test]
fn a_holder_may_enter_again_and_must_leave_as_often() {
    check(
        None,
        "0 c1 acquire          -> c1:error 22
         0 c1 try_acquire      -> c1:token 1
         900 c1 acquire        -> c1:token 1
         901 c2 acquire        -> c2:error 22
         1800 c1 release 1     -> c1:ok
         1801 c2 try_acquire   -> c2:error 11
         1802 c1 release 1     -> c1:ok
         1803 c2 try_acquire   -> c2:token 2",
    );
}

#[test]
fn a_grant_is_not_held_before_it_is_claimed() {
    check(
        None,
        "0 c1 request          -> c1:ticket 1
         0 c1 renew 1          -> c1:error 22
         0 c1 release 1        -> c1:error 22
         0 c1 acquire          -> c1:error 22
         0 c1 try_acquire      -> c1:error 22",
    );
}

#[test]
fn a_try_acquire_never_overtakes_and_never_waits() {
    check(
        None,
        "0 c1 try_acquire      -> c1:token 1
         0 c1 try_acquire      -> c1:error 22
         0 c2 try_acquire      -> c2:error 11
         0 c2 request          -> c2:ticket 1
         1 c1 release 1        -> c1:ok
         2 c3 try_acquire      -> c3:error 11
         3 c2 acquire 1 10     -> c2:token 2",
    );
}

#[test]
fn only_owner_and_token_together_renew_or_release() {
    check(
        None,
        "0 c1 try_acquire      -> c1:token 1
         0 c2 renew 1          -> c2:error 22
         0 c2 release 1        -> c2:error 22
         0 c1 renew 2          -> c1:error 22
         0 c1 release 0        -> c1:error 22",
    );
}

#[test]
fn a_guarded_write_needs_a_token_as_high_as_any_accepted_even_after_a_crash() {
    check(
        None,
        "0 c1 guarded_write 5  -> c1:ok
         0 c1 guarded_write 5  -> c1:ok
         0 c2 guarded_write 4  -> c2:error 22
         0 c2 guarded_write 7  -> c2:ok
         9 crash               -> 
         9 c1 guarded_write 6  -> c1:error 22
         9 c1 guarded_write 7  -> c1:ok",
    );
}

#[test]
fn holds_counts_and_tokens_survive_a_crash_with_a_full_lease_and_old_tickets_do_not() {
    check(
        None,
        "0 c1 try_acquire      -> c1:token 1
         0 c1 acquire          -> c1:token 1
         0 c2 request          -> c2:ticket 1
         900 crash             -> 
         901 c2 acquire 1 10   -> c2:error 22
         901 c2 request        -> c2:ticket 1001
         1899 c1 release 1     -> c1:ok
         1899 c2 acquire 1001 9000 -> 
         1900 wait             -> c2:token 2
         1901 crash            -> 
         1902 c2 release 2     -> c2:ok
         1903 crash            -> 
         1904 c3 try_acquire   -> c3:token 3",
    );
}

#[test]
fn a_lapsed_hold_stays_lapsed_after_a_crash() {
    check(
        None,
        "0 c1 try_acquire      -> c1:token 1
         1000 wait             -> 
         1001 crash            -> 
         1002 c1 renew 1       -> c1:error 22
         1003 c2 try_acquire   -> c2:token 2",
    );
}

#[test]
fn locks_are_independent() {
    let mut stage = Stage::new(None);
    assert_eq!(stage.play("0 c1 try_acquire"), "c1:token 1");
    let body = Body::new("try_acquire").with("lock", 7).with("msg_id", 9);
    let (src, dest) = ("c2".into(), "n1".into());
    let sent = stage.step(Input::Message(Message { src, dest, body }), 0);
    assert_eq!(sent, ["c2:token 1"]);
}

/// Whatever part of its log the coordinator finds, it keeps what clients were told by then: who
/// holds the lock how many times, which tokens and tickets are taken, and what was accepted.
#[test]
fn after_any_prefix_of_its_log_the_coordinator_keeps_what_was_told_by_then() {
    let mut whole = Stage::new(None);
    for line in [
        "0 c1 request",
        "1 c1 acquire 1 0",
        "2 c1 acquire",
        "3 c1 guarded_write 1",
        "4 c1 release 1",
        "5 c1 release 1",
        "6 c2 try_acquire",
        "7 c2 release 2",
    ] {
        whole.play(line);
    }
    // After so many records: the holder, its entries and its token, and the highest token
    // accepted.
    let told = [
        (1, "c1", 0, 0, 0),
        (2, "c1", 1, 1, 0),
        (3, "c1", 2, 1, 0),
        (4, "c1", 2, 1, 1),
        (5, "c1", 1, 1, 1),
        (6, "c1", 0, 1, 1),
        (7, "c2", 1, 2, 1),
        (8, "c2", 0, 2, 1),
    ];
    assert_eq!(whole.log.len(), told.len());
    for (records, owner, entries, token, accepted) in told {
        let mut stage = Stage::new(None);
        stage.log = whole.log[..records].to_vec();
        stage.crash(10 * MILLISECOND);
        let mut play = |line: &str| stage.play(line);
        if entries > 0 {
            assert_eq!(play("11 c3 try_acquire"), "c3:error 11", "{records}");
        }
        for _ in 0..entries {
            let release = format!("12 {owner} release {token}");
            assert_eq!(play(&release), format!("{owner}:ok"), "{records}");
        }
        let release = format!("12 {owner} release {token}");
        assert_eq!(play(&release), format!("{owner}:error 22"), "{records}");
        let stale = match accepted {
            0 => "c9:ok",
            _ => "c9:error 22",
        };
        assert_eq!(play("13 c9 guarded_write 0"), stale, "{records}");
        let next = format!("c3:token {}", token + 1);
        assert_eq!(play("14 c3 try_acquire"), next, "{records}");
        assert_eq!(play("15 c4 request"), "c4:ticket 1001", "{records}");
    }
}

#[test]
fn double_grant_grants_a_held_lock() {
    differs(
        Bug::DoubleGrant,
        "0 c1 try_acquire      -> c1:token 1
         0 c2 request          -> c2:ticket 1
         0 c3 request          -> c3:ticket 2
         0 c4 request          -> c4:ticket 3
         0 c2 acquire 1 500    ->
         0 c3 acquire 2 500    ->
         0 c4 acquire 3 500    ",
        "",
        "c2:token 2",
    );
}

#[test]
fn lifo_queue_grants_the_youngest_first() {
    differs(
        Bug::LifoQueue,
        "0 c1 try_acquire      -> c1:token 1
         0 c2 request          -> c2:ticket 1
         0 c3 request          -> c3:ticket 2
         0 c2 acquire 1 500    ->
         0 c3 acquire 2 500    ->
         1 c1 release 1        ",
        "c2:token 2 c1:ok",
        "c3:token 2 c1:ok",
    );
}

#[test]
fn forget_on_restart_frees_what_is_held() {
    differs(
        Bug::ForgetOnRestart,
        "0 c1 try_acquire      -> c1:token 1
         1 crash               ->
         2 c2 try_acquire      ",
        "c2:error 11",
        "c2:token 2",
    );
}

#[test]
fn token_reuse_repeats_a_token() {
    differs(
        Bug::TokenReuse,
        "0 c1 try_acquire      -> c1:token 1
         1 c1 release 1        -> c1:ok
         2 c2 try_acquire      -> c2:token 2
         3 c2 release 2        -> c2:ok
         4 c1 try_acquire      ",
        "c1:token 3",
        "c1:token 2",
    );
}

#[test]
fn release_by_anyone_obeys_strangers() {
    differs(
        Bug::ReleaseByAnyone,
        "0 c1 try_acquire      -> c1:token 1
         0 c2 release 9        ",
        "c2:error 22",
        "c2:ok",
    );
}

#[test]
fn lease_ignores_renewal_ends_the_lease_as_before() {
    differs(
        Bug::LeaseIgnoresRenewal,
        "0 c1 try_acquire      -> c1:token 1
         900 c1 renew 1        -> c1:token 1
         1000 c2 try_acquire   ",
        "c2:error 11",
        "c2:token 2",
    );
}

#[test]
fn reentrant_leak_frees_a_lock_that_is_still_inside() {
    differs(
        Bug::ReentrantLeak,
        "0 c1 try_acquire      -> c1:token 1
         0 c1 acquire          -> c1:token 1
         1 c1 release 1        -> c1:ok
         2 c2 try_acquire      ",
        "c2:error 11",
        "c2:token 2",
    );
}

#[test]
fn a_relayed_request_is_answered_through_the_relay() {
    let mut out = Outbox::default();
    let inner = request("try_acquire", &[]);
    let relayed = Body::new("relay").with("client", "c1").with("body", inner);
    let message = |src: &str| Message {
        src: src.into(),
        dest: "n1".into(),
        body: relayed.clone(),
    };
    let mut machine = coordinator(None);
    machine.step(Input::Message(message("n2")), 0, &mut out);
    let (dest, body) = out.messages.pop().unwrap();
    assert_eq!((&*dest, body.kind()), ("n2", "relay_ok"));
    assert_eq!(body.field::<Scalar>("client"), Ok("c1".into()));
    assert_eq!(shown(&body.field("body").unwrap()), "token 1");

    machine.step(Input::Message(message("c2")), 0, &mut out);
    let (dest, body) = out.messages.pop().unwrap();
    assert_eq!((&*dest, body.field::<u64>("code")), ("c2", Ok(10)));
}

#[test]
fn a_relay_refuses_for_sure_while_the_coordinator_does_not_answer() {
    let mut relay = Relay::new(vec!["n1".into(), "n2".into()], "n1".into());
    let mut out = Outbox::default();
    let mut sent = |input: Input, now: Nanos| {
        relay.step(input, now, &mut out);
        let ready = relay.status(now).ready;
        let message = out
            .messages
            .pop()
            .map(|(to, body)| format!("{to}:{}", body.kind()));
        (message.unwrap_or_default(), ready)
    };
    let message = |src: &str, body: Body| {
        let (src, dest) = (src.into(), "n2".into());
        Input::Message(Message { src, dest, body })
    };
    let asked = || message("c1", request("try_acquire", &[]));
    assert_eq!(sent(asked(), 0), ("c1:error".into(), false));
    let up = |up| Input::Link {
        peer: "n1".into(),
        up,
    };
    assert_eq!(sent(up(true), 0), ("n1:ping".into(), false));
    assert_eq!(
        sent(message("n1", Body::new("pong")), 0),
        (String::new(), true)
    );
    assert_eq!(sent(asked(), 1), ("n1:relay".into(), true));
    let answer = Body::new("relay_ok")
        .with("client", "c1")
        .with("body", json!({ "type": "try_acquire_ok" }));
    assert_eq!(
        sent(message("n1", answer), 1),
        ("c1:try_acquire_ok".into(), true)
    );
    assert_eq!(sent(up(false), 2), (String::new(), false));
    assert_eq!(sent(asked(), 2), ("c1:error".into(), false));
}

#[test]
fn a_lease_is_at_least_a_millisecond() {
    use crate::Target;
    let error = TARGET.check_options(&json!({ "lease_ms": 0 })).unwrap_err();
    assert_eq!(error.path, "lease_ms");
    TARGET.check_options(&json!({ "lease_ms": 200 })).unwrap();
}
