//! What will happen, in the order of time; what was planned first comes first among what happens at once.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// Events to come.
pub(super) struct Agenda<E> {
    heap: BinaryHeap<Item<E>>,
    number: u64,
}

struct Item<E> {
    at: u64,
    number: u64,
    event: E,
}

impl<E> PartialEq for Item<E> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<E> Eq for Item<E> {}

impl<E> PartialOrd for Item<E> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<E> Ord for Item<E> {
    fn cmp(&self, other: &Self) -> Ordering {
        // The heap has the greatest on top.
        (other.at, other.number).cmp(&(self.at, self.number))
    }
}

impl<E> Agenda<E> {
    pub(super) fn new() -> Self {
        Self { heap: BinaryHeap::new(), number: 0 }
    }

    pub(super) fn at(&mut self, at: u64, event: E) {
        self.number += 1;
        self.heap.push(Item { at, number: self.number, event });
    }

    pub(super) fn next(&mut self) -> Option<(u64, E)> {
        self.heap.pop().map(|item| (item.at, item.event))
    }

    /// Bytes that it takes.
    pub(super) fn bytes(&self) -> usize {
        self.heap.capacity() * size_of::<Item<E>>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_in_the_order_of_time_and_then_of_planning() {
        let mut agenda = Agenda::new();
        for (at, event) in [(5, "c"), (1, "a"), (5, "d"), (2, "b")] {
            agenda.at(at, event);
        }
        let all: Vec<_> = std::iter::from_fn(|| agenda.next()).collect();
        assert_eq!(all, [(1, "a"), (2, "b"), (5, "c"), (5, "d")]);
    }
}
