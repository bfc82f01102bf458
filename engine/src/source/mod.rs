//! Sources of kind `hive-files`: what tables there are, what is known of each, and reading them.
//!
//! In: a connection's configuration, folders and files. Out: names, inspections, listings, record batches.
//! Not here: planning (the protocol), rules and sums (`transform`, `checksum`).
//!
//! Start at [`HiveSource`] and [`read_input`]. Everything blocks; callers hold threads for it.

mod adapted;
mod adapter;
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
mod inspect;
mod inspect_text;
mod listing;
mod location;
mod orc;
mod parquet;
mod partitions;
mod properties;
mod read;
mod read_failures;
mod scalars;
mod seen_files;
mod tables;
mod tails;
mod text;
mod watched;
mod writers;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use skein_protocol::connection::HiveFiles;
use skein_protocol::data_plane::Failure;
use skein_protocol::ids::{ConnectionName, TableName};
use skein_protocol::inspection::{DescribedBy, Inspection, SourceFile, TargetState};
use skein_protocol::plan::Plan;
use skein_protocol::problem::{Code, Problem};

use description::{Description, TableDescription};
use findings::Findings;
use fingerprint::Identity;
use location::{Located, Roots, unreadable};

pub(crate) use at::list_at;
pub use read::{DEFAULT_BATCH_ROWS, InputReader, read_input};
pub use text::Unparsable;

/// A connection of kind `hive-files`. Keeps the description file's contents while the file does not change, because
/// a selection of thousands of tables asks for it thousands of times.
#[derive(Debug)]
pub struct HiveSource {
    connection: ConnectionName,
    config: HiveFiles,
    cached: Mutex<Option<(Identity, Arc<Description>)>>,
}

impl HiveSource {
    /// The connection `connection`, configured by `config`. Nothing is opened yet.
    #[must_use]
    pub fn new(connection: ConnectionName, config: HiveFiles) -> Self {
        Self { connection, config, cached: Mutex::new(None) }
    }

    /// All tables: described ones, and those that have a folder. Sorted.
    ///
    /// # Errors
    /// `SOURCE_UNREADABLE` or `DESCRIPTION_INVALID`.
    pub fn select(&self) -> Result<Vec<TableName>, Failure> {
        let mut names: BTreeSet<TableName> = match self.description()? {
            Some(description) => description.tables.keys().cloned().collect(),
            None => BTreeSet::new(),
        };
        let warehouse = Path::new(&self.config.warehouse);
        match tables::found(warehouse) {
            Ok(found) => names.extend(found),
            Err(error) => return Err(Failure::permanent(unreadable(warehouse, &error))),
        }
        Ok(names.into_iter().collect())
    }

    /// Looks at one table. What prevents a migration is among the inspection's problems; `target` is passed on.
    ///
    /// # Errors
    /// When it cannot even be looked at: the description file is missing or damaged.
    pub fn inspect(&self, dataset: &TableName, target: TargetState) -> Result<Inspection, Failure> {
        let description = self.description()?;
        let mut findings = Findings::new(dataset);
        let look = inspect::Look {
            source: self,
            dataset,
            description: description.as_deref(),
            roots: Roots::of(&self.config),
        };
        let seen = look.at_table(&mut findings);
        let (problems, notes) = findings.finish();
        Ok(Inspection {
            dataset: dataset.clone(),
            connection: self.connection.clone(),
            location: seen.location,
            described_by: seen.described_by,
            format: seen.format,
            columns: seen.columns,
            files: seen.files,
            problems,
            notes,
            target,
        })
    }

    /// Lists the files of a planned table again, by the same rules and without opening them: rows are absent.
    ///
    /// # Errors
    /// `SOURCE_CHANGED` if the table is described no longer or lies elsewhere; what the walk over its folder finds.
    pub fn list_files(&self, plan: &Plan) -> Result<Vec<SourceFile>, Failure> {
        let source = &plan.source;
        let description = self.description()?;
        let dataset = &source.dataset;
        let changed = |why: &str| {
            let what = "The table is not where it was planned";
            Failure::permanent(
                Problem::new(Code::SourceChanged, what, why, "Plan again, and approve the new plan").of(dataset),
            )
        };
        let described = description.as_ref().and_then(|description| description.tables.get(dataset));
        if (source.described_by == DescribedBy::Description) != described.is_some() {
            return Err(changed("the table description has changed"));
        }
        let roots = Roots::of(&self.config);
        let located =
            self.locate(dataset, described, &roots).map_err(|problem| Failure::permanent(problem.of(dataset)))?;
        if located.path != Path::new(&source.location) {
            return Err(changed(&format!("it lies in {} now", located.path.display())));
        }
        if !located.exists && !source.files.is_empty() {
            return Err(changed("its folder is gone"));
        }
        let mut findings = Findings::new(dataset);
        let columns = source.columns.iter().filter(|column| column.partition);
        let columns = columns.map(|column| (column.name.clone(), column.data_type.clone())).collect();
        let partitions = described_partitions::of_plan(described, columns, &mut findings);
        let listing = listing::list(&located, &roots, &partitions, &mut findings);
        let (problems, _) = findings.finish();
        match problems.into_iter().next() {
            Some(problem) => Err(Failure::permanent(problem)),
            None => Ok(listing.files.iter().map(|found| seen_files::source_file(found, None)).collect()),
        }
    }

    /// The description, if one is configured.
    fn description(&self) -> Result<Option<Arc<Description>>, Failure> {
        let Some(path) = &self.config.description else { return Ok(None) };
        let path = Path::new(path);
        let failed = |error: &std::io::Error| Failure::permanent(unreadable(path, error));
        let identity = Identity::at(path).map_err(|error| failed(&error))?;
        // Held while the file is read, so that others wait for the result instead of reading it, too.
        let mut cached = self.cached.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, description)) = cached.as_ref()
            && *known == identity
        {
            return Ok(Some(Arc::clone(description)));
        }
        if identity.bytes > description::MAX_DESCRIPTION_BYTES {
            let why = format!("it has {} bytes, {} are allowed", identity.bytes, description::MAX_DESCRIPTION_BYTES);
            return Err(Failure::permanent(description::invalid("The table description", &why)));
        }
        let bytes = fs::read(path).map_err(|error| failed(&error))?;
        let description = Arc::new(description::parse(&bytes).map_err(Failure::permanent)?);
        *cached = Some((identity, Arc::clone(&description)));
        Ok(Some(description))
    }

    /// The folder that relative locations of the description start from.
    fn description_folder(&self) -> PathBuf {
        let description = self.config.description.as_deref().unwrap_or(&self.config.warehouse);
        Path::new(description).parent().map(Path::to_owned).unwrap_or_default()
    }

    /// Where a table lies: as described, else its folder in the warehouse.
    fn locate(
        &self,
        dataset: &TableName,
        described: Option<&TableDescription>,
        roots: &Roots,
    ) -> Result<Located, Problem> {
        let warehouse = Path::new(&self.config.warehouse);
        if let Some(location) = described.and_then(|table| table.location.as_deref()) {
            return roots.resolve(&location::path_of(location, &self.description_folder())?);
        }
        match tables::folder_of(warehouse, dataset).map_err(|error| unreadable(warehouse, &error))? {
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

#[cfg(test)]
mod legacy_tests;
#[cfg(test)]
mod tests;
