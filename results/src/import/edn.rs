//! A reader of EDN (<https://github.com/edn-format/edn>), as Clojure prints it.
//!
//! Forms are read one by one, as they are asked for, so that a file may be one vector or a stream
//! of forms, and larger than the memory. Each form knows where it begins. What Clojure's reader takes beyond the specification and histories
//! hold is taken, too: `##Inf`, ratios, hexadecimal, octal and radix integers. Metadata, regular
//! expressions and namespaced maps are refused.

mod atom;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::BufRead;

use super::input::Input;
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
    input: Input<'a>,
    /// The word at hand; kept for its memory.
    word: String,
    depth: usize,
    /// The bracket that closes the list whose elements are read one by one.
    within: Option<char>,
    ended: bool,
}

impl Iterator for Reader<'_> {
    type Item = Result<Form, EdnError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let form = self.form(None);
        self.done(form)
    }
}

impl<'a> Reader<'a> {
    /// A reader of `text` from its beginning.
    pub const fn new(text: &'a str) -> Self {
        Self::of(Input::of_text(text))
    }

    /// A reader of a file, which holds one form at a time.
    pub fn of_file(file: &'a mut dyn BufRead) -> Self {
        Self::of(Input::of_file(file))
    }

    const fn of(input: Input<'a>) -> Self {
        Self {
            input,
            word: String::new(),
            depth: 0,
            within: None,
            ended: false,
        }
    }

    /// The next form where each element of a vector or a list counts as one; not the elements
    /// within those.
    pub fn element(&mut self) -> Option<Result<Form, EdnError>> {
        while !self.ended {
            self.blank();
            let close = match self.input.peek() {
                Some('[') if self.within.is_none() => ']',
                Some('(') if self.within.is_none() => ')',
                _ => {
                    let form = self.form(self.within);
                    if self.within.is_some() && matches!(form, Ok(None)) {
                        self.within = None;
                        continue;
                    }
                    return self.done(form);
                }
            };
            self.input.bump();
            self.within = Some(close);
        }
        None
    }

    /// What was read, or why nothing was.
    fn done(&mut self, form: Result<Option<Form>, EdnError>) -> Option<Result<Form, EdnError>> {
        let form = self.input.fault().map_or(form, Err).transpose();
        self.ended = !matches!(form, Some(Ok(_)));
        form
    }

    fn wrong<T>(&self, reason: impl Into<String>) -> Result<T, EdnError> {
        wrong(self.input.place(), reason)
    }

    /// Takes characters up to the next that ends a token; `of` makes something of them.
    fn token<T>(&mut self, of: impl FnOnce(&str) -> T) -> T {
        let mut word = std::mem::take(&mut self.word);
        word.clear();
        while let Some(c) = self.input.peek().filter(|c| !ends_token(*c)) {
            word.push(c);
            self.input.bump();
        }
        let made = of(&word);
        self.word = word;
        made
    }

    /// Skips white space and comments.
    fn blank(&mut self) {
        let mut comment = false;
        while let Some(c) = self.input.peek() {
            comment = c != '\n' && (comment || c == ';');
            if !comment && !is_blank(c) {
                return;
            }
            if self.depth == 0 {
                self.input.renew();
            }
            self.input.bump();
        }
    }

    /// Reads the next form; `None` at the bracket that closes, or at the end of the text if
    /// none must.
    fn form(&mut self, close: Option<char>) -> Result<Option<Form>, EdnError> {
        if self.depth == 0 {
            self.input.renew();
        }
        loop {
            self.blank();
            let Some(c) = self.input.peek() else {
                return match close {
                    None => Ok(None),
                    Some(close) => self.wrong(format!("the text ends where {close} is missing")),
                };
            };
            if Some(c) == close {
                self.input.bump();
                return Ok(None);
            }
            if !self.input.starts_with(b"#_") {
                return self.value(c).map(Some);
            }
            let place = self.input.place();
            self.input.bump();
            self.input.bump();
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
        let place = self.input.place();
        let value = match first {
            '(' => Value::List(self.sequence(')')?),
            '[' => Value::Vector(self.sequence(']')?),
            '{' => Value::Map(self.map()?),
            '"' => Value::Text(self.text()?),
            '\\' => self.character()?,
            '#' => self.dispatch()?,
            ')' | ']' | '}' => return self.wrong(format!("{first} closes nothing")),
            '^' => return self.wrong("metadata (^) is not EDN"),
            _ => self.token(atom).or_else(|reason| wrong(place, reason))?,
        };
        Ok(Form { value, place })
    }

    /// Reads forms up to the bracket that closes; the one that opens is next.
    fn sequence(&mut self, close: char) -> Result<Vec<Form>, EdnError> {
        self.input.bump();
        self.deeper()?;
        let mut forms = Vec::new();
        while let Some(form) = self.form(Some(close))? {
            forms.push(form);
        }
        self.depth -= 1;
        Ok(forms)
    }

    fn map(&mut self) -> Result<BTreeMap<Value, Form>, EdnError> {
        let place = self.input.place();
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
        let place = self.input.place();
        self.input.bump();
        match self.input.peek() {
            Some('{') => return self.set().map(Value::Set),
            Some('#') => {
                self.input.bump();
                return self.token(|name| match name {
                    "Inf" => Ok(Value::Float(Float(f64::INFINITY))),
                    "-Inf" => Ok(Value::Float(Float(f64::NEG_INFINITY))),
                    "NaN" => Ok(Value::Float(Float(f64::NAN))),
                    other => wrong(place, format!("##{other} is not EDN")),
                });
            }
            _ => {}
        }
        match self.token(atom) {
            Ok(Value::Symbol(tag)) => {
                let form = self.needed(place, "a tag")?;
                Ok(Value::Tagged(tag, Box::new(form)))
            }
            _ => wrong(place, "# must be followed by { or _ or a tag"),
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
                Some(c) => text.push(c),
            }
        }
    }

    /// Reads an escape in a text; its backslash, at `place`, is taken.
    fn escape(&mut self, place: Place) -> Result<char, EdnError> {
        Ok(match self.input.bump() {
            Some('t') => '\t',
            Some('r') => '\r',
            Some('n') => '\n',
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some(c @ ('"' | '\\')) => c,
            Some('u') => return self.unicode(place),
            Some(c @ '0'..='7') => {
                let mut code = u32::from(c) - 48;
                while let Some(digit) = self.input.peek().and_then(|c| c.to_digit(8)) {
                    if code * 8 + digit > 0o377 {
                        break;
                    }
                    code = code * 8 + digit;
                    self.input.bump();
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
        if !self.input.starts_with(b"\\u") {
            return wrong(place, "half a character");
        }
        self.input.bump();
        self.input.bump();
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
            let Some(digit) = self.input.peek().and_then(|c| c.to_digit(16)) else {
                return wrong(place, "\\u needs four hexadecimal digits");
            };
            code = code * 16 + digit;
            self.input.bump();
        }
        Ok(code)
    }

    /// Reads `\c`, `\newline`, `\u0041`, `\o101`; its backslash is next.
    fn character(&mut self) -> Result<Value, EdnError> {
        let place = self.input.place();
        self.input.bump();
        let Some(first) = self.input.bump().filter(|c| !c.is_whitespace()) else {
            return wrong(place, "no character follows the backslash");
        };
        let ended = ends_token(first);
        let more = if ended {
            String::new()
        } else {
            self.token(str::to_owned)
        };
        let more = more.as_str();
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
