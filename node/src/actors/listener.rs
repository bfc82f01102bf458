//! The listener: tells the actors what was applied.
//!
//! In: the ledger's notices. Out: messages to the supervisor. Holds: which entries may end work that is under way;
//! of all others the dispatcher alone is woken, once for many.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ractor::ActorRef;
use skein_protocol::ids::{BatchId, MigrationId};
use skein_protocol::ledger::{Answer, Entry, State};

use super::supervisor::SupervisorMessage;
use crate::ledger::{Applied, Notice, Subscription};

/// What an entry means for work under way.
enum Touched {
    /// Nothing.
    None,
    /// Nobody need look whose work it is.
    All,
    /// Work of these may be pointless now.
    Some(Vec<MigrationId>),
    /// A hand-out was recorded.
    Started(MigrationId, BatchId),
}

/// Listens until the ledger closes or the supervisor is gone. `awake` is set while the dispatcher has been woken and
/// has not looked yet.
pub(super) async fn listen(
    mut notices: Subscription<State>,
    supervisor: ActorRef<SupervisorMessage>,
    awake: Arc<AtomicBool>,
) {
    while let Some(notice) = notices.next().await {
        let told = match notice {
            Notice::Missed => supervisor.cast(SupervisorMessage::AllChanged),
            Notice::Applied(applied) => match touched(&applied) {
                Touched::None => Ok(()),
                Touched::All => supervisor.cast(SupervisorMessage::AllChanged),
                Touched::Some(ids) => supervisor.cast(SupervisorMessage::Changed(ids)),
                Touched::Started(id, batch) => supervisor.cast(SupervisorMessage::Started(id, batch)),
            },
        };
        let woken = awake.swap(true, Ordering::AcqRel) || supervisor.cast(SupervisorMessage::Wake).is_ok();
        if told.is_err() || !woken {
            return;
        }
    }
}

fn touched(applied: &Applied<State>) -> Touched {
    if matches!(applied.answer, Answer::Refused(_) | Answer::Unchanged) {
        return Touched::None;
    }
    match &applied.proposal.entry {
        Entry::Requested { migrations, .. } => Touched::Some(migrations.clone()),
        Entry::Rejected { items, .. } => Touched::Some(items.iter().map(|(id, _)| *id).collect()),
        Entry::Differs { fence, .. } | Entry::BatchFailed { fence, .. } | Entry::WorkFailed { fence, .. } => {
            Touched::Some(vec![fence.migration])
        }
        Entry::PolicyApplied { .. } => match &applied.answer {
            Answer::PolicyApplied { superseded, .. } => Touched::Some(superseded.clone()),
            _ => Touched::None,
        },
        Entry::BatchStarted { fence, batch, .. } => Touched::Started(fence.migration, *batch),
        Entry::Transferred { items, .. } => Touched::Some(items.iter().map(|fence| fence.migration).collect()),
        Entry::SessionOpened { .. }
        | Entry::SessionClosed { .. }
        | Entry::SessionsExpired { .. }
        | Entry::MemberRemoved { .. }
        | Entry::MemberReplaced { .. } => Touched::All,
        _ => Touched::None,
    }
}
