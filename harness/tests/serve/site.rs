//! A server over made-up runs, and a client of it.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value as Json, json};

/// A served directory of runs; ended when dropped.
pub(crate) struct Site {
    folder: tempfile::TempDir,
    pub(crate) process: Child,
    pub(crate) address: String,
}

/// What was answered.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tribunal"));
    command
        .arg("serve")
        .args(arguments)
        .stdin(Stdio::null())
        .env_remove("TRIBUNAL_OUT");
    command
}

impl Site {
    /// Serves what `fill` puts into a directory.
    pub(crate) fn of(fill: impl FnOnce(&Path)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("runs");
        fs::create_dir(&out).unwrap();
        fill(&out);
        let mut process = command(&[out.to_str().unwrap(), "--port", "0"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let stdout = process.stdout.as_mut().unwrap();
        BufReader::new(stdout).read_line(&mut line).unwrap();
        let address = line.split("http://").nth(1).unwrap();
        let address = address.split('/').next().unwrap().to_owned();
        Self {
            folder,
            process,
            address,
        }
    }

    pub(crate) fn out(&self) -> PathBuf {
        self.folder.path().join("runs")
    }

    pub(crate) fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Sends a request as it stands and reads all that comes back.
    pub(crate) fn ask(&self, method: &str, path: &str, host: &str) -> Answer {
        let mut stream = self.open(method, path, host);
        let mut text = Vec::new();
        stream.read_to_end(&mut text).unwrap();
        let text = String::from_utf8_lossy(&text).into_owned();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        Answer {
            status: head.split(' ').nth(1).unwrap().parse().unwrap(),
            head: head.to_lowercase(),
            body: body.to_owned(),
        }
    }

    /// Sends a request; the answer is still to be read.
    pub(crate) fn open(&self, method: &str, path: &str, host: &str) -> TcpStream {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        let request =
            format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        stream
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &self.address)
    }

    /// Asks for JSON until its index is there.
    pub(crate) fn json(&self, path: &str) -> Json {
        loop {
            let answer = self.get(path);
            if answer.status != 202 {
                assert_eq!(answer.status, 200, "{path}: {}", answer.body);
                return serde_json::from_str(&answer.body).unwrap();
            }
        }
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Puts a run into a directory.
pub(crate) fn put(out: &Path, suite: &str, name: &str, class: &str, text: &str) -> PathBuf {
    let dir = out.join(suite).join(name);
    fs::create_dir_all(&dir).unwrap();
    let started = format!("2026-11-{}T10:00:00.000Z", &name[..2]);
    let info = json!({
        "class": class, "suite": format!("{suite}{text}"), "plan": format!("plan{text}"), "target": format!("target{text}"),
        "workload": format!("register{text}"), "faults": [format!("kill{text}")], "seed": 42, "nodes": ["n1", "n2"], "clients": 4,
        "started": started, "command": [text], "reproduce": "tribunal run", "version": "0", "machine": {},
        "phases": [["run", 1500.0]],
    });
    fs::write(dir.join("run.json"), info.to_string()).unwrap();
    dir
}

/// Writes the verdict of a run.
pub(crate) fn judge(dir: &Path, class: &str, reason: &str, calls: &[u64]) {
    let sentence = format!("p1 read an old value {reason}");
    let anomaly = json!({"name": reason, "sentence": sentence, "calls": calls, "facts": ["because of that"], "span": [0, 5000]});
    let anomalies = if class == "violation" {
        vec![anomaly]
    } else {
        vec![]
    };
    let validity = if class == "violation" {
        "invalid"
    } else {
        "valid"
    };
    let verdict = json!({
        "class": class, "reason": reason, "claim": format!("claim {reason}"), "expected": [],
        "verdicts": [{"checker": "linearizable", "validity": validity, "summary": sentence, "anomalies": anomalies, "anomalies_total": 1}],
        "evidence": {"operations": {}, "total": {"ok": 900, "fail": 3, "info": 5}, "cross_observations": 5, "concurrency_peak": 4,
            "faults_bitten": {"kill": 2}, "faults_idle": {}, "faults_skipped": {}, "overlap": 0.25, "final_reads": 1,
            "recoveries": {"kill": {"measured": 2, "unmeasured": 0, "median": 40_000_000, "slowest": 90_000_000}}},
    });
    fs::write(dir.join("verdict.json"), verdict.to_string()).unwrap();
}

/// Writes a history of so many operations by four clients on ten keys, one after the other: every
/// 101st fails, one fault bites in between.
pub(crate) fn record(dir: &Path, operations: u64) {
    let file = fs::File::create(dir.join("history.jsonl")).unwrap();
    let mut file = std::io::BufWriter::new(file);
    let mut index = 0;
    let mut line = |rest: String| {
        writeln!(file, "{{\"index\":{index},{rest}}}").unwrap();
        index += 1;
    };
    for node in ["n1", "n2"] {
        line(format!(
            r#""time":0,"process":"nemesis","node":"{node}","type":"info","f":"node","value":{{"state":"ready"}}"#
        ));
    }
    for n in 0..operations {
        let (time, process, key) = (n * 20_000, n % 4, n % 10);
        let of = |at: u64, kind: &str, error: &str| {
            format!(
                r#""time":{at},"process":{process},"node":"n1","type":"{kind}","f":"write","key":"k{key}","value":{n}{error}"#
            )
        };
        line(of(time, "invoke", ""));
        match n % 101 {
            7 => line(of(
                time + 9_000,
                "fail",
                r#","error":{"code":"refused","text":"no <b>"}"#,
            )),
            _ => line(of(time + 9_000, "ok", "")),
        }
    }
    drop(file);
    let text = fs::read_to_string(dir.join("history.jsonl")).unwrap();
    let header = "{\"format\":\"tribunal-history\",\"version\":1,\"nodes\":[\"n1\",\"n2\"]}\n";
    fs::write(dir.join("history.jsonl"), format!("{header}{text}")).unwrap();
}
