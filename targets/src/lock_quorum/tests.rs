//! Scripts for nodes that lease locks from each other; see [`Stage`]. An instance's lease lasts
//! 300 ms, a client's hold 1000 ms. Tickets are values: of three nodes, `3 × count + number`.

use serde_json::json;

use super::TARGET;
use super::machine::{Node, Terms};
use crate::Target;
use crate::locks::stage::{Stage, names};
use crate::node::{MILLISECOND, Machine};

fn stage(count: usize, no_majority: bool) -> Stage {
    let terms = Terms {
        ttl: 300 * MILLISECOND,
        lease: 1_000 * MILLISECOND,
        no_majority,
    };
    Stage::new(count, move |id: &_| {
        Box::new(Node::new(id, &names(count), terms)) as Box<dyn Machine>
    })
}

#[test]
fn a_lock_is_granted_once_a_majority_has_leased_it() {
    stage(3, false).check(
        "0 c1@n1 request       -> n1>n2:lease 3 n1>n3:lease 3 c1:ticket 3
         1 c1@n1 acquire 3     ->
         2 n1>n2               -> n2>n1:lease_ok 3 true
         3 n2>n1               -> c1:token 3
         4 c1@n1 release 3     -> n1>n2:unlease 3 n1>n3:unlease 3 c1:ok",
    );
}

#[test]
fn who_is_refused_by_a_majority_takes_everything_back_and_tries_again() {
    stage(3, false).check(
        "0 c1@n1 request       -> n1>n2:lease 3 n1>n3:lease 3 c1:ticket 3
         0 n1>n3               -> n3>n1:lease_ok 3 true
         1 c2@n2 request       -> n2>n1:lease 4 n2>n3:lease 4 c2:ticket 4
         2 n2>n1               -> n1>n2:lease_ok 4 false
         2 n2>n3               -> n3>n2:lease_ok 4 false
         3 n1>n2               -> n2>n1:lease_ok 3 false
         3 n1>n2               ->
         3 n3>n2               ->
         5 wait                -> n2>n1:unlease 4 n2>n3:unlease 4
         4 n3>n1               ->
         6 c1@n1 acquire 3     -> c1:token 3",
    );
}

#[test]
fn leases_are_extended_as_long_as_the_client_holds_the_lock() {
    stage(3, false).check(
        "0 c1@n1 request       -> n1>n2:lease 3 n1>n3:lease 3 c1:ticket 3
         1 n1>n2               -> n2>n1:lease_ok 3 true
         2 n2>n1               ->
         3 c1@n1 acquire 3     -> c1:token 3
         99 wait               ->
         100 wait              -> n1>n2:lease 3 n1>n3:lease 3
         101 n1>n2             -> n2>n1:lease_ok 3 true
         102 n2>n1             ->
         199 wait              ->
         200 wait              -> n1>n2:lease 3 n1>n3:lease 3",
    );
}

/// What Kleppmann warned of. The node of the holder hears nothing for longer than the leases last;
/// its client was told that it has the lock for a second.
#[test]
fn two_clients_hold_the_lock_if_the_first_ones_node_is_cut_off_for_longer_than_a_lease() {
    let mut stage = stage(3, false);
    stage.check(
        "0 c1@n1 request       -> n1>n2:lease 3 n1>n3:lease 3 c1:ticket 3
         1 n1>n2               -> n2>n1:lease_ok 3 true
         2 n2>n1               ->
         3 c1@n1 acquire 3     -> c1:token 3",
    );
    // All that n1 asks for from now on is late.
    stage.play("400 wait");
    stage.check(
        "401 c2@n2 request     -> n2>n1:lease 4 n2>n3:lease 4 c2:ticket 4
         402 n2>n3             -> n3>n2:lease_ok 4 true
         403 n3>n2             ->
         404 c2@n2 acquire 4   -> c2:token 4
         405 c1@n1 renew 3     -> c1:error 22",
    );
}

#[test]
fn an_instance_that_was_killed_leases_what_is_leased_already() {
    stage(3, false).check(
        "0 c1@n1 request       -> n1>n2:lease 3 n1>n3:lease 3 c1:ticket 3
         1 n1>n2               -> n2>n1:lease_ok 3 true
         2 n2>n1               ->
         3 c1@n1 acquire 3     -> c1:token 3
         4 crash n2            ->
         5 c2@n2 request       -> n2>n1:lease 12884901892 n2>n3:lease 12884901892 c2:ticket 12884901892
         6 n2>n3               -> n3>n2:lease_ok 12884901892 true
         7 n3>n2               ->
         8 c2@n2 acquire 12884901892 -> c2:token 12884901892",
    );
}

#[test]
fn no_majority_grants_what_its_own_instance_leases() {
    stage(3, true).check(
        "0 c1@n1 request       -> n1>n2:lease 3 n1>n3:lease 3 c1:ticket 3
         1 c1@n1 acquire 3     -> c1:token 3
         2 c2@n2 request       -> n2>n1:lease 4 n2>n3:lease 4 c2:ticket 4
         3 c2@n2 acquire 4     -> c2:token 4",
    );
}

#[test]
fn wrong_options_are_refused_by_their_name() {
    for name in ["ttl_ms", "lease_ms"] {
        let error = TARGET.check_options(&json!({ name: 0 })).unwrap_err();
        assert_eq!(error.path, name);
    }
}
