//! The text of a suite as plain data, with the place of each value.

use serde_json::Value as Json;
use serde_yaml::Value as Yaml;

use super::error::{Problem, Problems, SuiteError};
use super::locate::{Index, Part, Path, byte_offsets};

/// A text that is well-formed YAML with text keys, merge keys applied.
pub(super) struct Document {
    /// What to call it in messages.
    file: String,
    text: String,
    index: Index,
    /// Its content.
    pub(super) root: Json,
}

impl Document {
    /// Reads the text; `file` is what to call it in messages.
    ///
    /// # Errors
    /// Where it is not YAML, or YAML that suites do without: tags, keys other than text, several
    /// documents, numbers that are none.
    pub(super) fn parse(file: &str, text: &str) -> Result<Self, SuiteError> {
        let index = Index::of(text);
        let mut yaml: Yaml =
            serde_yaml::from_str(text).map_err(|error| syntax(file, text, &index, &error))?;
        let mut problems = Problems::default();
        if let Err(error) = yaml.apply_merge() {
            let path = index.first_merge().cloned().unwrap_or_default();
            problems.push(Problem::new(error.to_string()).at(path).on(Part::Entry));
        }
        let root = to_json(yaml, &Path::default(), &mut problems);
        let document = Self {
            file: file.to_owned(),
            text: text.to_owned(),
            index,
            root,
        };
        if problems.is_empty() {
            Ok(document)
        } else {
            Err(document.error(problems))
        }
    }

    /// The problems as an error of this document.
    pub(super) fn error(&self, problems: Problems) -> SuiteError {
        SuiteError::values(&self.file, &self.text, &self.index, problems)
    }
}

fn syntax(file: &str, text: &str, index: &Index, error: &serde_yaml::Error) -> SuiteError {
    if !index.duplicates.is_empty() {
        return SuiteError::duplicates(file, text, index);
    }
    if let Some(second) = &index.second_document {
        let title = "a suite is one YAML document; a second one begins here";
        return SuiteError::syntax(file, text, Some(second.start), title.into());
    }
    let place = error.location().map(|location| {
        let offsets = byte_offsets(text);
        offsets.get(location.index()).copied().unwrap_or(text.len())
    });
    SuiteError::syntax(file, text, place, error.to_string())
}

/// The same value without what suites do without. The depth is bounded by the YAML reader.
fn to_json(yaml: Yaml, path: &Path, problems: &mut Problems) -> Json {
    let mut refuse = |title: String| {
        problems.push(Problem::new(title).at(path.clone()));
        Json::Null
    };
    match yaml {
        Yaml::Null => Json::Null,
        Yaml::Bool(value) => Json::Bool(value),
        Yaml::String(text) => Json::String(text),
        Yaml::Number(number) => match number_to_json(&number) {
            Some(number) => Json::Number(number),
            None => refuse(format!("{number} is not a number to work with")),
        },
        Yaml::Tagged(tagged) => refuse(format!("suites have no tags such as `{}`", tagged.tag)),
        Yaml::Sequence(items) => items
            .into_iter()
            .enumerate()
            .map(|(i, item)| to_json(item, &path.item(i), problems))
            .collect(),
        Yaml::Mapping(mapping) => mapping
            .into_iter()
            .filter_map(|(key, value)| {
                let Yaml::String(key) = key else {
                    let title = "a key must be text; put it in quotes";
                    problems.push(Problem::new(title).at(path.key(plain(&key))).on(Part::Key));
                    return None;
                };
                let value = to_json(value, &path.key(key.as_str()), problems);
                Some((key, value))
            })
            .collect(),
    }
}

fn number_to_json(number: &serde_yaml::Number) -> Option<serde_json::Number> {
    number
        .as_u64()
        .map(Into::into)
        .or_else(|| number.as_i64().map(Into::into))
        .or_else(|| serde_json::Number::from_f64(number.as_f64()?))
}

/// How the index knows a key that is not text.
fn plain(key: &Yaml) -> String {
    match key {
        Yaml::Number(number) => number.to_string(),
        Yaml::Bool(value) => value.to_string(),
        _ => "?".into(),
    }
}
