//! Each combinator, in virtual time. Traces are compared in the notation of
//! `simulate::Trace`: a line for each operation, from its invocation to its end.
#![expect(
    clippy::unwrap_used,
    reason = "a wrong answer to a helper must end the test"
)]

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use rand::RngExt;
use tribunal_results::{Answer, Nanos, Operation, Outcome, Reason, Scalar};
use tribunal_workloads::generator::simulate::{self, Asked, End, Trace};
use tribunal_workloads::generator::*;

const MS: Nanos = 1_000_000;

fn read(key: &str) -> impl Generator + use<> {
    FromFn::repeat(Operation::Read { key: key.into() })
}

fn reads(key: &str, count: u64) -> Box<dyn Generator> {
    Box::new(Limit::new(count, read(key)))
}

/// Every operation succeeds after 1 ms.
fn perfect(_: &Asked) -> (Nanos, Outcome) {
    (MS, Outcome::Ok(Answer::Done))
}

fn never(_: &Asked) -> (Nanos, Outcome) {
    (MS, Outcome::Info(Reason::new("timeout", "")))
}

fn run(mut generator: impl Generator, threads: usize) -> Trace {
    simulate::run(&mut generator, threads, perfect)
}

fn key(asked: &Asked) -> String {
    asked.operation.key().map(Scalar::to_string).unwrap()
}

fn keys(trace: &Trace) -> Vec<String> {
    trace.steps.iter().map(|step| key(&step.asked)).collect()
}

fn count<T: Ord>(items: impl IntoIterator<Item = T>) -> BTreeMap<T, usize> {
    let mut counts = BTreeMap::new();
    for item in items {
        *counts.entry(item).or_default() += 1;
    }
    counts
}

#[test]
fn a_limit_spreads_operations_over_the_threads_in_turn() {
    assert_eq!(
        run(Limit::new(5, read("x")), 3).to_string(),
        "\
0 ms p0 read x ok at 1 ms
0 ms p1 read x ok at 1 ms
0 ms p2 read x ok at 1 ms
1 ms p0 read x ok at 2 ms
1 ms p1 read x ok at 2 ms
exhausted
"
    );
}

#[test]
fn an_unknown_outcome_makes_the_thread_go_on_as_a_new_process() {
    let trace = simulate::run(&mut *reads("x", 4), 2, never);
    assert_eq!(
        trace.to_string(),
        "\
0 ms p0 read x unknown (timeout) at 1 ms
0 ms p1 read x unknown (timeout) at 1 ms
1 ms p2 read x unknown (timeout) at 2 ms
1 ms p3 read x unknown (timeout) at 2 ms
exhausted
"
    );
}

#[test]
fn a_sequence_goes_on_at_once_and_phases_wait_for_all_threads() {
    let slow_x = |asked: &Asked| match key(asked).as_str() {
        "x" => (5 * MS, Outcome::Ok(Answer::Done)),
        _ => (MS, Outcome::Ok(Answer::Done)),
    };
    let children = || vec![reads("x", 1), reads("y", 2)];
    let trace = simulate::run(&mut Sequence::new(children()), 2, slow_x);
    assert_eq!(
        trace.to_string(),
        "\
0 ms p0 read x ok at 5 ms
0 ms p1 read y ok at 1 ms
1 ms p1 read y ok at 2 ms
exhausted
"
    );
    let trace = simulate::run(&mut Sequence::phases(children()), 2, slow_x);
    assert_eq!(
        trace.to_string(),
        "\
0 ms p0 read x ok at 5 ms
5 ms p1 read y ok at 6 ms
5 ms p0 read y ok at 6 ms
exhausted
"
    );
}

#[test]
fn a_list_is_asked_once_in_order() {
    let read = |key: &str| Operation::Read { key: key.into() };
    let list = FromFn::list(vec![read("x"), read("y"), read("z")]);
    assert_eq!(keys(&run(list, 2)), ["x", "y", "z"]);
}

