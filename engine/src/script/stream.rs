//! Record batches that a blocking reader makes, as a table of DataFusion.
//!
//! In: something that opens a reader. Out: a table that can be scanned any number of times, each time anew. Holds: nothing
//! but one batch in flight.

use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::catalog::streaming::StreamingTable;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::stream::RecordBatchReceiverStreamBuilder;
use datafusion::physical_plan::streaming::PartitionStream;
use skein_protocol::data_plane::Failure;

/// Batches that wait between the reader's thread and the query.
const IN_FLIGHT: usize = 2;

/// A reader's batches.
pub(super) type Batches = Box<dyn Iterator<Item = Result<RecordBatch, Failure>> + Send>;

/// Opens a reader; called once for each scan, on a thread that may block.
pub(super) type Open = Arc<dyn Fn() -> Result<Batches, Failure> + Send + Sync>;

struct Reader {
    schema: SchemaRef,
    open: Open,
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").field("schema", &self.schema).finish_non_exhaustive()
    }
}

impl PartitionStream for Reader {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let mut builder = RecordBatchReceiverStreamBuilder::new(Arc::clone(&self.schema), IN_FLIGHT);
        let (sender, open) = (builder.tx(), Arc::clone(&self.open));
        builder.spawn_blocking(move || {
            for batch in open().map_err(external)? {
                if sender.blocking_send(batch.map_err(external)).is_err() {
                    // The query has ended.
                    break;
                }
            }
            Ok(())
        });
        builder.build()
    }
}

/// A table over what `open` reads.
pub(super) fn table(schema: &SchemaRef, open: Open) -> Result<StreamingTable> {
    StreamingTable::try_new(Arc::clone(schema), vec![Arc::new(Reader { schema: Arc::clone(schema), open })])
}

fn external(failure: Failure) -> DataFusionError {
    DataFusionError::External(Box::new(failure))
}

/// The failure of a reader behind an error of a query, if that was the cause.
pub(super) fn failure_in(error: &DataFusionError) -> Option<Failure> {
    match error.find_root() {
        DataFusionError::External(cause) => cause.downcast_ref::<Failure>().cloned(),
        _ => None,
    }
}
