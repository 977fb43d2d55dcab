//! Transactions, one after the other.

use rand::RngExt;
use rand_pcg::Pcg64Mcg;
use tribunal_results::{Micro, Operation, Scalar};

use super::{Options, name_of, read};
use crate::generator::{Chance, Completion, Generator, Offer, Proposal, RecentKeys, Seed, View};

/// What keys hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// Lists that transactions append to.
    Lists,
    /// Registers that transactions write; half of the writes follow a read of the same register, so
    /// that it is known what they overwrote.
    Registers,
}

/// A key that is worked on.
#[derive(Clone, Copy, Debug)]
struct Active {
    key: u64,
    writes_left: u64,
}

/// Transactions on any free thread; the first few threads only read.
pub(super) struct Transactions {
    style: Style,
    steps: usize,
    read_share: f64,
    readers: usize,
    writes_per_key: u64,
    active: Vec<Active>,
    next_key: u64,
    next_value: i64,
    recent: RecentKeys,
    chance: Chance,
}

impl Transactions {
    pub(super) fn new(seed: Seed, style: Style, options: &Options, readers: usize) -> Self {
        let mut new = Self {
            style,
            steps: options.steps,
            read_share: options.read_share,
            readers,
            writes_per_key: options.writes_per_key,
            active: Vec::with_capacity(options.keys),
            next_key: 1,
            next_value: 1,
            recent: RecentKeys::new(options.keys),
            chance: Chance::new(seed),
        };
        for slot in 0..options.keys {
            let active = new.fresh(slot);
            new.active.push(active);
        }
        new
    }

    /// The keys that were worked on last, kept up to date while this generator runs.
    pub(super) fn recent(&self) -> RecentKeys {
        self.recent.clone()
    }

    fn fresh(&mut self, slot: usize) -> Active {
        let key = self.next_key;
        self.next_key += 1;
        self.recent.note(slot, key);
        Active {
            key,
            writes_left: self.writes_per_key,
        }
    }

    fn operation(&self, reads_only: bool) -> Operation {
        let mut draws = self.chance.draws();
        let steps = draws.random_range(1..=self.steps);
        // Who only reads is to see several keys at once.
        let steps = if reads_only { steps.max(2) } else { steps };
        let mut micros: Vec<Micro> = Vec::with_capacity(steps + 1);
        let mut value = self.next_value;
        while micros.len() < steps {
            let key = self.draw_key(&mut draws);
            if reads_only || draws.random::<f64>() < self.read_share {
                micros.push(read(key));
                continue;
            }
            if self.style == Style::Registers && draws.random::<bool>() {
                micros.push(read(key));
            }
            micros.push(self.write(name_of(key), value.into()));
            value += 1;
        }
        Operation::Txn { micros }
    }

    fn draw_key(&self, draws: &mut Pcg64Mcg) -> u64 {
        let slot = draws.random_range(0..self.active.len().max(1));
        self.active.get(slot).map_or(0, |active| active.key)
    }

    fn write(&self, key: Scalar, value: Scalar) -> Micro {
        match self.style {
            Style::Lists => Micro::Append { key, value },
            Style::Registers => Micro::Write { key, value },
        }
    }

    /// Counts a write, and retires its key after the last one.
    fn count(&mut self, key: &Scalar) {
        let slot = self.active.iter().position(|a| name_of(a.key) == *key);
        let Some(slot) = slot else { return };
        let left = self.active.get_mut(slot).map_or(0, |active| {
            active.writes_left = active.writes_left.saturating_sub(1);
            active.writes_left
        });
        if left == 0 {
            let fresh = self.fresh(slot);
            if let Some(active) = self.active.get_mut(slot) {
                *active = fresh;
            }
        }
    }
}

impl Generator for Transactions {
    fn offer(&self, view: &View<'_>) -> Offer {
        match view.free().next() {
            Some(thread) => {
                let reads_only = thread - view.range.start < self.readers;
                let operation = self.operation(reads_only);
                Offer::Invoke(Proposal::new(thread, view.time, operation))
            }
            None => Offer::Pending,
        }
    }

    fn taken(&mut self, _: &View<'_>, proposal: &Proposal, _: &[u32]) {
        self.chance.advance();
        let Operation::Txn { micros } = &proposal.operation else {
            return;
        };
        for micro in micros {
            if let Micro::Append { key, .. } | Micro::Write { key, .. } = micro {
                self.next_value += 1;
                self.count(key);
            }
        }
    }

    fn completed(&mut self, _: &View<'_>, _: &Completion<'_>, _: &[u32]) {}
}
