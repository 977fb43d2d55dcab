//! A small solver of clauses with learning (Marques-Silva & Sakallah, *GRASP*, 1999; two watched
//! literals and decisions by activity: Moskewicz et al., *Chaff*, 2001).
//!
//! Variables keep the value they had last, and begin with a preferred one: what no clause
//! speaks against stays as it was guessed.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// A variable or its negation: twice its number, plus one if negated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Literal(u32);

impl Literal {
    pub(super) const fn new(variable: u32, value: bool) -> Self {
        Self(variable * 2 + !value as u32)
    }

    pub(super) const fn variable(self) -> u32 {
        self.0 / 2
    }

    /// The value of its variable that makes it true.
    pub(super) const fn value(self) -> bool {
        self.0.is_multiple_of(2)
    }

    pub(super) const fn not(self) -> Self {
        Self(self.0 ^ 1)
    }
}

#[derive(Debug, Default)]
struct Variable {
    /// Its value, if it has one.
    value: Option<bool>,
    /// The value it had last.
    phase: bool,
    level: u32,
    /// The clause that forced it.
    reason: Option<u32>,
    activity: u64,
    seen: bool,
}

/// As many entries a list for choice may always have.
const OPEN_MIN: usize = 1_024;

/// What a search came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Satisfied,
    Contradiction,
    /// The budget ran out.
    Stopped,
}

/// The clauses, and the values so far.
#[derive(Debug, Default)]
pub(super) struct Solver {
    variables: Vec<Variable>,
    clauses: Vec<Vec<Literal>>,
    /// The clauses in which each literal is watched.
    watches: Vec<Vec<u32>>,
    trail: Vec<Literal>,
    /// Where each level begins in the trail.
    levels: Vec<usize>,
    propagated: usize,
    contradiction: bool,
    /// Variables by activity: each without value is there with its present one, and more.
    open: BinaryHeap<(u64, Reverse<u32>)>,
    bump: u64,
}

impl Solver {
    /// A new variable with a preferred value.
    pub(super) fn variable(&mut self, phase: bool) -> u32 {
        self.variables.push(Variable {
            phase,
            ..Variable::default()
        });
        self.watches.push(Vec::new());
        self.watches.push(Vec::new());
        let number = self.variables.len() as u32 - 1;
        self.open.push((0, Reverse(number)));
        number
    }

    /// The value that a variable has, or last had.
    pub(super) fn value(&self, variable: u32) -> bool {
        let variable = self.variables.get(variable as usize);
        variable.is_some_and(|v| v.value.unwrap_or(v.phase))
    }

    /// Adds a clause: one of these must be true.
    pub(super) fn add(&mut self, mut clause: Vec<Literal>) {
        self.back_to(0);
        clause.sort_unstable();
        clause.dedup();
        let holds = |literal: &Literal| self.holds(*literal);
        if clause.iter().any(|literal| holds(literal) == Some(true)) {
            return;
        }
        clause.retain(|literal| self.holds(*literal).is_none());
        for literal in &clause {
            self.raise(literal.variable());
        }
        match clause.as_slice() {
            [] => self.contradiction = true,
            [one] => self.set(*one, None),
            _ => {
                self.attach(clause);
            }
        }
    }

    /// Looks for values that satisfy all clauses. Spends steps.
    pub(super) fn solve(&mut self, steps: &mut u64) -> Answer {
        self.back_to(0);
        loop {
            if self.contradiction {
                return Answer::Contradiction;
            }
            if *steps == 0 {
                return Answer::Stopped;
            }
            match self.propagate(steps) {
                Some(_) if self.levels.is_empty() => self.contradiction = true,
                Some(clause) => self.learn(clause),
                None => match self.choice() {
                    None => return Answer::Satisfied,
                    Some(literal) => {
                        self.levels.push(self.trail.len());
                        self.set(literal, None);
                    }
                },
            }
        }
    }

    fn holds(&self, literal: Literal) -> Option<bool> {
        let value = self.variables.get(literal.variable() as usize)?.value?;
        Some(value == literal.value())
    }

    fn raise(&mut self, variable: u32) {
        self.bump += 1;
        let bump = self.bump;
        if let Some(variable) = self.variables.get_mut(variable as usize) {
            // Recent conflicts count most: halve what is old, by steps of time.
            variable.activity = variable.activity / 2 + bump;
        }
        self.reopen(variable);
    }

