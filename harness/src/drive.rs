//! Drives clients: asks the generator, records the invocation, lets a worker ask the system,
//! records how it ended.
//!
//! One scheduler owns the generator; each thread of the workload is a worker task with a
//! [`Session`] of its own. Completions are taken before new invocations, an operation offered for
//! later is discarded and asked for again, and the end waits for all that is outstanding (each
//! session bounds its operations by the plan's timeout). What a client that a fault has stopped is
//! about to begin waits until it may go on ([`Holds`]), and is recorded as invoked only then; when
//! the time is over, all go on.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tribunal_results::{Body, NodeId, Operation, Outcome, Process, Reason};
use tribunal_targets::client::Session;
use tribunal_workloads::generator::{Completion, Generator, Offer, Proposal, Route, Threads, View};

use tribunal_nemesis::client::Clients as _;

use crate::clock::nanos;
use crate::holds::Holds;
use crate::recorder::Recorder;

/// How long the scheduler waits at most before it asks a pending generator again.
const PENDING_WAIT: Duration = Duration::from_millis(5);

/// What a worker reports.
struct Done {
    thread: usize,
    outcome: Outcome,
    /// The worker panicked and is gone.
    lost: bool,
}

/// What a thread has outstanding.
struct Outstanding {
    operation: Operation,
    node: Option<NodeId>,
    process: u64,
    route: Route,
}

/// Makes a session with a node, given by its number, for a process.
pub type OpenSession = Arc<dyn Fn(usize, u64) -> Session + Send + Sync>;

/// What a worker is asked to do: at which node, as which process, and what.
type Request = (usize, u64, Operation);

/// The clients of a run, from its first operation to its last.
pub struct Clients {
    threads: Threads,
    nodes: Vec<NodeId>,
    /// After how many operations each moves to the next node, if ever.
    moves_after: Option<u64>,
    /// How many operations each thread has begun.
    begun: Vec<u64>,
    workers: Vec<mpsc::Sender<Request>>,
    outstanding: Vec<Option<Outstanding>>,
    busy: usize,
    /// What clients that are stopped are about to begin.
    kept: Vec<Proposal>,
    holds: Arc<Holds>,
    /// Changes when any of them is stopped or goes on.
    held: watch::Receiver<u64>,
    done: mpsc::Receiver<Done>,
    report: mpsc::Sender<Done>,
    open: OpenSession,
    recorder: Arc<Recorder>,
}

impl Clients {
    /// `count` clients; thread `t` begins at node `t % nodes`, and stays there unless it moves.
    /// Must be called in a runtime.
    pub fn start(
        count: usize,
        nodes: Vec<NodeId>,
        moves_after: Option<u64>,
        recorder: Arc<Recorder>,
        open: OpenSession,
        holds: Arc<Holds>,
    ) -> Self {
        let (report, done) = mpsc::channel(count.max(1));
        let mut clients = Self {
            threads: Threads::new(count),
            nodes,
            moves_after,
            begun: vec![0; count],
            workers: Vec::with_capacity(count),
            outstanding: (0..count).map(|_| None).collect(),
            busy: 0,
            kept: Vec::new(),
            held: holds.changes(),
            holds,
            done,
            report,
            open,
            recorder,
        };
        for thread in 0..count {
            let worker = clients.spawn(thread);
            clients.workers.push(worker);
        }
        clients
    }

    /// Runs a generator until it is exhausted, told to stop, or out of time, or the record is
    /// lost, and then until nothing is outstanding.
    pub async fn run_for(
        &mut self,
        time: Duration,
        generator: &mut dyn Generator,
        stop: &mut watch::Receiver<bool>,
    ) {
        let end = self.recorder.clock().now().saturating_add(nanos(time));
        let mut open = true;
        while open || self.busy > 0 || !self.kept.is_empty() {
            while let Ok(done) = self.done.try_recv() {
                self.complete(done, generator);
            }
            let now = self.recorder.clock().now();
            open = open && !*stop.borrow() && now < end && !self.recorder.is_lost();
            if !open {
                self.holds.release_all();
            }
            self.go_on(generator).await;
            let offer = if open {
                generator.offer(&self.view(now))
            } else {
                Offer::Exhausted
            };
            match offer {
                Offer::Exhausted => {
                    open = false;
                    self.wait(generator, stop, None).await;
                }
                Offer::Pending => {
                    self.wait(generator, stop, Some(now + nanos(PENDING_WAIT)))
                        .await
                }
                Offer::Invoke(proposal) if proposal.at > now => {
                    self.wait(generator, stop, Some(proposal.at.min(end))).await;
                }
                Offer::Invoke(proposal) => self.invoke(proposal, generator).await,
            }
        }
    }

