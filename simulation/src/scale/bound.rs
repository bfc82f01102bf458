//! The lower bound: how long the work takes at least, whoever schedules it.

use super::membership::Killing;

/// No schedule is shorter: all work over all slots, or the longest way of one migration from its inspection through its longest
/// batch to its publication.
pub(super) fn undisturbed(work_micros: u64, slots: u64, longest_chain_micros: u64) -> u64 {
    (work_micros / slots.max(1)).max(longest_chain_micros)
}

/// The same when nodes of so many slots each are killed on the way: no schedule is through before the slots that still
/// live have had the time for all work.
pub(super) fn with_killed(work_micros: u64, nodes: u64, slots: u64, killings: &[Killing], chain_micros: u64) -> u64 {
    let mut killed_at: Vec<u64> = killings.iter().map(|killing| killing.millis * 1000).collect();
    killed_at.sort_unstable();
    let (mut left, mut since, mut living) = (work_micros, 0, nodes);
    for at in killed_at {
        let done = (at - since) * living * slots;
        if done >= left || living == 1 {
            break;
        }
        (left, since, living) = (left - done, at, living - 1);
    }
    (since + left / (living * slots).max(1)).max(chain_micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_is_all_work_over_all_slots_or_the_longest_way() {
        assert_eq!(undisturbed(1_000, 10, 20), 100);
        assert_eq!(undisturbed(1_000, 10, 200), 200);
    }

    #[test]
    fn slots_that_die_are_missing_from_then_on() {
        let killed = |millis: u64| Killing { millis, node: 0 };
        // Two nodes of one slot, 10 ms of work: 5 ms; with one of them dead from 2 ms on: 2 + 6.
        assert_eq!(with_killed(10_000, 2, 1, &[], 0), 5_000);
        assert_eq!(with_killed(10_000, 2, 1, &[killed(2)], 0), 8_000);
        assert_eq!(with_killed(10_000, 2, 1, &[killed(7)], 0), 5_000, "it was through by then");
        assert_eq!(with_killed(10_000, 2, 1, &[killed(2)], 9_000), 9_000);
    }
}