    fn set(&mut self, literal: Literal, reason: Option<u32>) {
        let level = self.levels.len() as u32;
        if let Some(variable) = self.variables.get_mut(literal.variable() as usize) {
            variable.value = Some(literal.value());
            variable.phase = literal.value();
            variable.level = level;
            variable.reason = reason;
        }
        self.trail.push(literal);
    }

    /// Lists a variable for choice.
    fn reopen(&mut self, number: u32) {
        if let Some(variable) = self.variables.get(number as usize)
            && variable.value.is_none()
        {
            self.open.push((variable.activity, Reverse(number)));
        }
        if self.open.len() > 8 * self.variables.len() + OPEN_MIN {
            let numbered = (0_u32..).zip(&self.variables);
            let open = numbered.filter(|(_, variable)| variable.value.is_none());
            self.open = open.map(|(n, v)| (v.activity, Reverse(n))).collect();
        }
    }

    /// The variable without value that was in conflicts most, at its last value.
    fn choice(&mut self) -> Option<Literal> {
        while let Some((activity, Reverse(number))) = self.open.pop() {
            if let Some(variable) = self.variables.get(number as usize)
                && variable.value.is_none()
                && variable.activity == activity
            {
                return Some(Literal::new(number, variable.phase));
            }
        }
        None
    }

    fn watch(&mut self, literal: Literal, clause: u32) {
        if let Some(watches) = self.watches.get_mut(literal.0 as usize) {
            watches.push(clause);
        }
    }

    fn attach(&mut self, clause: Vec<Literal>) -> u32 {
        let number = self.clauses.len() as u32;
        for literal in clause.iter().take(2) {
            self.watch(*literal, number);
        }
        self.clauses.push(clause);
        number
    }

    /// Follows the consequences of what is set; a clause that cannot hold, if there is one.
    fn propagate(&mut self, steps: &mut u64) -> Option<u32> {
        while let Some(&literal) = self.trail.get(self.propagated) {
            self.propagated += 1;
            let wrong = literal.not();
            let watching = self.watches.get_mut(wrong.0 as usize);
            let watching = watching.map(std::mem::take).unwrap_or_default();
            *steps = steps.saturating_sub(watching.len() as u64 + 1);
            let mut clash = None;
            for (at, &number) in watching.iter().enumerate() {
                if clash.is_some() {
                    self.watch(wrong, number);
                    continue;
                }
                clash = self.visit(number, wrong).then_some((at, number));
            }
            if let Some((_, number)) = clash {
                return Some(number);
            }
        }
        None
    }

    /// Looks for another literal for a clause to watch; whether the clause cannot hold.
    fn visit(&mut self, number: u32, wrong: Literal) -> bool {
        let Some(mut clause) = self.clauses.get_mut(number as usize).map(std::mem::take) else {
            return false;
        };
        if clause.first() == Some(&wrong) {
            clause.swap(0, 1);
        }
        let first = clause.first().copied().unwrap_or(wrong);
        let mut clash = false;
        if self.holds(first) == Some(true) {
            self.watch(wrong, number);
        } else {
            let other = (2..clause.len()).find(|at| {
                clause
                    .get(*at)
                    .is_some_and(|literal| self.holds(*literal) != Some(false))
            });
            if let Some(other) = other {
                clause.swap(1, other);
                if let Some(&watched) = clause.get(1) {
                    self.watch(watched, number);
                }
            } else {
                self.watch(wrong, number);
                clash = self.holds(first) == Some(false);
                if !clash {
                    self.set(first, Some(number));
                }
            }
        }
        if let Some(place) = self.clauses.get_mut(number as usize) {
            *place = clause;
        }
        clash
    }

