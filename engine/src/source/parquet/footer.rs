//! Footers: rows, columns and writers of Parquet files.
//!
//! In: paths. Out: [`Tail`]s. Holds nothing of the files' data.

use std::io;
use std::sync::Arc;

use parquet::errors::ParquetError;
use parquet::file::metadata::{
    ParquetMetaData, ParquetMetaDataOptions, ParquetMetaDataReader, ParquetStatisticsPolicy,
};
use parquet::schema::types::SchemaDescPtr;

use super::super::calendar::WriterCalendar;
use super::super::decoding::{DecodeFailure, guarded};
use super::super::file_schema::FileSchema;
use super::super::tails::{MAX_SHARED_SCHEMAS, Tail};
use crate::files::Opened;

impl From<ParquetError> for DecodeFailure {
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

/// Schemas that were met, with what they became: most files of a table have the same.
#[derive(Default)]
pub(in crate::source) struct Shapes(Vec<(SchemaDescPtr, Arc<FileSchema>)>);

impl Shapes {
    fn shared(&mut self, schema: SchemaDescPtr) -> Result<Arc<FileSchema>, DecodeFailure> {
        if let Some((_, known)) = self.0.iter().rev().find(|(known, _)| known.root_schema() == schema.root_schema()) {
            return Ok(Arc::clone(known));
        }
        let columns = guarded(|| FileSchema::of(&schema));
        let columns = Arc::new(columns.map_err(|error| DecodeFailure::Conflict(error.to_string()))?);
        if self.0.len() < MAX_SHARED_SCHEMAS {
            self.0.push((schema, Arc::clone(&columns)));
        }
        Ok(columns)
    }
}

/// What a file's footer tells.
pub(in crate::source) fn tail(file: Opened, shapes: &mut Shapes) -> Result<Tail, DecodeFailure> {
    let metadata = guarded(|| load(&file, ParquetStatisticsPolicy::SkipAll))?;
    let groups = metadata.row_groups().iter().map(|group| u64::try_from(group.num_rows()));
    let row_groups: Vec<u64> = groups
        .collect::<Result<_, _>>()
        .map_err(|_| DecodeFailure::Damaged("a row group has a negative number of rows".to_owned()))?;
    let about = metadata.file_metadata();
    let schema = shapes.shared(about.schema_descr_ptr())?;
    Ok(Tail::of_groups(row_groups, schema, WriterCalendar::of(about.created_by(), about.key_value_metadata())))
}

/// A file's metadata. Columns' statistics are left out where nobody looks at them.
pub(super) fn load(file: &Opened, statistics: ParquetStatisticsPolicy) -> Result<Arc<ParquetMetaData>, ParquetError> {
    let options = ParquetMetaDataOptions::new()
        .with_column_stats_policy(statistics.clone())
        .with_size_stats_policy(statistics.clone())
        .with_encoding_stats_policy(statistics);
    ParquetMetaDataReader::new().with_metadata_options(Some(options)).parse_and_finish(file).map(Arc::new)
}
