//! One column of a text file: fields in, Arrow arrays out, nested levels included.
//!
//! In: fields as bytes. Out: arrays of the types that `types::arrow_type` tells.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryBuilder, BooleanBuilder, Decimal128Builder, ListArray, MapArray, NullBufferBuilder,
    PrimitiveBuilder, StringBuilder, StructArray,
};
use arrow::buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType as ArrowType, Date32Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, TimestampMicrosecondType,
};
use hashbrown::HashSet;
use skein_protocol::inspection::TextFormat;
use skein_protocol::types::DataType;

use super::super::scalars::{self, Read};
use super::{Unparsable, fields, split, unescape};
use crate::types::arrow_type;

/// A string that is not UTF-8.
#[derive(Debug)]
pub(super) struct NotUtf8;

/// Collects the values of one column.
pub(super) struct TextColumn {
    pub(super) values: Values,
}

/// Values by their type.
pub(super) enum Values {
    Boolean(BooleanBuilder),
    TinyInt(PrimitiveBuilder<Int8Type>),
    SmallInt(PrimitiveBuilder<Int16Type>),
    Int(PrimitiveBuilder<Int32Type>),
    BigInt(PrimitiveBuilder<Int64Type>),
    Float(PrimitiveBuilder<Float32Type>),
    Double(PrimitiveBuilder<Float64Type>),
    Decimal(Decimal128Builder, u8, u8),
    Text(StringBuilder, Length),
    Binary(BinaryBuilder),
    Date(PrimitiveBuilder<Date32Type>),
    Timestamp(PrimitiveBuilder<TimestampMicrosecondType>),
    List(Parts, Box<TextColumn>),
    Map(Parts, Box<[TextColumn; 2]>),
    Struct(Parts, Vec<TextColumn>),
}

/// What a described length does to a string.
#[derive(Clone, Copy)]
pub(super) enum Length {
    Any,
    Padded(u32),
    Limited(u32),
}

/// What nested values have besides their children.
pub(super) struct Parts {
    data_type: ArrowType,
    offsets: Vec<i32>,
    pub(super) nulls: NullBufferBuilder,
    /// Kept between values to spare allocations.
    ranges: Vec<(usize, usize)>,
}

impl Parts {
    fn new(data_type: &DataType) -> Self {
        Self {
            data_type: arrow_type(data_type),
            offsets: vec![0],
            nulls: NullBufferBuilder::new(0),
            ranges: Vec::new(),
        }
    }

    /// Closes a list or map with `items` items.
    pub(super) fn close(&mut self, items: Option<usize>) {
        let last = self.offsets[self.offsets.len() - 1];
        let items = i32::try_from(items.unwrap_or(0)).expect("a batch is made of fewer bytes than 32 bits can count");
        self.offsets.push(last + items);
    }

    fn take(&mut self) -> (OffsetBuffer<i32>, Option<NullBuffer>) {
        let offsets = std::mem::replace(&mut self.offsets, vec![0]);
        (OffsetBuffer::new(ScalarBuffer::from(offsets)), self.nulls.finish())
    }
}

