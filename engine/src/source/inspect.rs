//! Looks at one table: location, format, columns, files.
//!
//! In: a connection, a table's name. Out: [`Seen`], and everything that matters as problems and notes.
//! Not here: each of these steps (`location`, `format`, `columns`, `column_order`, `listing`).

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use skein_protocol::ids::TableName;
use skein_protocol::inspection::{DescribedBy, SourceColumn, SourceFile, SourceFormat};
use skein_protocol::problem::Code;
use skein_protocol::types::DataType;

use super::HiveSource;
use super::column_order::{self, Sample};
use super::columns;
use super::description::{DescribedColumn, Description, TableDescription};
use super::findings::Findings;
use super::format::{self, Format, Magic};
use super::listing::{self, Found, Listing, Partitions};
use super::location::{Located, Roots, unreadable};
use super::parquet::{Footer, FooterError, footers};
use super::partitions;
use super::properties;

/// What an inspection saw, apart from problems and notes.
pub(super) struct Seen {
    pub(super) location: String,
    pub(super) described_by: DescribedBy,
    pub(super) format: Option<SourceFormat>,
    pub(super) columns: Vec<SourceColumn>,
    pub(super) files: Vec<SourceFile>,
}

/// One look at one table.
pub(super) struct Look<'a> {
    pub(super) source: &'a HiveSource,
    pub(super) dataset: &'a TableName,
    pub(super) description: Option<&'a Description>,
    pub(super) roots: Roots,
}

