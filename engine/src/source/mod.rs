//! Sources of kind `hive-files`, `hive-metastore` and `iceberg`: what tables there are, what is known of each, and reading them.
//!
//! In: a connection's configuration, folders and files. Out: names, inspections, listings, record batches.
//! Not here: planning (the protocol), rules and sums (`transform`, `checksum`).
//!
//! Start at [`Source`] and [`read_input`]. Everything blocks; callers hold threads for it.

mod adapted;
mod adapter;
mod any;
mod at;
mod avro;
mod calendar;
mod column_order;
mod columns;
mod decoding;
mod described_partitions;
mod description;
mod file_schema;
mod findings;
mod fingerprint;
mod format;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod iceberg;
mod inspect;
mod inspect_text;
mod listing;
mod location;
mod metastore;
mod orc;
mod parquet;
mod partitions;
mod places;
mod properties;
mod read;
mod read_failures;
mod scalars;
mod seen_files;
mod tables;
mod tails;
mod text;
mod tree;
mod views;
mod watched;
mod writers;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use skein_protocol::connection::{HiveFiles, HiveMetastore};
use skein_protocol::data_plane::Failure;
use skein_protocol::ids::{ConnectionName, TableName};
use skein_protocol::inspection::{DescribedBy, Inspection, SourceFile, TargetState};
use skein_protocol::machine;
use skein_protocol::plan::Plan;
use skein_protocol::problem::{Code, Problem};

use description::{Description, TableDescription};
use findings::Findings;
use fingerprint::Identity;
use location::{Located, Roots, unreadable};
use metastore::MetastoreTables;
use places::{Places, is_below_its_table};

use crate::files::Files;
use crate::worker::Telling;

pub use any::Source;
pub(crate) use at::list_at;
pub use iceberg::IcebergSource;
pub(crate) use iceberg::table_at;
pub use read::{DEFAULT_BATCH_ROWS, InputReader, read_input};
pub use text::Unparsable;

/// A connection of kind `hive-files` or `hive-metastore`.
#[derive(Debug)]
pub struct HiveSource {
    connection: ConnectionName,
    origin: Origin,
    places: Places,
    telling: Telling,
}

/// Who knows of the tables.
#[derive(Debug)]
enum Origin {
    /// Folders, and a description file perhaps. Its contents are kept while the file does not change, because a selection of
    /// thousands of tables asks for it thousands of times.
    Files { config: HiveFiles, cached: Mutex<Option<(Identity, Arc<Description>)>> },
    /// A metastore, which is asked each time.
    Metastore(MetastoreTables),
}

impl HiveSource {
    /// The connection `connection` to folders, configured by `config` and read through `files`. Nothing is opened yet.
    #[must_use]
    pub fn new(connection: ConnectionName, config: HiveFiles, files: Files) -> Self {
        let origin = Origin::Files { config, cached: Mutex::new(None) };
        Self { connection, origin, places: files.into(), telling: Telling::default() }
    }

    /// From now on, inspections tell which files they read.
    pub(crate) fn tell(&mut self, telling: Telling) {
        self.telling = telling;
    }

    /// The connection `connection` to a metastore. Nothing is opened yet.
    #[must_use]
    pub fn of_metastore(connection: ConnectionName, config: HiveMetastore, files: Files) -> Self {
        let origin = Origin::Metastore(MetastoreTables { config });
        Self { connection, origin, places: files.into(), telling: Telling::default() }
    }

    /// All tables: described ones, and those that have a folder; or those of the metastore. Sorted.
    ///
    /// # Errors
    /// `SOURCE_UNREADABLE` or `DESCRIPTION_INVALID`; `CATALOG_UNAVAILABLE` (transient).
    pub fn select(&self) -> Result<Vec<TableName>, Failure> {
        let (config, cached) = match &self.origin {
            Origin::Files { config, cached } => (config, cached),
            Origin::Metastore(metastore) => return Ok(metastore.names()?.into_iter().collect()),
        };
        let mut names: BTreeSet<TableName> = match description_file(&self.places, config, cached)? {
            Some(description) => description.tables.keys().cloned().collect(),
            None => BTreeSet::new(),
        };
        let warehouse = Path::new(&config.warehouse);
        match tables::found(&self.places, warehouse) {
            Ok(found) => names.extend(found),
            Err(error) => return Err(location::failure(unreadable(warehouse, &error))),
        }
        Ok(names.into_iter().collect())
    }

