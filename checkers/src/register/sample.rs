//! Random histories of one register, for tests.

use super::{ABSENT, Step, Value};
use crate::engine::Op;

/// A linear congruential generator (Knuth's MMIX constants).
struct Lcg(u64);

impl Lcg {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// A register's history in which every value has one writer at most; some answers are wrong.
pub(crate) fn unique(seed: u64, operations: u64, width: u64, wrong: u64) -> Vec<Op<Step>> {
    let mut lcg = Lcg(seed);
    let (unknown, cas) = ([0, 10, 40][lcg.below(3) as usize], lcg.below(80));
    let mut drafts = Vec::new();
    for id in 0..operations {
        let instant = id * 4 + lcg.below(4);
        let call = instant.saturating_sub(lcg.below(width));
        let ret = instant + 1 + lcg.below(width);
        let lost = lcg.below(100) < unknown;
        drafts.push((instant, call, (!lost).then_some(ret)));
    }
    drafts.sort_unstable();
    let (mut state, mut values, mut ops) = (ABSENT, 0, Vec::new());
    for (id, (_, call, ret)) in drafts.into_iter().enumerate() {
        let any = lcg.below(values + 1) as Value;
        let seen = if lcg.below(100) < wrong { any } else { state };
        let (reads, takes) = (lcg.below(100) < 55, lcg.below(100) < cas);
        let step = match (reads, takes && seen != ABSENT) {
            (true, _) => Step::Read(seen),
            (false, takes) => {
                values += 1;
                let value = values as Value;
                if takes {
                    Step::Cas(seen, value)
                } else {
                    Step::Write(value)
                }
            }
        };
        if ret.is_some() || lcg.below(2) == 0 {
            state = step.leaves();
        }
        let stamp = |time: u64| time * 100 + id as u64;
        let ret = ret.map(|ret| stamp(ret) + 50);
        if ret.is_some() || step.sets().is_some() {
            let call = stamp(call);
            ops.push(Op {
                call,
                ret,
                step,
                idle: false,
            });
        }
    }
    ops.sort_by_key(|op| op.call);
    ops
}

/// The same history with only so many different values.
pub(crate) fn crowded(ops: Vec<Op<Step>>, values: Value) -> Vec<Op<Step>> {
    let fold = |value: Value| {
        if value == ABSENT {
            ABSENT
        } else {
            1 + value % values
        }
    };
    ops.into_iter()
        .map(|op| Op {
            step: match op.step {
                Step::Read(value) => Step::Read(fold(value)),
                Step::Write(value) => Step::Write(fold(value)),
                Step::Cas(from, to) => Step::Cas(fold(from), fold(to)),
            },
            ..op
        })
        .collect()
}
