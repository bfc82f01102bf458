//! What all parts of one running node share: its world, its ledger, its counters.
//!
//! Holds: [`Core`], and the two ways in which work touches the outside: recording an entry, acting on the data plane.
//! Not here: decisions, the actors that use it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use serde::Serialize;
use serde::de::DeserializeOwned;
use skein_protocol::data_plane::{DataPlane, Failure};
use skein_protocol::hash::{Hash256, canonical_json};
use skein_protocol::ids::{NodeId, PolicyName};
use skein_protocol::ledger::{Answer, Entry, Migration, Seat, State};
use skein_protocol::policy::{self, Policy};
use skein_protocol::problem::{Code, Problem};

use tokio::time::{sleep, timeout};

use crate::actors::Door;
use crate::checks::Broken;
use crate::config::Config;
use crate::env::Env;
use crate::fleet::Fleet;
use crate::ledger::{Ledger, LedgerError};
use crate::metrics::Metrics;
use crate::pki::{Authority, Identity};

/// An effect waits so long for a session before it is refused: an election and a new session fit in.
const SESSION_WAIT: Duration = Duration::from_secs(15);
/// Meanwhile it looks this often.
const SESSION_LOOK: Duration = Duration::from_millis(50);
/// Who proposes what a node does by itself.
pub(crate) const ACTOR: &str = "node";

/// What all parts of one running node share.
pub(crate) struct Core {
    pub(crate) env: Env,
    pub(crate) config: Config,
    pub(crate) ledger: Ledger<State>,
    pub(crate) node: NodeId,
    pub(crate) metrics: Metrics,
    /// Invariants that did not hold.
    pub(crate) broken: Arc<Broken>,
    pub(crate) fleet: Fleet,
    /// What this node proves to others.
    pub(crate) identity: Arc<Identity>,
    /// The key with which this node signs, if it has it.
    pub(crate) authority: Option<Arc<Authority>>,
    /// SHA-256 of this node's API token.
    pub(crate) token_sha256: OnceLock<Hash256>,
    /// Where the API listens.
    pub(crate) api: OnceLock<SocketAddr>,
    /// The addresses of members as they were when this node joined.
    pub(crate) first_peers: Vec<SocketAddr>,
    door: OnceLock<Door>,
    /// Monotonic time of the start.
    pub(crate) started: Duration,
    /// Parsed policies by name, each with the hash of its document.
    policies: Mutex<BTreeMap<PolicyName, (Hash256, Arc<Policy>)>>,
}

/// What a node proves to others, and with what it begins to look for them.
pub(crate) struct Credentialed {
    pub(crate) identity: Arc<Identity>,
    pub(crate) authority: Option<Arc<Authority>>,
    pub(crate) first_peers: Vec<SocketAddr>,
}

/// What the ledger said to an entry.
#[derive(Debug)]
pub(crate) enum Recorded {
    /// It is a fact.
    Fact,
    /// It came too late: the migration is elsewhere by now. Look at the record.
    Moot,
}

/// Why a document could not be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DocumentError {
    /// It is not there, or not what it should be: trying again does not help.
    #[error("{0}")]
    Bad(Problem),
    /// The ledger failed.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

impl Core {
    pub(crate) fn new(
        env: Env,
        config: Config,
        ledger: Ledger<State>,
        standing: Credentialed,
        fleet: Fleet,
        broken: Arc<Broken>,
    ) -> Self {
        let Credentialed { identity, authority, first_peers } = standing;
        Self {
            node: ledger.boot().node,
            started: env.clock.monotonic(),
            env,
            config,
            ledger,
            metrics: Metrics::default(),
            broken,
            fleet,
            identity,
            authority,
            token_sha256: OnceLock::new(),
            api: OnceLock::new(),
            first_peers,
            door: OnceLock::new(),
            policies: Mutex::default(),
        }
    }

    /// The way to the actors.
    pub(crate) fn door(&self) -> Door {
        self.door.get().cloned().unwrap_or_default()
    }

    /// From now on there are actors.
    pub(crate) fn open_door(&self, door: Door) {
        // The node's start does it once.
        let _ = self.door.set(door);
    }

