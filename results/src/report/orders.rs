//! Why no order of a contradiction's calls explains their answers: every order that real time
//! allows is tried on a register, and each is told with the answer that it cannot give.
//!
//! The search is the one of Wing and Gong (*Testing and verifying concurrent objects*, 1993): the
//! next call is any that began before every other remaining one had returned. What the register
//! held before is taken for unknown, and every call that is not among these may come anywhere
//! between them: an answer is impossible only if nobody else ever wrote what it tells. If some order
//! does explain them, the contradiction needs more of the history, and nothing is said here.

use super::text::{clip, duration, ending};
use crate::{Answer, Call, Operation, Outcome, Scalar};

/// The most calls whose orders are tried.
const CALLS_MAX: usize = 8;
/// The most orders that are told.
const TRIED_MAX: usize = 24;
/// The longest name of a call, in characters.
const NAME_MAX: usize = 80;

/// Every order of some calls, and why none holds.
pub(super) struct Orders {
    /// What real time settles, a sentence each.
    pub fixed: Vec<String>,
    /// The orders that remain.
    pub tried: Vec<Tried>,
    /// The index of the call at which all of them fail, if it is one.
    pub culprit: Option<u64>,
}

/// An order that fails at its last call.
pub(super) struct Tried {
    /// The calls before, which fit.
    pub fitting: Vec<String>,
    /// The call that does not.
    pub failing: String,
    /// Why.
    pub why: String,
    index: u64,
}

/// What a register holds, as far as is known.
#[derive(Clone)]
enum Held {
    Unknown,
    Known(Option<Scalar>),
}

/// Tries the orders of calls on one register; `None` where that is not what they are, where there
/// are too many, or where an order explains them.
pub(super) fn of(history: &[Call], calls: &[&Call]) -> Option<Orders> {
    let key = calls.first()?.operation.key()?;
    let same = calls.iter().all(|call| call.operation.key() == Some(key));
    let register = |call: &&Call| {
        let operation = &call.operation;
        matches!(
            operation,
            Operation::Read { .. } | Operation::Write { .. } | Operation::Cas { .. }
        )
    };
    if !same || calls.len() > CALLS_MAX || !calls.iter().all(register) {
        return None;
    }
    let bound: Vec<&Call> = calls.iter().copied().filter(|c| is_bound(c)).collect();
    let mut search = Search {
        elsewhere: written_elsewhere(history, calls, key),
        tried: Vec::new(),
        explained: false,
    };
    search.extend(&mut Vec::new(), &bound, &Held::Unknown);
    if search.explained || search.tried.is_empty() || search.tried.len() > TRIED_MAX {
        return None;
    }
    let first = search.tried.first()?.index;
    let culprit = search.tried.iter().all(|t| t.index == first);
    Some(Orders {
        fixed: fixed(&bound),
        culprit: culprit.then_some(first),
        tried: search.tried,
    })
}

/// Whether a call says anything about the register: what failed for reasons of its own does not,
/// nor does a read without answer.
fn is_bound(call: &Call) -> bool {
    match (&call.operation, &call.outcome) {
        (Operation::Cas { .. }, Outcome::Fail(reason)) => reason.code == "precondition-failed",
        (_, Outcome::Fail(_)) | (Operation::Read { .. }, Outcome::Info(_)) => false,
        _ => true,
    }
}

struct Search<'a> {
    /// What others wrote to the register, of the values that the calls tell.
    elsewhere: Vec<&'a Scalar>,
    tried: Vec<Tried>,
    explained: bool,
}

