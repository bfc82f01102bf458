//! Who gets in: join tokens, certificates for those that join and those that renew.
//!
//! In: requests of strangers and members. Out: entries, certificates. Holds: the order: the ledger says yes first, then a
//! certificate is signed, by this node if it has the authority's key, else by one that has. Not here: how certificates are
//! made (`pki`), the way (`fabric`).

use std::sync::Arc;
use std::time::Duration;

use skein_protocol::hash::Hash256;
use skein_protocol::ids::NodeId;
use skein_protocol::ledger::{Answer, Entry, Standing};
use skein_protocol::peer::{JoinRequest, Joined, RenewRequest, SignRequest, Signed};
use skein_protocol::problem::{Code, Problem};
use skein_protocol::wire::{self, Kind};
use tokio::time::sleep;

use crate::core::{ACTOR, Core};
use crate::ledger::{encode_answer, malformed};
use crate::pki::{self, JoinToken, Renewal};

/// The node file with the first join token and its end; `init` writes it, and the founder tells the ledger of it.
pub const JOIN_TOKEN_FILE: &str = "join-token";
/// The node file with the addresses of members, one a line, as they were when the node joined.
pub const PEERS_FILE: &str = "peers";
/// Members that a joiner is told of: enough to reach one.
const TOLD_MEMBERS: usize = 16;
/// A node that signs answers within this time.
const SIGN_DEADLINE: Duration = Duration::from_secs(10);
/// The certificate's age is looked at this often.
const RENEWAL_LOOK: Duration = Duration::from_secs(60 * 60);
/// After a renewal that failed, it is tried again.
const RENEWAL_PAUSE: Duration = Duration::from_secs(5 * 60);

/// Makes a token with which one node may join: its text, and until when it is valid, milliseconds since 1970.
pub(crate) async fn issue_token(core: &Core, valid_millis: u64, actor: &str) -> Result<(String, u64), Problem> {
    let authority = core.authority_hash().ok_or_else(|| {
        let why = "this node has no certificate of a fleet";
        Problem::new(Code::AuthorityUnavailable, "a join token", why, "found a fleet with `skein fleet init`")
    })?;
    let token = JoinToken::generate(core.env.entropy.as_ref(), authority);
    let expires_at = core.now().saturating_add(valid_millis);
    issue(core, token.hash(), expires_at, actor).await?;
    Ok((token.text(), expires_at))
}

async fn issue(core: &Core, token: Hash256, expires_at: u64, actor: &str) -> Result<(), Problem> {
    match core.ledger.propose(Entry::JoinTokenIssued { token, expires_at }, actor).await {
        Ok((_, Answer::Refused(problem))) => Err(problem),
        Ok(_) => Ok(()),
        Err(error) => Err(error.problem()),
    }
}

/// Tells the ledger of the token that `init` made, once.
pub(super) async fn issue_first(core: &Core) {
    let reading = core.env.clone();
    let read = core.env.blocking.call(move || reading.files.read(JOIN_TOKEN_FILE)).await;
    let Ok(Ok(Some(bytes))) = read else { return };
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let parts = text
        .trim()
        .split_once(' ')
        .and_then(|(token, expires_at)| Some((token.parse::<JoinToken>().ok()?, expires_at.parse::<u64>().ok()?)));
    let Some((token, expires_at)) = parts else {
        tracing::warn!(file = JOIN_TOKEN_FILE, "the first join token does not read");
        return;
    };
    let known = core.ledger.read(|state| state.join_tokens().contains_key(&token.hash()));
    if known || expires_at <= core.now() {
        return;
    }
    if let Err(problem) = issue(core, token.hash(), expires_at, ACTOR).await {
        tracing::warn!(code = %problem.code, why = %problem.why, "the first join token is not known to the ledger");
    }
}

/// Lets a stranger in.
pub(super) async fn join(core: &Core, frame: &[u8]) -> Result<Vec<u8>, Problem> {
    let request: JoinRequest = wire::decode(Kind::Join, frame).map_err(|error| malformed(&error))?;
    let invalid = |why: String| Problem::new(Code::RequestInvalid, "the request to join", why, "correct it");
    request.check().map_err(|error| invalid(error.to_string()))?;
    if request.address.parse::<std::net::SocketAddr>().is_err() {
        return Err(invalid(format!("{:?} is no address with a port", request.address)));
    }
    let (node, token) = (request.node, request.secret.hash());
    let entry = Entry::MemberAdmitted { node, token, address: request.address.clone() };
    match core.ledger.propose(entry, ACTOR).await {
        Ok((_, Answer::Refused(problem))) => {
            tracing::warn!(%node, address = %request.address, code = %problem.code, why = %problem.why, "a node was not let in");
            return Err(problem);
        }
        Ok(_) => {}
        Err(error) => return Err(error.problem()),
    }
    let Signed { chain, ca } = signed(core, node, request.csr, Some(token)).await?;
    tracing::info!(%node, address = %request.address, "a node joins");
    let members = core.ledger.read(|state| {
        let living = state.active().filter(|member| member.node != node);
        living.take(TOLD_MEMBERS).map(|member| (member.node, member.seat.address.clone())).collect()
    });
    encode_answer(&Joined { chain, ca, members })
}

