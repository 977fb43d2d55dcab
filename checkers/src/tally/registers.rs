//! Reads of several keys by one transaction, of which it matters only what was there at all.

use smallvec::SmallVec;
use tribunal_results::{Call, Scalar};

use super::end;
use crate::normal::{Did, Transactions};

/// Who wrote a key.
pub(crate) struct Register<'a> {
    pub(crate) key: &'a Scalar,
    /// The write that was invoked first, of those that may have taken effect.
    pub(crate) first: Option<&'a Call>,
    /// The write that was acknowledged first.
    pub(crate) acknowledged: Option<&'a Call>,
}

/// The keys that a transaction read before it wrote them, by number, and whether each was there.
pub(crate) struct GroupRead<'a> {
    pub(crate) call: &'a Call,
    /// In the order of their numbers.
    pub(crate) keys: SmallVec<[(u32, bool); 8]>,
}

/// Keys, and the transactions that read several of them.
#[derive(Default)]
pub(crate) struct Registers<'a> {
    pub(crate) registers: Vec<Register<'a>>,
    /// In the order of invocation.
    pub(crate) reads: Vec<GroupRead<'a>>,
}

impl<'a> Registers<'a> {
    /// Of transactions. Those that append to lists count as well: a list is there once it has an
    /// element.
    pub(crate) fn of(txns: &Transactions<'a>) -> Self {
        let mut registers = Self::default();
        let keys = (0..txns.keys()).filter_map(|key| txns.key(key));
        registers.registers.extend(keys.map(|key| Register {
            key,
            first: None,
            acknowledged: None,
        }));
        for txn in 0..txns.len() {
            let Some(call) = txns.call(txn) else {
                continue;
            };
            let mut keys: SmallVec<[(u32, bool); 8]> = SmallVec::new();
            let mut written: SmallVec<[u32; 4]> = SmallVec::new();
            for step in txns.steps(txn) {
                let is_there = match step.did {
                    Did::Asked => continue,
                    Did::Wrote | Did::Appended => {
                        written.push(step.key);
                        if let Some(register) = registers.registers.get_mut(step.key as usize) {
                            register.write(call);
                        }
                        continue;
                    }
                    Did::Saw => true,
                    Did::SawNothing => false,
                    Did::SawList => !txns.elements(step).is_empty(),
                };
                if !written.contains(&step.key) {
                    keys.push((step.key, is_there));
                }
            }
            keys.sort_by_key(|(number, _)| *number);
            keys.dedup_by_key(|(number, _)| *number);
            if keys.len() > 1 {
                registers.reads.push(GroupRead { call, keys });
            }
        }
        registers
    }

    /// The key of that number, and who wrote it.
    pub(crate) fn get(&self, number: u32) -> Option<&Register<'a>> {
        self.registers.get(number as usize)
    }
}

impl<'a> Register<'a> {
    fn write(&mut self, call: &'a Call) {
        if call.is_fail() {
            return;
        }
        self.first = self.first.or(Some(call));
        if call.is_ok() && self.acknowledged.is_none_or(|known| end(call) < end(known)) {
            self.acknowledged = Some(call);
        }
    }
}