impl Search<'_> {
    fn extend<'c>(&mut self, before: &mut Vec<&'c Call>, left: &[&'c Call], held: &Held) {
        // What may never have taken effect need not be placed.
        if left.iter().all(|call| call.is_info()) {
            self.explained = true;
        }
        for (at, call) in left.iter().enumerate() {
            if self.explained || self.tried.len() > TRIED_MAX {
                return;
            }
            let waits = |other: &&Call| other.returned().is_some_and(|r| r < call.invoked.index);
            if left.iter().any(waits) {
                continue;
            }
            match self.step(call, held) {
                Err(why) => self.tried.push(Tried {
                    fitting: before.iter().map(|c| name(c)).collect(),
                    failing: name(call),
                    why,
                    index: call.invoked.index,
                }),
                Ok(now) => {
                    let mut rest = left.to_vec();
                    rest.remove(at);
                    before.push(call);
                    self.extend(before, &rest, &now);
                    before.pop();
                }
            }
        }
    }

    /// What the register holds after a call, or why the call cannot come here.
    fn step(&self, call: &Call, held: &Held) -> Result<Held, String> {
        let now = |value: &Scalar| Held::Known(Some(value.clone()));
        // Whether it can be what the register held.
        let fits = |told: Option<&Scalar>| match held {
            Held::Unknown => true,
            Held::Known(value) if value.as_ref() == told => true,
            Held::Known(_) => told.is_some_and(|told| self.elsewhere.contains(&told)),
        };
        let instead = |verb: &str, told: Option<&Scalar>| match held {
            Held::Known(Some(value)) => format!(
                "it would have {verb} {} or something newer, not {}",
                named(Some(value)),
                named(told)
            ),
            _ => format!("it would have {verb} nothing, not {}", named(told)),
        };
        match (&call.operation, &call.outcome) {
            (Operation::Read { .. }, Outcome::Ok(Answer::Value(seen))) => match fits(seen.as_ref())
            {
                true => Ok(Held::Known(seen.clone())),
                false => Err(instead("read", seen.as_ref())),
            },
            (Operation::Write { value, .. }, _) => Ok(now(value)),
            // Something newer may have made it fail.
            (Operation::Cas { .. }, Outcome::Fail(_)) => Ok(held.clone()),
            (Operation::Cas { from, to, .. }, _) => match fits(Some(from)) {
                true => Ok(now(to)),
                false => Err(instead("found", Some(from))),
            },
            _ => Ok(held.clone()),
        }
    }
}

/// Of the values that the calls read or found, those that some other call may have written.
fn written_elsewhere<'a>(history: &'a [Call], calls: &[&Call], key: &Scalar) -> Vec<&'a Scalar> {
    let told: Vec<&Scalar> = calls
        .iter()
        .filter_map(|call| match (&call.operation, &call.outcome) {
            (_, Outcome::Ok(Answer::Value(seen))) => seen.as_ref(),
            (Operation::Cas { from, .. }, _) => Some(from),
            _ => None,
        })
        .collect();
    let among = |call: &Call| calls.iter().any(|c| c.invoked.index == call.invoked.index);
    let writes = history.iter().filter(|call| !call.is_fail());
    let written = writes.filter_map(|call| match &call.operation {
        Operation::Write { key: at, value }
        | Operation::Cas {
            key: at, to: value, ..
        } => (at == key && told.contains(&value) && !among(call)).then_some(value),
        _ => None,
    });
    written.collect()
}

fn named(value: Option<&Scalar>) -> String {
    let text = value.map(ToString::to_string);
    clip(text.as_deref().unwrap_or("nothing"), NAME_MAX).into_owned()
}

fn name(call: &Call) -> String {
    let text = format!("{} {}", call.operation, ending(&call.outcome));
    let text = format!("p{} {}", call.process, text.trim_end());
    clip(&text, NAME_MAX).into_owned()
}

