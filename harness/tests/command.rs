//! Systems of others, described in suites, from the command line: the tutorial, and each mistake.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]

mod common;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use common::{Run, processes_of, text_of, tribunal};

fn docs(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../docs")
        .join(file)
}

fn has(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok()
}

/// Runs a suite of one run whose target has those options, in YAML flow style.
fn run_with(run: &Run, options: &str, more: &str) -> Output {
    let suite = run.folder().join("mine.yaml");
    let text = format!(
        "suite: mine\nruns:\n  - name: one\n    workload: register\n    nodes: 2\n    clients: 2\n    \
         time: 1s\n    ready: 2s\n{more}    target:\n      type: command\n      options:\n{options}"
    );
    std::fs::write(&suite, text).unwrap();
    tribunal(&["run", &suite.display().to_string(), "--out", &run.out()])
}

#[test]
fn the_tutorials_bug_is_found_and_its_mended_server_passes() {
    if !has("python3") {
        return;
    }
    let run = Run::new();
    let suite = docs("tutorial/suite.yaml").display().to_string();
    let output = tribunal(&["run", &suite, "--out", &run.out()]);
    let text = text_of(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert_eq!(processes_of(&run), [""; 0]);
}

#[test]
fn an_unknown_variable_is_refused_with_its_line_and_those_that_exist() {
    let run = Run::new();
    let options =
        "        command: [sh, -c, \"{{node.adress}}\"]\n        client: {adapter: [sh]}\n";
    let output = run_with(&run, options, "");
    let text = text_of(&output);
    assert_eq!(output.status.code(), Some(64), "{text}");
    assert!(text.contains("mine.yaml:12:27"), "{text}");
    assert!(
        text.contains("unknown variable `{{node.adress}}`"),
        "{text}"
    );
    assert!(text.contains("node.addr"), "{text}");
}

#[test]
fn a_program_that_is_missing_or_not_executable_is_refused_before_anything_starts() {
    let run = Run::new();
    let options = "        command: [no-such-server]\n        client: {adapter: [sh]}\n";
    let text = text_of(&run_with(&run, options, ""));
    assert!(
        text.contains("no-such-server") && text.contains("PATH ("),
        "{text}"
    );
    std::fs::write(run.folder().join("server"), "").unwrap();
    let options = "        command: [\"{{suite.dir}}/server\"]\n        client: {adapter: [sh]}\n";
    let output = run_with(&run, options, "");
    let text = text_of(&output);
    assert_eq!(output.status.code(), Some(64), "{text}");
    assert!(text.contains("chmod +x"), "{text}");
}

#[test]
fn a_node_that_never_becomes_ready_is_told_with_its_last_line() {
    let run = Run::new();
    let options = "        command: [sh, -c, \"echo waiting for {{node.id}}; exec sleep 1000\"]\n        \
                   client: {adapter: [sh]}\n";
    let output = run_with(&run, options, "");
    let text = text_of(&output);
    assert_eq!(output.status.code(), Some(70), "{text}");
    assert!(text.contains("not ready within 2s"), "{text}");
    assert!(
        text.contains("the last line that it printed: waiting for n1"),
        "{text}"
    );
    assert_eq!(processes_of(&run), [""; 0]);
}

#[test]
fn a_node_that_advertises_one_address_is_told_it_and_seen_there_by_all() {
    let run = Run::new();
    let options = "        command: [sh, -c, \"echo {{node.id}} {{node.addr}} {{node.advertised}} {{cluster[ ]:$addr}}; exec sleep 1000\"]\n        \
                   client: {adapter: [sh]}\n";
    let printed = |options: &str| -> Vec<Vec<String>> {
        let text = text_of(&run_with(&run, options, ""));
        let said = text.split("it printed: ").skip(1);
        said.map(|said| said.split([' ', ';']).map(str::to_owned).collect())
            .collect()
    };
    let advertised = printed(&format!("{options}        advertises: true\n"));
    let [n1, n2] = &advertised[..] else {
        panic!("{advertised:?}");
    };
    assert_ne!(n1[1], n1[2], "it is dialled through the fabric");
    assert_eq!(n2[3], n1[2], "n2 sees n1 where n1 says that it is");
    assert_eq!(n1[4], n2[2]);
    let plain = printed(options);
    assert_eq!(plain[0][1], plain[0][2], "{plain:?}");
}

#[test]
fn a_program_that_forks_children_and_leaves_is_told_and_leaves_nothing_behind() {
    let run = Run::new();
    let marker = run.folder().display();
    let options = format!(
        "        command: [sh, -c, \"setsid sh -c 'sleep 1000; : {marker}' & echo gone\"]\n        \
         client: {{adapter: [sh]}}\n"
    );
    let output = run_with(&run, &options, "");
    let text = text_of(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(
        text.contains("n1 ended by itself") && text.contains("exit code 0"),
        "{text}"
    );
    assert_eq!(processes_of(&run), [""; 0]);
}

/// A server of the tutorial, told by files, environment and templates, with all that a suite can
/// say of it.
#[test]
fn all_that_a_suite_can_say_is_done() {
    if !has("python3") {
        return;
    }
    let run = Run::new();
    let (server, client) = (docs("tutorial/server.py"), docs("adapters/client.py"));
    let (server, client) = (server.display(), client.display());
    let stopped = run.folder().join("stopped").display().to_string();
    let options = format!(
        r#"        command: [sh, -c, ". ./etc/node.env; echo INVARIANT broken at $WHO of $ALL; exec python3 {server} $ADDR . --fixed"]
        env: {{ WHO: "{{{{node.id}}}}", ALL: "{{{{cluster:$id}}}}" }}
        files:
          etc/node.env: |
            ADDR={{{{node.addr}}}}
        ready: {{ log: "listening on {{{{node.addr}}}}" }}
        stop: {{ command: [sh, -c, "echo {{{{node.id}}}} >> {stopped}; exit 1"] }}
        status: [echo, '{{"role":"leader","leader":"{{{{node.id}}}}"}}']
        crash: {{ patterns: [INVARIANT] }}
        client: {{ adapter: [python3, {client}], operations: [read, write, cas] }}
"#
    );
    let output = run_with(
        &run,
        &options,
        "    nemesis: [{type: pause, nodes: leader}]\n    expect: [crash]\n",
    );
    let text = text_of(&output);
    assert!(text.contains("INVARIANT broken at n1 of n1,n2"), "{text}");
    let stopped = std::fs::read_to_string(run.folder().join("stopped")).unwrap();
    assert!(
        stopped.contains("n1") && stopped.contains("n2"),
        "{stopped}"
    );
    assert_eq!(processes_of(&run), [""; 0]);
}

#[test]
fn an_adapter_is_examined_with_clear_lines_and_an_exit_code() {
    let fails = "while read -r line; do id=${line#*:}; id=${id%%,*}
        case \"$line\" in *invoke*) echo \"{\\\"id\\\":$id,\\\"type\\\":\\\"fail\\\",\\\"error\\\":\\\"timeout\\\"}\" ;;
        *) echo \"{\\\"id\\\":$id,\\\"type\\\":\\\"ok\\\"}\" ;; esac; done";
    let output = tribunal(&[
        "adapter",
        "test",
        "--timeout",
        "300ms",
        "--",
        "sh",
        "-c",
        fails,
    ]);
    let text = text_of(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(
        text.contains("write is answered fail although the server never answers"),
        "{text}"
    );
    assert!(
        text.contains("Answer info to every error after sending"),
        "{text}"
    );
    let output = tribunal(&["adapter", "test", "no-such-adapter"]);
    assert_eq!(output.status.code(), Some(64));
    assert!(text_of(&output).contains("PATH"));
    if has("python3") {
        let client = docs("adapters/client.py").display().to_string();
        let output = tribunal(&["adapter", "test", "--", "python3", &client]);
        let text = text_of(&output);
        assert_eq!(output.status.code(), Some(0), "{text}");
        assert!(text.contains("8 checks: 0 wrong, 0 to look at"), "{text}");
    }
}
