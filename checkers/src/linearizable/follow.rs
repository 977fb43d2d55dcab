//! The objects of a history that grows.
//!
//! Registers whose values are unique, queues, counters, semaphores without owners and sets that
//! are asked element by element are followed by algorithms that need no search. All others, and
//! those once the algorithm no longer fits, are searched event by event, from their past on. Keys
//! that a transaction touches together become one object, which is searched from the past of all.
//!
//! What a key's search may take is bounded as in a first attempt at a whole history, and all
//! together by the budget. Where that is not enough, the object is no longer followed, and judged
//! at the end. Of each operation its place is kept, in four bytes; of a search, what one event
//! leaves behind: its configurations, states and distinct steps, but no orders.

mod keys;

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use tribunal_results::{Assumptions, Call, History, Scalar, Verdict};

use self::keys::Keys;
use super::{check, threads};
use crate::engine::Halt;
use crate::exact;
use crate::models::{self, Kind, Search, claims};
use crate::normal::Family;
use crate::register;
use crate::stream::State;
use crate::{Budget, Fold, Moment};

/// Of a place that touches no key.
const NO_KEY: u32 = u32::MAX;

/// All objects, each followed as long as it can be.
pub(super) struct Following {
    keys: Keys,
    /// By the number of the object's first key.
    objects: Vec<Object>,
    /// By place: one of its keys.
    places: Vec<u32>,
    spent: Spent,
    contradicted: bool,
    assume: Assumptions,
    budget: Budget,
}

/// What searches took.
#[derive(Clone, Copy, Debug, Default)]
struct Spent {
    steps: u64,
    bytes: u64,
}

/// An object.
struct Object {
    /// The places of its calls, in order.
    past: Vec<u32>,
    by: By,
    /// With it, or alone.
    search: Option<Box<dyn Search>>,
    /// How many keys the search has room for.
    room: usize,
    /// What the search took.
    spent: Spent,
    /// Whether a search beside the algorithm became too much.
    unsearched: bool,
    /// Whether it is decided, or too much.
    left: bool,
}

/// What follows an object without search.
enum By {
    Nothing,
    Register(Box<register::Followed>),
    Object(Box<exact::Followed>),
}

impl By {
    fn new(kind: Kind, key: &Scalar, assume: &Assumptions) -> Self {
        let family = match kind {
            Kind::Keyed => return Self::Register(Box::default()),
            Kind::List => Family::List,
            Kind::Set => Family::Set,
            Kind::Counter => Family::Counter,
            Kind::Queue => Family::Queue,
            Kind::Stack => Family::Stack,
            Kind::Permits => Family::Semaphore,
        };
        let followed = exact::Followed::new(family, key, assume);
        followed.map_or(Self::Nothing, |it| Self::Object(Box::new(it)))
    }

    fn step(&mut self, place: usize, call: &Call, called: bool) {
        match (self, called) {
            (Self::Nothing, _) => {}
            (Self::Register(register), true) => register.called(call),
            (Self::Register(register), false) => register.returned(call),
            (Self::Object(object), true) => object.called(place, call),
            (Self::Object(object), false) => object.returned(place),
        }
    }

    /// How things stand, and whether there is more to it.
    fn state(&self) -> (State, bool) {
        match self {
            Self::Nothing => (State::Unclear, true),
            Self::Register(register) => (register.state(), register.is_partial()),
            Self::Object(object) => (object.state(), object.is_partial()),
        }
    }
}

impl Following {
    /// Nothing happened yet.
    pub(super) fn new(assume: &Assumptions, budget: Budget) -> Self {
        Self {
            keys: Keys::default(),
            objects: Vec::new(),
            places: Vec::new(),
            spent: Spent::default(),
            contradicted: false,
            assume: assume.clone(),
            budget,
        }
    }

    /// The object of a call, from now on with all its keys.
    fn object_of(&mut self, place: usize, call: &Call) -> Option<u32> {
        let mut object = None;
        let claims = claims(&call.operation);
        let together = call.operation.key().is_none();
        for (key, kind) in claims {
            let number = self.keys.number(key);
            if self.objects.len() <= number as usize {
                let by = kind.map_or(By::Nothing, |kind| By::new(kind, key, &self.assume));
                self.objects.push(Object::new(by));
            }
            self.keys.claim(number, kind, together);
            let root = self.keys.root(number);
            object = match object {
                Some(one) if one != root => Some(self.join(one, root)),
                _ => Some(root),
            };
        }
        let root = object?;
        let own = self.objects.get_mut(root as usize)?;
        if !own.left {
            own.past.push(place as u32);
        }
        if together && !matches!(own.by, By::Nothing) {
            own.restart(&mut self.spent);
        }
        if self.keys.kind(root).is_none() {
            own.leave(&mut self.spent);
        }
        Some(root)
    }

    /// Two objects are one: its root.
    fn join(&mut self, one: u32, other: u32) -> u32 {
        let root = self.keys.join(one, other);
        let gone = if root == one { other } else { one };
        let Some(mut gone) = self.objects.get_mut(gone as usize).map(std::mem::take) else {
            return root;
        };
        gone.restart(&mut self.spent);
        if let Some(own) = self.objects.get_mut(root as usize) {
            own.left |= gone.left;
            // A key that nothing was done to before has no past, and needs only room.
            if !gone.past.is_empty() {
                own.past.append(&mut gone.past);
                own.past.sort_unstable();
                own.restart(&mut self.spent);
            }
        }
        root
    }

