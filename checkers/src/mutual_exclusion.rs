//! `mutual-exclusion`: at no instant do two clients hold the same lock for certain.

use std::collections::{BTreeMap, BTreeSet};

use tribunal_results::{Anomaly, Answer, Call, Operation, Outcome, Record, Scalar, Verdict};

use crate::locks::{self, Hold};
use crate::{Budget, Checker, explain};

/// The checker.
pub struct MutualExclusion;

const NAME: &str = "mutual-exclusion";

impl Checker for MutualExclusion {
    fn name(&self) -> &'static str {
        NAME
    }

    fn about(&self) -> &'static str {
        "no two certain holds of a lock overlap, and only who was granted it releases it (Dijkstra \
         1965; leases: Gray & Cheriton 1989)"
    }

    fn anomalies(&self) -> &'static [&'static str] {
        &["double-hold", "foreign-release"]
    }

    fn blind_to(&self) -> &'static str {
        "overlaps within the time that an answer travels; holds that nobody was told of"
    }

    fn check(&self, record: &Record, _: Budget) -> Verdict {
        let mut anomalies = Vec::new();
        // Whom a hold could exclude is who holds the same lock at another time.
        let (mut certain, mut holders) = (0_usize, 0);
        let by_lock = locks::by_lock(&record.history);
        for (lock, calls) in &by_lock {
            let holds: Vec<Hold<'_>> = locks::holds(calls)
                .into_iter()
                .filter(Hold::is_certain)
                .collect();
            certain += holds.len();
            let clients: BTreeSet<u64> = holds.iter().map(|hold| hold.process).collect();
            holders = holders.max(clients.len());
            anomalies.extend(double_holds(lock, &holds));
            anomalies.extend(foreign_releases(lock, calls));
        }
        verdict(anomalies, by_lock.len(), certain, holders)
    }
}

fn verdict(mut anomalies: Vec<Anomaly>, locks: usize, holds: usize, holders: usize) -> Verdict {
    let verdict = if !anomalies.is_empty() {
        anomalies.sort_by_key(|anomaly| (anomaly.span.1, anomaly.calls.clone()));
        let total = anomalies.len() as u64;
        Verdict::invalid(NAME, anomalies, total)
    } else if holders < 2 {
        let text = format!(
            "{}, and of no lock by more than {}: nobody whom a hold could exclude",
            explain::count(holds, "certain hold"),
            explain::count(holders, "client")
        );
        Verdict::unknown(NAME, "vacuous", text)
    } else {
        let holds = explain::count(holds, "certain hold");
        let locks = explain::count(locks, "lock");
        Verdict::valid(NAME, format!("{holds} of {locks}, and no two at once"))
    };
    verdict
        .figure("locks", locks)
        .figure("holds-certain", holds)
        .figure("holders", holders)
}

/// Each hold that began during an earlier one, with the earlier one that lasts longest. If any
/// two overlap, one of them is found so: the holds come in the order of their begin.
fn double_holds(lock: &Scalar, holds: &[Hold<'_>]) -> Vec<Anomaly> {
    let mut found = Vec::new();
    let mut longest: Option<&Hold<'_>> = None;
    for hold in holds {
        if let Some(earlier) = longest.filter(|earlier| hold.from < earlier.until()) {
            found.push(double_hold(lock, earlier, hold));
        }
        if longest.is_none_or(|longest| longest.until() < hold.until()) {
            longest = Some(hold);
        }
    }
    found
}

fn double_hold(lock: &Scalar, first: &Hold<'_>, second: &Hold<'_>) -> Anomaly {
    let until = first.until().min(second.until());
    let who = if first.process == second.process {
        format!("p{} held lock {lock} twice", first.process)
    } else {
        format!(
            "p{} and p{} both held lock {lock}",
            first.process, second.process
        )
    };
    let sentence = format!(
        "{who} from {} to {}, with tokens {} and {}",
        explain::seconds(second.from),
        explain::seconds(until),
        first.token,
        second.token,
    );
    let kept = first.keepers(second.from);
    let calls: Vec<&Call> = first.calls().chain(kept).chain(second.calls()).collect();
    let mut facts = vec![format!("{}.", first.sentence())];
    facts.extend(first.kept_until(second.from));
    facts.push(format!("{}.", second.sentence()));
    locks::anomaly("double-hold", lock, sentence, &calls, facts)
}

/// Releases that were acknowledged to a client that had nothing to release: it never was granted
/// the token, or had given it back as often as it got it. A client whose acquire ended unknown
/// asks nothing any more, so what it may have been granted needs no thought.
fn foreign_releases(lock: &Scalar, calls: &[&Call]) -> Vec<Anomaly> {
    let mut balance: BTreeMap<(u64, u64), u64> = BTreeMap::new();
    let mut granted: BTreeMap<u64, &Call> = BTreeMap::new();
    let mut found = Vec::new();
    for call in calls {
        match (&call.operation, &call.outcome) {
            (
                Operation::Acquire { .. } | Operation::TryAcquire { .. },
                Outcome::Ok(Answer::Grant(grant)),
            ) => {
                *balance.entry((call.process, grant.token)).or_default() += 1;
                granted.entry(grant.token).or_insert(call);
            }
            (Operation::Release { token, .. }, Outcome::Ok(_)) => {
                match balance.get_mut(&(call.process, *token)) {
                    Some(held) if *held > 0 => *held -= 1,
                    known => {
                        let had = known.is_some();
                        let owner = granted.get(token).copied();
                        found.push(foreign_release(lock, *token, call, owner, had));
                    }
                }
            }
            _ => {}
        }
    }
    found
}

fn foreign_release(
    lock: &Scalar,
    token: u64,
    release: &Call,
    owner: Option<&Call>,
    had: bool,
) -> Anomaly {
    let why = match owner {
        _ if had => "which it had given back before".to_owned(),
        Some(owner) => format!("which had been granted to p{}", owner.process),
        None => "which nobody is known to have been granted".to_owned(),
    };
    let sentence = format!(
        "p{} released lock {lock} with token {token} at {}{}, {why}",
        release.process,
        explain::seconds(explain::ended(release)),
        explain::place(release),
    );
    let mut facts: Vec<String> = owner
        .map(|owner| format!("{}.", explain::returned(owner)))
        .into_iter()
        .collect();
    facts.push(if had {
        format!(
            "p{} had as many releases acknowledged as acquires before.",
            release.process
        )
    } else {
        format!("p{} was never granted token {token}.", release.process)
    });
    facts.push(format!(
        "Yet {}, where a refusal is due.",
        explain::acknowledged(release)
    ));
    let calls: Vec<&Call> = owner.into_iter().chain([release]).collect();
    locks::anomaly("foreign-release", lock, sentence, &calls, facts)
}
