//! Registers, sets and counters that clients at all nodes work on, a few at a time, and which are
//! read everywhere in the end.

use rand::RngExt;
use rand_pcg::Pcg64Mcg;
use serde::Deserialize;
use serde_json::Value as Json;
use tribunal_results::options::{OptionError, decode};
use tribunal_results::{Kind, Nanos, Operation, Scalar};

use crate::generator::{
    EachThread, FromFn, Generator, Reserve, Rest, Seed, Sequence, Stagger, TimeLimit, UntilOk,
};
use crate::{FINALE_MAX, Program, Setting};

/// The share of threads that only read.
const READERS_SHARE: f64 = 0.4;
/// There are no more objects than this, so that all can be read at every node in the end.
const OBJECTS_MAX: u64 = 1_000;
/// How many objects of each family are worked on at once.
const AT_ONCE: u64 = 2;
/// How often a final read is tried, and how long after a failure.
const FINAL_ATTEMPTS: u64 = 20;
const FINAL_PAUSE: Nanos = 100_000_000;
/// A removal is of one of the elements added last; so far back it looks for one.
const REMOVES_BACK: u64 = 60;
/// What a rate without limit is taken for, to choose the number of objects.
const RATE_UNLIMITED: f64 = 10_000.0;

/// What kind of object it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    Register,
    /// A set; elements are removed from some of them if `removes`.
    Set {
        removes: bool,
    },
    /// A counter; some are decremented too if `falls`.
    Counter {
        falls: bool,
    },
}

/// Options of all workloads of this kind.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Options {
    /// About how many operations each object gets while clients are at work.
    operations_per_key: u64,
    /// How long, in milliseconds, nothing is asked before the final reads.
    settle_ms: u64,
    /// How many objects there are; as many as the other options and the rate come to if absent.
    objects: Option<u64>,
    /// Whether counters fall as well as rise; every other one does if absent.
    falls: Option<bool>,
    /// Whether updates of counters may be seen late.
    eventual: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            operations_per_key: 100,
            settle_ms: 1_000,
            objects: None,
            falls: None,
            eventual: false,
        }
    }
}

impl Options {
    pub(crate) fn checked(options: &Json) -> Result<Self, OptionError> {
        let options: Self = decode(options)?;
        if !(1..=100_000).contains(&options.operations_per_key) {
            let text = "must be between 1 and 100000";
            return Err(OptionError::new("operations_per_key", text));
        }
        if options.settle_ms > 60_000 {
            return Err(OptionError::new("settle_ms", "must be at most 60000"));
        }
        if options
            .objects
            .is_some_and(|count| !(1..=OBJECTS_MAX).contains(&count))
        {
            let text = format!("must be between 1 and {OBJECTS_MAX}");
            return Err(OptionError::new("objects", text));
        }
        Ok(options)
    }

    /// Whether updates of counters may be seen late.
    pub(crate) const fn eventual(&self) -> bool {
        self.eventual
    }

    /// How long replicas may take to agree, in milliseconds.
    pub(crate) const fn settle_ms(&self) -> u64 {
        self.settle_ms
    }
}

/// The objects of a run. Which of them a turn is about, and what it does, depends on the seed and
/// the turn's number alone.
#[derive(Clone, Debug)]
pub(crate) struct Objects {
    families: Vec<Family>,
    count: u64,
    falls: Option<bool>,
    seed: Seed,
}

impl Objects {
    /// Clients update and read the objects, and in the end each is read at each node.
    pub(crate) fn program(
        families: Vec<Family>,
        seed: Seed,
        options: &Options,
        setting: &Setting,
    ) -> Program {
        let rate = match setting.rate > 0.0 && setting.rate.is_finite() {
            true => setting.rate,
            false => RATE_UNLIMITED,
        };
        let turns = (rate * setting.time_limit as f64 / 1e9) as u64;
        let least = AT_ONCE * families.len() as u64;
        let count = (turns / options.operations_per_key).clamp(least, OBJECTS_MAX.max(least));
        let count = options.objects.unwrap_or(count);
        let objects = Self {
            families,
            count,
            falls: options.falls,
            seed: seed.named("objects"),
        };
        let readers = (setting.clients as f64 * READERS_SHARE).ceil() as usize;
        let readers = readers.min(setting.clients.saturating_sub(1));
        let share = readers as f64 / setting.clients.max(1) as f64;
        let turns_of = |share: f64| ((turns as f64 * share) as u64).max(1);
        let updates = objects.clone().updates(turns_of(1.0 - share));
        let reads = objects.clone().reads(seed.named("reads"), turns_of(share));
        let main = Reserve::new(
            seed.named("reserve"),
            vec![(setting.clients - readers, Box::new(updates))],
            Box::new(reads),
        );
        let main = Stagger::new(seed.named("rate"), setting.rate, main);
        let main = TimeLimit::new(setting.time_limit, main);
        let finale = objects.finale(setting, options.settle_ms.saturating_mul(1_000_000));
        Program {
            main: Box::new(main),
            finale: Box::new(Stagger::new(seed.named("finale"), setting.rate, finale)),
        }
    }

