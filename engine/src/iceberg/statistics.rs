//! What a manifest says of a data file: sizes, counts and bounds, from the file's own footer.
//!
//! In: a staged Parquet file. Out: [`FileStatistics`]. Holds: which statistics can be trusted.
//! Not here: rounding of bounds (`bounds`), writing manifests (`manifest`).
//!
//! Columns inside lists and maps have sizes only: their counts and bounds mean nothing to a row. Counts of NaN are
//! not in footers, so there are none; readers then expect that there may be some.

use std::collections::BTreeMap;

use iceberg::spec::{PrimitiveLiteral, PrimitiveType, Schema};
use parquet::basic::Type as PhysicalType;
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData, ParquetMetaDataReader, RowGroupMetaData};
use parquet::schema::types::ColumnDescriptor;

use crate::files::Opened;

use super::{bounds, value};

/// What a footer tells, by field id.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct FileStatistics {
    /// Rows.
    pub(super) rows: u64,
    /// Compressed bytes of each column.
    pub(super) column_sizes: BTreeMap<i32, u64>,
    /// Values of each column, nulls included.
    pub(super) value_counts: BTreeMap<i32, u64>,
    /// Nulls of each column.
    pub(super) null_counts: BTreeMap<i32, u64>,
    /// Lower bounds in the binary single-value form.
    pub(super) lower: BTreeMap<i32, Vec<u8>>,
    /// Upper bounds likewise.
    pub(super) upper: BTreeMap<i32, Vec<u8>>,
    /// Where row groups begin, ascending.
    pub(super) split_offsets: Vec<i64>,
}

/// Reads the footer of a file.
///
/// # Errors
/// When it cannot be read or is no Parquet file.
pub(super) fn read(file: &Opened, schema: &Schema) -> Result<FileStatistics, ParquetError> {
    let footer = ParquetMetaDataReader::new().parse_and_finish(file)?;
    of_footer(&footer, schema)
}

/// The statistics in a footer. Columns are known by their field ids.
///
/// # Errors
/// When the footer's numbers are impossible.
pub(super) fn of_footer(footer: &ParquetMetaData, schema: &Schema) -> Result<FileStatistics, ParquetError> {
    let mut found = FileStatistics { rows: unsigned(footer.file_metadata().num_rows())?, ..FileStatistics::default() };
    found.split_offsets = footer.row_groups().iter().filter_map(start_of).collect();
    found.split_offsets.sort_unstable();
    let columns = footer.file_metadata().schema_descr();
    for (position, column) in columns.columns().iter().enumerate() {
        let info = column.self_type().get_basic_info();
        if !info.has_id() {
            continue;
        }
        let chunks: Vec<&ColumnChunkMetaData> =
            footer.row_groups().iter().map(|group| group.column(position)).collect();
        found.column(info.id(), column, &chunks, schema)?;
    }
    Ok(found)
}

impl FileStatistics {
    fn column(
        &mut self,
        id: i32,
        column: &ColumnDescriptor,
        chunks: &[&ColumnChunkMetaData],
        schema: &Schema,
    ) -> Result<(), ParquetError> {
        let mut size = 0;
        let mut values = 0;
        for chunk in chunks {
            size += unsigned(chunk.compressed_size())?;
            values += unsigned(chunk.num_values())?;
        }
        self.column_sizes.insert(id, size);
        if column.max_rep_level() > 0 {
            return Ok(());
        }
        self.value_counts.insert(id, values);
        let nulls: Option<u64> = chunks.iter().map(|chunk| chunk.statistics()?.null_count_opt()).sum();
        if let Some(nulls) = nulls {
            self.null_counts.insert(id, nulls);
        }
        let kind = schema.field_by_id(id).and_then(|field| field.field_type.as_primitive_type());
        if let Some(kind) = kind
            && let Some((least, greatest)) = range(kind, chunks)
        {
            self.bounds(id, kind, least, greatest);
        }
        Ok(())
    }

    fn bounds(&mut self, id: i32, kind: &PrimitiveType, least: PrimitiveLiteral, greatest: PrimitiveLiteral) {
        if let Ok(bytes) = value::to_bytes(kind, &bounds::lower(least)) {
            self.lower.insert(id, bytes);
        }
        if let Some(bound) = bounds::upper(greatest)
            && let Ok(bytes) = value::to_bytes(kind, &bound)
        {
            self.upper.insert(id, bytes);
        }
    }
}

/// Least and greatest value over all row groups. None unless every group with values tells both.
fn range(kind: &PrimitiveType, chunks: &[&ColumnChunkMetaData]) -> Option<(PrimitiveLiteral, PrimitiveLiteral)> {
    let mut range: Option<(PrimitiveLiteral, PrimitiveLiteral)> = None;
    for chunk in chunks {
        let statistics = chunk.statistics()?;
        let only_nulls = statistics.null_count_opt() == u64::try_from(chunk.num_values()).ok();
        let (Some(least), Some(greatest)) = (statistics.min_bytes_opt(), statistics.max_bytes_opt()) else {
            // A group of nothing but NaN has no range either; bounds leave NaN out.
            if only_nulls || matches!(kind, PrimitiveType::Float | PrimitiveType::Double) {
                continue;
            }
            return None;
        };
        let (least, greatest) = (parse(kind, chunk, least)?, parse(kind, chunk, greatest)?);
        range = Some(match range {
            None => (least, greatest),
            Some((low, high)) => (
                if bounds::compare(&least, &low).is_lt() { least } else { low },
                if bounds::compare(&greatest, &high).is_gt() { greatest } else { high },
            ),
        });
    }
    range
}

fn parse(kind: &PrimitiveType, chunk: &ColumnChunkMetaData, bytes: &[u8]) -> Option<PrimitiveLiteral> {
    match kind {
        PrimitiveType::Decimal { .. } => {
            let little_endian = matches!(chunk.column_type(), PhysicalType::INT32 | PhysicalType::INT64);
            bounds::decimal(bytes, little_endian)
        }
        _ => bounds::value(kind, bytes),
    }
}

fn start_of(group: &RowGroupMetaData) -> Option<i64> {
    let first = group.columns().first()?;
    Some(first.dictionary_page_offset().unwrap_or_else(|| first.data_page_offset()))
}

fn unsigned(number: i64) -> Result<u64, ParquetError> {
    u64::try_from(number).map_err(|_| ParquetError::General("a count in the footer is negative".to_owned()))
}
