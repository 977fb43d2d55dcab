//! An adapter that is examined: asked with time limits.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::{sleep, timeout};
use tribunal_results::Reason;

use crate::ClientSpec;
use crate::adapter::message::{Answer, Request};
use crate::adapter::process::Adapter;

/// How long an adapter may take to start and open, beyond its patience: a JVM needs a while.
const START_WITHIN: Duration = Duration::from_secs(10);
/// How much later than its patience an answer may come.
const SLACK: Duration = Duration::from_millis(1500);
/// How often it is looked whether it has ended, and how far apart.
const LOOKS: usize = 200;
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Why there is no answer to trust.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Silence {
    /// None came in time.
    Late,
    /// What came, or why nothing will.
    Wrong(Reason),
}

impl Silence {
    /// In words, with how to mend it.
    pub(super) fn words(&self, what: &str) -> String {
        match self {
            Self::Late => format!(
                "{what}: no answer in time; answer every request with a line, and flush it (print(…, \
                 flush=True) in Python)"
            ),
            Self::Wrong(reason) if reason.code == "adapter-ended" => format!(
                "{what}: {}; catch every error, and answer info or fail",
                reason.text
            ),
            Self::Wrong(reason) => format!(
                "{what}: {}; answer each request once, in order, with its own id",
                reason.text
            ),
        }
    }
}

/// An adapter under examination.
pub(super) struct Trial {
    adapter: Adapter,
    spec: ClientSpec,
}

impl Trial {
    pub(super) fn start(
        command: &[String],
        address: SocketAddr,
        patience: Duration,
    ) -> io::Result<Self> {
        Ok(Self {
            adapter: Adapter::start(command, &[])?,
            spec: ClientSpec {
                process: 1,
                node: "n1".into(),
                address,
                nodes: [].into(),
                timeout: patience,
            },
        })
    }

    pub(super) async fn open(&mut self) -> Result<Answer, Silence> {
        let request = Request::open(&self.spec);
        self.within(START_WITHIN + self.spec.timeout, &request)
            .await
    }

    pub(super) async fn ask(&mut self, request: &Request) -> Result<Answer, Silence> {
        self.within(self.spec.timeout + SLACK, request).await
    }

    async fn within(&mut self, time: Duration, request: &Request) -> Result<Answer, Silence> {
        match timeout(time, self.adapter.ask(request)).await {
            Ok(answer) => answer.map_err(Silence::Wrong),
            Err(_) => Err(Silence::Late),
        }
    }

    /// Asks for all at once, and takes the answers in order.
    pub(super) async fn ask_all(&mut self, requests: &[Request]) -> Result<(), Silence> {
        let time = self.spec.timeout + SLACK;
        let asking = self.adapter.ask_all(requests);
        match timeout(time, asking).await {
            Ok(done) => done.map_err(Silence::Wrong),
            Err(_) => Err(Silence::Late),
        }
    }

    /// Closes its standard input; whether it ends then.
    pub(super) async fn hang_up(mut self) -> bool {
        self.adapter.hang_up();
        for _ in 0..LOOKS {
            if self.adapter.life().has_ended() {
                return true;
            }
            sleep(LOOK_EVERY).await;
        }
        false
    }
}
