//! The planted bugs of the lock manager. Each is one named branch beside the right code.

use crate::PlantedBug;

/// Which bug a node shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bug {
    DoubleGrant,
    LifoQueue,
    ForgetOnRestart,
    TokenReuse,
    ReleaseByAnyone,
    LeaseIgnoresRenewal,
    ReentrantLeak,
}

impl Bug {
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "double-grant" => Self::DoubleGrant,
            "lifo-queue" => Self::LifoQueue,
            "forget-on-restart" => Self::ForgetOnRestart,
            "token-reuse" => Self::TokenReuse,
            "release-by-anyone" => Self::ReleaseByAnyone,
            "lease-ignores-renewal" => Self::LeaseIgnoresRenewal,
            "reentrant-leak" => Self::ReentrantLeak,
            _ => return None,
        })
    }
}

pub(crate) const BUGS: [PlantedBug; 7] = [
    row(
        "double-grant",
        "now and then the head of the queue is granted a lock that is held",
        &[],
        &["double-hold"],
    ),
    row(
        "lifo-queue",
        "the youngest ticket is granted first",
        &[],
        &["overtaking"],
    ),
    PlantedBug {
        // Its queue dies with it: there is no order of grants to judge.
        workload: "fenced-mutex",
        ..row(
            "forget-on-restart",
            "a restarted coordinator takes every lock for free",
            &["kill"],
            &["double-hold"],
        )
    },
    row(
        "token-reuse",
        "every third grant repeats the token of the one before",
        &[],
        &["token-not-monotonic"],
    ),
    row(
        "release-by-anyone",
        "a release is obeyed whoever asks and whatever the token",
        &[],
        &["foreign-release", "double-hold"],
    ),
    row(
        "lease-ignores-renewal",
        "a renewal is acknowledged, yet the lease ends as before",
        &[],
        &["double-hold"],
    ),
    row(
        "reentrant-leak",
        "the first release of a lock entered twice frees it",
        &[],
        &["double-hold"],
    ),
];

const fn row(
    name: &'static str,
    about: &'static str,
    faults: &'static [&'static str],
    anomalies: &'static [&'static str],
) -> PlantedBug {
    PlantedBug {
        name,
        about,
        workload: "lock",
        faults,
        anomalies,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_names_a_bug() {
        for row in BUGS {
            assert!(Bug::from_name(row.name).is_some(), "{}", row.name);
        }
        assert_eq!(Bug::from_name("none"), None);
    }
}
