//! Work stealing, both sides: asking a busier node for some of its work, and giving it.
//!
//! In: what gossip says of the others; questions of thieves. Out: transfers, batches that are lent. Holds: the pace. Not
//! here: who is asked and what is given (`fleet::stealing`), running what was lent (`guests`).

use std::sync::Arc;
use std::time::Duration;

use skein_protocol::calls::{StealAnswer, StealRequest};
use skein_protocol::fleet::load::PeerLoad;
use skein_protocol::fleet::stealing;
use skein_protocol::ids::NodeId;
use skein_protocol::ledger::entry::TransferReason;
use skein_protocol::ledger::{Answer, Entry};
use skein_protocol::problem::Problem;
use skein_protocol::wire::{self, Kind};
use tokio::time::{sleep, timeout};

use super::guests;
use crate::core::{ACTOR, Core};
use crate::fabric::Peer;
use crate::ledger::{encode_answer, malformed};

/// A node without work asks this often.
const LOOK: Duration = Duration::from_millis(200);
/// After it got something it asks again when the ledger has told its dispatcher.
const DIGEST: Duration = Duration::from_millis(50);
/// The asked node answers after one entry of the ledger.
const ASK_DEADLINE: Duration = Duration::from_secs(5);
/// Lent batches arrive within this time, or their slots are free again.
const LENT_ARRIVE: Duration = Duration::from_millis(500);

/// Asks for work whenever there is none, for as long as the node runs.
pub(super) async fn look_for_work(core: Arc<Core>) {
    loop {
        let me = *core.fleet.load.borrow();
        let got = if stealing::wants(&me) && core.may_act() && !core.fleet.is_draining(&core) {
            steal(&core, &me).await
        } else {
            false
        };
        sleep(if got { DIGEST } else { LOOK }).await;
    }
}

/// Asks one node; whether it gave something.
async fn steal(core: &Arc<Core>, me: &PeerLoad) -> bool {
    let live = core.fleet.gossip.live();
    let peers: Vec<PeerLoad> =
        live.into_values().filter_map(|said| said.load).filter(|load| load.node != me.node).collect();
    let Some(victim) = stealing::choose_victim(&peers, me.node, core.random()) else { return false };
    let mut reserved = guests::reserve(core, me.free);
    core.metrics.count(|stats| stats.steals_asked += 1);
    let request = StealRequest { thief: *me };
    let answer = core.fleet.peers.call::<_, StealAnswer>(victim, Kind::Steal, &request, ASK_DEADLINE).await;
    match answer {
        Ok(StealAnswer { given: 0, lent: 0 }) => false,
        Ok(StealAnswer { given, lent }) => {
            tracing::info!(from = %victim, given, lent, "work was stolen");
            core.metrics.count(|stats| {
                stats.steals_won += 1;
                stats.migrations_stolen += u64::from(given);
            });
            if lent > 0 {
                reserved.keep(lent);
                sleep(LENT_ARRIVE).await;
            }
            true
        }
        Err(error) => {
            tracing::debug!(%error, %victim, "nothing was stolen");
            false
        }
    }
}

/// Answers a node that asks for work.
pub(super) async fn answer(core: &Core, from: Peer, frame: &[u8]) -> Result<Vec<u8>, Problem> {
    let StealRequest { thief } = wire::decode(Kind::Steal, frame).map_err(|error| malformed(&error))?;
    let known = from.node == Some(thief.node);
    if !known || !core.may_act() {
        return encode_answer(&StealAnswer::default());
    }
    let node = thief.node;
    let Some(gift) = core.door().steal(thief).await else { return encode_answer(&StealAnswer::default()) };
    let given = give(core, node, gift.whole).await;
    encode_answer(&StealAnswer { given, lent: gift.lent })
}

/// Lets the ledger say that migrations belong to another node; how many do.
async fn give(core: &Core, to: NodeId, items: Vec<skein_protocol::ledger::entry::Fence>) -> u32 {
    if items.is_empty() {
        return 0;
    }
    let asked = items.len();
    let entry = Entry::Transferred { items, to, reason: TransferReason::Steal };
    let given = match timeout(ASK_DEADLINE, core.ledger.propose(entry, ACTOR)).await {
        Ok(Ok((_, Answer::Applied))) => asked,
        Ok(Ok((_, Answer::Partly(refused)))) => asked.saturating_sub(refused.len()),
        // Whatever became of it, the ledger tells the thief.
        Ok(Ok(_) | Err(_)) | Err(_) => 0,
    };
    core.metrics.count(|stats| stats.migrations_given += given as u64);
    u32::try_from(given).unwrap_or(u32::MAX)
}
