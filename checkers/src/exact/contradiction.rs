//! Calls that contradict each other, and why.

use tribunal_results::{Anomaly, Call, History, Scalar};

use crate::explain;

/// A piece of a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// These words.
    Words(&'static str),
    /// A value, or a number.
    Value(String),
    /// A call with its answer.
    Whose(u32),
    /// When a call was invoked.
    Invoked(u32),
    /// When it returned, and with what.
    Returned(u32),
}

/// Calls that no order explains. Calls are given by their places in
/// [`tribunal_results::History::calls`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contradiction {
    /// The anomaly's name.
    pub name: &'static str,
    /// The calls.
    pub calls: Vec<u32>,
    /// What happened.
    pub sentence: Vec<Part>,
    /// Why that cannot be.
    pub facts: Vec<Vec<Part>>,
}

impl Contradiction {
    pub(super) fn new(name: &'static str, calls: Vec<u32>, sentence: Vec<Part>) -> Self {
        let facts = Vec::new();
        Self {
            name,
            calls,
            sentence,
            facts,
        }
    }

    /// The same with the fact that one call returned before another was invoked.
    #[must_use]
    pub(super) fn before(self, first: u32, second: u32) -> Self {
        self.fact(vec![
            Part::Returned(first),
            Part::Words(", before "),
            Part::Invoked(second),
        ])
    }

    /// The same with a fact.
    #[must_use]
    pub(super) fn fact(mut self, fact: Vec<Part>) -> Self {
        self.facts.push(fact);
        self
    }

    /// The same in words, for people.
    pub fn anomaly(&self, history: &History, key: Option<&Scalar>) -> Anomaly {
        self.about(|place| history.calls().get(place as usize), key)
    }

    /// The same where places are not those in a history.
    pub(crate) fn about<'a>(
        &self,
        of_place: impl Fn(u32) -> Option<&'a Call>,
        key: Option<&Scalar>,
    ) -> Anomaly {
        let calls: Vec<&Call> = self.calls.iter().filter_map(|at| of_place(*at)).collect();
        let (calls, span) = explain::extent(&calls);
        let tell = |parts: &Vec<Part>| parts.iter().map(|part| part.tell(&of_place)).collect();
        Anomaly {
            name: self.name.into(),
            sentence: tell(&self.sentence),
            key: key.cloned(),
            calls,
            facts: self.facts.iter().map(tell).collect(),
            span,
        }
    }
}

impl Part {
    fn tell<'a>(&self, of_place: impl Fn(u32) -> Option<&'a Call>) -> String {
        let (place, tell): (_, fn(&Call) -> String) = match self {
            Self::Words(words) => return (*words).to_owned(),
            Self::Value(value) => return value.clone(),
            Self::Whose(place) => (place, explain::whose),
            Self::Invoked(place) => (place, explain::invoked),
            Self::Returned(place) => (place, explain::returned),
        };
        of_place(*place).map(tell).unwrap_or_default()
    }
}
