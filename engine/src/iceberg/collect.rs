//! Garbage collection: removes staged files that nothing refers to.
//!
//! In: a run's folder and the files to keep. Out: how much was removed. Holds: nothing.
//! Not here: which files are referred to (the ledger knows), grace periods.
//!
//! Only files with names that Skein gives to staged files, in the folder of this run, are ever removed. Links are not
//! followed, neither to the folder nor in it.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path};

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, openat, statat, unlinkat};
use rustix::io::Errno;
use skein_protocol::connection::is_object;
use skein_protocol::data_plane::{CollectRequest, Collected, Failure};
use skein_protocol::problem::{Code, Problem};

use super::names::{DATA_FOLDER, parse_staged_name, run_folder, table_place};
use crate::failure;
use crate::files::Files;

#[cfg(test)]
mod tests;

/// Removes what the request allows. `warehouse` is the target connection's folder, under which the table must lie.
///
/// # Errors
/// When the table lies elsewhere, or a file or folder cannot be looked at or removed.
pub fn collect(files: &Files, warehouse: &str, request: &CollectRequest) -> Result<Collected, Failure> {
    let place = table_place(&request.table_location)?;
    let table = Path::new(&place);
    let apart = is_object(&place) != is_object(warehouse);
    if apart || !lies_under(table, Path::new(warehouse)) {
        let why = format!("{place} does not lie under {warehouse}");
        let next = "Nothing was removed; check the target connection's warehouse";
        return Err(Failure::permanent(Problem::new(
            Code::LocationForbidden,
            "removing staged files failed",
            why,
            next,
        )));
    }
    let folder = run_folder(&request.table_location, request.migration, request.run)?;
    let keep: HashSet<&str> = request
        .keep
        .iter()
        .filter_map(|location| location.strip_prefix("file://").unwrap_or(location).rsplit_once('/'))
        .filter(|(above, _)| *above == folder)
        .map(|(_, name)| name)
        .collect();
    if is_object(&folder) {
        return remove_objects(files, &folder, request, &keep)
            .map_err(|error| failure::of_io("removing staged files", &folder, &error));
    }
    let (migration, run) = (request.migration.to_string(), request.run.to_string());
    remove(table, &[DATA_FOLDER, &migration, &run], request, &keep)
        .map_err(|errno| failure::of_io("removing staged files", &folder, &io::Error::from(errno)))
}

fn lies_under(table: &Path, warehouse: &Path) -> bool {
    let plain = |path: &Path| path.components().all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
    plain(table) && table.starts_with(warehouse) && table != warehouse
}

fn remove(table: &Path, below: &[&str], request: &CollectRequest, keep: &HashSet<&str>) -> Result<Collected, Errno> {
    let mut collected = Collected::default();
    let Some(folder) = open_folder(table, below)? else { return Ok(collected) };
    for entry in Dir::read_from(&folder)? {
        let entry = entry?;
        let name = OsStr::from_bytes(entry.file_name().to_bytes());
        if !name.to_str().is_some_and(|name| may_go(name, request, keep)) {
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

/// Whether a file of this name may be removed.
fn may_go(name: &str, request: &CollectRequest, keep: &HashSet<&str>) -> bool {
    !keep.contains(name) && parse_staged_name(name).is_some_and(|(handout, _)| handout.epoch <= request.up_to)
}

fn remove_objects(
    files: &Files,
    folder: &str,
    request: &CollectRequest,
    keep: &HashSet<&str>,
) -> io::Result<Collected> {
    let mut collected = Collected::default();
    for listed in files.list_objects(folder)? {
        if may_go(&listed.name, request, keep) {
            files.remove_object(&format!("{folder}/{}", listed.name))?;
            collected.files += 1;
            collected.bytes += listed.bytes;
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
