//! Which consistency models each anomaly rules out (Adya 1999; Bailis et al., *Highly Available
//! Transactions*, 2013; Cerone & Gotsman 2018).

/// The models without session or real-time order, each with those that it implies.
const BASE: [(&str, u8); 5] = [
    ("read-uncommitted", 0b0_0001),
    ("read-committed", 0b0_0011),
    ("snapshot-isolation", 0b0_0111),
    ("repeatable-read", 0b0_1011),
    ("serializable", 0b1_1111),
];
/// What a model also respects, from nothing to the order of real time.
const STRENGTHS: [&str; 3] = ["", "strong-session-", "strong-"];

const READ_UNCOMMITTED: u8 = 0b0_0001;
const READ_COMMITTED: u8 = 0b0_0010;
const SNAPSHOT_ISOLATION: u8 = 0b0_0100;
const REPEATABLE_READ: u8 = 0b0_1000;

/// Each anomaly with the weakest models that forbid it.
const FORBIDDEN_BY: [(&str, u8); 13] = [
    ("internal", SNAPSHOT_ISOLATION | REPEATABLE_READ),
    ("duplicate-elements", READ_UNCOMMITTED),
    ("phantom-value", READ_UNCOMMITTED),
    ("incompatible-order", READ_COMMITTED),
    ("dirty-update", READ_COMMITTED),
    ("G1a", READ_COMMITTED),
    ("G1b", READ_COMMITTED),
    ("lost-update", SNAPSHOT_ISOLATION | REPEATABLE_READ),
    ("G0", READ_UNCOMMITTED),
    ("G1c", READ_COMMITTED),
    ("G-single", SNAPSHOT_ISOLATION | REPEATABLE_READ),
    ("G-nonadjacent", SNAPSHOT_ISOLATION | REPEATABLE_READ),
    ("G2-item", REPEATABLE_READ),
];

/// A set of models: for each strength five bits, those of [`BASE`].
pub(crate) type Models = u16;

/// The names of all models, of each strength the weakest first.
pub fn levels() -> impl Iterator<Item = String> {
    (0..STRENGTHS.len()).flat_map(|s| (0..BASE.len()).map(move |b| name((s, b))))
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
    let weakest = FORBIDDEN_BY
        .iter()
        .find(|(known, _)| *known == name)
        .map_or(0, |(_, weakest)| *weakest);
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
    let models = || (0..STRENGTHS.len()).flat_map(|s| (0..BASE.len()).map(move |b| (s, b)));
    let left = |(s, b): &(usize, usize)| out & (1 << (s * BASE.len() + b)) == 0;
    let implies = |(s, b): (usize, usize), (t, c): (usize, usize)| {
        s >= t
            && BASE
                .get(b)
                .is_some_and(|(_, implied)| implied & (1 << c) != 0)
    };
    models()
        .filter(left)
        .filter(|model| {
            !models()
                .filter(left)
                .any(|stronger| stronger != *model && implies(stronger, *model))
        })
        .map(name)
        .collect()
}

fn name((strength, base): (usize, usize)) -> String {
    let prefix = STRENGTHS.get(strength).copied().unwrap_or_default();
    let base = BASE.get(base).map(|(name, _)| *name).unwrap_or_default();
    match (prefix, base) {
        ("strong-", "serializable") => "strict-serializable".to_owned(),
        _ => format!("{prefix}{base}"),
    }
}

#[cfg(test)]
mod tests {
    use super::{forbids, levels, models_left, ruled_out};

    #[test]
    fn a_level_forbids_what_rules_it_out() {
        assert_eq!(levels().count(), 15);
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

    #[test]
    fn every_anomaly_rules_out_strict_serializability() {
        use crate::Checker;
        let names = [crate::list_append::ListAppend.anomalies()];
        for anomaly in names.concat() {
            assert_ne!(ruled_out(anomaly), 0, "{anomaly}");
            let left = models_left([anomaly]);
            assert!(
                !left.contains(&"strict-serializable".to_owned()),
                "{anomaly}"
            );
        }
        assert_eq!(ruled_out("no-such"), 0);
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
            ("lost-update", &["strong-read-committed"]),
            ("G-single", &["strong-read-committed"]),
            (
                "G-single-process",
                &["serializable", "strong-read-committed"],
            ),
            (
                "G-single-realtime",
                &["strong-session-serializable", "strong-read-committed"],
            ),
            ("G-nonadjacent", &["strong-read-committed"]),
            (
                "G-nonadjacent-process",
                &["serializable", "strong-read-committed"],
            ),
            (
                "G-nonadjacent-realtime",
                &["strong-session-serializable", "strong-read-committed"],
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
