//! Packets that wait, in the order in which they are due.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use tokio::time::Instant;

/// A link of the switch: its ports, from and to.
pub(super) type Ports = (usize, usize);

/// A packet that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Parcel {
    pub(super) ports: Ports,
    pub(super) bytes: Vec<u8>,
    /// If it is to be overtaken: how many packets had passed the link when it came.
    pub(super) behind: Option<u64>,
}

#[derive(Debug)]
struct Entry<T> {
    due: Instant,
    /// Of two that are due at once, the one that came first goes first.
    number: u64,
    what: T,
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl<T> Eq for Entry<T> {}

impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Entry<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.due, self.number).cmp(&(other.due, other.number))
    }
}

/// Things to be done at a time.
#[derive(Debug)]
pub(super) struct Queue<T> {
    heap: BinaryHeap<Reverse<Entry<T>>>,
    numbers: u64,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self {
            heap: BinaryHeap::new(),
            numbers: 0,
        }
    }
}

impl<T> Queue<T> {
    pub(super) fn push(&mut self, due: Instant, what: T) {
        let number = self.numbers;
        self.numbers += 1;
        self.heap.push(Reverse(Entry { due, number, what }));
    }

    /// When the first is due.
    pub(super) fn next(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse(entry)| entry.due)
    }

    /// Takes the first if it is due.
    pub(super) fn pop(&mut self, now: Instant) -> Option<T> {
        if self.next()? > now {
            return None;
        }
        self.heap.pop().map(|Reverse(entry)| entry.what)
    }

    /// Makes those due that `hit` says, in the order in which they came.
    pub(super) fn hasten(&mut self, now: Instant, hit: impl Fn(&T) -> bool) {
        let entries = std::mem::take(&mut self.heap).into_vec();
        let hastened = entries.into_iter().map(|Reverse(mut entry)| {
            if hit(&entry.what) {
                entry.due = entry.due.min(now);
            }
            Reverse(entry)
        });
        self.heap = hastened.collect();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_is_due_comes_in_order_and_the_rest_waits() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut queue = Queue::default();
        for (ms, name) in [(30, "d"), (10, "a"), (20, "b"), (20, "c")] {
            queue.push(at(ms), name);
        }
        assert_eq!(queue.next(), Some(at(10)));
        let due: Vec<_> = std::iter::from_fn(|| queue.pop(at(20))).collect();
        assert_eq!(due, ["a", "b", "c"]);
        assert_eq!(queue.next(), Some(at(30)));
    }

    #[test]
    fn what_is_hastened_keeps_its_order() {
        let start = Instant::now();
        let mut queue = Queue::default();
        for (ms, name) in [(30, "x1"), (10, "y"), (40, "x2"), (40, "x3")] {
            queue.push(start + Duration::from_millis(ms), name);
        }
        queue.hasten(start, |name| name.starts_with('x'));
        let due: Vec<_> = std::iter::from_fn(|| queue.pop(start)).collect();
        assert_eq!(due, ["x1", "x2", "x3"]);
        assert!(queue.next().is_some());
    }
}
