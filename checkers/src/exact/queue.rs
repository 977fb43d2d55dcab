//! A first-in-first-out queue whose elements are each enqueued at most once.
//!
//! An element is certain to be there from the return of its enqueue to the call of its dequeue.
//! The queue is linearizable exactly if each element was dequeued at most once and not before it
//! was enqueued; no element was dequeued while another, enqueued entirely before, was still there
//! for certain; and each dequeue that found nothing has an instant at which no element was certain
//! to be there (Henzinger, Sezgin & Vafeiadis, *Aspect-oriented linearizability proofs*, CONCUR
//! 2013). All that shows in one pass over the events, with the elements that are there in the
//! order of the returns of their enqueues.
//!
//! A dequeue of unknown end may have taken any element. An element that was overtaken and is
//! never seen again must have been taken by one that was called before; since those that are
//! overtaken first must be taken first, it is enough to count. If a dequeue finds nothing after
//! such dequeues were called, though elements seem to be there, a search must decide.
//!
//! A drain that overlaps no other operation is a sequence of dequeues, the last of which found
//! nothing. One that overlaps others is left to a search.

use std::collections::VecDeque;

use tribunal_results::Kind;

use super::{Contradiction, Decision, Forward, Part, forward, found};
use crate::normal::{Columns, NONE, OPEN, Row};

/// Decides a queue; `None` if an element was enqueued twice, drains overlap, or it is unclear what
/// dequeues of unknown end took.
pub(super) fn decide(object: &Columns) -> Option<Decision> {
    if !puts_are_unique(object) {
        return None;
    }
    let mut queue = Queue {
        unique: true,
        ..Queue::default()
    };
    forward::run(&mut queue, object);
    if queue.unfit {
        return None;
    }
    match queue.wrong {
        Some(wrong) => Some(found(Some(queue.tell(object, wrong)))),
        None if queue.doubt => None,
        None => Some(Decision::Linearizable),
    }
}

/// Whether no element is put there twice.
fn puts_are_unique(object: &Columns) -> bool {
    let mut put = vec![false; object.numbers()];
    let mut puts = object.rows().filter(|row| row.kind == Kind::Enqueue);
    let again = |row: Row| {
        put.get_mut(row.argument as usize)
            .is_none_or(|put| std::mem::replace(put, true))
    };
    !puts.any(again)
}

/// What is known of an element.
#[derive(Clone, Copy, Debug)]
struct Element {
    /// Place of its enqueue, once called; [`OPEN`] before.
    put: u32,
    /// Call of its enqueue.
    put_call: u32,
    /// Return of its enqueue; [`OPEN`] before.
    put_ret: u32,
    /// Place of its dequeue, once called; [`OPEN`] before.
    taken: u32,
    /// Call of its dequeue; [`OPEN`] before.
    taken_call: u32,
    /// Whether that has returned.
    was_taken: bool,
    /// The element that overtook it, so that a dequeue of unknown end must have taken it.
    overtaken: u32,
}

impl Element {
    const UNSEEN: Self = Self {
        put: OPEN,
        put_call: OPEN,
        put_ret: OPEN,
        taken: OPEN,
        taken_call: OPEN,
        was_taken: false,
        overtaken: NONE,
    };

    /// Whether it is there for certain.
    const fn present(&self) -> bool {
        self.put_ret != OPEN && self.taken_call == OPEN && self.overtaken == NONE
    }
}

/// What was found, before it is told.
#[derive(Clone, Copy, Debug)]
enum Wrong {
    /// An element was taken that was not put by then.
    Unput { taker: u32, value: u32 },
    /// An element was taken twice.
    Twice { taker: u32, value: u32 },
    /// The second was taken though the first, put before, was there.
    Overtaken { first: u32, second: u32, taker: u32 },
    /// Elements were overtaken and are gone, and too few dequeues may have taken them.
    Lost { last: u32, by: u32 },
    /// Nothing was found though something was there.
    Nonempty { taker: u32, call: u32, ret: u32 },
}

