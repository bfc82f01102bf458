//! What a metastore says of a table, as a description.
//!
//! In: a connection's configuration, the metastore's objects. Out: names, [`Said`]. Holds: which differences of a partition
//! from its table matter. Nothing is remembered between two looks. Not here: the calls (`crate::metastore`), folders (`listing`).

use std::collections::BTreeSet;
use std::path::Path;

use sha2::{Digest, Sha256};
use skein_protocol::connection::HiveMetastore;
use skein_protocol::data_plane::Failure;
use skein_protocol::hash::Hash256;
use skein_protocol::ids::TableName;
use skein_protocol::inspection::{Documentation, HIVE_NULL_PARTITION};
use skein_protocol::problem::Code;

use super::description::{DescribedColumn, DescribedColumns, TableDescription};
use super::findings::Findings;
use super::format::{self, Format};
use super::properties::{self, Properties};
use crate::metastore::{Column, MetastoreError, Partition, Session, Storage, Table};

/// Properties that tell how large a table was or when it was touched: they change without any change of its rows' meaning.
const INCIDENTAL: [&str; 11] = [
    "numRows",
    "rawDataSize",
    "totalSize",
    "numFiles",
    "numPartitions",
    "numFilesErasureCoded",
    "transient_lastDdlTime",
    "COLUMN_STATS_ACCURATE",
    "last_modified_by",
    "last_modified_time",
    "comment",
];
/// Where Hive and Spark keep how many rows they have counted.
const ROW_COUNTS: [&str; 2] = ["numRows", "spark.sql.statistics.numRows"];
/// Beginning of the names of Spark's statistics.
const SPARK_STATISTICS: &str = "spark.sql.statistics.";

/// A metastore as a source of descriptions.
#[derive(Debug)]
pub(super) struct MetastoreTables {
    pub(super) config: HiveMetastore,
}

/// What a metastore said of one table.
#[derive(Debug)]
pub(super) struct Said {
    /// The description.
    pub(super) table: TableDescription,
    /// Hash of all of it that matters for the rows.
    pub(super) hash: Hash256,
}

/// A partition that the metastore has.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct PlacedPartition {
    /// Values of the partition columns, as the metastore has them; none for Hive's null.
    pub(super) values: Vec<Option<String>>,
    /// Its location as written.
    pub(super) location: String,
    /// How it differs from its table.
    pub(super) differs: Differs,
    /// Its rows, as its statistics have them.
    pub(super) rows: Option<u64>,
}

/// How a partition's own description differs from its table's.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Differs {
    /// In nothing that matters.
    No,
    /// It has only the table's first columns: others were added later.
    FewerColumns,
    /// In a way that gives its rows another meaning.
    Meaning(String),
}

impl PlacedPartition {
    /// The partition in the form that people know it in.
    pub(super) fn name(&self) -> String {
        let values = self.values.iter().map(|value| value.as_deref().unwrap_or(HIVE_NULL_PARTITION));
        values.collect::<Vec<_>>().join("/")
    }
}

impl MetastoreTables {
    /// All tables and views.
    pub(super) fn names(&self) -> Result<BTreeSet<TableName>, Failure> {
        self.read_names().map_err(MetastoreError::into_failure)
    }

    fn read_names(&self) -> Result<BTreeSet<TableName>, MetastoreError> {
        let mut session = Session::open(self.config.service())?;
        let mut names = BTreeSet::new();
        for database in session.databases()? {
            let tables = session.tables(&database)?;
            names.extend(tables.into_iter().map(|table| name_of(&database, &table)));
        }
        Ok(names)
    }

    /// What it says of `dataset` now; none if it has no such table.
    pub(super) fn describe(&self, dataset: &TableName) -> Result<Option<Said>, Failure> {
        self.read(dataset).map_err(|error| {
            let failure = error.into_failure();
            Failure { problem: failure.problem.of(dataset), ..failure }
        })
    }

