//! What the listed files of a table tell, and how they come into the plan.
//!
//! In: listed files, their format. Out: [`Tails`], files in the form of the plan; files that cannot be read as problems.

use std::path::Path;
use std::sync::Arc;

use skein_protocol::inspection::SourceFile;
use skein_protocol::problem::Code;

use super::decoding::DecodeFailure;
use super::findings::Findings;
use super::format::{self, Magic};
use super::listing::{Found, Listing};
use super::location::unreadable;
use super::places::Places;
use super::tails::{SelfTold, Tail, tails};

/// The meaning of the first file's first bytes.
pub(super) fn first_magic(places: &Places, listing: &Listing, findings: &mut Findings) -> Option<Magic> {
    let first = listing.files.first()?;
    match format::magic_of(places, &first.path) {
        Ok(magic) => Some(magic),
        Err(error) => {
            findings.add(unreadable(&first.path, &error));
            None
        }
    }
}

/// Tails of a table's files; those that could not be read are problems.
pub(super) struct Tails {
    /// Tails in the order of the files.
    pub(super) known: Vec<Tail>,
    /// Position among the listed files, for each known tail.
    of: Vec<usize>,
}

impl Tails {
    /// Reads the tails of all listed files.
    pub(super) fn read(places: &Places, format: SelfTold, listing: &Listing, findings: &mut Findings) -> Self {
        let paths: Vec<&Path> = listing.files.iter().map(|found| found.path.as_path()).collect();
        let mut all = Self { known: Vec::with_capacity(paths.len()), of: Vec::with_capacity(paths.len()) };
        for (index, tail) in tails(places, format, &paths, findings.telling()).into_iter().enumerate() {
            match tail {
                Ok(tail) => {
                    all.known.push(tail);
                    all.of.push(index);
                }
                Err(DecodeFailure::Io(error)) => findings.add(unreadable(paths[index], &error)),
                Err(failure) => refused(places, format, &listing.files[index], failure, findings),
            }
        }
        all
    }

    /// The paths of the files whose tails are known.
    pub(super) fn paths<'a>(&self, listing: &'a Listing) -> Vec<&'a str> {
        self.of.iter().map(|file| listing.files[*file].relative.as_str()).collect()
    }

    /// Columns of files whose writer did not know the names get `names` in their order. True if there are such files.
    pub(super) fn name_by_position(&mut self, names: &[&str]) -> bool {
        let mut any = false;
        for tail in &mut self.known {
            let named = tail.schema.named_by_position(names);
            if named != *tail.schema {
                tail.schema = Arc::new(named);
                any = true;
            }
        }
        any
    }

    /// All listed files in the form of the plan.
    pub(super) fn files(&self, listing: &Listing) -> Vec<SourceFile> {
        listing.files.iter().zip(self.by_file(listing)).map(|(found, tail)| source_file(found, tail)).collect()
    }

    /// The tail of each listed file.
    pub(super) fn by_file(&self, listing: &Listing) -> Vec<Option<&Tail>> {
        let mut known: Vec<Option<&Tail>> = vec![None; listing.files.len()];
        for (tail, file) in self.known.iter().zip(&self.of) {
            known[*file] = Some(tail);
        }
        known
    }
}

fn refused(places: &Places, format: SelfTold, found: &Found, failure: DecodeFailure, findings: &mut Findings) {
    let (name, relative) = (format.name(), &found.relative);
    let other = match format::magic_of(places, &found.path) {
        Ok(Magic::Other(name)) => Some(name),
        Ok(Magic::SelfTold(other)) if other != format => Some(other.name()),
        _ => None,
    };
    match (other, failure) {
        (Some(other), _) => findings.problem(
            Code::FormatUnsupported,
            format!("{relative:?} holds {other}"),
            format!("the table's files are {name}"),
            "Rewrite the file in Hive, or move it out of the table's folder",
        ),
        (None, DecodeFailure::Unsupported(why)) => findings.problem(
            Code::FormatUnsupported,
            format!("{relative:?} cannot be read"),
            why,
            "Copy the table to Parquet in Hive first, or leave it out",
        ),
        (None, DecodeFailure::Conflict(why)) => findings.problem(
            Code::TypeUnsupported,
            format!("The columns of {relative:?} cannot be read"),
            why,
            "Rewrite the file with a current writer",
        ),
        (None, damaged) => findings.problem(
            Code::FileDamaged,
            format!("{relative:?} is no whole {name} file"),
            damaged.to_string(),
            "Restore it from its origin, or move it out of the table's folder",
        ),
    }
}

/// A listed file in the form of the plan.
pub(super) fn source_file(found: &Found, tail: Option<&Tail>) -> SourceFile {
    SourceFile {
        path: found.relative.clone(),
        bytes: found.identity.bytes,
        modified_nanos: found.identity.modified_nanos,
        version: found.identity.version.clone(),
        partition: found.partition.clone(),
        rows: tail.map(|tail| tail.rows),
        row_groups: tail.map(|tail| tail.row_groups.clone()).unwrap_or_default(),
    }
}
