//! Which columns each sum goes over, and which sums are the same.
//!
//! In: a plan. Out: [`Layout`]. Not here: the sums (`rows`, `write`, `read_back`).

use skein_protocol::plan::{Origin, Plan};

/// Columns of sums, as indexes into the source's and the target's columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Layout {
    /// All columns of the source.
    pub(super) source: Vec<usize>,
    /// The source's columns whose conversion loses nothing, in the target's order.
    pub(super) lossless_source: Vec<usize>,
    /// The target's columns that they become.
    pub(super) lossless_target: Vec<usize>,
    /// All columns of the target.
    pub(super) target: Vec<usize>,
}

impl Layout {
    pub(super) fn of(plan: &Plan) -> Self {
        let (mut lossless_source, mut lossless_target) = (Vec::new(), Vec::new());
        for (position, column) in plan.target.columns.iter().enumerate() {
            let Origin::Source { column: name } = &column.origin else { continue };
            let from = plan.source.columns.iter().position(|source| source.name == *name);
            if let (true, Some(from)) = (column.conversion.keeps_sum(), from) {
                lossless_source.push(from);
                lossless_target.push(position);
            }
        }
        Self {
            source: (0..plan.source.columns.len()).collect(),
            lossless_source,
            lossless_target,
            target: (0..plan.target.columns.len()).collect(),
        }
    }

    /// Whether the sum over lossless columns is that over the source's rows.
    pub(super) fn all_source_is_lossless(&self) -> bool {
        self.lossless_source == self.source
    }

    /// Whether every target column is lossless, so that what must be found is known before the conversion.
    pub(super) fn all_target_is_lossless(&self) -> bool {
        self.lossless_target == self.target
    }

    /// Whether equal target rows come from equal source rows: every column of the source is a lossless one of the target.
    pub(super) fn target_tells_source_apart(&self) -> bool {
        self.source.iter().all(|column| self.lossless_source.contains(column))
    }
}