    /// Looks at one table. What prevents a migration is among the inspection's problems; `target` is passed on.
    ///
    /// # Errors
    /// When it cannot even be looked at: the description file is missing or damaged, the metastore or a store does not answer.
    pub fn inspect(&self, dataset: &TableName, target: TargetState) -> Result<Inspection, Failure> {
        let (description, described_by) = self.told(dataset)?;
        let mut findings = Findings::new(dataset).with_telling(self.telling.clone());
        let look = inspect::Look {
            source: self,
            dataset,
            description: description.as_deref(),
            described_by,
            roots: self.roots(),
        };
        let seen = look.at_table(&mut findings);
        let (problems, notes) = findings.finish();
        let problems = findings::whole(problems)?;
        Ok(Inspection {
            dataset: dataset.clone(),
            connection: self.connection.clone(),
            location: seen.location,
            described_by: seen.described_by,
            format: seen.format,
            columns: seen.columns,
            files: seen.files,
            partitioning: Vec::new(),
            documentation: seen.documentation,
            problems,
            notes,
            target,
        })
    }

    /// Lists the files of a planned table again, by the same rules and without opening them: rows are absent.
    ///
    /// # Errors
    /// `SOURCE_CHANGED` if the table is described no longer or differently, or lies elsewhere; what the walk over its folder
    /// finds.
    pub fn list_files(&self, plan: &Plan) -> Result<Vec<SourceFile>, Failure> {
        let source = &plan.source;
        let dataset = &source.dataset;
        let (description, described_by) = self.told(dataset).map_err(|failure| match failure.code() {
            Code::NotFound => changed(dataset, "the metastore has no such table"),
            _ => failure,
        })?;
        let described = description.as_ref().and_then(|description| description.tables.get(dataset));
        if std::mem::discriminant(&source.described_by) != std::mem::discriminant(&described_by) {
            return Err(changed(dataset, "the table description has changed"));
        }
        let roots = self.roots();
        let located =
            self.locate(dataset, described, &roots).map_err(|problem| location::failure(problem.of(dataset)))?;
        if located.path != Path::new(&source.location) {
            return Err(changed(dataset, &format!("it lies in {} now", located.path.display())));
        }
        if !located.exists && source.files.iter().any(|file| is_below_its_table(&file.path)) {
            return Err(changed(dataset, "its folder is gone"));
        }
        let mut findings = Findings::new(dataset);
        let columns = source.columns.iter().filter(|column| column.partition);
        let columns = columns.map(|column| (column.name.clone(), column.data_type.clone())).collect();
        let partitions = described_partitions::of_plan(described, columns, &mut findings);
        let listing = listing::list(&located, &roots, &partitions, &mut findings);
        let (problems, _) = findings.finish();
        if let Some(problem) = problems.into_iter().next() {
            return Err(location::failure(problem));
        }
        let files: Vec<SourceFile> = listing.files.iter().map(|found| seen_files::source_file(found, None)).collect();
        // Files that differ are told one by one; here all are the same, and what they mean is not.
        if described_by != source.described_by && machine::source::changes(plan, &files).is_none() {
            let why = "what the metastore says of its columns, its format or its partitions has changed";
            return Err(changed(dataset, why));
        }
        Ok(files)
    }

