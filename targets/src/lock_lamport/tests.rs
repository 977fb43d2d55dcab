//! Scripts for nodes that ask each other; see [`Stage`]. Tickets and tokens are stamps as numbers:
//! among three nodes, `3 × time + number of the node`, so n1's request of time 1 is 3, n2's is 4.

use super::Bug;
use super::machine::Node;
use crate::locks::stage::{Stage, names};
use crate::node::MILLISECOND;

fn stage(count: usize, bug: Option<Bug>) -> Stage {
    let make = move |id: &_| {
        let node = Node::new(id, &names(count), 1_000 * MILLISECOND, bug);
        Box::new(node) as Box<dyn crate::node::Machine>
    };
    Stage::new(count, make)
}

#[test]
fn a_request_is_acknowledged_when_all_have_seen_it_and_granted_when_all_have_replied() {
    stage(3, None).check(
        "0 c1@n1 request       -> n1>n2:claim 1 n1>n3:claim 1
         1 n1>n2               -> n2>n1:reply 1
         1 n1>n3               -> n3>n1:reply 1
         2 n2>n1               ->
         3 n3>n1               -> c1:ticket 3
         4 c1@n1 acquire 3     -> c1:token 3
         5 c1@n1 release 3     -> c1:ok",
    );
}

#[test]
fn requests_of_the_same_time_are_granted_in_the_order_of_the_nodes() {
    stage(3, None).check(
        "0 c1@n1 request       -> n1>n2:claim 1 n1>n3:claim 1
         0 c2@n2 request       -> n2>n1:claim 1 n2>n3:claim 1
         1 n1>n2               -> n2>n1:reply 1
         1 n2>n1               -> n1>n2:later 1
         2 n1>n3               -> n3>n1:reply 1
         2 n2>n3               -> n3>n2:reply 1
         3 n1>n2               ->
         3 n3>n2               -> c2:ticket 4
         4 n2>n1               ->
         4 n3>n1               -> c1:ticket 3
         5 c2@n2 acquire 4     ->
         6 c1@n1 acquire 3     -> c1:token 3
         7 c1@n1 release 3     -> n1>n2:reply 1 c1:ok
         8 n1>n2               -> c2:token 4",
    );
}

#[test]
fn who_asks_after_another_was_acknowledged_comes_after_it() {
    stage(2, None).check(
        "0 c1@n1 request       -> n1>n2:claim 1
         1 n1>n2               -> n2>n1:reply 1
         2 n2>n1               -> c1:ticket 2
         3 c2@n2 request       -> n2>n1:claim 2
         4 n2>n1               -> n1>n2:later 2
         5 n1>n2               -> c2:ticket 5
         6 c2@n2 acquire 5     ->
         7 c1@n1 acquire 2     -> c1:token 2
         8 c1@n1 enter         -> c1:token 2
         9 c1@n1 release 2     -> c1:ok
         9 c1@n1 release 2     -> n1>n2:reply 2 c1:ok
         9 c1@n1 release 2     -> c1:error 22
         10 n1>n2              -> c2:token 5",
    );
}

#[test]
fn what_is_lost_is_asked_again_and_what_comes_twice_counts_once() {
    stage(2, None).check(
        "0 c1@n1 request       -> n1>n2:claim 1
         1 lose n1>n2          ->
         60 wait               -> n1>n2:claim 1
         61 double n1>n2       -> n2>n1:reply 1
         62 n1>n2              -> n2>n1:reply 1
         63 double n2>n1       -> c1:ticket 2
         64 n2>n1              ->
         65 c1@n1 acquire 2    -> c1:token 2
         66 c1@n1 release 2    -> c1:ok
         67 n2>n1              ->",
    );
}

#[test]
fn a_request_that_a_node_does_not_see_is_withdrawn_for_sure() {
    let mut stage = stage(2, None);
    stage.play("0 c1@n1 request");
    for again in 1..7 {
        let asked = stage.play(&format!("{} wait", again * 60));
        assert_eq!(asked, "n1>n2:claim 1");
    }
    stage.check(
        "420 wait              -> c1:error 14
         500 wait              ->",
    );
}

