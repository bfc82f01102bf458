//! What people ask of the fleet while it works: the races of operators.
//!
//! In: draws, the policies. Out: [`Order`]s. Holds: what is asked, of what, where and when. Not here: asking (`run`).

use std::time::Duration;

use super::{BUSY, Draw, PolicyPlan};

/// Requests of a seed: at most so many for each policy.
const MOST_PER_POLICY: u64 = 5;
/// A node that was drained takes work again after at most this long.
const MOST_DRAINED_MILLIS: u64 = 4_000;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wish {
    /// An action on the migration of a table: policy, table.
    Act(&'static str, usize, usize),
    /// The plans of a policy that wait are approved.
    Approve(usize),
    /// A policy's next generation.
    Change(usize),
    /// A policy as it is, once more, under the same key.
    Repeat(usize),
    /// A machine's node is drained.
    Drain(usize),
    /// A machine's node takes work again.
    Undrain(usize),
    /// Everything in quarantine is replayed.
    Replay,
    /// What of a policy is in quarantine is discarded.
    Discard(usize),
}

impl Wish {
    /// Its name in counts.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Act(action, ..) => action,
            Self::Approve(_) => "approve",
            Self::Change(_) => "policy change",
            Self::Repeat(_) => "repeated submission",
            Self::Drain(_) => "drain",
            Self::Undrain(_) => "undrain",
            Self::Replay => "replay",
            Self::Discard(_) => "discard",
        }
    }
}

/// One request. Its time is since the first node works.
#[derive(Debug, Clone)]
pub(crate) struct Order {
    pub(crate) at: Duration,
    /// The machine that is asked.
    pub(crate) machine: usize,
    pub(crate) wish: Wish,
}

pub(super) fn orders(draw: &mut Draw, policies: &[PolicyPlan], machines: usize) -> Vec<Order> {
    let mut orders = Vec::new();
    // A third of the seeds has no people in it but those who submit and approve.
    let busy = !draw.chance(33);
    for (number, policy) in policies.iter().enumerate() {
        let at = |draw: &mut Draw| policy.at + draw.millis(50, 6_000);
        if policy.approval {
            for _ in 0..draw.between(1, 3) {
                orders.push(Order { at: at(draw), machine: draw.index(machines), wish: Wish::Approve(number) });
            }
        }
        if !busy {
            continue;
        }
        for _ in 0..draw.below(MOST_PER_POLICY + 1) {
            let table = draw.index(policy.tables.len());
            let action = draw.one_of(&["pause", "resume", "cancel", "retry", "rollback"]);
            let act = Wish::Act(action, number, table);
            let wish = draw.one_of(&[
                act,
                act,
                act,
                act,
                act,
                Wish::Change(number),
                Wish::Repeat(number),
                Wish::Discard(number),
            ]);
            orders.push(Order { at: at(draw), machine: draw.index(machines), wish });
        }
    }
    if busy && draw.chance(95) {
        let drained = draw.index(machines);
        let at = draw.millis(500, 6_000);
        orders.push(Order { at, machine: draw.index(machines), wish: Wish::Drain(drained) });
        let (back, asked) = (at + draw.millis(500, MOST_DRAINED_MILLIS), draw.index(machines));
        // Some stay drained until everything is looked after.
        if draw.chance(90) {
            orders.push(Order { at: back, machine: asked, wish: Wish::Undrain(drained) });
        }
    }
    if busy && draw.chance(65) {
        let at = draw.millis(2_000, u64::try_from(BUSY.as_millis()).expect("seconds"));
        orders.push(Order { at, machine: draw.index(machines), wish: Wish::Replay });
    }
    orders.sort_by_key(|order| order.at);
    orders
}
