//! What people ask for: approvals, rejections, pause, resume, cancel, retry, rollback.

use std::collections::BTreeMap;

use super::{Stamp, end_unpublished, enter, next_run, pause, progress, unknown, wrong_phase};
use crate::access::forbidden;
use crate::defects::{self, Defect};
use crate::hash::Hash256;
use crate::ids::{MigrationId, PolicyName};
use crate::ledger::access::Approval as Given;
use crate::ledger::entry::{Answer, Request};
use crate::ledger::migration::{Migration, Phase, WithdrawReason};
use crate::ledger::state::{Claim, State};
use crate::policy::Approval;
use crate::problem::{Code, Problem};

pub(super) fn approved(state: &mut State, stamp: Stamp<'_>, items: &[(MigrationId, Hash256)]) -> Answer {
    // Thousands of plans of one policy may be approved at once: what it wants is read once.
    let mut rules: BTreeMap<PolicyName, Approval> = BTreeMap::new();
    each(state, items, |state, (id, hash)| {
        let migration = state.migrations.get(id).ok_or_else(|| unknown(*id))?;
        waits_for(migration, hash, "approval")?;
        let record = state.policies.get(&migration.policy).ok_or_else(|| unknown(*id))?;
        let rule = match rules.get(&migration.policy) {
            Some(rule) => *rule,
            None => {
                let rule = record.approval().map_err(|error| unreadable(migration, &error))?;
                rules.insert(migration.policy.clone(), rule);
                rule
            }
        };
        if rule.not_by_submitter && record.applied_by == stamp.actor {
            return Err(by_submitter(migration, stamp.actor));
        }
        let given = state.access.approvals.entry(*id).or_default();
        given.retain(|approval| approval.plan == *hash);
        if given.iter().any(|approval| approval.actor == stamp.actor) {
            return Err(twice(migration, stamp.actor, given.len(), rule.count));
        }
        given.push(Given { plan: *hash, actor: stamp.actor.to_owned(), at_millis: stamp.at_millis });
        let (given, wanted) = (given.len(), usize::from(rule.count));
        if given >= wanted {
            state.access.approvals.remove(id);
        }
        state.change(*id, stamp, |migration| {
            let mut what = format!("plan {} was approved", hash.short());
            if wanted > 1 {
                what += &format!(" ({given} of {wanted})");
            }
            if given >= wanted {
                migration.approved = Some(Box::new((*hash, stamp.actor.to_owned(), stamp.at_millis)));
                progress::begin(migration);
            }
            Some(what)
        });
        Ok(())
    })
}

fn unreadable(migration: &Migration, error: &serde_json::Error) -> Problem {
    let what = format!("the document of policy {}", migration.policy);
    Problem::new(Code::Internal, what, error.to_string(), "report this defect").of(&migration.dataset)
}

fn by_submitter(migration: &Migration, actor: &str) -> Problem {
    let why = format!("{actor} applied the policy, which wants somebody else to approve its plans");
    let problem = forbidden("approval of a plan", why, "let another approver look at it");
    problem.of(&migration.dataset)
}

fn twice(migration: &Migration, actor: &str, given: usize, wanted: u8) -> Problem {
    let why = format!("{actor} has approved it already; it has {given} approvals of {wanted}");
    let problem = forbidden("approval of a plan", why, "let another approver look at it");
    problem.of(&migration.dataset)
}

pub(super) fn rejected(state: &mut State, stamp: Stamp<'_>, items: &[(MigrationId, Hash256)], reason: &str) -> Answer {
    each(state, items, |state, (id, hash)| {
        let migration = state.migrations.get(id).ok_or_else(|| unknown(*id))?;
        waits_for(migration, hash, "rejection")?;
        state.access.approvals.remove(id);
        state.change(*id, stamp, |migration| {
            end_unpublished(migration, Phase::Cancelled);
            Some(with_reason(&format!("plan {} was rejected", hash.short()), reason))
        });
        Ok(())
    })
}

fn waits_for(migration: &Migration, hash: &Hash256, what: &str) -> Result<(), Problem> {
    if migration.phase != Phase::Approval {
        return Err(wrong_phase(migration, what));
    }
    let present = migration.plan.as_ref().map(|plan| plan.hash);
    if present == Some(*hash) || defects::is(Defect::ApprovalNotBound) {
        return Ok(());
    }
    Err(Problem::new(
        Code::PlanChanged,
        format!("{what} of plan {}", hash.short()),
        format!("the present plan is {}", present.map(|hash| hash.short()).unwrap_or_default()),
        "review the present plan and approve that one",
    )
    .of(&migration.dataset))
}

pub(super) fn requested(
    state: &mut State,
    stamp: Stamp<'_>,
    migrations: &[MigrationId],
    request: Request,
    reason: &str,
) -> Answer {
    each(state, migrations, |state, id| {
        let migration = state.migrations.get(id).ok_or_else(|| unknown(*id))?;
        match request {
            Request::Pause => pausable(migration)?,
            Request::Resume => resumable(migration)?,
            Request::Cancel => cancellable(migration)?,
            Request::Retry => retryable(state, migration)?,
            Request::Rollback => withdrawable(migration)?,
        }
        if request == Request::Retry {
            let key = Claim::of(&migration.target_connection, &migration.target);
            state.claims.insert(key, *id);
        }
        state.change(*id, stamp, |migration| {
            let said = match request {
                Request::Pause => {
                    let problem = Problem::new(
                        Code::ByRequest,
                        "pause",
                        with_reason("a person asked for it", reason),
                        "resume it",
                    );
                    pause(migration, problem);
                    "paused by request"
                }
                Request::Resume => resume(migration),
                Request::Cancel => cancel(migration),
                Request::Retry => {
                    next_run(migration);
                    "the next run begins"
                }
                Request::Rollback => {
                    withdraw(migration, WithdrawReason::Rollback);
                    "rollback begins"
                }
            };
            (!defects::is(Defect::HistoryWithoutRequests)).then(|| with_reason(said, reason))
        });
        Ok(())
    })
}

