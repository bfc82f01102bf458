//! Garbage collection: removes staged files that nothing refers to.
//!
//! In: a run's folder and the files to keep. Out: how much was removed. Holds: nothing.
//! Not here: which files are referred to (the ledger knows), grace periods.
//!
//! Only files with names that Skein gives to staged files, in the folder of this run, are ever removed. Links are not
//! followed, neither to the folder nor in it.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path};

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, openat, statat, unlinkat};
use rustix::io::Errno;
use skein_protocol::data_plane::{CollectRequest, Collected, Failure};
use skein_protocol::problem::{Code, Problem};

use super::names::{DATA_FOLDER, parse_staged_name, run_folder, table_path};
use crate::failure;
use crate::files::path_of;

#[cfg(test)]
mod tests;

/// Removes what the request allows. `warehouse` is the target connection's folder, under which the table must lie.
///
/// # Errors
/// When the table lies elsewhere, or a file or folder cannot be looked at or removed.
pub fn collect(warehouse: &Path, request: &CollectRequest) -> Result<Collected, Failure> {
    let table = table_path(&request.table_location)?;
    if !lies_under(&table, warehouse) {
        let why = format!("{} does not lie under {}", table.display(), warehouse.display());
        let next = "Nothing was removed; check the target connection's warehouse";
        return Err(Failure::permanent(Problem::new(
            Code::LocationForbidden,
            "removing staged files failed",
            why,
            next,
        )));
    }
    let folder = run_folder(&request.table_location, request.migration, request.run)?;
    let keep: HashSet<OsString> = request
        .keep
        .iter()
        .filter_map(|location| path_of(location).ok())
        .filter(|path| path.parent() == Some(&folder))
        .filter_map(|path| path.file_name().map(OsStr::to_owned))
        .collect();
    let (migration, run) = (request.migration.to_string(), request.run.to_string());
    remove(&table, &[DATA_FOLDER, &migration, &run], request, &keep).map_err(|errno| {
        failure::of_io("removing staged files", &folder.display().to_string(), &io::Error::from(errno))
    })
}

fn lies_under(table: &Path, warehouse: &Path) -> bool {
    let plain = |path: &Path| path.components().all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
    plain(table) && table.starts_with(warehouse) && table != warehouse
}

fn remove(
    table: &Path,
    below: &[&str],
    request: &CollectRequest,
    keep: &HashSet<OsString>,
) -> Result<Collected, Errno> {
    let mut collected = Collected::default();
    let Some(folder) = open_folder(table, below)? else { return Ok(collected) };
    for entry in Dir::read_from(&folder)? {
        let entry = entry?;
        let name = OsStr::from_bytes(entry.file_name().to_bytes());
        let known = name.to_str().and_then(parse_staged_name);
        if keep.contains(name) || known.is_none_or(|(handout, _)| handout.epoch > request.up_to) {
            continue;
        }
        let found = match statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW) {
            // Somebody was faster.
            Err(Errno::NOENT) => continue,
            other => other?,
        };
        if FileType::from_raw_mode(found.st_mode) != FileType::RegularFile {
            continue;
        }
        match unlinkat(&folder, name, AtFlags::empty()) {
            Ok(()) => {
                collected.files += 1;
                collected.bytes += u64::try_from(found.st_size).unwrap_or(0);
            }
            Err(Errno::NOENT) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(collected)
}

/// Opens the folder `below` `table`, none of whose steps may be a link; none if it does not exist.
fn open_folder(table: &Path, below: &[&str]) -> Result<Option<OwnedFd>, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut folder = match openat(CWD, table, flags, Mode::empty()) {
        Err(Errno::NOENT) => return Ok(None),
        other => other?,
    };
    for step in below {
        folder = match openat(&folder, *step, flags | OFlags::NOFOLLOW, Mode::empty()) {
            Err(Errno::NOENT) => return Ok(None),
            other => other?,
        };
    }
    Ok(Some(folder))
}
