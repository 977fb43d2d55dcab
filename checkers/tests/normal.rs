//! The normal form: what is kept of a history, and in which order.
#![allow(clippy::expect_used, reason = "a test that cannot go on panics")]

mod random;

use random::{Timed, failed, history, unknown};
use tribunal_checkers::exact::Preorder;
use tribunal_checkers::normal::{Columns, DONE, Event, Family, NONE, OPEN, Row, YES, by_object};
use tribunal_results::{Answer, Kind, Operation, Outcome, Scalar};

fn timed(process: u64, (call, ret): (u64, u64), operation: Operation, outcome: Outcome) -> Timed {
    Timed {
        process,
        call,
        ret,
        operation,
        outcome,
    }
}

fn write(value: i64) -> Operation {
    let key = "x".into();
    let value = Scalar::Int(value);
    Operation::Write { key, value }
}

fn cas(from: i64, to: i64) -> Operation {
    let (key, from, to) = ("x".into(), Scalar::Int(from), Scalar::Int(to));
    Operation::Cas { key, from, to }
}

fn read(value: i64) -> (Operation, Outcome) {
    let answer = Answer::Value(Some(Scalar::Int(value)));
    (Operation::Read { key: "x".into() }, Outcome::Ok(answer))
}

fn row(kind: Kind, call: u32, ret: u32) -> Row {
    Row {
        kind,
        process: 0,
        argument: NONE,
        answer: DONE,
        call,
        ret,
        place: 0,
    }
}

fn enqueue(value: i64) -> Operation {
    let key = "x".into();
    let value = Scalar::Int(value);
    Operation::Enqueue { key, value }
}

/// The places of what is left of the first object.
fn kept(ops: &[Timed]) -> Vec<u32> {
    let objects = by_object(&history(ops));
    objects[0].rows().map(|row| row.place).collect()
}

#[test]
fn unknown_mutators_are_kept_only_if_somebody_needs_them() {
    let take = Operation::Dequeue { key: "x".into() };
    let got = Outcome::Ok(Answer::Value(Some(Scalar::Int(3))));
    let ops = [
        timed(1, (0, 1), enqueue(2), unknown()),
        timed(2, (2, 3), enqueue(3), unknown()),
        timed(3, (4, 5), take, got),
    ];
    // The 2 explains nothing.
    assert_eq!(kept(&ops), [1, 2]);
}

#[test]
fn registers_keep_unknown_writes_and_what_a_refusal_says_was_not_there() {
    let (get, got) = read(3);
    let ops = [
        timed(1, (0, 1), write(1), unknown()),
        timed(2, (2, 3), write(2), unknown()),
        timed(3, (4, 5), cas(1, 3), unknown()),
        timed(4, (6, 7), get.clone(), got),
        timed(5, (8, 9), get.clone(), unknown()),
        timed(6, (10, 11), get, Outcome::Ok(Answer::Done)),
        timed(7, (12, 13), cas(3, 4), failed()),
        timed(8, (14, 15), cas(3, 3), failed()),
    ];
    assert_eq!(kept(&ops), [0, 1, 2, 3]);
    let objects = by_object(&history(&ops));
    assert_eq!(objects[0].rets(), [OPEN, OPEN, OPEN, 7]);
    let refused = objects[0].refused().iter();
    let named: Vec<_> = refused
        .map(|it| (objects[0].show(it.value), objects[0].show(it.other)))
        .collect();
    let said = |value: &str, other: &str| (value.to_owned(), other.to_owned());
    assert_eq!(named, [said("4", "3"), said("nothing", "3")]);
}

#[test]
fn failed_operations_are_kept_apart_with_their_values() {
    let (get, got) = read(1);
    let ops = [
        timed(1, (0, 1), write(1), failed()),
        timed(2, (2, 3), get, got),
    ];
    let objects = by_object(&history(&ops));
    assert_eq!(objects[0].len(), 1);
    let refused = objects[0].refusal(1).expect("the value of a failed write");
    assert_eq!((refused.kind, refused.place), (Kind::Write, 0));
    assert_eq!(objects[0].show(1), "1");
}

#[test]
fn objects_of_different_families_may_share_a_name() {
    let (key, value) = (Scalar::from("x"), Scalar::Int(1));
    let add = Operation::Add { key, value };
    let ops = [
        timed(1, (0, 1), add, Outcome::Ok(Answer::Flag(true))),
        timed(1, (2, 3), write(1), Outcome::Ok(Answer::Done)),
    ];
    let objects = by_object(&history(&ops));
    let families: Vec<Family> = objects.iter().map(|object| object.family).collect();
    assert_eq!(families, [Family::Register, Family::Set]);
    assert_eq!(objects[1].row(0).expect("the add").answer, YES);
}

#[test]
fn events_come_in_order_and_calls_before_returns_at_the_same_index() {
    // Dense and sparse indexes are sorted in different ways.
    for scale in [1, 1_000] {
        let mut columns = Columns::new(Family::Queue);
        columns.push(row(Kind::Enqueue, 0, 3 * scale));
        columns.push(row(Kind::Enqueue, scale, OPEN));
        columns.push(row(Kind::Enqueue, 2 * scale, 2 * scale));
        columns.push(row(Kind::Enqueue, 3 * scale, 4 * scale));
        let events: Vec<Event> = columns.events().collect();
        let expected = [
            Event::Called(0),
            Event::Called(1),
            Event::Called(2),
            Event::Returned(2),
            Event::Called(3),
            Event::Returned(0),
            Event::Returned(3),
        ];
        assert_eq!(events, expected, "times {scale}");
    }
}

#[test]
fn groups_must_not_return_before_an_earlier_one_is_called() {
    let mut order = Preorder::default();
    assert_eq!(order.add(0, 5, 9), Ok(()));
    assert_eq!(order.add(1, 0, 1), Ok(()), "in one group any order will do");
    order.next_group();
    assert_eq!(order.add(2, 4, 6), Ok(()));
    order.next_group();
    assert_eq!(order.add(3, 2, 4), Err(0));
    assert_eq!(order.add(4, 2, 5), Ok(()), "closed intervals touch");
}
