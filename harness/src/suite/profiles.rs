//! `.tribunal.yaml`: options of `tribunal run` under a name, in a file that is checked in.
//!
//! ```yaml
//! profiles:
//!   pr: &pr { suite: tests/locks.yaml, jobs: 2, time: 5s }
//!   nightly: { <<: *pr, for: 20m, until-fail: true }
//! ```

use std::path::{Path as FilePath, PathBuf};

use serde_json::{Map, Value as Json};

use super::document::Document;
use super::error::{Problem, Problems, SuiteError};
use super::locate::{Part, Path};
use super::raw::{Read, check_keys, mapping};

/// The file's name.
pub const FILE: &str = ".tribunal.yaml";

/// An option of the command line: its name without dashes, and its value; none if it has none.
pub type Setting = (String, Option<String>);

/// Profiles by name, in the order of the file, merge keys applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profiles {
    /// Where they come from.
    pub file: PathBuf,
    /// The options of each.
    pub all: Vec<(String, Vec<Setting>)>,
}

impl Profiles {
    /// The file of this directory, or of the nearest one above that has one.
    pub fn nearest(directory: &FilePath) -> Option<PathBuf> {
        let files = directory.ancestors().map(|above| above.join(FILE));
        files.into_iter().find(|file| file.is_file())
    }

    /// Reads a file. `known` are the options that exist; `check` says what is wrong with a value.
    ///
    /// # Errors
    /// What is wrong, and where.
    pub fn read(
        file: &FilePath,
        known: &[&str],
        check: impl Fn(&Setting) -> Result<(), String>,
    ) -> Result<Self, SuiteError> {
        let shown = file.display().to_string();
        let text = std::fs::read_to_string(file).map_err(|error| {
            let title = format!("cannot read the profiles: {error}");
            SuiteError::whole(&shown, title, "make it readable, as text in UTF-8")
        })?;
        let document = Document::parse(&shown, &text)?;
        let mut problems = Problems::default();
        let all = profiles(&document.root, known, &check, &mut problems);
        let all = all.unwrap_or_else(|problem| {
            problems.push(problem);
            Vec::new()
        });
        match problems.is_empty() {
            true => Ok(Self {
                file: file.to_owned(),
                all,
            }),
            false => Err(document.error(problems)),
        }
    }

    /// The options of a profile.
    ///
    /// # Errors
    /// If there is none of that name; says which there are.
    pub fn find(&self, name: &str) -> Result<&[Setting], SuiteError> {
        let found = self.all.iter().find(|(known, _)| known == name);
        found
            .map(|(_, settings)| settings.as_slice())
            .ok_or_else(|| {
                let known: Vec<&str> = self.all.iter().map(|(name, _)| name.as_str()).collect();
                let near = super::nearest(name, &known);
                let near = near.map_or(String::new(), |near| format!("did you mean `{near}`? "));
                let help = format!("{near}there are: {}", known.join(", "));
                let title = format!("there is no profile `{name}`");
                SuiteError::whole(&self.file.display().to_string(), title, help)
            })
    }
}

fn profiles(
    root: &Json,
    known: &[&str],
    check: &impl Fn(&Setting) -> Result<(), String>,
    problems: &mut Problems,
) -> Read<Vec<(String, Vec<Setting>)>> {
    let example = "such as `profiles: {pr: {suite: demo, jobs: 2}}`";
    let root = mapping("the file", root).map_err(|problem| problem.help(example))?;
    // Where patterns to merge may stand that are no profiles themselves.
    let top: Vec<&str> = root.keys().map(String::as_str).collect();
    let kept = |key: &&str| !key.starts_with("x-") && *key != "profiles";
    if let Some(key) = top.into_iter().find(kept) {
        let title = format!("the file has no `{key}`");
        let problem = Problem::unknown(title, key, &["profiles"]);
        let help = "what is only merged into profiles goes under a key that begins with `x-`";
        let at = Path::default().key(key);
        return Err(problem.help(help).at(at).on(Part::Key));
    }
    let at = Path::default().key("profiles");
    let Some(given) = root.get("profiles") else {
        return Err(Problem::new("the file has no `profiles`").help(example));
    };
    let given = mapping("`profiles`", given).map_err(|p| p.under(&at))?;
    let mut all = Vec::new();
    for (name, value) in given {
        match profile(name, value, known, check) {
            Ok(settings) => all.push((name.clone(), settings)),
            Err(problem) => problems.push(problem.under(&at.key(name.as_str()))),
        }
    }
    Ok(all)
}

fn profile(
    name: &str,
    value: &Json,
    known: &[&str],
    check: &impl Fn(&Setting) -> Result<(), String>,
) -> Read<Vec<Setting>> {
    let map: &Map<String, Json> = mapping(&format!("the profile `{name}`"), value)?;
    check_keys("a profile", map, known)?;
    let mut settings = Vec::new();
    for (option, value) in map {
        let at = Path::default().key(option.as_str());
        let value = match value {
            // What is switched off needs no word.
            Json::Bool(false) | Json::Null => continue,
            Json::Bool(true) => None,
            Json::String(text) => Some(text.clone()),
            Json::Number(number) => Some(number.to_string()),
            Json::Array(_) | Json::Object(_) => {
                let title = format!("`{option}` must be text, a number, true or false");
                return Err(Problem::new(title).at(at));
            }
        };
        let setting = (option.clone(), value);
        check(&setting).map_err(|title| Problem::new(title).at(at).on(Part::Entry))?;
        settings.push(setting);
    }
    Ok(settings)
}
