//! Runs a batch: source files in, staged files and evidence out.
//!
//! In: a plan, the number of one of its batches, what the stage before wrote. Out: [`BatchResult`]. Holds: the walk of a row
//! through its stage. Not here: how sources are decoded (`source`), what a row becomes (`transform`), checksums (`checksum`),
//! tables (`iceberg`). All of it blocks; it runs on threads made for that (`Engine`).
//!
//! The walk of a writing batch: `write` reads through `rows` (sums of the source, filter, duplicates, transform), gives
//! what is kept to `sink` (partitions, files), then `read_back` decodes every file again. Plans whose duplicates
//! may lie anywhere have two stages before: `identify` and `resolve`.

mod cancel;
mod duplicates;
mod encode;
mod extremes;
#[cfg(test)]
pub(crate) mod fixture;
mod identify;
mod identity;
mod layout;
mod losers;
mod order;
mod read_back;
mod resolve;
mod rows;
mod scratch;
mod sink;
mod sorter;
#[cfg(test)]
mod tests;
mod work;
mod write;

use skein_protocol::data_plane::{BatchResult, Failure};
use skein_protocol::plan::StageKind;

pub use cancel::{Cancel, CancelOnDrop};
pub use work::{Counters, Work};

/// Rows of a record batch, where nothing else is asked for: its columns stay in a processor's cache from decoding to
/// encoding, and the work round each batch does not show yet.
pub const BATCH_ROWS: usize = 16 * 1024;

/// Runs one batch.
///
/// # Errors
/// As the parts say; the outcome is always that nothing that counts was done: a file that was written is in no result.
pub fn run_batch(work: &Work<'_>) -> Result<BatchResult, Failure> {
    match work.stage()?.kind {
        StageKind::Write => write::write(work),
        StageKind::Identify { ranges } => identify::identify(work, ranges),
        StageKind::Resolve => resolve::resolve(work),
    }
}
