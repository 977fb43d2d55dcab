//! What is answered, by a client over TCP.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::site::{Site, command, judge, put, record};

const HOSTILE: &str = "</td><script>alert(1)</script>\"'><img src=x onerror=alert(2)>";

#[test]
fn runs_are_listed_newest_first_and_filtered_on_the_server() {
    let site = Site::of(|out| {
        judge(&put(out, "a", "01-x", "pass", ""), "pass", "", &[]);
        judge(
            &put(out, "a", "03-x", "violation", ""),
            "violation",
            "stale-read",
            &[],
        );
        judge(&put(out, "b", "02-x", "pass", ""), "pass", "", &[]);
    });
    let rows = |query: &str| -> Vec<String> {
        let body = site.get(&format!("/{query}")).body;
        let rows = body.split("name=\"run\" value=\"").skip(1);
        rows.map(|row| row.split('"').next().unwrap().to_owned())
            .collect()
    };
    assert_eq!(rows(""), ["a/03-x", "b/02-x", "a/01-x"]);
    assert_eq!(rows("?class=pass"), ["b/02-x", "a/01-x"]);
    assert_eq!(rows("?suite=b"), ["b/02-x"]);
    assert_eq!(rows("?q=STALE+kill"), ["a/03-x"]);
    assert_eq!(rows("?q=nothing-like-that"), [] as [&str; 0]);
    assert_eq!(rows("?page=99"), ["a/03-x", "b/02-x", "a/01-x"]);
    assert_eq!(site.get("/?page=many").status, 400);
    // A run that comes is seen, one that goes is not.
    put(&site.out(), "c", "09-x", "interrupted", "");
    fs::remove_dir_all(site.out().join("b")).unwrap();
    assert_eq!(rows(""), ["c/09-x", "a/03-x", "a/01-x"]);
}

#[test]
fn hostile_text_is_escaped_on_every_page() {
    let site = Site::of(|out| {
        for name in ["01-x", "02-x"] {
            let dir = put(out, "a", name, "violation", HOSTILE);
            judge(&dir, "violation", HOSTILE, &[4]);
            fs::write(dir.join("<script>alert(3)<"), "").unwrap();
        }
    });
    let suite = "a%3C%2Ftd%3E%3Cscript%3Ealert(1)%3C%2Fscript%3E%22%27%3E%3Cimg%20src%3Dx%20onerror%3Dalert(2)%3E";
    let pages = [
        "/".to_owned(),
        format!("/?q={suite}"),
        "/run/a/01-x".into(),
        "/run/a/01-x/operations".into(),
        "/run/a/01-x/live".into(),
        "/trends".into(),
        format!(
            "/trends?suite={suite}&plan={}",
            suite.replacen('a', "plan", 1)
        ),
        "/compare?run=a/01-x&run=a/02-x".into(),
        format!("/run/{suite}/x"),
    ];
    for page in pages {
        let answer = site.get(&page);
        assert!(answer.body.contains("alert("), "{page}: {}", answer.body);
        assert!(
            !answer.body.contains("<script>") && !answer.body.contains("<img"),
            "{page}"
        );
        let policy =
            "content-security-policy: default-src 'none'; style-src 'self'; script-src 'self'";
        assert!(answer.head.contains(policy), "{page}: {}", answer.head);
    }
}

#[test]
fn nothing_outside_a_run_is_given_away_and_nothing_that_a_node_wrote_is_a_page() {
    let site = Site::of(|out| {
        let dir = put(out, "a", "01-x", "pass", "");
        fs::write(out.parent().unwrap().join("secret"), "secret").unwrap();
        fs::create_dir_all(dir.join("nodes/n1")).unwrap();
        fs::write(dir.join("nodes/n1/page.html"), "<script>alert(1)</script>").unwrap();
        fs::write(dir.join("report.html"), "the report").unwrap();
        std::os::unix::fs::symlink("../../../secret", dir.join("link")).unwrap();
        std::os::unix::fs::symlink("../..", out.join("a/up")).unwrap();
    });
    for path in [
        "/run/a/01-x/file/../../../secret",
        "/run/a/01-x/file/..%2f..%2f..%2fsecret",
        "/run/a/01-x/file/%2e%2e/%2e%2e/%2e%2e/secret",
        "/run/a/01-x/file//etc/passwd",
        "/run/a/01-x/file/%2fetc%2fpasswd",
        "/run/a/01-x/file/link",
        "/run/a/01-x/file/nodes",
        "/run/a/01-x/file/run.json%00",
        "/run/a/up/file/secret",
        "/run/..%2f/01-x",
        "/run/a/..",
        "/run/a/02-x",
        "/secret",
    ] {
        let answer = site.get(path);
        assert_eq!(answer.status, 404, "{path}: {}", answer.body);
        assert!(
            !answer.body.contains("secret\n") && answer.body != "secret",
            "{path}"
        );
    }
    let page = site.get("/run/a/01-x/file/nodes/n1/page.html");
    assert_eq!(page.status, 200);
    assert!(
        page.head.contains("content-type: text/plain"),
        "{}",
        page.head
    );
    assert!(
        page.head.contains("default-src 'none'; sandbox"),
        "{}",
        page.head
    );
    let report = site.get("/run/a/01-x/file/report.html");
    assert!(
        report.head.contains("content-type: text/html"),
        "{}",
        report.head
    );
    assert_eq!(report.body, "the report");
    let files = site.get("/run/a/01-x").body;
    assert!(
        files.contains("file/nodes/n1/page.html") && files.contains("25 B"),
        "{files}"
    );
}

