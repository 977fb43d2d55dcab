//! The machine and the build, for the record.

use std::collections::BTreeMap;

use nix::sys::resource::{Resource, getrlimit};

use crate::plan::Plan;

/// The version, with the git revision that it was built from where that is known.
pub fn version() -> String {
    let version = env!("CARGO_PKG_VERSION");
    match option_env!("TRIBUNAL_REVISION") {
        Some(revision) if !revision.is_empty() => format!("{version} ({revision})"),
        _ => version.into(),
    }
}

/// Under this name the record has the system that is tested, with its version.
pub(super) const TESTED: &str = "tested system";

/// Kernel, processors, memory and limits; and what is tested, if it is none of ours.
pub(super) fn facts(plan: &Plan) -> BTreeMap<String, String> {
    let mut facts = BTreeMap::new();
    let mut put = |name: &str, value: String| facts.insert(name.to_owned(), value);
    let target = plan.parts.target(&plan.target.target);
    let installed = target.map(|target| target.installed(&plan.target.options));
    if let Some(Ok(Some(version))) = installed {
        put(TESTED, version);
    }
    if let Ok(uname) = nix::sys::utsname::uname() {
        let part = |part: &std::ffi::OsStr| part.to_string_lossy().into_owned();
        put(
            "system",
            format!("{} {}", part(uname.sysname()), part(uname.release())),
        );
        put("architecture", part(uname.machine()));
    }
    if let Ok(processors) = std::thread::available_parallelism() {
        put("processors", processors.to_string());
    }
    if let Some(memory) = memory_total() {
        put("memory", memory);
    }
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        put("open files", format!("{soft} (at most {hard})"));
    }
    put("user", nix::unistd::geteuid().to_string());
    facts
}

fn memory_total() -> Option<String> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    Some(line.trim().to_owned())
}
