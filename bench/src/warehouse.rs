//! A Hive warehouse of Parquet files.
//!
//! In:    a shape and a folder that does not exist yet.
//! Out:   `warehouse/playlists.db/TABLE/dt=DAY/part-NNNNN` (no file ending, snappy) and `facts.json`.
//! Holds: written beside the final name and renamed when complete, so a folder that exists is whole.
//! Not here: the rows' values (`playlists`).

use std::fs::{self, File};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result, bail};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;
use serde::Serialize;

use crate::playlists::{self, FIRST_DAY, date_text};
use crate::shape::Shape;

/// The database that all tables are in.
const DATABASE: &str = "playlists";
/// Rows made at a time: bounds the generator's memory.
const BATCH_ROWS: u64 = 65_536;

/// What was written.
#[derive(Debug, Serialize)]
pub(crate) struct Facts {
    #[serde(flatten)]
    shape: Shape,
    database: &'static str,
    rows: u64,
    /// Rows that are copies of another row of their partition.
    duplicate_rows: u64,
    files: u64,
    bytes: u64,
}

#[derive(Default)]
struct Totals {
    rows: AtomicU64,
    duplicate_rows: AtomicU64,
    files: AtomicU64,
    bytes: AtomicU64,
}

/// Writes the warehouse, with several threads, one partition at a time each.
///
/// # Errors
/// If the folder exists, or a file cannot be written.
pub(crate) fn write(out: &Path, shape: &Shape, threads: usize) -> Result<Facts> {
    if out.exists() {
        bail!("{} exists", out.display());
    }
    let name = out.file_name().context("--out has no last component")?.to_string_lossy();
    let partial = out.with_file_name(format!(".{name}.{}.partial", std::process::id()));
    let totals = Totals::default();
    let next = AtomicU64::new(0);
    let last = u64::from(shape.tables) * u64::from(shape.partitions);
    let failure: Mutex<Option<anyhow::Error>> = Mutex::new(None);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    if at >= last {
                        return;
                    }
                    let table = (at / u64::from(shape.partitions)) as u32;
                    let partition = (at % u64::from(shape.partitions)) as u32;
                    if let Err(error) = write_partition(&partial, shape, table, partition, &totals) {
                        next.store(last, Ordering::Relaxed);
                        failure.lock().expect("no holder of this lock panics").get_or_insert(error);
                        return;
                    }
                }
            });
        }
    });
    if let Some(error) = failure.into_inner().expect("no holder of this lock panics") {
        return Err(error);
    }
    let facts = Facts {
        shape: shape.clone(),
        database: DATABASE,
        rows: totals.rows.into_inner(),
        duplicate_rows: totals.duplicate_rows.into_inner(),
        files: totals.files.into_inner(),
        bytes: totals.bytes.into_inner(),
    };
    fs::write(partial.join("facts.json"), serde_json::to_string_pretty(&facts)?)?;
    fs::rename(&partial, out)?;
    Ok(facts)
}

fn write_partition(base: &Path, shape: &Shape, table: u32, partition: u32, totals: &Totals) -> Result<()> {
    let day = date_text(FIRST_DAY + i64::from(partition));
    let folder =
        base.join("warehouse").join(format!("{DATABASE}.db")).join(shape.table_name(table)).join(format!("dt={day}"));
    fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    for file in 0..shape.files_per_partition {
        let rows = shape.rows_of_file(partition, file);
        if rows.is_empty() && file > 0 {
            continue;
        }
        let path = folder.join(format!("part-{file:05}"));
        let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
        let mut writer = ArrowWriter::try_new(File::create_new(&path)?, playlists::schema(), Some(properties))?;
        let mut start = rows.start;
        while start < rows.end {
            let end = rows.end.min(start + BATCH_ROWS);
            writer.write(&playlists::batch(shape, table, partition, start..end)?)?;
            start = end;
        }
        writer.close()?;
        let copies = rows.clone().filter(|row| playlists::origin(shape, table, partition, *row) != *row).count();
        totals.rows.fetch_add(rows.end - rows.start, Ordering::Relaxed);
        totals.duplicate_rows.fetch_add(copies as u64, Ordering::Relaxed);
        totals.files.fetch_add(1, Ordering::Relaxed);
        totals.bytes.fetch_add(fs::metadata(&path)?.len(), Ordering::Relaxed);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shape::Dataset;

    fn bytes_of(folder: &Path) -> Vec<(String, Vec<u8>)> {
        let mut found = Vec::new();
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                found.extend(bytes_of(&path));
            } else {
                found.push((path.display().to_string(), fs::read(&path).unwrap()));
            }
        }
        found.sort();
        found
    }

    #[test]
    fn the_same_seed_gives_the_same_files_whatever_the_threads() {
        let folder = tempfile::tempdir().unwrap();
        let shape = Shape::of(Dataset::B, 0.001, 5);
        let mut seen = Vec::new();
        for (name, threads) in [("one", 1), ("two", 3)] {
            let out = folder.path().join(name);
            let facts = write(&out, &shape, threads).unwrap();
            assert_eq!(facts.rows, u64::from(shape.tables) * shape.rows_per_table);
            assert_eq!(facts.files, u64::from(shape.tables * shape.partitions));
            let files = bytes_of(&out.join("warehouse"));
            seen.push(files.into_iter().map(|(path, bytes)| (path.replace(name, ""), bytes)).collect::<Vec<_>>());
        }
        assert_eq!(seen[0], seen[1]);
    }

    #[test]
    fn a_folder_that_exists_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let shape = Shape::of(Dataset::B, 0.001, 5);
        assert!(write(folder.path(), &shape, 1).is_err());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
