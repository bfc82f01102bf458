//! Which whole files are changed: one of each format that is read, and of each codec that text is packed with.

use std::io::Write;
use std::path::Path;

use skein_tests::contents;

use super::site::fixture;

/// A format, with a whole file of it.
pub(crate) struct Format {
    /// As tables of results call it.
    pub(crate) name: &'static str,
    /// The table of the fixture that has it.
    pub(crate) table: &'static str,
    /// The file's path in the table's folder.
    pub(crate) file: String,
    pub(crate) whole: Vec<u8>,
}

/// All of them.
pub(crate) fn all() -> Vec<Format> {
    let own = [
        ("Parquet (Spark)", "airings", "station=s1/"),
        ("Parquet (Hive)", "codes", ""),
        ("ORC (Spark)", "airings_orc", "station=s1/"),
        ("ORC (Hive)", "later_orc", "station=s1/"),
        ("Avro", "airings_avro", "station=s1/"),
        ("text", "airings_text", "station=s1/"),
        ("OpenCSV", "airings_opencsv", ""),
        ("JSON lines", "airings_json", ""),
        ("text, bzip2", "airings_bz2", ""),
    ];
    let mut formats: Vec<Format> = own
        .into_iter()
        .map(|(name, table, folder)| {
            let (file, whole) = first_file(table, folder);
            Format { name, table, file: format!("{folder}{file}"), whole }
        })
        .collect();
    let (_, plain) = first_file("airings_pipe", "");
    let packed = [
        ("text, gzip", "f.gz", gzip(&plain)),
        ("text, deflate", "f.deflate", zlib(&plain)),
        ("text, zstd", "f.zst", zstd::encode_all(plain.as_slice(), 3).expect("memory takes it")),
        (
            "text, snappy",
            "f.snappy",
            hadoop(&plain, |chunk| snap::raw::Encoder::new().compress_vec(chunk).expect("memory takes it")),
        ),
        ("text, lz4", "f.lz4", hadoop(&plain, lz4_flex::block::compress)),
    ];
    formats.extend(packed.into_iter().map(|(name, file, whole)| Format {
        name,
        table: "airings_pipe",
        file: file.to_owned(),
        whole,
    }));
    formats
}

/// The first data file in a folder of a table.
fn first_file(table: &str, folder: &str) -> (String, Vec<u8>) {
    let folder = fixture().join("warehouse/radio.db").join(table).join(folder);
    let hidden = |path: &Path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(['.', '_']));
    let mut files: Vec<_> = contents(&folder).into_iter().filter(|(path, _)| !hidden(path)).collect();
    files.sort();
    let (path, whole) = files.into_iter().next().expect("the fixture has files");
    let name = path.file_name().expect("files have names").to_string_lossy().into_owned();
    (name, whole)
}

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(plain).expect("memory takes it");
    encoder.finish().expect("memory takes it")
}

fn zlib(plain: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(plain).expect("memory takes it");
    encoder.finish().expect("memory takes it")
}

/// Hadoop's framing of codecs without their own.
fn hadoop(plain: &[u8], pack: impl Fn(&[u8]) -> Vec<u8>) -> Vec<u8> {
    let length = |bytes: usize| u32::try_from(bytes).expect("small blocks").to_be_bytes();
    let mut all = Vec::new();
    for block in plain.chunks(4_096) {
        let packed = pack(block);
        all.extend(length(block.len()));
        all.extend(length(packed.len()));
        all.extend(packed);
    }
    all
}