    fn read(&self, dataset: &TableName) -> Result<Option<Said>, MetastoreError> {
        let mut session = Session::open(self.config.service())?;
        let Some(table) = session.table(dataset)? else { return Ok(None) };
        let mut partitions = Vec::new();
        if !table.partition_columns.is_empty() {
            let own = Own::of(&table.storage, &table.properties);
            session.partitions(dataset, |partition| partitions.push(own.place(partition)))?;
        }
        // Their order in the answers says nothing.
        partitions.sort_unstable();
        let hash = hash(&table, &partitions);
        Ok(Some(Said { table: description(table, partitions), hash }))
    }
}

fn name_of(database: &str, table: &str) -> TableName {
    TableName::new(database.to_lowercase(), table.to_lowercase())
}

/// A table's storage, against which those of its partitions are held.
struct Own<'a> {
    storage: &'a Storage,
    properties: Properties,
    format: Option<Format>,
}

impl<'a> Own<'a> {
    fn of(storage: &'a Storage, properties: &Properties) -> Self {
        let properties = merged(properties, storage);
        Self { storage, properties, format: format::of_classes(&storage.serde, &storage.input_format) }
    }

    /// Keeps of a partition what matters.
    fn place(&self, partition: Partition) -> PlacedPartition {
        let null = |value: String| (value != HIVE_NULL_PARTITION).then_some(value);
        let differs = self.differs(&partition);
        PlacedPartition {
            values: partition.values.into_iter().map(null).collect(),
            location: partition.storage.location.unwrap_or_default(),
            differs,
            rows: rows(&partition.properties),
        }
    }

    fn differs(&self, partition: &Partition) -> Differs {
        let theirs = &partition.storage;
        let format = format::of_classes(&theirs.serde, &theirs.input_format);
        if format != self.format {
            let class = theirs.serde.as_deref().or(theirs.input_format.as_deref()).unwrap_or("none");
            return Differs::Meaning(format!("its SerDe is {class}"));
        }
        let text = format == Some(Format::Text);
        if text {
            let mut properties = self.properties.clone();
            properties.extend(partition.properties.clone());
            properties.extend(theirs.serde_properties.clone());
            if properties::text_format(&properties) != properties::text_format(&self.properties) {
                return Differs::Meaning("its text has other separators or properties".to_owned());
            }
        }
        for (number, (ours, theirs)) in self.storage.columns.iter().zip(&theirs.columns).enumerate() {
            let position = number + 1;
            // Hive finds the columns of a partition by position in its table's, whatever the format is.
            if !text && !ours.name.eq_ignore_ascii_case(&theirs.name) {
                let (ours, theirs) = (&ours.name, &theirs.name);
                return Differs::Meaning(format!("its column {position} is {theirs:?}, the table's is {ours:?}"));
            }
            if text && !same_type(&ours.type_text, &theirs.type_text) {
                let (name, ours, theirs) = (&ours.name, &ours.type_text, &theirs.type_text);
                return Differs::Meaning(format!("its column {name:?} is {theirs}, the table's is {ours}"));
            }
        }
        if theirs.columns.len() < self.storage.columns.len() { Differs::FewerColumns } else { Differs::No }
    }
}

fn same_type(one: &str, other: &str) -> bool {
    let plain = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>().to_lowercase();
    one == other || plain(one) == plain(other)
}

/// Properties of a table and of its SerDe; the SerDe's come first.
fn merged(table: &Properties, storage: &Storage) -> Properties {
    let mut properties = table.clone();
    properties.extend(storage.serde_properties.clone());
    properties
}

fn description(table: Table, partitions: Vec<PlacedPartition>) -> TableDescription {
    let properties = merged(&table.properties, &table.storage);
    let all = table.storage.columns.iter().chain(&table.partition_columns);
    let columns = all.filter_map(|column| Some((column.name.clone(), column.comment.clone()?))).collect();
    let comment = table.properties.get("comment").filter(|comment| !comment.is_empty()).cloned();
    let documentation = Documentation { owner: table.owner, comment, columns };
    let partitioned = !table.partition_columns.is_empty();
    TableDescription {
        kind: table.kind,
        columns: described(table.storage.columns),
        partition_columns: described(table.partition_columns),
        partitions: None,
        placed: partitioned.then_some(partitions),
        serde: table.storage.serde,
        input_format: table.storage.input_format,
        properties,
        location: table.storage.location,
        buckets: u64::try_from(table.storage.buckets).unwrap_or(0),
        view_text: table.view_text,
        documentation,
    }
}

