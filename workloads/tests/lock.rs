//! The lock workload against a lock manager that is right, but not always reached.
#![expect(
    clippy::unwrap_used,
    reason = "a wrong answer to a helper must end the test"
)]

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use rand::RngExt;
use rand_pcg::Pcg64Mcg;
use serde_json::{Value as Json, json};
use tribunal_results::{Answer, Grant, Kind, Nanos, Operation, Outcome, Reason, Scalar};
use tribunal_workloads::generator::Seed;
use tribunal_workloads::generator::simulate::{self, Asked, End, Step, System, Trace};
use tribunal_workloads::{Setting, find};

const MS: Nanos = 1_000_000;
const LEASE: Nanos = 1_000 * MS;
const WAIT: Nanos = 700 * MS;

#[derive(Clone, Copy)]
struct Holder {
    process: u64,
    ticket: u64,
    token: u64,
    entries: u32,
    lease_end: Nanos,
}

#[derive(Default)]
struct One {
    holder: Option<Holder>,
    queue: VecDeque<(u64, u64)>,
}

struct Waiting {
    lock: Scalar,
    thread: usize,
    ticket: u64,
    deadline: Nanos,
}

/// The lock manager of the specification, in virtual time. Of a hundred operations
/// `unreached` are refused before they get through, and `unknown` are never answered.
struct Manager {
    locks: BTreeMap<Scalar, One>,
    accepted: BTreeMap<Scalar, u64>,
    waiting: Vec<Waiting>,
    answers: Vec<(usize, Nanos, Outcome)>,
    numbers: u64,
    draws: Pcg64Mcg,
    unreached: f64,
    unknown: f64,
    waited: u64,
}

fn granted(token: u64) -> Result<Answer, &'static str> {
    Ok(Answer::Grant(Grant {
        token,
        lease_ms: LEASE / MS,
    }))
}

const REFUSED: Result<Answer, &str> = Err("precondition-failed");

impl Manager {
    fn new(seed: u64, unreached: f64, unknown: f64) -> Self {
        Self {
            locks: BTreeMap::new(),
            accepted: BTreeMap::new(),
            waiting: Vec::new(),
            answers: Vec::new(),
            numbers: 0,
            draws: Seed::new(seed).named("system").draws(),
            unreached,
            unknown,
            waited: 0,
        }
    }

    fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    /// Ends leases and waits that are over, and grants what is free.
    fn settle(&mut self, now: Nanos) {
        let over: Vec<Waiting> = self.waiting.extract_if(.., |w| w.deadline <= now).collect();
        for waiting in over {
            let one = self.locks.get_mut(&waiting.lock).unwrap();
            one.queue.retain(|(ticket, _)| *ticket != waiting.ticket);
            let outcome = Outcome::Fail(Reason::new("temporarily-unavailable", ""));
            self.answers.push((waiting.thread, now, outcome));
        }
        let numbers = &mut self.numbers;
        for (lock, one) in &mut self.locks {
            if one.holder.is_some_and(|holder| holder.lease_end <= now) {
                one.holder = None;
            }
            if one.holder.is_none()
                && let Some((ticket, process)) = one.queue.pop_front()
            {
                *numbers += 1;
                let (token, lease_end) = (*numbers, now + LEASE);
                one.holder = Some(Holder {
                    process,
                    ticket,
                    token,
                    entries: 1,
                    lease_end,
                });
                for waiting in self
                    .waiting
                    .extract_if(.., |w| &w.lock == lock && w.ticket == ticket)
                {
                    let outcome = Outcome::Ok(granted(token).unwrap());
                    self.answers.push((waiting.thread, now + MS, outcome));
                }
            }
        }
    }

