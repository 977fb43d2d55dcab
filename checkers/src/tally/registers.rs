//! Reads of several keys by one transaction, of which it matters only what was there at all.

use smallvec::SmallVec;
use tribunal_results::{Call, Micro, Scalar, Seen};

use super::end;
use crate::intern::Numbers;
use crate::transactions::Txn;

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
    numbers: Numbers<'a>,
}

impl<'a> Registers<'a> {
    /// From transactions, in the order of invocation. Those that append to lists count as well:
    /// a list is there once it has an element.
    pub(crate) fn of(txns: &'a [Txn<'a>]) -> Self {
        let mut registers = Self {
            numbers: Numbers::expecting(txns.len()),
            ..Self::default()
        };
        for txn in txns {
            let mut keys: SmallVec<[(u32, bool); 8]> = SmallVec::new();
            let mut written: SmallVec<[u32; 4]> = SmallVec::new();
            for micro in txn.micros.iter() {
                let number = registers.number(micro.key());
                match micro {
                    Micro::Read { seen, .. } => {
                        if txn.call.is_ok() && !written.contains(&number) {
                            keys.push((number, is_there(seen)));
                        }
                    }
                    Micro::Append { .. } | Micro::Write { .. } => {
                        written.push(number);
                        if let Some(register) = registers.registers.get_mut(number as usize) {
                            register.write(txn.call);
                        }
                    }
                }
            }
            keys.sort_by_key(|(number, _)| *number);
            keys.dedup_by_key(|(number, _)| *number);
            if keys.len() > 1 {
                registers.reads.push(GroupRead {
                    call: txn.call,
                    keys,
                });
            }
        }
        registers
    }

    /// The key of that number, and who wrote it.
    pub(crate) fn get(&self, number: u32) -> Option<&Register<'a>> {
        self.registers.get(number as usize)
    }

    fn number(&mut self, key: &'a Scalar) -> u32 {
        let next = self.registers.len() as u32;
        let number = self.numbers.number(key);
        if number == next {
            self.registers.push(Register {
                key,
                first: None,
                acknowledged: None,
            });
        }
        number
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

const fn is_there(seen: &Seen) -> bool {
    match seen {
        Seen::Nothing => false,
        Seen::Value(_) => true,
        Seen::List(elements) => !elements.is_empty(),
    }
}
