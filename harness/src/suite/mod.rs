//! YAML in, plans out, with errors that point at the line.
//!
//! A suite is a name and a list of runs:
//!
//! ```yaml
//! suite: locks                    # default: the file's name
//! about: what it shows, in one line
//! defaults: { nodes: 5, time: 6s }  # any field of a run
//! runs:
//!   - target: lock-manager        # or {type: lock-manager, bug: lifo-queue, options: {…}}
//!     workload: lock              # or {type: lock, locks: 3}
//!     nemesis: [kill, pause]      # or {faults: […], quiet: 200ms..600ms, hold: 1s} or none
//!   - workload: lock
//!     matrix: { target: [lock-manager], seed: [1, 2, 3], nemesis: [[kill], [pause]] }
//! ```
//!
//! Fields of a run: `name target workload nemesis nodes clients rate time timeout ready recovery
//! expect evidence judge seed`, and `matrix`, which lists several values for any of them and
//! stands for all combinations. A field of a run replaces the default as a whole.
//!
//! | module | what it does |
//! |---|---|
//! | [`catalogue`] | what suites may name |
//! | `locate` | where each key and value stands in the text |
//! | `document` | text → plain data |
//! | `expand` | defaults and matrices → one draft per run |
//! | `raw` | the forms in which each field may be written |
//! | `resolve` | draft → plan, checked |
//! | `naming` | names, seeds, selection |
//! | `write` | plan → YAML |
//! | `error` | what is wrong, shown on its own lines |

pub mod catalogue;
mod document;
mod error;
mod expand;
mod locate;
mod naming;
mod raw;
mod resolve;
mod write;

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde_json::json;
use tribunal_results::options::Time;

pub use self::catalogue::Catalogue;
use self::document::Document;
pub use self::error::SuiteError;
use self::error::{Problem, Problems};
use self::naming::Names;
pub use self::write::plan_to_yaml;
use crate::plan::Plan;

/// The longest suite that is read, in bytes.
const TEXT_MAX: u64 = 1 << 20;

/// A suite that is part of this program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BuiltIn {
    /// Its name.
    pub name: &'static str,
    /// The YAML itself.
    pub text: &'static str,
}

impl BuiltIn {
    /// What it shows, in one line.
    pub fn about(&self) -> String {
        let root = Document::parse(self.name, self.text).map(|document| document.root);
        let about = root
            .ok()
            .and_then(|root| root.get("about")?.as_str().map(str::to_owned));
        about.unwrap_or_default()
    }
}

static BUILT_IN: [BuiltIn; 4] = [
    BuiltIn {
        name: "demo",
        text: include_str!("../../suites/demo.yaml"),
    },
    BuiltIn {
        name: "lock",
        text: include_str!("../../suites/lock.yaml"),
    },
    BuiltIn {
        name: "register",
        text: include_str!("../../suites/register.yaml"),
    },
    BuiltIn {
        name: "planted",
        text: include_str!("../../suites/planted.yaml"),
    },
];

/// The suites that are part of this program.
pub fn built_in() -> &'static [BuiltIn] {
    &BUILT_IN
}

/// Where a suite comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A file.
    File(PathBuf),
    /// The built-in suite of that name.
    BuiltIn(&'static str),
}

/// What the command line says instead of the suite.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Overrides {
    /// The seed of every run.
    pub seed: Option<u64>,
    /// How long operations are invoked in every run.
    pub time: Option<Time>,
    /// The nodes of every run.
    pub nodes: Option<usize>,
    /// The clients of every run.
    pub clients: Option<usize>,
    /// The rate of every run.
    pub rate: Option<f64>,
    /// Which runs to keep: those whose name contains it, or with `*` and `?` matches it.
    pub only: Option<String>,
}

impl Overrides {
    /// The same limits as for suites.
    fn check(&self) -> Result<(), Problem> {
        if let Some(nodes) = self.nodes {
            raw::count("--nodes", &raw::NODES, &json!(nodes))?;
        }
        if let Some(clients) = self.clients {
            raw::count("--clients", &raw::CLIENTS, &json!(clients))?;
        }
        if let Some(rate) = self.rate {
            raw::rate("--rate", &json!(rate))?;
        }
        if let Some(time) = self.time {
            raw::time("--time", &json!(time))?;
        }
        Ok(())
    }

    fn apply(&self, plan: &mut Plan) {
        plan.seed = self.seed.unwrap_or(plan.seed);
        plan.time = self.time.unwrap_or(plan.time);
        plan.nodes = self.nodes.unwrap_or(plan.nodes);
        plan.clients = self.clients.unwrap_or(plan.clients);
        plan.rate = self.rate.unwrap_or(plan.rate);
    }
}

