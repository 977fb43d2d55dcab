//! The forms in which people may write each field of a run, and what they are read into.

use std::ops::RangeInclusive;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value as Json};
use tribunal_nemesis::fabric::Kind;
use tribunal_nemesis::schedule::{FaultPlan, NemesisPlan, Own};
use tribunal_results::options::{self, Time, TimeRange};
use tribunal_results::verdict::EvidenceFloor;

use super::catalogue::Catalogue;
use super::error::Problem;
use super::locate::{Part, Path};
use super::steps;
use crate::plan::{Finding, JudgePlan, TargetPlan, WorkloadPlan};
use crate::topology::Topology;

/// How many nodes a run may have.
pub(super) const NODES: RangeInclusive<u64> = 1..=50;
/// How many clients a run may have.
pub(super) const CLIENTS: RangeInclusive<u64> = 1..=1000;
/// No limits.
pub(super) const ANY: RangeInclusive<u64> = 0..=u64::MAX;
/// The highest rate, in operations per second.
const RATE_MAX: f64 = 1_000_000.0;
/// The longest of all times.
const TIME_MAX: Duration = Duration::from_secs(24 * 3600);
/// The longest name of a suite or run, in bytes; names are parts of file names.
const NAME_MAX: usize = 100;
/// How much memory judging may use, in MiB.
const JUDGE_MEMORY_MIB: RangeInclusive<u64> = 16..=1_048_576;

/// What judging may cost unless the suite says otherwise.
pub(super) const JUDGE: JudgePlan = JudgePlan {
    time: Time::millis(60_000),
    memory_mib: 2048,
};

/// What was read, or what is wrong with it: at a path relative to the value.
pub(super) type Read<T> = Result<T, Problem>;

/// The value as messages name it.
fn describe(value: &Json) -> String {
    match value {
        Json::Null => "nothing".into(),
        Json::Array(_) => "a list".into(),
        Json::Object(_) => "a mapping".into(),
        scalar => scalar.to_string(),
    }
}

/// A mapping; `what` says whose, for messages.
pub(super) fn mapping<'a>(what: &str, value: &'a Json) -> Read<&'a Map<String, Json>> {
    value
        .as_object()
        .ok_or_else(|| Problem::new(format!("{what} must be a mapping, not {}", describe(value))))
}

/// Refuses keys other than the known ones; `what` says of what, for messages.
pub(super) fn check_keys(what: &str, map: &Map<String, Json>, known: &[&str]) -> Read<()> {
    match map.keys().find(|key| !known.contains(&key.as_str())) {
        None => Ok(()),
        Some(key) => Err(
            Problem::unknown(format!("{what} has no `{key}`"), key, known)
                .at(Path::default().key(key))
                .on(Part::Key),
        ),
    }
}

/// Reads the value of a key, if there is one.
pub(super) fn within<T>(
    map: &Map<String, Json>,
    key: &str,
    read: impl FnOnce(&Json) -> Read<T>,
) -> Read<Option<T>> {
    let value = map.get(key).map(read).transpose();
    value.map_err(|problem| problem.under(&Path::default().key(key)))
}

/// Any text.
pub(super) fn text(what: &str, value: &Json) -> Read<String> {
    let wrong = || Problem::new(format!("{what} must be text, not {}", describe(value)));
    value.as_str().map(str::to_owned).ok_or_else(wrong)
}

/// A name of a suite or run: it becomes part of file names.
pub(super) fn name(what: &str, value: &Json) -> Read<String> {
    let name = text(what, value)?;
    let tame = |c: char| c.is_ascii_alphanumeric() || "-_+.".contains(c);
    if name.len() <= NAME_MAX
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(tame)
    {
        return Ok(name);
    }
    Err(
        Problem::new(format!("{what} `{name}` cannot be part of a file name")).help(format!(
            "use up to {NAME_MAX} letters, digits, `-`, `_`, `+` and `.`, a letter or digit first"
        )),
    )
}

/// A whole number within limits.
pub(super) fn count(what: &str, limits: &RangeInclusive<u64>, value: &Json) -> Read<u64> {
    let wrong = || {
        let limits = match (limits.start(), limits.end()) {
            (least, &u64::MAX) => format!("of at least {least}"),
            (least, most) => format!("from {least} to {most}"),
        };
        let found = describe(value);
        Problem::new(format!(
            "`{what}` must be a whole number {limits}, not {found}"
        ))
    };
    let number = value.as_u64().filter(|number| limits.contains(number));
    number.ok_or_else(wrong)
}

