//! The language of column types: Hive's names, and what each becomes in Iceberg.
//!
//! In: type texts (`decimal(18,4)`, `map<string,array<int>>`). Out: [`DataType`], its text, its Iceberg form.
//! Not here: Arrow types (the engine's), the mapping of whole schemas (`planner`).

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Deepest nesting that a type may have; Hive's own limit on nested levels in text is 8 to 24.
pub const MAX_TYPE_DEPTH: usize = 24;
/// Most digits of a decimal, in Hive, Iceberg and Arrow's 128-bit decimals alike.
pub const MAX_DECIMAL_PRECISION: u8 = 38;

/// A column's type. Text form as Hive writes it; `timestamptz` is a type of Iceberg alone.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum DataType {
    /// `boolean`
    Boolean,
    /// `tinyint`, 8 bits
    TinyInt,
    /// `smallint`, 16 bits
    SmallInt,
    /// `int`, 32 bits
    Int,
    /// `bigint`, 64 bits
    BigInt,
    /// `float`, 32 bits
    Float,
    /// `double`, 64 bits
    Double,
    /// `decimal(precision,scale)`
    Decimal {
        /// All digits, 1 to 38.
        precision: u8,
        /// Digits behind the point, at most `precision`.
        scale: u8,
    },
    /// `string`
    String,
    /// `char(length)`, padded with spaces
    Char {
        /// Characters.
        length: u32,
    },
    /// `varchar(length)`
    Varchar {
        /// Most characters.
        length: u32,
    },
    /// `binary`
    Binary,
    /// `date`
    Date,
    /// `timestamp`: wall-clock time without a zone, microseconds
    Timestamp,
    /// `timestamptz`: an instant in UTC, microseconds
    TimestampTz,
    /// `array<element>`
    Array(Box<DataType>),
    /// `map<key,value>`
    Map(Box<DataType>, Box<DataType>),
    /// `struct<name:type,…>`
    Struct(Vec<StructField>),
}

/// One field of a struct.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct StructField {
    /// Its name.
    pub name: String,
    /// Its type.
    pub data_type: DataType,
}

impl DataType {
    /// True for types without parts.
    #[must_use]
    pub fn is_primitive(&self) -> bool {
        !matches!(self, Self::Array(_) | Self::Map(..) | Self::Struct(_))
    }

    /// True when Iceberg has exactly this type (not `tinyint`, `smallint`, `char`, `varchar`), all parts included.
    #[must_use]
    pub fn is_target_type(&self) -> bool {
        match self {
            Self::TinyInt | Self::SmallInt | Self::Char { .. } | Self::Varchar { .. } => false,
            Self::Array(element) => element.is_target_type(),
            Self::Map(key, value) => key.is_target_type() && value.is_target_type(),
            Self::Struct(fields) => fields.iter().all(|field| field.data_type.is_target_type()),
            _ => true,
        }
    }

    /// Iceberg's name of a primitive target type (`int`, `long`, `timestamp`, …), if it is one.
    #[must_use]
    pub fn iceberg_primitive(&self) -> Option<String> {
        Some(match self {
            Self::Boolean => "boolean".to_owned(),
            Self::Int => "int".to_owned(),
            Self::BigInt => "long".to_owned(),
            Self::Float => "float".to_owned(),
            Self::Double => "double".to_owned(),
            Self::Decimal { precision, scale } => format!("decimal({precision}, {scale})"),
            Self::String => "string".to_owned(),
            Self::Binary => "binary".to_owned(),
            Self::Date => "date".to_owned(),
            Self::Timestamp => "timestamp".to_owned(),
            Self::TimestampTz => "timestamptz".to_owned(),
            _ => return None,
        })
    }
}

impl fmt::Display for DataType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Boolean => f.write_str("boolean"),
            Self::TinyInt => f.write_str("tinyint"),
            Self::SmallInt => f.write_str("smallint"),
            Self::Int => f.write_str("int"),
            Self::BigInt => f.write_str("bigint"),
            Self::Float => f.write_str("float"),
            Self::Double => f.write_str("double"),
            Self::Decimal { precision, scale } => write!(f, "decimal({precision},{scale})"),
            Self::String => f.write_str("string"),
            Self::Char { length } => write!(f, "char({length})"),
            Self::Varchar { length } => write!(f, "varchar({length})"),
            Self::Binary => f.write_str("binary"),
            Self::Date => f.write_str("date"),
            Self::Timestamp => f.write_str("timestamp"),
            Self::TimestampTz => f.write_str("timestamptz"),
            Self::Array(element) => write!(f, "array<{element}>"),
            Self::Map(key, value) => write!(f, "map<{key},{value}>"),
            Self::Struct(fields) => {
                f.write_str("struct<")?;
                for (index, field) in fields.iter().enumerate() {
                    let comma = if index == 0 { "" } else { "," };
                    write!(f, "{comma}{}:{}", field.name, field.data_type)?;
                }
                f.write_str(">")
            }
        }
    }
}

/// A text that is not a type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a type: {why}")]
pub struct NotAType {
    /// The text.
    pub text: String,
    /// What is wrong with it.
    pub why: String,
}

impl FromStr for DataType {
    type Err = NotAType;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parser = Parser { rest: text };
        let parsed = parser.data_type(0).and_then(|data_type| match parser.rest.trim() {
            "" => Ok(data_type),
            rest => Err(format!("nothing may follow it, but {rest:?} does")),
        });
        parsed.map_err(|why| NotAType { text: text.to_owned(), why })
    }
}

