//! What a transaction does to keys, as plain values: for targets that store registers, lists and
//! accounts under keys and carry out several steps together.
//!
//! A key holds nothing, a register's value or a list. The account `a` of the bank `b` is the key
//! `b/a`; what was never moved is the opening balance that [`Bank`] says. Every condition (the value
//! that a compare-and-set wants, money that must be there) is one of a single key, so that whoever
//! has that key can decide it alone.

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use tribunal_results::{Answer, Assumptions, Kind, Micro, Operation, Scalar, Seen};

use crate::wire::{Body, Code, WireError, operation};

/// The most steps of one transaction.
const STEPS_MAX: usize = 1_024;
/// The most elements of one list.
const LIST_MAX: usize = 10_000;
/// The most accounts of a bank.
pub const ACCOUNTS_MAX: i64 = 1_000;

/// The operations that [`Statement::parse`] understands.
pub const OPERATIONS: [Kind; 6] = [
    Kind::Read,
    Kind::Write,
    Kind::Cas,
    Kind::Transfer,
    Kind::Balances,
    Kind::Txn,
];

/// The accounts that every bank has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bank {
    /// The accounts are 0, 1, … up to this number, exclusive.
    pub accounts: i64,
    /// What each account holds at first.
    pub balance: i64,
}

impl Default for Bank {
    fn default() -> Self {
        Self {
            accounts: 8,
            balance: 10,
        }
    }
}

impl Bank {
    /// Says what the accounts are worth together.
    pub fn assume(self, assume: &mut Assumptions) {
        assume.bank_total = Some(self.accounts.saturating_mul(self.balance));
    }

    fn account(self, bank: &Scalar, account: &Scalar) -> Result<Scalar, WireError> {
        match account {
            Scalar::Int(n) if (0..self.accounts).contains(n) => Ok(format!("{bank}/{n}").into()),
            _ => {
                let text = format!("bank {bank} has no account {account}");
                Err(WireError::precondition(text))
            }
        }
    }
}

/// One step on one key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "kebab-case")]
pub enum Step {
    /// Read it.
    Read {
        /// The key.
        key: Scalar,
    },
    /// Write a register.
    Write {
        /// The key.
        key: Scalar,
        /// The new value.
        value: Scalar,
    },
    /// Append to a list.
    Append {
        /// The key.
        key: Scalar,
        /// The new last element.
        value: Scalar,
    },
    /// Write a register that holds a certain value.
    Cas {
        /// The key.
        key: Scalar,
        /// The value that must be there.
        from: Scalar,
        /// The new value.
        to: Scalar,
    },
    /// Change a balance, that must not become negative.
    Add {
        /// The key.
        key: Scalar,
        /// By how much.
        by: i64,
        /// What is there if nothing was ever written.
        opening: i64,
    },
}

impl Step {
    /// The key.
    pub const fn key(&self) -> &Scalar {
        match self {
            Self::Read { key }
            | Self::Write { key, .. }
            | Self::Append { key, .. }
            | Self::Cas { key, .. }
            | Self::Add { key, .. } => key,
        }
    }

    /// Whether it changes what the key holds.
    pub const fn writes(&self) -> bool {
        !matches!(self, Self::Read { .. })
    }

    /// Whether it depends on what the key holds.
    pub const fn reads(&self) -> bool {
        !matches!(self, Self::Write { .. } | Self::Append { .. })
    }

