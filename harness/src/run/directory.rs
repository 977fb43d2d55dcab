//! The directory of a run: its name, and the link to the latest.

use std::path::Path;

use anyhow::Context as _;
use tribunal_results::run::RunDir;

use crate::plan::Plan;

/// Makes the directory of a run below `out`; also says when the run began, in UTC.
///
/// # Errors
/// If it cannot be made.
pub(super) fn create(out: &Path, plan: &Plan) -> anyhow::Result<(RunDir, String)> {
    let now = jiff::Timestamp::now();
    let suite = out.join(plain(&plan.suite));
    let advice = || {
        let shown = suite.display();
        format!("cannot write to {shown}; choose another directory with --out")
    };
    std::fs::create_dir_all(&suite).with_context(advice)?;
    let name = name(plan, &now.strftime("%Y%m%dT%H%M%SZ").to_string());
    for attempt in 1..1000 {
        let path = if attempt == 1 {
            suite.join(&name)
        } else {
            suite.join(format!("{name}.{attempt}"))
        };
        match std::fs::create_dir(&path) {
            Ok(()) => {
                let path = path.canonicalize().with_context(advice)?;
                return Ok((
                    RunDir::at(path),
                    now.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string(),
                ));
            }
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(e).with_context(advice),
        }
    }
    anyhow::bail!("a thousand runs named {name} began in this second; wait and run again")
}

/// Points `latest`, beside the run directory, to it. A convenience: failing is not an error.
pub(super) fn link_latest(dir: &RunDir) {
    let (Some(suite), Some(name)) = (dir.path().parent(), dir.path().file_name()) else {
        return;
    };
    let fresh = suite.join(format!(".latest-{}", std::process::id()));
    let linked = std::os::unix::fs::symlink(name, &fresh)
        .and_then(|()| std::fs::rename(&fresh, suite.join("latest")));
    if let Err(e) = linked {
        tracing::warn!("cannot link latest: {e}");
    }
}

fn name(plan: &Plan, time: &str) -> String {
    let mut target = plan.target.target.clone();
    if let Some(bug) = &plan.target.bug {
        target = format!("{target}.{bug}");
    }
    let faults: Vec<&str> = plan.nemesis.kinds().collect();
    let faults = if faults.is_empty() {
        "none".into()
    } else {
        faults.join("+")
    };
    let workload = &plan.workload.workload;
    plain(&format!(
        "{time}-{target}-{workload}-{faults}-{}",
        plan.seed
    ))
}

/// The same with nothing in it that a file name should not have.
fn plain(name: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.+".contains(c);
    let plain: String = name
        .chars()
        .map(|c| if fits(c) { c } else { '_' })
        .take(180)
        .collect();
    if plain.starts_with('.') {
        format!("_{plain}")
    } else {
        plain
    }
}
