//! A policy is applied: a new generation, new migrations, and what becomes of the old ones.

use std::collections::BTreeSet;

use super::{Stamp, end_unpublished, ownership, remember};
use crate::defects::{self, Defect};
use crate::ids::{Attempt, Epoch, Generation, MigrationId, NodeId, PolicyName, Run, TableName};
use crate::ledger::due::Place;
use crate::ledger::entry::{Answer, AppliedPolicy, RequestKey};
use crate::ledger::migration::{Migration, Phase, WorkState};
use crate::ledger::policies::PolicyRecord;
use crate::ledger::state::{Claim, State};
use crate::problem::{Code, Problem};
use crate::schedule::cycle_with;

/// Answers to requests with a key that are remembered: those of the last hours of a busy team.
const REQUESTS_KEPT: usize = 1000;

pub(super) fn applied(
    state: &mut State,
    stamp: Stamp<'_>,
    policy: &AppliedPolicy,
    owner: NodeId,
    key: Option<&RequestKey>,
) -> Result<Answer, Problem> {
    let Some(key) = key else { return Ok(apply(state, stamp, policy, owner)) };
    if let Some((document, answer)) = state.request(&key.key).filter(|_| !defects::is(Defect::KeyForgotten)) {
        if document == key.document {
            return Ok(answer.clone());
        }
        let why = "it was used for another document";
        return Err(Problem::new(Code::RequestInvalid, "Idempotency-Key", why, "send a new key"));
    }
    let answer = apply(state, stamp, policy, owner);
    if matches!(answer, Answer::Refused(_)) {
        return Ok(answer);
    }
    if state.requests.len() >= REQUESTS_KEPT {
        state.requests.remove(0);
    }
    state.requests.push((key.clone(), answer.clone()));
    Ok(answer)
}

fn apply(state: &mut State, stamp: Stamp<'_>, policy: &AppliedPolicy, owner: NodeId) -> Answer {
    let known = state.policies.get(&policy.name);
    let generation = state.generation_of(&policy.name, policy.hash, &policy.datasets);
    if known.is_some_and(|record| record.generation == generation) {
        return Answer::Unchanged;
    }
    if let Some(circle) = cycle_with(state, &policy.name, &policy.after) {
        return Answer::Refused(in_a_circle(policy, &circle));
    }
    let earlier = known.map(|record| record.migrations.clone()).unwrap_or_default();
    let (superseded, kept) = supersede(state, stamp, &earlier, generation);
    let kept_datasets: BTreeSet<TableName> =
        kept.iter().filter_map(|id| state.migrations.get(id)).map(|m| m.dataset.clone()).collect();
    let mut migrations = earlier;
    let mut created = Vec::new();
    for (dataset, target) in &policy.datasets {
        if kept_datasets.contains(dataset) {
            continue;
        }
        let id = create(state, stamp, policy, generation, owner, dataset, target);
        created.push(id);
        migrations.push(id);
    }
    ownership::spread(state, &created);
    let record = PolicyRecord {
        policy: AppliedPolicy { datasets: Vec::new(), ..policy.clone() },
        datasets: PolicyRecord::hash_of(&policy.datasets),
        generation,
        applied_by: stamp.actor.to_owned(),
        applied_at: stamp.at_millis,
        migrations,
    };
    state.policies.insert(policy.name.clone(), record);
    Answer::PolicyApplied { generation, created, superseded, kept }
}

fn in_a_circle(policy: &AppliedPolicy, circle: &[PolicyName]) -> Problem {
    let names: Vec<&str> = circle.iter().chain(circle.first()).map(|name| name.0.as_str()).collect();
    Problem::new(
        Code::PolicyInvalid,
        format!("spec.run.after of policy {}", policy.name),
        format!("these policies would wait for each other for ever: {}", names.join(" → ")),
        "take one of them out of another's `after`",
    )
}

/// Ends the migrations of earlier generations that have published nothing and are not about to.
fn supersede(
    state: &mut State,
    stamp: Stamp<'_>,
    earlier: &[MigrationId],
    generation: Generation,
) -> (Vec<MigrationId>, Vec<MigrationId>) {
    let (mut superseded, mut kept) = (Vec::new(), Vec::new());
    for id in earlier {
        let Some(migration) = state.migrations.get(id) else { continue };
        if matches!(migration.phase, Phase::Cancelled | Phase::RolledBack) {
            continue;
        }
        if migration.is_settled() && !(defects::is(Defect::SupersedeWithIntent) && migration.phase == Phase::Commit) {
            kept.push(*id);
            state.change(*id, stamp, |migration| {
                migration.stands_for = generation;
                Some(format!("kept: generation {generation} of its policy found its target published or about to be"))
            });
            continue;
        }
        superseded.push(*id);
        state.change(*id, stamp, |migration| {
            end_unpublished(migration, Phase::Cancelled);
            Some(format!("superseded by generation {generation} of its policy"))
        });
    }
    (superseded, kept)
}

fn create(
    state: &mut State,
    stamp: Stamp<'_>,
    policy: &AppliedPolicy,
    generation: Generation,
    owner: NodeId,
    dataset: &TableName,
    target: &TableName,
) -> MigrationId {
    let id = MigrationId::derive(&policy.name, generation, dataset);
    let mut migration = Migration {
        id,
        policy: policy.name.clone(),
        generation,
        stands_for: generation,
        dataset: dataset.clone(),
        target_connection: policy.target_connection.clone(),
        target: target.clone(),
        priority: policy.priority,
        attempts: policy.attempts,
        approval_required: policy.approval_required,
        owner,
        epoch: Epoch(1),
        run: Run(1),
        phase: Phase::Queued,
        from: None,
        problem: None,
        plan: None,
        refusal: None,
        approved: None,
        stages: Vec::new(),
        next_attempt: Attempt(1),
        work: WorkState::default(),
        executed_at: 0,
        intent: None,
        difference: None,
        withdrawing: None,
        tombstone: None,
        uncollected: false,
        created_at: stamp.at_millis,
        changed_at: stamp.at_millis,
        committed_at: None,
        history: Vec::new(),
    };
    let key = Claim::of(&policy.target_connection, target);
    let claimed = state.claims.get(&key).filter(|_| !defects::is(Defect::ClaimIgnored));
    match claimed.and_then(|other| state.migrations.get(other)) {
        Some(other) => {
            migration.from = Some(Phase::Queued);
            migration.phase = Phase::Quarantined;
            migration.problem = Some(Box::new(
                Problem::new(
                    Code::TargetCollision,
                    format!("target {target}"),
                    format!("it belongs to the migration of {} under policy {}", other.dataset, other.policy),
                    "give one of the two another target name, or cancel the other, then retry",
                )
                .of(dataset),
            ));
        }
        None => {
            state.claims.insert(key, id);
        }
    }
    remember(&mut migration, stamp, format!("created by generation {generation} of policy {}", policy.name));
    state.by_phase.entry(migration.phase).or_default().insert(id);
    state.due.moved(None, Place::owned(&migration));
    state.migrations.insert(migration);
    id
}
