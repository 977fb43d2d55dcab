//! Tests written in Rust: the same runs as those of suites, with parts of one's own.
//!
//! A [`Test`] is one run: a target under a workload, broken by a nemesis, and judged. Whatever a run
//! in a suite may say can be said here, and is checked in the same way before anything starts.
//!
//! ```no_run
//! # fn main() -> anyhow::Result<()> {
//! use std::time::Duration;
//!
//! tribunal::Test::new("paxos-kv", "register")
//!     .nodes(3)
//!     .nemesis(["kill", "partition"])
//!     .time(Duration::from_secs(5))
//!     .run()?
//!     .assert_pass();
//! # Ok(())
//! # }
//! ```
//!
//! Parts are named if they are of the catalogue, and given as [`own`] values if not: any
//! [`Target`](tribunal_targets::Target), [`Workload`](tribunal_workloads::Workload), [`Checker`] or
//! [`Fault`]. They live until the process ends. Two tests
//! may have parts of one name; each finds its own.
//!
//! | module | what it does |
//! |---|---|
//! | `part` | what is named, and what is given |
//! | `program` | where the program `tribunal` is |
//! | `perform` | does the run |
//! | `concluded` | what it came to |

mod concluded;
mod part;
mod perform;
mod program;

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Map, Value as Json, json};
use tribunal_checkers::Checker;
use tribunal_nemesis::Fault;

pub use self::concluded::Concluded;
pub use self::part::{LoadPart, Own, TargetPart, own};
use crate::parts::Parts;
use crate::plan::Plan;
use crate::suite::{self, Catalogue, Overrides, Source};

/// The variable that gives the seed of tests that have none.
const SEED: &str = "TRIBUNAL_SEED";
/// The variable that says where run directories go.
const OUT: &str = "TRIBUNAL_OUT";

/// One run, to be described and done.
#[derive(Clone, Debug)]
#[must_use = "a test does nothing until it is run"]
pub struct Test {
    name: Option<String>,
    target: Map<String, Json>,
    workload: Map<String, Json>,
    faults: Vec<Json>,
    nemesis: Map<String, Json>,
    fields: Map<String, Json>,
    parts: Parts,
    out: Option<PathBuf>,
}

impl Test {
    /// A run of that workload against that target: each a name of the catalogue, or an [`own`]
    /// value.
    pub fn new(target: impl TargetPart, workload: impl LoadPart) -> Self {
        let mut parts = Parts::default();
        let of = |name: String| Map::from_iter([("type".to_owned(), Json::String(name))]);
        let (target, workload) = (target.join(&mut parts), workload.join(&mut parts));
        Self {
            name: None,
            target: of(target),
            workload: of(workload),
            faults: Vec::new(),
            nemesis: Map::new(),
            fields: Map::new(),
            parts,
            out: None,
        }
    }

    /// Its name: otherwise that of the test function that runs it.
    pub fn name(mut self, name: &str) -> Self {
        self.name = Some(name.to_owned());
        self
    }

    /// The planted bug that the target's nodes show.
    pub fn bug(mut self, bug: &str) -> Self {
        self.target.insert("bug".into(), bug.into());
        self
    }

    /// Options of the target, an object.
    pub fn target_options(mut self, options: Json) -> Self {
        self.target.insert("options".into(), options);
        self
    }

    /// Options of the workload, an object.
    pub fn workload_options(mut self, options: Json) -> Self {
        self.workload
            .extend(options.as_object().cloned().unwrap_or_default());
        self
    }

    /// How many nodes there are.
    pub fn nodes(self, nodes: usize) -> Self {
        self.set("nodes", json!(nodes))
    }

    /// How many clients ask at once.
    pub fn clients(self, clients: usize) -> Self {
        self.set("clients", json!(clients))
    }

    /// How many operations a second are asked, of all clients together.
    pub fn rate(self, rate: f64) -> Self {
        self.set("rate", json!(rate))
    }

    /// How long new operations are asked.
    pub fn time(self, time: Duration) -> Self {
        self.set("time", format!("{}ms", time.as_millis()).into())
    }

    /// The seed of every choice; otherwise that of the variable `TRIBUNAL_SEED`, or one made of the
    /// name.
    pub fn seed(self, seed: u64) -> Self {
        self.set("seed", json!(seed))
    }

    /// Faults to draw from, besides those that were asked for before: names, or objects with a
    /// `type` and options.
    pub fn nemesis<F: Into<Json>>(mut self, faults: impl IntoIterator<Item = F>) -> Self {
        self.faults.extend(faults.into_iter().map(Into::into));
        self
    }

    /// A fault of one's own to draw from.
    pub fn fault(mut self, fault: impl Fault + 'static) -> Self {
        let fault: &'static dyn Fault = Box::leak(Box::new(fault));
        self.faults.push(fault.name().into());
        self.parts.faults.push(fault);
        self
    }

    /// How long nothing is broken before each fault, as in a suite: `200ms..600ms`.
    pub fn quiet(mut self, range: &str) -> Self {
        self.nemesis.insert("quiet".into(), range.into());
        self
    }

    /// How long each fault lasts, as in a suite: `300ms..900ms`.
    pub fn hold(mut self, range: &str) -> Self {
        self.nemesis.insert("hold".into(), range.into());
        self
    }

    /// A checker of one's own, which workloads of one's own name.
    pub fn checker(mut self, checker: impl Checker + 'static) -> Self {
        self.parts.checkers.push(Box::leak(Box::new(checker)));
        self
    }

    /// The anomalies of which at least one must be found: the run passes only then.
    pub fn expect<A: Into<String>>(self, anomalies: impl IntoIterator<Item = A>) -> Self {
        let anomalies: Vec<String> = anomalies.into_iter().map(Into::into).collect();
        self.set("expect", json!(anomalies))
    }

