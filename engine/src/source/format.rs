//! Which format a table's files have: by its description, else by the files' first bytes. Names' endings
//! count for text that is packed with a codec without first bytes of its own, and nowhere else.
//!
//! In: SerDe and input format classes, first bytes. Out: [`Format`] or the name of what is not supported.

use std::io::{self, Read};
use std::path::Path;

use super::description::TableDescription;
use super::places::Places;
use super::tails::SelfTold;
use crate::files::Opened;

/// First bytes that are read of a file to know its format.
const MAGIC_BYTES: usize = 8;

/// A format by the description.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Format {
    /// Parquet, ORC or Avro.
    SelfTold(SelfTold),
    /// Delimited text, LazySimpleSerDe.
    Text,
    /// Quoted text, OpenCSVSerde.
    OpenCsv,
    /// A JSON object a line, JsonSerDe.
    JsonLines,
    /// Anything else, by its name.
    Other(String),
}

/// The format that a description names, if it names one.
pub(super) fn described(table: &TableDescription) -> Option<Format> {
    of_classes(&table.serde, &table.input_format)
}

/// The format that the classes of SerDe and input format stand for; none if there are none.
pub(super) fn of_classes(serde: &Option<String>, input_format: &Option<String>) -> Option<Format> {
    let last =
        |class: &Option<String>| class.as_deref().map(|class| class.rsplit('.').next().unwrap_or(class).to_owned());
    let (serde, input) = (last(serde), last(input_format));
    let input_text = input.as_deref().is_none_or(|input| matches!(input, "TextInputFormat"));
    // An input format decides how bytes become records, so it comes before the SerDe, but for the columnar ones.
    Some(match (serde.as_deref(), input.as_deref()) {
        (None, None) => return None,
        (Some("ParquetHiveSerDe"), _) => Format::SelfTold(SelfTold::Parquet),
        (None, Some(input)) if input.contains("Parquet") => Format::SelfTold(SelfTold::Parquet),
        (Some("OrcSerde"), Some("OrcInputFormat") | None) | (None, Some("OrcInputFormat")) => {
            Format::SelfTold(SelfTold::Orc)
        }
        (Some("AvroSerDe"), Some("AvroContainerInputFormat") | None) | (None, Some("AvroContainerInputFormat")) => {
            Format::SelfTold(SelfTold::Avro)
        }
        (Some("LazySimpleSerDe") | None, _) if input_text => Format::Text,
        (Some("OpenCSVSerde"), _) if input_text => Format::OpenCsv,
        (Some("JsonSerDe"), _) if input_text => Format::JsonLines,
        (_, Some(input)) if input.contains("RCFile") => Format::Other("RCFile".to_owned()),
        (_, Some(input)) if input.contains("SequenceFile") => Format::Other("SequenceFile".to_owned()),
        (Some(serde), _) => Format::Other(serde.to_owned()),
        (None, Some(input)) => Format::Other(input.to_owned()),
    })
}

/// What a file's first bytes say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Magic {
    /// Parquet, ORC or Avro.
    SelfTold(SelfTold),
    /// A codec that text may be packed with.
    Packed(Packing),
    /// A format that is not supported, by its name.
    Other(&'static str),
    /// No known first bytes: text, or anything else.
    Unknown,
}

/// How a text file is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Packing {
    /// gzip, of any number of members.
    Gzip,
    /// bzip2, of any number of streams.
    Bzip2,
    /// Zstandard, of any number of frames.
    Zstd,
    /// zlib's format, which Hadoop calls deflate.
    Deflate,
    /// Snappy in Hadoop's blocks.
    Snappy,
    /// LZ4 in Hadoop's blocks.
    Lz4,
}

/// The first bytes' meaning of the file at `path`.
pub(super) fn magic_of(places: &Places, path: &Path) -> io::Result<Magic> {
    Ok(magic(&first_bytes(&places.open(path)?)?))
}

/// How the text file at `path`, called `name`, is packed.
pub(super) fn packing_of(
    places: &Places,
    path: &Path,
    name: &str,
) -> io::Result<Result<Option<Packing>, &'static str>> {
    Ok(packing(name, &first_bytes(&places.open(path)?)?))
}