    fn step(&mut self, asked: &Asked) -> Option<Result<Answer, &'static str>> {
        let number = self.number();
        let (now, process) = (asked.time, asked.process);
        if let Operation::GuardedWrite { key, token, .. } = &asked.operation {
            let accepted = self.accepted.entry(key.clone()).or_default();
            if token < accepted {
                return Some(REFUSED);
            }
            *accepted = *token;
            return Some(Ok(Answer::Done));
        }
        let lock = asked.operation.key().unwrap().clone();
        let one = self.locks.entry(lock.clone()).or_default();
        let is_free = one.queue.is_empty() && one.holder.is_none();
        let own = one
            .holder
            .as_mut()
            .filter(|holder| holder.process == process);
        Some(match (&asked.operation, own) {
            (Operation::Request { .. }, None) if one.queue.iter().all(|(_, p)| *p != process) => {
                one.queue.push_back((number, process));
                Ok(Answer::Ticket(number))
            }
            (Operation::TryAcquire { .. }, None) if is_free => {
                one.holder = Some(Holder {
                    process,
                    ticket: 0,
                    token: number,
                    entries: 1,
                    lease_end: now + LEASE,
                });
                granted(number)
            }
            (Operation::TryAcquire { .. }, None) => Err("temporarily-unavailable"),
            (Operation::Acquire { ticket: None, .. }, Some(holder)) => {
                holder.entries += 1;
                holder.lease_end = now + LEASE;
                granted(holder.token)
            }
            (
                Operation::Acquire {
                    ticket: Some(ticket),
                    ..
                },
                Some(holder),
            ) if holder.ticket == *ticket => {
                holder.lease_end = now + LEASE;
                granted(holder.token)
            }
            (
                Operation::Acquire {
                    ticket: Some(ticket),
                    ..
                },
                _,
            ) if one.queue.contains(&(*ticket, process)) => {
                let (thread, ticket) = (asked.thread, *ticket);
                self.waited += 1;
                self.waiting.push(Waiting {
                    lock,
                    thread,
                    ticket,
                    deadline: now + WAIT,
                });
                return None;
            }
            (Operation::Renew { token, .. }, Some(holder)) if holder.token == *token => {
                holder.lease_end = now + LEASE;
                granted(*token)
            }
            (Operation::Release { token, .. }, Some(holder)) if holder.token == *token => {
                holder.entries -= 1;
                if holder.entries == 0 {
                    one.holder = None;
                }
                Ok(Answer::Done)
            }
            _ => REFUSED,
        })
    }
}

impl System for Manager {
    fn ask(&mut self, asked: &Asked) -> Option<(Nanos, Outcome)> {
        let latency = self.draws.random_range(MS / 2..2 * MS);
        let luck: f64 = self.draws.random();
        if luck < self.unreached {
            return Some((latency, Outcome::Fail(Reason::new("refused", ""))));
        }
        self.settle(asked.time);
        let answer = self.step(asked);
        self.settle(asked.time);
        let outcome = match answer? {
            _ if luck < self.unreached + self.unknown => Outcome::Info(Reason::new("timeout", "")),
            Ok(answer) => Outcome::Ok(answer),
            Err(code) => Outcome::Fail(Reason::new(code, "")),
        };
        Some((latency, outcome))
    }

    fn late(&mut self, now: Nanos) -> Option<(usize, Nanos, Outcome)> {
        self.settle(now);
        self.answers.pop()
    }

    fn wakes_at(&self) -> Option<Nanos> {
        let leases = self
            .locks
            .values()
            .filter_map(|one| Some(one.holder?.lease_end));
        leases.chain(self.waiting.iter().map(|w| w.deadline)).min()
    }
}

fn setting() -> Setting {
    Setting {
        clients: 10,
        nodes: 3,
        available: Kind::ALL.to_vec(),
        time_limit: 8_000 * MS,
        rate: 300.0,
        seed: 5,
    }
}

