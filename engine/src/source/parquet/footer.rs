//! Footers: rows, columns and writers of many Parquet files, read beside each other.
//!
//! In: paths. Out: [`Footer`]s. Holds nothing of the files' data.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parquet::errors::ParquetError;
use parquet::file::metadata::{
    ParquetMetaData, ParquetMetaDataOptions, ParquetMetaDataReader, ParquetStatisticsPolicy,
};
use parquet::schema::types::SchemaDescPtr;

use super::super::calendar::WriterCalendar;

/// Threads that read footers of one table. Tables are inspected beside each other, too, so few are enough.
const FOOTER_THREADS: usize = 4;
/// Below this many files a thread is not worth its start.
const FILES_A_THREAD: usize = 16;
/// Most schemas that are looked through for each file.
const MAX_SHARED_SCHEMAS: usize = 64;

/// What one file's footer tells.
#[derive(Debug, Clone)]
pub(in crate::source) struct Footer {
    /// Rows of each row group.
    pub(in crate::source) row_groups: Vec<u64>,
    /// Columns.
    pub(in crate::source) schema: SchemaDescPtr,
    /// The writer's calendar and zone.
    pub(in crate::source) calendar: WriterCalendar,
}

/// Why a footer cannot be read.
#[derive(Debug, thiserror::Error)]
pub(in crate::source) enum FooterError {
    /// The system refuses.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It is not a whole Parquet file.
    #[error("{0}")]
    Damaged(String),
}

impl From<ParquetError> for FooterError {
    fn from(error: ParquetError) -> Self {
        match error {
            ParquetError::External(inner) => match inner.downcast::<io::Error>() {
                Ok(error) => Self::Io(*error),
                Err(inner) => Self::Damaged(inner.to_string()),
            },
            other => Self::Damaged(other.to_string()),
        }
    }
}

/// The footers of all files at `paths`, in their order.
pub(in crate::source) fn footers(paths: &[&Path]) -> Vec<Result<Footer, FooterError>> {
    let threads = (paths.len() / FILES_A_THREAD).clamp(1, FOOTER_THREADS);
    if threads == 1 {
        let mut shapes = Shapes::default();
        return paths.iter().map(|path| footer(path, &mut shapes)).collect();
    }
    let next = AtomicUsize::new(0);
    let work = || {
        let (mut done, mut shapes) = (Vec::new(), Shapes::default());
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(path) = paths.get(index) else { return done };
            done.push((index, footer(path, &mut shapes)));
        }
    };
    let mut all: Vec<_> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers
            .into_iter()
            .flat_map(|worker| worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    });
    all.sort_by_key(|(index, _)| *index);
    all.into_iter().map(|(_, footer)| footer).collect()
}

/// Schemas that were met: most files of a table have the same, which is then held in memory once.
#[derive(Default)]
struct Shapes(Vec<SchemaDescPtr>);

impl Shapes {
    fn shared(&mut self, schema: SchemaDescPtr) -> SchemaDescPtr {
        if let Some(known) = self.0.iter().rev().find(|known| known.root_schema() == schema.root_schema()) {
            return Arc::clone(known);
        }
        if self.0.len() < MAX_SHARED_SCHEMAS {
            self.0.push(Arc::clone(&schema));
        }
        schema
    }
}

fn footer(path: &Path, shapes: &mut Shapes) -> Result<Footer, FooterError> {
    let file = File::open(path)?;
    let metadata = guarded(|| load(&file, ParquetStatisticsPolicy::SkipAll))?;
    let groups = metadata.row_groups().iter().map(|group| u64::try_from(group.num_rows()));
    let row_groups: Vec<u64> = groups
        .collect::<Result<_, _>>()
        .map_err(|_| FooterError::Damaged("a row group has a negative number of rows".to_owned()))?;
    let about = metadata.file_metadata();
    Ok(Footer {
        row_groups,
        schema: shapes.shared(about.schema_descr_ptr()),
        calendar: WriterCalendar::of(about.created_by(), about.key_value_metadata()),
    })
}

/// A file's metadata. Columns' statistics are left out where nobody looks at them.
pub(super) fn load(file: &File, statistics: ParquetStatisticsPolicy) -> Result<Arc<ParquetMetaData>, ParquetError> {
    let options = ParquetMetaDataOptions::new()
        .with_column_stats_policy(statistics.clone())
        .with_size_stats_policy(statistics.clone())
        .with_encoding_stats_policy(statistics);
    ParquetMetaDataReader::new().with_metadata_options(Some(options)).parse_and_finish(file).map(Arc::new)
}

/// Runs a decoder; a damaged file that makes it panic is damaged, not our end.
pub(super) fn guarded<T, E: Into<FooterError>>(decode: impl FnOnce() -> Result<T, E>) -> Result<T, FooterError> {
    match std::panic::catch_unwind(std::panic::AssertUnwindSafe(decode)) {
        Ok(result) => result.map_err(Into::into),
        Err(panic) => {
            let text =
                panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
            Err(FooterError::Damaged(format!("the decoder gave up: {}", text.unwrap_or("for no reason it tells"))))
        }
    }
}
