//! Runs across the packet switch: that they pass, as root and as an ordinary user; that nothing is
//! left of them after a SIGKILL; and what is said where the machine does not allow them.
//!
//! Where this machine does not allow them, the tests say so and pass.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may")]

mod common;

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use common::{Run, processes_of, text_of, tribunal, wait_until};

const SUITE: &str = "
suite: switched
runs:
  - name: short
    target: quorum-register
    workload: register
    nodes: 3
    fabric: switch
    nemesis: [partition, delay, { type: packet-loss, clients: true, probability: 0.1 }]
    time: 4s
";
const NOBODY: u32 = 65_534;

/// Whether the machine allows it; says so if not.
fn is_allowed() -> bool {
    let said = text_of(&tribunal(&["doctor"]));
    let line = said.lines().find(|line| line.contains("network switch"));
    let allowed = line.is_some_and(|line| line.contains('✓'));
    if !allowed {
        println!("skipped: {}", line.unwrap_or(&said));
    }
    allowed
}

fn suite_in(folder: &Path) -> String {
    let path = folder.join("switched.yaml");
    std::fs::write(&path, SUITE).unwrap();
    path.display().to_string()
}

/// What a run that passed has on record.
fn assert_passed(output: &Output, directory: &Path) {
    assert_eq!(output.status.code(), Some(0), "{}", text_of(output));
    let history = std::fs::read_to_string(directory.join("history.jsonl")).unwrap();
    for fault in ["partition", "delay", "packet-loss"] {
        let bit = history
            .lines()
            .any(|line| line.contains(&format!("\"{fault}\"")) && line.contains("\"bit\":true"));
        assert!(bit, "{fault} did not bite:\n{}", text_of(output));
    }
    let verdict = std::fs::read_to_string(directory.join("verdict.json")).unwrap();
    assert!(verdict.contains("\"pass\""), "{verdict}");
}

#[test]
fn a_run_across_a_switch_passes_and_its_faults_bite() {
    if !is_allowed() {
        return;
    }
    let run = Run::new();
    let suite = suite_in(run.folder());
    let output = tribunal(&["run", &suite, "--out", &run.out()]);
    assert_passed(&output, &run.latest("switched"));
}

#[test]
fn it_passes_as_an_ordinary_user_too() {
    if !nix::unistd::geteuid().is_root() || !is_allowed() {
        println!("skipped: only root can become an ordinary user");
        return;
    }
    let run = Run::new();
    let open = |path: &Path| {
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o777)).unwrap();
    };
    open(run.folder());
    let copy = run.folder().join("tribunal");
    std::fs::copy(env!("CARGO_BIN_EXE_tribunal"), &copy).unwrap();
    open(&copy);
    let suite = suite_in(run.folder());
    let as_nobody = |arguments: &[&str]| {
        let mut command = Command::new(&copy);
        command.args(arguments).current_dir(run.folder());
        command.uid(NOBODY).gid(NOBODY).output().unwrap()
    };
    let doctor = text_of(&as_nobody(&["doctor", "--out", &run.out()]));
    if !doctor.contains("✓ network switch") {
        println!("skipped for user {NOBODY}: {doctor}");
        return;
    }
    let output = as_nobody(&["run", &suite, "--out", &run.out()]);
    assert_passed(&output, &run.latest("switched"));
}

/// The network namespaces that are in use, by processes or by open files.
fn networks() -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    for process in processes.filter(|entry| entry.path().join("ns").exists()) {
        let tasks = std::fs::read_dir(process.path().join("task"));
        let tasks = tasks.into_iter().flatten().flatten();
        found.extend(tasks.filter_map(|task| std::fs::read_link(task.path().join("ns/net")).ok()));
        let files = std::fs::read_dir(process.path().join("fd"));
        let files = files.into_iter().flatten().flatten();
        let links = files.filter_map(|file| std::fs::read_link(file.path()).ok());
        found.extend(links.filter(|link| is_network(link)));
    }
    found
}

fn is_network(link: &Path) -> bool {
    link.to_str().is_some_and(|link| link.starts_with("net:["))
}

#[test]
fn after_a_sigkill_no_process_and_no_network_is_left() {
    if !is_allowed() {
        return;
    }
    let run = Run::new();
    let suite = suite_in(run.folder());
    let before = networks();
    let mut controller = run.start(&["run", &suite, "--time", "60s", "--out", &run.out()]);
    wait_until("nodes run and are used", || {
        run.recorded("switched") > 20_000
    });
    let mine: Vec<PathBuf> = networks().difference(&before).cloned().collect();
    // The controller's and those of three nodes; other tests may have theirs.
    assert!(mine.len() >= 4, "{mine:?}");
    let own = |what: &str| std::fs::read_link(format!("/proc/{}/{what}", controller.id()));
    assert!(mine.contains(&own("ns/net").unwrap()));
    controller.kill().unwrap();
    controller.wait().unwrap();
    wait_until("no process is left", || processes_of(&run).is_empty());
    wait_until("no network is left", || {
        networks().is_disjoint(&mine.iter().cloned().collect())
    });
}

#[test]
fn where_it_is_forbidden_doctor_says_so_and_a_run_is_a_harness_error() {
    let run = Run::new();
    let suite = suite_in(run.folder());
    // A user namespace in which no other may be made, and no capability to do without.
    let forbid = "echo 0 > /proc/sys/user/max_user_namespaces &&
        exec setpriv --inh-caps=-all --bounding-set=-all \"$@\"";
    let forbidden = |arguments: &[&str]| {
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "sh", "-c", forbid, "sh"]);
        command.arg(env!("CARGO_BIN_EXE_tribunal")).args(arguments);
        command.output()
    };
    let Ok(doctor) = forbidden(&["doctor", "--out", &run.out()]) else {
        println!("skipped: there is no unshare");
        return;
    };
    let said = text_of(&doctor);
    let Some(line) = said.lines().find(|line| line.contains("network switch")) else {
        println!("skipped: it cannot be forbidden here: {said}");
        return;
    };
    assert!(
        line.starts_with('–') && line.contains("max_user_namespaces"),
        "{line}"
    );
    let output = forbidden(&["run", &suite, "--out", &run.out()]).unwrap();
    let said = text_of(&output);
    assert_eq!(output.status.code(), Some(70), "{said}");
    assert!(
        said.contains("the network switch cannot be used here"),
        "{said}"
    );
}
