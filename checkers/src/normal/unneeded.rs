//! Leaving out what may have happened, but explains nothing.

use tribunal_results::Kind;

use super::columns::answers_a_list;
use super::{Columns, Family, NONE, OPEN};

impl Columns {
    /// Leaves out the mutators of unknown end that no answer needs: see the module's description.
    /// An explanation without them is one with them.
    pub fn drop_unneeded(&mut self) {
        let judges = self.family.has_values() && self.family != Family::Register;
        if !judges || !self.rets().contains(&OPEN) {
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
        let is_needed = |value: u32| needed.get(value as usize).is_some_and(|needed| *needed);
        self.retain(|row| match row.kind {
            _ if row.ret != OPEN => true,
            // What a full read lacks may have been removed.
            Kind::Remove => lists || is_needed(row.argument),
            Kind::Append | Kind::Add | Kind::Enqueue | Kind::Push => is_needed(row.argument),
            _ => true,
        });
    }
}

/// Notes that a value is needed.
fn mark(needed: &mut [bool], value: u32) {
    if let Some(needed) = needed.get_mut(value as usize).filter(|_| value != NONE) {
        *needed = true;
    }
}
