//! Looks at one table: location, format, columns, files.
//!
//! In: a connection, a table's name. Out: [`Seen`], and everything that matters as problems and notes.
//! Not here: each of these steps (`location`, `format`, `columns`, `inspect_text`, `listing`, `seen_files`).

use skein_protocol::ids::TableName;
use skein_protocol::inspection::{AvroFormat, DescribedBy, Documentation, SourceColumn, SourceFile, SourceFormat};
use skein_protocol::problem::Code;
use skein_protocol::types::DataType;

use super::HiveSource;
use super::columns;
use super::described_partitions;
use super::description::{Description, TableDescription};
use super::findings::Findings;
use super::format::{self, Format, Magic};
use super::inspect_text::Lines;
use super::listing::{self, Listing, Partitions};
use super::location::{Located, Roots};
use super::metastore;
use super::partitions::is_valid;
use super::properties::avro_defaults;
use super::seen_files::{Tails, first_magic};
use super::tails::SelfTold;
use super::views;

/// What an inspection saw, apart from problems and notes.
pub(super) struct Seen {
    pub(super) location: String,
    pub(super) described_by: DescribedBy,
    pub(super) format: Option<SourceFormat>,
    pub(super) columns: Vec<SourceColumn>,
    pub(super) files: Vec<SourceFile>,
    pub(super) documentation: Documentation,
}

/// One look at one table.
pub(super) struct Look<'a> {
    pub(super) source: &'a HiveSource,
    pub(super) dataset: &'a TableName,
    pub(super) description: Option<&'a Description>,
    pub(super) described_by: DescribedBy,
    pub(super) roots: Roots,
}

