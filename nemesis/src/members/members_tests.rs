//! Members of a pretended system that one pretended node leads.

use super::*;
use crate::Status;
use crate::add_node::ADD_NODE;
use crate::chance::stream;
use crate::process::fake::{Fake, field};
use crate::remove_node::REMOVE_NODE;
use crate::replace_node::REPLACE_NODE;
use crate::schedule::heal_all;

/// Five nodes, of which the first leads and three belong to the system.
async fn system() -> (Field, std::sync::Arc<Fake>) {
    let (mut field, fake) = field(5).await;
    let leads = Status {
        leader: Some("n1".into()),
        members: Some(field.nodes[..3].to_vec()),
        ..Status::default()
    };
    fake.statuses.lock().unwrap().insert("n1".into(), leads);
    field = field.look().await;
    field.members = field.roles.members.clone();
    (field, fake)
}

async fn members(field: &Field) -> String {
    ask(field).await.members.unwrap().join(",")
}

fn resolved(fault: &MemberFault, options: &Json, field: &Field) -> Injection {
    fault.resolve(options, field, &mut stream(1, &[])).unwrap()
}

#[tokio::test(start_paused = true)]
async fn members_change_when_it_is_confirmed_and_change_back_to_heal() {
    for (fault, size) in [(&ADD_NODE, 4), (&REMOVE_NODE, 2), (&REPLACE_NODE, 3)] {
        let (field, fake) = system().await;
        let injection = resolved(fault, &Json::Null, &field);
        let injected = fault.inject(&injection, &field).await;
        let Injected::Installed(proof) = injected else {
            panic!("{injected:?}");
        };
        let then = members(&field).await;
        assert_eq!(then.split(',').count(), size, "{}: {then}", fault.name);
        assert_ne!(then, "n1,n2,n3");
        assert_eq!(proof["confirmed"].as_array().unwrap().len(), size);
        let steps = fake.calls().len();
        assert_eq!(steps, if size == 3 { 2 } else { 1 });
        assert!(fault.heal(&injection, &field).await.bit);
        assert_eq!(members(&field).await, "n1,n2,n3");
        assert!(!fault.heal(&injection, &field).await.bit, "nothing to do");
        assert_eq!(fake.calls().len(), 2 * steps);
    }
}

#[tokio::test(start_paused = true)]
async fn a_replacement_takes_in_before_it_takes_out() {
    let (field, fake) = system().await;
    let injection = resolved(&REPLACE_NODE, &json!({ "nodes": ["n2"] }), &field);
    REPLACE_NODE.inject(&injection, &field).await;
    let calls = fake.calls();
    assert!(calls[0].starts_with("add n"), "{calls:?}");
    assert_eq!(calls[1], "remove n2");
}

#[tokio::test(start_paused = true)]
async fn somebody_is_left() {
    let (field, _) = system().await;
    let injection = resolved(&REMOVE_NODE, &json!({ "nodes": "all" }), &field);
    assert_eq!(injection.nodes.join(","), "n1,n2");
    let named = resolved(&REMOVE_NODE, &json!({ "nodes": ["n3"] }), &field);
    assert_eq!(named.what, "remove-node n3");
}

#[tokio::test(start_paused = true)]
async fn where_nobody_says_who_belongs_to_it_nothing_is_changed() {
    let (field, fake) = field(3).await;
    for fault in [&ADD_NODE, &REMOVE_NODE, &REPLACE_NODE] {
        let injection = resolved(fault, &Json::Null, &field);
        let Injected::Skipped(why) = fault.inject(&injection, &field).await else {
            panic!("there are no members");
        };
        assert!(why.contains("cannot change"), "{why}");
        assert!(!fault.heal(&injection, &field).await.bit);
    }
    assert!(fake.calls().is_empty());
}

#[tokio::test(start_paused = true)]
async fn where_no_node_is_left_to_take_in_there_is_nothing_to_do() {
    let (mut field, _) = system().await;
    field.roles.members = Some(field.nodes.clone());
    for fault in [&ADD_NODE, &REPLACE_NODE] {
        let resolved = fault.resolve(&Json::Null, &field, &mut stream(1, &[]));
        assert_eq!(resolved, None);
    }
}

#[tokio::test(start_paused = true)]
async fn a_change_that_is_not_confirmed_is_skipped_and_one_that_is_refused_at_once() {
    let (field, fake) = system().await;
    let injection = resolved(&REMOVE_NODE, &json!({ "nodes": ["n2"] }), &field);
    *fake.members_answer.lock().unwrap() = Some(Ok(()));
    let Injected::Skipped(why) = REMOVE_NODE.inject(&injection, &field).await else {
        panic!("nothing changed");
    };
    assert!(why.contains("not confirmed in 5s"), "{why}");
    *fake.members_answer.lock().unwrap() = Some(Err("it can't be removed".into()));
    let Injected::Skipped(why) = REMOVE_NODE.inject(&injection, &field).await else {
        panic!("nothing changed");
    };
    assert_eq!(why, "refused: remove n2: it can't be removed");
}

#[tokio::test(start_paused = true)]
async fn in_the_end_those_are_members_that_were_at_the_beginning() {
    let (field, _) = system().await;
    let injection = resolved(&REPLACE_NODE, &Json::Null, &field);
    REPLACE_NODE.inject(&injection, &field).await;
    assert_eq!(heal_all(&field).await, Vec::<String>::new());
    assert_eq!(members(&field).await, "n1,n2,n3");
}
