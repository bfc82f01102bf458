//! Numbers, sizes and times as people read them, on the command line and in the console.

/// A number with separators between its thousands.
#[must_use]
pub fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A text on one line of at most so many characters.
#[must_use]
pub fn shortened(text: &str, most: usize) -> String {
    let mut short: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(most).collect();
    if text.chars().count() > most {
        short.pop();
        short.push('…');
    }
    short
}

/// Bytes with a unit.
#[must_use]
pub fn bytes(bytes: u64) -> String {
    let mut unit = "B";
    let mut scaled = bytes;
    let mut rest = 0;
    for next in ["KiB", "MiB", "GiB", "TiB", "PiB"] {
        if scaled < 1024 {
            break;
        }
        rest = scaled % 1024;
        scaled /= 1024;
        unit = next;
    }
    if unit == "B" || scaled >= 100 {
        format!("{scaled} {unit}")
    } else {
        format!("{scaled}.{} {unit}", rest * 10 / 1024)
    }
}

/// Seconds as people say them.
#[must_use]
pub fn seconds(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// A time in UTC, from milliseconds since 1970 (civil-from-days, H. Hinnant, "chrono-Compatible Low-Level Date Algorithms").
#[must_use]
pub fn time(millis: u64) -> String {
    let seconds = millis / 1000;
    let days = i64::try_from(seconds / 86_400).unwrap_or(0) + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_shifted + 2) / 5 + 1;
    let month = if month_shifted < 10 { month_shifted + 3 } else { month_shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let of_day = seconds % 86_400;
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02}Z", of_day / 3600, of_day % 3600 / 60, of_day % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_bytes_and_times_are_shown_as_people_write_them() {
        assert_eq!([number(0), number(999), number(1000), number(1_234_567)], ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([bytes(0), bytes(1023), bytes(1536), bytes(249 << 20)], ["0 B", "1023 B", "1.5 KiB", "249 MiB"]);
        assert_eq!(time(0), "1970-01-01 00:00:00Z");
        assert_eq!(time(951_827_696_000), "2000-02-29 12:34:56Z");
        assert_eq!([seconds(59), seconds(61), seconds(7260)], ["59 s", "1 min 1 s", "2 h 1 min"]);
    }
}
