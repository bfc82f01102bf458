//! The little of a metadata file that tells whose table it is.
//!
//! In: a metadata location. Out: uuid and tombstone mark. Holds: nothing. Not here: the rest (`read`).

use std::collections::HashMap;
use std::io::ErrorKind;

use serde::Deserialize;
use skein_protocol::data_plane::{Failure, LoadedTable};
use skein_protocol::ids::TableUuid;
use uuid::Uuid;

use super::metadata::TOMBSTONE_PROPERTY;
use super::names::table_place;
use crate::failure;
use crate::files::Files;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Head {
    table_uuid: Option<Uuid>,
    #[serde(default)]
    properties: HashMap<String, String>,
}

/// What the metadata file at `metadata_location` says. A file that Skein cannot have written (where no
/// connection reaches, missing, compressed, no JSON) is somebody else's table: its uuid is nil, which no table of Skein has.
///
/// # Errors
/// When the file is there and cannot be read.
pub(super) fn load(files: &Files, metadata_location: String) -> Result<LoadedTable, Failure> {
    let head = match table_place(&metadata_location) {
        Ok(place) => match files.read(&place) {
            Ok(bytes) => serde_json::from_slice::<Head>(&bytes).ok(),
            // The bucket may be one that no connection of this node has.
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::InvalidInput) => None,
            Err(error) => return Err(failure::of_io("reading a table's metadata", &metadata_location, &error)),
        },
        Err(_) => None,
    };
    if head.is_none() {
        tracing::info!(metadata_location, "table_of_others");
    }
    let uuid = head.as_ref().and_then(|head| head.table_uuid).unwrap_or(Uuid::nil());
    let tombstone = head.is_some_and(|head| head.properties.get(TOMBSTONE_PROPERTY).is_some_and(|mark| mark == "true"));
    Ok(LoadedTable { uuid: TableUuid(uuid), metadata_location, tombstone })
}