    /// Learns from a clause that cannot hold, and goes back to where that matters.
    fn learn(&mut self, clash: u32) {
        let level = self.levels.len() as u32;
        let mut learnt: Vec<Literal> = Vec::new();
        let mut open = 0;
        let mut clause = self
            .clauses
            .get(clash as usize)
            .cloned()
            .unwrap_or_default();
        let mut at = self.trail.len();
        let asserting = loop {
            for literal in clause {
                let Some(variable) = self.variables.get_mut(literal.variable() as usize) else {
                    continue;
                };
                if variable.seen || variable.level == 0 {
                    continue;
                }
                variable.seen = true;
                if variable.level == level {
                    open += 1;
                } else {
                    learnt.push(literal);
                }
                self.raise(literal.variable());
            }
            let next = loop {
                at = at.saturating_sub(1);
                match self.trail.get(at) {
                    Some(&literal) if self.is_seen(literal) || at == 0 => break literal,
                    Some(_) => {}
                    None => return,
                }
            };
            open -= 1;
            if open <= 0 {
                break next.not();
            }
            let variable = self.variables.get_mut(next.variable() as usize);
            let reason = variable.and_then(|v| {
                v.seen = false;
                v.reason
            });
            let reason = reason.and_then(|reason| self.clauses.get(reason as usize));
            clause = reason.cloned().unwrap_or_default();
            clause.retain(|literal| *literal != next);
        };
        self.forget(asserting, &learnt);
        let level_of = |l: &Literal| {
            self.variables
                .get(l.variable() as usize)
                .map_or(0, |v| v.level)
        };
        learnt.sort_by_key(|literal| Reverse(level_of(literal)));
        let back = learnt.first().map_or(0, level_of);
        learnt.insert(0, asserting);
        self.back_to(back as usize);
        if learnt.len() == 1 {
            self.set(asserting, None);
        } else {
            let number = self.attach(learnt);
            self.set(asserting, Some(number));
        }
    }

    fn is_seen(&self, literal: Literal) -> bool {
        let variable = self.variables.get(literal.variable() as usize);
        variable.is_some_and(|variable| variable.seen)
    }

    fn forget(&mut self, asserting: Literal, learnt: &[Literal]) {
        for literal in learnt.iter().chain([&asserting]) {
            if let Some(variable) = self.variables.get_mut(literal.variable() as usize) {
                variable.seen = false;
            }
        }
    }

    fn back_to(&mut self, level: usize) {
        let Some(&start) = self.levels.get(level) else {
            return;
        };
        for literal in self.trail.split_off(start) {
            let number = literal.variable();
            if let Some(variable) = self.variables.get_mut(number as usize) {
                variable.value = None;
                variable.reason = None;
            }
            self.reopen(number);
        }
        self.levels.truncate(level);
        self.propagated = start.min(self.propagated);
    }
}

#[cfg(test)]
mod tests {
    use super::{Answer, Literal, Solver};

    /// Pseudo-random clauses of three literals.
    fn clauses(seed: u64, variables: u64, count: usize) -> Vec<Vec<Literal>> {
        let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) + 1;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        let mut literal = || Literal::new((next() % variables) as u32, next() % 2 == 0);
        (0..count)
            .map(|_| (0..3).map(|_| literal()).collect())
            .collect()
    }

    #[test]
    fn clauses_are_judged_as_by_trying_all_values() {
        let mut counts = [0; 2];
        for seed in 0..2_000 {
            let clauses = clauses(seed, 8, 20 + seed as usize % 30);
            let fits = |values: u32| {
                clauses.iter().all(|clause| {
                    clause
                        .iter()
                        .any(|l| (values >> l.variable() & 1 == 1) == l.value())
                })
            };
            let possible = (0..256).any(fits);
            let mut solver = Solver::default();
            for at in 0..8 {
                solver.variable(at % 2 == 0);
            }
            let mut answer = Answer::Satisfied;
            for clause in clauses.clone() {
                solver.add(clause);
                answer = solver.solve(&mut 1_000_000);
            }
            assert_eq!(answer == Answer::Satisfied, possible, "seed {seed}");
            if possible {
                let values = (0..8).fold(0, |all, at| all | u32::from(solver.value(at)) << at);
                assert!(fits(values), "seed {seed}");
            }
            counts[usize::from(possible)] += 1;
        }
        assert!(counts.iter().all(|count| *count > 300), "{counts:?}");
    }

    #[test]
    fn without_steps_nothing_is_said() {
        let mut solver = Solver::default();
        solver.variable(true);
        assert_eq!(solver.solve(&mut 0), Answer::Stopped);
    }
}
