//! Which node gets which migration, when there are many to place at once.
//!
//! In: seats with what they have to do already, migrations with their estimated seconds. Out: a node for each. Longest
//! first, each to the seat that is done with it first. The
//! same lists in any order give the same result. Not here: moving work later on (`stealing`).

use std::cmp::{Ordering, Reverse};
use std::collections::{BTreeMap, BinaryHeap};

use crate::ids::{MigrationId, NodeId};

/// A node that takes work, and how much it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeatLoad {
    /// The node.
    pub node: NodeId,
    /// Batches at once; a node with none gets nothing.
    pub slots: u32,
    /// Estimated seconds of one slot of all that it owns already.
    pub backlog_seconds: u64,
}

/// Seconds that a migration counts at least: many small ones are work too.
pub(super) const LEAST_SECONDS: u64 = 1;

/// Seats with the same number of slots, the least loaded on top; among equals the smaller id.
type Alike = BinaryHeap<Reverse<(u64, NodeId)>>;

/// Places every item; nothing when there is no seat with a slot.
///
/// Longest first; each goes to the seat that would be through with everything, this item included, before the others: least
/// `(backlog + seconds) / slots`, then more slots, then the smaller id. Costs `n (k + log m)` for `n` items, `m` seats
/// and `k` different numbers of slots, of which a fleet has a handful.
#[must_use]
pub fn place(seats: &[SeatLoad], items: &[(MigrationId, u64)]) -> Vec<(MigrationId, NodeId)> {
    // Greater numbers of slots come first, so that they win where times are equal.
    let mut alike: BTreeMap<Reverse<u32>, Alike> = BTreeMap::new();
    for seat in seats.iter().filter(|seat| seat.slots > 0) {
        alike.entry(Reverse(seat.slots)).or_default().push(Reverse((seat.backlog_seconds, seat.node)));
    }
    let mut items: Vec<(u64, MigrationId)> =
        items.iter().map(|(id, seconds)| ((*seconds).max(LEAST_SECONDS), *id)).collect();
    items.sort_unstable_by_key(|(seconds, id)| (Reverse(*seconds), *id));
    let mut placed = Vec::with_capacity(items.len());
    for (seconds, id) in items {
        let first = alike.iter_mut().min_by(|(slots, seats), (other_slots, other_seats)| {
            let (mine, theirs) = (top(seats).saturating_add(seconds), top(other_seats).saturating_add(seconds));
            by_time((mine, slots.0), (theirs, other_slots.0))
        });
        let Some(mut seat) = first.and_then(|(_, seats)| seats.peek_mut()) else { break };
        let Reverse((backlog, node)) = &mut *seat;
        *backlog = backlog.saturating_add(seconds);
        placed.push((id, *node));
    }
    placed
}

/// The least backlog of seats that are alike.
fn top(seats: &Alike) -> u64 {
    seats.peek().map_or(u64::MAX, |Reverse((backlog, _))| *backlog)
}

