//! Which faults a seed has, and how hard they are.
//!
//! In: draws. Out: faults in the order of their beginnings. Holds: the swarm: each seed chooses some kinds and leaves the
//! others out altogether, so that what two kinds do together is not drowned by all of them. Not here: doing it.

use std::time::Duration;

use skein_node::scripted::Weather;

use super::{BUSY, Crash, Draw, Fault, LinkFault, Planned, PolicyPlan, SourceChange};

/// A disk dies within so many operations after the order; a busy node makes some hundred a second.
const MOST_OPERATIONS: u64 = 200;
/// Syncs of a busy node until one fails.
const MOST_SYNCS: u64 = 40;
/// Bytes that still fit on a disk that fills up.
const MOST_ROOM: usize = 24 << 10;
/// A machine stands still, or without power, for at most this long: up to four sessions.
const MOST_DARK_MILLIS: u64 = 8_000;
/// A share of the fleet dies in a mass death.
const MASS_PERCENT: usize = 30;

/// Makes one fault of a kind, and says how long it stays.
type Make = fn(&mut Draw, &[PolicyPlan], usize) -> (Fault, Duration);

/// The kinds: the chance of a seed to have it, in percent, how many of them it has at most then, and how one is drawn.
const KINDS: [(u64, u64, Make); 21] = [
    (60, 4, crash),
    (30, 2, kill),
    (60, 1, mass_death),
    (65, 2, pause),
    (35, 3, links),
    (35, 3, links),
    (35, 3, one_way),
    (30, 2, both_ways),
    (25, 2, isolation),
    (30, 2, false_death),
    (50, 3, sync_error),
    (55, 2, write_error),
    (40, 3, full_disk),
    (30, 2, slow_disk),
    (35, 3, clock_step),
    (60, 4, clock_drift),
    (80, 10, weather),
    (65, 8, source),
    (30, 2, stranger),
    (60, 1, other_version),
    (100, 1, ruined_disk),
];

/// How often each kind of weather is drawn, in lots: those that strike few calls more often, so that all take effect alike.
const WEATHER: [(u64, Weather); 17] = [
    (3, Weather::StoreSlow),
    (2, Weather::StoreThrottles),
    (4, Weather::StoreHalfWay),
    (2, Weather::StoreAnswerLost),
    (3, Weather::ReadBackDiffers),
    (3, Weather::BatchLosesRow),
    (3, Weather::BatchLosesNull),
    (6, Weather::StagedFileDamaged),
    (3, Weather::SourceSlow),
    (3, Weather::SourceUnreadable),
    (3, Weather::CatalogSlow),
    (5, Weather::CatalogConflict),
    (3, Weather::Catalog5xx),
    (5, Weather::CatalogLate),
    (8, Weather::CatalogAppliedAnswerLost),
    (5, Weather::CatalogLostBeforeApplied),
    (1, Weather::DataPlanePanic),
];

pub(super) fn faults(draw: &mut Draw, policies: &[PolicyPlan], machines: usize) -> Vec<Planned> {
    let mut faults = Vec::new();
    // One seed in twelve has a quiet time: what fails there fails without help.
    let quiet = draw.below(12) == 0;
    for (chance, most, make) in KINDS {
        if !draw.chance(if quiet { 0 } else { chance }) {
            continue;
        }
        for _ in 0..draw.between(1, most) {
            let at = Duration::from_millis(draw.below(u64::try_from(BUSY.as_millis()).expect("seconds")));
            let (fault, lasts) = make(draw, policies, machines);
            faults.push(Planned { number: 0, at, lasts, fault });
        }
    }
    faults.sort_by_key(|planned| planned.at);
    for (number, planned) in (0..).zip(&mut faults) {
        planned.number = number;
    }
    faults
}

fn dark(draw: &mut Draw) -> Duration {
    draw.millis(1, MOST_DARK_MILLIS)
}