#[test]
fn a_hold_ends_with_its_lease_and_the_next_is_replied_to() {
    let mut stage = stage(2, None);
    stage.check(
        "0 c1@n1 request       -> n1>n2:claim 1
         1 n1>n2               -> n2>n1:reply 1
         2 n2>n1               -> c1:ticket 2
         3 c1@n1 acquire 2     -> c1:token 2
         950 c2@n2 request     -> n2>n1:claim 2
         951 n2>n1             -> n1>n2:later 2
         952 n1>n2             -> c2:ticket 5
         953 c2@n2 acquire 5   ->
         1002 wait             -> n2>n1:claim 2
         1003 wait             -> n1>n2:reply 2
         1004 n1>n2            -> c2:token 5
         1005 c1@n1 renew 2    -> c1:error 22",
    );
}

/// n1 replied to n2 before it died, and n2 waits for n3 still. What n1 asks for in its next life
/// comes after that, although its own counter is not in the log.
#[test]
fn a_node_that_was_dead_asks_for_nothing_earlier_than_what_it_replied_to() {
    stage(3, None).check(
        "0 c2@n2 request       -> n2>n1:claim 1 n2>n3:claim 1
         1 n2>n1               -> n1>n2:reply 1
         2 n1>n2               ->
         3 crash n1            ->
         4 c1@n1 request       -> n1>n2:claim 1001 n1>n3:claim 1001
         5 n1>n2               -> n2>n1:later 1001
         6 n2>n3               -> n3>n2:reply 1
         7 n3>n2               -> c2:ticket 4
         8 c2@n2 acquire 4     -> c2:token 4",
    );
}

#[test]
fn a_hold_survives_the_crash_of_its_node_with_a_full_lease() {
    stage(2, None).check(
        "0 c1@n1 request       -> n1>n2:claim 1
         1 n1>n2               -> n2>n1:reply 1
         2 n2>n1               -> c1:ticket 2
         3 c1@n1 acquire 2     -> c1:token 2
         4 crash n1            ->
         5 c2@n2 request       -> n2>n1:claim 2
         6 n2>n1               -> n1>n2:later 2
         7 c1@n1 release 2     -> n1>n2:reply 2 c1:ok
         8 n1>n2               -> c2:ticket 5
         9 n1>n2               ->
         10 c2@n2 acquire 5    -> c2:token 5",
    );
}

/// Whatever part of its log a node finds, it never forgets a hold that was told to a client in it.
#[test]
fn after_any_prefix_of_its_log_a_node_keeps_what_was_told_by_then() {
    let mut whole = stage(1, None);
    for line in [
        "0 c1@n1 request",
        "1 c1@n1 acquire 1",
        "2 c1@n1 enter",
        "3 c1@n1 release 1",
        "4 c1@n1 release 1",
    ] {
        whole.play(line);
    }
    let log = whole.log("n1").clone();
    assert_eq!(log.len(), 5, "the clock, and each change of the hold");
    for (records, entries) in [(1, 0), (2, 1), (3, 2), (4, 1), (5, 0)] {
        let mut stage = stage(1, None);
        *stage.log("n1") = log[..records].to_vec();
        stage.play("0 crash n1");
        for _ in 0..entries {
            assert_eq!(stage.play("1 c1@n1 release 1"), "c1:ok", "{records}");
        }
        assert_eq!(stage.play("1 c1@n1 release 1"), "c1:error 22", "{records}");
        let next = stage.play("2 c2@n1 request");
        assert_eq!(next, "c2:ticket 1001", "{records}");
    }
}

#[test]
fn no_tiebreak_grants_requests_of_the_same_time_to_both() {
    stage(2, Some(Bug::NoTiebreak)).check(
        "0 c1@n1 request       -> n1>n2:claim 1
         0 c2@n2 request       -> n2>n1:claim 1
         1 n1>n2               -> n2>n1:reply 1
         1 n2>n1               -> n1>n2:reply 1
         2 n1>n2               -> c2:ticket 3
         2 n2>n1               -> c1:ticket 2
         3 c1@n1 acquire 2     -> c1:token 2
         3 c2@n2 acquire 3     -> c2:token 3",
    );
}

#[test]
fn stale_clock_asks_for_something_earlier_than_what_it_replied_to() {
    stage(2, Some(Bug::StaleClock)).check(
        "0 c1@n2 request       -> n2>n1:claim 1
         1 n2>n1               -> n1>n2:reply 1
         2 n1>n2               -> c1:ticket 3
         3 c1@n2 acquire 3     -> c1:token 3
         4 c1@n2 release 3     -> c1:ok
         5 c2@n1 request       -> n1>n2:claim 1
         6 n1>n2               -> n2>n1:reply 1
         7 n2>n1               -> c2:ticket 2
         8 c2@n1 acquire 2     -> c2:token 2",
    );
}
