//! The picture of a run: slots over time, with what was stolen and who was killed.

use super::outcome::Outcome;

/// A drawing that stands alone or in a page, in light and dark.
#[must_use]
pub fn svg(outcome: &Outcome) -> String {
    outcome.setting.name.clone()
}
