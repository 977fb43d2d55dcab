//! Where the program `tribunal` is: a test's own program is no node, and guards nothing.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};

/// The variable that names it.
const VARIABLE: &str = "TRIBUNAL_BIN";
/// Its name.
const NAME: &str = "tribunal";

/// The program that was given, or else that of the variable, or beside the test, or on the path.
///
/// # Errors
/// If there is none, or it is of another version: it must read what this library writes.
pub(super) fn find(given: Option<&Path>) -> anyhow::Result<PathBuf> {
    let of_variable = || std::env::var_os(VARIABLE).map(PathBuf::from);
    let named = given.map(Path::to_owned).or_else(of_variable);
    let program = named.or_else(beside).or_else(on_path).with_context(|| {
        format!(
            "a test needs the program `{NAME}`, which guards its nodes, and it is not beside the \
             test nor on PATH; `cargo build -p {NAME}` or `cargo install {NAME}` makes it, or name \
             it with `Test::program` or {VARIABLE}"
        )
    })?;
    let shown = program.display();
    let output = Command::new(&program)
        .arg("--version")
        .output()
        .with_context(|| format!("cannot run {shown}; see `Test::program` and {VARIABLE}"))?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut words = said.split_whitespace();
    let (name, version) = (words.next(), words.next());
    let own = env!("CARGO_PKG_VERSION");
    ensure!(
        name == Some(NAME) && version == Some(own),
        "{shown} says that it is {:?}, and this test needs {NAME} {own}; build it anew, or name \
         another with `Test::program` or {VARIABLE}",
        said.trim()
    );
    Ok(program)
}

/// Where cargo puts it: tests lie in `deps` and examples in `examples`, below it.
fn beside() -> Option<PathBuf> {
    let own = std::env::current_exe().ok()?;
    let folders = own.ancestors().skip(1).take(2);
    folders
        .map(|folder| folder.join(NAME))
        .find(|file| file.is_file())
}

fn on_path() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let mut files = std::env::split_paths(&path).map(|folder| folder.join(NAME));
    files.find(|file| file.is_file())
}
