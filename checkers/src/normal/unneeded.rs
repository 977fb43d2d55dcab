//! Leaving out what may have happened, but explains nothing.

use tribunal_results::Kind;

use super::columns::answers_a_list;
use super::{Columns, Family, NONE, OPEN};

impl Columns {
    /// Leaves out the mutators of unknown end that no answer needs: see the module's description.
    /// An explanation without them is one with them.
    pub fn drop_unneeded(&mut self) {
        if !self.family.has_values() || !self.rets().contains(&OPEN) {
            return;
        }
        let mut needed = vec![false; self.numbers()];
        for row in self.rows().filter(|row| row.ret != OPEN) {
            let asked = self.family == Family::Set && !answers_a_list(row.kind);
            let answered = !asked && !answers_a_list(row.kind);
            let listed = if answers_a_list(row.kind) {
                self.list(row.answer)
            } else {
                &[]
            };
            let own = asked.then_some(row.argument).into_iter();
            let seen = answered.then_some(row.answer).into_iter();
            for value in own.chain(seen).chain(listed.iter().copied()) {
                mark(&mut needed, value);
            }
        }
        let lists = self.rows().any(|row| row.kind == Kind::Members);
        self.need_expected(&mut needed);
        let is_needed = |value: u32| needed.get(value as usize).is_some_and(|needed| *needed);
        self.retain(|row| match row.kind {
            _ if row.ret != OPEN => true,
            // What a full read lacks may have been removed.
            Kind::Remove => lists || is_needed(row.argument),
            Kind::Write | Kind::Cas | Kind::Append | Kind::Add | Kind::Enqueue | Kind::Push => {
                is_needed(row.argument)
            }
            _ => true,
        });
    }

    /// A compare-and-set that is needed needs what it expected.
    fn need_expected(&self, needed: &mut [bool]) {
        if self.family != Family::Register {
            return;
        }
        let open = |row: &super::Row| row.kind == Kind::Cas && row.ret == OPEN;
        let mut expected: Vec<Vec<u32>> = vec![Vec::new(); needed.len()];
        for row in self.rows().filter(open) {
            if let Some(list) = expected.get_mut(row.argument as usize) {
                list.push(row.answer);
            }
        }
        let of = |value: usize| needed.get(value).is_some_and(|needed| *needed);
        let mut work: Vec<usize> = (0..needed.len()).filter(|value| of(*value)).collect();
        while let Some(value) = work.pop() {
            for from in expected
                .get_mut(value)
                .map(std::mem::take)
                .unwrap_or_default()
            {
                if mark(needed, from) {
                    work.push(from as usize);
                }
            }
        }
    }
}

/// Notes that a value is needed; whether that is new.
fn mark(needed: &mut [bool], value: u32) -> bool {
    match needed.get_mut(value as usize) {
        Some(needed) if value != NONE => !std::mem::replace(needed, true),
        _ => false,
    }
}