impl TextColumn {
    pub(super) fn new(data_type: &DataType) -> Self {
        let values = match data_type {
            DataType::Boolean => Values::Boolean(BooleanBuilder::new()),
            DataType::TinyInt => Values::TinyInt(PrimitiveBuilder::new()),
            DataType::SmallInt => Values::SmallInt(PrimitiveBuilder::new()),
            DataType::Int => Values::Int(PrimitiveBuilder::new()),
            DataType::BigInt => Values::BigInt(PrimitiveBuilder::new()),
            DataType::Float => Values::Float(PrimitiveBuilder::new()),
            DataType::Double => Values::Double(PrimitiveBuilder::new()),
            DataType::Decimal { precision, scale } => {
                Values::Decimal(Decimal128Builder::new().with_data_type(arrow_type(data_type)), *precision, *scale)
            }
            DataType::String => Values::Text(StringBuilder::new(), Length::Any),
            DataType::Char { length } => Values::Text(StringBuilder::new(), Length::Padded(*length)),
            DataType::Varchar { length } => Values::Text(StringBuilder::new(), Length::Limited(*length)),
            DataType::Binary => Values::Binary(BinaryBuilder::new()),
            DataType::Date => Values::Date(PrimitiveBuilder::new()),
            DataType::Timestamp | DataType::TimestampTz => {
                Values::Timestamp(PrimitiveBuilder::new().with_data_type(arrow_type(data_type)))
            }
            DataType::Array(element) => Values::List(Parts::new(data_type), Box::new(Self::new(element))),
            DataType::Map(key, value) => {
                Values::Map(Parts::new(data_type), Box::new([Self::new(key), Self::new(value)]))
            }
            DataType::Struct(inner) => {
                Values::Struct(Parts::new(data_type), inner.iter().map(|field| Self::new(&field.data_type)).collect())
            }
        };
        Self { values }
    }

    /// Adds a field. `level` is the position of the separator within it, should it be nested.
    pub(super) fn push(
        &mut self,
        field: Option<&[u8]>,
        level: usize,
        format: &TextFormat,
        tally: &mut Unparsable,
    ) -> Result<(), NotUtf8> {
        self.push_value(field.filter(|field| *field != format.null_text.as_bytes()), level, format, tally)
    }

    /// Adds a field that is not the text for null.
    pub(super) fn push_value(
        &mut self,
        field: Option<&[u8]>,
        level: usize,
        format: &TextFormat,
        tally: &mut Unparsable,
    ) -> Result<(), NotUtf8> {
        match &mut self.values {
            Values::Boolean(builder) => {
                builder.append_option(scalar(field, tally, |text| whole(scalars::boolean(text))))
            }
            Values::TinyInt(builder) => integer(builder, field, tally),
            Values::SmallInt(builder) => integer(builder, field, tally),
            Values::Int(builder) => integer(builder, field, tally),
            Values::BigInt(builder) => integer(builder, field, tally),
            Values::Float(builder) => builder.append_option(scalar(field, tally, |text| whole(scalars::float(text)))),
            Values::Double(builder) => builder.append_option(scalar(field, tally, |text| whole(scalars::double(text)))),
            Values::Decimal(builder, precision, scale) => {
                builder.append_option(scalar(field, tally, |text| scalars::decimal(text, *precision, *scale)));
            }
            Values::Text(builder, length) => match field {
                Some(field) => builder.append_value(string(&unescape(field, format.escape), *length, tally)?),
                None => builder.append_null(),
            },
            Values::Binary(builder) => builder.append_option(field.map(scalars::binary)),
            Values::Date(builder) => builder.append_option(scalar(field, tally, |text| whole(scalars::date(text)))),
            Values::Timestamp(builder) => builder.append_option(scalar(field, tally, scalars::timestamp)),
            Values::List(parts, child) => list(parts, child, field, level, format, tally)?,
            Values::Map(parts, children) => map(parts, children, field, level, format, tally)?,
            Values::Struct(parts, children) => structure(parts, children, field, level, format, tally)?,
        }
        Ok(())
    }