    /// What is told of a table, and by whom.
    fn told(&self, dataset: &TableName) -> Result<(Option<Arc<Description>>, DescribedBy), Failure> {
        match &self.origin {
            Origin::Files { config, cached } => {
                let description = description_file(&self.places, config, cached)?;
                let has = description.as_ref().is_some_and(|description| description.tables.contains_key(dataset));
                Ok((description, if has { DescribedBy::Description } else { DescribedBy::Footers }))
            }
            Origin::Metastore(metastore) => {
                let said = metastore.describe(dataset)?.ok_or_else(|| {
                    let next = "Check its name; if it was dropped, apply the policy again";
                    let why = "the metastore does not have it";
                    Failure::permanent(Problem::new(Code::NotFound, "There is no such table", why, next).of(dataset))
                })?;
                let tables = [(dataset.clone(), said.table)].into();
                Ok((Some(Arc::new(Description { tables })), DescribedBy::Metastore { said: said.hash }))
            }
        }
    }

    fn roots(&self) -> Roots {
        match &self.origin {
            Origin::Files { config, .. } => Roots::of(config, &self.places),
            Origin::Metastore(metastore) => Roots::under(&metastore.config.allowed_roots, &self.places),
        }
    }

    /// The folder that relative locations of the description start from.
    fn description_folder(&self) -> PathBuf {
        let Origin::Files { config, .. } = &self.origin else { return metastore::root().to_owned() };
        let description = config.description.as_deref().unwrap_or(&config.warehouse);
        Path::new(description).parent().map(Path::to_owned).unwrap_or_default()
    }

    /// Where a table lies: as described, else its folder in the warehouse.
    fn locate(
        &self,
        dataset: &TableName,
        described: Option<&TableDescription>,
        roots: &Roots,
    ) -> Result<Located, Problem> {
        if let Some(location) = described.and_then(|table| table.location.as_deref()) {
            return roots.resolve(&location::path_of(location, &self.description_folder())?);
        }
        let Origin::Files { config, .. } = &self.origin else {
            let next = "Set the table's location in the metastore";
            return Err(Problem::new(Code::SourceUnreadable, "The table lies nowhere", "it has no location", next));
        };
        let warehouse = Path::new(&config.warehouse);
        match tables::folder_of(&self.places, warehouse, dataset).map_err(|error| unreadable(warehouse, &error))? {
            Some(folder) => roots.resolve(&folder),
            None if described.is_some() => {
                roots.resolve(&warehouse.join(format!("{}.db", dataset.database)).join(&dataset.table))
            }
            None => Err(Problem::new(
                Code::SourceUnreadable,
                "There is no such table",
                format!("neither the table description nor {} has it", warehouse.display()),
                "Check the name, and the description file of the connection",
            )),
        }
    }
}

fn changed(dataset: &TableName, why: &str) -> Failure {
    let what = "The table is not what was planned";
    Failure::permanent(Problem::new(Code::SourceChanged, what, why, "Plan again, and approve the new plan").of(dataset))
}

/// The description, if one is configured.
fn description_file(
    places: &Places,
    config: &HiveFiles,
    cached: &Mutex<Option<(Identity, Arc<Description>)>>,
) -> Result<Option<Arc<Description>>, Failure> {
    let Some(path) = &config.description else { return Ok(None) };
    let path = Path::new(path);
    let failed = |error: &std::io::Error| location::failure(unreadable(path, error));
    let identity = places.identity(path).map_err(|error| failed(&error))?;
    // Held while the file is read, so that others wait for the result instead of reading it, too.
    let mut cached = cached.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((known, description)) = cached.as_ref()
        && *known == identity
    {
        return Ok(Some(Arc::clone(description)));
    }
    if identity.bytes > description::MAX_DESCRIPTION_BYTES {
        let why = format!("it has {} bytes, {} are allowed", identity.bytes, description::MAX_DESCRIPTION_BYTES);
        return Err(Failure::permanent(description::invalid("The table description", &why)));
    }
    let bytes = places.read(path).map_err(|error| failed(&error))?;
    let description = Arc::new(description::parse(&bytes).map_err(Failure::permanent)?);
    *cached = Some((identity, Arc::clone(&description)));
    Ok(Some(description))
}

#[cfg(test)]
mod legacy_tests;
#[cfg(test)]
mod tests;
