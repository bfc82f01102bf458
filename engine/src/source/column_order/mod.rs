//! Finds the order of a text table's columns where its description does not tell.
//!
//! In: columns by name, the text files, hints from other tables. Out: the order and a sentence that says how it was
//! found, or the reason why none could be chosen.
//!
//! Text has fields by position only. A description whose columns are an object with sorted keys has lost the
//! order of the table's definition. Three things can bring it back, and each is held against the data:
//! 1. the types: only one order under which all sampled values can be read;
//! 2. a hint: a header line, or a table of the same database that has the same columns in a known order;
//! 3. the writing: only one order under which all sampled values look as Hive writes them.
//!
//! Anything less is a guess, and refused.

mod matching;
mod plausible;
mod sample;
mod siblings;

use skein_protocol::types::DataType;

use matching::{Matching, matching};
pub(super) use sample::{Cut, Sample};
pub(super) use siblings::{borrowed_types, hints};

/// Most columns of a table whose order is looked for: the search grows with their square.
const MAX_COLUMNS: usize = 1_000;
/// Fewest sampled rows for which the writing alone decides: a few rows look alike by chance.
const FEWEST_ROWS_FOR_WRITING: usize = 20;
/// Orders are printed with at most this many names.
const MAX_PRINTED: usize = 60;

/// A possible order, and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hint {
    /// The described column's position for each field of the text.
    pub(super) order: Vec<usize>,
    /// Its origin, as the end of a sentence: `the files of music.plays, which have these columns, too`.
    pub(super) origin: String,
}

/// The order that was found.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// The described column's position for each field of the text.
    pub(super) order: Vec<usize>,
    /// How it was found.
    pub(super) note: String,
}

/// Chooses the order of `columns`; an error says why none can be chosen.
pub(super) fn choose(columns: &[(String, DataType)], sample: &Sample, hints: &[Hint]) -> Result<Found, String> {
    let names = |order: &[usize]| {
        let all: Vec<&str> = order.iter().take(MAX_PRINTED).map(|column| columns[*column].0.as_str()).collect();
        format!("{}{}", all.join(", "), if order.len() > MAX_PRINTED { ", …" } else { "" })
    };
    let found = |order: Vec<usize>, how: &str| {
        let note = format!(
            "The description names the columns in sorted order, which tells nothing of the order of the text's fields. They are read as {}: {how}. \
             {} sampled rows of {} files were held against it. Check it before you approve, or describe the columns as a list.",
            names(&order),
            sample.rows,
            sample.files
        );
        Ok(Found { order, note })
    };
    let sorted: Vec<usize> = (0..columns.len()).collect();
    if sample.rows == 0 {
        return found(sorted, "there are no rows that could be misread");
    }
    if columns.len() > MAX_COLUMNS {
        return Err(format!(
            "the description has sorted their names, and {} columns are too many to look for their order",
            columns.len()
        ));
    }
    if sample.fields > columns.len() {
        return Err(format!("rows have up to {} fields, the description has {} columns", sample.fields, columns.len()));
    }
    let readable = matching(columns.len(), |column, field| sample.is_readable(field, column));
    match readable {
        Matching::One(order) => return found(order, "no other order lets every value be read as its column's type"),
        Matching::None => {
            return Err(
                "under no order of the columns can all sampled values be read as their column's type".to_owned()
            );
        }
        Matching::Many => {}
    }
    let written = matching(columns.len(), |column, field| sample.is_written(field, column));
    let fits = |hint: &&Hint| hint.order.iter().enumerate().all(|(field, column)| sample.is_readable(field, *column));
    let mut fitting: Vec<&Hint> = hints.iter().filter(fits).collect();
    fitting.dedup_by(|a, b| a.order == b.order);
    match (fitting.as_slice(), written) {
        ([hint], Matching::One(order)) if hint.order != order => Err(format!(
            "the order {} comes from {}, but the values look like {}",
            names(&hint.order),
            hint.origin,
            names(&order)
        )),
        ([hint], _) => found(
            hint.order.clone(),
            &format!("that is their order in {}, and every value can be read so", hint.origin),
        ),
        ([], Matching::One(order)) if sample.rows >= FEWEST_ROWS_FOR_WRITING => {
            found(order, "no other order lets every value look as Hive writes its column's type")
        }
        ([], _) => Err(
            "several orders of the columns fit the data, and no header line or table with the same columns tells which"
                .to_owned(),
        ),
        ([one, other, ..], _) => Err(format!(
            "{} comes from {}, but {} comes from {}",
            names(&one.order),
            one.origin,
            names(&other.order),
            other.origin
        )),
    }
}

#[cfg(test)]
mod tests;
