//! Tests of both sums over real arrays: against Spark, against an independent implementation, and against
//! each other's representations.

mod equal;
mod look_alikes;
mod row128;
mod spark64;

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::{Field, Schema};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::{RowHasher, SparkHasher};

fn data(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(path)
}

fn json(path: &str) -> serde_json::Value {
    serde_json::from_reader(File::open(data(path)).unwrap()).unwrap()
}

fn parquet(path: &str) -> RecordBatch {
    let builder = ParquetRecordBatchReaderBuilder::try_new(File::open(data(path)).unwrap()).unwrap();
    let schema = builder.schema().clone();
    let batches: Vec<RecordBatch> = builder.build().unwrap().map(Result::unwrap).collect();
    concat_batches(&schema, &batches).unwrap()
}

/// A batch of these columns, named by their position.
fn batch(columns: Vec<ArrayRef>) -> RecordBatch {
    let field = |(i, column): (usize, &ArrayRef)| Field::new(format!("c{i}"), column.data_type().clone(), true);
    let schema = Schema::new(columns.iter().enumerate().map(field).collect::<Vec<_>>());
    RecordBatch::try_new(Arc::new(schema), columns).unwrap()
}

fn all(batch: &RecordBatch) -> Vec<usize> {
    (0..batch.num_columns()).collect()
}

/// `row128` of each row over all columns.
fn row128(batch: &RecordBatch) -> Vec<u128> {
    let mut hashes = Vec::new();
    RowHasher::new(batch.schema_ref(), &all(batch)).unwrap().hash(batch, &mut hashes).unwrap();
    hashes
}

/// `spark64` of each row over all columns.
fn spark64(batch: &RecordBatch) -> Vec<i64> {
    let mut hashes = Vec::new();
    SparkHasher::new(batch.schema_ref(), &all(batch)).unwrap().hash(batch, &mut hashes).unwrap();
    hashes
}