/// Which call came before which by the clock: each pair with no third between them.
fn fixed(calls: &[&Call]) -> Vec<String> {
    let before = |a: &Call, b: &Call| a.returned().is_some_and(|r| r < b.invoked.index);
    let mut sentences = Vec::new();
    for a in calls {
        for b in calls.iter().filter(|b| before(a, b)) {
            let between = |c: &&&Call| before(a, c) && before(c, b);
            let Some(returned) = a.completed.filter(|_| !calls.iter().any(|c| between(&c))) else {
                continue;
            };
            let gap = duration(b.invoked.time.saturating_sub(returned.time));
            sentences.push(format!(
                "“{}” had returned {gap} before “{}” began.",
                name(a),
                name(b)
            ));
        }
    }
    sentences
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::Stamp;

    fn call(process: u64, operation: Operation, outcome: Outcome, at: (u64, u64)) -> Call {
        let stamp = |index| Stamp { index, time: index };
        Call {
            process,
            node: None,
            operation,
            invoked: stamp(at.0),
            completed: Some(stamp(at.1)),
            outcome,
        }
    }

    fn write(process: u64, value: i64, at: (u64, u64)) -> Call {
        let (key, value) = ("k".into(), value.into());
        call(
            process,
            Operation::Write { key, value },
            Outcome::Ok(Answer::Done),
            at,
        )
    }

    fn read(process: u64, seen: Option<i64>, at: (u64, u64)) -> Call {
        let outcome = Outcome::Ok(Answer::Value(seen.map(Scalar::Int)));
        call(process, Operation::Read { key: "k".into() }, outcome, at)
    }

    #[test]
    fn a_stale_read_fails_in_the_one_order_that_real_time_leaves() {
        let calls = [
            write(1, 5, (0, 1)),
            write(1, 6, (2, 3)),
            read(2, Some(5), (4, 5)),
        ];
        let orders = of(&calls, &calls.iter().collect::<Vec<_>>()).unwrap();
        assert_eq!(orders.fixed.len(), 2);
        assert_eq!(orders.tried.len(), 1);
        assert_eq!(
            orders.tried[0].why,
            "it would have read 6 or something newer, not 5"
        );
        assert_eq!(orders.culprit, Some(4));
    }

    #[test]
    fn concurrent_writes_are_tried_in_both_orders() {
        let calls = [
            write(1, 5, (0, 3)),
            write(2, 6, (1, 2)),
            read(3, Some(5), (4, 5)),
            read(3, Some(6), (6, 7)),
        ];
        let orders = of(&calls, &calls.iter().collect::<Vec<_>>()).unwrap();
        let whys: Vec<&str> = orders.tried.iter().map(|t| t.why.as_str()).collect();
        assert_eq!(
            whys,
            [
                "it would have read 6 or something newer, not 5",
                "it would have read 5 or something newer, not 6"
            ]
        );
        assert_eq!(orders.culprit, None);
    }

    #[test]
    fn nothing_is_said_of_calls_that_some_order_explains() {
        let calls = [write(1, 5, (0, 3)), read(2, None, (1, 2))];
        assert!(of(&calls, &calls.iter().collect::<Vec<_>>()).is_none());
        let mut unknown = write(1, 5, (0, 1));
        unknown.outcome = Outcome::Info(crate::Reason::new("timeout", ""));
        let calls = [unknown, read(2, None, (2, 3))];
        assert!(of(&calls, &calls.iter().collect::<Vec<_>>()).is_none());
    }

    #[test]
    fn a_cas_that_succeeds_on_another_value_is_told() {
        let cas = Operation::Cas {
            key: "k".into(),
            from: 1.into(),
            to: 2.into(),
        };
        let calls = [
            write(1, 9, (0, 1)),
            call(2, cas, Outcome::Ok(Answer::Done), (2, 3)),
        ];
        let orders = of(&calls, &calls.iter().collect::<Vec<_>>()).unwrap();
        assert_eq!(
            orders.tried[0].why,
            "it would have found 9 or something newer, not 1"
        );
    }

    #[test]
    fn what_others_may_have_written_is_no_contradiction() {
        let calls = [
            write(1, 5, (0, 1)),
            write(1, 6, (2, 3)),
            read(2, Some(5), (4, 7)),
            write(3, 5, (5, 6)),
        ];
        let three: Vec<&Call> = calls.iter().take(3).collect();
        assert!(of(&calls, &three).is_none());
        assert!(of(&calls[..3], &three).is_some());
    }
}