    /// Goes on with an object.
    fn step(&mut self, root: u32, history: &History, (place, called): (usize, bool)) {
        let (kind, keys) = (self.keys.kind(root), self.keys.together(root));
        let Some((object, kind)) = self.objects.get_mut(root as usize).zip(kind) else {
            return;
        };
        let Some(call) = history.calls().get(place).filter(|_| !object.left) else {
            return;
        };
        object.by.step(place, call, called);
        let (state, more) = object.by.state();
        if state == State::Contradicted {
            self.contradicted = true;
            return object.leave(&mut self.spent);
        }
        if state == State::Unclear {
            object.by = By::Nothing;
        }
        let search = more && !object.unsearched || state == State::Unclear;
        if !search {
            return;
        }
        if keys.is_some_and(|keys| keys > object.room) {
            object.restart(&mut self.spent);
        }
        let went = match &mut object.search {
            Some(search) if called => search.called(place, call),
            Some(search) => search.returned(place, call),
            None => {
                object.room = keys.map_or(0, usize::next_power_of_two);
                let room = keys.map(|_| object.room);
                let left = Budget {
                    steps: self.budget.steps.saturating_sub(self.spent.steps),
                    bytes: self.budget.bytes,
                };
                let mut search = models::live(kind, room, &self.assume, left);
                let now = if called {
                    Some(call.invoked.index)
                } else {
                    call.returned()
                };
                let went = replay(
                    search.as_mut(),
                    history,
                    &object.past,
                    now.unwrap_or(u64::MAX),
                );
                object.search = Some(search);
                went
            }
        };
        object.account(&mut self.spent);
        let over = self.spent.steps > self.budget.steps || self.spent.bytes > self.budget.bytes;
        if went == Err(Halt::Stuck) {
            self.contradicted = true;
            object.leave(&mut self.spent);
        } else if over || went.is_err() {
            object.give_up(&mut self.spent);
        }
    }
}

impl Fold for Following {
    fn step(&mut self, history: &History, moment: Moment) {
        let (place, called) = match moment {
            Moment::Called(place) => (place, true),
            Moment::Returned(place) => (place, false),
        };
        if called {
            let call = history.calls().get(place);
            let object = call.and_then(|call| self.object_of(place, call));
            self.places.push(object.unwrap_or(NO_KEY));
        }
        match self.places.get(place) {
            Some(&key) if key != NO_KEY => {
                let root = self.keys.root(key);
                self.step(root, history, (place, called));
            }
            _ => {}
        }
    }

    fn contradicted(&self) -> bool {
        self.contradicted
    }

    fn verdict(&self, history: &History) -> Verdict {
        check(history, &self.assume, self.budget, threads(history))
    }
}

impl Default for Object {
    fn default() -> Self {
        Self::new(By::Nothing)
    }
}

impl Object {
    const fn new(by: By) -> Self {
        Self {
            past: Vec::new(),
            by,
            search: None,
            room: 0,
            spent: Spent { steps: 0, bytes: 0 },
            unsearched: false,
            left: false,
        }
    }

    /// Only a search of its past can follow it from now on.
    fn restart(&mut self, all: &mut Spent) {
        (self.by, self.search) = (By::Nothing, None);
        self.account(all);
    }

    /// It is searched no longer.
    fn give_up(&mut self, all: &mut Spent) {
        if matches!(self.by, By::Nothing) {
            return self.leave(all);
        }
        (self.search, self.unsearched) = (None, true);
        self.account(all);
    }

    /// It is followed no longer.
    fn leave(&mut self, all: &mut Spent) {
        self.left = true;
        self.past = Vec::new();
        self.restart(all);
    }

    /// Adds what the search took since the last time.
    fn account(&mut self, all: &mut Spent) {
        let search = self.search.as_ref();
        let now = search.map_or(Spent::default(), |search| Spent {
            steps: search.steps(),
            bytes: search.bytes(),
        });
        all.steps += now.steps.saturating_sub(self.spent.steps);
        all.bytes = (all.bytes + now.bytes).saturating_sub(self.spent.bytes);
        self.spent = now;
    }
}

/// Takes a search through all that happened to its object until the event of that index.
fn replay(search: &mut dyn Search, history: &History, past: &[u32], now: u64) -> Result<(), Halt> {
    let mut due: BinaryHeap<Reverse<(u64, usize)>> = BinaryHeap::new();
    let end = |search: &mut dyn Search, due: &mut BinaryHeap<_>, until: u64| {
        while let Some(&Reverse((index, place))) = due.peek()
            && index <= until
        {
            due.pop();
            if let Some(call) = history.calls().get(place) {
                search.returned(place, call)?;
            }
        }
        Ok(())
    };
    for &place in past {
        let place = place as usize;
        if let Some(call) = history.calls().get(place) {
            end(search, &mut due, call.invoked.index)?;
            search.called(place, call)?;
            due.extend(call.returned().map(|index| Reverse((index, place))));
        }
    }
    end(search, &mut due, now)
}
