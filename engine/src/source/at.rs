//! The files of a table that is known by nothing but its folder and its columns: a script's `LOCATION`.
//!
//! In: a folder, columns. Out: the files, as a plan lists them. Not here: connections and their roots: whoever runs a script
//! by hand may read what the process may.

use std::path::Path;

use skein_protocol::connection::HiveFiles;
use skein_protocol::data_plane::Failure;
use skein_protocol::ids::TableName;
use skein_protocol::inspection::{SourceColumn, SourceFile};

use super::findings::Findings;
use super::location::Roots;
use super::places::Places;
use super::{described_partitions, listing, seen_files};

/// Lists the files of the table in `folder`, sorted by path; rows are absent.
///
/// # Errors
/// When the folder cannot be read, or its folders do not fit the partition columns.
pub(crate) fn list_at(
    dataset: &TableName,
    folder: &Path,
    columns: &[SourceColumn],
) -> Result<Vec<SourceFile>, Failure> {
    let config = HiveFiles::at(folder.display().to_string());
    let roots = Roots::of(&config, &Places::local());
    let located = roots.resolve(folder).map_err(|problem| Failure::permanent(problem.of(dataset)))?;
    let mut findings = Findings::new(dataset);
    let columns = columns.iter().filter(|column| column.partition);
    let columns = columns.map(|column| (column.name.clone(), column.data_type.clone())).collect();
    let partitions = described_partitions::of_plan(None, columns, &mut findings);
    let listing = listing::list(&located, &roots, &partitions, &mut findings);
    let (problems, _) = findings.finish();
    match problems.into_iter().next() {
        Some(problem) => Err(Failure::permanent(problem)),
        None => Ok(listing.files.iter().map(|found| seen_files::source_file(found, None)).collect()),
    }
}
