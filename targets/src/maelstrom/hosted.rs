//! The target that a suite's options make: unmodified nodes, each spoken to by its standard input
//! and output.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value as Json;
use tokio::time::Instant;
use tribunal_results::options::OptionError;
use tribunal_results::{Kind, NodeId, Reason};

use super::board::{At, Board};
use super::client::Dialogue;
use super::greeting::{self, Greeting, State};
use super::host::Host;
use super::options::Options;
use super::pipe::{self, Laid};
use super::violation::Violations;
use super::{ABOUT, CLAIMS, NAME, TARGET, service};
use crate::network::Network;
use crate::{Client, ClientSpec, Launch, NodeSpec, Pending, Status, Target};

/// A node that was started at least once.
#[derive(Debug)]
struct Known {
    listen: SocketAddr,
    /// The pipes of its last process, until that has opened them.
    laid: Option<Laid>,
    lives: u64,
    greeting: Greeting,
}

/// A system as one run uses it.
pub(super) struct Hosted {
    options: Options,
    network: Mutex<Option<(Arc<dyn Network>, u64)>>,
    host: Mutex<Option<Arc<Host>>>,
    nodes: Mutex<BTreeMap<NodeId, Known>>,
}

pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The folder of a node's own files, above its data.
fn folder(spec: &NodeSpec) -> &Path {
    spec.data.parent().unwrap_or(&spec.data)
}

impl Hosted {
    pub(super) fn new(options: Options) -> Self {
        Self {
            options,
            network: Mutex::default(),
            host: Mutex::default(),
            nodes: Mutex::default(),
        }
    }

    /// The threads, which begin with the first node.
    fn host(&self, spec: &NodeSpec) -> io::Result<Arc<Host>> {
        let mut host = locked(&self.host);
        if let Some(host) = &*host {
            return Ok(Arc::clone(host));
        }
        let network = locked(&self.network).clone();
        let (network, seed) = network.ok_or_else(|| io::Error::other("there is no network"))?;
        let since = Instant::now();
        let above = folder(spec).parent().unwrap_or(folder(spec));
        let violations = |id: &NodeId| Violations::at(&above.join(&**id).join("stdout"), since);
        let nodes = spec.nodes.iter().map(|id| (id.clone(), violations(id)));
        let services = service::NAMES.into_iter().enumerate();
        let services = services.filter_map(|(nth, name)| {
            let made = service::make(name, seed.wrapping_add(nth as u64))?;
            Some((NodeId::from(name), made))
        });
        let (nodes, services) = (nodes.collect(), services.collect());
        let board = Board::new(nodes, services, &*network, self.options.fifo);
        let started = Arc::new(Host::start(board, spec.nodes.clone())?);
        *host = Some(Arc::clone(&started));
        Ok(started)
    }

    /// Lays the pipes of a node's next process; where that finds them.
    fn lay(&self, spec: &NodeSpec) -> io::Result<[PathBuf; 2]> {
        std::fs::create_dir_all(folder(spec))?;
        let host = self.host(spec)?;
        let (laid, ends) = {
            let _entered = host.handle.enter();
            pipe::lay(folder(spec))?
        };
        let at = find(&host, &spec.id)?;
        let paths = [laid.stdin.clone(), laid.stdout.clone()];
        let mut nodes = locked(&self.nodes);
        let lives = nodes.get(&spec.id).map_or(0, |known| known.lives) + 1;
        host.connect(at, ends, lives);
        let known = Known {
            listen: spec.listen,
            laid: Some(laid),
            lives,
            greeting: Greeting::default(),
        };
        nodes.insert(spec.id.clone(), known);
        Ok(paths)
    }

