//! Real programs, seen from outside.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdout, Command, Stdio};

use nix::time::{ClockId, clock_gettime};
use tribunal_nemesis::skew::{ClockKind, Skew};

use super::*;

/// A program that answers each line by the clocks that it is told to read.
struct Teller {
    child: Child,
    answers: BufReader<ChildStdout>,
}

/// Makes this very program, run as a child with only the test below, the one that tells.
const ASKED: &str = "TRIBUNAL_TEST_TELLER";
const NAME: &str = "cluster::vdso::tests::a_teller_ends_when_nobody_asks_any_more";

fn nanos(clock: ClockId) -> i128 {
    let now = clock_gettime(clock).unwrap();
    i128::from(now.tv_sec()) * 1_000_000_000 + i128::from(now.tv_nsec())
}

#[test]
fn a_teller_ends_when_nobody_asks_any_more() {
    let questions = std::io::stdin().lock().lines();
    let asked = std::env::var_os(ASKED).is_some();
    for _ in questions.take_while(|_| asked) {
        let clocks = [
            ClockId::CLOCK_REALTIME,
            ClockId::CLOCK_MONOTONIC,
            ClockId::CLOCK_MONOTONIC_RAW,
        ];
        let [real, steady, raw] = clocks.map(nanos);
        let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
        println!("told {real} {steady} {raw} {}", now.as_secs());
    }
}

fn spawn(program: &str, args: &[&str]) -> Child {
    let mut command = Command::new(program);
    command
        .args(args)
        .env(ASKED, "")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    #[expect(unsafe_code, reason = "what is tested happens between fork and exec")]
    // SAFETY: one system call, and no allocation.
    unsafe {
        command.pre_exec(|| {
            ask_to_be_traced();
            Ok(())
        });
    }
    command.spawn().unwrap()
}

impl Teller {
    fn start() -> Self {
        let own = std::env::current_exe().unwrap();
        let args = ["--exact", NAME, "--nocapture"];
        let mut child = spawn(own.to_str().unwrap(), &args);
        let answers = BufReader::new(child.stdout.take().unwrap());
        Self { child, answers }
    }

    /// How far its clocks are from this process's: real time, monotonic, raw, and whole seconds.
    fn skew(&mut self) -> [i128; 4] {
        writeln!(self.child.stdin.as_mut().unwrap()).unwrap();
        // The harness of tests says things too.
        let told = loop {
            let mut line = String::new();
            assert_ne!(self.answers.read_line(&mut line).unwrap(), 0, "it ended");
            if let Some((_, told)) = line.split_once("told ") {
                break told.to_owned();
            }
        };
        let theirs: Vec<i128> = told
            .split_whitespace()
            .map(|n| n.parse().unwrap())
            .collect();
        let real = nanos(ClockId::CLOCK_REALTIME);
        [
            theirs[0] - real,
            theirs[1] - nanos(ClockId::CLOCK_MONOTONIC),
            theirs[2] - nanos(ClockId::CLOCK_MONOTONIC_RAW),
            theirs[3] - real / 1_000_000_000,
        ]
    }
}