    /// What the key holds afterwards.
    ///
    /// # Errors
    /// A definite one: why the step, and with it the transaction, can't be done.
    pub fn applied(&self, held: &Seen) -> Result<Seen, WireError> {
        match (self, held) {
            (Self::Read { .. }, held) => Ok(held.clone()),
            (Self::Write { value, .. }, _) => Ok(Seen::Value(value.clone())),
            (Self::Cas { from, to, .. }, Seen::Value(held)) if held == from => {
                Ok(Seen::Value(to.clone()))
            }
            (Self::Cas { key, from, .. }, held) => Err(WireError::precondition(format!(
                "{key} holds {held}, not {from}"
            ))),
            (Self::Append { value, .. }, Seen::Nothing) => Ok(Seen::List(vec![value.clone()])),
            (Self::Append { value, .. }, Seen::List(list)) if list.len() < LIST_MAX => {
                let more = std::iter::once(value);
                Ok(Seen::List(list.iter().chain(more).cloned().collect()))
            }
            (Self::Append { key, .. }, _) => Err(WireError::precondition(format!(
                "{key} is no list, or one of {LIST_MAX} elements"
            ))),
            (Self::Add { key, by, opening }, held) => {
                let balance = balance(held, *opening);
                let sum = balance.and_then(|balance| balance.checked_add(*by));
                match sum.filter(|sum| *sum >= 0) {
                    Some(sum) => Ok(Seen::Value(sum.into())),
                    None => {
                        let held = balance.map_or_else(|| held.to_string(), |it| it.to_string());
                        let text = format!("{key} holds {held}, to which {by} can't be added");
                        Err(WireError::precondition(text))
                    }
                }
            }
        }
    }
}

/// What an account holds; `None` if it is no number.
const fn balance(held: &Seen, opening: i64) -> Option<i64> {
    match held {
        Seen::Nothing => Some(opening),
        Seen::Value(Scalar::Int(n)) => Some(*n),
        _ => None,
    }
}

/// What a client asks, as steps.
#[derive(Clone, Debug)]
pub struct Statement {
    operation: Operation,
    bank: Bank,
    /// The steps, in order.
    pub steps: Vec<Step>,
}

impl Statement {
    /// What a request asks.
    ///
    /// # Errors
    /// A definite one: it is none of [`OPERATIONS`], or in a wrong form, or names accounts that do
    /// not exist.
    pub fn parse(body: &Body, bank: Bank) -> Result<Self, WireError> {
        let operation = operation::parse(body)?;
        let steps = steps(&operation, bank)?;
        if steps.len() > STEPS_MAX {
            let text = format!("a transaction has at most {STEPS_MAX} steps");
            return Err(WireError::malformed(text));
        }
        Ok(Self {
            operation,
            bank,
            steps,
        })
    }

    /// The reply, once it has been carried out: what each step found, before it changed anything.
    pub fn reply(&self, seen: &[Seen]) -> Body {
        let answer = match &self.operation {
            Operation::Read { .. } => match seen.first() {
                Some(Seen::List(_)) => {
                    return WireError::precondition("it is a list, which only a txn reads").body();
                }
                Some(Seen::Value(value)) => Answer::Value(Some(value.clone())),
                _ => Answer::Value(None),
            },
            Operation::Txn { micros } => Answer::Txn(answered(micros, seen)),
            Operation::Balances { .. } => {
                let opening = self.bank.balance;
                let held = seen.iter().map(|held| balance(held, opening));
                Answer::Balances((0..).map(Scalar::Int).zip(held).collect())
            }
            _ => Answer::Done,
        };
        operation::reply(&self.operation, &answer)
    }
}

fn steps(operation: &Operation, bank: Bank) -> Result<Vec<Step>, WireError> {
    let one = |step| Ok(vec![step]);
    match operation.clone() {
        Operation::Read { key } => one(Step::Read { key }),
        Operation::Write { key, value } => one(Step::Write { key, value }),
        Operation::Cas { key, from, to } => one(Step::Cas { key, from, to }),
        Operation::Txn { micros } => Ok(micros.into_iter().map(step).collect()),
        Operation::Transfer { amount, .. } if amount < 0 => {
            Err(WireError::malformed("the amount must not be negative"))
        }
        Operation::Transfer {
            key,
            from,
            to,
            amount,
        } => {
            let add = |account, by| {
                let (key, opening) = (bank.account(&key, account)?, bank.balance);
                Ok(Step::Add { key, by, opening })
            };
            Ok(vec![add(&from, -amount)?, add(&to, amount)?])
        }
        Operation::Balances { key } => {
            let read = |n| {
                let key = bank.account(&key, &Scalar::Int(n))?;
                Ok(Step::Read { key })
            };
            (0..bank.accounts).map(read).collect()
        }
        other => Err(WireError::new(
            Code::NotSupported,
            format!("no transaction does a {}", other.kind()),
        )),
    }
}