#[test]
fn only_this_machine_is_answered_and_only_what_reads() {
    let site = Site::of(|_| ());
    let ask = |method: &str, host: &str| site.ask(method, "/", host).status;
    assert_eq!(ask("GET", "localhost:8642"), 200);
    assert_eq!(ask("GET", "[::1]"), 200);
    assert_eq!(ask("GET", "rebound.example"), 421);
    assert_eq!(ask("GET", "127.0.0.1.example:8642"), 421);
    assert_eq!(ask("POST", &site.address), 405);
    assert!(site.get("/").body.contains("no runs here yet"));
}

#[test]
fn what_cannot_be_served_is_a_usage_error_that_says_what_to_do() {
    let site = Site::of(|_| ());
    let out = site.out();
    let port = site.address.rsplit(':').next().unwrap();
    let cases: [(&[&str], &str); 3] = [
        (
            &[out.to_str().unwrap(), "--address", "0.0.0.0"],
            "not a loopback address",
        ),
        (&[out.to_str().unwrap(), "--port", port], "--port 0"),
        (&["/nowhere/at/all"], "no runs at /nowhere/at/all"),
    ];
    for (arguments, said) in cases {
        let output = command(arguments).output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(64), "{text}");
        assert!(text.contains(said), "{text}");
    }
}

#[test]
fn ctrl_c_ends_it_at_once_with_exit_code_0_even_while_somebody_looks() {
    let mut site = Site::of(|out| {
        let dir = put(out, "a", "01-x", "interrupted", "");
        record(&dir, 10);
        going_on(&dir);
    });
    let mut looking = BufReader::new(site.open("GET", "/run/a/01-x/events", &site.address));
    let mut line = String::new();
    looking.read_line(&mut line).unwrap();
    assert!(line.contains("200"), "{line}");
    let pid = Pid::from_raw(i32::try_from(site.process.id()).unwrap());
    kill(pid, Signal::SIGINT).unwrap();
    assert_eq!(site.process.wait().unwrap().code(), Some(0));
}

#[test]
fn operations_come_in_stretches_of_time_with_filters() {
    let site = Site::of(|out| {
        let dir = put(out, "a", "01-x", "violation", "");
        judge(&dir, "violation", "stale-read", &[40_002, 40_004]);
        record(&dir, 40_000);
    });
    let frame = site.json("/run/a/01-x/frame.json");
    assert_eq!(
        (frame["total"].as_u64(), frame["lanes"].as_u64()),
        (Some(40_000), Some(4))
    );
    assert_eq!(frame["states"].as_array().unwrap().len(), 2);
    assert_eq!(frame["anomalies"][0]["calls"][0], 40_002);
    let end = frame["end"].as_u64().unwrap();
    let window = |query: String| site.json(&format!("/run/a/01-x/window.json?{query}"));
    let held = |window: &serde_json::Value| window["calls"]["index"].as_array().unwrap().len();
    let whole = window(format!("from=0&to={end}&pixels=1000"));
    assert_eq!(whole["thinned"], true);
    assert!((4_000..9_000).contains(&held(&whole)), "{}", held(&whole));
    let near = window("from=2000000&to=2199999&pixels=1000".into());
    assert_eq!((near["thinned"].as_bool(), held(&near)), (Some(false), 10));
    assert!(
        near["texts"].to_string().contains("write k0 = 100"),
        "{near}"
    );
    let fails = window(format!("from=0&to={end}&pixels=1000&filter=fail+p3"));
    assert_eq!(
        fails["found"],
        (0..40_000).filter(|n| n % 101 == 7 && n % 4 == 3).count()
    );
    assert_eq!(
        site.get("/run/a/01-x/window.json?from=5&to=1&pixels=9")
            .status,
        400
    );
    let call = site.json("/run/a/01-x/call.json?op=16");
    assert!(call["texts"].to_string().contains("no <b>"), "{call}");
    assert_eq!(site.get("/run/a/01-x/call.json?op=17").status, 404);
}

