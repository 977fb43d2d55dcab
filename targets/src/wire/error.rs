//! Error codes of the wire protocol. A *definite* error says that the request had no effect and
//! never will; after any other nobody knows.

use tribunal_results::{Outcome, Reason};

use super::Body;

/// What went wrong, as a number on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// Nobody answered in time.
    Timeout,
    /// There is no node of that name.
    NodeNotFound,
    /// The node knows no such request.
    NotSupported,
    /// Not now; nothing was done.
    TemporarilyUnavailable,
    /// The request lacks a field, or one has the wrong type.
    MalformedRequest,
    /// The node failed in the middle.
    Crash,
    /// The node gave the request up; nothing was done.
    Abort,
    /// No such key.
    KeyDoesNotExist,
    /// The key is there already.
    KeyAlreadyExists,
    /// What the request takes for granted does not hold.
    PreconditionFailed,
    /// The transaction conflicts with another.
    TxnConflict,
}

/// Code, number on the wire, name, and whether it is definite.
const TABLE: [(Code, u64, &str, bool); 11] = [
    (Code::Timeout, 0, "timeout", false),
    (Code::NodeNotFound, 1, "node-not-found", true),
    (Code::NotSupported, 10, "not-supported", true),
    (
        Code::TemporarilyUnavailable,
        11,
        "temporarily-unavailable",
        true,
    ),
    (Code::MalformedRequest, 12, "malformed-request", true),
    (Code::Crash, 13, "crash", false),
    (Code::Abort, 14, "abort", true),
    (Code::KeyDoesNotExist, 20, "key-does-not-exist", true),
    (Code::KeyAlreadyExists, 21, "key-already-exists", true),
    (Code::PreconditionFailed, 22, "precondition-failed", true),
    (Code::TxnConflict, 30, "txn-conflict", true),
];

impl Code {
    /// Its number on the wire.
    pub fn number(self) -> u64 {
        TABLE
            .iter()
            .find(|row| row.0 == self)
            .map_or(13, |row| row.1)
    }

    /// The code of that number, if it is one of the protocol's own.
    pub fn from_number(number: u64) -> Option<Self> {
        TABLE.iter().find(|row| row.1 == number).map(|row| row.0)
    }
}

/// An error as a node answers it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct WireError {
    /// What kind of error it is.
    pub code: Code,
    /// The same in a sentence, for people.
    pub text: String,
}

impl WireError {
    /// An error with a code and a sentence.
    pub fn new(code: Code, text: impl Into<String>) -> Self {
        Self {
            code,
            text: text.into(),
        }
    }

    /// The request is not in the right form.
    pub fn malformed(text: impl Into<String>) -> Self {
        Self::new(Code::MalformedRequest, text)
    }

    /// The node knows no request of this type.
    pub fn not_supported(kind: &str) -> Self {
        Self::new(Code::NotSupported, format!("no request of type {kind:?}"))
    }

    /// What the request takes for granted does not hold.
    pub fn precondition(text: impl Into<String>) -> Self {
        Self::new(Code::PreconditionFailed, text)
    }

    /// Not now; nothing was done.
    pub fn unavailable(text: impl Into<String>) -> Self {
        Self::new(Code::TemporarilyUnavailable, text)
    }

    /// The body that says so.
    pub fn body(&self) -> Body {
        Body::new("error")
            .with("code", self.code.number())
            .with("text", self.text.as_str())
    }
}

/// What an `error` body says about the operation that it answers: `Fail` if its code is definite;
/// unknown codes (among them all above 1000) are not.
pub fn outcome_of(body: &Body) -> Outcome {
    let text: String = body.field("text").unwrap_or_default();
    let Ok(number) = body.field::<u64>("code") else {
        return Outcome::Info(Reason::new("unknown-error", text));
    };
    match TABLE.iter().find(|row| row.1 == number) {
        Some((_, _, name, true)) => Outcome::Fail(Reason::new(*name, text)),
        Some((_, _, name, false)) => Outcome::Info(Reason::new(*name, text)),
        None => Outcome::Info(Reason::new(format!("error-{number}"), text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_one_number_and_comes_back_from_it() {
        for (code, number, ..) in TABLE {
            assert_eq!(code.number(), number);
            assert_eq!(Code::from_number(number), Some(code));
        }
    }

    #[test]
    fn definite_errors_are_fail_and_all_others_info() {
        let of = |code: u64| outcome_of(&Body::new("error").with("code", code));
        for definite in [1, 10, 11, 12, 14, 20, 21, 22, 30] {
            assert!(matches!(of(definite), Outcome::Fail(_)), "{definite}");
        }
        for unknown in [0, 13, 2, 999, 1000, 4711] {
            assert!(matches!(of(unknown), Outcome::Info(_)), "{unknown}");
        }
        assert!(matches!(outcome_of(&Body::new("error")), Outcome::Info(_)));
    }
}
