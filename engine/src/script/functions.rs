//! The two functions that scripts use beside DataFusion's own.
//!
//! `row128(c1, c2, …)`: the checksum of a row of these columns, sixteen bytes, the highest first, so that its order as bytes is
//! the order by which ties are broken. `hive_cast(value, 'type')`: the value as that type of Hive's, or an error where the
//! engine's cast has one.

use std::sync::Arc;

use arrow::array::{ArrayRef, FixedSizeBinaryArray};
use arrow::buffer::Buffer;
use arrow::datatypes::{DataType as ArrowType, Field, FieldRef, Schema};
use datafusion::common::{ScalarValue, exec_datafusion_err, plan_datafusion_err, plan_err};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use skein_protocol::types::DataType;

use crate::checksum::RowHasher;
use crate::transform;
use crate::types::arrow_type;

/// Bytes of a `row128`.
const HASH_BYTES: i32 = 16;

/// The function `row128`.
#[must_use]
pub fn row128() -> ScalarUDF {
    ScalarUDF::new_from_impl(Row128 { signature: Signature::variadic_any(Volatility::Immutable) })
}

/// The function `hive_cast`.
#[must_use]
pub fn hive_cast() -> ScalarUDF {
    ScalarUDF::new_from_impl(HiveCast { signature: Signature::any(2, Volatility::Immutable) })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Row128 {
    signature: Signature,
}

impl ScalarUDFImpl for Row128 {
    fn name(&self) -> &str {
        "row128"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[ArrowType]) -> Result<ArrowType> {
        Ok(ArrowType::FixedSizeBinary(HASH_BYTES))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let columns = args.args.iter().map(|value| value.to_array(rows)).collect::<Result<Vec<ArrayRef>>>()?;
        let fields: Vec<Field> = columns
            .iter()
            .enumerate()
            .map(|(at, column)| Field::new(format!("c{at}"), column.data_type().clone(), true))
            .collect();
        let all: Vec<usize> = (0..columns.len()).collect();
        let refused = |error: crate::checksum::ChecksumError| DataFusionError::External(Box::new(error));
        let mut hashes = Vec::new();
        RowHasher::new(&Schema::new(fields), &all)
            .map_err(refused)?
            .hash_columns(&columns, rows, &mut hashes)
            .map_err(refused)?;
        let bytes: Vec<u8> = hashes.iter().flat_map(|hash| hash.to_be_bytes()).collect();
        Ok(ColumnarValue::Array(Arc::new(FixedSizeBinaryArray::try_new(HASH_BYTES, Buffer::from_vec(bytes), None)?)))
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct HiveCast {
    signature: Signature,
}

fn wanted(text: Option<&ScalarValue>) -> Result<ArrowType> {
    let Some(ScalarValue::Utf8(Some(text)) | ScalarValue::Utf8View(Some(text)) | ScalarValue::LargeUtf8(Some(text))) =
        text
    else {
        return plan_err!("hive_cast wants the name of a type as its second argument");
    };
    let data_type: DataType = text.parse().map_err(|error| plan_datafusion_err!("{error}"))?;
    Ok(arrow_type(&data_type))
}

impl ScalarUDFImpl for HiveCast {
    fn name(&self) -> &str {
        "hive_cast"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[ArrowType]) -> Result<ArrowType> {
        plan_err!("the type of hive_cast is its second argument")
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let to = wanted(args.scalar_arguments.get(1).copied().flatten())?;
        Ok(Arc::new(Field::new(self.name(), to, true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [value, _] = args.args.as_slice() else {
            return plan_err!("hive_cast has two arguments");
        };
        let field = Field::new("value", args.return_field.data_type().clone(), true);
        let values = value.to_array(args.number_rows)?;
        let cast = transform::cast(&field, &values).map_err(|error| exec_datafusion_err!("{error}"))?;
        Ok(ColumnarValue::Array(cast))
    }
}