/// A rate of operations.
pub(super) fn rate(what: &str, value: &Json) -> Read<f64> {
    let wrong = || {
        Problem::new(format!(
            "`{what}` must be a number of operations per second, above 0 and at most {RATE_MAX}, \
             not {}",
            describe(value)
        ))
    };
    let rate = value
        .as_f64()
        .filter(|rate| *rate > 0.0 && *rate <= RATE_MAX);
    rate.ok_or_else(wrong)
}

/// A time above zero, in whole microseconds.
pub(super) fn time(what: &str, value: &Json) -> Read<Time> {
    let time = any_time(what, value)?;
    if time.0.is_zero() {
        return Err(Problem::new(format!(
            "`{what}` must be longer than nothing"
        )));
    }
    Ok(time)
}

/// How long nodes may take to be ready, and the system to serve, when everything is healed: a
/// time, or `{within: 5s}`.
pub(super) fn recovery(value: &Json) -> Read<Time> {
    let Some(map) = value.as_object() else {
        return time("recovery", value);
    };
    check_keys("`recovery`", map, &["within"])?;
    let within = within(map, "within", |v| time("within", v))?;
    within.ok_or_else(|| Problem::new("`recovery` needs `within`").help("write `{within: 5s}`"))
}

/// A time, in whole microseconds.
pub(super) fn any_time(what: &str, value: &Json) -> Read<Time> {
    let time = Time::deserialize(value).map_err(|error| Problem::new(error.to_string()))?;
    bounded(what, whole_micros(time))
}

/// A stretch of time, in whole microseconds.
fn time_range(what: &str, value: &Json) -> Read<TimeRange> {
    if !value.is_string() {
        return Err(Problem::new(format!(
            "`{what}` must be a stretch of time such as 200ms..600ms, not {}",
            describe(value)
        )));
    }
    let range = TimeRange::deserialize(value).map_err(|error| Problem::new(error.to_string()))?;
    Ok(TimeRange {
        from: whole_micros(range.from),
        to: bounded(what, whole_micros(range.to))?,
    })
}

/// What can be written down again without loss.
fn whole_micros(time: Time) -> Time {
    let micros = time.0.as_nanos().saturating_add(500) / 1000;
    Time(Duration::from_micros(
        u64::try_from(micros).unwrap_or(u64::MAX),
    ))
}

fn bounded(what: &str, time: Time) -> Read<Time> {
    if time.0 <= TIME_MAX {
        return Ok(time);
    }
    Err(Problem::new(format!(
        "`{what}` is {time}; the longest is 24h"
    )))
}

/// `lock-manager`, or `{type: lock-manager, bug: …, options: {…}}`.
pub(super) fn target(value: &Json, catalogue: &Catalogue) -> Read<TargetPlan> {
    let known = names(&catalogue.targets, |target| target.name);
    let (target, rest) = tagged("target", value, &known)?;
    check_keys("a target", &rest, &["bug", "options"])
        .map_err(|problem| problem.help("options of the target go under `options`"))?;
    let bug = within(&rest, "bug", |v| bug(v, &target, catalogue))?;
    let options = within(&rest, "options", options)?;
    Ok(TargetPlan {
        target,
        bug: bug.flatten(),
        options: options.unwrap_or_default(),
    })
}

fn bug(value: &Json, target: &str, catalogue: &Catalogue) -> Read<Option<String>> {
    let bugs = catalogue
        .target(target)
        .map_or(&[][..], |target| &target.bugs);
    if value.is_null() {
        return Ok(None);
    }
    let name = text("a bug", value)?;
    let known = names(bugs, |bug| bug.name);
    if known.contains(&name.as_str()) {
        return Ok(Some(name));
    }
    let title = format!("{target} has no planted bug `{name}`");
    Err(Problem::unknown(title, &name, &known))
}

/// A mapping of options; nothing and an empty one are the same.
fn options(value: &Json) -> Read<Json> {
    if value.is_null() {
        return Ok(Json::Null);
    }
    Ok(some_options(mapping("`options`", value)?.clone()))
}

