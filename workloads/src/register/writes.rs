//! Everything that can be done to one register.

use rand::RngExt;
use tribunal_results::{Answer, Operation, Outcome, Scalar};

use crate::generator::{Chance, Completion, Generator, Offer, Proposal, Seed, View};

/// How often which operation is chosen, from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Shares {
    /// Reads among all.
    pub(super) read: f64,
    /// Compare-and-sets among those that are no reads.
    pub(super) cas: f64,
}

/// Which values are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Values {
    /// Each only once, from this one on.
    Unique(u64),
    /// One of so many, from 0 on, drawn each time.
    Few(u64),
}

/// Reads, writes and compare-and-sets of one key. A compare-and-set starts
/// from the value that was last seen or written here, so that it often succeeds.
pub(super) struct Writes {
    key: Scalar,
    shares: Shares,
    values: Values,
    last: Option<Scalar>,
    chance: Chance,
}

impl Writes {
    /// Of `key`.
    pub(super) fn new(seed: Seed, key: Scalar, values: Values, shares: Shares) -> Self {
        Self {
            key,
            shares,
            values,
            last: None,
            chance: Chance::new(seed),
        }
    }

    fn operation(&self) -> Operation {
        let mut draws = self.chance.draws();
        let key = self.key.clone();
        if draws.random::<f64>() < self.shares.read {
            return Operation::Read { key };
        }
        let value = Scalar::Int(match self.values {
            Values::Unique(next) => next as i64,
            Values::Few(count) => draws.random_range(0..count) as i64,
        });
        match &self.last {
            Some(last) if draws.random::<f64>() < self.shares.cas => Operation::Cas {
                key,
                from: last.clone(),
                to: value,
            },
            _ => Operation::Write { key, value },
        }
    }
}

impl Generator for Writes {
    fn offer(&self, view: &View<'_>) -> Offer {
        match view.free().next() {
            Some(thread) => Offer::Invoke(Proposal::new(thread, view.time, self.operation())),
            None => Offer::Pending,
        }
    }

    fn taken(&mut self, _: &View<'_>, proposal: &Proposal, _: &[u32]) {
        self.chance.advance();
        if let Values::Unique(next) = &mut self.values
            && proposal.operation.kind().mutates()
        {
            *next += 1;
        }
    }

    fn completed(&mut self, _: &View<'_>, completion: &Completion<'_>, _: &[u32]) {
        let Outcome::Ok(answer) = completion.outcome else {
            return;
        };
        match (completion.operation, answer) {
            (Operation::Read { .. }, Answer::Value(value)) => self.last.clone_from(value),
            (Operation::Write { value, .. } | Operation::Cas { to: value, .. }, _) => {
                self.last = Some(value.clone());
            }
            _ => {}
        }
    }
}
