//! Jepsen's history, as EDN and as the JSON that elle-cli takes.
//!
//! Before anything is written, what would be written is read again: an operation that the reader
//! would take otherwise is refused. So whatever is written is read as the same history, but for
//! the nodes that clients were bound to, of which these formats do not tell.

use std::io::Write;

use super::words::{self, Style};
use super::{ExportError, Format, Moment, Moments, render};
use crate::import::assemble::NEW_CLIENTS;
use crate::import::edn::Value;
use crate::import::objects::Objects;
use crate::import::{value, words as reader};
use crate::{Answer, Call, History, Nanos, Outcome, Phase};

pub(super) static EDN: Format = Format {
    name: "jepsen-edn",
    about: "Jepsen's history.edn, for Elle and Knossos: a map an event, one a line",
    write: |output, exported| write(output, exported.history, Style::Edn),
};

pub(super) static JSON: Format = Format {
    name: "elle-json",
    about: "the same as JSON, for elle-cli: a list of objects",
    write: |output, exported| write(output, exported.history, Style::Json),
};

const fn name_of(style: Style) -> &'static str {
    match style {
        Style::Edn => "jepsen-edn",
        Style::Json => "elle-json",
    }
}

fn write(output: &mut dyn Write, history: &History, style: Style) -> Result<(), ExportError> {
    prove(history, style)?;
    if style == Style::Json {
        output.write_all(b"[")?;
    }
    for (index, moment) in Moments::of(history).enumerate() {
        if style == Style::Json {
            output.write_all(if index == 0 { b"\n" } else { b",\n" })?;
        }
        line(output, style, index, moment)?;
        if style == Style::Edn {
            output.write_all(b"\n")?;
        }
    }
    if style == Style::Json {
        output.write_all(b"\n]\n")?;
    }
    Ok(())
}

/// One event.
struct Said {
    kind: &'static str,
    process: Value,
    f: Value,
    value: Value,
    time: Nanos,
    error: Option<Value>,
}

fn line(
    output: &mut dyn Write,
    style: Style,
    index: usize,
    moment: Moment<'_>,
) -> Result<(), ExportError> {
    let said = match moment {
        Moment::Invoke(call) => client(style, call, call.invoked.time, "invoke"),
        Moment::Complete(call) => {
            let time = call.completed.map_or(call.invoked.time, |stamp| stamp.time);
            let kind = match call.outcome {
                Outcome::Ok(_) => "ok",
                Outcome::Fail(_) => "fail",
                Outcome::Info(_) => "info",
            };
            client(style, call, time, kind)
        }
        Moment::Fault(time, fault) => {
            let phase = match fault.phase {
                Phase::Inject => "inject",
                Phase::Injected => "injected",
                Phase::Heal => "heal",
                Phase::Healed => "healed",
            };
            nemesis(style, time, &fault.fault, &[phase, &fault.what])
        }
        Moment::Node(time, node) => {
            let state = serde_json::to_value(node.state)?;
            let state = state.as_str().unwrap_or_default();
            nemesis(style, time, "node", &[&node.node, state])
        }
        Moment::Leader(time, leader) => {
            let leads = if leader.leads { "leads" } else { "follows" };
            nemesis(style, time, "leader", &[&leader.node, leads])
        }
    };
    let time = Value::Int(i64::try_from(said.time).unwrap_or(i64::MAX));
    let index = Value::Int(i64::try_from(index).unwrap_or(i64::MAX));
    let fields = [
        ("index", Some(index)),
        ("type", Some(style.word(said.kind))),
        ("process", Some(said.process)),
        ("f", Some(said.f)),
        ("value", Some(said.value)),
        ("time", Some(time)),
        ("error", said.error),
    ];
    output.write_all(b"{")?;
    for (at, (name, value)) in fields.iter().enumerate() {
        let Some(value) = value else { continue };
        let comma = if at == 0 { "" } else { ", " };
        match style {
            Style::Edn => {
                write!(output, "{comma}:{name} ")?;
                render::edn(output, value)?;
            }
            Style::Json => {
                write!(output, "{comma}\"{name}\": ")?;
                render::json(output, value)?;
            }
        }
    }
    Ok(output.write_all(b"}")?)
}

