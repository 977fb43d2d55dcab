//! Where messages go: clients are answered on the connection on which they spoke last, peers are
//! always reached over this node's own connection to them.

use std::collections::HashMap;

use tribunal_results::NodeId;

use super::network::Lines;
use super::stderr::note;
use crate::wire::{Body, Message};

#[derive(Debug)]
struct Connection {
    lines: Lines,
    /// Who speaks on it. One name at a time, so that no connection can fill the table of names.
    name: Option<NodeId>,
}

/// Every way out of a node.
#[derive(Debug)]
pub(super) struct Routes {
    own: NodeId,
    /// Each peer, with its connection while there is one.
    peers: HashMap<NodeId, Option<Lines>>,
    connections: HashMap<u64, Connection>,
    clients: HashMap<NodeId, u64>,
}

impl Routes {
    pub(super) fn new(own: NodeId, peers: impl Iterator<Item = NodeId>) -> Self {
        Self {
            own,
            peers: peers.map(|peer| (peer, None)).collect(),
            connections: HashMap::new(),
            clients: HashMap::new(),
        }
    }

    pub(super) fn opened(&mut self, connection: u64, lines: Lines) {
        self.connections
            .insert(connection, Connection { lines, name: None });
    }

    pub(super) fn closed(&mut self, connection: u64) {
        self.rename(connection, None);
        self.connections.remove(&connection);
    }

    pub(super) fn linked(&mut self, peer: &NodeId, lines: Option<Lines>) {
        if let Some(link) = self.peers.get_mut(peer) {
            *link = lines;
        }
    }

    /// Whether that is another node, with a connection to it.
    pub(super) fn reaches_peer(&self, name: &NodeId) -> bool {
        self.peers.get(name).is_some_and(Option::is_some)
    }

    /// Somebody spoke on a connection: a client is answered there from now on.
    pub(super) fn heard(&mut self, connection: u64, name: &NodeId) {
        if !self.peers.contains_key(name) && self.clients.get(name) != Some(&connection) {
            self.rename(connection, Some(name.clone()));
            self.clients.insert(name.clone(), connection);
        }
    }

    fn rename(&mut self, connection: u64, name: Option<NodeId>) {
        let Some(entry) = self.connections.get_mut(&connection) else {
            return;
        };
        let former = std::mem::replace(&mut entry.name, name);
        if let Some(former) = former.filter(|n| self.clients.get(n) == Some(&connection)) {
            self.clients.remove(&former);
        }
    }

    /// Sends to a peer or a client; drops the message if there is no connection, or too much
    /// waits for it already.
    pub(super) fn send(&self, dest: &NodeId, body: Body) {
        let lines = match self.peers.get(dest) {
            Some(link) => link.as_ref(),
            None => self.clients.get(dest).and_then(|c| self.lines_of(*c)),
        };
        self.write(lines, dest, body);
    }

    /// Answers on the very connection on which a request came.
    pub(super) fn answer(&self, connection: u64, request: &Message, body: Body) {
        let body = body.in_reply(request.body.msg_id());
        self.write(self.lines_of(connection), &request.src, body);
    }

    fn lines_of(&self, connection: u64) -> Option<&Lines> {
        self.connections.get(&connection).map(|entry| &entry.lines)
    }

    fn write(&self, lines: Option<&Lines>, dest: &NodeId, body: Body) {
        let Some(lines) = lines else { return };
        let message = Message {
            src: self.own.clone(),
            dest: dest.clone(),
            body,
        };
        match message.encode() {
            Ok(line) => drop(lines.try_send(line)),
            Err(e) => note(&format!("message to {dest} dropped: {e}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;

    #[test]
    fn a_client_is_answered_where_it_spoke_last_and_nowhere_once_that_is_closed() {
        let mut routes = Routes::new("n1".into(), std::iter::once("n2".into()));
        let (first, mut at_first) = mpsc::channel(4);
        let (second, mut at_second) = mpsc::channel(4);
        routes.opened(1, first);
        routes.opened(2, second);
        let client: NodeId = "c1".into();
        routes.heard(1, &client);
        routes.heard(2, &client);
        routes.closed(1);
        routes.send(&client, Body::new("x"));
        assert!(at_first.try_recv().is_err());
        assert!(at_second.try_recv().is_ok());
        routes.closed(2);
        routes.send(&client, Body::new("x"));
        assert!(at_second.try_recv().is_err());
        assert!(routes.clients.is_empty() && routes.connections.is_empty());
    }

    #[test]
    fn one_connection_under_many_names_keeps_one_entry() {
        let mut routes = Routes::new("n1".into(), std::iter::empty());
        let (lines, _at) = mpsc::channel(4);
        routes.opened(1, lines);
        for n in 0..100 {
            routes.heard(1, &format!("c{n}").into());
        }
        assert_eq!(routes.clients.len(), 1);
    }

    #[test]
    fn a_peer_is_reached_over_our_own_connection_only() {
        let peer: NodeId = "n2".into();
        let mut routes = Routes::new("n1".into(), std::iter::once(peer.clone()));
        let (accepted, mut at_accepted) = mpsc::channel(4);
        routes.opened(1, accepted);
        routes.heard(1, &peer);
        routes.send(&peer, Body::new("x"));
        assert!(at_accepted.try_recv().is_err());
        let (own, mut at_own) = mpsc::channel(4);
        routes.linked(&peer, Some(own));
        routes.send(&peer, Body::new("x"));
        assert!(at_own.try_recv().is_ok());
    }
}
