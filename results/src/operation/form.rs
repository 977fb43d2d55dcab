//! The JSON forms of operations and answers, as `FORMAT.md` lists them.

use serde_json::{Value as Json, json};

use super::{Answer, Kind, Operation};
use crate::Scalar;
use crate::micro::Micro;

impl Operation {
    /// Its argument as the `value` of an `invoke` event; `None` where it has none.
    pub fn value(&self) -> Option<Json> {
        Some(match self {
            Self::Read { .. }
            | Self::Request { .. }
            | Self::TryAcquire { .. }
            | Self::Elements { .. }
            | Self::Members { .. }
            | Self::Count { .. }
            | Self::Dequeue { .. }
            | Self::Drain { .. }
            | Self::Pop { .. }
            | Self::Generate { .. }
            | Self::Balances { .. }
            | Self::Advance { .. }
            | Self::Rows { .. } => return None,
            Self::Write { value, .. }
            | Self::Append { value, .. }
            | Self::Add { value, .. }
            | Self::Remove { value, .. }
            | Self::Contains { value, .. }
            | Self::Enqueue { value, .. }
            | Self::Push { value, .. } => json!(value),
            Self::Increment { by, .. } => json!(by),
            Self::AcquirePermits { permits, .. } => json!({ "permits": permits }),
            Self::ReleasePermits { permits, token, .. } => match token {
                Some(token) => json!({ "permits": permits, "token": token }),
                None => json!({ "permits": permits }),
            },
            Self::Transfer {
                from, to, amount, ..
            } => json!({ "from": from, "to": to, "amount": amount }),
            Self::Cas { from, to, .. } => json!([from, to]),
            Self::Acquire { ticket, .. } => json!({ "ticket": (*ticket)? }),
            Self::Renew { token, .. } | Self::Release { token, .. } => json!({ "token": token }),
            Self::GuardedWrite { value, token, .. } => json!({ "value": value, "token": token }),
            Self::Txn { micros } => json!(asked(micros)),
            Self::Custom { name, value } => json!({ "name": name, "value": value }),
        })
    }

    /// The operation of an `invoke` event: the inverse of [`kind`](Self::kind),
    /// [`key`](Self::key) and [`value`](Self::value).
    ///
    /// # Errors
    /// Says which part is missing or has the wrong form.
    pub fn parse(kind: Kind, key: Option<Scalar>, value: Option<Json>) -> Result<Self, String> {
        let form = Form {
            kind,
            value: value.as_ref(),
        };
        match kind {
            Kind::Txn => {
                let micros: Vec<Micro> = form.whole()?;
                if asked(&micros) != micros {
                    return Err("a read that is asked for has seen nothing yet: null".into());
                }
                Ok(Self::Txn { micros })
            }
            Kind::Custom => Ok(Self::Custom {
                name: form.field("name")?,
                value: form.field::<Option<Json>>("value")?.unwrap_or(Json::Null),
            }),
            _ => {
                let key = key.ok_or_else(|| format!("a {kind} needs a key"))?;
                match Self::without_value(kind, &key) {
                    Some(operation) => Ok(operation),
                    None => Self::of_object(key, &form),
                }
            }
        }
    }

    /// An operation that says nothing but what it works on.
    fn without_value(kind: Kind, key: &Scalar) -> Option<Self> {
        let key = key.clone();
        Some(match kind {
            Kind::Read => Self::Read { key },
            Kind::Request => Self::Request { lock: key },
            Kind::TryAcquire => Self::TryAcquire { lock: key },
            Kind::Elements => Self::Elements { key },
            Kind::Members => Self::Members { key },
            Kind::Count => Self::Count { key },
            Kind::Dequeue => Self::Dequeue { key },
            Kind::Drain => Self::Drain { key },
            Kind::Pop => Self::Pop { key },
            Kind::Generate => Self::Generate { key },
            Kind::Balances => Self::Balances { key },
            Kind::Advance => Self::Advance { key },
            Kind::Rows => Self::Rows { key },
            _ => return None,
        })
    }

    /// An operation that works on `key` and says more.
    #[rustfmt::skip]
    fn of_object(key: Scalar, form: &Form<'_>) -> Result<Self, String> {
        Ok(match form.kind {
            Kind::Write => Self::Write { key, value: form.whole()? },
            Kind::Append => Self::Append { key, value: form.whole()? },
            Kind::Add => Self::Add { key, value: form.whole()? },
            Kind::Remove => Self::Remove { key, value: form.whole()? },
            Kind::Contains => Self::Contains { key, value: form.whole()? },
            Kind::Enqueue => Self::Enqueue { key, value: form.whole()? },
            Kind::Push => Self::Push { key, value: form.whole()? },
            Kind::Increment => Self::Increment { key, by: form.whole()? },
            Kind::Cas => {
                let (from, to) = form.whole()?;
                Self::Cas { key, from, to }
            }
            Kind::Acquire => {
                let ticket = form.value.map(|_| form.field("ticket")).transpose()?;
                Self::Acquire { lock: key, ticket }
            }
            Kind::Renew => Self::Renew { lock: key, token: form.field("token")? },
            Kind::Release => Self::Release { lock: key, token: form.field("token")? },
            Kind::GuardedWrite => {
                Self::GuardedWrite { key, value: form.field("value")?, token: form.field("token")? }
            }
            Kind::AcquirePermits => Self::AcquirePermits { key, permits: form.field("permits")? },
            Kind::ReleasePermits => {
                let (permits, token) = (form.field("permits")?, form.field("token")?);
                Self::ReleasePermits { key, permits, token }
            }
            Kind::Transfer => {
                let (from, to) = (form.field("from")?, form.field("to")?);
                Self::Transfer { key, from, to, amount: form.field("amount")? }
            }
            kind => return Err(format!("a {kind} takes no value")),
        })
    }

