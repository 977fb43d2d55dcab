//! How far a node is with a majority of leases for one lock.

use std::collections::{BTreeMap, VecDeque};

use tribunal_results::NodeId;

use crate::node::Nanos;

/// Answers to so many rounds are waited for.
const ROUNDS_MAX: usize = 4;

/// What a node wants of the instances, for one of its clients.
#[derive(Clone, Debug)]
pub(super) struct Attempt {
    /// The ticket of the client, which is the value of the leases and the token too.
    pub(super) value: u64,
    /// Until when a majority has granted leases; nothing yet if none has.
    valid_until: Option<Nanos>,
    /// The latest rounds of questions, the last one at the end.
    rounds: VecDeque<Round>,
}

/// All instances, asked once.
#[derive(Clone, Debug)]
struct Round {
    number: u64,
    began: Nanos,
    answers: BTreeMap<NodeId, bool>,
}

impl Attempt {
    /// For that ticket; nobody was asked yet.
    pub(super) const fn new(value: u64) -> Self {
        Self {
            value,
            valid_until: None,
            rounds: VecDeque::new(),
        }
    }

    /// All are asked (once more, to extend what was granted).
    pub(super) fn begin(&mut self, number: u64, now: Nanos) {
        if self.rounds.len() >= ROUNDS_MAX {
            self.rounds.pop_front();
        }
        self.rounds.push_back(Round {
            number,
            began: now,
            answers: BTreeMap::new(),
        });
    }

    /// An instance answered in a round. If that makes `enough` leases of `ttl`, they are valid from
    /// the beginning of that round on. Says whether anybody was asked in that round.
    pub(super) fn answered(
        &mut self,
        number: u64,
        from: &NodeId,
        granted: bool,
        enough: usize,
        ttl: Nanos,
    ) -> bool {
        let mut rounds = self.rounds.iter_mut();
        let Some(round) = rounds.find(|round| round.number == number) else {
            return false;
        };
        round.answers.insert(from.clone(), granted);
        if round.count(true) >= enough {
            let until = Some(round.began.saturating_add(ttl));
            self.valid_until = self.valid_until.max(until);
        }
        true
    }

    /// How many instances refused in the last round.
    pub(super) fn refused(&self) -> usize {
        self.rounds.back().map_or(0, |round| round.count(false))
    }

    /// How long ago the last round began.
    pub(super) fn age(&self, now: Nanos) -> Nanos {
        let began = self.rounds.back().map_or(0, |round| round.began);
        now.saturating_sub(began)
    }

    /// Whether a majority is had for longer than now.
    pub(super) fn is_valid(&self, now: Nanos) -> bool {
        self.valid_until.is_some_and(|until| now < until)
    }
}

impl Round {
    fn count(&self, granted: bool) -> usize {
        let answers = self.answers.values();
        answers.filter(|said| **said == granted).count()
    }
}
