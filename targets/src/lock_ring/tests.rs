//! Scripts for nodes in a ring; see [`Stage`]. The token rests for 3 ms, and is sent again every
//! 40 ms. Tickets are numbered by each node.

use super::machine::Node;
use crate::locks::stage::{Stage, names};
use crate::node::{MILLISECOND, Machine};

fn stage(count: usize, two_tokens: bool) -> Stage {
    Stage::new(count, move |id: &_| {
        let node = Node::new(id, &names(count), 1_000 * MILLISECOND, two_tokens);
        Box::new(node) as Box<dyn Machine>
    })
}

#[test]
fn the_token_goes_round_and_grants_where_somebody_waits() {
    stage(3, false).check(
        "0 c2@n2 request       -> c2:ticket 1
         1 c2@n2 acquire 1     ->
         3 wait                -> n1>n2:token 1
         4 n1>n2               -> n2>n1:token_ok 1 c2:token 1
         9 n2>n1               ->
         20 c2@n2 release 1    -> n2>n3:token 2 c2:ok
         21 n2>n3              -> n3>n2:token_ok 2
         22 n3>n2              ->
         24 wait               -> n3>n1:token 3
         25 n3>n1              -> n1>n3:token_ok 3",
    );
}

#[test]
fn each_visit_of_the_token_grants_a_lock_once() {
    stage(2, false).check(
        "0 c1@n1 request       -> c1:ticket 1
         0 c3@n1 request       -> c3:ticket 2
         1 c1@n1 acquire 1     -> c1:token 1
         1 c3@n1 acquire 2     ->
         2 c1@n1 release 1     -> n1>n2:token 1 c1:ok
         3 n1>n2               -> n2>n1:token_ok 1
         3 n2>n1               ->
         6 wait                -> n2>n1:token 2
         7 n2>n1               -> n1>n2:token_ok 2 c3:token 2",
    );
}

#[test]
fn the_token_is_sent_until_it_is_acknowledged_and_taken_up_once() {
    stage(2, false).check(
        "3 wait                -> n1>n2:token 1
         4 lose n1>n2          ->
         80 wait               -> n1>n2:token 1
         81 double n1>n2       -> n2>n1:token_ok 1
         84 wait               -> n2>n1:token 2
         85 n1>n2              -> n2>n1:token_ok 1
         86 n2>n1              ->
         87 n2>n1              -> n1>n2:token_ok 2
         90 wait               -> n1>n2:token 3",
    );
}

#[test]
fn a_hold_that_nobody_gives_back_keeps_the_token_until_its_lease_is_over() {
    stage(2, false).check(
        "0 c1@n1 request       -> c1:ticket 1
         1 c1@n1 acquire 1     -> c1:token 1
         900 c1@n1 renew 1     -> c1:token 1
         1899 wait             ->
         1900 wait             -> n1>n2:token 1
         1901 c1@n1 release 1  -> c1:error 22",
    );
}

#[test]
fn a_node_that_dies_with_the_token_has_it_still_and_its_holds_too() {
    stage(2, false).check(
        "0 c1@n1 request       -> c1:ticket 1
         1 c1@n1 acquire 1     -> c1:token 1
         2 crash n1            ->
         900 wait              ->
         901 c1@n1 release 1   -> n1>n2:token 1 c1:ok
         902 n1>n2             -> n2>n1:token_ok 1",
    );
}

#[test]
fn a_node_that_dies_after_it_passed_the_token_on_sends_it_again_and_has_it_no_more() {
    stage(2, false).check(
        "3 wait                -> n1>n2:token 1
         4 lose n1>n2          ->
         5 crash n1            ->
         6 c1@n1 request       -> c1:ticket 1099511627777
         7 c1@n1 acquire 1099511627777 ->
         45 wait               -> n1>n2:token 1
         46 n1>n2              -> n2>n1:token_ok 1",
    );
}

/// Whatever part of its log a node finds, it has the token if the log says so, and never a lower
/// fencing token to give than those that clients were told by then.
#[test]
fn after_any_prefix_of_its_log_a_node_gives_no_fencing_token_twice() {
    let mut whole = stage(1, false);
    for line in [
        "0 c1@n1 request",
        "1 c1@n1 acquire 1",
        "2 c1@n1 release 1",
        "10 c2@n1 request",
        "11 c2@n1 acquire 2",
        "12 c2@n1 release 2",
    ] {
        whole.play(line);
    }
    let log = whole.log("n1").clone();
    let told = |records: usize| log[..records].iter().filter(|r| told_in(r)).count();
    assert_eq!(told(log.len()), 2, "{log:?}");
    for records in 1..=log.len() {
        let mut stage = stage(1, false);
        *stage.log("n1") = log[..records].to_vec();
        stage.play("0 crash n1");
        let ticket = stage.play("2000 c9@n1 request");
        let ticket = ticket.strip_prefix("c9:ticket ").unwrap();
        let sent = stage.play(&format!("2001 c9@n1 acquire {ticket}"));
        let token: usize = sent.strip_prefix("c9:token ").unwrap().parse().unwrap();
        assert!(token > told(records), "{token} after {records} records");
    }
}

/// Whether a record says that a client has a token.
fn told_in(record: &[u8]) -> bool {
    let record: serde_json::Value = serde_json::from_slice(record).unwrap();
    record["record"] == "claim" && !record["claim"].is_null()
}

#[test]
fn two_tokens_are_there_if_one_is_made_anew_while_the_old_one_is_slow() {
    let mut stage = stage(2, true);
    stage.check(
        "0 c2@n2 request       -> c2:ticket 1
         0 c2@n2 acquire 1     ->
         3 wait                -> n1>n2:token 1
         4 n1>n2               -> n2>n1:token_ok 1 c2:token 1
         5 n2>n1               ->
         6 c1@n1 request       -> c1:ticket 1
         300 c1@n1 acquire 1   ->
         480 wait              ->
         520 wait              -> c1:token 1",
    );
}
