//! `tribunal compare`: the figures of runs against a saved baseline.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use tribunal_results::ResultClass;
use tribunal_results::gates::{self, FIGURES};
use tribunal_results::report::markdown::cell;
use tribunal_results::report::text::counted;

use super::{Done, Failure, exit, github, output};
use crate::baseline::{self, Baseline, Change, Fate, Measured, Noise};
use crate::recorded::{self, Recorded};
use crate::suite::nearest;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tribunal run suite.yaml --repeat 5 --out runs/main
  tribunal compare --save baseline.json runs/main
  tribunal compare baseline.json runs/mine --noise 15% --noise latency_p99=30%

Compared are the medians of each plan's runs. With enough runs on both sides (four and four, or
more) a figure is worse only if the 95 % interval says so too; with fewer the medians alone decide.
Shares that differ by less than half a percentage point are the same, unless the figure has a noise
of its own. What says how much was done (faults, overlap, cross_observations, concurrency,
final_reads) is told, and judged if it has a noise of its own.

Exit codes: 0 nothing is worse, 4 a figure is worse, 3 nothing to compare or something could not be
measured; a violation among the runs is 1.")]
pub(super) struct Compare {
    /// The saved baseline, then directories with runs in them, at any depth up to six
    #[arg(required = true, value_name = "BASELINE> <RUN")]
    paths: Vec<PathBuf>,
    /// Save the figures of the runs as a baseline; then all paths are directories with runs
    #[arg(long, value_name = "FILE", conflicts_with_all = ["noise", "summary"])]
    save: Option<PathBuf>,
    /// How much worse a figure may get, as a share of what it was; `FIGURE=SHARE` for one figure.
    /// May be given several times [default: 10%]
    #[arg(long, value_name = "[FIGURE=]SHARE", value_parser = noise)]
    noise: Vec<(Option<String>, f64)>,
    /// Also write the table as Markdown
    #[arg(long, value_name = "FILE")]
    summary: Option<PathBuf>,
}

/// What may get worse if nothing else is said.
const NOISE: f64 = 0.1;

/// `10%`, `0.1`, or `latency_p99=30%`.
fn noise(text: &str) -> Result<(Option<String>, f64), String> {
    let (figure, share) = match text.split_once('=') {
        Some((figure, share)) => (Some(figure.trim()), share),
        None => (None, text),
    };
    if let Some(name) = figure.filter(|name| gates::find(name).is_none()) {
        let known: Vec<&str> = FIGURES.iter().map(|figure| figure.name).collect();
        let near = nearest(name, &known);
        let near = near.map_or(String::new(), |near| format!("did you mean `{near}`? "));
        let all = known.join(", ");
        return Err(format!(
            "there is no figure `{name}`; {near}there are: {all}"
        ));
    }
    let wrong = || format!("{share:?} is no share; write 10% or 0.1");
    let (number, scale) = match share.trim().strip_suffix('%') {
        Some(percent) => (percent, 100.0),
        None => (share, 1.0),
    };
    let share = number.trim().parse::<f64>().map_err(|_| wrong())? / scale;
    (share >= 0.0 && share.is_finite())
        .then(|| (figure.map(str::to_owned), share))
        .ok_or_else(wrong)
}