impl Look<'_> {
    /// Looks at the table; stops where nothing more can be known.
    pub(super) fn at_table(&self, findings: &mut Findings) -> Seen {
        let described = self.description.and_then(|description| description.tables.get(self.dataset));
        let mut seen = Seen {
            location: String::new(),
            described_by: self.described_by.clone(),
            format: None,
            columns: Vec::new(),
            files: Vec::new(),
            documentation: described.map(|table| table.documentation.clone()).unwrap_or_default(),
        };
        match described {
            Some(table) => self.at_described(table, &mut seen, findings),
            None => self.at_folder(&mut seen, findings),
        }
        columns::report_ambiguous(&seen.columns, findings);
        seen
    }

    fn at_described(&self, table: &TableDescription, seen: &mut Seen, findings: &mut Findings) {
        if table.is_view() {
            return views::refuse(self.dataset, table, findings);
        }
        if table.properties.get("transactional").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
            return findings.problem(
                Code::LayoutUnsupported,
                "It is a transactional table",
                "base and delta folders would have to be merged row by row",
                "Copy it to a plain table in Hive first",
            );
        }
        if let Some(kept_by) = foreign(table) {
            return unsupported(&kept_by, "its properties say so", findings);
        }
        let named = format::described(table);
        if let Some(Format::Other(name)) = &named {
            return unsupported(name, "the table description says so", findings);
        }
        let located = match self.source.locate(self.dataset, Some(table), &self.roots) {
            Ok(located) => located,
            Err(problem) => return findings.add(problem),
        };
        seen.location = located.path.display().to_string();
        let file_columns = columns::typed(&table.columns.columns, findings);
        let partition_columns =
            columns::typed(&described_partitions::ordered_keys(table, &located, self.roots.places()), findings);
        if findings.prevented() || !self.has_folder(table, &located, findings) {
            return;
        }
        if file_columns.is_empty() {
            return findings.problem(
                Code::NoSchema,
                "The table has no columns",
                "the table description names none",
                "Describe its columns",
            );
        }
        if let Some(placed) = &table.placed {
            metastore::report(placed, findings);
        }
        let partitions = described_partitions::of_description(table, partition_columns.clone(), findings);
        let listing = listing::list(&located, &self.roots, &partitions, findings);
        if table.buckets > 0 {
            findings.note(format!(
                "The table is bucketed ({} buckets); its files are read as any others, and the target has no buckets.",
                table.buckets
            ));
        }
        let format = match named {
            Some(format) => format,
            None => match first_magic(self.roots.places(), &listing, findings) {
                Some(Magic::Other(name)) => return unsupported(name, "its files' first bytes say so", findings),
                Some(Magic::SelfTold(format)) => Format::SelfTold(format),
                None => Format::SelfTold(SelfTold::Parquet),
                Some(Magic::Packed(_) | Magic::Unknown) => Format::Text,
            },
        };
        let keys: Vec<String> = partition_columns.iter().map(|(name, _)| name.clone()).collect();
        let file_columns = match format {
            Format::SelfTold(format) => self.self_told(format, table, file_columns, &keys, &listing, seen, findings),
            Format::Text => self.text(Lines::Delimited, table, file_columns, &listing, seen, findings),
            Format::OpenCsv => self.text(Lines::OpenCsv, table, file_columns, &listing, seen, findings),
            Format::JsonLines => self.text(Lines::Json, table, file_columns, &listing, seen, findings),
            Format::Other(name) => return unsupported(&name, "the table description says so", findings),
        };
        if let Some(file_columns) = file_columns {
            seen.columns = with_partitions(file_columns, partition_columns);
        }
    }

    /// Fills in what files tell that name their columns.
    #[expect(clippy::too_many_arguments, reason = "one step of the look, cut out for its length")]
    fn self_told(
        &self,
        format: SelfTold,
        table: &TableDescription,
        columns: Vec<(String, DataType)>,
        keys: &[String],
        listing: &Listing,
        seen: &mut Seen,
        findings: &mut Findings,
    ) -> Option<Vec<(String, DataType)>> {
        let mut tails = Tails::read(self.roots.places(), format, listing, findings);
        let names: Vec<&str> = columns.iter().map(|(name, _)| name.as_str()).collect();
        if format == SelfTold::Orc && tails.name_by_position(&names) {
            if !table.columns.ordered {
                findings.problem(
                    Code::DescriptionInvalid,
                    "The order of the columns is not known: the description has sorted their names",
                    "some files do not name their columns, so that only their order tells which is which",
                    "Describe the columns as a list of {\"name\", \"type\"} in the order of the table's definition",
                );
                return None;
            }
            findings
                .note("Some files do not name their columns; there the columns are taken in the description's order.");
        }
        let paths = tails.paths(listing);
        columns::check(format, &columns, keys, &tails.known, &paths, findings);
        seen.format = Some(match format {
            SelfTold::Parquet => SourceFormat::Parquet,
            SelfTold::Orc => SourceFormat::Orc,
            SelfTold::Avro => SourceFormat::Avro(avro_format(table, &columns, &tails, findings)?),
        });
        seen.files = tails.files(listing);
        metastore::compare_statistics(table, seen.files.iter().map(|file| file.rows), findings);
        Some(columns)
    }

    /// Whether to go on without a folder: Hive shows an empty table then, unless partitions say that data is missing.
    fn has_folder(&self, table: &TableDescription, located: &Located, findings: &mut Findings) -> bool {
        // Where partitions have places of their own, those decide.
        if located.exists || table.placed.is_some() {
            return true;
        }
        let partitions = table.partitions.as_ref().map_or(0, Vec::len);
        if partitions > 0 {
            findings.problem(
                Code::SourceUnreadable,
                format!("{} does not exist", located.path.display()),
                format!("the description has {partitions} partitions of the table"),
                "Check the location, and whether its disk is mounted",
            );
            return false;
        }
        findings.note(format!(
            "{} does not exist: the table is taken as empty, as Hive shows it. Check that nothing is missing.",
            located.path.display()
        ));
        true
    }

    fn at_folder(&self, seen: &mut Seen, findings: &mut Findings) {
        let located = match self.source.locate(self.dataset, None, &self.roots) {
            Ok(located) => located,
            Err(problem) => return findings.add(problem),
        };
        seen.location = located.path.display().to_string();
        let listing = listing::list(&located, &self.roots, &Partitions::FromFolders, findings);
        let format = match first_magic(self.roots.places(), &listing, findings) {
            Some(Magic::SelfTold(format)) => format,
            Some(Magic::Other(name)) => return unsupported(name, "its files' first bytes say so", findings),
            Some(Magic::Packed(_) | Magic::Unknown) => {
                let why = "its files are no Parquet, ORC or Avro, and text does not tell its columns";
                return findings.problem(
                    Code::NoSchema,
                    "Nothing describes the table's columns",
                    why,
                    "Describe the table in the connection's description file",
                );
            }
            None if findings.prevented() => return,
            None => {
                let why = "it has no data file that could tell them";
                return findings.problem(
                    Code::NoSchema,
                    "Nothing describes the table's columns",
                    why,
                    "Describe the table, or leave it out",
                );
            }
        };
        let tails = Tails::read(self.roots.places(), format, &listing, findings);
        let columns = columns::from_tails(format, &listing.keys, &tails.known, &tails.paths(&listing), findings);
        findings.note(
            "Nothing describes the table: its columns were learnt from the files' footers or headers, and partition columns are strings.",
        );
        let keys = listing.keys.iter().map(|key| (key.clone(), DataType::String)).collect();
        seen.format = Some(match format {
            SelfTold::Parquet => SourceFormat::Parquet,
            SelfTold::Orc => SourceFormat::Orc,
            SelfTold::Avro => SourceFormat::Avro(AvroFormat::default()),
        });
        seen.files = tails.files(&listing);
        seen.columns = with_partitions(columns, keys);
    }
}

