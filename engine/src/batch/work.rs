//! One hand-out of a batch with all that it needs: what to do, where files go, how to stop.

use std::sync::atomic::{AtomicU64, Ordering};

use skein_protocol::data_plane::{BatchRequest, Failure};
use skein_protocol::plan::{Batch, Plan, Stage};

use super::cancel::Cancel;
use crate::failure::internal;
use crate::files::Files;
use crate::iceberg::names::{Handout, staged_path};
use crate::worker::Telling;

/// What the engine has done since it was made.
#[derive(Debug, Default)]
pub struct Counters {
    /// Rows of sources.
    pub rows_read: AtomicU64,
    /// Bytes of sources' files (of whole files, or the share of their rows).
    pub bytes_read: AtomicU64,
    /// Rows of staged data files.
    pub rows_written: AtomicU64,
    /// Bytes of staged files, scratch included.
    pub bytes_written: AtomicU64,
    /// Rows of staged data files that were read back.
    pub rows_read_back: AtomicU64,
}

impl Counters {
    pub(crate) fn add(counter: &AtomicU64, number: u64) {
        counter.fetch_add(number, Ordering::Relaxed);
    }
}

/// A hand-out of a batch.
#[derive(Debug, Clone, Copy)]
pub struct Work<'a> {
    /// What to do.
    pub request: &'a BatchRequest,
    /// Where files are made.
    pub files: &'a Files,
    /// Whether anybody waits.
    pub cancel: &'a Cancel,
    /// What is counted.
    pub counters: &'a Counters,
    /// Who is told which files are read.
    pub telling: &'a Telling,
    /// Rows of a record batch.
    pub batch_rows: usize,
}

impl<'a> Work<'a> {
    /// The plan.
    #[must_use]
    pub fn plan(&self) -> &'a Plan {
        &self.request.plan
    }

    /// The batch's stage.
    ///
    /// # Errors
    /// The plan has no such stage.
    pub fn stage(&self) -> Result<&'a Stage, Failure> {
        self.plan().stage(self.request.batch.stage).ok_or_else(|| self.absent())
    }

    /// The batch.
    ///
    /// # Errors
    /// The plan has no such batch.
    pub fn batch(&self) -> Result<&'a Batch, Failure> {
        self.plan().batch(self.request.batch).ok_or_else(|| self.absent())
    }

    /// The working memory, bytes.
    #[must_use]
    pub fn memory(&self) -> usize {
        usize::try_from(self.request.memory_bytes).unwrap_or(usize::MAX)
    }

    /// Where the file `number` of this hand-out lies.
    pub(super) fn path(&self, number: u32) -> Result<String, Failure> {
        let BatchRequest { run, epoch, batch, attempt, .. } = *self.request;
        staged_path(&self.plan().target.location, self.plan().migration, run, Handout { epoch, batch, attempt }, number)
    }

    fn absent(&self) -> Failure {
        internal("finding a batch", format!("the plan has no batch {}", self.request.batch))
    }
}
