//! A node whose ledger does not open comes back empty, as another node.
//!
//! A disk that lost what it acknowledged must not vote again under its old name: others count on what it said. The broken
//! storage is kept aside; the fleet replaces the old member by the new one, and everything is copied from the others. Not
//! here: a node that is alone, whose ledger nobody else has: that is a person's decision.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use skein_protocol::ids::NodeId;
use skein_protocol::peer::{RenewRequest, Signed};
use skein_protocol::problem::Code;
use skein_protocol::wire::{self, Kind};

use crate::env::Env;
use crate::fabric::{CallError, Fabric};
use crate::ledger::{Boot, LEDGER_NAME, LedgerError};
use crate::pki::{self, Authority};

/// A member answers within this time: it records the change and has a certificate signed.
const ASK_DEADLINE: Duration = Duration::from_secs(30);

/// Sets the broken ledger aside and gets a new identity from one of `peers`; `why` is what is wrong with the ledger.
///
/// # Errors
/// When nobody answers, or files cannot be written; then nothing has changed, or the next start ends it.
pub(crate) async fn come_back(
    env: &Env,
    fabric: &Arc<dyn Fabric>,
    peers: &[SocketAddr],
    why: &LedgerError,
) -> Result<NodeId, LedgerError> {
    let failed = |why: String| LedgerError::Identity { why };
    tracing::error!(%why, "the ledger of this node is lost: it comes back empty, as another node");
    let preparing = env.clone();
    let prepare = move || -> Result<(Boot, NodeId, Vec<u8>, Option<Authority>), LedgerError> {
        let old = Boot::read(&preparing)?.ok_or_else(|| LedgerError::Identity { why: "no boot file".to_owned() })?;
        let key = pki::prepare_key(preparing.files.as_ref()).and_then(|key| key.request());
        let csr = key.map_err(|error| LedgerError::Identity { why: error.to_string() })?;
        let authority = Authority::load(preparing.files.as_ref());
        let authority = authority.map_err(|error| LedgerError::Identity { why: error.to_string() })?;
        Ok((old, Boot::new(&preparing).node, csr, authority))
    };
    let (old, node, csr, authority) = env.blocking.call(prepare).await??;
    let request = RenewRequest { node, csr: csr.clone() };
    let frame = wire::encode(Kind::Renew, &request).map_err(|source| LedgerError::NotStorable { source })?;
    let mut last = "no other member is known".to_owned();
    let mut signed = None;
    for peer in peers {
        match fabric.call(*peer, None, frame.clone(), ASK_DEADLINE).await {
            Ok(answer) => match wire::decode::<Signed>(Kind::Answer, &answer) {
                Ok(answer) => {
                    signed = Some(answer);
                    break;
                }
                Err(error) => last = error.to_string(),
            },
            // The name is recorded; who would sign it is this node itself.
            Err(CallError::Refused(problem)) if problem.code == Code::AuthorityUnavailable && authority.is_some() => {
                let (entropy, now) = (env.entropy.clone(), env.clock.wall_millis());
                let own = authority.map(|authority| authority.sign(&csr, node, entropy.as_ref(), now));
                match own {
                    Some(Ok(own)) => signed = Some(own),
                    Some(Err(error)) => last = error.to_string(),
                    None => {}
                }
                break;
            }
            Err(error) => last = format!("{peer}: {error}"),
        }
    }
    let signed = signed.ok_or_else(|| failed(format!("{why}; and no member gave this node a new identity: {last}")))?;
    let installing = env.clone();
    let install = move || -> Result<(), LedgerError> {
        let now = installing.clock.wall_millis();
        pki::install(installing.files.as_ref(), &signed, node, now)
            .map_err(|error| LedgerError::Identity { why: error.to_string() })?;
        Boot::replace(&installing, node)?;
        // Last: a node with its old name and no ledger at all would not know what became of it. If this fails, the next start
        // finds the broken ledger again, and asks for one more name.
        let aside = format!("{LEDGER_NAME}.broken-{}", old.boots);
        installing.ledger_disk.rename(LEDGER_NAME, &aside).map_err(LedgerError::storage)
    };
    env.blocking.call(install).await??;
    tracing::warn!(was = %old.node, %node, "this node has a new identity");
    Ok(node)
}
