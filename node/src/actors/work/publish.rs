//! Publication: look at the target's name, register the intended table if the name is free, look again.
//!
//! An answer that did not come is neither yes nor no: the next look tells.

use skein_protocol::data_plane::{LoadedTable, Outcome, RegisterRequest};
use skein_protocol::defects::{self, Defect};
use skein_protocol::ledger::Entry;
use skein_protocol::ledger::entry::Work;
use skein_protocol::ledger::migration::Tombstone;
use skein_protocol::machine::publishing::{PublishVerdict, publish_verdict};

use super::super::job::{End, JobError};
use super::{LOOKS, Worker, defect};
use skein_protocol::data_plane::Failure;

impl Worker {
    pub(super) async fn publish(&self) -> Result<End, JobError> {
        let Some(intent) = &self.brief.intent else {
            return self.failed(Work::Publish, &Failure::permanent(defect("it has no intent"))).await;
        };
        #[cfg(feature = "defects")]
        if defects::is(Defect::PublishByRebase) {
            return self.publish_by_rebase(intent).await;
        }
        let mut last = None;
        for _ in 0..LOOKS {
            let found = match self.look().await {
                Ok(found) => found,
                Err(failure) => return self.failed(Work::Publish, &failure).await,
            };
            let earlier = self.earlier_tombstone(found.as_ref());
            match publish_verdict(&intent.table, earlier.as_ref(), &self.brief.target, found.as_ref()) {
                PublishVerdict::Committed => {
                    let metadata_location = intent.table.metadata_location.clone();
                    return self.close(Entry::Committed { fence: self.brief.fence, metadata_location }).await;
                }
                PublishVerdict::Taken(problem) => {
                    let problem = problem.of(&self.brief.dataset);
                    let entry = Entry::Differs { fence: self.brief.fence, batch: None, problem, evidence: None };
                    return self.close(entry).await;
                }
                PublishVerdict::Register { replacing } => {
                    let request = RegisterRequest {
                        connection: self.brief.target_connection.clone(),
                        name: self.brief.target.clone(),
                        metadata_location: intent.table.metadata_location.clone(),
                        replacing,
                    };
                    match self.core.act(|plane| plane.register(request)).await {
                        Ok(_) => {}
                        Err(failure) if failure.outcome == Outcome::NotDone => {
                            return self.failed(Work::Publish, &failure).await;
                        }
                        Err(failure) if defects::is(Defect::UnknownAsFailure) => {
                            return self.failed(Work::Publish, &Failure::permanent(failure.problem)).await;
                        }
                        Err(_) if defects::is(Defect::UnknownAsSuccess) => {
                            let metadata_location = intent.table.metadata_location.clone();
                            return self.close(Entry::Committed { fence: self.brief.fence, metadata_location }).await;
                        }
                        Err(failure) => last = Some(failure),
                    }
                }
            }
        }
        let failure = self.restless(last);
        self.failed(Work::Publish, &failure).await
    }

    /// The tombstone of an earlier run, or of another migration of the same target, if that is what stands there.
    fn earlier_tombstone(&self, found: Option<&LoadedTable>) -> Option<Tombstone> {
        let found = found.filter(|found| found.tombstone)?;
        if let Some(own) = self.brief.tombstone.as_ref().filter(|own| own.location == found.metadata_location) {
            return Some(own.clone());
        }
        let Self { core, brief, .. } = self;
        let at = &found.metadata_location;
        core.ledger.read(|state| state.tombstone_at(&brief.target_connection, &brief.target, at).cloned())
    }
}
