//! What must be true, whatever happens: one function for each sentence.
//!
//! In: plain views, before and after an entry, or of everything. Out: [`Violation`]s. Holds: the list ([`ALL`]) that
//! `docs/invariants.md` shows. Written from the specification: nothing in here asks `apply`, the scheduler or the machine
//! what they would do. Not here: whoever calls it (a node, the simulation), what is done about a violation.

mod counts;
pub mod end;
mod failures;
mod follower;
mod history;
mod list;
mod order;
mod ownership;
mod publishing;
mod requests;
mod step;
mod transitions;
mod view;
mod waiting;
mod watch;
mod whole;
pub mod world;

#[cfg(test)]
mod tests;

use std::fmt;

pub use follower::{Fed, Follower};
pub use list::{ALL, Check, Invariant, Level};
pub use requests::{Applied, Keyed};
pub use step::{Fleet, Step};
pub use view::{BatchGlimpse, Glimpse, IntentGlimpse, Seen};
pub use watch::Watch;
pub use whole::Whole;

use crate::ids::MigrationId;

/// Holds, or why it does not.
pub type Verdict = Result<(), String>;

/// A sentence that is not true.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The invariant's name.
    pub invariant: &'static str,
    /// The entry after which it does not hold.
    pub index: Option<u64>,
    /// The migration that it is about, if it is about one.
    pub migration: Option<MigrationId>,
    /// What is the case instead.
    pub why: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "invariant {}", self.invariant)?;
        if let Some(index) = self.index {
            write!(f, " at entry {index}")?;
        }
        if let Some(migration) = self.migration {
            write!(f, " for migration {migration}")?;
        }
        write!(f, ": {}", self.why)
    }
}

fn ensure(holds: bool, why: impl FnOnce() -> String) -> Verdict {
    if holds { Ok(()) } else { Err(why()) }
}
