//! The adapters of one run: started when a client needs one, used again, and none left behind.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{sleep, timeout};
use tribunal_results::Reason;

use super::client::AdapterClient;
use super::message::{Ending, Request};
use super::process::{Adapter, Life};
use crate::{Client, ClientSpec};

/// How often, and how far apart, it is looked whether killed adapters have ended.
const LOOKS: usize = 1000;
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// How long a new process may take to start, beyond what opening a connection may: interpreters
/// and virtual machines need a while.
pub const START_WITHIN: Duration = Duration::from_secs(10);

/// The adapters of one run.
#[derive(Debug)]
pub struct Pool {
    command: Vec<String>,
    env: Vec<(String, String)>,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    mark: Vec<(String, String)>,
    /// Those that have answered everything, whose client is gone.
    idle: Vec<Adapter>,
    /// Every one that may still run.
    alive: Vec<Arc<Life>>,
    is_closed: bool,
}

impl Pool {
    /// Adapters that are started by that command.
    pub fn new(command: Vec<String>, env: Vec<(String, String)>) -> Self {
        Self {
            command,
            env,
            inner: Mutex::default(),
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What every one must have in its environment besides.
    pub fn mark(&self, mark: &[(String, String)]) {
        self.inner().mark = mark.to_vec();
    }

    /// Opens a connection, by an adapter that is idle or a new one.
    ///
    /// # Errors
    /// Why there is none. No operation has been sent.
    pub async fn open(self: &Arc<Self>, spec: &ClientSpec) -> Result<Box<dyn Client>, Reason> {
        let idle = self.inner().idle.pop();
        let closed = match idle {
            Some(idle) => closed(idle, spec.timeout).await,
            None => None,
        };
        let (mut adapter, within) = match closed {
            Some(adapter) => (adapter, spec.timeout),
            None => (self.start()?, spec.timeout + START_WITHIN),
        };
        let answer = timeout(within, adapter.ask(&Request::open(spec))).await;
        let answer = answer.unwrap_or_else(|_| {
            let text = format!("the adapter did not open within {within:?}");
            Err(Reason::new("no-connection", text))
        })?;
        if answer.ending != Ending::Ok {
            let Reason { code, text } = answer.reason();
            self.give_back(adapter);
            let text = format!("{}: {code} {text}", spec.node);
            return Err(Reason::new("no-connection", text.trim_end()));
        }
        Ok(Box::new(AdapterClient::new(adapter, Arc::clone(self))))
    }

    fn start(&self) -> Result<Adapter, Reason> {
        let failed = |text: String| Reason::new("no-adapter", text);
        let mut inner = self.inner();
        if inner.is_closed {
            return Err(failed("the run is over".into()));
        }
        inner.alive.retain(|life| !life.has_ended());
        let env = [self.env.as_slice(), inner.mark.as_slice()].concat();
        let adapter =
            Adapter::start(&self.command, &env).map_err(|error| failed(error.to_string()))?;
        inner.alive.push(Arc::clone(adapter.life()));
        Ok(adapter)
    }

    /// Takes one back whose client is gone; one that owes an answer is killed.
    pub(super) fn give_back(&self, adapter: Adapter) {
        let mut inner = self.inner();
        if adapter.is_usable() && !inner.is_closed {
            inner.idle.push(adapter);
        }
    }

    /// Ends all of them, and waits until they are gone. None is started after this.
    pub async fn close(&self) {
        let alive = {
            let mut inner = self.inner();
            inner.is_closed = true;
            inner.idle.clear();
            std::mem::take(&mut inner.alive)
        };
        alive.iter().for_each(|life| life.kill());
        for _ in 0..LOOKS {
            if alive.iter().all(|life| life.has_ended()) {
                return;
            }
            sleep(LOOK_EVERY).await;
        }
    }
}

/// The adapter, once it has closed the connection of its last client; `None` if it has not in time.
async fn closed(mut adapter: Adapter, within: Duration) -> Option<Adapter> {
    let answer = timeout(within, adapter.ask(&Request::Close)).await.ok()?;
    let is_closed = answer.is_ok_and(|answer| answer.ending == Ending::Ok);
    is_closed.then_some(adapter)
}