fn run_with(options: &Json, setting: &Setting, mut manager: Manager) -> (Trace, Trace, u64) {
    let mut program = find("lock").unwrap().program(options, setting).unwrap();
    let main = simulate::run(&mut *program.main, setting.clients, ByRef(&mut manager));
    let end = main
        .steps
        .iter()
        .filter_map(|step| Some(step.ended.as_ref()?.0))
        .max()
        .unwrap();
    let finale = simulate::run_from(
        &mut *program.finale,
        setting.clients,
        end,
        ByRef(&mut manager),
    );
    assert_eq!((main.end, finale.end), (End::Exhausted, End::Exhausted));
    (main, finale, manager.waited)
}

/// A manager that is still there afterwards.
struct ByRef<'a>(&'a mut Manager);

impl System for ByRef<'_> {
    fn ask(&mut self, asked: &Asked) -> Option<(Nanos, Outcome)> {
        self.0.ask(asked)
    }
    fn late(&mut self, now: Nanos) -> Option<(usize, Nanos, Outcome)> {
        self.0.late(now)
    }
    fn wakes_at(&self) -> Option<Nanos> {
        self.0.wakes_at()
    }
}

fn run(seed: u64) -> (Trace, Trace) {
    let setting = Setting { seed, ..setting() };
    let (main, finale, _) = run_with(&Json::Null, &setting, Manager::new(seed, 0.02, 0.01));
    (main, finale)
}

fn is_ok(step: &Step) -> bool {
    matches!(step.ended, Some((_, Outcome::Ok(_))))
}

fn token_of(operation: &Operation) -> Option<u64> {
    match operation {
        Operation::Renew { token, .. }
        | Operation::Release { token, .. }
        | Operation::GuardedWrite { token, .. } => Some(*token),
        _ => None,
    }
}

/// Who was first told of each token, of which lock, and when.
fn owners(trace: &Trace) -> BTreeMap<u64, (u64, Scalar, Nanos)> {
    let mut owners = BTreeMap::new();
    for step in &trace.steps {
        if let Some((at, Outcome::Ok(Answer::Grant(grant)))) = &step.ended {
            let lock = step.asked.operation.key().unwrap().clone();
            owners
                .entry(grant.token)
                .or_insert((step.asked.process, lock, *at));
        }
    }
    owners
}

fn strangers(trace: &Trace) -> Vec<&Step> {
    let owners = owners(trace);
    let is_stranger = |step: &&Step| {
        token_of(&step.asked.operation).is_some_and(|token| owners[&token].0 != step.asked.process)
    };
    trace.steps.iter().filter(is_stranger).collect()
}

#[test]
fn each_kind_of_operation_succeeds_in_a_run_of_eight_seconds() {
    for seed in 0..10 {
        let (main, _) = run(seed);
        let mut ok: BTreeMap<Kind, usize> = BTreeMap::new();
        for step in main.steps.iter().filter(|step| is_ok(step)) {
            *ok.entry(step.asked.operation.kind()).or_default() += 1;
        }
        for (kind, least) in [
            (Kind::Request, 80),
            (Kind::Acquire, 80),
            (Kind::TryAcquire, 5),
            (Kind::Renew, 10),
            (Kind::Release, 80),
            (Kind::GuardedWrite, 150),
        ] {
            assert!(ok.get(&kind) >= Some(&least), "seed {seed}: {ok:?}");
        }
        assert!(main.steps.iter().all(|step| step.asked.time < 8_000 * MS));
    }
}

#[test]
fn threads_wait_for_each_lock() {
    let (main, _, waited) = run_with(&Json::Null, &setting(), Manager::new(1, 0.0, 0.0));
    assert!(
        waited > 80,
        "{waited} of {} operations waited",
        main.steps.len()
    );
}

#[test]
fn tokens_are_those_of_the_holder_except_for_releases_by_strangers() {
    let mut seen = 0;
    for seed in 0..10 {
        let (main, _) = run(seed);
        let owners = owners(&main);
        for step in &main.steps {
            let Some(token) = token_of(&step.asked.operation) else {
                continue;
            };
            let (_, lock, since) = &owners[&token];
            assert_eq!(step.asked.operation.key(), Some(lock), "{step}");
            assert!(
                step.asked.time >= *since,
                "{step}: the token was not known yet"
            );
        }
        let strangers = strangers(&main);
        seen += strangers.len();
        for step in strangers {
            assert_eq!(step.asked.operation.kind(), Kind::Release, "{step}");
            assert!(!is_ok(step), "{step}");
        }
    }
    assert!(seen > 40, "{seen} strangers in ten runs");
}