#[test]
fn the_soonest_of_any_goes_first() {
    let any = Any::new(
        Seed::new(1),
        vec![
            Box::new(Stagger::every(10 * MS, reads("slow", 3))),
            Box::new(Stagger::every(4 * MS, reads("quick", 3))),
        ],
    );
    let trace = run(any, 4);
    let times: BTreeSet<(u64, String)> = trace
        .steps
        .iter()
        .map(|step| (step.asked.time / MS, key(&step.asked)))
        .collect();
    let expected = [(0, "slow"), (10, "slow"), (20, "slow")].into_iter();
    let expected = expected.chain([(0, "quick"), (4, "quick"), (8, "quick")]);
    assert_eq!(times, expected.map(|(t, k)| (t, k.to_owned())).collect());
    assert_eq!(trace.end, End::Exhausted);
}

#[test]
fn a_mix_keeps_to_its_weights_and_outlives_each_child() {
    let mix = Mix::new(
        Seed::new(4),
        vec![
            (3, reads("often", 100_000)),
            (1, reads("seldom", 100_000)),
            (1, reads("few", 10)),
            (0, reads("not", 10)),
        ],
    );
    let counts = count(keys(&run(Limit::new(20_000, mix), 5)));
    assert_eq!(counts["few"], 10);
    assert!((14_600..15_400).contains(&counts["often"]), "{counts:?}");
    assert!(!counts.contains_key("not"));
}

#[test]
fn a_pending_child_of_a_mix_does_not_block_the_others() {
    // The first child may only use thread 0, which is busy for ever; the second waits for a
    // time; the third could go at once.
    let held = Reserve::new(Seed::new(0), vec![(1, reads("held", 100))], reads("-", 0));
    let later = TimeLimit::until(50 * MS, Stagger::every(100 * MS, read("later")));
    let mix = Mix::new(
        Seed::new(9),
        vec![
            (1000, Box::new(held)),
            (1000, Box::new(later)),
            (1, reads("free", 20)),
        ],
    );
    let mut mix = mix;
    let trace = simulate::run(&mut mix, 2, |asked: &Asked| match key(asked).as_str() {
        "held" => (1000 * MS, Outcome::Ok(Answer::Done)),
        _ => (MS, Outcome::Ok(Answer::Done)),
    });
    let free = trace.steps.iter().filter(|step| key(&step.asked) == "free");
    let last = free.map(|step| step.asked.time).max().unwrap();
    assert!(last < 30 * MS, "{trace}");
}