    /// How a node is. The first to ask of a new process lets it be greeted, once every node has
    /// been started.
    fn how_is(&self, node: &NodeId) -> io::Result<Status> {
        let host = locked(&self.host).clone();
        let host = host.ok_or_else(|| io::Error::other("no node was started"))?;
        let mut known = locked(&self.nodes);
        let all: Vec<NodeId> = host.nodes();
        let missing = all.iter().find(|id| !known.contains_key(*id)).cloned();
        let own = known.get_mut(node);
        let own = own.ok_or_else(|| io::Error::other(format!("{node} was never started")))?;
        // Whoever asks has started its process: that has both pipes open.
        own.laid = None;
        let greeting = own.greeting.clone();
        if let (State::New, None) = (greeting.state(), &missing) {
            let words = greeting::Words {
                node: node.clone(),
                nodes: all.clone(),
                neighbours: (self.options.speaks == super::Dialect::Broadcast)
                    .then(|| self.options.neighbours.of(&all)),
            };
            let at = find(&host, node)?;
            greeting.begin();
            let shared = Arc::clone(&host.shared);
            host.handle
                .spawn(greeting::greet(shared, at, words, greeting.clone()));
        }
        let detail = match (greeting.state(), missing) {
            (State::Ready, _) => String::new(),
            (State::Refused(why), _) => why,
            (_, Some(id)) => format!("it waits until {id} has been started"),
            (State::New | State::Greeted, None) => "it has not answered `init` yet".into(),
            (State::SetUp, None) => "it has not answered `topology` yet".into(),
        };
        Ok(Status {
            ready: greeting.state() == State::Ready,
            detail,
            ..Status::default()
        })
    }

    fn dialogue(&self, spec: &ClientSpec) -> Result<Dialogue, Reason> {
        let no = |why: String| Reason::new("no-connection", why);
        let host = locked(&self.host).clone();
        let host = host.ok_or_else(|| no("no node was started".into()))?;
        let at = find(&host, &spec.node).map_err(|e| no(e.to_string()))?;
        let known = locked(&self.nodes);
        let state = known.get(&spec.node).map(|known| known.greeting.state());
        if state != Some(State::Ready) {
            return Err(no(format!("{} has not answered `init` yet", spec.node)));
        }
        let shared = Arc::clone(&host.shared);
        let dialogue = Dialogue::open(shared, at, spec.node.clone(), self.options.speaks);
        dialogue.ok_or_else(|| no(format!("{}'s process does not run", spec.node)))
    }
}

fn find(host: &Host, node: &NodeId) -> io::Result<At> {
    let at = host.shared.board().find(node);
    at.ok_or_else(|| io::Error::other(format!("{node} is no node of this cluster")))
}

impl Target for Hosted {
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
        self.options.speaks.operations()
    }

    fn check_options(&self, options: &Json) -> Result<(), OptionError> {
        TARGET.check_options(options)
    }

    fn carries_lines(&self) -> Option<&'static [&'static str]> {
        TARGET.carries_lines()
    }

    fn attach(&self, network: Arc<dyn Network>, seed: u64) {
        *locked(&self.network) = Some((network, seed));
    }

    fn close(&self) -> Pending<'_, ()> {
        Box::pin(async {
            locked(&self.host).take();
            locked(&self.nodes).clear();
        })
    }

    /// If its pipes cannot be laid, its process cannot be started, and that says why.
    fn launch(&self, spec: &NodeSpec) -> Launch {
        let [stdin, stdout] = match self.lay(spec) {
            Ok(paths) => paths.map(Some),
            Err(why) => {
                let why = PathBuf::from(format!("(no pipes for {}: {why})", spec.id));
                [Some(why.clone()), Some(why)]
            }
        };
        Launch {
            program: Some(self.options.program()),
            args: self.options.args.clone(),
            cwd: self.options.cwd.clone(),
            stdin,
            stdout,
            ..Launch::default()
        }
    }

    fn status(&self, address: SocketAddr) -> Pending<'_, io::Result<Status>> {
        Box::pin(async move {
            let known = locked(&self.nodes)
                .iter()
                .find(|(_, known)| known.listen == address)
                .map(|(id, _)| id.clone());
            let node = known.ok_or_else(|| io::Error::other(format!("no node at {address}")))?;
            self.how_is(&node)
        })
    }

    fn status_of<'a>(&'a self, node: &'a NodeId, _: SocketAddr) -> Pending<'a, io::Result<Status>> {
        Box::pin(async move { self.how_is(node) })
    }

    fn open<'a>(&'a self, spec: &'a ClientSpec) -> Pending<'a, Result<Box<dyn Client>, Reason>> {
        Box::pin(async move { Ok(Box::new(self.dialogue(spec)?) as Box<dyn Client>) })
    }
}
