//! What a run sets up that could outlive it, how each thing is undone, and what earlier runs left.
//!
//! While a run is on, its directory has a file `leftovers`: a line for the controller, then one
//! for each thing outside the run directory that neither the kernel nor the guard takes away when
//! the controller is killed (a mount, a file in a system directory, a process of another user).
//! Whoever sets up such a thing notes it first ([`note`]); the file is removed when the
//! run has ended and everything was undone. So a directory that has the file, and whose controller
//! is gone, is one of a run that was killed: [`find`] reads it, [`undo`] does what its lines say,
//! the last first. Undoing is idempotent: what is gone already is fine.
//!
//! What undoing can do is a closed list ([`Undo`]): a run directory from elsewhere can't have a
//! command executed.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tribunal_results::run::RunDir;

use crate::cluster::{Orphan, is_running, orphans, started};

/// The file's name in the run directory.
const FILE: &str = "leftovers";
/// The longest such file that is read, in bytes.
const BYTES_MAX: u64 = 1 << 20;

/// How a thing is undone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "undo")]
pub enum Undo {
    /// SIGKILL to a process, if it is still the one that was started then (clock ticks since the
    /// machine was: `/proc/pid/stat`, field 22).
    Kill {
        /// Its id.
        pid: u32,
        /// When it was started.
        started: u64,
    },
    /// Unmounts whatever is mounted there, busy or not.
    Unmount {
        /// Where.
        path: PathBuf,
    },
    /// Removes a file, or a directory that is empty.
    Remove {
        /// Which.
        path: PathBuf,
    },
}

/// One thing that could outlive a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leftover {
    /// What it is, for people.
    pub what: String,
    /// How to be rid of it.
    #[serde(flatten)]
    pub undo: Undo,
}

/// The controller, as the file's first line names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Controller {
    controller: u32,
    started: u64,
}

/// The register of a run that is on.
#[derive(Debug)]
pub struct Leftovers(PathBuf);

impl Leftovers {
    /// Begins the register in the run's directory: from now on the run is on.
    ///
    /// # Errors
    /// If the file cannot be made.
    pub fn begin(dir: &RunDir) -> io::Result<Self> {
        let path = dir.path().join(FILE);
        File::create_new(&path)?;
        let pid = std::process::id();
        let controller = Controller {
            controller: pid,
            started: started(pid).unwrap_or_default(),
        };
        write(&path, &controller)?;
        Ok(Self(path))
    }

    /// The run has ended and everything was undone.
    ///
    /// # Errors
    /// If the file cannot be removed.
    pub fn end(self) -> io::Result<()> {
        fs::remove_file(self.0)
    }
}

/// Notes a thing that is about to be set up in the run of that directory.
///
/// # Errors
/// If it cannot be written, or the run is not on: then the thing must not be set up.
pub fn note(dir: &RunDir, leftover: &Leftover) -> io::Result<()> {
    write(&dir.path().join(FILE), leftover)
}

/// Adds a line.
fn write(path: &Path, line: &impl Serialize) -> io::Result<()> {
    let mut text = serde_json::to_string(line)?;
    text.push('\n');
    // One write: a controller that is killed leaves whole lines.
    let mut file = OpenOptions::new().append(true).open(path)?;
    file.write_all(text.as_bytes())
}

/// A run that was killed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Killed {
    /// Its register.
    file: PathBuf,
    /// What it says, in the order in which things were set up.
    pub left: Vec<Leftover>,
}

impl Killed {
    /// Its directory.
    pub fn dir(&self) -> &Path {
        self.file.parent().unwrap_or(&self.file)
    }
}

/// What earlier runs left on this machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Runs that were killed, of those below the directory that was searched.
    pub runs: Vec<Killed>,
    /// Processes of runs, wherever their directory is, whose controller is gone.
    pub processes: Vec<Orphan>,
}

impl Found {
    /// Whether there is nothing.
    pub const fn is_empty(&self) -> bool {
        self.runs.is_empty() && self.processes.is_empty()
    }
}

/// Looks for what runs left whose controller is gone: in the run directories below `out`
/// (`<suite>/<run>`), and among the processes of this machine.
pub fn find(out: &Path) -> Found {
    let suites = directories(out).into_iter();
    let runs = suites.flat_map(|suite| directories(&suite));
    Found {
        runs: runs.filter_map(|run| killed(&run.join(FILE))).collect(),
        processes: orphans(),
    }
}

/// The directories in a directory, without links (`latest` is one).
fn directories(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .collect();
    found.sort();
    found
}

/// Whether the run of that directory is on: its register is there, and its controller alive.
pub fn is_on(dir: &RunDir) -> bool {
    let file = dir.path().join(FILE);
    file.exists() && killed(&file).is_none()
}

/// The run of that register, unless there is none or its controller is alive.
fn killed(file: &Path) -> Option<Killed> {
    let length = fs::metadata(file).ok()?.len();
    let text = match length {
        0..=BYTES_MAX => fs::read_to_string(file).ok()?,
        _ => return None,
    };
    let mut lines = text.lines();
    let controller: Option<Controller> = lines
        .next()
        .and_then(|line| serde_json::from_str(line).ok());
    if controller.is_some_and(|of| is_running(of.controller, of.started)) {
        return None;
    }
    // A line that another version wrote, or that was cut off, says nothing that could be done.
    let left = lines.filter_map(|line| serde_json::from_str(line).ok());
    Some(Killed {
        file: file.to_owned(),
        left: left.collect(),
    })
}

