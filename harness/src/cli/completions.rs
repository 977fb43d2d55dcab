//! `tribunal completions` and `tribunal man`: what shells and manuals want to know.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use super::{Cli, Done, Failure, exit};

#[derive(Debug, Args)]
#[command(after_help = "\
Put what is printed where your shell looks for it:
  bash   tribunal completions bash > ~/.local/share/bash-completion/completions/tribunal
  zsh    tribunal completions zsh > \"${fpath[1]}/_tribunal\"
  fish   tribunal completions fish > ~/.config/fish/completions/tribunal.fish")]
pub(super) struct Completions {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tribunal man ~/.local/share/man/man1      then: man tribunal, man tribunal-run
  tribunal man | man -l -                   read the first one at once")]
pub(super) struct Man {
    /// Write one page a command into this directory (made if missing); otherwise the first is
    /// printed
    dir: Option<PathBuf>,
}

/// Prints what a shell needs to complete commands and options.
pub(super) fn completions(args: &Completions) -> Done {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "tribunal", &mut script);
    anstream::print!("{}", String::from_utf8_lossy(&script));
    Ok(exit::PASS)
}

/// Prints the manual, or writes all its pages.
pub(super) fn man(args: &Man) -> Done {
    let Some(dir) = &args.dir else {
        let mut page = Vec::new();
        let rendered = clap_mangen::Man::new(Cli::command()).render(&mut page);
        rendered.context("cannot make the page")?;
        anstream::print!("{}", String::from_utf8_lossy(&page));
        return Ok(exit::PASS);
    };
    let written = std::fs::create_dir_all(dir)
        .and_then(|()| clap_mangen::generate_to(Cli::command(), dir))
        .with_context(|| {
            format!(
                "cannot write pages to {}; name another directory",
                dir.display()
            )
        });
    written.map_err(Failure::usage)?;
    anstream::println!("written to {}: try `man tribunal`", dir.display());
    Ok(exit::PASS)
}
