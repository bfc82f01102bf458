//! What all parts of one running node share: its world, its ledger, its counters.
//!
//! Holds: [`Core`], and the two ways in which work touches the outside: recording an entry, acting on the data plane.
//! Not here: decisions, the actors that use it.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use serde::Serialize;
use serde::de::DeserializeOwned;
use skein_protocol::data_plane::{DataPlane, Failure};
use skein_protocol::hash::{Hash256, canonical_json};
use skein_protocol::ids::{NodeId, PolicyName};
use skein_protocol::ledger::{Answer, Entry, Migration, State};
use skein_protocol::policy::{self, Policy};
use skein_protocol::problem::{Code, Problem};

use crate::config::Config;
use crate::env::Env;
use crate::ledger::{Ledger, LedgerError};
use crate::metrics::Metrics;

/// Who proposes what a node does by itself.
pub(crate) const ACTOR: &str = "node";

/// What all parts of one running node share.
pub(crate) struct Core {
    pub(crate) env: Env,
    pub(crate) config: Config,
    pub(crate) ledger: Ledger<State>,
    pub(crate) node: NodeId,
    pub(crate) metrics: Metrics,
    /// Monotonic time of the start.
    pub(crate) started: Duration,
    /// Parsed policies by name, each with the hash of its document.
    policies: Mutex<BTreeMap<PolicyName, (Hash256, Arc<Policy>)>>,
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
    pub(crate) fn new(env: Env, config: Config, ledger: Ledger<State>) -> Self {
        Self {
            node: ledger.boot().node,
            started: env.clock.monotonic(),
            env,
            config,
            ledger,
            metrics: Metrics::default(),
            policies: Mutex::default(),
        }
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
                tracing::debug!(index, code = %problem.code, what = %problem.what, why = %problem.why, "moot");
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

    /// Stores a document as a blob, in canonical JSON; it is durable when this returns.
    pub(crate) async fn store<T: Serialize + Send + 'static>(
        &self,
        document: T,
    ) -> Result<(Hash256, T), DocumentError> {
        let work = move || canonical_json(&document).map(|json| (json, document));
        let (json, document) = self.compute(work).await?.map_err(|error| bad("a document", &error))?;
        match self.ledger.blobs().put(json.into_bytes()).await {
            Ok(hash) => Ok((hash, document)),
            Err(error @ (LedgerError::BlobTooLarge { .. } | LedgerError::NotStorable { .. })) => {
                Err(DocumentError::Bad(error.problem()))
            }
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
