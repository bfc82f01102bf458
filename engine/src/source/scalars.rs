//! Single values from their text form, as Hive's LazySimpleSerDe reads them.
//!
//! In: bytes of one field. Out: values, with a mark where the text says more than the type can hold.
//! Not here: nulls, separators and escapes (`text`), what to do with unreadable values (the callers).

use std::borrow::Cow;

use super::calendar::{days_from_civil, is_julian_leap_day};

/// Microseconds of a day.
pub(super) const DAY_MICROS: i64 = 86_400_000_000;

/// A value, and whether the text said more than is kept of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Read<T> {
    /// The value.
    pub(super) value: T,
    /// True when digits were cut off or rounded away.
    pub(super) shortened: bool,
}

fn all<T>(value: T) -> Read<T> {
    Read { value, shortened: false }
}

/// An integer. As in Hive, a fraction is allowed and cut off.
pub(super) fn integer(text: &[u8]) -> Option<Read<i64>> {
    let (negative, digits) = signed(text);
    let (whole, fraction) = match memchr::memchr(b'.', digits) {
        Some(point) => (&digits[..point], Some(&digits[point + 1..])),
        None => (digits, None),
    };
    if digits.is_empty() || !all_digits(whole) || fraction.is_some_and(|fraction| !all_digits(fraction)) {
        return None;
    }
    let mut value = 0_i64;
    for digit in whole {
        // Downwards, because the least number has no positive counterpart.
        value = value.checked_mul(10)?.checked_sub(i64::from(digit - b'0'))?;
    }
    let value = if negative { value } else { value.checked_neg()? };
    Some(Read { value, shortened: fraction.is_some() })
}

fn signed(text: &[u8]) -> (bool, &[u8]) {
    match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    }
}

fn all_digits(text: &[u8]) -> bool {
    text.iter().all(u8::is_ascii_digit)
}

/// A boolean: `true` or `false` in any case.
pub(super) fn boolean(text: &[u8]) -> Option<bool> {
    if text.eq_ignore_ascii_case(b"true") {
        Some(true)
    } else if text.eq_ignore_ascii_case(b"false") {
        Some(false)
    } else {
        None
    }
}

/// A number as Java's `parseDouble` takes it, ready for Rust's parser; `None` if it is none.
fn java_float(text: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(text).ok()?.trim_matches(|c: char| c <= ' ');
    let number = text.strip_prefix(['-', '+']).unwrap_or(text);
    if matches!(number, "NaN" | "Infinity") {
        return Some(text);
    }
    let text = text.strip_suffix(['f', 'F', 'd', 'D']).unwrap_or(text);
    // Rust would also take "inf" and "nan".
    let plain = text.bytes().all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b));
    (plain && !text.is_empty()).then_some(text)
}

/// A `double`.
pub(super) fn double(text: &[u8]) -> Option<f64> {
    java_float(text)?.parse().ok()
}

/// A `float`, rounded once from its decimal text.
pub(super) fn float(text: &[u8]) -> Option<f32> {
    java_float(text)?.parse().ok()
}

/// A decimal's digits as a whole number scaled by `scale`; rounds half away from zero as Hive does.
/// `None` if it is no number or has more digits before the point than the type has room for.
pub(super) fn decimal(text: &[u8], precision: u8, scale: u8) -> Option<Read<i128>> {
    let text = text.trim_ascii();
    let (negative, rest) = signed(text);
    let (mantissa, exponent) = match rest.iter().position(|b| matches!(b, b'e' | b'E')) {
        Some(at) => (&rest[..at], std::str::from_utf8(&rest[at + 1..]).ok()?.parse::<i32>().ok()?),
        None => (rest, 0),
    };
    let (whole, fraction) = match memchr::memchr(b'.', mantissa) {
        Some(point) => (&mantissa[..point], &mantissa[point + 1..]),
        None => (mantissa, &[][..]),
    };
    if whole.is_empty() && fraction.is_empty() || !all_digits(whole) || !all_digits(fraction) {
        return None;
    }
    // The digit at position p counts for 10^(point - 1 - p); digits from `keep` on lie behind the scale.
    let point = i64::try_from(whole.len()).ok()? + i64::from(exponent);
    let keep = point + i64::from(scale);
    let (mut value, mut shortened, mut round_up) = (0_i128, false, false);
    let digits = whole.iter().chain(fraction).map(|digit| digit - b'0');
    let count = i64::try_from(whole.len() + fraction.len()).ok()?;
    for (position, digit) in (0..count).zip(digits) {
        if position < keep {
            value = value.checked_mul(10)?.checked_add(i128::from(digit))?;
        } else {
            round_up |= position == keep && digit >= 5;
            shortened |= digit != 0;
        }
    }
    if value != 0 {
        for _ in count..keep {
            value = value.checked_mul(10)?;
        }
    }
    value += i128::from(round_up);
    let limit = 10_i128.checked_pow(u32::from(precision)).expect("10^38 fits 128 bits");
    (value < limit).then_some(Read { value: if negative { -value } else { value }, shortened })
}

