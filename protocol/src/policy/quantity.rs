//! Percentages and sizes in bytes, exact in every form.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::decode::{BadText, Decode, Decoder};
use super::error::PolicyCode;
use super::scalar::Meaning;
use super::tree::Node;
use super::values::as_text;

/// Least memory of a batch: one row group of an ordinary Parquet file and its encoders.
pub const MIN_MEMORY_BYTES: u64 = 16 << 20;
/// Most memory of a batch: more than any node has, and far from overflow.
pub const MAX_MEMORY_BYTES: u64 = 1 << 40;
/// Least size of data files: below it, opening a file costs more than reading it.
pub const MIN_FILE_BYTES: u64 = 1 << 20;
/// Most: an upload in parts of 8 MiB takes 10,000 of them, and no reader wants more.
pub const MAX_FILE_BYTES: u64 = 64 << 30;

const UNITS: [(&str, u64); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];

/// The bytes that `text` says: a whole number with a unit.
fn bytes_of(text: &str) -> Option<u64> {
    let (digits, unit) = UNITS.iter().find_map(|(unit, bytes)| Some((text.strip_suffix(unit)?, bytes)))?;
    let digits = digits.trim_end();
    let count: Option<u64> = if digits.starts_with('+') { None } else { digits.parse().ok() };
    count?.checked_mul(*unit)
}

/// `bytes` with the greatest unit that leaves no rest.
fn text_of(bytes: u64) -> String {
    let unit = UNITS.iter().find(|(_, unit)| bytes.is_multiple_of(*unit));
    let (unit, size) = unit.copied().expect("sizes are made from whole KiB");
    format!("{}{unit}", bytes / size)
}

/// Makes a type of sizes in bytes within a range, written with a unit.
macro_rules! size {
    ($(#[$doc:meta])* $name:ident, $what:literal, $least:expr, $most:expr, $example:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub struct $name {
            bytes: u64,
        }

        impl $name {
            /// In bytes.
            #[must_use]
            pub fn bytes(self) -> u64 {
                self.bytes
            }
        }

        impl FromStr for $name {
            type Err = BadText;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match bytes_of(text) {
                    Some(bytes) if ($least..=$most).contains(&bytes) => Ok(Self { bytes }),
                    Some(_) => {
                        let (least, most) = (text_of($least), text_of($most));
                        Err(BadText::new(format!("`{text}` is out of range: {least} to {most}")))
                    }
                    None => {
                        let what = $what;
                        let bad = BadText::new(format!("`{text}` is no {what}: a whole number with KiB, MiB or GiB"));
                        Err(bad.hint(concat!("for example ", $example)))
                    }
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&text_of(self.bytes))
            }
        }

        as_text!($name, {
            "type": "string",
            "pattern": "^[0-9]+ ?(KiB|MiB|GiB)$",
            "description": concat!("An ", $what, ": a whole number with KiB, MiB or GiB."),
            "examples": [$example]
        });

        impl Decode for $name {
            fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Self {
                // A bare number lacks its unit; quotes would not help.
                let Some(scalar) = decoder.scalar(node, concat!("an ", $what)) else { return Self::blank() };
                match scalar.text().parse() {
                    Ok(size) => size,
                    Err(BadText { message, hint }) => {
                        decoder.report(node.at, PolicyCode::PolicyOutOfRange, message, hint);
                        Self::blank()
                    }
                }
            }

            fn blank() -> Self {
                Self { bytes: $least }
            }
        }
    };
}

size! {
    /// An amount of memory, written with a unit: `512MiB`.
    MemorySize, "amount of memory", MIN_MEMORY_BYTES, MAX_MEMORY_BYTES, "512MiB"
}

size! {
    /// A size of data files, written with a unit: `512MiB`.
    FileSize, "amount of bytes", MIN_FILE_BYTES, MAX_FILE_BYTES, "128MiB"
}

/// A share of 0 to 100 percent, exact to four digits behind the point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "f64", try_from = "f64")]
pub struct Percent {
    millionths: u32,
}

/// A percent has this many millionths of the whole.
const MILLIONTHS: f64 = 10_000.0;

