use super::*;
use crate::ids::Attempt;
use crate::ledger::entry::{Entry, Request};
use crate::ledger::scenario::{NODE, Scenario, batch_id, opened};

fn one() -> (Scenario, crate::ids::MigrationId) {
    let mut scenario = Scenario::default();
    let id = scenario.policy("p", &["t"], |_| ())[0];
    (scenario, id)
}

#[test]
fn the_next_step_follows_from_the_record_alone() {
    let (mut scenario, id) = one();
    let step = |scenario: &Scenario| next(scenario.migration(id), u64::MAX);
    assert_eq!(step(&scenario), Step::StartPreparation);
    scenario.plan(id, 2, 1);
    assert_eq!(step(&scenario), Step::Batches(vec![batch_id(0), batch_id(1)]));
    let first = scenario.start(id, 0);
    assert_eq!(step(&scenario), Step::Batches(vec![batch_id(1)]));
    let second = scenario.start(id, 1);
    assert_eq!(step(&scenario), Step::Wait);
    scenario.finish(id, first);
    scenario.finish(id, second);
    assert_eq!(step(&scenario), Step::Validate);
    let metadata_location = scenario.intend(id).metadata_location;
    assert_eq!(step(&scenario), Step::Publish);
    scenario.fact(Entry::Committed { fence: scenario.fence(id), metadata_location });
    assert_eq!(step(&scenario), Step::Wait);
    scenario.request(id, Request::Rollback);
    assert_eq!(step(&scenario), Step::Withdraw);
}

#[test]
fn a_tombstone_is_taken_away_when_its_time_is_over_and_not_before() {
    let (mut scenario, id) = one();
    scenario.commit(id);
    scenario.request(id, Request::Rollback);
    let fence = scenario.fence(id);
    scenario.fact(Entry::TombstoneStaged { fence, location: "/lake/tombstone".to_owned() });
    scenario.fact(Entry::Withdrawn { fence, tombstone: true, until: 90_000 });
    assert_eq!(next(scenario.migration(id), 0), Step::Collect);
    scenario.fact(Entry::Collected { fence, files: 0, bytes: 0 });
    assert_eq!(next(scenario.migration(id), 89_999), Step::WaitUntil(90_000));
    assert_eq!(next(scenario.migration(id), 90_000), Step::ReleaseTombstone);
    scenario.fact(Entry::TombstoneReleased { fence });
    assert_eq!(next(scenario.migration(id), u64::MAX), Step::Wait);
}

#[test]
fn what_earlier_stages_wrote_is_removed_once_the_table_is_published() {
    let (mut scenario, id) = one();
    scenario.plan_stages(id, vec![1, 1]);
    for stage in 0..2 {
        let batch = BatchId { stage: StageNo(stage), batch: BatchNo(0) };
        let attempt = scenario.migration(id).next_attempt;
        scenario.fact(Entry::BatchStarted { fence: scenario.fence(id), batch, attempt, runner: NODE });
        scenario.finish(id, (batch, attempt));
    }
    let metadata_location = scenario.intend(id).metadata_location;
    scenario.fact(Entry::Committed { fence: scenario.fence(id), metadata_location });
    assert_eq!(next(scenario.migration(id), 0), Step::Collect);
    scenario.fact(Entry::Collected { fence: scenario.fence(id), files: 1, bytes: 1 });
    assert_eq!(next(scenario.migration(id), 0), Step::Wait);
}

#[test]
fn a_batch_is_wanted_until_its_hand_out_ends() {
    let (mut scenario, id) = one();
    scenario.plan(id, 2, 1);
    let (batch, attempt) = scenario.start(id, 0);
    let stake = Stake::batch(scenario.migration(id), batch, attempt);
    assert!(stake.holds(scenario.migration(id)));
    scenario.request(id, Request::Pause);
    assert!(!stake.holds(scenario.migration(id)), "a pause ends it");
    scenario.request(id, Request::Resume);
    assert!(!stake.holds(scenario.migration(id)), "going on takes another hand-out");
    let (_, again) = scenario.start(id, 0);
    assert_ne!(again, attempt);
    let stake = Stake::batch(scenario.migration(id), batch, again);
    scenario.fact(opened(1));
    assert!(!stake.holds(scenario.migration(id)), "the epoch is over");
}

#[test]
fn other_work_is_wanted_until_its_phase_or_its_try_ends() {
    let (mut scenario, id) = one();
    scenario.plan(id, 1, 1);
    let started = scenario.start(id, 0);
    scenario.finish(id, started);
    let stake = |scenario: &Scenario| {
        let migration = scenario.migration(id);
        Stake::work(migration, &next(migration, u64::MAX)).unwrap()
    };
    let before = stake(&scenario);
    assert!(before.holds(scenario.migration(id)));
    scenario.request(id, Request::Pause);
    scenario.request(id, Request::Resume);
    assert!(!before.holds(scenario.migration(id)), "the same phase, but another try");
    let again = stake(&scenario);
    scenario.intend(id);
    assert!(!again.holds(scenario.migration(id)));
    assert_eq!(Stake::work(scenario.migration(id), &Step::Wait), None);
}

#[test]
fn an_interrupted_hand_out_is_tried_again() {
    let (mut scenario, id) = one();
    scenario.plan(id, 1, 1);
    let (batch, attempt) = scenario.start(id, 0);
    let entry = outcome::interrupted(scenario.fence(id), (batch, attempt), 0, 5_000, u64::MAX);
    scenario.fact(entry);
    let migration = scenario.migration(id);
    assert_eq!(migration.batch(batch).unwrap().running, None);
    assert_eq!(migration.next_attempt, Attempt(attempt.0 + 1));
    assert!(matches!(next(migration, 5_000), Step::WaitUntil(_)));
    assert_eq!(next(migration, 5_000 + outcome::FIRST_BACKOFF_MILLIS), Step::Batches(vec![batch]));
}