fn crash(draw: &mut Draw, _: &[PolicyPlan], machines: usize) -> (Fault, Duration) {
    let k = draw.between(1, MOST_OPERATIONS);
    let crash = if draw.chance(33) { Crash::Now } else { Crash::AtOperation(k) };
    (Fault::Crash { machine: draw.index(machines), crash }, dark(draw))
}

fn kill(draw: &mut Draw, _: &[PolicyPlan], machines: usize) -> (Fault, Duration) {
    (Fault::Kill { machine: draw.index(machines) }, draw.millis(1, 3_000))
}

fn mass_death(draw: &mut Draw, _: &[PolicyPlan], machines: usize) -> (Fault, Duration) {
    // Of a small fleet that is more than its quorum bears: it stands still until they are back.
    let dying = (machines * MASS_PERCENT).div_ceil(100).max(2);
    let first = draw.index(machines);
    let machines = (0..dying).map(|step| (first + step) % machines).collect();
    (Fault::MassDeath { machines }, dark(draw))
}

fn pause(draw: &mut Draw, _: &[PolicyPlan], machines: usize) -> (Fault, Duration) {
    (Fault::Pause { machine: draw.index(machines) }, draw.millis(1_000, MOST_DARK_MILLIS))
}

fn links(draw: &mut Draw, _: &[PolicyPlan], machines: usize) -> (Fault, Duration) {
    use LinkFault::{AnswersLost, Delay, Duplication, Foreign, Loss, Reordering};
    let what = draw.one_of(&[Loss, Duplication, Reordering, Reordering, Delay, AnswersLost, Foreign]);
    let per_mille = match what {
        Loss | Duplication => draw.between(20, 100),
        Reordering => draw.between(60, 200),
        // Each of these costs a call its deadline, or a part of it.
        Delay | AnswersLost => draw.between(5, 50),
        Foreign => draw.between(10, 40),
    };
    let machine = draw.chance(50).then(|| draw.index(machines));
    (Fault::Links { what, per_mille: u32::try_from(per_mille).expect("below a thousand"), machine }, dark(draw))
}

fn pair(draw: &mut Draw, machines: usize) -> (usize, usize) {
    let from = draw.index(machines);
    (from, (from + 1 + draw.index(machines - 1)) % machines)
}

fn one_way(draw: &mut Draw, _: &[PolicyPlan], machines: usize) -> (Fault, Duration) {
    let (from, to) = pair(draw, machines);
    (Fault::CutOneWay { from, to }, dark(draw))
}

fn both_ways(draw: &mut Draw, _: &[PolicyPlan], machines: usize) -> (Fault, Duration) {
    let (one, other) = pair(draw, machines);
    (Fault::CutBothWays { one, other }, dark(draw))
}

fn isolation(draw: &mut Draw, _: &[PolicyPlan], machines: usize) -> (Fault, Duration) {
    (Fault::Isolation { machine: draw.index(machines) }, dark(draw))
}

fn false_death(draw: &mut Draw, _: &[PolicyPlan], machines: usize) -> (Fault, Duration) {
    (Fault::FalseDeath { machine: draw.index(machines), deaf: draw.chance(30) }, draw.millis(8_000, 14_000))
}

fn sync_error(draw: &mut Draw, _: &[PolicyPlan], machines: usize) -> (Fault, Duration) {
    (Fault::SyncError { machine: draw.index(machines), k: draw.between(1, MOST_SYNCS) }, Duration::ZERO)
}

fn write_error(draw: &mut Draw, _: &[PolicyPlan], machines: usize) -> (Fault, Duration) {
    (Fault::WriteError { machine: draw.index(machines), k: draw.between(1, MOST_OPERATIONS) }, Duration::ZERO)
}

fn full_disk(draw: &mut Draw, _: &[PolicyPlan], machines: usize) -> (Fault, Duration) {
    (Fault::FullDisk { machine: draw.index(machines), room: draw.index(MOST_ROOM) }, draw.millis(2_000, 6_000))
}

