//! Who owns what: where new migrations go, what becomes of those of nodes that are gone, transfers between living ones.

use super::{Stamp, enter, quarantine};
use crate::defects::{self, Defect};
use crate::fleet::placement::{SeatLoad, place};
use crate::ids::{MigrationId, NodeId, SessionNo};
use crate::ledger::due::Place;
use crate::ledger::entry::{Answer, Fence, TransferReason};
use crate::ledger::migration::{Migration, Phase};
use crate::ledger::state::State;
use crate::problem::{Code, Problem};

/// Nodes that may end while they run the same batch, before the batch counts as poison: three different machines that
/// die of it are no accident.
const MAX_DEAD_NODES: usize = 3;
/// The same where always the same node dies: one that is killed from outside finishes batches in between; a batch that
/// kills its node does not.
const MAX_DEATHS: usize = 10;
/// Seconds that a migration counts as long as nobody knows how long it takes.
const UNKNOWN_SECONDS: u64 = 10;

/// Nodes that are gone, and whether what they ran is suspected.
pub(super) struct Death {
    pub(super) nodes: Vec<NodeId>,
    /// False for goodbyes, drained nodes and mass deaths.
    pub(super) blamed: bool,
}

impl Death {
    /// Nobody died.
    pub(super) fn none() -> Self {
        Self { nodes: Vec::new(), blamed: false }
    }
}

/// A node has a new session: its migrations get a higher epoch, and what it ran is over.
pub(super) fn taken_up(state: &mut State, stamp: Stamp<'_>, node: NodeId, session: SessionNo) {
    // Whoever is drained is being taken down by somebody: what it ran is not suspected.
    let blamed = !state.member(node).is_some_and(|member| member.draining);
    close_run_by(state, stamp, &Death { nodes: vec![node], blamed });
    let owned = state.migrations.values().filter(|migration| migration.owner == node);
    let owned: Vec<MigrationId> = owned.map(|migration| migration.id).collect();
    let owned = if defects::is(Defect::SessionKeepsEpoch) { Vec::new() } else { owned };
    for id in owned {
        state.change(id, stamp, |migration| {
            adopt(migration, &Death::none(), || format!("taken up again in session {session} of its node"))
        });
    }
}

/// Closes what dead nodes ran, and gives what belongs to nodes without a session to others.
pub(super) fn rehome(state: &mut State, stamp: Stamp<'_>, death: &Death) {
    if !death.nodes.is_empty() {
        close_run_by(state, stamp, death);
    }
    let seats = seats(state);
    let active: std::collections::BTreeSet<NodeId> = state.active().map(|member| member.node).collect();
    let homeless = state.migrations.values().filter(|migration| !active.contains(&migration.owner));
    let items: Vec<(MigrationId, u64)> = homeless.map(|migration| (migration.id, seconds_left(migration))).collect();
    if items.is_empty() {
        return;
    }
    // Where only draining nodes are left, they take it: better late than never.
    let placed = if seats.is_empty() {
        let Some(first) = active.first() else { return };
        items.iter().map(|(id, _)| (*id, *first)).collect()
    } else {
        place(&seats, &items)
    };
    for (id, to) in placed {
        state.change(id, stamp, |migration| {
            let from = migration.owner;
            migration.owner = to;
            adopt(migration, death, || format!("adopted by node {to} from node {from}"))
        });
    }
}

/// New migrations go to the nodes that have most room for them.
pub(super) fn spread(state: &mut State, created: &[MigrationId]) {
    let mut seats = seats(state);
    let new = || created.iter().filter_map(|id| state.migrations.get(id));
    // What is placed now counts for nobody yet.
    for migration in new() {
        if let Some(seat) = seats.iter_mut().find(|seat| seat.node == migration.owner) {
            seat.backlog_seconds = seat.backlog_seconds.saturating_sub(seconds_left(migration));
        }
    }
    let items: Vec<(MigrationId, u64)> = new().map(|migration| (migration.id, seconds_left(migration))).collect();
    for (id, to) in place(&seats, &items) {
        if let Some(migration) = state.migrations.get_mut(&id) {
            let before = Place::owned(migration);
            migration.owner = to;
            state.due.moved(before, Place::owned(migration));
        }
    }
}

pub(super) fn transferred(
    state: &mut State,
    stamp: Stamp<'_>,
    items: &[Fence],
    to: NodeId,
    reason: TransferReason,
) -> Result<Answer, Problem> {
    if !state.member(to).is_some_and(|member| member.takes_work()) {
        let why = "it has no session, or is drained";
        return Err(Problem::new(Code::NoSession, format!("node {to}"), why, "nothing: the owner goes on"));
    }
    let mut refused = Vec::new();
    for fence in items {
        if let Err(problem) = transfer(state, stamp, *fence, to, reason) {
            refused.push((fence.migration, problem));
        }
    }
    Ok(match refused.is_empty() {
        true => Answer::Applied,
        false => Answer::Partly(refused),
    })
}

