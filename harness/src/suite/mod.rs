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
//! expect evidence judge gates seed`, and `matrix`, which lists several values for any of them and
//! stands for all combinations. A field of a run replaces the default as a whole.
//!
//! | module | what it does |
//! |---|---|
//! | [`catalogue`] | what suites may name |
//! | `locate` | where each key and value stands in the text |
//! | `source` | where suites come from; those that are built in |
//! | `document` | text → plain data |
//! | `expand` | defaults and matrices → one draft per run |
//! | `raw` | the forms in which each field may be written |
//! | `gates` | thresholds for what is measured |
//! | `steps` | the steps of a schedule |
//! | `resolve` | draft → plan, checked |
//! | `naming` | names, seeds, selection |
//! | `write`, `flow` | plan → YAML |
//! | `schema` | what editors complete and underline |
//! | [`profiles`] | options of `tribunal run` under a name |
//! | [`known`] | violations that somebody works on |
//! | `error` | what is wrong, shown on its own lines |

pub mod catalogue;
mod document;
mod error;
mod expand;
mod flow;
mod gates;
pub mod known;
mod locate;
mod naming;
mod place;
pub mod profiles;
mod raw;
mod resolve;
mod schema;
mod source;
mod steps;
mod write;

use serde_json::json;
use tribunal_results::options::Time;

pub use self::catalogue::Catalogue;
use self::document::Document;
pub use self::error::SuiteError;
pub(crate) use self::error::nearest;
use self::error::{Problem, Problems};
use self::naming::Names;
pub use self::schema::schema;
pub use self::source::{BuiltIn, Source, built_in};
pub use self::write::plan_to_yaml;
use crate::plan::Plan;

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
    overrides
        .check()
        .map_err(|problem| SuiteError::whole("command line", problem.title, "see --help"))?;
    let text = source.read()?;
    let mut document = Document::parse(&text.file, &text.yaml)?;
    if let Some(dir) = &text.dir {
        place::fill_in(&mut document.root, dir);
    }
    let mut problems = Problems::default();
    let read = plans(&document, &text.stem, catalogue, overrides, &mut problems);
    let mut plans = read.unwrap_or_else(|problem| {
        problems.push(problem);
        Vec::new()
    });
    if !problems.is_empty() {
        return Err(document.error(problems));
    }
    if let Some(only) = &overrides.only {
        let names: Vec<String> = plans.iter().map(|plan| plan.name.clone()).collect();
        // A whole name means that run alone, also if it occurs in the name of another.
        let whole = names.contains(only);
        plans.retain(|plan| match whole {
            true => plan.name == *only,
            false => naming::selects(only, &plan.name),
        });
        if plans.is_empty() {
            return Err(SuiteError::no_match(&text.file, only, &names));
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
        let resolved = resolve::resolve(&suite, &draft, catalogue, overrides, problems);
        let Some(mut plan) = resolved else { continue };
        plan.name = names.assign(&plan, &draft);
        if overrides.seed.is_none() && !draft.fields.contains_key("seed") {
            plan.seed = naming::seed(&suite, &plan.name);
        }
        plans.push(plan);
    }
    Ok(plans)
}