fn step(micro: Micro) -> Step {
    match micro {
        Micro::Read { key, .. } => Step::Read { key },
        Micro::Append { key, value } => Step::Append { key, value },
        Micro::Write { key, value } => Step::Write { key, value },
    }
}

fn answered(micros: &[Micro], seen: &[Seen]) -> Vec<Micro> {
    let answer = |(micro, seen): (&Micro, &Seen)| match micro {
        Micro::Read { key, .. } => Micro::Read {
            key: key.clone(),
            seen: seen.clone(),
        },
        other => other.clone(),
    };
    micros.iter().zip(seen).map(answer).collect()
}

/// Values as a field of a message.
pub fn to_json(values: &impl Serialize) -> Json {
    serde_json::json!(values)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn statement(body: Json) -> Result<Statement, WireError> {
        let body: Body = serde_json::from_value(body).unwrap();
        Statement::parse(&body, Bank::default())
    }

    /// Carries it out on nothing, as one would with a store.
    fn answer(body: Json) -> Result<Json, WireError> {
        let statement = statement(body)?;
        let mut store: Vec<(Scalar, Seen)> = Vec::new();
        let mut seen = Vec::new();
        for step in &statement.steps {
            let held = store.iter().rev().find(|(key, _)| key == step.key());
            let held = held.map(|held| held.1.clone()).unwrap_or_default();
            store.push((step.key().clone(), step.applied(&held)?));
            seen.push(held);
        }
        Ok(statement.reply(&seen).into())
    }

    #[test]
    fn a_transaction_reads_what_it_wrote_itself() {
        let txn = json!([
            ["append", "l", 1],
            ["r", "l", null],
            ["w", "x", 7],
            ["r", "x", null]
        ]);
        assert_eq!(
            answer(json!({ "type": "txn", "txn": txn })).unwrap(),
            json!({"type": "txn_ok", "txn":
                [["append", "l", 1], ["r", "l", [1]], ["w", "x", 7], ["r", "x", 7]]})
        );
    }

    #[test]
    fn money_that_is_not_there_is_not_moved() {
        let transfer = |from: i64, amount: i64| {
            answer(json!({"type": "transfer", "key": "b", "from": from, "to": 2, "amount": amount}))
        };
        assert_eq!(transfer(1, 10).unwrap(), json!({ "type": "transfer_ok" }));
        assert_eq!(transfer(1, 11).unwrap_err().code, Code::PreconditionFailed);
        assert_eq!(transfer(8, 1).unwrap_err().code, Code::PreconditionFailed);
        assert_eq!(transfer(1, -1).unwrap_err().code, Code::MalformedRequest);
        assert_eq!(
            transfer(1, i64::MAX).unwrap_err().code,
            Code::PreconditionFailed
        );
    }

    #[test]
    fn every_account_is_read_with_its_opening_balance() {
        let read = answer(json!({ "type": "balances", "key": "b" })).unwrap();
        let text = read.to_string();
        assert_eq!(text.matches("10").count(), 8, "{text}");
    }

    #[test]
    fn what_is_no_transaction_is_refused() {
        for body in [
            json!({ "type": "txn" }),
            json!({ "type": "acquire", "lock": "a", "ticket": 1 }),
            json!({ "type": "cas", "key": 1, "from": 1, "to": 2 }),
            json!({ "type": 3 }),
        ] {
            assert!(answer(body.clone()).is_err(), "{body}");
        }
    }
}
