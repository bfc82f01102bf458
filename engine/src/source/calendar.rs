//! Days before the Gregorian reform, in files of writers that counted them in the Julian calendar.
//!
//! In: a Parquet footer's keys; day and microsecond numbers. Out: the same labels (year, month, day, time of day)
//! as numbers of the proleptic Gregorian calendar, which Iceberg means.
//!
//! Java's old date classes, and with them Hive and early Spark, count days before 1582-10-15 in the Julian calendar.
//! What such a writer calls 1500-03-01 is stored as the number of another day; what counts is its label.

use arrow::array::timezone::Tz;
use parquet::file::metadata::KeyValue;

/// Day number of 1582-10-15, the first day of the Gregorian calendar.
pub(super) const REFORM_DAY: i32 = -141_427;
/// Microseconds since 1970 at the start of that day.
pub(super) const REFORM_MICROS: i64 = REFORM_DAY as i64 * 86_400_000_000;
/// Julian years repeat after 4 years of 1461 days.
const FOUR_JULIAN_YEARS: i64 = 1_461;
/// Days from 0000-03-01 of the Julian calendar to 1970-01-01 of the Gregorian.
const JULIAN_MARCH_ZERO: i64 = 719_470;
/// Spark writes proleptic dates from this version on.
const SPARK_PROLEPTIC: (u32, u32) = (3, 0);
/// Spark writes proleptic INT96 from this version on.
const SPARK_PROLEPTIC_INT96: (u32, u32) = (3, 1);

/// In which calendar and zone a file's writer put dates and timestamps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct WriterCalendar {
    /// `date` before the reform is Julian.
    pub(super) julian_dates: bool,
    /// 64-bit timestamps before the reform are Julian.
    pub(super) julian_timestamps: bool,
    /// INT96 timestamps before the reform are Julian.
    pub(super) julian_int96: bool,
    /// The zone whose wall clock INT96 timestamps were turned to UTC from, unless that is UTC.
    pub(super) int96_zone: Option<String>,
}

impl WriterCalendar {
    /// What a footer tells of its writer.
    ///
    /// Spark says its version, and whether it kept the old calendar. Hive says `writer.date.proleptic`, where it says
    /// anything; Hive without that word used the old calendar. Other writers never had it.
    pub(super) fn of(created_by: Option<&str>, keys: Option<&Vec<KeyValue>>) -> Self {
        let key = |name: &str| {
            keys.into_iter().flatten().find(|pair| pair.key == name).map(|pair| pair.value.as_deref().unwrap_or(""))
        };
        let int96_zone = key("writer.time.zone").filter(|zone| !is_utc(zone)).map(str::to_owned);
        let all = |julian| Self {
            julian_dates: julian,
            julian_timestamps: julian,
            julian_int96: julian,
            int96_zone: int96_zone.clone(),
        };
        if let Some(version) = key("org.apache.spark.version").or_else(|| key("com.databricks.spark.version")) {
            let version = numbers(version);
            let dates = version < SPARK_PROLEPTIC || key("org.apache.spark.legacyDateTime").is_some();
            let int96 = version < SPARK_PROLEPTIC_INT96 || key("org.apache.spark.legacyINT96").is_some();
            return Self { julian_dates: dates, julian_timestamps: dates, julian_int96: int96, int96_zone };
        }
        if let Some(proleptic) = key("writer.date.proleptic") {
            return all(!proleptic.eq_ignore_ascii_case("true"));
        }
        // Trino, Impala and the Arrow family name themselves; a bare parquet-mr is Hive's own (or Pig, MapReduce).
        let created_by = created_by.unwrap_or_default().to_ascii_lowercase();
        let hive = created_by.is_empty()
            || (created_by.starts_with("parquet-mr")
                && !created_by.contains("trino")
                && !created_by.contains("presto"));
        all(hive)
    }