/// Undoes all of it. Returns, in words, what could not be undone; a run of which something is
/// left keeps its register.
pub fn undo(found: &Found) -> Vec<String> {
    let mut problems = Vec::new();
    for orphan in &found.processes {
        problems.extend(orphan.end().err());
    }
    for run in &found.runs {
        let undone = run
            .left
            .iter()
            .rev()
            .map(|left| (left, left.undo.perform()));
        let failed = undone.filter_map(|(left, done)| Some((left, done.err()?)));
        let failed: Vec<String> = failed
            .map(|(left, why)| format!("{}: {why}", left.what))
            .collect();
        if failed.is_empty()
            && let Err(e) = fs::remove_file(&run.file)
        {
            problems.push(format!("cannot remove {}: {e}", run.file.display()));
        }
        problems.extend(failed);
    }
    problems
}

impl Undo {
    /// Does it; nothing if the thing is gone already.
    fn perform(&self) -> Result<(), String> {
        match self {
            Self::Kill { pid, started } => {
                let orphan = Orphan::known(*pid, *started);
                orphan.map_or(Ok(()), |orphan| orphan.end())
            }
            Self::Unmount { path } => unmount(path),
            Self::Remove { path } => remove(path),
        }
    }
}

fn remove(path: &Path) -> Result<(), String> {
    let removed = match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir(path),
        Ok(_) => fs::remove_file(path),
        Err(e) => Err(e),
    };
    match removed {
        Err(e) if e.kind() != io::ErrorKind::NotFound => {
            Err(format!("cannot remove {}: {e}", path.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(target_os = "linux")]
fn unmount(path: &Path) -> Result<(), String> {
    use nix::errno::Errno;
    use nix::mount::{MntFlags, umount2};
    match umount2(path, MntFlags::MNT_DETACH) {
        // Not mounted, or not even there.
        Ok(()) | Err(Errno::EINVAL | Errno::ENOENT) => Ok(()),
        Err(Errno::EPERM) => unmount_as_user(path),
        Err(e) => Err(format!("cannot unmount {}: {e}", path.display())),
    }
}

#[cfg(not(target_os = "linux"))]
fn unmount(path: &Path) -> Result<(), String> {
    Err(format!("unmount {} by hand", path.display()))
}

/// FUSE mounts belong to their user, who unmounts them by a program that may.
#[cfg(target_os = "linux")]
fn unmount_as_user(path: &Path) -> Result<(), String> {
    let tried = ["fusermount3", "fusermount"].map(|program| {
        let output = std::process::Command::new(program)
            .arg("-uz")
            .arg(path)
            .output();
        output.is_ok_and(|output| output.status.success())
    });
    match tried.contains(&true) {
        true => Ok(()),
        false => Err(format!("run `umount -l {}` as root", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(out: &Path, name: &str) -> RunDir {
        let path = out.join("suite").join(name);
        fs::create_dir_all(&path).unwrap();
        RunDir::at(path)
    }

    fn file(path: PathBuf) -> Leftover {
        Leftover {
            what: "a file".into(),
            undo: Undo::Remove { path },
        }
    }

    /// Writes the register of a run whose controller is gone.
    fn killed_run(dir: &RunDir, left: &[Leftover]) {
        let gone = Controller {
            controller: u32::MAX,
            started: 1,
        };
        let mut text = serde_json::to_string(&gone).unwrap();
        for each in left {
            text += &format!("\n{}", serde_json::to_string(each).unwrap());
        }
        fs::write(dir.path().join(FILE), text + "\n{\"cut").unwrap();
    }

    #[test]
    fn a_run_that_is_on_or_has_ended_left_nothing() {
        let out = tempfile::tempdir().unwrap();
        let dir = run(out.path(), "one");
        let register = Leftovers::begin(&dir).unwrap();
        note(&dir, &file(out.path().join("x"))).unwrap();
        assert_eq!(find(out.path()).runs, []);
        register.end().unwrap();
        assert_eq!(find(out.path()).runs, []);
        assert!(!dir.path().join(FILE).exists());
        assert!(note(&dir, &file("x".into())).is_err(), "the run is not on");
    }

    #[test]
    fn what_a_killed_run_left_is_undone_the_last_first() {
        let out = tempfile::tempdir().unwrap();
        let dir = run(out.path(), "one");
        let folder = out.path().join("folder");
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("inside"), "").unwrap();
        let left = [file(folder.clone()), file(folder.join("inside"))];
        killed_run(&dir, &left);
        let mut found = find(out.path());
        found.processes.clear();
        assert_eq!(found.runs[0].left, left);
        assert_eq!(found.runs[0].dir(), dir.path());
        assert_eq!(undo(&found), Vec::<String>::new());
        assert!(!folder.exists());
        assert_eq!(find(out.path()).runs, []);
        assert_eq!(undo(&found).len(), 1, "only the register itself is missed");
    }

    #[test]
    fn a_run_of_which_something_is_left_is_found_again() {
        let out = tempfile::tempdir().unwrap();
        let dir = run(out.path(), "one");
        fs::write(out.path().join("file"), "").unwrap();
        killed_run(&dir, &[file(out.path().join("suite"))]);
        let mut found = find(out.path());
        found.processes.clear();
        let problems = undo(&found);
        assert!(
            problems[0].starts_with("a file: cannot remove"),
            "{problems:?}"
        );
        assert_eq!(find(out.path()).runs.len(), 1);
    }

    #[test]
    fn lines_say_what_and_how_to_undo_it() {
        let left = Leftover {
            what: "a mount".into(),
            undo: Undo::Unmount { path: "/x".into() },
        };
        let line = r#"{"what":"a mount","undo":"unmount","path":"/x"}"#;
        assert_eq!(serde_json::to_string(&left).unwrap(), line);
        let unknown = r#"{"what":"all","undo":"run","command":"rm"}"#;
        assert!(serde_json::from_str::<Leftover>(unknown).is_err());
    }
}
