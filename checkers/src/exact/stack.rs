//! A last-in-first-out stack whose elements are each pushed at most once.
//!
//! An element is certain to be there from the return of its push to the call of its pop; if the
//! pop was called before the push returned, both can happen at one instant and the element is in
//! nobody's way. The stretches in which others are certain to be there join into components,
//! between which the stack can be empty: a pop that found nothing must not lie inside one. Of the
//! elements of a component one must be at the bottom: pushed before any other is certain to be
//! there, popped after the last. If one can be, it does no harm to let it; without it the
//! component falls apart into smaller ones, of which the same is true (divide and conquer after
//! Lee & Mathur, *Efficient decrease-and-conquer linearizability monitoring*, OOPSLA 2025). With
//! trees over the elements in the order of their pushes that takes O(n log n).
//!
//! A pop of unknown end may have taken any element, or none. If there is an order without such
//! pops, that is enough; if the elements that were popped for certain contradict each other alone,
//! that is, too. Otherwise a search must decide.

use tribunal_results::Kind;

use super::queue::{twice, unput};
use super::tree::{Greatest, Least, Tree};
use super::{Contradiction, Decision, Part, found};
use crate::normal::{Columns, NONE, OPEN, Row};

/// How many elements may be looked at to make a contradiction small.
const THIN_MAX: usize = 10_000_000;
/// The call of a pop that never was: later than any other, before the end of time.
const NEVER: u32 = OPEN - 1;

/// Decides a stack; `None` if an element was pushed twice, or it is unclear what pops of unknown
/// end took.
pub(super) fn decide(object: &Columns) -> Option<Decision> {
    let mut stack = match Stack::new(object) {
        Ok(stack) => stack,
        Err(wrong) => return wrong.map(|wrong| found(Some(wrong))),
    };
    if contradicts(&stack.elements, &stack.empties).is_none() {
        return Some(Decision::Linearizable);
    }
    if stack.pops_lost {
        stack.elements.retain(|element| element.pop_call != NEVER);
    }
    let wrong = contradicts(&stack.elements, &stack.empties)?;
    let wrong = thin(wrong);
    Some(found(Some(tell(object, &wrong))))
}

/// An element that is certain to be there for a while. Its values are indexes of events.
#[derive(Clone, Copy, Debug)]
struct Element {
    value: u32,
    push_call: u32,
    push_ret: u32,
    pop_call: u32,
    pop_ret: u32,
    push: u32,
    pop: u32,
}

impl Element {
    const UNSEEN: Self = Self {
        value: NONE,
        push_call: OPEN,
        push_ret: OPEN,
        pop_call: NEVER,
        pop_ret: OPEN,
        push: OPEN,
        pop: OPEN,
    };
}

/// Elements, in the order in which their pushes returned, and pops that found nothing.
#[derive(Debug)]
struct Stack {
    elements: Vec<Element>,
    empties: Vec<Row>,
    pops_lost: bool,
}

impl Stack {
    /// # Errors
    /// An element popped that was not pushed by then, or popped twice; none if one was pushed
    /// twice.
    fn new(object: &Columns) -> Result<Self, Option<Contradiction>> {
        let mut elements = vec![Element::UNSEEN; object.numbers()];
        let mut empties = Vec::new();
        let mut pops_lost = false;
        for row in object.rows().filter(|row| row.kind == Kind::Push) {
            let element = elements.get_mut(row.argument as usize).ok_or(None)?;
            if element.push != OPEN {
                return Err(None);
            }
            element.value = row.argument;
            (element.push_call, element.push_ret, element.push) = (row.call, row.ret, row.place);
        }
        for row in object.rows().filter(|row| row.kind == Kind::Pop) {
            match row.answer {
                _ if row.ret == OPEN => pops_lost = true,
                NONE => empties.push(row),
                value => pop(object, &mut elements, value, &row).map_err(Some)?,
            }
        }
        elements.retain(|element| element.push_ret < element.pop_call);
        elements.sort_unstable_by_key(|element| element.push_ret);
        Ok(Self {
            elements,
            empties,
            pops_lost,
        })
    }
}

fn pop(
    object: &Columns,
    elements: &mut [Element],
    value: u32,
    row: &Row,
) -> Result<(), Contradiction> {
    let Some(element) = elements.get_mut(value as usize) else {
        return Ok(());
    };
    if element.push == OPEN || row.ret < element.push_call {
        return Err(unput(object, row.place, value, Kind::Push));
    }
    if element.pop != OPEN {
        return Err(twice(object, value, element.push, element.pop, row.place));
    }
    (element.pop_call, element.pop_ret, element.pop) = (row.call, row.ret, row.place);
    Ok(())
}

/// Elements that contradict each other, or a pop that found nothing.
#[derive(Clone, Debug)]
struct Wrong {
    elements: Vec<Element>,
    empty: Option<Row>,
}

/// The trees over the elements that are left.
struct Components<'a> {
    elements: &'a [Element],
    /// When each push was called.
    push_calls: Tree<Least>,
    /// When each pop was called.
    pop_calls: Tree<Greatest>,
}

/// Elements, in the order of their pushes' returns, and pops that found nothing: those that
/// contradict each other, if any do.
fn contradicts(elements: &[Element], empties: &[Row]) -> Option<Wrong> {
    let mut components = Components {
        elements,
        push_calls: Tree::new(elements.iter().map(|element| element.push_call)),
        pop_calls: Tree::new(elements.iter().map(|element| element.pop_call)),
    };
    let mut open = Vec::new();
    components.split(0, elements.len(), &mut open);
    if let Some(wrong) = components.covered(&open, empties) {
        return Some(wrong);
    }
    while let Some((from, to)) = open.pop() {
        let Some(bottom) = components.bottom(from, to) else {
            return Some(components.wrong(from, to, None));
        };
        components.push_calls.clear(bottom);
        components.pop_calls.clear(bottom);
        components.split(from, to, &mut open);
    }
    None
}

