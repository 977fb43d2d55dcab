//! `tribunal report artifacts`: the two directories that a pipeline keeps.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use tribunal_results::report::text::counted;

use super::{Done, Failure, exit, output};
use crate::artifacts;
use crate::recorded;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tribunal report artifacts results/runs --small keep/small --full keep/full
  tribunal report artifacts results/runs --small keep/small --full keep/full --artifact-budget 2GB

Small, always: verdict.json, run.json, plan.yaml, JUnit, summary and (failing runs first, up to
100 MB) report of each run, and what lies beside the runs. Full, only if a run did not pass: whole
directories of those that did not, the gravest first, up to the budget; left-out.txt says what is
missing. Of the first that does not fit the smallest files are kept.")]
pub(super) struct Artifacts {
    /// The directory that `tribunal run --out` was given
    #[arg(value_name = "DIR")]
    from: PathBuf,
    /// Where to put what is small
    #[arg(long, value_name = "DIR")]
    small: PathBuf,
    /// Where to put whole runs that did not pass; not made if all passed
    #[arg(long, value_name = "DIR")]
    full: PathBuf,
    /// The most that whole runs may take, such as 500MB or 2GiB
    #[arg(long, value_name = "SIZE", default_value = "500MB", value_parser = size)]
    artifact_budget: u64,
}

/// A number of bytes: `500MB`, `2 GiB`, `1048576`.
fn size(text: &str) -> Result<u64, String> {
    let wrong = || format!("{text:?} is no size; write 500MB, 2GiB or a number of bytes");
    let text = text.trim();
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let scale: u64 = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" => 1_000,
        "m" | "mb" => 1_000_000,
        "g" | "gb" => 1_000_000_000,
        "kib" => 1 << 10,
        "mib" => 1 << 20,
        "gib" => 1 << 30,
        _ => return Err(wrong()),
    };
    let number: u64 = number.parse().map_err(|_| wrong())?;
    number.checked_mul(scale).ok_or_else(wrong)
}

/// Copies what is kept.
pub(super) fn artifacts(args: &Artifacts) -> Done {
    let from = args.from.canonicalize();
    let from = from.with_context(|| format!("cannot read {}", args.from.display()));
    let from = from.map_err(Failure::usage)?;
    for to in [&args.small, &args.full] {
        artifacts::apart(&from, to).map_err(Failure::usage)?;
    }
    let runs = recorded::find(std::slice::from_ref(&from)).map_err(Failure::usage)?;
    let runs = runs.runs;
    let small = artifacts::small(&from, &args.small, &runs)?;
    let kept = artifacts::full(&from, &args.full, &runs, args.artifact_budget)?;
    let megabytes = |bytes: u64| bytes as f64 / 1e6;
    let (count, shown) = (runs.len() as u64, args.small.display());
    anstream::println!(
        "small  {:.1} MB of {} in {shown}",
        megabytes(small),
        counted(count, "run")
    );
    let (whole, shown) = (kept.whole as u64, args.full.display());
    match (kept.full, kept.left_out.len()) {
        (0, 0) => anstream::println!("full   nothing: every run passed"),
        (bytes, _) => anstream::println!(
            "full   {:.1} MB, {} in {shown}",
            megabytes(bytes),
            counted(whole, "whole run")
        ),
    }
    if !kept.left_out.is_empty() {
        let (unsure, missing) = (output::UNSURE, kept.left_out.len());
        anstream::println!(
            "{unsure}left out{unsure:#}  all or part of {missing} runs that did not pass, to stay \
             within the budget; {} lists them",
            args.full.join(artifacts::LEFT_OUT).display()
        );
    }
    Ok(exit::PASS)
}

#[cfg(test)]
mod tests {
    use super::size;

    #[test]
    fn sizes_have_units_of_a_thousand_or_of_1024() {
        assert_eq!(size("500MB"), Ok(500_000_000));
        assert_eq!(size("2 GiB"), Ok(2 << 30));
        assert_eq!(size("17"), Ok(17));
        for wrong in ["", "MB", "-1", "1.5GB", "5TB", "99999999999GB"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }
}
