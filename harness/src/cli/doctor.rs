//! `tribunal doctor`: what this machine can do, and what to change if it can't; what runs left
//! that were killed.

use std::path::Path;

use clap::Args;
use nix::sys::resource::{Resource, getrlimit};
use serde_json::Value as Json;
use tribunal_nemesis::fabric::switch;
use tribunal_targets::{Pending, Target};

use super::{Done, Out, exit, output};
use crate::clock::Clock;
use crate::cluster::{self, Block, Layout, Orphan};
use crate::leftovers::{self, Found, Killed};

/// Open files that the largest clusters need.
const OPEN_FILES_WANTED: u64 = 4096;
/// Leftovers that are listed.
const LISTED_MAX: usize = 20;

#[derive(Debug, Args)]
pub(super) struct Doctor {
    #[command(flatten)]
    out: Out,
    /// Remove what runs left that were killed: processes, mounts, and whatever else they noted
    #[arg(long)]
    clean: bool,
}

/// How one thing is.
struct Finding {
    name: &'static str,
    state: State,
}

enum State {
    /// It works; how well.
    Fine(String),
    /// It does not, but runs can do without; what is missing.
    Lesser(String),
    /// No run is possible; what to do.
    Broken(String),
}

/// Looks at the machine.
pub(super) fn doctor(args: &Doctor) -> Done {
    let mut findings = vec![
        Finding {
            name: "loopback addresses",
            state: addresses(),
        },
        Finding {
            name: "open files",
            state: open_files(),
        },
        Finding {
            name: "processes",
            state: processes(),
        },
        Finding {
            name: "process table",
            state: process_table(),
        },
        Finding {
            name: "clock faults",
            state: tried(
                |program| Box::pin(cluster::can_move_clocks(program)),
                "clocks of single processes can be moved",
            ),
        },
        Finding {
            name: "disk faults (FUSE)",
            state: tried(
                |program| Box::pin(cluster::can_break_disks(program)),
                "disks of nodes can be broken; files can be damaged in any case",
            ),
        },
        Finding {
            name: "results directory",
            state: results(&args.out.out),
        },
        Finding {
            name: "leftovers",
            state: left_over(&args.out.out, args.clean),
        },
    ];
    findings.extend(systems());
    // The last, as it takes this process away from its network.
    findings.push(Finding {
        name: "network switch",
        state: network_switch(),
    });
    let mut broken = false;
    for Finding { name, state } in findings {
        let (style, mark, text) = match state {
            State::Fine(text) => (output::GOOD, "✓", text),
            State::Lesser(text) => (output::UNSURE, "–", text),
            State::Broken(text) => {
                broken = true;
                (output::BAD, "✗", text)
            }
        };
        anstream::println!("{style}{mark}{style:#} {name:<20} {text}");
    }
    Ok(if broken {
        exit::HARNESS_ERROR
    } else {
        exit::PASS
    })
}

fn addresses() -> State {
    match Block::reserve(Some(Layout::Addresses)) {
        Ok(block) => State::Fine(format!(
            "nodes get addresses of their own ({})",
            block.node(1)
        )),
        Err(first) => match Block::reserve(Some(Layout::Ports)) {
            Ok(block) => State::Lesser(format!(
                "only 127.0.0.1 ({first}): nodes share it, with ports from {} on",
                block.node(1).port()
            )),
            Err(e) => State::Broken(format!("no loopback socket can be opened: {e}")),
        },
    }
}

fn open_files() -> State {
    match getrlimit(Resource::RLIMIT_NOFILE) {
        Ok((_, hard)) if hard >= OPEN_FILES_WANTED => State::Fine(format!("up to {hard}")),
        Ok((_, hard)) => State::Lesser(format!(
            "up to {hard}; large clusters need {OPEN_FILES_WANTED}: raise the limit with ulimit -n"
        )),
        Err(e) => State::Broken(format!("the limit cannot be read: {e}")),
    }
}