    fn view(&self, time: u64) -> View<'_> {
        View {
            time,
            threads: &self.threads,
            range: 0..self.threads.count(),
        }
    }

    /// The node that a thread asks next, as a number.
    fn node_of(&self, thread: usize) -> usize {
        let nth = self.begun.get(thread).copied().unwrap_or(0);
        tribunal_workloads::node_of(thread, nth, self.moves_after, self.nodes.len())
    }

    async fn invoke(&mut self, proposal: Proposal, generator: &mut dyn Generator) {
        let process = self.threads.process(proposal.thread);
        let is_kept = self.holds.keeps(process, &proposal.operation);
        let now = match is_kept {
            true => self.recorder.clock().now(),
            false => self.record(&proposal),
        };
        generator.taken(&self.view(now), &proposal, &proposal.route);
        self.threads.take(proposal.thread);
        match is_kept {
            true => self.kept.push(proposal),
            false => self.ask(proposal, generator).await,
        }
    }

    /// Begins what clients were kept from that are stopped no longer.
    async fn go_on(&mut self, generator: &mut dyn Generator) {
        let (threads, holds) = (&self.threads, &self.holds);
        let goes_on = |kept: &mut Proposal| !holds.is_stopped(threads.process(kept.thread));
        let begun: Vec<Proposal> = self.kept.extract_if(.., goes_on).collect();
        for proposal in begun {
            self.record(&proposal);
            self.ask(proposal, generator).await;
        }
    }

    /// Records the invocation; returns when it was.
    fn record(&self, proposal: &Proposal) -> u64 {
        let process = self.threads.process(proposal.thread);
        self.holds.begun(process, &proposal.operation);
        let node = self.nodes.get(self.node_of(proposal.thread)).cloned();
        let body = Body::Invoke(proposal.operation.clone());
        self.recorder.record(Process::Client(process), node, body)
    }

    /// Hands an invocation to the thread's worker.
    async fn ask(&mut self, proposal: Proposal, generator: &mut dyn Generator) {
        let Proposal {
            thread,
            operation,
            route,
            ..
        } = proposal;
        let (process, at) = (self.threads.process(thread), self.node_of(thread));
        let node = self.nodes.get(at).cloned();
        let request = (at, process, operation.clone());
        if let Some(begun) = self.begun.get_mut(thread) {
            *begun += 1;
        }
        if let Some(slot) = self.outstanding.get_mut(thread) {
            *slot = Some(Outstanding {
                operation,
                node,
                process,
                route,
            });
            self.busy += 1;
        }
        // A worker holds one operation at a time, so there is room; if it is gone, say so.
        let sent = match self.workers.get(thread) {
            Some(worker) => worker.send(request).await.is_ok(),
            None => false,
        };
        if !sent {
            let outcome = Outcome::Fail(Reason::new("no-worker", "the client's task is gone"));
            self.complete(
                Done {
                    thread,
                    outcome,
                    lost: true,
                },
                generator,
            );
        }
    }

    /// Waits for a completion, the stop signal or a time, whichever is first.
    async fn wait(
        &mut self,
        generator: &mut dyn Generator,
        stop: &mut watch::Receiver<bool>,
        until: Option<u64>,
    ) {
        let deadline = until.map(|at| self.recorder.clock().moment(at).into());
        let stopped = *stop.borrow();
        if self.busy == 0 && (deadline.is_none() || stopped) {
            return;
        }
        let timer = async {
            match deadline {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            done = self.done.recv() => {
                if let Some(done) = done {
                    self.complete(done, generator);
                }
            }
            _ = stop.changed(), if !stopped => {}
            _ = self.held.changed(), if !self.kept.is_empty() => {}
            () = timer => {}
        }
    }

    fn complete(&mut self, done: Done, generator: &mut dyn Generator) {
        let Done {
            thread,
            outcome,
            lost,
        } = done;
        let Some(Outstanding {
            operation,
            node,
            process,
            route,
        }) = self.outstanding.get_mut(thread).and_then(Option::take)
        else {
            return;
        };
        self.busy -= 1;
        self.holds
            .completed(process, node.as_ref(), &operation, &outcome);
        let body = Body::Complete(operation.clone(), outcome.clone());
        let now = self.recorder.record(Process::Client(process), node, body);
        self.threads.give_back(thread, false);
        let completion = Completion {
            thread,
            process,
            operation: &operation,
            outcome: &outcome,
        };
        generator.completed(&self.view(now), &completion, &route);
        self.threads
            .give_back(thread, matches!(outcome, Outcome::Info(_)));
        if lost {
            let worker = self.spawn(thread);
            if let Some(slot) = self.workers.get_mut(thread) {
                *slot = worker;
            }
        }
    }

    fn spawn(&self, thread: usize) -> mpsc::Sender<Request> {
        let (requests, mut inbox) = mpsc::channel::<Request>(1);
        let (mut at, process) = (self.node_of(thread), self.threads.process(thread));
        let open = Arc::clone(&self.open);
        let mut session = open(at, process);
        let report = self.report.clone();
        tokio::spawn(async move {
            let mut current = process;
            while let Some((node, process, operation)) = inbox.recv().await {
                if node != at {
                    session = session.moved(open(node, process));
                    at = node;
                }
                if process != current {
                    session.renumber(process);
                    current = process;
                }
                let mut reply = Reply {
                    thread,
                    report: report.clone(),
                    outcome: None,
                };
                reply.outcome = Some(session.perform(&operation).await);
            }
        });
        requests
    }
}

/// Reports when it is dropped, so that a worker that panics reports too.
struct Reply {
    thread: usize,
    report: mpsc::Sender<Done>,
    outcome: Option<Outcome>,
}

impl Drop for Reply {
    fn drop(&mut self) {
        let lost = self.outcome.is_none();
        let outcome = self.outcome.take().unwrap_or_else(|| {
            Outcome::Info(Reason::new("client-panicked", "the client's code panicked"))
        });
        // The channel has room for one report of each thread; it is closed only after the run.
        let _closed = self.report.try_send(Done {
            thread: self.thread,
            outcome,
            lost,
        });
    }
}