    /// The collected values; the column is empty afterwards.
    pub(super) fn finish(&mut self) -> ArrayRef {
        match &mut self.values {
            Values::Boolean(builder) => Arc::new(builder.finish()),
            Values::TinyInt(builder) => Arc::new(builder.finish()),
            Values::SmallInt(builder) => Arc::new(builder.finish()),
            Values::Int(builder) => Arc::new(builder.finish()),
            Values::BigInt(builder) => Arc::new(builder.finish()),
            Values::Float(builder) => Arc::new(builder.finish()),
            Values::Double(builder) => Arc::new(builder.finish()),
            Values::Decimal(builder, ..) => Arc::new(builder.finish()),
            Values::Text(builder, _) => Arc::new(builder.finish()),
            Values::Binary(builder) => Arc::new(builder.finish()),
            Values::Date(builder) => Arc::new(builder.finish()),
            Values::Timestamp(builder) => Arc::new(builder.finish()),
            Values::List(parts, child) => {
                let (offsets, nulls) = parts.take();
                let ArrowType::List(element) = &parts.data_type else { unreachable!("made for a list") };
                Arc::new(ListArray::new(Arc::clone(element), offsets, child.finish(), nulls))
            }
            Values::Map(parts, children) => {
                let (offsets, nulls) = parts.take();
                let ArrowType::Map(entry, _) = &parts.data_type else { unreachable!("made for a map") };
                let ArrowType::Struct(inner) = entry.data_type() else { unreachable!("a map's entries are structs") };
                let entries = StructArray::new(inner.clone(), children.iter_mut().map(Self::finish).collect(), None);
                Arc::new(MapArray::new(Arc::clone(entry), offsets, entries, nulls, false))
            }
            Values::Struct(parts, children) => {
                let ArrowType::Struct(inner) = &parts.data_type else { unreachable!("made for a struct") };
                Arc::new(StructArray::new(
                    inner.clone(),
                    children.iter_mut().map(Self::finish).collect(),
                    parts.nulls.finish(),
                ))
            }
        }
    }
}

fn whole<T>(value: Option<T>) -> Option<Read<T>> {
    value.map(|value| Read { value, shortened: false })
}

/// Reads a value that is no string; an empty field is null without being odd.
fn scalar<T>(field: Option<&[u8]>, tally: &mut Unparsable, read: impl Fn(&[u8]) -> Option<Read<T>>) -> Option<T> {
    let field = field.filter(|field| !field.is_empty())?;
    match read(field) {
        Some(Read { value, shortened }) => {
            tally.shortened += u64::from(shortened);
            Some(value)
        }
        None => {
            tally.nulled += 1;
            None
        }
    }
}

fn integer<T: ArrowPrimitiveType<Native: TryFrom<i64>>>(
    builder: &mut PrimitiveBuilder<T>,
    field: Option<&[u8]>,
    tally: &mut Unparsable,
) {
    builder.append_option(scalar(field, tally, |text| {
        let Read { value, shortened } = scalars::integer(text)?;
        Some(Read { value: T::Native::try_from(value).ok()?, shortened })
    }));
}

fn string<'a>(bytes: &'a [u8], length: Length, tally: &mut Unparsable) -> Result<Cow<'a, str>, NotUtf8> {
    let text = std::str::from_utf8(bytes).map_err(|_| NotUtf8)?;
    Ok(match length {
        Length::Any => Cow::Borrowed(text),
        Length::Padded(length) => {
            tally.shortened +=
                u64::from(limit(text.trim_end_matches(' '), length).len() < text.trim_end_matches(' ').len());
            pad(text, length)
        }
        Length::Limited(length) => {
            let kept = limit(text, length);
            tally.shortened += u64::from(kept.len() < text.len());
            Cow::Borrowed(kept)
        }
    })
}

/// The first `length` characters of `text`.
pub(in crate::source) fn limit(text: &str, length: u32) -> &str {
    let length = length as usize;
    if text.len() <= length {
        return text;
    }
    text.char_indices().nth(length).map_or(text, |(end, _)| &text[..end])
}

/// `text` with exactly `length` characters, padded with spaces as `char` is.
pub(in crate::source) fn pad(text: &str, length: u32) -> Cow<'_, str> {
    let kept = limit(text, length);
    let missing = (length as usize).saturating_sub(kept.chars().count());
    if missing == 0 { Cow::Borrowed(kept) } else { Cow::Owned(format!("{kept}{:missing$}", "")) }
}

/// The separator of a nesting level; past Hive's deepest, the last one.
fn separator(format: &TextFormat, level: usize) -> u8 {
    format.separators.get(level).or(format.separators.last()).copied().unwrap_or(1)
}