fn described(columns: Vec<Column>) -> DescribedColumns {
    let column = |column: Column| DescribedColumn { name: column.name, type_text: column.type_text };
    DescribedColumns { columns: columns.into_iter().map(column).collect(), ordered: true }
}

/// Hash of everything that says where rows are and what they mean. Each part is written with its length.
fn hash(table: &Table, partitions: &[PlacedPartition]) -> Hash256 {
    let mut hasher = Sha256::new();
    let mut part = |text: &str| {
        hasher.update((text.len() as u64).to_be_bytes());
        hasher.update(text.as_bytes());
    };
    let storage = &table.storage;
    part(&table.kind);
    for text in [&storage.location, &storage.serde, &storage.input_format] {
        part(text.as_deref().unwrap_or_default());
    }
    for columns in [&storage.columns, &table.partition_columns] {
        part(&columns.len().to_string());
        for column in columns {
            part(&column.name);
            part(&column.type_text);
        }
    }
    let properties = merged(&table.properties, storage);
    for (name, value) in properties {
        if !INCIDENTAL.contains(&name.as_str()) && !name.starts_with(SPARK_STATISTICS) {
            part(&name);
            part(&value);
        }
    }
    for partition in partitions {
        part(&partition.location);
        part(&format!("{:?}", partition.differs));
        for value in &partition.values {
            // No value is Hive's name for null, which is none here.
            part(value.as_deref().unwrap_or(HIVE_NULL_PARTITION));
        }
    }
    Hash256(hasher.finalize().into())
}

/// Tells how partitions differ from their table.
pub(super) fn report(placed: &[PlacedPartition], findings: &mut Findings) {
    let mut fewer = 0_usize;
    for partition in placed {
        match &partition.differs {
            Differs::No => {}
            Differs::FewerColumns => fewer += 1,
            Differs::Meaning(why) => findings.problem(
                Code::SchemaConflict,
                format!("Partition {:?} is not like its table", partition.name()),
                format!("the metastore says that {why}"),
                "Write the partition anew in Hive, or alter it to what the table is (ALTER TABLE … CASCADE)",
            ),
        }
    }
    if fewer > 0 {
        findings.note(format!(
            "{fewer} partitions have only the first of the table's columns in the metastore: the others are null in their rows, \
             unless their files have them (Spark shows those, Hive does not)."
        ));
    }
}

/// The number of rows among statistics. Nobody counted where it is negative, nor where it is zero and there are bytes: so
/// Spark leaves the statistics of partitions that it writes.
fn rows(properties: &Properties) -> Option<u64> {
    let number = |name: &str| properties.get(name)?.parse::<u64>().ok();
    let rows = ROW_COUNTS.into_iter().find_map(number)?;
    (rows > 0 || number("totalSize").unwrap_or(0) == 0).then_some(rows)
}

/// The statistics' number of rows against the files'. It is told and never trusted.
pub(super) fn compare_statistics(
    table: &TableDescription,
    mut found: impl Iterator<Item = Option<u64>>,
    findings: &mut Findings,
) {
    let add = |sum: u64, rows: Option<u64>| Some(sum.saturating_add(rows?));
    let of_partitions = || {
        let placed = table.placed.as_ref().filter(|placed| !placed.is_empty())?;
        placed.iter().map(|partition| partition.rows).try_fold(0, add)
    };
    let Some(said) = of_partitions().or_else(|| rows(&table.properties)) else { return };
    let Some(found) = found.try_fold(0, add) else { return };
    if said != found {
        findings.note(format!(
            "The metastore's statistics say {said} rows (numRows), the files' footers {found}. Statistics are not trusted."
        ));
    }
}

/// The folder that a location without a scheme starts from.
pub(super) fn root() -> &'static Path {
    Path::new("/")
}

#[cfg(test)]
#[path = "metastore_tests.rs"]
mod tests;
