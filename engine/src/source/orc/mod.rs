//! ORC files: what their footers tell, and reading them.
//!
//! In: files, described columns. Out: tails, record batches. Not here: partition columns and checks for changed files
//! (`read`), what is made of differences between files (`columns`), how columns become the described ones (`adapter`).
//!
//! Values are decoded by `orc-rust`. What it takes on trust is looked at before: sizes, the tree of types.

mod blocks;
mod chunks;
mod message;
mod reader;
mod tail;
mod timestamps;

pub(super) use reader::OrcReader;
#[cfg(any(test, feature = "fuzzing"))]
pub(super) use tail::look_at_file as look_at;
pub(super) use tail::tail;
