//! The proleptic Gregorian calendar: days and microseconds since 1970 as text, and back.
//!
//! In: numbers, ISO 8601 texts. Out: the other. Holds: nothing. Not here: zones (all is UTC or wall-clock time).

/// Microseconds of a second.
pub(super) const MICROS_PER_SECOND: i64 = 1_000_000;
/// Microseconds of an hour.
pub(super) const MICROS_PER_HOUR: i64 = 3_600 * MICROS_PER_SECOND;
/// Microseconds of a day.
pub(super) const MICROS_PER_DAY: i64 = 24 * MICROS_PER_HOUR;

/// Days of four hundred years, after which the calendar repeats.
const DAYS_PER_ERA: i64 = 146_097;
/// Days from 0000-03-01, where the arithmetic begins, to 1970-01-01.
const DAYS_TO_1970: i64 = 719_468;

/// Year, month (1 to 12) and day (1 to 31) of a day since 1970.
#[must_use]
pub(super) fn civil(days: i64) -> (i64, i64, i64) {
    // Years begin in March here, so that the leap day is the last of its year.
    let shifted = days + DAYS_TO_1970;
    let (era, day_of_era) = (shifted.div_euclid(DAYS_PER_ERA), shifted.rem_euclid(DAYS_PER_ERA));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

/// The day since 1970 of a date.
#[must_use]
pub(super) fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    era * DAYS_PER_ERA + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - DAYS_TO_1970
}

/// A day as `2017-11-16`; years before 0 and after 9999 carry a sign.
#[must_use]
pub(super) fn date_text(day: i64) -> String {
    let (year, month, day) = civil(day);
    match year {
        0..=9_999 => format!("{year:04}-{month:02}-{day:02}"),
        _ => format!("{year:+05}-{month:02}-{day:02}"),
    }
}

/// The day of a date's text.
#[must_use]
pub(super) fn date_of(text: &str) -> Option<i64> {
    let (sign, rest) = match text.as_bytes().first()? {
        b'-' => (-1, &text[1..]),
        b'+' => (1, &text[1..]),
        _ => (1, text),
    };
    let mut parts = rest.split('-');
    let (year, month, day) = (number(parts.next()?)?, number(parts.next()?)?, number(parts.next()?)?);
    let found = days(sign * year, month, day);
    // Days that do not exist come back as others.
    (parts.next().is_none() && civil(found) == (sign * year, month, day)).then_some(found)
}

/// Microseconds since 1970 as `2017-11-16T22:31:08.123456`; the fraction is left out where it is zero.
#[must_use]
pub(super) fn timestamp_text(micros: i64) -> String {
    let (day, time) = (micros.div_euclid(MICROS_PER_DAY), micros.rem_euclid(MICROS_PER_DAY));
    let (seconds, fraction) = (time / MICROS_PER_SECOND, time % MICROS_PER_SECOND);
    let clock = format!("{:02}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60);
    match fraction {
        0 => format!("{}T{clock}", date_text(day)),
        _ => format!("{}T{clock}.{fraction:06}", date_text(day)),
    }
}

/// Microseconds since 1970 of a timestamp's text.
#[must_use]
pub(super) fn timestamp_of(text: &str) -> Option<i64> {
    let (date, time) = text.split_once('T')?;
    let (clock, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let mut parts = clock.split(':');
    let (hour, minute, second) = (number(parts.next()?)?, number(parts.next()?)?, number(parts.next()?)?);
    if parts.next().is_some() || hour > 23 || minute > 59 || second > 59 || fraction.len() > 6 {
        return None;
    }
    let micros = number(&format!("{fraction:0<6}"))?;
    let time = ((hour * 60 + minute) * 60 + second) * MICROS_PER_SECOND + micros;
    // The first day of the range of 64 bits is not whole, so its start alone would not fit.
    let sum = i128::from(date_of(date)?) * i128::from(MICROS_PER_DAY) + i128::from(time);
    i64::try_from(sum).ok()
}

fn number(digits: &str) -> Option<i64> {
    (!digits.is_empty() && digits.len() <= 7 && digits.bytes().all(|byte| byte.is_ascii_digit()))
        .then(|| digits.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_of_the_range_survives_its_parts() {
        let mut expected = civil(-1_000_000);
        for day in -1_000_000..1_000_000 {
            assert_eq!(civil(day), expected);
            assert_eq!(days(expected.0, expected.1, expected.2), day);
            let leap = (expected.0 % 4 == 0 && expected.0 % 100 != 0) || expected.0 % 400 == 0;
            let length = match expected.1 {
                2 => 28 + i64::from(leap),
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            expected = match expected {
                (year, 12, 31) => (year + 1, 1, 1),
                (year, month, day) if day == length => (year, month + 1, 1),
                (year, month, day) => (year, month, day + 1),
            };
        }
        assert_eq!(civil(0), (1970, 1, 1));
    }

    #[test]
    fn texts_of_far_years_survive() {
        for micros in [i64::MIN, -62_167_219_200_000_001, -1, 0, 1, 253_402_300_800_000_000, i64::MAX] {
            assert_eq!(timestamp_of(&timestamp_text(micros)), Some(micros), "{}", timestamp_text(micros));
        }
        assert_eq!(date_text(days(-1, 1, 1)), "-0001-01-01");
        assert_eq!(date_text(days(10_000, 1, 1)), "+10000-01-01");
        assert_eq!(timestamp_of("2017-11-16T22:31:08.5"), Some(1_510_871_468_500_000));
    }
}
