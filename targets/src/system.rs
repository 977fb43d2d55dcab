//! A target together with what its options make of it.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use serde_json::Value as Json;
use tribunal_results::options::OptionError;

use crate::Target;

/// A target as one run uses it: from the catalogue, or made for that run by its options.
#[derive(Clone)]
pub enum System {
    /// One of the catalogue.
    Registered(&'static dyn Target),
    /// One made by its options.
    Configured(Arc<dyn Target>),
}

impl System {
    /// The target with those options.
    ///
    /// # Errors
    /// The path and nature of the first wrong option.
    pub fn new(target: &'static dyn Target, options: &Json) -> Result<Self, OptionError> {
        Ok(match target.configured(options) {
            Some(configured) => Self::Configured(configured?),
            None => Self::Registered(target),
        })
    }
}

impl Deref for System {
    type Target = dyn Target;

    fn deref(&self) -> &Self::Target {
        match self {
            Self::Registered(target) => *target,
            Self::Configured(target) => &**target,
        }
    }
}

impl From<&'static dyn Target> for System {
    fn from(target: &'static dyn Target) -> Self {
        Self::Registered(target)
    }
}

impl fmt::Debug for System {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
