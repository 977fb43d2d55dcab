//! Chains of versions that are known to follow each other directly: who read a version and wrote
//! the register installed the next one (Tan et al., *Cobra*, 2020, "combining writes").

use super::digraph::{Rows, at};
use super::normal::{INITIAL, Normal, Read};

const NONE: u32 = u32::MAX;

/// Versions of a register, each the next after the one before.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chain {
    pub(super) key: u32,
    /// The first version.
    pub(super) head: u32,
    /// The last version.
    pub(super) tail: u32,
    /// Whether the first version came next after the initial absence.
    pub(super) is_first: bool,
}

/// The chains of a history.
#[derive(Debug)]
pub(super) struct Chains {
    pub(super) all: Vec<Chain>,
    /// The numbers of each register's chains, the first one first.
    pub(super) of_key: Rows<u32>,
    /// The next version, where it is known; none elsewhere.
    next: Vec<u32>,
    /// Of each register, the first version, where it is known.
    first: Vec<u32>,
    /// Who read each version.
    readers: Rows<u32>,
    /// Who read each register before its first write.
    initial: Rows<u32>,
    /// Two transactions that overwrote the same version of a register.
    pub(super) lost_updates: Vec<(u32, u32, u32)>,
}

impl Chains {
    pub(super) fn new(normal: &Normal) -> Self {
        let versions = normal.writes.len() as u32;
        // Reads of a version belong to no row there.
        let initial = |read: &Read| match read.from {
            INITIAL => read.key,
            _ => NONE,
        };
        let mut chains = Self {
            all: Vec::new(),
            of_key: Rows::default(),
            next: vec![NONE; versions as usize],
            first: vec![NONE; normal.keys as usize],
            readers: Rows::of_each(versions, &normal.reads, |read| read.from, |read| read.txn),
            initial: Rows::of_each(normal.keys, &normal.reads, initial, |read| read.txn),
            lost_updates: Vec::new(),
        };
        let previous = chains.link(normal);
        chains.collect(normal, &previous);
        chains
    }

    /// Finds the next version of each; answers which version each overwrote, if that is known.
    fn link(&mut self, normal: &Normal) -> Vec<Option<u32>> {
        let reads = normal.reads_by_txn();
        let mut previous = vec![None; normal.writes.len()];
        for ((version, write), previous) in (0_u32..).zip(&normal.writes).zip(&mut previous) {
            let mut mine = reads.of(write.txn).iter();
            let Some(read) = mine.find(|read| read.key == write.key) else {
                continue;
            };
            *previous = Some(read.from);
            let next = match read.from {
                INITIAL => self.first.get_mut(write.key as usize),
                from => self.next.get_mut(from as usize),
            };
            let Some(next) = next else {
                continue;
            };
            if *next == NONE {
                *next = version;
            } else if let Some(other) = normal.writer(*next) {
                self.lost_updates.push((write.key, other, write.txn));
            }
        }
        previous
    }

    fn collect(&mut self, normal: &Normal, previous: &[Option<u32>]) {
        for ((version, write), previous) in (0_u32..).zip(&normal.writes).zip(previous) {
            let is_first = *previous == Some(INITIAL);
            if previous.is_some() && !is_first {
                continue;
            }
            let mut tail = version;
            while let Some(next) = self.next_of(tail) {
                tail = next;
            }
            self.all.push(Chain {
                key: write.key,
                head: version,
                tail,
                is_first,
            });
        }
        let numbered = || (0_u32..).zip(&self.all).map(|(n, chain)| (n, *chain));
        let first = numbered().filter(|(_, chain)| chain.is_first);
        let others = numbered().filter(|(_, chain)| !chain.is_first);
        let sorted: Vec<(u32, u32)> = first.chain(others).map(|(n, c)| (n, c.key)).collect();
        self.of_key = Rows::of_each(normal.keys, &sorted, |(_, key)| *key, |(n, _)| *n);
    }

    /// The chain of that number.
    pub(super) fn get(&self, number: u32) -> Chain {
        let none = Chain {
            key: 0,
            head: 0,
            tail: 0,
            is_first: false,
        };
        self.all.get(number as usize).copied().unwrap_or(none)
    }

    /// The version that came next, if that is known.
    pub(super) fn next_of(&self, version: u32) -> Option<u32> {
        let next = self.next.get(version as usize).copied();
        next.filter(|next| *next != NONE)
    }

    /// The first version of a register, if that is known.
    pub(super) fn first_of(&self, key: u32) -> Option<u32> {
        Some(at(&self.first, key)).filter(|first| *first != NONE)
    }

    /// Who read the version.
    pub(super) fn readers(&self, version: u32) -> impl Iterator<Item = u32> + Clone + '_ {
        self.readers.of(version).iter().copied()
    }

    /// Who read the register before its first write.
    pub(super) fn initial_readers(&self, key: u32) -> impl Iterator<Item = u32> + Clone + '_ {
        self.initial.of(key).iter().copied()
    }
}
