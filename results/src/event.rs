//! One line of the history file.
//!
//! The JSON form is documented in `FORMAT.md`; [`Event::to_json`] writes it and [`Line`] reads it.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::fault::{FaultEvent, LeaderEvent, NodeEvent, Phase, Standstill};
use crate::operation::{Answer, Kind, Operation, Outcome, Reason};
use crate::{Nanos, NodeId, Scalar};

/// Who did something: a logical client, or the nemesis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Process {
    /// One logical client. After an unknown outcome its number is never used again.
    Client(u64),
    /// The controller breaking, mending and watching nodes.
    Nemesis,
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client(n) => write!(f, "p{n}"),
            Self::Nemesis => f.write_str("nemesis"),
        }
    }
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// A client asked.
    Invoke(Operation),
    /// What it asked ended so.
    Complete(Operation, Outcome),
    /// The nemesis did something.
    Fault(FaultEvent),
    /// A node changed state.
    Node(NodeEvent),
    /// The machine stood still.
    Machine(Standstill),
    /// A node began to lead, or ceased to.
    Leader(LeaderEvent),
}

/// One thing that happened, at one instant.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Position in the history, from 0.
    pub index: u64,
    /// When it was recorded.
    pub time: Nanos,
    /// Who did it.
    pub process: Process,
    /// The node that a client is bound to; `None` where none is meant.
    pub node: Option<NodeId>,
    /// What happened.
    pub body: Body,
}

/// The JSON object of an event, field by field.
#[derive(Clone, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Tribunal history event")]
pub struct Line {
    /// Position in the history, from 0.
    pub index: u64,
    /// Nanoseconds since the run's origin, on one monotonic clock.
    pub time: u64,
    /// A client's number, or `"nemesis"`.
    #[schemars(schema_with = "process_schema")]
    pub process: Json,
    /// The node that the client is bound to, or that changed state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// `invoke`, `ok`, `fail` or `info`.
    #[serde(rename = "type")]
    pub kind: LineType,
    /// The operation's kind, the fault's name, `node`, `leader` or `machine`.
    pub f: String,
    /// The object of the operation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "scalar_schema")]
    pub key: Option<Scalar>,
    /// Argument or answer; its form depends on `f`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Json>,
    /// Why it failed, or why nobody knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<ErrorForm>")]
    pub error: Option<Reason>,
}

/// Why an operation failed, or why nobody knows.
#[derive(schemars::JsonSchema)]
#[expect(dead_code, reason = "only its schema is used")]
struct ErrorForm {
    /// A short, stable word to group by.
    code: String,
    /// The same in a sentence.
    text: Option<String>,
}

fn process_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({"anyOf": [{"type": "integer", "minimum": 0}, {"const": "nemesis"}]})
}

fn scalar_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({"type": ["integer", "string"]})
}

/// The `type` of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LineType {
    /// A client asks, or the nemesis begins.
    Invoke,
    /// It took effect.
    Ok,
    /// It definitely had no effect.
    Fail,
    /// Nobody knows; or, of the nemesis, a report.
    Info,
}

impl Phase {
    /// The `type` of the event that reports it.
    const fn line_type(self) -> LineType {
        match self {
            Self::Inject | Self::Heal => LineType::Invoke,
            Self::Injected | Self::Healed => LineType::Info,
        }
    }
}

/// The `f` of events that report a node's state.
const NODE: &str = "node";
/// The `f` of events that report that the machine stood still.
const MACHINE: &str = "machine";
/// The `f` of events that report who leads.
const LEADER: &str = "leader";

impl Event {
    /// The event as one JSON object, without a line end.
    ///
    /// # Errors
    /// Never in practice: every part of an event has a JSON form.
    pub fn to_json(&self) -> serde_json::Result<String> {
        serde_json::to_string(&self.to_line())
    }

    /// The event field by field.
    pub fn to_line(&self) -> Line {
        let mut line = Line {
            index: self.index,
            time: self.time,
            process: match self.process {
                Process::Client(n) => Json::from(n),
                Process::Nemesis => Json::from("nemesis"),
            },
            node: self.node.as_deref().map(str::to_owned),
            kind: LineType::Info,
            f: String::new(),
            key: None,
            value: None,
            error: None,
        };
        match &self.body {
            Body::Invoke(operation) => {
                line.kind = LineType::Invoke;
                line.f = operation.kind().name().into();
                line.key = operation.key().cloned();
                line.value = operation.value();
            }
            Body::Complete(operation, outcome) => {
                line.f = operation.kind().name().into();
                line.key = operation.key().cloned();
                match outcome {
                    Outcome::Ok(answer) => {
                        line.kind = LineType::Ok;
                        line.value = operation.answer_value(answer);
                    }
                    Outcome::Fail(reason) => {
                        line.kind = LineType::Fail;
                        line.value = operation.value();
                        line.error = Some(reason.clone());
                    }
                    Outcome::Info(reason) => {
                        line.value = operation.value();
                        line.error = Some(reason.clone());
                    }
                }
            }
            Body::Fault(fault) => {
                line.kind = fault.phase.line_type();
                line.f.clone_from(&fault.fault);
                line.value = serde_json::to_value(fault).ok();
            }
            Body::Node(node) => {
                line.node = Some(node.node.to_string());
                line.f = NODE.into();
                line.value = serde_json::to_value(node).ok();
            }
            Body::Machine(standstill) => {
                line.f = MACHINE.into();
                line.value = serde_json::to_value(standstill).ok();
            }
            Body::Leader(leader) => {
                line.node = Some(leader.node.to_string());
                line.f = LEADER.into();
                line.value = serde_json::to_value(leader).ok();
            }
        }
        line
    }

