//! Tables of Iceberg catalogs as sources: what there is, what is known of each, and their files.
//!
//! In: a catalog, metadata files, manifests. Out: names, inspections, listings. Holds: [`IcebergSource`]. Not here: catalogs themselves
//! (`crate::iceberg::catalog`), reading rows (`read`, which finds columns by `by_id`).
//!
//! What is read is the current snapshot of the main branch. Everything is parsed by iceberg-rust; nothing is ever written.

pub(super) mod by_id;
mod check;
mod data_files;
mod raw;
mod table;
#[cfg(test)]
mod tests;
mod text;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use skein_protocol::connection::IcebergTarget;
use skein_protocol::data_plane::Failure;
use skein_protocol::hash::Hash256;
use skein_protocol::ids::{ConnectionName, TableName};
use skein_protocol::inspection::{
    DescribedBy, IcebergFormat, Inspection, SourceColumn, SourceFile, SourceFormat, TargetState,
};
use skein_protocol::machine;
use skein_protocol::plan::Plan;
use skein_protocol::problem::{Code, Problem};

use super::changed;
use super::columns;
use super::findings::{Findings, whole};
use super::location::{self, Roots};
use super::places::Places;
use super::seen_files;
use crate::files::Files;
use crate::iceberg::catalog::{Catalog, Listed};
use crate::worker::Telling;
use data_files::DataFiles;
use table::Table;

/// Threads that look whether listed tables are tombstones: they do little but wait.
const LOOKING_THREADS: usize = 16;
/// The beginning of the names of first metadata files: a tombstone never has a second.
const FIRST_METADATA: &str = "00000-";

/// A connection of kind `iceberg` that is read.
#[derive(Debug)]
pub struct IcebergSource {
    connection: ConnectionName,
    catalog: Arc<dyn Catalog>,
    /// Folders under which all files must lie.
    roots: Vec<String>,
    places: Places,
    telling: Telling,
}

impl IcebergSource {
    /// The connection `connection`, configured by `config`, through its catalog. Nothing is asked yet.
    #[must_use]
    pub fn new(connection: ConnectionName, config: &IcebergTarget, catalog: Arc<dyn Catalog>, files: Files) -> Self {
        let warehouse = std::slice::from_ref(&config.warehouse);
        let roots = if config.allowed_roots.is_empty() { warehouse } else { &config.allowed_roots };
        Self { connection, catalog, roots: roots.to_vec(), places: files.into(), telling: Telling::default() }
    }

    /// From now on, inspections tell which files they read.
    pub(crate) fn tell(&mut self, telling: Telling) {
        self.telling = telling;
    }

    /// All tables in namespaces of one level but for tombstones, sorted.
    ///
    /// # Errors
    /// When the catalog or a metadata file cannot be read.
    pub fn select(&self) -> Result<Vec<TableName>, Failure> {
        let listed = self.catalog.tables()?;
        let next = AtomicUsize::new(0);
        let look = || {
            let mut names = Vec::new();
            loop {
                let Some(listed) = listed.get(next.fetch_add(1, Ordering::Relaxed)) else { return Ok(names) };
                if !self.is_tombstone(listed)? {
                    names.push(listed.name.clone());
                }
            }
        };
        let mut names = Vec::with_capacity(listed.len());
        std::thread::scope(|scope| {
            let look = &look;
            let threads: Vec<_> = (0..listed.len().min(LOOKING_THREADS)).map(|_| scope.spawn(look)).collect();
            for thread in threads {
                let found: Result<Vec<TableName>, Failure> =
                    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
                names.extend(found?);
            }
            Ok::<_, Failure>(())
        })?;
        names.sort();
        Ok(names)
    }

    fn is_tombstone(&self, listed: &Listed) -> Result<bool, Failure> {
        if let Some(location) = &listed.metadata_location {
            let name = location.rsplit('/').next().unwrap_or(location);
            if !name.starts_with(FIRST_METADATA) {
                return Ok(false);
            }
        }
        // One that is gone by now is none, and will be missed when it is inspected.
        Ok(self.catalog.load(&listed.name)?.is_some_and(|table| table.tombstone))
    }