    /// The least that the run must show, by the names of a suite's `evidence`; otherwise it is
    /// insufficient. Of [`custom`](tribunal_results::Operation::Custom) operations nobody knows which
    /// are reads: ask for no `cross_observations` and no `final_reads` of a workload that has only
    /// these.
    pub fn evidence<'a>(self, floor: impl IntoIterator<Item = (&'a str, u64)>) -> Self {
        let floor = floor
            .into_iter()
            .map(|(name, least)| (name.to_owned(), least.into()));
        self.set("evidence", Json::Object(floor.collect()))
    }

    /// Any other field of a run, with the value that it would have in a suite.
    pub fn set(mut self, field: &str, value: Json) -> Self {
        self.fields.insert(field.into(), value);
        self
    }

    /// Where run directories go; otherwise to that of the variable `TRIBUNAL_OUT`, or to
    /// `results/runs`.
    pub fn out(mut self, directory: impl Into<PathBuf>) -> Self {
        self.out = Some(directory.into());
        self
    }

    /// The program `tribunal`, where it is not found by itself: it guards the run, and is the nodes
    /// of reference targets.
    pub fn program(mut self, program: impl Into<PathBuf>) -> Self {
        self.parts.program = Some(program.into());
        self
    }

    /// What would be run, with every choice made.
    ///
    /// # Errors
    /// What is wrong, as of a suite.
    pub fn plan(&self) -> anyhow::Result<Plan> {
        let wrong = |e| anyhow::anyhow!("the test cannot be run\n{e}");
        let name = self.name.clone().unwrap_or_else(name_of_thread);
        let mut run = self.fields.clone();
        run.insert("name".into(), tame(&name).into());
        run.insert("target".into(), self.target.clone().into());
        run.insert("workload".into(), self.workload.clone().into());
        if !self.faults.is_empty() || !self.nemesis.is_empty() {
            let mut nemesis = self.nemesis.clone();
            nemesis.insert("faults".into(), self.faults.clone().into());
            run.entry("nemesis").or_insert(nemesis.into());
        }
        let suite = std::env::var("CARGO_PKG_NAME").unwrap_or_else(|_| "tests".into());
        let suite = json!({ "suite": tame(&suite), "runs": [run] });
        let source = Source::Text {
            name: format!("{name} (a test in Rust)"),
            yaml: serde_json::to_string_pretty(&suite)?,
        };
        let overrides = Overrides {
            seed: self.seed_of_environment()?,
            ..Overrides::default()
        };
        let catalogue = Catalogue::with(self.parts.clone());
        let mut plans =
            suite::load(&source, &catalogue, &overrides).map_err(|e| wrong(e.render(false)))?;
        plans.pop().ok_or_else(|| wrong("there is no run".into()))
    }

    fn seed_of_environment(&self) -> anyhow::Result<Option<u64>> {
        let Some(given) = std::env::var(SEED)
            .ok()
            .filter(|_| !self.fields.contains_key("seed"))
        else {
            return Ok(None);
        };
        let seed = given.trim().parse();
        seed.map(Some)
            .map_err(|_| anyhow::anyhow!("{SEED} is {given:?}; it must be a whole number"))
    }

    /// Does the run, and waits for its end. It has threads of its own, so it may be called from
    /// anywhere; within an asynchronous task [`run_async`](Self::run_async) is better.
    ///
    /// # Errors
    /// What is wrong with the test, as of a suite; that `tribunal` is not found; that the run
    /// directory cannot be written. Whatever happens in the run is no error but its result.
    pub fn run(mut self) -> anyhow::Result<Concluded> {
        let again = self.again();
        self.name = Some(self.name.take().unwrap_or_else(name_of_thread));
        std::thread::scope(|scope| {
            let run = scope.spawn(|| perform::perform(&self, again));
            let ended = run.join();
            ended.unwrap_or_else(|_| {
                Err(anyhow::anyhow!(
                    "the run panicked; this is a bug of Tribunal"
                ))
            })
        })
    }

    /// The same as a future.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub async fn run_async(mut self) -> anyhow::Result<Concluded> {
        let again = self.again();
        self.name = Some(self.name.take().unwrap_or_else(name_of_thread));
        let (tell, told) = tokio::sync::oneshot::channel();
        std::thread::Builder::new()
            .name("tribunal".into())
            .spawn(move || {
                // Nobody waits any more if the future was dropped.
                let _dropped = tell.send(perform::perform(&self, again));
            })?;
        told.await?
    }

    /// The command that does the same again, without the seed.
    fn again(&self) -> String {
        match (
            std::env::var("CARGO_PKG_NAME"),
            std::thread::current().name(),
        ) {
            (Ok(package), Some(test)) if test != "main" => {
                format!("cargo test -p {package} {test} -- --exact")
            }
            _ => {
                let words = std::env::args().map(|word| crate::cli::quoted(&word));
                words.collect::<Vec<_>>().join(" ")
            }
        }
    }
}

/// What the thread is called: in `cargo test`, the path of the test function.
fn name_of_thread() -> String {
    let thread = std::thread::current();
    thread.name().unwrap_or("test").to_owned()
}

/// A text as it may be in file names: `my_tests::it_holds` is `my_tests-it_holds`.
fn tame(text: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_+.".contains(c);
    let words = text
        .split(|c: char| !fits(c))
        .filter(|word| !word.is_empty());
    let name = words.collect::<Vec<_>>().join("-");
    let name: String = name.chars().take(80).collect();
    match name.trim_start_matches(|c: char| !c.is_ascii_alphanumeric()) {
        "" => "test".into(),
        name => name.into(),
    }
}
