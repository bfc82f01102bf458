//! `apply`: the only code that changes the state. Pure; refuses what is stale or out of phase.

mod policy;
mod progress;
mod publish;
mod requests;

use crate::ids::{Epoch, MigrationId, NodeId, Run};
use crate::ledger::due::Place;
use crate::ledger::entry::{Answer, Entry, Fence};
use crate::ledger::fold::Proposal;
use crate::ledger::migration::{HISTORY_LIMIT, HistoryItem, Migration, Phase, WorkState};
use crate::ledger::state::State;
use crate::problem::{Code, Problem};

/// Starts of a node in a row that may find the same batch running before the batch counts as poison. A node that
/// is killed from outside finishes batches in between; a batch that kills its node does not.
const MAX_DEATHS: u32 = 10;

/// Index, time and actor of the entry that is being applied.
#[derive(Clone, Copy)]
struct Stamp<'a> {
    index: u64,
    at_millis: u64,
    actor: &'a str,
}

/// Folds one entry in.
pub(super) fn apply(state: &mut State, index: u64, proposal: &Proposal<Entry>) -> Answer {
    let stamp = Stamp { index, at_millis: proposal.at_millis, actor: &proposal.actor };
    let outcome = match &proposal.entry {
        Entry::NodeStarted { node, boot } => node_started(state, stamp, *node, *boot),
        Entry::PolicyApplied { policy, owner } => Ok(policy::applied(state, stamp, policy, *owner)),
        Entry::PreparationStarted(fences) => Ok(progress::preparation_started(state, stamp, fences)),
        Entry::Planned { fence, plan } => progress::planned(state, stamp, *fence, plan),
        Entry::Refused { fence, refusal, problem } => progress::refused(state, stamp, *fence, *refusal, problem),
        Entry::Approved(items) => Ok(requests::approved(state, stamp, items)),
        Entry::Rejected { items, reason } => Ok(requests::rejected(state, stamp, items, reason)),
        Entry::BatchStarted { fence, batch, attempt } => {
            progress::batch_started(state, stamp, *fence, *batch, *attempt)
        }
        Entry::BatchDone { fence, batch, attempt, result, totals } => {
            progress::batch_done(state, stamp, *fence, *batch, *attempt, (*result, *totals))
        }
        Entry::BatchFailed { fence, batch, attempt, problem, class, retry_at } => {
            progress::batch_failed(state, stamp, *fence, (*batch, *attempt), problem, *class, *retry_at)
        }
        Entry::WorkFailed { fence, work, problem, class, retry_at } => {
            progress::work_failed(state, stamp, *fence, *work, problem, *class, *retry_at)
        }
        Entry::Differs { fence, batch, problem, evidence } => {
            progress::differs(state, stamp, *fence, *batch, problem, *evidence)
        }
        Entry::PublishIntent { fence, plan, table, evidence } => {
            publish::intent(state, stamp, *fence, *plan, table, *evidence)
        }
        Entry::Committed { fence, metadata_location } => publish::committed(state, stamp, *fence, metadata_location),
        Entry::Requested { migrations, request, reason } => {
            Ok(requests::requested(state, stamp, migrations, *request, reason))
        }
        Entry::TombstoneStaged { fence, location } => publish::tombstone_staged(state, stamp, *fence, location),
        Entry::Withdrawn { fence, tombstone, until } => publish::withdrawn(state, stamp, *fence, *tombstone, *until),
        Entry::WithdrawRefused { fence, problem } => publish::withdraw_refused(state, stamp, *fence, problem),
        Entry::TombstoneReleased { fence } => publish::tombstone_released(state, stamp, *fence),
        Entry::Collected { fence, files, bytes } => publish::collected(state, stamp, *fence, *files, *bytes),
    };
    outcome.unwrap_or_else(Answer::Refused)
}

fn node_started(state: &mut State, stamp: Stamp<'_>, node: NodeId, boot: u64) -> Result<Answer, Problem> {
    if state.nodes.get(&node).is_some_and(|last| *last >= boot) {
        return Ok(Answer::Unchanged);
    }
    state.nodes.insert(node, boot);
    let owned: Vec<MigrationId> = state.migrations.values().filter(|m| m.owner == node).map(|m| m.id).collect();
    for id in owned {
        state.change(id, stamp, |migration| adopt(migration, boot));
    }
    Ok(Answer::Applied)
}

/// A higher epoch: what the old one had begun is over; what it recorded stays.
fn adopt(migration: &mut Migration, boot: u64) -> Option<String> {
    migration.epoch = migration.epoch.next();
    let mut interrupted = 0_u32;
    let mut poison = None;
    for (stage, batches) in migration.stages.iter_mut().enumerate() {
        for (number, batch) in batches.iter_mut().enumerate() {
            if batch.running.take().is_some() {
                interrupted += 1;
                batch.deaths += 1;
                if batch.deaths >= MAX_DEATHS {
                    poison = Some(format!("{stage}.{number}"));
                }
            }
        }
    }
    migration.uncollected |= interrupted > 0 || matches!(migration.phase, Phase::Validation | Phase::RollingBack);
    if let Some(batch) = poison {
        let problem = Problem::new(
            Code::Poison,
            format!("batch {batch}"),
            format!("its node ended {MAX_DEATHS} times in a row while it ran, and no batch was finished in between"),
            "look at the node's log and memory limits, then retry the migration",
        );
        quarantine(migration, problem);
        return Some("quarantined: a batch took its node down again and again".to_owned());
    }
    let active = migration.phase.is_active();
    active.then(|| format!("taken up again by start {boot} of its node; {interrupted} open batches are over"))
}