struct Parser<'a> {
    rest: &'a str,
}

impl Parser<'_> {
    fn data_type(&mut self, depth: usize) -> Result<DataType, String> {
        if depth > MAX_TYPE_DEPTH {
            return Err(format!("types nest at most {MAX_TYPE_DEPTH} deep"));
        }
        let word = self.word(|c| c.is_ascii_alphanumeric() || c == '_').to_ascii_lowercase();
        Ok(match word.as_str() {
            "boolean" => DataType::Boolean,
            "tinyint" | "byte" => DataType::TinyInt,
            "smallint" | "short" => DataType::SmallInt,
            "int" | "integer" => DataType::Int,
            "bigint" | "long" => DataType::BigInt,
            "float" | "real" => DataType::Float,
            "double" => DataType::Double,
            "string" => DataType::String,
            "binary" => DataType::Binary,
            "date" => DataType::Date,
            "timestamp" => DataType::Timestamp,
            "timestamptz" => DataType::TimestampTz,
            "char" => DataType::Char { length: self.length(255)? },
            "varchar" => DataType::Varchar { length: self.length(65_535)? },
            "decimal" | "numeric" => self.decimal()?,
            "array" | "list" => {
                self.expect('<')?;
                let element = self.data_type(depth + 1)?;
                self.expect('>')?;
                DataType::Array(Box::new(element))
            }
            "map" => {
                self.expect('<')?;
                let key = self.data_type(depth + 1)?;
                self.expect(',')?;
                let value = self.data_type(depth + 1)?;
                self.expect('>')?;
                DataType::Map(Box::new(key), Box::new(value))
            }
            "struct" => self.fields(depth)?,
            "" => return Err("a type is expected".to_owned()),
            other => return Err(format!("there is no type {other:?}")),
        })
    }

    fn fields(&mut self, depth: usize) -> Result<DataType, String> {
        self.expect('<')?;
        let mut fields = Vec::new();
        loop {
            let name = self.word(|c| !matches!(c, ':' | ',' | '<' | '>')).trim().to_owned();
            if name.is_empty() {
                return Err("a field's name is expected".to_owned());
            }
            self.expect(':')?;
            let data_type = self.data_type(depth + 1)?;
            fields.push(StructField { name, data_type });
            if !self.accept(',') {
                break;
            }
        }
        self.expect('>')?;
        Ok(DataType::Struct(fields))
    }

    fn decimal(&mut self) -> Result<DataType, String> {
        if !self.accept('(') {
            // Hive's default.
            return Ok(DataType::Decimal { precision: 10, scale: 0 });
        }
        let precision = self.number()?;
        let scale = if self.accept(',') { self.number()? } else { 0 };
        self.expect(')')?;
        let digits = u32::from(MAX_DECIMAL_PRECISION);
        if precision == 0 || precision > digits || scale > precision {
            return Err(format!("decimals have 1 to {digits} digits, and no more behind the point"));
        }
        let small = |n: u32| u8::try_from(n).map_err(|_| "number too large".to_owned());
        Ok(DataType::Decimal { precision: small(precision)?, scale: small(scale)? })
    }

    fn length(&mut self, most: u32) -> Result<u32, String> {
        self.expect('(')?;
        let length = self.number()?;
        self.expect(')')?;
        if length == 0 || length > most {
            return Err(format!("a length lies between 1 and {most}"));
        }
        Ok(length)
    }

    fn number(&mut self) -> Result<u32, String> {
        let digits = self.word(|c| c.is_ascii_digit());
        digits.parse().map_err(|_| "a number is expected".to_owned())
    }

    fn word(&mut self, belongs: impl Fn(char) -> bool) -> String {
        let start = self.rest.trim_start();
        let end = start.find(|c| !belongs(c)).unwrap_or(start.len());
        self.rest = &start[end..];
        start[..end].to_owned()
    }

    fn accept(&mut self, wanted: char) -> bool {
        let start = self.rest.trim_start();
        match start.strip_prefix(wanted) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, wanted: char) -> Result<(), String> {
        if self.accept(wanted) { Ok(()) } else { Err(format!("{wanted:?} is expected before {:?}", self.rest)) }
    }
}

impl Serialize for DataType {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for DataType {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for DataType {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "DataType".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "A column type as Hive writes it: boolean, tinyint, smallint, int, bigint, float, double, decimal(p,s), string, char(n), varchar(n), binary, date, timestamp, timestamptz, array<t>, map<k,v>, struct<name:t,...>",
            "examples": ["string", "decimal(18,4)", "map<string,bigint>"]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_survives_its_text_form() {
        for text in [
            "boolean",
            "tinyint",
            "smallint",
            "int",
            "bigint",
            "float",
            "double",
            "decimal(38,10)",
            "string",
            "char(6)",
            "varchar(12)",
            "binary",
            "date",
            "timestamp",
            "timestamptz",
            "array<int>",
            "map<string,array<bigint>>",
            "struct<x:int,y:struct<z:map<string,decimal(10,2)>>>",
        ] {
            assert_eq!(text.parse::<DataType>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn texts_that_are_no_types_are_refused_with_a_reason() {
        for text in
            ["", "strng", "decimal(40,2)", "decimal(4,5)", "array<int", "map<int>", "struct<>", "int int", "char(0)"]
        {
            assert!(text.parse::<DataType>().is_err(), "{text}");
        }
    }
}
