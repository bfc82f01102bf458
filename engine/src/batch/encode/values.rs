//! The values of each type on their way into a page: plain bytes or indexes, and the bounds beside them.
//!
//! In: arrays. Out: a page's values. Holds: what each type is in a file. Not here: pages and chunks.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{ArrowNativeType, DataType as ArrowType};
use parquet::basic::Type;
use parquet::schema::types::ColumnDescriptor;

use super::bounds::{Bounds, BytesRange, Range};
use super::dictionary::{Texts, Words};
use super::page::{OpenPage, Runs};

/// What a column's values are in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Physical {
    Bool,
    /// Four bytes as they are in Arrow.
    Word32,
    /// Eight bytes as they are in Arrow.
    Word64,
    /// Arrow's sixteen bytes of a decimal, as four.
    Decimal32,
    /// … as eight.
    Decimal64,
    /// … as so many, the highest first.
    DecimalFixed(usize),
    /// Texts and binaries.
    Bytes,
}

impl Physical {
    /// What arrays of type `arrow` are in `column`, and their empty bounds; nothing for types that are not encoded here.
    pub(super) fn of(column: &ColumnDescriptor, arrow: &ArrowType) -> Option<(Self, Bounds)> {
        let length = usize::try_from(column.type_length()).unwrap_or(0);
        Some(match (arrow, column.physical_type()) {
            (ArrowType::Boolean, Type::BOOLEAN) => (Self::Bool, Bounds::Bool(Range::default())),
            (ArrowType::Int32 | ArrowType::Date32, Type::INT32) => (Self::Word32, Bounds::Int32(Range::default())),
            (ArrowType::Int64 | ArrowType::Timestamp(..), Type::INT64) => {
                (Self::Word64, Bounds::Int64(Range::default()))
            }
            (ArrowType::Float32, Type::FLOAT) => (Self::Word32, Bounds::Float(Range::default())),
            (ArrowType::Float64, Type::DOUBLE) => (Self::Word64, Bounds::Double(Range::default())),
            (ArrowType::Decimal128(..), Type::INT32) => (Self::Decimal32, Bounds::Int32(Range::default())),
            (ArrowType::Decimal128(..), Type::INT64) => (Self::Decimal64, Bounds::Int64(Range::default())),
            (ArrowType::Decimal128(..), Type::FIXED_LEN_BYTE_ARRAY) if (1..=16).contains(&length) => {
                (Self::DecimalFixed(length), Bounds::Wide(Range::default(), length))
            }
            (ArrowType::Utf8, Type::BYTE_ARRAY) => (Self::Bytes, Bounds::Bytes(BytesRange::default(), true)),
            (ArrowType::Binary, Type::BYTE_ARRAY) => (Self::Bytes, Bounds::Bytes(BytesRange::default(), false)),
            _ => return None,
        })
    }

    /// An empty dictionary, for types that have one.
    pub(super) fn dictionary(self) -> Option<Dictionary> {
        match self {
            Self::Word32 | Self::Word64 => Some(Dictionary::Words(Words::new())),
            Self::Bytes => Some(Dictionary::Texts(Texts::new())),
            Self::Bool | Self::Decimal32 | Self::Decimal64 | Self::DecimalFixed(_) => None,
        }
    }
}

/// Distinct values of a chunk.
#[derive(Debug)]
pub(super) enum Dictionary {
    Words(Words),
    Texts(Texts),
}

impl Dictionary {
    /// Distinct values.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Words(words) => words.len(),
            Self::Texts(texts) => texts.len(),
        }
    }

    /// Bytes of the dictionary page.
    pub(super) fn bytes(&self, physical: Physical) -> usize {
        match self {
            Self::Words(words) if physical == Physical::Word32 => words.len() * 4,
            Self::Words(words) => words.len() * 8,
            Self::Texts(texts) => texts.page().len(),
        }
    }

    /// The dictionary page: the values in plain form.
    pub(super) fn page(&self, physical: Physical) -> Vec<u8> {
        let mut page = Vec::with_capacity(self.bytes(physical));
        match self {
            Self::Words(words) => words.words().iter().for_each(|word| put_word(&mut page, *word, physical)),
            Self::Texts(texts) => page.extend_from_slice(texts.page()),
        }
        page
    }

    /// Takes the values into `bounds`: texts are not looked at while they pass, since each is here once.
    pub(super) fn add_to(&self, bounds: &mut Bounds) {
        if let (Self::Texts(texts), Bounds::Bytes(range, _)) = (self, bounds) {
            texts.values().for_each(|value| range.add(value));
        }
    }

    /// Appends the values that `indexes` mean to `plain`.
    pub(super) fn unfold(&self, indexes: &[u32], physical: Physical, plain: &mut Vec<u8>) {
        match self {
            Self::Words(words) => {
                indexes.iter().for_each(|index| put_word(plain, words.words()[*index as usize], physical))
            }
            Self::Texts(texts) => {
                let values: Vec<&[u8]> = texts.values().collect();
                indexes.iter().for_each(|index| put_bytes(plain, values[*index as usize]));
            }
        }
    }
}

fn put_word(out: &mut Vec<u8>, word: u64, physical: Physical) {
    match physical {
        Physical::Word32 => out.extend_from_slice(&(word as u32).to_le_bytes()),
        _ => out.extend_from_slice(&word.to_le_bytes()),
    }
}