/// A member asks for its next certificate, or for one under another name because its ledger is lost.
pub(super) async fn renew(core: &Core, from: NodeId, frame: &[u8]) -> Result<Vec<u8>, Problem> {
    let request: RenewRequest = wire::decode(Kind::Renew, frame).map_err(|error| malformed(&error))?;
    request.check().map_err(|error| {
        Problem::new(Code::RequestInvalid, "the request for a certificate", error.to_string(), "correct it")
    })?;
    if request.node != from {
        // Its ledger is lost, and with it the right to its name: it goes on under another one.
        let address = core.ledger.read(|state| state.member(from).map(|member| member.seat.address.clone()));
        let entry = Entry::MemberReplaced { old: from, new: request.node, address: address.unwrap_or_default() };
        match core.ledger.propose(entry, ACTOR).await {
            Ok((_, Answer::Refused(problem))) => return Err(problem),
            Ok(_) => {
                tracing::warn!(was = %from, now = %request.node, "a node has lost its ledger and comes back as another")
            }
            Err(error) => return Err(error.problem()),
        }
    }
    encode_answer(&signed(core, request.node, request.csr, None).await?)
}

/// A member asks this node, which has the authority's key, for a signature.
pub(super) async fn sign(core: &Core, frame: &[u8]) -> Result<Vec<u8>, Problem> {
    let request: SignRequest = wire::decode(Kind::Sign, frame).map_err(|error| malformed(&error))?;
    core.ledger.catch_up().await.map_err(|error| error.problem())?;
    let allowed = core.ledger.read(|state| match request.token {
        Some(token) => state.join_tokens().get(&token).is_some_and(|token| token.used_by == Some(request.node)),
        None => state.member(request.node).is_some_and(|member| member.standing != Standing::Removed),
    });
    if !allowed {
        let why = format!("the ledger does not let node {} in", request.node);
        return Err(Problem::new(Code::JoinRefused, "the certificate", why, "join with a new token"));
    }
    encode_answer(&sign_here(core, request.node, request.csr).await?)
}

/// A certificate, from here or from a node that can sign.
async fn signed(core: &Core, node: NodeId, csr: Vec<u8>, token: Option<Hash256>) -> Result<Signed, Problem> {
    if core.is_signer() {
        return sign_here(core, node, csr).await;
    }
    let request = SignRequest { node, csr, token };
    let mut last = "no node that has it is known".to_owned();
    let live = core.fleet.gossip.live();
    for signer in live.into_iter().filter(|(_, said)| said.signer).map(|(signer, _)| signer) {
        match core.fleet.peers.call::<_, Signed>(signer, Kind::Sign, &request, SIGN_DEADLINE).await {
            Ok(signed) => return Ok(signed),
            Err(error) => last = format!("node {signer}: {error}"),
        }
    }
    let next = "start a node whose data folder has ca.key, then try again";
    Err(Problem::new(Code::AuthorityUnavailable, "the certificate authority", last, next))
}

async fn sign_here(core: &Core, node: NodeId, csr: Vec<u8>) -> Result<Signed, Problem> {
    let failed =
        |why: String| Problem::new(Code::AuthorityUnavailable, "the certificate", why, "look at the node's log");
    let Some(authority) = core.authority.clone() else { return Err(failed("this node cannot sign".to_owned())) };
    let (entropy, now) = (core.env.entropy.clone(), core.now());
    let work = move || authority.sign(&csr, node, entropy.as_ref(), now);
    match core.env.blocking.call(work).await {
        Ok(Ok(signed)) => Ok(signed),
        Ok(Err(error)) => Err(failed(error.to_string())),
        Err(error) => Err(failed(error.to_string())),
    }
}

/// Renews this node's certificate in time, for as long as the node runs.
pub(super) async fn keep_certificate(core: Arc<Core>) {
    loop {
        let Some(credentials) = core.identity.present() else { return };
        let pause = match credentials.certificate() {
            Ok(certificate) => {
                match pki::renewal(certificate.not_before_millis, certificate.not_after_millis, core.now()) {
                    Renewal::NotBefore(_) => RENEWAL_LOOK,
                    Renewal::Due | Renewal::Expired => match renew_own(&core).await {
                        Ok(()) => RENEWAL_LOOK,
                        Err(problem) => {
                            tracing::warn!(code = %problem.code, why = %problem.why, "the certificate is not renewed");
                            RENEWAL_PAUSE
                        }
                    },
                }
            }
            Err(error) => {
                tracing::error!(%error, "this node's certificate does not read");
                RENEWAL_LOOK
            }
        };
        sleep(pause).await;
    }
}

async fn renew_own(core: &Core) -> Result<(), Problem> {
    let failed =
        |why: String| Problem::new(Code::AuthorityUnavailable, "the certificate", why, "look at the node's log");
    let env = core.env.clone();
    let prepare = move || pki::prepare_key(env.files.as_ref()).and_then(|key| key.request());
    let csr = core.env.blocking.call(prepare).await.map_err(|error| failed(error.to_string()))?;
    let csr = csr.map_err(|error| failed(error.to_string()))?;
    let signed = signed(core, core.node, csr, None).await?;
    let (env, node, now) = (core.env.clone(), core.node, core.now());
    let install = move || pki::install(env.files.as_ref(), &signed, node, now);
    let installed = core.env.blocking.call(install).await.map_err(|error| failed(error.to_string()))?;
    core.identity.exchange(installed.map_err(|error| failed(error.to_string()))?);
    tracing::info!("the certificate was renewed");
    Ok(())
}
