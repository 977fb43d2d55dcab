//! Every shape in clusters of one to nine nodes.

use super::*;
use crate::chance::stream;
use crate::process::fake::field;
use serde_json::json;

fn nodes(n: usize) -> Vec<NodeId> {
    (1..=n).map(|i| NodeId::from(format!("n{i}"))).collect()
}

/// How many nodes the node can talk to in both directions, itself included.
fn sees(node: &NodeId, order: &[NodeId], cut: &Cut) -> usize {
    let linked = |other: &&NodeId| {
        !cut.links.contains(&(node.clone(), (*other).clone()))
            && !cut.links.contains(&((*other).clone(), node.clone()))
    };
    order.iter().filter(linked).count()
}

fn is_symmetric(cut: &Cut) -> bool {
    cut.links
        .iter()
        .all(|(a, b)| cut.links.contains(&(b.clone(), a.clone())))
}

#[test]
fn groups_are_parted_in_both_directions_and_whole_within() {
    for n in 1..=9 {
        let order = nodes(n);
        for groups in [lone(&order), halves(&order), majority(&order)] {
            let cut = separate(&groups, false);
            assert!(is_symmetric(&cut));
            assert_eq!(cut.links.len(), 2 * groups[0].len() * groups[1].len());
            for group in &groups {
                for node in group {
                    assert_eq!(sees(node, &order, &cut), group.len());
                }
            }
        }
    }
}

#[test]
fn sides_have_the_sizes_that_their_names_say() {
    for n in 1..=9 {
        let order = nodes(n);
        let sizes = |groups: Vec<Vec<NodeId>>| (groups[0].len(), groups[1].len());
        assert_eq!(sizes(lone(&order)), (1, n - 1));
        assert_eq!(sizes(halves(&order)), (n / 2, n.div_ceil(2)));
        let (minority, majority) = sizes(majority(&order));
        assert!(2 * majority > n && 2 * (majority - 1) <= n);
        assert_eq!(minority + majority, n);
    }
}

#[test]
fn in_a_ring_of_majorities_every_node_sees_one_and_not_all_the_same() {
    for n in 1..=9 {
        let order = nodes(n);
        let cut = majorities_ring(&order);
        assert!(is_symmetric(&cut), "a one-way cut leaves no TCP connection");
        let views: Vec<usize> = order.iter().map(|node| sees(node, &order, &cut)).collect();
        let majority = n / 2 + 1;
        assert!(views.iter().all(|v| *v >= majority), "n={n}: {views:?}");
        // As few links as possible: only where degrees can't add up does one node see one more.
        let more = views.iter().filter(|v| **v > majority).count();
        assert!(more <= 1, "n={n}: {views:?}");
        assert_eq!(cut.links.is_empty(), n < 3);
    }
}

#[test]
fn a_ring_of_majorities_of_three_is_a_path() {
    let cut = majorities_ring(&nodes(3));
    assert_eq!(cut.links.len(), 2, "{cut:?}");
}

#[test]
fn a_bridge_sees_everybody_and_the_halves_only_it() {
    for n in 1..=9 {
        let order = nodes(n);
        let cut = bridge(&order);
        assert!(is_symmetric(&cut));
        let bridge = n / 2;
        for (i, node) in order.iter().enumerate() {
            let side = if i < bridge { n / 2 } else { n - n / 2 - 1 };
            let expected = if i == bridge { n } else { side + 1 };
            assert_eq!(sees(node, &order, &cut), expected, "n={n} i={i}");
        }
        assert_eq!(cut.links.is_empty(), n < 3);
    }
}

#[test]
fn one_way_cuts_every_link_of_the_loner_in_one_direction_only() {
    for n in 1..=9 {
        let order = nodes(n);
        for outgoing in [true, false] {
            let cut = one_way(&order, outgoing, false);
            assert_eq!(cut.links.len(), n - 1);
            for (from, to) in &cut.links {
                assert_eq!(if outgoing { from } else { to }, &order[0]);
            }
            let more = usize::from(n > 1);
            assert_eq!(one_way(&order, outgoing, true).links.len(), n - 1 + more);
        }
    }
}

#[test]
fn clients_stay_with_the_larger_side() {
    let order = nodes(5);
    let clients = NodeId::from(CLIENTS);
    let cut = separate(&majority(&order), true);
    for (i, node) in order.iter().enumerate() {
        let is_cut = cut.links.contains(&(node.clone(), clients.clone()));
        assert_eq!(is_cut, i < 2, "{node}");
    }
    let even = nodes(4);
    let cut = separate(&halves(&even), true);
    assert!(cut.links.contains(&(clients, even[0].clone())));
}

#[test]
fn nodes_that_no_group_names_form_one_more() {
    let names = |groups: &[&[&str]]| -> Vec<Vec<String>> {
        groups
            .iter()
            .map(|g| g.iter().map(ToString::to_string).collect())
            .collect()
    };
    let all = nodes(4);
    let groups = given(&names(&[&["n1"], &["n3", "n9"]]), &all);
    assert_eq!(separate(&groups, false).what, "{n1} | {n3} | {n2,n4}");
}