    /// What an Avro file's header tells of its writer, by the same reasoning.
    pub(super) fn of_avro(keys: &[(String, String)]) -> Self {
        let key = |name: &str| keys.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        let julian = match (key("org.apache.spark.version"), key("writer.proleptic")) {
            (Some(version), _) => {
                numbers(version) < SPARK_PROLEPTIC || key("org.apache.spark.legacyDateTime").is_some()
            }
            (None, Some(proleptic)) => !proleptic.eq_ignore_ascii_case("true"),
            (None, None) => true,
        };
        Self {
            julian_dates: julian,
            julian_timestamps: julian,
            julian_int96: julian,
            int96_zone: key("writer.time.zone").filter(|zone| !is_utc(zone)).map(str::to_owned),
        }
    }

    /// The zone to shift INT96 timestamps to; an error names a zone that is not known.
    pub(super) fn zone(&self) -> Result<Option<Tz>, String> {
        let Some(zone) = &self.int96_zone else { return Ok(None) };
        zone.parse().map(Some).map_err(|_| format!("its writer's time zone {zone:?} is not known"))
    }
}

fn is_utc(zone: &str) -> bool {
    matches!(
        zone,
        "" | "UTC" | "Z" | "GMT" | "Etc/UTC" | "Etc/GMT" | "Etc/UCT" | "UCT" | "Zulu" | "Universal" | "+00:00"
    )
}

fn numbers(version: &str) -> (u32, u32) {
    let mut parts = version.split(|c: char| !c.is_ascii_digit()).map(|part| part.parse().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0))
}

/// Days since 1970 of a date of the proleptic Gregorian calendar. The date must exist, and lie within 32 bits of days.
pub(super) fn days_from_civil(year: i32, month: i32, day: i32) -> i32 {
    i32::try_from(wide_days(year.into(), month.into(), day.into()))
        .expect("the caller's date lies within 32 bits of days")
}

fn wide_days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// Whether the date is a 29th of February that only the Julian calendar has, in the time when it was in use.
pub(super) fn is_julian_leap_day(year: i32, month: i32, day: i32) -> bool {
    (month, day) == (2, 29) && year % 100 == 0 && year % 400 != 0 && year < 1582
}

/// The proleptic Gregorian number of the day that the hybrid calendar gives the number `day`.
pub(super) fn day_from_julian(day: i32) -> i32 {
    if day >= REFORM_DAY {
        return day;
    }
    // Wide, because slots of null values may hold any number.
    let shifted = i64::from(day) + JULIAN_MARCH_ZERO;
    let cycle = shifted.div_euclid(FOUR_JULIAN_YEARS);
    let day_of_cycle = shifted.rem_euclid(FOUR_JULIAN_YEARS);
    // The leap day is the last of a cycle that starts in March.
    let year_of_cycle = (day_of_cycle / 365).min(3);
    let day_of_year = day_of_cycle - year_of_cycle * 365;
    let march_month = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = cycle * 4 + year_of_cycle + i64::from(month <= 2);
    // Counted from the first of the month: the 29th of February of 1500 becomes the 1st of March.
    i32::try_from(wide_days(year, month, 1) + day_of_month - 1).unwrap_or(day)
}

