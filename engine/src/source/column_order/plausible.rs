//! Whether a field's text can be a value of a type, and whether Hive would have written it so.
//!
//! In: fields, types. Out: yes or no. Not here: nulls (they fit every type).

use skein_protocol::inspection::TextFormat;
use skein_protocol::types::DataType;

use super::super::scalars::{self, Read};
use super::super::text::{split, unescape};

/// Most significant digits that Java prints of a `float`.
const FLOAT_DIGITS: usize = 9;
/// Most significant digits that Java prints of a `double`.
const DOUBLE_DIGITS: usize = 17;

/// How strict to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Strictness {
    /// The value can be read, and nothing of it is lost.
    Readable,
    /// The value looks as Hive writes it.
    Written,
}

/// Whether `field` may be a `data_type`; `level` is the position of the separator within it.
pub(super) fn fits(
    field: &[u8],
    data_type: &DataType,
    level: usize,
    format: &TextFormat,
    strictness: Strictness,
) -> bool {
    let written = strictness == Strictness::Written;
    let integer = |low: i64, high: i64| {
        scalars::integer(field).is_some_and(|read| !read.shortened && (low..=high).contains(&read.value))
            && (!written || is_plain_integer(field))
    };
    match data_type {
        DataType::Boolean => scalars::boolean(field).is_some(),
        DataType::TinyInt => integer(i8::MIN.into(), i8::MAX.into()),
        DataType::SmallInt => integer(i16::MIN.into(), i16::MAX.into()),
        DataType::Int => integer(i32::MIN.into(), i32::MAX.into()),
        DataType::BigInt => integer(i64::MIN, i64::MAX),
        DataType::Float => scalars::float(field).is_some() && (!written || is_java_float(field, FLOAT_DIGITS)),
        DataType::Double => scalars::double(field).is_some() && (!written || is_java_float(field, DOUBLE_DIGITS)),
        DataType::Decimal { precision, scale } => {
            whole(scalars::decimal(field, *precision, *scale)) && (!written || is_plain_decimal(field, *scale))
        }
        DataType::String => std::str::from_utf8(field).is_ok(),
        DataType::Char { length } | DataType::Varchar { length } => {
            let text = unescape(field, format.escape);
            std::str::from_utf8(&text).is_ok_and(|text| text.trim_end_matches(' ').chars().count() <= *length as usize)
        }
        DataType::Binary => !written || is_base64(field),
        DataType::Date => scalars::date(field).is_some() && (!written || field.len() == 10),
        // A date alone could be read as a timestamp, but no timestamp is written so.
        DataType::Timestamp | DataType::TimestampTz => whole(scalars::timestamp(field)) && field.len() >= 19,
        DataType::Array(element) => {
            parts(field, level, format).all(|part| inner(part, element, level + 1, format, strictness))
        }
        DataType::Map(key, value) => parts(field, level, format).all(|entry| {
            let mut sides = pieces(entry, level + 1, format, 2).into_iter();
            match (sides.next(), sides.next()) {
                (Some(left), Some(right)) => {
                    inner(left, key, level + 2, format, strictness)
                        && inner(right, value, level + 2, format, strictness)
                }
                _ => false,
            }
        }),
        DataType::Struct(fields) => {
            let found = pieces(field, level, format, usize::MAX);
            let each = |(part, field): (&[u8], &DataType)| inner(part, field, level + 1, format, strictness);
            found.len() == fields.len() && found.into_iter().zip(fields.iter().map(|field| &field.data_type)).all(each)
        }
    }
}

fn inner(part: &[u8], data_type: &DataType, level: usize, format: &TextFormat, strictness: Strictness) -> bool {
    part == format.null_text.as_bytes() || fits(part, data_type, level, format, strictness)
}

fn whole<T>(read: Option<Read<T>>) -> bool {
    read.is_some_and(|read| !read.shortened)
}

/// The items of a list or map; an empty one has none.
fn parts<'a>(field: &'a [u8], level: usize, format: &TextFormat) -> impl Iterator<Item = &'a [u8]> {
    let pieces = if field.is_empty() { Vec::new() } else { pieces(field, level, format, usize::MAX) };
    pieces.into_iter()
}

fn pieces<'a>(field: &'a [u8], level: usize, format: &TextFormat, most: usize) -> Vec<&'a [u8]> {
    let mut ranges = Vec::new();
    let separator = format.separators.get(level).or(format.separators.last()).copied().unwrap_or(1);
    split(field, separator, format.escape, most, most == 2, &mut ranges);
    ranges.into_iter().map(|(start, end)| &field[start..end]).collect()
}

fn without_sign(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"-").unwrap_or(text)
}

fn is_plain_integer(text: &[u8]) -> bool {
    let digits = without_sign(text);
    !digits.is_empty() && digits.iter().all(u8::is_ascii_digit) && (digits.len() == 1 || digits[0] != b'0')
}

