//! Lists that share their beginnings, by number: equal lists have equal numbers.

use std::cell::RefCell;

use rustc_hash::FxHashMap;

use super::Element;

/// All lists that were made. Each but the empty one is a shorter list and an element.
#[derive(Default)]
pub(crate) struct Cells(RefCell<Inner>);

#[derive(Default)]
struct Inner {
    cells: Vec<(u32, Element)>,
    numbers: FxHashMap<(u32, Element), u32>,
}

impl Cells {
    /// The list of nothing.
    pub(crate) const EMPTY: u32 = 0;
    /// Bytes that one more list takes, roughly.
    pub(crate) const WEIGHT: usize = 24;

    /// The list and then the element.
    pub(crate) fn and(&self, list: u32, element: Element) -> u32 {
        let inner = &mut *self.0.borrow_mut();
        let next = inner.cells.len() as u32 + 1;
        let number = *inner.numbers.entry((list, element)).or_insert(next);
        if number == next {
            inner.cells.push((list, element));
        }
        number
    }

    /// The list without its last element, and that; `None` if it is empty.
    pub(crate) fn last(&self, list: u32) -> Option<(u32, Element)> {
        let at = list.checked_sub(1)?;
        self.0.borrow().cells.get(at as usize).copied()
    }

    /// The list of these elements.
    pub(crate) fn of(&self, elements: impl Iterator<Item = Element>) -> u32 {
        elements.fold(Self::EMPTY, |list, element| self.and(list, element))
    }
}
