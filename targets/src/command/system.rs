//! The target that a suite's options make: nodes are its commands, clients its adapter.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value as Json;
use tribunal_results::options::OptionError;
use tribunal_results::{Kind, NodeId, Reason};

use super::options::{Options, Ready, StopBy};
use super::probe::{self, Printed};
use super::template::Variables;
use super::{ABOUT, CLAIMS, NAME, TARGET, errand};
use crate::adapter::{Pool, START_WITHIN};
use crate::{Client, ClientSpec, Launch, MemberChange, NodeSpec, Pending, Status, Stop, Target};

/// A node that was started at least once.
#[derive(Debug)]
struct Known {
    spec: NodeSpec,
    printed: Printed,
}

/// A system as one run uses it.
#[derive(Debug)]
pub(super) struct Commanded {
    options: Options,
    nodes: Mutex<BTreeMap<NodeId, Known>>,
    /// What every process must have in its environment.
    mark: Mutex<Vec<(String, String)>>,
    adapters: Arc<Pool>,
    #[cfg(feature = "http")]
    api: Option<Arc<crate::http::Api>>,
}

/// What a node's own status command may print.
#[derive(Deserialize)]
struct Said {
    #[serde(default)]
    ready: Option<bool>,
    #[serde(default)]
    role: String,
    #[serde(default)]
    leader: Option<NodeId>,
    #[serde(default)]
    detail: String,
    #[serde(default)]
    members: Option<Vec<NodeId>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn fill(words: &[String], variables: &Variables<'_>) -> io::Result<Vec<String>> {
    let filled = words.iter().map(|word| variables.fill(word));
    filled.collect::<Result<_, _>>().map_err(io::Error::other)
}

impl Commanded {
    pub(super) fn new(options: Options) -> Self {
        let adapter = options.client.adapter.clone().unwrap_or_default();
        let env = options.client.env.clone().into_iter().collect();
        Self {
            #[cfg(feature = "http")]
            api: options.client.http.clone().map(Arc::new),
            options,
            nodes: Mutex::default(),
            mark: Mutex::default(),
            adapters: Arc::new(Pool::new(adapter, env)),
        }
    }

    fn spec(&self, node: &NodeId) -> io::Result<NodeSpec> {
        let known = locked(&self.nodes);
        let spec = known.get(node).map(|known| known.spec.clone());
        spec.ok_or_else(|| io::Error::other(format!("{node} was never started")))
    }

    /// Runs a command for a node and returns what it prints.
    async fn ask(&self, words: &[String], variables: &Variables<'_>) -> io::Result<String> {
        let mark = locked(&self.mark).clone();
        errand::run(&fill(words, variables)?, &mark).await
    }

    async fn probe(&self, variables: &Variables<'_>) -> io::Result<()> {
        let text = |text: &str| variables.fill(text).map_err(io::Error::other);
        match &self.options.ready {
            Ready::Tcp(address) => probe::tcp(&text(address)?).await,
            Ready::Http(url) => probe::http(&text(url)?).await,
            Ready::Command(words) => self.ask(words, variables).await.map(drop),
            Ready::Log(wanted) => {
                let wanted = text(wanted)?;
                let mut nodes = locked(&self.nodes);
                let known = nodes.get_mut(&variables.spec.id);
                match known.map(|known| known.printed.has(&wanted)).transpose()? {
                    Some(true) => Ok(()),
                    _ => Err(io::Error::other(format!(
                        "it has not printed {wanted:?} yet"
                    ))),
                }
            }
        }
    }

    async fn how_is(&self, node: &NodeId, address: SocketAddr) -> io::Result<Status> {
        let spec = self.spec(node)?;
        let variables = Variables {
            address,
            ..Variables::of(&spec)
        };
        if let Err(why) = self.probe(&variables).await {
            return Err(io::Error::new(why.kind(), self.unready(&spec, &why)));
        }
        let mut status = Status {
            ready: true,
            ..Status::default()
        };
        if let Some(words) = &self.options.status {
            understand(&self.ask(words, &variables).await?, &mut status);
        }
        if let Some(words) = &self.options.leader {
            let leader = self.ask(words, &variables).await?;
            status.leader = (!leader.is_empty()).then(|| leader.as_str().into());
        }
        Ok(status)
    }

