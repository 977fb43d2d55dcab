//! `tribunal init`: begin a test of one's own system.

use std::path::{Path, PathBuf};

use clap::Args;
use tribunal_targets::program;

use super::{Done, Failure, exit, output, quoted};
use crate::init::{self, Ci, FOLDER, File, LOOKED_FOR, Language, Program, Request};
use crate::suite;

/// What `--help` says at its end.
const AFTER_HELP: &str = "\
Examples:
  tribunal init                                   find what this directory builds, write tribunal/
  tribunal init --bin ./server.py --lang node     name the server; an adapter in JavaScript
  tribunal init --bin target/debug/kv -- --listen '{{node.addr}}' --data '{{data_dir}}'
                                                  the arguments of your server; `{{…}}` are filled
                                                  in for each node (docs/your-system.md has all)
  tribunal init --ci github                       and a workflow that runs it

Nothing that exists is overwritten without --force.
Exit codes: 0 written · 64 no program found, or a file is in the way.";

#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Init {
    /// The project's directory; the test goes into its folder tribunal/
    #[arg(default_value = ".")]
    dir: PathBuf,
    /// The program of a node; otherwise what the directory builds is looked for
    #[arg(long, value_name = "FILE")]
    bin: Option<String>,
    /// The language of the adapter; otherwise that of the program, or Python
    #[arg(long, value_enum)]
    lang: Option<Language>,
    /// Also write what a CI server needs
    #[arg(long, value_enum, default_value = "none")]
    ci: Ci,
    /// Overwrite what is there
    #[arg(long)]
    force: bool,
    /// The program's arguments; its address and its data directory if left out
    #[arg(last = true)]
    arguments: Vec<String>,
}

/// Writes the files, and says what to do next.
pub(super) fn init(args: &Init) -> Done {
    let found = program_of(args)?;
    let language = args.lang.unwrap_or(found.language);
    let schema = serde_json::to_string_pretty(&suite::schema(&suite::Catalogue::built_in()));
    let files = init::files(&Request {
        program: &found,
        arguments: &args.arguments,
        language,
        ci: args.ci,
        schema: &schema.map_err(anyhow::Error::new)?,
    });
    let known = init::in_the_way(&args.dir, &files);
    if !known.is_empty() && !args.force {
        let listed: Vec<String> = known
            .iter()
            .map(|path| path.display().to_string())
            .collect();
        let error = "is there already; nothing was written. Give --force to overwrite it, or \
                     another directory";
        return Err(Failure::usage(anyhow::anyhow!(
            "{} {error}",
            listed.join(", ")
        )));
    }
    init::write(&args.dir, &files, args.force).map_err(|(path, error)| {
        let error = anyhow::Error::new(error);
        Failure::usage(error.context(format!("cannot write {}", path.display())))
    })?;
    say(args, &found, language, &files);
    Ok(exit::PASS)
}

fn program_of(args: &Init) -> Result<Program, Failure> {
    let dir = args.dir.display();
    if let Some(name) = &args.bin {
        return Program::named(&args.dir, name)
            .map_err(|why| Failure::usage(anyhow::anyhow!("{why}")));
    }
    Program::find(&args.dir).ok_or_else(|| {
        Failure::usage(anyhow::anyhow!(
            "found no program in {dir}: looked for {LOOKED_FOR}. Name your server: \
             `tribunal init --bin FILE`"
        ))
    })
}

fn say(args: &Init, found: &Program, language: Language, files: &[File]) {
    let faint = output::FAINT;
    let words: Vec<&str> = found.interpreter.iter().map(String::as_str).collect();
    let with = match words.is_empty() {
        true => String::new(),
        false => format!(", started by {}", words.join(" ")),
    };
    anstream::println!("found  {} ({}){with}", found.file.display(), found.found_by);
    for file in files {
        anstream::println!(
            "wrote  {:<36} {faint}{}{faint:#}",
            file.path.display(),
            file.about
        );
    }
    let needed = language.starter().first().copied();
    let needed = needed.into_iter().chain(words.first().copied());
    for missing in needed.filter(|name| program::find(name).is_err()) {
        let style = output::UNSURE;
        anstream::println!(
            "{style}needs{style:#}  {missing}, which is not in PATH: install it first"
        );
    }
    if args.arguments.is_empty() {
        anstream::println!(
            "\nYour server is started with two arguments, its address and its data directory: \
             correct `command`\nin the suite if it takes others. The adapter asks GET, PUT and \
             POST /KEY: change that to your requests."
        );
    }
    anstream::println!("\nNext:");
    if args.dir != Path::new(".") {
        anstream::println!("  cd {}", quoted(&args.dir.display().to_string()));
    }
    if let Some(build) = &found.build {
        anstream::println!("  {build}");
    }
    let adapter = [
        language.starter().join(" "),
        format!("{FOLDER}/{}", language.file()),
    ];
    anstream::println!("  tribunal adapter test -- {}", adapter.join(" "));
    anstream::println!("  tribunal run {FOLDER}/suite.yaml");
}
