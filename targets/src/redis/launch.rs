//! How nodes are started: a Redis alone, or with a Sentinel beside it in the same process group, so
//! that a fault of the node hits both.

use std::path::PathBuf;

use super::options::{Mode, Options};
use super::sentinel::{NAME, PORT};
use crate::{Launch, NodeSpec};

/// Both write what they learn into their configurations, which must outlast restarts: so what they
/// are given is only where they begin.
const SCRIPT: &str = r#"cd "$2" || exit 1
for name in redis sentinel; do
    [ -e $name.conf ] || cp $name.initial.conf $name.conf || exit 1
done
"$1" sentinel.conf --sentinel &
exec "$1" redis.conf"#;

/// How to start a node with that program.
pub(super) fn launch(options: &Options, program: PathBuf, spec: &NodeSpec) -> Launch {
    let settings = settings(options, spec);
    if options.mode != Mode::Sentinel {
        let words = settings
            .into_iter()
            .flat_map(|(name, values)| [format!("--{name}")].into_iter().chain(values));
        return Launch {
            program: Some(program),
            args: words.collect(),
            ..Launch::default()
        };
    }
    let data = spec.data.display().to_string();
    let script = ["-c", SCRIPT, "sh"].map(String::from);
    Launch {
        program: Some("/bin/sh".into()),
        args: script
            .into_iter()
            .chain([program.display().to_string(), data])
            .collect(),
        files: vec![
            (spec.data.join("redis.initial.conf"), written(settings)),
            (
                spec.data.join("sentinel.initial.conf"),
                written(watching(spec)),
            ),
        ],
        ..Launch::default()
    }
}

type Settings = Vec<(&'static str, Vec<String>)>;

fn written(settings: Settings) -> String {
    let line = |(name, values): (&str, Vec<String>)| {
        let values = values.iter().map(|value| format!(" \"{value}\""));
        format!("{name}{}\n", values.collect::<String>())
    };
    settings.into_iter().map(line).collect()
}

/// The node where the cluster's first master is.
fn first(spec: &NodeSpec) -> String {
    let first = spec.nodes.first();
    let found = spec.peers.iter().find(|(id, _)| Some(id) == first);
    found.map_or(spec.listen, |(_, at)| *at).ip().to_string()
}

fn settings(options: &Options, spec: &NodeSpec) -> Settings {
    let one = |value: &str| vec![value.to_owned()];
    let mut settings = vec![
        ("port", one(&spec.listen.port().to_string())),
        ("bind", one("0.0.0.0")),
        ("protected-mode", one("no")),
        ("dir", one(&spec.data.display().to_string())),
        ("save", one("")),
        (
            "appendonly",
            one(if options.appendonly { "yes" } else { "no" }),
        ),
        ("appendfsync", one(options.fsync.name())),
    ];
    if options.mode == Mode::Sentinel {
        settings.extend([
            ("repl-diskless-sync-delay", one("0")),
            ("repl-timeout", one("10")),
            ("repl-ping-replica-period", one("1")),
            (
                "min-replicas-to-write",
                one(&options.min_replicas.to_string()),
            ),
            ("min-replicas-max-lag", one("10")),
        ]);
        if spec.nodes.first() != Some(&spec.id) {
            let port = spec.listen.port().to_string();
            settings.push(("replicaof", vec![first(spec), port]));
        }
    }
    settings
}

/// What the Sentinel is told: a majority of them decides that the master is gone after a second of
/// silence.
fn watching(spec: &NodeSpec) -> Settings {
    let words = |words: &[&str]| words.iter().map(ToString::to_string).collect();
    let (quorum, port) = (spec.nodes.len() / 2 + 1, spec.listen.port());
    let (quorum, port) = (quorum.to_string(), port.to_string());
    vec![
        ("port", words(&[&PORT.to_string()])),
        ("bind", words(&["0.0.0.0"])),
        ("protected-mode", words(&["no"])),
        ("dir", words(&[&spec.data.display().to_string()])),
        (
            "sentinel",
            words(&["monitor", NAME, &first(spec), &port, &quorum]),
        ),
        (
            "sentinel",
            words(&["down-after-milliseconds", NAME, "1000"]),
        ),
        ("sentinel", words(&["failover-timeout", NAME, "3000"])),
        ("sentinel", words(&["parallel-syncs", NAME, "5"])),
    ]
}
