//! Systems of others, etcd and Redis, through the real binary: that short runs of them pass where they
//! are installed, and what is said where they are not.
//!
//! Where a system, or the packet switch, is missing the tests say so and pass.
#![cfg(all(target_os = "linux", feature = "etcd", feature = "redis"))]
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may")]

mod common;

use std::process::{Command, Output, Stdio};

use serde_json::Value as Json;

use common::{Run, text_of, tribunal};

const SUITE: &str = "
suite: stores
defaults: { time: 3s, nodes: 3, clients: 6, rate: 60, timeout: 2s, ready: 30s }
runs:
  - { name: etcd-registers, target: etcd, workload: register, nemesis: none }
  - { name: etcd-sets, target: etcd, workload: set, nemesis: none }
  - name: redis-sets
    target: { type: redis, options: { mode: sentinel, wait: 2 } }
    workload: set
    nemesis: none
  # Its first node has to join the others again instead of founding another cluster.
  - name: mariadb-galera
    target: { type: mariadb, options: { galera: { sync_wait: 7 }, snapshot_isolation: true } }
    workload: { type: list-append, level: snapshot-isolation }
    ready: 120s
    recovery: 120s
    time: 5s
    nemesis: { schedule: [{ at: 1s, hold: 1s, type: kill, nodes: [n1] }] }
  - name: postgres-sets
    target: { type: postgres, options: { failover: 2s, synchronous_standby_names: 'ANY 1 (*)' } }
    nodes: 2
    workload: set
    nemesis: { schedule: [{ at: 1s, hold: 500ms, type: pause, nodes: [n2] }] }
";

/// Whether those runs can be made here; says what is missing if not.
fn is_possible(system: &str) -> bool {
    let said = text_of(&tribunal(&["doctor"]));
    let line = said.lines().find(|line| line.contains("network switch"));
    let target = tribunal_targets::find(system).unwrap();
    let missing = match line {
        Some(line) if line.contains('✓') => target.installed(&Json::Null).err(),
        line => Some(line.unwrap_or(&said).to_owned()),
    };
    missing.iter().for_each(|why| println!("skipped: {why}"));
    missing.is_none()
}

fn run_of(run: &Run, name: &str) -> Output {
    let path = run.folder().join("stores.yaml");
    std::fs::write(&path, SUITE).unwrap();
    let (path, out) = (path.display().to_string(), run.out());
    tribunal(&["run", &path, "--only", name, "--out", &out])
}

fn assert_passes(system: &str, name: &str) {
    if !is_possible(system) {
        return;
    }
    let run = Run::new();
    let output = run_of(&run, name);
    assert_eq!(output.status.code(), Some(0), "{}", text_of(&output));
    let info = std::fs::read_to_string(run.latest("stores").join("run.json")).unwrap();
    let info: Json = serde_json::from_str(&info).unwrap();
    let tested = info["machine"]["tested system"].as_str().unwrap();
    assert!(tested.to_lowercase().starts_with(system), "{tested}");
    assert!(tested.contains(|c: char| c.is_ascii_digit()), "{tested}");
}

#[test]
fn a_healthy_etcd_is_linearizable() {
    assert_passes("etcd", "etcd-registers");
}

#[test]
fn a_set_guarded_by_locks_of_a_healthy_etcd_loses_nothing() {
    assert_passes("etcd", "etcd-sets");
}

#[test]
fn a_healthy_redis_with_sentinel_loses_nothing() {
    assert_passes("redis", "redis-sets");
}

#[cfg(feature = "mariadb")]
#[test]
fn a_node_of_a_galera_cluster_that_is_killed_joins_it_again() {
    let target = tribunal_targets::find("mariadb").unwrap();
    match target.installed(&serde_json::json!({ "galera": {} })) {
        Ok(_) => assert_passes("mariadb", "mariadb-galera"),
        Err(why) => println!("skipped: {why}"),
    }
}

#[cfg(feature = "postgres")]
#[test]
fn a_postgres_whose_standby_pauses_loses_nothing() {
    assert_passes("postgres", "postgres-sets");
}

/// Runs the binary where no program is installed.
fn with_empty_path(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tribunal"));
    command
        .args(arguments)
        .env("PATH", "/nowhere")
        .stdin(Stdio::null());
    command.output().unwrap()
}

#[test]
fn a_system_that_is_missing_is_told_with_how_to_install_it() {
    let run = Run::new();
    for (suite, package) in [
        (
            "findings/etcd-serializable-reads",
            "apt-get install etcd-server",
        ),
        ("findings/redis-redlock", "apt-get install redis-server"),
    ] {
        let output = with_empty_path(&["run", suite, "--out", &run.out()]);
        let said = text_of(&output);
        assert_eq!(output.status.code(), Some(70), "{said}");
        assert!(said.contains(package), "{said}");
        let skipping = ["run", suite, "--skip-missing", "--out", &run.out()];
        let output = with_empty_path(&skipping);
        let said = text_of(&output);
        assert_eq!(output.status.code(), Some(3), "nothing was shown: {said}");
        assert!(said.contains("skipped") && said.contains(package), "{said}");
        assert!(said.contains("nothing is left to run"), "{said}");
    }
}

#[test]
fn options_that_make_no_sense_are_refused_before_anything_starts() {
    let run = Run::new();
    let path = run.folder().join("wrong.yaml");
    for (target, said) in [
        ("{ type: etcd, options: { reads: dirty } }", "reads"),
        ("{ type: etcd, options: { lease_ttl: 0 } }", "lease_ttl"),
        ("{ type: redis, options: { mode: single } }", "nodes: 1"),
        (
            "{ type: redis, options: { mode: sentinel, wait: 7 } }",
            "replicas",
        ),
        ("{ type: redis, options: { mode: redlock } }", "add"),
    ] {
        let suite = format!("runs: [{{ nodes: 3, target: {target}, workload: set }}]");
        std::fs::write(&path, suite).unwrap();
        let path = path.display().to_string();
        let output = tribunal(&["run", &path, "--out", &run.out()]);
        let text = text_of(&output);
        assert_eq!(output.status.code(), Some(64), "{target}: {text}");
        assert!(text.contains(said), "{target}: {text}");
    }
}
