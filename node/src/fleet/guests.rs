//! Batches that are run for other nodes.
//!
//! In: calls of owners. Out: results, which the owner records. Holds: how many slots guests have. This node records nothing
//! about them: a batch that is not wanted any more, or whose owner is gone, leaves files that nothing refers to.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use serde::de::DeserializeOwned;
use skein_protocol::calls::{BatchAnswer, BatchCall};
use skein_protocol::data_plane::{BatchRequest, BatchResult, Failure, StagedFile};
use skein_protocol::hash::Hash256;
use skein_protocol::ids::NodeId;
use skein_protocol::plan::Plan;
use skein_protocol::problem::{Code, Problem};
use skein_protocol::wire::{self, Kind};
use tracing::{Instrument, field};

use crate::core::{Core, DocumentError};
use crate::fabric::Peer;
use crate::ledger::{encode_answer, malformed};

/// Plans of other nodes' migrations that are kept: as many as large migrations run at once.
const PLANS_KEPT: usize = 16;

/// Slots that guests have or will have soon.
#[derive(Default)]
pub(crate) struct Guests {
    slots: Mutex<Slots>,
    plans: Mutex<BTreeMap<Hash256, Arc<Plan>>>,
}

#[derive(Debug, Default)]
struct Slots {
    running: u32,
    /// Kept free for batches that were promised.
    reserved: u32,
}

/// Slots that are kept free until this is dropped.
pub(super) struct Reserved<'a> {
    core: &'a Core,
    slots: u32,
}

/// A slot that a guest has until this is dropped.
struct Seated<'a>(&'a Core);

impl Guests {
    /// Slots that this node's own work cannot have.
    pub(crate) fn taken(&self) -> u32 {
        let slots = self.lock();
        slots.running.saturating_add(slots.reserved)
    }

    fn lock(&self) -> MutexGuard<'_, Slots> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps slots free for guests that are expected.
pub(super) fn reserve(core: &Core, slots: u32) -> Reserved<'_> {
    core.fleet.guests.lock().reserved += slots;
    Reserved { core, slots }
}

impl Reserved<'_> {
    /// Fewer are needed.
    pub(super) fn keep(&mut self, slots: u32) {
        let over = self.slots.saturating_sub(slots);
        self.slots -= over;
        let mut held = self.core.fleet.guests.lock();
        held.reserved = held.reserved.saturating_sub(over);
    }
}

impl Drop for Reserved<'_> {
    fn drop(&mut self) {
        {
            let mut held = self.core.fleet.guests.lock();
            // Guests that came meanwhile have used up their part.
            held.reserved = held.reserved.saturating_sub(self.slots);
        }
        // Whatever was decided meanwhile left these slots out.
        self.core.door().wake();
    }
}

impl Drop for Seated<'_> {
    fn drop(&mut self) {
        {
            let mut slots = self.0.fleet.guests.lock();
            slots.running = slots.running.saturating_sub(1);
        }
        self.0.door().wake();
    }
}

/// Takes a slot for a guest, if one is free.
fn seat(core: &Core) -> Option<Seated<'_>> {
    let own = u32::try_from(core.metrics.stats().slots_busy).unwrap_or(u32::MAX);
    let most = u32::try_from(core.config.slots).unwrap_or(u32::MAX);
    let mut slots = core.fleet.guests.lock();
    if own.saturating_add(slots.running) >= most {
        return None;
    }
    slots.running += 1;
    slots.reserved = slots.reserved.saturating_sub(1);
    Some(Seated(core))
}

/// Runs a batch for its owner.
pub(super) async fn answer(core: &Core, from: Peer, frame: &[u8]) -> Result<Vec<u8>, Problem> {
    let call: BatchCall = wire::decode(Kind::RunBatch, frame).map_err(|error| malformed(&error))?;
    if from.node != Some(call.owner) {
        let why = "another node asks for it than its owner";
        return Err(Problem::new(Code::RequestInvalid, format!("batch {}", call.batch), why, "report this defect"));
    }
    if !core.may_act() || core.fleet.is_draining(core) {
        return Err(Problem::new(Code::NoSession, "this node", "it has no session, or is drained", "ask another node"));
    }
    let Some(_seated) = seat(core) else {
        return Err(Problem::new(Code::NodeBusy, "this node", "it has no free slot", "run the batch elsewhere"));
    };
    let (batch, attempt) = (call.batch, call.attempt);
    tracing::info!(migration = %call.migration, %batch, %attempt, owner = %call.owner, "a batch is run for another node");
    core.metrics.count(|stats| stats.batches_borrowed += 1);
    let (migration, owner, number, epoch) = (call.migration, call.owner.0, call.run.0, call.epoch.0);
    let span = tracing::info_span!(
        "borrowed batch", %migration, owner, run = number, epoch, %batch, attempt = attempt.0, end = field::Empty
    );
    let answer = match run(core, call).instrument(span.clone()).await {
        Ok(result) => {
            span.record("end", "done");
            BatchAnswer::Done(json(&result)?)
        }
        Err(failure) => {
            span.record("end", "failed");
            BatchAnswer::Failed(json(&failure)?)
        }
    };
    encode_answer(&answer)
}

fn json<T: Serialize>(document: &T) -> Result<Vec<u8>, Problem> {
    serde_json::to_vec(document)
        .map_err(|error| Problem::new(Code::Internal, "the result of a batch", error.to_string(), "report this defect"))
}

async fn run(core: &Core, call: BatchCall) -> Result<BatchResult, Failure> {
    let plan = plan(core, &call).await?;
    let mut prior: Vec<StagedFile> = Vec::new();
    for hash in &call.prior {
        let result: BatchResult = document(core, "the result of an earlier stage", *hash, call.owner).await?;
        prior.extend(result.files);
    }
    let request = BatchRequest {
        plan,
        run: call.run,
        epoch: call.epoch,
        batch: call.batch,
        attempt: call.attempt,
        prior: Arc::new(prior),
        memory_bytes: call.memory_bytes.min(core.config.batch_memory_bytes),
    };
    core.act(|plane| plane.run_batch(request)).await
}

async fn plan(core: &Core, call: &BatchCall) -> Result<Arc<Plan>, Failure> {
    let plans = || core.fleet.guests.plans.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(plan) = plans().get(&call.plan) {
        return Ok(plan.clone());
    }
    let plan: Arc<Plan> = Arc::new(document(core, "the plan", call.plan, call.owner).await?);
    let mut plans = plans();
    if plans.len() >= PLANS_KEPT {
        plans.pop_first();
    }
    plans.insert(call.plan, plan.clone());
    Ok(plan)
}

/// A document that the owner has, wherever else it is.
async fn document<T: DeserializeOwned + Send + 'static>(
    core: &Core,
    what: &'static str,
    hash: Hash256,
    owner: NodeId,
) -> Result<T, Failure> {
    if let Err(error) = core.ledger.blobs().fetch_missing(hash, owner).await {
        tracing::debug!(%error, %owner, "the owner did not give a document; others are asked");
    }
    core.document(what, hash).await.map_err(|error| match error {
        DocumentError::Bad(problem) => Failure::transient(problem),
        DocumentError::Ledger(error) => Failure::transient(error.problem()),
    })
}
