//! Publishing and taking back: intents, commits, tombstones, collected files.

use super::{Stamp, enter, wrong_phase};
use crate::data_plane::StagedTable;
use crate::hash::Hash256;
use crate::ids::TableUuid;
use crate::ledger::entry::{Answer, Fence};
use crate::ledger::migration::{Intent, Phase, Tombstone, WithdrawReason};
use crate::ledger::state::State;
use crate::problem::{Code, Problem};

type Applied = Result<Answer, Problem>;

pub(super) fn intent(
    state: &mut State,
    stamp: Stamp<'_>,
    fence: Fence,
    plan: Hash256,
    table: &StagedTable,
    evidence: Hash256,
) -> Applied {
    let migration = state.fenced(fence)?;
    if migration.phase != Phase::Validation || migration.intent.is_some() {
        return Err(wrong_phase(migration, "publish intent"));
    }
    if migration.plan.as_ref().map(|plan| plan.hash) != Some(plan) {
        return Err(Problem::new(Code::PlanChanged, "publish intent", "it names another plan", "nothing")
            .of(&migration.dataset));
    }
    state.change(fence.migration, stamp, |migration| {
        let at_millis = stamp.at_millis;
        let said = format!("validated; {} rows in {} files are going to be published", table.rows, table.files);
        let table = table.clone();
        migration.intent = Some(Box::new(Intent { run: migration.run, plan, table, evidence, at_millis }));
        enter(migration, Phase::Commit);
        Some(said)
    });
    Ok(Answer::Applied)
}

pub(super) fn committed(state: &mut State, stamp: Stamp<'_>, fence: Fence, location: &str) -> Applied {
    let migration = state.fenced(fence)?;
    if migration.phase != Phase::Commit {
        return Err(wrong_phase(migration, "commit"));
    }
    if migration.intent.as_ref().map(|intent| intent.table.metadata_location.as_str()) != Some(location) {
        return Err(Problem::new(Code::Stale, "commit", "it names another table than the intent", "nothing")
            .of(&migration.dataset));
    }
    state.change(fence.migration, stamp, |migration| {
        migration.phase = Phase::Committed;
        migration.problem = None;
        migration.committed_at = Some(stamp.at_millis);
        // A tombstone of an earlier run was replaced in the same step.
        migration.tombstone = None;
        // The table refers to what the last stage wrote; what the earlier ones found out has served its purpose.
        migration.uncollected |= migration.stages.len() > 1;
        Some(format!("published as {}", migration.target))
    });
    Ok(Answer::Applied)
}

pub(super) fn tombstone_staged(state: &mut State, stamp: Stamp<'_>, fence: Fence, location: &str) -> Applied {
    let migration = state.fenced(fence)?;
    if migration.phase != Phase::RollingBack {
        return Err(wrong_phase(migration, "tombstone"));
    }
    state.change(fence.migration, stamp, |migration| {
        let uuid = TableUuid::tombstone(migration.id, migration.run);
        migration.tombstone =
            Some(Box::new(Tombstone { location: location.to_owned(), uuid, placed: false, until: 0 }));
        None
    });
    Ok(Answer::Applied)
}

pub(super) fn withdrawn(state: &mut State, stamp: Stamp<'_>, fence: Fence, tombstone: bool, until: u64) -> Applied {
    let migration = state.fenced(fence)?;
    if migration.phase != Phase::RollingBack {
        return Err(wrong_phase(migration, "withdrawal"));
    }
    state.change(fence.migration, stamp, |migration| {
        migration.tombstone = migration.tombstone.take().filter(|_| tombstone).map(|mut standing| {
            (standing.placed, standing.until) = (true, until);
            standing
        });
        migration.phase = match migration.withdrawing {
            Some(WithdrawReason::Rollback) | None => Phase::RolledBack,
            Some(WithdrawReason::Cancel) => Phase::Cancelled,
        };
        migration.problem = None;
        migration.uncollected = true;
        migration.committed_at = None;
        Some(format!("{} is withdrawn; the source was never touched", migration.target))
    });
    Ok(Answer::Applied)
}

pub(super) fn withdraw_refused(state: &mut State, stamp: Stamp<'_>, fence: Fence, problem: &Problem) -> Applied {
    let migration = state.fenced(fence)?;
    if migration.phase != Phase::RollingBack {
        return Err(wrong_phase(migration, "withdrawal"));
    }
    state.change(fence.migration, stamp, |migration| {
        migration.phase = Phase::Committed;
        migration.committed_at = migration.committed_at.or(Some(stamp.at_millis));
        migration.problem = Some(Box::new(problem.clone().of(&migration.dataset)));
        migration.withdrawing = None;
        migration.tombstone = None;
        Some(format!("not withdrawn: {}", problem.code))
    });
    Ok(Answer::Applied)
}

pub(super) fn tombstone_released(state: &mut State, stamp: Stamp<'_>, fence: Fence) -> Applied {
    let migration = state.fenced(fence)?;
    if migration.tombstone.as_ref().is_none_or(|tombstone| !tombstone.placed) {
        return Ok(Answer::Unchanged);
    }
    state.change(fence.migration, stamp, |migration| {
        migration.tombstone = None;
        Some("the name is free again".to_owned())
    });
    Ok(Answer::Applied)
}

pub(super) fn collected(state: &mut State, stamp: Stamp<'_>, fence: Fence, files: u64, bytes: u64) -> Applied {
    state.fenced(fence)?;
    state.change(fence.migration, stamp, |migration| {
        migration.uncollected = false;
        (files > 0).then(|| format!("removed {files} staged files of {bytes} bytes that nothing refers to"))
    });
    Ok(Answer::Applied)
}
