//! `tribunal check --follow`: judges what is still being written.

use std::path::Path;

use anyhow::Context as _;
use tokio::sync::watch;
use tribunal_checkers::Budget;
use tribunal_results::run::RunDir;
use tribunal_results::{Record, ResultClass, Verdict};

use super::check::progress::Progress;
use super::check::{self, Check, Ways, assume};
use super::{Done, Failure, exit, stop};
use crate::follow::{Choice, Follower, Growth};
use crate::judge;

/// Why the following ended.
enum End {
    /// What was followed is whole.
    Whole,
    /// At the first contradiction, as asked.
    Found,
    /// The user does not want any more.
    Stopped,
}

/// Follows a run directory until it has its verdict, or a history file until Ctrl-C; says every
/// contradiction when it is found, and judges the whole at the end.
pub(super) fn follow(args: &Check, record: &Path) -> Done {
    let dir = record.is_dir().then(|| RunDir::at(record));
    let path = dir
        .as_ref()
        .map_or_else(|| record.to_owned(), RunDir::history);
    let mut follower = Follower::open(&path, choice(args, dir.as_ref())?, Budget::default())
        .map_err(Failure::usage)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let end = runtime.block_on(async {
        let mut stop = stop::on_signal("judging what there is (again to quit at once)")
            .context("cannot wait for signals")?;
        let mut growth =
            Growth::of(&path).with_context(|| format!("cannot watch {}", path.display()))?;
        let whole = || dir.as_ref().is_some_and(|dir| dir.verdict().exists());
        if !args.json {
            anstream::eprintln!("following {}; Ctrl-C ends it", path.display());
        }
        until_end(args, &mut follower, &mut growth, &mut stop, whole).await
    })?;
    let followed = follower.names();
    let (journal, last) = follower.finish().map_err(Failure::usage)?;
    last.iter().for_each(|verdict| tell(args, verdict));
    if !args.json {
        let followed = if followed.is_empty() {
            "no checker that applies can follow; all were asked at the end".to_owned()
        } else {
            format!("followed by {}", followed.join(", "))
        };
        anstream::eprintln!("{followed}");
    }
    let ways = Ways::of(args, true)?;
    if let (End::Whole, Some(_), true) = (&end, &dir, ways.are_usual()) {
        return check::check_run(args, record);
    }
    let judged = Record {
        assume: assume::with(journal.header.assume, &args.assume)?,
        history: journal.history,
        messages: check::messages(args, dir.as_ref())?,
        ..Record::default()
    };
    let progress = Progress::of("judging");
    let code = check::judge_history(args, record, &ways, &judged, false, &progress)?;
    Ok(match end {
        End::Stopped if code != ResultClass::Violation.exit_code() => exit::INTERRUPTED,
        _ => code,
    })
}

/// The checkers that are named, or those of the run's plan, or those that suit.
fn choice(args: &Check, dir: Option<&RunDir>) -> Result<Choice, Failure> {
    if !args.models.is_empty() {
        let named = args.models.iter().map(|name| check::checker(name));
        return Ok(Choice::Named(named.collect::<Result<_, _>>()?));
    }
    let Some(dir) = dir else {
        return Ok(Choice::Applicable);
    };
    let plan = check::plan_of(dir)?;
    let named = judge::checkers_of(&plan);
    let found = named
        .iter()
        .filter_map(|name| tribunal_checkers::find(name));
    Ok(Choice::Named(found.collect()))
}

async fn until_end(
    args: &Check,
    follower: &mut Follower,
    growth: &mut Growth,
    stop: &mut watch::Receiver<bool>,
    whole: impl Fn() -> bool,
) -> Result<End, Failure> {
    loop {
        // Asked before the last bytes are read, so that none are missed.
        let over = whole();
        let found = follower.advance().map_err(Failure::usage)?;
        found.iter().for_each(|verdict| tell(args, verdict));
        if args.fail_fast && !found.is_empty() {
            return Ok(End::Found);
        }
        if over {
            return Ok(End::Whole);
        }
        tokio::select! {
            biased;
            Ok(_) = stop.wait_for(|stopped| *stopped) => return Ok(End::Stopped),
            grown = growth.next() => grown.context("cannot watch the history any more")?,
        }
    }
}

/// Says a contradiction the moment it is found.
fn tell(args: &Check, verdict: &Verdict) {
    if args.json {
        return;
    }
    check::print_verdict(verdict, "");
}
