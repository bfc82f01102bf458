//! A known-bad way to publish, for the simulator alone: what table libraries do when a commit has no answer.
//!
//! In: a migration with an intent. Out: `Committed`. It loads the table, puts its own files on top of what is there, and
//! replaces it: whoever does so after a commit that did happen has every row twice.

use skein_protocol::data_plane::{Failure, RegisterRequest, ReplaceRequest, StageRequest};
use skein_protocol::ids::Attempt;
use skein_protocol::ledger::Entry;
use skein_protocol::ledger::entry::Work;
use skein_protocol::ledger::migration::Intent;

use super::super::job::{End, JobError};
use super::{LOOKS, Worker};
use crate::core::DocumentError;

/// Attempts are far apart, so that each round writes a file of its own.
const ATTEMPTS_APART: u32 = 1000;

impl Worker {
    pub(super) async fn publish_by_rebase(&self, intent: &Intent) -> Result<End, JobError> {
        let mut last = None;
        for round in 1..=LOOKS {
            let found = match self.look().await {
                Ok(found) => found,
                Err(failure) => return self.failed(Work::Publish, &failure).await,
            };
            let base = found.map(|found| found.metadata_location);
            match self.commit_on_top(intent, base, round).await {
                Ok(Ok(())) => {
                    let metadata_location = intent.table.metadata_location.clone();
                    return self.close(Entry::Committed { fence: self.brief.fence, metadata_location }).await;
                }
                Ok(Err(failure)) => last = Some(failure),
                Err(error) => return self.undocumented(Work::Publish, error).await,
            }
        }
        let failure = self.restless(last);
        self.failed(Work::Publish, &failure).await
    }

    async fn commit_on_top(
        &self,
        intent: &Intent,
        base: Option<String>,
        round: u32,
    ) -> Result<Result<(), Failure>, DocumentError> {
        let (connection, name) = (self.brief.target_connection.clone(), self.brief.target.clone());
        let Some(expected) = base else {
            let metadata_location = intent.table.metadata_location.clone();
            let request = RegisterRequest { connection, name, metadata_location, replacing: None };
            return Ok(self.core.act(|plane| plane.register(request)).await.map(|_| ()));
        };
        let plan = self.load_plan().await?;
        let (files, _) = self.gather(&plan).await?;
        let twice = files.iter().chain(files.iter()).cloned().collect();
        let request = StageRequest {
            plan,
            run: self.brief.fence.run,
            epoch: self.brief.fence.epoch,
            attempt: Attempt(self.attempt.0 + ATTEMPTS_APART * round),
            files: std::sync::Arc::new(twice),
            uuid: intent.table.uuid,
            at_millis: self.brief.staged_at,
            summary: std::collections::BTreeMap::new(),
        };
        let table = match self.core.act(|plane| plane.stage(request)).await {
            Ok(table) => table,
            Err(failure) => return Ok(Err(failure)),
        };
        let request = ReplaceRequest { connection, name, expected, replacement: Some(table.metadata_location) };
        Ok(self.core.act(|plane| plane.replace(request)).await.map(|_| ()))
    }
}
