//! What files tell of themselves: rows, columns and writers of many files, read beside each other.
//!
//! In: paths, a format whose files name their columns. Out: [`Tail`]s. Holds nothing of the files' data.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::calendar::WriterCalendar;
use super::decoding::{DecodeFailure, guarded};
use super::file_schema::FileSchema;
use super::places::{self, Places};
use super::{avro, orc, parquet};
use crate::files::Opened;
use crate::worker::Telling;

/// Threads that read tails of one table. Tables are inspected beside each other, too, so few are enough.
const TAIL_THREADS: usize = 4;
/// The same for tails in a store, where a thread does little but wait for answers.
const STORE_THREADS: usize = 24;
/// Below this many files a thread is not worth its start.
const FILES_A_THREAD: usize = 16;
/// Most schemas that are looked through for each file.
pub(super) const MAX_SHARED_SCHEMAS: usize = 64;

/// A format whose files name their columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SelfTold {
    /// Parquet.
    Parquet,
    /// ORC.
    Orc,
    /// Avro's object container files.
    Avro,
}

impl SelfTold {
    /// Its name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Parquet => "Parquet",
            Self::Orc => "ORC",
            Self::Avro => "Avro",
        }
    }
}

/// What one file tells.
#[derive(Debug, Clone)]
pub(super) struct Tail {
    /// Rows of the file.
    pub(super) rows: u64,
    /// Rows of each part that can be read by itself; empty where the format has none.
    pub(super) row_groups: Vec<u64>,
    /// Columns.
    pub(super) schema: Arc<FileSchema>,
    /// The writer's calendar and zone.
    pub(super) calendar: WriterCalendar,
}

impl Tail {
    /// A file of these parts.
    pub(super) fn of_groups(row_groups: Vec<u64>, schema: Arc<FileSchema>, calendar: WriterCalendar) -> Self {
        Self { rows: row_groups.iter().fold(0, |sum, rows| sum.saturating_add(*rows)), row_groups, schema, calendar }
    }
}

/// The tails of all files at `paths`, in their order.
pub(super) fn tails(
    places: &Places,
    format: SelfTold,
    paths: &[&Path],
    telling: &Telling,
) -> Vec<Result<Tail, DecodeFailure>> {
    match format {
        SelfTold::Parquet => beside_each_other(places, paths, telling, parquet::tail),
        SelfTold::Orc => beside_each_other(places, paths, telling, orc::tail),
        SelfTold::Avro => beside_each_other(places, paths, telling, avro::tail),
    }
}

/// Schemas that were met: most files of a table have the same, which is then held in memory once.
#[derive(Debug, Default)]
pub(super) struct Shapes(Vec<Arc<FileSchema>>);

impl Shapes {
    /// The known schema that equals `schema`, or this one.
    pub(super) fn shared(&mut self, schema: FileSchema) -> Arc<FileSchema> {
        if let Some(known) = self.0.iter().rev().find(|known| ***known == schema) {
            return Arc::clone(known);
        }
        let schema = Arc::new(schema);
        if self.0.len() < MAX_SHARED_SCHEMAS {
            self.0.push(Arc::clone(&schema));
        }
        schema
    }
}

fn beside_each_other<S: Default>(
    places: &Places,
    paths: &[&Path],
    telling: &Telling,
    read: impl Fn(Opened, &mut S) -> Result<Tail, DecodeFailure> + Sync,
) -> Vec<Result<Tail, DecodeFailure>> {
    let threads = match paths.first().and_then(|path| places::object(path)) {
        Some(_) => paths.len().clamp(1, STORE_THREADS),
        None => (paths.len() / FILES_A_THREAD).clamp(1, TAIL_THREADS),
    };
    let next = AtomicUsize::new(0);
    let work = |reader: usize| {
        let (mut done, mut shapes) = (Vec::new(), S::default());
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(path) = paths.get(index) else { return done };
            telling.reading(reader, &path.to_string_lossy());
            done.push((index, guarded(|| read(places.open(path)?, &mut shapes))));
        }
    };
    let mut all: Vec<_> = if threads == 1 {
        work(0)
    } else {
        std::thread::scope(|scope| {
            let work = &work;
            let workers: Vec<_> = (0..threads).map(|reader| scope.spawn(move || work(reader))).collect();
            workers
                .into_iter()
                .flat_map(|worker| worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
                .collect()
        })
    };
    all.sort_by_key(|(index, _)| *index);
    all.into_iter().map(|(_, tail)| tail).collect()
}
