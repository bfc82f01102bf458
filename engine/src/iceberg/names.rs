//! Where a table's files lie and what they are called.
//!
//! In: a table's location, what makes a file unique. Out: locations. Holds: nothing. Not here: writing them.
//!
//! ```text
//! <location>/data/<migration>/<run>/<epoch>-<stage>.<batch>-<attempt>-<n>.parquet
//! <location>/metadata/00000-<uuid>.metadata.json, snap-<snapshot>-0-<uuid>.avro, <uuid>-m<n>.avro
//! ```

use skein_protocol::connection::is_object;
use skein_protocol::data_plane::Failure;
use skein_protocol::ids::{Attempt, BatchId, BatchNo, Epoch, MigrationId, Run, StageNo};
use skein_protocol::problem::{Code, Problem};
use uuid::Uuid;

use crate::files::path_of;

/// The folder of data files below a table's location.
pub const DATA_FOLDER: &str = "data";
/// The folder of metadata below a table's location.
pub const METADATA_FOLDER: &str = "metadata";

/// What the names of a tombstone are made from, in the place of a table.
pub const TOMBSTONE: &str = "tombstone";

/// One hand-out of work whose files have names of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Handout {
    /// The owner's epoch.
    pub epoch: Epoch,
    /// The batch.
    pub batch: BatchId,
    /// The attempt.
    pub attempt: Attempt,
}

/// The folder of all staged files of one run: `<location>/data/<migration>/<run>`.
///
/// # Errors
/// When the location is neither on a local disk nor in an object store.
pub fn run_folder(table_location: &str, migration: MigrationId, run: Run) -> Result<String, Failure> {
    Ok(format!("{}/{DATA_FOLDER}/{migration}/{run}", table_place(table_location)?))
}

/// The path of the `number`-th file of a hand-out.
///
/// # Errors
/// When the location is neither on a local disk nor in an object store.
pub fn staged_path(
    table_location: &str,
    migration: MigrationId,
    run: Run,
    handout: Handout,
    number: u32,
) -> Result<String, Failure> {
    let Handout { epoch, batch, attempt } = handout;
    Ok(format!("{}/{epoch}-{batch}-{attempt}-{number}.parquet", run_folder(table_location, migration, run)?))
}

/// The hand-out and number that a staged file's name tells; none if it is no such name.
#[must_use]
pub fn parse_staged_name(name: &str) -> Option<(Handout, u32)> {
    let mut parts = name.strip_suffix(".parquet")?.split('-');
    let (epoch, batch, attempt, number) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let (stage, batch) = batch.split_once('.')?;
    let batch = BatchId { stage: StageNo(digits(stage)?), batch: BatchNo(digits(batch)?) };
    let handout = Handout { epoch: Epoch(digits(epoch)?), batch, attempt: Attempt(digits(attempt)?) };
    parts.next().is_none().then_some((handout, digits(number)?))
}

/// The place of a table, spelt in one way: an absolute path, or the location of a folder in an object store.
///
/// # Errors
/// When the location is neither.
pub fn table_place(table_location: &str) -> Result<String, Failure> {
    let trimmed = table_location.trim_end_matches('/');
    if is_object(trimmed) {
        return Ok(trimmed.to_owned());
    }
    let path = path_of(trimmed).map_err(|error| {
        let next = "Give the target connection a warehouse on a local disk or in an object store";
        Failure::permanent(Problem::new(
            Code::LocationForbidden,
            "finding the table's folder failed",
            error.to_string(),
            next,
        ))
    })?;
    Ok(path.to_string_lossy().into_owned())
}

/// The folder of a tombstone's metadata. In an object store it lies beside the table's: catalogs that own their stores
/// remove a table's whole folder with its name, and the tombstone of a withdrawn table must survive that.
fn tombstone_place(table_location: &str, uuid: Uuid) -> Result<String, Failure> {
    let place = table_place(table_location)?;
    match place.rsplit_once('/') {
        Some((database, _)) if is_object(&place) => Ok(format!("{database}/skein_tombstone_{}", uuid.simple())),
        _ => Ok(place),
    }
}