impl Components<'_> {
    fn element(&self, at: usize) -> Element {
        self.elements.get(at).copied().unwrap_or(Element::UNSEEN)
    }

    /// The first element from there on that is left.
    fn next(&self, from: usize) -> usize {
        let left = self.pop_calls.first(from, |call| call > 0);
        left.unwrap_or(self.elements.len())
    }

    /// The components of a range.
    fn split(&self, from: usize, to: usize, components: &mut Vec<(usize, usize)>) {
        let mut start = self.next(from);
        while start < to {
            let mut until = self.element(start).pop_call;
            let end = loop {
                let rest = self.elements.get(start..to).unwrap_or_default();
                let end = start + rest.partition_point(|element| element.push_ret < until);
                let reach = self.pop_calls.over(start, end);
                if reach == until {
                    break end;
                }
                until = reach;
            };
            components.push((start, end));
            start = self.next(end);
        }
    }

    /// An element of a component that can be below all others.
    fn bottom(&self, from: usize, to: usize) -> Option<usize> {
        let first = self.next(from);
        let begin = self.element(first).push_ret;
        let end = self.pop_calls.over(first, to);
        let mut at = first;
        while let Some(candidate) = self.push_calls.first(at, |call| call < begin) {
            if candidate >= to {
                return None;
            }
            if self.element(candidate).pop_ret > end {
                return Some(candidate);
            }
            at = candidate + 1;
        }
        None
    }

    /// A pop that found nothing though elements were there all the time.
    fn covered(&self, components: &[(usize, usize)], empties: &[Row]) -> Option<Wrong> {
        empties.iter().find_map(|empty| {
            let before =
                components.partition_point(|(from, _)| self.element(*from).push_ret < empty.call);
            let (from, to) = *components.get(before.checked_sub(1)?)?;
            let inside = self.pop_calls.over(from, to) > empty.ret;
            inside.then(|| self.wrong(from, to, Some(*empty)))
        })
    }

    fn wrong(&self, from: usize, to: usize, empty: Option<Row>) -> Wrong {
        let left = (from..to).filter(|at| self.pop_calls.over(*at, at + 1) > 0);
        Wrong {
            elements: left.map(|at| self.element(at)).collect(),
            empty,
        }
    }
}

/// Without the elements that are not needed. (Without all that happened to an element, an order of
/// the rest is still one.)
fn thin(mut wrong: Wrong) -> Wrong {
    let empties: Vec<Row> = wrong.empty.into_iter().collect();
    let mut spent = 0;
    let mut chunk = wrong.elements.len().div_ceil(2).max(1);
    loop {
        let mut at = 0;
        while at < wrong.elements.len() && spent < THIN_MAX {
            spent += wrong.elements.len();
            let mut fewer = wrong.elements.clone();
            fewer.drain(at..(at + chunk).min(fewer.len()));
            match contradicts(&fewer, &empties) {
                Some(found) if found.empty.is_some() == wrong.empty.is_some() => {
                    wrong.elements = found.elements;
                    at = 0;
                }
                _ => at += chunk,
            }
        }
        if chunk == 1 || spent >= THIN_MAX {
            return wrong;
        }
        chunk = chunk.div_ceil(2);
    }
}

fn tell(object: &Columns, wrong: &Wrong) -> Contradiction {
    let mut calls: Vec<u32> = wrong.empty.iter().map(|empty| empty.place).collect();
    for element in &wrong.elements {
        calls.push(element.push);
        calls.extend(Some(element.pop).filter(|pop| *pop != OPEN));
    }
    let (name, sentence) = match wrong.empty {
        Some(empty) => ("wrongly-empty", found_nothing(&empty)),
        None => disordered(object, &wrong.elements),
    };
    let mut told = Contradiction::new(name, calls, sentence);
    for element in &wrong.elements {
        told = told.fact(vec![Part::Returned(element.push)]);
        if element.pop != OPEN {
            told = told.fact(vec![
                Part::Invoked(element.pop),
                Part::Words("; "),
                Part::Returned(element.pop),
            ]);
        }
    }
    told
}

fn found_nothing(empty: &Row) -> Vec<Part> {
    vec![
        Part::Whose(empty.place),
        Part::Words(": it found nothing, but at every instant of it an element was there"),
    ]
}

fn disordered(object: &Columns, elements: &[Element]) -> (&'static str, Vec<Part>) {
    let lost = elements.iter().find(|element| element.pop == OPEN);
    let mut sentence = vec![Part::Words("the elements ")];
    for (nth, element) in elements.iter().enumerate() {
        if nth > 0 {
            sentence.push(Part::Words(", "));
        }
        sentence.push(Part::Value(object.show(element.value)));
    }
    match lost {
        Some(lost) => {
            sentence.push(Part::Words(
                " cannot have lain on each other in any order: nobody ever got ",
            ));
            sentence.push(Part::Value(object.show(lost.value)));
            ("lost-element", sentence)
        }
        None => {
            sentence.push(Part::Words(
                " cannot have lain on each other in any order: none of them can be the lowest",
            ));
            ("out-of-order", sentence)
        }
    }
}
