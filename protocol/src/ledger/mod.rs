//! The ledger: entries, the state that they fold into, and the fold itself.
//!
//! In: proposals in the order of the log. Out: the state of every policy and migration. Holds: all rules
//! about which entry is accepted when. Not here: storage and replication (the node), which entry should
//! come next (`machine`).

pub mod access;
pub mod entry;
pub mod fold;
pub mod members;
pub mod migration;
pub mod policies;
pub mod state;

mod apply;
mod due;
mod migrations;
#[cfg(test)]
pub(crate) mod scenario;
mod tally;
#[cfg(test)]
mod tests;

pub use due::Queue;
pub use entry::{Answer, Entry};
pub use members::{Member, Seat, Standing};
pub use migration::{BatchState, Migration, Phase};
pub use migrations::Migrations;
pub use state::State;