fn some_options(map: Map<String, Json>) -> Json {
    if map.is_empty() {
        Json::Null
    } else {
        Json::Object(map)
    }
}

/// `lock`, or `{type: lock, locks: 3}`.
pub(super) fn workload(value: &Json, catalogue: &Catalogue) -> Read<WorkloadPlan> {
    let known = names(&catalogue.workloads, |workload| workload.name);
    let (workload, options) = tagged("workload", value, &known)?;
    Ok(WorkloadPlan {
        workload,
        options: some_options(options),
    })
}

/// What a nemesis may say.
const NEMESIS: [&str; 8] = [
    "faults",
    "quiet",
    "hold",
    "interval",
    "overlap",
    "probability",
    "budget",
    "schedule",
];

/// `none`, a fault, a list of faults, or `{faults: […], quiet: …, hold: …, schedule: […]}`.
pub(super) fn nemesis(value: &Json, catalogue: &Catalogue) -> Read<NemesisPlan> {
    let mut plan = NemesisPlan {
        own: Own(catalogue.parts.faults.clone()),
        ..NemesisPlan::default()
    };
    let Some(given) = value.as_object().filter(|map| !map.contains_key("type")) else {
        plan.faults = faults(value, catalogue)?;
        return Ok(plan);
    };
    check_keys("a nemesis", given, &NEMESIS)?;
    let schedule = within(given, "schedule", |v| steps::schedule(v, catalogue))?;
    Ok(NemesisPlan {
        interval: within(given, "interval", |v| time_range("interval", v))?,
        overlap: within(given, "overlap", steps::overlap)?.unwrap_or(plan.overlap),
        probability: within(given, "probability", steps::probability)?.unwrap_or(plan.probability),
        budget: within(given, "budget", steps::budget)?.unwrap_or_default(),
        schedule: schedule.unwrap_or_default(),
        faults: within(given, "faults", |v| faults(v, catalogue))?.unwrap_or_default(),
        quiet: within(given, "quiet", |v| time_range("quiet", v))?.unwrap_or(plan.quiet),
        hold: within(given, "hold", |v| time_range("hold", v))?.unwrap_or(plan.hold),
        own: plan.own,
    })
}

fn faults(value: &Json, catalogue: &Catalogue) -> Read<Vec<FaultPlan>> {
    match value {
        Json::Null => Ok(Vec::new()),
        Json::String(none) if none == "none" => Ok(Vec::new()),
        Json::Array(items) => items
            .iter()
            .enumerate()
            .map(|(i, item)| {
                fault(item, catalogue).map_err(|problem| problem.under(&Path::default().item(i)))
            })
            .collect(),
        one => Ok(vec![fault(one, catalogue)?]),
    }
}

/// `kill`, or `{type: partition, shape: one}`.
pub(super) fn fault(value: &Json, catalogue: &Catalogue) -> Read<FaultPlan> {
    let known = names(&catalogue.faults, |fault| fault.name);
    let (fault, options) = tagged("fault", value, &known)?;
    Ok(FaultPlan {
        fault,
        options: Json::Object(options),
    })
}

/// A name, or a mapping whose `type` is the name and the rest what belongs to it.
fn tagged(what: &str, value: &Json, known: &[&str]) -> Read<(String, Map<String, Json>)> {
    if value.is_string() {
        return Ok((kind(what, value, known)?, Map::new()));
    }
    let Some(mut rest) = value.as_object().cloned() else {
        let found = describe(value);
        return Err(Problem::new(format!(
            "a {what} must be a name or a mapping, not {found}"
        )));
    };
    let Some(name) = within(&rest, "type", |v| kind(what, v, known))? else {
        let there_are = format!("there are: {}", known.join(", "));
        return Err(Problem::new(format!("a {what} needs a `type`")).help(there_are));
    };
    rest.remove("type");
    Ok((name, rest))
}

/// One of the known names.
fn kind(what: &str, value: &Json, known: &[&str]) -> Read<String> {
    let name = text(&format!("the type of a {what}"), value)?;
    if known.contains(&name.as_str()) {
        return Ok(name);
    }
    Err(Problem::unknown(
        format!("there is no {what} `{name}`"),
        &name,
        known,
    ))
}