/// Compares two times that are seconds over slots, without a division: `a/b < c/d` is `a·d < c·b`.
pub(super) fn by_time((seconds, slots): (u64, u32), (other_seconds, other_slots): (u64, u32)) -> Ordering {
    (u128::from(seconds) * u128::from(other_slots)).cmp(&(u128::from(other_seconds) * u128::from(slots)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    fn id(number: u128) -> MigrationId {
        MigrationId(Uuid::from_u128(number))
    }

    fn seat(node: u64, slots: u32, backlog_seconds: u64) -> SeatLoad {
        SeatLoad { node: NodeId(node), slots, backlog_seconds }
    }

    fn items(seconds: &[u64]) -> Vec<(MigrationId, u64)> {
        (1..).map(id).zip(seconds.iter().copied()).collect()
    }

    /// Seconds of each node for one of its slots, after the placement.
    fn loads(seats: &[SeatLoad], items: &[(MigrationId, u64)]) -> BTreeMap<NodeId, f64> {
        let seconds: BTreeMap<MigrationId, u64> = items.iter().copied().collect();
        let mut sums: BTreeMap<NodeId, u64> = seats.iter().map(|seat| (seat.node, seat.backlog_seconds)).collect();
        for (id, node) in place(seats, items) {
            *sums.get_mut(&node).unwrap() += seconds[&id];
        }
        seats.iter().map(|seat| (seat.node, sums[&seat.node] as f64 / f64::from(seat.slots.max(1)))).collect()
    }

    #[test]
    fn the_longest_is_placed_first_and_who_has_less_gets_more() {
        let seats = [seat(1, 1, 0), seat(2, 1, 8)];
        let placed = place(&seats, &items(&[3, 9, 4]));
        assert_eq!(placed, [(id(2), NodeId(1)), (id(3), NodeId(2)), (id(1), NodeId(1))]);
    }

    #[test]
    fn a_seat_with_more_slots_gets_as_much_more() {
        let seats = [seat(1, 1, 0), seat(2, 3, 0)];
        let placed = place(&seats, &items(&[10; 40]));
        assert_eq!(placed.iter().filter(|(_, node)| *node == NodeId(2)).count(), 30);
    }

    #[test]
    fn without_a_seat_or_a_slot_nothing_is_placed() {
        assert!(place(&[], &items(&[1, 2])).is_empty());
        assert!(place(&[seat(1, 0, 0)], &items(&[1, 2])).is_empty());
        assert!(place(&[seat(1, 1, 0)], &[]).is_empty());
    }

    #[test]
    fn items_of_unknown_length_are_spread_all_the_same() {
        let placed = place(&[seat(1, 1, 0), seat(2, 1, 0)], &items(&[0; 10]));
        assert_eq!(placed.iter().filter(|(_, node)| *node == NodeId(1)).count(), 5);
    }

    #[test]
    fn the_greatest_numbers_do_not_overflow() {
        let seats = [seat(1, u32::MAX, u64::MAX), seat(2, u32::MAX, u64::MAX - 1)];
        assert_eq!(place(&seats, &items(&[u64::MAX; 3])).len(), 3);
    }

    #[test]
    fn a_hundred_thousand_items_over_five_hundred_seats_come_out_even() {
        let seats: Vec<SeatLoad> = (1..=500).map(|node| seat(node, 4, 0)).collect();
        let all: Vec<u64> = (0..100_000_u64).map(|number| 1 + number * 7919 % 600).collect();
        let loads = loads(&seats, &items(&all));
        let (least, most) = loads.values().fold((f64::MAX, 0.0_f64), |(a, b), load| (a.min(*load), b.max(*load)));
        assert!(most - least <= 1.0, "{least} to {most}");
    }

    proptest! {
        #[test]
        fn every_item_is_placed_once_whatever_the_order(
            seconds in prop::collection::vec(0_u64..10_000, 0..200),
            slots in prop::collection::vec((0_u32..9, 0_u64..5_000), 1..20),
        ) {
            let seats: Vec<SeatLoad> =
                (1..).zip(&slots).map(|(node, (slots, backlog))| seat(node, *slots, *backlog)).collect();
            let forward = items(&seconds);
            let placed = place(&seats, &forward);
            let backward: Vec<_> = forward.iter().rev().copied().collect();
            let reversed: Vec<SeatLoad> = seats.iter().rev().cloned().collect();
            prop_assert_eq!(&placed, &place(&reversed, &backward));
            let expected = if slots.iter().any(|(slots, _)| *slots > 0) { forward.len() } else { 0 };
            let once: BTreeMap<MigrationId, NodeId> = placed.iter().copied().collect();
            prop_assert_eq!((once.len(), placed.len()), (expected, expected));
        }

        #[test]
        fn no_seat_ends_later_than_the_average_and_one_item(
            seconds in prop::collection::vec(1_u64..10_000, 1..300),
            slots in prop::collection::vec(1_u32..9, 1..20),
        ) {
            let seats: Vec<SeatLoad> = (1..).zip(&slots).map(|(node, slots)| seat(node, *slots, 0)).collect();
            let all = items(&seconds);
            let average = seconds.iter().sum::<u64>() as f64 / f64::from(slots.iter().sum::<u32>());
            let longest = *seconds.iter().max().unwrap() as f64;
            for load in loads(&seats, &all).values() {
                prop_assert!(*load <= average + longest + 1e-6, "{} > {} + {}", load, average, longest);
            }
        }
    }
}
