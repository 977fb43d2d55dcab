//! Which of the two fabrics.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How what nodes send each other is carried, so that it can be broken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// As bytes of TCP connections, each of which ends at a proxy.
    #[default]
    Proxy,
    /// As packets between network namespaces.
    Switch,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Proxy => "proxy",
            Self::Switch => "switch",
        })
    }
}