impl Look<'_> {
    /// Looks at the table; stops where nothing more can be known.
    pub(super) fn at_table(&self, findings: &mut Findings) -> Seen {
        let described = self.description.and_then(|description| description.tables.get(self.dataset));
        let described_by = if described.is_some() { DescribedBy::Description } else { DescribedBy::Footers };
        let mut seen =
            Seen { location: String::new(), described_by, format: None, columns: Vec::new(), files: Vec::new() };
        match described {
            Some(table) => self.at_described(table, &mut seen, findings),
            None => self.at_folder(&mut seen, findings),
        }
        columns::report_ambiguous(&seen.columns, findings);
        seen
    }

    fn at_described(&self, table: &TableDescription, seen: &mut Seen, findings: &mut Findings) {
        if table.is_view() {
            return findings.problem(
                Code::NotATable,
                format!("It is a {}", table.kind.to_ascii_lowercase().replace('_', " ")),
                "it has no files of its own",
                "Migrate the tables that it reads, and create it anew over their targets",
            );
        }
        if table.properties.get("transactional").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
            return findings.problem(
                Code::LayoutUnsupported,
                "It is a transactional table",
                "base and delta folders would have to be merged row by row",
                "Copy it to a plain table in Hive first",
            );
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
        let partition_columns = columns::typed(&ordered_keys(table, &located), findings);
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
        let partitions = partitions_of(table, partition_columns.clone(), findings);
        let listing = listing::list(&located, &self.roots, &partitions, findings);
        if table.buckets > 0 {
            findings.note(format!(
                "The table is bucketed ({} buckets); its files are read as any others, and the target has no buckets.",
                table.buckets
            ));
        }
        let text = match named {
            Some(Format::Text) => true,
            Some(_) => false,
            None => match first_magic(&listing, findings) {
                Some(Magic::Other(name)) => return unsupported(name, "its files' first bytes say so", findings),
                Some(Magic::Parquet) | None => false,
                Some(Magic::Gzip | Magic::Unknown) => true,
            },
        };
        let keys: Vec<String> = partition_columns.iter().map(|(name, _)| name.clone()).collect();
        let file_columns = if text {
            self.text(table, file_columns, &listing, seen, findings)
        } else {
            let footers = read_footers(&listing, findings);
            columns::check(&file_columns, &keys, &footers.known, &footers.paths(&listing), findings);
            seen.format = Some(SourceFormat::Parquet);
            seen.files = files(&listing, &footers);
            Some(file_columns)
        };
        if let Some(file_columns) = file_columns {
            seen.columns = with_partitions(file_columns, partition_columns);
        }
    }

    /// Whether to go on without a folder: Hive shows an empty table then, unless partitions say that data is missing.
    fn has_folder(&self, table: &TableDescription, located: &Located, findings: &mut Findings) -> bool {
        if located.exists {
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

    /// Fills in what text files tell; the columns in the order of the text's fields.
    fn text(
        &self,
        table: &TableDescription,
        columns: Vec<(String, DataType)>,
        listing: &Listing,
        seen: &mut Seen,
        findings: &mut Findings,
    ) -> Option<Vec<(String, DataType)>> {
        let settings = match properties::text_format(&table.properties) {
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
            check_text(found, findings);
        }
        if findings.prevented() {
            return None;
        }
        let columns =
            if table.columns.ordered { columns } else { self.in_order(columns, &settings, listing, findings)? };
        seen.files = listing.files.iter().map(|found| source_file(found, None)).collect();
        seen.format = Some(SourceFormat::Text(settings));
        Some(columns)
    }

    fn in_order(
        &self,
        columns: Vec<(String, DataType)>,
        settings: &skein_protocol::inspection::TextFormat,
        listing: &Listing,
        findings: &mut Findings,
    ) -> Option<Vec<(String, DataType)>> {
        let paths: Vec<&Path> = listing.files.iter().map(|found| found.path.as_path()).collect();
        let sample = match Sample::take(&paths, &columns, settings) {
            Ok(sample) => sample,
            Err(problem) => {
                findings.add(problem);
                return None;
            }
        };
        let folder = self.source.description_folder();
        let hints = self
            .description
            .map(|description| column_order::hints(self.dataset, &columns, &sample, description, &folder, &self.roots));
        match column_order::choose(&columns, &sample, &hints.unwrap_or_default()) {
            Ok(found) => {
                findings.note(found.note);
                Some(found.order.into_iter().map(|column| columns[column].clone()).collect())
            }
            Err(why) => {
                findings.problem(
                    Code::DescriptionInvalid,
                    "The order of the text's columns is not known: the description has sorted their names",
                    why,
                    "Describe the columns as a list of {\"name\", \"type\"} in the order of the table's definition",
                );
                None
            }
        }
    }

    fn at_folder(&self, seen: &mut Seen, findings: &mut Findings) {
        let located = match self.source.locate(self.dataset, None, &self.roots) {
            Ok(located) => located,
            Err(problem) => return findings.add(problem),
        };
        seen.location = located.path.display().to_string();
        let listing = listing::list(&located, &self.roots, &Partitions::FromFolders, findings);
        match first_magic(&listing, findings) {
            Some(Magic::Parquet) => {}
            Some(Magic::Other(name)) => return unsupported(name, "its files' first bytes say so", findings),
            Some(Magic::Gzip | Magic::Unknown) => {
                let why = "its files are not Parquet, and text does not tell its columns";
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
        }
        let footers = read_footers(&listing, findings);
        let columns = columns::from_footers(&listing.keys, &footers.known, &footers.paths(&listing), findings);
        findings.note("Nothing describes the table: its columns were learnt from the files' footers, and partition columns are strings.");
        let keys = listing.keys.iter().map(|key| (key.clone(), DataType::String)).collect();
        seen.format = Some(SourceFormat::Parquet);
        seen.files = files(&listing, &footers);
        seen.columns = with_partitions(columns, keys);
    }
}

/// What is known of the partitions of a planned table.
pub(super) fn partitions(
    described: Option<&TableDescription>,
    columns: Vec<(String, DataType)>,
    findings: &mut Findings,
) -> Partitions {
    match described {
        Some(table) => partitions_of(table, columns, findings),
        None => Partitions::Described { columns, known: None },
    }
}

fn partitions_of(table: &TableDescription, columns: Vec<(String, DataType)>, findings: &mut Findings) -> Partitions {
    let Some(texts) = table.partitions.as_ref().filter(|_| !columns.is_empty()) else {
        return Partitions::Described { columns, known: None };
    };
    let mut known = HashSet::with_capacity(texts.len());
    for text in texts {
        let levels = partitions::specification(text).and_then(|levels| {
            let same = levels.len() == columns.len()
                && levels.iter().zip(&columns).all(|(level, (name, _))| level.key.eq_ignore_ascii_case(name));
            if same { Ok(levels) } else { Err(format!("{text:?} does not name the partition columns in their order")) }
        });
        match levels {
            Ok(levels) => drop(known.insert(levels.into_iter().map(|level| level.value).collect())),
            Err(why) => findings.problem(
                Code::DescriptionInvalid,
                "A described partition is not readable",
                why,
                "Correct the table description",
            ),
        }
    }
    Partitions::Described { columns, known: Some(known) }
}

/// The partition columns in the order of the folders, where the description's own order tells nothing.
fn ordered_keys(table: &TableDescription, located: &Located) -> Vec<DescribedColumn> {
    let columns = &table.partition_columns.columns;
    if table.partition_columns.ordered {
        return columns.clone();
    }
    let described = table.partitions.iter().flatten().next();
    let keys: Vec<String> = match described.and_then(|text| partitions::specification(text).ok()) {
        Some(levels) => levels.into_iter().map(|level| level.key).collect(),
        None => keys_on_disk(&located.path, columns.len()),
    };
    let in_order: Vec<DescribedColumn> = keys
        .iter()
        .filter_map(|key| columns.iter().find(|column| column.name.eq_ignore_ascii_case(key)))
        .cloned()
        .collect();
    // If they do not fit, the walk over the folders says where.
    if in_order.len() == columns.len() && keys.len() == columns.len() { in_order } else { columns.clone() }
}

fn keys_on_disk(folder: &Path, most: usize) -> Vec<String> {
    let mut keys = Vec::new();
    let mut folder = folder.to_owned();
    while keys.len() < most {
        let Ok(entries) = fs::read_dir(&folder) else { return keys };
        let next = entries.flatten().find_map(|entry| {
            let key_value = partitions::key_value(entry.file_name().to_str()?)?.ok()?;
            entry.path().is_dir().then(|| (key_value.key, entry.path()))
        });
        let Some((key, path)) = next else { return keys };
        keys.push(key);
        folder = path;
    }
    keys
}

fn with_partitions(columns: Vec<(String, DataType)>, partitions: Vec<(String, DataType)>) -> Vec<SourceColumn> {
    let column = |partition| move |(name, data_type)| SourceColumn { name, data_type, partition };
    columns.into_iter().map(column(false)).chain(partitions.into_iter().map(column(true))).collect()
}

fn unsupported(name: &str, why: &str, findings: &mut Findings) {
    findings.problem(
        Code::FormatUnsupported,
        format!("The table's format is {name}"),
        format!("{why}; Parquet and delimited text (LazySimpleSerDe) can be migrated"),
        "Copy the table to Parquet in Hive first, or leave it out",
    );
}

fn first_magic(listing: &Listing, findings: &mut Findings) -> Option<Magic> {
    let first = listing.files.first()?;
    match format::magic_of(&first.path) {
        Ok(magic) => Some(magic),
        Err(error) => {
            findings.add(unreadable(&first.path, &error));
            None
        }
    }
}

fn check_text(found: &Found, findings: &mut Findings) {
    let other = match format::magic_of(&found.path) {
        Ok(Magic::Gzip) => return,
        Ok(Magic::Unknown) => format::nameless_codec(&found.relative),
        Ok(Magic::Parquet) => Some("Parquet"),
        Ok(Magic::Other(name)) => Some(name),
        Err(error) => return findings.add(unreadable(&found.path, &error)),
    };
    if let Some(name) = other {
        findings.problem(
            Code::FormatUnsupported,
            format!("{:?} holds {name}", found.relative),
            "the table is described as text; text may be plain or packed with gzip",
            "Rewrite the table in Hive without this compression, or correct its description",
        );
    }
}

/// Footers of a table's files; those that could not be read are problems.
struct Footers {
    known: Vec<Footer>,
    /// Position among the listed files, for each known footer.
    of: Vec<usize>,
}

impl Footers {
    fn paths<'a>(&self, listing: &'a Listing) -> Vec<&'a str> {
        self.of.iter().map(|file| listing.files[*file].relative.as_str()).collect()
    }
}

