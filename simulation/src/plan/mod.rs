//! What happens in a seed: how large the fleet is, what it is asked for, and everything that goes wrong.
//!
//! In: a seed. Out: [`Plan`]. Holds: the records of a plan; each fault has a number, so that a seed can be run again
//! without some of them. Not here: the draws (`swarm`, `work`), doing any of it (`run`).

mod fault;
mod orders;
mod swarm;
mod work;

use std::collections::BTreeSet;
use std::time::Duration;

pub(crate) use fault::{Crash, Fault, LinkFault, SourceChange};
pub(crate) use orders::{Order, Wish};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
pub(crate) use work::{PolicyPlan, TablePlan};

use crate::net::FabricKind;

/// Faults and requests begin within this time after the first node works.
pub(crate) const BUSY: Duration = Duration::from_secs(8);

/// One fault. Times are since the first node works.
#[derive(Debug, Clone)]
pub(crate) struct Planned {
    /// Its number within the seed.
    pub(crate) number: u32,
    /// When it begins.
    pub(crate) at: Duration,
    /// How long it stays; of no matter for what happens at once.
    pub(crate) lasts: Duration,
    /// What.
    pub(crate) fault: Fault,
}

/// Which of a seed's faults are left out. Nothing else about the seed changes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Without(pub BTreeSet<u32>);

/// What a seed is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    /// Three to five machines, ten to thirty migrations.
    Small,
    /// As small, over real QUIC.
    Quic,
    /// Nine machines and two hundred migrations.
    Large,
}

impl Profile {
    /// One seed in so many is large.
    const LARGE_EACH: u64 = 50;
    /// One seed in so many is over QUIC.
    const QUIC_EACH: u64 = 5;

    /// The profile of a seed.
    #[must_use]
    pub(crate) fn of(seed: u64) -> Self {
        match (seed % Self::LARGE_EACH, seed % Self::QUIC_EACH) {
            (0, _) => Self::Large,
            (_, 2) => Self::Quic,
            _ => Self::Small,
        }
    }
}

/// Everything about a seed that is decided beforehand.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) machines: usize,
    pub(crate) fabric: FabricKind,
    /// Voters of the ledger that the fleet strives for.
    pub(crate) voters: usize,
    /// The longest call of the data plane, when nothing goes wrong.
    pub(crate) longest_call: Duration,
    /// Rows of a file that batches write.
    pub(crate) rows_per_file: Option<usize>,
    /// Entries of the log between two snapshots.
    pub(crate) snapshot_every: u64,
    /// When each machine comes; zero for those that are there from the beginning.
    pub(crate) arrivals: Vec<Duration>,
    pub(crate) policies: Vec<PolicyPlan>,
    pub(crate) orders: Vec<Order>,
    pub(crate) faults: Vec<Planned>,
}

impl Plan {
    /// The plan of a seed.
    pub(crate) fn of(seed: u64, without: &Without) -> Self {
        let profile = Profile::of(seed);
        // Draws of one part do not move those of another.
        let part = |salt: u64| Draw(ChaCha8Rng::seed_from_u64(seed ^ salt));
        let mut size = part(0x7369_7a65);
        let machines = match profile {
            Profile::Small | Profile::Quic => 3 + size.index(3),
            Profile::Large => 9,
        };
        let policies = work::policies(&mut part(0x776f_726b), profile, machines);
        let orders = orders::orders(&mut part(0x6f72_6465), &policies, machines);
        let mut faults = swarm::faults(&mut part(0x6661_756c), &policies, machines);
        faults.retain(|planned| !without.0.contains(&planned.number));
        let fabric = if profile == Profile::Quic { FabricKind::Quic } else { FabricKind::Messages };
        let voters = if machines >= 5 { size.one_of(&[3, 5, 5]) } else { 3 };
        let rows_per_file = size.chance(40).then_some(2);
        let snapshot_every = size.one_of(&[30, 120, 4096]);
        let arrivals = arrivals(&mut size, machines);
        let longest_call = Duration::from_millis(size.one_of(&[20, 100, 400]));
        Self {
            machines,
            fabric,
            voters,
            longest_call,
            rows_per_file,
            snapshot_every,
            arrivals,
            policies,
            orders,
            faults,
        }
    }

    /// All tables of all policies.
    pub(crate) fn tables(&self) -> impl Iterator<Item = &TablePlan> {
        self.policies.iter().flat_map(|policy| &policy.tables)
    }

    /// When the last fault is over.
    pub(crate) fn ends(&self) -> Duration {
        self.faults.iter().map(|planned| planned.at + planned.lasts).max().unwrap_or_default().max(BUSY)
    }
}

/// The numbers of a seed's faults.
pub(crate) fn fault_numbers(seed: u64) -> BTreeSet<u32> {
    Plan::of(seed, &Without::default()).faults.iter().map(|planned| planned.number).collect()
}

/// A seed's faults with their numbers, in words.
pub(crate) fn fault_texts(seed: u64) -> Vec<(u32, String)> {
    Plan::of(seed, &Without::default()).faults.iter().map(|planned| (planned.number, planned.to_string())).collect()
}

/// In a third of the seeds the last one or two machines come while there is work.
fn arrivals(draw: &mut Draw, machines: usize) -> Vec<Duration> {
    let late = if draw.chance(33) { 1 + draw.index(2.min(machines - 2)) } else { 0 };
    let at = |machine| if machine + late < machines { Duration::ZERO } else { draw.millis(100, 7_000) };
    (0..machines).map(at).collect()
}

/// Draws from a part of the seed.
pub(crate) struct Draw(ChaCha8Rng);

impl Draw {
    /// A number below `limit`.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0.next_u64() % limit
    }

    /// A place in a list of `len`.
    pub(crate) fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.below(len as u64)).expect("it is below a length")
    }

    /// True in `percent` of the cases.
    pub(crate) fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// A number of `least..=most`.
    pub(crate) fn between(&mut self, least: u64, most: u64) -> u64 {
        least + self.below(most - least + 1)
    }

    /// Milliseconds of `least..=most`.
    pub(crate) fn millis(&mut self, least: u64, most: u64) -> Duration {
        Duration::from_millis(self.between(least, most))
    }

    /// One of a list.
    pub(crate) fn one_of<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.index(list.len())]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_that_is_left_out_changes_nothing_else() {
        for seed in 1..200 {
            let whole = Plan::of(seed, &Without::default());
            let Some(first) = whole.faults.first().map(|planned| planned.number) else { continue };
            let less = Plan::of(seed, &Without(BTreeSet::from([first])));
            assert_eq!(format!("{:?}", &whole.faults[1..]), format!("{:?}", less.faults));
            assert_eq!(
                format!("{:?}{:?}", whole.policies, whole.orders),
                format!("{:?}{:?}", less.policies, less.orders)
            );
        }
    }

    #[test]
    fn every_kind_of_fault_is_planned_over_some_hundred_seeds() {
        let mut kinds = BTreeSet::new();
        for seed in 1..500 {
            kinds.extend(Plan::of(seed, &Without::default()).faults.iter().map(|planned| planned.fault.kind()));
        }
        let missing: Vec<_> = fault::KINDS.iter().filter(|kind| !kinds.contains(*kind)).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }
}
