//! Settled objects: the definitions, on the whole history.

use std::collections::{BTreeMap, BTreeSet};

use tribunal_results::{Anomaly, Answer, Call, Kind, Operation, Outcome, Phase, Record, Scalar};

/// The kinds of operations of one family: its reads, and its updates.
const FAMILIES: [(Kind, &[Kind]); 4] = [
    (Kind::Read, &[Kind::Write, Kind::Cas]),
    (Kind::Members, &[Kind::Add, Kind::Remove]),
    (Kind::Count, &[Kind::Increment]),
    (Kind::Elements, &[Kind::Append]),
];

/// Derives the contradiction again.
pub(super) fn contradiction(record: &Record, anomaly: &Anomaly) -> Result<(), String> {
    let find = |index: &u64| record.history.call_at(*index);
    let calls: Option<Vec<&Call>> = anomaly.calls.iter().map(find).collect();
    let calls = calls.ok_or("no such call")?;
    let is_read = |call: &&&Call| {
        let kind = call.operation.kind();
        call.is_ok() && FAMILIES.iter().any(|(read, _)| *read == kind)
    };
    let reads: Vec<&Call> = calls.iter().filter(is_read).copied().collect();
    let others: Vec<&Call> = calls
        .iter()
        .filter(|call| !is_read(call))
        .copied()
        .collect();
    let first = reads.first().ok_or("no read is named")?;
    let object = Object::of(record, first);
    if calls
        .iter()
        .any(|call| call.operation.key() != first.operation.key())
    {
        return Err("the calls are of several objects".into());
    }
    let holds = match (anomaly.name.as_str(), reads.as_slice(), others.as_slice()) {
        ("replica-went-back", [left, right], []) => object.went_back(left, right),
        (_, reads, _) if !reads.iter().all(|read| object.is_final(record, read)) => {
            return Err("a read is not final".into());
        }
        ("diverged", [left, right], []) => left.node != right.node && object.differ(left, right),
        ("lost-update-after-settling", [read], others) => object.lost(read, others),
        ("unexplained-value", [read], others) => object.unexplained(read, others),
        ("resurrected", [read], [one, two]) => object.resurrected(read, one, two),
        _ => return Err("the calls are not such as this anomaly has".into()),
    };
    match holds {
        true => Ok(()),
        false => Err("the calls do not contradict each other".into()),
    }
}

struct Object<'a> {
    updates: Vec<&'a Call>,
}

fn node(call: &Call) -> &str {
    call.node.as_deref().unwrap_or("")
}

fn values(call: &Call) -> Vec<&Scalar> {
    match &call.outcome {
        Outcome::Ok(Answer::Values(values)) => values.iter().collect(),
        Outcome::Ok(Answer::Value(Some(value))) => vec![value],
        _ => Vec::new(),
    }
}

fn number(call: &Call) -> Option<i128> {
    match values(call).as_slice() {
        [Scalar::Int(n)] => Some(i128::from(*n)),
        _ => None,
    }
}

fn puts(call: &Call, wanted: &Scalar) -> bool {
    matches!(&call.operation, Operation::Write { value, .. } | Operation::Cas { to: value, .. }
        | Operation::Add { value, .. } | Operation::Append { value, .. } if value == wanted)
}

fn takes(call: &Call, wanted: &Scalar) -> bool {
    matches!(&call.operation, Operation::Remove { value, .. } if value == wanted)
}

fn by(call: &Call) -> i128 {
    match call.operation {
        Operation::Increment { by, .. } => i128::from(by),
        _ => 0,
    }
}

impl<'a> Object<'a> {
    /// What may have been done to what a read reads.
    fn of(record: &'a Record, read: &Call) -> Self {
        let kind = read.operation.kind();
        let family = FAMILIES.iter().find(|(read, _)| *read == kind);
        let updates = family.map_or(&[] as &[Kind], |(_, updates)| updates);
        let mine = |call: &&Call| {
            updates.contains(&call.operation.kind()) && call.operation.key() == read.operation.key()
        };
        Self {
            updates: record.history.calls().iter().filter(mine).collect(),
        }
    }