impl Drop for Teller {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How often a teller is asked at most: some tens of seconds.
const ASKED_MAX: usize = 200_000;
const SECOND: i64 = 1_000_000_000;

fn jump(offset_ns: i64) -> Skew {
    Skew {
        clocks: vec![ClockKind::Realtime],
        offset_ns,
        ..Skew::default()
    }
}

/// Within two seconds: machines that run tests are busy.
fn near(found: i128, wanted: i64) -> bool {
    (found - i128::from(wanted)).abs() < 2 * i128::from(SECOND)
}

#[test]
fn a_program_is_told_another_time_of_day_and_then_the_right_one_again() {
    let mut teller = Teller::start();
    let lever = lay(teller.child.id(), None).unwrap();
    assert!(
        teller
            .skew()
            .map(|it| it / 1_000_000_000)
            .iter()
            .all(|it| near(*it, 0))
    );
    assert_eq!(lever.view().unwrap().moved_readings, 0);
    for offset in [3_600 * SECOND, -120 * SECOND - 5, 1_000_000_007 * SECOND] {
        let view = lever.pull(Some(&jump(offset))).unwrap();
        assert_eq!(view.skew, Some(jump(offset)));
        let [real, steady, raw, seconds] = teller.skew();
        assert!(near(real, offset), "{real} for {offset}");
        assert!(
            near(seconds * i128::from(SECOND), offset),
            "{seconds} for {offset}"
        );
        assert!(
            near(steady, 0) && near(raw, 0),
            "monotonic time is not moved"
        );
        let view = lever.view().unwrap();
        assert!(view.moved_readings >= 2 && view.last_moved_by_ns == offset);
    }
    let view = lever.pull(None).unwrap();
    assert_eq!(view.skew, None);
    let [real, .., seconds] = teller.skew();
    assert!(near(real, 0) && near(seconds * i128::from(SECOND), 0));
    assert_eq!(lever.view().unwrap().moved_readings, view.moved_readings);
}

#[test]
fn a_skew_that_drifts_adds_up_and_one_that_strobes_comes_and_goes() {
    let mut teller = Teller::start();
    let lever = lay(teller.child.id(), None).unwrap();
    // A hundred seconds in a second.
    let drift = Skew {
        drift_ppb: 100 * SECOND,
        ..jump(0)
    };
    lever.pull(Some(&drift)).unwrap();
    let first = teller.skew()[0];
    let goes_on = || teller.skew()[0] > first + i128::from(10 * SECOND);
    assert!(std::iter::repeat_with(goes_on).take(ASKED_MAX).any(|it| it));
    let strobe = Skew {
        half_period_ns: 5_000_000,
        ..jump(1_000 * SECOND)
    };
    lever.pull(Some(&strobe)).unwrap();
    let (mut with, mut without) = (0, 0);
    for _ in 0..ASKED_MAX {
        if with > 3 && without > 3 {
            break;
        }
        let skew = teller.skew()[0];
        assert!(near(skew, 0) || near(skew, 1_000 * SECOND), "{skew}");
        *if near(skew, 0) {
            &mut without
        } else {
            &mut with
        } += 1;
    }
    let both = Skew {
        clocks: vec![ClockKind::Realtime, ClockKind::Monotonic],
        ..jump(50 * SECOND)
    };
    lever.pull(Some(&both)).unwrap();
    assert!(teller.skew()[..3].iter().all(|it| near(*it, 50 * SECOND)));
}

#[test]
fn a_skew_holds_from_the_first_instruction_on() {
    let child = spawn("date", &["+%s"]);
    let lever = lay(child.id(), Some(&jump(-86_400 * SECOND))).unwrap();
    let now = clock_gettime(ClockId::CLOCK_REALTIME).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let told: i64 = String::from_utf8_lossy(&output.stdout)
        .trim()
        .parse()
        .unwrap();
    assert!((told - (now.tv_sec() - 86_400)).abs() <= 2, "{told}");
    let gone = lever.view().unwrap_err();
    assert!(gone.contains("is gone"), "{gone}");
}

#[test]
fn a_program_that_becomes_another_escapes_and_that_is_seen() {
    let mut child = spawn("sh", &["-c", "read line; exec sleep 60"]);
    let lever = lay(child.id(), None).unwrap();
    lever.pull(Some(&jump(SECOND))).unwrap();
    writeln!(child.stdin.as_mut().unwrap()).unwrap();
    let gone = loop {
        if let Err(gone) = lever.view() {
            break gone;
        }
        std::thread::yield_now();
    };
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(gone.contains("another program"), "{gone}");
}

#[test]
fn a_program_that_did_not_ask_is_left_alone() {
    let mut child = Command::new("sleep").arg("60").spawn().unwrap();
    let refused = lay(child.id(), None).unwrap_err();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(refused.contains("ptrace"), "{refused}");
}