/// What keeps a table's rows, if that is not Hive: the files of its folder are none of a Hive table then.
fn foreign(table: &TableDescription) -> Option<String> {
    let property = |name: &str| table.properties.get(name).filter(|value| !value.is_empty());
    if property("table_type").is_some_and(|kind| kind.eq_ignore_ascii_case("ICEBERG")) {
        return Some("Iceberg".to_owned());
    }
    if let Some(handler) = property("storage_handler") {
        return Some(handler.rsplit('.').next().unwrap_or(handler).to_owned());
    }
    // Where Spark found no form that Hive can read, it says so by a format that its files do not have.
    let provider = property("spark.sql.sources.provider").filter(|provider| !provider.eq_ignore_ascii_case("hive"))?;
    let unreadable = table.input_format.as_ref().is_some_and(|class| class.ends_with("SequenceFileInputFormat"));
    unreadable.then(|| format!("{provider} of Spark's own"))
}

fn with_partitions(columns: Vec<(String, DataType)>, partitions: Vec<(String, DataType)>) -> Vec<SourceColumn> {
    let column = |partition| move |(name, data_type)| SourceColumn { name, data_type, partition };
    columns.into_iter().map(column(false)).chain(partitions.into_iter().map(column(true))).collect()
}

fn unsupported(name: &str, why: &str, findings: &mut Findings) {
    findings.problem(
        Code::FormatUnsupported,
        format!("The table's format is {name}"),
        format!(
            "{why}; Parquet, ORC, Avro, delimited text (LazySimpleSerDe), OpenCSVSerde and JsonSerDe can be migrated"
        ),
        "Copy the table to Parquet in Hive first, or leave it out",
    );
}

/// What the table's own Avro schema says of columns that files lack.
fn avro_format(
    table: &TableDescription,
    columns: &[(String, DataType)],
    tails: &Tails,
    findings: &mut Findings,
) -> Option<AvroFormat> {
    let known = match avro_defaults(&table.properties) {
        Ok(known) => known,
        Err(why) => {
            findings.problem(
                Code::DescriptionInvalid,
                "The table's Avro schema cannot be read",
                why,
                "Correct avro.schema.literal in the table description",
            );
            return None;
        }
    };
    let mut format = AvroFormat::default();
    for (name, data_type) in columns {
        if tails.known.iter().all(|tail| !tail.schema.positions(name).is_empty()) {
            continue;
        }
        match known.as_ref().map(|known| known.get(&name.to_lowercase())) {
            // The schema lies elsewhere, so nobody knows whether null is right.
            None => findings.problem(
                Code::SchemaConflict,
                format!("Column {name:?} is missing in some files, and its default is not known"),
                "the table's schema lies under avro.schema.url",
                "Describe the schema itself as avro.schema.literal",
            ),
            Some(None) => {}
            Some(Some(Some(text))) if is_valid(Some(text), data_type) => {
                findings.note(format!("Files that lack column {name:?} have its default {text:?} there."));
                format.defaults.insert(name.clone(), text.clone());
            }
            Some(Some(_)) => findings.problem(
                Code::TypeUnsupported,
                format!("The default of column {name:?} cannot be used"),
                format!("the table's Avro schema has a default that is no plain {data_type}"),
                "Rewrite the table in Hive, so that all files have the column",
            ),
        }
    }
    Some(format)
}
