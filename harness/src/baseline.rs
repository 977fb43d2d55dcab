//! The figures of runs, saved to compare later ones with.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, ensure};
use serde::{Deserialize, Serialize};
use tribunal_results::gates::{FIGURES, Figure, Unit};
use tribunal_results::run::RunInfo;
use tribunal_results::{ResultClass, shift};

use crate::recorded::Recorded;
use crate::show;

/// What a file of this kind says of itself.
const FORMAT: &str = "tribunal-baseline";
/// The version of the form.
const VERSION: u32 = 1;
/// Values of a figure that are kept of one plan: those of the latest runs.
const VALUES_MAX: usize = 200;
/// Shares that differ by less are the same, unless the figure has a noise of its own.
const SHARE_FLOOR: f64 = 0.005;
/// What says how much a run did, not how well the system did: shown, and judged if it has a noise
/// of its own.
const TOLD_ONLY: [&str; 5] = [
    "faults",
    "overlap",
    "cross_observations",
    "concurrency",
    "final_reads",
];

/// Figures of the runs of several plans.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Baseline {
    format: String,
    version: u32,
    /// The version of Tribunal that measured.
    pub tribunal: String,
    /// The machine that it was measured on.
    pub machine: BTreeMap<String, String>,
    /// Each plan, in order.
    pub plans: Vec<Measured>,
}

/// The figures of one plan's runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// What was run: figures of other runs say nothing about these.
    pub what: What,
    /// How many runs there were.
    pub runs: u64,
    /// The values of each figure, a run each, as far as they could be measured.
    pub figures: BTreeMap<String, Vec<f64>>,
}

/// What a plan's runs have in common.
#[derive(Clone, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct What {
    /// The suite.
    pub suite: String,
    /// The plan within the suite.
    pub plan: String,
    /// The target.
    pub target: String,
    /// The planted bug, if any.
    pub bug: Option<String>,
    /// The workload.
    pub workload: String,
    /// How many nodes there were.
    pub nodes: usize,
    /// How many clients there were.
    pub clients: usize,
    /// The faults asked for.
    pub faults: Vec<String>,
    /// How long new operations were asked, in milliseconds; not known of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_ms: Option<u64>,
    /// How many operations a second were to be asked; not known of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<f64>,
}

impl What {
    fn of(info: &RunInfo) -> Self {
        Self {
            suite: info.suite.clone(),
            plan: info.plan.clone(),
            target: info.target.clone(),
            bug: info.bug.clone(),
            workload: info.workload.clone(),
            nodes: info.nodes.len(),
            clients: info.clients,
            faults: info.faults.clone(),
            time_ms: info.time_ms,
            rate: info.rate,
        }
    }

    /// What is not as it was, each in words: `time 5 s then, 10 s now`. What one of them does not
    /// know is no difference.
    pub fn changes(&self, now: &Self) -> Vec<String> {
        let none = || "none".to_owned();
        let list = |faults: &[String]| match faults {
            [] => none(),
            faults => faults.join("+"),
        };
        let bug = |what: &Self| what.bug.clone().unwrap_or_else(none);
        let time = |what: &Self| what.time_ms.map(|ms| format!("{} s", ms as f64 / 1_000.0));
        let rate = |what: &Self| what.rate.map(|rate| format!("{rate}/s"));
        let count = |count: usize| Some(count.to_string());
        let both = |of: &dyn Fn(&Self) -> Option<String>| Some((of(self)?, of(now)?));
        let fields = [
            ("target", both(&|what| Some(what.target.clone()))),
            ("bug", both(&|what| Some(bug(what)))),
            ("workload", both(&|what| Some(what.workload.clone()))),
            ("nodes", both(&|what| count(what.nodes))),
            ("clients", both(&|what| count(what.clients))),
            ("faults", both(&|what| Some(list(&what.faults)))),
            ("time", both(&time)),
            ("rate", both(&rate)),
        ];
        let changed = fields.into_iter().filter_map(|(name, both)| {
            let (then, now) = both.filter(|(then, now)| then != now)?;
            Some(format!("{name} {then} then, {now} now"))
        });
        changed.collect()
    }

    /// How it is called.
    pub fn name(&self) -> String {
        format!("{}/{}", self.suite, self.plan)
    }
}

/// Whether the figures of a run mean anything: it came to its end, nothing was found, and nothing
/// was to be found, as such runs are cut short.
pub fn counts(run: &Recorded) -> bool {
    let ended = matches!(run.class(), ResultClass::Pass | ResultClass::Regression);
    ended && run.verdict.as_ref().is_some_and(|v| v.expected.is_empty())
}

