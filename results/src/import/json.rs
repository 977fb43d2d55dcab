//! A reader of JSON (RFC 8259) that knows where everything begins and holds one value at a time.
//!
//! Values are those of EDN: an object is a map with texts as keys, a list a vector. Integers keep
//! all their digits. The same name twice in an object is refused.

use std::collections::BTreeMap;
use std::io::BufRead;

use super::edn::{EdnError, Float, Form, Place, Value};
use super::input::Input;

/// The deepest nesting that the reader takes. Bounds its recursion.
const DEPTH_MAX: usize = 128;

/// What the reader is in the midst of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Within {
    /// Values one after the other.
    Stream,
    /// A list whose elements are read one by one, at its first.
    ListBegun,
    /// The same, after an element.
    List,
}

/// Reads the values of a text one after the other; each element of a list at the top counts as
/// one. Ends after the first error.
pub(super) struct Values<'a> {
    input: Input<'a>,
    within: Within,
    depth: usize,
    ended: bool,
}

impl Iterator for Values<'_> {
    type Item = Result<Form, EdnError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let value = self.element();
        let value = self.input.fault().map_or(value, Err).transpose();
        self.ended = !matches!(value, Some(Ok(_)));
        value
    }
}

impl<'a> Values<'a> {
    pub(super) fn of_file(file: &'a mut dyn BufRead) -> Self {
        Self {
            input: Input::of_file(file),
            within: Within::Stream,
            depth: 0,
            ended: false,
        }
    }

    fn wrong<T>(&self, reason: impl Into<String>) -> Result<T, EdnError> {
        wrong(self.input.place(), reason)
    }

    fn blank(&mut self) {
        while let Some(' ' | '\n' | '\r' | '\t') = self.input.peek() {
            if self.depth == 0 {
                self.input.renew();
            }
            self.input.bump();
        }
    }

    fn element(&mut self) -> Result<Option<Form>, EdnError> {
        loop {
            self.input.renew();
            self.blank();
            match (self.within, self.input.peek()) {
                (Within::Stream, None) => return Ok(None),
                (Within::Stream, Some('[')) => {
                    self.input.bump();
                    self.within = Within::ListBegun;
                }
                (Within::ListBegun | Within::List, Some(']')) => {
                    self.input.bump();
                    self.within = Within::Stream;
                }
                (Within::List, Some(',')) => {
                    self.input.bump();
                    return self.value().map(Some);
                }
                (Within::List, Some(_)) => return self.wrong("expected , or ]"),
                (Within::ListBegun | Within::List, None) => {
                    return self.wrong("the text ends where ] is missing");
                }
                (Within::ListBegun, Some(_)) => {
                    self.within = Within::List;
                    return self.value().map(Some);
                }
                (Within::Stream, Some(_)) => return self.value().map(Some),
            }
        }
    }

    fn value(&mut self) -> Result<Form, EdnError> {
        self.blank();
        let place = self.input.place();
        let value = match self.input.peek() {
            Some('{') => Value::Map(self.object()?),
            Some('[') => Value::Vector(self.list()?),
            Some('"') => Value::Text(self.text()?),
            Some('-' | '0'..='9') => self.number(place)?,
            Some('a'..='z') => self.word(place)?,
            Some(_) => return self.wrong("expected value"),
            None => return self.wrong("the text ends where a value is missing"),
        };
        Ok(Form { value, place })
    }

