//! Does the run of a test.

use std::path::PathBuf;

use tokio::sync::watch;

use super::{Concluded, OUT, SEED, Test, program};
use crate::run::{Circumstances, Threads, execute};
use crate::status::Status;

/// Does it, on this thread and two more. `again` is the command that does the same, without the
/// seed.
pub(super) fn perform(test: &Test, again: String) -> anyhow::Result<Concluded> {
    let mut plan = test.plan()?;
    plan.parts.program = Some(program::find(plan.parts.program.as_deref())?);
    let Threads { fabric, scheduler } = Threads::start()?;
    let of_environment = || std::env::var_os(OUT).map(PathBuf::from);
    let out = test.out.clone().or_else(of_environment);
    // Nobody stops it: what ends the process ends the run, and the guard ends its nodes.
    let (_keep, stop) = watch::channel(false);
    let circumstances = Circumstances {
        out: out.unwrap_or_else(|| "results/runs".into()),
        command: std::env::args().collect(),
        reproduce: format!("{SEED}={} {again}", plan.seed),
        profile: None,
        stop,
        fail_fast: false,
        fabric: fabric.handle().clone(),
        private: Err(
            "a test has no network of its own; run it as a suite with `tribunal run`".into(),
        ),
    };
    let status = Status::new(&plan.name, true);
    let finished = scheduler.block_on(execute(&plan, &circumstances, &status))?;
    Ok(Concluded {
        info: finished.info,
        verdict: finished.verdict,
        directory: finished.dir,
    })
}
