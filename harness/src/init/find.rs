//! What a directory builds: the program that a node of one's own system would be.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tribunal_targets::program;

use super::Language;

/// Files that are looked into at most, in one folder.
const ENTRIES_MAX: usize = 1000;
/// Names that servers in scripting languages usually have, most usual first.
const STEMS: [&str; 4] = ["server", "main", "app", "index"];

/// A program that a node could be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// The interpreter and its options, if it needs one.
    pub interpreter: Vec<String>,
    /// The file, relative to the project if it lies within it.
    pub file: PathBuf,
    /// It is a name without a path, looked for in `PATH` whenever it is started.
    pub in_path: bool,
    /// How it was recognised, for people.
    pub found_by: String,
    /// The command that builds it, if it isn't there yet.
    pub build: Option<String>,
    /// The language that fits it best for an adapter.
    pub language: Language,
}

/// What was looked for, for people who must name a program.
pub const LOOKED_FOR: &str = "Cargo.toml, go.mod, package.json, a .jar in target/ or build/libs/, \
    server.py (main, app, index; .py or .js), a single executable file here or in bin/";

impl Program {
    /// The program that somebody named: a path, or a name to look for in `PATH`.
    ///
    /// # Errors
    /// If there is no such file.
    pub fn named(project: &Path, name: &str) -> Result<Self, String> {
        let given = Path::new(name);
        let found_by = format!("--bin {name}");
        let near = [given.to_owned(), project.join(given)];
        let Some(path) = near.iter().find(|path| path.is_file()) else {
            if name.contains('/') {
                return Err(format!(
                    "there is no {name}; build it first, or correct --bin"
                ));
            }
            program::find(name)?;
            let bare = Self::of_file(given.to_owned(), found_by);
            return Ok(Self {
                in_path: true,
                interpreter: Vec::new(),
                ..bare
            });
        };
        let whole = |path: &Path| path.canonicalize().map_err(|e| format!("{name}: {e}"));
        let (path, project) = (whole(path)?, whole(project)?);
        let file = path
            .strip_prefix(project)
            .map_or(path.clone(), Path::to_owned);
        Ok(Self::of_file(file, found_by))
    }

    /// The program that a project's directory builds; nothing if that can't be told.
    pub fn find(project: &Path) -> Option<Self> {
        let ways = [cargo, go, node, jar, script, executable];
        ways.iter().find_map(|way| way(project))
    }

    /// A file, started as its name says.
    fn of_file(file: PathBuf, found_by: String) -> Self {
        let extension = file.extension().and_then(OsStr::to_str).unwrap_or("");
        let (interpreter, language): (&[&str], _) = match extension {
            "py" => (&["python3"], Language::Python),
            "js" | "mjs" | "cjs" => (&["node"], Language::Node),
            "jar" => (&["java", "-jar"], Language::Java),
            "sh" => (&["bash"], Language::Shell),
            _ => (&[], Language::Python),
        };
        Self {
            interpreter: interpreter.iter().map(|word| (*word).to_owned()).collect(),
            file,
            in_path: false,
            found_by,
            build: None,
            language,
        }
    }

    fn built_by(project: &Path, file: PathBuf, found_by: String, build: String) -> Self {
        let missing = !project.join(&file).exists();
        Self {
            build: missing.then_some(build),
            ..Self::of_file(file, found_by)
        }
    }
}

