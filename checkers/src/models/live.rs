//! Objects whose calls become known one by one, searched on their way.
//!
//! What the batch knows from the whole history, such as that nobody ever sees an element, is not
//! known here: so nothing is left out, and the search is the plain one, with all its
//! configurations. It halts where those become too many, and only the whole history can tell.

mod readers;

use tribunal_results::{Assumptions, Call};

use super::Kind;
use crate::Budget;
use crate::engine::{self, Breadth, Forward, Halt, Log, Slot};
use crate::model::{Model, Op};

/// An object on its way through its calls. After it has halted nothing more may be asked of it.
pub(crate) trait Search: Send {
    /// An operation is called, the one at that place in the history.
    ///
    /// # Errors
    /// If the search cannot go on.
    fn called(&mut self, place: usize, call: &Call) -> Result<(), Halt>;

    /// It returns.
    ///
    /// # Errors
    /// If what was called has no order, or the search cannot go on.
    fn returned(&mut self, place: usize, call: &Call) -> Result<(), Halt>;

    /// The steps taken so far.
    fn steps(&self) -> u64;

    /// Bytes of memory held, roughly.
    fn bytes(&self) -> u64;
}

/// The search of an object of that kind; if transactions touch it, with room for so many keys.
pub(crate) fn live(
    kind: Kind,
    room: Option<usize>,
    assume: &Assumptions,
    budget: Budget,
) -> Box<dyn Search> {
    use readers::{Counters, Keys, Permits, Queues, Registers, Sets, Stacks};
    match (kind, room) {
        (Kind::Keyed, None) => Live::boxed(Registers::default(), budget),
        (Kind::Keyed | Kind::List, room) => Live::boxed(Keys::room_for(room.unwrap_or(1)), budget),
        (Kind::Set, _) => Live::boxed(Sets::default(), budget),
        (Kind::Counter, _) => Live::boxed(Counters, budget),
        (Kind::Queue, _) => Live::boxed(Queues::default(), budget),
        (Kind::Stack, _) => Live::boxed(Stacks::default(), budget),
        (Kind::Permits, _) => Live::boxed(Permits::new(assume), budget),
    }
}

/// What calls do to an object, read in the order of invocation.
trait Reader {
    /// The object.
    type Model: Model<State: Send, Step: Send> + Send;

    /// The object before anything happened to it.
    fn model(&self) -> Self::Model;

    /// What becomes possible by itself before an event at that time.
    fn before(&mut self, time: u64) -> Vec<StepOf<Self>> {
        let _ = time;
        Vec::new()
    }

    /// What a call did; if it has no end, what it may have done.
    fn read(&mut self, call: &Call, model: &Self::Model) -> Vec<StepOf<Self>>;

    /// What may happen at any time from this call on, besides.
    fn besides(&mut self, call: &Call) -> Vec<StepOf<Self>> {
        let _ = call;
        Vec::new()
    }
}

type StepOf<R> = <<R as Reader>::Model as Model>::Step;

struct Live<R: Reader> {
    reader: R,
    forward: Forward<R::Model>,
    /// Calls that have not returned yet, by their places, and what of theirs is open.
    open: Vec<(usize, Slot)>,
    operations: usize,
    limit: u64,
}

impl<R: Reader + Send + 'static> Live<R> {
    fn boxed(reader: R, budget: Budget) -> Box<dyn Search> {
        let forward = Forward::new(reader.model(), budget, Breadth::All, Log::none());
        Box::new(Self {
            reader,
            forward,
            open: Vec::new(),
            operations: 0,
            limit: budget.steps,
        })
    }

    fn offer(&mut self, event: u64, steps: Vec<StepOf<R>>) -> Result<(), Halt> {
        for step in steps {
            self.forward.called(0, &Op::new(event, None, step))?;
        }
        Ok(())
    }
}

impl<R: Reader + Send + 'static> Search for Live<R> {
    fn called(&mut self, place: usize, call: &Call) -> Result<(), Halt> {
        self.operations += 1;
        let quick = engine::quick_steps(self.operations);
        self.forward.allow(quick.min(self.limit));
        let event = call.invoked.index;
        let possible = self.reader.before(call.invoked.time);
        self.offer(event, possible)?;
        for step in self.reader.read(call, self.forward.model()) {
            let ret = call.returned();
            let slot = self.forward.called(0, &Op::new(event, ret, step))?;
            if ret.is_some() {
                self.open.push((place, slot));
            }
        }
        let besides = self.reader.besides(call);
        self.offer(event, besides)
    }

    fn returned(&mut self, place: usize, call: &Call) -> Result<(), Halt> {
        if let Some(stamp) = call.completed {
            let possible = self.reader.before(stamp.time);
            self.offer(stamp.index, possible)?;
        }
        while let Some(at) = self.open.iter().position(|(open, _)| *open == place) {
            let (_, slot) = self.open.remove(at);
            self.forward.returned(slot)?;
        }
        Ok(())
    }

    fn steps(&self) -> u64 {
        self.forward.steps()
    }

    fn bytes(&self) -> u64 {
        self.forward.bytes()
    }
}