/// The queue so far.
#[derive(Clone, Debug, Default)]
pub struct Queue {
    elements: Vec<Element>,
    /// Elements in the order in which their enqueues returned, with those gone in between.
    line: VecDeque<u32>,
    /// How many are there for certain.
    present: usize,
    /// Since when there was always one.
    since: u32,
    /// Dequeues of unknown end, and whether a drain is among them.
    lost_takers: Vec<u32>,
    drain_lost: bool,
    /// Elements that they must have taken.
    swallowed: Vec<u32>,
    /// Operations that have not returned but will, and the open drain.
    running: usize,
    draining: Option<usize>,
    /// What is wrong once that operation has returned, unless its element is put again by then.
    due: Vec<(u32, Wrong)>,
    /// Whether it is known that nothing will be put there twice.
    unique: bool,
    unfit: bool,
    doubt: bool,
    wrong: Option<Wrong>,
}

impl Forward for Queue {
    #[inline]
    fn called(&mut self, _object: &Columns, at: usize, row: &Row) {
        self.unfit |= self.draining.is_some() && row.ret != OPEN;
        self.running += usize::from(row.ret != OPEN);
        match row.kind {
            Kind::Enqueue => self.put_called(row),
            _ if row.ret == OPEN => {
                self.drain_lost |= row.kind == Kind::Drain;
                self.lost_takers.push(row.place);
            }
            Kind::Drain if self.running == 1 => self.draining = Some(at),
            Kind::Drain => self.unfit = true,
            _ if row.answer != NONE => self.take_called(row.answer, row.place, row.call),
            _ => {}
        }
    }

    #[inline]
    fn returned(&mut self, object: &Columns, _at: usize, row: &Row) {
        self.running = self.running.saturating_sub(1);
        match row.kind {
            Kind::Enqueue => self.put_returned(row),
            Kind::Drain => self.drained(object, row),
            _ if row.answer == NONE => self.found_nothing(row),
            _ => self.take_returned(row.answer, row),
        }
    }

    fn decided(&self) -> bool {
        self.unfit || self.wrong.is_some()
    }

    fn doubtful(&self) -> bool {
        self.doubt
    }

    fn contradicted(&self) -> bool {
        !self.unfit && self.wrong.is_some()
    }
}

impl Queue {
    fn element(&mut self, value: u32) -> Option<&mut Element> {
        let at = value as usize;
        if self.elements.len() <= at {
            self.elements.resize(at + 1, Element::UNSEEN);
        }
        self.elements.get_mut(at)
    }

    fn known(&self, value: u32) -> Element {
        let known = self.elements.get(value as usize);
        known.copied().unwrap_or(Element::UNSEEN)
    }

    fn put_called(&mut self, row: &Row) {
        let Some(element) = self.element(row.argument) else {
            return;
        };
        if element.put == OPEN {
            element.put = row.place;
            element.put_call = row.call;
        } else {
            self.unfit = true;
        }
    }

    fn put_returned(&mut self, row: &Row) {
        let Some(element) = self.element(row.argument) else {
            return;
        };
        element.put_ret = row.ret;
        if element.present() {
            if self.present == 0 {
                self.since = row.ret;
            }
            self.present += 1;
            self.line.push_back(row.argument);
        }
    }

    fn take_called(&mut self, value: u32, place: u32, call: u32) {
        let Some(element) = self.element(value) else {
            return;
        };
        if element.taken != OPEN {
            // While the first is open, it may still have taken what somebody puts there again.
            let sure = element.was_taken || self.unique;
            self.doubt |= !sure;
            let taker = place;
            self.due.push((place, Wrong::Twice { taker, value }));
            return;
        }
        let gone = element.present();
        element.taken = place;
        element.taken_call = call;
        let second = element.overtaken;
        self.present -= usize::from(gone);
        if second != NONE {
            let taker = self.known(second).taken;
            let first = value;
            let overtaken = Wrong::Overtaken {
                first,
                second,
                taker,
            };
            self.due.push((place, overtaken));
        }
    }

