//! However a run ends, its reports are there and say so; and nothing that a node or a history says
//! becomes more than text in any of them.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]

mod common;

use std::path::Path;
use std::process::{Command, Output};

use common::{Run, nodes_of, processes_of, text_of, tribunal, wait_until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value as Json;

fn suite(run: &Run, more: &str) -> String {
    let path = run.folder().join("suite.yaml");
    let body = "
suite: ends
runs:
  - name: ends
    nodes: 3
    clients: 4
";
    std::fs::write(&path, format!("{body}{more}")).unwrap();
    path.display().to_string()
}

const REGISTER: &str = "    target: quorum-register
    workload: register
    nemesis: none
";

fn read(dir: &Path, file: &str) -> String {
    let path = dir.join(file);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// All reports are there, whole, and say the same class and reason; the reason.
fn reports_of(dir: &Path, class: &str) -> String {
    let json = |file: &str| -> Json { serde_json::from_str(&read(dir, file)).unwrap() };
    let (verdict, info) = (json("verdict.json"), json("run.json"));
    assert_eq!(verdict["class"], class, "{verdict}");
    assert_eq!(info["class"], class, "{info}");
    let reason = verdict["reason"].as_str().unwrap().to_owned();
    let junit = read(dir, "junit.xml");
    assert!(junit.ends_with("</testsuites>\n"), "{junit}");
    for said in [format!("class: {class}"), format!("reason: {reason}")] {
        assert!(junit.contains(&said), "{said} is not in {junit}");
    }
    let summary = read(dir, "summary.md");
    assert!(
        summary.starts_with(&format!("## Tribunal: 1 {class}\n")),
        "{summary}"
    );
    let page = read(dir, "report.html");
    assert!(page.trim_end().ends_with("</html>") && page.contains(class));
    reason
}

fn ran(run: &Run, more: &str, arguments: &[&str]) -> Output {
    let (path, out) = (suite(run, more), run.out());
    let mut all = vec!["run", &path, "--out", &out];
    all.extend(arguments);
    tribunal(&all)
}

#[test]
fn a_violation_exits_1_with_its_reports_and_those_of_all_runs() {
    let run = Run::new();
    let [junit, summary] =
        ["all.xml", "all.md"].map(|name| run.folder().join(name).display().to_string());
    let body = "    target: { type: lock-manager, bug: double-grant }
    workload: lock
    time: 1s
    expect: valid
  - { name: fine, target: lock-manager, workload: { type: lock, try_share: 0 }, time: 1s }
";
    let output = ran(&run, body, &["--junit", &junit, "--summary", &summary]);
    assert_eq!(output.status.code(), Some(1), "{}", text_of(&output));
    let runs = std::fs::read_dir(run.folder().join("runs/ends")).unwrap();
    let runs: Vec<_> = runs
        .map(|entry| entry.unwrap().path())
        .filter(|path| !path.is_symlink())
        .collect();
    let (bad, good): (Vec<_>, Vec<_>) = runs
        .iter()
        .partition(|path| path.display().to_string().contains("double-grant"));
    assert_eq!(reports_of(bad[0], "violation"), "double-hold");
    assert_eq!(reports_of(good[0], "pass"), "valid");
    let all = std::fs::read_to_string(&junit).unwrap();
    assert!(
        all.contains("tests=\"2\" failures=\"1\" errors=\"0\""),
        "{all}"
    );
    for dir in [bad[0], good[0]] {
        assert!(all.contains(&format!("bundle: {}", dir.display())), "{all}");
    }
    let all = std::fs::read_to_string(&summary).unwrap();
    assert!(
        all.starts_with("## Tribunal: 1 violation, 1 pass\n"),
        "{all}"
    );
}

#[test]
fn a_checker_out_of_budget_exits_2_with_its_reports() {
    let run = Run::new();
    let output = ran(
        &run,
        &format!("{REGISTER}    time: 1s\n    judge: {{ time: 1ms }}\n"),
        &[],
    );
    assert_eq!(output.status.code(), Some(2), "{}", text_of(&output));
    assert_eq!(
        reports_of(&run.latest("ends"), "inconclusive"),
        "budget-time"
    );
}

#[test]
fn too_little_evidence_exits_3_with_its_reports() {
    let run = Run::new();
    let floor = "    time: 1s\n    evidence: { ok_operations: 99999999 }\n";
    let output = ran(&run, &format!("{REGISTER}{floor}"), &[]);
    assert_eq!(output.status.code(), Some(3), "{}", text_of(&output));
    assert_eq!(
        reports_of(&run.latest("ends"), "insufficient"),
        "insufficient"
    );
}

#[test]
fn nodes_that_never_start_exit_70_with_their_reports() {
    let run = Run::new();
    let output = ran(
        &run,
        &format!("{REGISTER}    time: 1s\n    ready: 1ms\n"),
        &[],
    );
    assert_eq!(output.status.code(), Some(70), "{}", text_of(&output));
    assert_eq!(
        reports_of(&run.latest("ends"), "harness-error"),
        "harness-error"
    );
}

#[test]
fn a_dead_node_exits_1_and_an_interrupted_run_130_with_their_reports() {
    for (signal, code, class, reason) in [
        (Signal::SIGKILL, 1, "violation", "unexpected-exit"),
        (Signal::SIGINT, 130, "interrupted", "interrupted"),
    ] {
        let run = Run::new();
        let time = if code == 1 { "4s" } else { "60s" };
        let path = suite(&run, &format!("{REGISTER}    time: {time}\n"));
        let mut controller = run.start(&["run", &path, "--out", &run.out()]);
        wait_until("operations are recorded", || run.recorded("ends") > 4096);
        let aim = match signal {
            Signal::SIGKILL => nodes_of(&run)[0],
            _ => Pid::from_raw(i32::try_from(controller.id()).unwrap()),
        };
        kill(aim, signal).unwrap();
        assert_eq!(controller.wait().unwrap().code(), Some(code));
        assert_eq!(reports_of(&run.latest("ends"), class), reason);
        assert_eq!(processes_of(&run), Vec::<String>::new());
    }
}

/// On a small disk of its own, which this takes a mount namespace for.
#[test]
fn a_full_disk_exits_70_and_the_reports_say_so() {
    let run = Run::new();
    let path = suite(&run, &format!("{REGISTER}    time: 60s\n"));
    let (disk, kept) = (run.folder().join("disk"), run.folder().join("kept"));
    std::fs::create_dir(&disk).unwrap();
    let script = format!(
        "mount -t tmpfs -o size=6m tmpfs {disk} || exit 99; {program} run {path} --out {disk}/runs; code=$?; \
         mkdir {kept} && cp -L {disk}/runs/ends/latest/*.* {kept}; exit $code",
        disk = disk.display(),
        kept = kept.display(),
        program = env!("CARGO_BIN_EXE_tribunal"),
    );
    let namespace = ["--user", "--map-root-user", "--mount", "sh", "-c", &script];
    let output = match Command::new("unshare").args(namespace).output() {
        Ok(output) if !matches!(output.status.code(), Some(99 | 1)) || kept.exists() => output,
        other => {
            println!("skipped: no small disk can be mounted here: {other:?}");
            return;
        }
    };
    let text = text_of(&output);
    assert_eq!(output.status.code(), Some(70), "{text}");
    assert!(
        text.contains("No space left on device") && text.contains("free some space"),
        "{text}"
    );
    assert_eq!(reports_of(&kept, "harness-error"), "harness-error");
    for file in ["report.html", "summary.md", "verdict.json", "junit.xml"] {
        assert!(
            read(&kept, file).contains("No space left on device"),
            "{file}"
        );
    }
}

/// A file that may not grow is as a full disk is, and stays so: then the last lines say it.
#[test]
fn where_no_report_can_be_written_the_last_lines_say_so() {
    let run = Run::new();
    let path = suite(&run, &format!("{REGISTER}    time: 1s\n"));
    // 12 KiB (of 512 bytes each): the plan fits, a page does not. A process that ignores the
    // signal gets an error instead.
    let line = format!(
        "trap '' XFSZ; ulimit -f 24; exec {} run {path} --out {}",
        env!("CARGO_BIN_EXE_tribunal"),
        run.out()
    );
    let output = Command::new("sh").args(["-c", &line]).output().unwrap();
    let text = text_of(&output);
    assert_eq!(output.status.code(), Some(70), "{text}");
    assert!(
        text.contains("HARNESS-ERROR") && text.contains("cannot write"),
        "{text}"
    );
    assert!(text.contains("free some space"), "{text}");
    assert_eq!(processes_of(&run), Vec::<String>::new());
}

/// What breaks careless writers, and none of which may come out as it went in.
const HOSTILE: &str =
    "</script><script>alert(1)</script> ]]> --> <![CDATA[ | `x` \u{1b}[31m\u{7} \u{202e}@all";

#[test]
fn whatever_nodes_and_histories_say_stays_text_in_every_format() {
    let run = Run::new();
    let output = ran(&run, &format!("{REGISTER}    time: 1s\n"), &[]);
    assert_eq!(output.status.code(), Some(0), "{}", text_of(&output));
    let latest = run.latest("ends");
    // A node that writes what is no text at all, and a line of 10 kB.
    let mut log = HOSTILE.as_bytes().to_vec();
    log.extend(b"\xff\xfe\x80 broken\n");
    log.extend("x".repeat(10_000).into_bytes());
    log.extend(b"\npanic at \x1b[2J</pre><script>\n");
    std::fs::write(latest.join("nodes/n1/stderr"), log).unwrap();
    let history = latest.join("history.jsonl");
    let key = serde_json::to_string(&format!("{HOSTILE}{}", "k".repeat(10_000))).unwrap();
    let text = read(&latest, "history.jsonl")
        .replace("\"key\":\"", &format!("\"key\":{},\"was\":\"", key));
    // Only keys change, and no field is added.
    let text = without_was(&text);
    std::fs::write(history, text).unwrap();
    let mut verdict: Json = serde_json::from_str(&read(&latest, "verdict.json")).unwrap();
    verdict["claim"] = HOSTILE.into();
    std::fs::write(latest.join("verdict.json"), verdict.to_string()).unwrap();
    let path = latest.display().to_string();

    let drawn = tribunal(&["report", &path]);
    let said = text_of(&drawn);
    assert_eq!(drawn.status.code(), Some(0), "{said}");
    assert!(!said.contains(['\u{1b}', '\u{7}', '\u{202e}']), "{said}");
    let page = read(&latest, "report.html");
    assert!(!page.contains("<script>alert(1)") && !page.contains("</pre><script>"));
    assert!(page.contains("&#60;script&#62;") || page.contains("&lt;script&gt;"));
    let junit = read(&latest, "junit.xml");
    assert!(
        !junit.contains("<script>") && !junit.contains('\u{1b}') && !junit.contains('\u{7}'),
        "{junit}"
    );
    let summary = read(&latest, "summary.md");
    assert!(
        !summary.contains("<script>") && !summary.contains('\u{1b}'),
        "{summary}"
    );
    assert!(!summary.contains("@all"), "{summary}");

    for (format, escape) in [
        ("trace", "\\u001b"),
        ("jepsen-edn", "\\u001b"),
        ("elle-json", "\\u001b"),
        ("jsonl", "\\u001b"),
    ] {
        let exported = tribunal(&["export", &path, "--format", format]);
        let text = String::from_utf8(exported.stdout).unwrap();
        assert_eq!(exported.status.code(), Some(0), "{format}");
        assert!(
            !text.contains('\u{1b}') && text.contains(escape),
            "{format}: {text:.900}"
        );
    }
}

/// The history without the fields that hold what the keys were.
fn without_was(text: &str) -> String {
    let mut lines = Vec::new();
    for line in text.lines() {
        let Some((before, after)) = line.split_once(",\"was\":\"") else {
            lines.push(line.to_owned());
            continue;
        };
        let (_, after) = after.split_once('"').unwrap();
        lines.push(format!("{before}{after}"));
    }
    lines.join("\n") + "\n"
}

#[test]
fn a_run_is_exported_in_every_format_and_judged_from_each_as_before() {
    let run = Run::new();
    let body = "    target: paxos-kv\n    workload: register\n    nemesis: [kill]\n    time: 3s\n";
    let output = ran(&run, body, &[]);
    assert_eq!(output.status.code(), Some(0), "{}", text_of(&output));
    let latest = run.latest("ends").display().to_string();
    for (format, name) in [
        ("jepsen-edn", "h.edn"),
        ("elle-json", "h.json"),
        ("jsonl", "h.jsonl"),
    ] {
        let path = run.folder().join(name).display().to_string();
        let exported = tribunal(&["export", &latest, "--format", format, "--output", &path]);
        assert_eq!(exported.status.code(), Some(0), "{}", text_of(&exported));
        let judged = tribunal(&["check", &path, "--model", "linearizable"]);
        assert_eq!(
            judged.status.code(),
            Some(0),
            "{format}: {}",
            text_of(&judged)
        );
    }
    let lines = |path: &Path| std::fs::read_to_string(path).unwrap().lines().count();
    assert_eq!(
        lines(&run.folder().join("h.jsonl")),
        lines(&run.latest("ends").join("history.jsonl"))
    );
    let trace = tribunal(&["export", &latest]);
    let trace: Json = serde_json::from_slice(&trace.stdout).unwrap();
    let events = trace["traceEvents"].as_array().unwrap();
    let named = |name: &str| events.iter().any(|event| event["name"] == name);
    assert!(named("leader") && named("killed") && events.iter().any(|event| event["ph"] == "b"));
}

#[test]
fn who_leads_is_in_the_record_and_on_the_page() {
    let run = Run::new();
    let body = "    target: paxos-kv
    workload: register
    time: 4s
    nemesis: { faults: [{ type: kill, nodes: leader }], quiet: 500ms..700ms, hold: 500ms..600ms }
";
    let output = ran(&run, body, &[]);
    assert_eq!(output.status.code(), Some(0), "{}", text_of(&output));
    let latest = run.latest("ends");
    let history = read(&latest, "history.jsonl");
    let leaders: Vec<Json> = history
        .lines()
        .map(|line| serde_json::from_str::<Json>(line).unwrap())
        .filter(|event| event["f"] == "leader")
        .collect();
    let leads = |yes: bool| {
        leaders
            .iter()
            .filter(|event| event["value"]["leads"] == yes)
            .count()
    };
    // Somebody leads at first; a leader that is killed does no longer, and another comes.
    assert!(leads(true) >= 2 && leads(false) >= 1, "{leaders:#?}");
    let page = read(&latest, "report.html");
    assert!(page.contains("node leads, as it says") && page.contains(", led "));
}

#[test]
fn what_a_format_cannot_express_is_refused_by_name_and_leaves_no_file() {
    let run = Run::new();
    let body = "    target: lock-manager\n    workload: lock\n    time: 1s\n";
    let output = ran(&run, body, &[]);
    assert_eq!(output.status.code(), Some(0), "{}", text_of(&output));
    let latest = run.latest("ends").display().to_string();
    let file = run.folder().join("locks.edn");
    let refused = tribunal(&[
        "export",
        &latest,
        "--format",
        "jepsen-edn",
        "--output",
        &file.display().to_string(),
    ]);
    let text = text_of(&refused);
    assert_eq!(refused.status.code(), Some(64), "{text}");
    assert!(
        text.contains("the operation of event ")
            && text.contains("cannot be written as jepsen-edn"),
        "{text}"
    );
    assert!(!file.exists());
}
