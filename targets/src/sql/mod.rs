//! Operations as transactions in SQL, and how they ended.
//!
//! What is decided here holds for any server: a transaction that was never asked to commit has no
//! effect; the answer to `commit` counts; and if there is none, nobody knows.

mod steps;

use tribunal_results::{Answer, Micro, Operation, Outcome, Reason};

use crate::Pending;
use crate::client::unknown;
use crate::transaction::Bank;

/// A row of an answer, as texts.
pub(crate) type Row = Vec<Option<String>>;

/// A statement that was not carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    /// The server's code for it, or a word of ours.
    pub(crate) code: String,
    /// What it says.
    pub(crate) text: String,
    /// Whether the server says that the transaction has no effect.
    pub(crate) undone: bool,
}

impl Refused {
    fn reason(self) -> Reason {
        Reason::new(self.code, self.text)
    }
}

/// A connection over which statements are run, one after the other.
pub(crate) trait Connection: Send {
    /// Runs a statement.
    fn run<'a>(&'a mut self, statement: &'a str) -> Pending<'a, Result<Vec<Row>, Refused>>;

    /// Never uses it again: it may be in the middle of a transaction.
    fn spoil(&mut self);
}

/// How a server says what all of them can do.
#[derive(Clone, Debug)]
pub(crate) struct Dialect {
    /// Begins a transaction.
    pub(crate) begin: String,
    /// Ends an `insert` into `registers (k, v)` that replaces.
    pub(crate) or_replace: &'static str,
    /// Ends an `insert` into `lists (k, v)` that appends.
    pub(crate) or_append: &'static str,
    /// Whether a backslash within a literal has to be doubled.
    pub(crate) doubles_backslashes: bool,
    /// Ends an `insert` of what is there already, which changes nothing.
    pub(crate) or_nothing: &'static str,
    /// What banks have.
    pub(crate) bank: Bank,
}

impl Dialect {
    /// A text as a literal.
    fn literal(&self, text: &str) -> String {
        let text = match self.doubles_backslashes {
            true => text.replace('\\', "\\\\"),
            false => text.to_owned(),
        };
        format!("'{}'", text.replace('\'', "''"))
    }
}

/// Whether the operation changes nothing.
pub(crate) fn only_reads(operation: &Operation) -> bool {
    match operation {
        Operation::Txn { micros } => micros.iter().all(|m| matches!(m, Micro::Read { .. })),
        other => !other.kind().mutates(),
    }
}

/// Carries out an operation, and decides how it ended.
pub(crate) async fn perform(
    connection: &mut dyn Connection,
    dialect: &Dialect,
    operation: &Operation,
) -> Outcome {
    let answer = match transaction(connection, dialect, operation).await {
        Ok(answer) => answer,
        // Nobody has asked the server to commit: it never will.
        Err(reason) => {
            if connection.run("rollback").await.is_err() {
                connection.spoil();
            }
            return Outcome::Fail(reason);
        }
    };
    match connection.run("commit").await {
        Ok(_) => Outcome::Ok(answer),
        Err(refused) => {
            connection.spoil();
            match refused.undone || only_reads(operation) {
                true => Outcome::Fail(refused.reason()),
                false => unknown(operation, refused.reason()),
            }
        }
    }
}

