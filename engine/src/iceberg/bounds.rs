//! Bounds of columns: what lies between them needs to be looked at, what does not can be skipped.
//!
//! In: least and greatest values of Parquet's row groups. Out: Iceberg's bounds, in the binary single-value form.
//! Holds: the rounding: a lower bound may be too low and an upper bound too high, never the other way.
//! Not here: where the values come from (`statistics`).

use std::cmp::Ordering;

use iceberg::spec::{PrimitiveLiteral, PrimitiveType};

use super::transform::first_characters;

/// Characters of a text, and bytes of a binary value, that bounds keep; as in other Iceberg writers.
pub(super) const BOUND_LENGTH: usize = 16;

/// The value of a bound as Parquet's statistics have it. None: not a value of this type, so there is no bound.
#[must_use]
pub(super) fn value(kind: &PrimitiveType, bytes: &[u8]) -> Option<PrimitiveLiteral> {
    use PrimitiveLiteral as L;
    use PrimitiveType as T;
    Some(match kind {
        T::Boolean => L::Boolean(*bytes.first()? != 0),
        T::Int | T::Date => L::Int(i32::from_le_bytes(bytes.try_into().ok()?)),
        T::Long | T::Timestamp | T::Timestamptz => L::Long(i64::from_le_bytes(bytes.try_into().ok()?)),
        T::Float => {
            let value = f32::from_le_bytes(bytes.try_into().ok()?);
            (!value.is_nan()).then(|| L::Float(value.into()))?
        }
        T::Double => {
            let value = f64::from_le_bytes(bytes.try_into().ok()?);
            (!value.is_nan()).then(|| L::Double(value.into()))?
        }
        T::String => L::String(std::str::from_utf8(bytes).ok()?.to_owned()),
        T::Binary => L::Binary(bytes.to_vec()),
        _ => return None,
    })
}

/// An unscaled decimal as Parquet's statistics have it: four or eight bytes little-endian for up to 18 digits, else
/// big-endian.
#[must_use]
pub(super) fn decimal(bytes: &[u8], little_endian: bool) -> Option<PrimitiveLiteral> {
    let mut bytes = bytes.to_vec();
    if little_endian {
        bytes.reverse();
    }
    let first = *bytes.first()?;
    let mut wide = [if first & 0x80 == 0 { 0 } else { 0xff }; 16];
    let start = wide.len().checked_sub(bytes.len())?;
    wide[start..].copy_from_slice(&bytes);
    Some(PrimitiveLiteral::Int128(i128::from_be_bytes(wide)))
}

/// Compares values of one type; floating-point numbers by all their bits' meaning, so that -0.0 is less than 0.0.
#[must_use]
pub(super) fn compare(one: &PrimitiveLiteral, other: &PrimitiveLiteral) -> Ordering {
    use PrimitiveLiteral as L;
    match (one, other) {
        (L::Float(one), L::Float(other)) => one.0.total_cmp(&other.0),
        (L::Double(one), L::Double(other)) => one.0.total_cmp(&other.0),
        _ => one.partial_cmp(other).unwrap_or(Ordering::Equal),
    }
}

/// The lower bound: the value, or its beginning, which is less.
#[must_use]
pub(super) fn lower(value: PrimitiveLiteral) -> PrimitiveLiteral {
    match value {
        PrimitiveLiteral::String(text) => PrimitiveLiteral::String(first_characters(&text, BOUND_LENGTH).to_owned()),
        PrimitiveLiteral::Binary(mut bytes) => {
            bytes.truncate(BOUND_LENGTH);
            PrimitiveLiteral::Binary(bytes)
        }
        other => other,
    }
}

/// The upper bound: the value, or a short one that is greater than all that begin as it does. None if there is none.
#[must_use]
pub(super) fn upper(value: PrimitiveLiteral) -> Option<PrimitiveLiteral> {
    match value {
        PrimitiveLiteral::String(text) => {
            let start = first_characters(&text, BOUND_LENGTH);
            if start.len() == text.len() {
                return Some(PrimitiveLiteral::String(text));
            }
            next_text(start).map(PrimitiveLiteral::String)
        }
        PrimitiveLiteral::Binary(bytes) => {
            if bytes.len() <= BOUND_LENGTH {
                return Some(PrimitiveLiteral::Binary(bytes));
            }
            next_bytes(&bytes[..BOUND_LENGTH]).map(PrimitiveLiteral::Binary)
        }
        other => Some(other),
    }
}

