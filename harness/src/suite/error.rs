//! What is wrong with a suite, shown on its own lines.

use std::fmt;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Element, Group, Level, Origin, Renderer, Snippet};
use tribunal_results::options::OptionError;

use super::locate::{Duplicate, Index, Part, Path};

/// How many problems are shown at once; further ones are only said to exist.
const PROBLEMS_LISTED_MAX: usize = 10;

/// One thing that is wrong, at a path of the document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Problem {
    /// Where; relative until [`Problem::under`] has been told the rest.
    pub(super) path: Path,
    /// Which part of the entry there is meant.
    pub(super) part: Part,
    /// What is wrong, in one sentence.
    pub(super) title: String,
    /// A few words beside the place; may be empty.
    pub(super) label: String,
    /// Another place that has to do with it, with a few words; not relative.
    pub(super) related: Option<Box<(Path, String)>>,
    /// What to do, or what exists, one sentence each.
    pub(super) help: Vec<String>,
}

impl Problem {
    /// A problem with the value itself.
    pub(super) fn new(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            ..Self::default()
        }
    }

    /// The same, at a path.
    #[must_use]
    pub(super) fn at(mut self, path: Path) -> Self {
        self.path = path;
        self
    }

    /// The same, about the key or about the whole entry.
    #[must_use]
    pub(super) fn on(mut self, part: Part) -> Self {
        self.part = part;
        self
    }

    /// The same, with words beside the place.
    #[must_use]
    pub(super) fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// The same, with another place that has to do with it, and a few words beside that.
    #[must_use]
    pub(super) fn related(mut self, path: Path, label: impl Into<String>) -> Self {
        self.related = Some(Box::new((path, label.into())));
        self
    }

    /// The same, with one more advice.
    #[must_use]
    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help.push(help.into());
        self
    }

    /// The same, seen from further up.
    #[must_use]
    pub(super) fn under(mut self, above: &Path) -> Self {
        self.path = above.join(&self.path);
        self
    }

    /// A name that is not among those that exist there.
    pub(super) fn unknown(title: impl Into<String>, name: &str, known: &[&str]) -> Self {
        let mut problem = Self::new(title);
        if let Some(near) = nearest(name, known) {
            problem = problem.label(format!("did you mean `{near}`?"));
        }
        match known {
            [] => problem.help("there are none"),
            _ => problem.help(format!("there are: {}", known.join(", "))),
        }
    }
}

impl From<OptionError> for Problem {
    fn from(error: OptionError) -> Self {
        Self::new(error.message)
            .at(Path::parse(&error.path))
            .on(Part::Entry)
    }
}

