//! Which format a table's files have: by its description, else by the files' first bytes. Never by names' endings.
//!
//! In: SerDe and input format classes, first bytes. Out: [`Format`] or the name of what is not supported.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::description::TableDescription;

/// First bytes that are read of a file to know its format.
const MAGIC_BYTES: usize = 8;

/// A format by the description.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Format {
    /// Parquet.
    Parquet,
    /// Delimited text, LazySimpleSerDe.
    Text,
    /// Anything else, by its name.
    Other(String),
}

/// The format that a description names, if it names one.
pub(super) fn described(table: &TableDescription) -> Option<Format> {
    let last =
        |class: &Option<String>| class.as_deref().map(|class| class.rsplit('.').next().unwrap_or(class).to_owned());
    let (serde, input) = (last(&table.serde), last(&table.input_format));
    let input_text = input.as_deref().is_none_or(|input| matches!(input, "TextInputFormat"));
    Some(match (serde.as_deref(), input.as_deref()) {
        (None, None) => return None,
        (Some("ParquetHiveSerDe"), _) => Format::Parquet,
        (None, Some(input)) if input.contains("Parquet") => Format::Parquet,
        (Some("LazySimpleSerDe") | None, _) if input_text => Format::Text,
        (_, Some(input)) if input.contains("Orc") => Format::Other("ORC".to_owned()),
        (_, Some(input)) if input.contains("Avro") => Format::Other("Avro".to_owned()),
        (_, Some(input)) if input.contains("RCFile") => Format::Other("RCFile".to_owned()),
        (_, Some(input)) if input.contains("SequenceFile") => Format::Other("SequenceFile".to_owned()),
        (Some("OrcSerde"), _) => Format::Other("ORC".to_owned()),
        (Some("AvroSerDe"), _) => Format::Other("Avro".to_owned()),
        (Some(serde), _) => Format::Other(serde.to_owned()),
        (None, Some(input)) => Format::Other(input.to_owned()),
    })
}

/// What a file's first bytes say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Magic {
    /// Parquet.
    Parquet,
    /// gzip: text may be packed so.
    Gzip,
    /// A format that is not supported, by its name.
    Other(&'static str),
    /// No known first bytes: text, or anything else.
    Unknown,
}

/// The first bytes' meaning of the file at `path`.
pub(super) fn magic_of(path: &Path) -> io::Result<Magic> {
    let mut first = Vec::with_capacity(MAGIC_BYTES);
    File::open(path)?.take(MAGIC_BYTES as u64).read_to_end(&mut first)?;
    Ok(magic(&first))
}

/// The meaning of a file's first bytes.
pub(super) fn magic(first: &[u8]) -> Magic {
    let others: [(&[u8], &str); 12] = [
        (b"PARE", "encrypted Parquet"),
        (b"ORC", "ORC"),
        (b"Obj\x01", "Avro"),
        (b"SEQ", "SequenceFile"),
        (b"RCF", "RCFile"),
        (b"ARROW1", "Arrow IPC"),
        (b"BZh", "bzip2"),
        (b"\x28\xb5\x2f\xfd", "zstd"),
        (b"\xfd7zXZ", "xz"),
        (b"\x04\x22\x4d\x18", "lz4"),
        (b"\x89LZO", "lzo"),
        (b"PK\x03\x04", "zip"),
    ];
    if first.starts_with(b"PAR1") {
        Magic::Parquet
    } else if first.starts_with(b"\x1f\x8b") {
        Magic::Gzip
    } else {
        others.iter().find(|(magic, _)| first.starts_with(magic)).map_or(Magic::Unknown, |(_, name)| Magic::Other(name))
    }
}

/// The compression of a text file whose codec has no first bytes of its own, so that only Hadoop's ending tells.
pub(super) fn nameless_codec(path: &str) -> Option<&'static str> {
    [(".snappy", "Hadoop snappy"), (".deflate", "deflate"), (".lzo_deflate", "lzo"), (".lz4", "Hadoop lz4")]
        .into_iter()
        .find_map(|(ending, name)| path.ends_with(ending).then_some(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_description_names_the_format() {
        let hive = "org.apache.hadoop.hive";
        let table = [
            (
                format!("{hive}.ql.io.parquet.serde.ParquetHiveSerDe"),
                format!("{hive}.ql.io.parquet.MapredParquetInputFormat"),
                Format::Parquet,
            ),
            (
                format!("{hive}.serde2.lazy.LazySimpleSerDe"),
                "org.apache.hadoop.mapred.TextInputFormat".to_owned(),
                Format::Text,
            ),
            (
                format!("{hive}.serde2.lazy.LazySimpleSerDe"),
                "org.apache.hadoop.mapred.SequenceFileInputFormat".to_owned(),
                Format::Other("SequenceFile".to_owned()),
            ),
            (
                format!("{hive}.ql.io.orc.OrcSerde"),
                format!("{hive}.ql.io.orc.OrcInputFormat"),
                Format::Other("ORC".to_owned()),
            ),
            (
                format!("{hive}.serde2.avro.AvroSerDe"),
                format!("{hive}.ql.io.avro.AvroContainerInputFormat"),
                Format::Other("Avro".to_owned()),
            ),
            (
                format!("{hive}.serde2.OpenCSVSerde"),
                "org.apache.hadoop.mapred.TextInputFormat".to_owned(),
                Format::Other("OpenCSVSerde".to_owned()),
            ),
            (
                format!("{hive}.serde2.RegexSerDe"),
                "org.apache.hadoop.mapred.TextInputFormat".to_owned(),
                Format::Other("RegexSerDe".to_owned()),
            ),
            (
                format!("{hive}.serde2.columnar.LazyBinaryColumnarSerDe"),
                format!("{hive}.ql.io.RCFileInputFormat"),
                Format::Other("RCFile".to_owned()),
            ),
        ];
        for (serde, input_format, format) in table {
            let description =
                TableDescription { serde: Some(serde), input_format: Some(input_format), ..Default::default() };
            assert_eq!(described(&description), Some(format));
        }
        assert_eq!(described(&TableDescription::default()), None);
    }

    #[test]
    fn first_bytes_tell_formats_apart() {
        assert_eq!(magic(b"PAR1\x15\x04"), Magic::Parquet);
        assert_eq!(magic(b"\x1f\x8b\x08"), Magic::Gzip);
        assert_eq!(magic(b"ORC\n"), Magic::Other("ORC"));
        assert_eq!(magic(b"0,1,2"), Magic::Unknown);
        assert_eq!(magic(b""), Magic::Unknown);
        assert_eq!(nameless_codec("a/part-0.snappy"), Some("Hadoop snappy"));
        assert_eq!(nameless_codec("part-0.csv"), None);
    }
}