#[test]
fn a_partition_of_sides_in_one_direction_cuts_half_of_the_links() {
    for n in [2, 3, 4, 5, 7] {
        let order = nodes(n);
        for groups in [lone(&order), halves(&order), majority(&order)] {
            let both = separate(&groups, true);
            let out = part(&groups, true, Direction::Out);
            let into = part(&groups, true, Direction::In);
            assert_eq!(2 * out.links.len(), both.links.len());
            assert!(out.links.is_disjoint(&into.links));
            assert_eq!(&out.links | &into.links, both.links);
            let from_smaller = |(from, _): &Link| groups[0].contains(from);
            assert!(out.links.iter().all(from_smaller), "n={n}: {out:?}");
        }
    }
}

#[test]
fn primaries_are_each_alone_and_the_others_see_each_other() {
    for n in [3, 4, 5, 7] {
        let order = nodes(n);
        assert_eq!(separate(&primaries(&order, &[]), false), Cut::default());
        for leaders in 1..=2 {
            // The order in which they are followed is not that of the cluster.
            let leading: Vec<NodeId> = order[..leaders].iter().rev().cloned().collect();
            let cut = separate(&primaries(&order, &leading), false);
            for node in &order {
                let is_leading = leading.contains(node);
                let expected = if is_leading { 1 } else { n - leaders };
                assert_eq!(sees(node, &order, &cut), expected, "n={n} {node}");
            }
        }
    }
}

#[test]
fn a_cut_ring_is_a_line_in_whichever_direction() {
    for n in [2, 3, 4, 5, 7] {
        let order = nodes(n);
        for at in 0..n {
            let (node, next) = (order[at].clone(), order[(at + 1) % n].clone());
            let cut = |direction| ring_cut(&order, at, direction).links;
            let out = Link::from((node.clone(), next.clone()));
            let back = Link::from((next, node));
            assert_eq!(cut(Direction::Out), [out.clone()].into());
            assert_eq!(cut(Direction::In), [back.clone()].into());
            assert_eq!(cut(Direction::Both), [out, back].into());
        }
    }
    assert_eq!(ring_cut(&nodes(1), 0, Direction::Both), Cut::default());
    assert_eq!(ring_cut(&[], 0, Direction::Both), Cut::default());
}

#[tokio::test]
async fn random_meets_every_shape_and_never_an_empty_one() {
    let (mut of_five, _) = field(5).await;
    of_five.roles.leaders = vec!["n2".into(), "n3".into()];
    let mut whats = BTreeSet::new();
    for seed in 0..200 {
        let mut rng = stream(seed, &[]);
        let cut = Shape::Random
            .choose(&of_five, false, None, &mut rng)
            .unwrap();
        assert!(!cut.links.is_empty());
        let size = cut.links.len();
        whats.insert((cut.what.split(['n', '{']).next().unwrap().to_owned(), size));
    }
    // lone 8, halves and majority 12, bridge 8, ring 10, one-way 4, primaries 14.
    let sizes: BTreeSet<usize> = whats.iter().map(|(_, size)| *size).collect();
    assert_eq!(sizes, [4, 8, 10, 12, 14].into(), "{whats:?}");
    let choose =
        |field: &Field, clients| Shape::Random.choose(field, clients, None, &mut stream(1, &[]));
    assert_eq!(choose(&field(1).await.0, false), None);
    assert!(choose(&field(2).await.0, true).is_some());
}

#[tokio::test]
async fn shapes_that_are_one_way_by_nature_draw_the_direction_and_others_only_if_told() {
    let (of_five, _) = field(5).await;
    let links = |shape: &Shape, direction| -> BTreeSet<usize> {
        let choose = |seed| shape.choose(&of_five, false, direction, &mut stream(seed, &[]));
        (0..40)
            .map(|seed| choose(seed).unwrap().links.len())
            .collect()
    };
    assert_eq!(links(&Shape::One, None), [8].into());
    assert_eq!(links(&Shape::One, Some(Direction::Out)), [4].into());
    assert_eq!(links(&Shape::One, Some(Direction::Random)), [4, 8].into());
    assert_eq!(links(&Shape::RingCut, None), [1, 2].into());
    assert_eq!(links(&Shape::RingCut, Some(Direction::Both)), [2].into());
    let primaries = Shape::Primaries.choose(&of_five, false, None, &mut stream(1, &[]));
    assert_eq!(primaries, None, "nobody leads");
}

#[test]
fn suites_name_a_shape_or_list_groups() {
    let read = |json| serde_json::from_value::<Shape>(json);
    for (name, shape) in NAMED {
        assert_eq!(read(json!(name)).unwrap(), shape);
    }
    let groups = vec![vec!["n1".to_owned()], vec!["n2".into(), "n3".into()]];
    assert_eq!(
        read(json!([["n1"], ["n2", "n3"]])).unwrap(),
        Shape::Groups(groups)
    );
    assert!(read(json!([["n1"], []])).is_err());
    let error = read(json!("half")).unwrap_err().to_string();
    assert!(error.contains("majorities-ring"), "{error}");
}
