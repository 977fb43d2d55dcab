//! Whether a program can be started, found out before anything is; and which version it is.

use std::env;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// How long a program may take to say its version.
const VERSION_WITHIN: Duration = Duration::from_secs(5);

/// A program of others that nodes are started with.
#[derive(Clone, Copy, Debug)]
pub struct Program {
    /// Its name, or path where packages put it outside of `PATH`; the first that is found counts.
    pub names: &'static [&'static str],
    /// The arguments with which it prints its version.
    pub version: &'static [&'static str],
    /// How to install it, such as `apt-get install etcd-server`.
    pub install: &'static str,
}

impl Program {
    /// Where it is: what the suite says, or where it usually is.
    ///
    /// # Errors
    /// Where it was looked for, and how to install it.
    pub fn find(&self, given: Option<&str>) -> Result<PathBuf, String> {
        if let Some(given) = given {
            return find(given);
        }
        let found = self.names.iter().find_map(|name| find(name).ok());
        found.ok_or_else(|| {
            let names = self.names.join(", ");
            format!(
                "program not found: {names}; install it (Debian: `{}`), or give its path in the \
                 target's options",
                self.install
            )
        })
    }

    /// What it prints of its version, by its first line.
    ///
    /// # Errors
    /// If it cannot be started, or says nothing in time.
    pub fn version(&self, path: &Path) -> Result<String, String> {
        let mut command = Command::new(path);
        command.args(self.version).stdin(Stdio::null());
        let shown = path.display();
        let (said, heard) = mpsc::channel();
        // A program that hangs is left alone with its thread.
        thread::spawn(move || said.send(command.output()));
        let output = match heard.recv_timeout(VERSION_WITHIN) {
            Ok(Ok(output)) => output,
            Ok(Err(e)) => return Err(format!("{shown} cannot be started: {e}")),
            Err(_) => {
                return Err(format!(
                    "{shown} did not say its version in {VERSION_WITHIN:?}"
                ));
            }
        };
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text);
        let line = text.lines().map(str::trim).find(|line| !line.is_empty());
        line.map(str::to_owned)
            .ok_or_else(|| format!("{shown} does not say its version"))
    }
}

/// Looks for a program: at its path if it has one, else in `PATH`.
///
/// # Errors
/// Where it was looked for, or why what is there cannot be started, and what to do.
pub fn find(program: &str) -> Result<PathBuf, String> {
    if program.is_empty() {
        return Err("the program's name is empty".into());
    }
    if program.contains('/') {
        let path = PathBuf::from(program);
        return executable(&path).map(|()| path);
    }
    let searched = env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = env::split_paths(&searched).collect();
    let mut refused = None;
    for folder in &folders {
        let path = folder.join(program);
        match executable(&path) {
            Ok(()) => return Ok(path),
            Err(why) if path.exists() => refused = refused.or(Some(why)),
            Err(_) => {}
        }
    }
    Err(refused.unwrap_or_else(|| {
        format!(
            "program not found: `{program}` is in none of the folders of PATH ({}); install it, \
             or give its path",
            searched.display()
        )
    }))
}

fn executable(path: &Path) -> Result<(), String> {
    let shown = path.display();
    let meta = path.metadata().map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => format!(
            "program not found: {shown}; correct the path (relative ones start where `tribunal` \
             was started; {{{{suite.dir}}}} is the folder of the suite)"
        ),
        _ => format!("cannot look at {shown}: {e}"),
    })?;
    if meta.is_dir() {
        return Err(format!("{shown} is a folder, not a program"));
    }
    if meta.permissions().mode() & 0o111 == 0 {
        return Err(format!(
            "{shown} is not executable: `chmod +x {shown}`, or name the interpreter before it"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_told_with_how_to_install_it() {
        let shell = Program {
            names: &["no-such-shell", "sh"],
            version: &["-c", "echo; echo shell 5; echo more"],
            install: "apt-get install dash",
        };
        let path = shell.find(None).unwrap();
        assert_eq!(shell.version(&path).unwrap(), "shell 5");
        assert!(shell.find(Some("/no/sh")).unwrap_err().contains("/no/sh"));
        let missing = Program {
            names: &["no-such-shell"],
            version: &["-c", ""],
            ..shell
        };
        let error = missing.find(None).unwrap_err();
        assert!(error.contains("apt-get install dash"), "{error}");
        assert!(missing.version(&path).unwrap_err().contains("version"));
    }

    #[test]
    fn a_program_is_found_by_name_or_path_and_otherwise_it_is_said_why_not() {
        assert!(find("sh").unwrap().ends_with("sh"));
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("server");
        let path = file.display().to_string();
        assert!(find(&path).unwrap_err().contains("program not found"));
        std::fs::write(&file, "").unwrap();
        assert!(find(&path).unwrap_err().contains("chmod +x"));
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(find(&path), Ok(file));
        assert!(
            find(&dir.path().display().to_string())
                .unwrap_err()
                .contains("folder")
        );
        let error = find("no-such-program-anywhere").unwrap_err();
        assert!(
            error.contains("PATH") && error.contains("install"),
            "{error}"
        );
        assert!(find("").is_err());
    }
}
