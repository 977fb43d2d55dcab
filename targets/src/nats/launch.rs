//! How nodes are started: one server each, with JetStream, and routes to all others.

use std::path::PathBuf;

use serde_json::json;

use crate::{Launch, NodeSpec};

/// Where servers talk to each other.
const CLUSTER_PORT: u16 = 6222;
/// Where a server tells over HTTP how it is.
pub(super) const MONITOR_PORT: u16 = 8222;

/// How to start a node with that program.
pub(super) fn launch(program: PathBuf, spec: &NodeSpec) -> Launch {
    let path = spec.data.join("nats.conf");
    Launch {
        program: Some(program),
        args: vec!["-c".into(), path.display().to_string()],
        files: vec![(path, configuration(spec))],
        ..Launch::default()
    }
}

/// What the server is told. NATS reads JSON as its own format.
fn configuration(spec: &NodeSpec) -> String {
    let ip = spec.listen.ip();
    let mut said = json!({
        "listen": spec.listen.to_string(),
        "server_name": spec.id.to_string(),
        "http": format!("{ip}:{MONITOR_PORT}"),
        "jetstream": { "store_dir": spec.data.display().to_string() },
    });
    if !spec.peers.is_empty() {
        let others = spec.peers.iter().map(|(_, at)| at.ip());
        let routes = others.map(|ip| format!("nats://{ip}:{CLUSTER_PORT}"));
        said["cluster"] = json!({
            "name": "tribunal",
            "listen": format!("{ip}:{CLUSTER_PORT}"),
            "routes": routes.collect::<Vec<_>>(),
        });
    }
    said.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value as Json;

    #[test]
    fn a_node_knows_the_way_to_all_others_and_keeps_its_data_to_itself() {
        let spec = NodeSpec {
            id: "n2".into(),
            listen: "10.0.0.2:21000".parse().unwrap(),
            peers: ["1", "3"]
                .map(|n| {
                    let at = format!("10.0.0.{n}:21000").parse().unwrap();
                    (format!("n{n}").as_str().into(), at)
                })
                .into(),
            advertised: None,
            nodes: ["n1", "n2", "n3"].map(Into::into).into(),
            data: "/run/n2".into(),
            bug: None,
            options: Json::Null,
        };
        let said: Json = serde_json::from_str(&configuration(&spec)).unwrap();
        assert_eq!(said["server_name"], "n2");
        assert_eq!(said["jetstream"]["store_dir"], "/run/n2");
        let routes = json!(["nats://10.0.0.1:6222", "nats://10.0.0.3:6222"]);
        assert_eq!(said["cluster"]["routes"], routes);
        assert_eq!(said["cluster"]["listen"], "10.0.0.2:6222");
        let alone = NodeSpec {
            peers: Vec::new(),
            ..spec
        };
        let said: Json = serde_json::from_str(&configuration(&alone)).unwrap();
        assert!(said.get("cluster").is_none());
    }
}