/// A Rust package: its first binary, of a release build unless only a debug build is there.
fn cargo(project: &Path) -> Option<Program> {
    let manifest = fs::read_to_string(project.join("Cargo.toml")).ok()?;
    let name_in = |section: &str| {
        let mut lines = manifest
            .lines()
            .skip_while(|line| line.trim() != section)
            .skip(1);
        let within = lines.by_ref().take_while(|line| !line.starts_with('['));
        let mut names = within.filter_map(|line| {
            let (key, value) = line.split_once('=')?;
            (key.trim() == "name").then(|| value.trim().trim_matches('"').to_owned())
        });
        names.next()
    };
    let in_bin = || stem_of_first(&project.join("src/bin"), "rs");
    let in_main = || {
        let main = project.join("src/main.rs").exists();
        main.then(|| name_in("[package]")).flatten()
    };
    let name = name_in("[[bin]]").or_else(in_main).or_else(in_bin)?;
    let of = |profile: &str| Path::new("target").join(profile).join(&name);
    let debug_only = !project.join(of("release")).exists() && project.join(of("debug")).exists();
    let file = of(if debug_only { "debug" } else { "release" });
    let build = "cargo build --release".to_owned();
    Some(Program::built_by(
        project,
        file,
        format!("Cargo.toml, binary {name}"),
        build,
    ))
}

/// A Go module: its root if that is a program, else the first folder in `cmd`.
fn go(project: &Path) -> Option<Program> {
    let module = fs::read_to_string(project.join("go.mod")).ok()?;
    let path = module
        .lines()
        .find_map(|line| line.strip_prefix("module "))?;
    let (name, package) = if project.join("main.go").exists() {
        (path.trim().rsplit('/').next()?.to_owned(), ".".to_owned())
    } else {
        let mains = entries(&project.join("cmd"));
        let folder = mains
            .into_iter()
            .find(|entry| entry.join("main.go").exists())?;
        let name = folder.file_name()?.to_str()?.to_owned();
        (name.clone(), format!("./cmd/{name}"))
    };
    let build = format!("go build -o {name} {package}");
    let file = PathBuf::from(&name);
    let program = Program::built_by(project, file, format!("go.mod, program {name}"), build);
    Some(Program {
        language: Language::Go,
        ..program
    })
}

/// A Node package: its `main`, or a file with a usual name.
fn node(project: &Path) -> Option<Program> {
    let text = fs::read_to_string(project.join("package.json")).ok()?;
    let package: serde_json::Value = serde_json::from_str(&text).ok()?;
    let main = package
        .get("main")
        .and_then(|main| main.as_str())
        .map(PathBuf::from);
    let usual = STEMS.iter().map(|stem| PathBuf::from(format!("{stem}.js")));
    let mut files = main.into_iter().chain(usual);
    let file = files.find(|file| project.join(file).is_file())?;
    let found_by = format!("package.json, {}", file.display());
    let program = Program::of_file(file, found_by);
    Some(Program {
        interpreter: vec!["node".into()],
        language: Language::Node,
        ..program
    })
}

/// The first archive that Maven or Gradle has built.
fn jar(project: &Path) -> Option<Program> {
    ["target", "build/libs"].iter().find_map(|folder| {
        let stem = stem_of_first(&project.join(folder), "jar")?;
        let file = Path::new(folder).join(format!("{stem}.jar"));
        Some(Program::of_file(file.clone(), file.display().to_string()))
    })
}

/// A script with a usual name.
fn script(project: &Path) -> Option<Program> {
    let names = STEMS
        .iter()
        .flat_map(|stem| ["py", "js"].map(|kind| format!("{stem}.{kind}")));
    let mut names = names.filter(|name| project.join(name).is_file());
    names
        .next()
        .map(|name| Program::of_file(PathBuf::from(&name), name))
}

/// The only executable file of the directory, or of its `bin`.
fn executable(project: &Path) -> Option<Program> {
    ["", "bin"].iter().find_map(|folder| {
        let mut files = entries(&project.join(folder)).into_iter().filter(|file| {
            let meta = file.metadata();
            meta.is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
        });
        let (file, None) = (files.next()?, files.next()) else {
            return None;
        };
        let file = Path::new(folder).join(file.file_name()?);
        Some(Program::of_file(
            file.clone(),
            format!("the only executable, {}", file.display()),
        ))
    })
}

fn stem_of_first(folder: &Path, extension: &str) -> Option<String> {
    let mut files = entries(folder).into_iter();
    let first = files.find(|file| file.extension() == Some(OsStr::new(extension)))?;
    first.file_stem()?.to_str().map(str::to_owned)
}

