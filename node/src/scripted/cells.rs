//! What stands in the rows of a scripted source: every cell follows from the row's number.
//!
//! In: a number, a partition. Out: columns and cells, as texts. Holds: the rule that makes cells of a number, with nulls
//! in two columns. Not here: what becomes of rows (`rows`, and independently of that `recipe`).

use skein_protocol::inspection::SourceColumn;
use skein_protocol::types::DataType;

/// A value as text; nothing for null.
pub(super) type Cell = Option<String>;

/// Every so many-th row has no name.
const NAMELESS: u64 = 5;
/// Rows whose number leaves [`UNPLAYED_REST`] when it is divided by this have no number of plays.
const UNPLAYED: u64 = 7;
const UNPLAYED_REST: u64 = 3;
/// Numbers of plays are below this.
const MOST_PLAYS: u64 = 100;
/// So many consecutive numbers have one artist.
const ROWS_OF_AN_ARTIST: u64 = 10;

/// The columns of a source.
pub(super) fn columns(partitioned: bool) -> Vec<SourceColumn> {
    let column = |name: &str, data_type, partition| SourceColumn { name: name.to_owned(), data_type, partition };
    let mut columns = vec![
        column("id", DataType::BigInt, false),
        column("name", DataType::String, false),
        column("plays", DataType::BigInt, false),
        column("artist", DataType::BigInt, false),
    ];
    if partitioned {
        columns.push(column("part", DataType::String, true));
    }
    columns
}

/// The cells of one row, in the order of the columns.
pub(super) fn cells(value: u64, part: Option<u32>) -> Vec<Cell> {
    let mut cells = vec![
        Some(value.to_string()),
        (!value.is_multiple_of(NAMELESS)).then(|| format!("n{value}")),
        (value % UNPLAYED != UNPLAYED_REST).then(|| (value % MOST_PLAYS).to_string()),
        Some((value / ROWS_OF_AN_ARTIST).to_string()),
    ];
    cells.extend(part.map(|part| Some(part_name(part))));
    cells
}

/// The value of the partition column.
pub(super) fn part_name(part: u32) -> String {
    format!("p{part}")
}

/// Bytes that differ for different lists of cells.
pub(super) fn encode<'a>(cells: impl Iterator<Item = &'a Cell>, bytes: &mut Vec<u8>) {
    for cell in cells {
        match cell {
            None => bytes.push(0),
            Some(text) => {
                bytes.push(1);
                bytes.extend_from_slice(&(text.len() as u64).to_le_bytes());
                bytes.extend_from_slice(text.as_bytes());
            }
        }
    }
}