    fn family(&self, object: u64) -> Family {
        let families = self.families.len().max(1) as u64;
        let at = usize::try_from(object % families).unwrap_or_default();
        self.families.get(at).copied().unwrap_or(Family::Register)
    }

    fn key(&self, object: u64) -> Scalar {
        let letter = match self.family(object) {
            Family::Register => 'r',
            Family::Set { .. } => 's',
            Family::Counter { .. } => 'c',
        };
        format!("{letter}{object}").into()
    }

    /// One of the few objects that are worked on in that share of all turns.
    fn object(&self, turn: u64, turns: u64, draws: &mut Pcg64Mcg) -> u64 {
        let window = (AT_ONCE * self.families.len() as u64).min(self.count);
        let last = self.count.saturating_sub(window);
        let first = (turn.min(turns) * (last + 1) / turns.max(1)).min(last);
        first + draws.random_range(0..window)
    }

    fn read(&self, object: u64) -> Operation {
        let key = self.key(object);
        match self.family(object) {
            Family::Register => Operation::Read { key },
            Family::Set { .. } => Operation::Members { key },
            Family::Counter { .. } => Operation::Count { key },
        }
    }

    fn reads(self, seed: Seed, turns: u64) -> impl Generator {
        FromFn::new(seed, move |draws: &mut Pcg64Mcg, turn| {
            Some(self.read(self.object(turn, turns, draws)))
        })
    }

    fn updates(self, turns: u64) -> impl Generator {
        FromFn::new(self.seed, move |_: &mut Pcg64Mcg, turn| {
            Some(self.update(turn, turns))
        })
    }

    /// Whether some updates of an object take back: those of every other one of its family do.
    fn takes_back(&self, object: u64) -> bool {
        match (self.falls, self.family(object)) {
            (Some(falls), Family::Counter { .. }) => falls,
            _ => (object / self.families.len() as u64) % 2 == 1,
        }
    }

    /// The object of a turn's update, and whether it adds.
    fn choice(&self, turn: u64, turns: u64) -> (u64, bool) {
        let mut draws = self.seed.numbered(turn).draws();
        let object = self.object(turn, turns, &mut draws);
        let adds = !self.takes_back(object) || draws.random_range(0..4) > 0;
        (object, adds)
    }

    fn update(&self, turn: u64, turns: u64) -> Operation {
        let (object, adds) = self.choice(turn, turns);
        let key = self.key(object);
        let value = value_of(turn);
        match self.family(object) {
            Family::Register => Operation::Write { key, value },
            Family::Set { removes: true } if !adds => {
                let value = value_of(self.added_before(object, turn, turns));
                Operation::Remove { key, value }
            }
            Family::Set { .. } => Operation::Add { key, value },
            Family::Counter { falls } => {
                let by = (turn % 5) as i64 + 1;
                let by = if falls && !adds { -by } else { by };
                Operation::Increment { key, by }
            }
        }
    }

    /// The turn of one of the last additions to a set before a turn; that turn itself, at which
    /// nothing is added, if there is none near.
    fn added_before(&self, set: u64, turn: u64, turns: u64) -> u64 {
        let back = turn.saturating_sub(REMOVES_BACK)..turn;
        let mut added = back
            .rev()
            .filter(|turn| self.choice(*turn, turns) == (set, true));
        let skipped = usize::try_from(turn % 3).unwrap_or_default();
        added.nth(skipped).unwrap_or(turn)
    }

    /// After a rest, each object is read at each node until it is answered, by the threads of that
    /// node in turns.
    fn finale(self, setting: &Setting, settle: Nanos) -> impl Generator + use<> {
        let (clients, nodes) = (setting.clients, setting.nodes.max(1));
        let reads = EachThread::new(clients, |thread| {
            let of_node = (clients - 1 - thread % nodes) / nodes + 1;
            let mine = (0..self.count).filter(|object| {
                let turn = usize::try_from(*object).unwrap_or_default() % of_node;
                turn == thread / nodes
            });
            let reads = mine.map(|object| {
                let read = FromFn::repeat(self.read(object));
                Box::new(UntilOk::new(FINAL_ATTEMPTS, FINAL_PAUSE, read)) as _
            });
            Box::new(Sequence::new(reads.collect()))
        });
        TimeLimit::new(settle.saturating_add(FINALE_MAX), Rest::new(settle, reads))
    }
}

/// The value that a turn writes or adds; no two turns the same.
const fn value_of(turn: u64) -> Scalar {
    Scalar::Int(turn as i64 + 1)
}

/// Whether the target has an operation.
pub(crate) fn has(setting: &Setting, kind: Kind) -> bool {
    setting.available.contains(&kind)
}