    /// Whether this node may act: it has a session, and nobody can have taken its place meanwhile.
    pub(crate) fn may_act(&self) -> bool {
        self.fleet.may_act(self.env.clock.monotonic())
    }

    /// The number of the open session.
    pub(crate) fn session_number(&self) -> Option<skein_protocol::ids::SessionNo> {
        self.fleet.session.number()
    }

    /// Where other nodes reach this one.
    pub(crate) fn advertised(&self) -> Option<SocketAddr> {
        let bound = self.fleet.peers.fabric().map(|fabric| fabric.address());
        self.fleet.config.advertise.or(bound)
    }

    /// What this node offers.
    pub(crate) fn seat(&self) -> Seat {
        Seat {
            address: self.advertised().map(|address| address.to_string()).unwrap_or_default(),
            api: self.api.get().map(ToString::to_string).unwrap_or_default(),
            slots: u32::try_from(self.config.slots).unwrap_or(u32::MAX),
            zone: self.fleet.config.zone.clone(),
            version: self.config.version.clone(),
            token_sha256: self.token_sha256.get().copied().unwrap_or_default(),
        }
    }

    /// Where to look for other nodes.
    pub(crate) fn seeds(&self) -> Vec<SocketAddr> {
        let mut seeds = self.first_peers.clone();
        self.ledger.read(|state| {
            let others = state.members().values().filter(|member| {
                member.node != self.node && member.standing != skein_protocol::ledger::Standing::Removed
            });
            seeds.extend(others.filter_map(|member| member.seat.address.parse::<SocketAddr>().ok()));
        });
        seeds
    }

    /// Whether this node can sign certificates.
    pub(crate) fn is_signer(&self) -> bool {
        self.authority.is_some()
    }

    /// SHA-256 of the fleet's authority; none for a node that is alone.
    pub(crate) fn authority_hash(&self) -> Option<Hash256> {
        let credentials = self.identity.present()?;
        credentials.authorities.first().map(|authority| Hash256::of(authority))
    }

    /// The fleet's name: the beginning of its authority's hash.
    pub(crate) fn fleet_name(&self) -> String {
        self.authority_hash().map(|hash| hash.short()).unwrap_or_default()
    }

    /// Milliseconds since 1970.
    pub(crate) fn now(&self) -> u64 {
        self.env.clock.wall_millis()
    }

    /// A random number, for the spread of retries.
    pub(crate) fn random(&self) -> u64 {
        self.env.entropy.number()
    }

    /// Records an entry of the node itself; returns when it was applied, or refused.
    pub(crate) async fn record(&self, entry: Entry) -> Result<Recorded, LedgerError> {
        if let Entry::Differs { fence, problem, .. } = &entry {
            self.metrics.count(|stats| stats.differences += 1);
            tracing::warn!(migration = %fence.migration, code = %problem.code, why = %problem.why, "difference");
        }
        let (index, answer) = self.ledger.propose(entry, ACTOR).await?;
        match answer {
            Answer::Refused(problem) => {
                if problem.code == Code::Stale {
                    self.metrics.count(|stats| stats.stale_entries += 1);
                    tracing::warn!(index, what = %problem.what, why = %problem.why, "refused: another owner goes on");
                } else {
                    tracing::debug!(index, code = %problem.code, what = %problem.what, why = %problem.why, "moot");
                }
                Ok(Recorded::Moot)
            }
            _ => Ok(Recorded::Fact),
        }
    }

