//! What tells whether an object is still the one that it was.
//!
//! In: a store's answers. Out: [`Stat`]. Not here: files of this machine.

use object_store::ObjectMeta;

/// Length, time and version of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stat {
    /// Length in bytes.
    pub bytes: u64,
    /// Time of last modification, nanoseconds since 1970, in whole seconds: stores tell parts of a second when they list objects and
    /// leave them out when they are asked for one.
    pub modified_nanos: u64,
    /// Its entity tag, which every store has; empty where one should not.
    pub version: String,
}

impl Stat {
    pub(super) fn of(meta: &ObjectMeta) -> Self {
        let seconds = u64::try_from(meta.last_modified.timestamp()).unwrap_or(0);
        let version = meta.e_tag.clone().unwrap_or_default();
        Self { bytes: meta.size, modified_nanos: seconds.saturating_mul(1_000_000_000), version }
    }
}
