//! How a file's column becomes the described one: which differences lose nothing, and the conversion itself.
//!
//! In: Arrow types of a file, described types. Out: [`Adapter`]s, applied to arrays. Columns that need no change are
//! passed on as they are.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::timezone::Tz;
use arrow::array::{
    Array, ArrayRef, AsArray, Date32Array, Decimal128Array, ListArray, MapArray, StringBuilder, StructArray,
    TimestampMicrosecondArray, new_null_array,
};
use arrow::compute::{CastOptions, cast_with_options, min};
use arrow::datatypes::{
    DataType as ArrowType, Fields, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType,
};
use arrow::error::ArrowError;
use arrow::temporal_conversions::as_datetime_with_timezone;
use skein_protocol::types::DataType;

use super::calendar::{REFORM_DAY, REFORM_MICROS, WriterCalendar, day_from_julian, micros_from_julian};
use super::text::{limit, pad};
use crate::types::{UTC, arrow_type};

/// How values of a file become values of the described type.
#[derive(Debug)]
pub(super) enum Adapter {
    /// They are the same.
    Same,
    /// Arrow's cast; values that do not fit are errors.
    Cast(ArrowType),
    /// More digits before the point.
    Digits(u8, i8),
    /// Strings with a length.
    Length { cast: bool, length: u32, padded: bool },
    /// Dates of the Julian calendar.
    JulianDate,
    /// Timestamps in another unit, zone or calendar.
    Timestamp { unit: TimeUnit, julian: bool, zone: Option<Tz> },
    /// Instants in another unit, or with another spelling of UTC.
    Instant(TimeUnit),
    /// Fields by name; `None` where the file has no such field.
    Struct(Fields, Vec<Option<(usize, Adapter)>>),
    /// Elements.
    List(ArrowType, Box<Adapter>),
    /// Keys and values.
    Map(ArrowType, Box<[Adapter; 2]>),
}

/// What the adapters of one file need to know of its writer, and of the column.
#[derive(Debug, Clone)]
pub(super) struct RowsContext<'a> {
    /// The writer's calendar.
    pub(super) calendar: &'a WriterCalendar,
    /// Whether the column's timestamps are INT96.
    pub(super) int96: bool,
}

/// Casts report values that do not fit; they never make them null.
const STRICT: CastOptions<'static> =
    CastOptions { safe: false, format_options: arrow::util::display::FormatOptions::new() };

impl Adapter {
    /// The adapter from a file's type to a described one; an error says why values could be lost.
    pub(super) fn plan(from: &ArrowType, to: &DataType, context: &RowsContext<'_>) -> Result<Self, String> {
        let target = arrow_type(to);
        let conflict = || Err(format!("the file has {}, which cannot be read as {to} without loss", shown(from)));
        Ok(match (from, to) {
            (ArrowType::Utf8 | ArrowType::Binary, DataType::Char { length }) => {
                Self::Length { cast: *from != ArrowType::Utf8, length: *length, padded: true }
            }
            (ArrowType::Utf8 | ArrowType::Binary, DataType::Varchar { length }) => {
                Self::Length { cast: *from != ArrowType::Utf8, length: *length, padded: false }
            }
            (ArrowType::Date32, DataType::Date) if context.calendar.julian_dates => Self::JulianDate,
            (ArrowType::Timestamp(TimeUnit::Second, _), DataType::Timestamp) => return conflict(),
            (ArrowType::Timestamp(unit, _), DataType::Timestamp) => timestamp(*unit, context)?,
            (ArrowType::Timestamp(unit, _), DataType::TimestampTz) if *unit != TimeUnit::Second => Self::Instant(*unit),
            (ArrowType::List(element), DataType::Array(inner)) => {
                Self::List(target, Box::new(Self::plan(element.data_type(), inner, context)?)).unless_same(from)
            }
            (ArrowType::Map(entries, _), DataType::Map(key, value)) => {
                let ArrowType::Struct(parts) = entries.data_type() else { return conflict() };
                let [from_key, from_value] = parts.as_ref() else { return conflict() };
                let children = [
                    Self::plan(from_key.data_type(), key, context)?,
                    Self::plan(from_value.data_type(), value, context)?,
                ];
                Self::Map(target, Box::new(children)).unless_same(from)
            }
            (ArrowType::Struct(fields), DataType::Struct(inner)) => {
                let mut children = Vec::with_capacity(inner.len());
                for field in inner {
                    let same = |position: &usize| fields[*position].name().eq_ignore_ascii_case(&field.name);
                    let found: Vec<usize> = (0..fields.len()).filter(same).collect();
                    children.push(match found.as_slice() {
                        [] => None,
                        [position] => {
                            Some((*position, Self::plan(fields[*position].data_type(), &field.data_type, context)?))
                        }
                        _ => {
                            return Err(format!(
                                "the file has several fields called {:?} when case does not count",
                                field.name
                            ));
                        }
                    });
                }
                let ArrowType::Struct(target) = target else { return conflict() };
                Self::Struct(target, children).unless_same(from)
            }
            _ if *from == target => Self::Same,
            (ArrowType::Decimal128(precision, scale), DataType::Decimal { .. }) => match target {
                ArrowType::Decimal128(wider, same) if same == *scale && wider >= *precision => {
                    Self::Digits(wider, same)
                }
                ArrowType::Decimal128(p, s)
                    if s > *scale && i16::from(p) - i16::from(s) >= i16::from(*precision) - i16::from(*scale) =>
                {
                    Self::Cast(target)
                }
                _ => return conflict(),
            },
            // A column of nothing but nulls.
            (ArrowType::Null, _) => Self::Cast(target),
            _ if casts(from, to) => Self::Cast(target),
            _ => return conflict(),
        })
    }

