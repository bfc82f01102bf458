//! What is left after the end of a run: staged files that nothing refers to, a tombstone whose time is over.
//!
//! Failures here end nothing and are recorded nowhere: the work is done later.

use skein_protocol::data_plane::{CollectRequest, ReplaceRequest, Replaced};
use skein_protocol::defects::{self, Defect};
use skein_protocol::ids::StageNo;
use skein_protocol::ledger::Entry;
use skein_protocol::problem::{Code, Problem};

use super::super::job::{End, JobError, sort};
use super::Worker;
use crate::core::DocumentError;

impl Worker {
    pub(super) async fn release_tombstone(&self) -> Result<End, JobError> {
        let fence = self.brief.fence;
        if let Some(tombstone) = &self.brief.tombstone {
            let request = ReplaceRequest {
                connection: self.brief.target_connection.clone(),
                name: self.brief.target.clone(),
                expected: tombstone.location.clone(),
                replacement: None,
            };
            match self.core.act(|plane| plane.replace(request)).await {
                // Some catalogs refuse a change for their own reasons: then it stands there as before.
                Ok(Replaced::Differs { found: Some(found) }) if found == tombstone.location => {
                    return Ok(End::Later(self.still_there(&found)));
                }
                // If something else stands there by now, the tombstone is gone already.
                Ok(_) => {}
                Err(failure) => return Ok(End::Later(failure.problem)),
            }
        }
        self.close(Entry::TombstoneReleased { fence }).await
    }

    fn still_there(&self, location: &str) -> Problem {
        Problem::new(
            Code::CatalogUnavailable,
            format!("target {}", self.brief.target),
            format!("the catalog did not take the tombstone {location} away, although nobody has changed the name"),
            "nothing: it is tried again; look at the catalog if it goes on",
        )
    }

    pub(super) async fn collect(&self) -> Result<End, JobError> {
        let fence = self.brief.fence;
        let keep = match self.files_to_keep().await {
            Ok(keep) => keep,
            Err(error) => return Ok(End::Later(sort(error)?)),
        };
        let plan = match self.load_plan().await {
            Ok(plan) => plan,
            Err(error) => return Ok(End::Later(sort(error)?)),
        };
        let request = CollectRequest {
            connection: self.brief.target_connection.clone(),
            table_location: plan.target.location.clone(),
            migration: fence.migration,
            run: fence.run,
            up_to: fence.epoch,
            keep,
        };
        match self.core.act(|plane| plane.collect(request)).await {
            Ok(collected) => {
                let (files, bytes) = (collected.files, collected.bytes);
                self.close(Entry::Collected { fence, files, bytes }).await
            }
            Err(failure) => Ok(End::Later(failure.problem)),
        }
    }

    /// Every file in a recorded batch, in the intent, or in a tombstone. An intended table refers to what its last stage
    /// wrote: nobody needs the files of the stages before it any more.
    async fn files_to_keep(&self) -> Result<Vec<String>, DocumentError> {
        let stages = self.core.ledger.read(|state| state.migration(self.brief.id).map_or(0, |one| one.stages.len()));
        let stages = u32::try_from(stages).unwrap_or(u32::MAX);
        let first = if self.brief.intent.is_some() { stages.saturating_sub(1) } else { 0 };
        let mut keep = Vec::new();
        let first = if defects::is(Defect::CollectReachable) { stages } else { first };
        for stage in first..stages {
            let results = self.load_results(StageNo(stage)).await?;
            keep.extend(results.into_iter().flat_map(|result| result.files).map(|file| file.location));
        }
        keep.extend(self.brief.intent.iter().map(|intent| intent.table.metadata_location.clone()));
        keep.extend(self.brief.tombstone.iter().map(|tombstone| tombstone.location.clone()));
        Ok(keep)
    }
}
