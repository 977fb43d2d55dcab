//! The objects of a history that grows.

use tribunal_results::{Assumptions, History, Verdict};

use super::{check, threads};
use crate::exact::Objects;
use crate::register::Registers;
use crate::{Budget, Fold, Moment};

/// Registers whose values are unique, and objects that can be decided forward, followed; the
/// others are judged at the end.
pub(super) struct Following {
    registers: Registers,
    objects: Objects,
    assume: Assumptions,
    budget: Budget,
}

impl Following {
    /// Nothing happened yet.
    pub(super) fn new(assume: &Assumptions, budget: Budget) -> Self {
        Self {
            registers: Registers::default(),
            objects: Objects::new((!assume.owned).then_some(assume.permits)),
            assume: assume.clone(),
            budget,
        }
    }
}

impl Fold for Following {
    fn step(&mut self, history: &History, moment: Moment) {
        self.registers.step(history, moment);
        self.objects.step(history, moment);
    }

    fn contradicted(&self) -> bool {
        self.registers.is_contradicted() || self.objects.is_contradicted()
    }

    fn verdict(&self, history: &History) -> Verdict {
        check(history, &self.assume, self.budget, threads(history))
    }
}