    fn take_returned(&mut self, value: u32, row: &Row) {
        if let Some(element) = self.element(value) {
            element.was_taken |= element.taken == row.place;
        }
        let taken = self.known(value);
        let due = self.due.iter().find(|(place, _)| *place == row.place);
        match due.map(|(_, wrong)| *wrong) {
            // This one took what was put so far: the first, still open, is wrong if that is all.
            Some(wrong @ Wrong::Twice { .. }) if !taken.was_taken && !self.unique => {
                self.due.push((taken.taken, wrong));
            }
            Some(wrong) => {
                self.wrong = Some(wrong);
                return;
            }
            None => {}
        }
        let taker = row.place;
        if taken.put == OPEN {
            self.wrong = Some(Wrong::Unput { taker, value });
            return;
        }
        while let Some(&first) = self.line.front() {
            let oldest = self.known(first);
            if oldest.present() {
                if oldest.put_ret >= taken.put_call {
                    return;
                }
                self.overtake(first, value, row);
                if self.wrong.is_some() {
                    return;
                }
            }
            self.line.pop_front();
        }
    }

    /// The element taken was put after the first was, which is there: unless a dequeue of unknown
    /// end took it.
    fn overtake(&mut self, first: u32, second: u32, row: &Row) {
        let taker = row.place;
        if self.lost_takers.is_empty() {
            self.wrong = Some(Wrong::Overtaken {
                first,
                second,
                taker,
            });
        } else if !self.drain_lost && self.swallowed.len() >= self.lost_takers.len() {
            self.wrong = Some(Wrong::Lost {
                last: first,
                by: second,
            });
        } else {
            self.swallowed.push(first);
            self.present -= 1;
            if let Some(element) = self.element(first) {
                element.overtaken = second;
            }
        }
    }

    fn found_nothing(&mut self, row: &Row) {
        if self.present == 0 || self.since >= row.call {
            return;
        }
        if self.lost_takers.is_empty() {
            self.wrong = Some(Wrong::Nonempty {
                taker: row.place,
                call: row.call,
                ret: row.ret,
            });
        } else {
            self.doubt = true;
        }
    }

    /// As many dequeues as there are elements, and one that found nothing.
    fn drained(&mut self, object: &Columns, row: &Row) {
        self.draining = None;
        for &value in object.list(row.answer) {
            self.take_called(value, row.place, row.call);
            if !self.decided() {
                self.take_returned(value, row);
            }
            if self.decided() {
                return;
            }
        }
        self.found_nothing(row);
    }

    fn tell(&self, object: &Columns, wrong: Wrong) -> Contradiction {
        match wrong {
            Wrong::Unput { taker, value } => unput(object, taker, value, Kind::Enqueue),
            Wrong::Twice { taker, value } => self.twice(object, taker, value),
            Wrong::Overtaken {
                first,
                second,
                taker,
            } => self.overtaken(object, first, second, taker),
            Wrong::Lost { last, by } => self.lost(object, last, by),
            Wrong::Nonempty { taker, call, ret } => self.nonempty(taker, call, ret),
        }
    }

    fn twice(&self, object: &Columns, taker: u32, value: u32) -> Contradiction {
        let element = self.known(value);
        twice(object, value, element.put, element.taken, taker)
    }

    fn overtaken(&self, object: &Columns, first: u32, second: u32, taker: u32) -> Contradiction {
        let (a, b) = (self.known(first), self.known(second));
        // A forward pass knows only of dequeues so far.
        let shows = |row: &Row| {
            let listed = row.kind == Kind::Drain && object.list(row.answer).contains(&first);
            let answered = row.kind == Kind::Dequeue && row.answer == first;
            row.ret != OPEN && (listed || answered)
        };
        let later = object.rows().find(shows).map(|row| row.place);
        let mut calls = vec![a.put, b.put, taker];
        calls.extend(later);
        let sentence = vec![
            Part::Whose(taker),
            Part::Words(": the element "),
            Part::Value(object.show(first)),
            Part::Words(match later {
                Some(_) => " was enqueued before, but dequeued after it",
                None => " was enqueued before it, and nobody ever got it",
            }),
        ];
        let name = if later.is_some() {
            "out-of-order"
        } else {
            "lost-element"
        };
        let told = Contradiction::new(name, calls, sentence).before(a.put, b.put);
        match later.filter(|later| *later != taker) {
            Some(later) => told.before(taker, later),
            None => told.fact(vec![Part::Returned(taker)]),
        }
    }

