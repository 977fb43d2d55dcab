//! Which consistency models each anomaly rules out (Adya 1999; Bailis et al., *Highly Available
//! Transactions*, 2013; Cerone & Gotsman 2018).

/// The models without session or real-time order, each with those that it implies.
const BASE: [(&str, u16); 9] = [
    ("read-uncommitted", READ_UNCOMMITTED),
    ("read-committed", 0b0_0000_0011),
    ("read-atomic", 0b0_0000_0111),
    ("transactional-causal", 0b0_0000_1111),
    ("prefix", 0b0_0001_1111),
    ("parallel-snapshot-isolation", 0b0_0010_1111),
    ("snapshot-isolation", 0b0_0111_1111),
    ("repeatable-read", 0b0_1000_0011),
    ("serializable", 0b1_1111_1111),
];
/// What a model also respects, from nothing to the order of real time.
const STRENGTHS: [&str; 3] = ["", "strong-session-", "strong-"];

const READ_UNCOMMITTED: u16 = 1;
const READ_COMMITTED: u16 = 1 << 1;
const READ_ATOMIC: u16 = 1 << 2;
const CAUSAL: u16 = 1 << 3;
const PARALLEL_SNAPSHOT: u16 = 1 << 5;
const SNAPSHOT_ISOLATION: u16 = 1 << 6;
const REPEATABLE_READ: u16 = 1 << 7;

/// Each anomaly with the weakest models that forbid it.
///
/// Those of the levels below snapshot isolation stand in [`OF_SESSIONS`]: they may rest on the
/// order of sessions. Anomalies of predicates (*G1-predicate*, *G2*) are not found, and not here.
const FORBIDDEN_BY: [(&str, u16); 21] = [
    ("internal", READ_ATOMIC | REPEATABLE_READ),
    ("duplicate-elements", READ_UNCOMMITTED),
    ("phantom-value", READ_UNCOMMITTED),
    ("thin-air-read", READ_UNCOMMITTED),
    ("cyclic-versions", READ_UNCOMMITTED),
    ("incompatible-order", READ_COMMITTED),
    ("dirty-update", READ_COMMITTED),
    ("aborted-read", READ_COMMITTED),
    ("intermediate-read", READ_COMMITTED),
    ("future-read", READ_COMMITTED),
    ("not-own-write", READ_COMMITTED),
    ("not-last-own-write", READ_COMMITTED),
    ("G1a", READ_COMMITTED),
    ("G1b", READ_COMMITTED),
    ("non-repeatable-read", READ_ATOMIC | REPEATABLE_READ),
    ("lost-update", PARALLEL_SNAPSHOT | REPEATABLE_READ),
    ("G0", READ_UNCOMMITTED),
    ("G1c", READ_COMMITTED),
    ("G-single", PARALLEL_SNAPSHOT | REPEATABLE_READ),
    ("G-nonadjacent", SNAPSHOT_ISOLATION | REPEATABLE_READ),
    ("G2-item", REPEATABLE_READ),
];

/// The same for anomalies that may rest on the order of sessions.
const OF_SESSIONS: [(&str, u16); 4] = [
    ("cyclic-causality", READ_COMMITTED),
    ("non-monotonic-read", READ_COMMITTED),
    ("fractured-read", READ_ATOMIC),
    ("causality-violation", CAUSAL),
];

/// A set of models: for each strength nine bits, those of [`BASE`].
pub(crate) type Models = u32;

/// The names of all models, of each strength the weakest first.
pub fn levels() -> impl Iterator<Item = String> {
    models().map(name)
}

/// Whether a history with this anomaly does not satisfy this model; `None` if either name is
/// unknown.
pub fn forbids(level: &str, anomaly: &str) -> Option<bool> {
    let bit = levels().position(|name| name == level)?;
    let out = ruled_out(anomaly);
    (out != 0).then_some(out & (1 << bit) != 0)
}

/// The models that a history with this anomaly does not satisfy; none for an unknown name.
pub(crate) fn ruled_out(anomaly: &str) -> Models {
    let (name, strength) = match (
        anomaly.strip_suffix("-process"),
        anomaly.strip_suffix("-realtime"),
    ) {
        (Some(name), _) => (name, 1),
        (_, Some(name)) => (name, 2),
        _ => (anomaly, 0),
    };
    let of = |table: &[(&str, u16)]| {
        let mut rows = table.iter();
        rows.find(|(known, _)| *known == name).map(|row| row.1)
    };
    let (weakest, strength) = match (of(&FORBIDDEN_BY), of(&OF_SESSIONS)) {
        (Some(weakest), _) => (weakest, strength),
        (_, Some(weakest)) => (weakest, strength.max(1)),
        _ => (0, strength),
    };
    let mut models = 0;
    for (bit, (_, implied)) in BASE.iter().enumerate() {
        if implied & weakest != 0 {
            for level in strength..STRENGTHS.len() {
                models |= 1 << (level * BASE.len() + bit);
            }
        }
    }
    models
}