fn transfer(
    state: &mut State,
    stamp: Stamp<'_>,
    fence: Fence,
    to: NodeId,
    reason: TransferReason,
) -> Result<(), Problem> {
    let migration = state.fenced(fence)?;
    let unstarted = matches!(migration.phase, Phase::Queued | Phase::Ready);
    // A drained node hands over whatever it does not work on at the moment.
    if migration.running() > 0 || reason == TransferReason::Steal && !unstarted {
        return Err(super::wrong_phase(migration, "transfer"));
    }
    let from = migration.owner;
    state.change(fence.migration, stamp, |migration| {
        migration.owner = to;
        let verb = match reason {
            TransferReason::Steal => "stolen",
            TransferReason::Drain => "taken over",
        };
        adopt(migration, &Death::none(), || format!("{verb} by node {to} from node {from}"))
    });
    Ok(())
}

/// The nodes that take work, and how much they have.
fn seats(state: &State) -> Vec<SeatLoad> {
    // Those that have not begun by their queues' sums: there may be a million of them.
    let backlog = |node: NodeId| {
        let waiting = [Phase::Queued, Phase::Preparation, Phase::Ready]
            .into_iter()
            .flat_map(|phase| state.queues_of(node, phase));
        let waiting = waiting.map(|(_, queue)| queue.seconds() + queue.unplanned() * UNKNOWN_SECONDS);
        waiting.chain(state.due_of(node, Phase::Execution).map(seconds_left)).fold(0, u64::saturating_add)
    };
    let takers = state.active().filter(|member| member.takes_work());
    let seat = |member: &crate::ledger::members::Member| SeatLoad {
        node: member.node,
        slots: member.seat.slots,
        backlog_seconds: backlog(member.node),
    };
    takers.map(seat).collect()
}

/// Seconds of one slot that are left, roughly.
fn seconds_left(migration: &Migration) -> u64 {
    if !migration.phase.is_active() {
        return 0;
    }
    let Some(plan) = &migration.plan else { return UNKNOWN_SECONDS };
    let (done, all) = migration.batch_counts();
    match all {
        0 => plan.seconds,
        _ => plan.seconds * u64::from(all - done) / u64::from(all),
    }
}

/// Batches that dead nodes ran for owners who live are over: the owner hands them out again at once.
fn close_run_by(state: &mut State, stamp: Stamp<'_>, death: &Death) {
    let is_dead = |node: Option<NodeId>| node.is_some_and(|node| death.nodes.contains(&node));
    let running = state.in_phase(Phase::Execution).filter(|migration| {
        migration.stages.iter().flatten().any(|batch| batch.running.is_some() && is_dead(batch.runner))
    });
    let running: Vec<MigrationId> = running.map(|migration| migration.id).collect();
    for id in running {
        state.change(id, stamp, |migration| {
            let mut lost = 0_u32;
            for batch in migration.stages.iter_mut().flatten() {
                let open = batch.running.and(batch.runner);
                if let Some(runner) = open.filter(|runner| death.nodes.contains(runner)) {
                    batch.close();
                    lost += 1;
                    if death.blamed {
                        batch.deaths.push(runner);
                    }
                }
            }
            migration.uncollected = true;
            poisoned(migration)
                .or_else(|| Some(format!("{lost} open batches are over: the node that ran them is gone")))
        });
    }
}

/// A higher epoch: what the old one had begun is over; what it recorded stays.
fn adopt(migration: &mut Migration, death: &Death, said: impl FnOnce() -> String) -> Option<String> {
    migration.epoch = if defects::is(Defect::AdoptionKeepsEpoch) { migration.epoch } else { migration.epoch.next() };
    if defects::is(Defect::AdoptionDropsIntent) && migration.phase == Phase::Commit {
        migration.intent = None;
        enter(migration, Phase::Validation);
    }
    if defects::is(Defect::AdoptionForgetsBatches) && migration.phase == Phase::Execution {
        migration.stages.iter_mut().flatten().for_each(|batch| batch.done = None);
    }
    for batch in migration.stages.iter_mut().flatten() {
        let runner = batch.runner;
        if batch.close().is_some() {
            migration.uncollected = true;
            if let Some(runner) = runner.filter(|runner| death.blamed && death.nodes.contains(runner)) {
                batch.deaths.push(runner);
            }
        }
    }
    migration.uncollected |= matches!(migration.phase, Phase::Validation | Phase::RollingBack);
    poisoned(migration).or_else(|| migration.phase.is_active().then(said))
}

/// Quarantines a migration one of whose batches takes its nodes down.
fn poisoned(migration: &mut Migration) -> Option<String> {
    if !matches!(migration.phase, Phase::Ready | Phase::Execution) || defects::is(Defect::PoisonNeverSeen) {
        return None;
    }
    let mut poison = None;
    for (stage, batches) in migration.stages.iter().enumerate() {
        for (number, batch) in batches.iter().enumerate() {
            let mut nodes = batch.deaths.clone();
            nodes.sort_unstable();
            nodes.dedup();
            if nodes.len() >= MAX_DEAD_NODES || batch.deaths.len() >= MAX_DEATHS {
                poison = Some((format!("{stage}.{number}"), batch.deaths.len(), nodes.len()));
            }
        }
    }
    let (batch, deaths, nodes) = poison?;
    let problem = Problem::new(
        Code::Poison,
        format!("batch {batch}"),
        format!(
            "{deaths} times in a row its node ended while it ran ({nodes} different nodes), and no batch was finished in between"
        ),
        "look at the nodes' logs and memory limits, then retry the migration",
    );
    quarantine(migration, problem);
    Some("quarantined: a batch took its nodes down again and again".to_owned())
}