/// All of it but the commit.
async fn transaction(
    connection: &mut dyn Connection,
    dialect: &Dialect,
    operation: &Operation,
) -> Result<Answer, Reason> {
    let begun = connection.run(&dialect.begin).await;
    begun.map_err(Refused::reason)?;
    let mut steps = steps::Steps {
        connection,
        dialect,
    };
    match operation {
        Operation::Txn { micros } => steps.micros(micros).await.map(Answer::Txn),
        Operation::Transfer {
            key,
            from,
            to,
            amount,
        } => {
            let moved = steps.transfer(key, (from, to), *amount).await;
            moved.map(|()| Answer::Done)
        }
        Operation::Balances { key } => steps.balances(key).await.map(Answer::Balances),
        Operation::Add { key, value } => steps.add(key, value).await.map(|()| Answer::Done),
        Operation::Members { key } => steps.members(key).await.map(Answer::Values),
        other => Err(Reason::new("not-supported", other.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tribunal_results::Seen;

    /// A connection on which statements that begin so are answered so.
    struct Script {
        refuses: &'static str,
        undone: bool,
        said: Vec<String>,
        spoiled: bool,
    }

    impl Connection for Script {
        fn run<'a>(&'a mut self, statement: &'a str) -> Pending<'a, Result<Vec<Row>, Refused>> {
            self.said.push(statement.to_owned());
            let refused = Refused {
                code: "40001".into(),
                text: "no".into(),
                undone: self.undone,
            };
            let answer = match !self.refuses.is_empty() && statement.starts_with(self.refuses) {
                true => Err(refused),
                false => Ok(vec![vec![
                    Some("register".to_owned()),
                    Some("7".to_owned()),
                ]]),
            };
            Box::pin(async { answer })
        }

        fn spoil(&mut self) {
            self.spoiled = true;
        }
    }

    fn dialect() -> Dialect {
        Dialect {
            begin: "begin".into(),
            or_replace: "replacing",
            or_append: "appending",
            doubles_backslashes: true,
            or_nothing: "",
            bank: Bank::default(),
        }
    }

    fn operation(writes: bool) -> Operation {
        let read = Micro::Read {
            key: "x".into(),
            seen: Seen::Nothing,
        };
        let write = Micro::Write {
            key: "x".into(),
            value: 8.into(),
        };
        let mut micros = vec![read];
        micros.extend(writes.then_some(write));
        Operation::Txn { micros }
    }

    async fn perform_at(refuses: &'static str, undone: bool, writes: bool) -> (Outcome, Script) {
        let mut script = Script {
            refuses,
            undone,
            said: Vec::new(),
            spoiled: false,
        };
        let outcome = perform(&mut script, &dialect(), &operation(writes)).await;
        (outcome, script)
    }

    #[tokio::test]
    async fn a_transaction_that_commits_is_done_with_what_it_saw() {
        let (outcome, script) = perform_at("", false, true).await;
        let Outcome::Ok(Answer::Txn(micros)) = outcome else {
            panic!("{outcome:?}");
        };
        let seen = Seen::Value(7.into());
        assert!(matches!(&micros[0], Micro::Read { seen: s, .. } if *s == seen));
        assert_eq!(script.said.first().unwrap(), "begin");
        assert_eq!(script.said.last().unwrap(), "commit");
        assert!(!script.spoiled);
    }

    #[tokio::test]
    async fn what_was_never_asked_to_commit_has_failed_even_if_nobody_says_so() {
        for refuses in ["begin", "select", "insert"] {
            let (outcome, script) = perform_at(refuses, false, true).await;
            assert!(matches!(outcome, Outcome::Fail(_)), "{refuses}");
            assert_eq!(script.said.last().unwrap(), "rollback");
            assert!(!script.said.iter().any(|said| said == "commit"));
        }
    }

    #[tokio::test]
    async fn a_commit_without_a_definite_answer_is_unknown_unless_nothing_was_written() {
        let (outcome, script) = perform_at("commit", false, true).await;
        assert!(matches!(outcome, Outcome::Info(_)));
        assert!(script.spoiled);
        let (outcome, _) = perform_at("commit", true, true).await;
        assert!(matches!(outcome, Outcome::Fail(reason) if reason.code == "40001"));
        let (outcome, _) = perform_at("commit", false, false).await;
        assert!(matches!(outcome, Outcome::Fail(_)));
    }

    /// A connection that has gone.
    struct Gone {
        spoiled: bool,
    }

    impl Connection for Gone {
        fn run<'a>(&'a mut self, _: &'a str) -> Pending<'a, Result<Vec<Row>, Refused>> {
            let refused = Refused {
                code: "connection-lost".into(),
                text: "gone".into(),
                undone: false,
            };
            Box::pin(async { Err(refused) })
        }

        fn spoil(&mut self) {
            self.spoiled = true;
        }
    }

    #[tokio::test]
    async fn a_connection_that_cannot_roll_back_is_never_used_again() {
        let mut gone = Gone { spoiled: false };
        let outcome = perform(&mut gone, &dialect(), &operation(true)).await;
        assert!(matches!(outcome, Outcome::Fail(_)));
        assert!(gone.spoiled, "it may be in the middle of a transaction");
    }

    #[tokio::test]
    async fn a_transaction_reads_the_table_that_it_writes() {
        let (key, value) = (|| "x".into(), || 8.into());
        let append = Micro::Append {
            key: key(),
            value: value(),
        };
        let write = Micro::Write {
            key: key(),
            value: value(),
        };
        for (writes, table) in [(append, " lists "), (write, " registers ")] {
            let read = Micro::Read {
                key: key(),
                seen: Seen::Nothing,
            };
            let mut script = Script {
                refuses: "",
                undone: false,
                said: Vec::new(),
                spoiled: false,
            };
            let micros = vec![writes, read];
            perform(&mut script, &dialect(), &Operation::Txn { micros }).await;
            let said = &script.said[1..script.said.len() - 1];
            assert!(said.iter().all(|said| said.contains(table)), "{said:?}");
        }
    }

    #[test]
    fn literals_hold_what_they_are_given() {
        let mut dialect = dialect();
        assert_eq!(dialect.literal(r#"it's "\n""#), r#"'it''s "\\n"'"#);
        dialect.doubles_backslashes = false;
        assert_eq!(dialect.literal(r"it's \n"), r"'it''s \n'");
    }
}