#[test]
fn a_stagger_keeps_a_total_rate_with_exponential_gaps() {
    for threads in [3, 30] {
        let trace = run(
            Stagger::new(Seed::new(5), 1000.0, Limit::new(20_000, read("x"))),
            threads,
        );
        let times: Vec<f64> = trace
            .steps
            .iter()
            .map(|s| s.asked.time as f64 / 1e6)
            .collect();
        let seconds = times.last().unwrap() / 1e3;
        assert!(
            (19.0..22.0).contains(&seconds),
            "{threads} threads: {seconds} s"
        );
        if threads == 30 {
            // The standard deviation of exponential gaps is their mean.
            let gaps: Vec<f64> = times.windows(2).map(|w| w[1] - w[0]).collect();
            let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
            let variance = gaps.iter().map(|g| (g - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
            assert!(
                (0.9..1.1).contains(&(variance.sqrt() / mean)),
                "{mean} {variance}"
            );
        }
    }
}

#[test]
fn a_stagger_that_fell_behind_catches_up_in_a_bounded_burst() {
    // One thread, held up for a second by the first operation; one operation each millisecond.
    let mut first = true;
    let mut stagger = Stagger::every(MS, Limit::new(40, read("x")));
    let trace = simulate::run(&mut stagger, 1, |_: &Asked| {
        let latency = if std::mem::take(&mut first) {
            1000 * MS
        } else {
            1000
        };
        (latency, Outcome::Ok(Answer::Done))
    });
    let after = |ms: u64| {
        let late = trace.steps.iter().filter(|s| s.asked.time >= 1000 * MS);
        late.filter(|s| s.asked.time < ms * MS).count()
    };
    assert!((10..=20).contains(&after(1001)), "{trace}");
    assert!((15..=25).contains(&after(1006)), "{trace}");
    assert_eq!(trace.steps.len(), 40);
}

#[test]
fn a_stagger_starts_with_the_first_operation_not_with_the_clock() {
    let mut stagger = Stagger::every(MS, Limit::new(3, read("x")));
    let trace = simulate::run_from(&mut stagger, 5, 1000 * MS, perfect);
    let times: Vec<u64> = trace.steps.iter().map(|s| s.asked.time / MS).collect();
    assert_eq!(times, [1000, 1001, 1002]);
}

#[test]
fn a_time_limit_begins_with_the_first_operation_and_bounds_invocations_only() {
    let mut limited = TimeLimit::new(10 * MS, Stagger::every(4 * MS, read("x")));
    let trace = simulate::run_from(&mut limited, 2, 100 * MS, |_: &Asked| {
        (5 * MS, Outcome::Ok(Answer::Done))
    });
    assert_eq!(
        trace.to_string(),
        "\
100 ms p0 read x ok at 105 ms
104 ms p1 read x ok at 109 ms
108 ms p0 read x ok at 113 ms
exhausted
"
    );
    let absolute = run(TimeLimit::until(3 * MS, read("x")), 1);
    assert_eq!(absolute.steps.len(), 3);
}

#[test]
fn reserved_readers_are_not_starved_by_writes_that_block() {
    let write = FromFn::repeat(Operation::Write {
        key: "x".into(),
        value: 1.into(),
    });
    let reserve = Reserve::new(Seed::new(2), vec![(3, Box::new(write))], reads("x", 100));
    let mut generator = Limit::new(103, reserve);
    let trace = simulate::run(&mut generator, 5, |asked: &Asked| match asked.operation {
        Operation::Write { .. } => (10_000 * MS, Outcome::Info(Reason::new("timeout", ""))),
        _ => (MS, Outcome::Ok(Answer::Done)),
    });
    let read_steps = trace
        .steps
        .iter()
        .filter(|s| !s.asked.operation.kind().mutates());
    let threads = count(read_steps.map(|s| s.asked.thread));
    assert_eq!(threads, BTreeMap::from([(3, 50), (4, 50)]), "{trace}");
}

#[test]
fn ties_of_reserved_children_are_broken_by_their_number_of_threads() {
    let reserve = Reserve::new(
        Seed::new(2),
        vec![(8, Box::new(read("many")))],
        Box::new(read("few")),
    );
    // Slow enough that every thread is free each time.
    let trace = run(Limit::new(5_000, Stagger::every(5 * MS, reserve)), 10);
    let counts = count(keys(&trace));
    assert!((3_850..4_150).contains(&counts["many"]), "{counts:?}");
    let threads = count(trace.steps.iter().map(|s| s.asked.thread));
    assert!(
        threads.values().all(|n| (450..550).contains(n)),
        "{threads:?}"
    );
}

#[test]
fn each_thread_has_a_copy_of_its_own() {
    let each = EachThread::new(3, |thread| reads(&format!("k{thread}"), 2));
    let trace = run(each, 3);
    assert_eq!(
        trace.to_string(),
        "\
0 ms p0 read k0 ok at 1 ms
0 ms p1 read k1 ok at 1 ms
0 ms p2 read k2 ok at 1 ms
1 ms p0 read k0 ok at 2 ms
1 ms p1 read k1 ok at 2 ms
1 ms p2 read k2 ok at 2 ms
exhausted
"
    );
}

#[test]
fn until_ok_repeats_until_one_of_its_own_is_ok() {
    let mut asked_so_far = 0;
    let mut generator = Any::new(
        Seed::new(1),
        vec![
            Box::new(UntilOk::new(10, 5 * MS, read("mine"))),
            reads("other", 2),
        ],
    );
    let trace = simulate::run(&mut generator, 1, |asked: &Asked| {
        if key(asked) == "other" {
            return perfect(asked);
        }
        asked_so_far += 1;
        match asked_so_far {
            1 | 2 => (MS, Outcome::Fail(Reason::new("refused", ""))),
            3 => (MS, Outcome::Info(Reason::new("timeout", ""))),
            _ => perfect(asked),
        }
    });
    let mine: Vec<&simulate::Step> = trace
        .steps
        .iter()
        .filter(|s| key(&s.asked) == "mine")
        .collect();
    assert_eq!(mine.len(), 4, "{trace}");
    let pauses = mine
        .windows(2)
        .map(|w| w[1].asked.time - w[0].ended.as_ref().unwrap().0);
    assert!(pauses.into_iter().all(|pause| pause >= 5 * MS), "{trace}");
}

#[test]
fn until_ok_gives_up_after_its_attempts() {
    let mut generator = UntilOk::new(3, MS, read("x"));
    let trace = simulate::run(&mut generator, 2, never);
    assert_eq!((trace.steps.len(), trace.end), (3, End::Exhausted));
}

fn per_key(operations: u64) -> PerKey<impl Fn(KeyTurn) -> Box<dyn Generator> + Send> {
    PerKey::new(Seed::new(3), 10, 2, operations, |turn: KeyTurn| {
        Box::new(read(&turn.key.to_string())) as _
    })
}

#[test]
fn keys_are_never_used_again_nor_shared_and_do_not_end_in_lockstep() {
    let trace = run(Limit::new(20_000, per_key(100)), 10);
    let mut groups: [Vec<u64>; 2] = Default::default();
    for step in &trace.steps {
        groups[step.asked.thread / 5].push(key(&step.asked).parse().unwrap());
    }
    let mut sizes = BTreeSet::new();
    for group in &groups {
        assert!(group.is_sorted(), "a group came back to a key");
        let mut counts: Vec<usize> = count(group).into_values().collect();
        counts.pop(); // the last key was not finished
        assert!(counts.iter().all(|n| (89..=110).contains(n)), "{counts:?}");
        sizes.extend(counts);
    }
    assert!(sizes.len() > 10, "{sizes:?}");
    let keys = groups.map(|group| group.into_iter().collect::<BTreeSet<u64>>());
    assert!(keys[0].is_disjoint(&keys[1]));
}

#[test]
fn few_processes_work_on_each_key() {
    let mut unknown = 0;
    let trace = simulate::run(
        &mut Limit::new(3_000, per_key(1_000)),
        10,
        |asked: &Asked| {
            unknown += 1;
            if unknown % 3 == 0 {
                never(asked)
            } else {
                perfect(asked)
            }
        },
    );
    let mut processes: BTreeMap<String, BTreeSet<u64>> = BTreeMap::new();
    for step in &trace.steps {
        processes
            .entry(key(&step.asked))
            .or_default()
            .insert(step.asked.process);
    }
    assert!(processes.len() > 50);
    let most = processes.values().map(BTreeSet::len).max().unwrap();
    assert!((15..=20).contains(&most), "{most}");
}

#[test]
fn the_next_key_begins_when_the_generator_of_one_is_exhausted() {
    let per_key = PerKey::new(Seed::new(3), 4, 2, 1_000, |turn: KeyTurn| {
        reads(&turn.key.to_string(), if turn.key <= 6 { 3 } else { 0 })
    });
    let recent = per_key.recent();
    let trace = run(per_key, 4);
    assert_eq!(trace.end, End::Exhausted);
    assert_eq!(
        count(keys(&trace)).into_values().collect::<Vec<_>>(),
        [3; 6]
    );
    assert_eq!(recent.keys().len(), 6);
}

#[test]
fn deferred_generators_are_made_when_first_asked() {
    let per_key = PerKey::new(Seed::new(3), 2, 1, 5, |turn: KeyTurn| {
        reads(&turn.key.to_string(), 5)
    });
    let recent = per_key.recent();
    let finale = Deferred::new(move || reads(&format!("{:?}", recent.keys()), 1));
    let trace = run(
        Sequence::phases(vec![Box::new(Limit::new(30, per_key)), Box::new(finale)]),
        2,
    );
    let last = keys(&trace).pop().unwrap();
    assert!(
        last.starts_with('[') && last.matches(',').count() == 2,
        "{last}"
    );
}

#[test]
fn the_simulation_tells_a_generator_that_is_stuck() {
    struct Stuck;
    impl Generator for Stuck {
        fn offer(&self, _: &View<'_>) -> Offer {
            Offer::Pending
        }
        fn taken(&mut self, _: &View<'_>, _: &Proposal, _: &[u32]) {}
        fn completed(&mut self, _: &View<'_>, _: &Completion<'_>, _: &[u32]) {}
    }
    assert_eq!(run(Stuck, 1).end, End::Stuck);
}

/// Asks its child twice for each offer and fails if it hears two things, or anything after the
/// child was exhausted.
struct AskedTwice<G>(G, Cell<bool>);

impl<G: Generator> Generator for AskedTwice<G> {
    fn offer(&self, view: &View<'_>) -> Offer {
        let offer = self.0.offer(view);
        assert_eq!(offer, self.0.offer(view), "an offer changed something");
        let ended = offer == Offer::Exhausted;
        assert!(ended || !self.1.get(), "exhausted, and yet: {offer:?}");
        self.1.set(ended);
        offer
    }
    fn taken(&mut self, view: &View<'_>, proposal: &Proposal, route: &[u32]) {
        self.0.taken(view, proposal, route);
    }
    fn completed(&mut self, view: &View<'_>, completion: &Completion<'_>, route: &[u32]) {
        self.0.completed(view, completion, route);
    }
}

/// A tree of combinators, by chance.
fn tree(seed: Seed, depth: u32) -> Box<dyn Generator> {
    let mut draws = seed.draws();
    let child = |n: u64| tree(seed.numbered(n), depth - 1);
    let amount: u64 = draws.random_range(1..30);
    if depth == 0 {
        return reads(&format!("k{amount}"), amount);
    }
    match draws.random_range(0..10) {
        0 => Box::new(Mix::new(seed, vec![(1, child(1)), (2, child(2))])),
        1 => Box::new(Any::new(seed, vec![child(1), child(2), child(3)])),
        2 => Box::new(Reserve::new(seed, vec![(2, child(1))], child(2))),
        3 => Box::new(Stagger::new(seed, amount as f64 * 50.0, child(1))),
        4 => Box::new(Sequence::new(vec![child(1), child(2)])),
        5 => Box::new(Sequence::phases(vec![child(1), child(2)])),
        6 => Box::new(UntilOk::new(amount, MS, child(1))),
        7 => Box::new(EachThread::new(7, |thread| child(thread as u64))),
        8 => Box::new(TimeLimit::new(amount * MS, child(1))),
        _ => Box::new(Limit::new(
            200,
            PerKey::new(seed, 7, 3, amount, move |turn: KeyTurn| {
                tree(turn.seed, depth - 1)
            }),
        )),
    }
}

/// Answers of all kinds at odd times, by chance.
fn erratic(seed: u64) -> impl FnMut(&Asked) -> (Nanos, Outcome) {
    let mut draws = Seed::new(seed).named("system").draws();
    move |_| {
        let latency = draws.random_range(1..5 * MS);
        let outcome = match draws.random_range(0..10) {
            0 => Outcome::Info(Reason::new("timeout", "")),
            1 | 2 => Outcome::Fail(Reason::new("refused", "")),
            _ => Outcome::Ok(Answer::Done),
        };
        (latency, outcome)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn discarding_an_offer_changes_nothing_in_any_composition(seed in 0_u64..1 << 40, depth in 1_u32..4) {
        let once = simulate::run(&mut *tree(Seed::new(seed), depth), 7, erratic(seed));
        let mut twice = AskedTwice(tree(Seed::new(seed), depth), Cell::new(false));
        let twice = simulate::run(&mut twice, 7, erratic(seed));
        // Also: the same seed gives the same operations, and no composition gets stuck.
        prop_assert_eq!(once.to_string(), twice.to_string());
        prop_assert_eq!(once.end, End::Exhausted);
    }
}
