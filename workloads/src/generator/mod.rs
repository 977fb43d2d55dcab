//! Generators: what to ask next, as pure values.
//!
//! The scheduler asks a generator with [`Generator::offer`], which takes `&self`: an offer that
//! is not taken has changed nothing, and is asked for again (so a draw of chance made for it is
//! made again the same way until something is taken). When the scheduler takes an offer it says
//! so with [`Generator::taken`], and when the operation ends with [`Generator::completed`]; only
//! these change the generator. Both carry the proposal's [`Route`], by which each combinator
//! finds the very child that made it.

use smallvec::SmallVec;
use tribunal_results::{Nanos, Operation, Outcome};

/// Which child of each combinator made a proposal, the innermost first: combinators `push` when
/// they offer and `split_last` when they are told.
pub type Route = SmallVec<[u32; 6]>;

/// The client threads as the scheduler sees them. A thread carries one process at a time; after
/// an unknown outcome it goes on as a new process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Threads {
    process: Vec<u64>,
    free: Vec<bool>,
    cursor: usize,
}

impl Threads {
    /// `count` free threads; thread `t` carries process `t`.
    pub fn new(count: usize) -> Self {
        Self {
            process: (0..count as u64).collect(),
            free: vec![true; count],
            cursor: 0,
        }
    }

    /// How many threads there are.
    pub fn count(&self) -> usize {
        self.free.len()
    }

    /// Whether the thread waits for something to do.
    pub fn is_free(&self, thread: usize) -> bool {
        self.free.get(thread).copied().unwrap_or(false)
    }

    /// The process that a thread carries.
    pub fn process(&self, thread: usize) -> u64 {
        self.process.get(thread).copied().unwrap_or_default()
    }

    /// The free threads among `range`, beginning after the one that was taken last, so that work
    /// is spread fairly.
    pub fn free_in(&self, range: std::ops::Range<usize>) -> impl Iterator<Item = usize> + '_ {
        let start = self.cursor.clamp(range.start, range.end);
        (start..range.end)
            .chain(range.start..start)
            .filter(|&thread| self.is_free(thread))
    }

    /// Marks a thread as busy.
    pub fn take(&mut self, thread: usize) {
        if let Some(free) = self.free.get_mut(thread) {
            *free = false;
        }
        self.cursor = thread + 1;
        if self.cursor >= self.free.len() {
            self.cursor = 0;
        }
    }

    /// Marks a thread as free again; as a new process if the old one ended unknown.
    pub fn give_back(&mut self, thread: usize, retire: bool) {
        let count = self.free.len() as u64;
        if let (Some(free), Some(process)) =
            (self.free.get_mut(thread), self.process.get_mut(thread))
        {
            *free = true;
            if retire {
                *process += count;
            }
        }
    }
}

/// What a generator may look at.
#[derive(Clone, Debug)]
pub struct View<'a> {
    /// Now, in nanoseconds since the run's origin.
    pub time: Nanos,
    /// All threads.
    pub threads: &'a Threads,
    /// The threads that this generator may use.
    pub range: std::ops::Range<usize>,
}

impl View<'_> {
    /// The free threads that this generator may use, fairly ordered.
    pub fn free(&self) -> impl Iterator<Item = usize> + '_ {
        self.threads.free_in(self.range.clone())
    }

    /// The same view narrowed to a range of threads.
    pub fn narrowed(&self, range: std::ops::Range<usize>) -> View<'_> {
        let start = range.start.max(self.range.start);
        let end = range.end.min(self.range.end).max(start);
        View {
            time: self.time,
            threads: self.threads,
            range: start..end,
        }
    }
}

/// An operation that could be invoked.
#[derive(Clone, Debug, PartialEq)]
pub struct Proposal {
    /// The thread to invoke it; free, and within the view's range.
    pub thread: usize,
    /// When: not before this time. If it lies in the future the scheduler waits, and asks again
    /// if anything happens meanwhile.
    pub at: Nanos,
    /// What to invoke.
    pub operation: Operation,
    /// Who proposed it.
    pub route: Route,
}

/// What a generator says when asked.
#[derive(Clone, Debug, PartialEq)]
pub enum Offer {
    /// This could be next.
    Invoke(Proposal),
    /// Nothing until something happens (a completion, or time going by up to the next one).
    Pending,
    /// Nothing, ever again.
    Exhausted,
}

/// How an operation ended, as generators are told. The thread is free already, and still carries
/// the process that invoked.
#[derive(Clone, Debug)]
pub struct Completion<'a> {
    /// The thread that invoked it.
    pub thread: usize,
    /// The process that it was.
    pub process: u64,
    /// What was asked.
    pub operation: &'a Operation,
    /// How it ended.
    pub outcome: &'a Outcome,
}

/// Decides what to ask next. See the module's description for the contract.
pub trait Generator: Send {
    /// What could be asked next. Changes nothing.
    fn offer(&self, view: &View<'_>) -> Offer;

    /// A proposal of this generator was taken. `route` is what is left of the proposal's route
    /// for this generator.
    fn taken(&mut self, view: &View<'_>, proposal: &Proposal, route: &[u32]);

    /// An operation that this generator proposed has ended.
    fn completed(&mut self, view: &View<'_>, completion: &Completion<'_>, route: &[u32]);
}
