//! What is in the files that `tribunal init` writes.

use std::fmt::Write as _;
use std::path::Path;

use clap::ValueEnum;

use super::{FOLDER, File, Program};

/// What the samples call the server that they talk to.
const SAMPLES_SERVER: &str = "talks to the server of docs/tutorial";
/// What takes its place.
const OWN_SERVER: &str = "talks to the server under test, in the words of\n\
    ~ docs/tutorial/server.py (GET, PUT, POST /KEY): put the requests of your own server there";

/// The language of an adapter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Language {
    /// Python 3, its standard library.
    Python,
    /// Go, started by `go run`.
    Go,
    /// JavaScript, for Node.
    Node,
    /// Java, from its source.
    Java,
    /// Bash and curl.
    Shell,
}

impl Language {
    /// The file of its sample.
    pub const fn file(self) -> &'static str {
        match self {
            Self::Python => "client.py",
            Self::Go => "client.go",
            Self::Node => "client.js",
            Self::Java => "Client.java",
            Self::Shell => "client.sh",
        }
    }

    /// The words before the file that start it.
    pub const fn starter(self) -> &'static [&'static str] {
        match self {
            Self::Python => &["python3"],
            Self::Go => &["go", "run"],
            Self::Node => &["node"],
            Self::Java => &["java"],
            Self::Shell => &["bash"],
        }
    }

    const fn sample(self) -> &'static str {
        match self {
            Self::Python => include_str!("../../../docs/adapters/client.py"),
            Self::Go => include_str!("../../../docs/adapters/client.go"),
            Self::Node => include_str!("../../../docs/adapters/client.js"),
            Self::Java => include_str!("../../../docs/adapters/Client.java"),
            Self::Shell => include_str!("../../../docs/adapters/client.sh"),
        }
    }

    /// What begins a line of comment; in Python, the head is a text.
    const fn comment(self) -> &'static str {
        match self {
            Self::Python => "",
            Self::Shell => "# ",
            Self::Go | Self::Node | Self::Java => "// ",
        }
    }

    fn adapter(self) -> String {
        let head = OWN_SERVER.replace("~ ", self.comment());
        self.sample().replacen(SAMPLES_SERVER, &head, 1)
    }
}

/// Whose continuous integration a file is written for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Ci {
    /// GitHub Actions.
    Github,
    /// GitLab CI.
    Gitlab,
    /// Nobody's.
    None,
}

/// What is to be written.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// A node.
    pub program: &'a Program,
    /// Its arguments, with variables of suites; by default its address and its data directory.
    pub arguments: &'a [String],
    /// That of the adapter.
    pub language: Language,
    /// That of the CI file.
    pub ci: Ci,
    /// The JSON schema of suites.
    pub schema: &'a str,
}

/// All files, by their paths within the project.
pub fn files(request: &Request<'_>) -> Vec<File> {
    let language = request.language;
    let within = |name: &str| Path::new(FOLDER).join(name);
    let mut all = vec![
        File {
            path: within("suite.yaml"),
            about: "what is run: your server, its load, its faults",
            text: suite(request),
            executable: false,
        },
        File {
            path: within(language.file()),
            about: "the adapter: asks your server, and says how it ended",
            text: language.adapter(),
            executable: language != Language::Go && language != Language::Java,
        },
        File {
            path: within("suite.schema.json"),
            about: "lets editors complete and check the suite",
            text: format!("{}\n", request.schema),
            executable: false,
        },
    ];
    all.extend(ci(request.ci));
    all
}

fn ci(ci: Ci) -> Vec<File> {
    let file = |path: &str, about, text: &str| File {
        path: path.into(),
        about,
        text: text.to_owned(),
        executable: false,
    };
    let profiles = file(".tribunal.yaml", "the profiles that CI runs", PROFILES);
    match ci {
        Ci::None => Vec::new(),
        Ci::Github => vec![
            profiles,
            file(
                ".github/workflows/tribunal.yml",
                "a gate for pull requests, and a night's search; needs tribunal and your build",
                include_str!("../../../docs/ci/github.yml"),
            ),
            file(
                ".github/actions/tribunal/action.yml",
                "the steps that both take",
                include_str!("../../../docs/ci/action.yml"),
            ),
        ],
        Ci::Gitlab => vec![
            profiles,
            file(
                "tribunal/gitlab-ci.yml",
                "jobs for `include: tribunal/gitlab-ci.yml` of .gitlab-ci.yml; needs your build",
                include_str!("../../../docs/ci/gitlab.yml"),
            ),
        ],
    }
}

const PROFILES: &str = "\
# Options of `tribunal run`, by name: `tribunal run --profile pr`.
profiles:
  # The seeds of the runs' names, for ever: a steady gate.
  pr: &pr { suite: tribunal/suite.yaml, retries: 1 }
  # New seeds each round, until the time is over or a run fails: a search.
  nightly: { <<: *pr, for: 20m, until-fail: true }
";

fn suite(request: &Request<'_>) -> String {
    let language = request.language;
    let starter = language.starter().iter().map(|word| quoted(word));
    let adapter: Vec<String> = starter
        .chain([quoted(&format!("{{{{suite.dir}}}}/{}", language.file()))])
        .collect();
    SUITE
        .replace("@COMMAND@", &command(request))
        .replace("@ADAPTER@", &adapter.join(", "))
}

