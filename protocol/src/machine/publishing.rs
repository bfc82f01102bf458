//! Decisions round the one step that makes a target visible, and round taking it back.
//!
//! An unknown outcome is never a failure and never a success: look at the name, compare, then register the *same*
//! location again or stop.

use crate::data_plane::{LoadedTable, StagedTable};
use crate::defects::{self, Defect};
use crate::ids::TableName;
use crate::ledger::migration::{Intent, Tombstone};
use crate::problem::{Code, Problem};

/// How long a tombstone stands: longer than any registration request can be under way, milliseconds.
pub const TOMBSTONE_MILLIS: u64 = 15 * 60 * 1000;

/// What the owner of an open intent does after it looked at the target's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PublishVerdict {
    /// The name points at the intended metadata file.
    Committed,
    /// The name is free, or keeps an own tombstone of an earlier run: register the intended file (again), replacing it.
    Register {
        /// The tombstone's metadata file, if one stands there.
        replacing: Option<String>,
    },
    /// Something else stands there; it stays.
    Taken(Problem),
}

/// Judges what stands under the target's name while an intent is open. `earlier` is the tombstone of an earlier run of
/// the same migration.
#[must_use]
pub fn publish_verdict(
    intended: &StagedTable,
    earlier: Option<&Tombstone>,
    target: &TableName,
    found: Option<&LoadedTable>,
) -> PublishVerdict {
    let Some(found) = found else { return PublishVerdict::Register { replacing: None } };
    if found.uuid == intended.uuid && found.metadata_location == intended.metadata_location {
        return PublishVerdict::Committed;
    }
    if found.tombstone && earlier.is_some_and(|tombstone| tombstone.location == found.metadata_location) {
        return PublishVerdict::Register { replacing: Some(found.metadata_location.clone()) };
    }
    if defects::is(Defect::PublishOverAnything) {
        return PublishVerdict::Register { replacing: Some(found.metadata_location.clone()) };
    }
    let (why, code) = if found.uuid == intended.uuid {
        // Our table, with a commit of somebody else on top: published, and used already.
        (
            format!("it was changed right after it was published; it points at {}", found.metadata_location),
            Code::TargetModified,
        )
    } else {
        (format!("another table stands there, with metadata {}", found.metadata_location), Code::TargetTaken)
    };
    let next = "move or drop that table and resume, or cancel the migration";
    PublishVerdict::Taken(Problem::new(code, format!("target {target}"), why, next))
}

/// What the owner of a withdrawal does after it looked at the target's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WithdrawVerdict {
    /// The name keeps the tombstone: done.
    Done,
    /// The name is free: take it with the tombstone, create-if-absent.
    TakeName,
    /// The name points at what was published (or at a tombstone of an earlier run): point it at the tombstone if it still does.
    Replace {
        /// What it must still point at.
        expected: String,
    },
    /// The name belongs to somebody else; nothing of this run is visible.
    NotOurs,
    /// Our table was changed after it was published; it stays.
    Modified(Problem),
}

/// Judges what stands under the target's name while a run is being taken back.
#[must_use]
pub fn withdraw_verdict(
    intent: Option<&Intent>,
    tombstone: &Tombstone,
    target: &TableName,
    found: Option<&LoadedTable>,
) -> WithdrawVerdict {
    let Some(found) = found else { return WithdrawVerdict::TakeName };
    if found.metadata_location == tombstone.location {
        return WithdrawVerdict::Done;
    }
    let published = intent.is_some_and(|intent| intent.table.metadata_location == found.metadata_location);
    if published || found.tombstone {
        return WithdrawVerdict::Replace { expected: found.metadata_location.clone() };
    }
    if intent.is_some_and(|intent| intent.table.uuid == found.uuid) {
        return WithdrawVerdict::Modified(Problem::new(
            Code::TargetModified,
            format!("target {target}"),
            format!("it was changed after it was published; it points at {}", found.metadata_location),
            "the table stays; undo the later commits, or drop it yourself",
        ));
    }
    if defects::is(Defect::WithdrawForeign) {
        return WithdrawVerdict::Replace { expected: found.metadata_location.clone() };
    }
    WithdrawVerdict::NotOurs
}
