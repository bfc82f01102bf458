//! Logical values: Arrow arrays with everything removed that is mere representation.
//!
//! In: any array of a supported type. Out: [`Values`]: dictionaries unpacked, times in microseconds,
//! dates in days, decimals in 128 bits, lists of one kind. What is left is what both sums hash.

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryViewArray, Date32Array, FixedSizeBinaryArray, GenericByteArray,
    TimestampMicrosecondArray,
};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::compute::take;
use arrow::datatypes::{
    ArrowNativeType, ByteArrayType, DataType, Date32Type, Date64Type, Decimal32Type, Decimal64Type, Decimal128Type,
    Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, TimeUnit, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type, UInt32Type,
};

use super::error::ChecksumError;

const MILLIS_A_DAY: i64 = 86_400_000;

/// The values of one column, or of one part of a nested column.
pub(super) struct Values {
    /// Which are null; absent when none is.
    pub(super) nulls: Option<NullBuffer>,
    /// The values; what lies under a null is unspecified.
    pub(super) data: Data,
}

/// Values without their nulls.
pub(super) enum Data {
    Null,
    Bool(BooleanBuffer),
    Int8(ScalarBuffer<i8>),
    Int16(ScalarBuffer<i16>),
    Int32(ScalarBuffer<i32>),
    Int64(ScalarBuffer<i64>),
    Float32(ScalarBuffer<f32>),
    Float64(ScalarBuffer<f64>),
    Decimal { unscaled: ScalarBuffer<i128>, precision: u8, scale: i8 },
    Bytes(Bytes),
    Date(ScalarBuffer<i32>),
    Timestamp(ScalarBuffer<i64>),
    List { offsets: Offsets, items: Box<Values> },
    Map { offsets: Offsets, keys: Box<Values>, values: Box<Values> },
    Struct(Vec<Values>),
}

/// Texts or binaries, which differ by their tag only.
pub(super) struct Bytes {
    pub(super) text: bool,
    pub(super) store: Store,
}

/// Where the bytes lie. The hot loops match on this once a column, not once a value.
pub(super) enum Store {
    Small { offsets: OffsetBuffer<i32>, data: Buffer },
    Large { offsets: OffsetBuffer<i64>, data: Buffer },
    View(BinaryViewArray),
    Fixed(FixedSizeBinaryArray),
}

/// Where each list begins and ends in its items.
pub(super) enum Offsets {
    Small(OffsetBuffer<i32>),
    Large(OffsetBuffer<i64>),
}

impl Offsets {
    /// Begin of list `i`; the end of the one before.
    pub(super) fn at(&self, i: usize) -> usize {
        match self {
            Self::Small(offsets) => offsets[i].as_usize(),
            Self::Large(offsets) => offsets[i].as_usize(),
        }
    }
}

impl Bytes {
    fn small<T: ByteArrayType<Offset = i32>>(array: &GenericByteArray<T>, text: bool) -> Data {
        let (offsets, data, _) = array.clone().into_parts();
        Data::Bytes(Self { text, store: Store::Small { offsets, data } })
    }

    fn large<T: ByteArrayType<Offset = i64>>(array: &GenericByteArray<T>, text: bool) -> Data {
        let (offsets, data, _) = array.clone().into_parts();
        Data::Bytes(Self { text, store: Store::Large { offsets, data } })
    }

    fn view(array: BinaryViewArray, text: bool) -> Data {
        Data::Bytes(Self { text, store: Store::View(array) })
    }

    /// The bytes of value `i`; those of a null are unspecified.
    #[inline]
    pub(super) fn get(&self, i: usize) -> &[u8] {
        match &self.store {
            Store::Small { offsets, data } => &data[offsets[i].as_usize()..offsets[i + 1].as_usize()],
            Store::Large { offsets, data } => &data[offsets[i].as_usize()..offsets[i + 1].as_usize()],
            Store::View(array) => array.value(i),
            Store::Fixed(array) => array.value(i),
        }
    }
}

