//! Generators: what to ask next, as pure values.
//!
//! # Contract
//! The scheduler asks a generator with [`Generator::offer`], which takes `&self`: an offer that
//! is not taken has changed nothing, and is asked for again (so a draw of chance made for it is
//! made again the same way until something is taken; see [`Chance`]). When the scheduler takes an
//! offer it says so with [`Generator::taken`], and when the operation ends with
//! [`Generator::completed`]; only these change the generator. Both carry the proposal's
//! [`Route`], by which each combinator finds the very child that made it.
//!
//! - A generator that is exhausted stays exhausted, whatever happens.
//! - A generator that waits for a time proposes for that time ([`Proposal::at`]); [`Offer::Pending`]
//!   is for what only a taken or completed operation can change. So pending with nothing
//!   outstanding is a mistake, which [`simulate`] reports as [`simulate::End::Stuck`].
//! - Time never runs backwards, and the range of threads given to a generator never changes.
//! - The scheduler tells of each operation taken exactly once, and of its end exactly once; it may
//!   take the latest offer, at any time from [`Proposal::at`] on. Completions are told before new offers are
//!   asked for.
//!
//! # What there is
//! | generator | what it does |
//! |---|---|
//! | [`FromFn`], [`FromFn::list`] | operations from a seeded function, or from a list |
//! | [`Mix`] | a weighted choice for each operation |
//! | [`Any`] | whichever child is soonest |
//! | [`Reserve`] | each child has threads of its own, so that none starves another |
//! | [`EachThread`] | a fresh copy for each thread |
//! | [`PerKey`] | groups of threads, each on one key at a time, keys never used again |
//! | [`Sequence`], [`Sequence::phases`] | one child after another; or with a barrier between |
//! | [`Stagger`] | a total rate |
//! | [`Limit`], [`TimeLimit`] | so many operations; so much time |
//! | [`Rest`] | not before some time has passed |
//! | [`UntilOk`] | again until one succeeds |
//! | [`Deferred`] | made when it is first asked |
//!
//! [`simulate`] runs any of them in virtual time.

mod any;
mod chance;
mod deferred;
mod each_thread;
mod from_fn;
mod limit;
mod mix;
mod per_key;
mod reserve;
mod rest;
mod sequence;
pub mod simulate;
mod soonest;
mod stagger;
mod time_limit;
mod until_ok;

pub use any::Any;
pub use chance::{Chance, Seed};
pub use deferred::Deferred;
pub use each_thread::EachThread;
pub use from_fn::FromFn;
pub use limit::Limit;
pub use mix::Mix;
pub use per_key::{KeyTurn, PerKey, RecentKeys};
pub use reserve::Reserve;
pub use rest::Rest;
pub use sequence::Sequence;
pub use stagger::Stagger;
pub use time_limit::TimeLimit;
pub use until_ok::UntilOk;

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
    /// When each thread was taken last, as a number of takes; 0 if never.
    last: Vec<u64>,
    takes: u64,
}

impl Threads {
    /// `count` free threads; thread `t` carries process `t`.
    pub fn new(count: usize) -> Self {
        Self {
            process: (0..count as u64).collect(),
            free: vec![true; count],
            last: vec![0; count],
            takes: 0,
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

    /// The free threads among `range`, beginning with the one that was taken the longest ago, so
    /// that work is spread fairly within each range, however ranges take turns.
    pub fn free_in(&self, range: std::ops::Range<usize>) -> impl Iterator<Item = usize> + '_ {
        let range = range.start..range.end.min(self.count());
        let start = range
            .clone()
            .filter(|&thread| self.is_free(thread))
            .min_by_key(|&thread| self.last.get(thread))
            .unwrap_or(range.end);
        (start..range.end)
            .chain(range.start..start)
            .filter(|&thread| self.is_free(thread))
    }

    /// Marks a thread as busy.
    pub fn take(&mut self, thread: usize) {
        if let (Some(free), Some(last)) = (self.free.get_mut(thread), self.last.get_mut(thread)) {
            *free = false;
            self.takes += 1;
            *last = self.takes;
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

    /// Whether every thread that this generator may use is free.
    pub fn all_free(&self) -> bool {
        self.range
            .clone()
            .all(|thread| self.threads.is_free(thread))
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

impl Proposal {
    /// An operation for a thread, proposed by the generator at the root of the route.
    pub fn new(thread: usize, at: Nanos, operation: Operation) -> Self {
        Self {
            thread,
            at,
            operation,
            route: Route::new(),
        }
    }

    /// The same as passed on by the parent whose child number `child` made it.
    #[must_use]
    pub fn through(mut self, child: usize) -> Self {
        self.route.push(child as u32);
        self
    }
}

/// The child that a route leads to, and the rest of the route for that child: the inverse of
/// [`Proposal::through`].
pub fn follow(route: &[u32]) -> Option<(usize, &[u32])> {
    let (child, rest) = route.split_last()?;
    Some((*child as usize, rest))
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

    /// A proposal of this generator was taken, and is being invoked at the view's time. `route`
    /// is what is left of the proposal's route for this generator; the proposal's own route, and
    /// its time, are those of the whole. Whether the thread is marked as busy already is not said.
    fn taken(&mut self, view: &View<'_>, proposal: &Proposal, route: &[u32]);

    /// An operation that this generator proposed has ended.
    fn completed(&mut self, view: &View<'_>, completion: &Completion<'_>, route: &[u32]);
}

impl<G: Generator + ?Sized> Generator for Box<G> {
    fn offer(&self, view: &View<'_>) -> Offer {
        (**self).offer(view)
    }

    fn taken(&mut self, view: &View<'_>, proposal: &Proposal, route: &[u32]) {
        (**self).taken(view, proposal, route);
    }

    fn completed(&mut self, view: &View<'_>, completion: &Completion<'_>, route: &[u32]) {
        (**self).completed(view, completion, route);
    }
}
