//! What can go wrong when a foreign library decodes a file, and the wall round its panics.
//!
//! In: decoders' calls. Out: their results, or [`DecodeFailure`]. Not here: what is reported of it (`read`, `tails`).

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Why a file cannot be read on.
#[derive(Debug, thiserror::Error)]
pub(super) enum DecodeFailure {
    /// The system fails to read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The file is damaged.
    #[error("{0}")]
    Damaged(String),
    /// The file is whole, and holds something that cannot be read: a codec, a type.
    #[error("{0}")]
    Unsupported(String),
    /// A column has another type than was planned for.
    #[error("{0}")]
    Conflict(String),
    /// A value has no place in its column's type.
    #[error("{0}")]
    Value(String),
}

/// Runs a decoder; a damaged file that makes it panic is damaged, not our end.
pub(super) fn guarded<T, E: Into<DecodeFailure>>(decode: impl FnOnce() -> Result<T, E>) -> Result<T, DecodeFailure> {
    match catch_unwind(AssertUnwindSafe(decode)) {
        Ok(result) => result.map_err(Into::into),
        Err(panic) => {
            let text =
                panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
            Err(DecodeFailure::Damaged(format!("the decoder gave up: {}", text.unwrap_or("for no reason it tells"))))
        }
    }
}

impl DecodeFailure {
    /// A decoder's complaint: text that is not UTF-8 is a value's fault, everything else the file's.
    pub(super) fn of_text(why: String) -> Self {
        if why.to_ascii_lowercase().contains("utf") { Self::Value(why) } else { Self::Damaged(why) }
    }
}
