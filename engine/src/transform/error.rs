//! Why rows could not be transformed.

use arrow::datatypes::DataType as ArrowType;
use skein_protocol::data_plane::Failure;
use skein_protocol::plan::Plan;
use skein_protocol::problem::{Code, Problem};

/// Characters of a value that an error shows; values can be whole documents.
const MAX_SHOWN: usize = 120;

/// Rows could not be transformed. Rows are indexes in the batch that was given.
#[derive(Debug, thiserror::Error)]
pub enum TransformError {
    /// A value does not fit the target's type.
    #[error("column {column}: {value} cannot become {to}: {why}")]
    Cast {
        /// The target column.
        column: String,
        /// The value, shortened.
        value: String,
        /// The target's type.
        to: ArrowType,
        /// What would be lost, or what Arrow said.
        why: String,
        /// The row, where it is known.
        row: Option<usize>,
    },
    /// An expression failed.
    #[error("{rule}: {why}")]
    Expression {
        /// The rule or check.
        rule: String,
        /// What DataFusion said.
        why: String,
        /// The row, where it is known.
        row: Option<usize>,
    },
    /// No cast exists between two types.
    #[error("column {column}: there is no cast from {from} to {to}")]
    NoCast {
        /// The target column.
        column: String,
        /// The source's type.
        from: ArrowType,
        /// The target's type.
        to: ArrowType,
    },
    /// The plan contradicts itself: a defect.
    #[error("the plan cannot be carried out: {why}")]
    Plan {
        /// What is wrong.
        why: String,
    },
}

impl TransformError {
    /// The row that could not be transformed, where it is known.
    #[must_use]
    pub fn row(&self) -> Option<usize> {
        match self {
            Self::Cast { row, .. } | Self::Expression { row, .. } => *row,
            Self::NoCast { .. } | Self::Plan { .. } => None,
        }
    }

    /// The failure of a call, said of the plan's dataset; `place` names the row (file and row number) if it is known.
    #[must_use]
    pub fn into_failure(self, plan: &Plan, place: Option<&str>) -> Failure {
        let (code, what, next) = match &self {
            Self::Cast { .. } => (
                Code::CastFailed,
                "A cast of the policy",
                "Correct the value in the source, filter such rows, or cast to a type that holds them; then plan again",
            ),
            Self::NoCast { .. } => {
                (Code::CastFailed, "A cast of the policy", "Choose another type in the policy; then plan again")
            }
            Self::Expression { .. } => (
                Code::ExpressionFailed,
                "An expression of the policy",
                "Correct the expression, or exclude such rows in it; then plan again",
            ),
            Self::Plan { .. } => {
                (Code::Internal, "Preparing a batch", "This is a defect of Skein: please report it with this message")
            }
        };
        let why = match place {
            Some(place) => format!("{self} ({place})"),
            None => self.to_string(),
        };
        Failure::permanent(Problem::new(code, what, why, next).of(&plan.source.dataset))
    }
}

/// A value as errors show it.
pub(super) fn shown(text: &str) -> String {
    if text.chars().count() <= MAX_SHOWN {
        return format!("{text:?}");
    }
    let start: String = text.chars().take(MAX_SHOWN).collect();
    format!("{start:?}…")
}
