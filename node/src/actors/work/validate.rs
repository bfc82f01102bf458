//! Validation: write the table that nobody sees yet, read it through its metadata file, judge, list the source again.

use std::collections::BTreeMap;
use std::sync::Arc;

use skein_protocol::data_plane::{Failure, ReadRequest, RegisterRequest, StageRequest, StagedFile};
use skein_protocol::defects::{self, Defect};
use skein_protocol::evidence::{BatchEvidence, judge};
use skein_protocol::hash::Hash256;
use skein_protocol::ids::{StageNo, TableUuid};
use skein_protocol::ledger::Entry;
use skein_protocol::ledger::entry::Work;
use skein_protocol::machine::outcome;
use skein_protocol::plan::Plan;

use super::super::job::{End, JobError};
use super::{Worker, defect};
use crate::core::DocumentError;

impl Worker {
    pub(super) async fn validate(&self) -> Result<End, JobError> {
        match self.judge_staged().await {
            Ok(entry) => self.close(entry).await,
            Err(ValidateError::Failed(failure)) => self.failed(Work::Validate, &failure).await,
            Err(ValidateError::Document(error)) => self.undocumented(Work::Validate, error).await,
        }
    }

    async fn judge_staged(&self) -> Result<Entry, ValidateError> {
        let (plan, fence) = (self.load_plan().await?, self.brief.fence);
        let hash = self.brief.plan.ok_or_else(|| DocumentError::Bad(defect("it has no plan")))?;
        let (files, evidences) = self.gather(&plan).await?;
        let request = StageRequest {
            plan: plan.clone(),
            run: fence.run,
            epoch: fence.epoch,
            attempt: self.attempt,
            files: files.clone(),
            uuid: TableUuid::derive(fence.migration, fence.run, &hash),
            at_millis: self.brief.staged_at,
            summary: self.summary(&plan, &hash),
        };
        let table = self.core.act(|plane| plane.stage(request)).await?;
        if defects::is(Defect::PublishBeforeIntent) {
            let (connection, name) = (self.brief.target_connection.clone(), self.brief.target.clone());
            let metadata_location = table.metadata_location.clone();
            let request = RegisterRequest { connection, name, metadata_location, replacing: None };
            self.core.act(|plane| plane.register(request)).await?;
        }
        let request =
            ReadRequest { plan: plan.clone(), table: table.clone(), files, memory_bytes: self.memory_bytes() };
        let reading = self.core.act(|plane| plane.read_staged(request)).await?;
        let evidence = judge::table(&table.metadata_location, &evidences, reading);
        let (document, evidence) = self.core.store(evidence).await?;
        if let Some(differs) = outcome::table_differs(fence, &plan, &table, &evidence, document) {
            return Ok(differs);
        }
        // The last look before the intent: from here on nothing but the name changes.
        let listed = self.core.act(|plane| plane.list_source(plan.clone())).await?;
        Ok(outcome::validated(fence, (&plan, hash), table, document, &listed))
    }

    /// The data files that the ledger recorded, in the order of batches, and the evidence of each batch.
    pub(super) async fn gather(
        &self,
        plan: &Plan,
    ) -> Result<(Arc<Vec<StagedFile>>, Vec<BatchEvidence>), DocumentError> {
        let last = u32::try_from(plan.stages.len().saturating_sub(1)).unwrap_or(u32::MAX);
        let results = self.load_results(StageNo(last)).await?;
        let (mut files, mut evidences) = (Vec::new(), Vec::with_capacity(results.len()));
        for result in results {
            files.extend(result.files);
            evidences.push(result.evidence);
        }
        Ok((Arc::new(files), evidences))
    }

    /// What the snapshot says about where it came from.
    fn summary(&self, plan: &Plan, hash: &Hash256) -> BTreeMap<String, String> {
        let fence = self.brief.fence;
        BTreeMap::from([
            ("skein.migration".to_owned(), fence.migration.to_string()),
            ("skein.run".to_owned(), fence.run.to_string()),
            ("skein.epoch".to_owned(), fence.epoch.to_string()),
            ("skein.plan-hash".to_owned(), hash.to_string()),
            ("skein.policy".to_owned(), plan.policy.to_string()),
        ])
    }
}

enum ValidateError {
    Failed(Failure),
    Document(DocumentError),
}

impl From<Failure> for ValidateError {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<DocumentError> for ValidateError {
    fn from(error: DocumentError) -> Self {
        Self::Document(error)
    }
}
