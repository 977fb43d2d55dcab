//! Keys and values: small integers or short texts.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// A key or a value of a data model: an integer or a text, as JSON writes them.
///
/// Integers keep all 64 bits; nothing passes through a floating-point number.
#[derive(
    Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(untagged, expecting = "must be an integer of 64 bits or a text")]
pub enum Scalar {
    /// A signed integer.
    Int(i64),
    /// A text, shared: cloning is cheap.
    Text(Arc<str>),
}

impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int(n) => write!(f, "{n}"),
            Self::Text(s) => f.write_str(s),
        }
    }
}

impl From<i64> for Scalar {
    fn from(n: i64) -> Self {
        Self::Int(n)
    }
}

impl From<&str> for Scalar {
    fn from(s: &str) -> Self {
        Self::Text(s.into())
    }
}

impl From<String> for Scalar {
    fn from(s: String) -> Self {
        Self::Text(s.into())
    }
}
