//! A headless Chromium, driven over a pipe by the DevTools protocol: requests and answers are JSON,
//! each ended by a zero byte.

#![allow(
    dead_code,
    reason = "reports are opened as files, served pages are visited"
)]

use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::{Value as Json, json};

/// How long an answer may take: starting a browser on a busy machine takes its time.
const PATIENCE: Duration = Duration::from_secs(120);

/// A browser with one page.
pub(crate) struct Browser {
    process: Child,
    requests: File,
    answers: Receiver<Json>,
    session: Option<String>,
    last: u64,
    /// What the page told unasked: requests to the network, errors.
    pub(crate) events: Vec<Json>,
    /// Where the pages come from that were visited.
    origin: Option<String>,
    /// Its profile and pipes.
    dir: tempfile::TempDir,
}

/// The browser's program; `None`, said aloud, where there is none and it is not required.
pub(crate) fn program() -> Option<PathBuf> {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let mut found = std::env::split_paths(&paths).flat_map(|dir| names.map(|name| dir.join(name)));
    let program = found.find(|path| path.is_file());
    if program.is_none() {
        let required = std::env::var_os("TRIBUNAL_CHROMIUM").is_some_and(|v| v == "required");
        assert!(
            !required,
            "no Chromium is installed, and TRIBUNAL_CHROMIUM requires one"
        );
        eprintln!("SKIPPED: no Chromium is installed, so no report was opened");
    }
    program
}

impl Browser {
    pub(crate) fn start(program: &Path) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (to, from) = (dir.path().join("to"), dir.path().join("from"));
        let made = Command::new("mkfifo").args([&to, &from]).status().unwrap();
        assert!(made.success());
        // The protocol's pipes are the descriptors 3 and 4, which the shell opens.
        let process = Command::new("sh")
            .args(["-c", "exec \"$0\" \"$@\" 3<\"$TO\" 4>\"$FROM\""])
            .arg(program)
            .args([
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--no-first-run",
            ])
            .args(["--remote-debugging-pipe", "--disable-background-networking"])
            .arg(format!(
                "--user-data-dir={}",
                dir.path().join("profile").display()
            ))
            .arg("about:blank")
            .envs([("TO", &to), ("FROM", &from)])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // Opened for both, so that it does not wait for the other side.
        let both = |path: &Path| {
            OpenOptions::new()
                .read(true)
                .write(true)
                .open(path)
                .unwrap()
        };
        let (requests, mut input) = (both(&to), BufReader::new(both(&from)));
        let (sender, answers) = channel();
        std::thread::spawn(move || {
            let mut message = Vec::new();
            while input.read_until(0, &mut message).is_ok_and(|n| n > 0) {
                message.pop();
                let json = serde_json::from_slice(&message).unwrap_or_default();
                if sender.send(json).is_err() {
                    return;
                }
                message.clear();
            }
        });
        let mut browser = Self {
            process,
            requests,
            answers,
            session: None,
            last: 0,
            events: Vec::new(),
            origin: None,
            dir,
        };
        let target = browser.call("Target.createTarget", json!({"url": "about:blank"}));
        let id = &target["targetId"];
        let attach = json!({"targetId": id, "flatten": true});
        let session = browser.call("Target.attachToTarget", attach);
        browser.session = session["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Log", "Network"] {
            browser.call(&format!("{domain}.enable"), json!({}));
        }
        browser
    }

    /// Asks for something and waits for the answer.
    pub(crate) fn call(&mut self, method: &str, params: Json) -> Json {
        self.last += 1;
        let mut request = json!({"id": self.last, "method": method, "params": params});
        if let Some(session) = &self.session {
            request["sessionId"] = json!(session);
        }
        let mut bytes = request.to_string().into_bytes();
        bytes.push(0);
        self.requests.write_all(&bytes).unwrap();
        loop {
            let message = self.answers.recv_timeout(PATIENCE).unwrap();
            if message["id"] == self.last {
                assert!(message["error"].is_null(), "{method}: {}", message["error"]);
                return message["result"].clone();
            }
            self.events.push(message);
        }
    }

    /// Opens a page of that text and waits until its script has drawn it.
    pub(crate) fn open(&mut self, page: &str, hash: &str) {
        let file = self.dir.path().join("report.html");
        std::fs::write(&file, page).unwrap();
        let size = json!({"width": 1400, "height": 900, "deviceScaleFactor": 1, "mobile": false});
        self.call("Emulation.setDeviceMetricsOverride", size);
        self.call("Page.navigate", json!({"url": "about:blank"}));
        let url = format!("file://{}{hash}", file.display());
        self.call("Page.navigate", json!({"url": url}));
        self.run(
            "new Promise((done) => {
                const look = () => document.readyState === 'complete' && location.protocol === 'file:'
                    && !document.getElementById('data') ? requestAnimationFrame(() => requestAnimationFrame(done))
                    : setTimeout(look, 10);
                look();
            })",
        );
    }

    /// Opens an address of that server and waits until something is so in the page.
    pub(crate) fn visit(&mut self, origin: &str, path: &str, so: &str) {
        self.origin = Some(format!("{origin}/"));
        let size = json!({"width": 1400, "height": 900, "deviceScaleFactor": 1, "mobile": false});
        self.call("Emulation.setDeviceMetricsOverride", size);
        self.call("Page.navigate", json!({"url": format!("{origin}{path}")}));
        self.wait(so);
    }

    /// Waits until something is so in the page, and is drawn.
    pub(crate) fn wait(&mut self, so: &str) {
        self.run(&format!(
            "new Promise((done) => {{
                const look = () => document.readyState === 'complete' && ({so})
                    ? requestAnimationFrame(() => requestAnimationFrame(done)) : setTimeout(look, 10);
                look();
            }})"
        ));
    }

    /// Evaluates an expression in the page; a promise is waited for.
    pub(crate) fn run(&mut self, expression: &str) -> Json {
        let params = json!({
            "expression": expression, "awaitPromise": true, "returnByValue": true,
        });
        let answer = self.call("Runtime.evaluate", params);
        let thrown = &answer["exceptionDetails"];
        assert!(thrown.is_null(), "{expression}: {thrown}");
        answer["result"]["value"].clone()
    }

    /// Presses a key and waits until what it changed is drawn.
    pub(crate) fn press(&mut self, key: &str) {
        let press = format!(
            "document.activeElement.dispatchEvent(new KeyboardEvent('keydown',
                {{ key: '{key}', bubbles: true, cancelable: true }}));
            new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
        );
        self.run(&press);
    }

    /// What went wrong in the page, and what it asked of anybody but its own file.
    pub(crate) fn complaints(&self) -> Vec<String> {
        let own = format!("file://{}/", self.dir.path().display());
        let outside = |event: &Json| {
            let url = event["params"]["request"]["url"]
                .as_str()
                .unwrap_or_default();
            let visited = |origin: &String| url.starts_with(origin);
            !url.starts_with(&own)
                && !self.origin.as_ref().is_some_and(visited)
                && !url.starts_with("data:")
                && url != "about:blank"
        };
        let bad = self
            .events
            .iter()
            .filter(|event| match event["method"].as_str() {
                Some("Runtime.exceptionThrown" | "Runtime.consoleAPICalled" | "Log.entryAdded") => {
                    true
                }
                Some("Network.requestWillBeSent") => outside(event),
                _ => false,
            });
        bad.map(ToString::to_string).collect()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
