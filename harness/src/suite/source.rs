//! Where suites come from: files, and those that are part of this program.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::document::Document;
use super::error::SuiteError;

/// The longest suite that is read, in bytes.
const TEXT_MAX: u64 = 1 << 20;

/// A suite that is part of this program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BuiltIn {
    /// Its name.
    pub name: &'static str,
    /// The YAML itself.
    pub text: &'static str,
}

impl BuiltIn {
    /// What it shows, in one line.
    pub fn about(&self) -> String {
        let root = Document::parse(self.name, self.text).map(|document| document.root);
        let about = root
            .ok()
            .and_then(|root| root.get("about")?.as_str().map(str::to_owned));
        about.unwrap_or_default()
    }
}

/// The suites in `harness/suites` of these names.
macro_rules! suites {
    ($($name:literal)*) => {
        &[$(BuiltIn {
            name: $name,
            text: include_str!(concat!("../../suites/", $name, ".yaml")),
        }),*]
    };
}

static BUILT_IN: &[BuiltIn] = suites! {
    "cache"
    "cap"
    "claims"
    "clocks"
    "convergence"
    "demo"
    "disk"
    "findings/etcd-lock-expired"
    "findings/etcd-lock-guarded-set"
    "findings/etcd-serializable-reads"
    "findings/galera-lost-update"
    "findings/galera-stale-reads"
    "findings/mariadb-lost-update"
    "findings/nats-power-failure"
    "findings/postgres-failover"
    "findings/postgres-long-fork"
    "findings/postgres-write-skew"
    "findings/redis-persistence"
    "findings/redis-redlock"
    "findings/redis-sentinel-split-brain"
    "findings/zookeeper-deposed-leader"
    "findings/zookeeper-stale-reads"
    "flp"
    "lock"
    "lock-safety"
    "messages"
    "paxos"
    "processes"
    "register"
    "transactions"
    "isolation"
    "switch"
    "planted"
};

/// The suites that are part of this program.
pub fn built_in() -> &'static [BuiltIn] {
    BUILT_IN
}

/// Where a suite comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A file.
    File(PathBuf),
    /// The built-in suite of that name.
    BuiltIn(&'static str),
    /// A text that lies in no file.
    Text {
        /// What it is called in messages; also the suite's name, unless it says otherwise.
        name: String,
        /// The suite itself.
        yaml: String,
    },
}

/// A suite as it was found.
pub(super) struct Text {
    /// What to call it in messages.
    pub(super) file: String,
    /// Its name unless it says otherwise.
    pub(super) stem: String,
    /// Its content.
    pub(super) yaml: String,
    /// The folder that it lies in, if it is a file.
    pub(super) dir: Option<PathBuf>,
}

impl Source {
    /// The text of the suite.
    ///
    /// # Errors
    /// If there is none, or none that could be a suite.
    pub(super) fn read(&self) -> Result<Text, SuiteError> {
        match self {
            Self::File(path) => {
                let file = path.display().to_string();
                let yaml = read(path, &file)?.trim_start_matches('\u{feff}').to_owned();
                let stem = stem(path);
                let dir = path.parent().and_then(|dir| std::path::absolute(dir).ok());
                let dir = dir.or_else(|| std::env::current_dir().ok());
                Ok(Text {
                    file,
                    stem,
                    yaml,
                    dir,
                })
            }
            Self::Text { name, yaml } => Ok(Text {
                file: name.clone(),
                stem: stem(Path::new(name)),
                yaml: yaml.clone(),
                dir: std::env::current_dir().ok(),
            }),
            Self::BuiltIn(name) => match BUILT_IN.iter().find(|suite| suite.name == *name) {
                Some(suite) => Ok(Text {
                    file: format!("{name}.yaml (built in)"),
                    stem: suite.name.to_owned(),
                    yaml: suite.text.to_owned(),
                    dir: None,
                }),
                None => Err(SuiteError::whole(
                    name,
                    format!("there is no built-in suite `{name}`"),
                    format!(
                        "there are: {}; a suite of your own is given by its path",
                        BUILT_IN
                            .iter()
                            .map(|suite| suite.name)
                            .collect::<Vec<_>>()
                            .join(", ")
                    ),
                )),
            },
        }
    }
}

fn read(path: &Path, file: &str) -> Result<String, SuiteError> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|opened| opened.take(TEXT_MAX + 1).read_to_end(&mut bytes))
        .map_err(|error| {
            let names: Vec<&str> = built_in().iter().map(|suite| suite.name).collect();
            let help = format!(
                "give the path of a YAML file, or the name of a built-in suite: {}",
                names.join(", ")
            );
            SuiteError::whole(file, format!("cannot read the suite: {error}"), help)
        })?;
    if bytes.len() as u64 > TEXT_MAX {
        let help = "split it into several suites";
        return Err(SuiteError::whole(
            file,
            "the suite is longer than 1 MiB",
            help,
        ));
    }
    String::from_utf8(bytes).map_err(|error| {
        let title = format!("the suite is not text in UTF-8: {}", error.utf8_error());
        SuiteError::whole(file, title, "save it in UTF-8")
    })
}

/// The name of a suite that does not say: that of its file, as far as it can be one.
fn stem(path: &Path) -> String {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let tame = |c: char| {
        if c.is_ascii_alphanumeric() || "-_+.".contains(c) {
            c
        } else {
            '-'
        }
    };
    let name: String = stem.chars().take(60).map(tame).collect();
    match name.trim_start_matches(|c: char| !c.is_ascii_alphanumeric()) {
        "" => "suite".into(),
        name => name.into(),
    }
}