#[test]
fn a_lock_is_entered_again_and_written_to_after_the_inner_release() {
    let (main, _, _) = run_with(&Json::Null, &setting(), Manager::new(1, 0.0, 0.0));
    let mut writes_between = 0;
    let mut entries: BTreeMap<u64, (u32, bool)> = BTreeMap::new();
    for step in main.steps.iter().filter(|step| is_ok(step)) {
        match (&step.asked.operation, &step.ended) {
            (
                Operation::Acquire { .. } | Operation::TryAcquire { .. },
                Some((_, Outcome::Ok(Answer::Grant(grant)))),
            ) => {
                entries.entry(grant.token).or_default().0 += 1;
            }
            (Operation::Release { token, .. }, _) => {
                let (count, left) = entries.entry(*token).or_insert((1, false));
                *count -= 1;
                *left = *count > 0;
            }
            (Operation::GuardedWrite { token, .. }, _) => {
                writes_between += usize::from(entries.get(token).is_some_and(|(_, left)| *left));
            }
            _ => {}
        }
    }
    assert!(writes_between > 20, "{writes_between}");
}

#[test]
fn some_holds_go_on_beyond_their_first_lease_and_are_released_in_time() {
    for seed in 0..10 {
        let manager = Manager::new(seed, 0.0, 0.0);
        let (main, ..) = run_with(&Json::Null, &Setting { seed, ..setting() }, manager);
        let owners = owners(&main);
        let long = main
            .steps
            .iter()
            .filter(|step| match &step.asked.operation {
                Operation::Release { token, .. } => {
                    is_ok(step) && step.asked.time > owners[token].2 + LEASE * 13 / 10
                }
                _ => false,
            });
        let locks: Vec<&Scalar> = long.filter_map(|step| step.asked.operation.key()).collect();
        assert!((1..=6).contains(&locks.len()), "seed {seed}: {locks:?}");
        assert!(
            locks.iter().all(|lock| **lock == Scalar::from("c")),
            "{locks:?}"
        );
    }
}

#[test]
fn some_holds_lapse_and_their_late_writes_are_refused() {
    let mut stale = 0;
    for seed in 0..10 {
        let manager = Manager::new(seed, 0.0, 0.0);
        let (main, ..) = run_with(&Json::Null, &Setting { seed, ..setting() }, manager);
        let late = main
            .steps
            .iter()
            .filter(|step| step.asked.operation.kind() == Kind::GuardedWrite);
        stale += late.filter(|step| !is_ok(step)).count();
    }
    assert!(
        (5..100).contains(&stale),
        "{stale} stale writes in ten runs"
    );
}

#[test]
fn guarded_writes_have_values_of_their_own() {
    let (main, _) = run(3);
    let mut seen = BTreeSet::new();
    for step in &main.steps {
        if let Operation::GuardedWrite { value, .. } = &step.asked.operation {
            assert!(seen.insert(value.clone()), "{value} was written twice");
        }
    }
}

#[test]
fn hardly_any_lock_is_left_held_and_at_the_end_each_can_be_had() {
    for seed in 0..10 {
        let (_, finale) = run(seed);
        let released: BTreeSet<&Scalar> = finale
            .steps
            .iter()
            .filter(|step| is_ok(step) && step.asked.operation.kind() == Kind::Release)
            .filter_map(|step| step.asked.operation.key())
            .collect();
        assert_eq!(released.len(), 3, "seed {seed}: {finale}");
        let first = finale.steps.first().unwrap().asked.time;
        let last = finale.steps.last().unwrap().asked.time;
        assert!(last - first < 4 * LEASE, "seed {seed}: {finale}");
    }
}