/// The known name that a mistyped one was probably meant to be.
pub(crate) fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    known
        .iter()
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), *candidate))
        .filter(|(distance, candidate)| *distance <= (candidate.chars().count() / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Problems as they are found: each once, and not more than can be shown.
#[derive(Debug, Default)]
pub(super) struct Problems(Vec<Problem>);

impl Problems {
    /// Adds one, unless it is known already or nobody would see it.
    pub(super) fn push(&mut self, problem: Problem) {
        if self.0.len() <= PROBLEMS_LISTED_MAX && !self.0.contains(&problem) {
            self.0.push(problem);
        }
    }

    /// Whether nothing is wrong.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A place in the text, in bytes, with words beside it.
type Mark = (Range<usize>, String);

/// A problem whose place is known.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Finding {
    title: String,
    mark: Option<Mark>,
    related: Option<Mark>,
    help: Vec<String>,
}

/// A suite that cannot be run, and why. `Display` shows it without colour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SuiteError {
    file: String,
    text: String,
    findings: Vec<Finding>,
    nothing_selected: bool,
}

impl SuiteError {
    /// Something is wrong with the file as a whole.
    pub(super) fn whole(file: &str, title: impl Into<String>, help: impl Into<String>) -> Self {
        let finding = Finding {
            title: title.into(),
            mark: None,
            related: None,
            help: vec![help.into()],
        };
        Self::of(file, "", vec![finding])
    }

    /// The text cannot be read as YAML, from the byte `at` on.
    pub(super) fn syntax(file: &str, text: &str, at: Option<usize>, title: String) -> Self {
        let before = at.and_then(|at| text.get(..at)).unwrap_or(text);
        let line = before.rsplit('\n').next().unwrap_or_default();
        let tab = line.contains('\t')
            || at.is_some_and(|at| text.get(at..).is_some_and(|rest| rest.starts_with('\t')));
        let finding = Finding {
            title,
            mark: at.map(|at| (at..at, String::new())),
            related: None,
            help: tab
                .then(|| "YAML is indented with spaces, not with tabs".into())
                .into_iter()
                .collect(),
        };
        Self::of(file, text, vec![finding])
    }

    /// Keys that a mapping has twice.
    pub(super) fn duplicates(file: &str, text: &str, index: &Index) -> Self {
        let finding = |duplicate: &Duplicate| Finding {
            title: format!("`{}` is given twice", duplicate.key),
            mark: Some((duplicate.again.clone(), "again here".into())),
            related: Some((duplicate.first.clone(), "first here".into())),
            help: Vec::new(),
        };
        Self::of(file, text, index.duplicates.iter().map(finding).collect())
    }

    /// What is wrong with values; `problems` must not be empty.
    pub(super) fn values(file: &str, text: &str, index: &Index, problems: Problems) -> Self {
        let finding = |problem: Problem| Finding {
            mark: index
                .find(&problem.path, problem.part)
                .map(|range| (range, problem.label)),
            title: problem.title,
            related: problem.related.and_then(|related| {
                let (path, label) = *related;
                let range = index.find(&path, Part::Value)?;
                Some((range, label))
            }),
            help: problem.help,
        };
        Self::of(file, text, problems.0.into_iter().map(finding).collect())
    }

    fn of(file: &str, text: &str, findings: Vec<Finding>) -> Self {
        Self {
            file: file.to_owned(),
            text: text.to_owned(),
            findings,
            nothing_selected: false,
        }
    }

    /// No run has the name that was asked for.
    pub(super) fn no_match(file: &str, only: &str, names: &[String]) -> Self {
        let title = format!("no run of the suite matches `{only}`");
        let mut error = Self::whole(file, title, format!("its runs: {}", bounded(names)));
        error.nothing_selected = true;
        error
    }

    /// Whether the suite is fine, but none of its runs was selected.
    pub fn nothing_selected(&self) -> bool {
        self.nothing_selected
    }

    /// The message, with file, line and column, and the lines themselves.
    pub fn render(&self, colour: bool) -> String {
        let renderer = if colour {
            Renderer::styled()
        } else {
            Renderer::plain()
        };
        let shown = self.findings.iter().take(PROBLEMS_LISTED_MAX);
        let mut parts: Vec<String> = shown
            .map(|finding| renderer.render(&[self.group(finding)]))
            .collect();
        if self.findings.len() > PROBLEMS_LISTED_MAX {
            parts.push("and more".into());
        }
        parts.join("\n\n")
    }

    fn group<'a>(&'a self, finding: &'a Finding) -> Group<'a> {
        let group = Group::with_title(Level::ERROR.primary_title(finding.title.as_str()));
        let place: Element<'a> = match &finding.mark {
            Some(mark) => self.snippet(mark, finding.related.as_ref()).into(),
            None => Origin::path(self.file.as_str()).into(),
        };
        let help = finding.help.iter();
        group
            .element(place)
            .elements(help.map(|text| Level::HELP.message(text.as_str())))
    }

    fn snippet<'a>(
        &'a self,
        (range, label): &'a Mark,
        related: Option<&'a Mark>,
    ) -> Snippet<'a, annotate_snippets::Annotation<'a>> {
        let label = (!label.is_empty()).then_some(label.as_str());
        let primary = AnnotationKind::Primary.span(range.clone()).label(label);
        let context = related.map(|(range, label)| {
            AnnotationKind::Context
                .span(range.clone())
                .label(label.as_str())
        });
        Snippet::source(self.text.as_str())
            .path(self.file.as_str())
            .annotation(primary)
            .annotations(context)
    }
}

/// The first names of a list, and how many more there are.
fn bounded(names: &[String]) -> String {
    const SHOWN: usize = 20;
    let shown = names.get(..SHOWN).unwrap_or(names).join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

impl fmt::Display for SuiteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for SuiteError {}
