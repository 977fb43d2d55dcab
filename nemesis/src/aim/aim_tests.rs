//! Whom an aim chooses, in clusters of one to nine nodes.

use super::*;
use crate::Status;
use crate::chance::stream;
use crate::client::Inside;
use crate::client::fake::FakeClients;
use crate::process::fake::{field, names};
use serde_json::json;
use std::collections::BTreeSet;
use std::sync::Arc;

#[tokio::test]
async fn sizes_are_shares_of_the_cluster_and_never_nobody() {
    for n in 1..=9 {
        let (field, _) = field(n).await;
        let all = &field.nodes;
        for seed in 0..20 {
            let size = |aim: Aim| aim.choose(&field, all, &mut stream(seed, &[])).len();
            assert_eq!(size(Aim::One), 1);
            assert_eq!(size(Aim::Minority), ((n - 1) / 2).max(1));
            assert_eq!(size(Aim::Majority), n / 2 + 1);
            assert_eq!(size(Aim::All), n);
            assert!((1..=minority(n).max(1)).contains(&size(Aim::Random)));
        }
    }
}

#[tokio::test]
async fn random_reaches_every_size_up_to_the_minority() {
    let (field, _) = field(7).await;
    let size = |seed| {
        let mut rng = stream(seed, &[]);
        Aim::Random.choose(&field, &field.nodes, &mut rng).len()
    };
    let sizes: BTreeSet<usize> = (0..100).map(size).collect();
    assert_eq!(sizes, [1, 2, 3].into());
}

#[tokio::test]
async fn only_candidates_are_chosen_in_the_order_of_the_cluster() {
    let (mut field, _) = field(5).await;
    let all = names(5);
    let candidates = [all[3].clone(), all[1].clone()];
    let mut rng = stream(7, &[]);
    let chosen = Aim::All.choose(&field, &candidates, &mut rng);
    assert_eq!(chosen, [all[1].clone(), all[3].clone()]);
    assert_eq!(Aim::One.choose(&field, &[], &mut rng), []);
    let named = Aim::Given(vec!["n2".into(), "n5".into()]);
    assert_eq!(
        named.choose(&field, &candidates, &mut rng),
        [all[1].clone()]
    );
    field.roles.leaders = vec!["n5".into(), "n4".into()];
    assert_eq!(
        Aim::Leader.choose(&field, &candidates, &mut rng),
        [all[3].clone()]
    );
    assert_eq!(
        Aim::Followers.choose(&field, &candidates, &mut rng),
        [all[1].clone()]
    );
}

/// A node that says whom it follows.
fn follower(leader: &str) -> Status {
    Status {
        ready: true,
        leader: Some(leader.into()),
        ..Status::default()
    }
}

#[tokio::test]
async fn the_leader_is_the_one_that_most_nodes_follow_and_the_others_are_asked_too() {
    let (field, fake) = field(5).await;
    for (node, leader) in [("n1", "n1"), ("n2", "n4"), ("n3", "n4"), ("n4", "n4")] {
        let mut statuses = fake.statuses.lock().unwrap();
        statuses.insert(node.into(), follower(leader));
    }
    let choose = |field: &Field, aim: Aim| {
        let chosen = aim.choose(field, &field.nodes, &mut stream(1, &[]));
        chosen.join(",")
    };
    assert_eq!(choose(&field, Aim::Leader), "", "nobody was asked yet");
    assert_eq!(choose(&field, Aim::Followers), "");
    let seen = field.look().await;
    assert_eq!(seen.roles.leaders.join(","), "n4,n1");
    assert_eq!(choose(&seen, Aim::Leader), "n4");
    assert_eq!(choose(&seen, Aim::Followers), "n2,n3,n5");
    // A node that is paused can't be asked, so it leads no more as far as anybody knows.
    fake.put("n4", NodeState::Paused, Some(4));
    assert_eq!(choose(&field.look().await, Aim::Leader), "n1");
}

#[tokio::test]
async fn holders_are_the_nodes_that_say_so_and_those_of_clients_that_are_inside() {
    let (mut field, fake) = field(4).await;
    let holder = Status {
        role: "holder".into(),
        ..Status::default()
    };
    fake.statuses.lock().unwrap().insert("n4".into(), holder);
    let clients = FakeClients::default();
    clients.inside.lock().unwrap().push(Inside {
        process: 3,
        node: Some("n2".into()),
        lock: "a".into(),
    });
    field.clients = Arc::new(clients);
    let seen = field.look().await;
    let chosen = Aim::Holder.choose(&seen, &seen.nodes, &mut stream(1, &[]));
    assert_eq!(chosen.join(","), "n2,n4");
}

#[test]
fn suites_name_an_aim_or_list_nodes() {
    let read = |json| serde_json::from_value::<Aim>(json);
    for (name, aim) in NAMED {
        assert_eq!(read(json!(name)).unwrap(), aim);
    }
    assert_eq!(read(json!(["n1"])).unwrap(), Aim::Given(vec!["n1".into()]));
    let error = read(json!("minorty")).unwrap_err().to_string();
    assert!(error.contains("minority, majority, all"), "{error}");
    assert!(read(json!([])).is_err());
}
