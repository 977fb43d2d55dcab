//! A reader of EDN (<https://github.com/edn-format/edn>), as Clojure prints it.
//!
//! Forms are read one by one, so that a file may be one vector or a stream of forms. Each form
//! knows where it begins. What Clojure's reader takes beyond the specification and histories
//! hold is taken, too: `##Inf`, ratios, hexadecimal, octal and radix integers. Metadata, regular
//! expressions and namespaced maps are refused.

mod atom;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use atom::{atom, digits, hexadecimal};

/// The deepest nesting that the reader takes. Bounds its recursion.
pub const DEPTH_MAX: usize = 512;

/// A place in the text: line and column, both from 1; a column is a character.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The line.
    pub line: u32,
    /// The column.
    pub column: u32,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// Why text is not EDN, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {reason}")]
pub struct EdnError {
    /// The place.
    pub place: Place,
    /// What is wrong there.
    pub reason: String,
}

/// A floating-point number with a total order, in which it equals itself even if not a number.
#[derive(Clone, Copy, Debug)]
pub struct Float(pub f64);

impl Ord for Float {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl PartialOrd for Float {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Float {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Float {}

/// One EDN value. Maps and sets are equal whatever the order in which they were written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Value {
    /// `nil`
    Nil,
    /// `true`, `false`
    Bool(bool),
    /// An integer of 64 bits, whether or not it was marked with `N`.
    Int(i64),
    /// Any other exact number, as text: a larger integer, a ratio, a decimal with its `M`.
    Exact(String),
    /// A floating-point number.
    Float(Float),
    /// `\c`
    Char(char),
    /// `"text"`
    Text(String),
    /// `name`
    Symbol(String),
    /// `:name`, without its colon.
    Keyword(String),
    /// `(…)`
    List(Vec<Form>),
    /// `[…]`
    Vector(Vec<Form>),
    /// `{…}`
    Map(BTreeMap<Value, Form>),
    /// `#{…}`
    Set(BTreeSet<Value>),
    /// `#tag value`, without its hash.
    Tagged(String, Box<Form>),
}

/// A value and where it begins. The place plays no part in comparisons.
#[derive(Clone, Debug)]
pub struct Form {
    /// The value.
    pub value: Value,
    /// Where it begins.
    pub place: Place,
}

impl Ord for Form {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.value.cmp(&other.value)
    }
}

impl PartialOrd for Form {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Form {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl Eq for Form {}

/// Reads the forms of a text, one after the other; ends after the first error.
#[derive(Debug)]
pub struct Reader<'a> {
    rest: &'a str,
    place: Place,
    depth: usize,
    ended: bool,
}

impl Iterator for Reader<'_> {
    type Item = Result<Form, EdnError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let form = self.form(None).transpose();
        self.ended = !matches!(form, Some(Ok(_)));
        form
    }
}

impl<'a> Reader<'a> {
    /// A reader of `text` from its beginning.
    pub const fn new(text: &'a str) -> Self {
        let place = Place { line: 1, column: 1 };
        Self {
            rest: text,
            place,
            depth: 0,
            ended: false,
        }
    }

    fn wrong<T>(&self, reason: impl Into<String>) -> Result<T, EdnError> {
        wrong(self.place, reason)
    }

    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn bump(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let c = chars.next()?;
        self.rest = chars.as_str();
        if c == '\n' {
            self.place.line = self.place.line.saturating_add(1);
            self.place.column = 1;
        } else {
            self.place.column = self.place.column.saturating_add(1);
        }
        Some(c)
    }

