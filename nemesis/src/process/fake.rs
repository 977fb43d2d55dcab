//! Processes that exist only in a table, for tests of faults and schedule.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use tribunal_results::{NodeId, NodeState};

use crate::aim::Roles;
use crate::client::fake::FakeClients;
use crate::fabric::{Fabric, LinkSpec, Nature};
use crate::{Field, MemberChange, Pending, Processes, Status};

/// Process ids start here: beyond any that Linux gives, so that none is a real process.
const FIRST_PID: u32 = 1 << 30;

#[derive(Debug)]
struct Row {
    state: NodeState,
    pid: Option<u32>,
}

/// A table of pretended processes.
#[derive(Debug)]
pub(crate) struct Fake {
    rows: Mutex<BTreeMap<String, Row>>,
    next_pid: Mutex<u32>,
    /// Every call, as `kill n1`.
    calls: Mutex<Vec<String>>,
    /// Nodes on which killing fails.
    pub(crate) immortal: Vec<String>,
    /// Whether nodes are ready as soon as they are started.
    pub(crate) is_quick: bool,
    /// What nodes say of themselves; the others don't answer.
    pub(crate) statuses: Mutex<BTreeMap<String, Status>>,
    /// What is answered to changes of members, without changing them; else they are changed.
    pub(crate) members_answer: Mutex<Option<Result<(), String>>>,
    /// Where each has a directory of its name.
    pub(crate) data: Option<PathBuf>,
}

impl Fake {
    pub(crate) fn new(nodes: &[NodeId]) -> Self {
        let fake = Self {
            rows: Mutex::default(),
            next_pid: Mutex::new(FIRST_PID),
            calls: Mutex::default(),
            immortal: Vec::new(),
            is_quick: false,
            statuses: Mutex::default(),
            members_answer: Mutex::default(),
            data: None,
        };
        for node in nodes {
            fake.put(node, NodeState::Ready, Some(fake.fresh_pid()));
        }
        fake
    }

    pub(crate) fn put(&self, node: &str, state: NodeState, pid: Option<u32>) {
        let mut rows = self.rows.lock().unwrap();
        rows.insert(node.to_owned(), Row { state, pid });
    }

    pub(crate) fn calls(&self) -> Vec<String> {
        self.calls.lock().unwrap().clone()
    }

    fn fresh_pid(&self) -> u32 {
        let mut next = self.next_pid.lock().unwrap();
        *next += 1;
        *next
    }

    fn note(&self, what: &str, node: &str) {
        self.calls.lock().unwrap().push(format!("{what} {node}"));
    }

    fn end(&self, what: &str, node: &str) -> Result<String, String> {
        self.note(what, node);
        if self.immortal.iter().any(|immortal| immortal == node) {
            return Err("it does not end".into());
        }
        self.put(node, NodeState::Killed, None);
        Ok(format!("ended by {what}"))
    }
}

impl Processes for Fake {
    fn state(&self, node: &str) -> NodeState {
        self.rows.lock().unwrap()[node].state
    }

    fn pid(&self, node: &str) -> Option<u32> {
        self.rows.lock().unwrap()[node].pid
    }

    fn kill<'a>(&'a self, node: &'a str) -> Pending<'a, Result<String, String>> {
        Box::pin(async move { self.end("kill", node) })
    }

    fn terminate<'a>(&'a self, node: &'a str) -> Pending<'a, Result<String, String>> {
        Box::pin(async move { self.end("terminate", node) })
    }

    fn pause<'a>(&'a self, node: &'a str) -> Pending<'a, Result<(), String>> {
        Box::pin(async move {
            self.note("pause", node);
            self.put(node, NodeState::Paused, self.pid(node));
            Ok(())
        })
    }

    fn resume<'a>(&'a self, node: &'a str) -> Pending<'a, Result<(), String>> {
        Box::pin(async move {
            if self.state(node) == NodeState::Paused {
                self.note("resume", node);
                self.put(node, NodeState::Ready, self.pid(node));
            }
            Ok(())
        })
    }

    fn start<'a>(&'a self, node: &'a str) -> Pending<'a, Result<u32, String>> {
        Box::pin(async move {
            if let Some(pid) = self.pid(node) {
                return Ok(pid);
            }
            self.note("start", node);
            let pid = self.fresh_pid();
            let state = match self.is_quick {
                true => NodeState::Ready,
                false => NodeState::Starting,
            };
            self.put(node, state, Some(pid));
            Ok(pid)
        })
    }

    fn ready<'a>(&'a self, node: &'a str) -> Pending<'a, Result<(), String>> {
        Box::pin(async move {
            self.note("ready", node);
            self.put(node, NodeState::Ready, self.pid(node));
            Ok(())
        })
    }

    fn status<'a>(&'a self, node: &'a str) -> Pending<'a, Option<Status>> {
        Box::pin(async move { self.statuses.lock().unwrap().get(node).cloned() })
    }

    fn data(&self, node: &str) -> Result<PathBuf, String> {
        let root = self.data.as_ref().ok_or("nodes have no files here")?;
        Ok(root.join(node))
    }

    fn change_members<'a>(
        &'a self,
        asked: &'a NodeId,
        change: &'a MemberChange,
    ) -> Pending<'a, Result<(), String>> {
        Box::pin(async move {
            if let Some(answer) = self.members_answer.lock().unwrap().clone() {
                return answer;
            }
            let mut statuses = self.statuses.lock().unwrap();
            let status = statuses.get_mut(&**asked).ok_or("it does not answer")?;
            let members = status.members.as_mut().ok_or("it has no members")?;
            match change {
                MemberChange::Add(node) => {
                    self.note("add", node);
                    members.push(node.clone());
                }
                MemberChange::Remove(node) => {
                    self.note("remove", node);
                    members.retain(|member| member != node);
                }
            }
            members.sort();
            Ok(())
        })
    }
}

/// `n` nodes called `n1`… that run, linked to each other by a real fabric in front of an address
/// where nobody listens.
pub(crate) async fn field(n: usize) -> (Field, Arc<Fake>) {
    let nodes = names(n);
    let fake = Arc::new(Fake::new(&nodes));
    let nowhere = ([127, 0, 0, 1], 1).into();
    (field_of(nodes, fake.clone(), nowhere).await, fake)
}

pub(crate) fn names(n: usize) -> Vec<NodeId> {
    (1..=n).map(|i| NodeId::from(format!("n{i}"))).collect()
}

/// These nodes with these processes, where every link leads to `dial`.
pub(crate) async fn field_of(nodes: Vec<NodeId>, fake: Arc<Fake>, dial: SocketAddr) -> Field {
    let pairs = nodes
        .iter()
        .flat_map(|a| nodes.iter().map(move |b| (a.clone(), b.clone())))
        .filter(|(a, b)| a != b);
    let links = pairs.map(|(from, to)| LinkSpec {
        from,
        to,
        listen: ([127, 0, 0, 1], 0).into(),
        dial,
    });
    let nature = Nature {
        is_framed: true,
        ..Nature::default()
    };
    let opening = Fabric::open_as(nature, links.collect(), 1);
    let fabric = opening.await.unwrap();
    Field {
        nodes,
        processes: fake,
        fabric,
        clients: Arc::new(FakeClients::default()),
        roles: Roles::default(),
        members: None,
    }
}
