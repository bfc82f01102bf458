//! Looks at text files: their SerDe's properties, how they are packed, the order of their columns.
//!
//! In: a described table, its listed files. Out: its format and its columns in the order of the text's fields.

use std::path::Path;

use skein_protocol::inspection::SourceFormat;
use skein_protocol::problem::{Code, Problem};
use skein_protocol::types::DataType;

use super::column_order::{self, Cut, Sample};
use super::description::TableDescription;
use super::findings::Findings;
use super::format;
use super::inspect::{Look, Seen};
use super::listing::{Found, Listing};
use super::location::unreadable;
use super::places::Places;
use super::properties;
use super::seen_files::source_file;
use super::text::unclear_type;

/// Columns by their names.
type Columns = Vec<(String, DataType)>;

/// A SerDe that reads lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lines {
    /// LazySimpleSerDe.
    Delimited,
    /// OpenCSVSerde.
    OpenCsv,
    /// JsonSerDe.
    Json,
}

impl Look<'_> {
    /// Fills in what text files tell; the columns in the order of the text's fields, and as the SerDe has them.
    pub(super) fn text(
        &self,
        lines: Lines,
        table: &TableDescription,
        columns: Columns,
        listing: &Listing,
        seen: &mut Seen,
        findings: &mut Findings,
    ) -> Option<Columns> {
        let settings = match lines {
            Lines::Delimited => properties::text_format(&table.properties).map(SourceFormat::Text),
            Lines::OpenCsv => properties::open_csv_format(&table.properties).map(SourceFormat::OpenCsv),
            Lines::Json => properties::json_lines_format(&table.properties).map(SourceFormat::JsonLines),
        };
        let settings = match settings {
            Ok(settings) => settings,
            Err(why) => {
                findings.problem(
                    Code::FormatUnsupported,
                    "The text's format is not supported",
                    why,
                    "Copy the table to a plain one in Hive first",
                );
                return None;
            }
        };
        for found in &listing.files {
            check_packing(self.roots.places(), found, findings);
        }
        if findings.prevented() {
            return None;
        }
        let ordered = table.columns.ordered || columns.len() < 2;
        let columns = match &settings {
            SourceFormat::Text(format) if !ordered => {
                self.in_order(columns, &Cut::Delimited(format), listing, findings)?
            }
            SourceFormat::OpenCsv(format) => {
                let columns =
                    if ordered { columns } else { self.in_order(columns, &Cut::OpenCsv(format), listing, findings)? };
                as_strings(columns, findings)
            }
            SourceFormat::JsonLines(_) => {
                report_unclear(&columns, findings);
                columns
            }
            _ => columns,
        };
        seen.files = listing.files.iter().map(|found| source_file(found, None)).collect();
        seen.format = Some(settings);
        Some(columns)
    }

    fn in_order(&self, columns: Columns, cut: &Cut<'_>, listing: &Listing, findings: &mut Findings) -> Option<Columns> {
        match self.order(&columns, cut, listing) {
            Ok(found) => {
                findings.note(found.note);
                Some(found.order.into_iter().map(|column| columns[column].clone()).collect())
            }
            Err(problem) => {
                findings.add(problem);
                None
            }
        }
    }

    fn order(&self, columns: &Columns, cut: &Cut<'_>, listing: &Listing) -> Result<column_order::Found, Problem> {
        let paths: Vec<&Path> = listing.files.iter().map(|found| found.path.as_path()).collect();
        let folder = self.source.description_folder();
        let chosen = |columns: &Columns| {
            let sample = Sample::take(self.roots.places(), &paths, columns, cut)?;
            let hints = self.description.map(|description| {
                column_order::hints(self.dataset, columns, &sample, description, &folder, &self.roots)
            });
            column_order::choose(columns, &sample, &hints.unwrap_or_default()).map_err(unordered)
        };
        if !matches!(cut, Cut::OpenCsv(_)) {
            return chosen(columns);
        }
        // All columns are strings here, so the values tell nothing by themselves; other tables may know their types.
        let borrowed =
            self.description.map(|description| column_order::borrowed_types(self.dataset, columns, description));
        let mut found: Option<column_order::Found> = None;
        for (name, typed) in borrowed.unwrap_or_default() {
            let Ok(mut other) = chosen(&typed) else { continue };
            match &found {
                None => {
                    other.note.push_str(&format!(" The types that the values were held against are those of {name}."));
                    found = Some(other);
                }
                Some(found) if found.order != other.order => {
                    return Err(unordered("other tables with these columns suggest several orders".to_owned()));
                }
                Some(_) => {}
            }
        }
        found.map_or_else(|| chosen(columns), Ok)
    }
}

fn unordered(why: String) -> Problem {
    Problem::new(
        Code::DescriptionInvalid,
        "The order of the text's columns is not known: the description has sorted their names",
        why,
        "Describe the columns as a list of {\"name\", \"type\"} in the order of the table's definition",
    )
}

/// OpenCSVSerde's columns are strings, whatever the table's definition says.
fn as_strings(columns: Columns, findings: &mut Findings) -> Columns {
    if columns.iter().any(|(_, data_type)| *data_type != DataType::String) {
        findings.note(
            "OpenCSVSerde shows all columns as strings, and so they are migrated, whatever the description says.",
        );
    }
    columns.into_iter().map(|(name, _)| (name, DataType::String)).collect()
}

fn report_unclear(columns: &Columns, findings: &mut Findings) {
    for (name, data_type) in columns {
        if let Some(unclear) = unclear_type(data_type) {
            findings.problem(
                Code::TypeUnsupported,
                format!("Column {name:?} holds {unclear} in JSON"),
                "Hive's versions do not agree on how it is written there",
                "Describe it as a string, or copy the table to Parquet in Hive first",
            );
        }
    }
}

fn check_packing(places: &Places, found: &Found, findings: &mut Findings) {
    let other = match format::packing_of(places, &found.path, &found.relative) {
        Ok(Ok(_)) => return,
        Ok(Err(name)) => name,
        Err(error) => return findings.add(unreadable(&found.path, &error)),
    };
    findings.problem(
        Code::FormatUnsupported,
        format!("{:?} holds {other}", found.relative),
        "the table is described as text; text may be plain or packed with gzip, bzip2, zstd, deflate, snappy or lz4",
        "Rewrite the table in Hive without this compression, or correct its description",
    );
}