#[test]
fn an_unreachable_lock_manager_does_not_make_it_spin_or_hang() {
    let (main, finale, _) = run_with(
        &Json::Null,
        &Setting {
            rate: 0.0,
            ..setting()
        },
        Manager::new(1, 1.0, 0.0),
    );
    assert!(main.steps.len() < 10 * 8_000 / 20, "{}", main.steps.len());
    let per_lock = finale.steps.len() / 3;
    assert!((10..=60).contains(&per_lock), "{per_lock}");
    let (main, ..) = run_with(&Json::Null, &setting(), Manager::new(1, 0.0, 1.0));
    assert!(main.steps.iter().all(|step| !is_ok(step)) || main.steps.len() > 1_000);
}

#[test]
fn the_same_seed_gives_the_same_operations_and_another_seed_others() {
    let text = |seed| {
        let (main, finale) = run(seed);
        format!("{main}{finale}")
    };
    assert_eq!(text(1), text(1));
    assert_ne!(text(1), text(2));
}

#[test]
fn who_left_a_lock_leaves_all_alone_for_as_long_as_asked() {
    let options = json!({
        "locks": 1, "rest": "150ms..250ms", "abandon_share": 0, "stranger_share": 0
    });
    let (main, ..) = run_with(&options, &setting(), Manager::new(1, 0.0, 0.0));
    let mut left = BTreeMap::new();
    let mut rests = Vec::new();
    for step in &main.steps {
        match &step.asked.operation {
            Operation::Release { .. } => left.insert(step.asked.thread, step.ended.as_ref()),
            Operation::Request { .. } | Operation::TryAcquire { .. } => {
                let left = left.remove(&step.asked.thread);
                rests.extend(left.flatten().map(|(end, _)| step.asked.time - end));
                None
            }
            _ => None,
        };
    }
    assert!(rests.len() > 10, "{rests:?}");
    let (shortest, longest) = (rests.iter().min().unwrap(), rests.iter().max().unwrap());
    assert!(*shortest >= 150 * MS, "{shortest}");
    assert!(*longest - *shortest > 50 * MS, "{shortest} to {longest}");
}

#[test]
fn any_number_of_clients_and_locks_will_do() {
    for clients in [1, 2, 5, 40] {
        for locks in [1, 4, 26] {
            for abandon in [0.0, 1.0] {
                let options = json!({
                    "locks": locks, "guarded_writes": 0, "abandon_share": abandon, "hold": "1ms..2ms"
                });
                let setting = Setting {
                    clients,
                    time_limit: 2_000 * MS,
                    ..setting()
                };
                let manager = Manager::new(1, 0.01, 0.01);
                let (main, ..) = run_with(&options, &setting, manager);
                assert!(
                    main.steps.len() >= 4,
                    "{clients} clients, {locks} locks: {main}"
                );
            }
        }
    }
}

#[test]
fn it_uses_only_what_the_target_has() {
    let available = find("lock").unwrap().needs().to_vec();
    let setting = Setting {
        available,
        ..setting()
    };
    let (main, ..) = run_with(&Json::Null, &setting, Manager::new(1, 0.0, 0.0));
    let kinds: BTreeSet<Kind> = main
        .steps
        .iter()
        .map(|s| s.asked.operation.kind())
        .collect();
    assert_eq!(kinds, setting.available.into_iter().collect());
}

#[test]
fn wrong_options_are_refused_with_their_path() {
    let lock = find("lock").unwrap();
    for (options, path) in [
        (json!({"lock": 1}), "lock"),
        (json!({"locks": 0}), "locks"),
        (json!({"locks": 27}), "locks"),
        (json!({"hold": "60ms..5ms"}), "hold"),
        (json!({"guarded_writes": 1000}), "guarded_writes"),
        (json!({"long_share": -0.5}), "long_share"),
    ] {
        let error = lock.program(&options, &setting()).err().unwrap();
        assert_eq!(error.path, path, "{error}");
    }
}