impl Baseline {
    /// The figures of those of these runs that count.
    pub fn of(runs: &[Recorded]) -> Self {
        let mut counted: Vec<&Recorded> = runs.iter().filter(|run| counts(run)).collect();
        counted.sort_by(|a, b| b.info.started.cmp(&a.info.started));
        let latest = counted.first().map(|run| &run.info);
        let mut plans: Vec<Measured> = Vec::new();
        for run in &counted {
            let what = What::of(&run.info);
            match plans.iter_mut().find(|plan| plan.what == what) {
                Some(plan) => plan.add(run),
                None => plans.push(Measured::first(what, run)),
            }
        }
        plans.sort_by(|a, b| a.what.partial_cmp(&b.what).unwrap_or(Ordering::Equal));
        Self {
            format: FORMAT.into(),
            version: VERSION,
            tribunal: latest.map(|info| info.version.clone()).unwrap_or_default(),
            machine: latest.map(|info| info.machine.clone()).unwrap_or_default(),
            plans,
        }
    }

    /// Reads a file.
    ///
    /// # Errors
    /// If it is none of these, or of a later version.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let shown = path.display();
        let read: Self = show::read_json(path).with_context(|| {
            format!("{shown} is no baseline; `tribunal compare --save {shown} RUN…` writes one")
        })?;
        ensure!(read.format == FORMAT, "{shown} is no baseline");
        ensure!(
            read.version == VERSION,
            "{shown} is of version {}, and this Tribunal reads {VERSION}; save it anew",
            read.version
        );
        Ok(read)
    }

    /// Writes it, whole or not at all.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&self, path: &Path) -> anyhow::Result<()> {
        let mut json = serde_json::to_vec_pretty(self)?;
        json.push(b'\n');
        let folder = path.parent().unwrap_or(Path::new("."));
        tribunal_results::run::RunDir::at(folder)
            .write(path, &json)
            .with_context(|| format!("cannot write {}", path.display()))
    }
}

impl Measured {
    fn first(what: What, run: &Recorded) -> Self {
        let (runs, figures) = (0, BTreeMap::new());
        let mut plan = Self {
            what,
            runs,
            figures,
        };
        plan.add(run);
        plan
    }

    fn add(&mut self, run: &Recorded) {
        let Some(verdict) = &run.verdict else { return };
        self.runs += 1;
        for figure in &FIGURES {
            let values = self.figures.entry(figure.name.into()).or_default();
            if values.len() < VALUES_MAX {
                values.extend((figure.of)(&verdict.evidence));
            }
        }
    }

    fn values(&self, figure: &Figure) -> &[f64] {
        self.figures.get(figure.name).map_or(&[], Vec::as_slice)
    }
}

/// How much figures may get worse, as shares of what they were.
#[derive(Clone, Debug, PartialEq)]
pub struct Noise {
    /// All that have none of their own.
    pub all: f64,
    /// By the figure's name.
    pub of: BTreeMap<String, f64>,
}

/// What became of a figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is not worse, or not by more than noise.
    Held,
    /// It is worse by more than noise.
    Worse,
    /// It could be measured then, and no more.
    Lost,
    /// It is only told: it says how much was done.
    Told,
}

/// A figure then and now.
#[derive(Clone, Debug)]
pub struct Change {
    /// Which.
    pub figure: &'static Figure,
    /// Its median then.
    pub then: f64,
    /// Its median now.
    pub now: Option<f64>,
    /// The 95 % interval of how much larger it is now, in the figure's unit; none of few runs.
    pub interval: Option<(f64, f64)>,
    /// What became of it.
    pub fate: Fate,
}

/// The figures of a plan then and now; those are left out that could not be measured then. Worse is
/// what is worse by more than noise as a median, and with enough runs only if the whole interval
/// says that it is worse at all.
pub fn compare(then: &Measured, now: &Measured, noise: &Noise) -> Vec<Change> {
    let one = |figure: &'static Figure| {
        let (old, new) = (then.values(figure), now.values(figure));
        let (was, is) = (shift::median(old)?, shift::median(new));
        let interval = shift::interval(old, new);
        let own = noise.of.get(figure.name).copied();
        let fate = match is {
            None => Fate::Lost,
            Some(_) if own.is_none() && TOLD_ONLY.contains(&figure.name) => Fate::Told,
            Some(is) => {
                let floor = match (own, figure.unit) {
                    (None, Unit::Share) => SHARE_FLOOR,
                    _ => 0.0,
                };
                let may = (own.unwrap_or(noise.all) * was.abs()).max(floor);
                let (worse, surely) = match (figure.more_is_better, interval) {
                    (true, interval) => (was - is, interval.is_none_or(|(_, high)| high < 0.0)),
                    (false, interval) => (is - was, interval.is_none_or(|(low, _)| low > 0.0)),
                };
                match worse > may && surely {
                    true => Fate::Worse,
                    false => Fate::Held,
                }
            }
        };
        Some(Change {
            figure,
            then: was,
            now: is,
            interval,
            fate,
        })
    };
    FIGURES.iter().filter_map(one).collect()
}

