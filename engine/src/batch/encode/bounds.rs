//! Least and greatest values of a column chunk, as its statistics want them.
//!
//! In: values as they pass, or a dictionary's. Out: Parquet statistics. Long texts are cut to a bound that still
//! encloses them; NaN is no bound, zero has the sign that encloses both zeros.

use parquet::data_type::{ByteArray, FixedLenByteArray};
use parquet::file::statistics::{Statistics, ValueStatistics};
use parquet::schema::types::ColumnDescriptor;

/// Bytes of a text or binary in statistics, as parquet's other writers have it.
const MAX_BYTES: usize = 64;

/// Least and greatest of values that have an order.
#[derive(Debug, Clone, Copy)]
pub(super) struct Range<T>(Option<(T, T)>);

impl<T> Default for Range<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T: Copy + PartialOrd> Range<T> {
    /// Takes `values` in; for floats without NaN only.
    #[inline]
    pub(super) fn add(&mut self, values: impl Iterator<Item = T>) {
        let mut values = values;
        let Some((mut least, mut greatest)) = self.0.or_else(|| values.next().map(|value| (value, value))) else {
            return;
        };
        for value in values {
            least = if value < least { value } else { least };
            greatest = if value > greatest { value } else { greatest };
        }
        self.0 = Some((least, greatest));
    }
}

/// Least and greatest of byte strings.
#[derive(Debug, Default)]
pub(super) struct BytesRange {
    range: Option<(Vec<u8>, Vec<u8>)>,
    /// The first eight bytes of both: most values are told apart by these.
    heads: (u64, u64),
}

/// The first eight bytes as a number that has their order.
#[inline]
fn head(value: &[u8]) -> u64 {
    if let Some(bytes) = value.first_chunk::<8>() {
        return u64::from_be_bytes(*bytes);
    }
    value.iter().enumerate().fold(0, |head, (at, byte)| head | u64::from(*byte) << (56 - 8 * at))
}

impl BytesRange {
    #[inline]
    pub(super) fn add(&mut self, value: &[u8]) {
        let head = head(value);
        if self.range.is_some() && head > self.heads.0 && head < self.heads.1 {
            return;
        }
        self.compare(value, head);
    }

    fn compare(&mut self, value: &[u8], head: u64) {
        let Some((least, greatest)) = &mut self.range else {
            self.range = Some((value.to_vec(), value.to_vec()));
            self.heads = (head, head);
            return;
        };
        if value < least.as_slice() {
            least.clear();
            least.extend_from_slice(value);
            self.heads.0 = head;
        } else if value > greatest.as_slice() {
            greatest.clear();
            greatest.extend_from_slice(value);
            self.heads.1 = head;
        }
    }
}

/// Bounds in the form of the column's physical type.
#[derive(Debug)]
pub(super) enum Bounds {
    Bool(Range<bool>),
    Int32(Range<i32>),
    Int64(Range<i64>),
    Float(Range<f32>),
    Double(Range<f64>),
    /// Decimals of more than eighteen digits, in so many bytes.
    Wide(Range<i128>, usize),
    /// Whether they are texts, which are cut between characters.
    Bytes(BytesRange, bool),
}

impl Bounds {
    /// The chunk's statistics.
    pub(super) fn statistics(&self, nulls: u64, column: &ColumnDescriptor) -> Statistics {
        // The old form of the bounds is kept for readers that know no other, where its order is the same.
        let old = column.sort_order().is_signed();
        macro_rules! of {
            ($range:expr) => {{
                let (least, greatest) = $range.unzip();
                let values = ValueStatistics::new(least, greatest, None, Some(nulls), false);
                Statistics::from(values.with_backwards_compatible_min_max(old))
            }};
        }
        match self {
            Self::Bool(range) => of!(range.0),
            Self::Int32(range) => of!(range.0),
            Self::Int64(range) => of!(range.0),
            Self::Float(range) => {
                of!(range.0.map(|(least, greatest)| (signed_zero(least, -0.0), signed_zero(greatest, 0.0))))
            }
            Self::Double(range) => {
                of!(range.0.map(|(least, greatest)| (signed_zero(least, -0.0), signed_zero(greatest, 0.0))))
            }
            Self::Wide(range, bytes) => {
                let fixed = |value: i128| FixedLenByteArray::from(value.to_be_bytes()[16 - bytes..].to_vec());
                of!(range.0.map(|(least, greatest)| (fixed(least), fixed(greatest))))
            }
            Self::Bytes(range, text) => {
                let Some((least, greatest)) = &range.range else {
                    return of!(None::<(ByteArray, ByteArray)>);
                };
                let (least_cut, greatest_cut) = (cut_below(least, *text), cut_above(greatest, *text));
                let exact = (least_cut.len() == least.len(), greatest_cut.as_ref() == Some(greatest));
                let greatest = greatest_cut.map(ByteArray::from);
                ValueStatistics::new(Some(ByteArray::from(least_cut)), greatest, None, Some(nulls), false)
                    .with_backwards_compatible_min_max(old)
                    .with_min_is_exact(exact.0)
                    .with_max_is_exact(exact.1)
                    .into()
            }
        }
    }
}

/// Zero with the sign of `zero`; other values as they are.
fn signed_zero<T: PartialEq + Default>(value: T, zero: T) -> T {
    if value == T::default() { zero } else { value }
}

/// The start of `value`, which is not greater.
fn cut_below(value: &[u8], text: bool) -> Vec<u8> {
    value[..cut(value, text)].to_vec()
}

/// A short value that is not less, if there is one.
fn cut_above(value: &[u8], text: bool) -> Option<Vec<u8>> {
    let end = cut(value, text);
    if end == value.len() {
        return Some(value.to_vec());
    }
    if !text {
        let last = value[..end].iter().rposition(|byte| *byte != u8::MAX)?;
        let mut above = value[..=last].to_vec();
        above[last] += 1;
        return Some(above);
    }
    // The last character that has a next one takes it. UTF-8 has the order of its characters.
    let start = std::str::from_utf8(&value[..end]).ok()?;
    let (at, next) = start.char_indices().rev().find_map(|(at, c)| Some((at, next_char(c)?)))?;
    let mut above = start[..at].to_owned();
    above.push(next);
    Some(above.into_bytes())
}

fn next_char(c: char) -> Option<char> {
    match c {
        // Surrogates are no characters.
        '\u{D7FF}' => Some('\u{E000}'),
        _ => char::from_u32(u32::from(c) + 1),
    }
}

fn cut(value: &[u8], text: bool) -> usize {
    if value.len() <= MAX_BYTES {
        return value.len();
    }
    let begins = |at: usize| !text || value[at] & 0xC0 != 0x80;
    (0..=MAX_BYTES).rev().find(|at| begins(*at)).unwrap_or(0)
}