/// What is in a folder, sorted; nothing if it can't be read.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let all = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut all: Vec<PathBuf> = all.take(ENTRIES_MAX).map(|entry| entry.path()).collect();
    all.sort();
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A project with those files, and what is found in it.
    fn found(files: &[(&str, &str)]) -> Option<Program> {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let file = dir.path().join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(&file, text).unwrap();
            let mode = if text.starts_with("#!") { 0o755 } else { 0o644 };
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        }
        Program::find(dir.path())
    }

    const PACKAGE: (&str, &str) = ("Cargo.toml", "[package]\nname = \"kv\"\n\n[dependencies]\n");

    #[test]
    fn a_rust_packages_binary_is_found_built_or_not() {
        let main = ("src/main.rs", "");
        let program = found(&[PACKAGE, main]).unwrap();
        assert_eq!(program.file, Path::new("target/release/kv"));
        assert_eq!(program.build.as_deref(), Some("cargo build --release"));
        let program = found(&[PACKAGE, main, ("target/debug/kv", "#!")]).unwrap();
        assert_eq!(
            (program.file.to_str(), program.build),
            (Some("target/debug/kv"), None)
        );
        let program = found(&[PACKAGE, ("src/bin/node.rs", ""), ("src/lib.rs", "")]).unwrap();
        assert_eq!(program.file, Path::new("target/release/node"));
        let named = (
            "Cargo.toml",
            "[package]\nname = \"kv\"\n[[bin]]\nname = \"kvd\"\n",
        );
        assert_eq!(
            found(&[named]).unwrap().file,
            Path::new("target/release/kvd")
        );
        // A library is no server.
        assert_eq!(found(&[PACKAGE, ("src/lib.rs", "")]), None);
    }

    #[test]
    fn a_go_modules_program_is_found_at_its_root_or_in_cmd() {
        let module = ("go.mod", "module example.org/x/kv\n\ngo 1.24\n");
        let program = found(&[module, ("main.go", "")]).unwrap();
        assert_eq!(program.file, Path::new("kv"));
        assert_eq!(program.language, Language::Go);
        let program = found(&[module, ("cmd/kvd/main.go", "")]).unwrap();
        assert_eq!(program.build.as_deref(), Some("go build -o kvd ./cmd/kvd"));
    }

    #[test]
    fn scripts_archives_and_executables_are_found_with_what_starts_them() {
        let program = found(&[
            ("package.json", r#"{"main":"lib/kv.js"}"#),
            ("lib/kv.js", ""),
        ]);
        let program = program.unwrap();
        assert_eq!(program.interpreter, ["node"]);
        assert_eq!(program.file, Path::new("lib/kv.js"));
        assert_eq!(found(&[("app.py", "")]).unwrap().interpreter, ["python3"]);
        let program = found(&[("target/kv-1.0.jar", "")]).unwrap();
        assert_eq!(program.interpreter, ["java", "-jar"]);
        assert_eq!(
            found(&[("bin/kv", "#!")]).unwrap().file,
            Path::new("bin/kv")
        );
        // Which of two?
        assert_eq!(found(&[("one", "#!"), ("two", "#!")]), None);
        assert_eq!(found(&[("README", "")]), None);
    }

    #[test]
    fn a_named_program_may_be_in_the_project_outside_or_in_path() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("kv.py");
        fs::write(&file, "").unwrap();
        let whole = Program::named(dir.path(), file.to_str().unwrap()).unwrap();
        assert_eq!(whole.file, Path::new("kv.py"));
        assert_eq!(
            Program::named(dir.path(), "kv.py").unwrap().file,
            Path::new("kv.py")
        );
        let shell = Program::named(dir.path(), "sh").unwrap();
        assert!(shell.in_path && !whole.in_path);
        assert!(
            Program::named(dir.path(), "./no/server")
                .unwrap_err()
                .contains("build it first")
        );
        assert!(
            Program::named(dir.path(), "no-such-server")
                .unwrap_err()
                .contains("PATH")
        );
    }
}
