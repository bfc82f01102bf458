//! What becomes of a batch whose file cannot be read: codes, reasons, what to do next.
//!
//! In: failures of the system and of decoders. Out: [`Failure`]s, transient where another try may help.

use std::io::{self, ErrorKind};
use std::path::Path;

use skein_protocol::data_plane::Failure;
use skein_protocol::ids::TableName;
use skein_protocol::inspection::{SourceColumn, SourceFile};
use skein_protocol::problem::{Code, Problem};

use super::decoding::DecodeFailure;
use super::fingerprint::Identity;
use super::places::{self, Places};
use super::text::TextError;
use crate::files::Opened;

/// Opens the file at `path`, if it is the one that was planned.
pub(super) fn open(places: &Places, path: &Path, file: &SourceFile, dataset: &TableName) -> Result<Opened, Failure> {
    let failed = |error: io::Error| io_failure(path, &error, dataset);
    // An object is what it was when it was opened, or it cannot be read on.
    if places::object(path).is_some() {
        let opened = places.open(path).map_err(failed)?;
        let identity = opened.stat().cloned().map(Identity::from);
        return match identity {
            Some(identity) if !identity.is_of(file) => Err(changed(file, &identity.difference(file), dataset)),
            _ => Ok(opened),
        };
    }
    verify(places, path, file, dataset)?;
    places.open(path).map_err(failed)
}

/// Holds the file at `path` against the plan.
pub(super) fn verify(places: &Places, path: &Path, file: &SourceFile, dataset: &TableName) -> Result<(), Failure> {
    match places.identity(path) {
        Ok(identity) if identity.is_of(file) => Ok(()),
        Ok(identity) => Err(changed(file, &identity.difference(file), dataset)),
        Err(error) => Err(io_failure(path, &error, dataset)),
    }
}

fn changed(file: &SourceFile, why: &str, dataset: &TableName) -> Failure {
    Failure::permanent(
        Problem::new(
            Code::SourceChanged,
            format!("{:?} is not the file that was planned", file.path),
            why,
            "Plan again, and approve the new plan",
        )
        .of(dataset),
    )
}

pub(super) fn io_failure(path: &Path, error: &io::Error, dataset: &TableName) -> Failure {
    let what = format!("{} cannot be read", path.display());
    match error.kind() {
        io::ErrorKind::NotFound => Failure::permanent(
            Problem::new(
                Code::SourceChanged,
                what,
                "it was planned, and is gone",
                "Plan again, and approve the new plan",
            )
            .of(dataset),
        ),
        io::ErrorKind::PermissionDenied => Failure::permanent(
            Problem::new(Code::SourceUnreadable, what, error.to_string(), "Let the node's user read it").of(dataset),
        ),
        _ => Failure::transient(
            Problem::new(Code::Io, what, error.to_string(), "Check the disk; the batch is tried again").of(dataset),
        ),
    }
}

/// A decoder's failure. A file that was changed under the decoder looks damaged, so that is looked at first.
fn decoder_failure(
    code: Code,
    why: String,
    next: &str,
    places: &Places,
    path: &Path,
    file: &SourceFile,
    dataset: &TableName,
) -> Failure {
    if let Err(changed) = verify(places, path, file, dataset) {
        return changed;
    }
    Failure::permanent(Problem::new(code, format!("{:?} cannot be read", file.path), why, next).of(dataset))
}

/// The failure of a batch whose file could not be decoded.
pub(super) fn decode_failure(
    failure: DecodeFailure,
    places: &Places,
    path: &Path,
    file: &SourceFile,
    dataset: &TableName,
) -> Failure {
    let (code, why, next) = match failure {
        // A store refuses to go on with an object that has become another one.
        DecodeFailure::Io(error) => {
            let changed = verify(places, path, file, dataset).err();
            return changed.unwrap_or_else(|| io_failure(path, &error, dataset));
        }
        DecodeFailure::Damaged(why) => (Code::FileDamaged, why, "Restore the file from its origin and plan again"),
        DecodeFailure::Unsupported(why) => {
            (Code::FormatUnsupported, why, "Rewrite the file in Hive, or move it out of the table's folder")
        }
        DecodeFailure::Conflict(why) => (Code::SchemaConflict, why, "Correct the table description and plan again"),
        DecodeFailure::Value(why) => (
            Code::ValueInvalid,
            why,
            "Correct the value in the source (text is UTF-8), or describe the column as binary",
        ),
    };
    decoder_failure(code, why, next, places, path, file, dataset)
}

impl From<TextError> for DecodeFailure {
    fn from(error: TextError) -> Self {
        let why = error.to_string();
        match error {
            TextError::Io(error) => match error.kind() {
                ErrorKind::InvalidInput | ErrorKind::InvalidData | ErrorKind::UnexpectedEof => Self::Damaged(why),
                _ => Self::Io(error),
            },
            TextError::LineTooLong { .. } => Self::Damaged(format!("{why}; check whether it is a text file")),
            TextError::NotUtf8 { .. } | TextError::Invalid { .. } => Self::Value(why),
        }
    }
}

/// The failure of a batch whose file has a value in its path that is none.
pub(super) fn bad_partition(
    column: &SourceColumn,
    value: Option<&str>,
    file: &SourceFile,
    dataset: &TableName,
) -> Failure {
    let why = format!("{:?} is no {}", value.unwrap_or_default(), column.data_type);
    Failure::permanent(
        Problem::new(
            Code::PartitionLayout,
            format!("{:?} has no valid value of {:?} in its path", file.path, column.name),
            why,
            "Plan again",
        )
        .of(dataset),
    )
}