fn processes() -> State {
    let clock = Clock::start();
    let run = std::env::current_exe().and_then(|program| {
        std::process::Command::new(program)
            .arg("--version")
            .output()
    });
    match run {
        Ok(output) if output.status.success() => State::Fine(format!(
            "started and ended one in {} ms",
            clock.now() / 1_000_000
        )),
        Ok(output) => State::Broken(format!(
            "this program, run again, ended with {}",
            output.status
        )),
        Err(e) => State::Broken(format!("this program cannot be run again: {e}")),
    }
}

fn process_table() -> State {
    match std::fs::read_to_string("/proc/self/stat") {
        Ok(_) => State::Fine("/proc can be read: faults are proven, nothing is left behind".into()),
        Err(e) => State::Lesser(format!(
            "/proc cannot be read ({e}): pauses are not proven, and nodes that fork and change \
             their session may be left behind"
        )),
    }
}

/// Tries what some faults need, with this very program.
fn tried(
    attempt: impl for<'a> Fn(&'a Path) -> Pending<'a, Result<(), String>>,
    works: &str,
) -> State {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let done = match (runtime, std::env::current_exe()) {
        (Ok(runtime), Ok(program)) => runtime.block_on(attempt(&program)),
        (Err(e), _) | (_, Err(e)) => Err(e.to_string()),
    };
    match done {
        Ok(()) => State::Fine(works.to_owned()),
        Err(why) => State::Lesser(format!("{why}; runs that ask for them are insufficient")),
    }
}

/// The systems of others that targets start, without options.
fn systems() -> impl Iterator<Item = Finding> {
    let state = |target: &dyn Target| match target.installed(&Json::Null) {
        Ok(version) => version.map(State::Fine),
        Err(missing) => Some(State::Lesser(missing)),
    };
    tribunal_targets::ALL.iter().filter_map(move |target| {
        let name = target.name();
        state(*target).map(|state| Finding { name, state })
    })
}

fn network_switch() -> State {
    match switch::enter() {
        Ok(_) => State::Fine(
            "nodes can have networks of their own (`fabric: switch`): packets can be lost".into(),
        ),
        Err(refusal) => State::Lesser(refusal.to_string()),
    }
}

fn results(out: &Path) -> State {
    let clock = Clock::start();
    let probe = std::fs::create_dir_all(out).and_then(|()| {
        let file = tempfile::tempfile_in(out)?;
        file.set_len(4096)?;
        file.sync_all()
    });
    match probe {
        Ok(()) => {
            let ms = clock.now() / 1_000_000;
            State::Fine(format!(
                "{} can be written, fsync takes {ms} ms",
                out.display()
            ))
        }
        Err(e) => State::Broken(format!("cannot write to {}: {e}; use --out", out.display())),
    }
}

/// What runs left that were killed; it is removed if `clean` says so.
fn left_over(out: &Path, clean: bool) -> State {
    let found = leftovers::find(out);
    if found.is_empty() {
        return State::Fine("nothing is left of runs that were killed".into());
    }
    let listed = listed(&found);
    if !clean {
        return State::Lesser(format!("{listed}; remove this with --clean"));
    }
    match leftovers::undo(&found) {
        problems if problems.is_empty() => State::Fine(format!("removed: {listed}")),
        problems => State::Broken(format!("not removed: {}", problems.join("; "))),
    }
}

fn listed(found: &Found) -> String {
    let process = |orphan: &Orphan| {
        let stopped = if orphan.stopped { ", stopped" } else { "" };
        format!("process {} ({}{stopped})", orphan.pid, orphan.name)
    };
    let run = |run: &Killed| {
        let things: Vec<&str> = run.left.iter().map(|left| left.what.as_str()).collect();
        let things = match &things[..] {
            [] => "nothing else".to_owned(),
            things => things.join(", "),
        };
        format!(
            "the mark of the killed run {} and {things}",
            run.dir().display()
        )
    };
    let processes = found.processes.iter().map(process);
    let all: Vec<String> = processes.chain(found.runs.iter().map(run)).collect();
    let more = all.len().saturating_sub(LISTED_MAX);
    let mut text = all
        .into_iter()
        .take(LISTED_MAX)
        .collect::<Vec<_>>()
        .join("; ");
    if more > 0 {
        text += &format!("; and {more} more");
    }
    text
}