fn slow_disk(draw: &mut Draw, _: &[PolicyPlan], machines: usize) -> (Fault, Duration) {
    (Fault::SlowDisk { machine: draw.index(machines), millis: draw.between(5, 400) }, dark(draw))
}

fn ruined_disk(draw: &mut Draw, _: &[PolicyPlan], machines: usize) -> (Fault, Duration) {
    (Fault::RuinedDisk { machine: draw.index(machines) }, draw.millis(1, 3_000))
}

fn clock_step(draw: &mut Draw, _: &[PolicyPlan], machines: usize) -> (Fault, Duration) {
    // From within a heartbeat to minutes, either way.
    let size = draw.one_of(&[200_i64, 3_000, 60_000, 200_000]);
    let millis = if draw.chance(50) { size } else { -size };
    (Fault::ClockStep { machine: draw.index(machines), millis }, Duration::ZERO)
}

fn clock_drift(draw: &mut Draw, _: &[PolicyPlan], machines: usize) -> (Fault, Duration) {
    let ppm = draw.one_of(&[-5_000_i64, -500, 500, 5_000]);
    (Fault::ClockDrift { machine: draw.index(machines), ppm }, dark(draw))
}

fn weather(draw: &mut Draw, _: &[PolicyPlan], _: usize) -> (Fault, Duration) {
    let lots: u64 = WEATHER.iter().map(|(lots, _)| lots).sum();
    let mut lot = draw.below(lots);
    let drawn = WEATHER.iter().find_map(|(lots, weather)| match lot.checked_sub(*lots) {
        Some(rest) => {
            lot = rest;
            None
        }
        None => Some(*weather),
    });
    let weather = drawn.expect("it is below the sum of all lots");
    let per_mille = draw.one_of(weather_rates(weather));
    (Fault::Weather { weather, per_mille }, draw.millis(2_000, MOST_DARK_MILLIS))
}

/// How many of thousand calls go wrong, to choose from.
fn weather_rates(weather: Weather) -> &'static [u32] {
    use Weather::{
        BatchLosesNull, BatchLosesRow, Catalog5xx, CatalogAppliedAnswerLost, CatalogConflict, CatalogLate,
        CatalogLostBeforeApplied, CatalogSlow, ReadBackDiffers, StagedFileDamaged,
    };
    match weather {
        // There are few calls of the catalog, and all of them matter.
        CatalogAppliedAnswerLost | CatalogConflict | CatalogLate | CatalogLostBeforeApplied => &[300, 600, 900],
        Catalog5xx | CatalogSlow => &[300, 600],
        BatchLosesNull | BatchLosesRow | ReadBackDiffers | StagedFileDamaged => &[300, 900],
        _ => &[100, 300, 600],
    }
}

fn source(draw: &mut Draw, policies: &[PolicyPlan], _: usize) -> (Fault, Duration) {
    use SourceChange::{Append, RemoveFile, Replace, ReplaceQuietly, Vanish, VanishAndComeBack};
    let policy = draw.index(policies.len());
    let table = draw.index(policies[policy].tables.len());
    let change = draw.one_of(&[Append, Replace, ReplaceQuietly, RemoveFile, Vanish, VanishAndComeBack]);
    (Fault::Source { policy, table, change }, dark(draw))
}

fn stranger(draw: &mut Draw, policies: &[PolicyPlan], _: usize) -> (Fault, Duration) {
    let policy = draw.index(policies.len());
    (Fault::Stranger { policy, table: draw.index(policies[policy].tables.len()) }, Duration::ZERO)
}

fn other_version(draw: &mut Draw, _: &[PolicyPlan], machines: usize) -> (Fault, Duration) {
    (Fault::OtherVersion { machine: draw.index(machines) }, dark(draw))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_weather_has_its_lots() {
        let mut drawn: Vec<Weather> = WEATHER.iter().map(|(_, weather)| *weather).collect();
        drawn.sort_unstable();
        assert_eq!(drawn, Weather::ALL);
        assert!(WEATHER.iter().all(|(lots, _)| *lots > 0));
    }
}