/// The first bytes of `file`.
pub(super) fn first_bytes(file: &Opened) -> io::Result<Vec<u8>> {
    let mut first = Vec::with_capacity(MAGIC_BYTES);
    file.from(0).take(MAGIC_BYTES as u64).read_to_end(&mut first)?;
    Ok(first)
}

/// The meaning of a file's first bytes.
pub(super) fn magic(first: &[u8]) -> Magic {
    let known: [(&[u8], Magic); 14] = [
        (b"PAR1", Magic::SelfTold(SelfTold::Parquet)),
        (b"ORC", Magic::SelfTold(SelfTold::Orc)),
        (b"Obj\x01", Magic::SelfTold(SelfTold::Avro)),
        (b"\x1f\x8b", Magic::Packed(Packing::Gzip)),
        (b"\x28\xb5\x2f\xfd", Magic::Packed(Packing::Zstd)),
        (b"PARE", Magic::Other("encrypted Parquet")),
        (b"SEQ", Magic::Other("SequenceFile")),
        (b"RCF", Magic::Other("RCFile")),
        (b"ARROW1", Magic::Other("Arrow IPC")),
        (b"\xfd7zXZ", Magic::Other("xz")),
        (b"\x04\x22\x4d\x18", Magic::Other("an lz4 frame")),
        (b"\x89LZO", Magic::Other("lzo")),
        (b"PK\x03\x04", Magic::Other("zip")),
        (b"\xff\x06\x00\x00sN", Magic::Other("framed snappy")),
    ];
    // Text may well begin with three letters, so that the first block's mark is asked for, too, or that of the end.
    if first.starts_with(b"BZh") && first.get(4..MAGIC_BYTES).is_some_and(|mark| mark == b"1AY&" || mark == b"\x17rE8")
    {
        return Magic::Packed(Packing::Bzip2);
    }
    known.iter().find(|(magic, _)| first.starts_with(magic)).map_or(Magic::Unknown, |(_, meaning)| *meaning)
}

/// How the text file called `path` is packed, if it is; an error is the name of what cannot be read.
///
/// Hadoop goes by the names' endings. First bytes come before, because a file that was renamed is still packed.
pub(super) fn packing(path: &str, first: &[u8]) -> Result<Option<Packing>, &'static str> {
    let by_name: [(&str, Packing); 3] =
        [(".snappy", Packing::Snappy), (".deflate", Packing::Deflate), (".lz4", Packing::Lz4)];
    match magic(first) {
        Magic::Packed(packing) => Ok(Some(packing)),
        Magic::SelfTold(format) => Err(format.name()),
        Magic::Other(name) => Err(name),
        Magic::Unknown if path.ends_with(".lzo_deflate") => Err("lzo"),
        Magic::Unknown => Ok(by_name.iter().find(|(ending, _)| path.ends_with(ending)).map(|(_, packing)| *packing)),
    }
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
                Format::SelfTold(SelfTold::Parquet),
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
                Format::SelfTold(SelfTold::Orc),
            ),
            (
                format!("{hive}.serde2.avro.AvroSerDe"),
                format!("{hive}.ql.io.avro.AvroContainerInputFormat"),
                Format::SelfTold(SelfTold::Avro),
            ),
            (
                format!("{hive}.serde2.OpenCSVSerde"),
                "org.apache.hadoop.mapred.TextInputFormat".to_owned(),
                Format::OpenCsv,
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
        assert_eq!(magic(b"PAR1\x15\x04"), Magic::SelfTold(SelfTold::Parquet));
        assert_eq!(magic(b"\x1f\x8b\x08"), Magic::Packed(Packing::Gzip));
        assert_eq!(magic(b"ORC\n"), Magic::SelfTold(SelfTold::Orc));
        assert_eq!(magic(b"SEQ\x06"), Magic::Other("SequenceFile"));
        assert_eq!(magic(b"0,1,2"), Magic::Unknown);
        assert_eq!(magic(b""), Magic::Unknown);
        assert_eq!(packing("a/part-0.snappy", b"\0\0\x01\0"), Ok(Some(Packing::Snappy)));
        assert_eq!(packing("a/renamed", b"BZh91AY&"), Ok(Some(Packing::Bzip2)));
        assert_eq!(packing("part-0.csv", b"1,2"), Ok(None));
        assert_eq!(packing("part-0.lzo_deflate", b"\0"), Err("lzo"));
        assert_eq!(packing("part-0.csv", b"PAR1"), Err("Parquet"));
    }
}
