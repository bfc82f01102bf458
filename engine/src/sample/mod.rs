//! A sample legacy warehouse: playlists in Hive's layout, with a table description, for demonstrations and tests.
//!
//! In: a folder, numbers of datasets and rows. Out: `warehouse/playlists.db/playlist_NNNN/dt=…/part-…`, `metastore.json`
//! and, last, `sample.json`, which marks it complete. Deterministic: the same numbers give the same rows. About two rows
//! of a hundred are exact duplicates of an earlier one in their partition.
//! Not here: the large datasets of the benchmarks (`bench`).

mod playlists;

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;
use serde::{Deserialize, Serialize};

use playlists::Playlists;

/// The database of the sample.
pub const DATABASE: &str = "playlists";
/// Partitions of each table.
const PARTITIONS: u32 = 3;
/// Rows that are made and written at once.
const ROWS_AT_ONCE: u32 = 65_536;

/// What a complete sample says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// Datasets.
    pub datasets: u32,
    /// Rows of each, duplicates included.
    pub rows: u32,
}

/// Why a sample could not be written.
#[derive(Debug, thiserror::Error)]
pub enum SampleError {
    /// Reading or writing failed.
    #[error("{path}: {error}")]
    Io {
        /// Where.
        path: PathBuf,
        /// What the operating system said.
        error: io::Error,
    },
    /// The folder holds a sample of another size.
    #[error("{path} holds {found:?}, not {wanted:?}; name another folder")]
    OtherSample {
        /// The folder.
        path: PathBuf,
        /// What it holds.
        found: Sample,
        /// What was asked for.
        wanted: Sample,
    },
    /// A file could not be encoded.
    #[error("{path}: {error}")]
    Parquet {
        /// Which.
        path: PathBuf,
        /// Why.
        error: parquet::errors::ParquetError,
    },
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> SampleError {
    let path = path.to_path_buf();
    move |error| SampleError::Io { path, error }
}

/// Writes a sample below `folder` unless it is there already; false if it was. `done` is told the number of finished
/// datasets.
///
/// # Errors
/// When the folder holds a sample of another size, or cannot be written.
pub fn write(folder: &Path, sample: Sample, mut done: impl FnMut(u32)) -> Result<bool, SampleError> {
    let marker = folder.join("sample.json");
    if let Ok(text) = fs::read(&marker)
        && let Ok(found) = serde_json::from_slice::<Sample>(&text)
    {
        if found == sample {
            return Ok(false);
        }
        return Err(SampleError::OtherSample { path: folder.to_path_buf(), found, wanted: sample });
    }
    for dataset in 0..sample.datasets {
        table(&folder.join("warehouse").join(format!("{DATABASE}.db")).join(name(dataset)), dataset, sample.rows)?;
        done(dataset + 1);
    }
    put(&folder.join("metastore.json"), &description(sample.datasets))?;
    put(&marker, &serde_json::to_string(&sample).expect("numbers have a JSON form"))?;
    Ok(true)
}

fn name(dataset: u32) -> String {
    format!("playlist_{:04}", dataset + 1)
}

fn put(path: &Path, text: &str) -> Result<(), SampleError> {
    let mut file = File::create(path).map_err(io_error(path))?;
    file.write_all(text.as_bytes()).map_err(io_error(path))
}

fn table(folder: &Path, dataset: u32, rows: u32) -> Result<(), SampleError> {
    for partition in 0..PARTITIONS {
        let share = rows / PARTITIONS + u32::from(partition < rows % PARTITIONS);
        let folder = folder.join(format!("dt=2024-01-{:02}", partition + 1));
        fs::create_dir_all(&folder).map_err(io_error(&folder))?;
        file(&folder.join("part-00000"), Playlists::new(dataset, partition), share)?;
    }
    put(&folder.join("_SUCCESS"), "")
}

fn file(path: &Path, mut playlists: Playlists, rows: u32) -> Result<(), SampleError> {
    let parquet_error = |error| SampleError::Parquet { path: path.to_path_buf(), error };
    let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
    let file = File::create(path).map_err(io_error(path))?;
    let mut writer = ArrowWriter::try_new(file, playlists::schema(), Some(properties)).map_err(parquet_error)?;
    let mut left = rows;
    while left > 0 {
        let now = left.min(ROWS_AT_ONCE);
        writer.write(&playlists.batch(now)).map_err(parquet_error)?;
        left -= now;
    }
    writer.close().map_err(parquet_error)?;
    Ok(())
}

/// The table description, in the form that `hive-files` connections read.
fn description(datasets: u32) -> String {
    let columns: Vec<serde_json::Value> = playlists::COLUMNS
        .iter()
        .map(|(name, data_type)| serde_json::json!({ "name": name, "type": data_type }))
        .collect();
    let partitions: Vec<String> = (1..=PARTITIONS).map(|day| format!("dt=2024-01-{day:02}")).collect();
    let tables: serde_json::Map<String, serde_json::Value> = (0..datasets)
        .map(|dataset| {
            let name = name(dataset);
            let table = serde_json::json!({
                "type": "EXTERNAL",
                "columns": columns,
                "partition_columns": [{ "name": "dt", "type": "string" }],
                "partitions": partitions,
                "serde": "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe",
                "input_format": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
                "storage": "[serialization.format=1]",
                "location": format!("warehouse/{DATABASE}.db/{name}"),
                "buckets": null,
            });
            (name, table)
        })
        .collect();
    let description = serde_json::json!({ "database": DATABASE, "tables": tables });
    serde_json::to_string_pretty(&description).expect("text keys have a JSON form")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
        let mut found = Vec::new();
        let mut open = vec![folder.to_path_buf()];
        while let Some(next) = open.pop() {
            for entry in fs::read_dir(next).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    open.push(path);
                } else {
                    found.push((path.strip_prefix(folder).unwrap().to_path_buf(), fs::read(&path).unwrap()));
                }
            }
        }
        found.sort();
        found
    }

    #[test]
    fn the_same_numbers_give_the_same_files_and_other_numbers_are_refused() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let sample = Sample { datasets: 2, rows: 1000 };
        assert!(write(one.path(), sample, |_| ()).unwrap());
        assert!(write(two.path(), sample, |_| ()).unwrap());
        assert_eq!(files(one.path()), files(two.path()));
        assert_eq!(files(one.path()).len(), 2 * (3 + 1) + 2);
        assert!(!write(one.path(), sample, |_| panic!("it is there")).unwrap());
        let other = write(one.path(), Sample { datasets: 3, rows: 1000 }, |_| ());
        assert!(matches!(other, Err(SampleError::OtherSample { .. })));
    }
}
