//! Which runs are meant by the name of a suite, or of a group of suites.

use std::path::PathBuf;

use super::{Failure, exit, output};
use crate::plan::Plan;
use crate::suite::{self, Catalogue, Overrides, Source};

/// The suite that runs when none is named.
pub(super) const DEFAULT_SUITE: &str = "demo";

/// Stands for all built-in suites but the demo.
const ALL_SUITES: &str = "all";
/// What the names of suites begin with that test other people's systems; also the name of them all.
const FINDINGS: &str = "findings";
/// Names that stand for several suites.
const GROUPS: [&str; 2] = [ALL_SUITES, FINDINGS];

/// The plans of a suite or group, each with the name or file of its suite.
pub(super) fn plans(suite: &str, overrides: &Overrides) -> Result<Vec<(String, Plan)>, Failure> {
    let built_in = suite::built_in().iter().find(|known| known.name == suite);
    if built_in.is_none() && GROUPS.contains(&suite) {
        return of_group(suite, overrides);
    }
    let source = match built_in {
        Some(suite) => Source::BuiltIn(suite.name),
        None => Source::File(PathBuf::from(suite)),
    };
    let plans = suite::load(&source, &Catalogue::built_in(), overrides).map_err(unloaded)?;
    Ok(plans
        .into_iter()
        .map(|plan| (suite.to_owned(), plan))
        .collect())
}

/// The runs of every built-in suite of that group, as far as they are selected: of `findings`, or
/// of all that need nothing but this program. The demo has none of its own.
fn of_group(group: &str, overrides: &Overrides) -> Result<Vec<(String, Plan)>, Failure> {
    let mut all = Vec::new();
    let mut nothing = None;
    let belongs = |name: &str| match name.split_once('/') {
        Some((folder, _)) => folder == group,
        None => group == ALL_SUITES && name != DEFAULT_SUITE,
    };
    for known in suite::built_in().iter().filter(|s| belongs(s.name)) {
        let source = Source::BuiltIn(known.name);
        match suite::load(&source, &Catalogue::built_in(), overrides) {
            Ok(plans) => all.extend(plans.into_iter().map(|plan| (known.name.to_owned(), plan))),
            Err(e) if e.nothing_selected() => nothing = Some(e),
            Err(e) => return Err(unloaded(e)),
        }
    }
    match nothing {
        Some(e) if all.is_empty() => Err(unloaded(e)),
        _ => Ok(all),
    }
}

fn unloaded(error: suite::SuiteError) -> Failure {
    let code = match error.nothing_selected() {
        true => exit::INSUFFICIENT,
        false => exit::USAGE,
    };
    // `render` ends in colour codes of its own, which anstream strips where there is no
    // terminal.
    Failure {
        code,
        error: anyhow::anyhow!(error.render(true)),
        rendered: true,
    }
}

/// The name of the suite that a plan comes from, where that was loaded by a name.
pub(super) fn suite_of<'a>(plan: &Plan, asked: &'a str) -> &'a str {
    let is_own = |name: &str| name.rsplit('/').next() == Some(&plan.suite);
    let own = suite::built_in().iter().find(|suite| is_own(suite.name));
    match own {
        Some(own) if GROUPS.contains(&asked) => own.name,
        _ => asked,
    }
}

/// Whether what a plan tests is installed; says so if not.
pub(super) fn is_here(plan: &Plan) -> bool {
    let target = plan.parts.target(&plan.target.target);
    let missing = target.and_then(|target| target.installed(&plan.target.options).err());
    if let Some(missing) = &missing {
        let style = output::UNSURE;
        anstream::eprintln!("{style}skipped{style:#} {}: {missing}", plan.name);
    }
    missing.is_none()
}
