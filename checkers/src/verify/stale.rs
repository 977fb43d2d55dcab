//! Stale reads: the times of the calls named, and nothing else.

use tribunal_results::{Anomaly, Answer, Call, Kind, Operation, Outcome, Record, Scalar, Stamp};

/// Derives again that a read is older than allowed.
pub(super) fn contradiction(record: &Record, anomaly: &Anomaly) -> Result<(), String> {
    let find = |index: &u64| record.history.call_at(*index);
    let calls: Option<Vec<&Call>> = anomaly.calls.iter().map(find).collect();
    let calls = calls.ok_or("no such call")?;
    let allowed = record.assume.staleness_ms.ok_or("any age is allowed")?;
    let named = Named { record, calls };
    let age = named.calls.iter().filter_map(|read| named.age(read)).max();
    match age {
        Some(age) if age > allowed.saturating_mul(1_000_000) => Ok(()),
        Some(age) => Err(format!("the read is {age} ns old, which is allowed")),
        None => Err("no read is stale by these calls".into()),
    }
}

struct Named<'a> {
    record: &'a Record,
    calls: Vec<&'a Call>,
}

/// Whether an update puts a value there, or takes it away.
fn touches(call: &Call, wanted: &Scalar) -> bool {
    matches!(&call.operation, Operation::Write { value, .. } | Operation::Cas { to: value, .. }
        | Operation::Add { value, .. } | Operation::Append { value, .. }
        | Operation::Remove { value, .. } if value == wanted)
}

fn shows(call: &Call, wanted: &Scalar) -> bool {
    match &call.outcome {
        Outcome::Ok(Answer::Value(Some(value))) => value == wanted,
        Outcome::Ok(Answer::Values(values)) => values.contains(wanted),
        _ => false,
    }
}

impl<'a> Named<'a> {
    fn same(&self, read: &Call) -> impl Iterator<Item = &'a Call> {
        let calls = self.record.history.calls().iter();
        calls.filter(move |call| call.operation.key() == read.operation.key() && !call.is_fail())
    }

    /// When a value was there for certain, by the calls named.
    fn effect(&self, read: &Call, value: &Scalar) -> Option<Stamp> {
        let mut earliest: Option<Stamp> = None;
        for call in self
            .calls
            .iter()
            .filter(|call| call.is_ok() && **call != read)
        {
            let is_read = !call.operation.kind().mutates();
            if (is_read && shows(call, value)) || (!is_read && touches(call, value)) {
                earliest = earliest.into_iter().chain(call.completed).min();
            }
        }
        earliest
    }

    /// How old a read is at least, if it is stale at all.
    fn age(&self, read: &Call) -> Option<u64> {
        let since = match (read.operation.kind(), &read.outcome) {
            (Kind::Read, Outcome::Ok(Answer::Value(value))) => {
                let old = match value {
                    None => None,
                    Some(value) => {
                        let writes = self.same(read).filter(|call| touches(call, value));
                        if writes.count() != 1 {
                            return None;
                        }
                        Some(self.effect(read, value)?)
                    }
                };
                self.overwritten(read, old)
            }
            (Kind::Members | Kind::Elements, Outcome::Ok(Answer::Values(_))) => self.missing(read),
            _ => None,
        }?;
        let from = self.earliest(read);
        (since < from).then(|| from.time.saturating_sub(since.time))
    }

    /// When a read took effect at the earliest: not before what it shows was asked for.
    fn earliest(&self, read: &Call) -> Stamp {
        let Outcome::Ok(Answer::Values(values)) = &read.outcome else {
            return read.invoked;
        };
        let asked = values.iter().filter_map(|value| {
            let adds = self.same(read).filter(|call| touches(call, value));
            let removed = |call: &Call| call.operation.kind() == Kind::Remove;
            let first = adds.min_by_key(|call| (!removed(call), call.invoked))?;
            (!removed(first)).then_some(first.invoked)
        });
        asked.fold(read.invoked, Stamp::max)
    }

    /// When a later write had taken effect.
    fn overwritten(&self, read: &Call, old: Option<Stamp>) -> Option<Stamp> {
        let later = self
            .calls
            .iter()
            .filter_map(|write| match &write.operation {
                Operation::Write { value, .. } | Operation::Cas { to: value, .. } => {
                    let after = old.is_none_or(|old| write.invoked > old);
                    let only = self.same(read).filter(|call| touches(call, value)).count() == 1;
                    let acknowledged = write.completed.filter(|_| write.is_ok());
                    let by = if only {
                        self.effect(read, value)
                    } else {
                        acknowledged
                    };
                    by.filter(|_| after)
                }
                _ => None,
            });
        later.min()
    }

    /// When an element that is missing was there.
    fn missing(&self, read: &Call) -> Option<Stamp> {
        let added = self.same(read).filter_map(|call| match &call.operation {
            Operation::Add { value, .. } | Operation::Append { value, .. } => Some(value),
            _ => None,
        });
        let removed = |value: &Scalar| {
            let is_remove = |call: &&Call| call.operation.kind() == Kind::Remove;
            self.same(read)
                .filter(is_remove)
                .any(|call| touches(call, value))
        };
        let missing = added.filter(|value| !shows(read, value) && !removed(value));
        missing.filter_map(|value| self.effect(read, value)).min()
    }
}
