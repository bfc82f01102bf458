//! What is done to the one migration of a trial, and what must come of it.
//!
//! In: the migration as the ledger has it. Out: what a client does next; whether the end is a good one. Holds: nothing: like
//! a node, a client goes on from what is recorded. Not here: crashes (`trip`), doing it (`site`).

use skein_node::scripted::{Call, Contents, Seen};
use skein_protocol::ids::Run;
use skein_protocol::ledger::{Migration, Phase};

/// A part of the protocol that makes a target visible, or takes it back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Scenario {
    /// From validation to the committed target.
    Publish,
    /// From the request to roll back until the tombstone is gone.
    Rollback,
    /// From a request to cancel that comes while a registration is under way.
    Cancel,
    /// From the request to retry, right after a rollback, until the target is there again.
    Again,
}

/// What a client does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Submit the policy.
    Submit,
    /// Ask for this action; the wire is armed before, if that is so.
    Act { action: &'static str, arms: bool },
    /// Wait.
    Wait,
    /// Nothing: this is the end.
    End,
}

impl Scenario {
    pub(super) const ALL: [Self; 4] = [Self::Publish, Self::Rollback, Self::Cancel, Self::Again];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Publish => "publish",
            Self::Rollback => "rollback",
            Self::Cancel => "cancel",
            Self::Again => "again",
        }
    }

    /// The call that arms the wire, where no request of a client does.
    pub(super) fn armed_by(self) -> Option<Call> {
        (self == Self::Publish).then_some(Call::Stage)
    }

    /// What a client does when this is what the ledger says. `rests`: nothing is left to do for the node.
    pub(super) fn next(self, migration: Option<&Migration>, rests: bool) -> Next {
        let Some(migration) = migration else { return Next::Submit };
        let act = |action, arms| Next::Act { action, arms };
        let end = |ended: bool| if ended && rests { Next::End } else { Next::Wait };
        match (self, migration.phase, migration.run) {
            (Self::Rollback, Phase::Committed, _) => act("rollback", true),
            (Self::Again, Phase::Committed, Run(1)) => act("rollback", false),
            (Self::Again, Phase::RolledBack, Run(1)) => act("retry", true),
            (Self::Cancel, Phase::Commit, _) => act("cancel", true),
            (_, phase, _) => end(phase.is_end()),
        }
    }

    /// What is wrong with this end. `acknowledged`: somebody was told that the action was taken on.
    pub(super) fn judge(
        self,
        phase: Phase,
        acknowledged: bool,
        seen: Option<&Seen>,
        must: &Contents,
    ) -> Result<(), String> {
        let wanted: &[Phase] = match self {
            Self::Publish | Self::Again => &[Phase::Committed],
            Self::Rollback => &[Phase::RolledBack],
            Self::Cancel if acknowledged => &[Phase::Cancelled],
            // A request that nobody answered may have been lost.
            Self::Cancel => &[Phase::Cancelled, Phase::Committed],
        };
        if !wanted.contains(&phase) {
            return Err(format!("it ended {phase}, and not {wanted:?}"));
        }
        match (phase == Phase::Committed, seen) {
            (true, Some(seen)) if !seen.tombstone && seen.columns == must.columns && seen.rows == must.rows => Ok(()),
            (true, seen) => Err(format!("a reader does not see the transformed source: {seen:?}")),
            (false, None) => Ok(()),
            (false, Some(seen)) if seen.tombstone => Err("the tombstone was never taken away".to_owned()),
            (false, Some(seen)) => Err(format!("a reader still sees {}", seen.location)),
        }
    }
}