impl Change {
    /// `✓`, `✗`, `?` if it could not be measured any more, `·` if it is only told.
    pub const fn sign(&self) -> &'static str {
        match self.fate {
            Fate::Held => "✓",
            Fate::Worse => "✗",
            Fate::Lost => "?",
            Fate::Told => "·",
        }
    }

    /// The value now, in words.
    pub fn now(&self) -> String {
        self.now
            .map_or("not measured".into(), |now| self.figure.unit.show(now))
    }

    /// By how much it changed, in words: `+12 % (+8 % to +15 %)`.
    pub fn words(&self) -> String {
        let Some(now) = self.now else {
            return String::new();
        };
        let share = |by: f64| match self.then == 0.0 {
            true if by == 0.0 => "±0".into(),
            true => format!("+{}", self.figure.unit.show(by)),
            false => format!("{:+.1} %", 100.0 * by / self.then.abs()),
        };
        let change = share(now - self.then);
        match self.interval {
            None => change,
            Some((low, high)) => format!("{change} ({} to {})", share(low), share(high)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(figure: &str, values: &[f64]) -> Measured {
        Measured {
            what: What {
                suite: "s".into(),
                plan: "p".into(),
                target: "t".into(),
                bug: None,
                workload: "w".into(),
                nodes: 3,
                clients: 6,
                faults: Vec::new(),
                time_ms: Some(5_000),
                rate: None,
            },
            runs: values.len() as u64,
            figures: [(figure.to_owned(), values.to_vec())].into(),
        }
    }

    fn fate(figure: &str, then: &[f64], now: &[f64]) -> Fate {
        fate_with(figure, then, now, &[])
    }

    fn fate_with(figure: &str, then: &[f64], now: &[f64], own: &[(&str, f64)]) -> Fate {
        let noise = Noise {
            all: 0.1,
            of: own
                .iter()
                .map(|(name, by)| ((*name).to_owned(), *by))
                .collect(),
        };
        let changes = compare(&measured(figure, then), &measured(figure, now), &noise);
        assert_eq!(changes.len(), 1);
        changes[0].fate
    }

    #[test]
    fn what_gets_worse_by_more_than_noise_is_worse_in_its_own_direction() {
        assert_eq!(fate("latency_p99", &[1.0], &[1.09]), Fate::Held);
        assert_eq!(fate("latency_p99", &[1.0], &[1.2]), Fate::Worse);
        assert_eq!(fate("latency_p99", &[1.0], &[0.2]), Fate::Held);
        assert_eq!(fate("ok_operations", &[100.0], &[80.0]), Fate::Worse);
        assert_eq!(fate("ok_operations", &[100.0], &[200.0]), Fate::Held);
        assert_eq!(fate("ok_operations", &[100.0], &[91.0]), Fate::Held);
    }

    #[test]
    fn what_is_not_as_it_was_is_told_and_what_is_not_known_is_no_difference() {
        let then = measured("latency_p99", &[1.0]).what;
        assert!(then.changes(&then).is_empty());
        let now = What {
            time_ms: Some(10_000),
            rate: Some(50.0),
            nodes: 5,
            faults: vec!["kill".into(), "pause".into()],
            ..then.clone()
        };
        let told = [
            "nodes 3 then, 5 now",
            "faults none then, kill+pause now",
            "time 5 s then, 10 s now",
        ];
        assert_eq!(then.changes(&now), told);
    }

    #[test]
    fn a_median_that_may_be_chance_is_not_worse() {
        let then = [1.0, 1.1, 1.2, 1.3, 3.0];
        assert_eq!(
            fate("latency_p99", &then, &[1.0, 1.1, 1.5, 1.6, 3.0]),
            Fate::Held
        );
        assert_eq!(
            fate("latency_p99", &then, &[4.0, 4.1, 4.2, 4.3, 4.4]),
            Fate::Worse
        );
        // Surely worse, but by less than noise.
        let close = [1.00, 1.01, 1.02, 1.03, 1.04];
        let now = close.map(|value| value + 0.05);
        assert_eq!(fate("latency_p99", &close, &now), Fate::Held);
    }

    #[test]
    fn small_shares_of_nothing_are_noise_unless_it_is_said_otherwise() {
        assert_eq!(fate("fail_rate", &[0.0], &[0.004]), Fate::Held);
        assert_eq!(fate("fail_rate", &[0.0], &[0.006]), Fate::Worse);
        let own = [("fail_rate", 0.1)];
        assert_eq!(fate_with("fail_rate", &[0.0], &[0.004], &own), Fate::Worse);
    }

    #[test]
    fn what_says_how_much_was_done_is_told_and_what_is_missing_is_lost() {
        assert_eq!(fate("faults", &[9.0], &[1.0]), Fate::Told);
        assert_eq!(
            fate_with("faults", &[9.0], &[1.0], &[("faults", 0.1)]),
            Fate::Worse
        );
        assert_eq!(fate("recovery_p99", &[9.0], &[]), Fate::Lost);
    }
}