    /// The answer as the `value` of this operation's `ok` event. Where the answer only says
    /// *done*, that is the operation's own argument, as in Jepsen.
    pub fn answer_value(&self, answer: &Answer) -> Option<Json> {
        match answer {
            Answer::Done => self.value(),
            Answer::Value(value) => Some(json!(value)),
            Answer::Ticket(ticket) => Some(json!({ "ticket": ticket })),
            Answer::Grant(grant) => Some(json!(grant)),
            Answer::Flag(yes) => Some(json!(yes)),
            Answer::Values(values) => Some(json!(values)),
            Answer::Balances(accounts) => Some(json!(accounts)),
            Answer::Row(row) => Some(json!(row)),
            Answer::Rows(rows) => Some(json!(rows)),
            Answer::Txn(micros) => Some(json!(micros)),
            Answer::Custom(value) => Some(value.clone()),
        }
    }

    /// The answer of this operation's `ok` event: the inverse of
    /// [`answer_value`](Self::answer_value).
    ///
    /// # Errors
    /// Says what is missing or has the wrong form.
    pub fn parse_answer(&self, value: Option<Json>) -> Result<Answer, String> {
        let form = Form {
            kind: self.kind(),
            value: value.as_ref(),
        };
        Ok(match self {
            Self::Read { .. } | Self::Dequeue { .. } | Self::Pop { .. } => {
                Answer::Value(match value {
                    None | Some(Json::Null) => None,
                    Some(_) => Some(form.whole()?),
                })
            }
            Self::Request { .. } => Answer::Ticket(form.field("ticket")?),
            Self::Acquire { .. } | Self::TryAcquire { .. } | Self::Renew { .. } => {
                Answer::Grant(form.whole()?)
            }
            Self::Write { .. }
            | Self::Cas { .. }
            | Self::Release { .. }
            | Self::Append { .. }
            | Self::GuardedWrite { .. }
            | Self::Increment { .. }
            | Self::Enqueue { .. }
            | Self::Push { .. }
            | Self::ReleasePermits { .. }
            | Self::Transfer { .. } => Answer::Done,
            Self::Add { .. } | Self::Remove { .. } => match value {
                Some(Json::Bool(yes)) => Answer::Flag(yes),
                _ => Answer::Done,
            },
            Self::AcquirePermits { .. } => match form.field::<Option<u64>>("token")? {
                Some(_) => Answer::Grant(form.whole()?),
                None => Answer::Done,
            },
            Self::Contains { .. } => Answer::Flag(form.whole()?),
            Self::Elements { .. } | Self::Members { .. } | Self::Drain { .. } => {
                Answer::Values(form.whole()?)
            }
            Self::Count { .. } => Answer::Value(Some(Scalar::Int(form.whole()?))),
            Self::Generate { .. } => Answer::Value(Some(form.whole()?)),
            Self::Balances { .. } => Answer::Balances(form.whole()?),
            Self::Advance { .. } => Answer::Row(form.whole()?),
            Self::Rows { .. } => Answer::Rows(form.whole()?),
            Self::Txn { micros } => {
                let answered: Vec<Micro> = form.whole()?;
                if asked(&answered) != *micros {
                    return Err("the answer has other steps than the transaction".into());
                }
                Answer::Txn(answered)
            }
            Self::Custom { .. } => Answer::Custom(value.unwrap_or(Json::Null)),
        })
    }
}

/// The steps as they are asked for.
fn asked(micros: &[Micro]) -> Vec<Micro> {
    micros.iter().map(Micro::asked).collect()
}

/// The `value` of an event while it is taken apart, with errors that name the operation.
struct Form<'a> {
    kind: Kind,
    value: Option<&'a Json>,
}

impl Form<'_> {
    fn whole<T: serde::de::DeserializeOwned>(&self) -> Result<T, String> {
        let value = self
            .value
            .ok_or_else(|| format!("a {} needs a value", self.kind))?;
        T::deserialize(value).map_err(|e| format!("value of a {}: {e}", self.kind))
    }

    fn field<T: serde::de::DeserializeOwned>(&self, name: &str) -> Result<T, String> {
        let field = self.value.and_then(|v| v.get(name)).unwrap_or(&Json::Null);
        T::deserialize(field).map_err(|e| format!("value.{name} of a {}: {e}", self.kind))
    }
}
