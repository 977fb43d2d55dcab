//! `tribunal export`: a history written for others.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read as _, Write};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use clap::builder::PossibleValuesParser;
use tribunal_results::export::{self, ExportError, Exported, FORMATS, Format};
use tribunal_results::import;
use tribunal_results::journal::Header;
use tribunal_results::report::text::counted;
use tribunal_results::run::{RunDir, RunInfo};
use tribunal_results::{History, NodeId};

use super::check::progress::Progress;
use super::{Done, Failure, exit};
use crate::judge::child;
use crate::show;

/// How much of a file's beginning tells its format, in bytes.
const HEAD_BYTES: u64 = 8 << 10;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tribunal export results/runs/demo/latest --output demo.json
                                    open demo.json in https://ui.perfetto.dev
  tribunal export results/runs/demo/latest --format jepsen-edn > history.edn
  tribunal export history.edn --format elle-json | elle-cli …

Formats:
  trace        Chrome's trace event format: operations, faults, states of nodes, leaders
  jepsen-edn   Jepsen's history.edn, for Elle and Knossos
  elle-json    the same as JSON, for elle-cli
  jsonl        Tribunal's own

An operation that a format cannot express is refused by its name (64); then nothing is written.")]
pub(super) struct Export {
    /// A run directory, or a history in any format that `tribunal check` reads
    record: PathBuf,
    /// The format to write
    #[arg(long, short, value_name = "FORMAT", default_value = "trace", value_parser = formats())]
    format: String,
    /// The file to write; standard output if left out
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

fn formats() -> PossibleValuesParser {
    FORMATS.map(|format| format.name).into()
}

/// Exports a history.
pub(super) fn export(args: &Export) -> Done {
    let format = export::find(&args.format)
        .with_context(|| format!("there is no format {}", args.format))
        .map_err(Failure::usage)?;
    let (header, history, clients) = read(&args.record).map_err(Failure::usage)?;
    let exported = Exported {
        header: &header,
        history: &history,
        clients,
    };
    match &args.output {
        None => {
            let mut output = BufWriter::new(std::io::stdout().lock());
            write(format, &mut output, &exported, Path::new("standard output"))?;
        }
        Some(path) => {
            to_file(format, path, &exported)?;
            let operations = counted(history.calls().len() as u64, "operation");
            anstream::eprintln!("{operations} written to {}", path.display());
        }
    }
    Ok(exit::PASS)
}

/// Writes the file whole or not at all.
fn to_file(format: &Format, path: &Path, exported: &Exported<'_>) -> Result<(), Failure> {
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let cannot = || format!("cannot write {}", path.display());
    let part = tempfile::NamedTempFile::new_in(folder)
        .with_context(cannot)
        .map_err(Failure::usage)?;
    let mut output = BufWriter::with_capacity(1 << 18, part);
    write(format, &mut output, exported, path)?;
    let part = output.into_inner().map_err(|e| e.into_error());
    let part = part.with_context(cannot)?;
    part.persist(path).with_context(cannot)?;
    readable_by_others(path);
    Ok(())
}

/// A temporary file is its owner's alone; what was asked for is as other files are.
fn readable_by_others(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = std::fs::Permissions::from_mode(0o644);
    if let Err(e) = std::fs::set_permissions(path, mode) {
        tracing::warn!("cannot let others read {}: {e}", path.display());
    }
}

fn write(
    format: &Format,
    output: &mut dyn Write,
    exported: &Exported<'_>,
    to: &Path,
) -> Result<(), Failure> {
    let written = export::write(format, output, exported);
    match written.and_then(|()| Ok(output.flush()?)) {
        Ok(()) => Ok(()),
        // Whoever reads has had enough.
        Err(ExportError::Io(e)) if e.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        Err(e @ ExportError::Inexpressible { .. }) => Err(Failure::usage(e)),
        Err(e) => Err(anyhow::Error::new(e)
            .context(format!("cannot write {}", to.display()))
            .into()),
    }
}

/// The history of a run, or of a file of any format; how many clients there were, if that is known.
fn read(record: &Path) -> anyhow::Result<(Header, History, Option<u64>)> {
    if record.is_dir() {
        let dir = RunDir::at(record);
        let journal = child::history(&dir.history())?;
        let info: Option<RunInfo> = show::read_json(&dir.info()).ok();
        let clients = info.and_then(|info| u64::try_from(info.clients).ok());
        return Ok((journal.header, journal.history, clients));
    }
    let name = record.file_name().and_then(std::ffi::OsStr::to_str);
    let file = File::open(record).with_context(|| format!("cannot open {}", record.display()))?;
    let mut head = Vec::new();
    (&file).take(HEAD_BYTES).read_to_end(&mut head)?;
    if import::detect(&head, name).is_some_and(|format| format.name == "jsonl") {
        let journal = child::history(record)?;
        return Ok((journal.header, journal.history, None));
    }
    let file = File::open(record).with_context(|| format!("cannot open {}", record.display()))?;
    let length = file.metadata().map(|metadata| metadata.len()).ok();
    let progress = Progress::of("reading");
    let input = progress.counting(BufReader::with_capacity(1 << 18, file), length);
    let imported = import::read(input, name, None)
        .with_context(|| format!("{} is not a history", record.display()))?;
    for note in &imported.notes {
        anstream::eprintln!("{}: {note}", record.display());
    }
    let mut header = Header::new(None, nodes_of(&imported.history));
    header.assume = imported.assume;
    Ok((header, imported.history, None))
}

/// The nodes to which clients were bound, if the history tells.
fn nodes_of(history: &History) -> Vec<String> {
    let nodes = history.calls().iter().filter_map(|call| call.node.as_ref());
    let nodes: std::collections::BTreeSet<&NodeId> = nodes.collect();
    nodes.into_iter().map(ToString::to_string).collect()
}