/// Ends a run for good, with its problem.
fn quarantine(migration: &mut Migration, problem: Problem) {
    migration.from = Some(migration.phase);
    migration.problem = Some(problem.of(&migration.dataset));
    close_batches(migration);
    migration.uncollected = true;
    migration.phase = Phase::Quarantined;
}

/// Stops a run until somebody asks for more.
fn pause(migration: &mut Migration, problem: Problem) {
    migration.from = Some(migration.phase);
    migration.problem = Some(problem.of(&migration.dataset));
    close_batches(migration);
    migration.phase = Phase::Paused;
}

/// Ends a run that has published nothing.
fn end_unpublished(migration: &mut Migration, phase: Phase) {
    close_batches(migration);
    migration.uncollected |= !migration.stages.is_empty();
    migration.from = None;
    migration.problem = None;
    migration.phase = phase;
}

fn close_batches(migration: &mut Migration) {
    for batch in migration.stages.iter_mut().flatten() {
        migration.uncollected |= batch.running.take().is_some();
    }
}

/// Opens the next run from the start; what was approved stays approved.
fn next_run(migration: &mut Migration) {
    close_batches(migration);
    migration.run = Run(migration.run.0 + 1);
    migration.phase = Phase::Queued;
    migration.from = None;
    migration.problem = None;
    migration.plan = None;
    migration.refusal = None;
    migration.stages = Vec::new();
    migration.next_attempt = crate::ids::Attempt(1);
    migration.work = WorkState::default();
    migration.intent = None;
    migration.difference = None;
    migration.withdrawing = None;
    migration.committed_at = None;
}

/// Moves a migration on to a phase whose work starts afresh.
fn enter(migration: &mut Migration, phase: Phase) {
    migration.phase = phase;
    migration.work = WorkState { attempt: migration.next_attempt, ..WorkState::default() };
    migration.next_attempt = migration.next_attempt.next();
}

fn wrong_phase(migration: &Migration, what: &str) -> Problem {
    Problem::new(
        Code::WrongPhase,
        what,
        format!("the migration is in phase {}", migration.phase),
        "look at its present state and ask for what that phase allows",
    )
    .of(&migration.dataset)
}

impl State {
    /// The migration that a fence names, if the fence is not over.
    fn fenced(&self, fence: Fence) -> Result<&Migration, Problem> {
        let Some(migration) = self.migrations.get(&fence.migration) else {
            return Err(unknown(fence.migration));
        };
        if migration.run != fence.run || migration.epoch != fence.epoch {
            let Fence { run: Run(run), epoch: Epoch(epoch), .. } = fence;
            return Err(Problem::new(
                Code::Stale,
                format!("entry of run {run}, epoch {epoch}"),
                format!("the migration is at run {}, epoch {}", migration.run, migration.epoch),
                "nothing: the present owner goes on",
            )
            .of(&migration.dataset));
        }
        Ok(migration)
    }

    /// Changes one migration and keeps indexes, times and history in step. The closure says what happened; `None`
    /// leaves no line in the history.
    fn change(&mut self, id: MigrationId, stamp: Stamp<'_>, change: impl FnOnce(&mut Migration) -> Option<String>) {
        let Some(migration) = self.migrations.get_mut(&id) else { return };
        let (before, place) = (migration.phase, Place::of(migration));
        let said = change(migration);
        let after = migration.phase;
        if before != after {
            migration.changed_at = stamp.at_millis;
            if let Some(set) = self.by_phase.get_mut(&before) {
                set.remove(&id);
            }
            self.by_phase.entry(after).or_default().insert(id);
        }
        self.due.moved(place, Place::of(migration));
        if let Some(what) = said {
            remember(migration, stamp, what);
        }
        let (claims, key) =
            (migration.claims_target(), (migration.target_connection.clone(), migration.target.clone()));
        if !claims && self.claims.get(&key) == Some(&id) {
            self.claims.remove(&key);
        }
    }
}

fn remember(migration: &mut Migration, stamp: Stamp<'_>, what: String) {
    if migration.history.len() >= HISTORY_LIMIT {
        migration.history.remove(0);
    }
    let item = HistoryItem {
        index: stamp.index,
        at_millis: stamp.at_millis,
        actor: stamp.actor.to_owned(),
        run: migration.run,
        phase: migration.phase,
        what,
    };
    migration.history.push(item);
}

fn unknown(id: MigrationId) -> Problem {
    Problem::new(Code::NotFound, format!("migration {id}"), "there is no such migration", "list the migrations")
}
