//! JSON values that are kept as they were written, and yet compared by what they mean.

use serde_json::Value as Json;
use serde_json::value::RawValue;

/// More digits in a row than any number has that is compared exactly.
const DIGITS_MAX: usize = 18;

/// A value.
#[derive(Clone, Debug)]
pub(super) struct Value(Box<str>);

impl Value {
    /// As it was written.
    pub(super) fn new(raw: &RawValue) -> Self {
        Self(raw.get().into())
    }

    /// The text of it.
    pub(super) fn text(&self) -> &str {
        &self.0
    }

    /// What it means, in one form for all ways to write it, so that it can be a key.
    pub(super) fn canonical(&self) -> String {
        match serde_json::from_str::<Json>(&self.0) {
            // Longer numbers would be rounded.
            Ok(json) if !has_long_number(&self.0) => json.to_string(),
            _ => self.0.to_string(),
        }
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0 || self.canonical() == other.canonical()
    }
}

fn has_long_number(text: &str) -> bool {
    let mut run = 0;
    text.bytes().any(|byte| {
        run = if byte.is_ascii_digit() { run + 1 } else { 0 };
        run > DIGITS_MAX
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> Value {
        Value(text.into())
    }

    #[test]
    fn values_are_equal_by_what_they_mean_and_long_numbers_exactly() {
        assert_eq!(value(r#"{"a":1,"b":[2]}"#), value(r#"{"b": [2], "a": 1}"#));
        assert_ne!(value("1"), value("\"1\""));
        assert_ne!(
            value("9007199254740993000001"),
            value("9007199254740993000002")
        );
        assert_ne!(value("9007199254740993"), value("9007199254740992"));
    }
}