    /// Lets the data plane do something. A panic in there is a failure like others, of unknown outcome.
    pub(crate) async fn act<'a, T, F>(&'a self, act: impl FnOnce(&'a dyn DataPlane) -> F) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, Failure>> + 'a,
    {
        // Looked at here, and not only by whoever hands out work: a process that was stopped for a while finds out first.
        if !self.may_act() && !self.may_act_soon().await {
            return Err(Failure::transient(Problem::new(
                Code::NoSession,
                "the effect",
                "the node's session is over, or may be",
                "nothing: the present owner goes on",
            )));
        }
        let acting = AssertUnwindSafe(act(self.env.data_plane.as_ref())).catch_unwind();
        match acting.await {
            Ok(outcome) => outcome,
            Err(panic) => Err(Failure::unknown(Problem::new(
                Code::Internal,
                "the data plane",
                format!("it panicked: {}", panic_text(panic.as_ref())),
                "report this defect with the node's log",
            ))),
        }
    }

    /// Waits until this node may act again; whether it may. An effect that waits is not a failed attempt: either the
    /// leader was silent for a moment and all is as it was, or the work is given up from outside meanwhile.
    async fn may_act_soon(&self) -> bool {
        self.metrics.count(|stats| stats.effects_refused += 1);
        tracing::warn!("this node has no session any more: it does nothing, others may have taken its place");
        let acts = async {
            while !self.may_act() {
                sleep(SESSION_LOOK).await;
            }
        };
        timeout(SESSION_WAIT, acts).await.is_ok()
    }

    /// Stores a document as a blob, in canonical JSON; it is durable when this returns.
    pub(crate) async fn store<T: Serialize + Send + 'static>(
        &self,
        document: T,
    ) -> Result<(Hash256, T), DocumentError> {
        let work = move || canonical_json(&document).map(|json| (json, document));
        let (json, document) = self.compute(work).await?.map_err(|error| bad("a document", &error))?;
        match self.ledger.blobs().put(json.into_bytes()).await {
            Ok(hash) => Ok((hash, document)),
            Err(LedgerError::BlobTooLarge { bytes, limit }) => Err(DocumentError::Bad(Problem::new(
                Code::LayoutUnsupported,
                "a document of the migration",
                format!("it would have {bytes} bytes, and at most {limit} can be kept; a plan names every file"),
                "Merge small files, or migrate the table in parts",
            ))),
            Err(error @ LedgerError::NotStorable { .. }) => Err(DocumentError::Bad(error.problem())),
            Err(error) => Err(error.into()),
        }
    }

    /// Reads a document that was stored as a blob.
    pub(crate) async fn document<T>(&self, what: &'static str, hash: Hash256) -> Result<T, DocumentError>
    where
        T: DeserializeOwned + Send + 'static,
    {
        let bytes = self.ledger.blobs().get(hash).await?;
        let bytes = bytes.ok_or_else(|| bad(what, &format!("its blob {hash} is missing")))?;
        self.compute(move || serde_json::from_slice(&bytes)).await?.map_err(|error| bad(what, &error))
    }

    /// Runs work that needs the processor for a while. A panic of it is a bad document.
    pub(crate) async fn compute<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, DocumentError> {
        match self.env.blocking.call(work).await {
            Ok(result) => Ok(result),
            Err(crate::env::BlockingError::Panicked(why)) => Err(bad("a computation", &format!("it panicked: {why}"))),
            Err(crate::env::BlockingError::Lost) => Err(LedgerError::Stopping.into()),
        }
    }

    /// The policy of a migration, parsed; `None` when another generation has taken its place.
    pub(crate) fn policy_of(&self, migration: &Migration, state: &State) -> Option<Arc<Policy>> {
        let record = state.policies().get(&migration.policy)?;
        if record.generation != migration.generation {
            return None;
        }
        let mut cache = self.policies.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((hash, policy)) = cache.get(&migration.policy)
            && *hash == record.policy.hash
        {
            return Some(policy.clone());
        }
        match policy::parse(&record.policy.document) {
            Ok(policy) => {
                let policy = Arc::new(policy);
                cache.insert(migration.policy.clone(), (record.policy.hash, policy.clone()));
                Some(policy)
            }
            Err(errors) => {
                let first = errors.first().map(ToString::to_string).unwrap_or_default();
                tracing::error!(policy = %migration.policy, %first, "an applied policy does not read back");
                None
            }
        }
    }
}

fn bad(what: &str, why: &dyn std::fmt::Display) -> DocumentError {
    DocumentError::Bad(Problem::new(
        Code::Internal,
        what,
        why.to_string(),
        "look after the node's storage, then retry the migration; report this if the storage is sound",
    ))
}

/// The words of a panic.
pub(crate) fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "without a message".to_owned())
}
