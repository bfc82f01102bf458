//! Tombstones: empty tables that keep a name, so that a late registration of a withdrawn table is refused.
//!
//! In: a plan and a run. Out: a metadata file. Holds: nothing. Not here: pointing the name at it (`catalog`).

use skein_protocol::data_plane::{Failure, TombstoneRequest};

use super::metadata::{MetadataPart, document};
use super::names::{MetadataNames, TOMBSTONE};
use super::schema::TableShape;
use super::stage::write_metadata_files;
use crate::failure;
use crate::files::Files;

/// Writes a tombstone's metadata file, durable when it returns; its location.
///
/// # Errors
/// When the disk refuses.
pub fn stage_tombstone(files: &Files, request: &TombstoneRequest) -> Result<String, Failure> {
    let (plan, target) = (&request.plan, &request.plan.target);
    let shape = TableShape::of(target)?;
    let names =
        MetadataNames::of(&target.location, TOMBSTONE, plan.migration, request.run, request.epoch, request.attempt)?;
    let at_millis = i64::try_from(request.at_millis)
        .map_err(|_| failure::internal("writing a tombstone", "a time is beyond 63 bits"))?;
    let part = MetadataPart {
        plan,
        run: request.run,
        location: names.place(),
        shape: &shape,
        uuid: request.uuid,
        at_millis,
        snapshot: None,
        tombstone: true,
    };
    write_metadata_files(files, &[(names.metadata(), document(&part))])?;
    Ok(names.metadata())
}