    fn possible(&self) -> impl Iterator<Item = &'a Call> {
        self.updates.iter().copied().filter(|call| !call.is_fail())
    }

    fn is_final(&self, record: &Record, read: &Call) -> bool {
        let settle = record.assume.settle_ms.saturating_mul(1_000_000);
        let mut over = BTreeMap::new();
        for (time, event) in record.history.fault_events() {
            if event.skipped.is_some() {
                over.insert(event.id, Some(0));
            }
            let cure = over.entry(event.id).or_insert(None);
            if event.phase == Phase::Healed && cure.is_none() {
                *cure = Some(time);
            }
        }
        let after = |time: &Option<u64>| {
            time.is_some_and(|time| time.saturating_add(settle) <= read.invoked.time)
        };
        let done = |call: &Call| {
            call.completed
                .is_some_and(|end| end.index < read.invoked.index && after(&Some(end.time)))
        };
        read.node.is_some()
            && self.possible().all(done)
            && over.values().all(|cure| *cure == Some(0) || after(cure))
    }

    fn differ(&self, left: &Call, right: &Call) -> bool {
        let touched = |value: &Scalar| {
            let mut unknown = self.possible().filter(|call| call.is_info());
            unknown.any(|call| puts(call, value) || takes(call, value))
        };
        let certain = |call: &Call| -> Vec<Scalar> {
            let values = values(call).into_iter();
            values.filter(|value| !touched(value)).cloned().collect()
        };
        let whole = |call: &Call| values(call).iter().all(|value| !touched(value));
        let set = |values: Vec<&Scalar>| values.into_iter().cloned().collect::<BTreeSet<_>>();
        match left.operation.kind() {
            Kind::Read => whole(left) && whole(right) && values(left) != values(right),
            Kind::Count => self.possible().all(Call::is_ok) && number(left) != number(right),
            Kind::Members => {
                let both = (set(values(left)), set(values(right)));
                both.0
                    .symmetric_difference(&both.1)
                    .any(|value| !touched(value))
            }
            _ => certain(left) != certain(right),
        }
    }

    fn lost(&self, read: &Call, others: &[&Call]) -> bool {
        let shown = values(read);
        let count = |value: &Scalar| shown.iter().filter(|shown| **shown == value).count();
        match (read.operation.kind(), others) {
            (Kind::Count, []) => {
                let sum: i128 = self
                    .updates
                    .iter()
                    .filter(|c| c.is_ok())
                    .map(|c| by(c))
                    .sum();
                let grows = self.possible().filter(|c| c.is_info()).all(|c| by(c) >= 0);
                grows && number(read).is_some_and(|n| n < sum)
            }
            (Kind::Read, [write]) => write.is_ok() && shown.is_empty(),
            (Kind::Members, [add]) => match &add.operation {
                Operation::Add { value, .. } => {
                    let removed = self.possible().any(|call| takes(call, value));
                    add.is_ok() && !removed && count(value) == 0
                }
                _ => false,
            },
            (Kind::Elements, [append]) => match &append.operation {
                Operation::Append { value, .. } => {
                    let ok = self
                        .possible()
                        .filter(|call| call.is_ok() && puts(call, value));
                    append.is_ok() && count(value) < ok.count()
                }
                _ => false,
            },
            _ => false,
        }
    }

    fn unexplained(&self, read: &Call, others: &[&Call]) -> bool {
        let shown = values(read);
        if read.operation.kind() == Kind::Count {
            let (sure, perhaps): (Vec<&Call>, Vec<&Call>) =
                self.possible().partition(|call| call.is_ok());
            let mut sums = BTreeSet::from([sure.iter().map(|call| by(call)).sum::<i128>()]);
            for call in perhaps {
                let raised: Vec<i128> = sums.iter().map(|sum| sum + by(call)).collect();
                sums.extend(raised);
            }
            return others.is_empty() && number(read).is_some_and(|n| !sums.contains(&n));
        }
        shown.iter().any(|value| {
            let most = self.possible().filter(|call| puts(call, value)).count();
            let times = match read.operation.kind() {
                Kind::Elements => shown.iter().filter(|other| *other == value).count(),
                _ => 1,
            };
            let any = most > 0 && read.operation.kind() == Kind::Read;
            times > most
                && !any
                && others
                    .iter()
                    .all(|call| call.is_fail() && puts(call, value))
        })
    }

    fn resurrected(&self, read: &Call, one: &Call, two: &Call) -> bool {
        values(read).into_iter().any(|value| {
            let adds: Vec<&Call> = self.possible().filter(|call| puts(call, value)).collect();
            let found = |call: &Call| {
                takes(call, value) && matches!(call.outcome, Outcome::Ok(Answer::Flag(true)))
            };
            let (add, remove) = if found(one) { (two, one) } else { (one, two) };
            found(remove) && adds == [add]
        })
    }

    fn went_back(&self, one: &Call, two: &Call) -> bool {
        let (before, after) = match one.invoked < two.invoked {
            true => (one, two),
            false => (two, one),
        };
        let order = before.completed.is_some_and(|end| end < after.invoked);
        let shrinks = |call: &Call| call.operation.kind() == Kind::Remove || by(call) < 0;
        if node(one) != node(two) || node(one).is_empty() || !order || self.possible().any(shrinks)
        {
            return false;
        }
        match before.operation.kind() {
            Kind::Count => number(before) > number(after),
            Kind::Members => {
                let kept = values(after);
                values(before).iter().any(|value| !kept.contains(value))
            }
            _ => false,
        }
    }
}
