//! Texts with variables, such as `--listen={{node.addr}}`, and what the variables stand for.

use std::net::SocketAddr;

use tribunal_results::NodeId;

use crate::NodeSpec;

/// The variables, as messages list them.
pub const KNOWN: &str = "node.id, node.index, node.addr, node.host, node.port, node.advertised, \
    data_dir, nodes, peer.NODE.addr, peer.NODE.host, peer.NODE.port, peers, cluster, and with a \
    form of their items peers:FORM and cluster:FORM, in which $id, $addr, $host and $port stand \
    for the node's, and with something else than a comma between them peers[;] or peers[;]:FORM; \
    in a suite's file also suite.dir";

/// What a node may have filled in.
#[derive(Clone, Copy, Debug)]
pub struct Variables<'a> {
    /// The node.
    pub spec: &'a NodeSpec,
    /// Where it is reached: elsewhere than it listens if the controller asks.
    pub address: SocketAddr,
    /// Another node that is spoken of, with its address, as `member`.
    pub member: Option<(&'a NodeId, SocketAddr)>,
}

impl<'a> Variables<'a> {
    /// Those that a node is started with.
    pub fn of(spec: &'a NodeSpec) -> Self {
        Self {
            spec,
            address: spec.listen,
            member: None,
        }
    }

    /// The text with every variable filled in.
    ///
    /// # Errors
    /// The first variable that is unknown or not closed, and which ones there are.
    pub fn fill(&self, text: &str) -> Result<String, String> {
        let mut filled = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            filled.push_str(before);
            let (name, after) = after
                .split_once("}}")
                .ok_or_else(|| format!("`{{{{` is not closed by `}}}}` in {text:?}"))?;
            let name = name.trim();
            let value = self.value(name).ok_or_else(|| unknown(name, self))?;
            filled.push_str(&value);
            rest = after;
        }
        filled.push_str(rest);
        Ok(filled)
    }

    fn value(&self, name: &str) -> Option<String> {
        let spec = self.spec;
        Some(match name {
            "data_dir" => spec.data.display().to_string(),
            "nodes" => spec.nodes.join(","),
            "node.index" => {
                let at = spec.nodes.iter().position(|node| *node == spec.id)?;
                (at + 1).to_string()
            }
            "node.advertised" => spec.advertised.unwrap_or(self.address).to_string(),
            _ if name.starts_with("peers") => self.list(false, name.strip_prefix("peers")?)?,
            _ if name.starts_with("cluster") => self.list(true, name.strip_prefix("cluster")?)?,
            _ => match name.split_once('.')? {
                ("node", part) => part_of(&spec.id, self.address, part)?,
                ("member", part) => {
                    let (node, address) = self.member?;
                    part_of(node, address, part)?
                }
                ("peer", rest) => {
                    let (node, part) = rest.rsplit_once('.')?;
                    let (node, address) = self.everyone().find(|(id, _)| &***id == node)?;
                    part_of(node, address, part)?
                }
                _ => return None,
            },
        })
    }

    /// Every node and where this one reaches it, in order.
    fn everyone(&self) -> impl Iterator<Item = (&'a NodeId, SocketAddr)> + use<'a> {
        let (spec, own) = (self.spec, self.address);
        spec.nodes.iter().filter_map(move |id| {
            if *id == spec.id {
                return Some((id, own));
            }
            let (_, address) = spec.peers.iter().find(|(peer, _)| peer == id)?;
            Some((id, *address))
        })
    }

    /// Those nodes, as `[SEPARATOR]:FORM` says, of which each part may be absent.
    fn list(&self, with_itself: bool, how: &str) -> Option<String> {
        let (separator, form) = match how.strip_prefix('[') {
            Some(rest) => rest.split_once(']')?,
            None => (",", how),
        };
        let form = match form {
            "" => "$id=$addr",
            form => form.strip_prefix(':')?.trim(),
        };
        let listed = self
            .everyone()
            .filter(|(id, _)| with_itself || **id != self.spec.id);
        let item = |(id, address): (&NodeId, SocketAddr)| {
            form.replace("$id", id)
                .replace("$addr", &address.to_string())
                .replace("$host", &address.ip().to_string())
                .replace("$port", &address.port().to_string())
        };
        Some(listed.map(item).collect::<Vec<_>>().join(separator))
    }
}

