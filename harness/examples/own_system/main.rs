//! A test of one's own system, with one's own workload, checker and fault: see `docs/library.md`.
//!
//! ```console
//! $ cargo build -p tribunal
//! $ cargo run -p tribunal --example own_system
//! ```
//!
//! The system keeps the highest score of a game. Its first version answers before the score is on
//! disk, and loses scores when it crashes; the mended one does not.

#![allow(clippy::print_stdout, reason = "an example says what came of it")]

mod scores;

use std::time::Duration;

use anyhow::Context as _;
use scores::{CrashTwice, HighScore, Play, Version, board};
use tribunal::{Concluded, Test, own};

fn main() -> anyhow::Result<()> {
    // The nodes are this program, too; a real system has a program of its own.
    let mut arguments = std::env::args().skip(1);
    if arguments.next().as_deref() == Some("node") {
        return scores::server::serve(arguments).context("cannot serve");
    }
    println!("{}\n", test(Version::Hasty)?);
    println!("{}", test(Version::Mended)?);
    Ok(())
}

fn test(version: Version) -> anyhow::Result<Concluded> {
    let program = std::env::current_exe()?;
    Test::new(own(board(version, program, vec!["node".into()])), own(Play))
        .checker(HighScore)
        .fault(CrashTwice)
        .nodes(1)
        .clients(5)
        .time(Duration::from_secs(5))
        .evidence(scores::SHOWN)
        .run()
}
