//! Reads batches of an ORC file's columns as described.
//!
//! In: a file, described columns, stripes. Out: record batches of the described types.
//! Not here: partition columns and checks for changed files (`read`).

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Field, FieldRef, Fields, Schema, SchemaRef};
use orc_rust::ArrowReader;
use orc_rust::projection::ProjectionMask;
use skein_protocol::inspection::SourceColumn;

use super::super::adapted::{Adapted, plain};
use super::super::decoding::{DecodeFailure, guarded};
use super::super::watched::Watched;
use super::tail::{StripeRows, open};
use super::timestamps::{decoded, settled};
use crate::files::Opened;

/// Reads batches of an ORC file.
pub(in crate::source) struct OrcReader {
    batches: ArrowReader<Watched>,
    watched: Watched,
    /// The columns that are read, as the file has them.
    schema: SchemaRef,
    adapted: Adapted,
    rows: u64,
}

impl OrcReader {
    /// A reader of `columns` in `stripes` (first and number; all by default) of `file`.
    pub(in crate::source) fn open(
        file: Opened,
        columns: &[SourceColumn],
        stripes: Option<(u32, u32)>,
        batch_rows: usize,
    ) -> Result<Self, DecodeFailure> {
        let watched = Watched::new(file);
        let opened = open(watched.clone())?;
        let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
        let file_schema = opened.schema.named_by_position(&names);
        let (adapted, positions) = Adapted::find(columns, &file_schema, &opened.calendar)?;
        let selected = selected(&opened.stripes, stripes)?;
        let rows = selected.iter().map(|stripe| stripe.rows).sum();
        let bytes = match selected {
            [] => 0..0,
            [first, ..] => offset(first)?..offset(&selected[selected.len() - 1])?.saturating_add(1),
        };
        let schema: Fields = positions.iter().map(|position| Arc::clone(&opened.schema.fields[*position])).collect();
        let as_decoded: Fields = schema
            .iter()
            .map(|field| -> FieldRef { Arc::new(Field::clone(field).with_data_type(decoded(field.data_type()))) })
            .collect();
        let root = opened.builder.file_metadata().root_data_type();
        let indices = positions.iter().map(|position| root.children()[*position].data_type().column_index());
        let mask = ProjectionMask::roots(root, indices);
        let batches = guarded(|| {
            let builder = opened.builder.with_projection(mask).with_schema(Arc::new(Schema::new(as_decoded)));
            Ok::<_, DecodeFailure>(builder.with_batch_size(batch_rows).with_file_byte_range(bytes).build())
        })?;
        Ok(Self { batches, watched, schema: Arc::new(Schema::new(schema)), adapted, rows })
    }

    /// Rows that the footer promises in the stripes that are read.
    pub(in crate::source) fn rows(&self) -> u64 {
        self.rows
    }

    /// Strings that were cut to their described length so far, column by column.
    pub(in crate::source) fn shortened(&self) -> &[u64] {
        self.adapted.shortened()
    }

    /// The next batch; `None` at the end.
    pub(in crate::source) fn next_batch(&mut self) -> Result<Option<RecordBatch>, DecodeFailure> {
        let next = guarded(|| Ok::<_, DecodeFailure>(self.batches.next()));
        let batch = match next {
            Err(error) => return Err(self.failed(error.to_string())),
            Ok(None) => return Ok(None),
            Ok(Some(Err(error))) => return Err(self.failed(plain(error))),
            Ok(Some(Ok(batch))) => batch,
        };
        let arrays: Vec<ArrayRef> = batch
            .columns()
            .iter()
            .zip(self.schema.fields())
            .map(|(array, field)| settled(array, field.data_type()))
            .collect::<Result<_, _>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&self.schema), arrays, &options)
            .map_err(|error| DecodeFailure::Damaged(plain(error)))?;
        self.adapted.apply(&batch).map(Some)
    }

    fn failed(&self, why: String) -> DecodeFailure {
        if let Some(error) = self.watched.take_failure() {
            return DecodeFailure::Io(error);
        }
        DecodeFailure::of_text(why)
    }
}

fn offset(stripe: &StripeRows) -> Result<usize, DecodeFailure> {
    usize::try_from(stripe.offset).map_err(|_| DecodeFailure::Damaged("a stripe lies beyond all memory".to_owned()))
}

fn selected(all: &[StripeRows], stripes: Option<(u32, u32)>) -> Result<&[StripeRows], DecodeFailure> {
    let Some((first, number)) = stripes else { return Ok(all) };
    let (first, end) = (first as usize, first as usize + number as usize);
    all.get(first..end)
        .ok_or_else(|| DecodeFailure::Damaged(format!("it has {} stripes, and {end} were planned", all.len())))
}