fn part_of(id: &NodeId, address: SocketAddr, part: &str) -> Option<String> {
    Some(match part {
        "id" => id.to_string(),
        "addr" => address.to_string(),
        "host" => address.ip().to_string(),
        "port" => address.port().to_string(),
        _ => return None,
    })
}

fn unknown(name: &str, variables: &Variables<'_>) -> String {
    let nodes = variables.spec.nodes.join(", ");
    format!("unknown variable `{{{{{name}}}}}`; there are: {KNOWN}; the nodes are {nodes}")
}

/// A node of that cluster with addresses of no meaning: to see whether a text can be filled in.
pub fn specimen(nodes: &[NodeId]) -> NodeSpec {
    let nowhere = SocketAddr::from(([127, 0, 0, 1], 1));
    let peers = nodes.iter().skip(1).map(|id| (id.clone(), nowhere));
    NodeSpec {
        id: nodes.first().cloned().unwrap_or_else(|| "n1".into()),
        listen: nowhere,
        advertised: None,
        peers: peers.collect(),
        nodes: nodes.to_vec(),
        data: "data".into(),
        bug: None,
        options: serde_json::Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> NodeSpec {
        let mut spec = specimen(&["n1".into(), "n2".into(), "n3".into()]);
        spec.listen = ([127, 64, 0, 1], 21_000).into();
        for (i, (_, address)) in spec.peers.iter_mut().enumerate() {
            *address = ([127, 64, 0, 2 + i as u8], 21_002).into();
        }
        spec.data = "/run/n1/data".into();
        spec
    }

    #[test]
    fn every_variable_is_filled_in_as_the_node_sees_it() {
        let spec = spec();
        let filled = |text| Variables::of(&spec).fill(text).unwrap();
        assert_eq!(filled("no variable } { here"), "no variable } { here");
        assert_eq!(
            filled("{{node.id}} {{ node.index }} {{node.addr}}"),
            "n1 1 127.64.0.1:21000"
        );
        assert_eq!(filled("{{node.host}}-{{node.port}}"), "127.64.0.1-21000");
        assert_eq!(filled("{{data_dir}}/x"), "/run/n1/data/x");
        assert_eq!(filled("{{peer.n2.addr}}"), "127.64.0.2:21002");
        assert_eq!(filled("{{peer.n1.addr}}"), "127.64.0.1:21000");
        assert_eq!(
            filled("{{peer.n3.host}}:{{peer.n3.port}}"),
            "127.64.0.3:21002"
        );
        assert_eq!(filled("{{nodes}}"), "n1,n2,n3");
        assert_eq!(
            filled("{{peers}}"),
            "n2=127.64.0.2:21002,n3=127.64.0.3:21002"
        );
        assert_eq!(
            filled("{{cluster:$id=http://$host:$port}}"),
            "n1=http://127.64.0.1:21000,n2=http://127.64.0.2:21002,n3=http://127.64.0.3:21002"
        );
        assert_eq!(
            filled("{{peers[ ]:$host}} {{cluster[;]:$id}} {{peers[\n]}}"),
            "127.64.0.2 127.64.0.3 n1;n2;n3 n2=127.64.0.2:21002\nn3=127.64.0.3:21002"
        );
        assert_eq!(filled("{{node.advertised}}"), "127.64.0.1:21000");
        let advertised = NodeSpec {
            advertised: Some(([127, 64, 0, 1], 21_009).into()),
            ..spec.clone()
        };
        let filled = Variables::of(&advertised).fill("{{node.advertised}} {{node.addr}}");
        assert_eq!(filled.unwrap(), "127.64.0.1:21009 127.64.0.1:21000");
    }

    #[test]
    fn an_unknown_or_open_variable_is_told_with_those_that_exist() {
        let spec = spec();
        for wrong in [
            "{{node.adr}}",
            "{{peer.n9.addr}}",
            "{{member.id}}",
            "{{}}",
            "{{nod}}",
            "{{peers[;}}",
            "{{peers;}}",
            "{{clusters}}",
        ] {
            let error = Variables::of(&spec).fill(wrong).unwrap_err();
            assert!(error.contains("node.addr, node.host"), "{error}");
            assert!(error.contains("the nodes are n1, n2, n3"), "{error}");
        }
        let error = Variables::of(&spec).fill("x{{node.id").unwrap_err();
        assert!(error.contains("not closed"), "{error}");
    }
}
