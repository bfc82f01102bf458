//! How much processor time the two checksums cost: 10 million rows of 8 mixed columns, about 80 bytes each.
//!
//! `cargo run --release -p skein-engine --example checksum_speed [ROWS]`

use std::error::Error;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int32Array, Int64Array, RecordBatch,
    StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{Field, Schema};
use skein_engine::checksum::{RowHasher, SparkHasher};
use skein_protocol::evidence::{RowSum, SparkSum};

/// Rows of one batch, as the Parquet reader gives them.
const BATCH_ROWS: usize = 8192;
/// Different batches that are hashed in turn: together larger than the processor's caches.
const BATCHES: usize = 64;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Numbers that are the same in each run, and of no pattern that a branch predictor learns.
fn scrambled(n: usize) -> u64 {
    let mut x = (n as u64).wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    x ^= x >> 29;
    x = x.wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x ^ (x >> 32)
}

fn batch(number: usize) -> Result<RecordBatch> {
    let rows = || (number * BATCH_ROWS..(number + 1) * BATCH_ROWS).map(scrambled);
    let word = |x: u64| "the quick brown fox jumps over"[..4 + (x % 24) as usize].to_owned();
    let columns: Vec<ArrayRef> = vec![
        Arc::new(rows().map(|x| x as i64).collect::<Int64Array>()),
        Arc::new(rows().map(|x| (x % 17 != 0).then_some(x as i32)).collect::<Int32Array>()),
        Arc::new(rows().map(|x| x as f64 / 7.0).collect::<Float64Array>()),
        Arc::new(rows().map(i128::from).collect::<Decimal128Array>().with_precision_and_scale(38, 4)?),
        Arc::new(rows().map(|x| (x % 11 != 0).then(|| word(x >> 8))).collect::<StringArray>()),
        Arc::new(StringArray::from_iter_values(rows().map(|x| word(x >> 16)))),
        Arc::new(Date32Array::from_iter_values(rows().map(|x| (x % 20_000) as i32))),
        Arc::new(TimestampMicrosecondArray::from_iter_values(rows().map(|x| (x >> 14) as i64))),
    ];
    let field = |(i, column): (usize, &ArrayRef)| Field::new(format!("c{i}"), column.data_type().clone(), true);
    let schema = Schema::new(columns.iter().enumerate().map(field).collect::<Vec<_>>());
    Ok(RecordBatch::try_new(Arc::new(schema), columns)?)
}

/// The same batch with columns that add a case each: booleans and lists.
fn nested(number: usize) -> Result<RecordBatch> {
    let rows = || (number * BATCH_ROWS..(number + 1) * BATCH_ROWS).map(scrambled);
    let flags: ArrayRef = Arc::new(rows().map(|x| Some(x % 2 == 0)).collect::<BooleanArray>());
    let lists = rows().map(|x| Some((0..x % 4).map(|n| Some(n as i32)).collect::<Vec<_>>()));
    let lists = arrow::array::ListArray::from_iter_primitive::<arrow::datatypes::Int32Type, _, _>(lists);
    let lists: ArrayRef = Arc::new(lists);
    Ok(RecordBatch::try_from_iter([("flag", flags), ("list", lists)])?)
}

/// Processor seconds of this process so far, in user and kernel mode.
fn cpu_seconds() -> Result<f64> {
    let stat = std::fs::read_to_string("/proc/self/schedstat")?;
    let nanos: u64 = stat.split(' ').next().ok_or("schedstat begins with a number")?.parse()?;
    Ok(nanos as f64 / 1e9)
}

fn measure(
    name: &str,
    batches: &[RecordBatch],
    rows: usize,
    mut add: impl FnMut(&RecordBatch) -> Result<()>,
) -> Result<()> {
    for batch in batches {
        add(batch)?;
    }
    let (mut done, begin) = (0, cpu_seconds()?);
    for batch in batches.iter().cycle() {
        if done >= rows {
            break;
        }
        add(batch)?;
        done += batch.num_rows();
    }
    let seconds = cpu_seconds()? - begin;
    println!("{name:<24} {seconds:>6.3} s CPU {:>6.1} ns/row", seconds / done as f64 * 1e9);
    Ok(())
}

fn main() -> Result<()> {
    let rows = std::env::args().nth(1).map_or(Ok(10_000_000), |rows| rows.parse())?;
    let flat: Vec<RecordBatch> = (0..BATCHES).map(batch).collect::<Result<_>>()?;
    let nested: Vec<RecordBatch> = (0..BATCHES).map(nested).collect::<Result<_>>()?;
    for (name, batches) in [("8 columns", &flat), ("boolean, list of int", &nested)] {
        let schema = batches[0].schema();
        let columns: Vec<usize> = (0..schema.fields().len()).collect();
        let bytes: usize = batches.iter().map(RecordBatch::get_array_memory_size).sum();
        println!("{rows} rows of {name}, about {} bytes a row", bytes / BATCHES / BATCH_ROWS);
        let (mut hasher, mut sum) = (RowHasher::new(&schema, &columns)?, RowSum::default());
        measure("row128", batches, rows, |batch| Ok(hasher.add(batch, &mut sum)?))?;
        let (mut hasher, mut spark) = (SparkHasher::new(&schema, &columns)?, SparkSum::default());
        measure("spark64", batches, rows, |batch| Ok(hasher.add(batch, &mut spark)?))?;
        println!("sums {} {}", sum.sum, spark.sum);
    }
    Ok(())
}
