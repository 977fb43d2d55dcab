//! What a `schedule` may say: a fault at a time, or when something is seen.

use serde::Deserialize;
use serde_json::{Map, Value as Json};
use tribunal_nemesis::Injection;
use tribunal_nemesis::schedule::{Act, Budget, Cue, OVERLAP_MAX, STEPS_MAX, Start, Step};
use tribunal_results::options::{self, Time};

use super::catalogue::Catalogue;
use super::error::Problem;
use super::locate::{Part, Path};
use super::raw::{self, Read};

/// How long a step lasts that does not say.
const HOLD: Time = Time::millis(500);

/// When a step may begin.
const STARTS: [&str; 3] = ["at", "after", "when"];

/// The forms of what is waited for.
const CUES: &str = "write {ok: write, count: 412}, {leader: n2}, {log: \"some * text\", node: n1} or \
                    {status: \"some * text\", node: n1}";

/// A list of steps.
pub(super) fn schedule(value: &Json, catalogue: &Catalogue) -> Read<Vec<Step>> {
    let Some(items) = value.as_array() else {
        let example = "`schedule: [{at: 1.5s, type: kill, hold: 500ms}]`";
        return Err(Problem::new("`schedule` must be a list of steps").help(example));
    };
    if items.len() > STEPS_MAX {
        let title = format!("a schedule has at most {STEPS_MAX} steps");
        return Err(Problem::new(title));
    }
    let read = |(i, item)| {
        step(item, catalogue).map_err(|problem: Problem| problem.under(&Path::default().item(i)))
    };
    items.iter().enumerate().map(read).collect()
}

/// `{at: 1.5s, hold: 500ms, type: kill, nodes: [n1]}`; `after` or `when` instead of `at`;
/// `injection` instead of `type`.
fn step(value: &Json, catalogue: &Catalogue) -> Read<Step> {
    let mut rest = raw::mapping("a step", value)?.clone();
    let start = start(&rest)?;
    let hold = raw::within(&rest, "hold", |v| raw::time("hold", v))?.unwrap_or(HOLD);
    rest.retain(|key, _| key != "hold" && !STARTS.contains(&key.as_str()));
    let act = match rest.contains_key("injection") {
        true => given(&rest, catalogue)?,
        false => Act::Drawn(raw::fault(&Json::Object(rest), catalogue)?),
    };
    Ok(Step { start, hold, act })
}

fn start(map: &Map<String, Json>) -> Read<Start> {
    let mut given = STARTS.iter().filter(|key| map.contains_key(**key));
    let (Some(first), None) = (given.next(), given.next()) else {
        let title = "a step needs one of `at`, `after` and `when`";
        return Err(Problem::new(title).help(format!("write `at: 1.5s`; or after `when`, {CUES}")));
    };
    if *first == "at" {
        let at = |value: &Json| raw::any_time("at", value);
        return Ok(Start::At(raw::within(map, first, at)?.unwrap_or_default()));
    }
    let cue = |value: &Json| {
        let cue = Cue::deserialize(value);
        cue.map_err(|_| Problem::new(format!("`{first}` says nothing to wait for")).help(CUES))
    };
    let read = raw::within(map, first, cue)?;
    let missing = || Problem::new("a step needs a beginning");
    read.map(Start::When).ok_or_else(missing)
}

/// What was chosen before, with everything that the fault needs to do it again.
fn given(map: &Map<String, Json>, catalogue: &Catalogue) -> Read<Act> {
    raw::check_keys("a step with an injection", map, &["injection"])?;
    let read = |value: &Json| {
        let injection: Injection = options::decode(value)?;
        let known: Vec<&str> = catalogue.faults.iter().map(|fault| fault.name).collect();
        if known.contains(&injection.fault.as_str()) {
            return Ok(Act::Given { injection });
        }
        let title = format!("there is no fault `{}`", injection.fault);
        let at = Path::default().key("fault");
        Err(Problem::unknown(title, &injection.fault, &known).at(at))
    };
    let missing = || Problem::new("a step needs a fault");
    raw::within(map, "injection", read)?.ok_or_else(missing)
}

/// `minority`, `majority` or `any`.
pub(super) fn budget(value: &Json) -> Read<Budget> {
    Budget::deserialize(value).map_err(|_| {
        let title = "`budget` says how many nodes may be out at once: minority, majority or any";
        Problem::new(title)
    })
}

/// How many faults at once.
pub(super) fn overlap(value: &Json) -> Read<usize> {
    let count = raw::count("overlap", &(1..=OVERLAP_MAX as u64), value)?;
    Ok(usize::try_from(count).unwrap_or(OVERLAP_MAX))
}

/// A share above 0.
pub(super) fn probability(value: &Json) -> Read<f64> {
    let share = value.as_f64().filter(|share| *share > 0.0 && *share <= 1.0);
    let wrong = || Problem::new("`probability` must be a number above 0 and at most 1");
    share.ok_or_else(wrong)
}

/// Checks a step: what it says against the catalogue, and whom it names against the cluster.
pub(super) fn check(step: &Step, catalogue: &Catalogue, nodes: &[String]) -> Read<()> {
    let entry = catalogue.fault(step.act.fault());
    if let (Act::Drawn(plan), Some(entry)) = (&step.act, entry) {
        (entry.check)(&plan.options)?;
    }
    let at = |key: &str| Path::default().key(key);
    if let Start::When(cue) = &step.start {
        let wrong = |title| Problem::new(title).help(CUES);
        cue.check().map_err(wrong)?;
        if let Some(node) = cue.node().filter(|node| !known(nodes, node)) {
            return Err(nobody(node, nodes));
        }
    }
    if let Act::Given { injection } = &step.act {
        let named = injection.nodes.iter();
        if let Some(node) = named.into_iter().find(|node| !known(nodes, node)) {
            return Err(nobody(node, nodes)
                .at(at("injection").key("nodes"))
                .on(Part::Key));
        }
    }
    Ok(())
}

fn known(nodes: &[String], node: &str) -> bool {
    nodes.iter().any(|known| known == node)
}

fn nobody(node: &str, nodes: &[String]) -> Problem {
    let names: Vec<&str> = nodes.iter().map(String::as_str).collect();
    Problem::unknown(format!("there is no node `{node}`"), node, &names)
}