/// The strongest models that none of the anomalies rules out.
pub(crate) fn models_left<'a>(anomalies: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let out = anomalies
        .into_iter()
        .fold(0, |out, anomaly| out | ruled_out(anomaly));
    let left = |model: &Model| out & bit(*model) == 0;
    let surpassed = |model: &Model| {
        let mut others = models().filter(left);
        others.any(|stronger| stronger != *model && implies(stronger, *model))
    };
    let strongest = models().filter(left).filter(|model| !surpassed(model));
    strongest.map(name).collect()
}

/// The weakest models that an anomaly rules out; none for an unknown name.
pub(crate) fn weakest_that_forbid(anomaly: &str) -> Vec<String> {
    let out = ruled_out(anomaly);
    let forbids = |model: &Model| out & bit(*model) != 0;
    let follows = |model: &Model| {
        let mut others = models().filter(forbids);
        others.any(|weaker| weaker != *model && implies(*model, weaker))
    };
    let weakest = models().filter(forbids).filter(|model| !follows(model));
    weakest.map(name).collect()
}

/// A strength and a base.
type Model = (usize, usize);

fn models() -> impl Iterator<Item = Model> {
    (0..STRENGTHS.len()).flat_map(|s| (0..BASE.len()).map(move |b| (s, b)))
}

fn bit((strength, base): Model) -> Models {
    1 << (strength * BASE.len() + base)
}

/// Whether what satisfies the first satisfies the second.
fn implies((s, b): Model, (t, c): Model) -> bool {
    let base = BASE.get(b);
    s >= t && base.is_some_and(|(_, implied)| implied & (1 << c) != 0)
}