    /// Nested values of the same names and types, all of whose parts stay, stay as they are.
    fn unless_same(self, from: &ArrowType) -> Self {
        let same = match &self {
            Self::List(target, child) => target == from && matches!(**child, Self::Same),
            Self::Map(target, children) => target == from && children.iter().all(|child| matches!(child, Self::Same)),
            Self::Struct(target, children) => {
                let in_place = |(index, child): (usize, &Option<(usize, Self)>)| matches!(child, Some((position, Self::Same)) if *position == index);
                ArrowType::Struct(target.clone()) == *from && children.iter().enumerate().all(in_place)
            }
            _ => false,
        };
        if same { Self::Same } else { self }
    }

    /// Converts `array`, which has the file's type. `shortened` counts strings that were cut to their described length.
    pub(super) fn apply(&self, array: &ArrayRef, shortened: &mut u64) -> Result<ArrayRef, ArrowError> {
        Ok(match self {
            Self::Same => Arc::clone(array),
            Self::Cast(target) => cast_with_options(array, target, &STRICT)?,
            Self::Digits(precision, scale) => {
                let decimals: &Decimal128Array = array.as_primitive();
                Arc::new(decimals.clone().with_precision_and_scale(*precision, *scale)?)
            }
            Self::Length { cast, length, padded } => {
                let text = if *cast { cast_with_options(array, &ArrowType::Utf8, &STRICT)? } else { Arc::clone(array) };
                lengths(text, *length, *padded, shortened)
            }
            Self::JulianDate => {
                let dates: &Date32Array = array.as_primitive();
                if min(dates).is_none_or(|least| least >= REFORM_DAY) {
                    return Ok(Arc::clone(array));
                }
                Arc::new(dates.unary::<_, arrow::datatypes::Date32Type>(day_from_julian))
            }
            Self::Timestamp { unit, julian, zone } => Arc::new(micros(array, *unit, *julian, zone.as_ref())?),
            Self::Instant(unit) => Arc::new(micros(array, *unit, false, None)?.with_timezone(UTC)),
            Self::Struct(fields, children) => {
                let from = array.as_struct();
                let column = |(index, child): (usize, &Option<(usize, Self)>)| match child {
                    Some((position, adapter)) => adapter.apply(from.column(*position), shortened),
                    None => Ok(new_null_array(fields[index].data_type(), from.len())),
                };
                let columns = children.iter().enumerate().map(column).collect::<Result<Vec<_>, _>>()?;
                Arc::new(StructArray::try_new(fields.clone(), columns, from.nulls().cloned())?)
            }
            Self::List(target, child) => {
                let ArrowType::List(element) = target else { unreachable!("made for a list") };
                let from = array.as_list::<i32>();
                let values = child.apply(from.values(), shortened)?;
                Arc::new(ListArray::try_new(
                    Arc::clone(element),
                    from.offsets().clone(),
                    values,
                    from.nulls().cloned(),
                )?)
            }
            Self::Map(target, children) => {
                let ArrowType::Map(entry, sorted) = target else { unreachable!("made for a map") };
                let ArrowType::Struct(parts) = entry.data_type() else { unreachable!("a map's entries are structs") };
                let from = array.as_map();
                let columns =
                    vec![children[0].apply(from.keys(), shortened)?, children[1].apply(from.values(), shortened)?];
                let entries = StructArray::try_new(parts.clone(), columns, None)?;
                Arc::new(MapArray::try_new(
                    Arc::clone(entry),
                    from.offsets().clone(),
                    entries,
                    from.nulls().cloned(),
                    *sorted,
                )?)
            }
        })
    }
}

