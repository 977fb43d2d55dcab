//! From what a suite says to one draft per run: defaults filled in, matrices multiplied out, and
//! each value with the path where it was given, so that what is wrong with it can be shown there.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};

use super::error::{Problem, Problems};
use super::locate::{Part, Path};
use super::raw::{check_keys, mapping};

/// What a run may say, besides its name and matrix. The last of two fields in a matrix varies
/// faster.
pub(super) const FIELDS: [&str; 19] = [
    "target", "workload", "nemesis", "nodes", "clients", "rate", "time", "timeout", "ready",
    "recovery", "expect", "evidence", "judge", "seed", "topology", "fabric", "messages", "gates",
    "finding",
];

/// The most runs that a suite may come to.
const RUNS_MAX: usize = 10_000;

/// A value, and where it was given.
#[derive(Clone, Debug)]
pub(super) struct Given<'a> {
    /// The value.
    pub(super) value: &'a Json,
    /// Where it was given.
    pub(super) path: Path,
}

/// One run, as it was written.
#[derive(Clone, Debug)]
pub(super) struct Draft<'a> {
    /// Where the run was written.
    pub(super) path: Path,
    /// Its name, if it was given one.
    pub(super) name: Option<Given<'a>>,
    /// Its fields, by name.
    pub(super) fields: BTreeMap<&'static str, Given<'a>>,
    /// The fields that a matrix varies.
    pub(super) varied: Vec<&'static str>,
}

/// The runs of a suite.
pub(super) fn drafts<'a>(root: &'a Map<String, Json>, problems: &mut Problems) -> Vec<Draft<'a>> {
    let mut drafts = Vec::new();
    let defaults = defaults(root, problems);
    let at = Path::default().key("runs");
    let runs = match root.get("runs") {
        Some(Json::Array(runs)) if !runs.is_empty() => runs,
        Some(_) => {
            let title = "`runs` must be a list of at least one run";
            problems.push(Problem::new(title).at(at).on(Part::Key));
            return drafts;
        }
        None => {
            let title = "a suite needs `runs`";
            problems.push(Problem::new(title).help("add `runs: [{target: …, workload: …}]`"));
            return drafts;
        }
    };
    for (i, run) in runs.iter().enumerate() {
        let room = RUNS_MAX - drafts.len();
        let expanded = expand(run, at.item(i), &defaults, room, problems);
        match expanded {
            Ok(runs) => drafts.extend(runs),
            Err(problem) => problems.push(problem),
        }
    }
    drafts
}

type Fields<'a> = BTreeMap<&'static str, Given<'a>>;

fn defaults<'a>(root: &'a Map<String, Json>, problems: &mut Problems) -> Fields<'a> {
    let at = Path::default().key("defaults");
    let Some(value) = root.get("defaults").filter(|value| !value.is_null()) else {
        return Fields::new();
    };
    let checked = mapping("`defaults`", value)
        .and_then(|map| check_keys("`defaults`", map, &FIELDS).map(|()| map));
    match checked {
        Ok(map) => fields(map, &at),
        Err(problem) => {
            problems.push(problem.under(&at));
            Fields::new()
        }
    }
}

fn fields<'a>(map: &'a Map<String, Json>, at: &Path) -> Fields<'a> {
    let given = |field: &'static str| {
        let value = map.get(field)?;
        let path = at.key(field);
        Some((field, Given { value, path }))
    };
    FIELDS.into_iter().filter_map(given).collect()
}

/// The runs that one item of `runs` stands for, at most `room`.
fn expand<'a>(
    run: &'a Json,
    path: Path,
    defaults: &Fields<'a>,
    room: usize,
    problems: &mut Problems,
) -> Result<Vec<Draft<'a>>, Problem> {
    let map = mapping("a run", run).map_err(|problem| problem.under(&path))?;
    let known: Vec<&str> = ["name", "matrix"].into_iter().chain(FIELDS).collect();
    // What else is wrong with the run is told as well.
    if let Err(problem) = check_keys("a run", map, &known) {
        problems.push(problem.under(&path));
    }
    let mut merged = defaults.clone();
    merged.extend(fields(map, &path));
    let named = map.get("name").map(|value| Given {
        value,
        path: path.key("name"),
    });
    let axes = match map.get("matrix") {
        None => Vec::new(),
        Some(value) => axes(value, map).map_err(|p| p.under(&path.key("matrix")))?,
    };
    let total = axes
        .iter()
        .try_fold(1_usize, |product, (_, values)| {
            product.checked_mul(values.len())
        })
        .unwrap_or(usize::MAX);
    if total > room {
        return Err(
            Problem::new(format!("the suite comes to more than {RUNS_MAX} runs"))
                .at(path)
                .label("with the runs of this entry")
                .help("split it into several suites"),
        );
    }
    let pattern = Draft {
        name: named,
        fields: merged,
        varied: axes.iter().map(|(field, _)| *field).collect(),
        path,
    };
    Ok(axes
        .iter()
        .fold(vec![pattern], |drafts, axis| multiply(&drafts, axis)))
}

type Axis<'a> = (&'static str, &'a Vec<Json>);

/// The fields that a matrix varies and the values of each, in the order of [`FIELDS`].
fn axes<'a>(value: &'a Json, run: &Map<String, Json>) -> Result<Vec<Axis<'a>>, Problem> {
    let matrix = mapping("`matrix`", value)?;
    check_keys("a matrix", matrix, &FIELDS)?;
    let mut axes = Vec::new();
    for field in FIELDS {
        let Some(value) = matrix.get(field) else {
            continue;
        };
        let here = |title: String| {
            Problem::new(title)
                .at(Path::default().key(field))
                .on(Part::Key)
        };
        if run.contains_key(field) {
            return Err(here(format!(
                "`{field}` is given both in the matrix and beside it"
            )));
        }
        match value.as_array().filter(|values| !values.is_empty()) {
            Some(values) => axes.push((field, values)),
            None => {
                return Err(here(format!(
                    "`{field}` in a matrix must be a list of values"
                )));
            }
        }
    }
    Ok(axes)
}

fn multiply<'a>(drafts: &[Draft<'a>], (field, values): &Axis<'a>) -> Vec<Draft<'a>> {
    let mut product = Vec::with_capacity(drafts.len() * values.len());
    for draft in drafts {
        for (i, value) in values.iter().enumerate() {
            let path = draft.path.key("matrix").key(*field).item(i);
            let mut draft = draft.clone();
            draft.fields.insert(field, Given { value, path });
            product.push(draft);
        }
    }
    product
}