/// A date, days since 1970 in the proleptic Gregorian calendar: `2024-1-1` or `2024-01-01`.
pub(super) fn date(text: &[u8]) -> Option<i32> {
    let mut parts = text.trim_ascii().split(|b| *b == b'-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || year.len() != 4 {
        return None;
    }
    day_number(small(year, 4)?, small(month, 2)?, small(day, 2)?)
}

fn small(digits: &[u8], most: usize) -> Option<i32> {
    if digits.is_empty() || digits.len() > most || !all_digits(digits) {
        return None;
    }
    Some(digits.iter().fold(0, |value, digit| value * 10 + i32::from(digit - b'0')))
}

fn day_number(year: i32, month: i32, day: i32) -> Option<i32> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        2 => 28 + i32::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if is_julian_leap_day(year, month, day) {
        // A day that the proleptic calendar lacks; readers in Hive's line show the next one.
        return Some(days_from_civil(year, 3, 1));
    }
    (1..=length).contains(&day).then(|| days_from_civil(year, month, day))
}

/// A timestamp, microseconds since 1970 without a zone: `2024-01-01 10:00:00[.fraction]`, or a date alone.
pub(super) fn timestamp(text: &[u8]) -> Option<Read<i64>> {
    let text = text.trim_ascii();
    let Some(space) = memchr::memchr(b' ', text) else {
        return Some(all(i64::from(date(text)?) * DAY_MICROS));
    };
    let days = i64::from(date(&text[..space])?);
    let clock = &text[space + 1..];
    let (clock, fraction) = match memchr::memchr(b'.', clock) {
        Some(point) => (&clock[..point], &clock[point + 1..]),
        None => (clock, &b"0"[..]),
    };
    let mut parts = clock.split(|b| *b == b':');
    let (hour, minute, second) = (small(parts.next()?, 2)?, small(parts.next()?, 2)?, small(parts.next()?, 2)?);
    if parts.next().is_some() || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    if fraction.is_empty() || fraction.len() > 9 || !all_digits(fraction) {
        return None;
    }
    let digit = |position: usize| fraction.get(position).map_or(0, |digit| i64::from(digit - b'0'));
    let micros = (0..6).fold(0, |value, position| value * 10 + digit(position));
    let shortened = (6..9).any(|position| digit(position) != 0);
    let seconds = i64::from((hour * 60 + minute) * 60 + second);
    Some(Read { value: days * DAY_MICROS + seconds * 1_000_000 + micros, shortened })
}

/// Bytes: base64 where the text can be that (Hive writes it so), else the text itself.
pub(super) fn binary(text: &[u8]) -> Cow<'_, [u8]> {
    match base64(text) {
        Some(bytes) if !bytes.is_empty() => Cow::Owned(bytes),
        _ => Cow::Borrowed(text),
    }
}

/// Decodes base64 as leniently as Hive's decoder: both alphabets, white space skipped, padding optional.
fn base64(text: &[u8]) -> Option<Vec<u8>> {
    let (mut bytes, mut bits, mut held, mut ended) = (Vec::with_capacity(text.len() / 4 * 3), 0_u32, 0_u32, false);
    for byte in text {
        let six = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            b'=' => {
                ended = true;
                continue;
            }
            b' ' | b'\n' | b'\r' | b'\t' => continue,
            _ => return None,
        };
        if ended {
            continue;
        }
        bits = (bits << 6) | u32::from(six);
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push(u8::try_from(bits >> held & 0xff).expect("masked to eight bits"));
            bits &= (1 << held) - 1;
        }
    }
    Some(bytes)
}

#[cfg(test)]
#[path = "scalars_tests.rs"]
mod tests;