impl Values {
    /// The logical values of `array`. `column` is named in errors.
    pub(super) fn new(column: &str, array: &ArrayRef) -> Result<Self, ChecksumError> {
        if array.data_type().is_nested() {
            return Self::nested(column, array);
        }
        let data = match array.data_type() {
            DataType::Null => {
                // Such an array has no buffer that says so.
                return Ok(Self { nulls: Some(NullBuffer::new_null(array.len())), data: Data::Null });
            }
            DataType::Dictionary(..) => {
                let dictionary = array.as_any_dictionary();
                let plain = take(dictionary.values(), dictionary.keys(), None)
                    .map_err(|source| ChecksumError::Arrow { column: column.to_owned(), source })?;
                return Self::new(column, &plain);
            }
            DataType::Boolean => Data::Bool(array.as_boolean().values().clone()),
            DataType::Int8 => Data::Int8(array.as_primitive::<Int8Type>().values().clone()),
            DataType::Int16 => Data::Int16(array.as_primitive::<Int16Type>().values().clone()),
            DataType::Int32 => Data::Int32(array.as_primitive::<Int32Type>().values().clone()),
            DataType::Int64 => Data::Int64(array.as_primitive::<Int64Type>().values().clone()),
            // Unsigned integers become what Spark reads them as.
            DataType::UInt8 => {
                Data::Int16(array.as_primitive::<UInt8Type>().values().iter().map(|v| (*v).into()).collect())
            }
            DataType::UInt16 => {
                Data::Int32(array.as_primitive::<UInt16Type>().values().iter().map(|v| (*v).into()).collect())
            }
            DataType::UInt32 => {
                Data::Int64(array.as_primitive::<UInt32Type>().values().iter().map(|v| (*v).into()).collect())
            }
            DataType::Float32 => Data::Float32(array.as_primitive::<Float32Type>().values().clone()),
            DataType::Float64 => Data::Float64(array.as_primitive::<Float64Type>().values().clone()),
            DataType::Decimal32(precision, scale) => {
                let unscaled = array.as_primitive::<Decimal32Type>().values().iter().map(|v| (*v).into()).collect();
                Data::Decimal { unscaled, precision: *precision, scale: *scale }
            }
            DataType::Decimal64(precision, scale) => {
                let unscaled = array.as_primitive::<Decimal64Type>().values().iter().map(|v| (*v).into()).collect();
                Data::Decimal { unscaled, precision: *precision, scale: *scale }
            }
            DataType::Decimal128(precision, scale) => {
                let unscaled = array.as_primitive::<Decimal128Type>().values().clone();
                Data::Decimal { unscaled, precision: *precision, scale: *scale }
            }
            DataType::Utf8 => Bytes::small(array.as_string::<i32>(), true),
            DataType::LargeUtf8 => Bytes::large(array.as_string::<i64>(), true),
            DataType::Binary => Bytes::small(array.as_binary::<i32>(), false),
            DataType::LargeBinary => Bytes::large(array.as_binary::<i64>(), false),
            DataType::Utf8View => Bytes::view(array.as_string_view().clone().to_binary_view(), true),
            DataType::BinaryView => Bytes::view(array.as_binary_view().clone(), false),
            DataType::FixedSizeBinary(_) => {
                Data::Bytes(Bytes { text: false, store: Store::Fixed(array.as_fixed_size_binary().clone()) })
            }
            DataType::Date32 => Data::Date(array.as_primitive::<Date32Type>().values().clone()),
            DataType::Date64 => Data::Date(days(column, array)?.values().clone()),
            DataType::Timestamp(unit, _) => Data::Timestamp(micros(column, *unit, array)?.values().clone()),
            other => return Err(unsupported(column, other)),
        };
        Ok(Self { nulls: nulls_of(array), data })
    }