/// The least text that is greater than every text that begins with `start` and no longer than it.
fn next_text(start: &str) -> Option<String> {
    let mut characters: Vec<char> = start.chars().collect();
    while let Some(last) = characters.pop() {
        if let Some(next) = next_character(last) {
            characters.push(next);
            return Some(characters.into_iter().collect());
        }
    }
    None
}

fn next_character(character: char) -> Option<char> {
    match u32::from(character) + 1 {
        // Half of the pairs of UTF-16, which are no characters.
        0xD800 => Some('\u{E000}'),
        next => char::from_u32(next),
    }
}

fn next_bytes(start: &[u8]) -> Option<Vec<u8>> {
    let last = start.iter().rposition(|byte| *byte != 0xff)?;
    let mut next = start[..=last].to_vec();
    next[last] += 1;
    Some(next)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upper_text(text: &str) -> Option<String> {
        match upper(PrimitiveLiteral::String(text.to_owned()))? {
            PrimitiveLiteral::String(text) => Some(text),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn short_texts_are_their_own_bounds() {
        for text in ["", "abc", "exactly16letters", "ééééééééééééééé🧊"] {
            assert_eq!(upper_text(text).as_deref(), Some(text));
            assert_eq!(lower(PrimitiveLiteral::String(text.to_owned())), PrimitiveLiteral::String(text.to_owned()));
        }
    }

    #[test]
    fn an_upper_bound_is_not_below_any_text_that_begins_alike() {
        let fifteen = "a".repeat(15);
        for (last, expected) in [('z', "{"), ('\u{7f}', "\u{80}"), ('\u{D7FF}', "\u{E000}"), ('\u{FFFF}', "\u{10000}")]
        {
            let text = format!("{fifteen}{last}tail");
            let bound = upper_text(&text).unwrap();
            assert_eq!(bound, format!("{fifteen}{expected}"));
            assert!(bound.as_bytes() > text.as_bytes());
        }
        assert_eq!(upper_text(&format!("a{}tail", "\u{10FFFF}".repeat(15))).as_deref(), Some("b"));
        assert_eq!(upper_text(&"\u{10FFFF}".repeat(17)), None);
    }

    #[test]
    fn bounds_of_bytes_are_rounded_like_those_of_texts() {
        let of = |bytes: Vec<u8>| upper(PrimitiveLiteral::Binary(bytes));
        let mut long = vec![1; 15];
        long.extend([0xff, 0]);
        assert_eq!(of(long), Some(PrimitiveLiteral::Binary([vec![1; 14], vec![2]].concat())));
        assert_eq!(of(vec![0xff; 17]), None);
        assert_eq!(of(vec![0xff; 16]), Some(PrimitiveLiteral::Binary(vec![0xff; 16])));
        assert_eq!(lower(PrimitiveLiteral::Binary(vec![9; 20])), PrimitiveLiteral::Binary(vec![9; 16]));
    }

    #[test]
    fn decimals_are_read_in_either_order_of_bytes() {
        assert_eq!(decimal(&(-5_i32).to_le_bytes(), true), Some(PrimitiveLiteral::Int128(-5)));
        assert_eq!(decimal(&1420_i64.to_le_bytes(), true), Some(PrimitiveLiteral::Int128(1420)));
        assert_eq!(decimal(&[0xff, 0x7f], false), Some(PrimitiveLiteral::Int128(-129)));
        assert_eq!(decimal(&[0; 17], false), None);
    }

    #[test]
    fn minus_zero_is_less_than_zero_and_nan_is_no_bound() {
        let zero = |value: f64| PrimitiveLiteral::Double(value.into());
        assert_eq!(compare(&zero(-0.0), &zero(0.0)), Ordering::Less);
        assert_eq!(value(&PrimitiveType::Double, &f64::NAN.to_le_bytes()), None);
    }
}
