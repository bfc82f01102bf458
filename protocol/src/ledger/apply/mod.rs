//! `apply`: the only code that changes the state. Pure; refuses what is stale or out of phase.

mod access;
mod members;
mod ownership;
mod policy;
mod progress;
mod publish;
mod requests;

use crate::defects::{self, Defect};
use crate::hash::Hash256;
use crate::ids::{Epoch, MigrationId, Run};
use crate::ledger::access::SignIn;
use crate::ledger::due::Place;
use crate::ledger::entry::{Answer, Entry, Fence};
use crate::ledger::fold::Proposal;
use crate::ledger::migration::{HISTORY_LIMIT, HistoryItem, Migration, Phase, WorkState};
use crate::ledger::state::{Claim, State};
use crate::ledger::tally::Part;
use crate::problem::{Code, Problem};

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
        Entry::SessionOpened { node, session, seat } => members::session_opened(state, stamp, *node, *session, seat),
        Entry::SessionClosed { node, session } => members::session_closed(state, stamp, *node, *session),
        Entry::SessionsExpired { sessions, mass } => Ok(members::sessions_expired(state, stamp, sessions, *mass)),
        Entry::MemberAdmitted { node, token, address } => members::admitted(state, stamp, *node, *token, address),
        Entry::MemberReplaced { old, new, address } => members::replaced(state, stamp, *old, *new, address),
        Entry::MemberRemoved { node, reason } => members::removed(state, stamp, *node, reason),
        Entry::DrainRequested { node, drain, reason } => members::drain(state, stamp, *node, *drain, reason),
        Entry::JoinTokenIssued { token, expires_at } => members::token_issued(state, stamp, *token, *expires_at),
        Entry::JoinTokenRevoked { token } => members::token_revoked(state, *token),
        Entry::AccessTokenIssued { token, name, rights, expires_at } => {
            access::issued(state, stamp, *token, name, rights, *expires_at)
        }
        Entry::AccessTokenRevoked { token, reason } => access::revoked(state, stamp, *token, reason),
        Entry::SignedIn { session, name, rights, token, expires_at } => {
            let person = SignIn { name: name.clone(), rights: rights.clone(), token: *token, expires_at: *expires_at };
            access::signed_in(state, stamp, *session, person)
        }
        Entry::SignedOut { session } => Ok(access::signed_out(state, *session)),
        Entry::AccessTokensUsed(tokens) => Ok(access::used(state, stamp, tokens)),
        Entry::Transferred { items, to, reason } => ownership::transferred(state, stamp, items, *to, *reason),
        Entry::AlertDelivered { incident, resolved } => Ok(alert_delivered(state, *incident, *resolved)),
        Entry::PolicyApplied { policy, owner, key } => policy::applied(state, stamp, policy, *owner, key.as_ref()),
        Entry::PreparationStarted(fences) => Ok(progress::preparation_started(state, stamp, fences)),
        Entry::Planned { fence, plan } => progress::planned(state, stamp, *fence, plan),
        Entry::Refused { fence, refusal, problem } => progress::refused(state, stamp, *fence, *refusal, problem),
        Entry::Approved(items) => Ok(requests::approved(state, stamp, items)),
        Entry::Rejected { items, reason } => Ok(requests::rejected(state, stamp, items, reason)),
        Entry::BatchStarted { fence, batch, attempt, runner } => {
            progress::batch_started(state, stamp, *fence, (*batch, *attempt), *runner)
        }
        Entry::BatchReturned { fence, batch, attempt } => {
            progress::batch_returned(state, stamp, *fence, *batch, *attempt)
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

/// Incidents that are remembered as told; those whose end was told make room first.
const ALERTS_KEPT: usize = 10_000;

fn alert_delivered(state: &mut State, incident: Hash256, resolved: bool) -> Answer {
    state.alerts.insert(incident, resolved);
    if state.alerts.len() > ALERTS_KEPT {
        let over = state.alerts.iter().find(|(_, resolved)| **resolved).or_else(|| state.alerts.iter().next());
        if let Some(over) = over.map(|(incident, _)| *incident) {
            state.alerts.remove(&over);
        }
    }
    Answer::Applied
}

/// Ends a run for good, with its problem.
fn quarantine(migration: &mut Migration, problem: Problem) {
    migration.from = Some(migration.phase);
    migration.problem = Some(Box::new(problem.of(&migration.dataset)));
    close_batches(migration);
    migration.uncollected = true;
    migration.phase = Phase::Quarantined;
}

/// Stops a run until somebody asks for more.
fn pause(migration: &mut Migration, problem: Problem) {
    migration.from = Some(migration.phase);
    migration.problem = Some(Box::new(problem.of(&migration.dataset)));
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
        migration.uncollected |= batch.close().is_some();
    }
}

/// Opens the next run from the start; what was approved stays approved.
fn next_run(migration: &mut Migration) {
    close_batches(migration);
    migration.run = if defects::is(Defect::RetryKeepsRun) { migration.run } else { Run(migration.run.0 + 1) };
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
        let run_is_over = migration.run != fence.run && !defects::is(Defect::SkipRunCheck);
        let epoch_is_over = migration.epoch != fence.epoch && !defects::is(Defect::SkipEpochCheck);
        if run_is_over || epoch_is_over {
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
        let (before, place, part) = (migration.phase, Place::owned(migration), Part::of(migration));
        let said = change(migration);
        let after = migration.phase;
        if before != after {
            migration.changed_at = stamp.at_millis;
            if let Some(set) = self.by_phase.get_mut(&before).filter(|_| !defects::is(Defect::CountsDrift)) {
                set.remove(&id);
            }
            self.by_phase.entry(after).or_default().insert(id);
        }
        self.due.moved(place, Place::owned(migration));
        self.tally.changed(migration, part, Part::of(migration));
        if let Some(what) = said {
            remember(migration, stamp, what);
        }
        if before != after && !migration.claims_target() {
            let key = Claim::of(&migration.target_connection, &migration.target);
            if self.claims.get(&key) == Some(&id) {
                self.claims.remove(&key);
            }
        }
    }
}

/// A history of more lines than this grows as lists do, by doubling.
const LONG_HISTORY: usize = 16;

fn remember(migration: &mut Migration, stamp: Stamp<'_>, what: String) {
    if migration.history.len() >= HISTORY_LIMIT {
        migration.history.remove(0);
    }
    let item = HistoryItem {
        index: stamp.index,
        at_millis: stamp.at_millis,
        actor: if defects::is(Defect::HistoryWithoutActor) { String::new() } else { stamp.actor.to_owned() },
        run: migration.run,
        phase: migration.phase,
        what,
    };
    if migration.history.len() < LONG_HISTORY {
        // Most have a handful of lines, and there may be a million of them.
        migration.history.reserve_exact(1);
    }
    migration.history.push(item);
}

fn unknown(id: MigrationId) -> Problem {
    Problem::new(Code::NotFound, format!("migration {id}"), "there is no such migration", "list the migrations")
}