    fn nested(column: &str, array: &ArrayRef) -> Result<Self, ChecksumError> {
        let part = |array: &ArrayRef| Self::new(column, array).map(Box::new);
        let data = match array.data_type() {
            DataType::List(_) => {
                let list = array.as_list::<i32>();
                Data::List { offsets: Offsets::Small(list.offsets().clone()), items: part(list.values())? }
            }
            DataType::LargeList(_) => {
                let list = array.as_list::<i64>();
                Data::List { offsets: Offsets::Large(list.offsets().clone()), items: part(list.values())? }
            }
            DataType::FixedSizeList(_, size) => {
                let list = array.as_fixed_size_list();
                // A slice of such a list slices its items too, so they begin at 0.
                let offsets = OffsetBuffer::<i64>::from_repeated_length(size.as_usize(), list.len());
                Data::List { offsets: Offsets::Large(offsets), items: part(list.values())? }
            }
            DataType::Map(..) => {
                let map = array.as_map();
                let offsets = Offsets::Small(map.offsets().clone());
                Data::Map { offsets, keys: part(map.keys())?, values: part(map.values())? }
            }
            DataType::Struct(_) => {
                let fields = array.as_struct().columns().iter().map(|field| Self::new(column, field));
                Data::Struct(fields.collect::<Result<_, _>>()?)
            }
            other => return Err(unsupported(column, other)),
        };
        Ok(Self { nulls: nulls_of(array), data })
    }

    /// Whether value `i` is null.
    #[inline]
    pub(super) fn is_null(&self, i: usize) -> bool {
        self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(i))
    }
}

fn nulls_of(array: &ArrayRef) -> Option<NullBuffer> {
    array.nulls().filter(|nulls| nulls.null_count() > 0).cloned()
}

fn unsupported(column: &str, data_type: &DataType) -> ChecksumError {
    ChecksumError::Unsupported { column: column.to_owned(), data_type: data_type.clone() }
}

/// The first part of `data_type` that has no checksum, if there is one.
pub(super) fn refused_part(data_type: &DataType) -> Option<&DataType> {
    match data_type {
        DataType::Null
        | DataType::Boolean
        | DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::UInt8
        | DataType::UInt16
        | DataType::UInt32
        | DataType::Float32
        | DataType::Float64
        | DataType::Decimal32(..)
        | DataType::Decimal64(..)
        | DataType::Decimal128(..)
        | DataType::Utf8
        | DataType::LargeUtf8
        | DataType::Utf8View
        | DataType::Binary
        | DataType::LargeBinary
        | DataType::BinaryView
        | DataType::FixedSizeBinary(_)
        | DataType::Date32
        | DataType::Date64
        | DataType::Timestamp(..) => None,
        DataType::Dictionary(_, values) => refused_part(values),
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            refused_part(item.data_type())
        }
        DataType::Map(entries, _) => refused_part(entries.data_type()),
        DataType::Struct(fields) => fields.iter().find_map(|field| refused_part(field.data_type())),
        other => Some(other),
    }
}

fn days(column: &str, array: &ArrayRef) -> Result<Date32Array, ChecksumError> {
    array.as_primitive::<Date64Type>().try_unary(|value| {
        let whole = (value % MILLIS_A_DAY == 0).then_some(value / MILLIS_A_DAY);
        whole.and_then(|days| i32::try_from(days).ok()).ok_or_else(|| ChecksumError::NotExact {
            column: column.to_owned(),
            value,
            unit: "milliseconds",
            wanted: "days",
        })
    })
}

fn micros(column: &str, unit: TimeUnit, array: &ArrayRef) -> Result<TimestampMicrosecondArray, ChecksumError> {
    let inexact = |value: i64, unit: &'static str| ChecksumError::NotExact {
        column: column.to_owned(),
        value,
        unit,
        wanted: "microseconds",
    };
    match unit {
        TimeUnit::Second => array
            .as_primitive::<TimestampSecondType>()
            .try_unary(|value| value.checked_mul(1_000_000).ok_or_else(|| inexact(value, "seconds"))),
        TimeUnit::Millisecond => array
            .as_primitive::<TimestampMillisecondType>()
            .try_unary(|value| value.checked_mul(1_000).ok_or_else(|| inexact(value, "milliseconds"))),
        TimeUnit::Microsecond => Ok(array.as_primitive::<TimestampMicrosecondType>().clone()),
        TimeUnit::Nanosecond => array
            .as_primitive::<TimestampNanosecondType>()
            .try_unary(|value| if value % 1_000 == 0 { Ok(value / 1_000) } else { Err(inexact(value, "nanoseconds")) }),
    }
}
