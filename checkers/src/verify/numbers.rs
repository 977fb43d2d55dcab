//! Identifiers, counters and banks: what numbers say.

use std::collections::BTreeSet;

use tribunal_results::{Answer, Call, History, Operation, Outcome, Scalar};

use super::{end, of_key};

/// Two calls on one generator got the same identifier.
pub(super) fn same_id(calls: &[&Call]) -> Result<(), String> {
    let mut given = BTreeSet::new();
    for call in calls {
        if let (Operation::Generate { key }, Outcome::Ok(Answer::Value(Some(id)))) =
            (&call.operation, &call.outcome)
            && !given.insert((key, id))
        {
            return Ok(());
        }
    }
    Err("the named calls got different identifiers".to_owned())
}

/// What a read of a counter returned.
fn counted(call: &Call) -> Option<Result<i128, ()>> {
    match (&call.operation, &call.outcome) {
        (Operation::Count { .. }, Outcome::Ok(Answer::Value(value))) => Some(match value {
            None => Ok(0),
            Some(Scalar::Int(value)) => Ok(i128::from(*value)),
            Some(Scalar::Text(_)) => Err(()),
        }),
        _ => None,
    }
}

fn added(call: &Call) -> Option<i128> {
    match call.operation {
        Operation::Increment { by, .. } if !call.is_fail() => Some(i128::from(by)),
        _ => None,
    }
}

/// A read is below what the named increments and all possible subtractions make, or above what the
/// named subtractions and all possible increments make.
pub(super) fn out_of_bounds(history: &History, calls: &[&Call]) -> Result<(), String> {
    for read in calls {
        let Some(value) = counted(read) else {
            continue;
        };
        let Ok(value) = value else {
            return Ok(());
        };
        let certain = |call: &&&Call| call.is_ok() && end(call) < read.invoked.index;
        let named = calls.iter().filter(certain).filter_map(|call| added(call));
        let possible = |call: &&Call| call.invoked.index < end(read);
        let all: Vec<i128> = of_key(history, read)
            .filter(possible)
            .filter_map(added)
            .collect();
        let least = named.clone().filter(|by| *by > 0).sum::<i128>()
            + all.iter().filter(|by| **by < 0).sum::<i128>();
        let most = named.filter(|by| *by < 0).sum::<i128>()
            + all.iter().filter(|by| **by > 0).sum::<i128>();
        if value < least || value > most {
            return Ok(());
        }
    }
    Err("each named read is within what the named calls allow".to_owned())
}

/// A read returned before another was invoked that has a smaller value, and nobody subtracted.
pub(super) fn fell(history: &History, calls: &[&Call]) -> Result<(), String> {
    for first in calls {
        for second in calls {
            let (Some(Ok(more)), Some(Ok(less))) = (counted(first), counted(second)) else {
                continue;
            };
            let mut all = of_key(history, first).filter_map(added);
            if end(first) < second.invoked.index && less < more && all.all(|by| by >= 0) {
                return Ok(());
            }
        }
    }
    Err("no named read is below one that returned before".to_owned())
}

fn balances(call: &Call) -> Option<&[(Scalar, Option<i64>)]> {
    match (&call.operation, &call.outcome) {
        (Operation::Balances { .. }, Outcome::Ok(Answer::Balances(balances))) => Some(balances),
        _ => None,
    }
}

/// Reads have different accounts, one of them twice, or one without a balance.
pub(super) fn accounts(calls: &[&Call]) -> Result<(), String> {
    let mut all = BTreeSet::new();
    for read in calls.iter().filter_map(|call| balances(call)) {
        let accounts: BTreeSet<&Scalar> = read.iter().map(|(account, _)| account).collect();
        if accounts.len() < read.len() || read.iter().any(|(_, balance)| balance.is_none()) {
            return Ok(());
        }
        all.insert(accounts);
    }
    match all.len() {
        0 | 1 => Err("the named reads have the same accounts".to_owned()),
        _ => Ok(()),
    }
}

/// Reads have different totals, or another than is assumed.
pub(super) fn totals(calls: &[&Call], assumed: Option<i64>) -> Result<(), String> {
    let total = |read: &[(Scalar, Option<i64>)]| -> i128 {
        read.iter()
            .filter_map(|(_, balance)| *balance)
            .map(i128::from)
            .sum()
    };
    let reads = || calls.iter().filter_map(|call| balances(call));
    let assumed = assumed.filter(|_| reads().next().is_some());
    let totals: BTreeSet<i128> = reads().map(total).chain(assumed.map(i128::from)).collect();
    match totals.len() {
        0 | 1 => Err("the named reads have the total that they should".to_owned()),
        _ => Ok(()),
    }
}

/// A read has an account below zero.
pub(super) fn overdrawn(calls: &[&Call]) -> Result<(), String> {
    let mut reads = calls.iter().filter_map(|call| balances(call)).flatten();
    match reads.any(|(_, balance)| balance.is_some_and(|balance| balance < 0)) {
        true => Ok(()),
        false => Err("no named read has an account below zero".to_owned()),
    }
}
