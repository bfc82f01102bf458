//! Where the API's answers about the fleet come from: what the ledger says of its members, what the node hears of them.
//!
//! The one place between the handlers and the fleet. Not here: routes, forms of answers, decisions.

use skein_protocol::hash::Hash256;
use skein_protocol::ids::NodeId;
use skein_protocol::ledger::{Answer, Entry};
use skein_protocol::problem::Problem;

use crate::core::Core;
pub(crate) use crate::fleet::{age_millis, has_quorum, issue_token, view};

/// The name of the fleet: the beginning of the hash of its authority.
pub(crate) fn name(core: &Core) -> String {
    core.fleet_name()
}

/// Makes a join token worthless, named by the hash of its secret.
pub(crate) async fn revoke_token(core: &Core, token: Hash256, actor: &str) -> Result<(), Problem> {
    record(core, Entry::JoinTokenRevoked { token }, actor).await
}

/// Lets a node hand over its work, or (`cancel`) take work again.
pub(crate) async fn drain(core: &Core, node: NodeId, cancel: bool, reason: &str, actor: &str) -> Result<(), Problem> {
    record(core, Entry::DrainRequested { node, drain: !cancel, reason: reason.to_owned() }, actor).await
}

/// Removes a node for good: its credentials are refused from now on.
pub(crate) async fn remove(core: &Core, node: NodeId, reason: &str, actor: &str) -> Result<(), Problem> {
    record(core, Entry::MemberRemoved { node, reason: reason.to_owned() }, actor).await
}

pub(crate) async fn record(core: &Core, entry: Entry, actor: &str) -> Result<(), Problem> {
    match core.ledger.propose(entry, actor).await {
        Ok((_, Answer::Refused(problem))) => Err(problem),
        Ok(_) => Ok(()),
        Err(error) => Err(error.problem()),
    }
}

/// The state in one number, and the index that it belongs to.
pub(crate) fn digest(core: &Core) -> Result<(u64, Hash256), Problem> {
    core.ledger.digest().map_err(|error| error.problem())
}

/// Waits until the local state has everything that was acknowledged anywhere before this call.
pub(crate) async fn read_current(core: &Core) -> Result<(), Problem> {
    core.ledger.read_current(|_, _| ()).await.map_err(|error| error.problem())
}
