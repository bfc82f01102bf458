//! What somebody outside of the fleet sees: the log of all changes, and tables as a reader gets them.
//!
//! In: nothing (plain types). Out: [`Happening`]s, [`Seen`] tables. Not here: judging them (`publication`, and whoever
//! runs a simulation).

use std::fmt;
use std::time::Duration;

use skein_protocol::ids::{Attempt, Epoch, MigrationId, Run, TableName};

/// Whose work something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Author {
    /// The migration.
    pub migration: MigrationId,
    /// Its run.
    pub run: Run,
    /// The epoch of the owner that it was made for.
    pub epoch: Epoch,
    /// The hand-out.
    pub attempt: Attempt,
}

impl fmt::Display for Author {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} run {} epoch {} attempt {}", self.migration, self.run, self.epoch, self.attempt)
    }
}

/// A change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// A target's name points elsewhere.
    Named {
        /// The target.
        target: TableName,
        /// The metadata file that it pointed at.
        from: Option<String>,
        /// The metadata file that it points at.
        to: Option<String>,
        /// Whose metadata file that is; nobody's who belongs to the fleet, or none.
        author: Option<Author>,
    },
    /// An object was created.
    Created {
        /// Where.
        location: String,
        /// By whom.
        author: Author,
    },
    /// An object was deleted.
    Deleted {
        /// Where.
        location: String,
        /// For which migration and run, by an owner with which epoch; the attempt means nothing.
        author: Author,
    },
    /// Somebody else changed a source.
    SourceChanged {
        /// Which.
        dataset: TableName,
        /// How; the name of a [`Change`](super::Change).
        how: &'static str,
    },
}

/// A change, when it happened, and whose call did it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Happening {
    /// Since the beginning of the world.
    pub at: Duration,
    /// The machine whose call it was, where that is known.
    pub machine: Option<usize>,
    /// What.
    pub what: What,
}

/// A target as a reader sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The table's uuid.
    pub uuid: String,
    /// Its metadata file.
    pub location: String,
    /// Whether it is an empty table that keeps the name.
    pub tombstone: bool,
    /// The columns' names.
    pub columns: Vec<String>,
    /// The rows, sorted; a cell without text is null.
    pub rows: Vec<Vec<Option<String>>>,
}
