//! What Jepsen's operations ask for and return.
//!
//! `:read` and `:add` are asked of several kinds of objects. They are first taken as what
//! [`Operation::Read`] and [`Operation::Add`] are, and [`settle`] makes of them what the
//! [`Objects`](super::objects) of the file say.

use super::edn::Value;
use super::objects::{Object, Sign};
use super::value::{
    account, elements, field, integer, is_micros, keyed, micros, pair, scalar, scalars, tuple,
};
use crate::{Answer, Call, Kind, Micro, Operation, Outcome, Row, Scalar};

/// The object of a file that names none; what it is called in the end depends on what it is.
const ONLY: &str = "register";

/// The kind that an operation's name is first taken for; `None` of unknown names.
fn kind_of(f: &str) -> Option<Kind> {
    Some(match f {
        "read" => Kind::Read,
        "write" => Kind::Write,
        "cas" => Kind::Cas,
        "append" => Kind::Append,
        "add" => Kind::Add,
        "remove" => Kind::Remove,
        "contains" => Kind::Contains,
        "inc" | "increment" | "dec" | "decrement" => Kind::Increment,
        "enqueue" => Kind::Enqueue,
        "dequeue" => Kind::Dequeue,
        "drain" => Kind::Drain,
        "push" => Kind::Push,
        "pop" => Kind::Pop,
        "acquire" => Kind::AcquirePermits,
        "release" => Kind::ReleasePermits,
        "generate" => Kind::Generate,
        "transfer" => Kind::Transfer,
        "txn" => Kind::Txn,
        _ => return None,
    })
}

/// Whether the name is one that this reader knows.
pub(super) fn is_known(f: &str) -> bool {
    kind_of(f).is_some()
}

/// Whether what completes has the name of what was invoked.
pub(super) fn completes(f: &str, operation: &Operation) -> bool {
    match operation {
        // Whatever has steps is a transaction.
        Operation::Txn { .. } => matches!(f, "txn" | "read" | "write" | ""),
        Operation::Advance { .. } => f == "add",
        other => kind_of(f) == Some(other.kind()),
    }
}

/// The operation that an invocation asks for; `None` if its name is unknown.
pub(crate) fn operation(f: &str, value: &Value) -> Result<Option<Operation>, String> {
    if matches!(f, "" | "read" | "write") && is_micros(value) {
        return micros(value).map(asked).map(Some);
    }
    kind_of(f).map(|kind| of_kind(kind, f, value)).transpose()
}

fn asked(micros: Vec<Micro>) -> Operation {
    let micros = micros.iter().map(Micro::asked).collect();
    Operation::Txn { micros }
}

#[rustfmt::skip]
fn of_kind(kind: Kind, f: &str, value: &Value) -> Result<Operation, String> {
    Ok(match kind {
        Kind::Read => Operation::Read { key: key_of(value, ONLY)? },
        Kind::Add if *value == Value::Nil => Operation::Advance { key: ONLY.into() },
        Kind::Write => with(value, ONLY, f, |key, value| Operation::Write { key, value })?,
        Kind::Append => with(value, ONLY, f, |key, value| Operation::Append { key, value })?,
        Kind::Add => with(value, ONLY, f, |key, value| Operation::Add { key, value })?,
        Kind::Remove => with(value, ONLY, f, |key, value| Operation::Remove { key, value })?,
        Kind::Contains => with(value, ONLY, f, |key, value| Operation::Contains { key, value })?,
        Kind::Enqueue => with(value, "queue", f, |key, value| Operation::Enqueue { key, value })?,
        Kind::Push => with(value, "stack", f, |key, value| Operation::Push { key, value })?,
        Kind::Dequeue => Operation::Dequeue { key: key_of(value, "queue")? },
        Kind::Drain => Operation::Drain { key: key_of(value, "queue")? },
        Kind::Pop => Operation::Pop { key: key_of(value, "stack")? },
        Kind::AcquirePermits => Operation::AcquirePermits { key: lock_of(value)?, permits: 1 },
        Kind::ReleasePermits => {
            Operation::ReleasePermits { key: lock_of(value)?, permits: 1, token: None }
        }
        Kind::Generate => Operation::Generate { key: key_of(value, "ids")? },
        Kind::Cas => cas(value)?,
        Kind::Increment => increment(f, value)?,
        Kind::Transfer => transfer(value)?,
        Kind::Txn => asked(micros(value)?),
        other => return Err(format!("{other} is none of Jepsen's")),
    })
}