#[inline]
fn put_bytes(out: &mut Vec<u8>, value: &[u8]) {
    out.extend_from_slice(&(value.len() as u32).to_le_bytes());
    out.extend_from_slice(value);
}

/// Appends the values of `array` that are not null to `page` and takes them into `bounds`. False if the array is of
/// another type than the column: nothing was appended then.
pub(super) fn append(
    physical: Physical,
    array: &ArrayRef,
    page: &mut OpenPage,
    dictionary: Option<&mut Dictionary>,
    bounds: &mut Bounds,
) -> bool {
    let runs = Runs { nulls: array.nulls().filter(|nulls| nulls.null_count() > 0), length: array.len() };
    let data = array.to_data();
    let bytes = |width: usize| &data.buffers()[0].as_slice()[data.offset() * width..];
    match (physical, bounds) {
        (Physical::Bool, Bounds::Bool(range)) => {
            let values = array.as_boolean().values();
            runs.each(|from, to| {
                let part = values.slice(from, to - from);
                range.add(part.iter());
                page.bits.append_buffer(&part);
            });
        }
        (Physical::Word32, Bounds::Int32(range)) => {
            let words = data.buffer::<u32>(0);
            runs.each(|from, to| range.add(words[from..to].iter().map(|word| word.cast_signed())));
            append_words(&runs, words, bytes(4), 4, page, dictionary);
        }
        (Physical::Word32, Bounds::Float(range)) => {
            let words = data.buffer::<u32>(0);
            let values = |word: &u32| f32::from_bits(*word);
            runs.each(|from, to| range.add(words[from..to].iter().map(values).filter(|value| !value.is_nan())));
            append_words(&runs, words, bytes(4), 4, page, dictionary);
        }
        (Physical::Word64, Bounds::Int64(range)) => {
            let words = data.buffer::<u64>(0);
            runs.each(|from, to| range.add(words[from..to].iter().map(|word| word.cast_signed())));
            append_words(&runs, words, bytes(8), 8, page, dictionary);
        }
        (Physical::Word64, Bounds::Double(range)) => {
            let words = data.buffer::<u64>(0);
            let values = |word: &u64| f64::from_bits(*word);
            runs.each(|from, to| range.add(words[from..to].iter().map(values).filter(|value| !value.is_nan())));
            append_words(&runs, words, bytes(8), 8, page, dictionary);
        }
        (Physical::Decimal32, Bounds::Int32(range)) => {
            let values = data.buffer::<i128>(0);
            // The column's precision says that the values fit.
            runs.each(|from, to| range.add(values[from..to].iter().map(|value| *value as i32)));
            put_decimals(&runs, values, page.plain(), |value| (value as i32).to_le_bytes());
        }
        (Physical::Decimal64, Bounds::Int64(range)) => {
            let values = data.buffer::<i128>(0);
            runs.each(|from, to| range.add(values[from..to].iter().map(|value| *value as i64)));
            put_decimals(&runs, values, page.plain(), |value| (value as i64).to_le_bytes());
        }
        (Physical::DecimalFixed(width), Bounds::Wide(range, _)) => {
            let values = data.buffer::<i128>(0);
            let plain = page.plain();
            runs.each(|from, to| {
                range.add(values[from..to].iter().copied());
                values[from..to].iter().for_each(|value| plain.extend_from_slice(&value.to_be_bytes()[16 - width..]));
            });
        }
        (Physical::Bytes, Bounds::Bytes(range, _)) => {
            append_bytes(&runs, data.buffer::<i32>(0), data.buffers()[1].as_slice(), page, dictionary, range);
        }
        _ => return false,
    }
    true
}

fn append_words<W: Copy + Into<u64>>(
    runs: &Runs<'_>,
    words: &[W],
    bytes: &[u8],
    width: usize,
    page: &mut OpenPage,
    dictionary: Option<&mut Dictionary>,
) {
    match dictionary {
        Some(Dictionary::Words(dictionary)) => {
            let indexes = &mut page.indexes;
            runs.each(|from, to| dictionary.extend(&words[from..to], indexes));
        }
        _ => {
            let plain = page.plain();
            runs.each(|from, to| plain.extend_from_slice(&bytes[from * width..to * width]));
        }
    }
}

fn put_decimals<const W: usize>(runs: &Runs<'_>, values: &[i128], plain: &mut Vec<u8>, code: impl Fn(i128) -> [u8; W]) {
    runs.each(|from, to| values[from..to].iter().for_each(|value| plain.extend_from_slice(&code(*value))));
}

fn append_bytes(
    runs: &Runs<'_>,
    offsets: &[i32],
    data: &[u8],
    page: &mut OpenPage,
    dictionary: Option<&mut Dictionary>,
    range: &mut BytesRange,
) {
    let value = |row: usize| &data[offsets[row].as_usize()..offsets[row + 1].as_usize()];
    if let Some(Dictionary::Texts(dictionary)) = dictionary {
        let indexes = &mut page.indexes;
        runs.each(|from, to| dictionary.extend(&offsets[from..=to], data, indexes));
        return;
    }
    let plain = page.plain();
    runs.each(|from, to| {
        let bytes = offsets[to].as_usize() - offsets[from].as_usize();
        plain.reserve(bytes + 4 * (to - from));
        for row in from..to {
            let value = value(row);
            range.add(value);
            put_bytes(plain, value);
        }
    });
}