    /// Takes characters up to the next that ends a token.
    fn token(&mut self) -> &'a str {
        let end = self.rest.find(ends_token).unwrap_or(self.rest.len());
        let (token, _) = self.rest.split_at(end);
        while self.peek().is_some_and(|c| !ends_token(c)) {
            self.bump();
        }
        token
    }

    /// Skips white space and comments.
    fn blank(&mut self) {
        while let Some(c) = self.peek() {
            if c == ';' {
                while self.peek().is_some_and(|c| c != '\n') {
                    self.bump();
                }
            } else if is_blank(c) {
                self.bump();
            } else {
                return;
            }
        }
    }

    /// Reads the next form; `None` at the bracket that closes, or at the end of the text if
    /// none must.
    fn form(&mut self, close: Option<char>) -> Result<Option<Form>, EdnError> {
        loop {
            self.blank();
            let Some(c) = self.peek() else {
                return match close {
                    None => Ok(None),
                    Some(close) => self.wrong(format!("the text ends where {close} is missing")),
                };
            };
            if Some(c) == close {
                self.bump();
                return Ok(None);
            }
            if !self.rest.starts_with("#_") {
                return self.value(c).map(Some);
            }
            let place = self.place;
            self.bump();
            self.bump();
            self.needed(place, "#_")?;
        }
    }

    /// Reads the form that must follow what begins at `place`.
    fn needed(&mut self, place: Place, what: &str) -> Result<Form, EdnError> {
        self.deeper()?;
        let form = self.form(None)?;
        self.depth -= 1;
        form.map_or_else(|| wrong(place, format!("nothing follows {what}")), Ok)
    }

    fn deeper(&mut self) -> Result<(), EdnError> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return self.wrong(format!("nested deeper than {DEPTH_MAX}"));
        }
        Ok(())
    }

    fn value(&mut self, first: char) -> Result<Form, EdnError> {
        let place = self.place;
        let value = match first {
            '(' => Value::List(self.sequence(')')?),
            '[' => Value::Vector(self.sequence(']')?),
            '{' => Value::Map(self.map()?),
            '"' => Value::Text(self.text()?),
            '\\' => self.character()?,
            '#' => self.dispatch()?,
            ')' | ']' | '}' => return self.wrong(format!("{first} closes nothing")),
            '^' => return self.wrong("metadata (^) is not EDN"),
            _ => atom(self.token()).or_else(|reason| wrong(place, reason))?,
        };
        Ok(Form { value, place })
    }

    /// Reads forms up to the bracket that closes; the one that opens is next.
    fn sequence(&mut self, close: char) -> Result<Vec<Form>, EdnError> {
        self.bump();
        self.deeper()?;
        let mut forms = Vec::new();
        while let Some(form) = self.form(Some(close))? {
            forms.push(form);
        }
        self.depth -= 1;
        Ok(forms)
    }

    fn map(&mut self) -> Result<BTreeMap<Value, Form>, EdnError> {
        let place = self.place;
        let mut map = BTreeMap::new();
        let mut forms = self.sequence('}')?.into_iter();
        while let Some(key) = forms.next() {
            let Some(value) = forms.next() else {
                return wrong(place, "a map with a key that has no value");
            };
            if map.insert(key.value, value).is_some() {
                return wrong(key.place, "a map with the same key twice");
            }
        }
        Ok(map)
    }

    fn set(&mut self) -> Result<BTreeSet<Value>, EdnError> {
        let mut set = BTreeSet::new();
        for form in self.sequence('}')? {
            if !set.insert(form.value) {
                return wrong(form.place, "a set with the same element twice");
            }
        }
        Ok(set)
    }

    /// Reads what begins with `#`.
    fn dispatch(&mut self) -> Result<Value, EdnError> {
        let place = self.place;
        self.bump();
        match self.peek() {
            Some('{') => return self.set().map(Value::Set),
            Some('#') => {
                self.bump();
                return match self.token() {
                    "Inf" => Ok(Value::Float(Float(f64::INFINITY))),
                    "-Inf" => Ok(Value::Float(Float(f64::NEG_INFINITY))),
                    "NaN" => Ok(Value::Float(Float(f64::NAN))),
                    other => wrong(place, format!("##{other} is not EDN")),
                };
            }
            _ => {}
        }
        match atom(self.token()) {
            Ok(Value::Symbol(tag)) => {
                let form = self.needed(place, "a tag")?;
                Ok(Value::Tagged(tag, Box::new(form)))
            }
            _ => wrong(place, "# must be followed by { or _ or a tag"),
        }
    }

    /// Reads a text; its opening quote is next.
    fn text(&mut self) -> Result<String, EdnError> {
        let begin = self.place;
        self.bump();
        let mut text = String::new();
        loop {
            let place = self.place;
            match self.bump() {
                None => return wrong(begin, "a text without its closing quote"),
                Some('"') => return Ok(text),
                Some('\\') => text.push(self.escape(place)?),
                Some(c) => text.push(c),
            }
        }
    }

    /// Reads an escape in a text; its backslash, at `place`, is taken.
    fn escape(&mut self, place: Place) -> Result<char, EdnError> {
        Ok(match self.bump() {
            Some('t') => '\t',
            Some('r') => '\r',
            Some('n') => '\n',
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some(c @ ('"' | '\\')) => c,
            Some('u') => return self.unicode(place),
            Some(c @ '0'..='7') => {
                let mut code = u32::from(c) - 48;
                while let Some(digit) = self.peek().and_then(|c| c.to_digit(8)) {
                    if code * 8 + digit > 0o377 {
                        break;
                    }
                    code = code * 8 + digit;
                    self.bump();
                }
                char::from_u32(code).unwrap_or_default()
            }
            _ => return wrong(place, "an escape that EDN does not know"),
        })
    }

    /// Reads the digits of `\uXXXX`, and the other half if that is a surrogate.
    fn unicode(&mut self, place: Place) -> Result<char, EdnError> {
        let unit = self.four_digits(place)?;
        if !(0xd800..0xdc00).contains(&unit) {
            return char::from_u32(unit).map_or_else(|| wrong(place, "half a character"), Ok);
        }
        if !self.rest.starts_with("\\u") {
            return wrong(place, "half a character");
        }
        self.bump();
        self.bump();
        let low = self.four_digits(place)?;
        let code = (0xdc00..0xe000)
            .contains(&low)
            .then(|| 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00));
        code.and_then(char::from_u32)
            .map_or_else(|| wrong(place, "half a character"), Ok)
    }

    fn four_digits(&mut self, place: Place) -> Result<u32, EdnError> {
        let mut code = 0;
        for _ in 0..4 {
            let Some(digit) = self.peek().and_then(|c| c.to_digit(16)) else {
                return wrong(place, "\\u needs four hexadecimal digits");
            };
            code = code * 16 + digit;
            self.bump();
        }
        Ok(code)
    }

    /// Reads `\c`, `\newline`, `\u0041`, `\o101`; its backslash is next.
    fn character(&mut self) -> Result<Value, EdnError> {
        let place = self.place;
        self.bump();
        let Some(first) = self.bump().filter(|c| !c.is_whitespace()) else {
            return wrong(place, "no character follows the backslash");
        };
        let more = if ends_token(first) { "" } else { self.token() };
        let code = match first {
            _ if more.is_empty() => Some(first),
            'u' if more.len() == 4 => hexadecimal(more).and_then(char::from_u32),
            'o' if more.len() <= 3 => digits(more, 8)
                .and_then(|code| u8::try_from(code).ok())
                .map(char::from),
            _ => NAMED
                .iter()
                .find(|(name, _)| name.strip_prefix(first) == Some(more))
                .map(|&(_, c)| c),
        };
        code.map(Value::Char).map_or_else(
            || wrong(place, format!("\\{first}{more} is no character")),
            Ok,
        )
    }
}

/// The characters that have names.
const NAMED: [(&str, char); 6] = [
    ("newline", '\n'),
    ("return", '\r'),
    ("space", ' '),
    ("tab", '\t'),
    ("formfeed", '\u{c}'),
    ("backspace", '\u{8}'),
];

fn wrong<T>(place: Place, reason: impl Into<String>) -> Result<T, EdnError> {
    let reason = reason.into();
    Err(EdnError { place, reason })
}

fn is_blank(c: char) -> bool {
    c.is_whitespace() || c == ','
}

fn ends_token(c: char) -> bool {
    is_blank(c)
        || matches!(
            c,
            '"' | ';' | '^' | '(' | ')' | '[' | ']' | '{' | '}' | '\\'
        )
}
