//! Credentials of nodes: who they are to each other, and how they prove it.
//!
//! In: certificates and keys, from node files or a joining. Out: an [`Identity`] that the fabric presents.
//! Holds: nothing process-wide. Not here: who belongs to the fleet (the ledger), TLS itself (`fabric`).

mod identity;

pub use identity::{Credentials, Identity};