/// The names of one try at a table's metadata.
#[derive(Debug, Clone)]
pub struct MetadataNames {
    place: String,
    uuid: Uuid,
}

impl MetadataNames {
    /// Names for the `what` (a table, a tombstone) that is written by this try.
    ///
    /// # Errors
    /// When the location is neither on a local disk nor in an object store.
    pub fn of(
        table_location: &str,
        what: &str,
        migration: MigrationId,
        run: Run,
        epoch: Epoch,
        attempt: Attempt,
    ) -> Result<Self, Failure> {
        let name = format!("{what}\n{run}\n{epoch}\n{attempt}");
        let uuid = Uuid::new_v5(&migration.0, name.as_bytes());
        let place =
            if what == TOMBSTONE { tombstone_place(table_location, uuid)? } else { table_place(table_location)? };
        Ok(Self { place, uuid })
    }

    /// The location that the metadata file gives the table.
    #[must_use]
    pub fn place(&self) -> &str {
        &self.place
    }

    fn in_metadata(&self, name: &str) -> String {
        format!("{}/{METADATA_FOLDER}/{name}", self.place)
    }

    /// The metadata file.
    #[must_use]
    pub fn metadata(&self) -> String {
        self.in_metadata(&format!("00000-{}.metadata.json", self.uuid))
    }

    /// The snapshot's manifest list.
    #[must_use]
    pub fn manifest_list(&self) -> String {
        self.in_metadata(&format!("snap-{}-0-{}.avro", self.snapshot_id(), self.uuid))
    }

    /// The manifest with this number.
    #[must_use]
    pub fn manifest(&self, number: usize) -> String {
        self.in_metadata(&format!("{}-m{number}.avro", self.uuid))
    }

    /// The id of the snapshot that is written: positive, and the same for the same try.
    #[must_use]
    pub fn snapshot_id(&self) -> i64 {
        let (high, _) = self.uuid.as_u64_pair();
        (high >> 1).max(1).cast_signed()
    }

    /// The marker of the Avro file `name`: unlike any bytes in it, and the same for the same try.
    #[must_use]
    pub fn marker(&self, name: &str) -> [u8; 16] {
        *Uuid::new_v5(&self.uuid, name.as_bytes()).as_bytes()
    }
}

/// A number without sign, spaces or leading zeros: only such are in names.
fn digits<T: std::str::FromStr>(text: &str) -> Option<T> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    plain.then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tombstone_in_a_store_does_not_lie_in_the_folder_of_the_table_that_it_replaces() {
        let of = |location: &str| {
            MetadataNames::of(location, TOMBSTONE, MigrationId(Uuid::nil()), Run(1), Epoch(1), Attempt(1))
        };
        let table = "s3://lake/db/t";
        let tombstone = of(table).unwrap();
        assert!(tombstone.metadata().starts_with("s3://lake/db/skein_tombstone_"), "{}", tombstone.metadata());
        assert_eq!(of("/lake/db/t").unwrap().place(), "/lake/db/t");
        assert!(of("hdfs://n/t").is_err());
    }

    #[test]
    fn a_staged_name_tells_whose_it_is() {
        let handout =
            Handout { epoch: Epoch(3), batch: BatchId { stage: StageNo(1), batch: BatchNo(12) }, attempt: Attempt(40) };
        let path = staged_path("/w/db/t/", MigrationId(Uuid::nil()), Run(2), handout, 7).unwrap();
        assert_eq!(path, "/w/db/t/data/00000000-0000-0000-0000-000000000000/2/3-1.12-40-7.parquet");
        assert_eq!(parse_staged_name("3-1.12-40-7.parquet"), Some((handout, 7)));
        for other in [
            "3-1.12-40.parquet",
            "3-1.12-40-7.orc",
            "x-1.12-40-7.parquet",
            "03-1.12-40-7.parquet",
            "3-1-40-7.parquet",
            "3-1.2-4-7-8.parquet",
        ] {
            assert_eq!(parse_staged_name(other), None, "{other}");
        }
    }
}