fn client(style: Style, call: &Call, time: Nanos, kind: &'static str) -> Said {
    let f = words::name(&call.operation).map_or("", |(f, _)| f);
    let (value, error) = match (&call.outcome, kind) {
        (Outcome::Ok(answer), "ok") => (words::answered(style, &call.operation, answer), None),
        (Outcome::Fail(reason) | Outcome::Info(reason), "fail" | "info") => (
            words::asked(style, &call.operation),
            Some(style.reason(reason)),
        ),
        _ => (words::asked(style, &call.operation), None),
    };
    Said {
        kind,
        process: Value::Int(i64::try_from(call.process).unwrap_or(i64::MAX)),
        f: style.word(f),
        value,
        time,
        error,
    }
}

fn nemesis(style: Style, time: Nanos, f: &str, words: &[&str]) -> Said {
    Said {
        kind: "info",
        process: style.word("nemesis"),
        f: style.word(f),
        value: Value::Text(words.join(" ").trim_end().to_owned()),
        time,
        error: None,
    }
}

/// Reads again what would be written of each call, and compares.
fn prove(history: &History, style: Style) -> Result<(), ExportError> {
    let format = name_of(style);
    let mut objects = Objects::new(None);
    for call in history.calls() {
        let refuse = |reason: String| ExportError::of(call, format, reason);
        let (again, sign) = read_again(style, call).map_err(refuse)?;
        if let Some((key, sign)) = reader::sign_of(&again.operation) {
            objects.see(key, sign).map_err(refuse)?;
        }
        if let (Some(key), Some(sign)) = (again.operation.key(), sign) {
            objects.see(key, sign).map_err(refuse)?;
        }
    }
    let common = objects.common();
    for call in history.calls() {
        let refuse = |reason: String| ExportError::of(call, format, reason);
        let (mut again, _) = read_again(style, call).map_err(refuse)?;
        reader::settle(&mut again, |key| objects.of(key, common));
        if again.operation != call.operation {
            return Err(refuse(format!(
                "with what else is asked of its object it would be read as {}; Jepsen's reads and \
                 adds do not say of what they are",
                again.operation
            )));
        }
        if !is_same(&again.outcome, &call.outcome) {
            return Err(refuse(format!(
                "its outcome {:?} would be read as {:?}",
                call.outcome, again.outcome
            )));
        }
    }
    Ok(())
}

/// The call as the reader takes it, before it knows what all objects are; and what its answer
/// tells of its object.
fn read_again(
    style: Style,
    call: &Call,
) -> Result<(Call, Option<crate::import::objects::Sign>), String> {
    let Some((f, _)) = words::name(&call.operation) else {
        return Err(
            "Jepsen's workloads have no such operation; `trace` and `jsonl` have it".into(),
        );
    };
    if call.process >= NEW_CLIENTS {
        return Err(format!("process {} is too high a number", call.process));
    }
    let last = call.completed.unwrap_or(call.invoked).time;
    if i64::try_from(last).is_err() {
        return Err(format!("its time, {last} ns, takes more than 63 bits"));
    }
    let asked = words::asked(style, &call.operation);
    let operation = reader::operation(f, &asked)?;
    let operation = operation.ok_or_else(|| format!("there is no operation {f}"))?;
    let (outcome, sign) = match &call.outcome {
        _ if call.completed.is_none() => (call.outcome.clone(), None),
        Outcome::Ok(answer) => {
            let said = words::answered(style, &call.operation, answer);
            let (answer, sign) = reader::answer(f, &operation, &said)?;
            (Outcome::Ok(answer), sign)
        }
        Outcome::Fail(reason) => {
            let reason = value::reason(&style.reason(reason), &asked, "failed");
            (Outcome::Fail(reason), None)
        }
        Outcome::Info(reason) => {
            let reason = value::reason(&style.reason(reason), &asked, "unknown");
            (Outcome::Info(reason), None)
        }
    };
    let again = Call {
        operation,
        outcome,
        ..call.clone()
    };
    Ok((again, sign))
}

/// Whether two outcomes say the same: accounts may be in any order.
fn is_same(a: &Outcome, b: &Outcome) -> bool {
    match (a, b) {
        (Outcome::Ok(Answer::Balances(a)), Outcome::Ok(Answer::Balances(b))) => {
            let sorted = |accounts: &[_]| {
                let mut accounts = accounts.to_vec();
                accounts.sort();
                accounts
            };
            sorted(a) == sorted(b)
        }
        (a, b) => a == b,
    }
}