fn read_footers(listing: &Listing, findings: &mut Findings) -> Footers {
    let paths: Vec<&Path> = listing.files.iter().map(|found| found.path.as_path()).collect();
    let mut all = Footers { known: Vec::with_capacity(paths.len()), of: Vec::with_capacity(paths.len()) };
    for (index, footer) in footers(&paths).into_iter().enumerate() {
        match footer {
            Ok(footer) => {
                all.known.push(footer);
                all.of.push(index);
            }
            Err(FooterError::Io(error)) => findings.add(unreadable(paths[index], &error)),
            Err(FooterError::Damaged(why)) => damaged(&listing.files[index], why, findings),
        }
    }
    all
}

fn damaged(found: &Found, why: String, findings: &mut Findings) {
    match format::magic_of(&found.path) {
        Ok(Magic::Other(name)) => findings.problem(
            Code::FormatUnsupported,
            format!("{:?} holds {name}", found.relative),
            "the table's files are Parquet",
            "Rewrite the file in Hive, or move it out of the table's folder",
        ),
        _ => findings.problem(
            Code::FileDamaged,
            format!("{:?} is no whole Parquet file", found.relative),
            why,
            "Restore it from its origin, or move it out of the table's folder",
        ),
    }
}

fn files(listing: &Listing, footers: &Footers) -> Vec<SourceFile> {
    let mut known: Vec<Option<&Footer>> = vec![None; listing.files.len()];
    for (footer, file) in footers.known.iter().zip(&footers.of) {
        known[*file] = Some(footer);
    }
    listing.files.iter().zip(known).map(|(found, footer)| source_file(found, footer)).collect()
}

/// A listed file in the form of the plan.
pub(super) fn source_file(found: &Found, footer: Option<&Footer>) -> SourceFile {
    SourceFile {
        path: found.relative.clone(),
        bytes: found.identity.bytes,
        modified_nanos: found.identity.modified_nanos,
        version: found.identity.version.clone(),
        partition: found.partition.clone(),
        rows: footer.map(|footer| footer.row_groups.iter().fold(0, |sum: u64, rows| sum.saturating_add(*rows))),
        row_groups: footer.map(|footer| footer.row_groups.clone()).unwrap_or_default(),
    }
}