fn name((strength, base): Model) -> String {
    let prefix = STRENGTHS.get(strength).copied().unwrap_or_default();
    let base = BASE.get(base).map(|(name, _)| *name).unwrap_or_default();
    match (prefix, base) {
        ("strong-", "serializable") => "strict-serializable".to_owned(),
        _ => format!("{prefix}{base}"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use super::{BASE, FORBIDDEN_BY, OF_SESSIONS, forbids, levels, models_left, ruled_out};

    /// The models and how they imply each other, without strengths.
    #[test]
    fn models_imply_what_they_should() {
        let chains = [
            &[
                "serializable",
                "snapshot-isolation",
                "prefix",
                "transactional-causal",
            ][..],
            &[
                "snapshot-isolation",
                "parallel-snapshot-isolation",
                "transactional-causal",
            ],
            &[
                "transactional-causal",
                "read-atomic",
                "read-committed",
                "read-uncommitted",
            ],
            &["serializable", "repeatable-read", "read-committed"],
        ];
        let implied = |name: &str| BASE.iter().find(|base| base.0 == name).unwrap().1;
        for pair in chains.iter().flat_map(|chain| chain.windows(2)) {
            let (strong, weak) = (implied(pair[0]), implied(pair[1]));
            assert!(strong != weak && strong & weak == weak, "{pair:?}");
        }
        for (bit, (name, implied)) in BASE.iter().enumerate() {
            assert_ne!(implied & (1 << bit), 0, "{name} implies itself");
        }
    }

    #[test]
    fn a_level_forbids_what_rules_it_out() {
        assert_eq!(levels().count(), 27);
        assert_eq!(forbids("serializable", "G2-item"), Some(true));
        assert_eq!(forbids("serializable", "G2-item-realtime"), Some(false));
        assert_eq!(
            forbids("strict-serializable", "G2-item-realtime"),
            Some(true)
        );
        assert_eq!(forbids("snapshot-isolation", "G2-item"), Some(false));
        assert_eq!(
            forbids("strong-session-serializable", "G0-process"),
            Some(true)
        );
        assert_eq!(forbids("serializable", "no-such"), None);
        assert_eq!(forbids("no-such", "G0"), None);
    }

    /// Names of what Elle finds, but for predicates (Kingsbury & Alvaro 2020).
    #[test]
    fn every_name_of_elles_is_known() {
        for name in [
            "internal",
            "future-read",
            "G1a",
            "G1b",
            "dirty-update",
            "duplicate-elements",
            "incompatible-order",
            "lost-update",
            "cyclic-versions",
        ] {
            assert_eq!(forbids("strict-serializable", name), Some(true), "{name}");
            assert_eq!(forbids("serializable", name), Some(true), "{name}");
        }
        // What each cycle rules out first, and what it leaves.
        for (cycle, out, left) in [
            ("G0", "read-uncommitted", None),
            ("G1c", "read-committed", Some("read-uncommitted")),
            ("G-single", "snapshot-isolation", Some("read-committed")),
            ("G-single", "repeatable-read", Some("read-committed")),
            (
                "G-nonadjacent",
                "snapshot-isolation",
                Some("read-committed"),
            ),
            ("G2-item", "repeatable-read", Some("snapshot-isolation")),
        ] {
            assert_eq!(forbids(out, cycle), Some(true), "{cycle}");
            if let Some(left) = left {
                assert_eq!(forbids(left, cycle), Some(false), "{cycle}");
            }
            for (suffix, level) in [
                ("-process", "strong-session-serializable"),
                ("-realtime", "strict-serializable"),
            ] {
                let name = format!("{cycle}{suffix}");
                assert_eq!(forbids(level, &name), Some(true), "{name}");
                assert_eq!(forbids("serializable", &name), Some(false), "{name}");
            }
        }
    }

    #[test]
    fn every_anomaly_rules_out_strict_serializability() {
        use crate::Checker;
        let names = [
            crate::list_append::ListAppend.anomalies(),
            crate::rw_register::RwRegister.anomalies(),
            crate::read_committed::CHECKER.anomalies(),
            crate::read_atomic::CHECKER.anomalies(),
            crate::transactional_causal::CHECKER.anomalies(),
        ]
        .concat();
        for anomaly in &names {
            assert_ne!(ruled_out(anomaly), 0, "{anomaly}");
            let left = models_left([*anomaly]);
            assert!(
                !left.contains(&"strict-serializable".to_owned()),
                "{anomaly}"
            );
        }
        for (known, _) in FORBIDDEN_BY.iter().chain(&OF_SESSIONS) {
            assert!(names.contains(known), "nothing finds {known}");
        }
        for unknown in [
            "no-such",
            "G1-predicate",
            "G2",
            "G-single-predicate",
            "G2-process",
        ] {
            assert_eq!(ruled_out(unknown), 0, "{unknown}");
        }
        assert_eq!(models_left([]), ["strict-serializable"]);
    }

    #[test]
    fn the_strongest_models_left_are_those_of_the_literature() {
        let cases: &[(&str, &[&str])] = &[
            ("G0", &[]),
            ("duplicate-elements", &[]),
            ("phantom-value", &[]),
            ("G0-process", &["serializable"]),
            ("G0-realtime", &["strong-session-serializable"]),
            ("G1a", &["strong-read-uncommitted"]),
            ("G1b", &["strong-read-uncommitted"]),
            ("incompatible-order", &["strong-read-uncommitted"]),
            ("dirty-update", &["strong-read-uncommitted"]),
            ("G1c", &["strong-read-uncommitted"]),
            ("G1c-process", &["serializable", "strong-read-uncommitted"]),
            (
                "G1c-realtime",
                &["strong-session-serializable", "strong-read-uncommitted"],
            ),
            ("internal", &["strong-read-committed"]),
            ("lost-update", &["strong-prefix"]),
            ("G-single", &["strong-prefix"]),
            ("G-single-process", &["serializable", "strong-prefix"]),
            (
                "G-single-realtime",
                &["strong-session-serializable", "strong-prefix"],
            ),
            (
                "G-nonadjacent",
                &["strong-prefix", "strong-parallel-snapshot-isolation"],
            ),
            (
                "G-nonadjacent-process",
                &[
                    "serializable",
                    "strong-prefix",
                    "strong-parallel-snapshot-isolation",
                ],
            ),
            (
                "G-nonadjacent-realtime",
                &[
                    "strong-session-serializable",
                    "strong-prefix",
                    "strong-parallel-snapshot-isolation",
                ],
            ),
            ("cyclic-versions", &[]),
            ("non-repeatable-read", &["strong-read-committed"]),
            (
                "fractured-read",
                &["serializable", "strong-repeatable-read"],
            ),
            (
                "causality-violation",
                &[
                    "serializable",
                    "strong-read-atomic",
                    "strong-repeatable-read",
                ],
            ),
            (
                "non-monotonic-read",
                &["serializable", "strong-read-uncommitted"],
            ),
            ("G2-item", &["strong-snapshot-isolation"]),
            (
                "G2-item-process",
                &["serializable", "strong-snapshot-isolation"],
            ),
            (
                "G2-item-realtime",
                &["strong-session-serializable", "strong-snapshot-isolation"],
            ),
        ];
        for (anomaly, left) in cases {
            assert_eq!(models_left([*anomaly]), *left, "{anomaly}");
        }
    }
}
