//! What suites may say of PostgreSQL.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value as Json;
use tribunal_results::NodeId;
use tribunal_results::options::{OptionError, Time, decode};

use super::SERVER;
use crate::sql::Dialect;
use crate::transaction::Bank;

/// How long a primary that hears nothing of the other node may go on.
const PATIENCE: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(3_600);

/// The isolation level of transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Isolation {
    ReadCommitted,
    RepeatableRead,
    Serializable,
}

impl Isolation {
    const fn in_sql(self) -> &'static str {
        match self {
            Self::ReadCommitted => "read committed",
            Self::RepeatableRead => "repeatable read",
            Self::Serializable => "serializable",
        }
    }

    /// The level of that name in the literature (Adya 1999), by which it is judged.
    pub(super) const fn in_theory(self) -> &'static str {
        match self {
            Self::ReadCommitted => "read-committed",
            Self::RepeatableRead => "repeatable-read",
            Self::Serializable => "serializable",
        }
    }
}

/// Where transactions that only read are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Reads {
    /// To the client's own node.
    Local,
    /// To the primary.
    Primary,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Options {
    /// The isolation level of all transactions.
    pub(super) isolation: Isolation,
    /// Where transactions that only read are sent.
    pub(super) reads: Reads,
    /// The setting `synchronous_standby_names`: whom commits wait for.
    pub(super) synchronous_standby_names: String,
    /// How long a primary goes on that hears nothing of its standby, which then takes its place.
    pub(super) failover: Option<Time>,
    /// The folder of PostgreSQL's programs; Debian's newest if absent.
    pub(super) bin: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl Options {
    pub(super) const DEFAULT: Self = Self {
        isolation: Isolation::Serializable,
        reads: Reads::Primary,
        synchronous_standby_names: String::new(),
        failover: None,
        bin: None,
    };

    pub(super) fn read(options: &Json) -> Result<Self, OptionError> {
        let options: Self = decode(options)?;
        let wrong = |patience: &Time| !PATIENCE.contains(&patience.0);
        if options.failover.as_ref().is_some_and(wrong) {
            return Err(OptionError::new("failover", "from 1s to 1h"));
        }
        if options.synchronous_standby_names.contains('\0') {
            return Err(OptionError::new("synchronous_standby_names", "holds a NUL"));
        }
        Ok(options)
    }

    /// Whether a cluster of these nodes can be as they say.
    pub(super) fn check(&self, nodes: &[NodeId]) -> Result<(), OptionError> {
        let reads_here = self.reads == Reads::Local;
        if self.isolation == Isolation::Serializable && reads_here && nodes.len() > 1 {
            let text = "PostgreSQL refuses serializable transactions on hot standbys; take \
                        `reads: primary`, or `isolation: repeatable-read`";
            return Err(OptionError::new("reads", text));
        }
        if self.failover.is_some() && nodes.len() != 2 {
            let text = "it is between a primary and one standby; take `nodes: 2`";
            return Err(OptionError::new("failover", text));
        }
        if self.failover.is_some() && reads_here {
            let text = "with `failover` all is asked of whoever is the primary; take \
                        `reads: primary`";
            return Err(OptionError::new("reads", text));
        }
        Ok(())
    }

    /// The server.
    pub(super) fn server(&self) -> Result<PathBuf, String> {
        let given = self.bin.as_ref().map(|bin| Path::new(bin).join("postgres"));
        SERVER.find(given.as_deref().and_then(Path::to_str))
    }

    pub(super) fn dialect(&self) -> Dialect {
        Dialect {
            begin: format!("begin isolation level {}", self.isolation.in_sql()),
            or_replace: "on conflict (k) do update set v = excluded.v",
            or_append: "on conflict (k) do update set v = lists.v || ',' || excluded.v",
            or_nothing: "on conflict do nothing",
            doubles_backslashes: false,
            bank: Bank::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(options: Json, nodes: usize) -> Result<(), String> {
        let nodes: Vec<NodeId> = (1..=nodes).map(|n| NodeId::from(format!("n{n}"))).collect();
        let checked = Options::read(&options).and_then(|options| options.check(&nodes));
        checked.map_err(|e| e.path)
    }

    #[test]
    fn serializable_transactions_on_standbys_are_refused_before_anything_starts() {
        let wrong = json!({ "isolation": "serializable", "reads": "local" });
        assert_eq!(check(wrong.clone(), 2), Err("reads".into()));
        assert_eq!(check(wrong, 1), Ok(()));
        let right = json!({ "isolation": "repeatable-read", "reads": "local" });
        assert_eq!(check(right, 2), Ok(()));
        assert!(check(json!({ "isolation": "read-uncommitted" }), 2).is_err());
    }

    #[test]
    fn failover_is_between_two_and_all_is_asked_of_the_primary() {
        let failover = json!({ "failover": "2s" });
        assert_eq!(check(failover.clone(), 2), Ok(()));
        assert_eq!(check(failover.clone(), 3), Err("failover".into()));
        assert_eq!(check(failover, 1), Err("failover".into()));
        assert_eq!(
            check(json!({ "failover": "1ms" }), 2),
            Err("failover".into())
        );
        let local = json!({ "failover": "2s", "reads": "local", "isolation": "read-committed" });
        assert_eq!(check(local, 2), Err("reads".into()));
    }

    #[test]
    fn each_level_is_asked_for_by_its_own_name() {
        for (name, in_sql) in [
            ("read-committed", "read committed"),
            ("repeatable-read", "repeatable read"),
            ("serializable", "serializable"),
        ] {
            let options = Options::read(&json!({ "isolation": name })).unwrap();
            let begin = format!("begin isolation level {in_sql}");
            assert_eq!(options.dialect().begin, begin);
            assert_eq!(options.isolation.in_theory(), name);
        }
        assert_eq!(
            Options::read(&json!({})).unwrap().isolation,
            Isolation::Serializable
        );
    }
}