    fn deeper(&mut self) -> Result<(), EdnError> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return self.wrong(format!("nested deeper than {DEPTH_MAX}"));
        }
        Ok(())
    }

    /// Takes a comma or the bracket that closes; whether it closed.
    fn closes(&mut self, close: char) -> Result<bool, EdnError> {
        self.blank();
        match self.input.peek() {
            Some(c) if c == close || c == ',' => {
                self.input.bump();
                Ok(c == close)
            }
            None => self.wrong(format!("the text ends where {close} is missing")),
            Some(_) => self.wrong(format!("expected , or {close}")),
        }
    }

    /// Takes the bracket that opens, and the one that closes if it comes next; whether it did.
    fn empty(&mut self, close: char) -> Result<bool, EdnError> {
        self.deeper()?;
        self.input.bump();
        self.blank();
        let empty = self.input.peek() == Some(close);
        if empty {
            self.input.bump();
        }
        Ok(empty)
    }

    fn list(&mut self) -> Result<Vec<Form>, EdnError> {
        let mut forms = Vec::new();
        let mut closed = self.empty(']')?;
        while !closed {
            forms.push(self.value()?);
            closed = self.closes(']')?;
        }
        self.depth -= 1;
        Ok(forms)
    }

    fn object(&mut self) -> Result<BTreeMap<Value, Form>, EdnError> {
        let mut map = BTreeMap::new();
        let mut closed = self.empty('}')?;
        while !closed {
            self.blank();
            let place = self.input.place();
            if self.input.peek() != Some('"') {
                return self.wrong("expected a name in quotes");
            }
            let name = self.text()?;
            self.blank();
            if self.input.peek() != Some(':') {
                return self.wrong("expected :");
            }
            self.input.bump();
            let value = self.value()?;
            if map.insert(Value::Text(name), value).is_some() {
                return wrong(place, "an object with the same name twice");
            }
            closed = self.closes('}')?;
        }
        self.depth -= 1;
        Ok(map)
    }

    /// Takes characters as long as they are of a kind.
    fn take(&mut self, of: fn(char) -> bool) -> String {
        let mut taken = String::new();
        while let Some(c) = self.input.peek().filter(|c| of(*c)) {
            taken.push(c);
            self.input.bump();
        }
        taken
    }

    fn word(&mut self, place: Place) -> Result<Value, EdnError> {
        match self.take(|c| c.is_ascii_alphanumeric()).as_str() {
            "null" => Ok(Value::Nil),
            "true" => Ok(Value::Bool(true)),
            "false" => Ok(Value::Bool(false)),
            _ => wrong(place, "expected value"),
        }
    }

    fn number(&mut self, place: Place) -> Result<Value, EdnError> {
        let text = self.take(|c| matches!(c, '0'..='9' | '+' | '-' | '.' | 'e' | 'E'));
        let whole = text.strip_prefix('-').unwrap_or(&text);
        let (mantissa, exponent) = match whole.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, Some(exponent)),
            None => (whole, None),
        };
        let exponent = exponent.map(|e| e.strip_prefix(['+', '-']).unwrap_or(e));
        let (integer, fraction) = match mantissa.split_once('.') {
            Some((integer, fraction)) => (integer, Some(fraction)),
            None => (mantissa, None),
        };
        let digits = |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit());
        let good = digits(integer)
            && (integer == "0" || !integer.starts_with('0'))
            && fraction.is_none_or(digits)
            && exponent.is_none_or(digits);
        if !good {
            return wrong(place, format!("{text} is no number"));
        }
        if fraction.is_none() && exponent.is_none() {
            return Ok(text.parse().map_or(Value::Exact(text), Value::Int));
        }
        match text.parse::<f64>() {
            Ok(float) if float.is_finite() => Ok(Value::Float(Float(float))),
            _ => wrong(place, format!("{text} is out of range")),
        }
    }

    /// Reads a text; its opening quote is next.
    fn text(&mut self) -> Result<String, EdnError> {
        let begin = self.input.place();
        self.input.bump();
        let mut text = String::new();
        loop {
            let place = self.input.place();
            match self.input.bump() {
                None => return wrong(begin, "a text without its closing quote"),
                Some('"') => return Ok(text),
                Some('\\') => text.push(self.escape(place)?),
                Some(c) if c < ' ' => {
                    return wrong(place, "a control character in a text; it must be escaped");
                }
                Some(c) => text.push(c),
            }
        }
    }

    fn escape(&mut self, place: Place) -> Result<char, EdnError> {
        Ok(match self.input.bump() {
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some(c @ ('"' | '\\' | '/')) => c,
            Some('u') => return self.unicode(place),
            _ => return wrong(place, "an escape that JSON does not know"),
        })
    }

    /// Reads the digits of `\uXXXX`, and the other half if that is a surrogate.
    fn unicode(&mut self, place: Place) -> Result<char, EdnError> {
        let mut code = self.four_digits(place)?;
        if (0xd800..0xdc00).contains(&code) && self.input.starts_with(b"\\u") {
            self.input.bump();
            self.input.bump();
            let low = self.four_digits(place)?;
            if !(0xdc00..0xe000).contains(&low) {
                return wrong(place, "half a character");
            }
            code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
        }
        char::from_u32(code).map_or_else(|| wrong(place, "half a character"), Ok)
    }

    fn four_digits(&mut self, place: Place) -> Result<u32, EdnError> {
        let mut code = 0;
        for _ in 0..4 {
            let Some(digit) = self.input.peek().and_then(|c| c.to_digit(16)) else {
                return wrong(place, "\\u needs four hexadecimal digits");
            };
            code = code * 16 + digit;
            self.input.bump();
        }
        Ok(code)
    }
}

fn wrong<T>(place: Place, reason: impl Into<String>) -> Result<T, EdnError> {
    let reason = reason.into();
    Err(EdnError { place, reason })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ours(text: &str) -> Result<Vec<Form>, EdnError> {
        Values::of_file(&mut text.as_bytes()).collect()
    }

    #[test]
    fn what_is_json_is_read_and_nothing_else() {
        let good = [
            "0",
            "-0",
            "12",
            "-1.5e+3",
            "1E400",
            "9223372036854775808",
            "01",
            "1.",
            ".5",
            "+1",
            "-",
            "1e",
            "true",
            "truex",
            "nul",
            "null",
            "\"a\\u00e9\\ud83d\\ude00\"",
            "\"\\ud83d\"",
            "\"\\ude00\"",
            "\"\\x\"",
            "\"\t\"",
            "\"",
            "[]",
            "[1,]",
            "[,]",
            "[1 2]",
            "[1,2",
            "{}",
            "{\"a\":1}",
            "{\"a\":1,}",
            "{\"a\" 1}",
            "{a:1}",
            "{\"a\":{\"b\":[null,false]}}",
            "",
            "]",
            "NaN",
            "'a'",
            "{\"a\":}",
        ];
        for text in good {
            // One deeper, for a list at the top is a list of values.
            let wrapped = format!("[[{text}]]");
            let theirs = serde_json::from_str::<serde_json::Value>(&wrapped);
            assert_eq!(ours(&wrapped).is_ok(), theirs.is_ok(), "{text}: {theirs:?}");
        }
    }

    #[test]
    fn nesting_is_bounded() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(ours(&nested(DEPTH_MAX + 1)).is_ok());
        assert!(ours(&nested(DEPTH_MAX + 2)).is_err());
        assert!(ours(&"[".repeat(100_000)).is_err());
        assert!(ours("{\"a\":1,\"a\":1}").is_err());
    }
}