    fn lost(&self, object: &Columns, last: u32, by: u32) -> Contradiction {
        let mut calls = Vec::new();
        let pairs = self.swallowed.iter().map(|value| {
            let second = self.known(*value).overtaken;
            (*value, second)
        });
        for (first, second) in pairs.chain([(last, by)]) {
            let (a, b) = (self.known(first), self.known(second));
            calls.extend([a.put, b.put, b.taken]);
        }
        calls.extend(&self.lost_takers);
        let elements = self.swallowed.len() + 1;
        let sentence = vec![
            Part::Value(elements.to_string()),
            Part::Words(" elements were overtaken by later ones and are gone, among them "),
            Part::Value(object.show(last)),
            Part::Words(", but only "),
            Part::Value(self.lost_takers.len().to_string()),
            Part::Words(" dequeues of unknown end may have taken one"),
        ];
        Contradiction::new("lost-element", calls, sentence)
            .before(self.known(last).put, self.known(by).put)
            .fact(vec![Part::Returned(self.known(by).taken)])
    }

    /// Which elements were there, one after the other: each time the one that stays longest.
    fn nonempty(&self, taker: u32, call: u32, ret: u32) -> Contradiction {
        let there = |element: &&Element| {
            let kept = element.put_ret < element.taken_call && element.overtaken == NONE;
            kept && element.put_ret < ret && element.taken_call > call
        };
        let mut there: Vec<&Element> = self.elements.iter().filter(there).collect();
        there.sort_unstable_by_key(|element| element.put_ret);
        let (mut calls, mut facts) = (vec![taker], Vec::new());
        let (mut until, mut candidates) = (call, there.into_iter().peekable());
        while until <= ret {
            let mut longest: Option<&Element> = None;
            while let Some(element) = candidates.next_if(|e| e.put_ret < until || e.put_ret < call)
            {
                if longest.is_none_or(|longest| longest.taken_call < element.taken_call) {
                    longest = Some(element);
                }
            }
            let Some(element) = longest.filter(|e| e.taken_call > until) else {
                break;
            };
            until = element.taken_call;
            calls.push(element.put);
            calls.extend(Some(element.taken).filter(|taken| *taken != OPEN));
            facts.push(vec![Part::Returned(element.put)]);
            if element.taken != OPEN {
                facts.push(vec![Part::Invoked(element.taken)]);
            }
        }
        let sentence = vec![
            Part::Whose(taker),
            Part::Words(": it found nothing, but at every instant of it an element was there"),
        ];
        let mut told = Contradiction::new("wrongly-empty", calls, sentence);
        told.facts = facts;
        told
    }
}

/// An element that was taken, but not put by then: never, by an operation that failed, or later.
pub(super) fn unput(object: &Columns, taker: u32, value: u32, puts: Kind) -> Contradiction {
    let put = object
        .rows()
        .find(|row| row.kind == puts && row.argument == value);
    let said = |words| {
        vec![
            Part::Whose(taker),
            Part::Words(": the element "),
            Part::Value(object.show(value)),
            Part::Words(words),
        ]
    };
    let refused = object.refusal(value).filter(|r| r.kind == puts);
    match (put, refused) {
        (Some(put), _) => {
            let sentence = said(" was put there only later");
            Contradiction::new("phantom-read", vec![taker, put.place], sentence)
                .before(taker, put.place)
        }
        (None, Some(refused)) => {
            let sentence = said(" is that of an operation that failed");
            Contradiction::new("aborted-read", vec![refused.place, taker], sentence)
                .fact(vec![Part::Returned(refused.place)])
        }
        (None, None) => {
            let sentence = said(" was never put there");
            Contradiction::new("phantom-read", vec![taker], sentence)
                .fact(vec![Part::Words("nobody put it there, ever")])
        }
    }
}

/// An element that was put once and taken twice.
pub(super) fn twice(
    object: &Columns,
    value: u32,
    put: u32,
    first: u32,
    second: u32,
) -> Contradiction {
    let mut calls = vec![first, second];
    calls.extend(Some(put).filter(|put| *put != OPEN));
    calls.dedup();
    let sentence = vec![
        Part::Words("the element "),
        Part::Value(object.show(value)),
        Part::Words(" was taken twice, but put there at most once"),
    ];
    Contradiction::new("duplicate-element", calls, sentence)
        .fact(vec![Part::Returned(first)])
        .fact(vec![Part::Returned(second)])
}
