//! The text histories of *AWDIT* and *Plume* (testers of weak isolation): transactions on
//! registers by session, without times.
//!
//! A line `r key value` or `w key value` is a step, `-----` ends a transaction, `=====` ends a
//! session. All transactions were committed. What order there was between sessions is not said:
//! the history has all first transactions open at once, then all second ones, and so on.

use std::io::BufRead;

use super::lines::Lines;
use super::{Format, Head, ImportError, Imported, Read, Where};
use crate::event::{Body, Event, Process};
use crate::history::HistoryBuilder;
use crate::operation::{Answer, Operation, Outcome};
use crate::{Assumptions, Micro, Scalar, Seen};

pub(super) static FORMAT: Format = Format {
    name: "plume",
    about: "AWDIT's and Plume's text: `r key value`, `w key value`, `-----`, `=====`",
    detect,
    read: Read::Whole(read),
};

/// What a line says.
enum Line {
    Empty,
    Step(Micro),
    EndTransaction,
    EndSession,
}

fn detect(head: &Head<'_>) -> bool {
    let mut lines = head.text.lines().map(parse);
    // The last line may be cut.
    let whole = head.text.lines().count().saturating_sub(1).max(1);
    let steps = lines.clone().take(whole);
    let mut known = steps.clone();
    known.all(|line| line.is_ok()) && lines.any(|line| matches!(line, Ok(Line::Step(_))))
}

fn parse(line: &str) -> Result<Line, String> {
    let line = line.trim();
    let rule = |mark: char| line.len() >= 3 && line.chars().all(|c| c == mark);
    if line.is_empty() {
        return Ok(Line::Empty);
    }
    if rule('-') {
        return Ok(Line::EndTransaction);
    }
    if rule('=') {
        return Ok(Line::EndSession);
    }
    let words: Vec<&str> = line.split_whitespace().collect();
    let [step @ ("r" | "w"), key, value] = words.as_slice() else {
        return Err(
            "neither `r key value`, `w key value`, `-----` (ends a transaction) nor `=====` (ends \
             a session)"
                .into(),
        );
    };
    let (key, value) = (scalar(key), scalar(value));
    Ok(Line::Step(match *step {
        "r" => Micro::Read {
            key,
            seen: Seen::Value(value),
        },
        _ => Micro::Write { key, value },
    }))
}

/// An integer if it reads as one and is written back the same.
fn scalar(word: &str) -> Scalar {
    match word.parse::<i64>() {
        Ok(n) if n.to_string() == word => Scalar::Int(n),
        _ => word.into(),
    }
}

fn read(input: &mut dyn BufRead) -> Result<Imported, ImportError> {
    let mut lines = Lines::of(input);
    let mut sessions: Vec<Vec<Vec<Micro>>> = vec![Vec::new()];
    let mut open: Vec<Micro> = Vec::new();
    let mut last = 0;
    while let Some((n, line)) = lines.next()? {
        let line = parse(line).map_err(|reason| ImportError::wrong(Where::Line(n), reason))?;
        last = n;
        let ends_session = matches!(line, Line::EndSession);
        match line {
            Line::Empty => continue,
            Line::Step(step) => {
                open.push(step);
                continue;
            }
            Line::EndTransaction | Line::EndSession => {}
        }
        end_transaction(&mut sessions, &mut open);
        if ends_session {
            sessions.push(Vec::new());
        }
    }
    end_transaction(&mut sessions, &mut open);
    let history = rounds(sessions);
    let history =
        history.map_err(|reason| ImportError::wrong(Where::Line(last), reason.to_string()))?;
    Ok(Imported {
        history,
        assume: Assumptions::default(),
        timed: false,
        partial: false,
        notes: vec![
            "the file has sessions without times: whatever a checker says of real time is not \
             about them"
                .into(),
        ],
    })
}

fn end_transaction(sessions: &mut [Vec<Vec<Micro>>], open: &mut Vec<Micro>) {
    if let Some(session) = sessions.last_mut()
        && !open.is_empty()
    {
        session.push(std::mem::take(open));
    }
}

/// The history in which the nth transactions of all sessions are open at once.
fn rounds(sessions: Vec<Vec<Vec<Micro>>>) -> Result<crate::History, crate::HistoryError> {
    let mut builder = HistoryBuilder::default();
    let mut index = 0;
    let mut push = |process: u64, body: Body| {
        let event = Event {
            index,
            time: index,
            process: Process::Client(process),
            node: None,
            body,
        };
        index += 1;
        builder.push(event)
    };
    let mut sessions: Vec<(u64, std::vec::IntoIter<Vec<Micro>>)> = (0..)
        .zip(sessions.into_iter().map(Vec::into_iter))
        .collect();
    while !sessions.is_empty() {
        let mut open = Vec::new();
        sessions.retain_mut(|(process, rest)| {
            let next = rest.next().map(|steps| (*process, steps));
            let more = next.is_some();
            open.extend(next);
            more
        });
        let asked = |steps: &[Micro]| Operation::Txn {
            micros: steps.iter().map(Micro::asked).collect(),
        };
        for (process, steps) in &open {
            push(*process, Body::Invoke(asked(steps)))?;
        }
        for (process, steps) in open {
            let operation = asked(&steps);
            let outcome = Outcome::Ok(Answer::Txn(steps));
            push(process, Body::Complete(operation, outcome))?;
        }
    }
    Ok(builder.finish())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    const TEXT: &str = "w 0 1\nw 1 -2\n-----\nr 0 1\n=====\n\nr a 1\n";

    #[test]
    fn sessions_and_transactions_are_told_apart() {
        let imported = super::super::read(TEXT.as_bytes(), None, None).unwrap();
        let calls = imported.history.calls();
        let shown = |call: &crate::Call| {
            let Outcome::Ok(answer) = &call.outcome else {
                return String::new();
            };
            format!("p{} {answer}", call.process)
        };
        let shown: Vec<String> = calls.iter().map(shown).collect();
        assert_eq!(
            shown,
            ["p0 {w 0 = 1, w 1 = -2}", "p1 {r a → 1}", "p0 {r 0 → 1}"]
        );
        assert!(
            imported
                .notes
                .iter()
                .any(|note| note.contains("without times"))
        );
    }

    #[test]
    fn what_is_no_step_is_refused_with_its_line() {
        let text = "w 0 1\n-----\nx 0 1\n";
        let refused = super::super::read(text.as_bytes(), None, super::super::find("plume"));
        let error = refused.unwrap_err().to_string();
        assert!(
            error.starts_with("line 3: neither `r key value`"),
            "{error}"
        );
        assert!(super::super::read(text.as_bytes(), None, None).is_err());
    }

    #[test]
    fn numbers_that_are_written_differently_are_different_values() {
        assert_ne!(scalar("1"), scalar("01"));
        assert_eq!(
            scalar("99999999999999999999"),
            "99999999999999999999".into()
        );
    }
}