/// An operation on a key with a value: `value`, or `[key value]`.
fn with(
    value: &Value,
    only: &str,
    f: &str,
    operation: impl Fn(Scalar, Scalar) -> Operation,
) -> Result<Operation, String> {
    let (key, value) = key_and_value(value, only)?;
    let value = scalar(value).map_err(|e| format!("a {f} of {e}"))?;
    Ok(operation(key, value))
}

fn key_of(value: &Value, only: &str) -> Result<Scalar, String> {
    keyed(value)?.map_or_else(|| Ok(only.into()), |(key, _)| scalar(key))
}

/// The lock of `[key …]`; clients write all sorts of values there.
fn lock_of(value: &Value) -> Result<Scalar, String> {
    match pair(value) {
        Some((key, Value::Nil)) => scalar(key),
        _ => tuple(value).map_or_else(|| Ok("lock".into()), |(key, _)| scalar(key)),
    }
}

fn key_and_value<'a>(value: &'a Value, only: &str) -> Result<(Scalar, &'a Value), String> {
    keyed(value)?.map_or_else(
        || Ok((only.into(), value)),
        |(key, value)| Ok((scalar(key)?, value)),
    )
}

fn cas(value: &Value) -> Result<Operation, String> {
    let (key, value) = match pair(value) {
        // A pair whose second half is a pair has the key first.
        Some((key, both)) if pair(both).is_some() => (scalar(key)?, both),
        _ => (ONLY.into(), value),
    };
    let Some((from, to)) = pair(value) else {
        return Err("the value of a cas must be [from to], or [key [from to]]".into());
    };
    let part = |value| scalar(value).map_err(|e| format!("a cas with {e}"));
    let (from, to) = (part(from)?, part(to)?);
    Ok(Operation::Cas { key, from, to })
}

fn increment(f: &str, value: &Value) -> Result<Operation, String> {
    let (key, value) = key_and_value(value, ONLY)?;
    let by = match value {
        Value::Nil => 1,
        value => integer(value).map_err(|e| format!("an {f} by {e}"))?,
    };
    let by = if f.starts_with("dec") {
        by.checked_neg()
    } else {
        Some(by)
    };
    let by = by.ok_or("a number that has no negative of 64 bits")?;
    Ok(Operation::Increment { key, by })
}

fn transfer(value: &Value) -> Result<Operation, String> {
    let (key, value) = key_and_value(value, ONLY)?;
    let Value::Map(map) = value else {
        return Err("the value of a transfer must be {:from … :to … :amount …}".into());
    };
    let part = |name| {
        let part = field(map, name).ok_or_else(|| format!("a transfer without :{name}"))?;
        Ok::<_, String>((name, part))
    };
    let whom = |(name, part)| account(part).map_err(|e| format!("a transfer with :{name} {e}"));
    let (_, amount) = part("amount")?;
    Ok(Operation::Transfer {
        key,
        from: whom(part("from")?)?,
        to: whom(part("to")?)?,
        amount: integer(amount).map_err(|e| format!("a transfer of {e}"))?,
    })
}

/// What an invocation tells of its object.
pub(crate) fn sign_of(operation: &Operation) -> Option<(&Scalar, Sign)> {
    let sign = match operation {
        Operation::Write { .. } => Sign::WRITTEN,
        Operation::Cas { .. } => Sign::COMPARED,
        Operation::Append { .. } => Sign::APPENDED,
        Operation::Increment { .. } => Sign::COUNTED,
        Operation::Transfer { .. } => Sign::TRANSFERRED,
        Operation::Advance { .. } => Sign::ADVANCED,
        Operation::Add {
            value: Scalar::Int(_),
            ..
        } => Sign::ADDED,
        Operation::Add { .. } | Operation::Remove { .. } | Operation::Contains { .. } => {
            Sign::ELEMENT
        }
        _ => return None,
    };
    operation.key().map(|key| (key, sign))
}

