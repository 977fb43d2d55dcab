//! SIGKILL of the controller at ten instants, from start-up to the middle of the load: nothing is
//! left running, every address is free again, and the history can be judged.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use common::{Run, processes_of, tribunal, wait_until};
use tribunal_results::journal;

const SUITE: &str = "
suite: killed
runs:
  - target: quorum-register
    workload: register
    nodes: 3
    clients: 10
    rate: 2000
    nemesis: [kill, pause, partition]
    time: 60s
";

/// Instants of the kill, in milliseconds after the start.
const INSTANTS_MS: [u64; 10] = [60, 150, 260, 420, 700, 1033, 1390, 1777, 2215, 2918];

#[test]
fn nothing_is_left_and_little_is_lost_whenever_the_controller_is_killed() {
    for instant in INSTANTS_MS {
        let lost = kill_at(Duration::from_millis(instant));
        // Printed with --nocapture; a loaded machine may be late, so only the order is asserted.
        println!("killed after {instant} ms: {lost:?} between the last event on disk and the kill");
        assert!(
            lost.is_none_or(|lost| lost < Duration::from_secs(1)),
            "{lost:?} lost"
        );
    }
}

/// Kills a controller and says how old the last event on disk was, if load had begun.
#[expect(
    clippy::disallowed_methods,
    reason = "the instant of the kill is what is tested"
)]
fn kill_at(instant: Duration) -> Option<Duration> {
    let run = Run::new();
    let suite = run.folder().join("killed.yaml");
    std::fs::write(&suite, SUITE).unwrap();
    let mut controller = run.start(&["run", &suite.display().to_string(), "--out", &run.out()]);
    std::thread::sleep(instant);
    let addresses = listening(&processes_of(&run));
    let killed = jiff::Timestamp::now();
    controller.kill().unwrap();
    controller.wait().unwrap();
    wait_until("no process is left", || processes_of(&run).is_empty());
    for address in addresses {
        wait_until("the address is free", || TcpListener::bind(address).is_ok());
    }
    let directory = std::fs::read_dir(run.folder().join("runs/killed"))
        .ok()?
        .next()?
        .unwrap();
    let history = directory.path().join("history.jsonl");
    let read = journal::read(std::io::BufReader::new(std::fs::File::open(&history).ok()?)).ok()?;
    let check = tribunal(&["check", &directory.path().display().to_string()]);
    assert_eq!(
        check.status.code(),
        Some(130),
        "{}",
        common::text_of(&check)
    );
    let calls = read.history.calls().len();
    let end = read.history.end().filter(|_| calls > 100)?;
    let origin: jiff::Timestamp = read.header.origin?.parse().unwrap();
    let last = origin + Duration::from_nanos(end.time);
    Some(Duration::try_from(killed.duration_since(last)).unwrap_or_default())
}

/// The addresses in `--listen` of node processes.
fn listening(commands: &[String]) -> Vec<SocketAddr> {
    let after = |line: &String| {
        let mut words = line.split_whitespace();
        words.find(|word| *word == "--listen")?;
        words.next()?.parse().ok()
    };
    commands.iter().filter_map(after).collect()
}