impl Percent {
    /// True when `part` of `whole` is no more than this share; nothing of nothing is no more.
    #[must_use]
    pub fn allows(self, part: u64, whole: u64) -> bool {
        u128::from(part) * 1_000_000 <= u128::from(whole) * u128::from(self.millionths)
    }

    /// In percent.
    #[must_use]
    pub fn value(self) -> f64 {
        f64::from(self.millionths) / MILLIONTHS
    }
}

impl From<Percent> for f64 {
    fn from(percent: Percent) -> Self {
        percent.value()
    }
}

impl TryFrom<f64> for Percent {
    type Error = BadText;

    fn try_from(percent: f64) -> Result<Self, Self::Error> {
        if !(0.0..=100.0).contains(&percent) {
            return Err(BadText::new(format!("{percent} is out of range: 0 to 100 percent")));
        }
        let millionths = (percent * MILLIONTHS).round();
        if (millionths / MILLIONTHS - percent).abs() > 1e-9 {
            return Err(BadText::new(format!(
                "{percent} is too precise: percentages have at most four digits behind the point"
            )));
        }
        // Between 0 and 1,000,000 by the check above.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let millionths = millionths as u32;
        Ok(Self { millionths })
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} %", self.value())
    }
}

impl JsonSchema for Percent {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Percent".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "number",
            "minimum": 0,
            "maximum": 100,
            "multipleOf": 0.0001,
            "description": "A share in percent, with at most four digits behind the point."
        })
    }
}

impl Decode for Percent {
    fn decode(node: &Node, decoder: &mut Decoder<'_>) -> Self {
        let Some(scalar) = decoder.scalar(node, "a number of percent") else { return Self::blank() };
        let number = match scalar.meaning() {
            Meaning::Integer(_) | Meaning::Fraction => scalar.text().parse::<f64>().ok(),
            _ => None,
        };
        let Some(number) = number else {
            decoder.wrong_type(node, "a number of percent");
            return Self::blank();
        };
        match Self::try_from(number) {
            Ok(percent) => percent,
            Err(BadText { message, hint }) => {
                decoder.report(node.at, PolicyCode::PolicyOutOfRange, message, hint);
                Self::blank()
            }
        }
    }

    fn blank() -> Self {
        Self { millionths: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_survives_its_text_form() {
        for (text, bytes, shown) in
            [("512MiB", 512 << 20, "512MiB"), ("1024MiB", 1 << 30, "1GiB"), ("17000 KiB", 17_000 << 10, "17000KiB")]
        {
            let size: MemorySize = text.parse().unwrap();
            assert_eq!((size.bytes(), size.to_string().as_str()), (bytes, shown));
            assert_eq!(shown.parse::<MemorySize>().unwrap(), size);
        }
        for text in ["512", "512MB", "1MiB", "-1GiB", "99999999999999999999GiB", "2000GiB", "MiB", "1.5GiB"] {
            assert!(text.parse::<MemorySize>().is_err(), "{text}");
        }
    }

    #[test]
    fn files_have_a_range_of_their_own() {
        assert_eq!("1MiB".parse::<FileSize>().unwrap().bytes(), 1 << 20);
        let told = "1023KiB".parse::<FileSize>().unwrap_err();
        assert_eq!(told.message, "`1023KiB` is out of range: 1MiB to 64GiB");
        assert!("65GiB".parse::<FileSize>().is_err());
    }

    #[test]
    fn percentages_are_exact() {
        for number in [0.0, 0.1, 0.3, 2.5, 33.3333, 99.9999, 100.0] {
            let percent = Percent::try_from(number).unwrap();
            assert!((percent.value() - number).abs() < f64::EPSILON * 100.0);
            let json = serde_json::to_string(&percent).unwrap();
            assert_eq!(serde_json::from_str::<Percent>(&json).unwrap(), percent, "{json}");
        }
        assert!(Percent::try_from(100.1).is_err() && Percent::try_from(-1.0).is_err());
        assert!(Percent::try_from(f64::NAN).is_err() && Percent::try_from(0.00001).is_err());
        let half = Percent::try_from(0.5).unwrap();
        assert!(half.allows(5, 1_000) && !half.allows(6, 1_000) && half.allows(0, 0) && !half.allows(1, 0));
        assert!(Percent::try_from(100.0).unwrap().allows(u64::MAX, u64::MAX));
    }
}
