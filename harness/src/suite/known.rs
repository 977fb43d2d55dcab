//! `known-issues.yaml`: violations that somebody works on.
//!
//! ```yaml
//! issues:
//!   - signature: linearizable/stale-read/register/my-store
//!     ticket: STORE-417
//!     owner: ann
//!     expires: 2026-12-31
//!     max_rate: 5%          # optional: more often than this it counts again
//! ```

use std::path::{Path as FilePath, PathBuf};

use jiff::civil::Date;
use serde_json::Value as Json;
use tribunal_results::Signature;
use tribunal_results::gates::Unit;

use super::document::Document;
use super::error::{Problem, Problems, SuiteError};
use super::locate::{Part, Path};
use super::profiles::Profiles;
use super::raw::{Read, check_keys, mapping, text, within};

/// The file's name, if it is not given.
pub const FILE: &str = "known-issues.yaml";

const KEYS: [&str; 5] = ["signature", "ticket", "owner", "expires", "max_rate"];

/// A violation that is known.
#[derive(Clone, Debug, PartialEq)]
pub struct KnownIssue {
    /// What it is known by.
    pub signature: Signature,
    /// Where it is worked on.
    pub ticket: String,
    /// Who works on it.
    pub owner: String,
    /// The last day on which it is known, in UTC.
    pub expires: Date,
    /// The share of runs, from 0 to 1, that may show it.
    pub max_rate: Option<f64>,
}

/// The file beside the nearest `.tribunal.yaml`, if there is one.
pub fn nearest(directory: &FilePath) -> Option<PathBuf> {
    let profiles = Profiles::nearest(directory)?;
    let file = profiles.with_file_name(FILE);
    file.is_file().then_some(file)
}

/// Reads a file.
///
/// # Errors
/// What is wrong, and where.
pub fn read(file: &FilePath) -> Result<Vec<KnownIssue>, SuiteError> {
    let shown = file.display().to_string();
    let text = std::fs::read_to_string(file).map_err(|error| {
        let title = format!("cannot read the known issues: {error}");
        SuiteError::whole(&shown, title, "give a file that exists, as text in UTF-8")
    })?;
    let document = Document::parse(&shown, &text)?;
    let mut problems = Problems::default();
    let read = issues(&document.root, &mut problems).unwrap_or_else(|problem| {
        problems.push(problem);
        Vec::new()
    });
    match problems.is_empty() {
        true => Ok(read),
        false => Err(document.error(problems)),
    }
}

fn issues(root: &Json, problems: &mut Problems) -> Read<Vec<KnownIssue>> {
    let example = "such as `issues: [{signature: …, ticket: …, owner: …, expires: 2026-12-31}]`";
    let root = mapping("the file", root).map_err(|problem| problem.help(example))?;
    check_keys("the file", root, &["issues"])?;
    let at = Path::default().key("issues");
    let listed = match root.get("issues") {
        Some(Json::Array(listed)) => listed,
        Some(_) => return Err(Problem::new("`issues` must be a list").at(at).help(example)),
        None => return Err(Problem::new("the file has no `issues`").help(example)),
    };
    let mut all: Vec<KnownIssue> = Vec::new();
    for (index, value) in listed.iter().enumerate() {
        let place = at.item(index);
        match issue(value) {
            Ok(issue) if all.iter().any(|one| one.signature == issue.signature) => {
                let title = format!("`{}` is known already", issue.signature);
                problems.push(Problem::new(title).at(place.key("signature")));
            }
            Ok(issue) => all.push(issue),
            Err(problem) => problems.push(problem.under(&place)),
        }
    }
    Ok(all)
}

fn issue(value: &Json) -> Read<KnownIssue> {
    let map = mapping("a known issue", value)?;
    check_keys("a known issue", map, &KEYS)?;
    let needs = |key: &str, why: &str| {
        Problem::new(format!("a known issue needs `{key}`"))
            .help(why)
            .on(Part::Entry)
    };
    let words = |key: &'static str, why: &str| {
        let read = |value: &Json| {
            let text = text(&format!("`{key}`"), value)?;
            let empty = text.trim().is_empty();
            (!empty).then_some(text).ok_or_else(|| needs(key, why))
        };
        within(map, key, read)?.ok_or_else(|| needs(key, why))
    };
    let signature = words("signature", "copy it from the last lines of a run")?;
    let signature = signature.parse().map_err(|title: String| {
        let help = "copy it from the last lines of a run, or from `tribunal triage`";
        Problem::new(title)
            .help(help)
            .at(Path::default().key("signature"))
    })?;
    let expires = words(
        "expires",
        "the last day on which it is known, such as 2026-12-31",
    )?;
    let expires = expires.parse().map_err(|_| {
        let title = format!("{expires:?} is no date; write it as 2026-12-31");
        Problem::new(title).at(Path::default().key("expires"))
    })?;
    Ok(KnownIssue {
        signature,
        ticket: words("ticket", "where it is worked on")?,
        owner: words("owner", "who works on it")?,
        expires,
        max_rate: within(map, "max_rate", |value| {
            Unit::Share.read(value).map_err(Problem::new)
        })?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "issues:
  - signature: linearizable/stale-read/register/store
    ticket: S-1
    owner: ann
    expires: 2026-12-31
    max_rate: 5%
";

    fn read_text(text: &str) -> Result<Vec<KnownIssue>, String> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(FILE);
        std::fs::write(&file, text).unwrap();
        read(&file).map_err(|error| error.render(false))
    }

    #[test]
    fn an_issue_is_read_with_everything_that_it_has() {
        let read = read_text(GOOD).unwrap();
        let [issue] = read.as_slice() else {
            panic!("{read:?}")
        };
        assert_eq!(issue.signature.anomaly, "stale-read");
        assert_eq!(
            (issue.ticket.as_str(), issue.owner.as_str()),
            ("S-1", "ann")
        );
        assert_eq!(issue.expires.to_string(), "2026-12-31");
        assert_eq!(issue.max_rate, Some(0.05));
    }

    #[test]
    fn what_is_wrong_is_shown_on_its_line() {
        for (right, wrong, line, words) in [
            ("    owner: ann\n", "", 2, "needs `owner`"),
            ("ann", "' '", 4, "needs `owner`"),
            ("2026-12-31", "soon", 5, "is no date"),
            ("2026-12-31", "2026-13-31", 5, "is no date"),
            ("5%", "5", 6, "is not a share"),
            ("ticket:", "tickte:", 3, "did you mean `ticket`?"),
            (
                "linearizable/stale-read/register/store",
                "stale-read",
                2,
                "is no signature",
            ),
            ("issues:", "issue:", 1, "did you mean `issues`?"),
        ] {
            let error = read_text(&GOOD.replace(right, wrong)).unwrap_err();
            assert!(error.contains(words), "{wrong}: {error}");
            assert!(
                error.contains(&format!("{FILE}:{line}")),
                "{wrong}: {error}"
            );
        }
        let twice = format!("{GOOD}{}", GOOD.trim_start_matches("issues:\n"));
        assert!(read_text(&twice).unwrap_err().contains("is known already"));
    }
}