/// The answer of the completion of an operation that took effect, and what it tells of its
/// object.
pub(crate) fn answer(
    f: &str,
    operation: &Operation,
    value: &Value,
) -> Result<(Answer, Option<Sign>), String> {
    let plain = |answer| Ok((answer, None));
    match operation {
        Operation::Read { key } => read(whole(key, ONLY, f, value)?),
        Operation::Dequeue { key } => {
            plain(Answer::Value(single(whole(key, "queue", f, value)?, f)?))
        }
        Operation::Pop { key } => plain(Answer::Value(single(whole(key, "stack", f, value)?, f)?)),
        Operation::Generate { key } => match single(whole(key, "ids", f, value)?, f)? {
            None => Err("a generate that returned nil".into()),
            id => plain(Answer::Value(id)),
        },
        Operation::Drain { key } => match whole(key, "queue", f, value)? {
            Value::Nil => plain(Answer::Values(Vec::new())),
            value => plain(Answer::Values(
                scalars(value).map_err(|e| format!("a drain of {e}"))?,
            )),
        },
        Operation::Contains { .. } => match pair(value).map_or(value, |(_, half)| half) {
            Value::Bool(yes) => plain(Answer::Flag(*yes)),
            _ => Err("a contains must return true or false".into()),
        },
        Operation::Add { .. } | Operation::Remove { .. } if matches!(value, Value::Bool(_)) => {
            plain(Answer::Flag(*value == Value::Bool(true)))
        }
        Operation::Advance { .. } => row(value).map(|row| (Answer::Row(row), None)),
        Operation::Txn { micros: steps } => {
            let answered = micros(value)?;
            if !answered.iter().map(Micro::asked).eq(steps.iter().cloned()) {
                return Err("the answer has other steps than the transaction".into());
            }
            plain(Answer::Txn(answered))
        }
        // Clients return here what they like: the new value, a lease, the client itself.
        Operation::Increment { .. }
        | Operation::AcquirePermits { .. }
        | Operation::ReleasePermits { .. } => plain(Answer::Done),
        // A client may leave out what it invoked, but not say otherwise.
        _ => match (value, self::operation(f, value)) {
            (Value::Nil, _) => plain(Answer::Done),
            (_, Ok(Some(said))) if said == *operation => plain(Answer::Done),
            (_, Ok(Some(said))) => Err(format!("invoked as {operation}, but {said} completes")),
            (_, Ok(None)) => Err(format!("invoked as {operation}, but a {f} completes")),
            (_, Err(e)) => Err(e),
        },
    }
}

/// What was returned, without the key that it was invoked with.
fn whole<'a>(key: &Scalar, only: &str, f: &str, value: &'a Value) -> Result<&'a Value, String> {
    if *key == Scalar::from(only) && tuple(value).is_none() {
        return Ok(value);
    }
    let (of, value) = key_and_value(value, only)?;
    match of == *key {
        true => Ok(value),
        false => Err(format!("a {f} of {key} completes as one of {of}")),
    }
}

fn single(value: &Value, f: &str) -> Result<Option<Scalar>, String> {
    match value {
        Value::Nil => Ok(None),
        value => scalar(value).map(Some).map_err(|e| format!("a {f} of {e}")),
    }
}

