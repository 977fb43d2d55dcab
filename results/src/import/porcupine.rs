//! The text logs of Jepsen (`history.txt`, or its console's), as Porcupine's tests hold them:
//! one line an event, `process :type :f value`, perhaps after a logger's name and ` - `.

use std::io::BufRead;

use super::assemble::Assembly;
use super::edn::{Reader, Value};
use super::entry::{Entry, client_of, kind_of, name_of};
use super::lines::Lines;
use super::{Format, Head, ImportError, Read, Where};

pub(super) static FORMAT: Format = Format {
    name: "porcupine",
    about: "Jepsen's text log, as Porcupine's etcd tests: `process :type :f value` a line",
    detect,
    read: Read::Entries(read),
};

/// The logger that Jepsen reports operations under.
const LOGGER: &str = "jepsen.util";

fn detect(head: &Head<'_>) -> bool {
    let is_event = |line: &str| Fields::of(line).is_some_and(|fields| fields.has_type());
    let other = head.text.starts_with(['{', '[', '(', '#', ';']);
    !other && (head.text.lines().any(is_event) || head.named(".log"))
}

fn read(input: &mut dyn BufRead, assembly: &mut Assembly) -> Result<(), ImportError> {
    let mut lines = Lines::of(input);
    let mut others = 0_u64;
    while let Some((n, line)) = lines.next()? {
        match Fields::of(line) {
            Some(fields) => {
                let entry = fields
                    .entry(n)
                    .map_err(|reason| ImportError::wrong(Where::Line(n), reason))?;
                assembly.take(&entry)?;
            }
            None if line.trim().is_empty() => {}
            None => others += 1,
        }
    }
    if others > 0 {
        assembly.note(format!(
            "left out as lines of the log that are no events: {others}"
        ));
    }
    Ok(())
}

/// The words of a line that should be an event.
struct Fields<'a> {
    process: &'a str,
    kind: &'a str,
    rest: &'a str,
}

impl<'a> Fields<'a> {
    /// Takes a line apart; `None` if it is a message of another logger.
    fn of(line: &'a str) -> Option<Self> {
        let event = match line.split_once(LOGGER) {
            Some((_, event)) => event.trim_start_matches([' ', '-', ':']),
            None => line.trim_start(),
        };
        let (process, rest) = word(event);
        let (kind, rest) = word(rest);
        let fields = Self {
            process,
            kind,
            rest,
        };
        let process = process.parse::<u64>().is_ok() || process.ends_with("nemesis");
        (line.contains(LOGGER) || process || fields.has_type()).then_some(fields)
    }

    fn has_type(&self) -> bool {
        self.kind.strip_prefix(':').and_then(kind_of).is_some()
    }

    fn entry(&self, line: u64) -> Result<Entry, String> {
        let kind = self.kind.strip_prefix(':').and_then(kind_of);
        let kind = kind.ok_or("the second word must be :invoke, :ok, :fail or :info")?;
        let client = match self.process {
            "nemesis" | ":nemesis" => None,
            process => client_of(&Value::Int(
                process
                    .parse()
                    .map_err(|_| format!("{process:?} is no process"))?,
            ))?,
        };
        let mut forms = Vec::new();
        let words = if client.is_some() { self.rest } else { "" };
        for form in Reader::new(words) {
            forms.push(form.map_err(|e| e.reason)?.value);
        }
        let mut forms = forms.into_iter();
        let f = forms.next().unwrap_or(Value::Nil);
        let entry = Entry {
            at: Where::Line(line),
            client,
            kind,
            f: name_of(&f).unwrap_or_default().to_owned(),
            value: forms.next().unwrap_or(Value::Nil),
            time: None,
            index: None,
            error: forms.next().unwrap_or(Value::Nil),
        };
        match forms.next() {
            Some(_) => Err("more than process, type, f, value and error".into()),
            None => Ok(entry),
        }
    }
}

/// The first word, and what follows it.
fn word(text: &str) -> (&str, &str) {
    let text = text.trim_start();
    text.split_once(char::is_whitespace).unwrap_or((text, ""))
}