    /// Looks at one table. What prevents a migration is among the inspection's problems; `target` is passed on.
    ///
    /// # Errors
    /// `NOT_FOUND`; when the catalog or a store does not answer.
    pub fn inspect(&self, dataset: &TableName, target: TargetState) -> Result<Inspection, Failure> {
        let metadata = self.metadata_of(dataset)?;
        let mut findings = Findings::new(dataset).with_telling(self.telling.clone());
        let roots = Roots::under(&self.roots, &self.places);
        let table = Table::read(&roots, &metadata, &mut findings);
        let mut inspection = Inspection {
            dataset: dataset.clone(),
            connection: self.connection.clone(),
            location: String::new(),
            described_by: DescribedBy::Iceberg { snapshot: None, said: Hash256::of(metadata.as_bytes()) },
            format: None,
            columns: Vec::new(),
            files: Vec::new(),
            partitioning: Vec::new(),
            documentation: Default::default(),
            problems: Vec::new(),
            notes: Vec::new(),
            target,
        };
        if let Some(table) = table {
            columns::report_ambiguous(&table.columns, &mut findings);
            let files = if findings.prevented() { None } else { DataFiles::of(&table, &roots, &mut findings) };
            if let Some(files) = files {
                let mut format = IcebergFormat { metadata, fields: table.fields.clone(), ..IcebergFormat::default() };
                inspection.files = check::files(&table, &files, &roots, &mut format, &mut findings);
                inspection.format = Some(SourceFormat::Iceberg(format));
            }
            table.notes(&mut findings);
            inspection.described_by = table.described_by();
            inspection.location = table.location.display().to_string();
            inspection.columns = table.columns;
            inspection.partitioning = table.partitioning;
            inspection.documentation = table.documentation;
        }
        let (problems, notes) = findings.finish();
        (inspection.problems, inspection.notes) = (whole(problems)?, notes);
        Ok(inspection)
    }

    /// Lists the files of a planned table again, without opening them: rows are absent.
    ///
    /// # Errors
    /// `SOURCE_CHANGED` if the table is gone, has another snapshot or other columns; what its metadata's reading finds.
    pub fn list_files(&self, plan: &Plan) -> Result<Vec<SourceFile>, Failure> {
        let dataset = &plan.source.dataset;
        let metadata = self.metadata_of(dataset).map_err(|failure| match failure.code() {
            Code::NotFound => changed(dataset, "the catalog has no such table"),
            _ => failure,
        })?;
        let mut findings = Findings::new(dataset);
        let roots = Roots::under(&self.roots, &self.places);
        let table = Table::read(&roots, &metadata, &mut findings);
        let files = table.as_ref().and_then(|table| {
            if findings.prevented() { None } else { DataFiles::present(table, &roots, &mut findings) }
        });
        let (problems, _) = findings.finish();
        if let Some(problem) = problems.into_iter().next() {
            return Err(location::failure(problem));
        }
        let (Some(table), Some(files)) = (table, files) else {
            return Err(changed(dataset, "its metadata cannot be read"));
        };
        let listed: Vec<SourceFile> =
            files.listing.files.iter().map(|found| seen_files::source_file(found, None)).collect();
        // Files that differ are told one by one; here all are the same, and the table is not.
        if table.described_by() != plan.source.described_by && machine::source::changes(plan, &listed).is_none() {
            return Err(changed(dataset, "it has another snapshot, or other columns or partitions, than was planned"));
        }
        Ok(listed)
    }

    /// The metadata file that the table's name points at.
    fn metadata_of(&self, dataset: &TableName) -> Result<String, Failure> {
        match self.catalog.load(dataset)?.filter(|table| !table.tombstone) {
            Some(table) => Ok(table.metadata_location),
            None => {
                let next = "Check its name; if it was dropped, apply the policy again";
                let why = "the catalog does not have it";
                Err(Failure::permanent(Problem::new(Code::NotFound, "There is no such table", why, next).of(dataset)))
            }
        }
    }
}

/// The columns and files of the table in the metadata file at `metadata`: a script's source. Whoever runs a script by hand may read
/// what the process may.
///
/// # Errors
/// What the metadata's reading finds.
pub(crate) fn table_at(
    dataset: &TableName,
    metadata: &str,
) -> Result<(IcebergFormat, Vec<SourceColumn>, Vec<SourceFile>, String), Failure> {
    let places = Places::local();
    let roots = Roots::under(&[Path::new("/").display().to_string()], &places);
    let mut findings = Findings::new(dataset);
    let table = Table::read(&roots, metadata, &mut findings);
    let files = table.as_ref().and_then(|table| DataFiles::of(table, &roots, &mut findings));
    let mut format = IcebergFormat { metadata: metadata.to_owned(), ..IcebergFormat::default() };
    let mut checked = Vec::new();
    if let (Some(table), Some(files)) = (&table, &files) {
        format.fields.clone_from(&table.fields);
        checked = check::files(table, files, &roots, &mut format, &mut findings);
    }
    let (problems, _) = findings.finish();
    if let Some(problem) = problems.into_iter().next() {
        return Err(location::failure(problem));
    }
    let table = table.ok_or_else(|| changed(dataset, "its metadata cannot be read"))?;
    Ok((format, table.columns, checked, table.location.display().to_string()))
}
