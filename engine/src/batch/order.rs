//! Values as bytes that have the values' order: so that rows of many files can be sorted without knowing their types.
//!
//! In: the columns of an `order by`. Out: a byte string a row; comparing these as bytes compares the rows. Holds: the form
//! of each type. These bytes are written to files that another version of the program may read, so the form is fixed
//! here and no library's.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{
    DataType as ArrowType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, TimeUnit, TimestampMicrosecondType,
};
use skein_protocol::data_plane::Failure;
use skein_protocol::plan::{OrderBy, Plan};
use skein_protocol::problem::{Code, Problem};

/// Before a value; nulls have the byte below or above it.
const VALUE: u8 = 1;
const NULL_FIRST: u8 = 0;
const NULL_LAST: u8 = 2;
/// Ends a text, and is below all that may follow in a longer one.
const END: [u8; 2] = [0, 0];
/// Stands for a zero byte in a text.
const ZERO: [u8; 2] = [0, 1];

/// Encodes the rows of batches by one order.
#[derive(Debug)]
pub(super) struct OrderEncoder {
    terms: Vec<Term>,
}

#[derive(Debug)]
struct Term {
    column: usize,
    descending: bool,
    null: u8,
}

impl OrderEncoder {
    /// An encoder of `order` over the source's columns of `plan`.
    pub(super) fn new(plan: &Plan, order: &[OrderBy]) -> Result<Self, Failure> {
        let terms = order.iter().map(|term| {
            let column = plan
                .source
                .columns
                .iter()
                .position(|column| column.name == term.column && column.data_type.is_primitive());
            let column = column.ok_or_else(|| refused(plan, &term.column))?;
            Ok(Term {
                column,
                descending: term.descending,
                null: if term.nulls_first { NULL_FIRST } else { NULL_LAST },
            })
        });
        Ok(Self { terms: terms.collect::<Result<_, Failure>>()? })
    }

    /// Appends the code of each row of `batch` to `codes`, and where it ends to `ends`.
    pub(super) fn encode(
        &self,
        batch: &RecordBatch,
        codes: &mut Vec<u8>,
        ends: &mut Vec<usize>,
    ) -> Result<(), Failure> {
        let columns = self.terms.iter().map(|term| Ok((term, Values::of(batch.column(term.column))?)));
        let columns: Vec<(&Term, Values<'_>)> = columns.collect::<Result<_, Failure>>()?;
        for row in 0..batch.num_rows() {
            for (term, values) in &columns {
                if values.array.is_null(row) {
                    codes.push(term.null);
                    continue;
                }
                codes.push(VALUE);
                let start = codes.len();
                values.put(row, codes);
                if term.descending {
                    codes[start..].iter_mut().for_each(|byte| *byte = !*byte);
                }
            }
            ends.push(codes.len());
        }
        Ok(())
    }
}

/// A column that has an order.
struct Values<'a> {
    array: &'a ArrayRef,
    put: fn(&ArrayRef, usize, &mut Vec<u8>),
}

impl<'a> Values<'a> {
    fn of(array: &'a ArrayRef) -> Result<Self, Failure> {
        let put: fn(&ArrayRef, usize, &mut Vec<u8>) = match array.data_type() {
            ArrowType::Boolean => |array, row, out| out.push(u8::from(array.as_boolean().value(row))),
            ArrowType::Int8 => |array, row, out| put_integer(array.as_primitive::<Int8Type>().value(row).into(), out),
            ArrowType::Int16 => |array, row, out| put_integer(array.as_primitive::<Int16Type>().value(row).into(), out),
            ArrowType::Int32 => |array, row, out| put_integer(array.as_primitive::<Int32Type>().value(row).into(), out),
            ArrowType::Int64 => |array, row, out| put_integer(array.as_primitive::<Int64Type>().value(row), out),
            ArrowType::Date32 => {
                |array, row, out| put_integer(array.as_primitive::<Date32Type>().value(row).into(), out)
            }
            ArrowType::Timestamp(TimeUnit::Microsecond, _) => {
                |array, row, out| put_integer(array.as_primitive::<TimestampMicrosecondType>().value(row), out)
            }
            ArrowType::Float32 => {
                |array, row, out| put_float(array.as_primitive::<Float32Type>().value(row).into(), out)
            }
            ArrowType::Float64 => |array, row, out| put_float(array.as_primitive::<Float64Type>().value(row), out),
            ArrowType::Decimal128(..) => |array, row, out| {
                let value = array.as_primitive::<Decimal128Type>().value(row);
                out.extend_from_slice(&(value ^ i128::MIN).to_be_bytes());
            },
            ArrowType::Utf8 => |array, row, out| put_bytes(array.as_string::<i32>().value(row).as_bytes(), out),
            ArrowType::Binary => |array, row, out| put_bytes(array.as_binary::<i32>().value(row), out),
            other => {
                let why = format!("{other} has no order");
                return Err(crate::failure::internal("ordering rows", why));
            }
        };
        Ok(Self { array, put })
    }

    fn put(&self, row: usize, out: &mut Vec<u8>) {
        (self.put)(self.array, row, out);
    }
}

fn put_integer(value: i64, out: &mut Vec<u8>) {
    out.extend_from_slice(&(value ^ i64::MIN).to_be_bytes());
}

/// The order of IEEE's `totalOrder`, except that all NaN are one and the greatest: minus zero comes before zero.
fn put_float(value: f64, out: &mut Vec<u8>) {
    let bits = if value.is_nan() { f64::NAN.to_bits() & !(1 << 63) } else { value.to_bits() };
    let negative = bits >> 63 == 1;
    let ordered = if negative { !bits } else { bits | 1 << 63 };
    out.extend_from_slice(&ordered.to_be_bytes());
}

fn put_bytes(value: &[u8], out: &mut Vec<u8>) {
    for byte in value {
        match byte {
            0 => out.extend_from_slice(&ZERO),
            byte => out.push(*byte),
        }
    }
    out.extend_from_slice(&END);
}

fn refused(plan: &Plan, column: &str) -> Failure {
    let why = format!("the source has no plain column {column} to order by");
    Failure::permanent(
        Problem::new(Code::RuleInapplicable, "keepOne", why, "Order by a plain column").of(&plan.source.dataset),
    )
}
