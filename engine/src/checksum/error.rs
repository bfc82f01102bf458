//! Why a checksum could not be computed.

use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use skein_protocol::problem::{Code, Problem};

/// A checksum could not be computed. No hash of the batch may be used then: the output may hold a part.
#[derive(Debug, thiserror::Error)]
pub enum ChecksumError {
    /// No rule says which bytes a value of this type contributes.
    #[error("column {column}: {data_type} has no checksum")]
    Unsupported {
        /// The column.
        column: String,
        /// Its type, or the part of its type that is refused.
        data_type: DataType,
    },
    /// A point in time is not a whole number of microseconds (or of days), or out of their range.
    #[error("column {column}: {value} {unit} cannot be told exactly in {wanted}")]
    NotExact {
        /// The column.
        column: String,
        /// The value as the file has it.
        value: i64,
        /// The unit of `value`.
        unit: &'static str,
        /// The unit that the checksum hashes.
        wanted: &'static str,
    },
    /// A batch has other columns than the hasher was made for. A defect of the caller.
    #[error("{what}: expected {expected}, found {found}")]
    Shape {
        /// What was counted.
        what: &'static str,
        /// What the hasher was made for.
        expected: usize,
        /// What it was given.
        found: usize,
    },
    /// Arrow refused an array.
    #[error("column {column}")]
    Arrow {
        /// The column.
        column: String,
        /// What Arrow said.
        source: ArrowError,
    },
}

impl ChecksumError {
    /// The stable code under which people see this error.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Unsupported { .. } => Code::TypeUnsupported,
            Self::NotExact { .. } => Code::ValueInvalid,
            Self::Shape { .. } | Self::Arrow { .. } => Code::Internal,
        }
    }
}

impl From<ChecksumError> for Problem {
    fn from(error: ChecksumError) -> Self {
        let next = match error.code() {
            Code::TypeUnsupported => "Drop the column in the policy, or cast it to a type that has a checksum",
            Code::ValueInvalid => "Cast the column in the policy, so that the loss is part of the plan",
            _ => "Report it with the node's log: this is a defect",
        };
        Self::new(error.code(), "The checksum of a batch", error.to_string(), next)
    }
}