/// Reads a suite: its plans in order, each with a name that is unique in the suite and with a
/// seed, as far as `overrides` select them.
///
/// # Errors
/// What is wrong and where, if anything is; or that no run is selected.
pub fn load(
    source: &Source,
    catalogue: &Catalogue,
    overrides: &Overrides,
) -> Result<Vec<Plan>, SuiteError> {
    match source {
        Source::File(path) => {
            let file = path.display().to_string();
            let text = read(path, &file)?;
            load_text(&file, &stem(path), &text, catalogue, overrides)
        }
        Source::BuiltIn(name) => {
            let Some(suite) = BUILT_IN.iter().find(|suite| suite.name == *name) else {
                let known = BUILT_IN.map(|suite| suite.name).join(", ");
                return Err(SuiteError::whole(
                    name,
                    format!("there is no built-in suite `{name}`"),
                    format!("there are: {known}; a suite of your own is given by its path"),
                ));
            };
            let file = format!("{name}.yaml (built in)");
            load_text(&file, name, suite.text, catalogue, overrides)
        }
    }
}

fn read(path: &Path, file: &str) -> Result<String, SuiteError> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|opened| opened.take(TEXT_MAX + 1).read_to_end(&mut bytes))
        .map_err(|error| {
            let help = "a built-in suite is given by its name alone";
            SuiteError::whole(file, format!("cannot read the suite: {error}"), help)
        })?;
    if bytes.len() as u64 > TEXT_MAX {
        let help = "split it into several suites";
        return Err(SuiteError::whole(
            file,
            "the suite is longer than 1 MiB",
            help,
        ));
    }
    String::from_utf8(bytes).map_err(|error| {
        let title = format!("the suite is not text in UTF-8: {}", error.utf8_error());
        SuiteError::whole(file, title, "save it in UTF-8")
    })
}

/// The name of a suite that does not say: that of its file, as far as it can be one.
fn stem(path: &Path) -> String {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let tame = |c: char| {
        if c.is_ascii_alphanumeric() || "-_+.".contains(c) {
            c
        } else {
            '-'
        }
    };
    let name: String = stem.chars().take(60).map(tame).collect();
    match name.trim_start_matches(|c: char| !c.is_ascii_alphanumeric()) {
        "" => "suite".into(),
        name => name.into(),
    }
}

fn load_text(
    file: &str,
    stem: &str,
    text: &str,
    catalogue: &Catalogue,
    overrides: &Overrides,
) -> Result<Vec<Plan>, SuiteError> {
    overrides
        .check()
        .map_err(|problem| SuiteError::whole("command line", problem.title, "see --help"))?;
    let text = text.trim_start_matches('\u{feff}');
    let document = Document::parse(file, text)?;
    let mut problems = Problems::default();
    let mut plans = match plans(&document, stem, catalogue, overrides, &mut problems) {
        Ok(plans) => plans,
        Err(problem) => {
            problems.push(problem);
            Vec::new()
        }
    };
    if !problems.is_empty() {
        return Err(document.error(problems));
    }
    if let Some(only) = &overrides.only {
        let names: Vec<String> = plans.iter().map(|plan| plan.name.clone()).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        plans.retain(|plan| naming::selects(only, &plan.name));
        if plans.is_empty() {
            return Err(SuiteError::no_match(file, only, &names));
        }
    }
    Ok(plans)
}

fn plans(
    document: &Document,
    stem: &str,
    catalogue: &Catalogue,
    overrides: &Overrides,
    problems: &mut Problems,
) -> Result<Vec<Plan>, Problem> {
    let example = "at the least: `runs: [{target: …, workload: …}]`";
    if document.root.is_null() {
        return Err(Problem::new("the suite is empty").help(example));
    }
    let root = raw::mapping("a suite", &document.root).map_err(|p| p.help(example))?;
    raw::check_keys("a suite", root, &["suite", "about", "defaults", "runs"])?;
    let key = |key: &str| locate::Path::default().key(key);
    let suite = match root.get("suite") {
        Some(value) => raw::name("the suite's name", value).map_err(|p| p.under(&key("suite")))?,
        None => stem.to_owned(),
    };
    if let Some(about) = root.get("about") {
        raw::text("`about`", about).map_err(|p| p.under(&key("about")))?;
    }
    let mut names = Names::default();
    let mut plans = Vec::new();
    for draft in expand::drafts(root, problems) {
        let Some(resolved) = resolve::resolve(&suite, &draft, catalogue, overrides, problems)
        else {
            continue;
        };
        let mut plan = resolved.plan;
        plan.name = names.assign(&plan, &draft);
        if !resolved.seeded && overrides.seed.is_none() {
            plan.seed = naming::seed(&suite, &plan.name);
        }
        plans.push(plan);
    }
    Ok(plans)
}