/// Saves a baseline, or compares with one.
pub(super) fn compare(args: &Compare) -> Done {
    if let Some(file) = &args.save {
        return save(file, &args.paths);
    }
    let [file, folders @ ..] = args.paths.as_slice() else {
        return Err(Failure::usage(anyhow::anyhow!("which baseline?")));
    };
    if folders.is_empty() {
        return Err(Failure::usage(anyhow::anyhow!(
            "a baseline and directories with runs are compared; to save a baseline: \
             tribunal compare --save {} RUN…",
            file.display()
        )));
    }
    let then = Baseline::read(file).map_err(Failure::usage)?;
    let runs = recorded::find(folders).map_err(Failure::usage)?.runs;
    let now = Baseline::of(&runs);
    let mut classes = left_out(&runs);
    let compared = tables(&then, &now, &args.noise());
    for table in &compared {
        print(table);
        classes.push(table.class());
    }
    elsewhere(&then, &now);
    if then.plans.is_empty() {
        anstream::println!("the baseline has no figures");
        classes.push(ResultClass::Insufficient);
    }
    let text = markdown(&compared);
    if let Some(path) = &args.summary {
        std::fs::write(path, &text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    github::add_to_summary(&text)?;
    let class = ResultClass::combine(classes).unwrap_or(ResultClass::Insufficient);
    let (style, words) = (output::style_of(class), conclusion(class));
    anstream::println!("{style}{}{style:#} {words}", class.name().to_uppercase());
    Ok(class.exit_code())
}

const fn conclusion(class: ResultClass) -> &'static str {
    match class {
        ResultClass::Pass => "no figure is worse than the baseline by more than noise",
        ResultClass::Regression => "a figure is worse than the baseline by more than noise",
        ResultClass::Insufficient => "something that the baseline has was not measured now",
        ResultClass::Violation => "a run found a violation: figures mean little beside that",
        ResultClass::Inconclusive | ResultClass::HarnessError | ResultClass::Interrupted => {
            "not all runs came to their end"
        }
    }
}

impl Compare {
    fn noise(&self) -> Noise {
        let all = self.noise.iter().rev().find(|(figure, _)| figure.is_none());
        let of = self.noise.iter();
        Noise {
            all: all.map_or(NOISE, |(_, share)| *share),
            of: of
                .filter_map(|(figure, share)| Some((figure.clone()?, *share)))
                .collect(),
        }
    }
}

fn save(file: &Path, folders: &[PathBuf]) -> Done {
    let runs = recorded::find(folders).map_err(Failure::usage)?.runs;
    let baseline = Baseline::of(&runs);
    let classes = left_out(&runs);
    if baseline.plans.is_empty() {
        anstream::eprintln!("there is no run whose figures mean something; nothing was saved");
        return Ok(exit::INSUFFICIENT);
    }
    baseline.write(file)?;
    for plan in &baseline.plans {
        let runs = counted(plan.runs, "run");
        anstream::println!("{}  {runs}", plan.what.name());
    }
    anstream::println!("saved to {}", file.display());
    Ok(ResultClass::combine(classes).map_or(exit::PASS, ResultClass::exit_code))
}

/// Says how many runs are left out, and what they count as.
fn left_out(runs: &[Recorded]) -> Vec<ResultClass> {
    let mut out: BTreeMap<&str, usize> = BTreeMap::new();
    let mut classes = Vec::new();
    for run in runs.iter().filter(|run| !baseline::counts(run)) {
        let class = run.class();
        let why = match class {
            ResultClass::Pass | ResultClass::Regression => "expects an anomaly, so it is cut short",
            other => other.name(),
        };
        *out.entry(why).or_default() += 1;
        classes.extend((class != ResultClass::Pass).then_some(class));
    }
    for (why, count) in out {
        let unsure = output::UNSURE;
        let runs = counted(count as u64, "run");
        anstream::println!("{unsure}left out{unsure:#}  {runs}: {why}");
    }
    classes
}

/// A plan of the baseline, and what became of it.
struct Table {
    name: String,
    then: u64,
    now: u64,
    changes: Vec<Change>,
    /// Why there is nothing to compare.
    not: Option<String>,
}

impl Table {
    fn class(&self) -> ResultClass {
        let any = |fate| self.changes.iter().any(|change| change.fate == fate);
        match self.not {
            Some(_) => ResultClass::Insufficient,
            // What was measured, and is worse, is not hidden by what was not.
            None if any(Fate::Worse) => ResultClass::Regression,
            None if any(Fate::Lost) => ResultClass::Insufficient,
            None => ResultClass::Pass,
        }
    }

    /// Whether there are too few runs for an interval of anything.
    fn few(&self) -> bool {
        self.changes.iter().all(|change| change.interval.is_none())
    }
}

fn tables(then: &Baseline, now: &Baseline, noise: &Noise) -> Vec<Table> {
    let one = |old: &Measured| {
        let namesakes = now.plans.iter();
        let namesakes = namesakes.filter(|new| new.what.name() == old.what.name());
        let changes = namesakes.map(|new| (new, old.what.changes(&new.what)));
        let nearest = changes.min_by_key(|(_, changes)| changes.len());
        let (new, not) = match nearest {
            Some((new, changes)) if changes.is_empty() => (Some(new), None),
            Some((_, changes)) => (None, Some(another(&changes))),
            None => {
                let not = "the baseline has it, but no run of it counts now";
                (None, Some(not.to_owned()))
            }
        };
        Table {
            name: old.what.name(),
            then: old.runs,
            now: new.map_or(0, |new| new.runs),
            changes: new.map_or_else(Vec::new, |new| baseline::compare(old, new, noise)),
            not,
        }
    };
    then.plans.iter().map(one).collect()
}

fn another(changes: &[String]) -> String {
    let changes = changes.join("; ");
    format!(
        "it is another plan now ({changes}), so figures cannot be compared; save the baseline anew"
    )
}

fn print(table: &Table) {
    let faint = output::FAINT;
    let (then, now) = (counted(table.then, "run"), table.now);
    anstream::println!("{}  {faint}{then} then, {now} now{faint:#}", table.name);
    if let Some(not) = &table.not {
        let unsure = output::UNSURE;
        anstream::println!("  {unsure}?{unsure:#} {not}");
        return;
    }
    for change in &table.changes {
        let style = match change.fate {
            Fate::Held => output::GOOD,
            Fate::Worse => output::BAD,
            Fate::Lost => output::UNSURE,
            Fate::Told => output::FAINT,
        };
        let (sign, name, unit) = (change.sign(), change.figure.name, change.figure.unit);
        let (was, is, by) = (unit.show(change.then), change.now(), change.words());
        anstream::println!("  {style}{sign}{style:#} {name:<19}{was:>12} → {is:<12} {by}");
    }
    if table.few() {
        anstream::println!(
            "  {faint}too few runs for an interval: the medians alone decide; five on each side \
             tell more{faint:#}"
        );
    }
}

/// Says what the baseline does not know, and whether it was measured on another machine.
fn elsewhere(then: &Baseline, now: &Baseline) {
    let faint = output::FAINT;
    let names: Vec<String> = then.plans.iter().map(|plan| plan.what.name()).collect();
    let new = now.plans.iter().map(|plan| plan.what.name());
    for name in new.filter(|name| !names.contains(name)) {
        anstream::println!("{name}  {faint}is not in the baseline{faint:#}");
    }
    let of = |machine: &BTreeMap<String, String>, key| machine.get(key).cloned();
    let differ: Vec<&str> = ["architecture", "processors", "memory"]
        .into_iter()
        .filter(|key| of(&now.machine, *key) != of(&then.machine, *key))
        .collect();
    if !differ.is_empty() && !now.plans.is_empty() {
        let unsure = output::UNSURE;
        anstream::println!(
            "{unsure}another machine{unsure:#}  than that of the baseline: {} differ",
            differ.join(", ")
        );
    }
}

/// The tables as Markdown.
fn markdown(tables: &[Table]) -> String {
    let mut out = String::from("## Tribunal: compared with the baseline\n");
    for table in tables {
        let (name, then, now) = (cell(&table.name), counted(table.then, "run"), table.now);
        out.push_str(&format!("\n### {name} ({then} then, {now} now)\n\n"));
        if let Some(not) = &table.not {
            out.push_str(&format!("? {not}\n"));
            continue;
        }
        out.push_str("| | figure | baseline | now | change |\n|---|---|---|---|---|\n");
        for change in &table.changes {
            let (sign, name) = (change.sign(), cell(change.figure.name));
            let was = change.figure.unit.show(change.then);
            let (is, by) = (change.now(), change.words());
            out.push_str(&format!("| {sign} | {name} | {was} | {is} | {by} |\n"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::noise;

    #[test]
    fn noise_is_a_share_of_all_or_of_one_figure() {
        assert_eq!(noise("10%"), Ok((None, 0.1)));
        assert_eq!(
            noise("latency_p99=150 %"),
            Ok((Some("latency_p99".into()), 1.5))
        );
        for wrong in ["", "x", "-1%", "nan", "inf"] {
            assert!(noise(wrong).is_err(), "{wrong}");
        }
        assert!(
            noise("latency_p9=1%")
                .unwrap_err()
                .contains("`latency_p99`")
        );
    }
}