/// Makes a run look as if this process were its controller.
fn going_on(dir: &std::path::Path) {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let after = stat.rsplit(") ").next().unwrap();
    let started: u64 = after.split(' ').nth(19).unwrap().parse().unwrap();
    let register = format!(
        "{{\"controller\":{},\"started\":{started}}}\n",
        std::process::id()
    );
    fs::write(dir.join("leftovers"), register).unwrap();
}

#[test]
fn a_run_that_goes_on_is_followed_to_its_end() {
    let site = Site::of(|out| {
        let dir = put(out, "a", "01-x", "interrupted", "");
        record(&dir, 10);
        going_on(&dir);
    });
    assert!(
        site.get("/?class=running")
            .body
            .contains("/run/a/01-x/live")
    );
    let dir = site.out().join("a/01-x");
    let mut told = BufReader::new(site.open("GET", "/run/a/01-x/events", &site.address));
    let mut next = || loop {
        let mut line = String::new();
        assert!(told.read_line(&mut line).unwrap() > 0, "it ended");
        if let Some(json) = line.strip_prefix("data: ") {
            break serde_json::from_str::<serde_json::Value>(json).unwrap();
        }
    };
    let first = next();
    assert_eq!(
        (&first["total"]["ok"], &first["total"]["fail"]),
        (&9.into(), &1.into())
    );
    assert_eq!(
        (&first["over"], &first["class"]),
        (&false.into(), &"running".into())
    );
    let mut file = fs::OpenOptions::new()
        .append(true)
        .open(dir.join("history.jsonl"))
        .unwrap();
    let event = r#"{"index":22,"time":300000,"process":"nemesis","type":"info","f":"kill","value":{"id":0,"phase":"injected","nodes":["n1"],"what":"kill n1"}}"#;
    writeln!(file, "{event}").unwrap();
    let second = std::iter::repeat_with(&mut next)
        .take(30)
        .find(|news| news["injected"] == 1)
        .unwrap();
    assert_eq!(second["faults"]["0"], "kill n1");
    judge(&dir, "violation", "stale-read", &[]);
    let info = fs::read_to_string(dir.join("run.json")).unwrap();
    fs::write(
        dir.join("run.json"),
        info.replace("interrupted", "violation"),
    )
    .unwrap();
    let last = std::iter::repeat_with(&mut next)
        .take(30)
        .find(|news| news["over"] == true)
        .unwrap();
    assert_eq!(last["reason"], "stale-read");
}

#[test]
fn trends_tell_rates_with_intervals_and_two_runs_are_compared() {
    let site = Site::of(|out| {
        for n in 10..20 {
            let class = if n == 15 { "violation" } else { "pass" };
            let dir = put(out, "a", &format!("{n}-x"), class, "");
            judge(&dir, class, "stale-read", &[2]);
            record(&dir, 10);
        }
        put(out, "a", "21-x", "harness-error", "");
    });
    let all = site.get("/trends").body;
    // The exact interval (Clopper, Pearson) of 1 of 10.
    assert!(
        all.contains("10.0 % (0.3–44.5 %)") && all.contains("0.0 % (0.0–30.8 %)"),
        "{all}"
    );
    let one = site.get("/trends?suite=a&plan=plan").body;
    assert!(
        one.contains("p99 9.00 µs") && one.contains("median 40.0 ms"),
        "{one}"
    );
    assert_eq!(one.matches("<circle").count(), 30);
    assert_eq!(site.get("/trends?suite=a&plan=other").status, 404);
    let two = site.get("/compare?run=a%2F15-x&run=a%2F16-x").body;
    assert!(
        two.contains("because of that") && two.contains("none was found"),
        "{two}"
    );
    assert!(two.contains("2 bit, back after 40.0 ms"), "{two}");
    assert_eq!(site.get("/compare?run=a/15-x").status, 400);
    assert_eq!(site.get("/compare?run=a/15-x&run=a/nothing").status, 404);
}

#[test]
fn ten_thousand_runs_are_listed() {
    let site = Site::of(|out| {
        for n in 0..10_000 {
            let dir = put(out, "a", &format!("{:02}-{n}", n % 28 + 1), "pass", "");
            fs::write(dir.join("verdict.json"), r#"{"reason":"fine"}"#).unwrap();
        }
    });
    assert!(site.get("/").body.contains("1–100 of 10,000<"));
    let begun = tokio::time::Instant::now();
    let found = site.get("/?q=11-42").body;
    let took = begun.elapsed();
    eprintln!("10,000 runs listed in {took:?}");
    // 11-4210 and the like: every 28th number that begins with 42, and 42 itself is not among them.
    let expected = (0..10_000)
        .filter(|n| n % 28 == 10 && n.to_string().starts_with("42"))
        .count();
    assert!(
        found.contains(&format!("of {expected} (10,000 in all)")),
        "{expected}"
    );
    // A second here; the machines of CI are shared.
    assert!(took.as_secs() < 10, "{took:?}");
}
