//! Turning errors of the operating system and of libraries into failures with a stable code.
//!
//! In: an error, what was being done, and where. Out: a [`Failure`]. Holds: which errors mean a full disk, which
//! may go away by themselves. Not here: failures that data cause (where the data is read).

use std::error::Error;
use std::io;

use skein_protocol::data_plane::Failure;
use skein_protocol::problem::{Code, Problem};

/// Sources of an error that are followed; chains are three or four long, a longer one is a cycle.
const MAX_CHAIN: usize = 16;

/// The failure of reading or writing at `place`, where nothing visible was done. `doing` completes the sentence
/// "… failed": `writing a data file`.
#[must_use]
pub fn of_io(doing: &str, place: &str, error: &io::Error) -> Failure {
    // A catalog that gave no credentials has said why.
    if let Some(failure) = failure_in(error) {
        return failure.clone();
    }
    let code = io_code(error);
    let next = match code {
        Code::DiskFull => "Free space where the target's warehouse lies; the work is tried again by itself",
        Code::MemoryExceeded => "Lower the number of parallel batches or give the node more memory",
        _ => "Check that the place can be reached and that Skein may use it; the work is tried again by itself",
    };
    Failure::transient(Problem::new(code, format!("{doing} failed"), format!("{place}: {error}"), next))
}

/// The failure behind any library's error: that of the I/O error in its chain if there is one, else `otherwise`.
#[must_use]
pub fn of_error(doing: &str, place: &str, error: &(dyn Error + 'static), otherwise: Code) -> Failure {
    match io_error_in(error) {
        Some(io) => of_io(doing, place, io),
        None => Failure::permanent(Problem::new(
            otherwise,
            format!("{doing} failed"),
            format!("{place}: {}", sentence(error)),
            "Look at the place that is named; if it is as it should be, this is a defect of Skein",
        )),
    }
}

/// A defect of Skein itself: something that cannot happen did.
#[must_use]
pub fn internal(doing: &str, why: impl Into<String>) -> Failure {
    Failure::permanent(Problem::new(
        Code::Internal,
        format!("{doing} failed"),
        why,
        "This is a defect of Skein: please report it with this message",
    ))
}

/// The I/O error among the causes of `error`, if any.
#[must_use]
pub fn io_error_in<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a io::Error> {
    let mut current = Some(error);
    for _ in 0..MAX_CHAIN {
        let error = current?;
        if let Some(io) = error.downcast_ref::<io::Error>() {
            // A library may have wrapped one I/O error in another; the inner one tells more.
            return io.get_ref().and_then(|inner| io_error_in(inner)).or(Some(io));
        }
        current = error.source();
    }
    None
}

/// The failure among the causes of `error`, if any.
fn failure_in<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a Failure> {
    let mut current = Some(error);
    for _ in 0..MAX_CHAIN {
        let error = current?;
        if let Some(failure) = error.downcast_ref::<Failure>() {
            return Some(failure);
        }
        current = match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}

fn io_code(error: &io::Error) -> Code {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Code::DiskFull,
        io::ErrorKind::OutOfMemory => Code::MemoryExceeded,
        _ => Code::Io,
    }
}

/// The messages of `error` and its causes, without those that only repeat the one before.
fn sentence(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut current = error.source();
    for _ in 0..MAX_CHAIN {
        let Some(cause) = current else { break };
        let message = cause.to_string();
        if !text.contains(&message) {
            text.push_str(": ");
            text.push_str(&message);
        }
        current = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use parquet::errors::ParquetError;
    use skein_protocol::data_plane::Class;

    use super::*;

    #[test]
    fn a_full_disk_is_told_however_a_library_wraps_it() {
        let full = || io::Error::from(io::ErrorKind::StorageFull);
        assert_eq!(of_io("writing", "/x", &full()).code(), Code::DiskFull);
        let parquet = ParquetError::External(Box::new(full()));
        let failure = of_error("writing", "/x", &parquet, Code::Internal);
        assert_eq!((failure.code(), failure.class), (Code::DiskFull, Class::Transient));
        let arrow = arrow::error::ArrowError::IoError("x".to_owned(), io::Error::other(full()));
        assert_eq!(of_error("writing", "/x", &arrow, Code::Internal).code(), Code::DiskFull);
    }

    #[test]
    fn an_error_without_io_behind_it_gets_the_code_of_its_place() {
        let failure = of_error("reading", "/x", &ParquetError::General("no magic".to_owned()), Code::FileDamaged);
        assert_eq!((failure.code(), failure.class), (Code::FileDamaged, Class::Permanent));
        assert!(failure.problem.why.contains("no magic"), "{}", failure.problem.why);
    }
}