fn names<T>(entries: &[T], name: impl Fn(&T) -> &'static str) -> Vec<&'static str> {
    entries.iter().map(name).collect()
}

/// `valid`, an anomaly, or a list of anomalies of which at least one must be found.
pub(super) fn expect(value: &Json) -> Read<Vec<String>> {
    let anomaly = |value: &Json| text("an anomaly", value);
    match value {
        Json::String(valid) if valid == "valid" => Ok(Vec::new()),
        Json::Array(items) if items.is_empty() => {
            Err(Problem::new("`expect` is an empty list").help("write `expect: valid` instead"))
        }
        Json::Array(items) => items
            .iter()
            .enumerate()
            .map(|(i, item)| anomaly(item).map_err(|p| p.under(&Path::default().item(i))))
            .collect(),
        one => Ok(vec![anomaly(one)?]),
    }
}

/// The floor of evidence; what is not given keeps its default.
pub(super) fn evidence(value: &Json) -> Read<EvidenceFloor> {
    let given = mapping("`evidence`", value)?;
    let mut floor = EvidenceFloor::default();
    let floors = [
        ("ok_operations", &mut floor.ok_operations),
        ("cross_observations", &mut floor.cross_observations),
        ("concurrency", &mut floor.concurrency),
        ("faults_of_each", &mut floor.faults_of_each),
        ("final_reads", &mut floor.final_reads),
    ];
    let known = floors.each_ref().map(|(name, _)| *name);
    check_keys("`evidence`", given, &known)?;
    for (name, floor) in floors {
        *floor = within(given, name, |v| count(name, &ANY, v))?.unwrap_or(*floor);
    }
    Ok(floor)
}

/// What judging may cost; what is not given keeps its default.
pub(super) fn judge(value: &Json) -> Read<JudgePlan> {
    let given = mapping("`judge`", value)?;
    check_keys("`judge`", given, &["time", "memory_mib"])?;
    Ok(JudgePlan {
        time: within(given, "time", |v| time("time", v))?.unwrap_or(JUDGE.time),
        memory_mib: within(given, "memory_mib", |v| {
            count("memory_mib", &JUDGE_MEMORY_MIB, v)
        })?
        .unwrap_or(JUDGE.memory_mib),
    })
}

/// A shape by name, or `{type: ring, latency: 2ms, jitter: 1ms, links: [{from: n1, to: n2,
/// latency: 20ms}]}`.
pub(super) fn topology(value: &Json) -> Read<Topology> {
    let whole = match value {
        Json::String(shape) => serde_json::json!({ "type": shape }),
        _ => value.clone(),
    };
    options::decode(&whole).map_err(|e| {
        let problem = Problem::new(format!("`topology`: {}", e.message));
        problem
            .help("a shape (mesh, ring, star, tree), or {type: ring, latency: 2ms}")
            .under(&Path::parse(&e.path))
    })
}

/// `proxy` or `switch`.
pub(super) fn fabric(value: &Json) -> Read<Kind> {
    const KINDS: [Kind; 2] = [Kind::Proxy, Kind::Switch];
    let name = text("`fabric`", value)?;
    let known = KINDS.map(|kind| kind.to_string());
    let found = KINDS.into_iter().find(|kind| kind.to_string() == name);
    found.ok_or_else(|| {
        let title = format!("there is no fabric `{name}`");
        Problem::unknown(title, &name, &known.each_ref().map(String::as_str))
    })
}

/// A sentence, or `{says: SENTENCE, source: WHERE}`.
pub(super) fn finding(value: &Json) -> Read<Finding> {
    let whole = match value {
        Json::String(says) => serde_json::json!({ "says": says.trim() }),
        _ => value.clone(),
    };
    options::decode(&whole).map_err(|e| {
        let problem = Problem::new(format!("`finding`: {}", e.message));
        problem
            .help("a sentence, or {says: SENTENCE, source: WHERE}")
            .under(&Path::parse(&e.path))
    })
}

/// `true` or `false`.
pub(super) fn yes_or_no(what: &str, value: &Json) -> Read<bool> {
    let wrong = || {
        let found = describe(value);
        Problem::new(format!("`{what}` must be true or false, not {found}"))
    };
    value.as_bool().ok_or_else(wrong)
}