/// What a read returned, of whatever it was.
fn read(value: &Value) -> Result<(Answer, Option<Sign>), String> {
    let (answer, sign) = match value {
        Value::Nil => (Answer::Value(None), Sign::NOTHING),
        Value::Map(accounts) => {
            let pair = |(name, balance): (&Value, &super::edn::Form)| {
                let balance = match &balance.value {
                    Value::Nil => None,
                    value => Some(integer(value).map_err(|e| format!("a balance of {e}"))?),
                };
                let name = account(name).map_err(|e| format!("an account that is {e}"))?;
                Ok::<_, String>((name, balance))
            };
            let accounts = accounts.iter().map(pair).collect::<Result<_, _>>()?;
            (Answer::Balances(accounts), Sign::ACCOUNTS)
        }
        list => match elements(list) {
            Some(elements) if elements.is_empty() => (Answer::Values(Vec::new()), Sign::EMPTY),
            Some(elements) if matches!(elements.first(), Some(Value::Map(_))) => {
                let rows = elements.into_iter().map(row).collect::<Result<_, _>>()?;
                (Answer::Rows(rows), Sign::ROWS)
            }
            Some(_) => {
                let values = scalars(list).map_err(|e| format!("a read of {e}"))?;
                (Answer::Values(values), Sign::LIST)
            }
            None => {
                let value = scalar(list).map_err(|e| format!("a read of {e}"))?;
                let number = matches!(value, Scalar::Int(_));
                let sign = if number { Sign::NUMBER } else { Sign::TEXT };
                (Answer::Value(Some(value)), sign)
            }
        },
    };
    Ok((answer, Some(sign)))
}

/// A row of a table, as CockroachDB's *monotonic* test wrote them.
fn row(value: &Value) -> Result<Row, String> {
    let Value::Map(map) = value else {
        return Err("a row must be a map with :val and :sts".into());
    };
    let number = |name| match field(map, name) {
        Some(Value::Int(n)) => Ok(*n),
        _ => Err(format!("a row must have :{name}, an integer of 64 bits")),
    };
    let timestamp = u64::try_from(number("sts")?).map_err(|_| "a row with a negative :sts")?;
    Ok(Row {
        value: number("val")?,
        timestamp,
    })
}

/// Makes of a call what its object says that it is.
pub(crate) fn settle(call: &mut Call, object: impl Fn(&Scalar) -> Object) {
    let Some(key) = call.operation.key() else {
        return;
    };
    let settles = matches!(
        call.operation.kind(),
        Kind::Read
            | Kind::Write
            | Kind::Cas
            | Kind::Append
            | Kind::Add
            | Kind::Remove
            | Kind::Contains
            | Kind::Increment
            | Kind::Transfer
            | Kind::Advance
    );
    if !settles {
        return;
    }
    let object = object(key);
    let key = match *key == Scalar::from(ONLY) {
        true => object.name().into(),
        false => key.clone(),
    };
    rename(&mut call.operation, object, key);
    if let Outcome::Ok(answer) = &mut call.outcome {
        let lists = matches!(object, Object::Set | Object::List);
        match answer {
            Answer::Value(None) if lists => *answer = Answer::Values(Vec::new()),
            Answer::Values(_) if object == Object::Table => *answer = Answer::Rows(Vec::new()),
            _ => {}
        }
    }
}

/// Gives an operation its final kind and key.
fn rename(operation: &mut Operation, object: Object, name: Scalar) {
    match operation {
        Operation::Read { .. } => {
            *operation = match object {
                Object::Register => Operation::Read { key: name },
                Object::Set => Operation::Members { key: name },
                Object::Counter => Operation::Count { key: name },
                Object::List => Operation::Elements { key: name },
                Object::Bank => Operation::Balances { key: name },
                Object::Table => Operation::Rows { key: name },
            }
        }
        Operation::Write { value, .. } if object == Object::Set => {
            let value = value.clone();
            *operation = Operation::Add { key: name, value };
        }
        Operation::Add {
            value: Scalar::Int(by),
            ..
        } if object == Object::Counter => {
            let by = *by;
            *operation = Operation::Increment { key: name, by };
        }
        Operation::Write { key, .. }
        | Operation::Cas { key, .. }
        | Operation::Append { key, .. }
        | Operation::Add { key, .. }
        | Operation::Remove { key, .. }
        | Operation::Contains { key, .. }
        | Operation::Increment { key, .. }
        | Operation::Transfer { key, .. }
        | Operation::Advance { key } => *key = name,
        _ => {}
    }
}
