//! Withdrawal: put a tombstone under the target's name, so that nothing of the run is visible and nothing late becomes so.

use skein_protocol::data_plane::{Failure, Outcome, RegisterRequest, ReplaceRequest, TombstoneRequest};
use skein_protocol::defects::{self, Defect};
use skein_protocol::ids::TableUuid;
use skein_protocol::ledger::Entry;
use skein_protocol::ledger::entry::Work;
use skein_protocol::ledger::migration::Tombstone;
use skein_protocol::machine::publishing::{WithdrawVerdict, withdraw_verdict};

use super::super::job::{End, JobError};
use super::{LOOKS, Worker};
use crate::core::Recorded;

impl Worker {
    pub(super) async fn withdraw(&self) -> Result<End, JobError> {
        let tombstone = match &self.brief.tombstone {
            Some(tombstone) => tombstone.clone(),
            None => match self.make_tombstone().await? {
                Ok(tombstone) => tombstone,
                Err(end) => return Ok(end),
            },
        };
        let (fence, target) = (self.brief.fence, &self.brief.target);
        let mut last = None;
        for _ in 0..LOOKS {
            let found = match self.look().await {
                Ok(found) => found,
                Err(failure) => return self.failed(Work::Withdraw, &failure).await,
            };
            let outcome = match withdraw_verdict(self.brief.intent.as_ref(), &tombstone, target, found.as_ref()) {
                WithdrawVerdict::Done => {
                    let early = defects::is(Defect::TombstoneReleasedEarly);
                    let until = self.core.now() + if early { 0 } else { self.core.config.tombstone_millis };
                    return self.close(Entry::Withdrawn { fence, tombstone: true, until }).await;
                }
                WithdrawVerdict::TakeName if defects::is(Defect::NoTombstone) => {
                    return self.close(Entry::Withdrawn { fence, tombstone: false, until: 0 }).await;
                }
                WithdrawVerdict::NotOurs => {
                    return self.close(Entry::Withdrawn { fence, tombstone: false, until: 0 }).await;
                }
                WithdrawVerdict::Modified(problem) => {
                    return self.close(Entry::WithdrawRefused { fence, problem }).await;
                }
                WithdrawVerdict::TakeName => self.take_name(&tombstone).await,
                WithdrawVerdict::Replace { expected } => self.replace(expected, &tombstone).await,
            };
            match outcome {
                Ok(()) => {}
                Err(failure) if failure.outcome == Outcome::NotDone => {
                    return self.failed(Work::Withdraw, &failure).await;
                }
                Err(failure) => last = Some(failure),
            }
        }
        let failure = self.restless(last);
        self.failed(Work::Withdraw, &failure).await
    }

    /// Writes the tombstone's metadata file and records where it is.
    async fn make_tombstone(&self) -> Result<Result<Tombstone, End>, JobError> {
        let plan = match self.load_plan().await {
            Ok(plan) => plan,
            Err(error) => return self.undocumented(Work::Withdraw, error).await.map(Err),
        };
        let fence = self.brief.fence;
        let uuid = TableUuid::tombstone(fence.migration, fence.run);
        let request = TombstoneRequest {
            plan,
            run: fence.run,
            epoch: fence.epoch,
            attempt: self.attempt,
            uuid,
            at_millis: self.brief.changed_at,
        };
        let location = match self.core.act(|plane| plane.stage_tombstone(request)).await {
            Ok(location) => location,
            Err(failure) => return self.failed(Work::Withdraw, &failure).await.map(Err),
        };
        let recorded = self.core.record(Entry::TombstoneStaged { fence, location: location.clone() }).await?;
        Ok(match recorded {
            Recorded::Fact => Ok(Tombstone { location, uuid, placed: false, until: 0 }),
            Recorded::Moot => Err(End::Moot),
        })
    }

    async fn take_name(&self, tombstone: &Tombstone) -> Result<(), Failure> {
        let request = RegisterRequest {
            connection: self.brief.target_connection.clone(),
            name: self.brief.target.clone(),
            metadata_location: tombstone.location.clone(),
            replacing: None,
        };
        self.core.act(|plane| plane.register(request)).await.map(|_| ())
    }

    async fn replace(&self, expected: String, tombstone: &Tombstone) -> Result<(), Failure> {
        let request = ReplaceRequest {
            connection: self.brief.target_connection.clone(),
            name: self.brief.target.clone(),
            expected,
            replacement: (!defects::is(Defect::NoTombstone)).then(|| tombstone.location.clone()),
        };
        self.core.act(|plane| plane.replace(request)).await.map(|_| ())
    }
}
