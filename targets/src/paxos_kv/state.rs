//! The replicated state: a function of the chosen commands and of nothing else, so that it is the
//! same at every replica.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::json;
use tribunal_results::{Answer, NodeId, Operation, Scalar};

use super::Bug;
use super::command::{Act, Command};
use crate::wire::{Body, Code, WireError, operation};

/// How many keys there may be.
const KEYS_MAX: usize = 100_000;
/// How many commands of one origin are remembered above those that are settled.
const SESSION_MAX: usize = 50_000;
/// How many of them one row of a snapshot holds.
const SESSION_ROW: usize = 500;

/// What a command did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// It read this.
    Value(Option<Scalar>),
    /// It was done.
    Done,
    /// Who the members are now.
    Members(Vec<NodeId>),
    /// Nothing was done.
    Refused(WireError),
}

impl Effect {
    /// The answer to the client that asked for `act`.
    pub(super) fn answer(self, act: &Act) -> Body {
        match (act, self) {
            (Act::Read(key), Self::Value(value)) => {
                operation::reply(&Operation::Read { key: key.clone() }, &Answer::Value(value))
            }
            (_, Self::Refused(error)) => error.body(),
            (Act::Add(_), Self::Members(ids)) => {
                Body::new("add_node_ok").with("members", json!(ids))
            }
            (_, Self::Members(ids)) => Body::new("remove_node_ok").with("members", json!(ids)),
            (Act::Cas(..), _) => Body::new("cas_ok"),
            (_, _) => Body::new("write_ok"),
        }
    }
}

/// Which commands of one origin were carried out: all below `settled` were, or never will be, and
/// these.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Session {
    settled: u64,
    done: BTreeSet<u64>,
}

impl Session {
    fn is_over(&self, number: u64) -> bool {
        number < self.settled || self.done.contains(&number)
    }

    fn note(&mut self, number: u64, settled: u64) {
        self.done.insert(number);
        if settled > self.settled {
            self.settled = settled;
            self.done = self.done.split_off(&settled);
        }
        while self.done.len() > SESSION_MAX
            && let Some(oldest) = self.done.pop_first()
        {
            self.settled = oldest.saturating_add(1);
        }
    }
}

/// A part of a state, as it is written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Row {
    /// A key and its value.
    #[serde(rename = "v")]
    Value(Scalar, Scalar),
    /// An origin, what it has settled, and some of what it has done besides.
    #[serde(rename = "s")]
    Session(NodeId, u64, Vec<u64>),
    /// A member.
    #[serde(rename = "m")]
    Member(NodeId),
}

impl Row {
    /// No less than the bytes that it takes as JSON.
    pub(super) fn weight(&self) -> usize {
        let bytes = |scalar: &Scalar| match scalar {
            Scalar::Int(_) => 0,
            Scalar::Text(text) => 6 * text.len(),
        };
        64 + match self {
            Self::Value(key, value) => bytes(key) + bytes(value),
            Self::Session(origin, _, done) => 6 * origin.len() + 21 * done.len(),
            Self::Member(node) => 6 * node.len(),
        }
    }
}

/// Registers, sessions and members.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct State {
    values: BTreeMap<Scalar, Scalar>,
    sessions: BTreeMap<NodeId, Session>,
    members: BTreeSet<NodeId>,
}

impl State {
    /// Nothing written yet.
    pub(super) fn new(members: impl IntoIterator<Item = NodeId>) -> Self {
        Self {
            members: members.into_iter().collect(),
            ..Self::default()
        }
    }

    /// Who takes part in the decision on the next slot.
    pub(super) const fn members(&self) -> &BTreeSet<NodeId> {
        &self.members
    }

    /// The value of a key.
    pub(super) fn value(&self, key: &Scalar) -> Option<&Scalar> {
        self.values.get(key)
    }

    /// Whether the command was carried out, or must not be any more.
    pub(super) fn is_over(&self, origin: &NodeId, number: u64) -> bool {
        let session = self.sessions.get(origin);
        session.is_some_and(|session| session.is_over(number))
    }

    /// Carries a chosen command out, unless that was done before: then nothing.
    pub(super) fn apply(&mut self, command: &Command, bug: Option<Bug>) -> Option<Effect> {
        let Command {
            origin,
            number,
            settled,
            act,
        } = command;
        if self.is_over(origin, *number) && bug != Some(Bug::ApplyTwice) {
            return None;
        }
        let session = self.sessions.entry(origin.clone()).or_default();
        session.note(*number, *settled);
        Some(self.act(act).unwrap_or_else(Effect::Refused))
    }

    fn act(&mut self, act: &Act) -> Result<Effect, WireError> {
        match act {
            Act::Read(key) => return Ok(Effect::Value(self.values.get(key).cloned())),
            Act::Write(key, value) => self.write(key, value)?,
            Act::Cas(key, from, to) => {
                let text = || format!("nothing was written to {key} yet");
                let now = self.values.get(key);
                let now = now.ok_or_else(|| WireError::new(Code::KeyDoesNotExist, text()))?;
                if now != from {
                    let text = format!("the value of {key} is {now}, not {from}");
                    return Err(WireError::precondition(text));
                }
                self.write(key, to)?;
            }
            Act::Add(node) if self.members.insert(node.clone()) => return Ok(self.changed()),
            Act::Remove(node) if self.members.len() > 1 && self.members.remove(node) => {
                return Ok(self.changed());
            }
            Act::Add(node) => {
                let text = format!("{node} is a member already");
                return Err(WireError::precondition(text));
            }
            Act::Remove(node) => {
                let text = format!("{node} is no member, or the only one");
                return Err(WireError::precondition(text));
            }
        }
        Ok(Effect::Done)
    }