fn timestamp(unit: TimeUnit, context: &RowsContext<'_>) -> Result<Adapter, String> {
    let julian = if context.int96 { context.calendar.julian_int96 } else { context.calendar.julian_timestamps };
    let zone = if context.int96 { context.calendar.zone()? } else { None };
    Ok(Adapter::Timestamp { unit, julian, zone })
}

/// Casts that keep every value, or refuse the ones that do not fit.
fn casts(from: &ArrowType, to: &DataType) -> bool {
    use ArrowType as A;
    match to {
        // Old writers left 8 and 16-bit integers without their annotation; each value is checked.
        DataType::TinyInt => matches!(from, A::Int32 | A::Int16),
        DataType::SmallInt => matches!(from, A::Int32 | A::Int8 | A::UInt8),
        DataType::Int => matches!(from, A::Int8 | A::Int16 | A::UInt8 | A::UInt16),
        DataType::BigInt => matches!(from, A::Int8 | A::Int16 | A::Int32 | A::UInt8 | A::UInt16 | A::UInt32),
        DataType::Double => matches!(from, A::Float32 | A::Int8 | A::Int16 | A::Int32),
        // Avro's enums are dictionaries.
        DataType::String => matches!(from, A::Binary | A::Dictionary(..)),
        DataType::Binary => matches!(from, A::Utf8 | A::FixedSizeBinary(_)),
        _ => false,
    }
}

fn shown(arrow: &ArrowType) -> String {
    super::file_schema::type_in_file(arrow).map_or_else(|name| name, |data_type| data_type.to_string())
}

fn lengths(array: ArrayRef, length: u32, padded: bool, shortened: &mut u64) -> ArrayRef {
    let strings = array.as_string::<i32>();
    let fits = |text: &str| {
        let characters = text.chars().count();
        if padded { characters == length as usize } else { characters <= length as usize }
    };
    if strings.iter().flatten().all(fits) {
        return array;
    }
    let mut builder = StringBuilder::with_capacity(strings.len(), strings.value_data().len());
    for text in strings {
        builder.append_option(text.map(|text| {
            let significant = if padded { text.trim_end_matches(' ') } else { text };
            *shortened += u64::from(limit(significant, length).len() < significant.len());
            if padded { pad(text, length) } else { Cow::Borrowed(limit(text, length)) }
        }));
    }
    Arc::new(builder.finish())
}

fn micros(
    array: &ArrayRef,
    unit: TimeUnit,
    julian: bool,
    zone: Option<&Tz>,
) -> Result<TimestampMicrosecondArray, ArrowError> {
    let overflow =
        |value: i64| ArrowError::ArithmeticOverflow(format!("{value} milliseconds do not fit into microseconds"));
    let mut values: TimestampMicrosecondArray = match unit {
        TimeUnit::Microsecond => array.as_primitive::<TimestampMicrosecondType>().clone(),
        TimeUnit::Millisecond => array
            .as_primitive::<TimestampMillisecondType>()
            .try_unary(|value| value.checked_mul(1_000).ok_or_else(|| overflow(value)))?,
        // Towards the past, so that the microsecond is the one in which the instant lies.
        _ => array.as_primitive::<TimestampNanosecondType>().unary(|value| value.div_euclid(1_000)),
    };
    values = values.with_timezone_opt(None::<Arc<str>>);
    if let Some(zone) = zone {
        values = values.unary(|value| wall_clock(value, *zone));
    }
    if julian && min(&values).is_some_and(|least| least < REFORM_MICROS) {
        values = values.unary(micros_from_julian);
    }
    Ok(values)
}

/// The wall clock in `zone` at an instant; instants beyond the calendar stay as they are.
fn wall_clock(micros: i64, zone: Tz) -> i64 {
    as_datetime_with_timezone::<TimestampMicrosecondType>(micros, zone)
        .map_or(micros, |time| time.naive_local().and_utc().timestamp_micros())
}

#[cfg(test)]
#[path = "adapter_tests.rs"]
mod tests;
