//! What must hold of the readers of sources, whatever bytes they get.
//!
//! In: bytes. Out: nothing, or a panic. Not here: the list of targets (`crate::fuzzing`).

use std::fs::File;
use std::io::{self, Cursor, Read, Write};

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use skein_protocol::inspection::{OpenCsvFormat, SourceColumn, TextFormat};
use skein_protocol::types::DataType;

use super::text::{self, Record, TextReader, Unparsable};
use super::{avro, orc};
use crate::files::Opened;
use crate::types::source_schema;

/// Plain bytes at which unpacking is given up: a small input may hold any number of zeros.
const MOST_PLAIN_BYTES: u64 = 8 << 20;
/// Rows of one batch, when all are read at once.
const ALL: usize = 1 << 20;

/// Gives a few bytes at a time, so that every boundary falls somewhere.
struct Trickle<R> {
    stream: R,
    most: usize,
}

impl<R: Read> Read for Trickle<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = self.most.min(buffer.len());
        self.stream.read(&mut buffer[..most])
    }
}

/// An input's first byte, and the rest.
fn choice(bytes: &[u8]) -> (u8, &[u8]) {
    bytes.split_first().map_or((0, bytes), |(first, rest)| (*first, rest))
}

fn columns(types: &[&str]) -> Vec<SourceColumn> {
    let column = |(index, text): (usize, &&str)| SourceColumn {
        name: format!("c{index}"),
        data_type: text.parse().expect("it is a type of Hive"),
        partition: false,
    };
    types.iter().enumerate().map(column).collect()
}

/// What was read to the end, or why not.
type AllRows = Result<(RecordBatch, Vec<Unparsable>), String>;

fn rows(bytes: &[u8], piece: usize, batch_rows: usize, columns: &[SourceColumn], record: Record, skip: u32) -> AllRows {
    let stream = Trickle { stream: Cursor::new(bytes.to_vec()), most: piece };
    let mut reader = TextReader::new(Box::new(stream), columns, record, skip);
    let mut batches = Vec::new();
    while let Some(batch) = reader.next_batch(batch_rows).map_err(|error| error.to_string())? {
        assert!((1..=batch_rows).contains(&batch.num_rows()));
        batches.push(batch);
    }
    let all = concat_batches(&source_schema(columns), &batches).map_err(|error| error.to_string())?;
    Ok((all, reader.unparsable().to_vec()))
}

/// However a file is cut into pieces and batches, its rows are the same, or the same is wrong.
fn same_rows(bytes: &[u8], types: &[&str], skip: u32, record: impl Fn() -> Record) {
    let columns = columns(types);
    let whole = rows(bytes, usize::MAX, ALL, &columns, record(), skip);
    let pieces = rows(bytes, 3, 2, &columns, record(), skip);
    assert!(whole == pieces, "{whole:?}\nand\n{pieces:?}");
}

const PLAIN: [&str; 11] = [
    "int",
    "string",
    "double",
    "decimal(10,2)",
    "date",
    "timestamp",
    "boolean",
    "char(3)",
    "varchar(2)",
    "binary",
    "tinyint",
];
const NESTED: [&str; 4] =
    ["array<int>", "map<string,array<double>>", "struct<a:int,b:array<struct<c:date,d:string>>>", "bigint"];

/// LazySimpleSerDe.
pub(crate) fn text(bytes: &[u8]) {
    let (first, rest) = choice(bytes);
    let mut format = TextFormat::default();
    if first & 1 > 0 {
        format.separators = vec![b',', b';', b':', b'|', 5, 6, 7, 8];
    }
    format.escape = (first & 2 > 0).then_some(b'\\');
    format.last_column_takes_rest = first & 4 > 0;
    let types = if first & 8 > 0 { NESTED.as_slice() } else { PLAIN.as_slice() };
    same_rows(rest, types, u32::from(first >> 4) % 3, || Record::Delimited(format.clone()));
}

/// OpenCSVSerde.
pub(crate) fn opencsv(bytes: &[u8]) {
    let (first, rest) = choice(bytes);
    let mut format = OpenCsvFormat::default();
    if first & 1 > 0 {
        (format.separator, format.quote, format.escape) = (b'\t', b'\'', b'\'');
    }
    same_rows(rest, &["string"; 4], u32::from(first >> 4) % 3, || Record::OpenCsv(format.clone()));
}

/// JsonSerDe; what another reader of JSON takes for objects is taken here.
pub(crate) fn json_lines(bytes: &[u8]) {
    let (first, rest) = choice(bytes);
    let types = if first & 1 > 0 { NESTED.as_slice() } else { PLAIN.as_slice() };
    same_rows(rest, types, 0, || Record::JsonLines);
    let lines = rest.split(|byte| b"\r\n".contains(byte));
    for line in lines.filter_map(|line| std::str::from_utf8(line).ok()) {
        let line = line.trim_start_matches('\u{feff}');
        if let Ok(serde_json::Value::Object(_)) = serde_json::from_str(line) {
            let found = text::json_syntax(line);
            assert!(found.is_ok(), "{line:?}: {found:?}");
        }
    }
}

/// A file of these bytes that has no name.
fn file_of(bytes: &[u8]) -> Opened {
    let descriptor = rustix::fs::memfd_create("input", rustix::fs::MemfdFlags::CLOEXEC).expect("memory has files");
    let mut file = File::from(descriptor);
    file.write_all(bytes).expect("memory takes it");
    Opened::local(file).expect("it has a length")
}

/// Packed text: unpacked, and the same when it is asked for in small pieces.
pub(crate) fn packed_text(bytes: &[u8]) {
    let (first, rest) = choice(bytes);
    let names = ["f", "f.gz", "f.bz2", "f.zst", "f.deflate", "f.snappy", "f.lz4"];
    let name = names[usize::from(first) % names.len()];
    let file = file_of(rest);
    let plain = |piece: usize| -> Result<Vec<u8>, String> {
        let mut plain = Vec::new();
        let stream = text::open(&file, name).map_err(|error| error.to_string())?;
        let mut stream = Trickle { stream: stream.take(MOST_PLAIN_BYTES), most: piece };
        stream.read_to_end(&mut plain).map_err(|error| error.to_string())?;
        Ok(plain)
    };
    assert!(plain(usize::MAX) == plain(7), "{name}");
}

/// Avro's header and blocks, as the decoder is given them: the rows are those that were counted.
pub(crate) fn avro_blocks(bytes: &[u8]) {
    if let Ok((counted, given)) = avro::counted_and_given(file_of(bytes)) {
        assert_eq!(counted, given);
    }
}

/// What ORC's tail is looked at for before the decoder sees it.
pub(crate) fn orc_tail(bytes: &[u8]) {
    // Whatever it says; it must end.
    drop(orc::look_at(file_of(bytes)));
}

/// Types of columns: what is shown of one is read as the same.
pub(crate) fn hive_type(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(data_type) = text.parse::<DataType>() {
        assert_eq!(data_type.to_string().parse::<DataType>(), Ok(data_type), "{text:?}");
    }
}