/// The same for microseconds since 1970; the time of day stays.
pub(super) fn micros_from_julian(micros: i64) -> i64 {
    const DAY: i64 = 86_400_000_000;
    if micros >= REFORM_MICROS {
        return micros;
    }
    let day = i32::try_from(micros.div_euclid(DAY)).map(day_from_julian);
    let start = day.ok().and_then(|day| i64::from(day).checked_mul(DAY));
    start.and_then(|start| start.checked_add(micros.rem_euclid(DAY))).unwrap_or(micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(pairs: &[(&str, &str)]) -> Vec<KeyValue> {
        pairs.iter().map(|(key, value)| KeyValue::new((*key).to_owned(), Some((*value).to_owned()))).collect()
    }

    #[test]
    fn labels_of_the_julian_calendar_are_kept() {
        // (year, month, day) in the Julian calendar, and the day's true number.
        let table = [
            (1582, 10, 4, -141_428),
            (1500, 3, 1, -171_595),
            (1500, 2, 28, -171_597),
            (1458, 5, 7, -186_869),
            (1000, 12, 31, -353_915),
            (1, 1, 1, -719_164),
        ];
        for (year, month, day, number) in table {
            assert_eq!(day_from_julian(number), days_from_civil(year, month, day), "{year}-{month}-{day}");
        }
        assert_eq!(day_from_julian(-171_596), days_from_civil(1500, 3, 1), "1500-02-29 is the next day's label");
        assert_eq!(day_from_julian(REFORM_DAY), REFORM_DAY);
        assert_eq!(day_from_julian(0), 0);
    }

    #[test]
    fn consecutive_julian_days_have_consecutive_labels_outside_of_lost_leap_days() {
        let mut previous = day_from_julian(-719_164);
        for day in -719_163..REFORM_DAY {
            let rebased = day_from_julian(day);
            assert!(rebased == previous + 1 || rebased == previous, "{day}");
            previous = rebased;
        }
    }

    #[test]
    fn the_time_of_day_survives() {
        let day = 86_400_000_000_i64;
        assert_eq!(micros_from_julian(-171_595 * day + 5), i64::from(days_from_civil(1500, 3, 1)) * day + 5);
        assert_eq!(micros_from_julian(-1), -1);
        assert_eq!(day_from_julian(i32::MIN), day_from_julian(i32::MIN), "no overflow in slots of null values");
        assert!(micros_from_julian(i64::MIN) < 0);
        assert_eq!(
            micros_from_julian(-171_595 * day - 1),
            i64::from(days_from_civil(1500, 3, 1)) * day + day - 1,
            "on the lost leap day"
        );
    }

    #[test]
    fn the_writer_decides_the_calendar() {
        let mr = Some("parquet-mr version 1.10.0");
        let julian = |created_by, pairs: &[(&str, &str)]| {
            let calendar = WriterCalendar::of(created_by, Some(&keys(pairs)));
            (calendar.julian_dates, calendar.julian_int96)
        };
        assert_eq!(julian(mr, &[]), (true, true), "Hive before it said so");
        assert_eq!(julian(mr, &[("writer.date.proleptic", "true")]), (false, false));
        assert_eq!(julian(mr, &[("writer.date.proleptic", "false")]), (true, true));
        assert_eq!(julian(mr, &[("org.apache.spark.version", "2.4.8")]), (true, true));
        assert_eq!(julian(mr, &[("org.apache.spark.version", "3.0.1")]), (false, true));
        assert_eq!(julian(mr, &[("org.apache.spark.version", "3.5.1")]), (false, false));
        assert_eq!(
            julian(mr, &[("org.apache.spark.version", "3.5.1"), ("org.apache.spark.legacyDateTime", "")]),
            (true, false)
        );
        assert_eq!(
            julian(mr, &[("org.apache.spark.version", "3.5.1"), ("org.apache.spark.legacyINT96", "")]),
            (false, true)
        );
        assert_eq!(julian(Some("parquet-cpp-arrow version 14.0.0"), &[]), (false, false));
        assert_eq!(julian(Some("parquet-mr version 1.13 (build Trino)"), &[]), (false, false));
    }

    #[test]
    fn avro_headers_tell_the_calendar_and_the_zone() {
        let of = |pairs: &[(&str, &str)]| {
            let keys: Vec<(String, String)> =
                pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
            WriterCalendar::of_avro(&keys)
        };
        assert!(of(&[]).julian_dates, "Hive before it said so");
        assert!(!of(&[("org.apache.spark.version", "3.5.1")]).julian_dates);
        assert!(of(&[("org.apache.spark.version", "3.5.1"), ("org.apache.spark.legacyDateTime", "")]).julian_int96);
        let hive = of(&[("writer.proleptic", "true"), ("writer.time.zone", "Europe/Paris")]);
        assert_eq!((hive.julian_int96, hive.int96_zone.as_deref()), (false, Some("Europe/Paris")));
    }

    #[test]
    fn a_zone_is_kept_unless_it_is_utc() {
        let zone = |text| WriterCalendar::of(None, Some(&keys(&[("writer.time.zone", text)])));
        assert_eq!(zone("UTC").int96_zone, None);
        assert!(zone("America/Los_Angeles").zone().unwrap().is_some());
        assert!(zone("Mars/Olympus").zone().is_err());
    }
}
