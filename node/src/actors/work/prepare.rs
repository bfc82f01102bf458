//! Preparation: inspect the dataset, plan it, store the plan.

use skein_protocol::data_plane::{Failure, InspectRequest};
use skein_protocol::ledger::entry::Work;
use skein_protocol::machine::outcome;
use skein_protocol::plan::Planned;
use skein_protocol::planner;

use super::super::job::{End, JobError};
use super::{Worker, defect};
use crate::core::DocumentError;

impl Worker {
    pub(super) async fn prepare(&self) -> Result<End, JobError> {
        let known = self.core.ledger.read(|state| {
            let migration = state.migration(self.brief.id)?;
            Some((self.core.policy_of(migration, state)?, migration.stands_for))
        });
        let Some((policy, generation)) = known else {
            let problem = defect("its policy is not there, or does not read back");
            return self.failed(Work::Prepare, &Failure::permanent(problem)).await;
        };
        let request = InspectRequest {
            connection: policy.spec.source.connection.clone(),
            dataset: self.brief.dataset.clone(),
            target_connection: self.brief.target_connection.clone(),
            target: self.brief.target.clone(),
        };
        let inspection = match self.core.act(|plane| plane.inspect(request)).await {
            Ok(inspection) => inspection,
            Err(failure) => return self.failed(Work::Prepare, &failure).await,
        };
        let (id, target) = (self.brief.id, self.brief.target.clone());
        let plan = move || planner::plan(&policy, id, generation, &target, &inspection);
        let stored = match self.core.compute(plan).await {
            Ok(planned) => self.store_planned(planned).await,
            Err(error) => Err(error),
        };
        match stored {
            Ok((document, planned)) => self.close(outcome::prepared(self.brief.fence, &planned, document)).await,
            Err(error) => self.undocumented(Work::Prepare, error).await,
        }
    }

    /// Stores the plan or refusal itself, so that a plan's blob has the plan's hash.
    async fn store_planned(&self, planned: Planned) -> Result<(skein_protocol::hash::Hash256, Planned), DocumentError> {
        match planned {
            Planned::Ready(plan) => {
                let (hash, plan) = self.core.store(plan).await?;
                Ok((hash, Planned::Ready(plan)))
            }
            Planned::Refused(refusal) => {
                let (hash, refusal) = self.core.store(refusal).await?;
                Ok((hash, Planned::Refused(refusal)))
            }
        }
    }
}
