//! The suite that a command line comes to.

use std::path::Path;

use serde_json::{Map, Value as Json, json};
use tribunal_targets::maelstrom::Dialect;

use super::{Concurrency, Spread, Test};

/// Its name.
pub(super) const SUITE: &str = "maelstrom";
/// How many nodes there are unless somebody says so.
const NODES: usize = 5;
/// How long nodes may take to serve again once all is healed, in milliseconds.
const RECOVERY_MS: f64 = 10_000.0;
/// The least that clients wait for an answer, in milliseconds.
const TIMEOUT_MS: f64 = 1_000.0;
/// Operations that are enough for the usual floor of evidence.
const ENOUGH: f64 = 250.0;

/// The suite as YAML.
///
/// # Errors
/// What cannot be asked for, and what can.
pub(super) fn suite(test: &Test) -> Result<String, String> {
    let run = run(test)?;
    let suite = json!({ "suite": SUITE, "runs": [run] });
    let yaml = serde_yaml::to_string(&suite).map_err(|e| e.to_string())?;
    Ok(format!("# Written by `tribunal maelstrom test`.\n{yaml}"))
}

/// A number that tells suites apart: FNV-1a (G. Fowler, L. C. Noll, K.-P. Vo).
pub(super) fn fingerprint(text: &str) -> u32 {
    let mix = |hash: u32, byte: u8| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    text.bytes().fold(0x811c_9dc5, mix)
}

fn run(test: &Test) -> Result<Json, String> {
    positive("--time-limit", test.time_limit)?;
    positive("--rate", test.rate)?;
    positive("--nemesis-interval", test.nemesis_interval)?;
    if !(0.0..=60.0).contains(&test.settle) {
        return Err("--settle is from 0 to 60 s".into());
    }
    if !(0.0..=60_000.0).contains(&test.latency) {
        return Err("--latency is from 0 to 60000 ms".into());
    }
    let nodes = test.node_count.unwrap_or(NODES);
    let clients = match test.concurrency {
        Concurrency::InAll(clients) => clients,
        Concurrency::ForEachNode(each) => each * nodes,
    };
    let mut run = json!({
        "name": test.workload.name(),
        "target": { "type": "maelstrom", "options": options(test)? },
        "workload": workload(test),
        "nodes": nodes,
        "clients": clients,
        "rate": test.rate,
        "time": millis(test.time_limit * 1e3),
        "timeout": millis((10.0 * test.latency).max(TIMEOUT_MS)),
        // Nothing is asked while objects are left alone.
        "recovery": millis(test.settle * 1e3 + RECOVERY_MS),
        "messages": true,
        "nemesis": nemesis(test),
        "evidence": evidence(test),
    });
    if test.latency > 0.0 {
        run["topology"] = latency(test);
    }
    if let Some(share) = test.availability {
        let missing = 1.0 - share;
        run["gates"] = json!({ "fail_rate": { "max": missing }, "info_rate": { "max": missing } });
    }
    Ok(run)
}

fn positive(name: &str, value: f64) -> Result<(), String> {
    match value.is_finite() && value > 0.0 {
        true => Ok(()),
        false => Err(format!("{name} must be more than 0")),
    }
}

fn millis(millis: f64) -> String {
    format!("{}ms", millis.round().max(1.0))
}

fn options(test: &Test) -> Result<Json, String> {
    // The suite may be run from anywhere.
    let whole = |path: &Path| {
        let path = std::path::absolute(path).map_err(|e| format!("{}: {e}", path.display()))?;
        Ok::<_, String>(path.display().to_string())
    };
    let mut options = json!({
        "bin": match test.bin.contains('/') {
            true => whole(Path::new(&test.bin))?,
            false => test.bin.clone(),
        },
        "speaks": test.workload.name(),
        "first_node": usize::from(test.node_count.is_none()),
    });
    let mut add = |name: &str, value: Json| options[name] = value;
    if !test.args.is_empty() {
        add("args", json!(test.args));
    }
    if let Some(cwd) = &test.node_cwd {
        add("cwd", json!(whole(cwd)?));
    }
    if test.workload == Dialect::Broadcast {
        add("neighbours", json!(test.topology));
    }
    if test.fifo {
        add("fifo", json!(true));
    }
    if test.strict_protocol {
        add("strict_protocol", json!(true));
    }
    Ok(options)
}

fn workload(test: &Test) -> Json {
    let settle_ms = (test.settle * 1e3).round() as u64;
    let counter = |falls| {
        json!({ "type": "counter", "objects": 1, "falls": falls, "eventual": true,
                "settle_ms": settle_ms })
    };
    let judged = |name: &str| json!({ "type": name, "level": test.consistency_models });
    match test.workload {
        Dialect::Echo => json!("echo"),
        Dialect::UniqueIds => json!("unique-ids"),
        Dialect::Broadcast | Dialect::GSet => {
            json!({ "type": "set", "objects": 1, "settle_ms": settle_ms })
        }
        Dialect::GCounter => counter(false),
        Dialect::PnCounter => counter(true),
        Dialect::LinKv => json!({ "type": "register", "values": 5 }),
        Dialect::TxnListAppend => judged("list-append"),
        Dialect::TxnRwRegister => judged("rw-register"),
        Dialect::Kafka => json!("log"),
    }
}

fn nemesis(test: &Test) -> Json {
    if test.nemesis.is_empty() {
        return json!("none");
    }
    // At least two faults begin and end within the time limit.
    let most = test.time_limit / 5.0;
    let time = millis(test.nemesis_interval.min(most) * 1e3);
    json!({ "faults": test.nemesis, "quiet": time, "hold": time })
}

/// What a run must show for itself: less where less was asked for.
fn evidence(test: &Test) -> Json {
    let asked = test.rate * test.time_limit;
    let mut floor = Map::new();
    if asked < ENOUGH {
        floor.insert(
            "ok_operations".into(),
            json!((asked / 5.0).floor().max(1.0) as u64),
        );
        floor.insert("concurrency".into(), json!(1));
    }
    if asked < ENOUGH || test.workload == Dialect::Echo {
        floor.insert("cross_observations".into(), json!(0));
    }
    Json::Object(floor)
}

/// Latencies of that mean.
fn latency(test: &Test) -> Json {
    let mean = test.latency;
    let spread = |base: f64, jitter: f64, distribution: &str| {
        json!({ "type": "mesh", "latency": micros(base), "jitter": micros(jitter),
                "distribution": distribution })
    };
    match test.latency_dist {
        Spread::Constant => spread(mean, 0.0, "constant"),
        Spread::Uniform => spread(0.0, 2.0 * mean, "uniform"),
        // The mean of ours is a fifth of the way.
        Spread::Exponential => spread(0.0, 5.0 * mean, "exponential"),
    }
}

fn micros(millis: f64) -> String {
    format!("{}us", (millis * 1e3).round())
}
