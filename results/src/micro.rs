//! The steps of a transaction.
//!
//! Their JSON form is Jepsen's: `["r", key, seen]`, `["append", key, value]`, `["w", key, value]`.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Scalar;

/// What a read within a transaction saw.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "must be null, an integer of 64 bits, a text, or a list of those"
)]
pub enum Seen {
    /// In an answer: the key was absent. In a request: nothing yet.
    #[default]
    Nothing,
    /// The register's value.
    Value(Scalar),
    /// The list's elements, the oldest first.
    List(Vec<Scalar>),
}

/// One step of a transaction (a *micro-operation*).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Micro {
    /// Read a register or a list.
    Read {
        /// The register or the list.
        key: Scalar,
        /// What it was; [`Seen::Nothing`] in a request.
        seen: Seen,
    },
    /// Append `value` to the list `key`.
    Append {
        /// The list.
        key: Scalar,
        /// The new last element.
        value: Scalar,
    },
    /// Write `value` to the register `key`.
    Write {
        /// The register.
        key: Scalar,
        /// The new value.
        value: Scalar,
    },
}

impl Micro {
    /// The register or the list.
    pub const fn key(&self) -> &Scalar {
        match self {
            Self::Read { key, .. } | Self::Append { key, .. } | Self::Write { key, .. } => key,
        }
    }

    /// The step as it is asked for: a read has seen nothing yet.
    #[must_use]
    pub fn asked(&self) -> Self {
        match self {
            Self::Read { key, .. } => Self::Read {
                key: key.clone(),
                seen: Seen::Nothing,
            },
            other => other.clone(),
        }
    }
}

impl Serialize for Micro {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Read { key, seen } => ("r", key, seen).serialize(serializer),
            Self::Append { key, value } => ("append", key, value).serialize(serializer),
            Self::Write { key, value } => ("w", key, value).serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Micro {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (name, key, seen) = <(String, Scalar, Seen)>::deserialize(deserializer)?;
        match (name.as_str(), seen) {
            ("r", seen) => Ok(Self::Read { key, seen }),
            ("append", Seen::Value(value)) => Ok(Self::Append { key, value }),
            ("w", Seen::Value(value)) => Ok(Self::Write { key, value }),
            ("append" | "w", _) => Err(serde::de::Error::custom(format!(
                "{name:?} of {key} needs a value: an integer of 64 bits or a text"
            ))),
            _ => Err(serde::de::Error::custom(format!(
                "unknown step {name:?}; there are \"r\", \"append\" and \"w\""
            ))),
        }
    }
}

impl fmt::Display for Micro {
    /// As a person would write it: `r x → [1, 2]`, `append x 3`, `w y = 4`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read {
                key,
                seen: Seen::Nothing,
            } => write!(f, "r {key}"),
            Self::Read { key, seen } => write!(f, "r {key} → {seen}"),
            Self::Append { key, value } => write!(f, "append {key} {value}"),
            Self::Write { key, value } => write!(f, "w {key} = {value}"),
        }
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("nothing"),
            Self::Value(value) => write!(f, "{value}"),
            Self::List(values) => {
                f.write_str("[")?;
                separated(f, values)?;
                f.write_str("]")
            }
        }
    }
}

/// The items with commas between.
pub(crate) fn separated(f: &mut fmt::Formatter<'_>, items: &[impl fmt::Display]) -> fmt::Result {
    for (at, item) in items.iter().enumerate() {
        let comma = if at == 0 { "" } else { ", " };
        write!(f, "{comma}{item}")?;
    }
    Ok(())
}