/// The words that start a node, as a list in YAML's flow style.
fn command(request: &Request<'_>) -> String {
    let Program {
        interpreter, file, ..
    } = request.program;
    let path = file.display();
    let file = match request.program.in_path || file.is_absolute() {
        true => path.to_string(),
        false => format!("{{{{suite.dir}}}}/../{path}"),
    };
    let defaults = ["{{node.addr}}", "{{data_dir}}"].map(str::to_owned);
    let arguments = match request.arguments {
        [] => &defaults[..],
        given => given,
    };
    let words = interpreter.iter().chain([&file]).chain(arguments);
    let mut list = String::new();
    for (at, word) in words.enumerate() {
        let comma = if at == 0 { "" } else { ", " };
        // Writing to a string cannot fail.
        let _infallible = write!(list, "{comma}{}", quoted(word));
    }
    list
}

/// A word as a text in double quotes, which YAML reads as JSON does; plain words as they are.
fn quoted(word: &str) -> String {
    let letters = |c: char| c.is_ascii_alphabetic() || c == '_';
    let plain = word.starts_with(letters) && word.chars().all(|c| letters(c) || c.is_ascii_digit());
    match plain && !["true", "false", "null", "yes", "no", "on", "off", "y", "n"].contains(&word) {
        true => word.to_owned(),
        false => serde_json::Value::from(word).to_string(),
    }
}

const SUITE: &str = r#"# yaml-language-server: $schema=suite.schema.json
#
# A test of your own system.
#
#   tribunal run tribunal/suite.yaml --dry-run     is all of this right? starts nothing
#   tribunal run tribunal/suite.yaml               do it; the last lines say what came of it
#   tribunal list                                  what a suite can name
suite: mine
about: registers of my own server stay linearizable, under load and under faults
defaults:
  target:
    type: command
    options:
      # How a node is started: directly, not by a shell. {{node.addr}} is where it must listen,
      # host:port; {{node.host}} and {{node.port}} are its parts. The host is one of its own
      # (127.x.y.z): a server that listens on 127.0.0.1 whatever it is told is not reached.
      # {{data_dir}} is its own directory, kept when it is killed. Of several nodes, {{node.id}} is
      # this one's name, and {{peers}} are the others as it reaches them: n2=host:port,n3=host:port.
      command: [@COMMAND@]
      # When it serves: here, when it accepts connections. Others are
      # {http: "http://{{node.addr}}/health"} and {log: listening}.
      ready: { tcp: "{{node.addr}}" }
      # Who asks it. List only what your server can do; without compare-and-set, leave out cas.
      client:
        adapter: [@ADAPTER@]
        operations: [read, write, cas]
  # What is asked: reads, writes and compare-and-sets of keys. Whether the answers are linearizable
  # is checked: each operation must seem to happen at one instant between its call and its answer.
  workload: register
  nodes: 1          # 3 or 5, if your server replicates; then break links, too: partition
  clients: 10
  time: 10s
  # expect: [stale-read]    # if a bug is known: then a run passes if, and only if, it is found
runs:
  # Nothing is broken. Many operations at once find races: ask for as many as your server can do.
  - name: load
    rate: 1000      # operations a second, of all clients together
    nemesis: none
  # SIGKILL and start again, SIGSTOP and go on, in turn: what was acknowledged must still be there.
  - name: faults
    rate: 200
    nemesis:
      faults: [kill, pause]
      quiet: 800ms..1200ms    # whole again before each fault; longer, if your server starts slowly
      hold: 200ms..500ms      # how long each lasts
"#;

#[cfg(test)]
mod tests {
    use super::*;

    fn request_of(program: &Program, arguments: &[String]) -> Vec<File> {
        files(&Request {
            program,
            arguments,
            language: Language::Python,
            ci: Ci::None,
            schema: "{}",
        })
    }

    fn program(file: &str) -> Program {
        Program {
            interpreter: Vec::new(),
            file: file.into(),
            found_by: String::new(),
            in_path: false,
            build: None,
            language: Language::Python,
        }
    }

    #[test]
    fn each_adapter_is_its_sample_with_another_head() {
        for language in Language::value_variants() {
            let (sample, adapter) = (language.sample(), language.adapter());
            assert_eq!(sample.matches(SAMPLES_SERVER).count(), 1, "{language:?}");
            let differing = adapter
                .lines()
                .filter(|line| !sample.lines().any(|l| l == *line));
            let heads: Vec<&str> = differing.collect();
            assert_eq!(heads.len(), 2, "{heads:?}");
            assert!(heads[1].starts_with(language.comment()), "{heads:?}");
        }
    }

    #[test]
    fn words_of_a_command_survive_yaml() {
        let arguments = [
            "--listen",
            "a \"b\" \\ {{node.addr}}",
            "no",
            "7",
            "",
            "{x}, y: z",
        ];
        let arguments = arguments.map(str::to_owned);
        let all = request_of(&program("bin/kv"), &arguments);
        let yaml: serde_json::Value = serde_yaml::from_str(&all[0].text).unwrap();
        let command = &yaml["defaults"]["target"]["options"]["command"];
        let mut expected = vec!["{{suite.dir}}/../bin/kv".to_owned()];
        expected.extend(arguments);
        assert_eq!(*command, serde_json::json!(expected));
    }

    #[test]
    fn a_program_outside_the_project_keeps_its_path() {
        let all = request_of(&program("/opt/kv/server"), &[]);
        assert!(
            all[0]
                .text
                .contains(r#"["/opt/kv/server", "{{node.addr}}", "{{data_dir}}"]"#)
        );
    }
}