fn pausable(migration: &Migration) -> Result<(), Problem> {
    let allowed =
        migration.phase.is_active() && migration.phase != Phase::RollingBack || migration.phase == Phase::Approval;
    if allowed || defects::is(Defect::PauseAfterEnd) { Ok(()) } else { Err(wrong_phase(migration, "pause")) }
}

fn resumable(migration: &Migration) -> Result<(), Problem> {
    if migration.phase != Phase::Paused {
        return Err(wrong_phase(migration, "resume"));
    }
    // Nothing looks at an intended table again before it gets its name. So what differs after its intent (a second look may
    // overtake the answer to the first) must never go on: the name is taken back, and the next run makes another table.
    let problem = migration.problem.as_ref().map(|problem| problem.code);
    if migration.intent.is_some() && problem == Some(Code::Difference) {
        return Err(Problem::new(
            Code::WrongPhase,
            "resume",
            "the table that it was about to publish differs from what was recorded",
            "cancel it, which takes its name back, and retry it",
        )
        .of(&migration.dataset));
    }
    Ok(())
}

fn cancellable(migration: &Migration) -> Result<(), Problem> {
    let ended = matches!(migration.phase, Phase::Committed | Phase::RolledBack | Phase::Cancelled | Phase::RollingBack);
    if ended { Err(wrong_phase(migration, "cancel")) } else { Ok(()) }
}

fn retryable(state: &State, migration: &Migration) -> Result<(), Problem> {
    let stopped = matches!(migration.phase, Phase::Quarantined | Phase::Paused | Phase::Cancelled | Phase::RolledBack);
    // An open intent must be fulfilled or taken back first: its table may still become visible.
    let open_intent =
        migration.phase == Phase::Paused && migration.intent.is_some() && !defects::is(Defect::RetryDropsIntent);
    if !stopped || open_intent {
        return Err(wrong_phase(migration, "retry"));
    }
    let newest = state.policies.get(&migration.policy).is_some_and(|record| record.generation == migration.stands_for);
    if !newest {
        return Err(Problem::new(
            Code::WrongPhase,
            "retry",
            "a newer generation of its policy has its own migration of this dataset",
            "retry that one",
        )
        .of(&migration.dataset));
    }
    let key = Claim::of(&migration.target_connection, &migration.target);
    match state.claims.get(&key) {
        Some(other) if *other != migration.id => Err(Problem::new(
            Code::TargetCollision,
            format!("target {}", migration.target),
            format!("it belongs to migration {other}"),
            "cancel or roll back the other first",
        )
        .of(&migration.dataset)),
        _ => Ok(()),
    }
}

fn withdrawable(migration: &Migration) -> Result<(), Problem> {
    if migration.phase == Phase::Committed { Ok(()) } else { Err(wrong_phase(migration, "rollback")) }
}

fn resume(migration: &mut Migration) -> &'static str {
    let from = migration.from.take().unwrap_or(Phase::Queued);
    migration.problem = None;
    migration.difference = None;
    match from {
        Phase::Preparation => migration.phase = Phase::Queued,
        Phase::Validation | Phase::Commit | Phase::RollingBack => enter(migration, from),
        other => migration.phase = other,
    }
    for batch in migration.stages.iter_mut().flatten() {
        batch.not_before = 0;
    }
    "resumed"
}

fn cancel(migration: &mut Migration) -> &'static str {
    if migration.intent.is_some() && !defects::is(Defect::CancelLeavesTable) {
        withdraw(migration, WithdrawReason::Cancel);
        "cancelled: the target is taken back first"
    } else {
        end_unpublished(migration, Phase::Cancelled);
        "cancelled"
    }
}

fn withdraw(migration: &mut Migration, reason: WithdrawReason) {
    migration.withdrawing = Some(reason);
    migration.from = None;
    migration.problem = None;
    migration.tombstone = None;
    if defects::is(Defect::RollbackWithoutWithdrawal) {
        migration.phase = Phase::RolledBack;
        return;
    }
    enter(migration, Phase::RollingBack);
}

fn with_reason(said: &str, reason: &str) -> String {
    if reason.is_empty() { said.to_owned() } else { format!("{said}: {reason}") }
}

/// Does something for each of many; what is refused for one does not hold up the others.
fn each<T: Item>(state: &mut State, items: &[T], mut act: impl FnMut(&mut State, &T) -> Result<(), Problem>) -> Answer {
    let mut refused = Vec::new();
    for item in items {
        if let Err(problem) = act(state, item) {
            refused.push((item.migration(), problem));
        }
    }
    match (refused.len(), items.len()) {
        (0, _) => Answer::Applied,
        (1, 1) => Answer::Refused(refused.remove(0).1),
        _ => Answer::Partly(refused),
    }
}

/// Items of a bulk entry: each names a migration.
trait Item {
    fn migration(&self) -> MigrationId;
}

impl Item for MigrationId {
    fn migration(&self) -> MigrationId {
        *self
    }
}

impl Item for (MigrationId, Hash256) {
    fn migration(&self) -> MigrationId {
        self.0
    }
}