    /// Why it isn't ready, with the last line that it printed.
    fn unready(&self, spec: &NodeSpec, why: &io::Error) -> String {
        let last = logs(spec).into_iter().rev().find_map(|path| {
            let text = probe::tail(&path).ok()?;
            let line = text.lines().rev().find(|line| !line.trim().is_empty())?;
            Some(line.to_owned())
        });
        match last {
            Some(line) => format!("{why}; the last line that it printed: {line}"),
            None => format!("{why}; it has printed nothing"),
        }
    }
}

/// A JSON object says all that it names; anything else is the role.
fn understand(text: &str, status: &mut Status) {
    match serde_json::from_str::<Said>(text) {
        Ok(said) => {
            *status = Status {
                ready: said.ready.unwrap_or(status.ready),
                role: said.role,
                leader: said.leader,
                detail: said.detail,
                members: said.members,
            };
        }
        Err(_) => status.role = text.lines().next().unwrap_or_default().to_owned(),
    }
}

/// What a node prints goes to these files.
fn logs(spec: &NodeSpec) -> Vec<PathBuf> {
    let dir = spec.data.parent().unwrap_or(&spec.data);
    ["stdout", "stderr"].map(|name| dir.join(name)).into()
}

impl Target for Commanded {
    fn name(&self) -> &'static str {
        NAME
    }

    fn about(&self) -> &'static str {
        ABOUT
    }

    fn claims(&self) -> &'static str {
        CLAIMS
    }

    fn operations(&self) -> &'static [Kind] {
        &Kind::ALL
    }

    fn check_options(&self, options: &Json) -> Result<(), OptionError> {
        TARGET.check_options(options)
    }

    fn mark(&self, name: &str, value: &str) {
        let mark = vec![(name.to_owned(), value.to_owned())];
        self.adapters.mark(&mark);
        *locked(&self.mark) = mark;
    }

    fn opens_within(&self, timeout: Duration) -> Duration {
        timeout + START_WITHIN
    }

    fn close(&self) -> Pending<'_, ()> {
        Box::pin(self.adapters.close())
    }

    /// Every text was filled in when the suite was read, so none fails now.
    fn launch(&self, spec: &NodeSpec) -> Launch {
        let known = Known {
            spec: spec.clone(),
            printed: Printed::from_now(logs(spec)),
        };
        locked(&self.nodes).insert(spec.id.clone(), known);
        let variables = Variables::of(spec);
        let text = |text: &String| variables.fill(text).unwrap_or_default();
        let mut words = self.options.command.iter().map(text);
        Launch {
            program: words.next().map(PathBuf::from),
            args: words.collect(),
            env: self
                .options
                .env
                .iter()
                .map(|(k, v)| (k.clone(), text(v)))
                .collect(),
            files: (self.options.files.iter())
                .map(|(path, content)| (spec.data.join(path), text(content)))
                .collect(),
            stop: match &self.options.stop {
                StopBy::Terminate => Stop::Terminate,
                StopBy::Signal(signal) => Stop::Signal(*signal as i32),
                StopBy::Command(words) => Stop::Command(words.iter().map(text).collect()),
            },
            ..Launch::default()
        }
    }

    fn status(&self, address: SocketAddr) -> Pending<'_, io::Result<Status>> {
        Box::pin(async move {
            let node = locked(&self.nodes)
                .values()
                .find(|known| known.spec.listen == address)
                .map(|known| known.spec.id.clone());
            let node = node.ok_or_else(|| io::Error::other(format!("no node at {address}")))?;
            self.how_is(&node, address).await
        })
    }

    fn status_of<'a>(
        &'a self,
        node: &'a NodeId,
        address: SocketAddr,
    ) -> Pending<'a, io::Result<Status>> {
        Box::pin(self.how_is(node, address))
    }

    fn open<'a>(&'a self, spec: &'a ClientSpec) -> Pending<'a, Result<Box<dyn Client>, Reason>> {
        #[cfg(feature = "http")]
        if let Some(api) = &self.api {
            return Box::pin(crate::http::open(Arc::clone(api), spec));
        }
        Box::pin(self.adapters.open(spec))
    }

    fn change_members<'a>(
        &'a self,
        (node, address): (&'a NodeId, SocketAddr),
        change: &'a MemberChange,
    ) -> Option<Pending<'a, Result<(), Reason>>> {
        let members = self.options.members.as_ref()?;
        Some(Box::pin(async move {
            let (words, member) = match change {
                MemberChange::Add(member) => (&members.add, member),
                MemberChange::Remove(member) => (&members.remove, member),
            };
            let asking = async {
                let (spec, other) = (self.spec(node)?, self.spec(member)?);
                let variables = Variables {
                    spec: &spec,
                    address,
                    member: Some((member, other.listen)),
                };
                self.ask(words, &variables).await
            };
            let failed = |e: io::Error| Reason::new("command-failed", e.to_string());
            asking.await.map(drop).map_err(failed)
        }))
    }
}
