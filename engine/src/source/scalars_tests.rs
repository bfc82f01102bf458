//! Tests of single values' text forms.

use super::*;

#[test]
fn integers_are_read_as_hive_reads_them() {
    let table: &[(&str, Option<(i64, bool)>)] = &[
        ("0", Some((0, false))),
        ("-007", Some((-7, false))),
        ("+12", Some((12, false))),
        ("9223372036854775807", Some((i64::MAX, false))),
        ("-9223372036854775808", Some((i64::MIN, false))),
        ("9223372036854775808", None),
        ("1.75", Some((1, true))),
        ("1.", Some((1, true))),
        ("", None),
        ("-", None),
        (" 1", None),
        ("1e3", None),
        ("1.x", None),
    ];
    for (text, expected) in table {
        assert_eq!(integer(text.as_bytes()).map(|read| (read.value, read.shortened)), *expected, "{text:?}");
    }
}

#[test]
fn floating_point_texts_follow_javas_grammar() {
    assert!(double(b"NaN").unwrap().is_nan());
    assert_eq!(double(b"-Infinity"), Some(f64::NEG_INFINITY));
    assert_eq!(double(b"1.0E-5"), Some(1.0e-5));
    assert_eq!(double(b" 7.5d "), Some(7.5));
    assert_eq!(double(b"-0.0").map(f64::to_bits), Some((-0.0_f64).to_bits()));
    assert_eq!(float(b"0.1"), Some(0.1_f32));
    for text in ["inf", "nan", "", "1,5", "0x1p3", "f"] {
        assert_eq!(double(text.as_bytes()), None, "{text:?}");
    }
}

#[test]
fn decimals_round_half_up_and_refuse_what_has_no_room() {
    #[allow(clippy::type_complexity, reason = "a table of cases")]
    let table: &[(&str, u8, u8, Option<(i128, bool)>)] = &[
        ("1.2345", 18, 4, Some((12_345, false))),
        ("1.23455", 18, 4, Some((12_346, true))),
        ("-1.23455", 18, 4, Some((-12_346, true))),
        ("1.50000", 18, 4, Some((15_000, false))),
        ("12", 4, 2, Some((1_200, false))),
        ("99.995", 4, 2, None),
        ("100", 4, 2, None),
        ("1E2", 5, 2, Some((10_000, false))),
        ("125e-3", 5, 2, Some((13, true))),
        ("0.004", 3, 2, Some((0, true))),
        (".5", 3, 1, Some((5, false))),
        ("0e900000000", 3, 1, Some((0, false))),
        (
            "12345678901234567890123456789012345678",
            38,
            0,
            Some((12_345_678_901_234_567_890_123_456_789_012_345_678, false)),
        ),
        (".", 3, 1, None),
        ("", 3, 1, None),
        ("1.2.3", 3, 1, None),
    ];
    for (text, precision, scale, expected) in table {
        assert_eq!(
            decimal(text.as_bytes(), *precision, *scale).map(|read| (read.value, read.shortened)),
            *expected,
            "{text:?}"
        );
    }
}

#[test]
fn dates_and_timestamps_are_wall_clock_times() {
    assert_eq!(date(b"1970-01-01"), Some(0));
    assert_eq!(date(b"1969-12-31"), Some(-1));
    assert_eq!(date(b"2024-2-29"), Some(19_782));
    assert_eq!(date(b"1582-10-15"), Some(-141_427));
    assert_eq!(date(b"1500-02-29"), date(b"1500-03-01"));
    for text in ["2023-02-29", "2024-13-01", "24-01-01", "2024-01", "2024-01-01-01", "x", "2024-001-01"] {
        assert_eq!(date(text.as_bytes()), None, "{text:?}");
    }
    assert_eq!(timestamp(b"1970-01-01 00:00:00"), Some(Read { value: 0, shortened: false }));
    assert_eq!(timestamp(b"1969-12-31 23:59:59.5"), Some(Read { value: -500_000, shortened: false }));
    assert_eq!(timestamp(b"1970-01-02 00:00:00.0000019"), Some(Read { value: DAY_MICROS + 1, shortened: true }));
    assert_eq!(timestamp(b"1970-01-02"), Some(Read { value: DAY_MICROS, shortened: false }));
    for text in ["1970-01-01 24:00:00", "1970-01-01 10:00", "1970-01-01 10:00:00.", "1970-01-01T10:00:00"] {
        assert_eq!(timestamp(text.as_bytes()), None, "{text:?}");
    }
}

#[test]
fn binary_is_base64_where_it_can_be() {
    assert_eq!(binary(b"YWIw").as_ref(), b"ab0");
    assert_eq!(binary(b"YWI=").as_ref(), b"ab");
    assert_eq!(binary(b"YWI").as_ref(), b"ab");
    assert_eq!(binary(b"-_-_").as_ref(), [0xfb, 0xff, 0xbf]);
    assert_eq!(binary(b"").as_ref(), b"");
    assert_eq!(binary(b"=").as_ref(), b"=");
    assert_eq!(binary(b"n\xc3\xa4").as_ref(), b"n\xc3\xa4");
}
