//! How fast the checkers of locks and permits decide, and in how much memory.
//!
//! `cargo bench -p tribunal-checkers --bench locks`. Time is that of the CPU, of this thread
//! alone; memory is what the process held at the peak of the check, with the history itself.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
#![expect(clippy::expect_used, reason = "a benchmark that cannot go on says why")]

mod measure;

use tribunal_checkers::{Budget, find};
use tribunal_results::{
    Answer, Body, Event, Grant, History, Operation, Outcome, Process, Record, Validity,
};

const CLIENTS: u64 = 10;
const CHECKERS: [&str; 6] = [
    "mutual-exclusion",
    "fencing",
    "fifo",
    "reentrancy",
    "leases",
    "semaphore",
];

struct Recording {
    events: Vec<Event>,
    operations: u64,
}

impl Recording {
    fn event(&mut self, process: u64, body: Body) {
        let index = self.events.len() as u64;
        self.events.push(Event {
            index,
            time: index * 1_000,
            process: Process::Client(process),
            node: None,
            body,
        });
    }

    fn call(&mut self, process: u64, operation: Operation, answer: Answer) {
        self.operations += 1;
        self.event(process, Body::Invoke(operation.clone()));
        self.event(process, Body::Complete(operation, Outcome::Ok(answer)));
    }
}

/// Clients queue for a lock and hold it in turn: each hold is claimed, entered again, renewed,
/// used for a guarded write and left twice.
fn lock(operations: u64) -> Recording {
    let mut record = Recording {
        events: Vec::new(),
        operations: 0,
    };
    let lock = || "a".into();
    let mut turn = 0;
    while record.operations < operations {
        let (process, token) = (turn % CLIENTS, turn + 1);
        let next = (turn + 1) % CLIENTS;
        let grant = Answer::Grant(Grant {
            token,
            lease_ms: 1_000,
        });
        let request = |record: &mut Recording, process, ticket| {
            let operation = Operation::Request { lock: lock() };
            record.call(process, operation, Answer::Ticket(ticket));
        };
        if turn == 0 {
            request(&mut record, process, token);
        }
        let ticket = Some(token);
        let acquire = |ticket| Operation::Acquire {
            lock: lock(),
            ticket,
        };
        record.call(process, acquire(ticket), grant.clone());
        request(&mut record, next, token + 1);
        record.call(process, acquire(None), grant.clone());
        let renew = Operation::Renew {
            lock: lock(),
            token,
        };
        record.call(process, renew, grant);
        let write = Operation::GuardedWrite {
            key: lock(),
            value: 1.into(),
            token,
        };
        record.call(process, write, Answer::Done);
        for _ in 0..2 {
            let release = Operation::Release {
                lock: lock(),
                token,
            };
            record.call(process, release, Answer::Done);
        }
        turn += 1;
    }
    record
}

/// Clients pass a mutex without tokens on.
fn mutex(operations: u64) -> Recording {
    let mut record = Recording {
        events: Vec::new(),
        operations: 0,
    };
    let mut turn = 0;
    while record.operations < operations {
        let process = turn % CLIENTS;
        let acquire = Operation::AcquirePermits {
            key: "a".into(),
            permits: 1,
        };
        record.call(process, acquire, Answer::Done);
        let release = Operation::ReleasePermits {
            key: "a".into(),
            permits: 1,
            token: None,
        };
        record.call(process, release, Answer::Done);
        turn += 1;
    }
    record
}

fn run(name: &str, operations: u64) {
    let recording = if name == "semaphore" {
        mutex(operations)
    } else {
        lock(operations)
    };
    let operations = recording.operations;
    let record = Record {
        history: History::from_events(recording.events).expect("a well-formed history"),
        ..Record::default()
    };
    let checker = find(name).expect("a registered checker");
    let (verdict, cost) = measure::measure(|| checker.check(&record, Budget::default()));
    measure::row(name, operations, cost, "");
    assert_ne!(verdict.validity, Validity::Invalid, "{}", verdict.summary);
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [name, operations] = args.as_slice()
        && let Ok(operations) = operations.parse()
    {
        return run(name, operations);
    }
    for name in CHECKERS {
        for exponent in 3..=6 {
            measure::apart(&[name, &10_u64.pow(exponent).to_string()]);
        }
    }
}
