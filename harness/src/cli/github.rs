//! GitHub Actions: groups in the log, at most three annotations, the step's summary. Does nothing
//! anywhere else.

use std::io::Write as _;
use std::path::Path;

use anyhow::Context as _;
use tribunal_results::report::markdown;
use tribunal_results::report::text::clip;
use tribunal_results::run::RunInfo;
use tribunal_results::{ResultClass, RunVerdict};

/// Annotations of one command; GitHub shows ten of a step, and hides the rest.
const ANNOTATIONS_MAX: usize = 3;
/// The longest text of an annotation, in characters.
const TEXT_MAX: usize = 400;

/// Whether this is a step of GitHub Actions.
pub(super) fn is_here() -> bool {
    std::env::var_os("GITHUB_ACTIONS").is_some_and(|value| value == "true")
}

/// What is printed until [`end_group`] can be folded away.
pub(super) fn begin_group(title: &str) {
    if is_here() {
        anstream::println!("::group::{}", data(title));
    }
}

/// Ends what [`begin_group`] began.
pub(super) fn end_group() {
    if is_here() {
        anstream::println!("::endgroup::");
    }
}

/// Annotates the gravest runs, and adds all to the step's summary.
///
/// # Errors
/// If the summary cannot be written.
pub(super) fn conclude(runs: &[(&RunInfo, &RunVerdict)]) -> anyhow::Result<()> {
    if !is_here() {
        return Ok(());
    }
    for line in annotations(runs) {
        anstream::println!("{line}");
    }
    add_to_summary(&markdown::render(runs))
}

/// Adds Markdown to the step's summary.
///
/// # Errors
/// If it cannot be written.
pub(super) fn add_to_summary(text: &str) -> anyhow::Result<()> {
    let path = std::env::var_os("GITHUB_STEP_SUMMARY").filter(|path| !path.is_empty());
    let Some(path) = path.filter(|_| is_here()) else {
        return Ok(());
    };
    let path = Path::new(&path);
    let options = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(path);
    options
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .with_context(|| format!("cannot write the step's summary to {}", path.display()))
}

/// One command for each of the gravest runs; the last says how many more there are.
fn annotations(runs: &[(&RunInfo, &RunVerdict)]) -> Vec<String> {
    let of = |class| {
        runs.iter()
            .filter(move |(_, verdict)| verdict.class == class && verdict.known.is_empty())
    };
    let failing: Vec<_> = ResultClass::BY_WEIGHT
        .into_iter()
        .filter(|class| *class != ResultClass::Pass)
        .flat_map(of)
        .collect();
    let shown = failing.iter().take(ANNOTATIONS_MAX).enumerate();
    let more = failing.len().saturating_sub(ANNOTATIONS_MAX);
    shown
        .map(|(place, (info, verdict))| {
            let title = format!("{}: {}", verdict.class.name(), info.plan);
            let mut text = clip(&verdict.claim, TEXT_MAX).into_owned();
            text.push_str(&format!("\nreproduce: {}", clip(&info.reproduce, TEXT_MAX)));
            if place + 1 == ANNOTATIONS_MAX && more > 0 {
                text.push_str(&format!("\nand {more} more runs that did not pass"));
            }
            format!("::error title={}::{}", property(&title), data(&text))
        })
        .collect()
}

/// A text as the data of a command.
fn data(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

/// A text as a property of a command.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(plan: &str) -> RunInfo {
        serde_json::from_value(serde_json::json!({
            "class": "pass", "suite": "s", "plan": plan, "target": "t", "workload": "w",
            "faults": [], "seed": 1, "nodes": [], "clients": 1, "started": "", "command": [],
            "reproduce": "tribunal run", "version": "", "machine": {}, "phases": [],
        }))
        .unwrap()
    }

    fn verdict(class: ResultClass, claim: &str) -> RunVerdict {
        RunVerdict {
            class,
            claim: claim.into(),
            ..RunVerdict::default()
        }
    }

    #[test]
    fn at_most_three_annotations_the_gravest_first_say_how_many_more() {
        let info = info("one");
        let (pass, bad) = (
            verdict(ResultClass::Pass, ""),
            verdict(ResultClass::Violation, "it was wrong"),
        );
        let little = verdict(ResultClass::Insufficient, "too little");
        let mut runs = vec![(&info, &pass), (&info, &little)];
        runs.extend(vec![(&info, &bad); 10_000]);
        let lines = annotations(&runs);
        assert_eq!(lines.len(), 3);
        assert!(
            lines.iter().all(|line| line.contains("it was wrong")),
            "{lines:?}"
        );
        assert!(lines[2].contains("and 9998 more runs"), "{}", lines[2]);
        assert!(annotations(&runs[..1]).is_empty());
        assert!(markdown::render(&runs).len() < 200_000);
    }

    #[test]
    fn no_text_begins_a_command_of_its_own() {
        let info = info("a,b::c");
        let hostile = verdict(ResultClass::Violation, "x\n::stop-commands::y\r%0A");
        let lines = annotations(&[(&info, &hostile)]);
        assert!(!lines[0].contains(['\n', '\r']), "{}", lines[0]);
        let title = "::error title=violation%3A a%2Cb%3A%3Ac::x%0A";
        assert!(lines[0].starts_with(title), "{}", lines[0]);
        assert!(lines[0].contains("%250A"), "{}", lines[0]);
    }
}