    /// The event of a line, where `invoked` is the operation that its process has outstanding.
    ///
    /// # Errors
    /// Says what is wrong with the line.
    pub fn from_line(line: Line, invoked: Option<&Operation>) -> Result<Self, String> {
        let process = process_of(&line.process)?;
        let node = line.node.as_deref().map(NodeId::from);
        let (index, time) = (line.index, line.time);
        let (node, body) = match process {
            Process::Nemesis => nemesis_body(line, node)?,
            Process::Client(_) => (node, client_body(line, invoked)?),
        };
        Ok(Self {
            index,
            time,
            process,
            node,
            body,
        })
    }
}

/// The process of a line's `process` field.
///
/// # Errors
/// If it is neither a number nor `"nemesis"`.
pub fn process_of(field: &Json) -> Result<Process, String> {
    match field {
        Json::String(s) if s == "nemesis" => Ok(Process::Nemesis),
        other => other
            .as_u64()
            .map(Process::Client)
            .ok_or_else(|| format!("process must be a number or \"nemesis\", not {other}")),
    }
}

fn nemesis_body(line: Line, node: Option<NodeId>) -> Result<(Option<NodeId>, Body), String> {
    let value = line.value.unwrap_or(Json::Null);
    let form = |e: serde_json::Error| format!("value of nemesis event {:?}: {e}", line.f);
    if line.f == NODE {
        let mut event = NodeEvent::deserialize(&value).map_err(form)?;
        event.node = node.ok_or("a node event needs a node")?;
        return Ok((None, Body::Node(event)));
    }
    if line.f == MACHINE {
        let standstill = Standstill::deserialize(&value).map_err(form)?;
        return Ok((None, Body::Machine(standstill)));
    }
    if line.f == LEADER {
        let mut event = LeaderEvent::deserialize(&value).map_err(form)?;
        event.node = node.ok_or("a leader event needs a node")?;
        return Ok((None, Body::Leader(event)));
    }
    let mut event = FaultEvent::deserialize(&value).map_err(form)?;
    event.fault = line.f;
    if event.phase.line_type() != line.kind {
        return Err("inject and heal are of type invoke, injected and healed of type info".into());
    }
    Ok((node, Body::Fault(event)))
}

fn client_body(line: Line, invoked: Option<&Operation>) -> Result<Body, String> {
    let kind = Kind::from_name(&line.f).ok_or_else(|| format!("unknown operation {:?}", line.f))?;
    if line.error.is_some() && matches!(line.kind, LineType::Invoke | LineType::Ok) {
        return Err("only a fail or an info has an error".into());
    }
    if line.kind == LineType::Invoke {
        let given = line.value.is_some();
        let operation = Operation::parse(kind, line.key, line.value)?;
        if given && operation.value().is_none() {
            return Err(format!("the invocation of a {kind} has no value"));
        }
        return Ok(Body::Invoke(operation));
    }
    let operation = invoked.ok_or("a completion without an invocation")?.clone();
    if operation.kind() != kind {
        return Err(format!(
            "a {} was invoked, but a {kind} completes",
            operation.kind()
        ));
    }
    if operation.key() != line.key.as_ref() {
        return Err("the completion names another key than its invocation".into());
    }
    let reason = || {
        line.error
            .clone()
            .unwrap_or_else(|| Reason::new("unspecified", ""))
    };
    let repeats = line.value.is_none() || line.value == operation.value();
    let other = || "the completion repeats another value than was invoked".to_owned();
    let outcome = match line.kind {
        LineType::Ok => match operation.parse_answer(line.value)? {
            Answer::Done if !repeats => return Err(other()),
            answer => Outcome::Ok(answer),
        },
        _ if !repeats => return Err(other()),
        LineType::Fail => Outcome::Fail(reason()),
        LineType::Info | LineType::Invoke => Outcome::Info(reason()),
    };
    Ok(Body::Complete(operation, outcome))
}