fn list(
    parts: &mut Parts,
    child: &mut TextColumn,
    field: Option<&[u8]>,
    level: usize,
    format: &TextFormat,
    tally: &mut Unparsable,
) -> Result<(), NotUtf8> {
    parts.nulls.append(field.is_some());
    let mut items = 0;
    if let Some(field) = field.filter(|field| !field.is_empty()) {
        split(field, separator(format, level), format.escape, usize::MAX, false, &mut parts.ranges);
        items = parts.ranges.len();
        for (start, end) in &parts.ranges {
            child.push(Some(&field[*start..*end]), level + 1, format, tally)?;
        }
    }
    parts.close(Some(items));
    Ok(())
}

fn map(
    parts: &mut Parts,
    children: &mut [TextColumn; 2],
    field: Option<&[u8]>,
    level: usize,
    format: &TextFormat,
    tally: &mut Unparsable,
) -> Result<(), NotUtf8> {
    parts.nulls.append(field.is_some());
    let Some(field) = field.filter(|field| !field.is_empty()) else {
        parts.close(None);
        return Ok(());
    };
    split(field, separator(format, level), format.escape, usize::MAX, false, &mut parts.ranges);
    let mut keys: HashSet<&[u8]> = HashSet::new();
    for (start, end) in &parts.ranges {
        let entry = &field[*start..*end];
        let middle = fields::next(entry, 0, separator(format, level + 1), format.escape);
        let (key, value) = middle.map_or((entry, None), |at| (&entry[..at], Some(&entry[at + 1..])));
        // As in Hive, entries without a key do not count, and of equal keys the first does.
        if key == format.null_text.as_bytes() || keys.contains(key) || !children[0].holds(key) {
            tally.nulled += 1;
            continue;
        }
        keys.insert(key);
        children[0].push(Some(key), level + 2, format, tally)?;
        children[1].push(value, level + 2, format, tally)?;
    }
    parts.close(Some(keys.len()));
    Ok(())
}

impl TextColumn {
    /// Whether `text` is a value and not null: maps' keys must be.
    fn holds(&self, text: &[u8]) -> bool {
        let fits = |low: i64, high: i64| scalars::integer(text).is_some_and(|read| (low..=high).contains(&read.value));
        match &self.values {
            Values::Boolean(_) => scalars::boolean(text).is_some(),
            Values::TinyInt(_) => fits(i8::MIN.into(), i8::MAX.into()),
            Values::SmallInt(_) => fits(i16::MIN.into(), i16::MAX.into()),
            Values::Int(_) => fits(i32::MIN.into(), i32::MAX.into()),
            Values::BigInt(_) => fits(i64::MIN, i64::MAX),
            Values::Float(_) => scalars::float(text).is_some(),
            Values::Double(_) => scalars::double(text).is_some(),
            Values::Decimal(_, precision, scale) => scalars::decimal(text, *precision, *scale).is_some(),
            Values::Date(_) => scalars::date(text).is_some(),
            Values::Timestamp(_) => scalars::timestamp(text).is_some(),
            Values::Text(..) | Values::Binary(_) | Values::List(..) | Values::Map(..) | Values::Struct(..) => true,
        }
    }
}

fn structure(
    parts: &mut Parts,
    children: &mut [TextColumn],
    field: Option<&[u8]>,
    level: usize,
    format: &TextFormat,
    tally: &mut Unparsable,
) -> Result<(), NotUtf8> {
    parts.nulls.append(field.is_some());
    match field {
        Some(field) => split(field, separator(format, level), format.escape, children.len(), false, &mut parts.ranges),
        None => parts.ranges.clear(),
    }
    for (index, child) in children.iter_mut().enumerate() {
        let part = parts.ranges.get(index).and_then(|(start, end)| field.map(|field| &field[*start..*end]));
        child.push(part, level + 1, format, tally)?;
    }
    Ok(())
}
