//! `--profile NAME`, and `tribunal config`: options of `tribunal run` from `.tribunal.yaml`.

use std::ffi::OsString;

use anyhow::Context as _;
use clap::parser::ValueSource;
use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use super::run::Run;
use super::{Done, Failure, exit, quoted};
use crate::suite::profiles::{FILE, Profiles, Setting};

/// The name of the suite among the options; on the command line it has no dashes.
const SUITE: &str = "suite";

/// `tribunal run` alone.
#[derive(Debug, Parser)]
#[command(name = "run")]
struct Alone {
    #[command(flatten)]
    run: Run,
}

#[derive(Debug, Args)]
pub(super) struct Config {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Print the profiles of the nearest .tribunal.yaml
    Show(Show),
}

#[derive(Debug, Args)]
struct Show {
    /// Only this profile
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
    /// Apply merge keys, and print the command that each profile stands for
    #[arg(long)]
    resolved: bool,
}

/// `tribunal config`.
pub(super) fn config(args: &Config) -> Done {
    let What::Show(show) = &args.what;
    let profiles = read()?;
    anstream::println!("# {}", profiles.file.display());
    if let Some(name) = &show.profile {
        profiles.find(name).map_err(wrong)?;
    } else if !show.resolved {
        let text = std::fs::read_to_string(&profiles.file).context("cannot read the profiles")?;
        anstream::print!("{text}");
        return Ok(exit::PASS);
    }
    let wanted = |name: &String| show.profile.as_ref().is_none_or(|only| only == name);
    anstream::println!("profiles:");
    for (name, settings) in profiles.all.iter().filter(|(name, _)| wanted(name)) {
        anstream::println!("  {name}:");
        for (option, value) in settings {
            let value = value.as_deref().unwrap_or("true");
            anstream::println!("    {option}: {value}");
        }
        if show.resolved {
            let words: Vec<String> = words(settings, true)
                .iter()
                .map(|word| quoted(&word.to_string_lossy()))
                .collect();
            anstream::println!("    # tribunal run {}", words.join(" "));
        }
    }
    Ok(exit::PASS)
}

/// The options of a profile, as far as the command line does not say otherwise. `given` is what
/// follows `tribunal run` there.
pub(super) fn apply(name: &str, given: Vec<OsString>) -> Result<Run, Failure> {
    let profiles = read()?;
    let settings = profiles.find(name).map_err(wrong)?;
    let parse = |words: Vec<OsString>| {
        let words = std::iter::once(OsString::from("run")).chain(words);
        let command = Alone::command().args_override_self(true);
        let matches = command.try_get_matches_from(words);
        matches.map_err(|e| Failure::usage(anyhow::anyhow!("the profile `{name}`: {e}")))
    };
    let alone = parse(given.clone())?;
    let named = alone.value_source(SUITE) == Some(ValueSource::CommandLine);
    let mut all = words(settings, !named);
    all.extend(given);
    let matches = parse(all)?;
    let alone = Alone::from_arg_matches(&matches);
    alone.map(|alone| alone.run).map_err(Failure::usage)
}

fn wrong(error: crate::suite::SuiteError) -> Failure {
    Failure {
        code: exit::USAGE,
        error: anyhow::anyhow!(error.render(true)),
        rendered: true,
    }
}

fn read() -> Result<Profiles, Failure> {
    let here = std::env::current_dir().context("cannot find this directory")?;
    let file = Profiles::nearest(&here).ok_or_else(|| {
        Failure::usage(anyhow::anyhow!(
            "there is no {FILE} here or above; write one: `profiles: {{pr: {{suite: demo}}}}`"
        ))
    })?;
    let command = Alone::command();
    let shown = command.get_arguments().filter(|arg| !arg.is_hide_set());
    let longs = shown.filter_map(|arg| arg.get_long());
    let mut known: Vec<&str> = longs
        .filter(|long| !["help", "profile", "dry-run"].contains(long))
        .collect();
    known.push(SUITE);
    Profiles::read(&file, &known, check).map_err(wrong)
}

/// What the command line would say of one option by itself.
fn check(setting: &Setting) -> Result<(), String> {
    let words = words(std::slice::from_ref(setting), true);
    let words = std::iter::once(OsString::from("run")).chain(words);
    let Err(error) = Alone::command().try_get_matches_from(words) else {
        return Ok(());
    };
    let text = error.to_string();
    let line = text.lines().next().unwrap_or_default();
    Err(line.trim_start_matches("error: ").to_owned())
}

/// Options as words of the command line.
fn words(settings: &[Setting], with_suite: bool) -> Vec<OsString> {
    let of = |(option, value): &Setting| {
        if option == SUITE {
            return value
                .iter()
                .filter(|_| with_suite)
                .map(OsString::from)
                .collect();
        }
        match value {
            None => vec![OsString::from(format!("--{option}"))],
            Some(value) => vec![OsString::from(format!("--{option}={value}"))],
        }
    };
    settings.iter().flat_map(of).collect()
}