fn is_plain_decimal(text: &[u8], scale: u8) -> bool {
    match memchr::memchr(b'.', text) {
        None => is_plain_integer(text),
        Some(point) => {
            let fraction = &text[point + 1..];
            is_plain_integer(&text[..point])
                && !fraction.is_empty()
                && fraction.len() <= usize::from(scale)
                && fraction.iter().all(u8::is_ascii_digit)
        }
    }
}

/// Whether the text is one that `Double.toString` or `Float.toString` could have made.
fn is_java_float(text: &[u8], most_digits: usize) -> bool {
    let number = without_sign(text);
    if matches!(number, b"NaN" | b"Infinity") {
        return true;
    }
    let (mantissa, exponent) = match memchr::memchr(b'E', number) {
        Some(at) => (&number[..at], Some(&number[at + 1..])),
        None => (number, None),
    };
    let Some(point) = memchr::memchr(b'.', mantissa) else { return false };
    let (integer, fraction) = (&mantissa[..point], &mantissa[point + 1..]);
    if !is_plain_integer(integer)
        || integer.starts_with(b"-")
        || fraction.is_empty()
        || !fraction.iter().all(u8::is_ascii_digit)
    {
        return false;
    }
    // Java ends with one zero behind the point at most, and only if nothing else is there.
    if fraction.len() > 1 && fraction.ends_with(b"0") {
        return false;
    }
    let significant = mantissa.iter().filter(|byte| byte.is_ascii_digit()).skip_while(|byte| **byte == b'0').count();
    // "123.0" needs three digits, not four.
    let digits = if fraction == b"0" { significant.saturating_sub(1) } else { significant };
    let exponent_fits = match exponent {
        // Powers of ten are printed for small and large numbers only, with one digit before the point.
        Some(exponent) => integer.len() == 1 && integer != b"0" && is_plain_integer(exponent),
        None => integer.len() <= 7,
    };
    digits <= most_digits && exponent_fits
}

fn is_base64(text: &[u8]) -> bool {
    let padding = text.iter().rev().take_while(|byte| **byte == b'=').count();
    let plain = &text[..text.len() - padding];
    text.len().is_multiple_of(4)
        && padding <= 2
        && plain.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is(text: &str, data_type: &str, strictness: Strictness) -> bool {
        fits(text.as_bytes(), &data_type.parse().unwrap(), 1, &TextFormat::default(), strictness)
    }

    #[test]
    fn hives_own_writing_is_recognised() {
        let table: &[(&str, &[&str], &[&str])] = &[
            ("tinyint", &["0", "-128", "99"], &["007", "+1", "128", "1.0", ""]),
            (
                "double",
                &["0.0", "-0.0", "NaN", "0.42857142857142855", "1.0E-5", "3.0", "1.23456789012E12"],
                &["1", "3.0300", "1e5", "12345678.5", ".5", "1.E5"],
            ),
            ("float", &["3.0", "0.42857143", "1236.0", "1.6777216E7"], &["0.42857142857142855", "3"]),
            ("decimal(18,4)", &["3.0300", "3.03", "3", "-0.5"], &["3.03001", "03.1", "1E5", "NaN"]),
            ("date", &["1969-12-25"], &["1969-1-1", "1969-12-25 00:00:00", "x"]),
            ("timestamp", &["1970-02-12 20:48:23.670372", "1970-01-01 00:00:00"], &["1970-01-01"]),
            ("binary", &["YWIw", "YQ==", ""], &["YWI", "name,3"]),
            ("array<int>", &["3\u{2}\\N\u{2}3", "", "7"], &["a\u{2}3"]),
            ("map<string,bigint>", &["k\u{3}3", ""], &["k", "k\u{3}x"]),
            ("struct<x:int,y:string>", &["3\u{2}s3"], &["3", "3\u{2}s\u{2}4", "x\u{2}y"]),
            ("varchar(3)", &["abc"], &["abcd"]),
        ];
        for (data_type, good, bad) in table {
            for text in *good {
                assert!(is(text, data_type, Strictness::Written), "{text:?} is a {data_type}");
                assert!(is(text, data_type, Strictness::Readable), "{text:?} is a {data_type}");
            }
            for text in *bad {
                assert!(!is(text, data_type, Strictness::Written), "{text:?} is no {data_type}");
            }
        }
    }

    #[test]
    fn what_can_be_read_is_more_than_what_is_written() {
        for (text, data_type) in
            [("007", "int"), ("1", "double"), ("03.1", "decimal(5,2)"), ("1969-1-1", "date"), ("name,3", "binary")]
        {
            assert!(is(text, data_type, Strictness::Readable), "{text:?}");
        }
        for (text, data_type) in [("1.5", "int"), ("1.005", "decimal(5,2)"), ("", "int"), ("x", "double")] {
            assert!(!is(text, data_type, Strictness::Readable), "{text:?}");
        }
    }
}