    fn changed(&self) -> Effect {
        Effect::Members(self.members.iter().cloned().collect())
    }

    fn write(&mut self, key: &Scalar, value: &Scalar) -> Result<(), WireError> {
        if self.values.len() >= KEYS_MAX && !self.values.contains_key(key) {
            let text = format!("there are {KEYS_MAX} keys already");
            return Err(WireError::unavailable(text));
        }
        self.values.insert(key.clone(), value.clone());
        Ok(())
    }

    /// All of it in rows.
    pub(super) fn rows(&self) -> impl Iterator<Item = Row> + '_ {
        let members = self.members.iter().cloned().map(Row::Member);
        let sessions = self.sessions.iter().flat_map(|(origin, session)| {
            let done: Vec<u64> = session.done.iter().copied().collect();
            let row = |done: &[u64]| Row::Session(origin.clone(), session.settled, done.to_vec());
            // One row at least, even if nothing is above what is settled.
            let first = row(done.get(..SESSION_ROW.min(done.len())).unwrap_or_default());
            let rest: Vec<Row> = done.chunks(SESSION_ROW).skip(1).map(row).collect();
            std::iter::once(first).chain(rest)
        });
        let values = self.values.iter();
        let values = values.map(|(key, value)| Row::Value(key.clone(), value.clone()));
        members.chain(sessions).chain(values)
    }

    /// The state that has these rows.
    pub(super) fn from_rows<'a>(rows: impl Iterator<Item = &'a Row>) -> Self {
        let mut state = Self::default();
        for row in rows {
            match row.clone() {
                Row::Value(key, value) => drop(state.values.insert(key, value)),
                Row::Member(node) => drop(state.members.insert(node)),
                Row::Session(origin, settled, done) => {
                    let session = state.sessions.entry(origin).or_default();
                    session.settled = settled;
                    session.done.extend(done);
                }
            }
        }
        state
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(number: u64, settled: u64, act: Act) -> Command {
        Command {
            origin: "n1".into(),
            number,
            settled,
            act,
        }
    }

    #[test]
    fn a_command_is_carried_out_once_unless_the_bug_is_there() {
        let write = |n: i64| Act::Write("k".into(), n.into());
        for bug in [None, Some(Bug::ApplyTwice)] {
            let mut state = State::new(["n1".into()]);
            let first = command(1, 0, write(1));
            assert_eq!(state.apply(&first, bug), Some(Effect::Done));
            state.apply(&command(2, 0, write(2)), bug);
            let again = state.apply(&first, bug);
            let expected = if bug.is_none() { 2 } else { 1 };
            assert_eq!(again.is_none(), bug.is_none());
            assert_eq!(state.value(&"k".into()), Some(&expected.into()));
        }
    }

    #[test]
    fn what_is_settled_is_forgotten_and_never_done_again() {
        let mut state = State::new(["n1".into()]);
        let read = || Act::Read("k".into());
        for number in [5, 3, 9] {
            assert!(state.apply(&command(number, 0, read()), None).is_some());
        }
        assert!(state.apply(&command(10, 9, read()), None).is_some());
        let session = &state.sessions[&NodeId::from("n1")];
        assert_eq!(session.done, BTreeSet::from([9, 10]));
        for number in [3, 4, 8, 9, 10] {
            assert!(state.apply(&command(number, 0, read()), None).is_none());
        }
    }

    #[test]
    fn a_compare_and_set_needs_the_value_it_expects() {
        let mut state = State::new(["n1".into()]);
        let cas = |from: i64, to: i64| Act::Cas("k".into(), from.into(), to.into());
        let code = |effect| match effect {
            Some(Effect::Refused(error)) => Some(error.code),
            _ => None,
        };
        let missing = state.apply(&command(1, 0, cas(1, 2)), None);
        assert_eq!(code(missing), Some(Code::KeyDoesNotExist));
        state.apply(&command(2, 0, Act::Write("k".into(), 1.into())), None);
        let other = state.apply(&command(3, 0, cas(3, 4)), None);
        assert_eq!(code(other), Some(Code::PreconditionFailed));
        let done = state.apply(&command(4, 0, cas(1, 2)), None);
        assert_eq!(done, Some(Effect::Done));
    }

    #[test]
    fn the_last_member_stays_and_no_member_joins_twice() {
        let mut state = State::new(["n1".into()]);
        let refused = |effect| matches!(effect, Some(Effect::Refused(_)));
        assert!(refused(
            state.apply(&command(1, 0, Act::Remove("n1".into())), None)
        ));
        assert!(refused(
            state.apply(&command(2, 0, Act::Add("n1".into())), None)
        ));
        assert!(!refused(
            state.apply(&command(3, 0, Act::Add("n2".into())), None)
        ));
        assert!(!refused(
            state.apply(&command(4, 0, Act::Remove("n1".into())), None)
        ));
        assert_eq!(state.members, BTreeSet::from(["n2".into()]));
    }

    #[test]
    fn a_state_comes_back_from_its_rows() {
        let mut state = State::new(["n1".into(), "n2".into()]);
        for number in 0..1_200 {
            let key = i64::try_from(number % 7).unwrap();
            state.apply(&command(number, 0, Act::Write(key.into(), 1.into())), None);
        }
        state.apply(&command(2_000, 2_001, Act::Read(0.into())), None);
        let rows: Vec<Row> = state.rows().collect();
        assert_eq!(State::from_rows(rows.iter()), state);
        for number in 3_000..4_200 {
            state.apply(&command(number, 0, Act::Read(0.into())), None);
        }
        let rows: Vec<Row> = state.rows().collect();
        assert_eq!(State::from_rows(rows.iter()), state);
        for row in rows {
            assert!(json!(row).to_string().len() <= row.weight());
        }
    }
}
